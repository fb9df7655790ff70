import Charging
import JSON
import Service

// A person's limit on all outlets together, by `kerb-edge limit`. It is a setting of the site and
// outlives a restart: who limits a site because its cable is warm does not know when the agent is
// updated.
extension SmartCharging {
    /// The limit in force.
    struct HeldLimit: Hashable {
        var currents: PhaseCurrents
        /// Monotonic, exclusive; nil: until it is taken away.
        var endsAt: Int64?
    }

    /// The journal's key of it.
    static let limitKey = "site.limit"
    private static let none = "off"

    /// Takes a limit; nil takes it away. Less holds at once, more only once the disk knows.
    ///
    /// - Throws: where the journal cannot be written. A limit holds all the same, until the next
    ///   start; one that was to be taken away stays.
    package func limitSite(_ limit: LocalLimit?) async throws {
        let now = clock.monotonicMilliseconds
        let held = limit.map {
            HeldLimit(currents: $0.currents, endsAt: $0.seconds.map { now + $0 * 1000 })
        }
        if let held {
            heldLimit = held
            isHeldLimitUnread = false
            await step()
        }
        try await journal.set(Self.limitKey, to: limit.map(text) ?? Self.none)
        guard held == nil else { return }
        heldLimit = nil
        isHeldLimitUnread = false
        await step()
    }

    private func text(of limit: LocalLimit) -> String {
        JSONValue.members([
            "milliamperes": .array(limit.currents.all.map { .number($0) }),
            "seconds": limit.seconds.map { .number($0) },
            "until": limit.seconds.map { .time(clock.now.advanced(bySeconds: $0)) },
        ]).text
    }

    /// Takes up what was kept. What of its time is left is the wall clock's to say, as no other clock
    /// knows how long the board was off; one that nobody set is not believed, and then all is left.
    func readHeldLimit(_ text: String?) {
        guard let text, text != Self.none else { return }
        // Written by this program alone: what cannot be read was damaged, and nobody knows the limit.
        guard let value = try? JSONValue(parsing: text),
            let currents = value["milliamperes"]?.array?.compactMap(\.int64), currents.count == 3,
            currents.allSatisfy({ (0...LocalLimit.mostMilliamperes).contains($0) })
        else {
            isHeldLimitUnread = true
            log.error(
                "local limit not understood, the safe share counts",
                ["mend": "say it again with `kerb-edge limit`, or `kerb-edge limit off`"])
            return
        }
        var held = HeldLimit(currents: PhaseCurrents(currents[0], currents[1], currents[2]))
        if let seconds = value["seconds"]?.int64 {
            var left = min(seconds, LocalLimit.longestSeconds) * 1000
            if journal.trust != .untrusted, let until = value["until"]?.time {
                left = min(left, until.milliseconds(since: clock.now))
            }
            guard left > 0 else { return }
            held.endsAt = clock.monotonicMilliseconds + left
        }
        heldLimit = held
        log.notice("local limit goes on", ["milliamperes": currents.min()])
    }
}
