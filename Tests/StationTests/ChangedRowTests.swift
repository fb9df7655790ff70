import Charging
import HAL
import SQL
import Service
import TestSupport
import Testing

@testable import Station

/// A digit that changed in what is not billed and decides all the same.
@Suite(.timeLimit(.minutes(2))) struct `A changed row of the journal` {
    private let folder = TemporaryFolder()
    private let clock = ManualClock(Timestamp(seconds: 1_800_000_000))
    private let limits = ChargeLimits(energy: WattHours(5_000))

    private var path: String { folder.file("j.db") }

    private func open() async throws -> BoardJournal {
        try await BoardJournal.open(path: path, bootID: "a", clock: clock, log: .silent)
    }

    /// A charge that runs: 1,000 Wh at its start, 1,200 in its sample, 1,250 kept last.
    private func fill(changing statement: String) async throws -> BoardJournal {
        let journal = try await open()
        let charge = try await journal.start(
            connector: 1, token: "TAG", isRemote: false, register: WattHours(1_000),
            at: clock.now, limits: limits)
        clock.advance(milliseconds: 60_000)
        try await journal.sample(
            StoredSample(
                MeterSnapshot(register: WattHours(1_200), askedAt: 0, at: clock.now),
                .samplePeriodic), of: charge)
        clock.advance(milliseconds: 30_000)
        try await journal.keep(register: WattHours(1_250), of: charge, at: clock.now)
        try await journal.set("MeterValueSampleInterval", to: "17")
        try await journal.set(SmartCharging.limitKey, to: "off")
        try await journal.setAvailability([1], operative: true)
        try await journal.setLatched([.meterAbsurd], connector: 1)
        try await journal.store(
            .init(
                connector: 1,
                profile: ChargingProfile(
                    id: 7, stackLevel: 0, purpose: .transactionDefault, kind: .relative,
                    schedule: ChargingSchedule(
                        unit: .amperes, periods: [.init(start: 0, tenths: 60)])),
                charge: nil))
        try await journal.database.write { try $0.execute(statement) }
        await journal.close()
        return try await open()
    }

    private func evidence() throws -> Int {
        try FileSystem.names(in: folder.path).count {
            $0.contains(text: ".damaged-") && !$0.hasSuffix("-wal")
        }
    }

    @Test func `is none where nothing was changed`() async throws {
        let journal = try await fill(changing: "UPDATE charge SET parkings = 0")
        let found = try #require(try await journal.recovered()[1])
        #expect(found.lastRegister == WattHours(1_250) && found.lastAlive == clock.now)
        #expect(found.limits == limits && found.areLimitsKnown)
        #expect(try await journal.settings()["MeterValueSampleInterval"] == "17")
        #expect(try await journal.profiles().count == 1)
        #expect(try await journal.availability() == [1: true])
        #expect(try await journal.view().notices.isEmpty)
        #expect(try evidence() == 0)
        await journal.close()
    }

    /// The bill falls back to what was surely drawn, and a person is told.
    @Test(arguments: [
        "UPDATE charge SET last_register_wh = 1251",
        "UPDATE charge SET last_alive_at = last_alive_at + 1",
        "UPDATE charge SET alive_base = alive_base - 86400000",
        "UPDATE charge SET boot_id = 'b'",
        "UPDATE charge SET last_register_wh = 'x'",
        "UPDATE charge SET boot_id = x'61'",
    ])
    func `leaves a charge with its last sample where its last register is not believed`(
        statement: String
    ) async throws {
        let journal = try await fill(changing: statement)
        let found = try #require(try await journal.recovered()[1])
        #expect(found.lastRegister == WattHours(1_200))
        #expect(found.lastAlive == clock.now.advanced(bySeconds: -30))
        #expect(found.aliveMilliseconds == 60_000)
        #expect(found.limits == limits && found.areLimitsKnown)
        #expect(try await journal.depth() == 2)
        #expect(try await journal.view().notices.count == 1)
        #expect(try evidence() == 1)
        await journal.close()
    }

    @Test(arguments: [
        #"UPDATE charge SET limits = '{"energyWh":9000}'"#, "UPDATE charge SET limits = NULL",
        "UPDATE charge SET limits = x'7b7d'",
    ])
    func `keeps a charge from going on where nobody knows its limits`(
        statement: String
    ) async throws {
        let journal = try await fill(changing: statement)
        let found = try #require(try await journal.recovered()[1])
        #expect(!found.areLimitsKnown && found.lastRegister == WattHours(1_250))
        var rules = ConnectorRules()
        rules.afterPowerLoss = .resume(withinSeconds: 3_600)
        for areKnown in [true, false] {
            var open = found
            open.areLimitsKnown = areKnown
            let machine = ConnectorMachine(
                number: 1, board: .bench(), rules: rules, recovering: open,
                at: Instant(milliseconds: 0, wall: clock.now))
            #expect((machine.transaction?.phase == .stopping) == !areKnown)
        }
        #expect(try evidence() == 1)
        await journal.close()
    }

    @Test(arguments: [
        #"UPDATE setting SET value = '{"milliamperes":[9,9,9]}' WHERE key = 'site.limit'"#,
        "UPDATE setting SET key = 'site.limiu' WHERE key = 'site.limit'",
        "UPDATE setting SET value = x'6f' WHERE key = 'site.limit'",
    ])
    func `leaves the safe share where a person's limit is not believed`(
        statement: String
    ) async throws {
        let journal = try await fill(changing: statement)
        #expect(try await journal.settings()[SmartCharging.limitKey] == "")
        #expect(try await journal.settings()["MeterValueSampleInterval"] == "17")
        #expect(try await journal.view().notices.count == 1)
        await journal.close()
    }

    @Test(arguments: [
        "UPDATE setting SET value = '71' WHERE value = '17'",
        "UPDATE setting SET value = x'3137' WHERE value = '17'",
    ])
    func `gives a setting its standard value`(statement: String) async throws {
        let journal = try await fill(changing: statement)
        #expect(try await journal.settings()["MeterValueSampleInterval"] == nil)
        #expect(try await journal.settings()[SmartCharging.limitKey] == "off")
        await journal.close()
    }

    @Test func `keeps people from current at its worst`() async throws {
        var journal = try await fill(
            changing: "UPDATE latched_fault SET fault = 'meterAbsure', sum = sum + 1")
        #expect(try await journal.latchedFaults() == [1: [.weldedContact]])
        try await journal.database.write {
            try $0.execute("UPDATE availability SET is_operative = 8, sum = sum + 1")
        }
        await journal.close()
        journal = try await open()
        #expect(try await journal.availability() == [1: false])
        #expect(try await journal.latchedFaults() == [1: [.weldedContact]])
        await journal.close()
    }

    /// Otherwise the connector would be free whose number changed.
    @Test(arguments: [
        "UPDATE latched_fault SET connector = 3", "UPDATE latched_fault SET connector = 1000",
        "UPDATE latched_fault SET connector = x'31'",
        "UPDATE latched_fault SET fault = 'meterAbsure'",
        "UPDATE availability SET connector = 9", "UPDATE availability SET is_operative = 0",
    ])
    func `keeps from current whom it kept before, by the row's sum`(
        statement: String
    ) async throws {
        let journal = try await fill(changing: statement)
        #expect(try await journal.latchedFaults() == [1: [.meterAbsurd]])
        #expect(try await journal.availability() == [1: true])
        #expect(try evidence() == 1)
        await journal.close()
    }

    @Test func `leaves an operator's profile out and says so`() async throws {
        let journal = try await fill(
            changing: "UPDATE charging_profile SET body = replace(body, '6', '9')")
        #expect(try await journal.profiles().isEmpty)
        let notice = try #require(try await journal.view().notices.first)
        #expect(notice.contains(text: "1 rows unsound (charging_profile 1)"))
        #expect(notice.contains(text: SmartCharging.lostProfilesText))
        // What it advises where nobody mends has been done.
        #expect(!notice.contains(text: "restore a backup") && !notice.contains(text: "\n"))
        // The one that is gone may have been the operator's maximum.
        #expect(try await journal.settings()[SmartCharging.profilesKey] == "")
        await journal.close()
    }

    @Test func `doubts no profile where another row was lost`() async throws {
        let journal = try await fill(changing: "UPDATE availability SET is_operative = 0")
        #expect(try await journal.profiles().count == 1)
        #expect(try await journal.settings()[SmartCharging.profilesKey] == nil)
        await journal.close()
    }

    @Test func `dates by the next boot what a boot with a changed base wrote`() async throws {
        let journal = try await fill(changing: "UPDATE boot SET base_ms = base_ms + 86400000")
        let word = try await journal.database.read { sql in
            try sql.queryOne("SELECT trust FROM boot WHERE boot_id = 'a'")?.text("trust")
        }
        #expect(word == ClockTrust.operator.rawValue)
        guard case .start(let start)? = try await journal.nextMessage()?.kind else {
            Issue.record("no start is owed")
            return
        }
        #expect(start.at == clock.now.advanced(bySeconds: -90))
        await journal.close()
    }

    @Test func `lets no token in that it does not know`() async throws {
        let journal = try await open()
        let update = LocalListUpdate(
            kind: .full, version: 1,
            entries: [.init(token: "LISTED", info: AuthorizationInfo(.blocked))])
        #expect(try await journal.take(update, at: clock.now) == .accepted)
        try await journal.learn(token: "CACHED", AuthorizationInfo(.blocked), at: clock.now)
        #expect(try await journal.listed(token: "LISTED", at: clock.now)?.status == .blocked)
        #expect(try await journal.known(token: "CACHED", at: clock.now)?.status == .blocked)
        try await journal.database.write { sql in
            for table in ["local_token", "known_token"] {
                try sql.execute("UPDATE \(table) SET status = 'Accepted'")
            }
        }
        #expect(try await journal.listed(token: "LISTED", at: clock.now)?.status == .invalid)
        #expect(try await journal.known(token: "CACHED", at: clock.now)?.status == .invalid)
        await journal.close()
    }
}
