import CPO
import Charging
import JSON
import OCPI
import SQL
import Service
import TestSupport
import Testing
import Web

/// A station that takes, or refuses, profiles and tells a schedule.
final class ProfileStation: StationLinks {
    let orders = Lock([StationCommand]())
    private let answer: Lock<String?>
    private let isOpen: AsyncStream<Void>
    private let open: AsyncStream<Void>.Continuation

    /// - `answer`: nil: it says nothing to what comes until `speak`.
    init(answer: String? = "Accepted") {
        self.answer = Lock(answer)
        (isOpen, open) = AsyncStream.makeStream(of: Void.self)
    }

    func speak(_ word: String) {
        answer.withLock { $0 = word }
        open.finish()
    }

    func send(
        _ command: StationCommand, to station: String, deadlineSeconds: Int
    ) async throws(StationLinkError) -> CommandAnswer {
        orders.withLock { $0.append(command) }
        if answer.withLock({ $0 == nil }) { for await _ in isOpen {} }
        let word = answer.withLock { $0 } ?? "Rejected"
        guard case .getComposite(let connector, let seconds, _) = command else {
            return .status(word)
        }
        return .composite(
            CompositeSchedule(
                connector: connector, start: OCPIHouse.noon,
                schedule: ChargingSchedule(
                    unit: .amperes, periods: [.init(start: 0, tenths: 125)],
                    durationSeconds: seconds, start: OCPIHouse.noon)))
    }

    var profile: ChargingProfile? {
        orders.withLock { orders in
            for case .setProfile(_, let profile) in orders { return profile }
            return nil
        }
    }
}

@Suite(.timeLimit(.minutes(1))) struct `A partner's charging profile` {
    private static func house(
        clock: any ServiceClock = .system
    ) async throws -> OCPIHouse {
        let house = try await OCPIHouse(clock: clock)
        let now = house.cpo.clock.now
        var location = OCPIHouse.location("L-1", at: now)
        location.evses[0].capabilities.append("CHARGING_PROFILE_CAPABLE")
        let capable = location
        _ = try await house.cpo.write { [cpo = house.cpo] in
            try cpo.locations.put(capable, at: now, in: $0)
        }
        return house
    }

    private static func body(_ partner: Partner, _ name: String = "put") -> JSONValue {
        [
            "response_url": .string("\(partner.base)/results/\(name)"),
            "charging_profile": [
                "charging_rate_unit": "A", "duration": 3600,
                "charging_profile_period": [
                    ["start_period": 0, "limit": .number(Decimal(significand: 105, scale: 1))],
                    ["start_period": 600, "limit": 0],
                ],
            ],
        ]
    }

    private static func running(
        _ house: OCPIHouse, _ station: ProfileStation,
        _ body: @escaping @Sendable () async throws -> Void
    ) async throws {
        try await `A registered partner is sent`.running(house, stations: station) {
            try await withThrowingTaskGroup { group in
                group.addTask { try await house.cpo.grid.run(house.cpo, over: station) }
                group.addTask { try await body() }
                try await group.next()
                group.cancelAll()
                // What was cancelled ends with an error of its own.
                while let result = await group.nextResult() { _ = result }
            }
        }
    }

    private static func url(_ partner: Partner, _ name: String) -> [(String, String)] {
        [("response_url", "\(partner.base)/results/\(name)")]
    }

    @Test func `reaches the station, has one result, and its changes are told`() async throws {
        let (house, partner) = (try await Self.house(), try Partner())
        let token = try await house.registered(partner)
        let station = ProfileStation()
        let charge = try await house.start(at: house.cpo.clock.now)
        let path = "/ocpi/2.2.1/chargingprofiles/\(charge.session)"
        try await Self.running(house, station) {
            let put = await house.ask("PUT", path, token: token, body: Self.body(partner))
            #expect(put.data?["result"] == "ACCEPTED")
            #expect(put.data?["timeout"] == 30)
            let result = await partner.first { $0.path == "/emsp/results/put" }
            #expect(result.method == "POST")
            #expect(result.body["result"] == "ACCEPTED")
            let profile = try #require(station.profile)
            #expect(profile.purpose == .transaction)
            #expect(profile.kind == .relative)
            #expect(profile.transaction == .number(charge.transaction))
            #expect(profile.schedule.periods.map(\.tenths) == [105, 0])
            let pushed = "/emsp/2.2.1/chargingprofiles/\(charge.session)"
            let active = await partner.first { $0.method == "PUT" && $0.path == pushed }
            let periods = active.body["charging_profile"]?["charging_profile_period"]?.array
            #expect(periods?.first?["limit"]?.decimal == Decimal(significand: 105, scale: 1))
            #expect(active.body["start_date_time"]?.time != nil)
            #expect(active.headers["OCPI-to-party-id"] == "EMS")

            let get = await house.ask(
                "GET", path, token: token, query: [("duration", "900")] + Self.url(partner, "get"))
            #expect(get.data?["result"] == "ACCEPTED")
            let told = await partner.first { $0.path == "/emsp/results/get" }
            #expect(told.body["result"] == "ACCEPTED")
            let limits = told.body["profile"]?["charging_profile"]?["charging_profile_period"]
            #expect(limits?.array?.first?["limit"]?.decimal == Decimal(significand: 125, scale: 1))

            _ = await house.ask("DELETE", path, token: token, query: Self.url(partner, "clear"))
            let cleared = await partner.first { $0.path == "/emsp/results/clear" }
            #expect(cleared.body["result"] == "ACCEPTED")
            _ = await partner.first { received in
                received.path == pushed
                    && received.body["charging_profile"]?["charging_profile_period"]?.array?
                        .first?["limit"]?.decimal == Decimal(32)
            }
            _ = await house.ask("DELETE", path, token: token, query: Self.url(partner, "again"))
            let again = await partner.first { $0.path == "/emsp/results/again" }
            #expect(again.body["result"] == "UNKNOWN")
        }
        #expect(partner.received.filter { $0.path == "/emsp/results/put" }.count == 1)
        await partner.stop()
    }

    @Test func `that the station refuses ends as REJECTED, and is not tried again`() async throws {
        let (house, partner) = (try await Self.house(), try Partner())
        let token = try await house.registered(partner)
        let charge = try await house.start(at: house.cpo.clock.now)
        try await Self.running(house, ProfileStation(answer: "Rejected")) {
            _ = await house.ask(
                "PUT", "/ocpi/2.2.1/chargingprofiles/\(charge.session)", token: token,
                body: Self.body(partner))
            let result = await partner.first { $0.path == "/emsp/results/put" }
            #expect(result.body["result"] == "REJECTED")
        }
        let left = try await house.cpo.read { [cpo = house.cpo] in
            try cpo.profiles.list("CS-1", in: $0).filter { $0.state != .withdrawn }
        }
        #expect(left.isEmpty)
        await partner.stop()
    }

    @Test func `that a later one came before is answered once, and does not take that one away`()
        async throws
    {
        let clock = SteppedClock()
        let (house, partner) = (try await Self.house(clock: clock), try Partner())
        let token = try await house.registered(partner)
        let station = ProfileStation(answer: nil)
        let charge = try await house.start(at: clock.now)
        let path = "/ocpi/2.2.1/chargingprofiles/\(charge.session)"
        try await Self.running(house, station) {
            for name in ["first", "second"] {
                let put = await house.ask(
                    "PUT", path, token: token, body: Self.body(partner, name))
                #expect(put.data?["result"] == "ACCEPTED")
                clock.skip(milliseconds: 6_000)
            }
            let first = await partner.first { $0.path == "/emsp/results/first" }
            #expect(first.body["result"] == "REJECTED")
            station.speak("Accepted")
            let second = await partner.first { $0.path == "/emsp/results/second" }
            #expect(second.body["result"] == "ACCEPTED")
        }
        let left = try await house.cpo.read { [cpo = house.cpo] in
            try cpo.profiles.list("CS-1", in: $0).map(\.state)
        }
        #expect(left == [.told])
        #expect(partner.received.count { $0.path.hasPrefix("/emsp/results/") } == 2)
        await partner.stop()
    }

    @Test func `is asked for and taken away no more often than it is set`() async throws {
        let clock = SteppedClock()
        let (house, partner) = (try await Self.house(clock: clock), try Partner())
        let token = try await house.registered(partner)
        let charge = try await house.start(at: clock.now)
        let path = "/ocpi/2.2.1/chargingprofiles/\(charge.session)"
        func ask(_ method: String) async -> JSONValue? {
            await house.ask(
                method, path, token: token, query: [("duration", "60")] + Self.url(partner, "x")
            ).data?["result"]
        }
        for method in ["GET", "DELETE", "GET", "DELETE"] {
            #expect(await ask(method) == "ACCEPTED")
        }
        #expect(await ask("GET") == "TOO_OFTEN")
        #expect(await ask("DELETE") == "TOO_OFTEN")
        clock.skip(milliseconds: 5_000)
        #expect(await ask("GET") == "ACCEPTED")
        #expect(await ask("DELETE") == "TOO_OFTEN")
        await partner.stop()
    }

    @Test func `that cannot be is refused at once, with the reason`() async throws {
        let (house, partner) = (try await Self.house(), try Partner())
        let token = try await house.registered(partner)
        let now = house.cpo.clock.now
        let (charge, other) = (
            try await house.start(at: now), try await house.start(connector: 2, at: now)
        )
        func put(_ session: String, _ change: (inout JSONValue) -> Void = { _ in }) async -> Answer
        {
            var body = Self.body(partner)
            change(&body)
            return await house.ask(
                "PUT", "/ocpi/2.2.1/chargingprofiles/\(session)", token: token, body: body)
        }
        #expect(await put("nobody").data?["result"] == "UNKNOWN_SESSION")
        #expect(await put(other.session).data?["result"] == "NOT_SUPPORTED")
        var answer = await put(charge.session) { $0["charging_profile"] = [:] }
        #expect(answer.code == 2001)
        answer = await put(charge.session) {
            $0["response_url"] = "http://elsewhere.example/x"
        }
        #expect(answer.code == 2001)
        #expect(answer.data?["result"] == "REJECTED")
        #expect(await put(charge.session).data?["result"] == "ACCEPTED")
        #expect(await put(charge.session).data?["result"] == "TOO_OFTEN")
        try await house.stop(charge.transaction, at: house.cpo.clock.now, 2000)
        #expect(await put(charge.session).data?["result"] == "REJECTED")
        let method = await house.ask(
            "POST", "/ocpi/2.2.1/chargingprofiles/\(charge.session)", token: token, body: [:])
        #expect(method.status == 405)
        await partner.stop()
    }
}
