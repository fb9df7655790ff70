import CWeb
import Glibc
import Service

/// HTTP and WebSocket on the configured listeners.
package final class WebServer: Sendable {
    /// What is bound, ports as the kernel gave them.
    package let addresses: [BoundAddress]
    /// One for each loop.
    package let shards: [Shard]

    /// Binds every listener and reads every certificate; nothing is accepted before `start`.
    package init(configuration: WebServerConfiguration, router: Router) throws(WebServerError) {
        var shards: [Shard] = []
        for _ in 0..<max(1, configuration.loops) {
            shards.append(
                try Shard.make(
                    kind: configuration.loopKind, router: router, limits: configuration.limits,
                    listeners: configuration.listeners))
        }
        var addresses: [BoundAddress] = []
        do throws(WebServerError) {
            for listener in configuration.listeners {
                addresses.append(try Self.bind(listener, to: shards))
            }
        } catch {
            for shard in shards { shard.executor.end() }
            throw error
        }
        self.shards = shards
        self.addresses = addresses
    }

    /// Starts the loops' threads.
    package func start() {
        for (index, shard) in shards.enumerated() { shard.start(name: "web-\(index)") }
    }

    /// Stops accepting, closes WebSockets with 1012 spread over `seconds`, lets running requests
    /// end, then stops.
    package func drain(overSeconds seconds: Int) async {
        for shard in shards { await shard.pauseAccepting() }
        let steps = max(1, seconds * Self.drainStepsPerSecond)
        for step in 0..<steps {
            var busy = 0
            for shard in shards {
                let busyHere = await shard.busyConnections()
                _ = await shard.closeSome(
                    (busyHere + steps - step - 1) / (steps - step), code: Self.serviceRestart)
                busy += await shard.busyConnections()
            }
            if busy == 0 { break }
            // A cancelled drain goes on at once: what is left is cut below.
            try? await Task.sleep(for: .milliseconds(1000 / Self.drainStepsPerSecond))
        }
        await stop()
    }

    /// Cuts everything and ends the threads.
    package func stop() async {
        for shard in shards { await shard.stop() }
    }

    private static let drainStepsPerSecond = 10
    /// RFC 6455's registry: the peer should come back, after a while of its own choice.
    private static let serviceRestart = 1012

    private static func bind(_ listener: Listener, to shards: [Shard]) throws(WebServerError)
        -> BoundAddress
    {
        // One loop alone binds unshared, so that a second server on the port is told.
        var port = listener.port
        for shard in shards {
            let socket = web_bind(listener.address, Int32(port), shards.count > 1)
            guard socket >= 0 else {
                throw .cannotBind(
                    address: listener.address, port: port, reason: String(cString: web_reason()))
            }
            port = Int(web_bound_port(socket))
            try shard.listen(listener, socket: socket)
        }
        return BoundAddress(
            name: listener.name, address: listener.address, port: port, isTLS: listener.tls != nil)
    }
}
