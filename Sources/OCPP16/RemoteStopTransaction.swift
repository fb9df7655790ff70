import Charging
import JSON
import OCPP

/// The operator asks a station to end a charge. OCPP 1.6 §5.12, §6.35.
enum RemoteStopTransaction {
    static let action = "RemoteStopTransaction"
    static let answer = StatusAnswer(words: ["Accepted", "Rejected"])

    static func write(_ number: Int, _ writer: inout JSONWriter) {
        writer.object { w in w.member("transactionId", number) }
    }

    static func command(in payload: RawSpan) throws(CallError) -> Decoded<StationCommand> {
        var number: Int?
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "transactionId") {
                number = try f.integer(&r, "transactionId")
            } else {
                try f.unknown(&r)
            }
        }
        return Decoded(
            .stop(.number(try fields.required(number, "transactionId"))), fields.deviations)
    }
}
