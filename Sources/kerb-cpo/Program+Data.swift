import Beckn
import CPO
import Charging
import Console
import Glibc
import HTTPClient
import JSON
import OCPI
import SQL
import Service
import Web

extension Program {
    // MARK: The database as a file

    /// - Parameter isServer: what serves; a second one at the same database is refused.
    static func open(_ settings: Settings, isServer: Bool = false) async throws -> Database {
        do {
            let database = try settings.database.open(
                isServer: isServer, readers: settings.readers)
            try await database.migrate(Doors.migrations)
            return database
        } catch let error as SQLError {
            throw failure(error, settings.database)
        }
    }

    /// Names the place and, where the folder is the reason, the folder.
    static func failure(_ error: SQLError, _ place: DatabasePlace) -> Failure {
        if case .sqlite(let path) = place {
            let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
            guard FileSystem.isFolder(folder) else {
                return Failure(
                    text:
                        "database: \(folder) is not there; make it for this program's user, or change "
                        + "`database`")
            }
        }
        return Failure(text: "database: \(place): \(error)")
    }

    static func migrate(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        let settings = try settings(invocation)
        let database = try await open(settings)
        await database.close()
        print("\(settings.database): up to date")
        return .done
    }

    static func backup(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        let settings = try settings(invocation)
        do {
            let database = try settings.database.open(isServer: false, readers: 1)
            try await database.backup(to: invocation.arguments[0])
            await database.close()
        } catch let error as SQLError {
            throw failure(error, settings.database)
        }
        print("\(invocation.arguments[0]): written")
        return .done
    }

    /// What was there is kept, so that a mistake can be undone.
    static func restore(_ invocation: CommandTable.Invocation) throws -> ExitCode {
        let settings = try settings(invocation)
        let source = invocation.arguments[0]
        guard FileSystem.exists(source) else {
            throw Failure(text: "\(source) is not there")
        }
        let restored: DatabasePlace.Restored
        do {
            restored = try settings.database.restore(from: source, at: SystemClock().now)
        } catch let error as SQLError {
            throw failure(error, settings.database)
        }
        print(
            "\(settings.database): restored from \(source)"
                + (restored.before.map { "; what was there before is in \($0)" } ?? "")
                + sentence(restored.erasures))
        return .done
    }

    // MARK: Looking for trouble

    static func doctor(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        let settings = try settings(invocation)
        var findings: [(name: String, isFine: Bool, what: String)] = []
        var hints: [String] = []
        func note(_ name: String, _ problem: String?, fine: String) {
            findings.append((name, problem == nil, problem ?? fine))
        }
        do {
            let database = try await open(settings)
            let wrong = try await database.quickCheck()
            note("database", wrong.isEmpty ? nil : wrong.joined(separator: "; "), fine: "sound")
            if wrong.isEmpty { hints = try await prices(settings, database, log(invocation)) }
            await database.close()
        } catch {
            let reason = (error as? Failure)?.text ?? "\(settings.database): \(error)"
            note("database", reason, fine: "")
        }
        if case .sqlite(let path) = settings.database {
            do throws(FileError) {
                let free = try FileSystem.freeBytes(at: path)
                note(
                    "disk", free < 1 << 30 ? "only \(free >> 20) MiB free" : nil,
                    fine: "\(free >> 30) GiB free")
            } catch {
                note("disk", "\(error)", fine: "")
            }
        }
        for listener in settings.listeners {
            guard let tls = listener.tls else { continue }
            let look = CertificateLook(
                tls, authority: settings.authority(of: listener), now: SystemClock().now)
            note("certificate", look.problem, fine: look.fine)
        }
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(7), &limit)
        note(
            "descriptors",
            limit.rlim_cur < 4096 ? "only \(limit.rlim_cur); raise LimitNOFILE" : nil,
            fine: "\(limit.rlim_cur)")
        let now = SystemClock().now
        note(
            "clock", now < Timestamp(seconds: 1_767_225_600) ? "says \(now)" : nil, fine: "\(now)")
        for finding in findings {
            print("\(finding.isFine ? "ok  " : "BAD ") \(finding.name): \(finding.what)")
        }
        for hint in hints { print("note \(hint)") }
        return findings.allSatisfy(\.isFine) ? .done : .failed
    }
}

extension Program {
    private static let mostNamed = 5

    /// Charges for nothing may be meant: they are told, and nothing is wrong.
    private static func prices(
        _ settings: Settings, _ database: Database, _ log: Log
    ) async throws -> [String] {
        let house = try await ChargePointOperator(
            database: database, settings: settings.house, log: log)
        let unpriced = try await house.unpriced()
        func named(_ ids: [String]) -> String {
            ids.prefix(mostNamed).joined(separator: ", ")
                + (ids.count > mostNamed ? " and \(ids.count - mostNamed) more" : "")
        }
        var hints: [String] = []
        if !unpriced.plugs.isEmpty {
            hints.append(
                "prices: charges cost nothing at \(named(unpriced.plugs)): no tariff of `tariff_ids` is valid now"
            )
        }
        if !unpriced.homeless.isEmpty {
            hints.append(
                "places: charges cost nothing at \(named(unpriced.homeless)): no location has that plug (PUT /locations/ID)"
            )
        }
        return hints
    }
}

// MARK: What the doors bring

extension Program {
    static func addUser(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        let (settings, role) = (try settings(invocation), try role(invocation))
        let password = try invocation.value("--password-file").map(secret(in:))
        let name = invocation.arguments[0]
        let database = try await open(settings)
        let users = Users(database: database)
        if try await users.exists(name), !invocation.has("--replace") {
            await database.close()
            throw Failure(
                code: .refused,
                text: "\(name) is there already; --replace gives a new password and the role "
                    + role.rawValue)
        }
        let made = try await account { () async throws -> String in
            try await users.put(name, role: role, password: password)
        }
        await database.close()
        if invocation.isJSON {
            var text: [String: JSONValue] = ["user": .string(name), "role": .string(role.rawValue)]
            if password == nil { text["password"] = .string(made) }
            print(JSONValue.object(text).text)
        } else {
            print("\(name): may log in as \(role.rawValue)")
            if password == nil { print("password  \(made)  (shown this once)") }
        }
        return .done
    }

    static func addKey(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        let (settings, role) = (try settings(invocation), try role(invocation))
        let name = invocation.arguments[0]
        let database = try await open(settings)
        let key = try await account { () async throws -> String in
            try await Keys(database: database).add(name, role: role)
        }
        await database.close()
        if invocation.isJSON {
            print(JSONValue.object(["key": .string(key), "role": .string(role.rawValue)]).text)
        } else {
            print(key)
        }
        return .done
    }

    private static func role(_ invocation: CommandTable.Invocation) throws -> Role {
        guard let role = invocation.value("--role").flatMap(Role.init(rawValue:)) else {
            let known = Role.allCases.map(\.rawValue).joined(separator: ", ")
            throw Failure(code: .usage, text: "--role must be one of \(known)")
        }
        return role
    }

    static func account<Value>(_ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch let error as AccountError {
            throw Failure(code: error.isMistyped ? .usage : .refused, text: "\(error)")
        }
    }

    /// The first line of a file, or of standard input.
    private static func secret(in file: String) throws -> String {
        let text =
            file == "-"
            ? readLine(strippingNewline: true) ?? ""
            : try String(decoding: FileSystem.read(file), as: UTF8.self)
        return String(text.prefix { !$0.isNewline })
    }

    static func invite(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        let settings = try settings(invocation)
        let database = try await open(settings)
        let house = try await ChargePointOperator(
            database: database, settings: settings.house, log: log(invocation))
        let door = try await OCPIDoor(
            house, settings: settings.ocpi, client: HTTPClient(.init(rules: .strict)))
        let invitation = try await door.invite(invocation.arguments[0])
        await database.close()
        if invocation.isJSON {
            let text: JSONValue = [
                "token": .string(invitation.tokenA), "versionsURL": .string(invitation.versionsURL),
            ]
            print(text.text)
        } else {
            print("token     \(invitation.tokenA)")
            print("versions  \(invitation.versionsURL)")
        }
        return .done
    }

    static func makeBecknKey(_ invocation: CommandTable.Invocation) throws -> ExitCode {
        let pair = try BecknKeyPair.generate()
        if let file = invocation.value("--out") {
            guard !FileSystem.exists(file) else {
                throw Failure(
                    code: .refused, text: "\(file) is there already; a key is never overwritten")
            }
            try FileSystem.writeAtomically(Array(pair.privateKeyText.utf8), to: file)
        }
        var record: [String: JSONValue] = [
            "unique_key_id": .string(pair.uniqueKeyID),
            "signing_public_key": .string(pair.publicKeyText),
        ]
        if invocation.value("--out") == nil { record["private_key"] = .string(pair.privateKeyText) }
        print(JSONValue.object(record).text)
        return .done
    }
}
