import Charging
import JSON
import SQL

// What stations are to be told of their profiles.

extension StationProfiles {
    /// One thing a station is to be told.
    struct Errand: Hashable, Sendable {
        var record: Record
        var revision: Int
    }

    /// What a look at a station's profiles found.
    struct Look: Hashable, Sendable {
        /// The next thing to tell it.
        var errand: Errand?
        /// Rows do not stand as they shall; `sweep` first.
        var isToBeSwept = false
        /// When to look again where nothing happens; nil: only then.
        var next: Timestamp?
        /// It holds none any more.
        var isEmpty = false
    }

    /// What is asked of the house about a profile.
    struct House {
        var isRunning: (String) -> Bool
        /// It bounds shares here and is not sent.
        var isKept: (Record) -> Bool
        /// Those of a station that are shared.
        var shared: (String) -> [ConnectorNumber]
    }

    private enum Fate: Hashable {
        case stays
        case goes
        case becomes(State)
    }

    /// Reads only, so that it may be done beside the writer.
    func look(
        _ station: String, at now: Timestamp, _ house: House, in transaction: Transaction
    ) throws -> Look {
        let rows = try transaction.query(
            "SELECT * FROM charging_profile WHERE station = ? ORDER BY number", station)
        var look = Look()
        look.isEmpty = rows.isEmpty
        let known = try transaction.queryOne(
            "SELECT is_online, registration, booted_at FROM station WHERE id = ?", station)
        for row in rows {
            let record = try Record(row: row)
            guard try fate(of: record, row, house, at: now) == .stays else {
                look.isToBeSwept = true
                return look
            }
            guard record.state != .withdrawn, let end = record.plan.validTo else { continue }
            look.next = min(look.next ?? end, end)
        }
        look.isToBeSwept = try !copies(rows, of: station, house, in: transaction).isEmpty
        if look.isToBeSwept { return look }
        // Whoever is away is looked at when it comes.
        guard let known, try known.bool("is_online"),
            try known.text("registration") == RegistrationStatus.accepted.rawValue
        else { return look }
        let bootedAt = try known.timestampOrNil("booted_at")
        let heardFrom = bootedAt?.advanced(
            bySeconds: GridMachine.Timings().afterBootSeconds)
        for row in rows {
            let record = try Record(row: row)
            guard var due = try due(record, row, bootedAt: bootedAt, at: now) else { continue }
            due = [due, try row.timestampOrNil("retry_at") ?? due, heardFrom ?? due].max() ?? due
            guard due <= now else {
                look.next = min(look.next ?? due, due)
                continue
            }
            look.errand = Errand(record: record, revision: try row.int("revision"))
            return look
        }
        return look
    }

    /// From when on a station is to be told of a profile; nil: not until something happens.
    private func due(
        _ record: Record, _ row: Row, bootedAt: Timestamp?, at now: Timestamp
    ) throws -> Timestamp? {
        switch record.state {
        case .wanted, .withdrawn, .keeping: return now
        case .kept: return nil
        case .told, .refused:
            guard let toldAt = record.toldAt else { return nil }
            if let bootedAt, bootedAt > toldAt { return now }
            guard record.state == .told, case .windows = record.plan.content else { return nil }
            // An earlier version wrote none down.
            return try row.timestampOrNil("renew_at") ?? now
        }
    }

    /// What ended with its charge or by its time goes; what is shared from here is not sent, and the
    /// other way round.
    private func fate(
        of record: Record, _ row: Row, _ house: House, at now: Timestamp
    ) throws -> Fate {
        // `validTo` was told with it: the station itself heeds it no more. OCPP 1.6 §7.8.
        if record.state != .withdrawn, record.plan.isOver(at: now) { return .goes }
        // The station itself ends a TxProfile with its charge. OCPP 1.6 §3.13.1.
        if let session = record.session, !house.isRunning(session) { return .goes }
        switch (house.isKept(record), record.state) {
        case (_, .withdrawn), (true, .kept), (true, .keeping): return .stays
        case (true, _):
            // What was sent once may lie at the station, above our limits there.
            let isNew =
                try record.state == .wanted && record.answer == nil && row.int("revision") == 0
            return .becomes(isNew ? .kept : .keeping)
        case (false, .kept), (false, .keeping): return .becomes(.wanted)
        case (false, _): return .stays
        }
    }

    /// Brings a station's rows to where they shall stand. Nothing may be on its way to it.
    func sweep(
        _ station: String, at now: Timestamp, _ house: House, in transaction: Transaction
    ) throws {
        for row in try transaction.query(
            "SELECT * FROM charging_profile WHERE station = ? ORDER BY number", station)
        {
            let record = try Record(row: row)
            switch try fate(of: record, row, house, at: now) {
            case .stays: continue
            case .goes:
                try transaction.execute(
                    "DELETE FROM charging_profile WHERE number = ?", record.number)
                try note(record, at: now, in: transaction)
            case .becomes(let state):
                try transaction.execute(
                    """
                    UPDATE charging_profile SET state = ?, revision = revision + 1, retry_at = NULL
                    WHERE number = ?
                    """, state.rawValue, record.number)
            }
        }
        let rows = try transaction.query(
            "SELECT * FROM charging_profile WHERE station = ? ORDER BY number", station)
        for copy in try copies(rows, of: station, house, in: transaction) {
            try make(copy, at: now, in: transaction)
        }
    }

    // MARK: A profile of the whole station that is shared in part

    /// What is wrong with the copies: one that is missing or out of date, or one too many.
    private enum Copy: Hashable {
        case wanted(Record, on: ConnectorNumber)
        case stale(number: Int)
    }

    /// A TxDefaultProfile of a station with shared connectors is not sent to connector 0, where it would
    /// stand beside ours. The station's other connectors get it one by one, so that none is without.
    private func copies(
        _ rows: [Row], of station: String, _ house: House, in transaction: Transaction
    ) throws -> [Copy] {
        let records = try rows.map(Record.init(row:))
        let spread = records.filter {
            $0.connector == 0 && ($0.state == .kept || $0.state == .keeping)
        }
        let made = records.filter { $0.copyOf != nil }
        guard !spread.isEmpty || !made.isEmpty else { return [] }
        let shared = Set(house.shared(station))
        let others = try transaction.query(
            "SELECT number FROM station_connector WHERE station = ? AND number > 0 ORDER BY number",
            station
        ).map { try $0.int("number") }.filter { !shared.contains($0) }
        var wrong: [Copy] = []
        var right: Set<Int> = []
        for whole in spread {
            for connector in others {
                // One of its own counts there instead. OCPP 1.6 §3.13.2.
                let isReplaced = records.contains { own in
                    own.copyOf == nil && own.connector == connector && own.state != .withdrawn
                        && own.plan.purpose == whole.plan.purpose
                        && own.plan.stackLevel == whole.plan.stackLevel
                }
                if isReplaced { continue }
                let copy = made.first { $0.copyOf == whole.number && $0.connector == connector }
                if let copy { right.insert(copy.number) }
                guard let copy, copy.plan == whole.plan, copy.state != .withdrawn else {
                    wrong.append(.wanted(whole, on: connector))
                    continue
                }
            }
        }
        let stale = made.filter { !right.contains($0.number) && $0.state != .withdrawn }
        return wrong + stale.map { .stale(number: $0.number) }
    }

    private func make(_ copy: Copy, at now: Timestamp, in transaction: Transaction) throws {
        switch copy {
        case .wanted(let whole, let connector):
            try transaction.execute(
                """
                INSERT INTO charging_profile (station, name, connector, body, source, state,
                changed_at, revision, copy_of) VALUES (?, ?, ?, ?, ?, 'wanted', ?, 0, ?)
                ON CONFLICT (station, name) DO UPDATE SET body = excluded.body,
                state = 'wanted', changed_at = excluded.changed_at, answer = NULL, told_at = NULL,
                renew_at = NULL, retry_at = NULL, revision = charging_profile.revision + 1,
                copy_of = excluded.copy_of
                """, whole.station, Self.copyName(whole, connector), connector,
                whole.plan.json.text, whole.source, now, whole.number)
        case .stale(let number):
            try transaction.execute(
                """
                UPDATE charging_profile SET state = 'withdrawn', retry_at = NULL, changed_at = ?,
                revision = revision + 1 WHERE number = ?
                """, now, number)
        }
    }

    /// No person can give a profile such a name: it has a blank.
    private static func copyName(_ whole: Record, _ connector: ConnectorNumber) -> String {
        "\(whole.name) \(connector)"
    }

    /// What became of a task; nothing where its row was changed meanwhile.
    ///
    /// - Parameter renewAt: when what was sent is to be told anew.
    func done(
        _ task: Errand, _ answer: GridMachine.Answer, _ word: String, sentAt: Timestamp,
        renewAt: Timestamp?, at now: Timestamp, in transaction: Transaction
    ) throws {
        let number = task.record.number
        var record = task.record
        switch (record.state, answer) {
        case (.withdrawn, .accepted), (.withdrawn, .refused):
            // Unknown means that it is gone already.
            try transaction.execute(
                "DELETE FROM charging_profile WHERE number = ? AND revision = ?", number,
                task.revision)
        case (.keeping, _):
            let isGone = GridControl.isGone(answer, word)
            let retryAt = isGone ? nil : now.advanced(bySeconds: Self.retrySeconds)
            try transaction.execute(
                """
                UPDATE charging_profile SET state = ?, answer = ?, retry_at = ?
                WHERE number = ? AND revision = ?
                """, (isGone ? State.kept : .keeping).rawValue, word,
                retryAt, number, task.revision)
            guard isGone else { return }
            record.state = .kept
        case (_, .accepted), (_, .refused):
            record.state = answer == .accepted ? .told : .refused
            // Of a boot between the two it is not known whether the station kept it.
            try transaction.execute(
                """
                UPDATE charging_profile SET state = ?, answer = ?, told_at = ?, renew_at = ?,
                retry_at = NULL WHERE number = ? AND revision = ?
                """, record.state.rawValue, word, sentAt, renewAt, number, task.revision)
        case (_, .unknown), (_, .unsent):
            try transaction.execute(
                """
                UPDATE charging_profile SET answer = ?, retry_at = ?
                WHERE number = ? AND revision = ?
                """, word, now.advanced(bySeconds: Self.retrySeconds), number, task.revision)
            return
        }
        try note(record, at: now, in: transaction)
    }
}
