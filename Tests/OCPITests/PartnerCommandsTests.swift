import CPO
import Charging
import JSON
import OCPI
import SQL
import Service
import TestSupport
import Testing
import Web

@Suite(.timeLimit(.minutes(1))) struct `A command of a partner` {
    static func start(_ partner: Partner, _ change: (inout JSONValue) -> Void = { _ in })
        -> JSONValue
    {
        var body: JSONValue = [
            "response_url": .string("\(partner.base)/2.2.1/commands/42"),
            "token": [
                "country_code": "NL", "party_id": "EMS", "uid": "APP-7", "type": "APP_USER",
                "contract_id": "NL-EMS-7", "issuer": "EMS", "valid": true,
                "whitelist": "NEVER", "last_updated": "2027-01-01T00:00:00Z",
            ],
            "location_id": "L-1", "evse_uid": "L-1-E1", "authorization_reference": "AUTH-1",
        ]
        change(&body)
        return body
    }

    @Test func `to start is answered at once, and later with one result`() async throws {
        let (house, partner) = (try await OCPIHouse(clock: .system), try Partner())
        let token = try await house.registered(partner)
        try await `A registered partner is sent`.running(house) {
            let answer = await house.ask(
                "POST", "/ocpi/2.2.1/commands/START_SESSION", token: token,
                body: Self.start(partner))
            #expect(answer.code == 1000)
            #expect(answer.data?["result"] == "ACCEPTED")
            #expect(answer.data?["timeout"] == 30)
            let result = await partner.first { $0.path == "/emsp/2.2.1/commands/42" }
            #expect(result.body["result"] == "ACCEPTED")

            // The charge that follows is the driver's, with the reference of his eMSP.
            let charge = try await house.start(
                token: "APP-7", at: house.cpo.clock.now.advanced(bySeconds: -1))
            let session = await partner.first {
                $0.method == "PUT" && $0.path.hasSuffix(charge.session)
            }
            #expect(session.body["auth_method"] == "COMMAND")
            #expect(session.body["authorization_reference"] == "AUTH-1")
            #expect(session.body["cdr_token"]?["contract_id"] == "NL-EMS-7")

            let stop = await house.ask(
                "POST", "/ocpi/2.2.1/commands/STOP_SESSION", token: token,
                body: [
                    "response_url": .string("\(partner.base)/2.2.1/commands/43"),
                    "session_id": .string(charge.session),
                ])
            #expect(stop.data?["result"] == "ACCEPTED")
            let stopped = await partner.first { $0.path == "/emsp/2.2.1/commands/43" }
            #expect(stopped.body["result"] == "ACCEPTED")
        }
        #expect(partner.received.filter { $0.path == "/emsp/2.2.1/commands/42" }.count == 1)
        await partner.stop()
    }

    @Test func `that the station refuses ends as REJECTED`() async throws {
        let (house, partner) = (try await OCPIHouse(clock: .system), try Partner())
        let token = try await house.registered(partner)
        let stubborn = ObedientStations(answer: .status("Rejected"))
        try await `A registered partner is sent`.running(house, stations: stubborn) {
            _ = await house.ask(
                "POST", "/ocpi/2.2.1/commands/START_SESSION", token: token,
                body: Self.start(partner))
            let result = await partner.first { $0.path == "/emsp/2.2.1/commands/42" }
            #expect(result.body["result"] == "REJECTED")
        }
        await partner.stop()
    }

    @Test(arguments: [
        ("location_id", "NO", 2003), ("evse_uid", "NO", 2003), ("connector_id", "9", 2003),
        ("response_url", "http://169.254.169.254/latest", 2001),
        ("response_url", "ftp://127.0.0.1/x", 2001),
        ("response_url", "http://127.0.0.1@evil.example/x", 2001),
    ])
    func `that cannot be meant is rejected`(key: String, value: String, code: Int) async throws {
        let (house, partner) = (try await OCPIHouse(), try Partner())
        let token = try await house.registered(partner)
        let body = Self.start(partner) { $0[key] = .string(value) }
        let answer = await house.ask(
            "POST", "/ocpi/2.2.1/commands/START_SESSION", token: token, body: body)
        #expect(answer.code == code)
        #expect(answer.data?["result"] == "REJECTED")
        #expect(answer.data?["timeout"] == 0)
        await partner.stop()
    }

    @Test func `for another's token or session is rejected`() async throws {
        let (house, partner) = (try await OCPIHouse(), try Partner())
        let token = try await house.registered(partner)
        func ask(_ name: String, _ body: JSONValue) async -> JSONValue? {
            await house.ask("POST", "/ocpi/2.2.1/commands/\(name)", token: token, body: body)
                .data?["result"]
        }
        let foreign = Self.start(partner) { $0["token"]?["party_id"] = "XYZ" }
        #expect(await ask("START_SESSION", foreign) == "REJECTED")
        _ = try await house.cpo.write { transaction in
            try house.cpo.tokens.put(
                OCPIHouse.token("OTHER", party: PartyID(country: "BE", party: "XYZ")),
                at: OCPIHouse.noon, in: transaction)
        }
        let other = try await house.start(token: "OTHER")
        func stop(_ session: String) -> JSONValue {
            [
                "response_url": .string("\(partner.base)/2.2.1/commands/1"),
                "session_id": .string(session),
            ]
        }
        #expect(await ask("STOP_SESSION", stop(other.session)) == "REJECTED")
        #expect(await ask("STOP_SESSION", stop("nowhere")) == "UNKNOWN_SESSION")
        // The EVSE is taken by now.
        #expect(await ask("START_SESSION", Self.start(partner)) == "REJECTED")
        let unlock: JSONValue = [
            "response_url": .string("\(partner.base)/2.2.1/commands/1"), "location_id": "L-1",
            "evse_uid": "L-1-E1", "connector_id": "1",
        ]
        // Another driver charges there.
        #expect(await ask("UNLOCK_CONNECTOR", unlock) == "REJECTED")
        await partner.stop()
    }

    @Test func `to reserve and to cancel reaches the station under one number`() async throws {
        let (house, partner) = (try await OCPIHouse(clock: .system), try Partner())
        let token = try await house.registered(partner)
        let orders = Lock<[StationCommand]>([])
        @Sendable func body(_ answer: Int) -> JSONValue {
            Self.start(partner) {
                $0["response_url"] = .string("\(partner.base)/2.2.1/commands/\(answer)")
                $0["reservation_id"] = "R-1"
                $0["expiry_date"] = "2099-01-01T00:00:00Z"
            }
        }
        try await `A registered partner is sent`.running(
            house, stations: ListeningStations(orders: orders)
        ) {
            for (command, number) in [
                ("RESERVE_NOW", 50), ("RESERVE_NOW", 51), ("CANCEL_RESERVATION", 52),
                ("UNLOCK_CONNECTOR", 53),
            ] {
                var sent = body(number)
                sent["connector_id"] = "1"
                let answer = await house.ask(
                    "POST", "/ocpi/2.2.1/commands/\(command)", token: token, body: sent)
                #expect(answer.data?["result"] == "ACCEPTED", "\(command)")
                let result = await partner.first { $0.path == "/emsp/2.2.1/commands/\(number)" }
                #expect(result.body["result"] == "ACCEPTED", "\(command)")
            }
        }
        let heard = orders.withLock { $0 }
        let numbers = heard.map { command -> Int? in
            switch command {
            case .reserve(let reservation): reservation.id
            case .cancelReservation(let id): id
            default: nil
            }
        }
        #expect(numbers.count == 4)
        #expect(numbers[0] != nil && numbers[0] == numbers[1] && numbers[1] == numbers[2])
        #expect(heard[3] == .unlock(connector: 1))
        guard case .reserve(let reservation) = heard[0] else { throw CancellationError() }
        #expect(reservation.token == "APP-7" && reservation.connector == 1)
        await partner.stop()
    }

    @Test(arguments: [
        ("RESERVE_NOW", "Occupied", "EVSE_OCCUPIED"),
        ("RESERVE_NOW", "Faulted", "EVSE_INOPERATIVE"), ("RESERVE_NOW", "Rejected", "REJECTED"),
    ])
    func `to reserve says why the station refused`(
        _ name: String, _ word: String, _ result: JSONValue
    ) async throws {
        let (house, partner) = (try await OCPIHouse(clock: .system), try Partner())
        let token = try await house.registered(partner)
        let stubborn = ObedientStations(answer: .status(word))
        try await `A registered partner is sent`.running(house, stations: stubborn) {
            let body = Self.start(partner) {
                $0["reservation_id"] = "R-1"
                $0["expiry_date"] = "2099-01-01T00:00:00Z"
            }
            _ = await house.ask(
                "POST", "/ocpi/2.2.1/commands/\(name)", token: token, body: body)
            let sent = await partner.first { $0.path == "/emsp/2.2.1/commands/42" }
            #expect(sent.body["result"] == result)
        }
        await partner.stop()
    }

    @Test func `to cancel what the partner never reserved is rejected`() async throws {
        let (house, partner) = (try await OCPIHouse(), try Partner())
        let token = try await house.registered(partner)
        let answer = await house.ask(
            "POST", "/ocpi/2.2.1/commands/CANCEL_RESERVATION", token: token,
            body: [
                "response_url": .string("\(partner.base)/2.2.1/commands/1"),
                "reservation_id": "R-9",
            ])
        #expect(answer.data?["result"] == "REJECTED")
        let past = Self.start(partner) {
            $0["reservation_id"] = "R-1"
            $0["expiry_date"] = "2020-01-01T00:00:00Z"
        }
        let late = await house.ask(
            "POST", "/ocpi/2.2.1/commands/RESERVE_NOW", token: token, body: past)
        #expect(late.data?["result"] == "REJECTED")
        await partner.stop()
    }

    @Test func `whose station never answers ends as TIMEOUT, and a late start is stopped`()
        async throws
    {
        let (house, partner) = (try await OCPIHouse(clock: .system), try Partner())
        let token = try await house.registered(partner)
        let orders = Lock<[StationCommand]>([])
        let stations = SilentStations(orders: orders)
        try await withThrowingTaskGroup { group in
            group.addTask { try await house.door.run() }
            group.addTask { try await house.cpo.commands.run(house.cpo, over: stations) }
            group.addTask {
                let answer = await house.ask(
                    "POST", "/ocpi/2.2.1/commands/START_SESSION", token: token,
                    body: Self.start(partner))
                #expect(answer.data?["result"] == "ACCEPTED")
                let result = await partner.first { $0.path == "/emsp/2.2.1/commands/42" }
                #expect(result.body["result"] == "TIMEOUT")
                _ = try await house.start(token: "APP-7", at: house.cpo.clock.now)
                while !orders.withLock({ $0.contains(where: \.isStop) }) { await Task.yield() }
            }
            try await group.next()
            group.cancelAll()
            while let result = await group.nextResult() { _ = result }
        }
        await partner.stop()
    }
}

/// Never answers a start; takes a stop.
struct SilentStations: StationLinks {
    let orders: Lock<[StationCommand]>

    func send(
        _ command: StationCommand, to station: String, deadlineSeconds: Int
    ) async throws(StationLinkError) -> CommandAnswer {
        orders.withLock { $0.append(command) }
        if command.isStop { return .status("Accepted") }
        throw .timedOut
    }
}

/// Obeys everything and remembers it.
struct ListeningStations: StationLinks {
    let orders: Lock<[StationCommand]>

    func send(
        _ command: StationCommand, to station: String, deadlineSeconds: Int
    ) async throws(StationLinkError) -> CommandAnswer {
        orders.withLock { $0.append(command) }
        if case .unlock = command { return .status("Unlocked") }
        return .status("Accepted")
    }
}

extension StationCommand {
    var isStop: Bool { if case .stop = self { true } else { false } }
}
