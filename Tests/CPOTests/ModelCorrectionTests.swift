import Charging
import SQL
import Service
import TestSupport
import Testing

@testable import CPO

@Suite struct `A model's correction` {
    private func house(_ corrections: ModelCorrection...) async throws -> House {
        var settings = OperatorSettings(party: House.party, name: "Kerb", currency: "INR")
        settings.corrections = corrections
        let house = try await House(settings: settings)
        _ = try await house.apply(
            .booted(StationIdentity(vendor: "Example", model: "Wall 11", firmware: "1.2.3")))
        return house
    }

    private static func reading(
        _ seconds: Int64, _ samples: MeterSample..., transaction: Int
    ) -> StationEvent {
        .metered(
            MeterReport(
                connector: 1, transaction: .number(transaction),
                readings: [
                    MeterReading(at: House.noon.advanced(bySeconds: seconds), samples: samples)
                ]))
    }

    @Test(arguments: [
        (ModelCorrection(vendor: "EXAMPLE", model: "wall*"), true),
        (ModelCorrection(vendor: "Example", model: "Wall"), false),
        (ModelCorrection(model: "Wall 11", firmware: "1.2.*"), true),
        (ModelCorrection(model: "Wall 11", firmware: "1.3*"), false),
        (ModelCorrection(vendor: "*"), true), (ModelCorrection(vendor: "Other"), false),
    ])
    func `fits by vendor, model and firmware`(correction: ModelCorrection, fits: Bool) {
        let identity = StationIdentity(vendor: "Example", model: "Wall 11", firmware: "1.2.3")
        #expect(correction.fits(identity) == fits)
    }

    @Test func `multiplies, renames and adds up what is measured`() async throws {
        let house = try await house(
            ModelCorrection(
                vendor: "Example",
                samples: [
                    .init(.currentImport, times: Decimal(significand: 1, scale: 1)),
                    .init(.powerOffered, readAs: .powerImport, times: Decimal(1000)),
                    .init(.energyImport, times: Decimal(1000), ignoresPhase: true),
                ], registersTimes: 1000))
        let (number, _) = try await house.started(House.start(register: 5))
        var signed = MeterSample(.energyImport, .zero)
        signed.signed = "OCMF|{}|{}"
        _ = try await house.apply(
            Self.reading(
                60, MeterSample(.energyImport, Decimal(6), phase: "L1"),
                MeterSample(.currentImport, Decimal(160)), MeterSample(.powerOffered, Decimal(7)),
                signed, transaction: number), at: 60)
        let session = try #require(house.cpo.sessions.running().first)
        #expect(session.meterStart == WattHours(5000))
        #expect(session.energy == WattHours(1000))
        let live = try #require(house.cpo.sessions.live(session.id))
        #expect(live.current == Decimal(16))
        #expect(live.power == Decimal(7))
        let readings = try await house.cpo.sessions.readings(of: session.id)
        #expect(readings.first?.samples.last?.signed == "OCMF|{}|{}")
        _ = try await house.apply(House.stop(number, 120, 7), at: 120)
        let bill = try #require(try await house.cpo.cdrs.list().cdrs.first)
        #expect(bill.session.energy == WattHours(2000))
    }

    @Test func `takes energy that counts per charge by the meter's register`() async throws {
        let house = try await house(
            ModelCorrection(model: "Wall*", sessionRegister: [.readings, .stop]))
        let (number, _) = try await house.started(House.start(register: 90_000))
        _ = try await house.apply(House.meter(number, 60, 100), at: 60)
        _ = try await house.apply(House.meter(number, 120, 250), at: 120)
        let session = try #require(house.cpo.sessions.running().first)
        #expect(session.energy == WattHours(250))
        #expect(session.suspicions.isEmpty)
        // The same stop over a new socket is the same.
        for _ in 1...2 { _ = try await house.apply(House.stop(number, 180, 300), at: 180) }
        let bills = try await house.cpo.cdrs.list().cdrs
        #expect(bills.map(\.session.energy) == [WattHours(300)])
        #expect(bills.first?.session.suspicions == [])
        #expect(try await house.cpo.suspicions.list().isEmpty)
    }

    @Test func `of a start that counts anew loses no energy between charges`() async throws {
        for places: Set<ModelCorrection.SessionRegister> in [[], [.start]] {
            let house = try await house(
                ModelCorrection(model: "Wall*", sessionRegister: places))
            // What a plug's last register was is kept with its status.
            _ = try await house.apply(House.status(-60, .available))
            let (number, _) = try await house.started(House.start(register: 0))
            _ = try await house.apply(House.stop(number, 60, 400), at: 60)
            _ = try await house.started(House.start(120, register: 0), at: 120)
            let codes = try await house.cpo.suspicions.list().map(\.code)
            #expect(codes == (places.isEmpty ? [.registerGapBetweenSessions] : []))
        }
    }

    @Test(arguments: [
        ("DRIVER-1_SN42", "Accepted"), ("DRIVER-1_A_B", "Invalid"), ("DRIVER-1", "Accepted"),
        ("_DRIVER", "Invalid"),
    ])
    func `cuts what stands behind a tag`(tag: String, answer: String) async throws {
        let house = try await house(ModelCorrection(vendor: "Example", tagSuffixFrom: "_"))
        #expect(try await house.shown(tag).status.rawValue == answer)
        guard answer == "Accepted" else { return }
        _ = try await house.started(House.start(token: tag))
        #expect(house.cpo.sessions.running().first?.token.uid == "DRIVER-1")
    }

    @Test(arguments: [false, true])
    func `of a cluster lets connector 0 speak for itself`(isCluster: Bool) async throws {
        let house = try await house(ModelCorrection(vendor: "Example", isCluster: isCluster))
        _ = try await house.apply(House.status(0, .available))
        _ = try await house.apply(House.status(1, .faulted, connector: 0))
        #expect(
            house.cpo.locations.evse("E-1")?.evse.status == (isCluster ? .available : .outOfOrder))
    }

    @Test func `goes with the firmware that it was for`() async throws {
        let house = try await house(
            ModelCorrection(model: "Wall*", firmware: "1.2*", tagSuffixFrom: "_"))
        #expect(try await house.shown("DRIVER-1_X").status == .accepted)
        _ = try await house.apply(
            .booted(StationIdentity(vendor: "Example", model: "Wall 11", firmware: "2.0")))
        #expect(try await house.shown("DRIVER-1_X").status == .invalid)
    }
}
