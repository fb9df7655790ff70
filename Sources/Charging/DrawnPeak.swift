/// The most a car drew of late, to tell one that wants no more from one that is held back.
package struct DrawnPeak: Hashable, Sendable {
    private var now: Int64 = 0
    private var before: Int64 = 0
    private var since: Int64 = 0

    /// What a car draws of which nobody knows: as much as it may.
    private static let unmeasured: Int64 = 1_000_000

    /// How far below its limit a car must stay to be taken to want no more: cars that are limited
    /// draw up to an eighth less than they may.
    private static func slack(above peak: Int64) -> Int64 { 1_500 + peak / 8 }

    package init() {}

    /// - `measured`: the most on any of its phases; nil where nobody knows. `moment` is monotonic.
    package mutating func take(_ measured: Amperes?, at moment: Int64, window: Int64) {
        let measured = measured?.milliamperes ?? Self.unmeasured
        if moment - since >= window {
            before = now
            now = measured
            since = moment
        }
        now = max(now, measured)
    }

    /// What is enough for a car that stayed clearly below its limit; nil for one that did not.
    package func enough(below limit: Amperes) -> Amperes? {
        let peak = max(now, before)
        guard peak + Self.slack(above: peak) < limit.milliamperes else { return nil }
        // Twice the slack leaves it room to show that it wants more.
        return Amperes(milliamperes: peak + 2 * Self.slack(above: peak))
    }
}
