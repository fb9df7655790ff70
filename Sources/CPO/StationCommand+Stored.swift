import Charging
import JSON

extension StationCommand: Stored {
    /// The neutral name, as the admin API and the command rows spell it.
    package var name: String {
        switch self {
        case .start: "start"
        case .stop: "stop"
        case .unlock: "unlock"
        case .reset: "reset"
        case .setAvailability: "setAvailability"
        case .changeSetting: "changeSetting"
        case .getSettings: "getSettings"
        case .clearCache: "clearCache"
        case .trigger: "trigger"
        case .sendLocalList: "sendLocalList"
        case .getLocalListVersion: "getLocalListVersion"
        case .reserve: "reserve"
        case .cancelReservation: "cancelReservation"
        case .data: "data"
        case .startLimited: "startLimited"
        case .setProfile: "setProfile"
        case .clearProfiles: "clearProfiles"
        case .getComposite: "getComposite"
        case .maintenance(let order): order.name
        case .foreign: "foreign"
        }
    }

    package var stored: JSONValue {
        var members: [String: JSONValue] =
            switch self {
            case .start(let connector, let token):
                ["connector": .int(connector) ?? .null, "token": .string(token)]
            case .stop(let transaction): ["transaction": transaction.stored]
            case .unlock(let connector): ["connector": .number(connector)]
            case .reset(let kind): ["kind": .string(kind.rawValue)]
            case .setAvailability(let connector, let operative):
                ["connector": .number(connector), "operative": .bool(operative)]
            case .changeSetting(let key, let value):
                ["key": .string(key), "value": .string(value)]
            case .getSettings(let keys): ["keys": .array(keys.map { .string($0) })]
            case .clearCache: [:]
            case .trigger(let message, let connector):
                ["message": .string(message), "connector": .int(connector) ?? .null]
            case .sendLocalList(let update): update.members
            case .getLocalListVersion: [:]
            case .reserve(let reservation): reservation.members
            case .cancelReservation(let id): ["reservation": .number(id)]
            case .data(let data):
                [
                    "vendor": .string(data.vendor), "message": .text(data.message) ?? .null,
                    "data": .text(data.data) ?? .null,
                ]
            case .startLimited, .setProfile, .clearProfiles, .getComposite:
                storedProfileMembers ?? [:]
            case .maintenance(let order): order.stored.object ?? [:]
            case .foreign(let action, let payload):
                ["action": .string(action), "payload": .string(payload)]
            }
        members["command"] = .string(name)
        return .object(members)
    }

    package init(stored: JSONValue) throws {
        let name = try stored.text("command")
        if let profiled = try StationCommand(storedProfile: stored, name: name) {
            self = profiled
            return
        }
        switch name {
        case "start":
            self = .start(
                connector: try stored.intOrNil("connector"), token: try stored.text("token"))
        case "stop": self = .stop(try stored.nested("transaction"))
        case "unlock": self = .unlock(connector: try stored.int("connector"))
        case "reset": self = .reset(try stored.choice("kind"))
        case "setAvailability":
            self = .setAvailability(
                connector: try stored.int("connector"), operative: try stored.bool("operative"))
        case "changeSetting":
            self = .changeSetting(key: try stored.text("key"), value: try stored.text("value"))
        case "getSettings": self = .getSettings(keys: try stored.texts("keys"))
        case "clearCache": self = .clearCache
        case "trigger":
            self = .trigger(
                message: try stored.text("message"), connector: try stored.intOrNil("connector"))
        case "sendLocalList": self = .sendLocalList(try LocalListUpdate(stored: stored))
        case "getLocalListVersion": self = .getLocalListVersion
        case "reserve": self = .reserve(try Reservation(stored: stored))
        case "cancelReservation": self = .cancelReservation(id: try stored.int("reservation"))
        case "data":
            self = .data(
                DataMessage(
                    vendor: try stored.text("vendor"), message: try stored.textOrNil("message"),
                    data: try stored.textOrNil("data")))
        case "foreign":
            self = .foreign(
                action: try stored.text("action"), payload: try stored.text("payload"))
        case let name where MaintenanceOrder.names.contains(name):
            self = .maintenance(try MaintenanceOrder(stored: stored))
        default: throw StoredError(key: "command")
        }
    }
}

extension StationCommand {
    /// A setting whose value nobody reads who may read the log, or a payload that holds one.
    package static func isSecret(_ text: String) -> Bool {
        let text = text.lowercased()
        return text.contains("authorizationkey") || text.contains("password")
    }

    /// The same without the secret it carried; nil when it carries none. OCPP 1.6 security white
    /// paper A05: a station's password travels as the value of a setting.
    var masked: StationCommand? {
        switch self {
        case .changeSetting(let key, _) where Self.isSecret(key):
            return .changeSetting(key: key, value: "***")
        case .foreign(let action, let payload) where Self.isSecret(payload):
            return .foreign(action: action, payload: "***")
        case .maintenance(let order): return order.masked.map { .maintenance($0) }
        case .start, .stop, .unlock, .reset, .setAvailability, .changeSetting, .getSettings,
            .clearCache, .trigger, .data, .foreign, .startLimited, .setProfile, .clearProfiles,
            .getComposite:
            return nil
        case .sendLocalList, .getLocalListVersion, .reserve, .cancelReservation:
            return nil
        }
    }
}

extension TransactionReference: Stored {
    /// A number for 1.6, a text for 2.x; the two never mean the same transaction.
    package var stored: JSONValue {
        switch self {
        case .number(let number): .number(number)
        case .text(let text): .string(text)
        case .local(let text): ["local": .string(text)]
        }
    }

    package init(stored: JSONValue) throws {
        if let number = stored.int {
            self = .number(number)
        } else if let text = stored.string {
            self = .text(text)
        } else {
            self = .local(try stored.text("local"))
        }
    }
}
