import CPO
import Charging
import SQL
import TestSupport
import Testing

@Suite struct `A time that cannot be` {
    private static let impossible: [Timestamp?] = [
        nil, Timestamp(seconds: 0), House.noon.advanced(bySeconds: 86_400),
        Timestamp(seconds: 4_000_000_000),
    ]

    @Test(arguments: impossible)
    func `at the start is replaced by its arrival and flagged`(at: Timestamp?) async throws {
        let house = try await House()
        let (transaction, status) = try await house.started(
            .sessionStarted(
                SessionStart(connector: 1, token: "DRIVER-1", meterStart: .zero, at: at)), at: 20)
        #expect(status == .accepted)
        #expect(
            house.cpo.sessions.running().first?.startedAt == House.noon.advanced(bySeconds: 20))
        #expect(try await house.cpo.suspicions.list().map(\.code) == [.stationClockWrong])
        _ = try await house.apply(House.stop(transaction, 600, 500), at: 600)
        #expect(try await house.cpo.cdrs.list().cdrs.first?.session.energy == WattHours(500))
    }

    @Test(arguments: impossible)
    func `at the stop is replaced by its arrival and flagged`(at: Timestamp?) async throws {
        let house = try await House()
        let (transaction, _) = try await house.started(House.start(0))
        _ = try await house.apply(
            .sessionStopped(
                SessionStop(
                    transaction: .number(transaction), meterStop: WattHours(1500), at: at,
                    reason: .local)), at: 600)
        let bill = try #require(try await house.cpo.cdrs.list().cdrs.first)
        #expect(bill.session.endedAt == House.noon.advanced(bySeconds: 600))
        #expect(bill.session.energy == WattHours(500))
        #expect(try await house.cpo.suspicions.list().map(\.code) == [.stationClockWrong])
    }

    @Test(arguments: impossible)
    func `in a status keeps no later one from counting`(at: Timestamp?) async throws {
        let house = try await House()
        _ = try await house.apply(
            .statusChanged(StatusReport(connector: 1, status: .faulted, at: at)), at: 20)
        _ = try await house.apply(House.status(30, .available), at: 31)
        let station = try #require(try await house.cpo.stations.station("CS-1"))
        #expect(station.connectors.first { $0.number == 1 }?.status == .available)
    }
}

@Suite struct `A status` {
    @Test func `that comes back within its second is the current one`() async throws {
        let house = try await House()
        for status in [ConnectorStatus.available, .reserved, .available] {
            _ = try await house.apply(House.status(10, status), at: 11)
        }
        let station = try #require(try await house.cpo.stations.station("CS-1"))
        #expect(station.connectors.first { $0.number == 1 }?.status == .available)
        // Told again, it moves nothing and tells nobody.
        let newest = try await house.cpo.journal.newest()
        _ = try await house.apply(House.status(10, .available), at: 12)
        #expect(try await house.cpo.journal.newest() == newest)
    }
}

@Suite struct `A tag that may not charge` {
    @Test func `and charges all the same is billed and flagged, at its stop too`() async throws {
        let house = try await House()
        let (transaction, status) = try await house.started(House.start(0, token: "BLOCKED-1"))
        #expect(status == .blocked)
        let reply = try await house.apply(
            .sessionStopped(
                SessionStop(
                    transaction: .number(transaction), meterStop: WattHours(1500),
                    at: House.noon.advanced(bySeconds: 600), reason: .deAuthorized,
                    token: "BLOCKED-1")), at: 600)
        guard case .stopped(let info) = reply else {
            Issue.record("wrong reply")
            return
        }
        #expect(info?.status == .blocked)
        #expect(
            Set(try await house.cpo.suspicions.list().map(\.code))
                == [.refusedToken, .chargedWhileRefused])
        #expect(try await house.cpo.cdrs.list().cdrs.first?.session.energy == WattHours(500))
    }
}

@Suite struct `A backlog of months` {
    /// Sixty charges of as many days, one plug, told today in one go.
    private static let days: ClosedRange<Int64> = 1...60

    @Test func `is billed by its own times, rewinds no status and orders nothing`() async throws {
        let house = try await House()
        _ = try await house.apply(House.status(0, .charging), at: 0)
        let (running, _) = try await house.started(House.start(0, register: 90_000), at: 0)
        for day in Self.days.reversed() {
            let at = -day * 86_400
            let register = 60_000 - day * 1000
            _ = try await house.apply(House.status(at - 60, .preparing), at: 60)
            let (transaction, _) = try await house.started(
                House.start(at, register: register), at: 60)
            _ = try await house.apply(House.status(at + 5, .charging), at: 60)
            _ = try await house.apply(House.meter(transaction, at + 300, register + 400), at: 60)
            _ = try await house.apply(House.stop(transaction, at + 600, register + 1000), at: 60)
            _ = try await house.apply(House.status(at + 605, .available), at: 60)
        }
        let bills = try await house.cpo.cdrs.list(limit: 100)
        #expect(bills.total == Self.days.count)
        #expect(bills.cdrs.allSatisfy { $0.session.energy == WattHours(1000) })
        #expect(
            Set(bills.cdrs.map(\.session.startedAt))
                == Set(Self.days.map { House.noon.advanced(bySeconds: -$0 * 86_400) }))
        let station = try #require(try await house.cpo.stations.station("CS-1"))
        #expect(station.connectors.first { $0.number == 1 }?.status == .charging)
        #expect(house.cpo.sessions.running().map(\.transaction) == [.number(running)])
        #expect(try await house.cpo.commands.list().isEmpty)
    }
}
