import CPO
import Charging
import HTTPClient
import SQL
import Service
import StoreSupport
import TestSupport
import Testing

@testable import Alerts

@Suite(.timeLimit(.minutes(1))) struct `Alerts of a house` {
    /// 2027-01-15 12:00:00Z, a Friday.
    let clock = ManualClock(Timestamp(seconds: 1_800_014_400))

    func house() async throws -> ChargePointOperator {
        let database = try await TestStore.open(readers: 1, clock: clock)
        try await database.migrate(ChargePointOperator.migrations + Alerts.migrations)
        return try await ChargePointOperator(
            database: database,
            settings: OperatorSettings(
                party: PartyID(country: "IN", party: "KRB"), name: "Kerb", currency: "INR"),
            clock: clock, log: .silent)
    }

    func attach(_ house: ChargePointOperator, _ id: String) async throws -> Int64 {
        let now = clock.now
        return try await house.write { transaction in
            try house.stations.register(id, .accepted, at: now, in: transaction)
            return try house.stations.attached(
                id, subprotocol: "ocpp1.6", at: now, in: transaction)
        }
    }

    func detach(_ house: ChargePointOperator, _ id: String, _ epoch: Int64) async throws {
        let now = clock.now
        try await house.write { transaction in
            _ = try house.stations.detached(id, epoch: epoch, at: now, in: transaction)
        }
    }

    @Test func `tell of a station that stays away, once, and when it is back`() async throws {
        let house = try await house()
        let channel = TestChannel()
        let alerts = Alerts(house: house, settings: AlertSettings(), channels: ["test"])
        let epoch = try await attach(house, "CS-1")
        try await detach(house, "CS-1", epoch)
        clock.advance(milliseconds: 899_000)
        try await alerts.look(at: clock.now)
        try await alerts.tell(channel)
        #expect(channel.told.isEmpty)
        clock.advance(milliseconds: 1_000)
        for _ in 0..<2 {
            try await alerts.look(at: clock.now)
            try await alerts.tell(channel)
        }
        #expect(channel.told == [["raised stationOffline CS-1"]])
        _ = try await attach(house, "CS-1")
        try await alerts.look(at: clock.now)
        try await alerts.tell(channel)
        #expect(channel.told.last == ["ended stationOffline CS-1"])
        #expect(try await alerts.list().map(\.endedAt) == [clock.now])
        #expect(try await alerts.list(onlyOpen: true).isEmpty)
    }

    @Test func `leave out stations that are not taken in`() async throws {
        let house = try await house()
        let alerts = Alerts(house: house, settings: AlertSettings(), channels: [])
        let epoch = try await attach(house, "CS-1")
        try await detach(house, "CS-1", epoch)
        let now = clock.now
        try await house.write { transaction in
            _ = try house.stations.register("CS-1", .rejected, at: now, in: transaction)
        }
        clock.advance(milliseconds: 10_000_000)
        try await alerts.look(at: clock.now)
        #expect(try await alerts.list().isEmpty)
    }

    @Test func `tell of faults, of money that waits, and of partners that take nothing`()
        async throws
    {
        let house = try await house()
        let alerts = Alerts(house: house, settings: AlertSettings(), channels: [])
        _ = try await attach(house, "CS-1")
        let now = clock.now
        try await house.write { transaction in
            try transaction.execute(
                """
                INSERT INTO station_connector (station, number, status, error_code, at)
                VALUES ('CS-1', 2, 'Faulted', 'GroundFailure', ?)
                """, now)
            try transaction.execute(
                """
                INSERT INTO suspicion (at, code, station, detail, state)
                VALUES (?, 'fallingRegister', 'CS-1', 'x', 'open')
                """, now)
            try transaction.execute(
                """
                INSERT INTO journal_parked (reader, seq, at, reason)
                VALUES ('ocpi/IN*EMS', 1, ?, 'refused')
                """, now)
        }
        try await alerts.look(at: clock.now)
        #expect(try await alerts.list().map(\.kind) == [.deliveryStuck])
        clock.advance(milliseconds: 900_000)
        try await alerts.look(at: clock.now)
        #expect(try await alerts.list().first?.subject == "CS-1/2")
        #expect(try await alerts.list().first?.detail.hasPrefix("GroundFailure since") == true)
        clock.advance(milliseconds: 86_400_000)
        try await alerts.look(at: clock.now)
        #expect(
            try await alerts.list().map(\.kind) == [.moneyWaits, .connectorFaulted, .deliveryStuck])
    }

    @Test func `tell of a station that never came`() async throws {
        let house = try await house()
        let alerts = Alerts(house: house, settings: AlertSettings(), channels: [])
        let now = clock.now
        try await house.write { transaction in
            try house.stations.register("CS-1", .accepted, at: now, in: transaction)
            try house.stations.register("CS-2", .pending, at: now, in: transaction)
            try house.stations.register("CS-3", .accepted, at: now, in: transaction)
        }
        clock.advance(milliseconds: 899_000)
        try await alerts.look(at: clock.now)
        #expect(try await alerts.list().isEmpty)
        clock.advance(milliseconds: 1_000)
        try await alerts.look(at: clock.now)
        // One for all: those of an import would bury the rest.
        let found = try await alerts.list()
        #expect(found.map(\.subject) == ["registry"])
        #expect(found.first?.kind == .stationsNeverCame)
        #expect(found.first?.detail.hasPrefix("2 since registered, the first is CS-1 of") == true)
        let epoch = try await attach(house, "CS-1")
        try await detach(house, "CS-1", epoch)
        clock.advance(milliseconds: 900_000)
        try await alerts.look(at: clock.now)
        let then = try await alerts.list(onlyOpen: true)
        #expect(then.map(\.subject) == ["CS-1", "registry"])
        #expect(then.last?.detail.hasPrefix("1 since registered, the first is CS-3 of") == true)
    }

    @Test func `end without a word what was told as offline of a station that never came`()
        async throws
    {
        let house = try await house()
        let channel = TestChannel()
        let alerts = Alerts(house: house, settings: AlertSettings(), channels: ["test"])
        let now = clock.now
        try await house.write { transaction in
            for id in ["CS-1", "CS-2"] {
                _ = try house.stations.register(id, .accepted, at: now, in: transaction)
                // As an earlier version raised them.
                try transaction.execute(
                    "INSERT INTO alert (kind, subject, detail, raised_at) VALUES (?, ?, 'x', ?)",
                    Alert.Kind.stationOffline.rawValue, id, now)
            }
        }
        _ = try await attach(house, "CS-2")
        try await alerts.look(at: clock.now)
        try await alerts.tell(channel)
        #expect(channel.told == [["ended stationOffline CS-2"]])
        #expect(try await alerts.list(onlyOpen: true).isEmpty)
    }

    @Test func `tell the end of one that grew to whoever had heard of it`() async throws {
        let house = try await house()
        let (early, late) = (TestChannel("early"), TestChannel("late"))
        let alerts = Alerts(house: house, settings: AlertSettings(), channels: ["early", "late"])
        late.set(down: true)
        func register(_ id: String) async throws {
            let now = clock.now
            try await house.write {
                _ = try house.stations.register(id, .accepted, at: now, in: $0)
            }
            clock.advance(milliseconds: 3_600_000)
            try await alerts.look(at: clock.now)
        }
        try await register("CS-1")
        try await alerts.tell(early)
        try await alerts.tell(late)
        try await register("CS-2")
        // Grown and over before anybody was told that it grew.
        for id in ["CS-1", "CS-2"] { _ = try await attach(house, id) }
        try await alerts.look(at: clock.now)
        late.set(down: false)
        clock.advance(milliseconds: 3_600_000)
        try await alerts.tell(early)
        try await alerts.tell(late)
        #expect(
            early.told == [
                ["raised stationsNeverCame registry"], ["ended stationsNeverCame registry"],
            ])
        #expect(late.told.isEmpty)
    }

    @Test
    func `tell of a fault that is told again and again, once, though the line comes and goes`()
        async throws
    {
        let house = try await house()
        let alerts = Alerts(house: house, settings: AlertSettings(), channels: [])
        var epoch = try await attach(house, "CS-1")
        for _ in 0..<4 {
            for _ in 0..<5 {
                _ = try await house.sessions.apply(
                    .statusChanged(
                        StatusReport(
                            connector: 1, status: .faulted, errorCode: "GroundFailure",
                            at: clock.now)), from: "CS-1", receivedAt: clock.now)
                clock.advance(milliseconds: 60_000)
                try await alerts.look(at: clock.now)
            }
            try await detach(house, "CS-1", epoch)
            try await alerts.look(at: clock.now)
            epoch = try await attach(house, "CS-1")
        }
        let found = try await alerts.list()
        #expect(found.map(\.kind) == [.connectorFaulted])
        #expect(found.first?.raisedAt == Timestamp(seconds: 1_800_014_400 + 900))
        #expect(found.first?.endedAt == nil)
        _ = try await house.sessions.apply(
            .statusChanged(StatusReport(connector: 1, status: .available, at: clock.now)),
            from: "CS-1", receivedAt: clock.now)
        try await alerts.look(at: clock.now)
        #expect(try await alerts.list().first?.endedAt == clock.now)
    }

    @Test func `tell anew when there is more than a person took note of, once an hour at most`()
        async throws
    {
        let house = try await house()
        let channel = TestChannel()
        let alerts = Alerts(house: house, settings: AlertSettings(), channels: ["test"])
        _ = try await attach(house, "CS-1")
        func suspect(_ count: Int) async throws {
            let old = clock.now.advanced(bySeconds: -86_400)
            try await house.write { transaction in
                for _ in 0..<count {
                    try transaction.execute(
                        """
                        INSERT INTO suspicion (at, code, station, detail, state)
                        VALUES (?, 'fallingRegister', 'CS-1', 'x', 'open')
                        """, old)
                }
            }
        }
        func look() async throws -> Alert? {
            try await alerts.look(at: clock.now)
            try await alerts.tell(channel)
            return try await alerts.list().first
        }
        try await suspect(1)
        let id = try #require(try await look()?.id)
        let now = clock.now
        _ = try await house.write { try alerts.acknowledge(id, by: "anna", at: now, in: $0) }
        #expect(channel.told.count == 1)
        try await suspect(2)
        clock.advance(milliseconds: 3_599_000)
        let early = try await look()
        #expect(early?.detail.hasPrefix("3 in the review list") == true)
        #expect(early?.acknowledgedBy == "anna")
        #expect(channel.told.count == 1)
        clock.advance(milliseconds: 1_000)
        let anew = try await look()
        #expect(anew?.id == id)
        #expect(anew?.acknowledgedBy == nil)
        #expect(channel.told == [["raised moneyWaits CS-1"], ["renewed moneyWaits CS-1"]])
        // Less is no news; what grows again from there is.
        _ = try await house.write { transaction in
            try transaction.execute(
                "UPDATE suspicion SET state = 'accepted' WHERE id IN (1, 2)")
        }
        clock.advance(milliseconds: 3_600_000)
        _ = try await look()
        #expect(channel.told.count == 2)
        try await suspect(1)
        _ = try await look()
        #expect(channel.told.count == 3)
    }

    @Test func `tell of bills that a partner does not take, though they are still tried`()
        async throws
    {
        let house = try await house()
        house.deliveries.name { $0 == "ocpi/P/bill" ? "Volta" : nil }
        let alerts = Alerts(house: house, settings: AlertSettings(), channels: [])
        let now = clock.now
        try await house.write { transaction in
            try house.journal.move("ocpi/P/bill", to: 0, at: now, in: transaction)
            try house.journal.append("station.link", "CS-1", at: now, in: transaction)
            try house.journal.append(.cdrCreated, "C-1", at: now, in: transaction)
        }
        clock.advance(milliseconds: 21_599_000)
        try await alerts.look(at: clock.now)
        #expect(try await alerts.list().isEmpty)
        clock.advance(milliseconds: 1_000)
        try await alerts.look(at: clock.now)
        let found = try await alerts.list()
        #expect(found.map(\.kind) == [.billsWait])
        #expect(found.first?.subject == "ocpi/P/bill")
        #expect(found.first?.detail.hasPrefix("Volta: the first waits since ") == true)
        try await house.write {
            try house.journal.move("ocpi/P/bill", to: 2, at: now, in: $0)
        }
        try await alerts.look(at: clock.now)
        #expect(try await alerts.list(onlyOpen: true).isEmpty)
    }

    @Test func `tell of another device by the id of a station, for a week`() async throws {
        let house = try await house()
        let alerts = Alerts(house: house, settings: AlertSettings(), channels: [])
        _ = try await attach(house, "CS-1")
        func boot(_ serial: String?, model: String = "M") async throws {
            _ = try await house.sessions.apply(
                .booted(StationIdentity(vendor: "V", model: model, serial: serial)), from: "CS-1",
                receivedAt: clock.now)
            try await alerts.look(at: clock.now)
        }
        // The same device, which learned to tell its serial, and in other letters.
        for serial in [nil, "a-1", "A-1", nil, "A-1"] { try await boot(serial) }
        #expect(try await alerts.list().isEmpty)
        try await boot("B-2")
        var found = try #require(try await alerts.list().first)
        #expect(found.kind == .stationReplaced)
        #expect(found.detail.hasPrefix("V M, serial B-2, was V M, serial A-1 until "))
        try await boot("A-1")
        found = try #require(try await alerts.list().first)
        #expect(found.detail.hasSuffix("changes so far: 2"))
        #expect(try await house.stations.station("CS-1")?.replaced?.former == "V M, serial B-2")
        clock.advance(milliseconds: 7 * 86_400_000)
        try await alerts.look(at: clock.now)
        #expect(try await alerts.list(onlyOpen: true).isEmpty)
        try await boot("A-1", model: "M2")
        #expect(try await alerts.list(onlyOpen: true).count == 1)
    }

    @Test func `tell of a campaign that paused by itself, not of one that a person paused`()
        async throws
    {
        let house = try await house()
        let alerts = Alerts(house: house, settings: AlertSettings(), channels: ["test"])
        let plan = CampaignPlan(name: "spring", image: FirmwareImage(id: "I", name: "one.bin"))
        let now = clock.now
        try await house.write { transaction in
            for (id, reason) in [("C-1", "2 stations failed"), ("C-2", CampaignMachine.byHand)] {
                try transaction.execute(
                    """
                    INSERT INTO campaign (id, state, plan, reason, forgiven, made_by, created_at,
                    changed_at) VALUES (?, 'paused', ?, ?, 0, 'anna', ?, ?)
                    """, id, plan.storedText, reason, now, now)
            }
        }
        try await alerts.look(at: now)
        let found = try await alerts.list()
        #expect(found.map(\.subject) == ["C-1"])
        #expect(found.first?.kind == .campaignPaused)
        #expect(found.first?.detail == "spring: 2 stations failed")
    }
}

@Suite struct `Personal data in alerts` {
    @Test func `is listed, column by column`() async throws {
        #expect(
            try await PersonalDataInventory.differences(Alerts.migrations, section: "Alerts") == [])
    }
}
