import Charging
import JSON
import SQL
import Service

extension Commands {
    /// Sends what is queued until cancelled; the roof owns the task.
    package func run(_ house: ChargePointOperator, over links: any StationLinks) async throws {
        let announcements = journal.announcements()
        state.withLock { $0.links = links }
        defer { state.withLock { $0.links = nil } }
        let now = clock.now
        try await house.write { transaction in
            try self.interrupted(at: now, in: transaction)
            try self.takeScheduled(in: transaction)
        }
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await self.expire(house) }
            func carryQueued() {
                for id in takeQueued() {
                    group.addTask { await self.carry(id, house, links) }
                }
            }
            // What was ordered before this listened was announced to nobody here.
            carryQueued()
            for await _ in announcements { carryQueued() }
        }
    }

    private func carry(
        _ id: String, _ house: ChargePointOperator, _ links: any StationLinks
    ) async {
        do {
            let now = clock.now
            let sent = try await house.write { transaction -> Command? in
                guard var command = try self.command(id, in: transaction),
                    command.state == .queued
                else { return nil }
                command.state = .sent
                command.sentAt = now
                try self.store(command, in: transaction)
                return command
            }
            // A row that was rolled back with its caller's transaction is not there.
            guard let sent else { return }
            let (state, answer) = await ask(sent, links)
            let at = clock.now
            if sent.notBefore != nil, answer == Self.offlineText {
                return try await waitAgain(sent, house)
            }
            try await house.write { transaction in
                guard var command = try self.command(id, in: transaction) else { return }
                command.answer = answer
                command.answeredAt = at
                // The session may have begun before the station's answer was through.
                if command.state != .seen {
                    command.state = state
                    if state == .accepted, Self.isItsOwnEffect(command.command) {
                        command.state = .seen
                        command.seenAt = at
                        command.effect = answer
                    }
                }
                if try self.isThereAlready(command, in: transaction) {
                    command.state = .seen
                    command.seenAt = at
                }
                try self.store(command, in: transaction)
                try Reservations.heard(command, at: at, in: transaction)
                try Templates.heard(command, at: at, self.journal, in: transaction)
                try self.mask(command, in: transaction)
            }
            log.info(
                "command answered",
                [
                    "command": id, "station": sent.station, "name": sent.command.name,
                    "state": state.rawValue,
                ])
        } catch {
            log.error("command lost its row", ["command": id, "error": "\(error)"])
        }
    }

    private func ask(_ command: Command, _ links: any StationLinks) async -> (
        Command.State, String
    ) {
        do throws(StationLinkError) {
            let answer = try await links.carry(
                command, deadlineSeconds: settings.commandDeadlineSeconds)
            let (state, text) = Self.read(answer)
            return (state, SecretWords.hidden(in: text))
        } catch {
            return switch error {
            case .offline: (.failed, Self.offlineText)
            case .timedOut: (.timedOut, "no answer in time")
            case .lost: (.timedOut, "the connection was lost before the answer")
            case .notSupported: (.failed, "not in the station's protocol version")
            case .refused(let code, let description): (.failed, "\(code): \(description)")
            case .notUnderstood(let text):
                (.failed, "answer not understood: \(SecretWords.hidden(in: text))")
            case .busy: (.failed, "too many calls wait for this station")
            case .cancelled: (.failed, Self.cancelledText)
            case .replaced: (.failed, "a newer command took its place before it was sent")
            }
        }
    }

    /// What a station's answer means for the command.
    static func read(_ answer: CommandAnswer) -> (Command.State, String) {
        func state(_ status: String) -> Command.State {
            ["Accepted", "Scheduled", "RebootRequired", "Unlocked"].contains(status)
                ? .accepted : .rejected
        }
        switch answer {
        case .status(let status): return (state(status), status)
        case .settings(let settings, let unknown):
            let known = settings.map { setting -> JSONValue in
                .members([
                    "key": .string(setting.key), "value": .text(setting.value),
                    "readonly": .bool(setting.isReadOnly),
                ])
            }
            let body: JSONValue = [
                "settings": .array(known), "unknown": .array(unknown.map { .string($0) }),
            ]
            return (.accepted, body.text)
        case .listVersion(let version):
            return (.accepted, JSONValue.members(["listVersion": .number(version)]).text)
        case .data(let status, let data):
            return (
                state(status),
                JSONValue.members(["status": .string(status), "data": .text(data)]).text
            )
        case .composite(let schedule):
            guard let schedule else { return (.rejected, "Rejected") }
            return (.accepted, schedule.json.text)
        case .maintenance(let answer):
            let (status, body) = read(answer)
            return (status.map(state) ?? .accepted, body)
        case .foreign(let payload):
            // A payload that is no JSON has no status; it stands as the answer all the same.
            let status = (try? JSONValue(parsing: payload))?["status"]?.string
            return (status.map(state) ?? .accepted, payload)
        }
    }

    /// The answer's status word, where it has one, and the answer as it is kept.
    private static func read(_ answer: MaintenanceAnswer) -> (String?, String) {
        switch answer {
        case .taken: return (nil, "Accepted")
        case .log(let status, let name):
            return (
                status,
                JSONValue.members(["status": .text(status), "fileName": .text(name)]).text
            )
        case .roots(let roots):
            let hashes = roots.map { hash -> JSONValue in
                [
                    "algorithm": .string(hash.algorithm.rawValue),
                    "issuerName": .string(hash.issuerName), "issuerKey": .string(hash.issuerKey),
                    "serial": .string(hash.serial),
                ]
            }
            return (nil, JSONValue.object(["certificates": .array(hashes)]).text)
        }
    }

    /// Commands whose answer is the effect; the others wait for what the station reports.
    static func isItsOwnEffect(_ command: StationCommand) -> Bool {
        switch command {
        case .start, .startLimited, .stop, .reset, .setAvailability: false
        case .setProfile, .clearProfiles, .getComposite: true
        case .maintenance(let order): order.isItsOwnEffect
        case .sendLocalList, .getLocalListVersion, .reserve, .cancelReservation: true
        case .unlock, .changeSetting, .getSettings, .clearCache, .trigger, .data, .foreign: true
        }
    }

    /// After a restart nobody waits for these answers any more; a start or reset is not sent late.
    func interrupted(at: Timestamp, in transaction: Transaction) throws {
        let fresh = Set(state.withLock { $0.queued })
        for row in try transaction.query(
            """
            SELECT * FROM command WHERE state = 'sent' OR (state = 'queued' AND not_before IS NULL)
            ORDER BY created_at
            """)
        {
            var command = try Command(row: row)
            guard !fresh.contains(command.id) else { continue }
            command.answer = "the server restarted"
            command.answeredAt = at
            command.state = command.state == .queued ? .failed : .timedOut
            try store(command, in: transaction)
            try Reservations.heard(command, at: at, in: transaction)
            try mask(command, in: transaction)
        }
    }

    /// A file takes its time over a mobile line, and an availability waits for the end of the charge.
    private static let slowSeconds: Int64 = 86_400
    private static let overdue = """
        state = 'accepted' AND \(since) < ?
        AND ((name NOT IN ('updateFirmware', 'sendLog')
        AND NOT (name = 'setAvailability' AND answer = 'Scheduled')) OR \(since) < ?)
        """
    /// From when on an effect is waited for: one with a time was ordered long before it was sent.
    static let since = "(CASE WHEN not_before IS NULL THEN created_at ELSE sent_at END)"

    /// An accepted order whose effect never came is given up, so that who asked hears of it.
    private func expire(_ house: ChargePointOperator) async throws {
        while !Task.isCancelled {
            try await clock.sleep(milliseconds: 5000)
            try await release(house)
            let now = clock.now
            let since = now.advanced(bySeconds: -settings.remoteStartWindowSeconds)
            let longSince = now.advanced(bySeconds: -Self.slowSeconds)
            let isDue = try await database.read { transaction in
                try transaction.queryOne(
                    "SELECT id FROM command WHERE \(Self.overdue) LIMIT 1", since, longSince) != nil
            }
            guard isDue else { continue }
            try await house.write { transaction in
                for row in try transaction.query(
                    "SELECT * FROM command WHERE \(Self.overdue)", since, longSince)
                {
                    var command = try Command(row: row)
                    command.state = .timedOut
                    try self.store(command, in: transaction)
                }
            }
        }
    }
}
