import Charging
import OCPP

extension Vocabulary {
    /// The unit a neutral sample is sent in; 1.6 has no word for hertz nor for a bare number.
    static func unit(of measurand: Measurand) -> String? {
        switch measurand {
        case .energyImport, .energyExport: "Wh"
        case .powerImport, .powerOffered: "W"
        case .currentImport, .currentOffered: "A"
        case .voltage: "V"
        case .temperature: "Celsius"
        case .stateOfCharge: "Percent"
        case .frequency, .powerFactor: nil
        }
    }

    /// `value` in the measurand's neutral unit; a unit that does not belong to it changes nothing
    /// and is counted. Case does not matter, the official list alone is by the book.
    static func inNeutralUnit(
        _ value: Decimal, _ measurand: Measurand, _ unit: String?, _ fields: inout FieldReader
    ) -> Decimal {
        guard let unit, !unit.isEmpty else { return value }
        if unit == Self.unit(of: measurand) { return value }
        if !units.contains(unit), !(unit == "Hertz" && measurand == .frequency) {
            fields.deviations.insert(.unknownEnumValue)
        }
        switch (measurand, unit.lowercased()) {
        case (.energyImport, "kwh"), (.energyExport, "kwh"), (.powerImport, "kw"),
            (.powerOffered, "kw"):
            return thousandfold(value)
        case (.temperature, "k"): return value - Decimal(significand: 27315, scale: 2)
        case (.temperature, "fahrenheit"): return celsius(fahrenheit: value)
        default: return value
        }
    }

    private static func thousandfold(_ value: Decimal) -> Decimal {
        guard value.scale < 3 else {
            return Decimal(significand: value.significand, scale: value.scale - 3)
        }
        return value * Decimal(1000)
    }

    private static func celsius(fahrenheit value: Decimal) -> Decimal {
        let scaled = ((value - Decimal(32)) * Decimal(5)).rounded(to: 3)
        return Decimal(significand: scaled.significand / 9, scale: 3)
    }
}
