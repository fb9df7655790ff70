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

    /// So often each site and each station with profiles is looked at where nothing is heard of it: a
    /// change that somebody else made in the rows is found in the end.
    static let longestRestMilliseconds: Int64 = 900_000
    /// Stations whose profiles are looked at in one tick; the rest waits for the next.
    static let mostLooks = 500

    struct State {
        var machines: [String: GridMachine] = [:]
        /// When each site is to be reckoned again.
        var sites = Agenda<String>()
        /// When profiles of each station that holds some are to be looked at.
        var holders = Agenda<String>()
        var isStarted = false
        /// Of the wall's clock against the monotonic one, when it was last looked at.
        var offset: Int64?
        /// Connectors of no site any more, until their limits are taken back.
        var leaving: Set<OutletID> = []
        /// Those that are just asked to.
        var releasing: Set<OutletID> = []
        var releaseAt: Int64 = .min / 2
        /// Stations that are being told a profile.
        var telling: Set<String> = []
        /// Sites that were reckoned, for tests.
        var reckoned = 0
    }

    let sites: Sites
    let profiles: StationProfiles
    let news: HouseNews
    let clock: any ServiceClock
    let log: Log
    let state = Lock(State())
    private let zones = Lock([String: LocalTimeRules]())

    init(
        sites: Sites, profiles: StationProfiles, news: HouseNews, clock: any ServiceClock, log: Log
    ) {
        self.sites = sites
        self.profiles = profiles
        self.news = news
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

    /// One look: what is to be told is durable when `begin` hears of it. Nothing is read or reckoned but
    /// what something happened to, or whose time has come.
    func tick(_ house: ChargePointOperator, _ begin: (Work) -> Void) async throws {
        try await start(house)
        try await follow(house)
        try await hear(house)
        for errand in try await dueProfiles(house) { begin(.profile(errand)) }
        for id in try await dueReleases(house) { begin(.release(id)) }
        try await share(house, begin)
    }

    /// Reckons the sites whose time has come.
    private func share(_ house: ChargePointOperator, _ begin: (Work) -> Void) async throws {
        let due = state.withLock { state in
            state.sites.takeDue(at: clock.monotonicMilliseconds)
                .filter { state.machines[$0] != nil }
        }
        guard !due.isEmpty else { return }
        let facts = try await facts(due, house)
        for id in due.sorted() {
            let now = moment
            let limits = sites.limits(of: id, at: now.time)
            let sight = facts[id] ?? Sight()
            let effects = state.withLock { state in
                let effects =
                    state.machines[id]?.handle(.step(sight.facts, limits), at: now) ?? []
                if let machine = state.machines[id] {
                    // What has just changed may lead to more at once.
                    let next =
                        machine.isSettled
                        ? [machine.nextDue(after: now), sight.until].compactMap(\.self).min()
                        : now.monotonic
                    let latest = now.monotonic + Self.rest(for: id)
                    state.sites.hasten(id, at: min(next ?? latest, latest))
                }
                state.reckoned += 1
                return effects
            }
            try await remember(effects, of: id, house)
            for case .send(let order) in effects { begin(.order(site: id, order)) }
        }
    }

    /// Not all at the same time.
    private static func rest(for id: String) -> Int64 {
        longestRestMilliseconds - Int64(id.utf8.reduce(0) { ($0 &* 31 &+ Int($1)) & 0x3FF }) * 400
    }

    // MARK: What has happened

    /// Reads once what is kept in memory from then on.
    private func start(_ house: ChargePointOperator) async throws {
        guard !state.withLock({ $0.isStarted }) else { return }
        _ = news.take()
        let holders = try await house.read { transaction in
            try transaction.query("SELECT DISTINCT station FROM charging_profile")
                .map { try $0.text("station") }
        }
        let now = clock.monotonicMilliseconds
        state.withLock { state in
            for station in holders { state.holders.hasten(station, at: now) }
        }
        try await readLeaving(house)
        try await follow(sites.all(), gone: [], house)
        // What was noted before anybody was watched is durable once this is.
        try await house.write { _ in }
        state.withLock { $0.isStarted = true }
    }

    /// Takes in what was heard of stations.
    private func hear(_ house: ChargePointOperator) async throws {
        let heard = news.take()
        let now = moment
        let offset = now.time.milliseconds - now.monotonic
        state.withLock { state in
            // What was reckoned from the wall's clock is so no more.
            if let known = state.offset, abs(known - offset) > 500 {
                for id in state.machines.keys { state.sites.hasten(id, at: now.monotonic) }
                for id in state.holders.keys { state.holders.hasten(id, at: now.monotonic) }
            }
            state.offset = offset
            for key in heard {
                switch key {
                case .station(let id):
                    for site in sites.sites(of: id) {
                        state.sites.hasten(site, at: now.monotonic)
                    }
                    if state.holders.time(of: id) != nil {
                        state.holders.hasten(id, at: now.monotonic)
                    }
                case .profiles(let id):
                    state.holders.hasten(id, at: now.monotonic)
                    news.watch(id)
                    for site in sites.sites(of: id) {
                        state.sites.hasten(site, at: now.monotonic)
                    }
                case .sites, .campaigns: break
                }
            }
        }
        if heard.contains(.sites) { try await readLeaving(house) }
    }

    // MARK: Sites that come, change and go

    private func follow(_ house: ChargePointOperator) async throws {
        guard let changed = sites.takeChanged() else {
            let trees = sites.all()
            let gone = state.withLock { Set($0.machines.keys) }.subtracting(trees.map(\.id))
            return try await follow(trees, gone: gone, house)
        }
        guard !changed.isEmpty else { return }
        let trees = changed.compactMap { sites.tree($0) }
        try await follow(trees, gone: changed.subtracting(trees.map(\.id)), house)
    }

    private func follow(
        _ trees: [FuseTree], gone: Set<String>, _ house: ChargePointOperator
    ) async throws {
        let known = state.withLock { $0.machines.mapValues(\.tree) }
        let changed = trees.filter { known[$0.id] != $0 }
        let rows = try await told(changed, house)
        let now = moment
        for tree in changed {
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
        let watched = sites.sharedStations()
        state.withLock { state in
            for id in gone {
                state.machines[id] = nil
                state.sites.remove(id)
            }
            for tree in trees { state.sites.hasten(tree.id, at: now.monotonic) }
            news.watch(watched.union(state.holders.keys).union(state.telling))
        }
    }

    private func told(
        _ trees: [FuseTree], _ house: ChargePointOperator
    ) async throws -> [OutletID: GridMachine.Told] {
        let stations = Set(trees.flatMap { $0.outlets.map(\.id.station) })
        guard !stations.isEmpty else { return [:] }
        return try await house.read { transaction in
            var told: [OutletID: GridMachine.Told] = [:]
            for station in stations {
                for row in try transaction.query(
                    "SELECT * FROM site_connector WHERE station = ?", station)
                {
                    let id = OutletID(station, try row.int("connector"))
                    told[id] = try GridMachine.Told(stored: JSONValue(parsing: row.text("told")))
                }
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
}
