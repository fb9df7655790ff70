import Charging
import JSON
import OCPP

/// A charge is over. OCPP 1.6 §4.10, §6.49.
enum StopTransaction {
    static let action = "StopTransaction"

    static func write(
        _ stop: SessionStop, number: Int, at: Timestamp, _ writer: inout JSONWriter
    ) throws(DialectError) {
        let readings = try SampledValues.sayable(stop.readings)
        writer.beginObject()
        writer.member("idTag", ifAny: stop.token)
        writer.member("meterStop", stop.meterStop.value)
        // An absent reason means Local; it is spelled out all the same, for whoever reads logs.
        writer.member("reason", stop.reason.rawValue)
        writer.member("timestamp", at)
        if !readings.isEmpty {
            writer.key("transactionData")
            SampledValues.write(readings, &writer)
        }
        writer.member("transactionId", number)
        writer.endObject()
    }

    static func event(in payload: RawSpan) throws(CallError) -> Decoded<StationEvent> {
        var id: Int?
        var token: String?
        var meterStop: Int?
        var at: Timestamp?
        var sawTime = false
        var reason: StopReason?
        var foreignReason: String?
        var readings: [MeterReading] = []
        var fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "transactionId") {
                id = try f.integer(&r, "transactionId")
            } else if r.matches(key, "meterStop") {
                meterStop = try f.integer(&r, "meterStop")
            } else if r.matches(key, "timestamp") {
                at = try f.time(&r)
                sawTime = true
            } else if r.matches(key, "idTag") {
                token = try f.token(&r, "idTag")
            } else if r.matches(key, "reason") {
                reason = try f.word(&r, "reason", Vocabulary.reason, foreign: &foreignReason)
            } else if r.matches(key, "transactionData") {
                readings = try SampledValues.read(&r, "transactionData", &f)
            } else {
                try f.unknown(&r)
            }
        }
        if !sawTime { fields.deviations.insert(.timestampMissing) }
        let number = try fields.required(id, "transactionId")
        if number < 1 { fields.deviations.insert(.transactionIDUnset) }
        let register = try fields.required(meterStop, "meterStop")
        let stop = SessionStop(
            transaction: .number(number),
            meterStop: Wire.register(register, &fields), at: at,
            reason: reason ?? (foreignReason == nil ? .local : .other),
            token: token.flatMap { $0.isEmpty ? nil : $0 }, readings: readings)
        return Decoded(.sessionStopped(stop), fields.deviations)
    }

    static func write(_ info: AuthorizationInfo?, _ writer: inout JSONWriter) {
        writer.object { w in if let info { IdTagInfo.write(info, &w) } }
    }

    static func reply(in payload: RawSpan) throws(CallError) -> Decoded<StationReply> {
        var info: AuthorizationInfo?
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "idTagInfo") {
                info = try IdTagInfo.read(&r, &f)
            } else {
                try f.unknown(&r)
            }
        }
        try fields.checked()
        return Decoded(.stopped(info), fields.deviations)
    }
}
