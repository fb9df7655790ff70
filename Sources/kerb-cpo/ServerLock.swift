import Glibc
import Service

/// Says that a server is at work at a database file, or that the file is being exchanged.
///
/// The kernel lets go of it with the program, however that ends: rows that say that stations are
/// connected outlive a kill. A file of its own, because a restore puts another in the database's place.
enum ServerLock {
    /// Takes it until the program ends.
    ///
    /// - Returns: false where another program has it.
    static func take(for database: String) throws(FileError) -> Bool {
        let folder = FileSystem.folder(of: database)
        let name = database.split(separator: "/").last ?? ""
        let descriptor = try HeldFolder(folder).open("\(name).lock", O_RDWR | O_CREAT)
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            close(descriptor)
            if code == EWOULDBLOCK { return false }
            throw FileError("\(database).lock", errno: code)
        }
        // A restore by root must not keep the server's own user out.
        if geteuid() == 0 {
            let owner = try FileSystem.owner(of: FileSystem.exists(database) ? database : folder)
            guard fchown(descriptor, owner.user, owner.group) == 0 else {
                throw FileError("\(database).lock", errno: errno)
            }
        }
        return true
    }
}

extension FileSystem {
    /// The folder that a path lies in.
    static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Whose a file or folder is.
    static func owner(of path: String) throws(FileError) -> (user: uid_t, group: gid_t) {
        var info = stat()
        guard stat(path, &info) == 0 else { throw FileError(path, errno: errno) }
        return (info.st_uid, info.st_gid)
    }
}
