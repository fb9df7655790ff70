import Charging
import JSON
import SQL
import Service

/// Brings what `GridMachine` decides to the stations, and what they answer back to it.
///
/// One machine a site. What a connector may hold is written down before it is told, so that a killed
/// server does not forget what it gave away.
package final class GridControl: Sendable {
    /// Between two looks at what has changed.
    static let tickMilliseconds: Int64 = 1000
    /// A measured current older than this says nothing.
    static let freshSeconds: Int64 = 300
    /// A station's clock further off than this is not trusted to end a limit in time.
    static let clockMilliseconds: Int64 = 240_000

    struct State {
        var machines: [String: GridMachine] = [:]
        /// Connectors of no site any more, whose limits are being taken back.
        var releasing: Set<OutletID> = []
        var waiting: [OutletID] = []
        var releaseAt: Int64 = .min / 2
        /// Stations that are being told a profile.
        var telling: Set<String> = []
    }

    let sites: Sites
    let profiles: StationProfiles
    let clock: any ServiceClock
    let log: Log
    let state = Lock(State())
    private let zones = Lock([String: LocalTimeRules]())

    init(sites: Sites, profiles: StationProfiles, clock: any ServiceClock, log: Log) {
        self.sites = sites
        self.profiles = profiles
        self.clock = clock
        self.log = log
    }

    var moment: GridMachine.Moment {
        GridMachine.Moment(time: clock.now, monotonic: clock.monotonicMilliseconds)
    }

    /// Shares until cancelled; the roof owns the task.
    package func run(_ house: ChargePointOperator, over links: any StationLinks) async throws {
        // Orders of a run that failed are in the rows; whether they were taken nobody knows.
        state.withLock { $0 = State() }
        try await withThrowingDiscardingTaskGroup { group in
            while true {
                try await tick(house) { work in
                    group.addTask { await self.carry(work, house, links) }
                }
                try await clock.sleep(milliseconds: Self.tickMilliseconds)
            }
        }
    }

    /// Something to tell a station.
    enum Work: Sendable {
        case order(site: String, GridMachine.Order)
        case release(OutletID)
        case profile(StationProfiles.Errand)
    }

    /// One look: what is to be told is durable when `begin` hears of it.
    func tick(_ house: ChargePointOperator, _ begin: (Work) -> Void) async throws {
        try await follow(house)
        for errand in try await dueProfiles(house) { begin(.profile(errand)) }
        for id in takeReleases() { begin(.release(id)) }
        let ids = state.withLock { Array($0.machines.keys) }
        guard !ids.isEmpty else { return }
        let facts = try await facts(house)
        for id in ids.sorted() {
            let now = moment
            let limits = sites.limits(of: id, at: now.time)
            let effects = state.withLock { state in
                state.machines[id]?.handle(.step(facts, limits), at: now) ?? []
            }
            try await remember(effects, of: id, house)
            for case .send(let order) in effects { begin(.order(site: id, order)) }
        }
    }

    // MARK: Sites that come, change and go

    private func follow(_ house: ChargePointOperator) async throws {
        let trees = sites.all()
        let known = state.withLock { $0.machines.mapValues(\.tree) }
        guard Dictionary(uniqueKeysWithValues: trees.map { ($0.id, $0) }) != known else { return }
        let rows = try await told(house)
        let now = moment
        for tree in trees where known[tree.id] != tree {
            let zone = rules(of: tree.timeZone)
            let effects: [GridMachine.Effect] = state.withLock { state in
                if state.machines[tree.id] == nil {
                    state.machines[tree.id] = GridMachine(
                        tree, zone: zone,
                        told: rows.filter { row in
                            tree.outlets.contains { $0.id == row.key }
                        })
                } else {
                    state.machines[tree.id]?.recall(rows)
                    return state.machines[tree.id]?.handle(.configured(tree, zone), at: now) ?? []
                }
                return []
            }
            try await remember(effects, of: tree.id, house)
        }
        state.withLock { state in
            for id in state.machines.keys where !trees.contains(where: { $0.id == id }) {
                state.machines[id] = nil
            }
        }
    }

    private func told(_ house: ChargePointOperator) async throws -> [OutletID: GridMachine.Told] {
        try await house.read { transaction in
            var told: [OutletID: GridMachine.Told] = [:]
            for row in try transaction.query("SELECT * FROM site_connector") {
                let id = OutletID(try row.text("station"), try row.int("connector"))
                told[id] = try GridMachine.Told(stored: JSONValue(parsing: row.text("told")))
            }
            return told
        }
    }

    func rules(of zone: String) -> LocalTimeRules {
        if let known = zones.withLock({ $0[zone] }) { return known }
        // Checked when the tree was put; one that vanished since must not stop the sharing.
        let rules = (try? LocalTimeRules(tzif: ZoneInfo.load(zone))) ?? .utc
        zones.withLock { $0[zone] = rules }
        return rules
    }

    /// Writes down what the machine says now, whichever effect asked for it: rows only move forward.
    func remember(
        _ effects: [GridMachine.Effect], of site: String, _ house: ChargePointOperator
    ) async throws {
        let ids = effects.compactMap { effect -> OutletID? in
            guard case .remember(let id, _) = effect else { return nil }
            return id
        }
        guard !ids.isEmpty else { return }
        try await house.write { [self] transaction in
            for id in ids {
                guard let told = state.withLock({ $0.machines[site]?.told(id) }) else { continue }
                try transaction.execute(
                    """
                    UPDATE site_connector SET told = ?
                    WHERE station = ? AND connector = ? AND site = ?
                    """, told.stored.text, id.station, id.connector, site)
            }
        }
    }

    // MARK: What is known

    private func facts(
        _ house: ChargePointOperator
    ) async throws -> [OutletID: GridMachine.Facts] {
        let now = clock.now
        let releasing = state.withLock { $0.releasing }
        return try await house.read { [self] transaction in
            var facts: [OutletID: GridMachine.Facts] = [:]
            var records: [String: [StationProfiles.Record]] = [:]
            for row in try transaction.query(
                """
                SELECT * FROM charging_profile WHERE state <> 'withdrawn'
                AND station IN (SELECT station FROM site_connector WHERE site IS NOT NULL)
                """)
            {
                let record = try StationProfiles.Record(row: row)
                records[record.station, default: []].append(record)
            }
            for row in try transaction.query(
                """
                SELECT o.station AS station, o.connector AS connector, s.is_online AS is_online,
                s.booted_at AS booted_at, c.status AS status FROM site_connector o
                LEFT JOIN station s ON s.id = o.station
                LEFT JOIN station_connector c ON c.station = o.station AND c.number = o.connector
                WHERE o.site IS NOT NULL
                """)
            {
                let id = OutletID(try row.text("station"), try row.int("connector"))
                guard let site = sites.site(of: id), let tree = sites.tree(site),
                    let outlet = tree.outlets.first(where: { $0.id == id })
                else { continue }
                let charge = house.sessions.charge(at: id)
                let status = try row.textOrNil("status").flatMap(ConnectorStatus.init(rawValue:))
                facts[id] = GridMachine.Facts(
                    isOnline: try row.int64OrNil("is_online") == 1 && !releasing.contains(id),
                    bootedAt: try row.timestampOrNil("booted_at"), isActive: charge != nil,
                    isIdle: status == .suspendedEV || status == .finishing,
                    cap: cap(records[id.station] ?? [], outlet, tree, charge, now),
                    measured: charge.flatMap { measured($0, outlet, tree, now) },
                    clockIsTrusted: isTrusted(id.station, house.sessions))
            }
            return facts
        }
    }

    private func isTrusted(_ station: String, _ sessions: Sessions) -> Bool {
        sessions.knownSkew(of: station).map { abs($0) <= Self.clockMilliseconds } ?? false
    }

    private func measured(
        _ charge: Sessions.Charge, _ outlet: FuseTree.Outlet, _ tree: FuseTree, _ now: Timestamp
    ) -> [Amperes]? {
        guard let currents = charge.currents, let at = charge.currentsAt,
            abs(now.seconds(since: at)) <= Self.freshSeconds
        else { return nil }
        let count = outlet.wiring.phases.count
        if let phases = currents.phases { return Array(phases.prefix(count)) }
        let supply = tree.supply(of: outlet)
        let each =
            currents.power.map { supply.amperes(tenths: max(0, $0.value) * 10, of: .watts) }
            ?? currents.sum.map { Amperes(milliamperes: $0.milliamperes / Int64(count)) }
        return each.map { Array(repeating: $0, count: count) }
    }

    /// What profiles leave a connector at most; nil where none says anything.
    private func cap(
        _ records: [StationProfiles.Record], _ outlet: FuseTree.Outlet, _ tree: FuseTree,
        _ charge: Sessions.Charge?, _ now: Timestamp
    ) -> Amperes? {
        guard !records.isEmpty else { return nil }
        let zone = rules(of: tree.timeZone)
        // Every second for every connector: of a plan by the time of the day only this minute.
        return InstalledProfiles(Self.entries(records, charge, in: zone, at: now, ahead: 1))
            .piece(
                at: now,
                InstalledProfiles.Question(
                    connector: outlet.id.connector, charge: charge == nil ? nil : 1,
                    chargeStart: charge?.startedAt ?? now, supply: tree.supply(of: outlet),
                    zone: zone)
            ).limit?.limit
    }

    /// The rows as a station would hold them; the running charge has the number 1.
    static func entries(
        _ records: [StationProfiles.Record], _ charge: Sessions.Charge?, in zone: LocalTimeRules,
        at now: Timestamp, ahead: Int64 = ProfilePlan.aheadSeconds
    ) -> [InstalledProfiles.Entry] {
        records.map { record in
            InstalledProfiles.Entry(
                connector: record.connector,
                profile: record.plan.profile(
                    id: record.id, transaction: charge?.transaction, in: zone, at: now, ahead: ahead
                ),
                charge: record.session != nil && record.session == charge?.session ? 1 : nil)
        }
    }

    // MARK: Profiles

    private func dueProfiles(
        _ house: ChargePointOperator
    ) async throws -> [StationProfiles.Errand] {
        let now = clock.now
        let work = try await house.read { transaction in
            (
                try transaction.queryOne("SELECT 1 AS n FROM charging_profile LIMIT 1") != nil,
                try transaction.query(
                    """
                    SELECT o.* FROM site_connector o JOIN station s ON s.id = o.station
                    WHERE o.site IS NULL AND s.is_online = 1
                    """
                ).map { OutletID(try $0.text("station"), try $0.int("connector")) }
            )
        }
        releaseLater(work.1)
        guard work.0 else { return [] }
        let busy = state.withLock { $0.telling }
        let due = try await house.write { [self] transaction in
            try profiles.due(
                at: now, isRunning: { house.sessions.isRunning($0) },
                isKept: { record in isKept(record) }, isBusy: { busy.contains($0) },
                in: transaction)
        }.filter { !busy.contains($0.record.station) }
        state.withLock { state in
            for errand in due { state.telling.insert(errand.record.station) }
        }
        return due
    }

    /// A profile that would stand above what we tell a shared connector is not sent: it is a bound in
    /// the sharing instead. A station's maximum lowers only, so it is both.
    private func isKept(_ record: StationProfiles.Record) -> Bool {
        guard record.plan.purpose != .stationMaximum else { return false }
        if record.connector == 0 { return !sites.outlets(of: record.station).isEmpty }
        return sites.site(of: OutletID(record.station, record.connector)) != nil
    }
}
