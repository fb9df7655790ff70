import Charging
import JSON
import OCPP

/// A maker's own message, both ways. OCPP 1.6 §4.3, §5.6, §6.15.
enum DataTransfer {
    static let action = "DataTransfer"
    static let statuses = ["Accepted", "Rejected", "UnknownMessageId", "UnknownVendorId"]

    static func write(_ message: DataMessage, _ writer: inout JSONWriter) {
        writer.object { w in
            w.member("data", ifAny: message.data)
            w.member("messageId", ifAny: message.message)
            w.member("vendorId", message.vendor)
        }
    }

    static func message(in payload: RawSpan) throws(CallError) -> Decoded<DataMessage> {
        var vendor: String?
        var message: String?
        var data: String?
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "vendorId") {
                vendor = try f.text(&r, "vendorId", maximum: 255)
            } else if r.matches(key, "messageId") {
                message = try f.text(&r, "messageId", maximum: 50)
            } else if r.matches(key, "data") {
                data = try readData(&r, &f)
            } else {
                try f.unknown(&r)
            }
        }
        return Decoded(
            DataMessage(
                vendor: try fields.required(vendor, "vendorId"), message: message, data: data),
            fields.deviations)
    }

    static func write(_ status: String, _ data: String?, _ writer: inout JSONWriter) {
        writer.object { w in
            w.member("data", ifAny: data)
            w.member("status", statuses.contains(status) ? status : "Rejected")
        }
    }

    static func answer(in payload: RawSpan) throws(CallError) -> Decoded<(String, String?)> {
        var status: String?
        var data: String?
        var fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "status") {
                status = try f.text(&r, "status", maximum: OCPPLimits.textCharacters)
            } else if r.matches(key, "data") {
                data = try readData(&r, &f)
            } else {
                try f.unknown(&r)
            }
        }
        let word = try fields.required(status, "status")
        if !statuses.contains(word) { fields.deviations.insert(.unknownEnumValue) }
        return Decoded((word, data), fields.deviations)
    }

    /// `data` is a text in 1.6, also where it holds JSON; an object is kept as its text.
    @_lifetime(reader: copy reader)
    private static func readData(_ reader: inout JSONReader, _ fields: inout FieldReader)
        throws(JSONError) -> String?
    {
        switch try reader.peek() {
        case UInt8(ascii: "\""): return try reader.string()
        case UInt8(ascii: "n"):
            fields.deviations.insert(.nullField)
            try reader.null()
            return nil
        default:
            fields.deviations.insert(.numberForText)
            return String(decoding: reader.bytes(try reader.rawValue()), as: UTF8.self)
        }
    }
}
