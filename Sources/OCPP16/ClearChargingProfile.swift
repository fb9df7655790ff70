import Charging
import JSON
import OCPP

/// The operator removes profiles: the one with an id, or all that fit what is named, or all.
/// OCPP 1.6 §5.5, §6.13.
enum ClearChargingProfile {
    static let action = "ClearChargingProfile"
    static let answer = StatusAnswer(words: ["Accepted", "Unknown"])

    static func write(_ filter: ProfileFilter, _ writer: inout JSONWriter) {
        writer.object { w in
            w.member("chargingProfilePurpose", ifAny: filter.purpose?.rawValue)
            w.member("connectorId", ifAny: filter.connector)
            w.member("id", ifAny: filter.id)
            w.member("stackLevel", ifAny: filter.stackLevel)
        }
    }

    static func command(in payload: RawSpan) throws(CallError) -> Decoded<StationCommand> {
        var filter = ProfileFilter()
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "id") {
                filter.id = try f.integer(&r, "id")
            } else if r.matches(key, "connectorId") {
                filter.connector = try f.integer(&r, "connectorId")
            } else if r.matches(key, "chargingProfilePurpose") {
                filter.purpose = try f.closed(
                    &r, "chargingProfilePurpose", ChargingProfileWire.purposeWords)
            } else if r.matches(key, "stackLevel") {
                filter.stackLevel = try f.integer(&r, "stackLevel")
            } else {
                try f.unknown(&r)
            }
        }
        try fields.checked()
        return Decoded(.clearProfiles(filter), fields.deviations)
    }
}
