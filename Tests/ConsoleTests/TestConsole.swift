import CPO
import Charging
import Console
import Crypto
import JSON
import SQL
import Service
import StoreSupport
import TestSupport
import Testing
import Web

/// A console over real sockets, on a house with one station, a tariff and three keys.
struct TestConsole {
    let console: Console
    let house: ChargePointOperator
    let clock: ManualClock
    let server: WebServer
    let router: Router
    let admin: String
    let `operator`: String
    let viewer: String

    init(path: String = ":memory:") async throws {
        let clock = ManualClock(Timestamp(seconds: 1_800_014_400))
        let database = try await TestStore.open(path: path, readers: 1, clock: clock)
        try await database.migrate(ChargePointOperator.migrations + Console.migrations)
        let house = try await ChargePointOperator(
            database: database,
            settings: OperatorSettings(
                party: PartyID(country: "IN", party: "KRB"), name: "Kerb", currency: "INR"),
            clock: clock, log: .silent)
        let now = clock.now
        try await house.write { transaction in
            let energy = Tariff.Element(components: [.init(.energy, price: Decimal(5))])
            try house.tariffs.put(
                Tariff(
                    party: house.settings.party, id: "T1", currency: "INR", elements: [energy],
                    lastUpdated: now), at: now, in: transaction)
            for id in ["CS-1", "CS-2", "CS-3"] {
                try house.stations.register(id, .accepted, at: now, in: transaction)
            }
            _ = try house.stations.attached(
                "CS-1", subprotocol: "ocpp1.6", at: now, in: transaction)
        }
        var connections = Console.Connections()
        connections.location = { ["id": .string($0.id)] }
        connections.tariff = { ["id": .string($0.id)] }
        connections.token = { ["uid": .string($0.uid)] }
        connections.readToken = { body in
            guard let kind = body["type"]?.string.flatMap(Token.Kind.init) else {
                throw Console.BadValue(field: "type", detail: "is no token type of OCPI 2.2.1")
            }
            return Token(
                party: PartyID(country: "IN", party: "KRB"), uid: body["uid"]?.string ?? "",
                kind: kind, contractID: body["contract_id"]?.string ?? "",
                issuer: body["issuer"]?.string ?? "", isValid: body["valid"]?.bool ?? false,
                whitelist: .allowed, lastUpdated: clock.now)
        }
        connections.readTariff = { _ in
            throw Console.BadValue(field: "elements", detail: "must not be empty")
        }
        console = Console(house: house, connections: connections, passwordCost: .weak)
        try await console.users.put("anna", role: .operator, password: "correct horse")
        admin = try await console.keys.add("root", role: .admin)
        `operator` = try await console.keys.add("desk", role: .operator)
        viewer = try await console.keys.add("wall", role: .viewer)
        var router = Router()
        console.mount(on: &router)
        server = try WebServer(
            configuration: WebServerConfiguration(listeners: [Listener(port: 0)]), router: router)
        server.start()
        self.house = house
        self.clock = clock
        self.router = router
    }

    struct Answer: Sendable {
        var status: Int
        var head: String
        var body: String
        var json: JSONValue { (try? JSONValue(parsing: body)) ?? .null }
        subscript(_ key: String) -> JSONValue? { json[key] }
    }

    func call(
        _ method: String, _ path: String, key: String? = nil, body: JSONValue? = nil,
        headers: [String: String] = [:]
    ) async throws -> Answer {
        var headers = headers
        if body != nil { headers["Content-Type"] = "application/json" }
        return try await call(
            method, path, key: key, bytes: body?.encoded() ?? [], headers: headers)
    }

    func call(
        _ method: String, _ path: String, key: String?, bytes: [UInt8], headers: [String: String]
    ) async throws -> Answer {
        let socket = try RawSocket(port: server.addresses[0].port)
        var text = "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        if let key { text += "Authorization: Bearer \(key)\r\n" }
        for (name, value) in headers { text += "\(name): \(value)\r\n" }
        text += "Content-Length: \(bytes.count)\r\n\r\n"
        await socket.send(Array(text.utf8) + bytes)
        let whole = await socket.readAll()
        let parts = whole.split(separator: "\r\n\r\n", maxSplits: 1)
        return Answer(
            status: Int(whole.dropFirst(9).prefix(3)) ?? 0, head: String(parts.first ?? ""),
            body: parts.count > 1 ? String(parts[1]) : "")
    }

    func post(_ path: String, _ body: JSONValue, key: String? = nil) async throws -> Answer {
        try await call("POST", "/api/v1\(path)", key: key, body: body)
    }

    func get(_ path: String, key: String? = nil) async throws -> Answer {
        try await call("GET", "/api/v1\(path)", key: key ?? admin)
    }

    /// The cookie and the CSRF token of a new log-in.
    func logIn() async throws -> (cookie: String, csrf: String) {
        let answer = try await post("/login", ["user": "anna", "password": "correct horse"])
        let line = try #require(
            answer.head.split(separator: "\r\n").first { $0.hasPrefix("Set-Cookie: ") })
        let cookie = line.dropFirst("Set-Cookie: ".count).prefix { $0 != ";" }
        return (String(cookie), answer["csrf"]?.string ?? "")
    }
}

/// Stations that say yes.
struct ObedientStations: StationLinks {
    func send(_ command: StationCommand, to station: String, deadlineSeconds: Int)
        async throws(StationLinkError) -> CommandAnswer
    { .status("Accepted") }
}
