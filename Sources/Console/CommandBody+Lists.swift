import Charging
import JSON

extension CommandBody {
    /// The orders about lists and reservations.
    static func list(
        _ body: JSONValue, connector: ConnectorNumber?
    ) throws(APIProblem) -> CommandBody {
        switch body["command"]?.string {
        case "reserve":
            guard let token = body["token"]?.string, (1...36).contains(token.utf8.count) else {
                throw .field("token", "must say whom it is for, in 1 to 36 characters")
            }
            guard let expires = body["expires"]?.time else {
                throw .field("expires", "must be a time as 2027-01-31T12:00:00Z")
            }
            return .reserve(
                connector: connector ?? 0, token: token, expires: expires,
                replacing: try reservation(body, isNeeded: false))
        case "cancelReservation":
            return .cancelReservation(try reservation(body, isNeeded: true) ?? 0)
        case "sendLocalList": return .other(.sendLocalList(try localList(body)))
        default: return .other(.getLocalListVersion)
        }
    }

    /// The house's number of a reservation.
    static func reservation(_ body: JSONValue, isNeeded: Bool) throws(APIProblem) -> Int? {
        guard let value = body["reservation"], !value.isNull else {
            if isNeeded { throw .field("reservation", "must be the number of a reservation") }
            return nil
        }
        guard let number = value.int, number > 0 else {
            throw .field("reservation", "must be the number of a reservation")
        }
        return number
    }

    /// `{"kind": "Full", "version": 1, "entries": [{"token", "status"?, "group"?, "expires"?}]}`; an
    /// entry without status takes the token off the list.
    static func localList(_ body: JSONValue) throws(APIProblem) -> LocalListUpdate {
        guard let kind = (body["kind"]?.string).flatMap(LocalListUpdate.Kind.init(rawValue:)) else {
            throw .field("kind", "must be Full or Differential")
        }
        guard let version = body["version"]?.int, (1...Int(Int32.max)).contains(version) else {
            throw .field("version", "must be a number above 0")
        }
        let values = body["entries"]?.array ?? []
        guard values.count <= LocalListUpdate.mostEntries else {
            throw .field("entries", "must be at most \(LocalListUpdate.mostEntries)")
        }
        var entries: [LocalListUpdate.Entry] = []
        for value in values { entries.append(try entry(value, kind)) }
        return LocalListUpdate(kind: kind, version: version, entries: entries)
    }

    private static func entry(
        _ value: JSONValue, _ kind: LocalListUpdate.Kind
    ) throws(APIProblem) -> LocalListUpdate.Entry {
        guard let token = value["token"]?.string, (1...20).contains(token.utf8.count) else {
            throw .field("entries", "each must have a `token` of 1 to 20 characters")
        }
        guard let word = value["status"]?.string else {
            guard kind == .differential else {
                throw .field("entries", "each must have a `status` in a full list")
            }
            return LocalListUpdate.Entry(token: token, info: nil)
        }
        guard let status = AuthorizationStatus(rawValue: word) else {
            throw .field("entries", "`status` must be Accepted, Blocked, Expired or Invalid")
        }
        return LocalListUpdate.Entry(
            token: token,
            info: AuthorizationInfo(
                status, group: value["group"]?.string, expires: value["expires"]?.time))
    }
}
