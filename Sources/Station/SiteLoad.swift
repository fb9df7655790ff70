import Charging

/// What everything but the outlets draws at the site's fuse, by the site's own meter.
///
/// Two meters never read at the same moment, so that a car that starts or stops looks like another
/// consumer for one reading: the middle of the last three counts.
package struct SiteLoad: Hashable, Sendable {
    private var last: [PhaseCurrents] = []
    private var askedAt: Int64?

    /// A site meter silent this long is not believed any more.
    package static let isLost: Int64 = 5_000

    package init() {}

    /// Takes one reading of the whole site, and what the outlets drew meanwhile.
    package mutating func take(site: PhaseCurrents, outlets: PhaseCurrents, askedAt: Int64) {
        last.append((site - outlets).atLeastZero)
        if last.count > 3 { last.removeFirst() }
        self.askedAt = askedAt
    }

    /// nil while the meter is silent.
    package func others(at now: Int64) -> PhaseCurrents? {
        guard let askedAt, now - askedAt <= Self.isLost, !last.isEmpty else { return nil }
        func middle(_ phase: Int) -> Int64 {
            let values = last.map { $0[phase] }.sorted()
            return values[values.count / 2]
        }
        return PhaseCurrents(middle(0), middle(1), middle(2))
    }
}
