import Charging
import JSON
import OCPP

/// The operator asks a station to send one of its own messages now. OCPP 1.6 §5.17, §6.51.
enum TriggerMessage {
    static let action = "TriggerMessage"
    static let answer = StatusAnswer(words: ["Accepted", "NotImplemented", "Rejected"])

    static func write(
        _ message: String, _ connector: ConnectorNumber?, _ writer: inout JSONWriter
    ) {
        writer.object { w in
            w.member("connectorId", ifAny: connector)
            w.member("requestedMessage", message)
        }
    }

    static func command(in payload: RawSpan) throws(CallError) -> Decoded<StationCommand> {
        var message: String?
        var connector: Int?
        var fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "requestedMessage") {
                message = try f.text(
                    &r, "requestedMessage", maximum: OCPPLimits.textCharacters)
            } else if r.matches(key, "connectorId") {
                connector = try f.integer(&r, "connectorId")
            } else {
                try f.unknown(&r)
            }
        }
        let name = try fields.required(message, "requestedMessage")
        // The station answers NotImplemented to a name it does not know.
        if !Vocabulary.triggers.contains(name) { fields.deviations.insert(.unknownEnumValue) }
        return Decoded(.trigger(message: name, connector: connector), fields.deviations)
    }
}
