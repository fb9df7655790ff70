import Charging
import SQL

/// What is known of one station's local list. OCPP 1.6 §3.4.2.
struct LocalListRecord: Hashable, Sendable {
    enum State: String, Hashable, Sendable {
        /// Never sent, or on its way.
        case open
        case sent
        /// The station has no local lists.
        case notSupported
        /// It has one and it is switched off there.
        case disabled
        /// It did not take it; tried again later.
        case failed
    }

    /// In the registry's spelling.
    var station: String
    /// nil: as the configuration says for all.
    var isKept: Bool?
    /// The version the station answered last, or took.
    var version: Int?
    /// Digest of what it holds for certain.
    var content: String?
    var state = State.open
    var detail: String?
    var entries = 0
    var isCut = false
    var limits = LocalListLimits.careful
    var changedAt: Timestamp?
    /// Not before; nil: at once.
    var nextTryAt: Timestamp?
}

extension LocalListRecord {
    init(row: Row) throws {
        station = try row.text("station")
        isKept = try row.boolOrNil("is_kept")
        version = try row.intOrNil("version")
        content = try row.textOrNil("content")
        state = State(rawValue: try row.text("state")) ?? .open
        detail = try row.textOrNil("detail")
        entries = try row.int("entries")
        isCut = try row.bool("is_cut")
        limits = LocalListLimits(
            mostEntries: try row.int("most_entries"),
            mostPerMessage: try row.int("most_per_message"),
            looksWhileOnline: try row.bool("looks_while_online"))
        changedAt = try row.timestampOrNil("changed_at")
        nextTryAt = try row.timestampOrNil("next_try_at")
    }

    /// Writes what was learnt; `isKept` only where there was no row.
    func store(in transaction: Transaction) throws {
        try transaction.execute(
            """
            INSERT INTO csms_local_list (folded, station, is_kept, version, content, state, detail,
            entries, is_cut, most_entries, most_per_message, looks_while_online, changed_at,
            next_try_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (folded) DO UPDATE SET
            version = excluded.version, content = excluded.content, state = excluded.state,
            detail = excluded.detail, entries = excluded.entries, is_cut = excluded.is_cut,
            most_entries = excluded.most_entries, most_per_message = excluded.most_per_message,
            looks_while_online = excluded.looks_while_online, changed_at = excluded.changed_at,
            next_try_at = excluded.next_try_at
            """, station.lowercased(), station, isKept, version, content,
            state.rawValue, detail, entries, isCut, limits.mostEntries,
            limits.mostPerMessage, limits.looksWhileOnline, changedAt, nextTryAt)
    }

    static func all(in transaction: Transaction) throws -> [LocalListRecord] {
        try transaction.query("SELECT * FROM csms_local_list").map(LocalListRecord.init(row:))
    }

    /// The operator's switch for one station; nil: as the configuration says.
    static func keep(_ isKept: Bool?, for station: String, in transaction: Transaction) throws {
        let row = try transaction.queryOne(
            "SELECT * FROM csms_local_list WHERE folded = ?", station.lowercased())
        if row == nil {
            var record = LocalListRecord(station: station)
            record.isKept = isKept
            return try record.store(in: transaction)
        }
        try transaction.execute(
            "UPDATE csms_local_list SET is_kept = ? WHERE folded = ?", isKept,
            station.lowercased())
    }

    static func forget(_ station: String, in transaction: Transaction) throws {
        try transaction.execute(
            "DELETE FROM csms_local_list WHERE folded = ?", station.lowercased())
    }

    // MARK: Contents, shared by all stations that hold the same

    static func content(_ digest: String, in transaction: Transaction) throws -> LocalListContent? {
        try transaction.queryOne("SELECT body FROM csms_list_content WHERE digest = ?", digest)
            .map { try LocalListContent(storedText: $0.text("body")) }
    }

    static func keep(_ content: LocalListContent, in transaction: Transaction) throws {
        try transaction.execute(
            "INSERT INTO csms_list_content (digest, body) VALUES (?, ?) ON CONFLICT DO NOTHING",
            content.digest, content.text)
    }

    /// Contents that no station holds any more.
    static func dropUnused(in transaction: Transaction) throws {
        try transaction.execute(
            """
            DELETE FROM csms_list_content WHERE digest NOT IN
            (SELECT content FROM csms_local_list WHERE content IS NOT NULL)
            """)
    }
}
