import Charging
import JSON
import SQL
import Service

// What of the house's rows goes by its age. Rows that are done are found by partial indexes, so that a
// look at a database of years is short.
extension HouseRows {
    private static let sessionsAPage = 50
    private static let rowsAPage = 200
    /// No charge lasts longer: a status of so long before the oldest that can be counted anew is of none.
    private static let longestChargeSeconds: Int64 = 60 * 86_400

    var agings: [Aging] {
        [
            readings, looseReadings, statuses, sessions, commandRows, reservationRows, parkedRows,
            shownTags,
            journalRows,
        ]
    }

    /// Fine readings of charges that are billed: the bill's segments, its registers and its times stay.
    private var readings: Aging {
        let (hold, clock) = (hold, clock)
        return Aging("readings", days: \.readingsDays) { before, cursor, transaction in
            try Self.sessions(
                where: "thinned_at IS NULL", before, cursor, in: transaction
            ) { row in
                guard try hold(row, clock.now, transaction) == nil else { return 0 }
                let key = try row.int64("key")
                let count = try transaction.execute(
                    "DELETE FROM meter_reading WHERE session = ?", key)
                try transaction.execute(
                    "UPDATE session SET thinned_at = ? WHERE key = ?", clock.now, key)
                return count
            }
        }
    }

    /// Of no charge: clock-aligned values of idle plugs, in the order of their times.
    private var looseReadings: Aging {
        Aging("looseReadings", days: \.readingsDays) { before, _, transaction in
            let last = try transaction.queryOne(
                """
                SELECT at FROM meter_reading WHERE session = 0 AND at < ? ORDER BY at
                LIMIT 1 OFFSET ?
                """, before, Self.rowsAPage - 1)
            let until = try last?.timestamp("at").advanced(byMilliseconds: 1) ?? before
            let count = try transaction.execute(
                "DELETE FROM meter_reading WHERE session = 0 AND at < ?", until)
            return .init(count, next: last == nil ? nil : .null)
        }
    }

    /// What plugs said of themselves. A charge that may still be counted anew needs its plug's: one that is
    /// open, or held back from losing its readings.
    private var statuses: Aging {
        Aging("statuses", days: \.readingsDays) { moment, cursor, transaction in
            let before = moment.advanced(bySeconds: -Self.longestChargeSeconds)
            let rows = try transaction.query(
                """
                SELECT station, connector, at, status, error_code, received_at FROM status_change
                WHERE received_at < ? AND received_at >= ? ORDER BY received_at LIMIT ?
                """, before, cursor ?? .integer(.min), Self.rowsAPage)
            let needed = try Self.spansHeld(moment, in: transaction)
            var changed = 0
            for row in rows {
                let spans = needed[try Plug(row: row)] ?? []
                let at = try row.timestamp("at")
                guard !spans.contains(where: { $0.contains(at) }) else { continue }
                changed += try transaction.execute(
                    """
                    DELETE FROM status_change WHERE station = ? AND connector = ? AND at = ?
                    AND status = ? AND error_code = ?
                    """, row.text("station"), row.int64("connector"), row.timestamp("at"),
                    row.text("status"), row.text("error_code"))
            }
            guard rows.count == Self.rowsAPage, let last = rows.last else { return .init(changed) }
            let next = try last.int64("received_at")
            // Of one millisecond there can be more than a page that all stay.
            let isStuck = changed == 0 && cursor == .integer(next)
            return .init(changed, next: .integer(isStuck ? next + 1 : next))
        }
    }

    private struct Plug: Hashable {
        var station: String
        var connector: Int64

        init(row: Row) throws {
            station = try row.text("station")
            connector = try row.int64("connector")
        }
    }

    private static func spansHeld(
        _ before: Timestamp, in transaction: Transaction
    ) throws -> [Plug: [ClosedRange<Timestamp>]] {
        // Readings went first, so that what is left of such an age is held for a reason.
        let rows = try transaction.query(
            """
            SELECT station, connector, started_at, ended_at FROM session WHERE thinned_at IS NULL
            AND ended_at IS NOT NULL AND ended_at < ?
            UNION ALL SELECT station, connector, started_at, ended_at FROM session
            WHERE closure = 'open' AND started_at < ?
            """, before, before)
        var spans: [Plug: [ClosedRange<Timestamp>]] = [:]
        for row in rows {
            let start = try row.timestamp("started_at")
            let end = try row.timestampOrNil("ended_at") ?? Timestamp(milliseconds: .max)
            let first = start.advanced(bySeconds: -UsageBuilder.leadSeconds)
            spans[try Plug(row: row), default: []].append(first...max(first, end))
        }
        return spans
    }

    private var sessions: Aging {
        let (hold, clock, key) = (hold, clock, key)
        return Aging("sessions", days: \.driversDays) { before, cursor, transaction in
            try Self.sessions(
                where: "anonymous_at IS NULL", before, cursor, in: transaction
            ) { row in
                guard try hold(row, clock.now, transaction) == nil else { return 0 }
                try AnonymousSession.make(row, key, at: clock.now, in: transaction)
                return 1
            }
        }
    }

    /// Ended sessions in the order of their ends; the cursor is the last one's end and key.
    private static func sessions(
        where condition: String, _ before: Timestamp, _ cursor: SQLValue?,
        in transaction: Transaction, _ change: (Row) throws -> Int
    ) throws -> Aging.Page {
        var (end, last) = (Int64.min, Int64.min)
        if case .text(let text) = cursor {
            let parts = text.split(separator: "/").compactMap { Int64($0) }
            if parts.count == 2 { (end, last) = (parts[0], parts[1]) }
        }
        let rows = try transaction.query(
            """
            SELECT * FROM session WHERE \(condition) AND ended_at IS NOT NULL AND ended_at < ?
            AND (ended_at > ? OR (ended_at = ? AND key > ?)) ORDER BY ended_at, key LIMIT ?
            """, before, end, end, last, sessionsAPage)
        var changed = 0
        for row in rows { changed += try change(row) }
        guard rows.count == sessionsAPage, let row = rows.last else { return .init(changed) }
        return .init(
            changed, next: .text("\(try row.int64("ended_at"))/\(try row.int64("key"))"))
    }

    private var commandRows: Aging {
        let clock = clock
        return Aging("commands", days: \.driversDays) { before, _, transaction in
            let rows = try transaction.query(
                """
                SELECT id, body, token FROM command WHERE anonymous_at IS NULL AND created_at < ?
                AND state NOT IN ('queued', 'sent') ORDER BY created_at, id LIMIT ?
                """, before, Self.rowsAPage)
            for row in rows {
                let command = try StationCommand(storedText: row.text("body")).anonymous
                let token = try row.textOrNil("token").map {
                    try Token(storedText: $0).anonymous(at: before).storedText
                }
                try transaction.execute(
                    """
                    UPDATE command SET id_tag = CASE WHEN id_tag IS NULL THEN NULL ELSE ? END,
                    token = ?, body = ?, authorization_reference = NULL, anonymous_at = ?
                    WHERE id = ?
                    """, Person.erased, token, command.storedText, clock.now, row.text("id"))
            }
            return .init(rows.count, next: rows.count == Self.rowsAPage ? .null : nil)
        }
    }

    private var reservationRows: Aging {
        Aging("reservations", days: \.driversDays) { before, _, transaction in
            let rows = try transaction.query(
                """
                SELECT number FROM reservation WHERE id_tag <> ? AND expires_at < ?
                ORDER BY number LIMIT ?
                """, Person.erased, before, Self.rowsAPage)
            for row in rows {
                try transaction.execute(
                    """
                    UPDATE reservation SET id_tag = ?, group_tag = NULL, partner_id = NULL
                    WHERE number = ?
                    """, Person.erased, row.int64("number"))
            }
            return .init(rows.count, next: rows.count == Self.rowsAPage ? .null : nil)
        }
    }

    private var parkedRows: Aging {
        let (key, clock) = (key, clock)
        return Aging("parkedMessages", days: \.driversDays) { before, _, transaction in
            let rows = try transaction.query(
                """
                SELECT * FROM parked WHERE anonymous_at IS NULL AND received_at < ?
                AND state <> 'waiting' ORDER BY received_at, id LIMIT ?
                """, before, Self.rowsAPage)
            for row in rows {
                try ParkedMessage.hideFinger(row, key, in: transaction)
                let content = try ParkedMessage.Content(
                    kind: row.text("kind"), payload: row.text("payload")
                ).anonymous
                try transaction.execute(
                    "UPDATE parked SET payload = ?, anonymous_at = ? WHERE id = ?",
                    content.payload, clock.now, row.int64("id"))
            }
            return .init(rows.count, next: rows.count == Self.rowsAPage ? .null : nil)
        }
    }

    /// A station that remembers a card for years is told to clear its cache, so that a later block of the
    /// card still reaches it.
    private var shownTags: Aging {
        Aging("shownTags", days: \.driversDays) { before, _, transaction in
            let rows = try transaction.query(
                "SELECT id_tag, station FROM shown_tag WHERE at < ? ORDER BY at LIMIT ?", before,
                Self.rowsAPage)
            for row in rows {
                let (tag, station) = (try row.text("id_tag"), try row.text("station"))
                try transaction.execute(
                    """
                    INSERT INTO cache_clear (station, since) VALUES (?, ?)
                    ON CONFLICT (station) DO NOTHING
                    """, station, before)
                try transaction.execute(
                    "DELETE FROM shown_tag WHERE id_tag = ? AND station = ?", tag, station)
                tokens.forget(shown: tag)
            }
            return .init(rows.count, next: rows.count == Self.rowsAPage ? .null : nil)
        }
    }

    /// Lines that are still there after years were set aside for a person.
    private var journalRows: Aging {
        Aging("journalLines", days: \.driversDays) { before, cursor, transaction in
            let rows = try transaction.query(
                "SELECT seq, at, kind FROM journal WHERE seq > ? ORDER BY seq LIMIT ?",
                cursor ?? .integer(.min), Self.rowsAPage)
            var changed = 0
            // In the order of time, so the first young one ends it.
            for row in rows {
                guard try row.timestamp("at") < before else { return .init(changed) }
                let kind = JournalLine.Kind(rawValue: try row.text("kind"))
                let seq = try row.int64("seq")
                switch kind {
                case .tokenChanged:
                    changed += try transaction.execute(
                        "UPDATE journal SET subject = ? WHERE seq = ? AND subject <> ?",
                        Person.erased, seq, Person.erased)
                case .stationSecurity:
                    changed += try transaction.execute(
                        "UPDATE journal SET body = '{}' WHERE seq = ? AND body <> '{}'", seq)
                default: break
                }
            }
            return .init(
                changed, next: rows.count == Self.rowsAPage ? try rows.last?.value("seq") : nil)
        }
    }
}

extension StationCommand {
    /// The same without whose it was.
    var anonymous: StationCommand {
        switch self {
        case .start(let connector, _):
            return .start(connector: connector, token: Person.erased)
        case .startLimited(let connector, _, let profile):
            return .startLimited(connector: connector, token: Person.erased, profile)
        case .reserve(var reservation):
            reservation.token = Person.erased
            reservation.group = nil
            return .reserve(reservation)
        case .sendLocalList(var update):
            update.entries = []
            return .sendLocalList(update)
        case .data(var data):
            data.data = nil
            return .data(data)
        case .foreign(let action, _): return .foreign(action: action, payload: "{}")
        case .stop, .unlock, .reset, .setAvailability, .changeSetting, .getSettings, .clearCache,
            .trigger, .getLocalListVersion, .cancelReservation, .setProfile, .clearProfiles,
            .getComposite, .maintenance:
            return self
        }
    }
}

extension ParkedMessage.Content {
    /// The same without card and signed records; what energy rests on stays.
    var anonymous: ParkedMessage.Content {
        switch self {
        case .stop(var stop):
            stop.token = stop.token == nil ? nil : Person.erased
            stop.readings = stop.readings.map(\.plain)
            return .stop(stop)
        case .readings(var report):
            report.readings = report.readings.map(\.plain)
            return .readings(report)
        }
    }
}

extension MeterReading {
    /// Without what the meter signed.
    var plain: MeterReading {
        MeterReading(at: at, samples: samples.filter { $0.signed == nil })
    }
}
