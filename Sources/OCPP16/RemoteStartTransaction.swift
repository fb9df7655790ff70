import Charging
import JSON
import OCPP

/// The operator asks a station to begin a charge. OCPP 1.6 §5.11, §6.33.
enum RemoteStartTransaction {
    static let action = "RemoteStartTransaction"
    static let answer = StatusAnswer(words: ["Accepted", "Rejected"])

    static func write(
        _ connector: ConnectorNumber?, _ token: String, _ profile: ChargingProfile? = nil,
        _ writer: inout JSONWriter
    ) {
        writer.object { w in
            if let profile {
                w.key("chargingProfile")
                ChargingProfileWire.write(profile, &w)
            }
            w.member("connectorId", ifAny: connector)
            w.member("idTag", token)
        }
    }

    static func command(in payload: RawSpan) throws(CallError) -> Decoded<StationCommand> {
        var connector: Int?
        var token: String?
        var profile: ChargingProfile?
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "connectorId") {
                connector = try f.integer(&r, "connectorId")
            } else if r.matches(key, "idTag") {
                token = try f.orderedToken(&r, "idTag")
            } else if r.matches(key, "chargingProfile") {
                // One that cannot be read refuses the start: without it the car would charge too fast.
                profile = try ChargingProfileWire.read(&r, &f)
            } else {
                try f.unknown(&r)
            }
        }
        if let connector, connector < 1 {
            throw CallError(.propertyViolation, "connectorId must be above 0")
        }
        let idTag = try fields.required(token, "idTag")
        guard let profile else {
            return Decoded(.start(connector: connector, token: idTag), fields.deviations)
        }
        return Decoded(
            .startLimited(connector: connector, token: idTag, profile), fields.deviations)
    }
}
