import Charging
import Crypto
import JSON

// SignedData as OCPI 2.2.1 §10.4.7 has it, filled with nothing but what the station sent.

extension CDR {
    /// What the meter signed; nil where it signed nothing, or in a form that has no name here: OCPI wants
    /// the name. One bill names one form, that of its end, and one key: some stations tell it with their first
    /// record only, and records without a key are of the same meter.
    var signedData: JSONValue? {
        let values = signed.compactMap(SignedValue.init)
        guard let method = values.last?.method else { return nil }
        let ofForm = values.filter { $0.method == method }
        let key = ofForm.last { $0.key != nil }?.key
        return .members([
            "encoding_method": .string(method),
            "public_key": key.map { .string($0) },
            "signed_values": .array(
                ofForm.filter { $0.key == nil || $0.key == key }.map(\.ocpi221)),
        ])
    }
}

/// One record with its form. OCPI 2.2.1 §10.4.8.
private struct SignedValue {
    /// OCPI's bounds in characters; a peer may refuse a whole bill for more, so a longer record is left out
    /// and stands in the API's session alone.
    private static let mostOfPlain = 512
    private static let mostOfSigned = 5000
    private static let mostOfMethod = 36
    private static let mostOfKey = 512

    var nature: String
    var method: String
    var key: String?
    var plain: String
    /// Base64.
    var signed: String

    init?(_ reading: SignedReading) {
        guard let form = Self.form(of: reading.record) else { return nil }
        (method, key, plain, signed) = form
        nature =
            switch reading.context {
            case .transactionBegin: "Start"
            case .transactionEnd: "End"
            case .interruptionBegin, .interruptionEnd, .other, .sampleClock, .samplePeriodic,
                .trigger:
                "Intermediate"
            }
        guard plain.unicodeScalars.count <= Self.mostOfPlain,
            signed.unicodeScalars.count <= Self.mostOfSigned
        else { return nil }
    }

    private typealias Form = (method: String, key: String?, plain: String, signed: String)

    /// OCPP 1.6 has no field for a record's form, so it is known by its beginning.
    private static func form(of record: String) -> Form? {
        if let method = method(of: record) {
            return (method, nil, record, Base64.encode(Array(record.utf8)))
        }
        if record.hasPrefix("{") { return wrapped(record) }
        // Some stations send it in base64 already.
        guard let plain = text(record), let method = method(of: plain) else { return nil }
        return (method, nil, plain, record)
    }

    private static func method(of record: String) -> String? {
        record.hasPrefix("OCMF|") ? "OCMF" : record.hasPrefix("AP;") ? "Alfen Eichrecht" : nil
    }

    /// The object of OCPP 2.0.1 as the value's text: the Open Charge Alliance's *Signed Meter Values in
    /// OCPP*.
    private static func wrapped(_ record: String) -> Form? {
        // What is no JSON is a record of another form.
        guard let object = try? JSONValue(parsing: record),
            let method = object["encodingMethod"]?.string, !method.isEmpty,
            method.unicodeScalars.count <= mostOfMethod,
            let signed = object["signedMeterData"]?.string, let plain = text(signed)
        else { return nil }
        let key = object["publicKey"]?.string.flatMap { key in
            key.isEmpty || key.unicodeScalars.count > mostOfKey ? nil : key
        }
        return (method, key, plain, signed)
    }

    private static func text(_ base64: String) -> String? {
        guard let bytes = Base64.decodeLeniently(base64), !bytes.isEmpty else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }

    var ocpi221: JSONValue {
        .members([
            "nature": .string(nature), "plain_data": .string(plain),
            "signed_data": .string(signed),
        ])
    }
}
