/// HTTP and WebSocket on the configured listeners.
package final class WebServer: Sendable {
    /// What is bound, ports as the kernel gave them.
    package let addresses: [BoundAddress]

    /// Binds every listener and reads every certificate; nothing is accepted before `start`.
    package init(configuration: WebServerConfiguration, router: Router) throws(WebServerError) {
        addresses = []
    }

    /// Starts the loops' threads.
    package func start() {}

    /// Stops accepting, closes WebSockets with 1012 spread over `seconds`, lets running requests
    /// end, then stops.
    package func drain(overSeconds seconds: Int) async {}

    /// Cuts everything and ends the threads.
    package func stop() async {}
}
