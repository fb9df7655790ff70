import Charging

/// When somebody is told, and how.
package struct AlertSettings: Sendable {
    /// A part of each day by the local clock, in minutes since midnight; it may go over midnight.
    package struct QuietHours: Hashable, Sendable {
        package var from: Int
        package var to: Int

        /// `22:00-06:30`; nil for anything else.
        package init?(_ text: String) {
            let sides = text.split(separator: "-", omittingEmptySubsequences: false)
            guard sides.count == 2, let from = Self.minutes(sides[0]),
                let to = Self.minutes(sides[1]), from != to
            else { return nil }
            (self.from, self.to) = (from, to)
        }

        private static func minutes(_ text: Substring) -> Int? {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2, parts.allSatisfy({ $0.utf8.count == 2 }),
                let hours = Int(parts[0]), let minutes = Int(parts[1]),
                (0...23).contains(hours), (0...59).contains(minutes)
            else { return nil }
            return hours * 60 + minutes
        }

        /// When what is due now may be told: now, or at the end of the quiet hours.
        package func release(at now: Timestamp, in zone: LocalTimeRules) -> Timestamp {
            let minute = zone.local(at: now).minutes
            let isQuiet =
                from < to ? (from..<to).contains(minute) : minute >= from || minute < to
            guard isQuiet else { return now }
            return zone.nextBoundary(after: now, minutes: [to]) ?? now
        }
    }

    package var offlineSeconds: Int64 = 900
    package var faultedSeconds: Int64 = 900
    package var moneySeconds: Int64 = 86_400
    package var deliverySeconds: Int64 = 21_600
    package var quietHours: QuietHours?
    package var zone = LocalTimeRules.utc

    package init() {}
}
