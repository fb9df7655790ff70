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
