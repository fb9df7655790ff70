import Charging
import JSON
import OCPP

/// The operator frees a plug. OCPP 1.6 §5.18, §6.53.
enum UnlockConnector {
    static let action = "UnlockConnector"
    /// 1.6 has no Rejected here.
    static let answer = StatusAnswer(words: ["Unlocked", "NotSupported", "UnlockFailed"])

    static func write(_ connector: ConnectorNumber, _ writer: inout JSONWriter) {
        writer.object { w in w.member("connectorId", connector) }
    }

    static func command(in payload: RawSpan) throws(CallError) -> Decoded<StationCommand> {
        var connector: Int?
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "connectorId") {
                connector = try f.integer(&r, "connectorId")
            } else {
                try f.unknown(&r)
            }
        }
        return Decoded(
            .unlock(connector: try fields.required(connector, "connectorId")), fields.deviations)
    }
}
