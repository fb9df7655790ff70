import Charging
import HAL
import Testing

/// A meter that is read once a second.
private struct Watched {
    var sanity: MeterSanity
    var now: Int64 = 0
    var wattSeconds: Int64 = 0

    init(maximumWatts: Int64 = 23_000, resolution: Int64 = 1, rollsOverAt: Int64? = nil) {
        sanity = MeterSanity(
            maximumWatts: maximumWatts, resolution: WattHours(resolution),
            rollsOverAt: rollsOverAt.map { WattHours($0) })
    }

    /// One reading a second later. Voltage moves a little, as it does at every socket.
    mutating func second(
        energy: Int64, watts: Int64, milliamperes: Int64? = nil, isFrozen: Bool = false
    ) throws -> MeterReadings {
        now += 1000
        let jitter = isFrozen ? 0 : now / 1000 % 7 * 100
        return try sanity.check(
            MeterReadings(
                energy: WattHours(energy), voltages: [Volts(millivolts: 230_000 + jitter)],
                currents: [Amperes(milliamperes: milliamperes ?? watts * 1000 / 230)],
                power: Watts(watts), source: "m", askedAt: now, at: Timestamp(milliseconds: now)))
    }

    /// The register that really counts these watts.
    mutating func counting(_ watts: Int64) -> Int64 {
        wattSeconds += watts
        return wattSeconds / 3600
    }
}

@Suite struct `The sanity of a meter` {
    @Test func `doubts nothing about a car that charges, pauses and goes on`() throws {
        for (resolution, peak) in [(Int64(1), Int64(22_000)), (10, 7360), (100, 3680)] {
            var meter = Watched(resolution: resolution)
            for second in 0..<1800 {
                let watts = second / 300 % 2 == 0 ? peak : 0
                let energy = meter.counting(watts) / resolution * resolution
                let readings = try meter.second(energy: energy, watts: watts)
                #expect(readings.doubts.isEmpty, "\(second) \(readings.doubts)")
            }
        }
    }

    @Test func `sees a register that stands still although current flows`() throws {
        var meter = Watched()
        var doubts: [MeterQuantity: MeterDoubt] = [:]
        var second = 0
        while doubts.isEmpty, second < 300 {
            doubts = try meter.second(energy: 5000, watts: 7360).doubts
            second += 1
        }
        guard case .registerStandsStill(let grew, let expected) = doubts[.energyImport] else {
            Issue.record("\(doubts)")
            return
        }
        #expect(grew == .zero)
        #expect(expected > WattHours(50))
        #expect(second < 60, "within a minute at 32 A")
        #expect(try meter.second(energy: 5000, watts: 7360).quality != .good)
    }

    @Test func `trusts a register again that goes on counting`() throws {
        var meter = Watched()
        for _ in 0..<60 { _ = try meter.second(energy: 0, watts: 7360) }
        #expect(try meter.second(energy: 0, watts: 7360).quality != .good)
        var last: MeterReadings?
        for _ in 0..<300 {
            last = try meter.second(energy: meter.counting(7360), watts: 7360)
        }
        #expect(last?.quality == .good)
    }

    @Test func `sees values that stand still beside a register that counts`() throws {
        var meter = Watched()
        var doubt: MeterDoubt?
        for _ in 0..<600 {
            // The car has long gone on to 22 kW; the meter still shows what it showed.
            let energy = meter.counting(22_000)
            doubt = try meter.second(energy: energy, watts: 230, isFrozen: true).doubts[.power]
            if doubt != nil { break }
        }
        guard case .valuesStandStill = doubt else {
            Issue.record("\(String(describing: doubt))")
            return
        }
    }

    @Test func `sees a register that runs ahead of its power`() throws {
        var meter = Watched()
        var doubt: MeterDoubt?
        for _ in 0..<120 where doubt == nil {
            doubt = try meter.second(energy: meter.counting(11_000), watts: 0)
                .doubts[.energyImport]
        }
        guard case .registerRunsAhead = doubt else {
            Issue.record("\(String(describing: doubt))")
            return
        }
    }

    @Test(arguments: [Int64(7), 7_360_000])
    func `sees kilowatts taken for watts, and watts for kilowatts`(watts: Int64) throws {
        var meter = Watched()
        let readings = try meter.second(
            energy: 0, watts: watts, milliamperes: 32_000, isFrozen: true)
        #expect(readings.doubts[.power] == .unitJump(watts: watts, voltAmperes: 7360))
    }

    @Test func `refuses a register whose unit changed`() throws {
        var meter = Watched()
        _ = try meter.second(energy: 812_345, watts: 0)
        #expect(
            throws: MeterError.unitJumped(was: WattHours(812_345), now: WattHours(812_345_000))
        ) { try meter.second(energy: 812_345_000, watts: 0) }
        #expect(throws: MeterError.unitJumped(was: WattHours(812_345), now: WattHours(812))) {
            try meter.second(energy: 812, watts: 0)
        }
        #expect(throws: MeterError.ranBackwards(was: WattHours(812_345), now: WattHours(500_000))) {
            try meter.second(energy: 500_000, watts: 0)
        }
        #expect(try meter.second(energy: 812_346, watts: 0).energy == WattHours(812_346))
    }

    @Test func `counts on over the register's end, and says so`() throws {
        var meter = Watched(rollsOverAt: 1_000_000)
        _ = try meter.second(energy: 999_990, watts: 0)
        let readings = try meter.second(energy: 5, watts: 0)
        #expect(readings.energy == WattHours(1_000_005))
        #expect(readings.doubts[.energyImport] == .rolledOver(at: WattHours(1_000_000)))
        #expect(try meter.second(energy: 6, watts: 0).energy == WattHours(1_000_006))
        // A fall in the middle is a fall.
        #expect(
            throws: MeterError.ranBackwards(was: WattHours(1_000_006), now: WattHours(1_000_004))
        ) { try meter.second(energy: 4, watts: 0) }
    }

    @Test func `reckons with the worst that a meter may say`() throws {
        var meter = Watched()
        for worst in [Int64.max, .min, .max, 100_000_000_000_000_000, .min] {
            _ = try meter.second(energy: 5_000, watts: worst, milliamperes: worst)
            _ = try meter.second(energy: 5_000, watts: worst, milliamperes: 0)
        }
        let doubts: [MeterDoubt] = [
            .unitJump(watts: .min, voltAmperes: .max), .unitJump(watts: .max, voltAmperes: .min),
        ]
        #expect(doubts.map(\.isOfSmallCurrents) == [true, true])
    }

    @Test func `takes no fall for the end of a register that has none`() throws {
        var meter = Watched()
        _ = try meter.second(energy: 999_990, watts: 0)
        #expect(throws: MeterError.ranBackwards(was: WattHours(999_990), now: WattHours(5))) {
            try meter.second(energy: 5, watts: 0)
        }
    }
}

@Suite struct `A value's quality` {
    private let readings = MeterReadings(
        energy: WattHours(5), doubts: [.power: .outOfBounds("9 GW")], source: "m", askedAt: 10_000,
        at: Timestamp(milliseconds: 0))

    @Test func `is good, then stale, and suspect whatever its age`() {
        #expect(readings.quality(of: .energyImport, at: 10_500) == .good)
        #expect(
            readings.quality(of: .energyImport, at: 10_001 + Quality.staleMilliseconds) == .stale)
        for now in [Int64(10_000), 99_000] {
            #expect(readings.quality(of: .power, at: now) == .suspect("is 9 GW"))
        }
        #expect(readings.quality == .suspect("power is 9 GW"))
    }

    @Test func `of a phase with a hole before it is missing and not another phase's`() throws {
        var image = RegisterImage()
        // L1's power is not available; 57 W of L2 must not be shown as L1's.
        image.store([0, 1, 0, 1], function: 3, address: 0x5000)
        image.store([0x7FFF, 0xFFFF, 0, 5700], function: 3, address: 0x5B16)
        let readings = try profiles.meter("abb-b23").decode(
            image, name: "m", askedAt: 0, at: Timestamp(milliseconds: 0))
        #expect(readings.powers.isEmpty)
        #expect(readings.doubts[.powerL2] == .missing)
    }
}
