import Charging
import SQL
import Service

/// What stations report becomes sessions and bills here: one transaction per event, idempotent, and
/// nothing that costs money is dropped because it looks wrong.
package final class Sessions: Remembering {
    /// `session.updated` lines of one session are at least this far apart.
    static let journalSpacingMilliseconds: Int64 = 1000
    /// A station's clock may be this wrong before a status counts as older than a command.
    static let clockToleranceSeconds: Int64 = 300
    /// Readings of one message beyond this are cut off.
    static let mostReadingsPerMessage = 1000
    /// Readings kept of one charge, and charges a day, of a station that nobody took in.
    static let mostReadingsOfPending = 2000
    static let mostSessionsOfPending = 50
    /// Readings of one charge that are all kept: two days of one every ten seconds. Beyond them one is kept
    /// in `sparseSeconds`, so that a year's bill can still be read.
    static let mostReadings = 20_000
    static let sparseSeconds: Int64 = 60
    /// A charge of more readings than these is played again once a second at most.
    static let readingsPlayedAtOnce = 2000
    /// A charge that was closed for want of its stop goes on where it is heard of within so long.
    static let freshSeconds: Int64 = 900
    /// The most that one charge is believed to come to: a heavy truck, several times over.
    static let mostEnergy = WattHours(10_000_000)

    /// What an event may touch besides sessions.
    struct Stores: Sendable {
        let writer: HouseWriter
        let journal: Journal
        let news: HouseNews
        let stations: Stations
        let locations: Locations
        let tariffs: Tariffs
        let tokens: Tokens
        let cdrs: CDRs
        let commands: Commands
        let suspicions: Suspicions
        let realTime: RealTimeAuthorization
        let erasureKey: ErasureKeyStore
        let log: Log
    }

    /// How a session's row stands to its end.
    enum Closure: String {
        case open
        /// Closed by rule because a newer start came; a late stop still completes it.
        case provisional
        /// Billed by rule because its stop did not come in time; a late stop still corrects it.
        case ruled
        case closed
    }

    let database: Database
    let settings: OperatorSettings
    let stores: Stores
    let book: Lock<SessionBook>
    /// By station, of those that were heard since the server's start.
    let clocks = Lock([String: ClockSkew]())
    let corrections = Lock(Corrections())
    private let zones = Lock([String: LocalTimeRules]())

    init(database: Database, settings: OperatorSettings, stores: Stores) {
        self.database = database
        self.settings = settings
        self.stores = stores
        book = Lock(SessionBook(news: stores.news))
    }

    // MARK: Events

    /// Applies one event of a registered station and says what to answer. Durable when it returns;
    /// the same event again changes nothing and gets the same answer.
    ///
    /// - Parameter station: the id in the registry's spelling, as `Stations.admit` gave it.
    /// - Throws: `SQLError` when the store is down: answer InternalError, so that the station tries
    ///   again. `StationError`: it is not in the registry, or waits to be taken in and told too much.
    nonisolated(nonsending) package func apply(
        _ event: StationEvent, from station: String, receivedAt: Timestamp
    ) async throws -> StationReply {
        switch event {
        case .alive: return .alive(now: receivedAt)
        case .data: return .data(status: "UnknownVendorId", data: nil)
        case .foreign: return .foreign(payload: "{}")
        case .booted, .statusChanged, .authorizing, .sessionStarted, .metered, .sessionStopped:
            break
        case .maintenance: break
        }
        let told = try await corrected(event, from: station)
        let words = try await words(for: told, from: station, receivedAt: receivedAt)
        return try await stores.writer.write { transaction in
            try self.apply(
                told, from: station, receivedAt: receivedAt, words: words, in: transaction)
        }
    }

    /// The same inside a transaction of the caller's, who writes through `ChargePointOperator.write`.
    package func apply(
        _ event: StationEvent, from station: String, receivedAt: Timestamp,
        in transaction: Transaction
    ) throws -> StationReply {
        try apply(event, from: station, receivedAt: receivedAt, words: nil, in: transaction)
    }

    private func apply(
        _ event: StationEvent, from station: String, receivedAt: Timestamp,
        words: RealTimeAuthorization.Words?, in transaction: Transaction
    ) throws -> StationReply {
        try ensure(in: transaction)
        stores.news.note(.station(station))
        // What is decided about an event does not rest on the event's own word for the clock.
        defer { measure(event, from: station, receivedAt: receivedAt) }
        try recallSkew(of: station, in: transaction)
        try tellSkew(of: station, in: transaction)
        switch event {
        case .alive: return .alive(now: receivedAt)
        case .data: return .data(status: "UnknownVendorId", data: nil)
        case .foreign: return .foreign(payload: "{}")
        case .booted(let identity):
            try stores.commands.saw(
                "reset", station: station, effect: "booted", at: receivedAt, in: transaction
            ) { _ in true }
            let reply = try stores.stations.booted(
                station, identity, at: receivedAt, in: transaction)
            forgetCorrection(of: station)
            return reply
        case .statusChanged(let report):
            try statusChanged(report, from: station, receivedAt: receivedAt, in: transaction)
            return .noted
        case .authorizing(let idTag):
            return .authorization(
                try authorize(
                    idTag, at: station, receivedAt: receivedAt, words: words, in: transaction
                ).info)
        case .sessionStarted(let start):
            return try started(
                start, at: station, receivedAt: receivedAt, words: words, in: transaction)
        case .metered(let report):
            try metered(report, at: station, receivedAt: receivedAt, in: transaction)
            return .noted
        case .sessionStopped(let stop):
            return try stopped(stop, at: station, receivedAt: receivedAt, in: transaction)
        case .maintenance(let report):
            return try maintained(report, at: station, receivedAt: receivedAt, in: transaction)
        }
    }

    // MARK: Reading

    /// True while a charge runs on this connector.
    package func hasOpen(station: String, connector: ConnectorNumber) -> Bool {
        openSince(station: station, connector: connector) != nil
    }

    /// When the charge that runs on this connector began; nil when none does.
    package func openSince(station: String, connector: ConnectorNumber) -> Timestamp? {
        book.withLock { book in
            book.open(station: station, connector: connector).last
                .flatMap { book.entries[$0]?.session.startedAt }
        }
    }

    /// The ids of the charges that run at a station, oldest first.
    package func open(station: String) -> [String] {
        book.withLock { $0.open(station: station) }.sorted { $0.key < $1.key }.map(\.session.id)
    }

    /// A running session with its usage and cost as of the last report; nil when it does not run.
    package func running(_ id: String) -> Session? {
        guard let entry = book.withLock({ book in book.key(id: id).flatMap { book.entries[$0] } })
        else { return nil }
        return snapshot(of: entry)
    }

    /// All running sessions, oldest first.
    package func running() -> [Session] {
        book.withLock { Array($0.entries.values) }.sorted { $0.key < $1.key }.map(snapshot)
    }

    /// Latest sampled values of a running session, for pages and pushes.
    package func live(_ id: String) -> (
        power: Decimal?, current: Decimal?, stateOfCharge: Decimal?
    )? {
        book.withLock { book in
            guard let key = book.key(id: id), let entry = book.entries[key] else { return nil }
            return (entry.builder.power, entry.builder.current, entry.stateOfCharge)
        }
    }

    package func session(_ id: String) async throws -> Session? {
        if let running = running(id) { return running }
        return try await database.read { try self.session(id, in: $0) }
    }

    package func session(_ id: String, in transaction: Transaction) throws -> Session? {
        if let running = running(id) { return running }
        return try transaction.queryOne("SELECT * FROM session WHERE id = ?", id).map(session(row:))
    }

    /// What a page of sessions may be asked for.
    package struct Filter: Sendable {
        package var station: String?
        package var party: PartyID?
        /// Tokens of any of these parties; nil asks for all, none for nothing.
        package var parties: [PartyID]?
        package var tokenUID: String?
        package var status: SessionStatus?
        /// By `lastUpdated`: from inclusive, until exclusive.
        package var updatedFrom: Timestamp?
        package var updatedUntil: Timestamp?
        package var newestFirst = false

        package init() {}
    }

    /// A page with how many match in all; ordered by start.
    package func list(
        _ filter: Filter = Filter(), offset: Int = 0, limit: Int = 100
    ) async throws -> (sessions: [Session], total: Int) {
        var conditions = ["last_updated >= ?", "last_updated < ?"]
        var arguments: [SQLValue] = [
            .integer(filter.updatedFrom?.milliseconds ?? 0),
            .integer(filter.updatedUntil?.milliseconds ?? .max),
        ]
        func require(_ column: String, _ value: String?) {
            guard let value else { return }
            conditions.append("\(column) = ?")
            arguments.append(.text(value))
        }
        require("station", filter.station)
        require("token_party", filter.party?.description)
        if let parties = filter.parties {
            let marks = parties.map { _ in "?" }.joined(separator: ", ")
            conditions.append("token_party IN (\(marks))")
            arguments += parties.map { .text($0.description) }
        }
        require("token_uid", filter.tokenUID)
        require("status", filter.status?.rawValue)
        let condition = conditions.joined(separator: " AND ")
        let order = filter.newestFirst ? "DESC" : "ASC"
        let found = arguments
        return try await database.read { transaction in
            let total = try transaction.query(
                "SELECT COUNT(*) AS n FROM session WHERE \(condition)", list: found
            ).first?.int("n")
            let rows = try transaction.query(
                """
                SELECT * FROM session WHERE \(condition) ORDER BY started_at \(order), key \(order)
                LIMIT ? OFFSET ?
                """, list: found + [.integer(Int64(limit)), .integer(Int64(offset))])
            return (
                try rows.map { row in
                    // A running one is newer in memory than its row.
                    try self.running(row.text("id")) ?? self.session(row: row)
                }, total ?? 0
            )
        }
    }

    /// What was measured during a session, in order, as the station sent it.
    package func readings(of id: String) async throws -> [MeterReading] {
        try await database.read { transaction in
            guard
                let key = try transaction.queryOne("SELECT key FROM session WHERE id = ?", id)?
                    .int64("key")
            else { return [] }
            var readings: [MeterReading] = []
            let first = Timestamp(milliseconds: .min)
            try self.eachReading(of: key, from: first, to: .max, in: transaction) { reading, _ in
                readings.append(reading)
            }
            return readings
        }
    }

    // MARK: Memory

    var version: Int { book.withLock { $0.version } }

    func distrust() { book.withLock { $0.isTrusted = false } }

    func ensure(in transaction: Transaction) throws {
        guard !book.withLock({ $0.isTrusted }) else { return }
        try load(in: transaction)
    }

    /// Reads the open sessions from their rows.
    func load(in transaction: Transaction) throws {
        var fresh = SessionBook()
        for row in try transaction.query(
            "SELECT * FROM session WHERE closure = 'open' ORDER BY key")
        {
            fresh.put(try entry(row: row, in: transaction))
        }
        fresh.isTrusted = true
        let loaded = fresh
        book.withLock { $0.replace(with: loaded) }
    }

    /// The rules of a location's time zone; UTC, and a warning to the operator elsewhere, when the
    /// zone is unknown here.
    func rules(of zone: String) -> LocalTimeRules {
        if let known = zones.withLock({ $0[zone] }) { return known }
        var rules = LocalTimeRules.utc
        do {
            rules = try LocalTimeRules(tzif: ZoneInfo.load(zone))
        } catch {
            // Settings and locations are checked when they are entered; a zone that vanished from the
            // system since must not stop a charge from being billed.
        }
        let found = rules
        zones.withLock { $0[zone] = found }
        return found
    }

    /// The entry as doors see it.
    func snapshot(of entry: SessionBook.Entry) -> Session {
        var session = entry.session
        session.meterLast = entry.builder.meterLast
        session.usage = entry.builder.usage(
            until: max(entry.builder.lastReadingAt, session.lastUpdated))
        session.cost = price(session, in: entry.rules)
        return session
    }

    /// The only price there is; nil without a tariff.
    func price(_ session: Session, in rules: LocalTimeRules) -> Cost? {
        session.tariff?.cost(of: session.usage, in: rules, digits: settings.moneyDigits)
    }
}
