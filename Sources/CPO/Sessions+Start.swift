import Charging
import Crypto
import JSON
import SQL
import Service

extension Sessions {
    /// OCPP 1.6 §4.8: always answered with a real transaction id.
    func started(
        _ start: SessionStart, at station: String, receivedAt: Timestamp,
        words: RealTimeAuthorization.Words?, in transaction: Transaction
    ) throws -> StationReply {
        let idTag = Tokens.folded(start.token)
        let natural = start.at?.milliseconds ?? 0
        let connector = try actualConnector(start.connector, at: station, in: transaction)
        let known = try former(
            start, idTag, at: natural, at: station, connector: connector, in: transaction)
        if let known, try !Self.isAnother(start, than: known) {
            return try answerAgain(known, start, receivedAt: receivedAt, in: transaction)
        }
        try admitMore(station, receivedAt, in: transaction)
        let repetition = try known.map { try $0.int("repetition") + 1 } ?? 0
        let startedAt =
            StationTime.isUnset(start.at)
            ? nil : start.at?.advanced(bySeconds: lagSeconds(of: station))
        var authorization = try authorize(
            start.token, at: station, connector: connector, startedAt: startedAt,
            receivedAt: receivedAt, words: words, in: transaction)
        // An order was weighed by who gave it.
        var excess: String?
        if authorization.command == nil, authorization.info.status == .accepted,
            let token = authorization.token
        {
            excess = try self.excess(
                of: token, at: station, connector: connector, startedAt: startedAt ?? receivedAt,
                in: transaction)
            if excess != nil { authorization.info.status = .concurrentTransaction }
        }
        try stores.stations.adopt(station, connector, at: receivedAt, in: transaction)
        let others = book.withLock { $0.open(station: station, connector: connector) }
        let opened = try open(
            start, Natural(connector: connector, idTag: idTag, at: natural, repetition: repetition),
            authorization, excess, at: station, receivedAt: receivedAt, in: transaction)
        try settle(opened, among: others, receivedAt, in: transaction)
        if authorization.isOwnersWord, let token = authorization.token, token.whitelist == .never {
            stores.realTime.answers.used(token)
        }
        if let number = start.reservation {
            try Reservations.used(
                number, by: opened.session.id, at: station, in: transaction)
        }
        if let command = authorization.command {
            try stores.commands.saw(
                command, effect: opened.session.id, at: receivedAt, in: transaction)
        }
        try stores.journal.append(
            .sessionStarted, opened.session.id,
            [
                "station": .string(station), "evse": .string(opened.session.evseUID),
                "party": .string(opened.session.token.party.description),
            ], at: receivedAt, in: transaction)
        try takeParked(into: opened, receivedAt, in: transaction)
        return .started(.number(Int(opened.key)), authorization.info)
    }

    /// The charge that was begun by the same words; the last, where there were several.
    private func former(
        _ start: SessionStart, _ idTag: String, at natural: Int64, at station: String,
        connector: ConnectorNumber, in transaction: Transaction
    ) throws -> Row? {
        let key = try stores.erasureKey.value(in: transaction)
        return try transaction.queryOne(
            """
            SELECT * FROM session WHERE station = ? AND connector IN (?, ?)
            AND id_tag IN (?, ?, ?) AND natural_at = ? AND meter_start_wh = ?
            ORDER BY repetition DESC, key DESC LIMIT 1
            """, station, connector, start.connector, idTag, mark(connector),
            mark(start.connector), natural, start.meterStart.value)

        // The same start, whose driver was erased meanwhile; or of a connector 0 that nobody could
        // tell for another one then.
        func mark(_ connector: ConnectorNumber) -> String {
            key.mark(
                tag: idTag, station: station, connector: connector, at: natural,
                register: start.meterStart.value)
        }
    }

    /// Chargers that count per session and never set their clock repeat 0 and 1970. A register that
    /// went on since, of a meter that counts for life, is not shown again.
    private static func isAnother(_ start: SessionStart, than known: Row) throws -> Bool {
        guard StationTime.isUnset(start.at),
            try known.text("closure") == Closure.closed.rawValue
        else { return false }
        let wentOn = try known.int64("meter_last_wh") > start.meterStart.value
        return start.meterStart == .zero || !wentOn
    }

    private func answerAgain(
        _ row: Row, _ start: SessionStart, receivedAt: Timestamp, in transaction: Transaction
    ) throws -> StationReply {
        let session = try session(row: row)
        var info = try authorize(
            start.token, at: session.station, connector: session.connector,
            receivedAt: receivedAt, in: transaction
        ).info
        // The remote start that paid for it is spent, its owner is not asked twice; their word for
        // this session still stands. One that was too many stays so.
        if session.authMethod == .command { info = AuthorizationInfo(.accepted) }
        if session.authMethod == .authRequest {
            if session.token.whitelist == .never { stores.realTime.answers.used(session.token) }
            if info.status == .invalid { info = session.token.info(.accepted) }
        }
        let first = AuthorizationStatus(rawValue: try row.text("authorization_status"))
        if first == .concurrentTransaction, info.status == .accepted {
            info.status = .concurrentTransaction
        }
        let key = try row.int("key")
        return .started(session.transaction ?? .number(key), info)
    }

    /// What makes two starts the same one.
    struct Natural {
        var connector: ConnectorNumber
        var idTag: String
        var at: Int64
        var repetition: Int
    }

    private func open(
        _ start: SessionStart, _ natural: Natural, _ authorization: Authorization,
        _ excess: String?, at station: String, receivedAt: Timestamp, in transaction: Transaction
    ) throws -> SessionBook.Entry {
        let (startedAt, wasRepaired) = StationTime.repaired(start.at, receivedAt: receivedAt)
        let connector = natural.connector
        let token = authorization.token ?? stranger(start.token, at: receivedAt)
        let sealed = seal(
            token, authorization.command, station: station, connector: connector, at: startedAt)
        let key = try nextKey(receivedAt, in: transaction)
        let status = try transaction.queryOne(
            """
            SELECT status FROM status_change WHERE station = ? AND connector = ? AND at <= ?
            AND at >= ? ORDER BY at DESC, received_at DESC LIMIT 1
            """, station, connector, startedAt,
            startedAt.advanced(bySeconds: -UsageBuilder.leadSeconds))
        try transaction.execute(
            """
            INSERT INTO session (key, id, station, connector, id_tag, natural_at, meter_start_wh,
            repetition, reference, status, closure, started_at, meter_last_wh, start_status,
            authorization_status, auth_method, authorization_reference, token_party, token_uid,
            location, evse_uid, sealed, suspicions, created_at, last_updated)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'ACTIVE', 'open', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
            '', ?, ?)
            """, key, UUID4.make(), station, connector, natural.idTag, natural.at,
            start.meterStart.value, natural.repetition,
            TransactionReference.number(Int(key)).storedText, startedAt, start.meterStart.value,
            try status?.text("status"), authorization.info.status.rawValue,
            Self.method(of: authorization).rawValue,
            authorization.command?.authorizationReference ?? authorization.reference,
            token.party.description, token.uid,
            sealed.location.id, sealed.location.evses.first?.uid ?? "", sealed.storedText,
            receivedAt, receivedAt)
        guard let row = try transaction.queryOne("SELECT * FROM session WHERE key = ?", key) else {
            throw SQLError.mismatch("a session that was just stored is not there")
        }
        var entry = try entry(row: row, in: transaction)
        try suspectStart(
            start, &entry, authorization, excess, wasRepaired: wasRepaired,
            repetition: natural.repetition,
            receivedAt: receivedAt, in: transaction)
        let opened = entry
        book.withLock { $0.put(opened) }
        return opened
    }

    private static func method(of authorization: Authorization) -> AuthMethod {
        if authorization.command != nil { return .command }
        return authorization.isOwnersWord ? .authRequest : .whitelist
    }

    private func suspectStart(
        _ start: SessionStart, _ entry: inout SessionBook.Entry, _ authorization: Authorization,
        _ excess: String?, wasRepaired: Bool, repetition: Int, receivedAt: Timestamp,
        in transaction: Transaction
    ) throws {
        let key = entry.key
        func raise(_ code: Suspicion.Code, _ detail: String) throws {
            entry.raised.insert(code)
            try suspect(code, &entry.session, key: key, detail, at: receivedAt, in: transaction)
        }
        switch authorization.info.status {
        case .accepted: break
        case .invalid where authorization.token == nil:
            try raise(.unknownToken, "nobody knows this tag")
        case .invalid: try raise(.refusedToken, "its owner did not allow it")
        case .blocked, .expired, .concurrentTransaction:
            try raise(
                .refusedToken, excess ?? "answered \(authorization.info.status.rawValue)")
        }
        if wasRepaired {
            try raise(.stationClockWrong, "start stamped \(start.at?.rfc3339 ?? "not at all")")
        }
        if repetition > 0 {
            try raise(.repeatedStartWithUnsetClock, "repetition \(repetition) of one start")
        }
        if start.connector != entry.session.connector
            || !(1...Stations.mostConnectors).contains(start.connector)
        {
            try raise(.connectorOutOfRange, "start on connector \(start.connector)")
        }
        let last = try transaction.queryOne(
            "SELECT last_stop_register_wh AS wh FROM station_connector WHERE station = ? AND number = ?",
            entry.session.station, entry.session.connector)
        let countsAnew = try correction(of: entry.session.station, in: transaction)?
            .sessionRegister.contains(.start)
        if countsAnew != true, let last = try last?.int64OrNil("wh"),
            last != start.meterStart.value
        {
            try raise(
                .registerGapBetweenSessions, "last stop \(last) Wh, this start \(start.meterStart)")
        }
    }

    /// A station that nobody took in, or took in no more, is believed so many charges a day; it asks again
    /// later.
    private func admitMore(
        _ station: String, _ now: Timestamp, in transaction: Transaction
    ) throws {
        guard try stores.stations.isWaiting(station, in: transaction) else { return }
        let last = try transaction.queryOne(
            """
            SELECT key FROM session WHERE station = ? AND created_at > ? LIMIT 1 OFFSET ?
            """, station, now.advanced(bySeconds: -86_400), Self.mostSessionsOfPending - 1)
        guard last == nil else { throw StationError.tooMuchOfPending }
    }

    /// Connector 0 of a station with one connector is that one.
    private func actualConnector(
        _ number: ConnectorNumber, at station: String, in transaction: Transaction
    ) throws -> ConnectorNumber {
        guard number == 0 else {
            // Numbers that cannot be share one place: a station that makes them up fills no memory.
            return (1...Stations.mostConnectors).contains(number)
                ? number : Stations.mostConnectors + 1
        }
        let known = try transaction.query(
            "SELECT number FROM station_connector WHERE station = ? AND number > 0", station)
        return known.count == 1 ? try known[0].int("number") : number
    }

    /// A session that runs while a later one starts on its connector lost its stop. The later one is
    /// told by its start, not by its arrival: a backlog brings old starts while a new charge runs.
    private func settle(
        _ opened: SessionBook.Entry, among others: [Int64], _ receivedAt: Timestamp,
        in transaction: Transaction
    ) throws {
        let startedAt = opened.session.startedAt
        let isLate = book.withLock { book in
            others.contains { (book.entries[$0]?.session.startedAt ?? startedAt) > startedAt }
        }
        if isLate {
            return try closeProvisionally(
                opened.key, because: "because a later charge runs", receivedAt, in: transaction)
        }
        for key in others {
            try closeProvisionally(
                key, because: "because a new start came", receivedAt, in: transaction)
        }
    }

    /// Closes a running session at its last register until its stop, or the grace period's end, comes.
    func closeProvisionally(
        _ key: Int64, because reason: String, _ now: Timestamp, in transaction: Transaction
    ) throws {
        guard var entry = book.withLock({ $0.entries[key] }) else { return }
        let end = entry.builder.lastReadingAt
        try suspect(
            .orphanClosed, &entry.session, key: key, "closed at its last register \(reason)",
            at: now, in: transaction)
        try transaction.execute(
            """
            UPDATE session SET closure = 'provisional', ended_at = ?, meter_last_wh = ?,
            result = ?, last_updated = ? WHERE key = ?
            """, end, entry.builder.meterLast.value,
            Outcome(usage: entry.builder.usage(until: end), cost: nil).storedText, now, key)
        try stores.journal.append(.sessionUpdated, entry.session.id, at: now, in: transaction)
        book.withLock { $0.remove(key) }
    }

    /// Positive, 31 bits, never given twice. It begins at a figure that grows with time, so that a
    /// board with transactions of an earlier installation does not meet its numbers again.
    private func nextKey(_ now: Timestamp, in transaction: Transaction) throws -> Int64 {
        let row = try transaction.queryOne(
            """
            INSERT INTO sequence (name, value) VALUES ('session', ?)
            ON CONFLICT (name) DO UPDATE SET value = sequence.value + 1 RETURNING value
            """, Self.firstKey(at: now))
        guard let key = try row?.int64("value"), key <= Int64(Int32.max) else {
            throw SQLError.tooLarge("all transaction numbers are used up")
        }
        return key
    }

    private static func firstKey(at now: Timestamp) -> Int64 {
        let since2020 = now.milliseconds / 1000 - 1_577_836_800
        return max(1, min(since2020 / 2, 1_000_000_000))
    }

    /// Leaves out numbers that may have been given since a backup was made: stations charge with them.
    ///
    /// At most half of what is left, so that no number of restores uses them up.
    static func skipKeys(
        _ count: Int64, at now: Timestamp, in transaction: Transaction
    ) throws {
        let row = try transaction.queryOne("SELECT value FROM sequence WHERE name = 'session'")
        let last = max(try row?.int64("value") ?? 0, firstKey(at: now))
        try transaction.execute(
            """
            INSERT INTO sequence (name, value) VALUES ('session', ?)
            ON CONFLICT (name) DO UPDATE SET value = excluded.value
            """, last + min(count, max(0, (Int64(Int32.max) - last) / 2)))
    }
}
