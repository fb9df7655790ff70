import Charging
import Crypto
import SQL

/// The numbers under which stations know what was reserved, and for whom.
package final class Reservations: Sendable {
    package enum State: String, Hashable, Sendable, CaseIterable {
        /// The station has not answered yet.
        case asked
        case held, refused, cancelled, used
        /// No message says that one ended by its time. OCPP 1.6 §5.13.
        case expired
    }

    /// One reservation as it was asked for, and what became of it.
    package struct Record: Hashable, Sendable {
        package var reservation: Reservation
        package var station: String
        package var party: PartyID
        /// The partner's own name of it, where a partner made it.
        package var partnerID: String?
        package var state = State.asked
        /// The charge that used it.
        package var session: String?
    }

    /// A partner's reservation by the name the partner gave it.
    package func find(
        partnerID: String, party: PartyID, in transaction: Transaction
    ) throws -> Record? {
        try transaction.queryOne(
            "SELECT * FROM reservation WHERE party = ? AND partner_id = ?", party.description,
            partnerID
        ).map(Record.init(row:))
    }

    package func find(_ number: Int, in transaction: Transaction) throws -> Record? {
        try transaction.queryOne("SELECT * FROM reservation WHERE number = ?", number)
            .map(Record.init(row:))
    }

    /// Newest first; those of a state where one is named.
    ///
    /// - Parameter token: a uid, in any case.
    /// - Parameter from: made since then; `until` before then.
    /// - Parameter before: the number of the last one of the page before.
    package func list(
        station: String? = nil, token: String? = nil, state: State? = nil,
        from: Timestamp? = nil, until: Timestamp? = nil, before: Int64? = nil, at now: Timestamp,
        limit: Int = 100, in transaction: Transaction
    ) throws -> [Record] {
        let tag = token.map { Tokens.folded(Tokens.idTag(of: $0)) }
        // An expired one is stored as it was last known, so the time is asked as well.
        return try transaction.query(
            """
            SELECT * FROM (SELECT r.*, CASE WHEN COALESCE(r.state, 'asked') IN ('asked', 'held')
            AND r.expires_at <= ? THEN 'expired' ELSE COALESCE(r.state, 'asked') END AS shown
            FROM reservation r) AS found WHERE (CAST(? AS TEXT) IS NULL OR station = ?)
            AND (CAST(? AS TEXT) IS NULL OR shown = ?)
            AND (CAST(? AS TEXT) IS NULL OR LOWER(id_tag) = ?)
            AND created_at >= ? AND created_at < ? AND number < ? ORDER BY number DESC LIMIT ?
            """, now, station, station, state?.rawValue, state?.rawValue, tag, tag,
            from?.milliseconds ?? .min, until?.milliseconds ?? .max, before ?? .max, limit
        ).map { row in
            var record = try Record(row: row)
            record.state = State(rawValue: try row.text("shown")) ?? .asked
            return record
        }
    }

    /// Keeps what an answered command tells of a reservation: what the station took is what it holds,
    /// and a replacement that it refused leaves the one before. One that the station does not know any
    /// more is gone too: OCPP 1.6 §5.4.
    static func heard(_ command: Command, at: Timestamp, in transaction: Transaction) throws {
        switch (command.command, command.state) {
        case (.reserve(let taken), .accepted), (.reserve(let taken), .seen):
            try transaction.execute(
                """
                UPDATE reservation SET connector = ?, id_tag = ?, group_tag = ?, expires_at = ?,
                state = 'held' WHERE number = ? AND station = ? AND session IS NULL
                """, taken.connector, taken.token, taken.group, taken.expires, taken.id,
                command.station)
        case (.reserve(let refused), .rejected), (.reserve(let refused), .failed):
            try transaction.execute(
                """
                UPDATE reservation SET state = 'refused'
                WHERE number = ? AND COALESCE(state, 'asked') = 'asked' AND session IS NULL
                """, refused.id)
        case (.cancelReservation(let id), .accepted), (.cancelReservation(let id), .seen),
            (.cancelReservation(let id), .rejected):
            try transaction.execute(
                """
                UPDATE reservation SET state = 'cancelled' WHERE number = ? AND session IS NULL
                """, id)
        default: return
        }
    }

    /// A charge began on it.
    static func used(
        _ number: Int, by session: String, at station: String, in transaction: Transaction
    ) throws {
        try transaction.execute(
            """
            UPDATE reservation SET state = 'used', session = ?
            WHERE number = ? AND station = ? AND session IS NULL
            """, session, number, station)
    }

    /// Stores a reservation under a new number, or under that of the one it replaces. Where the station
    /// holds that one, it stands as it is until the station took the other: `heard`.
    func put(
        _ wanted: Record, replacing old: Record?, at: Timestamp, in transaction: Transaction
    ) throws -> Record {
        var record = wanted
        let reservation = wanted.reservation
        if let old {
            record.reservation.id = old.reservation.id
            if old.state == .held, old.reservation.expires > at { return record }
            try transaction.execute(
                """
                UPDATE reservation SET station = ?, connector = ?, id_tag = ?, group_tag = ?,
                expires_at = ?, state = 'asked', session = NULL WHERE number = ?
                """, record.station, reservation.connector, reservation.token, reservation.group,
                reservation.expires, old.reservation.id)
            return record
        }
        let row = try transaction.queryOne(
            """
            INSERT INTO reservation (station, connector, id_tag, group_tag, expires_at, party,
            partner_id, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING number
            """, record.station, reservation.connector, reservation.token, reservation.group,
            reservation.expires, record.party.description, record.partnerID, at)
        guard let number = try row?.int("number") else { throw StoredError(key: "number") }
        record.reservation.id = number
        return record
    }
}

extension Reservations.Record {
    init(row: Row) throws {
        let party = try row.text("party").split(separator: "*", maxSplits: 1)
        guard party.count == 2 else { throw StoredError(key: "party") }
        self.init(
            reservation: Reservation(
                id: try row.int("number"), connector: try row.int("connector"),
                token: try row.text("id_tag"), group: try row.textOrNil("group_tag"),
                expires: try row.timestamp("expires_at")),
            station: try row.text("station"),
            party: PartyID(country: String(party[0]), party: String(party[1])),
            partnerID: try row.textOrNil("partner_id"))
        state = try row.textOrNil("state").flatMap(Reservations.State.init(rawValue:)) ?? .asked
        session = try row.textOrNil("session")
    }
}

extension ChargePointOperator {
    /// Whom a plug is kept free for, and until when.
    package struct ReservationWish: Hashable, Sendable {
        package var token: Token
        package var expires: Timestamp
        package var partnerID: String?

        package init(token: Token, expires: Timestamp, partnerID: String? = nil) {
            self.token = token
            self.expires = expires
            self.partnerID = partnerID
        }
    }

    /// Asks a station to keep a plug free; the same partner's name or number again replaces it.
    ///
    /// - Throws: `CommandRefusal` when it is clear beforehand that it cannot work.
    package func reserve(
        _ target: Target, _ wish: ReservationWish, replacing number: Int? = nil,
        origin: CommandOrigin, at: Timestamp, in transaction: Transaction
    ) throws -> Command {
        guard wish.expires > at else { throw CommandRefusal.expired }
        let (id, connector) = try resolve(target)
        let station = try reachable(id, in: transaction)
        var old: Reservations.Record?
        if let number {
            old = try reservations.find(number, in: transaction)
            guard old != nil else { throw CommandRefusal.unknownReservation }
        } else if let name = wish.partnerID {
            old = try reservations.find(
                partnerID: name, party: wish.token.party, in: transaction)
        }
        // A station cannot replace what another one holds.
        if let old, old.station != station.id { throw CommandRefusal.unknownReservation }
        let token = Tokens.idTag(of: wish.token.uid)
        let record = try reservations.put(
            Reservations.Record(
                reservation: Reservation(
                    id: 0, connector: connector ?? 0, token: token,
                    group: wish.token.groupID.map(Tokens.idTag(of:)), expires: wish.expires),
                station: station.id, party: wish.token.party, partnerID: wish.partnerID),
            replacing: old, at: at, in: transaction)
        let command = Command(
            id: UUID4.make(), station: station.id, command: .reserve(record.reservation),
            origin: origin, token: wish.token, createdAt: at)
        try commands.enqueue(command, in: transaction)
        return command
    }

    /// Asks the station to give a reserved plug free.
    package func cancel(
        reservation number: Int, origin: CommandOrigin, at: Timestamp, in transaction: Transaction
    ) throws -> Command {
        guard let record = try reservations.find(number, in: transaction) else {
            throw CommandRefusal.unknownReservation
        }
        let station = try reachable(record.station, in: transaction)
        let command = Command(
            id: UUID4.make(), station: station.id, command: .cancelReservation(id: number),
            origin: origin, createdAt: at)
        try commands.enqueue(command, in: transaction)
        return command
    }
}
