import Charging
import JSON
import OCPP

/// The operator puts a connector, or the station as connector 0, in or out of service.
/// OCPP 1.6 §5.2, §6.5.
enum ChangeAvailability {
    static let action = "ChangeAvailability"
    static let answer = StatusAnswer(words: ["Accepted", "Scheduled", "Rejected"])
    private static let kinds = Words<Bool>([("Operative", true), ("Inoperative", false)])

    static func write(
        _ connector: ConnectorNumber, _ isOperative: Bool, _ writer: inout JSONWriter
    ) {
        writer.object { w in
            w.member("connectorId", connector)
            w.member("type", isOperative ? "Operative" : "Inoperative")
        }
    }

    static func command(in payload: RawSpan) throws(CallError) -> Decoded<StationCommand> {
        var connector: Int?
        var isOperative: Bool?
        var foreign: String?
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "connectorId") {
                connector = try f.integer(&r, "connectorId")
            } else if r.matches(key, "type") {
                isOperative = try f.word(&r, "type", kinds, foreign: &foreign)
            } else {
                try f.unknown(&r)
            }
        }
        if foreign != nil {
            throw CallError(.propertyViolation, "type is neither Operative nor Inoperative")
        }
        return Decoded(
            .setAvailability(
                connector: try fields.required(connector, "connectorId"),
                operative: try fields.required(isOperative, "type")), fields.deviations)
    }
}
