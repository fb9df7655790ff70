import Charging
import Crypto
import SQL

/// The numbers under which stations know what was reserved, and for whom.
package final class Reservations: Sendable {
    /// One reservation as it was asked for; whether it holds, its commands tell.
    package struct Record: Hashable, Sendable {
        package var reservation: Reservation
        package var station: String
        package var party: PartyID
        /// The partner's own name of it, where a partner made it.
        package var partnerID: String?
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

    /// Stores a reservation under a new number, or under the one it replaces.
    func put(
        _ wanted: Record, replacing number: Int?, at: Timestamp, in transaction: Transaction
    ) throws -> Record {
        var record = wanted
        let reservation = wanted.reservation
        if let number {
            try transaction.execute(
                """
                UPDATE reservation SET station = ?, connector = ?, id_tag = ?, group_tag = ?,
                expires_at = ? WHERE number = ?
                """, record.station, reservation.connector, reservation.token, reservation.group,
                reservation.expires, number)
            record.reservation.id = number
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
            replacing: old?.reservation.id, at: at, in: transaction)
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
