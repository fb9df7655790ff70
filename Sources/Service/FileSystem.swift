import Glibc

/// What can go wrong with a file.
package enum FileError: Error, Hashable, Sendable, CustomStringConvertible {
    case notFound(String)
    case notAllowed(String)
    case alreadyThere(String)
    /// Larger than the limit that the reader gave.
    case tooLarge(String, limitBytes: Int)
    case diskFull(String)
    /// A link where only the thing itself is taken: whoever may write the folder could point anywhere.
    case link(String)
    /// A pipe, a device or a folder where a file belongs.
    case notPlain(String)
    case failed(String, errno: Int32)

    package init(_ path: String, errno code: Int32) {
        self =
            switch code {
            case ENOENT, ENOTDIR: .notFound(path)
            case EACCES, EPERM, EROFS: .notAllowed(path)
            case EEXIST: .alreadyThere(path)
            case ENOSPC, EDQUOT: .diskFull(path)
            default: .failed(path, errno: code)
            }
    }

    package var description: String {
        switch self {
        case .notFound(let path): "\(path): no such file or folder"
        case .notAllowed(let path): "\(path): permission denied"
        case .alreadyThere(let path): "\(path): is there already"
        case .tooLarge(let path, let limit): "\(path): larger than \(limit) bytes"
        case .diskFull(let path): "\(path): the disk is full"
        case .link(let path): "\(path): is a link and is not followed; put the file itself there"
        case .notPlain(let path): "\(path): is no plain file; remove it"
        case .failed(let path, let code): "\(path): \(String(cString: strerror(code)))"
        }
    }
}

/// The few file operations that the programs need, without Foundation.
package enum FileSystem {
    /// The whole file, at most `limitBytes`.
    package static func read(_ path: String, limitBytes: Int = 1 << 20) throws(FileError) -> [UInt8]
    {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(path, errno: errno) }
        defer { close(descriptor) }
        return try bytes(of: descriptor, path, limitBytes: limitBytes)
    }

    static func bytes(
        of descriptor: Int32, _ path: String, limitBytes: Int
    ) throws(FileError) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw FileError(path, errno: errno)
            }
            if count == 0 { return bytes }
            guard bytes.count + count <= limitBytes else {
                throw .tooLarge(path, limitBytes: limitBytes)
            }
            bytes += chunk.prefix(count)
        }
    }

    /// Replaces the file so that after a power cut either the old or the new content is there.
    ///
    /// - `mode` is the file's whatever the process's mask says: 0o600 for secrets.
    package static func writeAtomically(
        _ bytes: [UInt8], to path: String, mode: mode_t = 0o600
    ) throws(FileError) {
        let scratch = "\(path).part"
        // A scratch file left by a crash is ours; it may not be there at all.
        _ = unlink(scratch)
        let descriptor = open(scratch, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
        guard descriptor >= 0 else { throw FileError(path, errno: errno) }
        do throws(FileError) {
            defer { close(descriptor) }
            guard fchmod(descriptor, mode) == 0 else { throw FileError(path, errno: errno) }
            try writeAll(bytes, descriptor, path)
            guard fsync(descriptor) == 0 else { throw FileError(path, errno: errno) }
        } catch {
            _ = unlink(scratch)
            throw error
        }
        guard rename(scratch, path) == 0 else {
            let failure = errno
            _ = unlink(scratch)
            throw FileError(path, errno: failure)
        }
        try syncFolder(of: path)
    }

    /// Makes the folder and those above it; one that is there stays as it is.
    package static func makeFolder(_ path: String, mode: mode_t = 0o700) throws(FileError) {
        var partial = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            partial += (partial.isEmpty || partial.hasSuffix("/") ? "" : "/") + part
            if mkdir(partial, mode) != 0, errno != EEXIST {
                throw FileError(partial, errno: errno)
            }
        }
        guard isFolder(path) else { throw .failed(path, errno: ENOTDIR) }
    }

    package static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// True where the system says that nothing is there, and not merely that it may not look.
    package static func isAbsent(_ path: String) -> Bool {
        access(path, F_OK) != 0 && errno == ENOENT
    }

    package static func isFolder(_ path: String) -> Bool {
        var info = stat()
        return stat(path, &info) == 0 && info.st_mode & S_IFMT == S_IFDIR
    }

    /// Itself a folder, no link to one: root does not follow where another user points.
    package static func isOwnFolder(_ path: String) -> Bool {
        var info = stat()
        return lstat(path, &info) == 0 && info.st_mode & S_IFMT == S_IFDIR
    }

    /// The permission bits of a file.
    package static func mode(of path: String) throws(FileError) -> mode_t {
        var info = stat()
        guard stat(path, &info) == 0 else { throw FileError(path, errno: errno) }
        return info.st_mode & 0o7777
    }

    /// Removes a file; one that is not there is no error.
    package static func remove(_ path: String) throws(FileError) {
        guard unlink(path) == 0 || errno == ENOENT else { throw FileError(path, errno: errno) }
    }

    /// The names in a folder, sorted, without `.` and `..`.
    package static func names(in folder: String) throws(FileError) -> [String] {
        guard let handle = opendir(folder) else { throw FileError(folder, errno: errno) }
        return names(takenFrom: handle)
    }

    /// Closes the list.
    static func names(takenFrom handle: OpaquePointer) -> [String] {
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Bytes that an unprivileged process may still write where `path` lies.
    package static func freeBytes(at path: String) throws(FileError) -> Int64 {
        var info = statvfs()
        guard statvfs(path, &info) == 0 else { throw FileError(path, errno: errno) }
        return Int64(info.f_bavail) * Int64(info.f_frsize)
    }

    /// Makes a rename or a new file in the folder survive a power cut.
    package static func syncFolder(of path: String) throws(FileError) {
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(folder, errno: errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw FileError(folder, errno: errno) }
    }

    package static func writeAll(
        _ bytes: [UInt8], _ descriptor: Int32, _ path: String
    ) throws(FileError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                throw FileError(path, errno: errno)
            }
            rest = rest.dropFirst(count)
        }
    }
}
