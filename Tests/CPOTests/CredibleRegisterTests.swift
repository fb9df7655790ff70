import Charging
import SQL
import Service
import TestSupport
import Testing

@testable import CPO

/// Bills where the stop's own register says nothing: below the start, or there is none.
@Suite struct `A register that can be` {
    private static func readings(
        _ transaction: Int, _ registers: [Int64], every seconds: Int64 = 60
    ) -> MeterReport {
        MeterReport(
            connector: 1, transaction: .number(transaction),
            readings: registers.enumerated().map { index, register in
                MeterReading(
                    at: House.noon.advanced(bySeconds: Int64(index + 1) * seconds),
                    samples: [MeterSample(.energyImport, Decimal(register))])
            })
    }

    private func bill(_ house: House) async throws -> Session {
        try #require(
            try await house.cpo.cdrs.list().cdrs.first { $0.session.meterStart.value == 1000 }
        ).session
    }

    @Test func `is the last one of a backlog, though its row is a second behind`() async throws {
        let house = try await House()
        let (number, _) = try await house.started(House.start(0))
        _ = try await house.apply(
            .metered(Self.readings(number, Array(stride(from: 1100, through: 11_000, by: 100)))),
            at: 6000)
        for seconds in 1...3 {
            _ = try await house.apply(
                House.meter(number, 6000 + Int64(seconds), 11_000 + Int64(seconds)), at: 6001)
        }
        _ = try await house.apply(House.stop(number, 6010, 0), at: 6001)
        let bill = try await bill(house)
        #expect(bill.energy == WattHours(10_003))
        #expect(bill.suspicions.contains("stopRegisterBelowStart"))
    }

    @Test func `is the one before a meter was reset`() async throws {
        let house = try await House()
        let (number, _) = try await house.started(House.start(0))
        _ = try await house.apply(
            .metered(Self.readings(number, [1200, 1500, 0, 100, 300])), at: 301)
        _ = try await house.apply(House.stop(number, 310, 300), at: 310)
        #expect(try await bill(house).energy == WattHours(500))
    }

    @Test func `may stand in the stop's own readings alone`() async throws {
        let house = try await House()
        let (number, _) = try await house.started(House.start(0))
        let report = Self.readings(number, [2000, 5000, 11_000], every: 1200)
        _ = try await house.apply(
            .sessionStopped(
                SessionStop(
                    transaction: .number(number), meterStop: WattHours(1000),
                    at: House.noon.advanced(bySeconds: 3601), reason: .local,
                    readings: report.readings)), at: 3601)
        // The stop stands as it is told, and a person hears of it.
        let bill = try await bill(house)
        #expect(bill.energy == .zero)
        #expect(bill.suspicions.contains("registerFellOrJumped"))
        let lines = try await house.cpo.suspicions.list()
        #expect(lines.map(\.detail).contains("stop at 1000 Wh, last reading 11000 Wh"))
    }

    @Test func `is no spike that later ones disproved, where no stop came`() async throws {
        let house = try await House()
        let (number, _) = try await house.started(House.start(0))
        _ = try await house.apply(
            .metered(Self.readings(number, [1500, 2000, 9_000_000, 2500, 3000], every: 600)),
            at: 3001)
        _ = try await house.started(House.start(3100, register: 3000), at: 3100)
        let late = House.noon.advanced(bySeconds: 200_000)
        try await house.cpo.write { try house.cpo.sessions.settleOrphans(at: late, in: $0) }
        let bill = try await bill(house)
        #expect(bill.energy == WattHours(2000))
        #expect(bill.suspicions.contains("registerFellOrJumped"))
    }

    @Test func `is every one that came without a time`() async throws {
        let house = try await House()
        let (number, _) = try await house.started(House.start(0))
        for index in 1...10 {
            let reading = MeterReading(
                at: nil, samples: [MeterSample(.energyImport, Decimal(Int64(1000 + 180 * index)))])
            let report = MeterReport(
                connector: 1, transaction: .number(number), readings: [reading])
            let at = Timestamp(milliseconds: House.noon.milliseconds + 3_600_000 + Int64(index))
            _ = try await house.cpo.sessions.apply(.metered(report), from: "CS-1", receivedAt: at)
        }
        _ = try await house.apply(House.stop(number, 3700, 0), at: 3700)
        #expect(try await bill(house).energy == WattHours(1800))
    }

    @Test(
        arguments: [
            // 22 kW for a minute is 367 Wh; each minute one register.
            ([1300, 1600, 1900], 1900), ([1300, 1600, 1590, 1900], 1900),
            // Told twice too high, then as it was.
            ([1300, 90_000, 91_000, 1600], 1600), ([90_000, 1300], 1300),
            // The last one is contradicted by nobody, and no plug gives it.
            ([1300, 9_000_000], 1300),
            // A meter was exchanged: nothing rose too fast.
            ([1300, 1600, 1100, 1200], 1600), ([1300, 900], 1300),
            // A counter of whole kilowatt-hours that begins anew at the figure it started with.
            ([2000, 3000, 4000, 5000, 6000, 7000, 8000, 1000], 8000),
            // Too much for any plug, told for minutes.
            ([90_000, 90_100, 90_200, 90_300, 90_400, 90_500, 1300], 1300),
        ] as [([Int64], Int64)])
    func `is told from all of them`(registers: [Int64], last: Int64) async throws {
        let house = try await House()
        let (number, _) = try await house.started(House.start(0))
        _ = try await house.apply(.metered(Self.readings(number, registers)), at: 600)
        let entry = try await house.cpo.read { transaction in
            let row = try transaction.queryOne("SELECT * FROM session")
            return try house.cpo.sessions.entry(
                row: #require(row), credible: true, in: transaction)
        }
        #expect(entry.builder.meterLast == WattHours(last))
        #expect(entry.readings == registers.count)
    }
}
