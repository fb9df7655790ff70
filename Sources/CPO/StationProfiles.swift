import Charging
import JSON
import SQL
import Service

/// Charging profiles that stations shall hold, as rows: sent until the station has answered, sent again
/// after its boot, taken away when their time or their charge is over.
package final class StationProfiles: Sendable {
    package enum State: String, Hashable, Sendable {
        /// To be sent.
        case wanted
        /// The station took it.
        case told
        case refused
        /// To be cleared at the station, and `kept` once it has said so.
        case keeping
        /// Not held by the station: the connector's current is shared from here, and the profile bounds
        /// its share.
        case kept
        /// To be cleared at the station.
        case withdrawn
    }

    package struct Record: Hashable, Sendable {
        /// Its id at the station, less `firstID`.
        package var number: Int
        package var station: String
        /// Unique at its station; who puts it again replaces it.
        package var name: String
        /// 0 is the station.
        package var connector: ConnectorNumber
        /// The charge it ends with.
        package var session: String?
        package var plan: ProfilePlan
        /// Who asked for it.
        package var source: String
        package var state: State
        package var answer: String?
        package var toldAt: Timestamp?
        package var changedAt: Timestamp

        package var id: Int { StationProfiles.firstID + number }
    }

    /// Their ids at the station, apart from what others use.
    package static let firstID = 1_000_000
    package static let mostPerStation = 50
    /// How long one that got no answer, or a no, rests.
    static let retrySeconds: Int64 = 60
    /// A plan by the time of the day is told for some days ahead, and anew before they are over.
    static let renewSeconds: Int64 = 86_400

    private let journal: Journal

    init(journal: Journal) { self.journal = journal }

    // MARK: Reading

    /// Those a station shall hold, and those that wait to be cleared.
    package func list(_ station: String, in transaction: Transaction) throws -> [Record] {
        try transaction.query(
            "SELECT * FROM charging_profile WHERE station = ? ORDER BY number", station
        ).map(Record.init(row:))
    }

    package func find(
        _ station: String, name: String, in transaction: Transaction
    ) throws -> Record? {
        try transaction.queryOne(
            "SELECT * FROM charging_profile WHERE station = ? AND name = ?", station, name
        ).map(Record.init(row:))
    }

    package func find(_ number: Int, in transaction: Transaction) throws -> Record? {
        try transaction.queryOne("SELECT * FROM charging_profile WHERE number = ?", number)
            .map(Record.init(row:))
    }

    // MARK: Changing

    /// Puts one under its name. What has the same purpose, level and place is replaced with it, as the
    /// station will replace it.
    ///
    /// - Throws: `FuseTreeProblem` for one that means nothing.
    package func put(
        _ plan: ProfilePlan, name: String, station: String, connector: ConnectorNumber,
        session: String? = nil, source: String, at: Timestamp, in transaction: Transaction
    ) throws -> Record {
        if let flaw = plan.flaw(connector: connector, hasSession: session != nil) { throw flaw }
        let known = try list(station, in: transaction)
        let same = known.first { other in
            other.name != name && other.state != .withdrawn && other.connector == connector
                && other.plan.purpose == plan.purpose && other.plan.stackLevel == plan.stackLevel
        }
        if let same {
            throw FuseTreeProblem(
                "stackLevel", "\(same.name) has this purpose, level and connector already")
        }
        guard known.count < Self.mostPerStation || known.contains(where: { $0.name == name }) else {
            throw FuseTreeProblem("name", "a station holds at most \(Self.mostPerStation)")
        }
        let row = try transaction.queryOne(
            """
            INSERT INTO charging_profile (station, name, connector, session, body, source, state,
            changed_at, revision) VALUES (?, ?, ?, ?, ?, ?, 'wanted', ?, 0)
            ON CONFLICT (station, name) DO UPDATE SET connector = excluded.connector,
            session = excluded.session, body = excluded.body, source = excluded.source,
            state = CASE WHEN charging_profile.state = 'kept'
                AND charging_profile.connector = excluded.connector THEN 'kept' ELSE 'wanted' END,
            changed_at = excluded.changed_at, answer = NULL,
            told_at = NULL, retry_at = NULL, revision = charging_profile.revision + 1 RETURNING *
            """, station, name, connector, session, plan.json.text, source, at)
        guard let record = try row.map(Record.init(row:)) else { throw StoredError(key: "number") }
        try note(record, at: at, in: transaction)
        return record
    }

    /// Takes one away: at once where the station never had it, else once it has said so. nil where
    /// there is none of this name.
    package func withdraw(
        _ station: String, name: String, at: Timestamp, in transaction: Transaction
    ) throws -> Record? {
        guard var record = try find(station, name: name, in: transaction),
            record.state != .withdrawn
        else { return nil }
        if record.state == .kept {
            try transaction.execute(
                "DELETE FROM charging_profile WHERE number = ?", record.number)
        } else {
            // One that is just on its way may be there when the answer comes.
            try transaction.execute(
                """
                UPDATE charging_profile SET state = 'withdrawn', retry_at = NULL, changed_at = ?,
                revision = revision + 1 WHERE number = ?
                """, at, record.number)
        }
        record.state = .withdrawn
        try note(record, at: at, in: transaction)
        return record
    }

    private func note(_ record: Record, at: Timestamp, in transaction: Transaction) throws {
        try journal.append(
            .profileChanged, record.station,
            ["name": .string(record.name), "state": .string(record.state.rawValue)], at: at,
            in: transaction)
    }

    // MARK: What is to be done

    /// One thing a station is to be told.
    struct Errand: Hashable, Sendable {
        var record: Record
        var revision: Int
    }

    /// The next of each station that is online, at most; what is over goes first.
    func due(
        at now: Timestamp, isRunning: (String) -> Bool,
        isKept: (Record) -> Bool, isBusy: (String) -> Bool, in transaction: Transaction
    ) throws -> [Errand] {
        try sweep(
            at: now, isRunning: isRunning, isKept: isKept, isBusy: isBusy, in: transaction)
        var tasks: [String: Errand] = [:]
        for row in try transaction.query(
            """
            SELECT p.* FROM charging_profile p JOIN station s ON s.id = p.station
            WHERE s.is_online = 1 AND s.registration = 'Accepted'
            AND (p.retry_at IS NULL OR p.retry_at <= ?)
            AND (s.booted_at IS NULL OR s.booted_at <= ?)
            AND (p.state IN ('wanted', 'withdrawn', 'keeping')
                OR (p.state IN ('told', 'refused') AND s.booted_at > p.told_at)
                OR (p.state = 'told' AND p.told_at < ? AND p.body LIKE '%"windows"%'))
            ORDER BY p.number LIMIT 500
            """, now, now.advanced(bySeconds: -GridMachine.Timings().afterBootSeconds),
            now.advanced(bySeconds: -Self.renewSeconds))
        {
            let record = try Record(row: row)
            guard tasks[record.station] == nil else { continue }
            tasks[record.station] = Errand(record: record, revision: try row.int("revision"))
        }
        return Array(tasks.values)
    }

    /// What ended with its charge goes; what is shared from here is not sent, and the other way round.
    private func sweep(
        at now: Timestamp, isRunning: (String) -> Bool, isKept: (Record) -> Bool,
        isBusy: (String) -> Bool, in transaction: Transaction
    ) throws {
        for row in try transaction.query(
            """
            SELECT * FROM charging_profile WHERE session IS NOT NULL
            OR state IN ('kept', 'keeping')
            OR station IN (SELECT station FROM site_connector WHERE site IS NOT NULL)
            ORDER BY number
            """)
        {
            let record = try Record(row: row)
            if let session = record.session, !isRunning(session) {
                // The station itself ends a TxProfile with its charge. OCPP 1.6 §3.13.1.
                try transaction.execute(
                    "DELETE FROM charging_profile WHERE number = ?", record.number)
                try note(record, at: now, in: transaction)
                continue
            }
            let revision = try row.int("revision")
            let next: State
            switch (isKept(record), record.state) {
            case (_, .withdrawn), (true, .kept), (true, .keeping): continue
            case (true, _):
                // What was sent once may lie at the station, above our limits there.
                let isNew = record.state == .wanted && record.answer == nil && revision == 0
                next = isNew && !isBusy(record.station) ? .kept : .keeping
            case (false, .kept), (false, .keeping): next = .wanted
            case (false, _): continue
            }
            try transaction.execute(
                """
                UPDATE charging_profile SET state = ?, revision = revision + 1, retry_at = NULL
                WHERE number = ?
                """, next.rawValue, record.number)
        }
    }

    /// What became of a task; nothing where its row was changed meanwhile.
    func done(
        _ task: Errand, _ answer: GridMachine.Answer, _ word: String, at now: Timestamp,
        in transaction: Transaction
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
            try transaction.execute(
                """
                UPDATE charging_profile SET state = ?, answer = ?, told_at = ?, retry_at = NULL
                WHERE number = ? AND revision = ?
                """, record.state.rawValue, word, now, number, task.revision)
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

extension StationProfiles.Record {
    init(row: Row) throws {
        self.init(
            number: try row.int("number"), station: try row.text("station"),
            name: try row.text("name"), connector: try row.int("connector"),
            session: try row.textOrNil("session"),
            plan: try ProfilePlan(json: JSONValue(parsing: row.text("body"))),
            source: try row.text("source"),
            state: StationProfiles.State(rawValue: try row.text("state")) ?? .wanted,
            answer: try row.textOrNil("answer"), toldAt: try row.timestampOrNil("told_at"),
            changedAt: try row.timestamp("changed_at"))
    }
}
