import Glibc
import Service
import Simulation
import Web

extension Program {
    /// `site`: hardware behind Modbus and its control interface, until a signal comes.
    static func site(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        let settings = try SiteSettings.load(invocation.value("--config") ?? "")
        let log = log(invocation)
        let signals = Signals.stream()
        let locks = try settings.buses.filter { $0.kind == .serial }.map { try lock($0.link) }
        defer { for descriptor in locks { close(descriptor) } }
        let site: Site
        do throws(FileError) {
            site = try Site(settings)
        } catch {
            throw Failure(
                text:
                    "buses: \(error); is another site running? Stop it, or change `port` and `link`"
            )
        }
        // The links' names go with this program whatever ends it.
        defer { site.stop() }
        var router = Router()
        SiteControl(site).mount(on: &router)
        let server: WebServer
        do throws(WebServerError) {
            server = try WebServer(
                configuration: WebServerConfiguration(listeners: [
                    Listener(name: "control", port: settings.controlPort)
                ]), router: router)
        } catch {
            throw Failure(
                text:
                    "control.port: \(error); is another site running? Stop it, or choose another port"
            )
        }
        server.start()
        for bus in settings.buses {
            switch bus.kind {
            case .serial: log.info("serial bus ready", ["bus": bus.name, "link": bus.link])
            case .tcp:
                let port = site.tcp[bus.name]?.port ?? bus.port
                log.info("tcp bus ready", ["bus": bus.name, "port": port])
            }
        }
        log.notice(
            "site ready",
            ["evses": settings.evses.count, "controlPort": server.addresses.first?.port ?? 0])
        let faults = Task { await site.playFaults() }
        for await signal in signals where signal != .reload { break }
        faults.cancel()
        await server.stop()
        return .done
    }

    /// A second site would take the first one's name, and whoever is connected would hear nobody.
    ///
    /// - Returns: the lock's descriptor, held until the end. The kernel lets go of it in any case.
    private static func lock(_ link: String) throws -> Int32 {
        let path = "\(link).lock"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw Failure(text: "buses: \(FileError(path, errno: errno)); choose another `link`")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw Failure(
                text:
                    "buses: \(link) belongs to a site that runs; stop it, or give this one other links "
                    + "and ports")
        }
        return descriptor
    }
}
