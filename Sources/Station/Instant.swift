import Charging

/// When something happened, on both clocks of the board.
///
/// Every duration is taken from `milliseconds`, because the wall clock of a board without a battery
/// jumps by years at its first synchronisation. `wall` is written into records, and compared with
/// what the operator dated himself: a reservation's end, the hours of a schedule.
package struct Instant: Hashable, Comparable, Sendable {
    /// Monotonic, from an arbitrary start.
    package var milliseconds: Int64
    package var wall: Timestamp

    package init(milliseconds: Int64, wall: Timestamp) {
        self.milliseconds = milliseconds
        self.wall = wall
    }

    package static func < (a: Self, b: Self) -> Bool { a.milliseconds < b.milliseconds }

    /// How long ago `earlier` was, in milliseconds.
    package func since(_ earlier: Int64) -> Int64 { milliseconds - earlier }
}
