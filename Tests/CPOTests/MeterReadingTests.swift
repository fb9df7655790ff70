import Charging
import TestSupport
import Testing

@testable import CPO

@Suite struct `A reading's total` {
    private func total(_ samples: MeterSample...) -> WattHours? {
        MeterReading(at: House.noon, samples: samples).register
    }

    private func phase(_ name: String?, _ value: Int64) -> MeterSample {
        MeterSample(.energyImport, Decimal(value), phase: name)
    }

    @Test func `is the meter's own, else the sum of its phases`() {
        #expect(total(phase("L1", 1), phase("L2", 2), phase("L3", 4)) == WattHours(7))
        #expect(total(phase("L1", 1), phase(nil, 9), phase("L2", 2)) == WattHours(9))
        #expect(total(phase("L1-L2", 1)) == nil)
    }

    @Test func `counts a phase once, however often it is told`() {
        #expect(total(phase("L1", 5), phase("L1-N", 5), phase("L2-N", 6)) == WattHours(11))
        var end = phase("L1", 7)
        end.context = .transactionEnd
        #expect(total(phase("L1", 7), end) == WattHours(7))
    }

    @Test func `is the last register where a charge's first one stands beside it`() {
        var begin = phase(nil, 3)
        begin.context = .transactionBegin
        var end = phase(nil, 9)
        end.context = .transactionEnd
        #expect(total(begin, end) == WattHours(9))
        #expect(total(end, begin) == WattHours(9))
        #expect(total(begin) == WattHours(3))
    }

    @Test func `leaves out the grid's side and signed records`() {
        var inlet = phase(nil, 3)
        inlet.location = "Inlet"
        var signed = phase(nil, 0)
        signed.signed = "OCMF|{}|{}"
        #expect(total(inlet, signed) == nil)
        #expect(total(inlet, signed, phase(nil, 8)) == WattHours(8))
    }
}

@Suite struct `A session's series` {
    private func reading(_ seconds: Int64, _ register: Int64?, watts: Int64? = nil) -> MeterReading
    {
        var samples: [MeterSample] = []
        if let register { samples.append(MeterSample(.energyImport, Decimal(register))) }
        if let watts { samples.append(MeterSample(.powerImport, Decimal(watts))) }
        return MeterReading(at: House.noon.advanced(bySeconds: seconds), samples: samples)
    }

    @Test func `is one point a moment, in order, and never falls`() async throws {
        let house = try await House()
        let (number, _) = try await house.started(House.start())
        let running = try #require(house.cpo.sessions.running().first)
        let readings = [
            reading(120, 1300), reading(60, 1100, watts: 7000), reading(60, 1100),
            // A register that fell, one from before, a sample without anything that counts.
            reading(180, 200, watts: 7200), reading(-60, 900), reading(90, nil),
            reading(240, 9000),
        ]
        let open = running.series(readings)
        #expect(open.map(\.energy.value) == [0, 100, 300, 300, 8000])
        #expect(open.map { $0.at.seconds(since: House.noon) } == [0, 60, 120, 180, 240])
        #expect(open[1].power == Decimal(7))
        // The stop's register is the last word.
        _ = try await house.apply(House.stop(number, 300, 1500), at: 300)
        let closed = try #require(try await house.cpo.sessions.session(running.id))
        let series = closed.series(readings + [reading(400, 1600)])
        #expect(series.map(\.energy.value) == [0, 100, 300, 300, 300, 500])
        #expect(series.last?.at == House.noon.advanced(bySeconds: 300))
    }
}
