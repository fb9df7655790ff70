import Charging
import JSON

/// How the commands of smart charging are stored.
extension StationCommand {
    /// nil for every other command.
    var storedProfileMembers: [String: JSONValue]? {
        switch self {
        case .startLimited(let connector, let token, let profile):
            [
                "connector": .int(connector) ?? .null, "token": .string(token),
                "profile": profile.json,
            ]
        case .setProfile(let connector, let profile):
            ["connector": .number(connector), "profile": profile.json]
        case .clearProfiles(let filter):
            [
                "id": .int(filter.id) ?? .null, "connector": .int(filter.connector) ?? .null,
                "purpose": .text(filter.purpose?.rawValue) ?? .null,
                "stackLevel": .int(filter.stackLevel) ?? .null,
            ]
        case .getComposite(let connector, let seconds, let unit):
            [
                "connector": .number(connector), "seconds": .number(seconds),
                "unit": .text(unit?.rawValue) ?? .null,
            ]
        default: nil
        }
    }

    /// nil where `name` is no command of smart charging.
    init?(storedProfile stored: JSONValue, name: String) throws {
        func profile() throws -> ChargingProfile {
            try stored.required("profile", ChargingProfile.init(json:))
        }
        switch name {
        case "startLimited":
            self = .startLimited(
                connector: try stored.intOrNil("connector"), token: try stored.text("token"),
                try profile())
        case "setProfile":
            self = .setProfile(connector: try stored.int("connector"), try profile())
        case "clearProfiles":
            self = .clearProfiles(
                ProfileFilter(
                    id: try stored.intOrNil("id"), connector: try stored.intOrNil("connector"),
                    purpose: try stored.optional("purpose") {
                        $0.string.flatMap(ChargingProfile.Purpose.init(rawValue:))
                    }, stackLevel: try stored.intOrNil("stackLevel")))
        case "getComposite":
            self = .getComposite(
                connector: try stored.int("connector"), seconds: try stored.int("seconds"),
                unit: try stored.optional("unit") {
                    $0.string.flatMap(ChargingSchedule.Unit.init(rawValue:))
                })
        default: return nil
        }
    }
}
