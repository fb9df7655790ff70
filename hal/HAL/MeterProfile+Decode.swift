import Charging

/// What has been read of a meter in one cycle, by function and address.
package struct RegisterImage: Hashable, Sendable {
    private var registers: [Key: UInt16] = [:]

    private struct Key: Hashable, Sendable {
        var function: Int
        var address: Int
    }

    package init() {}

    package mutating func store(_ values: [UInt16], function: Int, address: Int) {
        for (offset, value) in values.enumerated() {
            registers[Key(function: function, address: address + offset)] = value
        }
    }

    /// nil unless all of them have been read.
    package func read(function: Int, address: Int, count: Int) -> [UInt16]? {
        let found = (address..<address + count).compactMap {
            registers[Key(function: function, address: $0)]
        }
        return found.count == count ? found : nil
    }
}

extension MeterProfile.Value {
    package enum Outcome: Hashable, Sendable {
        /// In the house's smallest step of the quantity: Wh, W, mV, mA, mHz, thousandths.
        case steps(Int64)
        /// Not read in this cycle.
        case absent
        case notAvailable
        case implausible(String)
    }

    /// The value in the image, exact to the digit: energy rounded down, all else to the nearest step.
    package func outcome(in image: RegisterImage, rounding: RawNumber.Rounding) -> Outcome {
        guard let raw = image.read(function: function, address: address, count: count) else {
            return .absent
        }
        let bits = RegisterType.bits(raw, words: words, bytes: bytes)
        guard !notAvailable.contains(bits) else { return .notAvailable }
        guard var number = type.number(raw, words: words, bytes: bytes) else {
            return .notAvailable
        }
        if let exponentAddress {
            guard let raised = image.read(function: function, address: exponentAddress, count: 1)
            else { return .absent }
            number.tens += Int(Int16(bitPattern: raised[0]))
        }
        var first: Outcome?
        for scale in [scale] + otherScales {
            let outcome = outcome(of: number, scale: scale, rounding)
            if case .steps = outcome { return outcome }
            first = first ?? outcome
        }
        return first ?? .notAvailable
    }

    private func outcome(
        of number: RawNumber, scale: Decimal, _ rounding: RawNumber.Rounding
    ) -> Outcome {
        guard let steps = number.times(scale, unit.steps, rounding) else {
            return .implausible("a number beyond all bounds")
        }
        let value = Decimal(significand: Int128(steps), scale: unit.steps == 1000 ? 3 : 0)
        if let minimum, value < minimum { return .implausible("\(value.reduced) \(unit.rawValue)") }
        if let maximum, value > maximum { return .implausible("\(value.reduced) \(unit.rawValue)") }
        return .steps(steps)
    }
}

extension MeterProfile {
    /// All that one cycle told.
    ///
    /// - Throws: `.notAvailable` and `.implausible` for the import register; the other values of such
    ///   a cycle are left out and the reading is marked suspect, because a meter whose voltage is
    ///   absurd may have its words swapped.
    package func decode(
        _ image: RegisterImage, name: String, askedAt: Int64, at: Timestamp
    ) throws(MeterError) -> MeterReadings {
        var doubts: [MeterQuantity: MeterDoubt] = [:]
        func steps(_ quantity: MeterQuantity) throws(MeterError) -> Int64? {
            guard let value = values[quantity] else { return nil }
            let rounding: RawNumber.Rounding = quantity.isEnergy ? .down : .nearest
            switch value.outcome(in: image, rounding: rounding) {
            case .steps(let steps): return steps
            case .absent:
                if quantity == .energyImport {
                    throw .wrongAnswer("the import register is missing")
                }
                doubts[quantity] = .missing
            case .notAvailable:
                if quantity == .energyImport { throw .notAvailable(quantity) }
            case .implausible(let found):
                // An absurd voltage or frequency means that words are swapped or that another kind of
                // meter answers: then the energy is not to be trusted either.
                if quantity.isEnergy || quantity.provesTheProfile {
                    throw .implausible(quantity, found: found)
                }
                doubts[quantity] = .outOfBounds(found)
            }
            return nil
        }
        /// As far as there is no hole: a phase that is missing must not give its place to the next.
        func all(_ quantities: MeterQuantity...) throws(MeterError) -> [Int64] {
            let found = [
                try steps(quantities[0]), try steps(quantities[1]), try steps(quantities[2]),
            ]
            let whole = found.prefix { $0 != nil }
            for (index, value) in found.enumerated().dropFirst(whole.count) where value != nil {
                doubts[quantities[index]] = .missing
            }
            return whole.compactMap { $0 }
        }
        guard let energy = try steps(.energyImport) else {
            throw .notAvailable(.energyImport)
        }
        var readings = MeterReadings(
            energy: WattHours(energy), source: "\(name) (\(self.name))", askedAt: askedAt, at: at)
        readings.exported = try steps(.energyExport).map { WattHours($0) }
        readings.voltages = try all(.voltageL1, .voltageL2, .voltageL3)
            .map { Volts(millivolts: $0) }
        readings.currents = try all(.currentL1, .currentL2, .currentL3)
            .map { Amperes(milliamperes: $0) }
        readings.powers = try all(.powerL1, .powerL2, .powerL3).map { Watts($0) }
        readings.power = try steps(.power).map { Watts($0) }
        readings.frequency = try steps(.frequency)
            .map { Decimal(significand: Int128($0), scale: 3) }
        readings.powerFactor = try steps(.powerFactor)
            .map { Decimal(significand: Int128($0), scale: 3) }
        readings.doubts = doubts
        return readings
    }
}

extension MeterQuantity {
    /// Values whose bounds are narrow enough to prove that profile and meter fit.
    var provesTheProfile: Bool { self == .voltageL1 || self == .frequency }
}

extension MeterProfile {
    /// The import register's smallest step, rounded up to a watt-hour; a float's depends on its
    /// height and counts as one here.
    package var energyResolution: WattHours {
        guard let value = values[.energyImport] else { return WattHours(1) }
        switch value.type {
        case .u16, .i16, .u32, .i32, .u64, .i64:
            let step = RawNumber(1).times(value.scale, value.unit.steps, .nearest) ?? 1
            return WattHours(max(1, step))
        case .f32, .f64, .t5, .t6, .text: return WattHours(1)
        }
    }
}

extension MeterProfile.ProbeRule {
    /// Whether the registers are what this kind of meter says.
    package func matches(_ registers: [UInt16]) -> Bool {
        if !startsWith.isEmpty {
            let text = RegisterType.text(registers)
            return startsWith.contains { text.hasPrefix($0) }
        }
        if !equals.isEmpty {
            return equals.contains(
                RegisterType.bits(registers, words: value.words, bytes: value.bytes))
        }
        var image = RegisterImage()
        image.store(registers, function: value.function, address: value.address)
        guard case .steps = value.outcome(in: image, rounding: .nearest) else { return false }
        return true
    }
}
