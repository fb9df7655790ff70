import CPO
import Charging
import TestSupport
import Testing

@testable import Alerts

extension `Alerts of a house` {
    @Test func `tell of a registered station that stands in the inbox, until it is taken in`()
        async throws
    {
        let house = try await house()
        let alerts = Alerts(house: house, settings: AlertSettings(), channels: [])
        let now = clock.now
        _ = try await attach(house, "CS-1")
        try await house.write { transaction in
            try house.stations.register("CS-1", .pending, at: now, in: transaction)
            // Nobody ever vouched for it: it waits as all strangers do.
            try house.stations.register("CS-2", .pending, at: now, in: transaction)
        }
        try await alerts.look(at: clock.now)
        let found = try await alerts.list()
        #expect(found.map(\.kind) == [.stationWaits])
        #expect(found.map(\.subject) == ["CS-1"])
        _ = try await attach(house, "CS-1")
        try await alerts.look(at: clock.now)
        #expect(try await alerts.list(onlyOpen: true).isEmpty)
        // Rejected and back in the inbox, it is a stranger.
        try await house.write { transaction in
            try house.stations.register("CS-1", .rejected, at: now, in: transaction)
            try house.stations.register("CS-1", .pending, at: now, in: transaction)
        }
        try await alerts.look(at: clock.now)
        #expect(try await alerts.list(onlyOpen: true).isEmpty)
    }

    @Test func `tell of a station's security once, more as more comes, and for a week`()
        async throws
    {
        let house = try await house()
        let channel = TestChannel()
        let alerts = Alerts(house: house, settings: AlertSettings(), channels: ["test"])
        _ = try await attach(house, "CS-1")
        func tell(_ kind: SecurityEvent.Kind) async throws {
            _ = try await house.sessions.apply(
                .maintenance(.security(SecurityEvent(kind, at: clock.now))), from: "CS-1",
                receivedAt: clock.now)
            try await alerts.look(at: clock.now)
            try await alerts.tell(channel)
        }
        // What comes with each boot is none of a person's business.
        for kind in [SecurityEvent.Kind.startupOfTheDevice, .settingSystemTime, .firmwareUpdated] {
            try await tell(kind)
        }
        #expect(try await alerts.list().isEmpty)
        try await tell(.invalidFirmwareSignature)
        let first = try #require(try await alerts.list().first)
        #expect(first.kind == .stationSecurity)
        #expect(first.subject == "CS-1")
        #expect(
            first.detail
                == "InvalidFirmwareSignature at \(clock.now); such events so far: 1")
        for _ in 0..<60 {
            clock.advance(milliseconds: 1000)
            try await tell(.tamperDetectionActivated)
        }
        let grown = try await alerts.list()
        #expect(grown.map(\.id) == [first.id])
        #expect(
            grown.first?.detail
                == "TamperDetectionActivated at \(clock.now); such events so far: 61")
        #expect(channel.told.map(\.count).reduce(0, +) == 1)
        let now = clock.now
        let isNoted = try await house.write {
            try alerts.acknowledge(first.id, by: "anna", at: now, in: $0)
        }
        #expect(isNoted)
        clock.advance(milliseconds: 7 * 86_400_000)
        try await alerts.look(at: clock.now)
        #expect(try await alerts.list(onlyOpen: true).isEmpty)
    }

    @Test func `tell of a plug whose tariffs are over`() async throws {
        let house = try await house()
        let alerts = Alerts(house: house, settings: AlertSettings(), channels: [])
        let now = clock.now
        var tariff = Tariff(
            party: house.settings.party, id: "T-1", currency: "INR", elements: [],
            lastUpdated: now)
        tariff.validUntil = now.advanced(bySeconds: 3600)
        let location = Location(
            party: house.settings.party, id: "L-1", name: "Yard", address: "1 Road", city: "Delhi",
            country: "IND", coordinates: Coordinates(latitude: .zero, longitude: .zero),
            timeZone: "UTC",
            evses: [
                EVSE(
                    uid: "1", evseID: nil, status: .unknown,
                    connectors: [
                        Connector(
                            id: "1", standard: "IEC_62196_T2", format: "SOCKET",
                            powerType: "AC_3_PHASE", maxVoltage: 230, maxAmperage: 32,
                            tariffIDs: ["T-1"], lastUpdated: now)
                    ], station: "CS-1", stationConnector: 1, lastUpdated: now)
            ], lastUpdated: now)
        try await house.write { [tariff] transaction in
            try house.tariffs.put(tariff, at: now, in: transaction)
            try house.locations.put(location, at: now, in: transaction)
        }
        clock.advance(milliseconds: 3_599_000)
        try await alerts.look(at: clock.now)
        #expect(try await alerts.list().isEmpty)
        clock.advance(milliseconds: 1_000)
        try await alerts.look(at: clock.now)
        let found = try #require(try await alerts.list().first)
        #expect(found.kind == .tariffEnded)
        #expect(found.subject == "L-1/1")
        #expect(found.detail.contains("T-1"))
    }

    @Test func `tell of plugs that charge without a place, until they have one`() async throws {
        let house = try await house()
        let alerts = Alerts(house: house, settings: AlertSettings(), channels: [])
        let now = clock.now
        for id in ["CS-1", "CS-2"] { _ = try await attach(house, id) }
        func open() async throws -> [Alert] {
            try await alerts.look(at: clock.now)
            return try await alerts.list(onlyOpen: true).filter { $0.kind == .chargesForNothing }
        }
        #expect(try await open().isEmpty)
        for connector in 1...2 {
            let start = SessionStart(
                connector: connector, token: "T", meterStart: WattHours(0), at: now)
            _ = try await house.sessions.apply(
                .sessionStarted(start), from: "CS-1", receivedAt: now)
        }
        let found = try await open()
        #expect(found.map(\.subject) == ["registry"])
        #expect(found.first?.detail.contains("location: 2") == true)
        #expect(found.first?.detail.contains("CS-1/1") == true)
        // CS-2 never charged, so a place for it changes nothing.
        try await put("CS-2", in: house)
        #expect(try await open().first?.detail.contains("location: 2") == true)
        try await put("CS-1", in: house)
        #expect(try await open().isEmpty)
    }

    private func put(_ station: String, in house: ChargePointOperator) async throws {
        let now = clock.now
        let evses = (1...2).map { (number: Int) in
            EVSE(
                uid: "\(station)-\(number)", evseID: nil, status: .unknown,
                connectors: [
                    Connector(
                        id: "1", standard: "IEC_62196_T2", format: "SOCKET",
                        powerType: "AC_3_PHASE", maxVoltage: 230, maxAmperage: 32, tariffIDs: [],
                        lastUpdated: now)
                ], station: station, stationConnector: number, lastUpdated: now)
        }
        let location = Location(
            party: house.settings.party, id: "L-\(station)", name: "Yard", address: "1 Road",
            city: "Delhi", country: "IND",
            coordinates: Coordinates(latitude: .zero, longitude: .zero), timeZone: "UTC",
            evses: evses, lastUpdated: now)
        _ = try await house.write { try house.locations.put(location, at: now, in: $0) }
    }
}
