import Charging
import SQL
import Service

/// What a charge costs, by id and validity. Kept in memory as well.
package final class Tariffs: Remembering {
    private struct State {
        var byID: [String: Tariff] = [:]
        var isTrusted = false
        var version = 0
    }

    private let database: Database
    private let journal: Journal
    private let state = Lock(State())

    init(database: Database, journal: Journal) {
        self.database = database
        self.journal = journal
    }

    /// Ordered by id.
    package func all() -> [Tariff] {
        state.withLock { $0.byID.values.sorted { $0.id < $1.id } }
    }

    package func tariff(_ id: String) -> Tariff? {
        state.withLock { $0.byID[id.lowercased()] }
    }

    /// The tariff a charge on this plug is sold under: of the plug's tariffs that are valid then, the
    /// one for ad-hoc payment for an ad-hoc token, else a regular one. OCPI 2.2.1 §11.4.7.
    package func applicable(
        to connector: Connector, at moment: Timestamp, for kind: Token.Kind = .rfid
    ) -> Tariff? {
        let valid = connector.tariffIDs.compactMap { tariff($0) }.filter { tariff in
            (tariff.validFrom.map { $0 <= moment } ?? true)
                && (tariff.validUntil.map { moment < $0 } ?? true)
        }
        let wanted: [String?] =
            kind == .adHocUser ? ["AD_HOC_PAYMENT", nil, "REGULAR"] : ["REGULAR", nil]
        for kind in wanted {
            if let match = valid.first(where: { $0.kind == kind }) { return match }
        }
        return valid.first
    }

    /// - Returns: false when nothing differs.
    @discardableResult
    package func put(_ new: Tariff, at: Timestamp, in transaction: Transaction) throws -> Bool {
        try ensure(in: transaction)
        var tariff = new
        let old = self.tariff(new.id)
        tariff.lastUpdated = old?.lastUpdated ?? at
        guard tariff != old else { return false }
        tariff.lastUpdated = max(tariff.lastUpdated, at)
        try transaction.execute(
            """
            INSERT INTO tariff (id, body, is_deleted, last_updated) VALUES (?, ?, 0, ?)
            ON CONFLICT (id) DO UPDATE SET body = excluded.body, is_deleted = 0,
            last_updated = excluded.last_updated
            """, tariff.id, tariff.storedText, tariff.lastUpdated)
        try journal.append(.tariffChanged, tariff.id, at: at, in: transaction)
        let stored = tariff
        state.withLock { state in
            state.version += 1
            state.byID[stored.id.lowercased()] = stored
        }
        return true
    }

    /// Sessions and bills keep their own copy; false when there is none of this id.
    package func delete(_ id: String, at: Timestamp, in transaction: Transaction) throws -> Bool {
        try ensure(in: transaction)
        guard let tariff = tariff(id) else { return false }
        try transaction.execute(
            "UPDATE tariff SET is_deleted = 1, last_updated = ? WHERE id = ?", at, tariff.id)
        try journal.append(.tariffDeleted, tariff.id, at: at, in: transaction)
        state.withLock { state in
            state.version += 1
            state.byID[id.lowercased()] = nil
        }
        return true
    }

    func load(in transaction: Transaction) throws {
        var fresh = State(isTrusted: true)
        for row in try transaction.query("SELECT body FROM tariff WHERE is_deleted = 0") {
            let tariff = try Tariff(storedText: row.text("body"))
            fresh.byID[tariff.id.lowercased()] = tariff
        }
        let loaded = fresh
        state.withLock { state in
            let next = state.version + 1
            state = loaded
            state.version = next
        }
    }

    var version: Int { state.withLock { $0.version } }

    func distrust() { state.withLock { $0.isTrusted = false } }

    func ensure(in transaction: Transaction) throws {
        guard !state.withLock({ $0.isTrusted }) else { return }
        try load(in: transaction)
    }
}
