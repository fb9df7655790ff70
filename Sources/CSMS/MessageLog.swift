import CPO
import Charging
import JSON
import OCPP
import SQL
import Service

/// What the door writes down beside the hot path: messages, deviations, refusals, in batches.
final class MessageLog: Sendable {
    struct Line: Sendable {
        var station: String
        var at: Timestamp
        var isInbound: Bool
        var action: String
        var messageID: String
        var request: [UInt8]
        var answer: [UInt8]?
        var tookMilliseconds: Int64?
        var note: String?
    }

    private struct Key: Hashable {
        var station: String
        var kind: String
        var address = ""
    }

    private struct Tally {
        var times: Int64
        var firstAt: Timestamp
        var lastAt: Timestamp
    }

    private struct State {
        var lines: [Line] = []
        var dropped = 0
        var deviations: [Key: Tally] = [:]
        var refusals: [Key: Tally] = [:]
        /// How many of them an address has.
        var refusalsOf: [Neighbourhood: Int] = [:]
        var forgotAt: Timestamp?
        /// Of the frames that wait.
        var bytes = 0
        var isEmpty: Bool { lines.isEmpty && deviations.isEmpty && refusals.isEmpty }
    }

    /// Rows in one transaction, so that a batch holds nobody's commit up for long.
    private static let rowsPerCommit = 200
    /// What goes by age in one transaction: stations wait for the writer meanwhile.
    static let forgottenAtOnce = 5000
    /// Frames that wait to be written: a flood of the largest is dropped, and counted.
    static let mostBytesWaiting = 64 << 20
    /// Refusals of the moment that wait to be written: more come from thousands of addresses at once,
    /// and no list is of use then.
    static let refusalsWaiting = 10_000
    /// No action of any version is longer; the rest of a made-up one says nothing.
    static let actionBytes = 64
    private static let messageIDBytes = 255

    let house: ChargePointOperator
    private let settings: CentralSystemSettings
    private let state = Lock(State())
    /// One writes at a time: whoever reads behind it finds all that was said before, in its order.
    private let lastFlush = Lock<Task<Void, Never>?>(nil)

    init(house: ChargePointOperator, settings: CentralSystemSettings) {
        self.house = house
        self.settings = settings
    }

    // MARK: Taking

    func add(_ line: Line) {
        let bytes = line.request.count + (line.answer?.count ?? 0)
        state.withLock { state in
            guard state.lines.count < settings.messagesWaiting,
                state.bytes + bytes <= Self.mostBytesWaiting
            else {
                state.dropped += 1
                return
            }
            state.bytes += bytes
            state.lines.append(line)
        }
    }

    func count(_ deviations: Deviations, of station: String, at: Timestamp) {
        guard !deviations.isEmpty else { return }
        let kinds = deviations.all
        state.withLock { state in
            for kind in kinds {
                Self.tally(&state.deviations, Key(station: station, kind: kind.rawValue), at)
            }
        }
    }

    func refused(
        _ station: String, _ reason: Admission.Refusal, from address: String, at: Timestamp
    ) {
        state.withLock { state in
            let key = Key(
                station: station.lowercased(), kind: reason.rawValue, address: address)
            if state.refusals[key] == nil {
                let owner = Neighbourhood(of: address)
                // Of the same moment it is all one which of his are kept.
                guard state.refusalsOf[owner, default: 0] < Self.share(settings).mostOfOne else {
                    return
                }
                guard state.refusals.count < Self.refusalsWaiting else { return }
                state.refusalsOf[owner, default: 0] += 1
            }
            Self.tally(&state.refusals, key, at)
        }
    }

    private static func tally(_ tallies: inout [Key: Tally], _ key: Key, _ at: Timestamp) {
        tallies[key, default: Tally(times: 0, firstAt: at, lastAt: at)].times += 1
        tallies[key]?.lastAt = at
    }

    // MARK: Writing

    /// Writes what came in until cancelled, then once more.
    func run() async {
        while !Task.isCancelled {
            // Cancelled means write the rest.
            try? await house.clock.sleep(milliseconds: settings.messageLogMilliseconds)
            await flush()
        }
    }

    func flush() async {
        let turn = lastFlush.withLock { last in
            let turn = Task { [before = last] in
                await before?.value
                await write()
            }
            last = turn
            return turn
        }
        await turn.value
    }

    private func write() async {
        let taken = state.withLock { state in
            let taken = state
            state = State()
            state.forgotAt = taken.forgotAt
            return taken
        }
        if taken.dropped > 0 {
            house.log.warning("message log overflowed", ["dropped": taken.dropped])
        }
        let now = house.clock.now
        let forgets = isTimeToForget(now)
        guard !taken.isEmpty || forgets else { return }
        do {
            var at = taken.lines.startIndex
            while at < taken.lines.endIndex {
                let end = min(at + Self.rowsPerCommit, taken.lines.endIndex)
                let slice = taken.lines[at..<end].map(stored)
                try await house.database.write { transaction in
                    for line in slice { try Self.insert(line, in: transaction) }
                }
                at = end
            }
            let (deviations, refusals) = (taken.deviations, kept(taken.refusals))
            let isMore = try await house.database.write { [settings] transaction in
                for (key, tally) in deviations { try Self.add(key, tally, in: transaction) }
                for (key, tally) in refusals { try Self.addRefusal(key, tally, in: transaction) }
                if !refusals.isEmpty { try Self.trimRefusals(settings, in: transaction) }
                try Self.trim(settings, in: transaction)
                return try forgets && Self.forget(settings, at: now, in: transaction)
            }
            if isMore { state.withLock { $0.forgotAt = nil } }
        } catch {
            // Stations are served all the same; the log is for reading, not for billing.
            house.log.error("message log not written", ["error": "\(error)"])
        }
    }

    /// A line as it is stored: made before the writer's thread is asked for.
    private struct StoredLine: Sendable {
        let line: Line
        let request: String
        let answer: String?
    }

    private func stored(_ line: Line) -> StoredLine {
        var request = Self.masked(line.request, settings.messageBytesKept)
        // Whoever reads the log may not use the address.
        if Self.fileActions.contains(line.action) { request = FileLink.hidingTokens(in: request) }
        return StoredLine(
            line: line, request: request,
            answer: line.answer.map { Self.masked($0, settings.messageBytesKept) })
    }

    private static func insert(_ stored: StoredLine, in transaction: Transaction) throws {
        let line = stored.line
        try transaction.execute(
            """
            INSERT INTO csms_message (station, at, is_inbound, action, message_id, request, answer,
            took_ms, note) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
            """, line.station, line.at, line.isInbound, cut(line.action, actionBytes),
            cut(line.messageID, messageIDBytes), stored.request, stored.answer,
            line.tookMilliseconds, line.note)
    }

    private static func cut(_ text: String, _ bytes: Int) -> String {
        text.utf8.count <= bytes ? text : String(decoding: text.utf8.prefix(bytes), as: UTF8.self)
    }

    private static func add(_ key: Key, _ tally: Tally, in transaction: Transaction) throws {
        try transaction.execute(
            """
            INSERT INTO csms_deviation (station, kind, times, first_at, last_at)
            VALUES (?, ?, ?, ?, ?) ON CONFLICT (station, kind) DO UPDATE SET
            times = csms_deviation.times + excluded.times, last_at = excluded.last_at
            """, key.station, key.kind, tally.times, tally.firstAt, tally.lastAt)
    }

    private static func addRefusal(_ key: Key, _ tally: Tally, in transaction: Transaction) throws {
        try transaction.execute(
            """
            INSERT INTO csms_refusal (folded, reason, address, times, first_at, last_at)
            VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (folded, reason, address) DO UPDATE SET
            times = csms_refusal.times + excluded.times, last_at = excluded.last_at
            """, key.station, key.kind, key.address, tally.times, tally.firstAt, tally.lastAt)
    }

    /// Deleting by age reads the whole table, so it is done once an hour.
    private func isTimeToForget(_ now: Timestamp) -> Bool {
        state.withLock { state in
            if let last = state.forgotAt, abs(now.seconds(since: last)) < 3600 { return false }
            state.forgotAt = now
            return true
        }
    }

    /// - Returns: whether there may be more than one transaction forgets.
    private static func forget(
        _ settings: CentralSystemSettings, at now: Timestamp, in transaction: Transaction
    ) throws -> Bool {
        guard settings.messageDays > 0 else { return false }
        let gone = try transaction.execute(
            """
            DELETE FROM csms_message WHERE id IN (
            SELECT id FROM csms_message WHERE at < ? ORDER BY id LIMIT ?)
            """, now.advanced(bySeconds: -Int64(settings.messageDays) * 86_400),
            Self.forgottenAtOnce)
        // Their addresses may be those of people's homes.
        try transaction.execute(
            "DELETE FROM csms_refusal WHERE last_at < ?",
            now.advanced(bySeconds: -Int64(settings.messageDays) * 86_400))
        return gone >= Self.forgottenAtOnce
    }

    private static func trim(_ settings: CentralSystemSettings, in transaction: Transaction) throws
    {
        try transaction.execute(
            "DELETE FROM csms_message WHERE id <= (SELECT MAX(id) FROM csms_message) - ?",
            settings.messagesKept)
    }

    private static func share(_ settings: CentralSystemSettings) -> FairShare<Key> {
        FairShare(
            most: settings.refusalsKept,
            mostOfOne: settings.refusalsOfAddress > 0 ? settings.refusalsOfAddress : .max)
    }

    /// No more than the table keeps anyway: stations wait for the writer meanwhile.
    private func kept(_ refusals: [Key: Tally]) -> [Key: Tally] {
        var kept = refusals
        let entries = refusals.map { key, tally in
            FairShare<Key>.Entry(
                key: key, owner: Neighbourhood(of: key.address), at: tally.lastAt.milliseconds)
        }
        for key in Self.share(settings).excess(of: entries) { kept[key] = nil }
        return kept
    }

    /// A stranger with a thousand made-up ids must not have the operator's own stations forgotten.
    private static func trimRefusals(
        _ settings: CentralSystemSettings, in transaction: Transaction
    ) throws {
        let entries = try transaction.query(
            "SELECT folded, reason, address, last_at FROM csms_refusal"
        ).map { row in
            let address = try row.text("address")
            return FairShare<Key>.Entry(
                key: Key(
                    station: try row.text("folded"), kind: try row.text("reason"), address: address),
                owner: Neighbourhood(of: address), at: try row.int64("last_at"))
        }
        for key in share(settings).excess(of: entries) {
            try transaction.execute(
                "DELETE FROM csms_refusal WHERE folded = ? AND reason = ? AND address = ?",
                key.station, key.kind, key.address)
        }
    }

    /// The text of a frame without the passwords that configuration and the places of files carry.
    static func masked(_ frame: [UInt8], _ limit: Int) -> String {
        guard holdsSecret(frame) || mayHoldLogin(frame) else {
            // Not all engines keep a zero byte in a text, and no JSON holds one.
            let bytes = frame.contains(0) ? frame.map { $0 == 0 ? UInt8(ascii: "?") : $0 } : frame
            return String(decoding: bytes.prefix(limit), as: UTF8.self)
        }
        // A frame that cannot be read cannot be masked: then nothing of it is kept.
        guard let tree = try? JSONValue(parsing: frame) else { return "(not kept: \(secretKey))" }
        return String(decoding: SecretWords.hidden(in: tree).encoded().prefix(limit), as: UTF8.self)
    }

    private static let fileActions: Set = [
        "UpdateFirmware", "SignedUpdateFirmware", "GetDiagnostics", "GetLog",
    ]
    private static let secretKey = "authorizationkey"
    /// By the same rule as in a command's row: stations have settings such as `WifiPassword`.
    private static let secretWords = [Array(secretKey.utf8), Array("password".utf8)]

    /// Ignoring case; the first letters are looked for with a plain loop, since nearly all have none.
    private static func holdsSecret(_ frame: [UInt8]) -> Bool {
        frame.withUnsafeBufferPointer { frame in
            for start in frame.indices {
                let first = frame[start] | 0x20
                for word in secretWords
                where first == word[0] && start + word.count <= frame.count {
                    var at = 1
                    while at < word.count, frame[start + at] | 0x20 == word[at] { at += 1 }
                    if at == word.count { return true }
                }
            }
            return false
        }
    }

    /// An `@` and two slashes, escaped or not: perhaps `ftp://user:password@host`.
    private static func mayHoldLogin(_ frame: [UInt8]) -> Bool {
        guard frame.contains(UInt8(ascii: "@")) else { return false }
        return zip(frame, frame.dropFirst()).contains { first, second in
            second == UInt8(ascii: "/") && (first == second || first == UInt8(ascii: "\\"))
        }
    }
}
