import CPO
import Charging
import SQL
import Service
import Web

extension Program {
    static func serve(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        let log = log(invocation)
        let demo = invocation.has("--demo") ? try Demo(invocation) : nil
        let settings = try demo?.settings() ?? settings(invocation)
        let signals = Signals.stream()
        let notifier = SystemdNotifier()
        let database = try await open(settings)
        let house = try await ChargePointOperator(
            database: database, settings: settings.house, log: log)
        try await demo?.furnish(house)
        let doors = try await Doors(house: house, settings: settings, log: log)
        try await demo?.invite(doors.ocpi)
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
            throw Failure(text: "\(error)")
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
        let failure = await untilSignal(signals, doors, log)
        notifier.stopping()
        log.info("draining", ["seconds": settings.drainSeconds])
        await server.drain(overSeconds: settings.drainSeconds)
        await database.close()
        return failure == nil ? .done : .failed
    }

    /// Runs what goes on by itself until a signal asks for the end; what failed before, if anything.
    private static func untilSignal(
        _ signals: AsyncStream<Signal>, _ doors: Doors, _ log: Log
    ) async -> (any Error)? {
        await withTaskGroup(of: (any Error)?.self) { group in
            group.addTask {
                do {
                    try await doors.run()
                    return nil
                } catch is CancellationError {
                    return nil
                } catch {
                    log.error("a part of the server failed", ["error": "\(error)"])
                    return error
                }
            }
            group.addTask {
                for await signal in signals where signal == .terminate || signal == .interrupt {
                    return nil
                }
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
    }

    private static func limits(_ settings: Settings) -> WebLimits {
        var limits = WebLimits()
        limits.pingSeconds = settings.ocpp.pingSeconds
        // Chargers deliver backlogs of a day in one message; the door clamps what is inside.
        limits.maxMessageBytes = 1 << 20
        return limits
    }
}
