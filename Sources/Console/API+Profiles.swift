import CPO
import Charging
import JSON
import SQL
import Service
import Web

extension Console {
    var profileRoutes: [APIRoute] {
        [
            APIRoute(
                method: "GET", path: "/stations/{id}/profiles", need: .role(.viewer),
                summary: "Charging profiles the station shall hold, and whether it took them",
                handler: profiles),
            APIRoute(
                method: "PUT", path: "/stations/{id}/profiles/{name}", need: .role(.operator),
                summary: "Puts a charging profile: told now, and again after each boot",
                body: """
                    {"connector", "purpose": ChargePointMaxProfile, TxDefaultProfile or TxProfile \
                    with "session", "stackLevel", "validFrom", "validTo"} with {"kind", \
                    "recurrence", "schedule": {"unit", "start", "durationSeconds", "periods": \
                    [{"start", "limit"}]}}, or by the time of the day at the place: {"unit", \
                    "otherwise", "windows": [{"days", "from", "until", "amperes" or "watts"}]}
                    """, handler: putProfile),
            APIRoute(
                method: "DELETE", path: "/stations/{id}/profiles/{name}", need: .role(.operator),
                summary: "Takes a charging profile away, at the station too",
                handler: deleteProfile),
            APIRoute(
                method: "GET", path: "/stations/{id}/schedule", need: .role(.viewer),
                summary:
                    "What a connector may draw from now on; with `wait`, beside what it reports",
                query: [
                    .init(name: "connector", about: "0 or left out: the station"),
                    .init(name: "seconds", about: "how far ahead; a day where left out"),
                    .init(name: "unit", about: "A or W"), .wait,
                ], handler: schedule),
        ]
    }

    private func record(_ request: APIRequest) async throws -> StationRecord {
        let id = request[parameter: "id"]
        guard let station = try await house.stations.station(id) else {
            throw APIProblem.notFound("station", id)
        }
        return station
    }

    private func profiles(_ request: APIRequest) async throws -> HTTPResponse {
        let station = try await record(request)
        let found = try await house.read { try self.house.profiles.list(station.id, in: $0) }
        return .page(found.map(Self.shape), next: nil)
    }

    private func putProfile(_ request: APIRequest) async throws -> HTTPResponse {
        let station = try await record(request)
        let name = request[parameter: "name"]
        guard (1...64).contains(name.utf8.count), name.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F })
        else { throw APIProblem.field("name", "must be 1 to 64 characters without blanks") }
        let body = try request.object()
        try ProfileBody.refuseStrangers(body)
        let now = house.clock.now
        var connector = 0
        if let member = body["connector"], !member.isNull {
            guard let number = member.int, (0...Stations.mostConnectors).contains(number) else {
                throw APIProblem.field("connector", "must be from 0 to \(Stations.mostConnectors)")
            }
            connector = number
        }
        var session: String?
        if let member = body.given("session") {
            guard let id = member.string, let running = house.sessions.running(id),
                running.station == station.id
            else {
                throw APIProblem.field("session", "must be the id of a charge that runs there")
            }
            session = id
            connector = running.connector
        }
        let (place, charge) = (connector, session)
        return try await checked {
            let plan = try ProfilePlan(json: body)
            let record = try await self.house.write { transaction in
                let record = try self.house.profiles.put(
                    plan, name: name, station: station.id, connector: place, session: charge,
                    source: request.caller.name, at: now, in: transaction)
                try self.audit.note(
                    request.caller, "profile.put", "\(station.id)/\(name)", body, in: transaction)
                return record
            }
            return .json(Self.shape(record))
        }
    }

    private func deleteProfile(_ request: APIRequest) async throws -> HTTPResponse {
        let station = try await record(request)
        let name = request[parameter: "name"]
        let now = house.clock.now
        let found = try await house.write { transaction in
            try self.audit.note(
                request.caller, "profile.delete", "\(station.id)/\(name)", in: transaction)
            return try self.house.profiles.withdraw(
                station.id, name: name, at: now, in: transaction)
        }
        guard found != nil else { throw APIProblem.notFound("profile", name) }
        return .noContent
    }

    private func schedule(_ request: APIRequest) async throws -> HTTPResponse {
        let station = try await record(request)
        let connector = try number("connector", 0...Stations.mostConnectors, request) ?? 0
        let seconds = try number("seconds", 1...604_800, request) ?? 86_400
        var unit: ChargingSchedule.Unit?
        if let text = request.http.query("unit"), !text.isEmpty {
            guard let known = ChargingSchedule.Unit(rawValue: text) else {
                throw APIProblem.field("unit", "must be A or W")
            }
            unit = known
        }
        let wait = try waitSeconds(request)
        let start = Timestamp(seconds: house.clock.now.milliseconds / 1000)
        let expected = try await house.grid.expected(
            house, station: station.id, connector: connector, seconds: seconds, unit: unit,
            at: start)
        var value: [String: JSONValue] = ["expected": expected.json]
        if wait > 0 {
            guard request.caller.role >= .operator else {
                throw APIProblem(
                    403, "not allowed", detail: "asking the station needs the role operator")
            }
            let command = try await house.send(
                .getComposite(
                    connector: connector, seconds: seconds, unit: expected.schedule.unit),
                to: station.id,
                origin: CommandOrigin(
                    door: request.caller.csrf == nil ? "api" : "console",
                    reference: request.caller.name))
            let settled = try await house.commands.settled(command.id, withinSeconds: wait)
            value.merge(Self.compare(expected, settled)) { _, new in new }
        }
        return .json(.object(value))
    }

    /// The station's own word beside ours: `differs` is null where the two cannot be compared.
    private static func compare(
        _ expected: CompositeSchedule, _ command: Command?
    ) -> [String: JSONValue] {
        // An answer that is no schedule is one without it.
        let answer = command?.answer.flatMap { try? JSONValue(parsing: $0) }
        guard let command, command.state == .seen || command.state == .accepted, let answer,
            let schedule = answer["schedule"].flatMap(ChargingSchedule.init(json:))
        else {
            return [
                "reported": .null, "differs": .null,
                "answer": command?.answer.map { .string($0) } ?? "no answer in time",
            ]
        }
        let reported = CompositeSchedule(
            connector: expected.connector, start: answer["start"]?.time ?? expected.start,
            schedule: schedule)
        let differences = expected.differences(from: reported)
        return [
            "reported": reported.json,
            "differs": differences.map { .bool(!$0.isEmpty) } ?? .null,
            "differences": .array((differences ?? []).map(shape)),
        ]
    }

    private func number(
        _ name: String, _ range: ClosedRange<Int>, _ request: APIRequest
    ) throws -> Int? {
        guard let text = request.http.query(name), !text.isEmpty else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw APIProblem.field(
                name, "must be from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    // MARK: Shapes

    private static func shape(_ difference: CompositeSchedule.Difference) -> JSONValue {
        func tenths(_ value: Int64?) -> JSONValue? {
            value.map { .number(Decimal(significand: Int128($0), scale: 1).reduced) }
        }
        return .members([
            "from": .number(difference.from), "until": .number(difference.until),
            "expected": tenths(difference.expected) ?? .null,
            "reported": tenths(difference.reported) ?? .null,
        ])
    }

    private static func shape(_ record: StationProfiles.Record) -> JSONValue {
        var value = record.plan.json.object ?? [:]
        value["name"] = .string(record.name)
        value["profileID"] = .number(record.id)
        value["connector"] = .number(record.connector)
        value["session"] = record.session.map { .string($0) }
        value["source"] = .string(record.source)
        value["state"] = .string(record.state.rawValue)
        value["answer"] = record.answer.map { .string($0) }
        value["toldAt"] = record.toldAt.map { .time($0) }
        value["changedAt"] = .time(record.changedAt)
        return .object(value)
    }
}
