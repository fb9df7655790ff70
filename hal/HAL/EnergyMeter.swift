import Charging

/// A meter between the grid and the car.
package protocol EnergyMeter: Sendable {
    /// The name from the configuration, for people and logs.
    var name: String { get }

    /// Everything the meter tells, read in one cycle.
    ///
    /// - Throws: a `MeterError`; a failed read is never replaced by the last good value, nor by zero.
    func readings() async throws(MeterError) -> MeterReadings

    /// What the meter says of itself; nil fields where it has no such register.
    func identity() async throws(MeterError) -> MeterIdentity

    /// The meter's own signature over a charge; nil where it has none.
    var signer: (any MeterSigner)? { get }
}

extension EnergyMeter {
    package var signer: (any MeterSigner)? { nil }
}

/// One cycle of a meter: all values belong to the same moment within the cycle's length.
package struct MeterReadings: Hashable, Sendable {
    /// The lifetime import register.
    ///
    /// - Units: whole watt-hours, rounded down. Counts up for the life of the meter, never resets.
    package var energy: WattHours
    /// The register's smallest step at this height: it may stand still for as long as that takes.
    package var energyStep = WattHours(1)
    /// The lifetime export register, where the meter has one.
    package var exported: WattHours?
    /// L1, L2, L3, as many as the meter measures; empty where it tells none.
    package var voltages: [Volts]
    package var currents: [Amperes]
    /// Sum of all phases; negative while energy flows back.
    package var power: Watts?
    package var powers: [Watts]
    /// Hertz, three digits.
    package var frequency: Decimal?
    /// −1 … 1, three digits.
    package var powerFactor: Decimal?
    /// What is odd about single values, and about the cycle as a whole.
    package var doubts: [MeterQuantity: MeterDoubt]
    package var source: String
    /// Monotonic milliseconds at which the first request of the cycle was made.
    package var askedAt: Int64
    package var at: Timestamp

    package init(
        energy: WattHours, exported: WattHours? = nil, voltages: [Volts] = [],
        currents: [Amperes] = [], power: Watts? = nil, powers: [Watts] = [],
        frequency: Decimal? = nil, powerFactor: Decimal? = nil,
        doubts: [MeterQuantity: MeterDoubt] = [:], source: String, askedAt: Int64, at: Timestamp
    ) {
        self.energy = energy
        self.exported = exported
        self.voltages = voltages
        self.currents = currents
        self.power = power
        self.powers = powers
        self.frequency = frequency
        self.powerFactor = powerFactor
        self.doubts = doubts
        self.source = source
        self.askedAt = askedAt
        self.at = at
    }

    package func age(at monotonicMilliseconds: Int64) -> Int64 { monotonicMilliseconds - askedAt }

    /// The cycle's quality when it was read: suspect if any of its values is. What is missing is not
    /// shown, so there is nothing to doubt.
    package var quality: Quality {
        let texts = MeterQuantity.allCases.compactMap { quantity in
            doubts[quantity].flatMap { $0 == .missing ? nil : "\(quantity.rawValue) \($0)" }
        }
        return texts.isEmpty ? .good : .suspect(texts.joined(separator: "; "))
    }

    /// One value's quality now.
    package func quality(of quantity: MeterQuantity, at monotonicMilliseconds: Int64) -> Quality {
        let read: Quality = doubts[quantity].map { .suspect("\($0)") } ?? .good
        return read.aged(milliseconds: age(at: monotonicMilliseconds))
    }
}

/// What is odd about a value that was read without error.
package enum MeterDoubt: Hashable, Sendable {
    /// The meter did not give it, or refused it.
    case missing
    /// Outside the profile's bounds; the value is left out.
    case outOfBounds(String)
    /// The register stands still, or nearly, though power flows.
    case registerStandsStill(grew: WattHours, expected: WattHours)
    /// The register runs faster than the power that the same meter tells.
    case registerRunsAhead(grew: WattHours, expected: WattHours)
    /// Not one instantaneous value moved for so long, and the register does not agree with them.
    case valuesStandStill(milliseconds: Int64)
    /// Power is a thousand times, or a thousandth of, what voltage and current give.
    case unitJump(watts: Int64, voltAmperes: Int64)
    /// The register passed its end and began anew; the reading goes on counting from there.
    case rolledOver(at: WattHours)
}

extension MeterDoubt {
    /// True where the currents of the same answers are far too small to be so.
    package var isOfSmallCurrents: Bool {
        if case .unitJump(let watts, let voltAmperes) = self {
            return watts.magnitude > max(0, voltAmperes)
        }
        return false
    }
}

extension MeterDoubt: CustomStringConvertible {
    package var description: String {
        switch self {
        case .missing: "could not be read"
        case .outOfBounds(let found): "is \(found)"
        case .registerStandsStill(let grew, let expected):
            "grew by \(grew) where the power says \(expected)"
        case .registerRunsAhead(let grew, let expected):
            "ran on by \(grew) where the power says \(expected)"
        case .valuesStandStill(let milliseconds):
            "has not moved for \(milliseconds / 1000) s, unlike the register"
        case .unitJump(let watts, let voltAmperes):
            "is \(watts) W where voltage and current give \(voltAmperes) VA"
        case .rolledOver(let end): "began anew at \(end) and is counted on"
        }
    }
}

/// Who a meter is. Compared at boot and hourly: another serial means that somebody changed the meter.
package struct MeterIdentity: Hashable, Sendable {
    package var model: String?
    package var serial: String?
    package var firmware: String?

    package init(model: String? = nil, serial: String? = nil, firmware: String? = nil) {
        self.model = model
        self.serial = serial
        self.firmware = firmware
    }
}

/// What a meter's profile calls its values; also the keys of a profile file.
package enum MeterQuantity: String, Hashable, Sendable, CaseIterable, CodingKeyRepresentable {
    case energyImport, energyExport
    case power, powerL1, powerL2, powerL3
    case voltageL1, voltageL2, voltageL3
    case currentL1, currentL2, currentL3
    case frequency, powerFactor
}

/// Why there is no reading.
package enum MeterError: Error, Hashable, Sendable {
    /// Nothing came back in time. Trying again may help.
    case noAnswer
    /// The bus itself is gone: unplugged adapter, refused connection. The driver goes on trying.
    case busDown(String)
    /// The meter refused, with its Modbus exception code.
    case refused(code: Int)
    /// Bytes came that are no answer to the question: damaged, another unit's, another length.
    case wrongAnswer(String)
    /// The meter says itself that it has no value for this.
    case notAvailable(MeterQuantity)
    /// A value outside what the profile calls possible.
    case implausible(MeterQuantity, found: String)
    /// The register fell from `was` to `now`. Stop billing; a person must look.
    case ranBackwards(was: WattHours, now: WattHours)
    /// The register is a thousand times what it was, or a thousandth: its unit changed.
    case unitJumped(was: WattHours, now: WattHours)
    /// The meter could not sign, or its record cannot be had; the charge goes on without.
    case notSigned(String)
    /// The device at this address is not the one that the profile describes.
    case wrongDevice(expected: String, found: String)
    /// The meter failed often and is left alone for a while, so that it does not slow the others.
    case resting(milliseconds: Int64)
    /// Too much waits for this bus.
    case busBusy
}

extension MeterError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .noAnswer: "the meter does not answer"
        case .busDown(let why): "the meter's bus is down: \(why)"
        case .refused(let code): "the meter refuses the read with exception \(code)"
        case .wrongAnswer(let what): "the answer is not the meter's: \(what)"
        case .notAvailable(let quantity): "the meter has no \(quantity.rawValue) at present"
        case .implausible(let quantity, let found):
            "\(quantity.rawValue) is impossible: \(found)"
        case .ranBackwards(let was, let now): "the register fell from \(was) to \(now)"
        case .unitJumped(let was, let now):
            "the register went from \(was) to \(now), as if its unit had changed"
        case .notSigned(let why): "the meter does not sign: \(why)"
        case .wrongDevice(let expected, let found): "expected \(expected), found \(found)"
        case .resting(let left): "the meter failed repeatedly and rests for \(left) ms"
        case .busBusy: "too much waits for the meter's bus"
        }
    }
}
