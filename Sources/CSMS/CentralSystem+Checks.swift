import Charging
import JSON
import OCPP

/// Why a command cannot be sent as it stands.
package struct CommandProblem: Error, Hashable, Sendable {
    /// The wire's name of the field, with the path to it; `action` or `payload` for the whole.
    package var field: String
    package var detail: String
}

// Strict out: what a person typed is sent only when it is what the version's specification has.
extension CentralSystem {
    /// A command as it may be sent; a raw one in the spelling of our own writer, keys sorted.
    ///
    /// - Throws: `CommandProblem` with field and reason.
    package func checked(
        _ command: StationCommand, for station: String
    ) throws(CommandProblem) -> StationCommand {
        let dialect = dialect(of: station)
        guard case .foreign(let action, let payload) = command else {
            _ = try Self.request(command, dialect)
            try Self.checkPassword(in: command, "value")
            return command
        }
        let meaning = try Self.read(action, payload, dialect)
        try Self.checkPassword(in: meaning.value, "payload.value")
        let request = try Self.request(meaning.value, dialect)
        let sent = String(decoding: request.payload, as: UTF8.self)
        let (given, ours): (JSONValue, JSONValue)
        do throws(JSONError) {
            (given, ours) = (try JSONValue(parsing: payload), try JSONValue(parsing: sent))
        } catch {
            throw CommandProblem(field: "payload", detail: "is no JSON object")
        }
        if let path = Self.difference(given, ours, "payload") {
            throw CommandProblem(
                field: path,
                detail: "is unknown to \(action), or not in the form that \(action) takes")
        }
        if let deviation = meaning.deviations.all.first(where: { $0.strictCode != nil }) {
            throw CommandProblem(
                field: "payload", detail: "departs from the specification: \(deviation.rawValue)")
        }
        return .foreign(action: action, payload: sent)
    }

    /// A station decodes the digits: of fewer it would have a password that is quickly guessed, and of
    /// other text one that nobody knows. OCPP 1.6 security white paper A00.FR.205.
    private static func checkPassword(
        in command: StationCommand, _ field: String
    ) throws(CommandProblem) {
        guard case .changeSetting(let key, let value) = command,
            key.lowercased() == "authorizationkey",
            StationVerifier.bytes(fromHex: Array(value.utf8)) == nil
        else { return }
        throw CommandProblem(
            field: field,
            detail: "must be 32 to 40 hexadecimal digits, two for each of the password's 16 to 20 "
                + "bytes")
    }

    /// What a command asks for; a raw one in neutral words where it has some.
    func meaning(of command: StationCommand, for station: String) -> StationCommand {
        guard case .foreign(let action, let payload) = command else { return command }
        // What cannot be read has no meaning of ours.
        return
            (try? dialect(of: station).command(
                action: action, payload: Array(payload.utf8).span.bytes))?.value ?? command
    }

    /// The one its socket speaks, else our first.
    private func dialect(of station: String) -> any Dialect {
        links[station]?.dialect ?? dialects[0]
    }

    private static func request(
        _ command: StationCommand, _ dialect: any Dialect
    ) throws(CommandProblem) -> CallRequest {
        do throws(DialectError) {
            return try dialect.request(for: command)
        } catch {
            switch error {
            case .unknownToVersion(let action):
                throw CommandProblem(
                    field: "action", detail: "\(action) is not part of \(dialect.version.name)")
            case .missing(let field):
                throw CommandProblem(
                    field: field, detail: "is missing, and \(dialect.version.name) needs it")
            case .unfit(let field):
                throw CommandProblem(
                    field: field,
                    detail: "is too long, out of range or not of \(dialect.version.name)")
            }
        }
    }

    private static func read(
        _ action: String, _ payload: String, _ dialect: any Dialect
    ) throws(CommandProblem) -> Decoded<StationCommand> {
        guard dialect.knows(action: action) else {
            throw CommandProblem(
                field: "action", detail: "\(action) is not part of \(dialect.version.name)")
        }
        do throws(CallError) {
            return try dialect.command(action: action, payload: Array(payload.utf8).span.bytes)
        } catch {
            if error.code == .notSupported {
                throw CommandProblem(
                    field: "action", detail: "\(action) goes from the station to us, not to it")
            }
            throw CommandProblem(field: field(of: error, payload), detail: error.description)
        }
    }

    /// The field that an error's constant text speaks of: after its colon, or one that was given.
    private static func field(of error: CallError, _ payload: String) -> String {
        if let colon = error.description.lastIndex(of: ":") {
            let name = error.description[colon...].dropFirst().drop { $0 == " " }
            return "payload.\(name)"
        }
        // What is no JSON object has no fields.
        let given = (try? JSONValue(parsing: payload))?.object ?? [:]
        let word = error.description.split(separator: " ").first { given[String($0)] != nil }
        return word.map { "payload.\($0)" } ?? "payload"
    }

    /// Where what was given is not what would be sent; nil where it is the same in other spelling.
    private static func difference(
        _ given: JSONValue, _ sent: JSONValue, _ path: String
    ) -> String? {
        switch (given, sent) {
        case (.object(let given), .object(let sent)):
            for key in given.keys.sorted() {
                guard let mine = given[key], let theirs = sent[key] else { return "\(path).\(key)" }
                if let found = difference(mine, theirs, "\(path).\(key)") { return found }
            }
            return nil
        case (.array(let given), .array(let sent)):
            guard given.count == sent.count else { return path }
            for (index, pair) in zip(given, sent).enumerated() {
                if let found = difference(pair.0, pair.1, "\(path)[\(index)]") { return found }
            }
            return nil
        case (.number, .number): return given.decimal == sent.decimal ? nil : path
        default:
            if given == sent { return nil }
            return given.time != nil && given.time == sent.time ? nil : path
        }
    }
}
