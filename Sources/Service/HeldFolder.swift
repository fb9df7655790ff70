import Glibc

/// A folder held open: what is reached from it is reached through no link.
///
/// For root's work in a folder of another user, who may put a link, a pipe or another folder in place
/// of anything at any moment. Names are single ones, without `/`.
package struct HeldFolder: ~Copyable {
    private let descriptor: Int32
    package let path: String

    /// - Throws: where there is none. `path` itself is trusted: a link to the folder is followed.
    package init(_ path: String) throws(FileError) {
        try self.init(at: AT_FDCWD, path, of: path, flags: 0)
    }

    private init(
        at folder: Int32, _ name: String, of path: String, flags: Int32
    ) throws(FileError) {
        descriptor = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags)
        self.path = path
        guard descriptor >= 0 else { throw Self.error(path, errno, folder, name) }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// - Throws: `.link` for a link, even to a folder.
    package func folder(_ name: String) throws(FileError) -> HeldFolder {
        try HeldFolder(at: descriptor, name, of: "\(path)/\(name)", flags: O_NOFOLLOW)
    }

    /// Makes the folder if it is not there.
    package func makeFolder(_ name: String, mode: mode_t = 0o700) throws(FileError) -> HeldFolder {
        guard mkdirat(descriptor, name, mode) == 0 || errno == EEXIST else {
            throw FileError("\(path)/\(name)", errno: errno)
        }
        return try folder(name)
    }

    /// Anything of that name, a link that leads nowhere too.
    package func has(_ name: String) -> Bool {
        var info = stat()
        return fstatat(descriptor, name, &info, AT_SYMLINK_NOFOLLOW) == 0
    }

    /// The names in it, sorted.
    package func names() throws(FileError) -> [String] {
        // Opened anew by its own name: the list takes the descriptor with it.
        let own = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard own >= 0, let list = fdopendir(own) else { throw FileError(path, errno: errno) }
        return FileSystem.names(takenFrom: list)
    }

    /// The whole of a plain file.
    package func read(_ name: String, limitBytes: Int = 1 << 20) throws(FileError) -> [UInt8] {
        let file = try open(name, O_RDONLY)
        defer { close(file) }
        return try FileSystem.bytes(of: file, "\(path)/\(name)", limitBytes: limitBytes)
    }

    /// Opens a plain file; the caller closes it.
    ///
    /// - `flags`: of `open`, with `O_CREAT` for one that may have to be made.
    package func open(_ name: String, _ flags: Int32) throws(FileError) -> Int32 {
        // No pipe to wait at.
        let file = openat(
            descriptor, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, mode_t(0o600))
        guard file >= 0 else { throw Self.error("\(path)/\(name)", errno, descriptor, name) }
        var info = stat()
        guard fstat(file, &info) == 0, info.st_mode & S_IFMT == S_IFREG else {
            close(file)
            throw .notPlain("\(path)/\(name)")
        }
        return file
    }

    /// As `FileSystem.writeAtomically`; it is its new owner's before anybody can open it.
    package func writeAtomically(
        _ bytes: [UInt8], to name: String, mode: mode_t = 0o600,
        owner: (user: uid_t, group: gid_t)? = nil
    ) throws(FileError) {
        let scratch = "\(name).part"
        // Left by a crash, or put here by somebody.
        _ = unlinkat(descriptor, scratch, 0)
        let file = try open(scratch, O_WRONLY | O_CREAT | O_EXCL)
        do throws(FileError) {
            defer { close(file) }
            try FileSystem.writeAll(bytes, file, "\(path)/\(name)")
            if let owner, fchown(file, owner.user, owner.group) != 0 {
                throw FileError("\(path)/\(name)", errno: errno)
            }
            guard fchmod(file, mode) == 0, fsync(file) == 0 else {
                throw FileError("\(path)/\(name)", errno: errno)
            }
        } catch {
            _ = unlinkat(descriptor, scratch, 0)
            throw error
        }
        guard renameat(descriptor, scratch, descriptor, name) == 0, fsync(descriptor) == 0 else {
            let failure = errno
            _ = unlinkat(descriptor, scratch, 0)
            throw FileError("\(path)/\(name)", errno: failure)
        }
    }

    /// Removes a file or a link; one that is not there is no error.
    package func remove(_ name: String) throws(FileError) {
        guard unlinkat(descriptor, name, 0) == 0 || errno == ENOENT else {
            throw FileError("\(path)/\(name)", errno: errno)
        }
    }

    /// Removes a folder with the files in it.
    package func removeFolder(_ name: String) throws(FileError) {
        let inner = try folder(name)
        for file in try inner.names() { try inner.remove(file) }
        guard unlinkat(descriptor, name, AT_REMOVEDIR) == 0 else {
            throw FileError("\(path)/\(name)", errno: errno)
        }
    }

    /// Makes the folder itself another user's.
    package func give(to user: uid_t, _ group: gid_t) throws(FileError) {
        guard fchown(descriptor, user, group) == 0 else { throw FileError(path, errno: errno) }
    }

    private static func error(
        _ path: String, _ code: Int32, _ folder: Int32, _ name: String
    ) -> FileError {
        // A link where a folder was asked for is told as ENOTDIR.
        var info = stat()
        let isLink =
            fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) == 0
            && info.st_mode & S_IFMT == S_IFLNK
        return isLink && (code == ELOOP || code == ENOTDIR)
            ? .link(path) : FileError(path, errno: code)
    }
}
