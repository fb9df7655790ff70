import Charging
import SQL
import Service

/// A tag that a station was told to accept: it may keep that in its cache. OCPP 1.6 §3.4.1.
struct ShownTag: Hashable, Sendable {
    var idTag: String
    var station: String
}

extension Token {
    /// A station that remembers it as it was would let it charge where it may not any more.
    func isOutgrown(by new: Token, at moment: Timestamp) -> Bool {
        guard isValid, !isExpired(at: moment) else { return false }
        return !new.isValid || new.isExpired(at: moment)
            || (new.whitelist == .never && whitelist != .never)
    }
}

// Which stations may remember a tag, and which of them have to forget it. OCPP 1.6 §5.4.
extension Tokens {
    /// Pairs kept in memory; beyond this they are found in their rows again.
    static let mostRemembered = 50_000

    /// A station was told to accept this tag.
    func shown(
        _ idTag: String, at station: String, _ now: Timestamp, in transaction: Transaction
    ) throws {
        let tag = ShownTag(idTag: Self.folded(idTag), station: station)
        guard !remembered.withLock({ $0.contains(tag) }) else { return }
        let isNew = try transaction.execute(
            """
            INSERT INTO shown_tag (id_tag, station, at) VALUES (?, ?, ?)
            ON CONFLICT (id_tag, station) DO NOTHING
            """, tag.idTag, station, now)
        // A row of this transaction may yet be undone; one that was there before stays.
        guard isNew == 0 else { return }
        remembered.withLock { remembered in
            if remembered.count >= Self.mostRemembered { remembered.removeAll() }
            remembered.insert(tag)
        }
    }

    /// Every station that may remember this tag has its cache cleared, now or when it comes back.
    func clearCaches(
        thatMayHold idTag: String, since: Timestamp, in transaction: Transaction
    ) throws {
        try transaction.execute(
            """
            INSERT INTO cache_clear (station, since) SELECT station, ? FROM shown_tag
            WHERE id_tag = ? ON CONFLICT (station) DO UPDATE SET since = excluded.since
            """, since, Self.folded(idTag))
    }

    /// Stations whose cache has to be cleared, with the moment of the newest reason.
    package func cachesToClear() async throws -> [(station: String, since: Timestamp)] {
        try await database.read { transaction in
            try transaction.query("SELECT station, since FROM cache_clear ORDER BY since").map {
                (try $0.text("station"), try $0.timestamp("since"))
            }
        }
    }

    /// A station has no cache any more, or never had one.
    ///
    /// - Parameter since: the reason it was asked for; a newer one stands.
    package func cacheCleared(
        of station: String, since: Timestamp, in transaction: Transaction
    ) throws {
        try transaction.execute(
            "DELETE FROM cache_clear WHERE station = ? AND since <= ?", station, since)
        try transaction.execute(
            "DELETE FROM shown_tag WHERE station = ? AND at <= ?", station, since)
        remembered.withLock { $0 = $0.filter { $0.station != station } }
    }
}

// Bounds of groups: a family's card, a company's fleet.
extension Tokens {
    package struct Group: Hashable, Sendable {
        package var party: PartyID
        package var id: String
        /// 0: no bound.
        package var mostCharges: Int

        package init(party: PartyID, id: String, mostCharges: Int) {
            self.party = party
            self.id = id
            self.mostCharges = mostCharges
        }
    }

    package func groups() async throws -> [Group] {
        try await database.read { transaction in
            try transaction.query("SELECT * FROM token_group ORDER BY party, folded").map { row in
                let party = try row.text("party").split(separator: "*").map(String.init)
                return Group(
                    party: PartyID(country: party.first ?? "", party: party.last ?? ""),
                    id: try row.text("id"), mostCharges: try row.int("most_charges"))
            }
        }
    }

    package func put(_ group: Group, in transaction: Transaction) throws {
        try transaction.execute(
            """
            INSERT INTO token_group (party, id, folded, most_charges) VALUES (?, ?, ?, ?)
            ON CONFLICT (party, folded) DO UPDATE SET most_charges = excluded.most_charges
            """, group.party.description, group.id, group.id.lowercased(), group.mostCharges)
    }

    package func deleteGroup(
        _ party: PartyID, _ id: String, in transaction: Transaction
    ) throws -> Bool {
        try transaction.execute(
            "DELETE FROM token_group WHERE party = ? AND folded = ?", party.description,
            id.lowercased()) == 1
    }

    func groupLimit(
        _ party: PartyID, _ id: String, in transaction: Transaction
    ) throws -> Int? {
        try transaction.queryOne(
            "SELECT most_charges FROM token_group WHERE party = ? AND folded = ?",
            party.description, id.lowercased())?.int("most_charges")
    }
}
