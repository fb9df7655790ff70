import Service

/// Makes who guesses a station's password wait.
///
/// Counted by address and station together: by station alone a stranger could lock the charger out
/// whose id he read off it.
final class WrongPasswords: Sendable {
    struct Pair: Hashable, Sendable {
        var address: String
        /// Folded.
        var station: String
    }

    private struct Tries {
        var count = 0
        var since: Int64
    }

    private static let windowMilliseconds: Int64 = 60_000

    private let tries = Lock([Pair: Tries]())
    private let settings: CentralSystemSettings
    private let clock: any ServiceClock

    init(settings: CentralSystemSettings, clock: any ServiceClock) {
        self.settings = settings
        self.clock = clock
    }

    func mayTry(_ pair: Pair) -> Bool {
        let now = clock.monotonicMilliseconds
        return tries.withLock { tries in
            guard let known = tries[pair], now - known.since < Self.windowMilliseconds else {
                return true
            }
            return known.count < settings.wrongPasswordsAMinute
        }
    }

    func count(_ pair: Pair) {
        let now = clock.monotonicMilliseconds
        tries.withLock { tries in
            if tries[pair] == nil, tries.count >= settings.wrongPasswordPairs {
                tries = tries.filter { now - $0.value.since < Self.windowMilliseconds }
                // All of this minute: a flood from many addresses, which counting cannot stop.
                if tries.count >= settings.wrongPasswordPairs { return }
            }
            var known = tries[pair] ?? Tries(since: now)
            if now - known.since >= Self.windowMilliseconds { known = Tries(since: now) }
            known.count += 1
            tries[pair] = known
        }
    }

    func forget(_ pair: Pair) { tries.withLock { _ = $0.removeValue(forKey: pair) } }
}
