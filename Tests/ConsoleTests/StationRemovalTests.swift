import CPO
import Charging
import JSON
import SQL
import TestSupport
import Testing
import Web

@testable import Console

@Suite struct `A station that shall go` {
    private func charging(_ test: TestConsole) async throws -> String {
        let now = test.clock.now
        let start = SessionStart(connector: 1, token: "T", meterStart: WattHours(0), at: now)
        _ = try await test.house.sessions.apply(
            .sessionStarted(start), from: "CS-1", receivedAt: now)
        return try #require(test.house.sessions.running().first).id
    }

    private func tied(_ test: TestConsole) async throws {
        let now = test.clock.now
        let location = Location(
            party: test.house.settings.party, id: "L-1", name: "Yard", address: "1 Road",
            city: "Delhi", country: "IND",
            coordinates: Coordinates(latitude: .zero, longitude: .zero), timeZone: "UTC",
            evses: [
                EVSE(
                    uid: "E-1", evseID: nil, status: .unknown,
                    connectors: [
                        Connector(
                            id: "1", standard: "IEC_62196_T2", format: "SOCKET",
                            powerType: "AC_3_PHASE", maxVoltage: 230, maxAmperage: 32,
                            tariffIDs: ["T1"], lastUpdated: now)
                    ], station: "CS-1", stationConnector: 1, lastUpdated: now)
            ], lastUpdated: now)
        let house = test.house
        _ = try await house.write { try house.locations.put(location, at: now, in: $0) }
    }

    private func delete(_ test: TestConsole, _ rest: String) async throws -> TestConsole.Answer {
        try await test.call("DELETE", "/api/v1/stations/\(rest)", key: test.admin)
    }

    @Test func `stays while charges run or EVSEs are tied to it, and names them`() async throws {
        let test = try await TestConsole()
        try await tied(test)
        let idle = try await delete(test, "cs-1")
        #expect(idle.status == 409)
        #expect(idle["detail"]?.string?.contains("L-1/E-1") == true)
        let session = try await charging(test)
        let refused = try await delete(test, "CS-1")
        #expect(refused.status == 409)
        #expect(refused["detail"]?.string?.contains(session) == true)
        #expect(try await test.house.stations.station("CS-1") != nil)
        #expect(try await delete(test, "CS-1?force=1").status == 422)
        await test.server.stop()
    }

    @Test func `goes by force, and its EVSEs say that nobody knows`() async throws {
        let test = try await TestConsole()
        try await tied(test)
        _ = try await charging(test)
        _ = try await test.house.sessions.apply(
            .statusChanged(StatusReport(connector: 1, status: .charging, at: test.clock.now)),
            from: "CS-1", receivedAt: test.clock.now)
        #expect(test.house.locations.evse("E-1")?.evse.status == .charging)
        #expect(try await delete(test, "CS-1?force=true").status == 204)
        let evse = try #require(test.house.locations.evse("E-1")?.evse)
        #expect(evse.status == .unknown && evse.station == nil)
        #expect(try await delete(test, "CS-1?force=true").status == 404)
        await test.server.stop()
    }

    @Test func `goes at once where nothing depends on it`() async throws {
        let test = try await TestConsole()
        #expect(try await delete(test, "CS-3").status == 204)
        await test.server.stop()
    }
}
