import CPO
import Charging
import JSON
import SQL
import Service
import StoreSupport
import TestSupport

/// A house with one place, two plugs, tariffs and tokens, on a database of its own.
struct House {
    static let noon = Timestamp(seconds: 1_800_014_400)
    static let party = PartyID(country: "IN", party: "KRB")

    let cpo: ChargePointOperator
    let clock: ManualClock

    init(
        path: String = ":memory:", isNew: Bool = true, database given: Database? = nil,
        settings: OperatorSettings = OperatorSettings(
            party: House.party, name: "Kerb", currency: "INR"), log: Log = .silent
    ) async throws {
        let clock = ManualClock(Self.noon)
        let opened = try await TestStore.open(path: path, readers: 1, clock: clock)
        let database = given ?? opened
        try await database.migrate(ChargePointOperator.migrations)
        let cpo = try await ChargePointOperator(
            database: database, settings: settings, clock: clock, log: log)
        self.cpo = cpo
        self.clock = clock
        guard isNew else { return }
        let now = Self.noon.advanced(bySeconds: -86_400)
        try await cpo.write { transaction in
            try cpo.stations.register("CS-1", .accepted, at: now, in: transaction)
            _ = try cpo.stations.attached(
                "CS-1", subprotocol: "ocpp1.6", at: now, in: transaction)
            try cpo.tariffs.put(Self.tariff(), at: now, in: transaction)
            try cpo.locations.put(Self.location(at: now), at: now, in: transaction)
            try cpo.tokens.put(Self.token("DRIVER-1"), at: now, in: transaction)
            try cpo.tokens.put(
                Self.token("BLOCKED-1", isValid: false), at: now, in: transaction)
        }
    }

    /// 18 INR/kWh and 60 INR per hour of parking, 18 % VAT.
    static func tariff(_ id: String = "T-1") -> Tariff {
        Tariff(
            party: party, id: id, currency: "INR",
            elements: [
                Tariff.Element(components: [
                    Tariff.Component(.energy, price: Decimal(18), vat: Decimal(18)),
                    Tariff.Component(.parkingTime, price: Decimal(60), vat: Decimal(18)),
                ])
            ], lastUpdated: noon)
    }

    static func location(at: Timestamp, status: EVSEStatus = .unknown) -> Location {
        let evses = (1...2).map { (number: Int) in
            EVSE(
                uid: "E-\(number)", evseID: "IN*KRB*E\(number)", status: status,
                connectors: [
                    Connector(
                        id: "1", standard: "IEC_62196_T2", format: "SOCKET",
                        powerType: "AC_3_PHASE", maxVoltage: 230, maxAmperage: 32,
                        tariffIDs: ["T-1"], lastUpdated: at)
                ], station: "CS-1", stationConnector: number, lastUpdated: at)
        }
        return Location(
            party: party, id: "L-1", name: "Yard", address: "1 Road", city: "Delhi",
            country: "IND",
            coordinates: Coordinates(
                latitude: Decimal("28.7041") ?? .zero, longitude: Decimal("77.1025") ?? .zero),
            timeZone: "Asia/Kolkata", evses: evses, lastUpdated: at)
    }

    static func token(_ uid: String, isValid: Bool = true) -> Token {
        Token(
            party: party, uid: uid, kind: .rfid, contractID: "IN-KRB-\(uid)", issuer: "Kerb",
            isValid: isValid, lastUpdated: noon)
    }

    // MARK: What a station says

    func apply(_ event: StationEvent, at seconds: Int64? = nil) async throws -> StationReply {
        let at = seconds.map { Self.noon.advanced(bySeconds: $0) } ?? clock.now
        return try await cpo.sessions.apply(event, from: "CS-1", receivedAt: at)
    }

    static func start(
        _ seconds: Int64 = 0, connector: Int = 1, token: String = "DRIVER-1", register: Int64 = 1000
    ) -> StationEvent {
        .sessionStarted(
            SessionStart(
                connector: connector, token: token, meterStart: WattHours(register),
                at: noon.advanced(bySeconds: seconds)))
    }

    static func meter(
        _ transaction: Int, _ seconds: Int64, _ register: Int64, connector: Int = 1
    ) -> StationEvent {
        .metered(
            MeterReport(
                connector: connector, transaction: .number(transaction),
                readings: [
                    MeterReading(
                        at: noon.advanced(bySeconds: seconds),
                        samples: [
                            MeterSample(.energyImport, Decimal(register)),
                            MeterSample(.powerImport, Decimal(7200)),
                        ])
                ]))
    }

    static func status(_ seconds: Int64, _ status: ConnectorStatus, connector: Int = 1)
        -> StationEvent
    {
        .statusChanged(
            StatusReport(
                connector: connector, status: status, at: noon.advanced(bySeconds: seconds)))
    }

    static func stop(
        _ transaction: Int, _ seconds: Int64, _ register: Int64, reason: StopReason = .local
    ) -> StationEvent {
        .sessionStopped(
            SessionStop(
                transaction: .number(transaction), meterStop: WattHours(register),
                at: noon.advanced(bySeconds: seconds), reason: reason))
    }

    /// A start's transaction number and the answer to its tag.
    func started(_ event: StationEvent, at seconds: Int64? = nil) async throws
        -> (Int, AuthorizationStatus)
    {
        guard case .started(.number(let number), let info) = try await apply(event, at: seconds)
        else { throw Unexpected.reply }
        return (number, info.status)
    }

    enum Unexpected: Error { case reply }
}
