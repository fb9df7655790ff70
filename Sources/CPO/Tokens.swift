import Charging
import Crypto
import JSON
import SQL
import Service

/// Who may charge: the operator's own drivers and those of its partners.
package final class Tokens: Sendable {
    let database: Database
    private let journal: Journal

    let answers: OwnerAnswers
    /// Tags and stations whose row is known to be there: shown again they cost no write.
    let remembered = Lock(Set<ShownTag>())

    /// The house's own drivers'.
    let party: PartyID

    init(database: Database, journal: Journal, party: PartyID, answers: OwnerAnswers) {
        self.party = party
        self.database = database
        self.journal = journal
        self.answers = answers
    }

    /// What a station is told: the uid, or a stand-in where it is longer than OCPP 1.6 §7.28 allows.
    package static func idTag(of uid: String) -> String {
        guard uid.utf8.count > 20 else { return uid }
        let hash = SHA256.hash(Array(uid.lowercased().utf8))
        return "K" + Hex.encode(hash).prefix(19).uppercased()
    }

    /// How tags are compared: padding and case do not matter.
    static func folded(_ idTag: String) -> String { trimmed(idTag).lowercased() }

    /// A tag without the blanks that some readers pad it with.
    static func trimmed(_ idTag: String) -> String {
        var text = Substring(idTag)
        while let first = text.first, first.isWhitespace { text.removeFirst() }
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return String(text)
    }

    /// - Returns: false when nothing differs.
    @discardableResult
    package func put(_ token: Token, at: Timestamp, in transaction: Transaction) throws -> Bool {
        var new = token
        let old = try find(
            uid: new.uid, party: new.party, kind: new.kind, in: transaction)
        // The key is compared ignoring case and keeps its first spelling: a second row beside it would
        // go on accepting after its owner took the token back.
        if let old { new.uid = old.uid }
        guard new != old else { return false }
        try transaction.execute(
            """
            INSERT INTO token (party, uid, kind, id_tag, body, last_updated)
            VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (party, uid, kind) DO UPDATE SET
            body = excluded.body, last_updated = excluded.last_updated
            """, new.party.description, new.uid, new.kind.rawValue,
            Self.folded(Self.idTag(of: new.uid)), new.storedText, new.lastUpdated)
        answers.tokenChanged(new)
        if let old, old.isOutgrown(by: new, at: at) {
            try clearCaches(thatMayHold: Self.idTag(of: new.uid), since: at, in: transaction)
        }
        try journal.append(
            .tokenChanged, new.uid, ["party": .string(new.party.description)], at: at,
            in: transaction)
        return true
    }

    /// Takes a partner's word for its token; what only the house keeps of it stays.
    @discardableResult
    package func take(_ told: Token, at: Timestamp, in transaction: Transaction) throws -> Bool {
        var new = told
        if let old = try find(
            uid: told.uid, party: told.party, kind: told.kind, in: transaction)
        {
            (new.expires, new.mostCharges) = (old.expires, old.mostCharges)
        }
        return try put(new, at: at, in: transaction)
    }

    package func find(
        uid: String, party: PartyID, kind: Token.Kind, in transaction: Transaction
    ) throws -> Token? {
        try candidates(idTag: Self.idTag(of: uid), in: transaction).first {
            $0.party == party && $0.kind == kind && $0.uid.lowercased() == uid.lowercased()
        }
    }

    /// Every owner's token behind what a station read; valid ones first.
    package func candidates(idTag: String, in transaction: Transaction) throws -> [Token] {
        let tokens = try transaction.query(
            "SELECT uid, body FROM token WHERE id_tag = ? ORDER BY party, kind, uid",
            Self.folded(idTag)
        ).map(Token.init(row:))
        return tokens.filter(\.isValid) + tokens.filter { !$0.isValid }
    }

    /// By uid, in pages.
    package func list(
        party: PartyID? = nil, after uid: String = "", limit: Int = 200
    ) async throws -> [Token] {
        try await database.read { transaction in
            try transaction.query(
                """
                SELECT uid, body FROM token WHERE uid > ? AND (CAST(? AS TEXT) IS NULL OR party = ?)
                ORDER BY uid, party, kind LIMIT ?
                """, uid, party?.description, party?.description, limit
            ).map(Token.init(row:))
        }
    }

    /// A token that no partner knows is not deleted but made invalid; own ones may go.
    package func delete(
        uid: String, party: PartyID, at: Timestamp, in transaction: Transaction
    ) throws -> Bool {
        let count = try transaction.execute(
            "DELETE FROM token WHERE id_tag = ? AND party = ?",
            Self.folded(Self.idTag(of: uid)), party.description)
        guard count > 0 else { return false }
        try clearCaches(thatMayHold: Self.idTag(of: uid), since: at, in: transaction)
        try journal.append(
            .tokenChanged, uid, ["party": .string(party.description)], at: at, in: transaction)
        return true
    }

    /// What memory holds of a token that was erased.
    func forget(_ token: Token) {
        answers.used(token)
        forget(shown: Self.folded(Self.idTag(of: token.uid)))
    }

    func forget(shown tag: String) {
        remembered.withLock { $0 = $0.filter { $0.idTag != tag } }
    }
}

extension Token {
    /// Of a row's `uid` and `body`: the key's spelling counts, for it is what finds the row again.
    init(row: Row) throws {
        self = try Token(storedText: row.text("body"))
        uid = try row.text("uid")
    }
}
