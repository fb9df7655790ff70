import Charging
import Crypto
import Glibc
import JSON
import Service

/// Root's part of an update: takes what the agent hands over, checks it once more by roots that only root
/// can change, and runs the operator's command on a copy that the agent cannot reach.
///
/// The agent is not trusted: its folder may hold links, pipes and anything else.
package struct FirmwareHelper: Sendable {
    package struct Rules: Sendable {
        package var installCommand: [String]
        package var rollbackCommand: [String]
        package var commandSeconds: Int
        package var rootFile: String?
        package var acceptsUnsigned: Bool
        package var mostBytes: Int64

        package init(
            installCommand: [String], rollbackCommand: [String], commandSeconds: Int,
            rootFile: String?, acceptsUnsigned: Bool, mostBytes: Int64
        ) {
            self.installCommand = installCommand
            self.rollbackCommand = rollbackCommand
            self.commandSeconds = commandSeconds
            self.rootFile = rootFile
            self.acceptsUnsigned = acceptsUnsigned
            self.mostBytes = mostBytes
        }
    }

    /// Why a request was not done.
    struct Refusal: Error, Hashable { var why: String }

    let folders: FirmwareHandover
    let rules: Rules
    let clock: any ServiceClock
    let log: Log

    package init(
        _ folders: FirmwareHandover, _ rules: Rules, clock: any ServiceClock = .system, log: Log
    ) {
        self.folders = folders
        self.rules = rules
        self.clock = clock
        self.log = log
    }

    /// Does what is asked for, if anything is, and answers.
    ///
    /// - `doubt`: why nothing may be done; it is the answer then.
    /// - Returns: whether it was done.
    package func serve(unless doubt: String? = nil) async throws(FileError) -> Bool {
        guard let request = try takeRequest() else { return false }
        var why = doubt ?? ""
        let isDone = folders.answer(to: request.id)?.isGood == true
        if doubt == nil, !isDone {
            do {
                try await perform(request)
            } catch {
                why = (error as? Refusal)?.why ?? "\(error)"
            }
        }
        log.notice(
            "firmware request", ["kind": request.kind.rawValue, "done": why.isEmpty, "reason": why])
        let answer = JSONValue.members([
            "id": .string(request.id), "good": .bool(why.isEmpty), "why": .string(why),
        ])
        try FileSystem.writeAtomically(answer.encoded(), to: folders.answerPath, mode: 0o644)
        return why.isEmpty
    }

    private func perform(_ request: FirmwareRequest) async throws {
        switch request.kind {
        case .install: try await install(request)
        case .rollBack:
            guard FileSystem.exists(folders.rollbackPath) else {
                throw Refusal(why: "nothing was installed that could be taken back")
            }
            try await run(["/bin/sh", folders.rollbackPath], as: "roll-back")
            try settle()
        case .settled: try settle()
        }
    }

    private func settle() throws(FileError) {
        // The mark first: without it nobody runs the command.
        try FileSystem.remove(folders.pendingPath)
        try FileSystem.syncFolder(of: folders.pendingPath)
        for path in [folders.rollbackPath, folders.broughtBackPath] {
            try FileSystem.remove(path)
        }
        for file in FirmwareRequest.File.allCases { try FileSystem.remove(copy(of: file)) }
    }

    private func install(_ request: FirmwareRequest) async throws {
        guard let file = request.file, !rules.installCommand.isEmpty else {
            throw Refusal(why: "no firmware.installCommand")
        }
        let copy = copy(of: file)
        try takeCopy(of: file, to: copy)
        guard try isGenuine(copy, request) else {
            try FileSystem.remove(copy)
            throw Refusal(why: "not signed by the manufacturer in firmware.rootFile")
        }
        try FileSystem.remove(folders.broughtBackPath)
        try prepareWayBack(request)
        try await run(rules.installCommand.map { $0 == "{file}" ? copy : $0 }, as: "install")
    }

    /// What systemd runs when the new program does not come up; on the disk before anything changes.
    private func prepareWayBack(_ request: FirmwareRequest) throws(FileError) {
        guard !rules.rollbackCommand.isEmpty else { return }
        let words = rules.rollbackCommand.map(Self.quoted).joined(separator: " ")
        try FileSystem.writeAtomically(
            Array("#!/bin/sh\nexec \(words)\n".utf8), to: folders.rollbackPath, mode: 0o700)
        try FileSystem.writeAtomically(
            Array("\(request.id)\n".utf8), to: folders.pendingPath, mode: 0o644)
    }

    /// One word for a shell, whatever it holds.
    static func quoted(_ word: String) -> String {
        "'"
            + word.split(separator: "'", omittingEmptySubsequences: false).joined(
                separator: "'\\''") + "'"
    }

    private func run(_ command: [String], as name: String) async throws {
        let outcome = await ChildCommand.run(
            command, outputPath: "\(folders.state)/\(name).log",
            deadlineSeconds: rules.commandSeconds)
        guard outcome == .exited(0) else {
            let said = lastLine(of: "\(folders.state)/\(name).log").map { "\($0); " } ?? ""
            throw Refusal(why: "\(name): \(outcome); \(said)see \(folders.state)/\(name).log")
        }
    }

    private static let longestLog = 65_536
    private static let longestLine = 200

    /// What a command said last: mostly why it failed. nil where it said nothing, or far too much.
    private func lastLine(of path: String) -> String? {
        // The answer names the file; who looks there sees what kept us from it.
        guard let bytes = try? FileSystem.read(path, limitBytes: Self.longestLog) else {
            return nil
        }
        let line = bytes.split { $0 == 0x0A || $0 == 0x0D }.last.map {
            String(decoding: $0.prefix(Self.longestLine).filter { $0 >= 0x20 }, as: UTF8.self)
        }
        return line.flatMap { $0.isEmpty ? nil : $0 }
    }

    // MARK: The signature

    private func isGenuine(_ path: String, _ request: FirmwareRequest) throws -> Bool {
        guard let certificate = request.certificate, let signature = request.signature else {
            return rules.acceptsUnsigned
        }
        guard let rootFile = rules.rootFile, let hash = FileHead.sha256(of: path) else {
            return false
        }
        let pem = String(
            decoding: try FileSystem.read(rootFile, limitBytes: RootStore.Limits().bundleBytes),
            as: UTF8.self)
        return FirmwareSignature.isGenuine(
            sha256: hash, signer: certificate, signature: signature,
            roots: try Certificate.all(pem: pem), at: clock.now.milliseconds / 1000)
    }
}

// MARK: Taking from a folder that is not ours

extension FirmwareHelper {
    private static let longestRequest = 65_536

    private func copy(of file: FirmwareRequest.File) -> String {
        "\(folders.state)/\(file.rawValue)"
    }

    /// Takes the request away, so that one that cannot be done is not asked for ever.
    private func takeRequest() throws(FileError) -> FirmwareRequest? {
        let folder = try openSpool()
        defer { close(folder) }
        let name = "request"
        let bytes: [UInt8]
        do throws(FileError) {
            let descriptor = try Self.openFile(folder, name, folders.requestPath)
            defer { close(descriptor) }
            bytes = Self.firstBytes(of: descriptor, Self.longestRequest)
        } catch {
            unlinkat(folder, name, 0)
            if case .notFound = error { return nil }
            throw error
        }
        unlinkat(folder, name, 0)
        // What no agent writes is told and forgotten.
        guard let tree = try? JSONValue(parsing: bytes), let request = FirmwareRequest(json: tree)
        else {
            log.warning("request not understood", ["file": folders.requestPath])
            return nil
        }
        return request
    }

    private func openSpool() throws(FileError) -> Int32 {
        let folder = open(folders.spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
        guard folder >= 0 else { throw FileError(folders.spool, errno: errno) }
        return folder
    }

    /// A plain file; nothing that is a link, and no pipe to wait at.
    private static func openFile(
        _ folder: Int32, _ name: String, _ path: String
    ) throws(FileError) -> Int32 {
        let descriptor = openat(
            folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else { throw FileError(path, errno: errno) }
        var info = stat()
        guard fstat(descriptor, &info) == 0, info.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw .failed(path, errno: EINVAL)
        }
        return descriptor
    }

    private static func firstBytes(of descriptor: Int32, _ most: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while bytes.count <= most {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += chunk.prefix(count)
        }
        return bytes
    }

    /// Copies the firmware to where the agent cannot change it any more; what is checked is the copy.
    private func takeCopy(of file: FirmwareRequest.File, to target: String) throws(FileError) {
        let folder = try openSpool()
        defer { close(folder) }
        let source = try Self.openFile(folder, file.rawValue, "\(folders.spool)/\(file.rawValue)")
        defer { close(source) }
        try FileSystem.remove(target)
        let copy = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard copy >= 0 else { throw FileError(target, errno: errno) }
        defer { close(copy) }
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        var total: Int64 = 0
        while true {
            let count = read(source, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw FileError(target, errno: errno) }
            guard count > 0 else { break }
            total += Int64(count)
            guard total <= rules.mostBytes else {
                throw .tooLarge(target, limitBytes: Int(rules.mostBytes))
            }
            guard write(copy, chunk, count) == count else { throw FileError(target, errno: errno) }
        }
        guard fsync(copy) == 0 else { throw FileError(target, errno: errno) }
    }
}
