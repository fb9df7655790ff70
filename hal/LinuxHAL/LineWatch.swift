/// What is known of one watched input: its level, and every activation since the start.
///
/// A pulse between two readings is counted, so that nobody misses one; a gap in the kernel's
/// numbers means that the level has to be read again, and that the line was active meanwhile.
package struct LineWatch: Hashable, Sendable {
    package enum Change: Hashable, Sendable {
        case none
        /// Active by this edge. A reading may have seen it before; then too somebody has to act.
        case active
        /// Edges were lost: read the level, and act as if the line had been active.
        case gap
    }

    package let isActiveLow: Bool
    package private(set) var isActive: Bool
    /// Counts rises from inactive to active, lost ones included.
    package private(set) var activations = 0
    private var lastNumber: UInt32 = 0

    package init(isActiveLow: Bool, level: Bool) {
        self.isActiveLow = isActiveLow
        isActive = level != isActiveLow
        if isActive { activations = 1 }
    }

    package mutating func take(_ event: GPIOEvent) -> Change {
        let isExpected = event.number == lastNumber &+ 1
        lastNumber = event.number
        let isNow = event.isRising != isActiveLow
        guard isExpected else {
            activations += 1
            isActive = isNow
            return .gap
        }
        read(level: event.isRising)
        return isNow ? .active : .none
    }

    /// The level as it was read.
    package mutating func read(level: Bool) {
        let isNow = level != isActiveLow
        if isNow, !isActive { activations += 1 }
        isActive = isNow
    }
}
