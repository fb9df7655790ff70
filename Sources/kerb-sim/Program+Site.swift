import Service
import Simulation
import Web

extension Program {
    /// `site`: hardware behind Modbus and its control interface, until a signal comes.
    static func site(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        let settings = try SiteSettings.load(invocation.value("--config") ?? "")
        let log = log(invocation)
        let signals = Signals.stream()
        let site = try Site(settings)
        var router = Router()
        SiteControl(site).mount(on: &router)
        let server = try WebServer(
            configuration: WebServerConfiguration(listeners: [
                Listener(name: "control", port: settings.controlPort)
            ]), router: router)
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
        site.stop()
        return .done
    }
}
