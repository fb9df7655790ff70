import Charging
import SQL
import Service

/// The house every door stands on: its stores share one database and one journal.
///
/// Doors write through `write`, so that their rows and the house's change in one transaction and the
/// journal's readers wake after the commit.
package final class ChargePointOperator: Sendable {
    package let settings: OperatorSettings
    package let database: Database
    package let clock: any ServiceClock
    package let log: Log
    package let journal: Journal
    package let deliveries: Deliveries
    private let writer: HouseWriter
    let news = HouseNews()
    package let stations: Stations
    package let locations: Locations
    package let tariffs: Tariffs
    package let tokens: Tokens
    package let sessions: Sessions
    package let cdrs: CDRs
    package let commands: Commands
    package let suspicions: Suspicions
    package let realTime: RealTimeAuthorization
    package let reservations = Reservations()
    package let campaigns: Campaigns
    package let templates: Templates
    package let sites: Sites
    package let profiles: StationProfiles
    package let grid: GridControl
    package let privacy: Privacy

    /// Opens the house on a database that was migrated already, and reads what is hot into memory.
    package init(
        database: Database, settings: OperatorSettings, clock: any ServiceClock = .system, log: Log
    ) async throws {
        self.database = database
        self.settings = settings
        self.clock = clock
        self.log = log
        journal = Journal(database: database)
        deliveries = Deliveries(journal: journal)
        writer = HouseWriter(database: database, journal: journal, news: news)
        suspicions = Suspicions(database: database, journal: journal)
        locations = Locations(database: database, journal: journal)
        tariffs = Tariffs(database: database, journal: journal)
        realTime = RealTimeAuthorization(settings: settings, clock: clock, log: log)
        tokens = Tokens(
            database: database, journal: journal, party: settings.party,
            answers: realTime.answers)
        cdrs = CDRs(database: database, journal: journal)
        stations = Stations(
            database: database, journal: journal, news: news, locations: locations,
            settings: settings)
        locations.onNewPlace { [weak stations] id, connector, transaction in
            guard let stations, let station = try stations.station(id, in: transaction) else {
                return .unknown
            }
            return stations.evseStatus(of: station, connector: connector)
        }
        commands = Commands(
            database: database, journal: journal, settings: settings, clock: clock, log: log)
        campaigns = Campaigns(database: database, journal: journal, news: news)
        templates = Templates(database: database, journal: journal)
        let erasureKey = ErasureKeyStore()
        privacy = Privacy(
            database: database, writer: writer, settings: settings.retention,
            erasureKey: erasureKey, clock: clock, log: log)
        sessions = Sessions(
            database: database, settings: settings,
            stores: Sessions.Stores(
                writer: writer, journal: journal, news: news, stations: stations,
                locations: locations, tariffs: tariffs,
                tokens: tokens, cdrs: cdrs, commands: commands, suspicions: suspicions,
                realTime: realTime, erasureKey: erasureKey, log: log))
        stations.onRemoval { try Templates.forget($0, in: $1) }
        sites = Sites(journal: journal, news: news, stations: stations)
        profiles = StationProfiles(journal: journal, news: news)
        grid = GridControl(
            sites: sites, profiles: profiles, news: news, clock: clock, log: log)
        // Another station of the same id must not get them.
        stations.onRemoval { id, transaction in
            try transaction.execute("DELETE FROM charging_profile WHERE station = ?", id)
        }
        stations.onRemoval { [commands] in try commands.stationRemoved($0, in: $1) }
        writer.watch(locations)
        writer.watch(sites)
        writer.watch(tariffs)
        writer.watch(sessions)
        let key = try await write { [locations, sessions, tariffs, sites] transaction in
            try sites.load(in: transaction)
            try locations.load(in: transaction)
            try tariffs.load(in: transaction)
            try sessions.load(in: transaction)
            return try ErasureKey.stored(in: transaction)
        }
        erasureKey.keep(key)
        privacy.register(
            HouseRows(tokens: tokens, journal: journal, clock: clock, key: key) {
                [weak privacy] row, now, transaction in
                try privacy?.hold(on: row, at: now, in: transaction)
            })
    }

    deinit { writer.unwatchAll() }

    /// One transaction, durable when it returns; then the journal's readers wake.
    ///
    /// - Throws: what `body` threw; nothing of it was stored then.
    nonisolated(nonsending) package func write<Value: Sendable>(
        _ body: @escaping @Sendable (Transaction) throws -> Value
    ) async throws -> Value {
        try await writer.write(body)
    }

    /// Forgets the journal's old lines, a bounded number of them: others write in between, and more than
    /// that goes with the next look.
    package func pruneJournal(at now: Timestamp, limit: Int = Journal.pruneLimit) async throws {
        let before = now.advanced(bySeconds: -Journal.keptSeconds)
        for _ in 0..<Journal.prunesPerLook {
            let gone = try await write { [journal] in
                try journal.prune(before: before, limit: limit, in: $0)
            }
            guard gone == limit else { return }
        }
    }

    nonisolated(nonsending) package func read<Value: Sendable>(
        _ body: @escaping @Sendable (Transaction) throws -> Value
    ) async throws -> Value {
        try await database.read(body)
    }
}
