import Charging
import JSON

extension LocalListUpdate {
    /// As members of a stored command.
    var members: [String: JSONValue] {
        [
            "kind": .string(kind.rawValue), "version": .number(version),
            "entries": .array(entries.map(\.stored)),
        ]
    }

    init(stored: JSONValue) throws {
        self.init(
            kind: try stored.choice("kind"), version: try stored.int("version"),
            entries: try stored.list("entries"))
    }
}

extension LocalListUpdate.Entry: Stored {
    package var stored: JSONValue {
        .members([
            "token": .string(token), "status": info.map { .string($0.status.rawValue) },
            "group": .text(info?.group), "expires": .moment(info?.expires),
        ])
    }

    package init(stored: JSONValue) throws {
        let status = try stored.optional("status") {
            $0.string.flatMap(AuthorizationStatus.init(rawValue:))
        }
        self.init(
            token: try stored.text("token"),
            info: try status.map {
                AuthorizationInfo(
                    $0, group: try stored.textOrNil("group"),
                    expires: try stored.timeOrNil("expires"))
            })
    }
}

extension Reservation {
    /// As members of a stored command.
    var members: [String: JSONValue] {
        [
            "reservation": .number(id), "connector": .number(connector), "token": .string(token),
            "group": .text(group) ?? .null, "expires": .time(expires),
        ]
    }

    init(stored: JSONValue) throws {
        self.init(
            id: try stored.int("reservation"), connector: try stored.int("connector"),
            token: try stored.text("token"), group: try stored.textOrNil("group"),
            expires: try stored.time("expires"))
    }
}
