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
        limitOrders += 1
        let order = limitOrders
        try await keep(held.map { text(of: $0, at: now) } ?? Self.none)
        // Another came meanwhile: that one counts.
        guard held == nil, order == limitOrders else { return }
        heldLimit = nil
        isHeldLimitUnread = false
        // An operator may never say it again: a person on site decides then.
        await endProfileDoubt()
        await step()
    }

    /// Writes one after the other, in the order they were asked for: of two that run at a time the older
    /// could reach the disk last, and a limit that was taken away would be back after a restart.
    private func keep(_ text: String) async throws {
        let (before, journal, order) = (limitWrite, journal, limitOrders)
        let write = Task {
            // Its failure was told to whoever asked for it.
            _ = await before?.result
            try await journal.set(Self.limitKey, to: text)
        }
        limitWrite = write
        isLimitBeingTaken = text == Self.none
        do {
            try await write.value
        } catch {
            // One that came meanwhile may be taking it away still.
            if order == limitOrders { isLimitBeingTaken = false }
            throw error
        }
    }

    /// As it is kept: what is left of it by the monotonic clock, and its end where this machine knows the
    /// time by itself.
    private func text(of limit: HeldLimit, at now: Int64) -> String {
        let left = limit.endsAt.map { max(0, $0 - now) }
        let until = left.flatMap { left in journal.ownTime?.advanced(byMilliseconds: left) }
        return JSONValue.members([
            "milliamperes": .array(limit.currents.all.map { .number($0) }),
            "seconds": left.map { .number(($0 + 999) / 1000) },
            "until": until.map { .time($0) },
        ]).text
    }

    /// So often what is left of a limit goes to the disk: so much longer it may hold after a restart.
    private static let keptMilliseconds: Int64 = 60_000

    func keepHeldLimits() async {
        while !Task.isCancelled {
            do { try await clock.sleep(milliseconds: Self.keptMilliseconds) } catch { return }
            await keepHeldLimit()
        }
    }

    /// Writes down what is left of a limit that ends by itself.
    func keepHeldLimit() async {
        guard let limit = heldLimit, limit.endsAt != nil, !isLimitBeingTaken else { return }
        do {
            try await keep(text(of: limit, at: clock.monotonicMilliseconds))
        } catch {
            // It holds for longer then.
            log.warning("journal not written", ["error": String(describing: error)])
        }
    }

    /// Takes up what was kept. How long the board was off only a wall clock knows; where this machine has
    /// none of its own all is left that was left when it was last kept. The operator's time says nothing
    /// here: it must not end what holds against the operator.
    func readHeldLimit(_ text: String?) async {
        guard let text else {
            // From now on a row that is missing is one that was lost: see `doubtSiteLimit`.
            do { try await journal.set(Self.limitKey, to: Self.none) } catch {
                log.warning("journal not written", ["error": String(describing: error)])
            }
            return
        }
        guard text != Self.none else { return }
        // Written by this program alone: what cannot be read was damaged, and nobody knows the limit.
        guard let value = try? JSONValue(parsing: text),
            let currents = value["milliamperes"]?.array?.compactMap(\.int64), currents.count == 3,
            currents.allSatisfy({ (0...LocalLimit.mostMilliamperes).contains($0) })
        else {
            isHeldLimitUnread = true
            log.error(
                "local limit not understood, the safe share or each outlet's least counts",
                ["mend": "say it again with `kerb-edge limit`, or `kerb-edge limit off`"])
            return
        }
        var held = HeldLimit(currents: PhaseCurrents(currents[0], currents[1], currents[2]))
        if let seconds = value["seconds"]?.int64 {
            var left = min(seconds, LocalLimit.longestSeconds) * 1000
            if let now = journal.ownTime, let until = value["until"]?.time {
                left = min(left, until.milliseconds(since: now))
            }
            guard left > 0 else { return }
            held.endsAt = clock.monotonicMilliseconds + left
        }
        heldLimit = held
        log.notice("local limit goes on", ["milliamperes": currents.min()])
    }
}
