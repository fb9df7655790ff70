import Service

/// Makes who guesses a station's password wait.
///
/// Counted by address and station together: by station alone a stranger could lock the charger out
/// whose id he read off it. Over all stations an address has more tries, so that he does not go from
/// charger to charger unseen; behind one address of a network there are others, though, so who brings
/// the right one is heard all the same.
final class WrongPasswords: Sendable {
    struct Pair: Hashable, Sendable {
        var from: Neighbourhood
        /// Folded.
        var station: String

        init(address: String, station: String) {
            from = Neighbourhood(of: address)
            self.station = station.lowercased()
        }
    }

    private struct Tries {
        var count = 0
        var since: Int64
    }

    private struct State {
        var pairs: [Pair: Tries] = [:]
        var addresses: [Neighbourhood: Tries] = [:]
    }

    private static let windowMilliseconds: Int64 = 60_000
    /// Stretched passwords that are looked at for addresses at their bound, all together: each costs the
    /// loop milliseconds, and whoever brings the right one is heard at one of its next tries.
    private static let stretchedASecond = 5
    private static let stretchedAtOnce = 20

    private let state = Lock(State())
    private let stretched: Lock<TokenBucket>
    private let settings: CentralSystemSettings
    private let clock: any ServiceClock

    init(settings: CentralSystemSettings, clock: any ServiceClock) {
        self.settings = settings
        self.clock = clock
        stretched = Lock(
            TokenBucket(
                perSecond: Self.stretchedASecond, burst: Self.stretchedAtOnce,
                at: clock.monotonicMilliseconds))
    }

    /// Whether a password that costs to look at is looked at now. One that proved right is always.
    func mayStretch(_ pair: Pair) -> Bool {
        guard isAtBound(pair) else { return true }
        let now = clock.monotonicMilliseconds
        return stretched.withLock { bucket in
            var next = bucket
            // What would have to wait takes nothing.
            guard next.take(at: now) == 0 else { return false }
            bucket = next
            return true
        }
    }

    /// Before the password is looked at.
    func mayTry(_ pair: Pair) -> Bool {
        let now = clock.monotonicMilliseconds
        return state.withLock {
            Self.count(of: pair, in: $0.pairs, now) < settings.wrongPasswordsAMinute
        }
    }

    /// Whether his address has had its share of wrong ones, for whatever station; looked at once one was
    /// wrong.
    func isAtBound(_ pair: Pair) -> Bool {
        guard settings.wrongPasswordsOfAddress > 0 else { return false }
        let now = clock.monotonicMilliseconds
        return state.withLock {
            Self.count(of: pair.from, in: $0.addresses, now) >= settings.wrongPasswordsOfAddress
        }
    }

    func count(_ pair: Pair) {
        let now = clock.monotonicMilliseconds
        state.withLock { state in
            Self.count(pair, in: &state.pairs, now, most: settings.wrongPasswordPairs)
            Self.count(pair.from, in: &state.addresses, now, most: settings.wrongPasswordPairs)
        }
    }

    /// The right one: what was wrong before was no guess. The address keeps its count, else a guesser
    /// with one station of his own would begin anew with each look at it.
    func forget(_ pair: Pair) { state.withLock { _ = $0.pairs.removeValue(forKey: pair) } }

    private static func count<Key>(
        of key: Key, in tries: [Key: Tries], _ now: Int64
    ) -> Int {
        guard let known = tries[key], now - known.since < windowMilliseconds else { return 0 }
        return known.count
    }

    private static func count<Key>(
        _ key: Key, in tries: inout [Key: Tries], _ now: Int64, most: Int
    ) {
        if tries[key] == nil, tries.count >= most {
            tries = tries.filter { now - $0.value.since < windowMilliseconds }
            // All of this minute: a flood from many addresses, which counting cannot stop.
            if tries.count >= most { return }
        }
        var known = tries[key] ?? Tries(since: now)
        if now - known.since >= windowMilliseconds { known = Tries(since: now) }
        known.count += 1
        tries[key] = known
    }
}
