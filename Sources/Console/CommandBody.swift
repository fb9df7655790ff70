import CPO
import Charging
import JSON

/// An order as the API spells it.
enum CommandBody {
    /// `isUnknown`: the caller vouches for a token that nobody here knows.
    case start(connector: ConnectorNumber?, token: String, isUnknown: Bool)
    case stop(session: String)
    case reserve(connector: ConnectorNumber, token: String, expires: Timestamp, replacing: Int?)
    case cancelReservation(Int)
    case other(StationCommand)
    /// Once its time has come.
    case scheduled(StationCommand, at: Timestamp)

    init(_ body: JSONValue, now: Timestamp) throws(APIProblem) {
        try Self.refuseStrangers(body)
        let due = try Self.due(body, now: now)
        if let action = body["action"]?.string {
            guard !action.isEmpty, action.utf8.allSatisfy({ $0 > 0x40 && $0 < 0x7B }) else {
                throw .field("action", "must be an OCPP action's name")
            }
            self = .other(.foreign(action: action, payload: (body["payload"] ?? [:]).text))
            return
        }
        let connector = try Self.connector(body)
        if let limit = try LimitBody.command(body, connector, now: now) {
            self = .other(limit)
            return
        }
        switch body["command"]?.string {
        case "start":
            guard let token = body["token"]?.string, (1...36).contains(token.utf8.count) else {
                throw .field("token", "must say who pays, in 1 to 36 characters")
            }
            let vouched = body["unknownToken"] ?? false
            guard let isUnknown = vouched.bool else {
                throw .field("unknownToken", "must be true or false")
            }
            self = .start(connector: connector, token: token, isUnknown: isUnknown)
        case "stop":
            guard let session = body["session"]?.string else {
                throw .field("session", "must be the id of a running session")
            }
            self = .stop(session: session)
        case "reserve", "cancelReservation", "sendLocalList", "getLocalListVersion":
            self = try Self.list(body, connector: connector)
        case let name?:
            let command = try Self.plain(name, body, connector)
            self = due.map { .scheduled(command, at: $0) } ?? .other(command)
        case nil: throw .field("command", Self.known)
        }
    }

    /// When an availability shall change; nil: now.
    private static func due(_ body: JSONValue, now: Timestamp) throws(APIProblem) -> Timestamp? {
        guard let value = body["at"], !value.isNull else { return nil }
        guard let due = value.time, due > now,
            due <= now.advanced(bySeconds: Commands.longestSchedule)
        else {
            throw .field("at", "must be a time (RFC 3339) from now on, at most a year ahead")
        }
        return due
    }

    /// What the station gets as it stands.
    private static func plain(
        _ name: String, _ body: JSONValue, _ connector: ConnectorNumber?
    ) throws(APIProblem) -> StationCommand {
        switch name {
        case "unlock": return .unlock(connector: connector ?? 1)
        case "reset":
            guard
                let kind = ResetKind(rawValue: body.given("kind").map { $0.string ?? "" } ?? "Soft")
            else {
                throw .field("kind", "must be Soft or Hard")
            }
            return .reset(kind)
        case "setAvailability":
            guard let operative = body["operative"]?.bool else {
                throw .field("operative", "must be true or false")
            }
            return .setAvailability(connector: connector ?? 0, operative: operative)
        case "changeSetting":
            guard let key = body["key"]?.string, let value = body["value"]?.string else {
                throw .field("key", "and `value` must be texts")
            }
            return .changeSetting(key: key, value: value)
        case "getSettings":
            let values = body.given("keys").map { $0.array ?? [.null] } ?? []
            let keys = values.compactMap(\.string)
            guard keys.count == values.count else {
                throw .field("keys", "must be a list of names; left out: all")
            }
            return .getSettings(keys: keys)
        case "clearCache": return .clearCache
        case "trigger":
            guard let message = body["message"]?.string else {
                throw .field("message", "must name the message to send")
            }
            return .trigger(message: message, connector: connector)
        case "data":
            guard let vendor = body["vendor"]?.string, !vendor.isEmpty else {
                throw .field("vendor", "must say whose message it is")
            }
            return .data(
                DataMessage(
                    vendor: vendor, message: try body.text("message"),
                    data: try body.text("data")))
        case _ where MaintenanceOrder.names.contains(name):
            var order = body
            if name == "extendedTrigger" { order["connector"] = connector.map { .number($0) } }
            do {
                return .maintenance(try MaintenanceOrder(stored: order))
            } catch let error as StoredError {
                throw .field(error.key, "is missing, or is not what this command takes")
            } catch {
                throw .field("command", "cannot be read")
            }
        default: throw .field("command", known)
        }
    }

    static func connector(_ body: JSONValue) throws(APIProblem) -> ConnectorNumber? {
        let (evse, plug) = (body.given("evse"), body.given("connector"))
        guard evse == nil || plug == nil || evse == plug else {
            throw .field("connector", "and `evse` are names of one thing: give one")
        }
        guard let value = evse ?? plug else { return nil }
        guard let number = value.int, (0...Stations.mostConnectors).contains(number) else {
            throw .field("evse", "must be a connector's number")
        }
        return number
    }
}
