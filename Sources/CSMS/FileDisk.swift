import Charging
import Crypto
import Glibc
import Service

/// The folder of the files, worked on by a thread of its own: a slow disk holds up no station.
///
/// A file is `ID` once it is whole, `ID.part` before. Whatever else is in the folder is somebody else's and
/// stays.
actor FileDisk {
    nonisolated let thread = ThreadExecutor(name: "files")
    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    struct Whole: Hashable, Sendable {
        var size: Int64
        /// Lower-case hexadecimal.
        var sha256: String
    }

    /// An upload under way. Of one file there may be several: the last that is whole stays.
    private struct Upload {
        var descriptor: Int32
        var path: String
        var hash: SHA256Stream
        var size: Int64 = 0
    }

    private let folder: String
    private let freeBytes: Int64
    private var uploads: [Int: Upload] = [:]
    private var reading: [Int: Int32] = [:]
    private var next = 0

    init(folder: String, freeBytes: Int64) {
        self.folder = folder
        self.freeBytes = freeBytes
    }

    /// Makes the folder; what a crash left half written goes.
    func prepare() throws(FileError) {
        try FileSystem.makeFolder(folder)
        for name in try FileSystem.names(in: folder)
        where name.hasSuffix(Self.scratch) && UUID4.isUUID(name.dropLast(Self.scratch.utf8.count)) {
            try FileSystem.remove("\(folder)/\(name)")
        }
    }

    private static let scratch = ".part"

    /// Ids of what lies here whole.
    func ids() throws(FileError) -> [String] {
        try FileSystem.names(in: folder).filter(UUID4.isUUID)
    }

    // MARK: What nobody speaks of

    private var asideFolder: String { "\(folder)/\(FileStore.asideName)" }

    /// Takes a file out of the way; its time of change is then when that was.
    func setAside(_ id: String, at now: Timestamp) throws(FileError) {
        try FileSystem.makeFolder(asideFolder)
        let path = "\(asideFolder)/\(id)"
        guard rename("\(folder)/\(id)", path) == 0 else { throw FileError(path, errno: errno) }
        let time = timespec(tv_sec: Int(now.milliseconds / 1000), tv_nsec: 0)
        guard utimensat(AT_FDCWD, path, [time, time], AT_SYMLINK_NOFOLLOW) == 0 else {
            throw FileError(path, errno: errno)
        }
        try FileSystem.syncFolder(of: path)
    }

    func aside() throws(FileError) -> [String] {
        guard FileSystem.isFolder(asideFolder) else { return [] }
        return try FileSystem.names(in: asideFolder).filter(UUID4.isUUID)
    }

    func bringBack(_ id: String) throws(FileError) {
        let path = "\(folder)/\(id)"
        guard rename("\(asideFolder)/\(id)", path) == 0 else { throw FileError(path, errno: errno) }
        try FileSystem.syncFolder(of: path)
    }

    /// - Returns: how many went.
    func forgetAside(before: Timestamp) throws(FileError) -> Int {
        var count = 0
        for id in try aside() {
            let path = "\(asideFolder)/\(id)"
            var found = stat()
            guard lstat(path, &found) == 0 else { throw FileError(path, errno: errno) }
            guard Int64(found.st_mtim.tv_sec) < before.milliseconds / 1000 else { continue }
            try FileSystem.remove(path)
            count += 1
        }
        return count
    }

    // MARK: Writing

    func begin() throws(FileError) -> Int {
        next += 1
        let path = "\(folder)/\(UUID4.make())\(Self.scratch)"
        let descriptor = Glibc.open(
            path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw FileError(path, errno: errno) }
        uploads[next] = Upload(descriptor: descriptor, path: path, hash: SHA256Stream())
        return next
    }

    /// - Throws: `.diskFull` while there is still some room for the database.
    func append(_ bytes: [UInt8], to number: Int) throws(FileError) {
        guard let upload = uploads[number] else { return }
        guard try FileSystem.freeBytes(at: folder) - Int64(bytes.count) >= freeBytes else {
            throw .diskFull(upload.path)
        }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.write(upload.descriptor, $0.baseAddress, $0.count)
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw FileError(upload.path, errno: errno)
            }
            rest = rest.dropFirst(count)
        }
        bytes.withUnsafeBytes { upload.hash.add($0) }
        uploads[number]?.size += Int64(bytes.count)
    }

    /// On the disk for good, still under its scratch name.
    func seal(_ number: Int) throws(FileError) -> Whole {
        guard let upload = uploads[number] else { return Whole(size: 0, sha256: "") }
        guard fsync(upload.descriptor) == 0 else { throw FileError(upload.path, errno: errno) }
        return Whole(size: upload.size, sha256: Hex.encode(upload.hash.finish()))
    }

    /// Takes its place as `id`, whole or not at all.
    func publish(_ number: Int, as id: String) throws(FileError) {
        guard let upload = uploads[number] else { return }
        guard rename(upload.path, "\(folder)/\(id)") == 0 else {
            throw FileError(upload.path, errno: errno)
        }
        uploads[number] = nil
        _ = Glibc.close(upload.descriptor)
        try FileSystem.syncFolder(of: "\(folder)/\(id)")
    }

    func abandon(_ number: Int) {
        guard let upload = uploads.removeValue(forKey: number) else { return }
        _ = Glibc.close(upload.descriptor)
        // One that stays is removed at the next start.
        try? FileSystem.remove(upload.path)
    }

    func remove(_ id: String) throws(FileError) { try FileSystem.remove("\(folder)/\(id)") }

    // MARK: Reading

    func open(_ id: String) throws(FileError) -> Int {
        let path = "\(folder)/\(id)"
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { throw FileError(path, errno: errno) }
        next += 1
        reading[next] = descriptor
        return next
    }

    /// At most `count` bytes; fewer at the end.
    func read(_ number: Int, at offset: Int64, count: Int) throws(FileError) -> [UInt8] {
        guard let descriptor = reading[number] else { return [] }
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            var got = -1
            repeat {
                got = pread(descriptor, buffer.baseAddress, count, off_t(offset))
            } while got < 0 && errno == EINTR
            if got < 0 { failure = errno }
            filled = max(0, got)
        }
        if failure != 0 { throw FileError(folder, errno: failure) }
        return bytes
    }

    func close(reading number: Int) {
        if let descriptor = reading.removeValue(forKey: number) { _ = Glibc.close(descriptor) }
    }
}
