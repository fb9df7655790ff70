import CPO
import Charging
import SQL
import Service

/// Keeps what stations remember of tokens in step with the registry: their local lists, and their
/// caches where a token is good no more.
///
/// A station is attended to when its link is up, when tokens change and when a try is due again; a
/// few at a time, and each a while after it connected: some hang on any early call.
final class TokenUpkeep: Sendable {
    /// Stations that are attended to at the same time.
    static let mostAtOnce = 8
    /// Until a station that did not answer, or did not take its list, is tried again.
    static let retrySeconds: Int64 = 900
    static let callSeconds = 30
    /// Looks over all stations are at least this far apart when they come by time.
    static let shortestSleepMilliseconds: Int64 = 250
    static let mostQueued = 1000

    struct State {
        /// By id in lower case.
        var records: [String: LocalListRecord] = [:]
        /// Those whose version was compared since they booted.
        var verified: Set<String> = []
        /// Those whose list is just looked at, and that did not boot since that began.
        var steady: Set<String> = []
        /// Stations with a link, and when they may be called.
        var up: [String: (id: String, from: Int64)] = [:]
        var busy: Set<String> = []
        /// Found due in one look over all, and not begun yet.
        var queue: [String] = []
        /// What caches have to forget, and when the next try is.
        var caches: [String: (since: Timestamp, from: Int64)] = [:]
        var tokens: [ListedToken] = []
        /// How many were asked for when they were read.
        var tokensLimit = 0
        /// As they were read last, by what fits a station.
        var contents: [LocalListLimits: LocalListContent] = [:]
        var areTokensStale = true
        /// When lists may follow the tokens.
        var listsFrom: Int64 = 0
        var timer: Int64?
        var wake: AsyncStream<Void>.Continuation?

        /// It may hold another list than before, whatever is just being learnt of it.
        mutating func doubt(_ key: String) {
            verified.remove(key)
            steady.remove(key)
        }
    }

    let house: ChargePointOperator
    let settings: CentralSystemSettings
    let state = Lock(State())
    let links: LinkRegistry<StationLink>
    private let directory: StationDirectory

    init(
        house: ChargePointOperator, settings: CentralSystemSettings,
        links: LinkRegistry<StationLink>, directory: StationDirectory
    ) {
        self.house = house
        self.settings = settings
        self.links = links
        self.directory = directory
    }

    /// Reads what is known of lists and caches. Before the server starts.
    func load() async throws {
        let records = try await house.read { try LocalListRecord.all(in: $0) }
        state.withLock { state in
            for record in records { state.records[record.station.lowercased()] = record }
        }
        try await readCaches()
    }

    // MARK: What happened

    /// - Parameter hasBooted: its list may be another than before, or gone.
    func linkIsUp(_ station: String, hasBooted: Bool) {
        let now = house.clock.monotonicMilliseconds
        let from = now + settings.upkeepPauseMilliseconds
        let key = station.lowercased()
        let isNews = state.withLock { state in
            state.up[key] = (station, from)
            if hasBooted {
                state.doubt(key)
                state.records[key]?.nextTryAt = nil
            }
            guard settings.keepsLocalLists || !state.records.isEmpty || !state.caches.isEmpty
            else { return false }
            // In a storm the first one's timer looks after all.
            return from <= now || state.timer.map { $0 > from } ?? true
        }
        if isNews { wake() }
    }

    /// The registry's tokens changed; `readRegistryChanges` saw it.
    func tokensChanged() {
        let from = house.clock.monotonicMilliseconds + settings.listPauseMilliseconds
        state.withLock { state in
            // Those that came before are waited for already: lists must not wait for ever.
            if !state.areTokensStale { state.listsFrom = from }
            state.areTokensStale = true
        }
        wake()
    }

    /// Somebody else sent the station a list, so that nobody knows what it holds.
    func disturbed(_ station: String) async {
        let key = station.lowercased()
        let record = state.withLock { state -> LocalListRecord? in
            state.doubt(key)
            return state.records[key]
        }
        guard var record else { return }
        record.content = nil
        record.nextTryAt = nil
        await store(record)
        wake()
    }

    func forget(_ station: String) {
        let key = station.lowercased()
        state.withLock { state in
            state.records[key] = nil
            state.caches[key] = nil
            state.doubt(key)
        }
    }

    func wake() { state.withLock { $0.wake }?.yield() }

    // MARK: The loop

    /// Until cancelled; the door owns the task.
    func run() async {
        let (wakes, continuation) = AsyncStream.makeStream(
            of: Void.self, bufferingPolicy: .bufferingNewest(1))
        state.withLock { $0.wake = continuation }
        continuation.yield()
        await withDiscardingTaskGroup { group in
            for await _ in wakes {
                await readTokens()
                // One moment for both looks: whose turn comes between them would be missed by either.
                let (now, wall) = (house.clock.monotonicMilliseconds, house.clock.now)
                for station in take(now, wall) {
                    group.addTask {
                        await self.attend(station)
                        self.state.withLock { _ = $0.busy.remove(station.lowercased()) }
                        self.wake()
                    }
                }
                if let due = nextTimer(now, wall) {
                    group.addTask { await self.sleep(until: due) }
                }
            }
            group.cancelAll()
        }
        state.withLock { $0.wake = nil }
    }

    /// One sleeping task at most; it looks again when it wakes.
    private func nextTimer(_ now: Int64, _ wall: Timestamp) -> Int64? {
        state.withLock { state in
            guard state.queue.isEmpty,
                !state.records.isEmpty || settings.keepsLocalLists
                    || !state.caches.isEmpty
            else { return nil }
            let due = state.up.values.compactMap { one -> Int64? in
                let key = one.id.lowercased()
                guard !state.busy.contains(key) else { return nil }
                var moments: [Int64] = []
                if let cache = state.caches[key] { moments.append(max(cache.from, one.from)) }
                if let moment = listMoment(key, state, now: now, wall: wall) {
                    moments.append(max(moment, one.from))
                }
                return moments.min()
            }.filter { $0 > now }.min()
            guard let due, state.timer.map({ due < $0 || $0 <= now }) ?? true else { return nil }
            state.timer = due
            return due
        }
    }

    private func sleep(until due: Int64) async {
        let left = due - house.clock.monotonicMilliseconds
        if left > 0 {
            do {
                try await house.clock.sleep(
                    milliseconds: max(Self.shortestSleepMilliseconds, left))
            } catch { return }
        }
        state.withLock { if $0.timer == due { $0.timer = nil } }
        wake()
    }

    /// Stations whose turn it is, marked as busy.
    private func take(_ now: Int64, _ wall: Timestamp) -> [String] {
        state.withLock { state in
            let room = Self.mostAtOnce - state.busy.count
            guard room > 0 else { return [] }
            if state.queue.isEmpty {
                state.queue = due(state, now: now, wall: wall)
            }
            let taken = Array(state.queue.prefix(room))
            state.queue.removeFirst(taken.count)
            for station in taken { state.busy.insert(station.lowercased()) }
            return taken
        }
    }

    private func due(_ state: State, now: Int64, wall: Timestamp) -> [String] {
        guard settings.keepsLocalLists || !state.records.isEmpty || !state.caches.isEmpty else {
            return []
        }
        var due: [String] = []
        for (key, one) in state.up where one.from <= now && !state.busy.contains(key) {
            let isCacheDue = state.caches[key].map { $0.from <= now } ?? false
            let isListDue =
                listMoment(key, state, now: now, wall: wall).map { $0 <= now } ?? false
            guard isCacheDue || isListDue else { continue }
            due.append(one.id)
            if due.count == Self.mostQueued { break }
        }
        return due
    }

    /// When a station's list has to be looked at; nil: it is in step, or not kept.
    private func listMoment(
        _ key: String, _ state: State, now: Int64, wall: Timestamp
    ) -> Int64? {
        let record = state.records[key]
        guard record?.isKept ?? settings.keepsLocalLists else { return nil }
        let isVerified = state.verified.contains(key)
        if isVerified {
            guard let record, record.state != .notSupported, record.state != .disabled,
                let wanted = state.contents[record.limits], record.content != wanted.digest
            else { return nil }
        }
        var moment = isVerified ? state.listsFrom : now
        if let next = record?.nextTryAt, next > wall {
            moment = max(moment, now + next.milliseconds(since: wall))
        }
        return moment
    }

    private func attend(_ station: String) async {
        guard links[station] != nil, directory[station]?.registration == .accepted else {
            state.withLock { _ = $0.up.removeValue(forKey: station.lowercased()) }
            return
        }
        let key = station.lowercased()
        let (now, wall) = (house.clock.monotonicMilliseconds, house.clock.now)
        let (cache, isListDue) = state.withLock { state in
            (
                state.caches[key].flatMap { $0.from <= now ? $0.since : nil },
                listMoment(key, state, now: now, wall: wall).map { $0 <= now } ?? false
            )
        }
        if let cache { await clearCache(of: station, since: cache) }
        if isListDue { await bringListInStep(of: station) }
    }
}
