import Charging
import Service

extension MeterProfile {
    /// Reads a meter's file; what is wrong is noted in the section.
    init(name: String, _ section: ConfigSection) {
        let defaults = ValueDefaults(section)
        let line = section.section("line")
        var values: [MeterQuantity: Value] = [:]
        let listed = section.section("values")
        for quantity in MeterQuantity.allCases {
            guard let entry = listed.sectionOrNil(quantity.rawValue) else { continue }
            var value = Value(entry, defaults, units: quantity.units)
            value.minimum = value.minimum ?? Decimal(-quantity.mostPossible)
            value.maximum = value.maximum ?? Decimal(quantity.mostPossible)
            values[quantity] = value
        }
        if values[.energyImport] == nil {
            section.problem(
                "values", "`values.energyImport` is missing; without it nothing can be billed")
        }
        var rules = [ProbeRule(section.section("probe"), defaults)]
        rules += section.list("probeAlso", atMost: 8) { ProbeRule($0, defaults) }
        self.init(
            name: name,
            title: section.text("title"),
            source: section.text("source"),
            sources: section.int("sources", default: 1, in: 1...20),
            line: Line(
                baud: line.int("baud", in: 1200...230_400),
                parity: line.choice("parity", default: Parity.none),
                stopBits: line.int("stopBits", default: 1, in: 1...2),
                unit: line.int("unit", default: 1, in: 1...247)),
            values: values,
            model: section.sectionOrNil("model").map { Value($0, defaults, units: [.none]) },
            serial: section.sectionOrNil("serial").map { Value($0, defaults, units: [.none]) },
            firmware: section.sectionOrNil("firmware").map { Value($0, defaults, units: [.none]) },
            probe: rules,
            probeUnless: section.list("probeUnless", atMost: 8) { ProbeRule($0, defaults) },
            modelCodes: section.patterns("modelCodes"),
            rollsOverAt: section.intOrNil("rollsOverAtWattHours", in: 1000...Int(Int64.max / 2))
                .map { WattHours(Int64($0)) },
            signing: section.sectionOrNil("signing").map { SigningProfile($0) },
            maxRegistersPerRead: section.int("maxRegistersPerRead", in: 4...125),
            fallbackRegistersPerRead: section.int(
                "fallbackRegistersPerRead", default: 10, in: 4...125),
            bridgedRegisters: section.int("bridgedRegisters", default: 0, in: 0...100),
            gapMilliseconds: section.int("gapMilliseconds", default: 100, in: 0...5000),
            timeoutMilliseconds: section.int("timeoutMilliseconds", default: 500, in: 50...5000),
            quarantineMilliseconds: section.int(
                "quarantineMilliseconds", default: 600, in: 300...10_000))
    }
}

extension MeterQuantity {
    /// What no meter of an outlet or a site shows, either way, in the base unit and its thousandfold
    /// alike: a file without bounds takes no number that nobody can reckon with.
    fileprivate var mostPossible: Int64 {
        switch self {
        case .energyImport, .energyExport: 1_000_000_000_000_000
        case .power, .powerL1, .powerL2, .powerL3: 1_000_000_000
        case .voltageL1, .voltageL2, .voltageL3, .currentL1, .currentL2, .currentL3: 1_000_000
        case .frequency, .powerFactor: 1_000_000
        }
    }
}

/// What a file says once for all its values.
private struct ValueDefaults {
    let function: Int
    let words: WordOrder
    let bytes: ByteOrder

    init(_ section: ConfigSection) {
        function = section.int("function", default: 3, in: 3...4)
        words = section.choice("wordOrder", default: WordOrder.highFirst)
        bytes = section.choice("byteOrder", default: ByteOrder.highFirst)
    }
}

extension MeterProfile.ProbeRule {
    fileprivate init(_ section: ConfigSection, _ defaults: ValueDefaults) {
        self.init(
            value: MeterProfile.Value(section, defaults, units: MeterUnit.allCases),
            equals: section.patterns("equals"), startsWith: section.texts("startsWith"))
        if value.type == .text, startsWith.isEmpty {
            section.problem("startsWith", "a text is known by how it begins: `startsWith: [iEM3]`")
        }
        if !isName, value.minimum == nil || value.maximum == nil {
            section.problem(
                "minimum", "without bounds every meter fits; give minimum and maximum, or equals")
        }
    }
}

extension MeterProfile.Value {
    fileprivate init(_ section: ConfigSection, _ defaults: ValueDefaults, units: [MeterUnit]) {
        let type: RegisterType = section.choice("type", default: nil)
        let fitting = units.first ?? .none
        let unit = section.choice("unit", default: units.contains(.none) ? MeterUnit.none : nil)
        if !units.contains(unit) {
            section.problem(
                "unit",
                "`\(unit.rawValue)` does not fit here; give \(units.map(\.rawValue).joined(separator: " or "))"
            )
        }
        let asked = section.intOrNil("count", in: 1...125)
        if type == .text, asked == nil {
            section.problem("count", "a text needs its length in registers: `count: 8`")
        } else if type != .text, let asked, asked != type.registers {
            section.problem(
                "count", "\(type.rawValue) has \(type.registers) registers; leave `count` out")
        }
        self.init(
            function: section.int("function", default: defaults.function, in: 3...4),
            address: section.register("address") ?? 0,
            count: type == .text ? asked ?? 1 : type.registers,
            type: type,
            words: section.choice("wordOrder", default: defaults.words),
            bytes: section.choice("byteOrder", default: defaults.bytes),
            scale: section.decimal("scale", default: Decimal(1)),
            otherScales: section.decimals("otherScales"),
            unit: units.contains(unit) ? unit : fitting,
            notAvailable: section.patterns("notAvailable"),
            exponentAddress: section.textOrNil("exponentAddress") == nil
                ? nil : section.register("exponentAddress"),
            minimum: section.decimalOrNil("minimum"),
            maximum: section.decimalOrNil("maximum"))
        if let minimum, let maximum, minimum > maximum {
            section.problem("minimum", "`minimum` is above `maximum`; exchange them")
        }
        // Two scales that both fit would let chance choose.
        if !otherScales.isEmpty, !hasNarrowBounds {
            section.problem(
                "otherScales", "needs a minimum and a maximum of less than ten times as much")
        }
    }

    private var hasNarrowBounds: Bool {
        guard let minimum, let maximum, minimum > Decimal(0) else { return false }
        return maximum < Decimal(significand: minimum.significand * 10, scale: minimum.scale)
    }
}
