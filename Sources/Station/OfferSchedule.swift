import Charging

/// The local hours in which energy is offered; outside them a charge waits as SuspendedEVSE.
///
/// A pure function of the wall's time. It is about tariffs and neighbours, not about safety: a board
/// that does not know the time yet offers.
package struct OfferSchedule: Hashable, Sendable {
    package struct Window: Hashable, Sendable {
        /// The days on which it begins; 1 is Monday, 7 is Sunday.
        package var days: Set<Int>
        /// Minutes since local midnight, 0…1439.
        package var from: Int
        /// Minutes since local midnight, 0…1440; not after `from` it ends on the next day.
        package var until: Int

        package init(days: Set<Int> = Set(1...7), from: Int, until: Int) {
            self.days = days
            self.from = from
            self.until = until
        }

        func contains(weekday: Int, minutes: Int) -> Bool {
            if from < until {
                return days.contains(weekday) && (from..<until).contains(minutes)
            }
            let yesterday = weekday == 1 ? 7 : weekday - 1
            return days.contains(weekday) && minutes >= from
                || days.contains(yesterday) && minutes < until
        }
    }

    /// None means always.
    package var windows: [Window]
    package var zone: LocalTimeRules

    package static let always = OfferSchedule(windows: [], zone: .utc)
    /// A wall clock before this was never set: 2024-01-01.
    package static let clockIsSet = Timestamp(seconds: 1_704_067_200)

    package init(windows: [Window], zone: LocalTimeRules) {
        self.windows = windows
        self.zone = zone
    }

    package func isOpen(at wall: Timestamp) -> Bool {
        guard !windows.isEmpty, wall >= Self.clockIsSet else { return true }
        let local = zone.local(at: wall)
        return windows.contains { $0.contains(weekday: local.weekday, minutes: local.minutes) }
    }
}
