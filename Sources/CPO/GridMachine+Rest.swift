import Charging

// When a site that stands still has to be looked at again.

extension GridMachine {
    /// The next moment, on the monotonic clock, at which the same facts and limits may lead to something
    /// else once a step has changed nothing; nil: only with new ones. It may be earlier than needed and
    /// is never later.
    package func nextDue(after now: Moment) -> Int64? {
        var moments = [restsUntil, queue.turnedAt + timings.rises].compactMap(\.self)
        for state in states.values { moments += self.moments(of: state) }
        for time in times(after: now.time) {
            let ahead = now.monotonic + time.milliseconds(since: now.time)
            // Some are compared in whole seconds.
            moments += [ahead, ahead + 1_000]
        }
        return moments.filter { $0 > now.monotonic }.min()
    }

    private func moments(of state: State) -> [Int64] {
        var moments = [
            state.retryAt, state.roseAt + timings.rises, state.roseAt + 2 * timings.demandWindow,
        ]
        moments += state.past.map(\.until)
        if let since = state.servedSince { moments.append(since + timings.turn) }
        return moments + state.peak.changes(window: timings.demandWindow)
    }

    /// By the wall's clock.
    private func times(after now: Timestamp) -> [Timestamp] {
        var times = orders.flatMap { [$0.from, $0.until] }
        if let change = tree.nextChange(after: now, in: zone) { times.append(change) }
        for state in states.values {
            for expires in [state.told.fallback.expires, state.told.present.expires] {
                guard let expires else { continue }
                times += [
                    expires, expires.advanced(bySeconds: timings.clockSeconds),
                    expires.advanced(bySeconds: -timings.clockSeconds),
                    expires.advanced(bySeconds: -timings.lastsSeconds / 2),
                ]
            }
            if let bootedAt = state.facts.bootedAt {
                times += [bootedAt, bootedAt.advanced(bySeconds: timings.afterBootSeconds)]
            }
        }
        return times
    }
}
