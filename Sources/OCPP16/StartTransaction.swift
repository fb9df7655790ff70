import Charging
import JSON
import OCPP

/// A charge has begun. OCPP 1.6 §4.8, §6.45.
enum StartTransaction {
    static let action = "StartTransaction"

    static func write(_ start: SessionStart, at: Timestamp, _ writer: inout JSONWriter) {
        writer.object { w in
            w.member("connectorId", start.connector)
            w.member("idTag", start.token)
            w.member("meterStart", start.meterStart.value)
            w.member("reservationId", ifAny: start.reservation)
            w.member("timestamp", at)
        }
    }

    static func event(in payload: RawSpan) throws(CallError) -> Decoded<StationEvent> {
        var connector: Int?
        var token: String?
        var meterStart: Int?
        var at: Timestamp?
        var sawTime = false
        var reservation: Int?
        var fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "connectorId") {
                connector = try f.integer(&r, "connectorId")
            } else if r.matches(key, "idTag") {
                token = try f.token(&r, "idTag")
            } else if r.matches(key, "meterStart") {
                meterStart = try f.integer(&r, "meterStart")
            } else if r.matches(key, "timestamp") {
                at = try f.time(&r)
                sawTime = true
            } else if r.matches(key, "reservationId") {
                reservation = try f.integer(&r, "reservationId")
            } else {
                try f.unknown(&r)
            }
        }
        if !sawTime { fields.deviations.insert(.timestampMissing) }
        let register = try fields.required(meterStart, "meterStart")
        let start = SessionStart(
            connector: try fields.required(connector, "connectorId"),
            token: try fields.required(token, "idTag"),
            meterStart: Wire.register(register, &fields), at: at,
            // Some stations send 0 or -1 for "none".
            reservation: reservation.flatMap { $0 > 0 ? $0 : nil })
        if start.connector < 1 || start.connector > Wire.maximumConnector {
            fields.deviations.insert(.connectorOutOfRange)
        }
        return Decoded(.sessionStarted(start), fields.deviations)
    }

    static func write(
        _ transaction: TransactionReference, _ info: AuthorizationInfo, _ writer: inout JSONWriter
    ) {
        writer.object { w in
            IdTagInfo.write(info, &w)
            // CPO hands out numbers to 1.6 stations; any other reference never reaches this line.
            w.member("transactionId", transaction.number ?? 0)
        }
    }

    static func reply(in payload: RawSpan) throws(CallError) -> Decoded<StationReply> {
        var id: Int?
        var info: AuthorizationInfo?
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "transactionId") {
                id = try f.integer(&r, "transactionId")
            } else if r.matches(key, "idTagInfo") {
                info = try IdTagInfo.read(&r, &f)
            } else {
                try f.unknown(&r)
            }
        }
        let number = try fields.required(id, "transactionId")
        return Decoded(
            .started(.number(number), try fields.required(info, "idTagInfo")), fields.deviations)
    }
}
