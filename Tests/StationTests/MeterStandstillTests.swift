import Charging
import HAL
import Testing

@testable import Station

@Suite struct `A site's meter that stands still` {
    private func readings(_ amperes: Int64, at moment: Int64) -> MeterReadings {
        MeterReadings(
            energy: WattHours(1), currents: [Amperes(amperes), Amperes(1), Amperes(1)],
            source: "site", askedAt: moment, at: BenchBoard.start)
    }

    @Test func `is found when the outlets moved under it, and believed when it moves again`() {
        var standstill = MeterStandstill()
        let (idle, drawing) = (PhaseCurrents.zero, PhaseCurrents(2_000, 0, 0))
        #expect(standstill.take(readings(5, at: 0), outlets: idle) == nil)
        #expect(standstill.take(readings(5, at: 9_000), outlets: drawing) == nil)
        #expect(standstill.take(readings(5, at: 10_000), outlets: drawing) == 10_000)
        #expect(standstill.take(readings(5, at: 60_000), outlets: drawing) == 60_000)
        #expect(standstill.take(readings(7, at: 61_000), outlets: drawing) == nil)
        #expect(standstill.take(readings(7, at: 90_000), outlets: drawing) == nil)
    }

    @Test func `is none where nothing moves, or no more than a meter's error`() {
        var standstill = MeterStandstill()
        for second in 0..<3_600 {
            let outlets = PhaseCurrents(Int64(second % 2) * 1_999, 0, 0)
            let reading = readings(0, at: Int64(second) * 1_000)
            #expect(standstill.take(reading, outlets: outlets) == nil)
        }
    }
}
