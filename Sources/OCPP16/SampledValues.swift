import Charging
import JSON
import OCPP

/// Lists of readings as MeterValues and StopTransaction carry them. OCPP 1.6 §7.32, §7.43.
///
/// Values leave in the unit the neutral sample has and are read into it: kWh become Wh, kW become W.
enum SampledValues {
    // MARK: Writing

    /// What 1.6 can say of `readings`: samples it has a word for, readings that have any left.
    static func sayable(_ readings: [MeterReading]) throws(DialectError) -> [MeterReading] {
        var kept: [MeterReading] = []
        for reading in readings {
            let samples = reading.samples.filter(isSayable)
            guard !samples.isEmpty else { continue }
            guard reading.at != nil else { throw .missing(field: "timestamp") }
            kept.append(MeterReading(at: reading.at, samples: samples))
        }
        return kept
    }

    static func write(_ readings: [MeterReading], _ w: inout JSONWriter) {
        w.array { w in
            for reading in readings {
                w.object { w in
                    w.key("sampledValue")
                    w.array { w in for sample in reading.samples { write(sample, &w) } }
                    w.member("timestamp", ifAny: reading.at)
                }
            }
        }
    }

    private static func isSayable(_ sample: MeterSample) -> Bool {
        switch sample.quantity {
        case .known: true
        case .foreign(let measurand, _): Vocabulary.measurands.contains(measurand)
        }
    }

    private static func write(_ sample: MeterSample, _ w: inout JSONWriter) {
        w.object { w in
            w.member("context", sample.context.rawValue)
            w.member("format", ifAny: sample.signed == nil ? nil : "SignedData")
            w.member("location", ifAny: Wire.word(sample.location, of: Vocabulary.locations))
            switch sample.quantity {
            case .known(let measurand):
                w.member("measurand", measurand.rawValue)
                w.member("phase", ifAny: Wire.word(sample.phase, of: Vocabulary.phases))
                w.member("unit", ifAny: Vocabulary.unit(of: measurand))
            case .foreign(let measurand, let unit):
                w.member("measurand", measurand)
                w.member("phase", ifAny: Wire.word(sample.phase, of: Vocabulary.phases))
                w.member("unit", ifAny: Wire.word(unit, of: Vocabulary.units))
            }
            w.member("value", sample.signed ?? sample.value.description)
        }
    }

    // MARK: Reading

    @_lifetime(reader: copy reader)
    static func read(
        _ reader: inout JSONReader, _ field: StaticString, _ fields: inout FieldReader
    ) throws(JSONError) -> [MeterReading] {
        var readings: [MeterReading] = []
        try fields.list(&reader, field, maximum: OCPPLimits.readings) { r, f throws(JSONError) in
            readings.append(try reading(&r, &f))
        }
        return readings
    }

    @_lifetime(reader: copy reader)
    private static func reading(_ reader: inout JSONReader, _ fields: inout FieldReader)
        throws(JSONError) -> MeterReading
    {
        var reading = MeterReading(at: nil, samples: [])
        var sawTime = false
        _ = try fields.object(&reader, "meterValue") { r, key, f throws(JSONError) in
            if r.matches(key, "timestamp") {
                reading.at = try f.time(&r)
                sawTime = true
            } else if r.matches(key, "sampledValue") {
                reading.samples.reserveCapacity(8)
                try f.list(&r, "sampledValue", maximum: OCPPLimits.samples) {
                    r, f throws(JSONError) in
                    if let sample = try sample(&r, &f) { reading.samples.append(sample) }
                }
            } else {
                try f.unknown(&r)
            }
        }
        if !sawTime { fields.deviations.insert(.timestampMissing) }
        return reading
    }

    /// nil for a sample without a value that can be read; the others are still good.
    @_lifetime(reader: copy reader)
    private static func sample(_ reader: inout JSONReader, _ fields: inout FieldReader)
        throws(JSONError) -> MeterSample?
    {
        var parts = Parts()
        _ = try fields.object(&reader, "sampledValue") { r, key, f throws(JSONError) in
            if r.matches(key, "value") {
                try parts.readValue(&r, &f)
            } else if r.matches(key, "measurand") {
                parts.measurand = try f.word(
                    &r, "measurand", Vocabulary.measurand, foreign: &parts.foreignMeasurand,
                    legal: Vocabulary.measurands)
            } else if r.matches(key, "unit") {
                parts.unit = try f.text(&r, "unit", maximum: OCPPLimits.textCharacters)
            } else if r.matches(key, "context") {
                parts.context =
                    try f.word(&r, "context", Vocabulary.context, foreign: &parts.foreign) ?? .other
            } else if r.matches(key, "phase") {
                parts.phase = try f.text(&r, "phase", maximum: OCPPLimits.textCharacters)
            } else if r.matches(key, "location") {
                parts.location = try f.text(&r, "location", maximum: OCPPLimits.textCharacters)
            } else if r.matches(key, "format") {
                parts.isSigned = try f.text(&r, "format", maximum: 20) == "SignedData"
            } else {
                try f.unknown(&r)
            }
        }
        return parts.sample(&fields)
    }

    /// A sample's fields in the order they came.
    private struct Parts {
        var measurand: Measurand?
        var foreignMeasurand: String?
        var unit: String?
        var context = ReadingContext.samplePeriodic
        var phase: String?
        var location: String?
        var isSigned = false
        var foreign: String?
        var value: Decimal?
        /// The value's text where it is no decimal: a signed record, or nonsense.
        var text: String?

        @_lifetime(reader: copy reader)
        mutating func readValue(_ reader: inout JSONReader, _ fields: inout FieldReader)
            throws(JSONError)
        {
            switch try reader.peek() {
            case UInt8(ascii: "\""):
                let slice = try reader.rawString()
                value = reader.decimal(of: slice)
                if value == nil { text = reader.text(of: slice) }
            case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                fields.deviations.insert(.numberForText)
                value = try reader.decimal()
            default: try reader.skip()
            }
        }

        mutating func sample(_ fields: inout FieldReader) -> MeterSample? {
            let quantity = quantity(&fields)
            if isSigned {
                return MeterSample(
                    quantity: quantity, value: .zero, phase: phase, context: context,
                    location: location, signed: text ?? value?.description ?? "")
            }
            if value == nil, let text { value = repaired(text, &fields) }
            guard var value = value.flatMap(Wire.sample) else {
                fields.deviations.insert(.sampleUnreadable)
                return nil
            }
            if case .known(let measurand) = quantity {
                value = Vocabulary.inNeutralUnit(value, measurand, unit, &fields)
            }
            return MeterSample(
                quantity: quantity, value: value, phase: phase, context: context,
                location: location)
        }

        private func quantity(_ fields: inout FieldReader) -> MeterSample.Quantity {
            if let measurand { return .known(measurand) }
            guard let foreignMeasurand else { return .known(.energyImport) }
            return .foreign(foreignMeasurand, unit: unit)
        }

        private func repaired(_ text: String, _ fields: inout FieldReader) -> Decimal? {
            var plain = FieldReader.trimmed(text)
            if plain.utf8.contains(UInt8(ascii: ",")) {
                plain = String(plain.map { $0 == "," ? "." : $0 })
                guard let value = Decimal(plain) else { return nil }
                fields.deviations.insert(.decimalComma)
                return value
            }
            guard let value = Decimal(plain) else { return nil }
            fields.deviations.insert(.textPadded)
            return value
        }
    }
}
