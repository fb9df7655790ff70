import Charging
import JSON
import SQL
import Service

extension Sessions {
    /// OCPP 1.6 §4.10: always answered as if all were well; closed once, billed once.
    func stopped(
        _ stop: SessionStop, at station: String, receivedAt: Timestamp,
        in transaction: Transaction
    ) throws -> StationReply {
        var stop = stop
        stop.readings = Array(stop.readings.prefix(Self.mostReadingsPerMessage))
        var info = try stop.token.map {
            try authorize($0, at: station, receivedAt: receivedAt, in: transaction).info
        }
        let row: Row
        switch try owner(of: stop, at: station, receivedAt, in: transaction) {
        case .session(let found): row = found
        case .unknown(let reason):
            try park(
                .stop(stop), .stopOfUnknownTransaction, because: reason, detail: Self.raw(stop),
                from: station, receivedAt, in: transaction)
            return .stopped(info)
        }
        // Nobody is asked at a stop: what its own charge was allowed with still stands.
        if info?.status == .invalid, let tag = stop.token,
            try row.text("id_tag") == Tokens.folded(tag),
            try row.text("authorization_status") == AuthorizationStatus.accepted.rawValue
        {
            info = try session(row: row).token.info(.accepted)
        }
        try finish(row, stop, at: station, receivedAt: receivedAt, in: transaction)
        return .stopped(info)
    }

    /// Gives a session its stop, with the readings it carries; a second one lies beside the first.
    ///
    /// - Parameters:
    ///   - receivedAt: when the stop came, by which its clock is judged.
    ///   - settledAt: when it found its session; the bill is of that moment, or who asked for the bills up
    ///     to now would never see it.
    func finish(
        _ row: Row, _ stop: SessionStop, at station: String, receivedAt: Timestamp,
        settledAt: Timestamp? = nil, in transaction: Transaction
    ) throws {
        let stop = try byMeter(stop, of: row, at: station, in: transaction)
        var session = try session(row: row)
        let key = try row.int64("key")
        if try row.text("closure") == Closure.closed.rawValue {
            guard try row.textOrNil("stop_raw") != Self.raw(stop),
                try !isParked(.stop(stop), station, in: transaction),
                try hasRoom(
                    for: .stop(stop), beside: session.id, station, receivedAt, in: transaction)
            else { return }
            let suspicion = try suspect(
                .secondStopDiffers, &session, key: key, Self.raw(stop), at: receivedAt,
                in: transaction)
            try insertParked(
                .stop(stop), "the session has another stop", .kept, suspicion, session.id,
                from: station, receivedAt, in: transaction)
            return
        }
        // Closed for want of it: that waits for nobody any more.
        try stores.suspicions.settle(
            .orphanClosed, of: session.id, by: Self.stopCame, at: receivedAt, in: transaction)
        var clock = MessageClock(receivedAt)
        for reading in stop.readings.prefix(Self.mostReadingsPerMessage) {
            let at = clock.time(of: reading)
            _ = try store(
                reading, at: at, session: key, station: station, connector: session.connector,
                receivedAt, in: transaction)
        }
        try close(
            row, stop, as: .closed, receivedAt: receivedAt, settledAt: settledAt ?? receivedAt,
            in: transaction)
    }

    /// The others have their turn at the next look.
    static let mostOrphansAtOnce = 100

    /// Bills provisionally closed sessions whose stop did not come within the grace period, and closes
    /// those of which nothing was heard for as long although nothing charges there.
    package func settleOrphans(at now: Timestamp, in transaction: Transaction) throws {
        try ensure(in: transaction)
        let since = now.advanced(bySeconds: -settings.orphanGraceSeconds)
        try closeSilent(since: since, now, in: transaction)
        for row in try transaction.query(
            """
            SELECT * FROM session WHERE closure = 'provisional' AND last_updated < ?
            ORDER BY key LIMIT ?
            """, since, Self.mostOrphansAtOnce)
        {
            let session = try session(row: row)
            // Readings that came after it was closed are its own as well.
            let told = try entry(row: row, credible: true, in: transaction).builder
            let stop = SessionStop(
                transaction: session.transaction ?? .number(0), meterStop: told.meterLast,
                at: session.endedAt.map { max($0, told.lastReadingAt) }, reason: .other)
            try close(row, stop, as: .ruled, receivedAt: now, settledAt: now, in: transaction)
        }
    }

    /// A charger that was taken away, or that lost its stop, would hold its plug and its driver's bill
    /// for ever. One that is online and says it charges may be silent: not all send meter values.
    private func closeSilent(
        since: Timestamp, _ now: Timestamp, in transaction: Transaction
    ) throws {
        let silent = book.withLock { $0.entries.values.filter { $0.session.lastUpdated < since } }
        for entry in silent.sorted(by: { $0.key < $1.key }) {
            let row = try transaction.queryOne(
                """
                SELECT s.is_online AS is_online, c.status AS status FROM station s
                LEFT JOIN station_connector c ON c.station = s.id AND c.number = ?
                WHERE s.id = ?
                """, entry.session.connector, entry.session.station)
            let isOnline = try row.map { try $0.int("is_online") != 0 } ?? false
            let status = try row?.textOrNil("status").flatMap { ConnectorStatus(rawValue: $0) }
            switch status {
            case .charging, .suspendedEV, .suspendedEVSE:
                // It says that it charges: not all send meter values.
                if isOnline { continue }
            case .available, .preparing, .finishing, .reserved, .unavailable, .faulted, nil: break
            }
            try closeProvisionally(
                entry.key,
                because: isOnline
                    ? "because its connector says nothing of a charge"
                    : "because its station is gone",
                now, in: transaction)
        }
    }

    private func close(
        _ row: Row, _ stop: SessionStop, as closure: Closure, receivedAt: Timestamp,
        settledAt: Timestamp, in transaction: Transaction
    ) throws {
        let former = try row.text("closure") == Closure.ruled.rawValue ? session(row: row) : nil
        let key = try row.int64("key")
        var session = try session(row: row)
        var end = try end(of: &session, key, stop, receivedAt, in: transaction)
        let register = try register(of: &session, row, stop, receivedAt, in: transaction)
        // Energy needs a stretch to lie in: the shortest there is, so that no time is billed.
        if end == session.startedAt, register > session.meterStart {
            end = end.advanced(bySeconds: 1)
        }
        // From the rows, so that a late reading, or one after the end, stands where it belongs.
        var entry = try entry(
            row: row, until: end, highest: register, credible: stop.meterStop != register,
            in: transaction)
        if let leap = Self.leap(to: register, at: end, of: entry, session) {
            try suspect(
                .registerFellOrJumped, &session, key: key, leap, at: receivedAt, in: transaction)
        }
        _ = entry.builder.take(.init(at: end, register: register, power: nil, current: nil))
        if session.suspicions != entry.session.suspicions {
            entry.session.suspicions = session.suspicions
        }
        session = entry.session
        session.usage = entry.builder.usage(until: end)
        session.endedAt = end
        session.meterLast = register
        session.stopReason = stop.reason
        session.lastUpdated = max(session.lastUpdated, settledAt)
        let isRefused = entry.authorization != .accepted
        session.status = isRefused && session.energy == .zero ? .invalid : .completed
        if isRefused, session.energy > .zero {
            try suspect(
                .chargedWhileRefused, &session, key: key,
                "\(session.energy) after \(entry.authorization.rawValue)", at: receivedAt,
                in: transaction)
        }
        if let detail = Self.unitDoubt(session.usage) {
            try suspect(
                .implausibleUnit, &session, key: key, detail, at: receivedAt, in: transaction)
        }
        session.cost = price(session, in: entry.rules)
        try store(
            session, key: key, stop, as: closure, receivedAt: receivedAt, settledAt, in: transaction
        )
        book.withLock { $0.remove(key) }
        if let former { return try amend(former, session, settledAt, in: transaction) }
        // What was refused and gave nothing owes nothing; everything else has exactly one bill.
        guard session.status == .completed else { return }
        try stores.cdrs.create(
            session, cost: session.cost ?? Self.free(session),
            signed: signed(of: session.id, in: transaction), at: settledAt, in: transaction)
    }

    /// The stop of a charge that was billed by rule turned up: the bill is corrected if it was wrong.
    private func amend(
        _ former: Session, _ session: Session, _ now: Timestamp, in transaction: Transaction
    ) throws {
        guard
            former.energy != session.energy || former.cost != session.cost
                || former.status != session.status
        else { return }
        var session = session
        try suspect(
            .laterThanCDR, &session, key: key(of: session, in: transaction),
            "billed by rule with \(former.energy), its stop says \(session.energy)", at: now,
            in: transaction)
        _ = try rebill(session, at: now, in: transaction)
    }

    private func key(of session: Session, in transaction: Transaction) throws -> Int64 {
        try transaction.queryOne("SELECT key FROM session WHERE id = ?", session.id)?.int64("key")
            ?? 0
    }

    private func store(
        _ session: Session, key: Int64, _ stop: SessionStop, as closure: Closure,
        receivedAt: Timestamp, _ settledAt: Timestamp, in transaction: Transaction
    ) throws {
        try transaction.execute(
            """
            UPDATE session SET closure = ?, status = ?, ended_at = ?, meter_last_wh = ?,
            stop_reason = ?, stop_raw = ?, result = ?, last_updated = ?, stop_received_at = ?
            WHERE key = ?
            """, closure.rawValue, session.status.rawValue, session.endedAt,
            session.meterLast.value,
            stop.reason.rawValue, Self.raw(stop),
            Outcome(usage: session.usage, cost: session.cost).storedText, settledAt, receivedAt,
            key)
        try transaction.execute(
            """
            UPDATE station_connector SET last_stop_register_wh = ? WHERE station = ? AND number = ?
            """, stop.meterStop.value, session.station, session.connector)
        try stores.journal.append(
            .sessionEnded, session.id,
            [
                "station": .string(session.station), "evse": .string(session.evseUID),
                "party": .string(session.token.party.description),
                "energyWh": .number(session.energy.value),
            ], at: settledAt, in: transaction)
        let reference = session.transaction
        try stores.commands.saw(
            "stop", station: session.station, effect: session.id, at: settledAt, in: transaction
        ) { command in
            guard case .stop(let wanted) = command.command else { return false }
            return wanted == reference
        }
    }

    /// When it ended: the station's time where it can be true and lies after the start.
    private func end(
        of session: inout Session, _ key: Int64, _ stop: SessionStop, _ receivedAt: Timestamp,
        in transaction: Transaction
    ) throws -> Timestamp {
        let (at, wasRepaired) = StationTime.repaired(stop.at, receivedAt: receivedAt)
        if wasRepaired {
            try suspect(
                .stationClockWrong, &session, key: key,
                "stop stamped \(stop.at?.rfc3339 ?? "not at all")", at: receivedAt, in: transaction)
        }
        guard at < session.startedAt else { return at }
        try suspect(
            .stopBeforeStart, &session, key: key, Self.raw(stop), at: receivedAt, in: transaction)
        return session.startedAt
    }

    /// What it is billed up to: the stop's register, unless it lies below the start's.
    private func register(
        of session: inout Session, _ row: Row, _ stop: SessionStop, _ receivedAt: Timestamp,
        in transaction: Transaction
    ) throws -> WattHours {
        let key = try row.int64("key")
        guard stop.meterStop < session.meterStart else {
            let most = session.meterStart + Self.mostEnergy
            guard stop.meterStop <= most else {
                try suspect(
                    .registerFellOrJumped, &session, key: key,
                    "\(Self.raw(stop)): more than any charge takes; billed up to the last register "
                        + "that can be", at: receivedAt, in: transaction)
                return try entry(row: row, highest: most, credible: true, in: transaction)
                    .builder.meterLast
            }
            // From the rows: those the stop brought, and those that came while it was awaited, are in
            // no book.
            let last = try entry(row: row, highest: most, in: transaction).builder.meterLast
            if stop.meterStop + Self.stopRounding < last {
                try suspect(
                    .registerFellOrJumped, &session, key: key,
                    "stop at \(stop.meterStop), last reading \(last)", at: receivedAt,
                    in: transaction)
            }
            return stop.meterStop
        }
        try suspect(
            .stopRegisterBelowStart, &session, key: key, Self.raw(stop), at: receivedAt,
            in: transaction)
        let most = session.meterStart + Self.mostEnergy
        return try entry(row: row, highest: most, credible: true, in: transaction).builder.meterLast
    }

    /// The register of a stop may be rounded where its readings are not.
    private static let stopRounding = WattHours(20)

    /// In watt-hours: a stop tells the second, and its register may be read before or after it.
    private static let stopSlack: Int128 = 1000

    /// The last stretch up to the stop, where both its times are the station's own word.
    private static func leap(
        to register: WattHours, at end: Timestamp, of entry: SessionBook.Entry, _ session: Session
    ) -> String? {
        let doubts: [Suspicion.Code] = [
            .stationClockWrong, .stopBeforeStart, .registerFellOrJumped,
        ]
        guard let rated = entry.ratedWatts,
            doubts.allSatisfy({ !session.suspicions.contains($0.rawValue) })
        else { return nil }
        return leap(
            from: entry.builder.meterLast, at: entry.builder.lastReadingAt, to: register, at: end,
            rated: rated, slack: stopSlack)
    }

    /// A register in kWh that calls itself Wh counts a thousandth of what the sampled power says.
    static func unitDoubt(_ usage: Usage) -> String? {
        var expected: Int64 = 0
        var counted = WattHours.zero
        for segment in usage.segments {
            guard let power = segment.power?.rounded(to: 3),
                let watts = Int64(exactly: power.significand)
            else { continue }
            let seconds = segment.end.seconds(since: segment.start)
            expected += min(max(0, watts), 1_000_000) * min(seconds, 86_400) / 3600
            counted += segment.energy
        }
        // Below half a kilowatt-hour a coarse register says nothing.
        guard expected > 500, counted.value * 200 < expected else { return nil }
        return "\(counted) counted where the sampled power gives \(WattHours(expected))"
    }

    /// What tells a repeated stop from another one.
    static func raw(_ stop: SessionStop) -> String {
        "transaction \(stop.transaction.storedText), register \(stop.meterStop), at "
            + "\(stop.at?.rfc3339 ?? "-"), \(stop.reason.rawValue), tag \(stop.token == nil ? "-" : "given")"
    }

    /// The bill of a session that nobody set a price for.
    static func free(_ session: Session) -> Cost {
        Cost(
            currency: session.currency, total: Price(exclVAT: .zero),
            periods: session.usage.segments.map { segment in
                Cost.Period(
                    start: segment.start, end: segment.end, state: segment.state,
                    energy: segment.energy)
            })
    }
}
