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
        /// The number of the station's own profile that it stands for on this connector.
        package var copyOf: Int?
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

    private let journal: Journal
    private let news: HouseNews

    init(journal: Journal, news: HouseNews) {
        self.journal = journal
        self.news = news
    }

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
        if plan.isOver(at: at) {
            throw FuseTreeProblem("validTo", "is past; give a time to come, or leave it out")
        }
        // What is over goes with the next look, and stands in nobody's way until then.
        let known = try list(station, in: transaction).filter {
            $0.name == name || !$0.plan.isOver(at: at)
        }
        let same = known.first { other in
            other.name != name && other.copyOf == nil && other.state != .withdrawn
                && other.connector == connector
                && other.plan.purpose == plan.purpose && other.plan.stackLevel == plan.stackLevel
        }
        if let same {
            throw FuseTreeProblem(
                "stackLevel", "\(same.name) has this purpose, level and connector already")
        }
        let own = known.count { $0.copyOf == nil }
        guard own < Self.mostPerStation || known.contains(where: { $0.name == name }) else {
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
            changed_at = excluded.changed_at, answer = NULL, told_at = NULL, renew_at = NULL,
            retry_at = NULL, revision = charging_profile.revision + 1 RETURNING *
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

    func note(_ record: Record, at: Timestamp, in transaction: Transaction) throws {
        news.note(.profiles(record.station))
        try journal.append(
            .profileChanged, record.station,
            ["name": .string(record.name), "state": .string(record.state.rawValue)], at: at,
            in: transaction)
    }
}

extension StationProfiles.Record {
    init(row: Row) throws {
        self.init(
            number: try row.int("number"), station: try row.text("station"),
            name: try row.text("name"), connector: try row.int("connector"),
            copyOf: try row.int64OrNil("copy_of").map(Int.init),
            session: try row.textOrNil("session"),
            plan: try ProfilePlan(json: JSONValue(parsing: row.text("body"))),
            source: try row.text("source"),
            state: StationProfiles.State(rawValue: try row.text("state")) ?? .wanted,
            answer: try row.textOrNil("answer"), toldAt: try row.timestampOrNil("told_at"),
            changedAt: try row.timestamp("changed_at"))
    }
}
