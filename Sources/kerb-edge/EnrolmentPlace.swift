import Charging
import Crypto
import Glibc
import Service

/// Where an identity is written: the configuration, and two files beside it under names of their own,
/// so that nothing changes before the configuration does.
final class EnrolmentPlace {
    private static let prefix = "enrolled-"
    /// In the data directory: the password file of the identity that the operator last accepted.
    static let acceptedName = "identity-accepted"

    private let configuration: String
    private let folder: String
    private let old: String
    private let mode: mode_t
    let passwordFile: String
    private let caFile: String
    private(set) var notes: [String] = []

    /// - Throws: `Program.Failure` where nothing can be written.
    init(configuration path: String) throws {
        configuration = path
        folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        let name = Self.prefix + Hex.encode(RandomBytes.make(4))
        passwordFile = "\(Self.absolute(folder))/\(name).password"
        caFile = "\(Self.absolute(folder))/\(name)-ca.pem"
        guard FileSystem.exists(path) else {
            throw Program.Failure(
                code: .usage,
                text:
                    "\(path): no such file; begin with the example of the package or Config/edge.yaml"
            )
        }
        do throws(FileError) {
            old = String(decoding: try FileSystem.read(path), as: UTF8.self)
            mode = try FileSystem.mode(of: path) & 0o777
        } catch {
            throw Program.Failure(code: .usage, text: "\(error); run this as root")
        }
        guard access(folder, W_OK | X_OK) == 0 else {
            throw Program.Failure(
                code: .usage, text: "\(folder) cannot be written; run this as root")
        }
    }

    /// The station this board is already: its configuration names a password that is there.
    var identity: String? {
        let found = found()
        guard let secret = found.secret, FileSystem.exists(secret) else { return nil }
        return found.station ?? "a station"
    }

    private final class Found {
        var station: String?
        var secret: String?
        var data: String?
    }

    private func found() -> Found {
        let found = Found()
        // What else is wrong with the configuration does not matter here.
        _ = try? Configuration<Int>.parse(Array(old.utf8), file: configuration) { file in
            let csms = file.section("csms")
            found.station = file.textOrNil("stationID")
            found.secret = csms.pathOrNil("passwordFile") ?? csms.pathOrNil("keyFile")
            found.data = file.path("dataDirectory", default: "/var/lib/kerb-edge", about: "")
            return 0
        }
        return found
    }

    /// Whether the operator has accepted a boot of the identity that is there.
    private var isAccepted: Bool {
        let found = found()
        guard let secret = found.secret, let data = found.data else { return false }
        // Of the agent's user, so through no link; no file is no acceptance.
        let kept = try? HeldFolder(data).read(Self.acceptedName, limitBytes: 4096)
        return kept == Array("\(secret)\n".utf8)
    }

    /// Where the configuration of the identity before lies.
    private var before: String { "\(configuration).before-enrolment" }

    func note(_ text: String) { notes.append(text) }

    func authorityFile(_ authority: String?) -> String? { authority == nil ? nil : caFile }

    /// Writes the secrets under their new names, for the agent's user alone.
    func write(password: String, authority: String?) throws {
        try FileSystem.writeAtomically(Array("\(password)\n".utf8), to: passwordFile, mode: 0o600)
        try give(passwordFile)
        guard let authority else { return }
        try FileSystem.writeAtomically(Array(authority.utf8), to: caFile, mode: 0o644)
    }

    /// The configuration with this identity in it.
    ///
    /// - Throws: `Program.Failure` with what is in the way.
    func edited(_ identity: Program.Identity) throws -> String {
        // A board that works is only warned of it; a new one does not begin so.
        if let fault = EdgeSettings.endFault(identity.url, identity.station) {
            throw Program.Failure(code: .usage, text: "\(configuration): `csms.url`: \(fault)")
        }
        var edit = ConfigEdit(old)
        do throws(ConfigEdit.Refusal) {
            try edit.set("stationID", identity.station)
            try edit.set("caFile", of: "csms", identity.hasAuthority ? caFile : nil)
            try edit.set("passwordFile", of: "csms", passwordFile)
            try edit.set("securityProfile", of: "csms", "2")
            try edit.set("url", of: "csms", identity.url)
        } catch {
            throw Program.Failure(code: .usage, text: "\(configuration): \(error)")
        }
        do throws(ConfigProblems) {
            let read = try Configuration.parse(
                Array(edit.text.utf8), file: configuration, EdgeSettings.read
            ).value
            guard read.stationID == identity.station, read.csms.url == identity.url,
                read.csms.passwordFile == passwordFile
            else {
                throw ConfigProblems(all: [])
            }
        } catch {
            try judge(error)
        }
        return edit.text
    }

    /// What was wrong with other keys stays for `config check`; the identity's own must be right.
    private func judge(_ problems: ConfigProblems) throws {
        guard !problems.all.isEmpty else {
            throw Program.Failure(
                code: .usage,
                text:
                    "\(configuration): stationID and csms cannot be changed here; write them as in "
                    + "the example, one key a line")
        }
        for problem in problems.all {
            // Every mistake names its key; what is no YAML at all names none.
            let isOwn = ["`stationID`", "`csms"].contains { problem.what.contains(text: $0) }
            if isOwn || problems.isUnreadable {
                throw Program.Failure(code: .usage, text: "\(problem)")
            }
        }
        notes = ["\(problems.all.count) other keys are still wrong; see `kerb-edge config check`"]
    }

    /// The step from the old identity to the new one. The old one's configuration and secrets stay: until
    /// the operator has accepted a boot with the new ones nobody knows whether they are good. What was
    /// never accepted is no identity to go back to, so it takes the place of none.
    func commit(_ text: String) throws {
        var info = stat()
        let hasOwner = geteuid() == 0 && stat(configuration, &info) == 0
        let isReplacing = identity != nil
        let isProven = isReplacing && isAccepted
        if isReplacing, isProven || !FileSystem.exists(before) {
            try FileSystem.writeAtomically(Array(old.utf8), to: before, mode: mode)
            // Moved back, it has to be readable by the agent.
            if hasOwner { _ = chown(before, info.st_uid, info.st_gid) }
        }
        try FileSystem.writeAtomically(Array(text.utf8), to: configuration, mode: mode)
        if hasOwner { _ = chown(configuration, info.st_uid, info.st_gid) }
        if FileSystem.exists(before) {
            note("to be what it was again: mv \(before) \(configuration)")
        }
        guard isProven else { return }
        // Those before the old ones. The step is made: what cannot be removed stays.
        for name in (try? FileSystem.names(in: folder)) ?? []
        where name.hasPrefix(Self.prefix) && !text.contains(text: name)
            && !old.contains(text: name)
        {
            // As above.
            try? FileSystem.remove("\(folder)/\(name)")
        }
    }

    /// Nothing has changed.
    func withdraw() {
        // The step may be made although it ended with an error: then they are this board's.
        let text = (try? FileSystem.read(configuration)).map { String(decoding: $0, as: UTF8.self) }
        guard let text, !text.contains(text: passwordFile) else { return }
        for file in [passwordFile, caFile] {
            // The failure that led here is the one to tell.
            try? FileSystem.remove(file)
        }
    }

    /// Written by root, read by the agent's own user.
    private func give(_ path: String) throws {
        guard geteuid() == 0, let user = getpwnam("kerb-edge") else { return }
        guard chown(path, user.pointee.pw_uid, user.pointee.pw_gid) == 0 else {
            throw FileError(path, errno: errno)
        }
    }

    private static func absolute(_ folder: String) -> String {
        guard let found = realpath(folder, nil) else { return folder }
        defer { free(found) }
        return String(cString: found)
    }
}
