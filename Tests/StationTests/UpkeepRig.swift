import Charging
import OCPP
import Service
import TestSupport
import Testing

@testable import Station

/// Files that come and go as a test says, without a network.
final class TestCarriage: FileCarriage {
    let files = Lock([String: [UInt8]]())
    let uploads = Lock([(url: String, text: String)]())
    let failures = Lock([CarriageError]())

    func download(
        _ url: String, to path: String, limitBytes: Int64, resuming tag: String?,
        tagged: @escaping @Sendable (String?) -> Void
    ) async throws(CarriageError) {
        try fail()
        guard let bytes = files.withLock({ $0[url] }) else {
            throw CarriageError(.other, mayHeal: false, "not there")
        }
        do throws(FileError) { try FileSystem.writeAtomically(bytes, to: path) } catch {
            throw CarriageError(.other, mayHeal: true, error.description)
        }
    }

    func upload(_ path: String, to url: String) async throws(CarriageError) {
        try fail()
        // A file that is not there is an empty one to the test.
        let bytes = (try? FileSystem.read(path)) ?? []
        uploads.withLock { $0.append((url, String(decoding: bytes, as: UTF8.self))) }
    }

    private func fail() throws(CarriageError) {
        let failure = failures.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        if let failure { throw failure }
    }

    func masked(_ url: String) -> String { url }
}

/// A station whose upkeep has a carriage of the test's.
struct UpkeepRig {
    let station: TestStation
    let upkeep: StationUpkeep
    let carriage: TestCarriage
    let folder: TemporaryFolder
    let restarts: Lock<Int>

    static func make(
        _ folder: TemporaryFolder = TemporaryFolder(), profile: Int = 1,
        roots fixed: [RootKind: String] = [:], check: Bool = false,
        disk: TestDisk? = nil,
        change: (inout StationUpkeep.Configuration) -> Void = { _ in }
    ) async throws -> UpkeepRig {
        let carriage = TestCarriage()
        let restarts = Lock(0)
        var made: StationUpkeep?
        let credentials = try LinkCredentials(
            base: .init(url: "ws://127.0.0.1/CP1", profile: profile, password: [1, 2, 3]),
            folder: folder.file("credentials"))
        let store = try RootStore(
            folder: folder.file("certificates"), fixed: fixed, needsSignatureOfOld: check)
        var configuration = StationUpkeep.Configuration(
            stationID: "CP1", commonName: "S-1", version: "1.0", folder: folder.file("firmware"),
            carriage: carriage)
        configuration.acceptsUnsigned = true
        configuration.installCommand = ["/bin/cp", "{file}", folder.file("installed")]
        change(&configuration)
        let final = configuration
        let station = try await TestStation.make(path: folder.file("board.db"), disk: disk) {
            agent, journal, settings in
            let upkeep = try await StationUpkeep(
                final, journal: journal, settings: settings, credentials: credentials,
                roots: store, log: .silent)
            made = upkeep
            agent.upkeep = upkeep
            agent.restart = { _ in restarts.withLock { $0 += 1 } }
        }
        return UpkeepRig(
            station: station, upkeep: try #require(made), carriage: carriage, folder: folder,
            restarts: restarts)
    }
}

extension [StationEvent] {
    var upkeepReports: [MaintenanceReport] {
        compactMap { if case .maintenance(let report) = $0 { report } else { nil } }
    }
    var firmware: [FirmwareStatus] {
        upkeepReports.compactMap {
            switch $0 {
            case .firmware(let status), .signedFirmware(let status, _): status
            case .diagnostics, .log, .security, .certificateRequested: nil
            }
        }
    }
    var securityEvents: [String] {
        upkeepReports.compactMap { if case .security(let event) = $0 { event.type } else { nil } }
    }
}
