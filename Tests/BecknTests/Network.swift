import CPO
import Charging
import Crypto
import HTTPClient
import JSON
import SQL
import Service
import StoreSupport
import TestSupport
import Web

@testable import Beckn

/// A house with one place and two plugs, its Beckn door, and two apps that sign.
struct Network {
    static let noon = Sample.noon
    static let party = PartyID(country: "IN", party: "KRB")

    struct App: Sendable {
        let id: String
        let key: Ed25519.PrivateKey
        var uri: String { "https://\(id)/callbacks/" }
    }

    struct Callback: Sendable {
        let action: String
        let url: String
        let messageID: String
        let body: JSONValue
        var order: JSONValue? { body["message"]?["order"] }
        var state: String? {
            order?["fulfillments"]?[0]?["state"]?["descriptor"]?["code"]?.string
        }
        var error: String? { body["error"]?["code"]?.string }
    }

    let cpo: ChargePointOperator
    let door: BecknDoor
    let clock: ManualClock
    let app: App
    let rival: App
    let gateway: App
    private let seen = Lock((outbox: Int64(0), journal: Int64(0), commands: Set<String>()))

    init(
        settings change: (inout BecknSettings) -> Void = { _ in },
        client: HTTPClient = HTTPClient()
    ) async throws {
        clock = ManualClock(Self.noon)
        let database = try await TestStore.open(readers: 0, clock: clock)
        try await database.migrate(ChargePointOperator.migrations + BecknDoor.migrations)
        cpo = try await ChargePointOperator(
            database: database,
            settings: OperatorSettings(party: Self.party, name: "Kerb", currency: "INR"),
            clock: clock, log: .silent)
        app = App(id: "bap.example.org", key: try Ed25519.PrivateKey())
        rival = App(id: "rival.example.org", key: try Ed25519.PrivateKey())
        gateway = App(id: "bg.example.org", key: try Ed25519.PrivateKey())
        try await Self.furnish(cpo, at: Self.noon.advanced(bySeconds: -3600))
        var settings = Sample.settings()
        change(&settings)
        let registry = SubscriberRegistry(
            [app, rival, gateway].map { [gateway] app in
                .init(
                    id: app.id, url: "https://\(app.id)", type: app.id == gateway.id ? "BG" : "BAP",
                    keys: [.init(uniqueKeyID: "k1", publicKey: app.key.publicKey)])
            })
        door = BecknDoor(
            house: cpo, settings: settings,
            identity: BecknIdentity(
                subscriberID: settings.subscriberID, uniqueKeyID: settings.uniqueKeyID,
                key: try Ed25519.PrivateKey()),
            registry: registry, client: client)
    }

    private static func furnish(_ cpo: ChargePointOperator, at: Timestamp) async throws {
        try await cpo.write { transaction in
            try cpo.stations.register("CS-1", .accepted, at: at, in: transaction)
            _ = try cpo.stations.attached(
                "CS-1", subprotocol: "ocpp1.6", at: at, in: transaction)
            var tariff = `The catalogue`.tariff()
            tariff.id = "T-1"
            try cpo.tariffs.put(tariff, at: at, in: transaction)
            var location = `The catalogue`.location("L-1", "28.7041", "77.1025")
            location.evses = (1...2).map { number in
                var evse = location.evses[0]
                evse.uid = "E-\(number)"
                evse.connectors[0].tariffIDs = ["T-1"]
                evse.station = "CS-1"
                evse.stationConnector = number
                return evse
            }
            let place = location
            try cpo.locations.put(place, at: at, in: transaction)
        }
        for number in 1...2 {
            _ = try await cpo.sessions.apply(
                .statusChanged(StatusReport(connector: number, status: .available, at: at)),
                from: "CS-1", receivedAt: at)
        }
    }

    // MARK: The app's side

    static func context(
        _ action: String, app: App, transaction: String, message: String, at: Timestamp
    ) -> JSONValue {
        [
            "action": .string(action), "bap_id": .string(app.id), "bap_uri": .string(app.uri),
            "domain": "ev-charging:uei", "location": ["city": ["code": "std:011"]],
            "message_id": .string(message), "timestamp": .time(at),
            "transaction_id": .string(transaction), "ttl": "PT30S", "version": "1.1.0",
        ]
    }

    func request(
        _ action: String, _ body: [UInt8], app: App? = nil, headers: HTTPHeaders = [:]
    ) throws -> HTTPRequest {
        var headers = headers
        if headers["Authorization"] == nil {
            let app = app ?? self.app
            headers.add("Authorization", try signature(of: body, by: app))
        }
        return HTTPRequest(
            method: "POST", path: "/beckn/\(action)", pathParameters: ["action": action],
            headers: headers, body: body)
    }

    func signature(of body: [UInt8], by app: App) throws -> String {
        try BecknSignature.header(
            for: body, subscriberID: app.id, uniqueKeyID: "k1", key: app.key, now: clock.now)
    }

    /// Sends a request as the app and gives the status and the acknowledgement.
    @discardableResult
    func send(
        _ action: String, _ message: JSONValue, transaction: String = "t-1", id: String? = nil,
        app: App? = nil
    ) async throws -> (status: Int, body: JSONValue) {
        let app = app ?? self.app
        let json: JSONValue = [
            "context": Self.context(
                action, app: app, transaction: transaction, message: id ?? UUID4.make(),
                at: clock.now), "message": message,
        ]
        return try await post(action, json.encoded(), app: app)
    }

    func post(_ action: String, _ body: [UInt8], app: App? = nil) async throws
        -> (status: Int, body: JSONValue)
    {
        let answer = await door.answer(try request(action, body, app: app))
        guard case .bytes(let bytes) = answer.body else { return (answer.status, nil) }
        return (answer.status, try JSONValue(parsing: bytes))
    }

    /// Lets the house's journal reach the door, then gives the callbacks that are new.
    func callbacks() async throws -> [Callback] {
        while true {
            let lines = try await cpo.journal.lines(after: seen.withLock { $0.journal })
            for line in lines {
                _ = await door.take(line)
                seen.withLock { $0.journal = line.seq }
            }
            if lines.isEmpty { break }
        }
        let after = seen.withLock { $0.outbox }
        let rows = try await cpo.read { transaction in
            try transaction.query("SELECT * FROM beckn_outbox WHERE seq > ? ORDER BY seq", after)
        }
        return try rows.map { row in
            let seq = try row.int64("seq")
            seen.withLock { $0.outbox = seq }
            return Callback(
                action: try row.text("action"), url: try row.text("url"),
                messageID: try row.text("message_id"),
                body: try JSONValue(parsing: try row.text("body")))
        }
    }

    /// Sends and gives the one callback that answers.
    func ask(
        _ action: String, _ message: JSONValue, transaction: String = "t-1", app: App? = nil
    ) async throws -> Callback? {
        let answer = try await send(action, message, transaction: transaction, app: app)
        guard answer.status == 200 else { return nil }
        return try await callbacks().last
    }

    // MARK: The station's side

    func apply(_ event: StationEvent) async throws -> StationReply {
        try await cpo.sessions.apply(event, from: "CS-1", receivedAt: clock.now)
    }

    /// The newest command to the station.
    func command() async throws -> Command? { try await cpo.commands.list(limit: 1).first }

    /// The station begins the charge it was asked for; gives its transaction number.
    func begin(connector: Int = 1, register: Int64 = 1000) async throws -> Int {
        guard case .start(_, let token)? = try await command()?.command else { return 0 }
        let reply = try await apply(
            .sessionStarted(
                SessionStart(
                    connector: connector, token: token, meterStart: WattHours(register),
                    at: clock.now)))
        guard case .started(.number(let number), _) = reply else { return 0 }
        return number
    }

    func meter(_ transaction: Int, _ register: Int64) async throws {
        _ = try await apply(
            .metered(
                MeterReport(
                    connector: 1, transaction: .number(transaction),
                    readings: [
                        MeterReading(
                            at: clock.now,
                            samples: [
                                MeterSample(.energyImport, Decimal(register)),
                                MeterSample(.powerImport, Decimal(7200)),
                            ])
                    ])))
    }

    func end(_ transaction: Int, _ register: Int64) async throws {
        _ = try await apply(
            .sessionStopped(
                SessionStop(
                    transaction: .number(transaction), meterStop: WattHours(register),
                    at: clock.now, reason: .remote)))
    }

    // MARK: Messages

    static let select: JSONValue = [
        "order": [
            "provider": ["id": "IN-KRB"],
            "items": [
                [
                    "id": "E-1:1",
                    "quantity": ["selected": ["measure": ["unit": "kWh", "value": "10"]]],
                ]
            ], "fulfillments": [["id": "1"]],
        ]
    ]
    static let initialise: JSONValue = [
        "order": [
            "items": [["id": "E-1:1"]], "billing": ["name": "Asha", "email": "a@example.org"],
            "fulfillments": [["id": "1", "customer": ["person": ["name": "Asha"]]]],
        ]
    ]

    static func confirm(_ amount: String = "212.40") -> JSONValue {
        [
            "order": [
                "items": [["id": "E-1:1"]],
                "payments": [
                    [
                        "collected_by": "BAP", "status": "PAID", "type": "PRE-ORDER",
                        "params": [
                            "amount": .string(amount), "currency": "INR",
                            "transaction_id": "utr-1",
                        ],
                    ]
                ],
            ]
        ]
    }

    static func update(_ code: String) -> JSONValue {
        [
            "update_target": "order.fulfillments[0].state",
            "order": [
                "fulfillments": [["id": "1", "state": ["descriptor": ["code": .string(code)]]]]
            ],
        ]
    }

    /// From select to confirm; gives the order's id.
    func book(_ transaction: String = "t-1", app: App? = nil) async throws -> String {
        _ = try await ask("select", Self.select, transaction: transaction, app: app)
        _ = try await ask("init", Self.initialise, transaction: transaction, app: app)
        let confirmed = try await ask(
            "confirm", Self.confirm(), transaction: transaction, app: app)
        return confirmed?.order?["id"]?.string ?? ""
    }
}
