import Service

/// What changed, for those who would else have to look at everything again and again: heard once it is
/// committed, and kept in memory only. Who listens looks at all at its start.
final class HouseNews: Sendable {
    enum Key: Hashable, Sendable {
        /// Its line, a boot, a status, a charge or its meter; heard of those that are watched.
        case station(String)
        /// The charging profiles it shall hold.
        case profiles(String)
        /// Connectors that came into sites, or left them.
        case sites
        case campaigns
    }

    private struct State {
        var watched: Set<String> = []
        var count = 0
        /// Noted in transactions of which it is not known yet that they are durable: the first and the
        /// last number of each.
        var open: [Key: (first: Int, last: Int)] = [:]
        var heard: Set<Key> = []
    }

    private let state = Lock(State())

    /// In the transaction that makes the change.
    func note(_ key: Key) {
        state.withLock { state in
            if case .station(let id) = key, !state.watched.contains(id) { return }
            Self.note(key, &state)
        }
    }

    /// Of stations that may be watched from now on.
    func note(stations: some Sequence<String>) {
        state.withLock { state in
            for id in stations {
                state.watched.insert(id)
                Self.note(.station(id), &state)
            }
        }
    }

    private static func note(_ key: Key, _ state: inout State) {
        state.count += 1
        state.open[key] = (state.open[key]?.first ?? state.count, state.count)
    }

    /// Who is heard of; others' changes are forgotten at once.
    func watch(_ stations: Set<String>) { state.withLock { $0.watched = stations } }

    func watch(_ station: String) { state.withLock { _ = $0.watched.insert(station) } }

    /// How many were noted; taken by a writer at the end of its transaction's body.
    var mark: Int { state.withLock { $0.count } }

    /// After the commit of the transaction that took `mark`. What was noted since may not be durable yet.
    func committed(_ mark: Int) {
        state.withLock { state in
            guard !state.open.isEmpty else { return }
            for (key, numbers) in state.open where numbers.first <= mark {
                state.heard.insert(key)
                state.open[key] = numbers.last <= mark ? nil : (numbers.last, numbers.last)
            }
        }
    }

    /// What was heard of stations and sites, and nothing of it again.
    func take() -> Set<Key> {
        state.withLock { state in
            guard !state.heard.isEmpty else { return [] }
            let heard = state.heard
            state.heard = heard.contains(.campaigns) ? [.campaigns] : []
            return heard.subtracting([.campaigns])
        }
    }

    func takeCampaigns() -> Bool { state.withLock { $0.heard.remove(.campaigns) != nil } }
}
