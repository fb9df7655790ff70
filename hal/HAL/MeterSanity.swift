import Charging

/// Watches one meter over time: does what it tells fit together, and can it be?
///
/// What cannot be is an error and reaches nobody. What is odd is told as a doubt beside the value;
/// what follows from it is for the connector to decide.
package struct MeterSanity: Hashable, Sendable {
    private var energyGuard: EnergyGuard
    /// The register's smallest step; a meter of 100 Wh stands still for a long time by right.
    private let resolution: WattHours
    private var last: MeterReadings?
    private var window: Window?
    /// When the instantaneous values last changed.
    private var movedAt: Int64 = 0
    /// What the last window showed, until the next one shows otherwise.
    private var verdict: Verdict?

    private struct Verdict: Hashable, Sendable {
        var quantity: MeterQuantity
        var doubt: MeterDoubt
    }

    /// A stretch over which the register is held against the power.
    private struct Window: Hashable, Sendable {
        var energy: WattHours
        var beganAt: Int64
        /// Power × time so far.
        var wattMilliseconds: Int64 = 0

        /// Stops at the end of the range: what a meter says may be any number.
        mutating func add(_ watts: Int64, for milliseconds: Int64) {
            let (product, isTooLarge) = watts.multipliedReportingOverflow(by: milliseconds)
            let (sum, isAtEnd) = wattMilliseconds.addingReportingOverflow(product)
            wattMilliseconds = isTooLarge || isAtEnd ? .max : sum
        }
    }

    /// A longer silence between two readings begins a new window: nobody knows what flowed meanwhile.
    package static let longestStepMilliseconds: Int64 = 10_000
    /// Below this apparent power the two are not compared.
    package static let leastVoltAmperes: Int64 = 500
    /// The register must have had the chance of so many of its steps before it is judged.
    private static let stepsBeforeVerdict: Int64 = 5
    /// A register lags its power by seconds, and a load may come and go between two readings.
    private static let slackWattHours: Int64 = 50
    /// No register has larger steps than 1 GWh; a profile's scale may say anything.
    private static let largestStep: Int64 = 1_000_000_000

    package init(
        maximumWatts: Int64, resolution: WattHours = WattHours(1), rollsOverAt: WattHours? = nil
    ) {
        energyGuard = EnergyGuard(maximumWatts: maximumWatts, rollsOverAt: rollsOverAt)
        self.resolution = resolution
    }

    /// Takes a reading in and gives it back with its doubts.
    ///
    /// - Throws: `.ranBackwards`, `.unitJumped`, `.implausible`: the reading is no reading.
    package mutating func check(_ readings: MeterReadings) throws(MeterError) -> MeterReadings {
        var readings = readings
        let (energy, hasRolledOver) = try energyGuard.check(
            readings.energy, askedAt: readings.askedAt)
        readings.energy = energy
        readings.energyStep = WattHours(smallestStep(readings))
        if hasRolledOver, let end = energyGuard.rollsOverAt {
            readings.doubts[.energyImport] = .rolledOver(at: end)
        }
        if let doubt = Self.unitJump(readings) { readings.doubts[.power] = doubt }
        noteMovement(readings)
        compareWithPower(readings)
        if let verdict { readings.doubts[verdict.quantity] = verdict.doubt }
        last = readings
        return readings
    }

    /// Kilowatts taken for watts show against volts and amperes of the same moment.
    private static func unitJump(_ readings: MeterReadings) -> MeterDoubt? {
        guard let power = readings.power?.value, let apparent = readings.voltAmperes,
            apparent >= leastVoltAmperes
        else { return nil }
        // Divided, not multiplied: a meter may say any number, and none must end the program.
        let watts = power.magnitude
        let isThousandfold = watts / 500 >= apparent
        let isThousandth = watts <= apparent / 500 && watts > 0
        return isThousandfold || isThousandth
            ? .unitJump(watts: power, voltAmperes: apparent) : nil
    }

    private mutating func noteMovement(_ readings: MeterReadings) {
        guard let last else { return movedAt = readings.askedAt }
        let stands =
            last.voltages == readings.voltages && last.currents == readings.currents
            && last.power == readings.power && last.frequency == readings.frequency
        if !stands { movedAt = readings.askedAt }
    }

    private mutating func compareWithPower(_ readings: MeterReadings) {
        guard let last, let before = last.watts, let now = readings.watts else {
            return begin(readings)
        }
        let step = readings.askedAt - last.askedAt
        guard var window, (0...Self.longestStepMilliseconds).contains(step) else {
            return begin(readings)
        }
        window.add((before / 2 + now / 2), for: step)
        let expected = WattHours(window.wattMilliseconds / 3_600_000)
        let grew = readings.energy - window.energy
        let slack = 2 * smallestStep(readings) + Self.slackWattHours
        // Sums of watt-hours stop at their range's end.
        let isStanding = grew + grew + WattHours(slack) < expected
        let isAhead = grew > expected + expected + WattHours(slack)
        let isFull = expected.value / Self.stepsBeforeVerdict >= slack
        self.window = window
        guard isStanding || isAhead || isFull else { return }
        verdict = verdict(
            readings, grew: grew, expected: expected, isStanding: isStanding, isAhead: isAhead)
        begin(readings)
    }

    private func verdict(
        _ readings: MeterReadings, grew: WattHours, expected: WattHours, isStanding: Bool,
        isAhead: Bool
    ) -> Verdict? {
        guard isStanding || isAhead else { return nil }
        let stoodFor = readings.askedAt - movedAt
        let wholeWindow = readings.askedAt - (window?.beganAt ?? readings.askedAt)
        // A register that counts beside a power that never moves: the power is the frozen one.
        if grew > .zero, stoodFor >= wholeWindow {
            return Verdict(
                quantity: .power, doubt: .valuesStandStill(milliseconds: stoodFor))
        }
        return Verdict(
            quantity: .energyImport,
            doubt: isStanding
                ? .registerStandsStill(grew: grew, expected: expected)
                : .registerRunsAhead(grew: grew, expected: expected))
    }

    private mutating func begin(_ readings: MeterReadings) {
        window = Window(energy: readings.energy, beganAt: readings.askedAt)
    }

    /// The register's step here: its profile's, or a float32's at this height.
    private func smallestStep(_ readings: MeterReadings) -> Int64 {
        min(max(resolution.value, readings.energy.value >> 23, 1), Self.largestStep)
    }
}

extension MeterReadings {
    /// Sum over the phases of voltage times current; nil where the meter tells not both.
    var voltAmperes: Int64? {
        guard !currents.isEmpty, voltages.count >= currents.count else { return nil }
        return zip(voltages, currents).reduce(0) { sum, phase in
            let (product, isTooLarge) = (phase.0.millivolts / 100)
                .multipliedReportingOverflow(by: phase.1.magnitude.milliamperes / 100)
            let (total, isAtEnd) = sum.addingReportingOverflow(product / 100)
            return isTooLarge || isAtEnd ? .max : total
        }
    }

    /// What flows to the car; nothing while energy flows back. Without a power register the volts
    /// and amperes stand in.
    var watts: Int64? { (power?.value ?? voltAmperes).map { max(0, $0) } }
}
