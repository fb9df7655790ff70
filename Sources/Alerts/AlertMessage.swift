import Charging
import SQL

/// What a channel still has to be told.
package struct AlertMessage: Hashable, Sendable {
    package enum What: String, Hashable, Sendable {
        case raised
        /// There is more than it told before.
        case renewed
        case ended
    }

    package var alert: Alert
    package var what: What
    var tries: Int
}

/// A way to somebody: a mail server, a webhook.
package protocol AlertChannel: Sendable {
    /// As rows call it.
    var name: String { get }
    /// Told at once, in one mail or call; at least 1.
    var mostAtOnce: Int { get }
    /// Tells all of them or throws.
    ///
    /// - Parameter more: how many are due besides and are told by their number alone.
    nonisolated(nonsending) func tell(
        _ messages: [AlertMessage], more: Int
    ) async throws(AlertChannelError)
}

package struct AlertChannelError: Error, Hashable, Sendable {
    /// For the log: no address with a secret.
    package var reason: String

    package init(_ reason: String) { self.reason = reason }
}
