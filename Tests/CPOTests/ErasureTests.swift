import Charging
import JSON
import SQL
import Service
import StoreSupport
import TestSupport
import Testing

@testable import CPO

/// What people leave behind in a house, and how it looks afterwards.
struct Traces {
    let house: House
    var cpo: ChargePointOperator { house.cpo }

    init(_ settings: (inout OperatorSettings) -> Void = { _ in }) async throws {
        var own = OperatorSettings(party: House.party, name: "Kerb", currency: "INR")
        settings(&own)
        house = try await House(settings: own)
    }

    /// A charge from its start to its bill; gives its number.
    @discardableResult
    func charge(
        _ token: String = "DRIVER-1", at seconds: Int64 = 0, register: Int64 = 1000
    ) async throws -> Int {
        let (number, _) = try await house.started(
            House.start(seconds, token: token, register: register), at: seconds)
        _ = try await house.apply(
            House.meter(number, seconds + 600, register + 1000), at: seconds + 600)
        _ = try await house.apply(
            .sessionStopped(
                SessionStop(
                    transaction: .number(number), meterStop: WattHours(register + 2000),
                    at: House.noon.advanced(bySeconds: seconds + 1200), reason: .local,
                    token: token)), at: seconds + 1200)
        return number
    }

    /// Days later, so that what is recent is past.
    func pass(days: Int64) { house.clock.advance(milliseconds: days * 86_400_000) }

    func erase(_ token: String = "DRIVER-1", party: PartyID? = nil) async throws
        -> Privacy.Outcome
    {
        try await cpo.privacy.erase(.init(token: token, party: party), by: "test") { _ in }
    }

    func bills() async throws -> [CDR] { try await cpo.cdrs.list(parties: nil).cdrs }

    /// What a bill says but for whose it is.
    static func figures(_ bills: [CDR]) -> [String] {
        bills.map { bill in
            var value = bill.stored
            value["session"]?["token"] = nil
            value["session"]?["authorizationReference"] = nil
            // A meter's record may name the card.
            value["signed"] = nil
            return value.text
        }
    }

    /// Settles all that waits in the review list.
    func decideAll() async throws {
        let now = house.clock.now
        for one in try await cpo.suspicions.list() {
            _ = try await cpo.write { [cpo] in
                try cpo.suspicions.decide(one.id, .accepted, by: "anna", at: now, in: $0)
            }
        }
    }
}

@Suite struct `The inventory of personal data` {
    @Test func `lists every column of the house`() async throws {
        #expect(
            try await PersonalDataInventory.differences(
                ChargePointOperator.migrations, section: "CPO") == [])
    }
}

@Suite struct `An erasure` {
    @Test func `takes a driver out of everything and leaves his bill, digit by digit`()
        async throws
    {
        let traces = try await Traces()
        let (house, cpo) = (traces.house, traces.cpo)
        try await traces.charge()
        // Ordered, reserved, asked for, shown: each leaves rows of another kind.
        let now = house.clock.now
        _ = try await house.apply(.authorizing(token: "DRIVER-1"))
        try await cpo.write { transaction in
            let origin = CommandOrigin(door: "api", reference: "anna")
            _ = try cpo.start(
                .station("CS-1", connector: 2), token: House.token("DRIVER-1"), origin: origin,
                at: now, in: transaction)
            _ = try cpo.reserve(
                .station("CS-1", connector: 2),
                .init(token: House.token("DRIVER-1"), expires: now.advanced(bySeconds: 60)),
                origin: origin, at: now, in: transaction)
            try cpo.journal.append(
                .stationSecurity, "CS-1", ["info": "card driver-1 was read"], at: now,
                in: transaction)
            try transaction.execute("UPDATE command SET state = 'timedOut'")
            try transaction.execute("UPDATE suspicion SET detail = 'tag DRIVER-1'")
        }
        // A stop that nobody can place names him too.
        _ = try await house.apply(
            .sessionStopped(
                SessionStop(
                    transaction: .number(4711), meterStop: WattHours(9000), at: now,
                    reason: .local, token: "Driver-1")))
        traces.pass(days: 2)
        try await traces.decideAll()
        _ = try await cpo.write { try $0.execute("UPDATE parked SET state = 'kept'") }
        let before = try await traces.bills()
        let dry = try await cpo.privacy.find(.init(token: "driver-1"))
        #expect(
            dry.map(\.kind).sorted() == [
                "commands", "journalLines", "parkedMessages", "reservations", "sessions",
                "stationsThatRemember", "tokens",
            ])
        #expect(try await traces.bills() == before)

        let outcome = try await traces.erase("driver-1")
        #expect(!outcome.isWaiting)
        #expect(outcome.findings.map(\.rows).reduce(0, +) == dry.map(\.rows).reduce(0, +))
        let left = try await cpo.database.everyText().lowercased()
        #expect(
            !left.contains("driver-1"),
            "\(left.split(separator: "\n").filter { $0.contains("driver-1") })")
        let after = try await traces.bills()
        #expect(after.count == 1)
        #expect(Traces.figures(after) == Traces.figures(before))
        #expect(after[0].session.token.uid == "ERASED")
        #expect(after[0].session.token.party == House.party)
        // Others are left alone, and the caches that may hold him are to be cleared.
        #expect(left.contains("blocked-1"))
        #expect(try await cpo.tokens.cachesToClear().map(\.station) == ["CS-1"])
        #expect(try await traces.erase().findings.isEmpty)
    }

    @Test func `is refused while a charge runs, by the charge's name`() async throws {
        let traces = try await Traces()
        let (number, _) = try await traces.house.started(House.start())
        let id = try #require(traces.cpo.sessions.running().first?.id)
        #expect(try await traces.cpo.privacy.running(.init(token: "DRIVER-1")) == id)
        await #expect(throws: Privacy.Refusal.running(id)) { _ = try await traces.erase() }
        await #expect(throws: Privacy.Refusal.nobody) {
            _ = try await traces.cpo.privacy.find(.init())
        }
        #expect(try await traces.cpo.tokens.list().map(\.uid).contains("DRIVER-1"))
        _ = try await traces.house.apply(House.stop(number, 1200, 3000), at: 1200)
        #expect(try await !traces.erase().findings.isEmpty)
    }

    @Test func `leaves what waits in the review list, and does it when that is decided`()
        async throws
    {
        let traces = try await Traces()
        try await traces.charge("STRANGER-9")
        let outcome = try await traces.erase("STRANGER-9")
        let sessions = try #require(outcome.findings.first { $0.kind == "sessions" })
        #expect(sessions.held == [.review: 1])
        #expect(try await traces.bills()[0].session.token.uid == "STRANGER-9")
        // The same card comes again: that is another relation, and nobody asked for it to go.
        traces.pass(days: 1)
        try await traces.charge("STRANGER-9", at: 86_400, register: 3000)
        try await traces.decideAll()
        try await traces.cpo.privacy.look()
        #expect(try await traces.bills().map(\.session.token.uid) == ["ERASED", "STRANGER-9"])
        try await traces.cpo.privacy.look()
        #expect(try await traces.bills().map(\.session.token.uid) == ["ERASED", "STRANGER-9"])
    }

    @Test func `does not make a repeated start or stop a new charge`() async throws {
        let traces = try await Traces()
        let number = try await traces.charge()
        _ = try await traces.erase()
        let again = try await traces.house.started(House.start())
        #expect(again.0 == number)
        _ = try await traces.house.apply(House.stop(number, 1200, 3000), at: 1200)
        #expect(try await traces.cpo.sessions.list().total == 1)
        #expect(try await traces.bills().count == 1)
        // Another card at the same instant and register is another charge.
        #expect(try await traces.house.started(House.start(token: "OTHER-2")).0 != number)
    }

    @Test func `leaves two bytes of a start, which are others in each charge`() async throws {
        let traces = try await Traces()
        try await traces.charge()
        try await traces.charge(at: 4000, register: 3000)
        traces.pass(days: 1)
        _ = try await traces.erase()
        let marks = try await traces.cpo.read { transaction in
            try transaction.query("SELECT id_tag FROM session ORDER BY key").map {
                try $0.text("id_tag")
            }
        }
        #expect(marks.count == 2 && marks[0] != marks[1])
        #expect(marks.allSatisfy { $0.hasPrefix("~") && $0.utf8.count == 5 })
    }

    @Test func `keeps a parked message known`() async throws {
        let traces = try await Traces()
        let stop = StationEvent.sessionStopped(
            SessionStop(
                transaction: .number(99), meterStop: WattHours(9000), at: House.noon,
                reason: .local, token: "DRIVER-1"))
        _ = try await traces.house.apply(stop)
        // What waits is held.
        let held = try await traces.erase().findings.first { $0.kind == "parkedMessages" }
        #expect(held?.held == [.review: 1])
        try await traces.cpo.write { transaction in
            try transaction.execute("UPDATE parked SET state = 'voided'")
            try transaction.execute("UPDATE suspicion SET state = 'voided'")
        }
        _ = try await traces.erase()
        _ = try await traces.house.apply(stop)
        #expect(try await traces.cpo.suspicions.list().isEmpty)
        #expect(try await !traces.cpo.database.everyText().contains("DRIVER-1"))
    }

    @Test func `touches one owner's token alone where one is named`() async throws {
        let traces = try await Traces()
        let partner = PartyID(country: "NL", party: "EMS")
        var token = House.token("DRIVER-1")
        token.party = partner
        let (foreign, now) = (token, traces.house.clock.now)
        _ = try await traces.cpo.write { [cpo = traces.cpo] in
            try cpo.tokens.put(foreign, at: now, in: $0)
        }
        try await traces.charge()
        _ = try await traces.erase(party: partner)
        #expect(try await traces.bills()[0].session.token.uid == "DRIVER-1")
        let left = try await traces.cpo.tokens.list().filter { $0.uid == "DRIVER-1" }
        #expect(left.map(\.party) == [House.party])
    }

    @Test func `takes away what a meter signed, and no other reading`() async throws {
        let traces = try await Traces()
        let (number, _) = try await traces.house.started(House.start())
        _ = try await traces.house.apply(
            .metered(
                MeterReport(
                    connector: 1, transaction: .number(number),
                    readings: [
                        MeterReading(
                            at: House.noon.advanced(bySeconds: 60),
                            samples: [
                                MeterSample(.energyImport, Decimal(1500)),
                                MeterSample(
                                    quantity: .known(.energyImport), value: Decimal(1500),
                                    phase: nil, context: .samplePeriodic, location: nil,
                                    signed: "T0NNRnx7IklEIjoiRFJJVkVSLTEifQ"),
                            ])
                    ])), at: 60)
        _ = try await traces.house.apply(House.stop(number, 1200, 3000), at: 1200)
        let before = try await traces.bills()
        #expect(before[0].signed.map(\.record) == ["T0NNRnx7IklEIjoiRFJJVkVSLTEifQ"])
        _ = try await traces.erase()
        #expect(try await traces.bills()[0].signed == [])
        let id = before[0].session.id
        let samples = try await traces.cpo.sessions.readings(of: id).flatMap(\.samples)
        #expect(samples.map(\.signed) == [nil])
        #expect(samples.map(\.value) == [Decimal(1500)])
        #expect(Traces.figures(try await traces.bills()) == Traces.figures(before))
    }

    /// A door whose rows cannot be erased until it is told so.
    private final class StuckRows: PersonalRows, PersonalTable {
        struct Stuck: Error {}
        let isStuck = Lock(true)
        let kind = "stuck"
        let remains: String? = nil
        let stage: PersonalStage
        var tables: [any PersonalTable] { [self] }

        init(_ stage: PersonalStage) { self.stage = stage }

        func mentions(of person: Person, after cursor: SQLValue?, in transaction: Transaction)
            throws -> MentionPage
        { MentionPage([Mention(key: .integer(1), value: [:])]) }

        func erase(_ mention: Mention, of person: Person, in transaction: Transaction) throws {
            if isStuck.withLock({ $0 }) { throw Stuck() }
        }
    }

    @Test(arguments: PersonalStage.allCases)
    func `that was cut off goes on by itself`(stage: PersonalStage) async throws {
        let traces = try await Traces()
        // More than one transaction takes.
        let most = Privacy.erasedPerBatch + 3
        for index in 0..<most {
            try await traces.charge(at: Int64(index) * 4000, register: 1000 + Int64(index) * 2000)
        }
        traces.pass(days: 30)
        let before = Traces.figures(try await traces.bills())
        let rows = StuckRows(stage)
        traces.cpo.privacy.register(rows)
        await #expect(throws: StuckRows.Stuck.self) { _ = try await traces.erase() }
        rows.isStuck.withLock { $0 = false }
        try await traces.cpo.privacy.look()
        #expect(try await !traces.cpo.database.everyText().contains("DRIVER-1"))
        #expect(Traces.figures(try await traces.bills()) == before)
        #expect(before.count == most)
    }

    @Test func `is made again after a backup was restored`() async throws {
        // What a backup brought back, with the secret of the database it was made of.
        let traces = try await Traces()
        try await traces.charge()
        traces.pass(days: 1)
        let secret = try await traces.cpo.read {
            try $0.queryOne("SELECT secret FROM erasure_key")?.text("secret")
        }
        // The database as it was kept when the backup took its place: a file, whichever engine.
        let folder = TemporaryFolder()
        let kept = try Database(path: folder.file("kept.sqlite"), readers: 1)
        try await kept.migrate(ChargePointOperator.migrations)
        _ = try await kept.write {
            try $0.execute("INSERT INTO erasure_key (id, secret) VALUES (1, ?)", secret)
        }
        let before = try await ChargePointOperator(
            database: kept, settings: traces.cpo.settings, clock: traces.house.clock, log: .silent)
        _ = try await before.privacy.erase(.init(token: "DRIVER-1"), by: "test") { _ in }
        let ledger = try await kept.read { try ErasureLedger(in: $0) }

        try await traces.cpo.privacy.look()
        #expect(try await traces.bills()[0].session.token.uid == "DRIVER-1")
        #expect(try await traces.cpo.write { try ledger.bring(into: $0) } == 1)
        try await traces.cpo.privacy.look()
        #expect(try await !traces.cpo.database.everyText().contains("DRIVER-1"))
        #expect(try await traces.bills().count == 1)
        // Once: a card that comes back later is of another relation.
        #expect(try await traces.cpo.write { try ledger.bring(into: $0) } == 0)
        // People of another database cannot be known.
        let other = try await Traces()
        #expect(try await other.cpo.write { try ledger.bring(into: $0) } == nil)
        await kept.close()
    }

    @Test func `is remembered as long as backups are kept`() async throws {
        let traces = try await Traces { $0.retention.backupDays = 400 }
        _ = try await traces.erase()
        func lines() async throws -> Int {
            try await traces.cpo.read {
                try $0.queryOne("SELECT COUNT(*) AS n FROM erasure")?.int("n") ?? 0
            }
        }
        traces.pass(days: 399)
        try await traces.cpo.privacy.look()
        #expect(try await lines() == 1)
        traces.pass(days: 2)
        try await traces.cpo.privacy.look()
        #expect(try await lines() == 0)
    }
}
