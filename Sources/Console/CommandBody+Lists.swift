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
        let values = body.given("entries").map { $0.array ?? [.null] } ?? []
        guard values.count <= LocalListUpdate.mostEntries else {
            throw .field("entries", "must be at most \(LocalListUpdate.mostEntries)")
        }
        var entries: [LocalListUpdate.Entry] = []
        for (index, value) in values.enumerated() {
            entries.append(try entry(value, "entries[\(index)]", kind))
        }
        return LocalListUpdate(kind: kind, version: version, entries: entries)
    }

    private static func entry(
        _ value: JSONValue, _ path: String, _ kind: LocalListUpdate.Kind
    ) throws(APIProblem) -> LocalListUpdate.Entry {
        try value.refuseStrangers(entryMembers, at: path)
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
        let (group, expires) = (value.given("group"), value.given("expires"))
        guard group == nil || group?.string != nil else {
            throw .field("\(path).group", "must be a text")
        }
        guard expires == nil || expires?.time != nil else {
            throw .field("\(path).expires", "must be a time as 2027-01-31T12:00:00Z")
        }
        return LocalListUpdate.Entry(
            token: token,
            info: AuthorizationInfo(status, group: group?.string, expires: expires?.time))
    }
}
