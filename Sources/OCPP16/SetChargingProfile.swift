import Charging
import JSON
import OCPP

/// The operator limits what charges may draw. OCPP 1.6 §5.16, §6.43.
enum SetChargingProfile {
    static let action = "SetChargingProfile"
    static let answer = StatusAnswer(words: ["Accepted", "NotSupported", "Rejected"])

    static func write(
        _ connector: ConnectorNumber, _ profile: ChargingProfile, _ writer: inout JSONWriter
    ) {
        writer.object { w in
            w.member("connectorId", connector)
            w.key("csChargingProfiles")
            ChargingProfileWire.write(profile, &w)
        }
    }

    static func command(in payload: RawSpan) throws(CallError) -> Decoded<StationCommand> {
        var connector: Int?
        var profile: ChargingProfile?
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "connectorId") {
                connector = try f.integer(&r, "connectorId")
            } else if r.matches(key, "csChargingProfiles") {
                profile = try ChargingProfileWire.read(&r, &f)
            } else {
                try f.unknown(&r)
            }
        }
        let number = try fields.required(connector, "connectorId")
        guard number >= 0 else {
            throw CallError(.propertyViolation, "connectorId must not be negative")
        }
        return Decoded(
            .setProfile(
                connector: number, try fields.required(profile, "csChargingProfiles")),
            fields.deviations)
    }
}
