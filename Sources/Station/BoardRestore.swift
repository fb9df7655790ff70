import Charging
import Glibc
import Service

/// Puts files and folders in place together: all of them, or none. What was there is kept aside.
///
/// Everything is written beside its place first; then it is moved. A failure moves it all back. For the
/// power that goes in between there is a mark beside the configuration, with which no agent starts:
/// half a board would charge under a wrong name or without its lock. The same restore once more
/// completes it.
package struct BoardRestore: ~Copyable {
    private struct Change {
        var path: String
        /// nil: nothing shall be there.
        var staged: String?
        var aside: String
        var isAside = false
        var isPlaced = false
    }

    /// Of whoever shall read a file.
    package struct Owner: Hashable, Sendable {
        package var user: UInt32
        package var group: UInt32

        /// Of what lies at a path; nil where nothing does.
        package init?(of path: String) {
            var info = stat()
            guard stat(path, &info) == 0 else { return nil }
            user = info.st_uid
            group = info.st_gid
        }
    }

    /// A name in a folder that is held open.
    private struct Place: ~Copyable {
        let folder: HeldFolder
        let name: String
    }

    private var changes: [Change] = []
    private let mark: String
    private let suffix: String

    /// The file that says that a restore of the board with this configuration was cut off.
    package static func mark(of configuration: String) -> String {
        "\(configuration).restore-incomplete"
    }

    package init(configuration: String, at now: Timestamp) {
        mark = Self.mark(of: configuration)
        suffix = ".before-restore-\(now.milliseconds)"
    }

    // MARK: Beside their places

    /// Writes a file beside its place. One that is there with the same bytes stays.
    package mutating func stage(
        _ bytes: [UInt8], at path: String, mode: mode_t, owner: Owner?
    ) throws(FileError) {
        try Self.makeFolder(above: path)
        let place = try Self.place(of: path)
        if place.folder.has(place.name),
            try place.folder.read(place.name, limitBytes: .max) == bytes
        {
            return
        }
        let owner = Owner(of: path) ?? owner
        let staged = "\(path).restoring"
        add(path, staged)
        try place.folder.writeAtomically(
            bytes, to: "\(place.name).restoring", mode: mode, owner: Self.given(owner))
    }

    /// Copies a journal from a folder that is root's alone beside its place.
    package mutating func stage(
        journal source: String, beside path: String, owner: Owner?
    ) throws(FileError) {
        let place = try Self.place(of: path)
        try place.folder.writeAtomically(
            try FileSystem.read(source, limitBytes: .max), to: "\(place.name).restoring",
            owner: Self.given(owner))
        try stage(journal: "\(path).restoring", at: path, owner: owner)
    }

    /// Writes a whole folder beside its place; empty: none shall be there.
    package mutating func stage(
        _ files: [(name: String, mode: mode_t, bytes: [UInt8])], folder path: String, owner: Owner?
    ) throws(FileError) {
        let staged = "\(path).restoring"
        let place = try Self.place(of: staged)
        // Left by a restore that was cut off.
        if FileSystem.isOwnFolder(staged) {
            try place.folder.removeFolder(place.name)
        } else {
            // A link that somebody left here is taken away, never followed.
            try place.folder.remove(place.name)
        }
        guard !files.isEmpty else { return add(path, nil) }
        add(path, staged)
        // Held open: whoever puts another folder of this name in its place gets nothing into it.
        let inner = try place.folder.makeFolder(place.name)
        for file in files {
            try inner.writeAtomically(
                file.bytes, to: file.name, mode: file.mode, owner: Self.given(owner))
        }
        if let owner = Self.given(owner) { try inner.give(to: owner.user, owner.group) }
    }

    /// Takes a journal that lies beside its place already.
    package mutating func stage(
        journal staged: String, at path: String, owner: Owner?
    ) throws(FileError) {
        try Self.give(staged, to: owner)
        // A log of the old journal must not be read into the new one, nor its first page be kept.
        for end in ["-wal", "-shm", ".head"] { add(path + end, nil, aside: path + suffix + end) }
        // Nor must a rebuilt one that waits for its place push it out again.
        for number in JournalRebuild.rebuilt(beside: path) {
            add(JournalRebuild.rebuilt(number, beside: path), nil)
        }
        add(path, staged)
    }

    /// Nothing shall be there.
    package mutating func stageAbsence(of path: String) { add(path, nil) }

    private mutating func add(_ path: String, _ staged: String?, aside: String? = nil) {
        changes.append(Change(path: path, staged: staged, aside: aside ?? path + suffix))
    }

    // MARK: In their places

    /// - Returns: what was there, by its new name.
    /// - Throws: after everything was put back as it was.
    package mutating func commit() throws(FileError) -> [String] {
        try FileSystem.writeAtomically([], to: mark, mode: 0o644)
        do throws(FileError) {
            for index in changes.indices { try place(index) }
            for change in changes { try FileSystem.syncFolder(of: change.path) }
        } catch {
            try undo()
            throw error
        }
        return changes.filter(\.isAside).map(\.aside)
    }

    private mutating func place(_ index: Int) throws(FileError) {
        let change = changes[index]
        if FileSystem.exists(change.path) {
            try Self.move(change.path, to: change.aside)
            changes[index].isAside = true
        }
        guard let staged = change.staged else { return }
        try Self.move(staged, to: change.path)
        changes[index].isPlaced = true
    }

    /// Puts everything back as it was before `commit`.
    package mutating func undo() throws(FileError) {
        for index in changes.indices.reversed() {
            let change = changes[index]
            if change.isPlaced, let staged = change.staged {
                try Self.move(change.path, to: staged)
                changes[index].isPlaced = false
            }
            if change.isAside {
                try Self.move(change.aside, to: change.path)
                changes[index].isAside = false
            }
            try FileSystem.syncFolder(of: change.path)
        }
        discard()
        try FileSystem.remove(mark)
    }

    /// It is done: an agent may start.
    package func finish() throws(FileError) {
        try FileSystem.remove(mark)
        try FileSystem.syncFolder(of: mark)
    }

    /// Removes what lies beside its place.
    package func discard() {
        for staged in changes.compactMap(\.staged) {
            guard FileSystem.isOwnFolder(staged) else {
                try? FileSystem.remove(staged)  // What stays is replaced by the next restore.
                continue
            }
            do throws(FileError) {
                let place = try Self.place(of: staged)
                try place.folder.removeFolder(place.name)
            } catch {}  // As above.
        }
    }

    // MARK: Steps

    private static func move(_ path: String, to target: String) throws(FileError) {
        guard rename(path, target) == 0 else { throw FileError(target, errno: errno) }
    }

    private static func makeFolder(above path: String) throws(FileError) {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return }
        try FileSystem.makeFolder(String(path[..<slash]), mode: 0o755)
    }

    /// Restored by root, read by the agent's own user.
    package static func give(_ path: String, to owner: Owner?) throws(FileError) {
        guard geteuid() == 0, let owner else { return }
        guard lchown(path, owner.user, owner.group) == 0 else {
            throw FileError(path, errno: errno)
        }
    }

    /// Whom root gives files to; nil where we are not root.
    private static func given(_ owner: Owner?) -> (user: uid_t, group: gid_t)? {
        guard geteuid() == 0, let owner else { return nil }
        return (owner.user, owner.group)
    }

    private static func place(of path: String) throws(FileError) -> Place {
        let slash = path.lastIndex(of: "/")
        let folder = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
        return Place(folder: try HeldFolder(folder), name: name)
    }
}
