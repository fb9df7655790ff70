/// Who waits for current or has it, in the order in which they are admitted.
///
/// Where there is not even the minimum for all, they take turns: whoever has been served longest goes
/// to the end once another waits for one of its phases.
package struct TurnQueue<ID: Hashable & Comparable & Sendable>: Hashable, Sendable {
    package private(set) var ids: [ID] = []
    /// Monotonic.
    package private(set) var turnedAt: Int64 = .min / 2

    package init() {}

    /// Takes in who has come and leaves out who is gone; a higher priority stands before a lower one.
    package mutating func keep(_ priorities: [ID: Int]) {
        ids.removeAll { priorities[$0] == nil }
        for id in priorities.keys.sorted() where !ids.contains(id) {
            let place = ids.lastIndex { (priorities[$0] ?? 0) >= (priorities[id] ?? 0) }
            ids.insert(id, at: place.map { $0 + 1 } ?? 0)
        }
    }

    /// Moves the one whose turn is over to the end, if another waits.
    ///
    /// - `served`: for how long one has had current, in milliseconds; `rest`: between two turns;
    ///   `turn`: how long one lasts; `now`: monotonic.
    /// - Returns: true where the order changed.
    package mutating func turn(
        _ loads: [ID: CurrentSharing.Load], _ shares: [ID: Amperes], served: (ID) -> Int64,
        rest: Int64, turn: Int64, at now: Int64
    ) -> Bool {
        guard now - turnedAt >= rest else { return false }
        let waiting = ids.compactMap { id in loads[id].map { (id, $0) } }.first { id, load in
            shares[id] == .zero && load.wanted >= load.minimum
        }
        guard let (_, first) = waiting else { return false }
        let phases = Set(first.wiring.phases)
        let yielding = ids.filter { id in
            guard let load = loads[id], shares[id] ?? .zero > .zero else { return false }
            return served(id) >= turn && !phases.isDisjoint(with: load.wiring.phases)
        }.max { served($0) < served($1) }
        guard let yielding else { return false }
        ids.removeAll { $0 == yielding }
        ids.append(yielding)
        turnedAt = now
        return true
    }
}
