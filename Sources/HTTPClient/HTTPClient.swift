/// Calls other parties' servers: many at once, none delaying another.
package final class HTTPClient: Sendable {
    package struct Configuration: Sendable {
        package var rules: HostRules
        /// Instead of the system's certificate authorities.
        package var caFile: String?
        package var connectTimeoutSeconds = 5
        /// Calls in flight to one host; more wait.
        package var connectionsPerHost = 8
        package var connectionsInAll = 500
        /// Calls waiting or in flight; more are refused with `.queueFull`.
        package var callsPerHost = 1000
        package var callsInAll = 10_000

        package init(rules: HostRules = .strict, caFile: String? = nil) {
            self.rules = rules
            self.caFile = caFile
        }
    }

    package let configuration: Configuration

    package init(_ configuration: Configuration = Configuration()) {
        self.configuration = configuration
    }

    /// Sends the call and waits for the whole answer. Redirects are answers, they are not followed.
    ///
    /// Cancelling the task aborts the transfer.
    package func call(_ call: HTTPCall) async throws(HTTPCallError) -> HTTPAnswer {
        throw .stopped
    }

    /// Fails every call that waits or is in flight with `.stopped` and ends the thread.
    package func stop() {}
}
