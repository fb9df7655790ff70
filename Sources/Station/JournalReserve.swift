import Glibc
import Service

/// A file that holds a little disk free while all is well, and is given up when the disk is full, so
/// that what runs can still be ended and billed.
struct JournalReserve: Sendable {
    private let journal: String
    private let path: String
    private let bytes: Int64

    init(beside journal: String, bytes: Int64) {
        self.journal = journal
        path = "\(journal).reserve"
        self.bytes = bytes
    }

    /// Takes the space if it is not held; false where a charge could not be promised its room.
    func hold() -> Bool {
        // Where nobody can say how much is free, the writing itself will tell.
        let free = (try? FileSystem.freeBytes(at: journal)) ?? .max
        var info = stat()
        if stat(path, &info) == 0, info.st_size >= bytes { return free >= bytes / 4 }
        // Just given up, it must not be taken back from those it was given up for.
        guard free >= 2 * bytes else { return false }
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        guard posix_fallocate(descriptor, 0, off_t(bytes)) == 0 else {
            unlink(path)
            return false
        }
        return true
    }

    /// Gives the space up; false where it was not held.
    func release() -> Bool { unlink(path) == 0 }
}
