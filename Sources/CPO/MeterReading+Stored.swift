import Charging

/// Meter values as rows: compact, because they are the most frequent thing there is.
extension MeterReading {
    /// Samples parted by U+001E, fields by U+001F: quantity, value, phase, context, location, unit,
    /// signed record. Empty is nil. Both separators are control characters no meter sends; they are
    /// dropped from foreign texts.
    var storedSamples: String {
        var text = ""
        text.reserveCapacity(samples.count * 64)
        for sample in samples {
            if !text.isEmpty { text.append("\u{1E}") }
            var unit: String?
            switch sample.quantity {
            case .known(let measurand): text += measurand.rawValue
            case .foreign(let name, let foreignUnit):
                text += "?"
                text += Self.clean(name)
                unit = foreignUnit
            }
            for field in [
                sample.value.description, sample.phase, sample.context.rawValue, sample.location,
                unit, sample.signed,
            ] {
                text.append("\u{1F}")
                if let field { text += Self.clean(field) }
            }
        }
        return text
    }

    init(at: Timestamp, storedSamples text: String) throws {
        let samples = try text.split(separator: "\u{1E}").map { part in
            let fields = part.split(separator: "\u{1F}", omittingEmptySubsequences: false)
            guard fields.count == 7, let value = Decimal(fields[1]) else {
                throw StoredError(key: "samples")
            }
            func optional(_ index: Int) -> String? {
                fields[index].isEmpty ? nil : String(fields[index])
            }
            let quantity: MeterSample.Quantity =
                if let known = Measurand(rawValue: String(fields[0])) {
                    .known(known)
                } else {
                    .foreign(String(fields[0].dropFirst()), unit: optional(5))
                }
            return MeterSample(
                quantity: quantity, value: value, phase: optional(2),
                context: ReadingContext(rawValue: String(fields[3])) ?? .other,
                location: optional(4), signed: optional(6))
        }
        self.init(at: at, samples: samples)
    }

    /// What tells a repeated reading from another one of the same instant: everything but the values.
    var finger: Int64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        func mix(_ text: String) {
            for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
            hash = (hash ^ 0x1F) &* 0x0000_0100_0000_01B3
        }
        for sample in samples {
            switch sample.quantity {
            case .known(let measurand): mix(measurand.rawValue)
            case .foreign(let name, _): mix(name)
            }
            mix(sample.phase ?? "")
            mix(sample.context.rawValue)
            mix(sample.location ?? "")
            // Some stations give a value and its signed record in two readings of one instant.
            if sample.signed != nil { mix("signed") }
        }
        return Int64(bitPattern: hash)
    }

    private static func clean(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 == 0x1E || $0 == 0x1F }) else { return text }
        return text.filter { $0 != "\u{1E}" && $0 != "\u{1F}" }
    }

    // MARK: What a price can depend on

    /// The lifetime import register in whole Wh, rounded down; phases added where there is no total.
    var register: WattHours? {
        total(.energyImport).flatMap(\.floor).map { WattHours($0) }
    }

    /// Kilowatts.
    var power: Decimal? {
        total(.powerImport).map { Decimal(significand: $0.significand, scale: $0.scale + 3) }
    }

    /// Amperes, sum of all phases.
    var current: Decimal? { total(.currentImport) }

    /// What a connector draws, as far as one reading says it.
    struct Currents: Hashable, Sendable {
        /// On L1, L2 and L3 of the connector; nil where the phases were not told apart.
        var phases: [Amperes]?
        /// Of all phases together.
        var sum: Amperes?
        var power: Watts?
    }

    /// 100 MW: beyond any connector, a meter's fault that says nothing, as a current beyond any cable.
    private static let mostWatts: Int64 = 100_000_000

    /// nil for a reading that says nothing of it.
    var currents: Currents? {
        var phases: [Amperes?] = [nil, nil, nil]
        for sample in samples {
            guard case .known(.currentImport) = sample.quantity, sample.signed == nil,
                sample.location == nil || sample.location == "Outlet", Self.isSane(sample.value),
                let index = ["L1", "L2", "L3"].firstIndex(
                    of: sample.phase.map { String($0.prefix(2)) })
            else { continue }
            phases[index] = sample.value.milliamperes
        }
        let known = phases.contains { $0 != nil } ? phases.map { $0 ?? .zero } : nil
        let sum = current.flatMap(\.milliamperes)
        let power = total(.powerImport).flatMap(\.floor).flatMap { watts in
            watts < Self.mostWatts ? Watts(watts) : nil
        }
        guard known != nil || sum != nil || power != nil else { return nil }
        return Currents(phases: known, sum: sum, power: power)
    }

    /// Percent.
    var stateOfCharge: Decimal? { total(.stateOfCharge) }

    /// No meter has more digits; longer ones are kept as they came but never calculated with, since
    /// decimal arithmetic has an end that a peer must not be able to reach.
    private static func isSane(_ value: Decimal) -> Bool {
        value.scale <= 12 && value.significand.magnitude < 1_000_000_000_000_000_000
    }

    private func total(_ measurand: Measurand) -> Decimal? {
        // Some stations give a charge's first and last register in one reading, at the time of the last.
        total(measurand) { $0 != .transactionBegin } ?? total(measurand) { $0 == .transactionBegin }
    }

    private func total(
        _ measurand: Measurand, where isMeant: (ReadingContext) -> Bool
    ) -> Decimal? {
        var sum: Decimal?
        // L1 and L1-N are the same, and so is one phase in two contexts.
        var phases: UInt8 = 0
        for sample in samples {
            guard case .known(measurand) = sample.quantity, sample.signed == nil,
                sample.location == nil || sample.location == "Outlet", Self.isSane(sample.value),
                isMeant(sample.context)
            else { continue }
            switch sample.phase {
            case nil: return sample.value
            case let phase?:
                let bit: UInt8 =
                    switch phase {
                    case "L1", "L1-N": 1
                    case "L2", "L2-N": 2
                    case "L3", "L3-N": 4
                    default: 0
                    }
                guard bit != 0, phases & bit == 0 else { continue }
                phases |= bit
                sum = sum.map { $0 + sample.value } ?? sample.value
            }
        }
        return sum
    }
}

extension Decimal {
    /// An ampere figure in milliamperes, never below zero; nil beyond any cable.
    fileprivate var milliamperes: Amperes? {
        guard let whole = multiplied(by: Decimal(1000))?.floor, whole < 100_000_000 else {
            return nil
        }
        return Amperes(milliamperes: max(0, whole))
    }
}
