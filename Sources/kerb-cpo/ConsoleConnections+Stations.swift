import CPO
import CSMS
import Charging
import Console
import Crypto
import JSON
import Service

extension Console.Connections {
    /// What only the stations' door knows: its log, who was turned away, and how stations prove
    /// themselves.
    mutating func connect(_ stations: CentralSystem) {
        messages = { search, before, limit in
            try await stations.messages(
                MessageFilter(
                    station: search.station, action: search.action, text: search.text,
                    from: search.from, until: search.until), before: before, limit: limit
            ).map(Self.message)
        }
        holds = { stations.holds().map { ($0.station, Self.hold($0)) } }
        liftHold = { station, note in try await stations.liftHold(of: station, note: note) }
        deviations = { try await stations.deviations(of: $0).map(Self.deviation) }
        refusals = { try await stations.refusals().map(Self.refusal) }
        checkCommand = { command, station in
            do throws(CommandProblem) {
                return try stations.checked(command, for: station)
            } catch { throw Console.BadValue(field: error.field, detail: error.detail) }
        }
        stationAccess = { stations.access(of: $0)?.shown }
        changeStationAccess = { station, change, mayLower, note in
            do {
                return try await stations.changeAccess(
                    of: station, change, mayLower: mayLower, note: note)?.shown
            } catch let problem as AccessProblem {
                throw Console.BadValue(field: problem.field, detail: problem.detail)
            }
        }
        localList = { Self.localList(stations.localList(of: $0)) }
        keepLocalList = { isKept, station, note in
            try await stations.keepLocalList(isKept, of: station, note: note)
        }
        if let files = stations.files { self.files = Self.lines(files) }
        if stations.authority != nil {
            certificates = Console.Connections.CertificateLines(
                list: { try await stations.certificates(of: $0).map(\.shown) },
                revoke: { try await stations.revoke($0, of: $1, note: $2) })
        }
        setStationPassword = { try await stations.setPassword($0, for: $1, with: $2) }
        if let enrolment = stations.settings.enrolment {
            enrolStation = { station, minutes in
                let made = try await stations.makeEnrolment(station, minutes: minutes)
                return Self.enrolment(made, enrolment.uri(made))
            }
        }
    }

    private static func lines(_ files: FileStore) -> Console.Connections.FileLines {
        Console.Connections.FileLines(
            list: { isFirmware, station in
                try await files.list(isFirmware ? .firmware : .log, station: station).map(\.shown)
            },
            invite: { label, who, note in
                var wanted = StationFile.Label(name: label.name)
                wanted.vendor = label.vendor
                wanted.model = label.model
                wanted.version = label.version
                wanted.certificate = label.certificate
                wanted.signature = label.signature
                wanted.sha256 = label.sha256
                let made = try await files.invite(wanted, by: who) { try note($0.id, $1) }
                var shown = made.file.shown.object ?? [:]
                shown["upload"] = ["path": .string(made.path), "expiresAt": .time(made.expiresAt)]
                return .object(shown)
            },
            content: { id, request in
                guard let file = try await files.file(id) else { return nil }
                return await files.content(of: file, request)
            },
            remove: { id, note in
                do {
                    return try await files.remove(id) { try note(id, $0) }
                } catch let use as FileStore.FileInUse {
                    throw Console.BadValue(
                        field: "id", detail: "is sent by campaign \(use.campaign); cancel it first")
                }
            },
            orderLog: { wish, station, origin in
                try await files.orderLog(
                    wish.kind, from: wish.from, until: wish.until, extended: wish.isExtended,
                    station: station, origin: origin)
            }, source: files)
    }

    private static func message(_ message: LoggedMessage) -> JSONValue {
        .members([
            "id": .number(message.id), "station": .string(message.station),
            "at": .time(message.at), "inbound": .bool(message.isInbound),
            "action": .string(message.action), "messageID": .string(message.messageID),
            "request": .string(message.request), "answer": message.answer.map { .string($0) },
            "tookMilliseconds": message.tookMilliseconds.map { .number($0) },
            "note": message.note.map { .string($0) },
        ])
    }

    static func enrolment(_ made: Enrolment, _ uri: EnrolmentURI) -> JSONValue {
        let code = QRCode(uri.text)
        return .members([
            "station": .string(made.station), "code": .string(made.code.text),
            "uri": .string(uri.text), "expiresAt": .time(made.expiresAt),
            "qr": code.map { code in
                ["size": .number(code.size + 2 * QRCode.quiet), "path": .string(code.path)]
            },
        ])
    }

    private static func deviation(_ deviation: DeviationCount) -> JSONValue {
        [
            "kind": .string(deviation.kind), "times": .number(deviation.times),
            "firstAt": .time(deviation.firstAt), "lastAt": .time(deviation.lastAt),
        ]
    }

    private static func localList(_ list: LocalListStatus) -> JSONValue {
        .members([
            "state": .string(list.state.rawValue), "kept": list.isKept.map { .bool($0) } ?? .null,
            "version": list.version.map { .number($0) }, "entries": .number(list.entries),
            "cut": .bool(list.isCut), "detail": list.detail.map { .string($0) },
            "changedAt": list.changedAt.map { .time($0) },
            "nextTryAt": list.nextTryAt.map { .time($0) },
            "awaitsClearCache": .bool(list.awaitsClearCache),
        ])
    }

    private static func hold(_ hold: StationHold) -> JSONValue {
        [
            "reason": .string(hold.reason.rawValue), "since": .time(hold.since),
            "until": .time(hold.until), "addresses": .array(hold.addresses.map { .string($0) }),
            "devices": .array(hold.devices.map { .string($0) }),
        ]
    }

    private static func refusal(_ refusal: RefusedHandshake) -> JSONValue {
        [
            "station": .string(refusal.station), "reason": .string(refusal.reason),
            "address": .string(refusal.address), "times": .number(refusal.times),
            "firstAt": .time(refusal.firstAt), "lastAt": .time(refusal.lastAt),
        ]
    }
}
