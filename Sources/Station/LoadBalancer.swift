import Charging

/// Shares what a site's fuses leave among its outlets, over time.
///
/// A pure value: the caller steps it several times a second and sets each outlet's limit to what it
/// says. `CurrentSharing` knows what is fair at one moment; here is what time adds. An outlet whose
/// limit was lowered is counted with the old one until pilot and car had their time to follow, and
/// nobody gets that current before. Limits fall at once and rise slowly. Where there is not even the
/// minimum for all, outlets take turns.
package struct LoadBalancer: Sendable {
    /// An outlet, on whichever board.
    package struct ID: Hashable, Comparable, Sendable {
        /// 0 is this board.
        package var board: Int
        package var connector: ConnectorNumber

        package init(board: Int = 0, connector: ConnectorNumber) {
            self.board = board
            self.connector = connector
        }

        package static func < (a: Self, b: Self) -> Bool {
            (a.board, a.connector) < (b.board, b.connector)
        }
    }

    package struct Load: Hashable, Sendable {
        package var id: ID
        /// `wanted` is what car, cable, profile and wiring let it have at most.
        package var share: CurrentSharing.Load
        /// A charge runs that may have current.
        package var isActive: Bool
        /// Current may flow, whatever the limit says: the contactor is not surely open.
        package var mayDraw: Bool
        /// The car is not asking for energy, so that the minimum is enough for it to wake up on.
        package var isIdle: Bool
        /// The most on any of its phases; nil where nobody knows.
        package var measured: Amperes?
        /// Nobody hears from it. It is counted with what it was given, at least with its safe share.
        package var isSilent: Bool
        /// What it falls back to by itself when it does not hear from us.
        package var safe: Amperes
        /// How much later than here a limit arrives there, at most.
        package var delay: Int64

        package init(
            id: ID, share: CurrentSharing.Load, isActive: Bool, mayDraw: Bool,
            isIdle: Bool = false, measured: Amperes? = nil, isSilent: Bool = false,
            safe: Amperes = .zero, delay: Int64 = 0
        ) {
            self.id = id
            self.share = share
            self.isActive = isActive
            self.mayDraw = mayDraw
            self.isIdle = isIdle
            self.measured = measured
            self.isSilent = isSilent
            self.safe = safe
            self.delay = delay
        }
    }

    package struct Timings: Hashable, Sendable {
        /// From a lowered limit to a car that draws no more than it: 5 s between two changes of the
        /// duty (`ConnectorTimings.betweenDutyChanges`), 5 s for the car (IEC 61851-1 Annex A), and
        /// the time of a tick and a bus.
        package var settles: Int64 = 11_000
        /// Between two rises of one outlet, and from an enforced stop to the next start.
        package var rises: Int64 = 30_000
        /// An outlet keeps its turn this long while another waits.
        package var turn: Int64 = 900_000
        /// A car that drew clearly less than its limit for this long is taken to want no more.
        package var demandWindow: Int64 = 60_000
        /// A silent board acts on its last grant this much longer than we hear it.
        package var grantLasts: Int64 = 4_000

        package init() {}
    }

    private struct State: Sendable {
        var limit: Amperes = .zero
        /// Higher limits of before, each with the moment until which a car may still follow it.
        var past: [(limit: Amperes, until: Int64)] = []
        var roseAt: Int64 = .min / 2
        var fellAt: Int64 = .min / 2
        /// Since when it has had current without a break.
        var servedSince: Int64?
        var isFirst = true
        var peak = DrawnPeak()

        /// The most the car may be drawing by what it was ever told.
        func held(at now: Int64) -> Amperes {
            past.reduce(limit) { $1.until > now ? max($0, $1.limit) : $0 }
        }
    }

    /// From the moment at which less is left for the outlets to the moment at which they draw no more
    /// than that, at most: a silent meter or board is noticed after 5 s (`SiteLoad.isLost`), a meter's
    /// reading counts once a second confirms it, a grant lasts 4 s, and then `Timings.settles`. Where
    /// nobody steps this any more an outlet falls after 5 s (`ConnectorTimings.siteLimitIsLost`).
    package static let reactionMilliseconds: Int64 = 20_000

    private let timings: Timings
    private var states: [ID: State] = [:]
    /// Who waits or is served.
    private var queue = TurnQueue<ID>()

    package init(timings: Timings = Timings()) { self.timings = timings }

    /// What an outlet has; zero for one that is not known.
    package func limit(of id: ID) -> Amperes { states[id]?.limit ?? .zero }

    /// The limits from now on.
    ///
    /// - `now` is monotonic, in milliseconds.
    /// - `circuits` hold what is left for the outlets after everything else on the fuse.
    package mutating func step(
        _ loads: [Load], _ circuits: [CurrentSharing.Circuit], at now: Int64
    ) -> [ID: Amperes] {
        forget(loads)
        for load in loads { observe(load, now) }
        order(loads)
        let reserved = reserve(loads, circuits, now)
        let targets = share(loads, reserved, now)
        for load in loads where load.isActive && !load.isSilent {
            lower(load, to: targets[load.id] ?? .zero, now)
        }
        raise(loads, circuits, targets, now)
        return states.mapValues(\.limit)
    }

    /// Where the fuses carry all outlets at once each may have what it wants.
    package mutating func grant(_ loads: [Load], at now: Int64) {
        forget(loads)
        for load in loads {
            observe(load, now)
            guard load.isActive, var state = states[load.id] else { continue }
            if load.share.wanted < state.limit {
                state.past.append((state.limit, now + timings.settles))
            }
            state.limit = load.share.wanted
            state.isFirst = false
            if state.servedSince == nil { state.servedSince = now }
            states[load.id] = state
        }
    }

    /// Takes over limits that another decided, to go on from them.
    package mutating func adopt(_ limits: [ID: Amperes], at now: Int64) {
        for (id, limit) in limits {
            var state = states[id] ?? State()
            state.limit = limit
            state.fellAt = now
            state.isFirst = false
            if limit > .zero, state.servedSince == nil { state.servedSince = now }
            states[id] = state
        }
    }

    // MARK: Who is there

    private mutating func forget(_ loads: [Load]) {
        let known = Set(loads.map(\.id))
        states = states.filter { known.contains($0.key) }
    }

    private mutating func observe(_ load: Load, _ now: Int64) {
        var state = states[load.id] ?? State()
        state.past.removeAll { $0.until <= now }
        if !load.isActive, !load.isSilent {
            if !load.mayDraw {
                state = State()
            } else if state.limit > .zero {
                state.past.append((state.limit, now + timings.settles + load.delay))
                state.limit = .zero
            }
        }
        // Once it is heard again it starts like one that has just come.
        if load.isSilent { state.isFirst = true }
        if load.isSilent, state.limit > load.safe {
            // It may not have heard of a lower limit; by then it has fallen back by itself.
            state.past.append((state.limit, now + timings.settles + timings.grantLasts))
            state.limit = load.safe
            state.roseAt = now
        } else if load.isSilent, state.limit < load.safe {
            state.limit = load.safe
            state.roseAt = now
        }
        state.peak.take(load.measured, at: now, window: timings.demandWindow)
        states[load.id] = state
    }

    private mutating func order(_ loads: [Load]) {
        queue.keep(
            Dictionary(
                loads.filter { $0.isActive && !$0.isSilent }.map { ($0.id, $0.share.priority) },
                uniquingKeysWith: { first, _ in first }))
    }

    // MARK: What is fair now

    /// The circuits without what cannot be given away: silent outlets and cars that stop.
    private func reserve(
        _ loads: [Load], _ circuits: [CurrentSharing.Circuit], _ now: Int64
    ) -> [CurrentSharing.Circuit] {
        let sharing = CurrentSharing(circuits)
        let fixed = loads.filter { $0.isSilent || !$0.isActive }
        let left = sharing.left(
            after: fixed.map { states[$0.id]?.held(at: now) ?? .zero }, of: fixed.map(\.share))
        return circuits.map { circuit in
            var circuit = circuit
            circuit.capacity = (left[circuit.id] ?? circuit.capacity).atLeastZero
            return circuit
        }
    }

    /// Each outlet's fair limit; who waits too long is given the turn of another.
    private mutating func share(
        _ loads: [Load], _ circuits: [CurrentSharing.Circuit], _ now: Int64
    ) -> [ID: Amperes] {
        let sharing = CurrentSharing(circuits)
        let active = Dictionary(
            loads.filter { $0.isActive && !$0.isSilent }.map { ($0.id, $0) },
            uniquingKeysWith: { first, _ in first })
        func shares() -> [ID: Amperes] {
            let ordered = queue.ids.compactMap { active[$0] }
            let found = sharing.shares(of: ordered.map { demand($0, now) })
            return Dictionary(
                zip(ordered.map(\.id), found), uniquingKeysWith: { first, _ in first })
        }
        let found = shares()
        let isTurned = queue.turn(
            active.mapValues(\.share), found,
            served: { [states] id in states[id]?.servedSince.map { now - $0 } ?? 0 },
            rest: timings.rises, turn: timings.turn, at: now)
        return isTurned ? shares() : found
    }

    private func demand(_ load: Load, _ now: Int64) -> CurrentSharing.Load {
        var share = load.share
        guard let state = states[load.id], state.limit > .zero else { return share }
        // A fall needs no settling: the car shows at once whether it is held back by the new limit.
        let isSettled = now - state.roseAt >= timings.demandWindow
        if load.isIdle, isSettled {
            share.wanted = min(share.wanted, share.minimum)
        } else if isSettled, let enough = state.peak.enough(below: state.limit) {
            share.wanted = min(share.wanted, max(share.minimum, enough))
        }
        return share
    }

    // MARK: Down at once, up slowly

    private mutating func lower(_ load: Load, to target: Amperes, _ now: Int64) {
        guard var state = states[load.id], target < state.limit else { return }
        if load.mayDraw {
            state.past.append((state.limit, now + timings.settles + load.delay))
        }
        state.limit = target
        // What the car's own profile takes may come back with it at once.
        if target < load.share.wanted { state.fellAt = now }
        if target == .zero { state.servedSince = nil }
        states[load.id] = state
    }

    private mutating func raise(
        _ loads: [Load], _ circuits: [CurrentSharing.Circuit], _ targets: [ID: Amperes],
        _ now: Int64
    ) {
        let sharing = CurrentSharing(circuits)
        let byID = Dictionary(
            loads.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        var left = sharing.left(
            after: loads.map { states[$0.id]?.held(at: now) ?? .zero }, of: loads.map(\.share))
        for id in queue.ids {
            guard let load = byID[id], var state = states[id], let target = targets[id],
                target > state.limit, mayRise(state, now)
            else { continue }
            let held = state.held(at: now)
            let most = held.milliamperes + sharing.room(for: load.share, left)
            let wanted = min(target.milliamperes, most / CurrentSharing.step * CurrentSharing.step)
            guard wanted > state.limit.milliamperes, wanted >= load.share.minimum.milliamperes
            else { continue }
            if state.limit == .zero { state.servedSince = now }
            state.limit = Amperes(milliamperes: wanted)
            state.roseAt = now
            state.isFirst = false
            sharing.take(max(0, wanted - held.milliamperes), for: load.share, from: &left)
            states[id] = state
        }
    }

    /// A car that has just come waits for nothing but room.
    private func mayRise(_ state: State, _ now: Int64) -> Bool {
        state.isFirst || now - max(state.roseAt, state.fellAt) >= timings.rises
    }
}
