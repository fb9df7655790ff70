/// The most a car drew of late, to tell one that wants no more from one that is held back.
package struct DrawnPeak: Hashable, Sendable {
    private var now: Int64 = 0
    private var before: Int64 = 0
    private var last: Int64 = 0
    private var since: Int64?

    /// What a car draws of which nobody knows: as much as it may.
    private static let unmeasured: Int64 = 1_000_000

    /// How far below its limit a car must stay to be taken to want no more: cars that are limited
    /// draw up to an eighth less than they may.
    private static func slack(above peak: Int64) -> Int64 { 1_500 + peak / 8 }

    package init() {}

    /// - `measured`: the most on any of its phases; nil where nobody knows. `moment` is monotonic.
    ///   Between two calls the former value holds.
    package mutating func take(_ measured: Amperes?, at moment: Int64, window: Int64) {
        let measured = measured?.milliamperes ?? Self.unmeasured
        let began = since ?? moment
        let windows = (moment - began) / window
        let start = began + windows * window
        since = start
        if windows > 0 {
            before = windows > 1 ? last : now
            // A window that begins this very moment has seen nothing of the former value.
            now = start == moment ? measured : last
        }
        now = max(now, measured)
        last = measured
    }

    /// When the same value may come to mean something else: a window ends that saw another. Monotonic.
    package func changes(window: Int64) -> [Int64] {
        guard let since, now != last || before != last else { return [] }
        return [since + window, since + 2 * window]
    }

    /// What is enough for a car that stayed clearly below its limit; nil for one that did not.
    package func enough(below limit: Amperes) -> Amperes? {
        let peak = max(now, before)
        guard peak + Self.slack(above: peak) < limit.milliamperes else { return nil }
        // Twice the slack leaves it room to show that it wants more.
        return Amperes(milliamperes: peak + 2 * Self.slack(above: peak))
    }
}
