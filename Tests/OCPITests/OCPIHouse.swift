import CPO
import Charging
import HTTPClient
import JSON
import OCPI
import SQL
import Service
import StoreSupport
import TestSupport
import Web

/// A house with one place and two plugs, and its OCPI door.
struct OCPIHouse: Sendable {
    static let noon = Timestamp(seconds: 1_800_014_400)
    static let party = PartyID(country: "DE", party: "KRB")
    static let emsp = PartyID(country: "NL", party: "EMS")

    let cpo: ChargePointOperator
    let door: OCPIDoor
    let client: HTTPClient

    init(
        path: String = ":memory:", publicURL: String = "http://127.0.0.1:1/ocpi",
        pageLimit: Int = 200, commandTimeoutSeconds: Int = 30, callDeadlineSeconds: Int = 5,
        clock: any ServiceClock = ManualClock(noon), isNew: Bool = true,
        asksForUnknownTokens: Bool = false
    ) async throws {
        let database = try await TestStore.open(path: path, readers: 1, clock: clock)
        try await database.migrate(ChargePointOperator.migrations + OCPIDoor.migrations)
        let cpo = try await ChargePointOperator(
            database: database,
            settings: OperatorSettings(party: Self.party, name: "Kerb", currency: "EUR"),
            clock: clock, log: .silent)
        self.cpo = cpo
        client = HTTPClient(.init(rules: .open))
        var settings = OCPISettings(
            publicURL: publicURL, pageLimit: pageLimit, callDeadlineSeconds: callDeadlineSeconds,
            commandTimeoutSeconds: commandTimeoutSeconds)
        settings.asksForUnknownTokens = asksForUnknownTokens
        door = try await OCPIDoor(cpo, settings: settings, client: client)
        guard isNew else { return }
        let now = clock.now
        try await cpo.write { transaction in
            try cpo.stations.register("CS-1", .accepted, at: now, in: transaction)
            _ = try cpo.stations.attached(
                "CS-1", subprotocol: "ocpp1.6", at: now, in: transaction)
            try cpo.tariffs.put(Self.tariff("T-1"), at: now, in: transaction)
            try cpo.locations.put(Self.location("L-1", at: now), at: now, in: transaction)
            try cpo.tokens.put(Self.token("CARD-1"), at: now, in: transaction)
        }
    }

    static func tariff(_ id: String) -> Tariff {
        Tariff(
            party: party, id: id, currency: "EUR",
            elements: [
                Tariff.Element(components: [
                    .init(.flat, price: Decimal(1), vat: Decimal(19)),
                    .init(
                        .energy, price: Decimal(significand: 49, scale: 2), vat: Decimal(19)),
                    .init(.parkingTime, price: Decimal(6), vat: Decimal(19), stepSize: 60),
                ])
            ], lastUpdated: noon)
    }

    static func location(_ id: String, at: Timestamp, publish: Bool = true) -> Location {
        let evses = (1...2).map { (number: Int) in
            EVSE(
                uid: "\(id)-E\(number)", evseID: "DE*KRB*E\(id)*\(number)", status: .unknown,
                connectors: [
                    Connector(
                        id: "1", standard: "IEC_62196_T2", format: "SOCKET",
                        powerType: "AC_3_PHASE", maxVoltage: 230, maxAmperage: 32,
                        tariffIDs: ["T-1"], lastUpdated: at)
                ], station: id == "L-1" ? "CS-1" : nil,
                stationConnector: id == "L-1" ? number : nil, lastUpdated: at)
        }
        return Location(
            party: party, id: id, publish: publish, name: "Yard", address: "1 Road",
            city: "Berlin", country: "DEU",
            coordinates: Coordinates(
                latitude: Decimal(significand: 525, scale: 1),
                longitude: Decimal(significand: 1_340_567, scale: 5)),
            timeZone: "UTC", evses: evses, lastUpdated: at)
    }

    static func token(_ uid: String, party: PartyID = emsp) -> Token {
        Token(
            party: party, uid: uid, kind: .rfid, contractID: "NL-EMS-\(uid)", issuer: "EMS",
            lastUpdated: noon)
    }

    // MARK: A charge, as the station tells it

    func apply(_ event: StationEvent, after seconds: Int64 = 0) async throws -> StationReply {
        try await cpo.sessions.apply(
            event, from: "CS-1", receivedAt: cpo.clock.now.advanced(bySeconds: seconds))
    }

    /// Starts a charge and gives its transaction and session id.
    func start(
        token: String = "CARD-1", connector: Int = 1, at: Timestamp = noon, register: Int64 = 1000
    ) async throws -> (transaction: Int, session: String) {
        let reply = try await apply(
            .sessionStarted(
                SessionStart(
                    connector: connector, token: token, meterStart: WattHours(register), at: at)))
        guard case .started(.number(let number), _) = reply,
            let session = cpo.sessions.running().first(where: { $0.transaction == .number(number) })
        else { throw Unexpected() }
        return (number, session.id)
    }

    func meter(_ transaction: Int, at: Timestamp, _ register: Int64) async throws {
        let samples = [MeterSample(.energyImport, Decimal(register))]
        _ = try await apply(
            .metered(
                MeterReport(
                    connector: 1, transaction: .number(transaction),
                    readings: [MeterReading(at: at, samples: samples)])),
            // Updates within a second of the last one share its journal line.
            after: 2)
    }

    func status(_ status: ConnectorStatus, at: Timestamp) async throws {
        _ = try await apply(.statusChanged(StatusReport(connector: 1, status: status, at: at)))
    }

    func stop(_ transaction: Int, at: Timestamp, _ register: Int64) async throws {
        _ = try await apply(
            .sessionStopped(
                SessionStop(
                    transaction: .number(transaction), meterStop: WattHours(register), at: at,
                    reason: .local)))
    }

    /// Waits until what partners did not take fits.
    func stuck(where fits: ([StuckDelivery]) -> Bool) async throws -> [StuckDelivery] {
        while true {
            try Task.checkCancellation()
            let found = try await cpo.read { try cpo.deliveries.stuck(limit: 10, in: $0) }
            if fits(found) { return found }
            await Task.yield()
        }
    }

    struct Unexpected: Error {}

    // MARK: A partner's requests, without a socket

    func ask(
        _ method: String, _ path: String, token: String?, query: [(String, String)] = [],
        headers: [(String, String)] = [], body: JSONValue? = nil
    ) async -> Answer {
        var all = HTTPHeaders(headers)
        if let token { all.add("Authorization", "Token \(token)") }
        let request = HTTPRequest(
            method: method, path: path,
            queryItems: query.map { .init(name: $0.0, value: $0.1) }, headers: all,
            body: body?.encoded() ?? [])
        return Answer(await door.handle(request))
    }

    /// Invites a partner and registers it with a server of its own; gives TOKEN_C.
    func registered(_ partner: Partner) async throws -> String {
        let invitation = try await door.invite("EMS")
        let answer = await ask(
            "POST", "/ocpi/2.2.1/credentials", token: invitation.tokenA, body: partner.credentials)
        guard let token = answer.data?["token"]?.string else { throw Unexpected() }
        return token
    }
}

/// An answer taken apart.
struct Answer: Sendable {
    let status: Int
    let headers: HTTPHeaders
    let envelope: JSONValue?

    init(_ response: HTTPResponse) {
        status = response.status
        headers = response.headers
        if case .bytes(let bytes) = response.body {
            envelope = try? JSONValue(parsing: bytes)
        } else {
            envelope = nil
        }
    }

    var code: Int? { envelope?["status_code"]?.int }
    var data: JSONValue? { envelope?["data"] }
    var ids: [String] { data?.array?.compactMap { $0["id"]?.string } ?? [] }
}
