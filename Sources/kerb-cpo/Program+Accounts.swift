import Console
import JSON
import SQL
import Service

/// Who may come in, and who no more; a server that runs reads these rows at each request.
extension Program {
    static let accountCommands: [CommandTable.Command] = [
        .init("user list", flags: [config], "who may log in, and as what"),
        .init(
            "user remove", arguments: ["NAME"], flags: [config],
            "take a person's log-in away and end what is open of it, at once"),
        .init("key list", flags: [config], "API keys by their prefix, the revoked ones too"),
        .init(
            "key revoke", arguments: ["KEY"], flags: [config],
            "end an API key, named by its prefix or its name, at once and for good"),
    ]

    static func accounts(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        let database = try await open(try settings(invocation))
        let (users, keys) = (Users(database: database), Keys(database: database))
        let (text, value): (String, JSONValue)
        do {
            (text, value) = try await account { () async throws -> (String, JSONValue) in
                switch invocation.command {
                case "user list": Self.listed(try await users.list())
                case "key list": Self.listed(try await keys.list())
                case "user remove":
                    try await Self.removed(invocation.arguments[0], of: users)
                default: try await Self.revoked(invocation.arguments[0], of: keys)
                }
            }
        } catch {
            await database.close()
            throw error
        }
        await database.close()
        print(invocation.isJSON ? value.text : text)
        return .done
    }

    /// As the audit names who works at the machine itself.
    private static let commandLine = "command line"

    private static func removed(
        _ name: String, of users: Users
    ) async throws -> (String, JSONValue) {
        try await users.remove(name, by: commandLine)
        return ("\(name): may log in no more", ["user": .string(name), "removed": true])
    }

    private static func revoked(_ name: String, of keys: Keys) async throws -> (String, JSONValue) {
        let key = try await keys.revoke(name, by: commandLine)
        return (
            "\(key.prefix): the key \(key.name) counts no more",
            ["prefix": .string(key.prefix), "name": .string(key.name), "revoked": true]
        )
    }

    private static func listed(_ users: [Users.Line]) -> (String, JSONValue) {
        let lines = users.map { user in
            "\(user.name)  \(user.role?.rawValue ?? "?")  since \(user.createdAt)"
                + "  \(user.openLogins) open"
        }
        let values = users.map { user -> JSONValue in
            [
                "user": .string(user.name), "role": user.role.map { .string($0.rawValue) } ?? .null,
                "createdAt": .time(user.createdAt), "openLogins": .number(user.openLogins),
            ]
        }
        return (
            lines.isEmpty ? "nobody may log in" : lines.joined(separator: "\n"), .array(values)
        )
    }

    private static func listed(_ keys: [Keys.Line]) -> (String, JSONValue) {
        let lines = keys.map { key in
            "\(key.prefix)  \(key.name)  \(key.role?.rawValue ?? "?")  since \(key.createdAt)"
                + (key.revokedAt.map { "  revoked \($0)" } ?? "")
        }
        let values = keys.map { key -> JSONValue in
            .members([
                "prefix": .string(key.prefix), "name": .string(key.name),
                "role": key.role.map { .string($0.rawValue) }, "createdAt": .time(key.createdAt),
                "revokedAt": key.revokedAt.map { .time($0) },
            ])
        }
        return (
            lines.isEmpty ? "there is no key" : lines.joined(separator: "\n"), .array(values)
        )
    }
}
