import CPO
import Charging
import Glibc
import SQL
import Service
import Web

extension Program {
    static func serve(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        let log = log(invocation)
        raiseDescriptorLimit()
        let demo = invocation.has("--demo") ? try Demo(invocation) : nil
        let settings = try demo?.settings() ?? settings(invocation, looking: .atFiles)
        let signals = Signals.stream()
        let notifier = SystemdNotifier()
        let database = try await open(settings, isServer: true)
        let house = try await ChargePointOperator(
            database: database, settings: settings.house, log: log)
        try await demo?.furnish(house)
        let doors = try await Doors(house: house, settings: settings, log: log)
        try await demo?.invite(doors.ocpi)
        try await demo?.open(doors.console)
        // Whatever the rows say, no socket is open yet; the stations' door writes that down.
        try await doors.load()
        var router = Router()
        doors.mount(on: &router)
        let server: WebServer
        do throws(WebServerError) {
            server = try WebServer(
                configuration: WebServerConfiguration(
                    listeners: settings.listeners, limits: limits(settings)),
                router: router)
        } catch {
            throw Failure(text: sentence(error, settings))
        }
        server.start()
        for address in server.addresses {
            log.info(
                "listening",
                [
                    "name": address.name, "address": address.address, "port": address.port,
                    "tls": address.isTLS,
                ])
        }
        demo?.welcome(server.addresses)
        notifier.ready()
        await untilSignal(signals, doors)
        notifier.stopping()
        log.info("draining", ["seconds": settings.drainSeconds])
        await server.drain(overSeconds: settings.drainSeconds)
        await database.close()
        return .done
    }

    /// Which listener of the configuration it is, and the mend.
    private static func sentence(_ error: WebServerError, _ settings: Settings) -> String {
        switch error {
        case .cannotBind(let address, let port, let reason):
            let listener = settings.listeners.first { $0.port == port && $0.address == address }
            let name = listener.map { "listener \($0.name): " } ?? ""
            return
                "\(name)\(address) port \(port) cannot be had: \(reason); stop who has it, or change "
                + "`port` or `address` (below 1024 needs CAP_NET_BIND_SERVICE)"
        case .cannotStart(let reason):
            return
                "\(reason); do `tls.certificateFile` and `tls.keyFile` belong together, and may this "
                + "user read them?"
        }
    }

    /// Runs what goes on by itself until a signal asks for the end.
    private static func untilSignal(_ signals: AsyncStream<Signal>, _ doors: Doors) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await doors.run() }
            for await signal in signals where signal == .terminate || signal == .interrupt { break }
            // What the doors still write must not hold up the end.
            doors.house.database.willClose()
            group.cancelAll()
        }
    }

    /// A connection is a descriptor: takes all the kernel allows.
    private static func raiseDescriptorLimit() {
        var limit = rlimit()
        let resource = __rlimit_resource_t(7)  // RLIMIT_NOFILE, a macro Swift cannot import
        guard getrlimit(resource, &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        // Refused: the limit stays as it was, and `doctor` tells it.
        _ = setrlimit(resource, &limit)
    }

    private static func limits(_ settings: Settings) -> WebLimits {
        var limits = WebLimits()
        limits.pingSeconds = settings.ocpp.pingSeconds
        limits.acceptsPerSecond = settings.ocpp.acceptsPerSecond
        // Chargers deliver backlogs of a day in one message; the door clamps what is inside.
        limits.maxMessageBytes = 1 << 20
        return limits
    }
}
