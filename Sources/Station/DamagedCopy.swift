import Glibc
import Service

/// Copies a file from a disk that may not give all of it back: what cannot be read is zeros in the copy,
/// and the rest is there.
struct DamagedCopy: Sendable {
    /// Reads as `pread` does; tests put a failing disk in its place.
    typealias Reading =
        @Sendable (
            _ descriptor: Int32, _ into: UnsafeMutableRawPointer, _ count: Int, _ at: Int64
        ) -> Int

    /// The least that is left out: a page of the journal, on most disks a sector too.
    private static let pieceBytes = 4096
    private static let piecesAtOnce = 16
    /// A disk that gives less back is gone: each piece may take it seconds.
    static let mostUnreadable = 2_048

    var reading: Reading = { pread($0, $1, $2, off_t($3)) }

    /// - Returns: how many pieces could not be read.
    /// - Throws: `.notFound` and the like for a file that cannot be opened, what the target's disk says,
    ///   and the reading's own error where too much is unreadable.
    func copy(_ source: String, to target: String) throws(FileError) -> Int {
        let from = open(source, O_RDONLY | O_CLOEXEC)
        guard from >= 0 else { throw FileError(source, errno: errno) }
        defer { close(from) }
        var info = stat()
        guard fstat(from, &info) == 0 else { throw FileError(source, errno: errno) }
        let to = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard to >= 0 else { throw FileError(target, errno: errno) }
        defer { close(to) }
        let (size, large) = (Int64(info.st_size), Self.pieceBytes * Self.piecesAtOnce)
        var unreadable = 0
        var place: Int64 = 0
        while place < size {
            let count = Int(min(Int64(large), size - place))
            var bytes: [UInt8] = []
            do throws(FileError) {
                bytes = try read(from, count, at: place, source)
            } catch {
                guard Self.isUnreadable(error) else { throw error }
                bytes = try inPieces(from, count, at: place, source, &unreadable)
            }
            // It became shorter meanwhile.
            guard !bytes.isEmpty else { break }
            // In a row: a disk that takes a part of it says only then that it is full.
            try FileSystem.writeAll(bytes, to, target)
            place += Int64(bytes.count)
        }
        return unreadable
    }

    /// What a disk or its file system says of a part that it does not give back: a sector, a sum over a
    /// block, the map of the file, a part of the device.
    private static func isUnreadable(_ error: FileError) -> Bool {
        guard case .failed(_, let code) = error else { return false }
        return [EIO, EBADMSG, EUCLEAN, ENXIO].contains(code)
    }

    private func inPieces(
        _ from: Int32, _ count: Int, at place: Int64, _ path: String, _ unreadable: inout Int
    ) throws(FileError) -> [UInt8] {
        var found: [UInt8] = []
        while found.count < count {
            let size = min(Self.pieceBytes, count - found.count)
            do throws(FileError) {
                let piece = try read(from, size, at: place + Int64(found.count), path)
                if piece.isEmpty { break }
                found += piece
            } catch {
                guard Self.isUnreadable(error), unreadable < Self.mostUnreadable else {
                    throw error
                }
                unreadable += 1
                found += [UInt8](repeating: 0, count: size)
            }
        }
        return found
    }

    private func read(
        _ from: Int32, _ count: Int, at place: Int64, _ path: String
    ) throws(FileError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        while true {
            let got = reading(from, &bytes, count, place)
            if got >= 0 { return Array(bytes.prefix(got)) }
            if errno != EINTR { throw FileError(path, errno: errno) }
        }
    }
}
