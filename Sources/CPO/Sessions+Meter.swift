import Charging
import SQL
import Service

extension Sessions {
    /// A status: history once, the current one forward only, and the running session's parking time.
    func statusChanged(
        _ report: StatusReport, from station: String, receivedAt: Timestamp,
        in transaction: Transaction
    ) throws {
        let (at, _) = StationTime.repaired(report.at, receivedAt: receivedAt)
        let isNew = try stores.stations.reported(
            report, at: at, from: station, receivedAt: receivedAt, in: transaction)
        guard isNew else { return }
        let isOperative = report.status != .unavailable
        // A status of before the command, out of a backlog, says nothing about its effect.
        try stores.commands.saw(
            "setAvailability", station: station, effect: report.status.rawValue, at: receivedAt,
            in: transaction
        ) { command in
            guard
                case .setAvailability(let connector, let wanted) = command.command,
                wanted == isOperative
            else { return false }
            // A station that says nothing of itself is what all its connectors are.
            let isMeant =
                try connector == report.connector
                || (connector == 0
                    && Commands.isAvailability(
                        wanted, of: 0, at: station, in: transaction))
            let since =
                command.notBefore == nil
                ? command.createdAt : command.sentAt ?? command.createdAt
            return isMeant && at.seconds(since: since) >= -Self.clockToleranceSeconds
        }
        for key in book.withLock({
            $0.open(station: station, connector: report.connector)
        }) {
            let isTaken = book.withLock { book in
                book.change(key) { entry in
                    entry.session.lastUpdated = max(entry.session.lastUpdated, receivedAt)
                    return entry.builder.take(.init(at: at, status: report.status))
                }
            }
            if isTaken == false { try replay(key, in: transaction) }
            try touch(key, receivedAt, always: true, in: transaction)
        }
    }

    /// Meter values: stored once, taken into the running session they belong to.
    func metered(
        _ report: MeterReport, at station: String, receivedAt: Timestamp,
        in transaction: Transaction
    ) throws {
        var report = report
        report.readings = Array(report.readings.prefix(Self.mostReadingsPerMessage))
        let owner = try owner(of: report, at: station, in: transaction)
        if let owner { try reopen(owner, by: report, receivedAt, in: transaction) }
        guard try mayStore(report, owner, at: station, in: transaction) else { return }
        if owner == nil, let reference = report.transaction {
            return try park(
                .readings(report), .meterValuesOfUnknownTransaction,
                because: "no session has this transaction",
                detail: "readings of transaction \(reference.storedText) kept without a session",
                from: station, receivedAt, in: transaction)
        }
        if let owner {
            report = try byMeter(report, of: owner, at: station, in: transaction)
        }
        try take(report, into: owner, at: station, receivedAt: receivedAt, in: transaction)
    }

    /// Stores readings with a session, or without one where they are of no transaction.
    func take(
        _ report: MeterReport, into owner: Int64?, at station: String, receivedAt: Timestamp,
        in transaction: Transaction
    ) throws {
        var changed = false
        var isLate = false
        var last: Timestamp?
        var clock = MessageClock(receivedAt)
        for reading in report.readings.prefix(Self.mostReadingsPerMessage) {
            let at = clock.time(of: reading)
            // A late message is normal; times that run back inside one are a clock that jumps.
            if let last, at < last, let owner {
                try suspectOnce(
                    .samplesOutOfOrder, owner, "\(at.rfc3339) after \(last.rfc3339) in one message",
                    receivedAt, in: transaction)
            }
            last = at
            if let owner, try isTooDense(reading, at: at, owner, in: transaction) { continue }
            let isNew = try store(
                reading, at: at, session: owner ?? 0, station: station,
                connector: report.connector, receivedAt, in: transaction)
            guard isNew, let owner else { continue }
            changed = true
            // Late is normal: the rows are in order, so all are played again, once for the message.
            if !isLate {
                isLate = try !take(reading, at: at, session: owner, receivedAt, in: transaction)
            }
        }
        if isLate, let owner { try playLate(owner, in: transaction) }
        if changed, let owner { try touch(owner, receivedAt, always: false, in: transaction) }
    }

    /// Of so many that a minute's one says enough, late or not; the last one is kept.
    private func isTooDense(
        _ reading: MeterReading, at: Timestamp, _ key: Int64, in transaction: Transaction
    ) throws -> Bool {
        guard
            book.withLock({ ($0.entries[key]?.readings ?? 0) >= Self.mostReadings }),
            !reading.samples.contains(where: { $0.context == .transactionEnd })
        else { return false }
        return try transaction.queryOne(
            "SELECT at FROM meter_reading WHERE session = ? AND at > ? AND at < ? LIMIT 1", key,
            at.advanced(bySeconds: -Self.sparseSeconds),
            at.advanced(bySeconds: Self.sparseSeconds)) != nil
    }

    /// Late ones are played with all the others; of a long charge that costs, so a station that sends
    /// many holds up nobody.
    private func playLate(_ key: Int64, in transaction: Transaction) throws {
        let mayWait =
            book.withLock { book in
                book.change(key) { entry in
                    entry.isBehind = entry.readings > Self.readingsPlayedAtOnce
                    return entry.isBehind
                }
            } ?? false
        if !mayWait { try replay(key, in: transaction) }
    }

    /// A charge that was closed for want of its stop, and of which its station tells now, goes on: as one
    /// that is over nobody could stop it, and its plug would be taken for idle.
    private func reopen(
        _ key: Int64, by report: MeterReport, _ receivedAt: Timestamp, in transaction: Transaction
    ) throws {
        guard book.withLock({ $0.entries[key] == nil }),
            let row = try transaction.queryOne(
                "SELECT * FROM session WHERE key = ? AND closure = 'provisional'", key),
            let ended = try row.timestampOrNil("ended_at"),
            let newest = report.readings.compactMap(\.at).max(), newest > ended,
            newest > receivedAt.advanced(bySeconds: -Self.freshSeconds),
            newest <= receivedAt.advanced(bySeconds: StationTime.mostAheadSeconds)
        else { return }
        let (station, connector) = (try row.text("station"), try row.int64("connector"))
        let later = try transaction.queryOne(
            """
            SELECT key FROM session WHERE station = ? AND connector = ? AND started_at >= ?
            AND key <> ? LIMIT 1
            """, station, connector, row.timestamp("started_at"), key)
        let said = try transaction.queryOne(
            "SELECT status, at FROM station_connector WHERE station = ? AND number = ?", station,
            connector)
        let isFree = try said.map {
            try $0.text("status") == ConnectorStatus.available.rawValue
                && $0.timestamp("at") >= newest
        }
        guard later == nil, isFree != true else { return }
        try transaction.execute(
            """
            UPDATE session SET closure = 'open', ended_at = NULL, result = NULL, last_updated = ?
            WHERE key = ?
            """, receivedAt, key)
        let id = try row.text("id")
        try stores.suspicions.settle(
            .orphanClosed, of: id, by: Self.wentOn, at: receivedAt, in: transaction)
        try replay(key, in: transaction)
        try stores.journal.append(.sessionUpdated, id, at: receivedAt, in: transaction)
    }

    /// False for one that is there already.
    func store(
        _ reading: MeterReading, at: Timestamp, session: Int64, station: String,
        connector: ConnectorNumber, _ receivedAt: Timestamp, in transaction: Transaction
    ) throws -> Bool {
        var finger = reading.finger
        if session == 0 {
            // Readings of no session share one key space, so the place is part of the finger.
            for byte in "\(station)/\(connector)".utf8 { finger = (finger &* 31) &+ Int64(byte) }
        }
        return try transaction.execute(
            """
            INSERT INTO meter_reading (session, at, finger, register_wh, samples, received_at)
            VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
            """, session, at, finger, reading.register?.value, reading.storedSamples, receivedAt)
            == 1
    }

    /// The session a report belongs to: by its transaction, else, where the station never learnt the
    /// number, by connector. OCPP 1.6 errata 3.18.
    private func owner(
        of report: MeterReport, at station: String, in transaction: Transaction
    ) throws -> Int64? {
        guard let reference = report.transaction else { return nil }
        if let key = book.withLock({ $0.key(station: station, reference: reference) }) {
            try acknowledged(key, in: transaction)
            return key
        }
        if case .number(let number) = reference, number <= 0 {
            let open = book.withLock { $0.open(station: station, connector: report.connector) }
            return open.count == 1 ? open[0] : nil
        }
        let row = try transaction.queryOne(
            "SELECT key FROM session WHERE station = ? AND reference = ?", station,
            reference.storedText)
        return try row?.int64("key")
    }

    /// The station learnt this session's number: it will name it when it ends.
    private func acknowledged(_ key: Int64, in transaction: Transaction) throws {
        guard book.withLock({ $0.entries[key]?.isAcknowledged }) == false else { return }
        try transaction.execute("UPDATE session SET is_acknowledged = 1 WHERE key = ?", key)
        _ = book.withLock { $0.change(key) { $0.isAcknowledged = true } }
    }

    /// A station that nobody took in yet is heard for the sake of what it costs, within bounds.
    private func mayStore(
        _ report: MeterReport, _ owner: Int64?, at station: String, in transaction: Transaction
    ) throws -> Bool {
        // Asked of the book first: this is done for every message.
        if let owner, book.withLock({ $0.entries[owner]?.mayBePending }) == false { return true }
        guard try stores.stations.isWaiting(station, in: transaction) else {
            // Of one that is over they only lie there.
            guard let owner, book.withLock({ $0.entries[owner] == nil }) else { return true }
            // Of one that waits for its stop they may be all there will be.
            let waits = try transaction.queryOne(
                "SELECT key FROM session WHERE key = ? AND closure = 'provisional'", owner)
            return try transaction.queryOne(
                "SELECT at FROM meter_reading WHERE session = ? LIMIT 1 OFFSET ?", owner,
                Self.mostReadings * (waits == nil ? 1 : 2) - 1) == nil
        }
        // Of no charge: nothing is owed for it.
        guard let owner else { return report.transaction != nil }
        return try transaction.queryOne(
            "SELECT at FROM meter_reading WHERE session = ? LIMIT 1 OFFSET ?", owner,
            Self.mostReadingsOfPending - 1) == nil
    }

    /// Takes a stored reading into the running session; one of a session that is over only lies there.
    ///
    /// - Returns: false for one older than what was taken: the rows are to be played again.
    private func take(
        _ reading: MeterReading, at: Timestamp, session key: Int64, _ receivedAt: Timestamp,
        in transaction: Transaction
    ) throws -> Bool {
        struct Step {
            var outcome: UsageBuilder.Outcome
            var register: WattHours
            var since: Timestamp
            var rated: Int64?
        }
        let step = book.withLock { book in
            book.change(key) { entry in
                let (register, since) = (entry.builder.meterLast, entry.builder.lastReadingAt)
                entry.readings += 1
                return Step(
                    outcome: Self.take(reading, at: at, into: &entry), register: register,
                    since: since, rated: entry.ratedWatts)
            }
        }
        guard let step else {
            try takeLate(reading, at: at, session: key, receivedAt, in: transaction)
            return true
        }
        let register = step.register
        switch step.outcome {
        case .taken:
            guard let rated = step.rated, let now = reading.register,
                let leap = Self.leap(
                    from: register, at: step.since, to: now, at: at, rated: rated)
            else { return true }
            try suspectOnce(.registerFellOrJumped, key, leap, receivedAt, in: transaction)
        case .registerFell:
            try suspectOnce(
                .registerFellOrJumped, key,
                "from \(register) to \(reading.register ?? .zero)", receivedAt, in: transaction)
        case .outOfOrder: return false
        }
        return true
    }

    /// What a register did that no plug of this power can give, in words; nil where it can.
    static func leap(
        from register: WattHours, at since: Timestamp, to now: WattHours, at: Timestamp,
        rated watts: Int64, slack: Int128 = 100
    ) -> String? {
        // A fifth more than the plug can give, and a little for registers of coarse steps.
        let milliseconds = max(0, at.milliseconds - since.milliseconds)
        let most = Int128(watts) * Int128(milliseconds) / 3_600_000 * 12 / 10 + slack
        guard Int128((now - register).value) > most else { return nil }
        return "from \(register) to \(now) in \(milliseconds / 1000) s"
    }

    private func takeLate(
        _ reading: MeterReading, at: Timestamp, session key: Int64, _ receivedAt: Timestamp,
        in transaction: Transaction
    ) throws {
        guard let register = reading.register,
            let row = try transaction.queryOne("SELECT * FROM session WHERE key = ?", key)
        else { return }
        var session = try session(row: row)
        // One that waits for its stop takes all of them when that comes.
        guard try row.text("closure") != Closure.provisional.rawValue, session.endedAt != nil,
            register > session.meterLast || register < session.meterStart,
            // One line for a person to look at, not one for each reading.
            try !stores.suspicions.isOpen(.laterThanCDR, of: session.id, in: transaction)
        else { return }
        try suspect(
            .laterThanCDR, &session, key: key,
            "register \(register) at \(at.rfc3339), billed up to \(session.meterLast)",
            at: receivedAt, in: transaction)
    }

    /// Builds an entry anew from its rows.
    func replay(_ key: Int64, in transaction: Transaction) throws {
        guard let row = try transaction.queryOne("SELECT * FROM session WHERE key = ?", key) else {
            return
        }
        let old = book.withLock { $0.entries[key] }
        var entry = try entry(row: row, in: transaction)
        if let old {
            entry.session.lastUpdated = max(entry.session.lastUpdated, old.session.lastUpdated)
            entry.journalledAt = old.journalledAt
        }
        let replayed = entry
        book.withLock { $0.put(replayed) }
    }

    private func suspectOnce(
        _ code: Suspicion.Code, _ key: Int64, _ detail: String, _ at: Timestamp,
        in transaction: Transaction
    ) throws {
        guard var entry = book.withLock({ $0.entries[key] }), !entry.raised.contains(code) else {
            return
        }
        try suspect(code, &entry.session, key: key, detail, at: at, in: transaction)
        let suspicions = entry.session.suspicions
        _ = book.withLock { book in
            book.change(key) { entry in
                entry.raised.insert(code)
                entry.session.suspicions = suspicions
            }
        }
    }

    /// Row and journal line follow the book at most once a second unless they are due `always`: the
    /// reading itself is a row already, and what is left behind is played again from those.
    private func touch(
        _ key: Int64, _ receivedAt: Timestamp, always: Bool, in transaction: Transaction
    ) throws {
        let now = book.withLock { book -> (id: String, register: WattHours, isDue: Bool)? in
            book.change(key) { entry in
                entry.session.lastUpdated = max(entry.session.lastUpdated, receivedAt)
                let since = receivedAt.milliseconds - entry.journalledAt.milliseconds
                let isDue = always || since >= Self.journalSpacingMilliseconds || since < 0
                if isDue { entry.journalledAt = receivedAt }
                return (entry.session.id, entry.builder.meterLast, isDue)
            }
        }
        guard var now, now.isDue else { return }
        if book.withLock({ $0.entries[key]?.isBehind }) == true {
            try replay(key, in: transaction)
            now.register = book.withLock { $0.entries[key]?.builder.meterLast } ?? now.register
        }
        try transaction.execute(
            "UPDATE session SET meter_last_wh = ?, last_updated = ? WHERE key = ?",
            now.register.value, receivedAt, key)
        try stores.journal.append(.sessionUpdated, now.id, at: receivedAt, in: transaction)
    }
}

/// The times of one message's readings: those that cannot be stand at its arrival, a millisecond apart, in
/// the order they came, or all but the first would be taken for it once more.
struct MessageClock {
    private let receivedAt: Timestamp
    private var repaired: Int64 = 0

    init(_ receivedAt: Timestamp) { self.receivedAt = receivedAt }

    mutating func time(of reading: MeterReading) -> Timestamp {
        let (at, wasRepaired) = StationTime.repaired(reading.at, receivedAt: receivedAt)
        guard wasRepaired else { return at }
        defer { repaired += 1 }
        return Timestamp(milliseconds: at.milliseconds + repaired)
    }
}
