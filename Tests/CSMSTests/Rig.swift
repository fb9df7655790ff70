import CPO
import Charging
import JSON
import OCPP
import OCPP16
import SQL
import Service
import StoreSupport
import TestSupport
import Testing
import Web

@testable import CSMS

/// A house with its OCPP door open on loopback.
final class Rig: Sendable {
    static let noon = Timestamp(seconds: 1_800_014_400)

    let house: ChargePointOperator
    let center: CentralSystem
    let clock: ManualClock
    let server: WebServer
    let port: Int

    init(
        unknownStations: UnknownStations = .adopt,
        settings: (inout CentralSystemSettings) -> Void = { $0.lowestSecurityProfile = 0 }
    ) async throws {
        let clock = ManualClock(Self.noon)
        let database = try await TestStore.open(readers: 1, clock: clock)
        try await database.migrate(ChargePointOperator.migrations + CentralSystem.migrations)
        var house = OperatorSettings(
            party: PartyID(country: "IN", party: "KRB"), name: "Kerb", currency: "INR")
        house.unknownStations = unknownStations
        let cpo = try await ChargePointOperator(
            database: database, settings: house, clock: clock, log: .silent)
        try await cpo.write { transaction in
            let token = Token(
                party: PartyID(country: "IN", party: "KRB"), uid: "DRIVER-1", kind: .rfid,
                contractID: "C-1", issuer: "Kerb", lastUpdated: Self.noon)
            try cpo.tokens.put(token, at: Self.noon, in: transaction)
        }
        var door = CentralSystemSettings()
        settings(&door)
        let center = CentralSystem(house: cpo, dialects: [OCPP16Dialect()], settings: door)
        try await center.load()
        var router = Router()
        center.mount(on: &router)
        server = try WebServer(
            configuration: WebServerConfiguration(listeners: [Listener(port: 0)], loopKind: .libuv),
            router: router)
        server.start()
        port = try #require(server.addresses.first).port
        self.house = cpo
        self.center = center
        self.clock = clock
    }

    /// Ends the server's threads; every test calls it last.
    func end() async {
        await server.stop()
        await house.database.close()
    }

    func connect(
        _ station: String = "CS-1", password: String? = nil, user: String? = nil,
        subprotocols: [String] = ["ocpp1.6"]
    ) async throws -> Peer {
        var configuration = WebSocketClient.Configuration(
            url: "ws://127.0.0.1:\(port)/ocpp/\(station)", subprotocols: subprotocols)
        if let password {
            configuration.credentials = BasicCredentials(
                user: Array((user ?? station).utf8), password: Array(password.utf8))
        }
        return Peer(client: try await WebSocketClient.connect(configuration))
    }

    /// The status a handshake is refused with.
    func refusal(
        _ station: String = "CS-1", password: String? = nil, user: String? = nil
    ) async -> Int? {
        do {
            let peer = try await connect(station, password: password, user: user)
            await peer.client.close()
            return nil
        } catch WebSocketClientError.status(let status) {
            return status
        } catch {
            return -1
        }
    }
}

/// A station in a test's hands.
struct Peer: Sendable {
    let client: WebSocketClient

    func send(_ text: String) async throws { try await client.send(Array(text.utf8)) }

    /// The next message, or "closed".
    func next() async -> String {
        await client.messages.next().map { String(decoding: $0, as: UTF8.self) } ?? "closed"
    }

    func ask(_ text: String) async throws -> String {
        try await send(text)
        return await next()
    }

    func boot() async throws -> JSONValue {
        let text = try await ask(
            #"[2,"boot","BootNotification",{"chargePointModel":"M","chargePointVendor":"V"}]"#)
        return try JSONValue(parsing: text)
    }

    /// Starts a charge and gives its number.
    func start(_ id: String = "start", token: String = "DRIVER-1") async throws -> JSONValue {
        let text = try await ask(
            #"[2,"\#(id)","StartTransaction",{"connectorId":1,"idTag":"\#(token)","#
                + #""meterStart":1000,"timestamp":"2027-01-15T12:00:00Z"}]"#)
        return try JSONValue(parsing: text)[2] ?? nil
    }
}
