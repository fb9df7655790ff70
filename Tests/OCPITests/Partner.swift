import CPO
import Charging
import JSON
import OCPI
import Service
import Web

/// An eMSP's platform on a real socket: answers what the test scripts, and remembers what came.
final class Partner: Sendable {
    struct Received: Sendable {
        var method: String
        var path: String
        var headers: HTTPHeaders
        var body: JSONValue
    }

    typealias Script = @Sendable (HTTPRequest) async -> HTTPResponse?

    private struct State {
        var script: Script?
        var received: [Received] = []
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    let token = "token-b-\(UInt64.random(in: 0 ... .max))"
    let party: PartyID
    private let state: Lock<State>
    private let server: WebServer
    let base: String

    init(_ party: PartyID = OCPIHouse.emsp) throws {
        self.party = party
        let state = Lock(State())
        self.state = state
        var router = Router()
        let base = Lock("")
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            router.add(method, "/emsp/{path...}") { request in
                await Self.answer(request, state, base.withLock { $0 })
            }
        }
        server = try WebServer(
            configuration: WebServerConfiguration(listeners: [Listener(port: 0)]), router: router)
        self.base = "http://127.0.0.1:\(server.addresses[0].port)/emsp"
        base.withLock { [base = self.base] in $0 = base }
        server.start()
    }

    func stop() async { await server.stop() }

    var credentials: JSONValue {
        [
            "token": .string(token), "url": .string("\(base)/versions"),
            "roles": [
                [
                    "role": "EMSP", "party_id": .string(party.party),
                    "country_code": .string(party.country), "business_details": ["name": "EMS"],
                ]
            ],
        ]
    }

    /// Answers instead of the usual; nil from the script is the usual again.
    func script(_ script: Script?) { state.withLock { $0.script = script } }

    var received: [Received] { state.withLock { $0.received } }

    /// Waits until something that fits has come.
    func first(where fits: @Sendable (Received) -> Bool) async -> Received {
        while true {
            let seen = state.withLock { $0.received.count }
            if let match = received.first(where: fits) { return match }
            await withCheckedContinuation { continuation in
                let isNews = state.withLock { state in
                    if state.received.count > seen { return true }
                    state.waiters.append(continuation)
                    return false
                }
                if isNews { continuation.resume() }
            }
        }
    }

    private static func answer(
        _ request: HTTPRequest, _ state: Lock<State>, _ base: String
    ) async -> HTTPResponse {
        let script = state.withLock { $0.script }
        let scripted = await script?(request)
        // Remembered after the script, so that a waiter sees what the script did.
        let body = (try? JSONValue(parsing: request.body)) ?? .null
        let waiters = state.withLock { state in
            state.received.append(
                Received(
                    method: request.method, path: request.path, headers: request.headers,
                    body: body))
            let waiters = state.waiters
            state.waiters = []
            return waiters
        }
        for waiter in waiters { waiter.resume() }
        return scripted ?? usual(request, base)
    }

    static func envelope(
        _ data: JSONValue?, status: Int = 200, code: Int = 1000, headers: HTTPHeaders = [:]
    ) -> HTTPResponse {
        .json(
            .members([
                "data": data, "status_code": .number(code),
                "timestamp": "2027-01-01T00:00:00Z",
            ]), status: status, headers: headers)
    }

    static func usual(_ request: HTTPRequest, _ base: String) -> HTTPResponse {
        switch (request.method, request.path) {
        case ("GET", "/emsp/versions"):
            return envelope([["version": "2.2.1", "url": .string("\(base)/2.2.1")]])
        case ("GET", "/emsp/2.2.1"):
            let modules = [
                ("credentials", "SENDER"), ("locations", "RECEIVER"), ("tariffs", "RECEIVER"),
                ("sessions", "RECEIVER"), ("cdrs", "RECEIVER"), ("commands", "SENDER"),
                ("tokens", "SENDER"), ("chargingprofiles", "SENDER"),
            ]
            return envelope([
                "version": "2.2.1",
                "endpoints": .array(
                    modules.map { module, role in
                        [
                            "identifier": .string(module), "role": .string(role),
                            "url": .string("\(base)/2.2.1/\(module)/"),
                        ]
                    }),
            ])
        case ("POST", "/emsp/2.2.1/cdrs/"), ("POST", "/emsp/2.2.1/cdrs"):
            return envelope(nil, status: 201, headers: ["Location": "\(base)/2.2.1/cdrs/stored"])
        case ("GET", "/emsp/2.2.1/tokens/"): return envelope([])
        default: return envelope(nil)
        }
    }
}

/// Stations that answer every order the same way.
struct ObedientStations: StationLinks {
    var answer = CommandAnswer.status("Accepted")

    func send(
        _ command: StationCommand, to station: String, deadlineSeconds: Int
    ) async throws(StationLinkError) -> CommandAnswer { answer }
}
