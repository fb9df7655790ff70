import Charging
import SQL
import TestSupport
import Testing

@testable import CPO

@Suite struct `The status of a connector` {
    @Test func `is the same since it was told first, whatever is told again`() async throws {
        let house = try await House()
        func told(_ seconds: Int64, _ status: ConnectorStatus, _ error: String) async throws
            -> StationRecord.Connector
        {
            _ = try await house.apply(
                .statusChanged(
                    StatusReport(
                        connector: 1, status: status, errorCode: error,
                        at: House.noon.advanced(bySeconds: seconds))), at: 1000)
            let station = try await house.cpo.stations.station("CS-1")
            return try #require(station?.connectors.first { $0.number == 1 })
        }
        func at(_ seconds: Int64) -> Timestamp { House.noon.advanced(bySeconds: seconds) }
        #expect(try await told(0, .faulted, "GroundFailure").since == at(0))
        let again = try await told(60, .faulted, "GroundFailure")
        #expect(again.since == at(0))
        #expect(again.at == at(60))
        let other = try await told(120, .faulted, "HighTemperature")
        #expect(other.since == at(0))
        #expect(other.errorCode == "HighTemperature")
        // What is older than the last word does not count, though it is newer than the first.
        #expect(try await told(90, .available, "NoError").status == .faulted)
        #expect(try await told(180, .available, "NoError").since == at(180))
        // A station whose clock is ahead is not in the future with it.
        #expect(try await told(5000, .faulted, "GroundFailure").since == at(1000))
    }
}
