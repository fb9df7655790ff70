import Charging
import HAL
import Testing

@Suite struct `The control pilot's levels` {
    /// Positive peak in millivolts, the state before, the state it means.
    static let table: [(Int, PilotState?, PilotState)] = [
        (13_001, nil, .f), (13_000, nil, .a), (12_000, .c, .a), (11_000, .b, .a),
        (10_999, .a, .a), (10_500, .b, .b), (10_500, .c, .b), (10_001, nil, .b),
        (10_000, .a, .b), (9_000, nil, .b), (8_000, .c, .b),
        (7_999, .a, .b), (7_500, .b, .b), (7_500, .c, .c), (7_001, .d, .c),
        (7_000, .b, .c), (6_000, .a, .c), (5_000, .d, .c),
        (4_999, .c, .c), (4_500, .a, .c), (4_500, .d, .d), (4_001, .e, .d),
        (4_000, .c, .d), (3_000, nil, .d), (2_000, nil, .d),
        (1_999, .d, .e), (0, .c, .e), (-1_000, nil, .e),
        (-1_001, .e, .e), (-1_500, .c, .e), (-1_500, .f, .f), (-1_500, nil, .f), (-2_000, .a, .e),
        (-2_001, .e, .f), (-6_000, .c, .f), (-12_000, .f, .f), (-13_500, .f, .f),
    ]

    /// A level at which a state is certain.
    static let certain: [PilotState: Int] = [
        .a: 12_000, .b: 9_000, .c: 6_000, .d: 3_000, .e: 0, .f: -12_000,
    ]

    @Test(arguments: table)
    func `mean the state of the standard, and the last one in between`(
        millivolts: Int, last: PilotState?, expected: PilotState
    ) {
        var levels = PilotLevels()
        if let last {
            _ = levels.read(
                positive: Self.certain[last] ?? 0, negative: nil, signal: .x1)
            #expect(levels.state == last)
        }
        #expect(
            levels.read(positive: millivolts, negative: nil, signal: .x1).state == expected,
            "\(millivolts) mV after \(String(describing: last))")
    }

    @Test(arguments: [
        // A diode keeps the negative half-wave at −12 V whatever the car's resistor is.
        (9_000, -12_000, DiodeCheck.passed), (6_000, -11_400, .passed), (3_000, -12_600, .passed),
        (6_000, -10_001, .passed),
        // Without one both half-waves are loaded alike.
        (9_000, -9_000, .failed), (6_000, -6_500, .failed), (6_000, -9_999, .failed),
        // Nothing to check while nobody is there, or while the line is shorted.
        (12_000, -12_000, .unknown), (0, 0, .unknown),
        // Lower than the pilot's supply: the measurement is wrong, not the car.
        (6_000, -14_000, .unknown),
    ])
    func `show whether there is a diode`(positive: Int, negative: Int, expected: DiodeCheck) {
        var levels = PilotLevels()
        let found = levels.read(
            positive: positive, negative: negative, signal: .pwm(Amperes(16)))
        #expect(found.diode == expected)
        // Steady levels have no second half-wave.
        var steady = PilotLevels()
        #expect(
            steady.read(positive: positive, negative: negative, signal: .x1).diode == .unknown)
    }

    @Test func `tell E from F by the negative half-wave alone`() {
        for signal in [PilotSignal.pwm(Amperes(16)), .x1, .f] {
            var levels = PilotLevels()
            #expect(levels.read(positive: 300, negative: -300, signal: signal).state == .e)
            #expect(levels.read(positive: 300, negative: -12_000, signal: signal).state == .f)
            #expect(levels.read(positive: 300, negative: -10_500, signal: signal).state == .f)
            #expect(levels.read(positive: 300, negative: -9_000, signal: signal).state == .e)
            #expect(levels.read(positive: 300, negative: -10_500, signal: signal).state == .e)
        }
    }
}

@Suite struct `The control pilot's filter` {
    @Test func `believes a state that comes twice, and no blip`() {
        var filter = PilotFilter()
        func take(_ positive: Int) {
            filter.take(positive: positive, negative: -12_000, signal: .pwm(Amperes(16)))
        }
        take(12_000)
        #expect(filter.state == nil)
        take(12_000)
        #expect(filter.state == .a)
        take(9_000)
        take(12_000)
        take(12_000)
        #expect(filter.state == .a, "A, B, A is a plug that scratched")
        take(6_000)
        #expect(filter.state == .a)
        take(6_000)
        #expect(filter.state == .c)
    }

    @Test func `believes the diode when both samples agree, and forgets it with the car`() {
        var filter = PilotFilter()
        func take(_ positive: Int, _ negative: Int?) {
            filter.take(positive: positive, negative: negative, signal: .pwm(Amperes(16)))
        }
        take(9_000, -12_000)
        #expect(filter.diode == .unknown)
        take(9_000, -12_000)
        #expect(filter.diode == .passed)
        take(9_000, -9_000)
        #expect(filter.diode == .passed)
        take(9_000, nil)
        #expect(filter.diode == .unknown, "the detector has not settled")
        take(9_000, -9_000)
        take(9_000, -9_000)
        #expect(filter.diode == .failed)
        take(12_000, -12_000)
        take(12_000, -12_000)
        #expect(filter.diode == .unknown)
    }
}

@Suite struct `The control pilot's duty` {
    @Test(
        arguments: [
            (0, nil), (5_999, nil), (6_000, 100_000), (10_000, 166_666), (16_000, 266_666),
            (32_000, 533_333), (50_999, 849_983), (51_000, 850_000), (52_000, 850_000),
            (52_500, 850_000), (63_000, 892_000), (80_000, 960_000), (100_000, 960_000),
        ] as [(Int64, Int?)])
    func `says a current as the standard does, never more`(milliamperes: Int64, high: Int?) {
        #expect(PilotDuty.highNanoseconds(Amperes(milliamperes: milliamperes)) == high)
    }

    @Test func `is read by a car as no more than was meant, over the whole range`() {
        for milliamperes in stride(from: Int64(6_000), through: 80_000, by: 7) {
            guard
                let high = PilotDuty.highNanoseconds(Amperes(milliamperes: milliamperes)),
                let read = PilotDuty.current(highNanoseconds: high)
            else {
                Issue.record("\(milliamperes) mA has no duty")
                return
            }
            #expect(read.milliamperes <= milliamperes)
            // Between 51 and 52.5 A there is no code.
            let isGap = (51_000...52_500).contains(milliamperes)
            #expect(read.milliamperes >= milliamperes - (isGap ? 1_500 : 1))
        }
    }

    @Test(
        arguments: [
            (20_000, nil), (50_000, nil), (79_999, nil), (80_000, 6_000), (100_000, 6_000),
            (850_000, 51_000), (960_000, 80_000), (970_000, 80_000), (970_001, nil),
        ] as [(Int, Int64?)])
    func `means no current outside its range`(high: Int, milliamperes: Int64?) {
        #expect(PilotDuty.current(highNanoseconds: high)?.milliamperes == milliamperes)
    }
}

@Suite struct `A cable's resistor` {
    @Test(arguments: [
        (10_000, CableRating.none), (4_000, .none), (1_500, .rated(Amperes(13))),
        (1_000, .rated(Amperes(13))), (680, .rated(Amperes(20))), (330, .rated(Amperes(20))),
        (220, .rated(Amperes(32))), (150, .rated(Amperes(32))), (100, .rated(Amperes(63))),
        (50, .rated(Amperes(63))), (49, .impossible), (0, .impossible),
    ])
    func `says what it may carry`(ohms: Int, rating: CableRating) {
        #expect(CableRating(ohms: ohms) == rating)
    }

    @Test func `is the lower half of a divider`() {
        #expect(
            CableRating.ohms(millivolts: 1_250, referenceMillivolts: 5_000, pullUpOhms: 660) == 220)
        #expect(
            CableRating.ohms(millivolts: -20, referenceMillivolts: 5_000, pullUpOhms: 660) == 0)
        #expect(
            CableRating.ohms(millivolts: 5_000, referenceMillivolts: 5_000, pullUpOhms: 660) == nil)
    }
}

@Suite struct `A light's pattern` {
    @Test(arguments: Indication.allCases) func `is there for every indication`(
        indication: Indication
    ) {
        let pattern = LightPattern.of(indication, hasBlue: true)
        #expect(pattern.steps.contains { !$0.lit.isEmpty })
        #expect(pattern.steps.contains { $0.isBuzzing } == (indication == .refused))
    }

    @Test func `blinks, and one that is played once ends`() {
        let blink = LightPattern.of(.preparing, hasBlue: false)
        #expect(blink.step(after: 0).step.lit == [.green])
        #expect(blink.step(after: 0).next == 500)
        #expect(blink.step(after: 700).step.lit == [])
        #expect(blink.step(after: 700).next == 300)
        #expect(blink.step(after: 1_000).step.lit == [.green])
        let refused = LightPattern.of(.refused, hasBlue: true)
        #expect(refused.step(after: 100).step.isBuzzing)
        #expect(refused.step(after: 900).next == nil)
        #expect(LightPattern.of(.faulted, hasBlue: true).step(after: 99_999).step.lit == [.red])
    }
}
