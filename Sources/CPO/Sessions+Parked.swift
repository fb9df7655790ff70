import Charging
import SQL
import Service

// Messages of transactions that nobody here knows. OCPP 1.6 §4.10 and errata 3.18: they are answered
// as if all were well, so what is not kept here is lost.
extension Sessions {
    /// Readings of unknown transactions kept for one station; a charger that was moved here in the
    /// middle of a charge sends a few hundred.
    static let mostParkedReadings = 5000
    /// Stops of one station that wait: a year of offline charges.
    static let mostParkedStops = 1000
    /// Stops kept beside the one a session has.
    static let mostSecondStops = 10
    /// As many of a station as of those that wait, of so long.
    static let secondStopsDays: Int64 = 90
    /// The same of a station that nobody took in: it is asked to keep silent.
    static let mostParkedOfPending = 20
    /// Their bodies together, of one kind.
    static let mostParkedBytes = 16 << 20
    static let mostParkedBytesOfPending = 1 << 20

    /// Why a stop of no known transaction waits.
    static let noneFits = "no session has this transaction, and none fits"
    /// It is of one of those: a later start is not its own, however well it fits.
    static let severalFit = "no session has this transaction, and several fit"

    /// Why a parked message cannot be bound to a session.
    package enum BindingRefusal: Error, Hashable, Sendable {
        case nothingParked
        case unknownSession
        case otherStation
        /// The session has its stop; it can be corrected.
        case hasItsStop
    }

    /// Keeps a message and shows it; the same one again changes nothing.
    func park(
        _ content: ParkedMessage.Content, _ code: Suspicion.Code, because reason: String,
        detail: String, from station: String, _ receivedAt: Timestamp,
        in transaction: Transaction
    ) throws {
        let reference = content.reference?.storedText ?? ""
        guard try !isParked(content, station, in: transaction) else { return }
        // One line in the review list for all readings of a transaction.
        let earlier =
            content.connector == nil
            ? nil
            : try transaction.queryOne(
                """
                SELECT suspicion FROM parked WHERE station = ? AND reference = ?
                AND kind = 'readings' AND state = 'waiting' LIMIT 1
                """, station, reference)
        guard try hasRoom(for: content, station, receivedAt, in: transaction) else { return }
        let suspicion =
            try earlier?.int64OrNil("suspicion")
            ?? stores.suspicions.raise(
                code, station: station, connector: content.connector, session: nil,
                detail: detail + theirs(content, station, in: transaction), at: receivedAt,
                in: transaction)
        try insertParked(
            content, reason, .waiting, suspicion, nil, from: station, receivedAt, in: transaction)
    }

    /// Words for a transaction that is another station's: its charge is not touched, but whoever names it
    /// guesses numbers, was given another's identity, or brings those of the system it came from.
    private func theirs(
        _ content: ParkedMessage.Content, _ station: String, in transaction: Transaction
    ) throws -> String {
        guard case .number(let number) = content.reference, number > 0,
            let other = try transaction.queryOne(
                "SELECT station FROM session WHERE key = ? AND station <> ?", number, station
            )?.text("station")
        else { return "" }
        stores.log.warning(
            "transaction of another station",
            [
                "station": station, "of": other, "transaction": number, "message": content.kind,
            ])
        return "; that transaction is of station \(other), whose charge was not touched"
    }

    func isParked(
        _ content: ParkedMessage.Content, _ station: String, in transaction: Transaction
    ) throws -> Bool {
        // One whose person was erased is known by a hint of its finger alone.
        let finger = content.finger
        return try transaction.queryOne(
            "SELECT id FROM parked WHERE station = ? AND reference = ? AND finger IN (?, ?)",
            station, content.reference?.storedText ?? "", finger,
            stores.erasureKey.value(in: transaction).mark(finger: finger)) != nil
    }

    /// False where no more of the kind are kept for the station, or beside the stop that `session` has; a
    /// person is told so once.
    func hasRoom(
        for content: ParkedMessage.Content, beside session: String? = nil, _ station: String,
        _ now: Timestamp, in transaction: Transaction
    ) throws -> Bool {
        if let session {
            let there = try transaction.queryOne(
                """
                SELECT COUNT(*) AS n, COALESCE(SUM(LENGTH(payload)), 0) AS bytes,
                COALESCE(SUM(CASE WHEN session = ? THEN 1 ELSE 0 END), 0) AS own FROM parked
                WHERE station = ? AND kind = ? AND state = 'kept' AND session IS NOT NULL
                AND received_at >= ?
                """, session, station, content.kind,
                now.advanced(bySeconds: -Self.secondStopsDays * 86_400))
            let isPending = try stores.stations.isWaiting(station, in: transaction)
            return try (there?.int("own") ?? 0) < Self.mostSecondStops
                && (there?.int("n") ?? 0)
                    < (isPending ? Self.mostParkedOfPending : Self.mostParkedStops)
                && (there?.int("bytes") ?? 0)
                    < (isPending ? Self.mostParkedBytesOfPending : Self.mostParkedBytes)
        }
        let isStop = content.connector == nil
        let isPending = try stores.stations.isWaiting(station, in: transaction)
        let most =
            isPending
            ? Self.mostParkedOfPending : isStop ? Self.mostParkedStops : Self.mostParkedReadings
        let mostBytes = isPending ? Self.mostParkedBytesOfPending : Self.mostParkedBytes
        let there = try transaction.queryOne(
            """
            SELECT COUNT(*) AS n, COALESCE(SUM(LENGTH(payload)), 0) AS bytes FROM parked
            WHERE station = ? AND kind = ? AND state = 'waiting'
            """, station, content.kind)
        guard let there, try there.int("n") >= most || there.int("bytes") >= mostBytes else {
            return true
        }
        let code: Suspicion.Code =
            isStop ? .stopOfUnknownTransaction : .meterValuesOfUnknownTransaction
        let detail = "\(most) such messages wait for a word; more are not kept"
        let told = try transaction.queryOne(
            """
            SELECT id FROM suspicion WHERE station = ? AND state = 'open' AND code = ?
            AND detail = ? LIMIT 1
            """, station, code.rawValue, detail)
        if told == nil {
            try stores.suspicions.raise(
                code, station: station, connector: content.connector, session: nil,
                detail: detail, at: now, in: transaction)
        }
        return false
    }

    func insertParked(
        _ content: ParkedMessage.Content, _ reason: String, _ state: ParkedMessage.State,
        _ suspicion: Int64, _ session: String?, from station: String, _ receivedAt: Timestamp,
        in transaction: Transaction
    ) throws {
        try transaction.execute(
            """
            INSERT INTO parked (station, reference, kind, finger, payload, received_at, reason,
            state, suspicion, session) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """, station, content.reference?.storedText ?? "", content.kind, content.finger,
            content.payload, receivedAt, reason, state.rawValue, suspicion, session)
    }

    func parked(
        _ state: ParkedMessage.State, station: String, in transaction: Transaction
    ) throws -> [ParkedMessage] {
        try transaction.query(
            "SELECT * FROM parked WHERE station = ? AND state = ? ORDER BY id", station,
            state.rawValue
        ).map(ParkedMessage.init(row:))
    }

    /// What a line of the review list is about, oldest first, and how much there is in all; nothing
    /// where it is about a session.
    package func parked(
        suspicion id: Int64, limit: Int = 20
    ) async throws -> (messages: [ParkedMessage], total: Int) {
        try await database.read { transaction in
            let messages = try transaction.query(
                "SELECT * FROM parked WHERE suspicion = ? ORDER BY id LIMIT ?", id, limit
            ).map(ParkedMessage.init(row:))
            guard messages.count == limit else { return (messages, messages.count) }
            let row = try transaction.queryOne(
                "SELECT COUNT(*) AS n FROM parked WHERE suspicion = ?", id)
            return (messages, try row?.int("n") ?? messages.count)
        }
    }

    private func parked(
        suspicion id: Int64, in transaction: Transaction
    ) throws -> [ParkedMessage] {
        try transaction.query("SELECT * FROM parked WHERE suspicion = ? ORDER BY id", id)
            .map(ParkedMessage.init(row:))
    }

    // MARK: The start turns up

    /// Gives a session what came before its start: a stop, if only one fits, and its readings.
    func takeParked(
        into opened: SessionBook.Entry, _ receivedAt: Timestamp,
        in transaction: Transaction
    ) throws {
        let station = opened.session.station
        // Of one that nobody took in, a person tells what belongs together.
        guard try !stores.stations.isWaiting(station, in: transaction) else { return }
        let error = clockErrorMilliseconds(of: station)
        // It began, by our clock, before we heard of its end: what came earlier is of another charge.
        let begun = opened.session.startedAt.advanced(byMilliseconds: -error)
        let outlets = try outlets(of: station, in: transaction)
        let fitting = try waiting("kind = 'stop'", at: station, since: begun, in: transaction)
            .filter {
                try Self.fits($0, opened, outlets: outlets)
                    && !hasOther(
                        opened, until: Self.end($0), heard: $0.receivedAt, in: transaction)
            }
        // Two that fit are a person's to tell apart.
        let stop = fitting.count == 1 ? fitting[0] : nil
        var end: Timestamp?
        if let stop, case .stop(let told) = stop.content {
            end = StationTime.repaired(told.at, receivedAt: stop.receivedAt).at
        }
        // Bodies are read only where the number can be this charge's.
        let readings = try waiting(
            "kind = 'readings' AND (reference = ? OR reference = '0' OR reference LIKE '-%')",
            [.text(stop?.reference?.storedText ?? "0")], at: station, since: begun,
            in: transaction)
        for message in readings {
            guard case .readings(let report) = message.content,
                Self.belongs(report, message, to: opened, until: end, with: stop?.reference)
            else { continue }
            try bind(
                message, to: opened.session.id, by: Self.startCame, receivedAt, in: transaction)
        }
        if let stop {
            try bind(stop, to: opened.session.id, by: Self.startCame, receivedAt, in: transaction)
        }
    }

    private static func end(_ message: ParkedMessage) -> Timestamp {
        guard case .stop(let stop) = message.content else { return message.receivedAt }
        return StationTime.repaired(stop.at, receivedAt: message.receivedAt).at
    }

    /// Whether after a charge's start another one began on its connector, before that end, or heard of
    /// before the end was: then the clock was set meanwhile, and the end is of an earlier one.
    func hasOther(
        _ entry: SessionBook.Entry, until end: Timestamp, heard: Timestamp,
        in transaction: Transaction
    ) throws -> Bool {
        try transaction.queryOne(
            """
            SELECT key FROM session WHERE station = ? AND connector = ? AND key <> ?
            AND started_at > ? AND (started_at < ? OR created_at < ?) LIMIT 1
            """, entry.session.station, entry.session.connector, entry.key,
            entry.session.startedAt, end, heard) != nil
    }

    private func waiting(
        _ condition: String, _ values: [SQLValue] = [], at station: String,
        since begun: Timestamp, in transaction: Transaction
    ) throws -> [ParkedMessage] {
        try transaction.query(
            """
            SELECT * FROM parked WHERE station = ? AND state = 'waiting' AND received_at >= ?
            AND \(condition) ORDER BY id
            """, list: [.text(station), .integer(begun.milliseconds)] + values
        ).map(ParkedMessage.init(row:))
    }

    /// Stands where a person's name stands otherwise.
    static let startCame = "its start came"
    static let stopCame = "its stop came"
    static let wentOn = "it went on"

    /// By tag, register and time. A station that never learnt its number says 0 or −1, and need not
    /// tell a tag where it has one outlet; a number of its own making is believed only with the tag.
    private static func fits(
        _ message: ParkedMessage, _ entry: SessionBook.Entry, outlets: Int
    ) -> Bool {
        guard case .stop(let stop) = message.content, message.reason != severalFit else {
            return false
        }
        let tag = stop.token.map(Tokens.folded)
        guard !entry.isAcknowledged,
            tag == entry.idTag || (tag == nil && isUnset(stop.transaction) && outlets <= 1)
        else { return false }
        let (at, _) = StationTime.repaired(stop.at, receivedAt: message.receivedAt)
        // The register at which a charge began is the one at which the charge before it ended, so an
        // equal one tells nothing; a charge without energy owes nothing either way.
        return stop.meterStop > entry.session.meterStart && at >= entry.session.startedAt
    }

    /// Connectors that the station told of.
    private func outlets(of station: String, in transaction: Transaction) throws -> Int {
        try transaction.queryOne(
            "SELECT COUNT(*) AS n FROM station_connector WHERE station = ? AND number > 0", station
        )?.int("n") ?? 0
    }

    private static func belongs(
        _ report: MeterReport, _ message: ParkedMessage, to entry: SessionBook.Entry,
        until end: Timestamp?, with reference: TransactionReference?
    ) -> Bool {
        guard report.connector == entry.session.connector, let transaction = report.transaction,
            isUnset(transaction) || transaction == reference
        else { return false }
        return report.readings.allSatisfy { reading in
            let (at, _) = StationTime.repaired(reading.at, receivedAt: message.receivedAt)
            return at >= entry.session.startedAt && (end.map { at <= $0 } ?? true)
        }
    }

    static func isUnset(_ reference: TransactionReference) -> Bool {
        if case .number(let number) = reference { number <= 0 } else { false }
    }

    // MARK: A person's word

    /// Gives what a line of the review list is about to a session, with its bill.
    ///
    /// - Throws: `BindingRefusal`; then nothing was changed.
    package func bindParked(
        _ suspicion: Int64, to session: String, by name: String, at now: Timestamp,
        in transaction: Transaction
    ) throws {
        try ensure(in: transaction)
        let messages = try parked(suspicion: suspicion, in: transaction)
            .filter { $0.state == .waiting }
        guard let first = messages.first else { throw BindingRefusal.nothingParked }
        guard
            let row = try transaction.queryOne("SELECT * FROM session WHERE id = ?", session)
        else { throw BindingRefusal.unknownSession }
        guard try row.text("station") == first.station else { throw BindingRefusal.otherStation }
        // Readings of the same transaction go with its stop, before it: it closes the session.
        var whole = messages
        if let reference = first.reference, !Self.isUnset(reference) {
            whole += try parked(.waiting, station: first.station, in: transaction).filter {
                $0.reference == reference && $0.suspicion != suspicion
            }
        }
        let isStop = { (message: ParkedMessage) in message.content.kind == "stop" }
        if whole.contains(where: isStop), try row.text("closure") == Closure.closed.rawValue {
            throw BindingRefusal.hasItsStop
        }
        for message in whole.filter({ !isStop($0) }) + whole.filter(isStop) {
            try bind(message, to: session, by: name, now, in: transaction)
        }
    }

    /// A person's word that it stays as it is, or is nobody's.
    package func settleParked(
        _ suspicion: Int64, _ state: ParkedMessage.State, in transaction: Transaction
    ) throws {
        try transaction.execute(
            "UPDATE parked SET state = ? WHERE suspicion = ? AND state = 'waiting'",
            state.rawValue, suspicion)
    }

    private func bind(
        _ message: ParkedMessage, to session: String, by name: String, _ now: Timestamp,
        in transaction: Transaction
    ) throws {
        try transaction.execute(
            "UPDATE parked SET state = 'bound', session = ? WHERE id = ?", session, message.id)
        if let suspicion = message.suspicion {
            try stores.suspicions.bound(
                suspicion, to: session, by: name, at: now, in: transaction)
        }
        guard
            let row = try transaction.queryOne("SELECT * FROM session WHERE id = ?", session)
        else { throw BindingRefusal.unknownSession }
        switch message.content {
        case .readings(let report):
            let key = try row.int64("key")
            try take(
                byMeter(report, of: key, at: message.station, in: transaction), into: key,
                at: message.station, receivedAt: message.receivedAt, in: transaction)
        case .stop(let stop):
            try finish(
                row, stop, at: message.station, receivedAt: message.receivedAt, settledAt: now,
                in: transaction)
        }
    }
}
