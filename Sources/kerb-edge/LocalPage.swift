import Charging
import Glibc
import JSON
import Service
import Station
import Web

/// A page for the technician on the board's service network: read only, without a word of
/// JavaScript, from the same view as `kerb-edge status`.
///
/// `GET /` the page, `/status.json` its data, `/metrics` for Prometheus, `/healthz`. Nothing is
/// changed by it, no token is shown whole.
struct LocalPage: Sendable {
    /// What a page with sixteen outlets needs is far below.
    private static let limits = {
        var limits = WebLimits()
        limits.maxBodyBytes = 1024
        limits.maxHeaderBytes = 4096
        limits.maxConnections = 32
        limits.acceptsPerSecond = 20
        return limits
    }()
    private static let retryMilliseconds: Int64 = 30_000

    let settings: EdgeSettings.Page
    let dataDirectory: String
    let startedAt: Timestamp
    let view: @Sendable () async -> JSONValue
    let powers: @Sendable (ConnectorNumber) async -> [Int64]
    let log: Log

    /// Serves until cancelled. An address that cannot be bound yet is tried again: the service
    /// network may come up later, and a charging station charges without it.
    func run() async {
        var isTold = false
        while !Task.isCancelled {
            do throws(WebServerError) {
                let server = try WebServer(
                    configuration: WebServerConfiguration(
                        listeners: [
                            Listener(
                                name: "page", address: settings.address, port: settings.port)
                        ], loopKind: .poll, limits: Self.limits), router: router)
                server.start()
                log.info(
                    "local page",
                    ["address": settings.address, "port": server.addresses.first?.port])
                await untilCancelled()
                await server.stop()
            } catch {
                if !isTold { log.warning("local page not served", ["error": LogError(error)]) }
                isTold = true
                await pause(Self.retryMilliseconds)
            }
        }
    }

    private func untilCancelled() async {
        while !Task.isCancelled { await pause(3_600_000) }
    }

    private func pause(_ milliseconds: Int64) async {
        // A sleep that is cancelled ends the loop around it.
        try? await SystemClock().sleep(milliseconds: milliseconds)
    }

    private var router: Router {
        var router = Router()
        add("/", to: &router) { page in
            let status = await page.view()
            var powers: [ConnectorNumber: [Int64]] = [:]
            for connector in status["connectors"]?.array ?? [] {
                let number = connector["connector"]?.int ?? 0
                powers[number] = await page.powers(number)
            }
            return .text(
                PageWriter(status: status, powers: powers).html, type: "text/html; charset=utf-8")
        }
        add("/style.css", to: &router) { _ in
            .text(PageWriter.style, type: "text/css; charset=utf-8")
        }
        add("/status.json", to: &router) { page in .json(await page.view()) }
        add("/metrics", to: &router) { page in
            .text(
                StationMetrics.text(await page.view(), page.process),
                type: "text/plain; version=0.0.4; charset=utf-8")
        }
        add("/healthz", to: &router) { _ in .text("ok\n") }
        return router
    }

    private func add(
        _ path: String, to router: inout Router,
        _ answer: @escaping @Sendable (LocalPage) async -> HTTPResponse
    ) {
        router.add("GET", path) { request in
            guard Self.isDirect(request.headers["Host"]) else {
                return .problem(
                    421, "unknown host", detail: "open this page by its numeric address")
            }
            var response = await answer(self)
            for (name, value) in Self.shields { response.headers[name] = value }
            return response
        }
    }

    /// A name could be anybody's: a page elsewhere that points its own name here must not read us.
    static func isDirect(_ host: String?) -> Bool {
        guard let host else { return false }
        let name =
            host.hasPrefix("[")
            ? host.dropFirst().prefix { $0 != "]" } : host.prefix { $0 != ":" }
        if name == "localhost" { return true }
        return isNumeric(String(name))
    }

    static func isNumeric(_ address: String) -> Bool {
        var four = in_addr()
        var six = in6_addr()
        return inet_pton(AF_INET, address, &four) == 1 || inet_pton(AF_INET6, address, &six) == 1
    }

    private static let shields = [
        (
            "Content-Security-Policy",
            "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
                + "frame-ancestors 'none'"
        ),
        ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-store"), ("Cross-Origin-Resource-Policy", "same-origin"),
    ]

    private var process: StationMetrics.Process {
        var process = StationMetrics.Process()
        process.version = Program.version
        process.startedAt = startedAt
        process.residentBytes = ProcessCosts.residentBytes
        process.cpuMilliseconds = ProcessCosts.cpuMilliseconds
        // A disk that does not answer has no figure.
        process.diskFreeBytes = try? FileSystem.freeBytes(at: dataDirectory)
        return process
    }
}

/// What this process has taken so far.
enum ProcessCosts {
    static var residentBytes: Int64 {
        // Without /proc there is no figure.
        let text = (try? FileSystem.read("/proc/self/statm", limitBytes: 256)) ?? []
        let words = String(decoding: text, as: UTF8.self).split(separator: " " as Character)
        return words.count > 1 ? (Int64(words[1]) ?? 0) * Int64(sysconf(Int32(_SC_PAGESIZE))) : 0
    }

    static var cpuMilliseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}
