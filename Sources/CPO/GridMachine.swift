import Charging

/// Gives the current of a site to its connectors, and keeps every fuse whatever stations do.
///
/// A pure value. `CurrentSharing` says what is fair at one moment; here is what a centre has to add:
/// a limit counts once the station has confirmed it. So lower ones are sent at once and higher ones
/// wait until what the others gave up is confirmed and their cars had time to follow. Whoever does not
/// answer goes on counting with the most it may have been told; whoever refuses, or was never told
/// anything, counts with all its connector carries.
package struct GridMachine: Sendable {
    /// Now, on both clocks: the wall's for what stations are told, the monotonic one, in milliseconds,
    /// for durations.
    package struct Moment: Hashable, Sendable {
        package var time: Timestamp
        package var monotonic: Int64

        package init(time: Timestamp, monotonic: Int64) {
            self.time = time
            self.monotonic = monotonic
        }
    }

    package struct Timings: Hashable, Sendable {
        /// From a confirmed lower limit to a car that draws no more than it: IEC 61851-1 Annex A gives
        /// it 5 s, and a station may wait 5 s between two changes of its offer.
        package var settles: Int64 = 12_000
        /// Between two rises of one connector.
        package var rises: Int64 = 15_000
        package var turn: Int64 = 900_000
        /// A car that drew clearly less than its limit for this long is taken to want no more.
        package var demandWindow: Int64 = 300_000
        /// From an answer that was none, or a no, to the next attempt.
        package var retry: Int64 = 20_000
        package var refusedRetry: Int64 = 600_000
        /// A station is left alone so long after its boot: some hang on an early call.
        package var afterBootSeconds: Int64 = 8
        /// How long a limit lasts where a connector has a fallback; it is renewed at half of it.
        package var lastsSeconds: Int64 = 900
        /// How far a station's clock may be wrong before its limit surely ran out.
        package var clockSeconds: Int64 = 300

        package init() {}
    }

    /// Which of the two limits a connector holds: the one that lies under all, where it has a
    /// fallback, and the one of the moment.
    package enum Part: String, Hashable, Sendable { case fallback, present }

    /// What a station may hold of one part.
    package struct Slot: Hashable, Sendable {
        /// The last it said yes to; nil: nobody knows.
        package var confirmed: Amperes?
        /// Sent, and the answer is not known: it may hold either.
        package var pending: Amperes?
        /// When the last of them runs out by the station's clock; nil: never.
        package var expires: Timestamp?

        package init(
            confirmed: Amperes? = nil, pending: Amperes? = nil, expires: Timestamp? = nil
        ) {
            self.confirmed = confirmed
            self.pending = pending
            self.expires = expires
        }

        /// It may still hold this, or nothing.
        mutating func doubt() {
            pending = most ?? pending
            confirmed = nil
        }

        var most: Amperes? { confirmed.map { max($0, pending ?? .zero) } }
    }

    /// What a connector was told so far; outlives the server.
    package struct Told: Hashable, Sendable {
        package var fallback = Slot()
        package var present = Slot()
        /// Which part the station last said no to.
        package var refused: Part?
        /// The boot since which it was told; after another it may have lost everything.
        package var bootedAt: Timestamp?
        /// What others had set there is cleared away.
        package var isTakenOver = false

        package init() {}

        subscript(part: Part) -> Slot {
            get { part == .fallback ? fallback : present }
            set {
                switch part {
                case .fallback: fallback = newValue
                case .present: present = newValue
                }
            }
        }
    }

    /// What is known of a connector now.
    package struct Facts: Hashable, Sendable {
        package var isOnline: Bool
        package var bootedAt: Timestamp?
        /// A charge runs.
        package var isActive: Bool
        /// It runs, and the car asks for nothing.
        package var isIdle: Bool
        /// What profiles of drivers, partners and the operator leave it at most.
        package var cap: Amperes?
        /// On each of its phases, where fresh values are known.
        package var measured: [Amperes]?
        /// Its clock is near enough to ours to believe that a limit ran out.
        package var clockIsTrusted: Bool

        package init(
            isOnline: Bool = false, bootedAt: Timestamp? = nil, isActive: Bool = false,
            isIdle: Bool = false, cap: Amperes? = nil, measured: [Amperes]? = nil,
            clockIsTrusted: Bool = true
        ) {
            self.isOnline = isOnline
            self.bootedAt = bootedAt
            self.isActive = isActive
            self.isIdle = isIdle
            self.cap = cap
            self.measured = measured
            self.clockIsTrusted = clockIsTrusted
        }
    }

    /// A limit to be set.
    package struct Order: Hashable, Sendable {
        package var id: OutletID
        /// Of this machine; an answer names it.
        package var number: Int
        package var part: Part
        package var limit: Amperes
        /// nil: it holds until the next.
        package var expires: Timestamp?
        /// First of all what others have set on the connector goes.
        package var takesOver: Bool
    }

    package enum Answer: Hashable, Sendable {
        case accepted
        case refused
        /// None came: it may have been taken or not.
        case unknown
        /// It never left: nothing changed there.
        case unsent
    }

    package enum Input: Hashable, Sendable {
        case configured(FuseTree, LocalTimeRules)
        case step([OutletID: Facts], [GridLimit])
        case answered(OutletID, number: Int, Answer)
    }

    package enum Effect: Hashable, Sendable {
        /// To be durable before the orders of the same step are sent.
        case remember(OutletID, Told)
        case send(Order)
    }

    /// A higher limit of before, and the monotonic moment until which a car may follow it.
    struct Past: Hashable, Sendable {
        var limit: Amperes
        var until: Int64
    }

    struct State: Hashable, Sendable {
        var told = Told()
        var facts = Facts()
        /// The order that is out, and what the station may have held of its part before.
        var open: Order?
        var before = Slot()
        var past: [Past] = []
        var roseAt: Int64 = .min / 2
        var retryAt: Int64 = .min / 2
        var servedSince: Int64?
        var peak = DrawnPeak()
        var target: Amperes = .zero
        var fallbackTarget: Amperes = .zero

        /// It has no fallback any more: what its station holds of it is cleared, with all else there,
        /// before the next limit is told. Until that is taken it may hold anything.
        mutating func dropFallback() {
            fallbackTarget = .zero
            guard told.fallback != Slot() || told.refused == .fallback else { return }
            told.fallback = Slot()
            told.present.doubt()
            told.isTakenOver = false
            if told.refused == .fallback { told.refused = nil }
            open = nil
        }
    }

    package internal(set) var tree: FuseTree
    var zone: LocalTimeRules
    let timings: Timings
    var states: [OutletID: State] = [:]
    var loads: [OutletID: CurrentSharing.Load] = [:]
    /// Connectors with a fallback.
    var fallbackIDs: Set<OutletID> = []
    var queue = TurnQueue<OutletID>()
    var orders: [GridLimit] = []
    var lastNumber = 0
    /// What cars still follow of before the server's start nobody remembers: until then nobody rises.
    var restsUntil: Int64?
    /// The last step changed nothing: another with the same facts will not either, before `nextDue`.
    package private(set) var isSettled = false

    package init(
        _ tree: FuseTree, zone: LocalTimeRules, told: [OutletID: Told] = [:],
        timings: Timings = Timings()
    ) {
        self.tree = tree
        self.zone = zone
        self.timings = timings
        for (id, told) in told { states[id, default: State()].told = told }
        // Where nobody was told anything all count with everything, and nobody is followed.
        let isNew = told.values.allSatisfy { $0.present.most == nil && $0.fallback.most == nil }
        restsUntil = isNew ? .min : nil
        configure(tree, zone)
    }

    package mutating func handle(_ input: Input, at now: Moment) -> [Effect] {
        let (before, queued, rest) = (states, queue, restsUntil)
        var orders: [Order] = []
        switch input {
        case .configured(let tree, let zone): configure(tree, zone)
        case .step(let facts, let limits):
            self.orders = limits
            for outlet in tree.outlets { observe(outlet, facts[outlet.id] ?? Facts(), now) }
            aim(at: now)
            orders = decide(at: now)
        case .answered(let id, let number, let answer): take(answer, id, number, now)
        }
        isSettled = states == before && queue == queued && restsUntil == rest
        let changed = states.filter { before[$0.key]?.told != $0.value.told }
        return changed.sorted { $0.key < $1.key }.map { .remember($0.key, $0.value.told) }
            + orders.map { .send($0) }
    }

    package func told(_ id: OutletID) -> Told? { states[id]?.told }

    /// Whether a limit was taken by any connector of a station after others' were cleared.
    func hasTakenOver(_ station: String) -> Bool {
        states.contains { $0.key.station == station && $0.value.told.isTakenOver }
    }

    /// What connectors that come into the tree were told before.
    package mutating func recall(_ told: [OutletID: Told]) {
        for (id, told) in told where states[id] == nil { states[id, default: State()].told = told }
    }

    private mutating func configure(_ tree: FuseTree, _ zone: LocalTimeRules) {
        self.tree = tree
        self.zone = zone
        let known = Set(tree.outlets.map(\.id))
        states = states.filter { known.contains($0.key) }
        fallbackIDs = Set(tree.outlets.filter { $0.fallback != nil }.map(\.id))
        loads = [:]
        for outlet in tree.outlets {
            loads[outlet.id] = tree.load(outlet)
            states[outlet.id, default: State()].target = .zero
            if outlet.fallback == nil { states[outlet.id]?.dropFallback() }
        }
    }

    // MARK: What is known

    private mutating func observe(_ outlet: FuseTree.Outlet, _ facts: Facts, _ now: Moment) {
        var state = states[outlet.id] ?? State()
        if let bootedAt = facts.bootedAt, state.told.bootedAt != bootedAt {
            // It may have lost what it held, as many do, or have kept it; and a charge may go on.
            state.told.fallback.doubt()
            state.told.present.doubt()
            state.open = nil
            state.told.bootedAt = bootedAt
            state.told.refused = nil
            state.retryAt = .min / 2
        }
        if facts.isOnline, !state.facts.isOnline { state.retryAt = .min / 2 }
        state.past.removeAll { $0.until <= now.monotonic }
        state.facts = facts
        state.peak.take(
            loads[outlet.id].flatMap { facts.drawn($0) }, at: now.monotonic,
            window: timings.demandWindow)
        states[outlet.id] = state
    }

    private mutating func take(
        _ answer: Answer, _ id: OutletID, _ number: Int, _ now: Moment
    ) {
        guard var state = states[id], let order = state.open, order.number == number else { return }
        let held = bound(id, now)
        state.open = nil
        var slot = state.told[order.part]
        switch answer {
        case .accepted:
            slot = Slot(confirmed: order.limit, expires: order.expires)
            state.told.isTakenOver = state.told.isTakenOver || order.takesOver
            if state.told.refused == order.part { state.told.refused = nil }
        case .refused:
            // What it held before it still holds, whatever that was.
            slot = state.before
            state.told.refused = order.part
            state.retryAt = now.monotonic + timings.refusedRetry
        case .unknown: state.retryAt = now.monotonic + timings.retry
        case .unsent:
            slot = state.before
            state.retryAt = now.monotonic + timings.retry
        }
        state.told[order.part] = slot
        states[id] = state
        let after = bound(id, now)
        if after < held {
            states[id]?.past.append(Past(limit: held, until: now.monotonic + timings.settles))
        }
    }
}
