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

    struct State: Sendable {
        var told = Told()
        var facts = Facts()
        /// The order that is out, and what the station may have held of its part before.
        var open: Order?
        var before = Slot()
        /// Higher limits of before, each with the monotonic moment until which a car may follow it.
        var past: [(limit: Amperes, until: Int64)] = []
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
    private var lastNumber = 0
    /// What cars still follow of before the server's start nobody remembers: until then nobody rises.
    private var restsUntil: Int64?

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
        let before = states.mapValues(\.told)
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
        let changed = states.filter { before[$0.key] != $0.value.told }
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
        state.peak.take(facts.measured?.max(), at: now.monotonic, window: timings.demandWindow)
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
            states[id]?.past.append((held, now.monotonic + timings.settles))
        }
    }

    // MARK: Orders

    private mutating func decide(at now: Moment) -> [Order] {
        let sharing = CurrentSharing(tree.circuits { limit(of: $0, at: now.time) })
        var orders: [Order] = []
        for outlet in tree.outlets {
            guard let order = lowering(outlet, now) else { continue }
            orders.append(issue(order, now))
        }
        let rest = restsUntil ?? now.monotonic + timings.settles
        restsUntil = rest
        guard now.monotonic >= rest else { return orders }
        // Nobody is raised with what another has not given up yet.
        let all = tree.outlets.compactMap { outlet in loads[outlet.id].map { (outlet, $0) } }
        var left = sharing.left(after: all.map { held($0.0.id, now) }, of: all.map(\.1))
        let places = Dictionary(
            queue.ids.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        let waiting = all.sorted { a, b in
            (places[a.0.id] ?? .max, a.0.id) < (places[b.0.id] ?? .max, b.0.id)
        }
        for (outlet, load) in waiting {
            guard var order = rise(outlet, now) else { continue }
            let held = held(outlet.id, now)
            // Less than it holds where a node is over: it must not rise into what others overdraw.
            let most = held.milliamperes + sharing.room(for: load, left)
            if order.limit.milliamperes > most {
                let step = CurrentSharing.step
                order.limit = Amperes(milliamperes: most / step * step)
                guard order.part == .present, order.limit >= outlet.minimum,
                    order.limit > present(outlet.id, now)
                else { continue }
            }
            sharing.take(
                max(0, order.limit.milliamperes - held.milliamperes), for: load, from: &left)
            states[outlet.id]?.roseAt = now.monotonic
            orders.append(issue(order, now))
        }
        return orders
    }

    private mutating func issue(_ order: Order, _ now: Moment) -> Order {
        var order = order
        lastNumber += 1
        order.number = lastNumber
        guard var state = states[order.id] else { return order }
        var slot = state.told[order.part]
        state.before = slot
        // What ran out does not come back with a new end.
        if slot.expires != nil, running(slot, state.facts, now) == nil { slot = Slot() }
        // One that may lie there without an end has none until another is confirmed.
        let isEndless = slot.expires == nil && (slot.confirmed ?? slot.pending) != nil
        if let expires = order.expires, !isEndless {
            slot.expires = max(slot.expires ?? expires, expires)
        }
        slot.pending = max(slot.pending ?? order.limit, order.limit)
        state.told[order.part] = slot
        state.open = order
        states[order.id] = state
        return order
    }

    private func mayAsk(_ id: OutletID, _ now: Moment) -> Bool {
        guard let state = states[id], state.facts.isOnline, state.open == nil,
            now.monotonic >= state.retryAt
        else { return false }
        guard let bootedAt = state.facts.bootedAt else { return true }
        // A boot that lies ahead is our own clock set back.
        let since = now.time.seconds(since: bootedAt)
        return since < 0 || since >= timings.afterBootSeconds
    }

    /// What must be told however little room there is: a lower limit, a first one, one whose answer
    /// never came, and one that is about to run out.
    private func lowering(_ outlet: FuseTree.Outlet, _ now: Moment) -> Order? {
        guard mayAsk(outlet.id, now), let state = states[outlet.id] else { return nil }
        // What is counted already may be told without asking for room.
        let counted = bound(outlet.id, now)
        if outlet.fallback != nil {
            let (slot, wanted) = (state.told.fallback, state.fallbackTarget)
            guard let most = slot.most else { return order(outlet, .fallback, wanted, state, now) }
            if wanted < most || state.told.refused == .fallback {
                return order(outlet, .fallback, wanted, state, now)
            }
            // It may hold either of two, and both are no more than it may: the same settles it.
            if slot.pending != nil { return order(outlet, .fallback, most, state, now) }
            guard state.told.refused == .present || isPresentDue(outlet, state.target, now) else {
                return nil
            }
            return order(outlet, .present, min(state.target, counted), state, now)
        }
        let (slot, wanted) = (state.told.present, state.target)
        // One that runs out where there is no fallback any more must be told without an end.
        let isOpen = slot.pending != nil || slot.expires != nil || state.told.refused != nil
        guard isOpen || (slot.most.map { wanted < $0 } ?? true) else { return nil }
        // Of one that may have lost its limit no more than that: what it counts with beyond is a fear.
        let known = slot.confirmed == nil ? slot.pending ?? counted : counted
        return order(outlet, .present, min(wanted, counted, known), state, now)
    }

    /// Where there is a fallback, its limit of the moment must be told only while it differs.
    private func isPresentDue(
        _ outlet: FuseTree.Outlet, _ wanted: Amperes, _ now: Moment
    ) -> Bool {
        guard let state = states[outlet.id] else { return false }
        let slot = state.told.present
        let holds = present(outlet.id, now)
        if wanted < holds || slot.pending != nil { return true }
        guard let expires = slot.expires else { return slot.confirmed != nil }
        let isEnding = expires.seconds(since: now.time) < timings.lastsSeconds / 2
        return isEnding && holds != state.fallbackTarget
    }

    private func rise(_ outlet: FuseTree.Outlet, _ now: Moment) -> Order? {
        guard mayAsk(outlet.id, now), let state = states[outlet.id], state.told.refused == nil
        else { return nil }
        if outlet.fallback != nil {
            guard let confirmed = state.told.fallback.confirmed else { return nil }
            if state.fallbackTarget > confirmed {
                return order(outlet, .fallback, state.fallbackTarget, state, now)
            }
        }
        guard state.target > present(outlet.id, now), now.monotonic - state.roseAt >= timings.rises
        else { return nil }
        return order(outlet, .present, state.target, state, now)
    }

    private func order(
        _ outlet: FuseTree.Outlet, _ part: Part, _ limit: Amperes, _ state: State, _ now: Moment
    ) -> Order {
        var expires: Timestamp?
        if part == .present, outlet.fallback != nil {
            expires = Timestamp(
                seconds: now.time.milliseconds / 1000 + timings.lastsSeconds)
        }
        return Order(
            id: outlet.id, number: 0, part: part, limit: limit, expires: expires,
            takesOver: !state.told.isTakenOver)
    }
}
