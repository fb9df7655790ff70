import Charging
import Glibc
import SQL
import Service

/// How a damaged journal becomes a sound one, in steps of which any may be the last.
///
/// The damaged file stays in its place until all that can be read of it lies in a fresh one:
/// 1. `journal.db.rebuilding` is made, filled and closed. Found at a start it is thrown away, and all
///    begins anew.
/// 2. It is renamed to `journal.db.rebuilt-N`. From here on it is the journal; a start goes on with 3.
/// 3. The damaged one goes aside as `journal.db.damaged-N`, its log first: left beside the rebuilt one it
///    would be played into it.
/// 4. The rebuilt one takes its place.
struct JournalRebuild: Sendable {
    let path: String
    let bootID: String
    let limits: JournalLimits
    let clock: any ServiceClock
    let probe: JournalProbe?
    let log: Log

    private var fresh: String { "\(path).rebuilding" }
    /// How often saving has begun and not come to its end.
    private var tries: String { "\(path).rebuilding-tries" }

    // MARK: Filled beside its place

    /// Saves what can be read and puts it in the journal's place.
    ///
    /// - Throws: where the disk takes no copy; nothing is lost, the next start tries again.
    func run(cause: any Error) async throws {
        do {
            try await fill(cause)
        } catch let error where BoardJournal.isFull(error) {
            log.error("disk full, the space held back is used", ["file": path])
            _ = releaseReserve()
            // What is owed before what is kept to be looked at.
            try prune(to: 0)
            try await fill(cause)
        }
        try finish()
    }

    /// A fresh one: what was saved does not open either, and the station must come up.
    func runEmpty(cause: any Error) async throws {
        try await fill(cause, salvages: false)
        try finish()
    }

    func releaseReserve() -> Bool {
        JournalReserve(beside: path, bytes: limits.spareBytes).release()
    }

    private func fill(_ cause: any Error) async throws {
        // A damaged file that ends the program whenever it is read must not keep the station down.
        let count = countTry()
        if count <= limits.rebuilds {
            do { return try await fill(cause, salvages: true) } catch {
                guard !isDisk(error) else {
                    // It came to its end: only one that ends the program counts.
                    self.count(tries: count - 1)
                    throw error
                }
                log.error("nothing saved", ["error": String(describing: error)])
            }
        }
        try await fill(cause, salvages: false)
    }

    private func fill(_ cause: any Error, salvages: Bool) async throws {
        try discard()
        let number = freeNumber()
        let journal = try await BoardJournal(
            path: fresh, bootID: bootID, limits: limits, clock: clock, probe: probe,
            isRebuilding: true)
        do {
            let saved = salvages ? try await journal.salvage(from: path) : nil
            try await journal.leaveNotice(
                "journal was damaged (\(cause)); saved \(saved.map { "\($0)" } ?? "nothing"); "
                    + "look at \(aside(number))")
            try await journal.database.checkpoint()
            log.error("journal saved", ["saved": saved.map { "\($0)" } ?? "nothing"])
        } catch {
            await journal.close()
            throw error
        }
        await journal.close()
        // A reader that closes last leaves the log behind, empty.
        var info = stat()
        guard stat("\(fresh)-wal", &info) != 0 || info.st_size == 0 else {
            throw SQLError.disk("\(fresh): its log was not taken up")
        }
        for suffix in ["-wal", "-shm"] { try FileSystem.remove(fresh + suffix) }
        try probe?(.rebuilt, .asked)
        try move(fresh, to: rebuilt(number))
        try FileSystem.syncFolder(of: path)
        try probe?(.rebuilt, .committed)
    }

    private func countTry() -> Int {
        let text = (try? FileSystem.read(tries, limitBytes: 16)) ?? []  // Mostly none is there.
        let count = (Int(String(decoding: text, as: UTF8.self)) ?? 0) + 1
        self.count(tries: count)
        return count
    }

    private func count(tries count: Int) {
        do { try FileSystem.writeAtomically(Array("\(count)".utf8), to: tries) } catch {
            log.warning("try not counted", ["error": String(describing: error)])
        }
    }

    /// What the damaged rows cannot be blamed for; damage is met in the fresh file alone.
    private func isDisk(_ error: any Error) -> Bool {
        switch error {
        case SQLError.full, SQLError.disk, SQLError.notAllowed, SQLError.busy, SQLError.corrupt,
            is FileError, is CancellationError:
            true
        default: false
        }
    }

    private func discard() throws(FileError) {
        for name in [fresh, "\(fresh).scratch"] {
            for suffix in ["", "-wal", "-shm"] { try FileSystem.remove(name + suffix) }
        }
    }

    // MARK: In its place

    /// Completes a rebuilding that was cut off after its second step.
    func finish() throws {
        guard path != ":memory:", let number = Self.rebuilt(beside: path).first else { return }
        try FileSystem.remove(tries)
        try probe?(.aside, .asked)
        if FileSystem.exists(path) || FileSystem.exists("\(path)-wal") {
            // Its memory of the log is made anew by whoever opens it.
            try FileSystem.remove("\(path)-shm")
            if FileSystem.exists("\(path)-wal") {
                try move("\(path)-wal", to: "\(aside(number))-wal")
                try FileSystem.syncFolder(of: path)
            }
            try probe?(.aside, .written)
            if FileSystem.exists(path) { try move(path, to: aside(number)) }
            try FileSystem.syncFolder(of: path)
        }
        try probe?(.aside, .committed)
        try move(rebuilt(number), to: path)
        try FileSystem.syncFolder(of: path)
        try probe?(.replace, .committed)
        log.error("journal rebuilt", ["damaged": aside(number)])
        try prune(to: limits.evidence, but: number)
    }

    /// The numbers of rebuilt journals that wait for their place: at most one.
    static func rebuilt(beside path: String) -> [Int64] {
        numbers(of: "rebuilt", beside: path)
    }

    static func rebuilt(_ number: Int64, beside path: String) -> String {
        "\(path).rebuilt-\(number)"
    }

    private func rebuilt(_ number: Int64) -> String { Self.rebuilt(number, beside: path) }

    private func aside(_ number: Int64) -> String { "\(path).damaged-\(number)" }

    /// The time, or the next one that no evidence has.
    private func freeNumber() -> Int64 {
        var number = max(0, clock.now.milliseconds)
        while FileSystem.exists(aside(number)) { number += 1 }
        return number
    }

    /// Removes the oldest evidence where there is too much, never the newest: a clock may be behind.
    private func prune(to most: Int, but newest: Int64? = nil) throws(FileError) {
        let others = Self.numbers(of: "damaged", beside: path).filter { $0 != newest }
        let kept = newest == nil ? most : most - 1
        for number in others + [newest].compactMap(\.self) {
            // A copy that an older program was cut off in.
            for suffix in ["", "-wal", "-shm"] {
                try FileSystem.remove("\(aside(number)).scratch\(suffix)")
            }
        }
        for number in others.dropLast(max(0, kept)) {
            for suffix in ["", "-wal", "-shm"] { try FileSystem.remove(aside(number) + suffix) }
        }
        try FileSystem.syncFolder(of: path)
    }

    private static func numbers(of kind: String, beside path: String) -> [Int64] {
        let slash = path.lastIndex(of: "/")
        let folder = slash.map { String(path[...$0]) } ?? "."
        let start = "\(slash.map { path[path.index(after: $0)...] } ?? path[...]).\(kind)-"
        // A folder that cannot be listed holds no journal that could be opened.
        let names = (try? FileSystem.names(in: folder)) ?? []
        return names.filter { $0.hasPrefix(start) }.compactMap { Int64($0.dropFirst(start.count)) }
            .sorted()
    }

    private func move(_ source: String, to target: String) throws(FileError) {
        guard rename(source, target) == 0 else { throw FileError(source, errno: errno) }
    }
}
