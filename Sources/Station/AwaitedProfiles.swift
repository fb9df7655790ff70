import Charging
import Service

/// The profiles that came with remote starts, until the charge each is for has begun.
/// OCPP 1.6 §3.13.1, §5.11.
///
/// Smart charging puts them in; a connector takes its own out when it makes the start durable, so
/// that charge and limit are one transaction of the journal: whatever ends the program between the
/// two, no charge is found that may be faster than it was asked for. Times are monotonic: a wall
/// clock that is set meanwhile must not part a start from its limit.
package final class AwaitedProfiles: Sendable {
    struct Awaited: Hashable {
        /// Which order it came with.
        var order = 0
        /// nil: not chosen yet. It bounds every connector and is nobody's.
        var connector: ConnectorNumber?
        var token: String
        var profile: ChargingProfile
        /// When the operator asked.
        var since: Int64
        /// Whose start is being written with it.
        var claimedBy: ConnectorNumber?

        func fits(_ connector: ConnectorNumber) -> Bool {
            (claimedBy ?? self.connector ?? connector) == connector
        }
    }

    /// One that is on the disk with its charge, and not yet seen by smart charging.
    struct Begun: Hashable {
        var entry: InstalledProfiles.Entry
        var at: Int64
    }

    private struct State {
        var waiting: [Awaited] = []
        var begun: [Begun] = []
        var orders = 0
        /// Of orders that are not confirmed yet, which connector was asked last.
        var bound: [Int: ConnectorNumber] = [:]
    }

    private let state = Lock(State())

    var waiting: [Awaited] { state.withLock { $0.waiting } }
    var begun: [Begun] { state.withLock { $0.begun } }

    // MARK: Smart charging's side

    /// nil where too many wait. What the same order brought before still bounds and waits, until
    /// `confirm` says that the new one took its place.
    func expect(_ awaited: Awaited) -> Awaited? {
        state.withLock { state in
            guard state.waiting.count < ProfileLimits.pending else { return nil }
            state.orders += 1
            var own = awaited
            own.order = state.orders
            state.waiting.append(own)
            return own
        }
    }

    /// This connector is asked for the start, and no other any more: a charge of the same token that
    /// begins elsewhere must not take the profile away.
    func bind(_ awaited: Awaited, to connector: ConnectorNumber) {
        state.withLock { state in
            state.waiting.removeAll { $0.order == awaited.order && $0.claimedBy == nil }
            var own = awaited
            own.connector = connector
            state.waiting.append(own)
            state.bound[awaited.order] = connector
        }
    }

    /// Whether the start that it came with was accepted.
    func confirm(_ awaited: Awaited, isAccepted: Bool) {
        state.withLock { state in
            let bound = state.bound.removeValue(forKey: awaited.order) ?? awaited.connector
            state.waiting.removeAll { other in
                guard other.claimedBy == nil else { return false }
                guard isAccepted else { return other.order == awaited.order }
                return other.order < awaited.order && other.token == awaited.token
                    && other.connector == bound
            }
        }
    }

    func dropWaiting(where isOver: (Awaited) -> Bool) {
        state.withLock { $0.waiting.removeAll { $0.claimedBy == nil && isOver($0) } }
    }

    /// What has begun and is seen by now.
    func takeBegun(where isSeen: (Begun) -> Bool) -> [InstalledProfiles.Entry] {
        state.withLock { state in
            let seen = state.begun.filter(isSeen)
            state.begun.removeAll(where: isSeen)
            return seen.map(\.entry)
        }
    }

    // MARK: A connector's side

    /// The profile a start has to be written with. Nobody else gets it; `abandoned` gives it back.
    func claim(_ start: ConnectorMachine.Start, by connector: ConnectorNumber) -> Awaited? {
        state.withLock { state in
            let index = state.waiting.lastIndex {
                $0.claimedBy == nil && $0.connector == connector && $0.token == start.token
                    && $0.since <= start.decidedAt
            }
            guard let index else { return nil }
            state.waiting[index].claimedBy = connector
            return state.waiting[index]
        }
    }

    /// The start is not on the disk: there may be another.
    func abandoned(_ claimed: Awaited) {
        state.withLock { state in
            guard let index = state.waiting.firstIndex(of: claimed) else { return }
            state.waiting[index].claimedBy = nil
        }
    }

    /// The start is on the disk, and the profile with it. To be called before the machine knows.
    func begun(_ claimed: Awaited, charge: Int64, at: Int64) {
        guard let connector = claimed.claimedBy else { return }
        state.withLock { state in
            state.waiting.removeAll { $0 == claimed }
            state.begun.append(
                Begun(
                    entry: .init(connector: connector, profile: claimed.profile, charge: charge),
                    at: at))
        }
    }
}
