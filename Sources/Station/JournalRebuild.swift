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
            try dropSaved()
            do { try await fill(cause) } catch let error where BoardJournal.isFull(error) {
                log.error("disk still full, older evidence goes", ["file": path])
                try dropUnsaved()
                try await fill(cause)
            }
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
        let source = origin
        let journal = try await BoardJournal(
            path: fresh, bootID: bootID, limits: limits, clock: clock, probe: probe,
            isRebuilding: true)
        let isNothing: Bool
        do {
            let saved = salvages ? try await journal.salvage(from: path) : nil
            if saved == nil {
                try await journal.doubtSiteLimit()
                try await journal.doubtProfiles()
            }
            isNothing = saved?.isNothing ?? true
            let nothing = "nothing; \(SmartCharging.lostProfilesText)"
            try await journal.leaveNotice(
                "journal was damaged (\(Self.short(cause))); saved "
                    + "\(saved.map { "\($0)" } ?? nothing); look at \(aside(number))")
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
        // Before it is the journal: of this evidence nothing lies anywhere else.
        if isNothing { try FileSystem.writeAtomically([], to: unsaved(number)) }
        try FileSystem.writeAtomically(Array(source.utf8), to: origin(of: number))
        try probe?(.rebuilt, .asked)
        try move(fresh, to: rebuilt(number))
        try FileSystem.syncFolder(of: path)
        try probe?(.rebuilt, .committed)
    }

    /// The first line of a cause. What a database's error advises is for one that nobody mends.
    private static func short(_ cause: any Error) -> String {
        let line = "\(cause)".prefix { !$0.isNewline }
        return String((line.split(separator: ";").first ?? line[...]).prefix(longestCause))
    }

    private static let longestCause = 200

    /// The journal opened: what ended the program before is over.
    func forgetTries() {
        do throws(FileError) { try FileSystem.remove(tries) } catch {
            log.warning("tries not forgotten", ["error": String(describing: error)])
        }
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
        case SQLError.full, SQLError.disk, SQLError.unreadable, SQLError.notAllowed, SQLError.busy,
            SQLError.corrupt, is FileError, is CancellationError:
            true
        default: false
        }
    }

    private func discard() throws(FileError) {
        for name in [fresh, "\(fresh).scratch"] {
            for suffix in ["", "-wal", "-shm"] { try FileSystem.remove(name + suffix) }
        }
        // Of one that was cut off before it had its name.
        for number in Self.numbers(of: "origin", beside: path) {
            try FileSystem.remove(origin(of: number))
        }
    }

    // MARK: In its place

    /// Completes a rebuilding that was cut off after its second step.
    func finish() throws {
        guard path != ":memory:", let number = Self.rebuilt(beside: path).first else { return }
        guard try isStillWanted(number) else { return try setAside(number) }
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
        try FileSystem.remove(origin(of: number))
        try probe?(.replace, .committed)
        log.error("journal rebuilt", ["damaged": aside(number)])
        try prune(to: limits.evidence, but: number)
    }

    /// False where the file in the journal's place is not the one that was saved: another program has been
    /// here meanwhile, such as the one before an update that was taken back, and what it wrote counts.
    private func isStillWanted(_ number: Int64) throws -> Bool {
        guard FileSystem.exists(path), FileSystem.exists(origin(of: number)) else { return true }
        return try FileSystem.read(origin(of: number), limitBytes: 256) == Array(origin.utf8)
    }

    /// It is evidence as well: nobody knows what the other program made of the damaged one.
    private func setAside(_ number: Int64) throws {
        // The damaged one may have gone aside by that number already.
        let free = FileSystem.exists(aside(number)) ? freeNumber() : number
        log.error("rebuilt journal not used, another is in its place", ["file": aside(free)])
        try move(rebuilt(number), to: aside(free))
        try FileSystem.syncFolder(of: path)
        try FileSystem.remove(origin(of: number))
        try prune(to: limits.evidence, but: free)
    }

    /// Which file lies in the journal's place, and when it was last written.
    private var origin: String {
        var info = stat()
        guard stat(path, &info) == 0 else { return "none" }
        return "\(info.st_dev) \(info.st_ino) \(info.st_size) \(info.st_mtim.tv_sec) "
            + "\(info.st_mtim.tv_nsec)"
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
    /// What the rebuilt journal of that number was made from.
    private func origin(of number: Int64) -> String { "\(path).origin-\(number)" }
    /// There where nothing of the evidence of that number came over.
    private func unsaved(_ number: Int64) -> String { "\(aside(number)).unsaved" }

    /// The time, or the next one that no evidence has.
    private func freeNumber() -> Int64 {
        var number = max(0, clock.now.milliseconds)
        while FileSystem.exists(aside(number)) { number += 1 }
        return number
    }

    /// Removes the oldest evidence where there is too much, never the newest: a clock may be behind. What
    /// nothing came over from is the only proof of what it holds and goes last.
    private func prune(to most: Int, but newest: Int64) throws(FileError) {
        let others = Self.numbers(of: "damaged", beside: path).filter { $0 != newest }
        for number in others + [newest] {
            // A copy that an older program was cut off in.
            for suffix in ["", "-wal", "-shm"] {
                try FileSystem.remove("\(aside(number)).scratch\(suffix)")
            }
        }
        let saved = others.filter { !FileSystem.exists(unsaved($0)) }
        let only = others.filter { FileSystem.exists(unsaved($0)) }
        for number in (saved + only).prefix(max(0, others.count - (most - 1))) {
            try drop(number)
        }
        try FileSystem.syncFolder(of: path)
    }

    /// Removes all evidence whose rows are in the journal.
    private func dropSaved() throws(FileError) {
        for number in Self.numbers(of: "damaged", beside: path)
        where !FileSystem.exists(unsaved(number)) { try drop(number) }
        try FileSystem.syncFolder(of: path)
    }

    /// Removes the evidence that nothing came over from, but for the newest.
    private func dropUnsaved() throws(FileError) {
        for number in Self.numbers(of: "damaged", beside: path).dropLast() { try drop(number) }
        try FileSystem.syncFolder(of: path)
    }

    private func drop(_ number: Int64) throws(FileError) {
        for suffix in ["", "-wal", "-shm", ".unsaved"] {
            try FileSystem.remove(aside(number) + suffix)
        }
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
