import Charging
import JSON
import OCPP

/// The operator asks a station to begin a charge. OCPP 1.6 §5.11, §6.33.
enum RemoteStartTransaction {
    static let action = "RemoteStartTransaction"
    static let answer = StatusAnswer(words: ["Accepted", "Rejected"])

    static func write(_ connector: ConnectorNumber?, _ token: String, _ writer: inout JSONWriter) {
        writer.object { w in
            w.member("connectorId", ifAny: connector)
            w.member("idTag", token)
        }
    }

    static func command(in payload: RawSpan) throws(CallError) -> Decoded<StationCommand> {
        var connector: Int?
        var token: String?
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "connectorId") {
                connector = try f.integer(&r, "connectorId")
            } else if r.matches(key, "idTag") {
                token = try f.token(&r, "idTag")
            } else if r.matches(key, "chargingProfile") {
                // Smart charging is not offered; a start without its profile would charge too fast.
                f.fail(.notSupported, "charging profiles are not offered")
                try r.skip()
            } else {
                try f.unknown(&r)
            }
        }
        if let connector, connector < 1 {
            throw CallError(.propertyViolation, "connectorId must be above 0")
        }
        return Decoded(
            .start(connector: connector, token: try fields.required(token, "idTag")),
            fields.deviations)
    }
}
