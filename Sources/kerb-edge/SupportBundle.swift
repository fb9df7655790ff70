import Charging
import Crypto
import Glibc
import JSON
import Service
import Station

/// What support needs to see, as one `tar` without any secret.
///
/// Every file passes the redactor, which knows the contents of the files the configuration names as
/// secret; the configuration itself is given as its values in force, without comments.
struct SupportBundle {
    static let mostBlackBoxes = 20
    private static let mostFileBytes = 4 << 20
    private static let journalctlLines = "2000"

    let settings: EdgeSettings
    let values: [ConfigSetting]
    let findings: [Finding]
    /// The running agent's answers; nil while none runs.
    let status: JSONValue?
    let keys: JSONValue?
    let log: [String]

    /// - Throws: `FileError` if a secret cannot be read, because then nothing could keep it out.
    func archive() throws(FileError) -> [UInt8] {
        let redactor = Redactor(secrets: try secrets())
        var archive = TarArchive(seconds: SystemClock().now.milliseconds / 1000)
        func add(_ name: String, _ text: String) {
            archive.add("kerb-edge/\(name)", redactor.redacted(Array(text.utf8)))
        }
        let plain = Terminal(isTerminal: false, hasColour: false)
        add("doctor.txt", lines(findings.map { $0.text(on: plain) }))
        add("doctor.json", JSONValue.array(findings.map(\.json)).text + "\n")
        add("versions.txt", versions)
        add("config.txt", lines(values.map { "\($0.path): \($0.text)  # \($0.place)" }))
        if let status { add("status.json", status.text + "\n") }
        if let keys { add("settings.json", keys.text + "\n") }
        add("log.txt", lines(log))
        for name in blackBoxes() {
            let path = "\(blackBoxFolder)/\(name)"
            // One that cannot be read is left out: the others are worth sending all the same.
            guard let bytes = try? FileSystem.read(path, limitBytes: Self.mostFileBytes) else {
                continue
            }
            archive.add("kerb-edge/blackbox/\(name)", redactor.redacted(bytes))
        }
        return archive.finished
    }

    private var blackBoxFolder: String { settings.blackBoxFolder }

    private func blackBoxes() -> [String] {
        // No folder, no fault yet.
        let names = (try? FileSystem.names(in: blackBoxFolder)) ?? []
        return names.filter { $0.utf8.count < 80 }.suffix(Self.mostBlackBoxes)
    }

    private func lines(_ lines: [String]) -> String { lines.map { $0 + "\n" }.joined() }

    private var versions: String {
        var name = utsname()
        uname(&name)
        let release = withUnsafeBytes(of: &name.release) {
            String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
        }
        let machine = withUnsafeBytes(of: &name.machine) {
            String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
        }
        // A system that does not name itself is named by its kernel alone.
        let system = (try? FileSystem.read("/etc/os-release", limitBytes: 16_384)) ?? []
        return "kerb-edge \(Program.version)\nLinux \(release) \(machine)\n"
            + String(decoding: system, as: UTF8.self)
    }

    /// Passwords and keys as they are, line by line, and as they go over the wire.
    private func secrets() throws(FileError) -> [[UInt8]] {
        var secrets: [[UInt8]] = []
        for file in [settings.csms.passwordFile, settings.csms.keyFile].compactMap({ $0 }) {
            guard FileSystem.exists(file) else { continue }
            let bytes = try FileSystem.read(file)
            for line in bytes.split(whereSeparator: { $0 == 0x0A || $0 == 0x0D }) {
                // The frame of a PEM file is no secret.
                guard !line.starts(with: Array("-----".utf8)) else { continue }
                secrets.append(Array(line))
                let login = Array("\(settings.stationID):".utf8) + line
                secrets.append(Array(Base64.encode(login).utf8))
                secrets.append(Array(Hex.encode(Array(line)).utf8))
            }
        }
        // Passwords that came over OCPP and lie with the board's credentials.
        for password in LinkCredentials.passwords(in: settings.credentialsFolder) {
            let login = Array("\(settings.stationID):".utf8) + password
            let spellings = [Hex.encode(password), Base64.encode(password), Base64.encode(login)]
            secrets += [password] + spellings.map { Array($0.utf8) }
        }
        return secrets
    }

    /// The log of an agent that is down, from journald; empty where there is none.
    static func pastLog() -> [String] {
        let tool = "/usr/bin/journalctl"
        guard access(tool, X_OK) == 0 else { return [] }
        let text = Pipe.output(
            of: [
                tool, "--unit=kerb-edge", "--lines=\(journalctlLines)", "--output=short-iso",
                "--no-pager", "--quiet",
            ], limitBytes: mostFileBytes)
        return text.split(separator: "\n" as Character).map(String.init)
    }
}

/// A program's output.
enum Pipe {
    /// Empty if it cannot be started; cut at `limitBytes`.
    static func output(of command: [String], limitBytes: Int) -> String {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { return "" }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_addclose(&actions, ends[0])
        posix_spawn_file_actions_addclose(&actions, ends[1])
        var words: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) }
        words.append(nil)
        defer { for word in words { free(word) } }
        var process: pid_t = 0
        let failure = posix_spawn(&process, command[0], &actions, nil, words, environ)
        close(ends[1])
        defer { close(ends[0]) }
        guard failure == 0 else { return "" }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while bytes.count < limitBytes {
            let count = read(ends[0], &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += chunk.prefix(count)
        }
        var status: Int32 = 0
        if bytes.count >= limitBytes { kill(process, SIGTERM) }
        waitpid(process, &status, 0)
        return String(decoding: bytes, as: UTF8.self)
    }
}
