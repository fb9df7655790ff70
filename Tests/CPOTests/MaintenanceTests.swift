import Charging
import JSON
import Testing

@testable import CPO

@Suite struct `A station's upkeep` {
    @Test func `leaves a line for every kind of security event, known or not`() async throws {
        let house = try await House()
        for kind in ["TamperDetectionActivated", "SomethingNew"] {
            let event = SecurityEvent(type: kind, at: House.noon, info: "door")
            #expect(try await house.apply(.maintenance(.security(event))) == .noted)
        }
        let lines = try await house.cpo.journal.lines(after: 0)
            .filter { $0.kind == .stationSecurity }
        #expect(lines.map(\.subject) == ["CS-1", "CS-1"])
        let types = try lines.map { try JSONValue(parsing: $0.body)["type"]?.string }
        #expect(types == ["TamperDetectionActivated", "SomethingNew"])
    }

    private static func tell(
        _ house: House, _ kind: String, stamped second: Int64, at seconds: Int64
    ) async throws {
        let event = SecurityEvent(type: kind, at: House.noon.advanced(bySeconds: second))
        _ = try await house.apply(.maintenance(.security(event)), at: seconds)
    }

    private static func lines(_ house: House) async throws -> Int {
        try await house.cpo.journal.lines(after: 0, limit: 1000)
            .filter { $0.kind == .stationSecurity }.count
    }

    @Test func `keeps the newest security events, and no flood hides what alarms`() async throws {
        let house = try await House()
        let most = Stations.mostSecurityEvents
        try await Self.tell(house, "TamperDetectionActivated", stamped: 0, at: 0)
        // Its answer was lost.
        try await Self.tell(house, "TamperDetectionActivated", stamped: 0, at: 1)
        for number in 0..<(3 * most) {
            try await Self.tell(house, "Noise\(number)", stamped: 0, at: 2 + Int64(number))
        }
        let shown = try await house.cpo.stations.securityEvents(of: "CS-1", limit: 1000)
        #expect(shown.count == most + 1)
        #expect(shown.first?.type == "Noise\(3 * most - 1)")
        #expect(shown.last?.type == "TamperDetectionActivated")
        #expect(shown.map(\.isAlarming) == Array(repeating: false, count: most) + [true])
        #expect(try await Self.lines(house) == most + 1)
        // An hour later it is no flood any more.
        try await Self.tell(house, "Noise", stamped: 3700, at: 3700)
        #expect(try await Self.lines(house) == most + 2)
    }

    @Test func `goes from the registry with the station`() async throws {
        let house = try await House()
        try await Self.tell(house, "MemoryExhaustion", stamped: 0, at: 0)
        _ = try await house.cpo.write { [cpo = house.cpo] in
            try cpo.stations.remove("CS-1", at: House.noon, in: $0)
        }
        #expect(try await house.cpo.stations.securityEvents(of: "CS-1").isEmpty)
    }

    @Test func `refuses to sign what it has no authority for, and keeps the request`() async throws
    {
        let house = try await House()
        let reply = try await house.apply(.maintenance(.certificateRequested(csr: "PEM")))
        #expect(reply == .certificateRequested(isAccepted: false))
        let kinds = try await house.cpo.journal.lines(after: 0).map(\.kind)
        #expect(kinds.contains(.stationCertificateRequested))
    }

    private static let transfer = TransferOrder(
        location: "ftp://user:secret@files.example.org/a", retries: 3, retrySeconds: 60)
    private static let hash = CertificateHash(
        algorithm: .sha512, issuerName: "0a", issuerKey: "0b", serial: "1")
    static let orders: [MaintenanceOrder] = [
        .updateFirmware(FirmwareOrder(transfer: transfer, retrieveAt: House.noon)),
        .updateFirmware(
            FirmwareOrder(
                transfer: transfer, retrieveAt: House.noon,
                signed: FirmwareOrder.Signed(
                    requestID: 7, installAt: House.noon, certificate: "PEM", signature: "AA=="))),
        .sendLog(
            LogOrder(
                kind: .security, transfer: transfer, requestID: 8, from: House.noon,
                until: House.noon)),
        .sendLog(LogOrder(kind: .diagnostics, transfer: transfer, requestID: nil)),
        .certificateSigned(chain: "PEM"), .installRoot(.manufacturer, pem: "PEM"),
        .deleteCertificate(hash), .listRoots(.centralSystem),
        .trigger(message: "SignChargePointCertificate", connector: 1),
        .trigger(message: "Heartbeat", connector: nil),
    ]

    @Test(arguments: orders)
    func `comes back from its row as it was ordered`(_ order: MaintenanceOrder) throws {
        let command = StationCommand.maintenance(order)
        #expect(try StationCommand(storedText: command.storedText) == command)
        #expect(MaintenanceOrder.names.contains(order.name))
    }

    @Test func `forgets the log-in of a place once the command was sent`() throws {
        let masked = StationCommand.maintenance(Self.orders[2]).masked
        guard case .maintenance(.sendLog(let log)) = masked else {
            Issue.record("not masked")
            return
        }
        #expect(log.transfer.location == "ftp://***@files.example.org/a")
        #expect(StationCommand.maintenance(Self.orders[5]).masked == nil)
    }
}
