import CPO
import Charging
import Crypto
import SQL
import Service
import TestSupport
import Testing

@testable import CSMS

@Suite struct `An enrolment` {
    static let password = "ABCDEFGHJKMNPQRSTVWX"

    private func redeem(
        _ rig: Rig, _ code: OneTimeCode, _ password: String = password
    ) async throws -> String { try await rig.center.redeem(code, password: password) }

    @Test func `makes the board's own password the station's`() async throws {
        let rig = try await Rig(unknownStations: .refuse) { $0.lowestSecurityProfile = 1 }
        let made = try await rig.center.makeEnrolment("CS-7", minutes: 10)
        #expect(await rig.refusal("CS-7", password: Self.password) != nil)
        #expect(try await redeem(rig, made.code) == "CS-7")
        #expect(await rig.refusal("CS-7", password: Self.password) == nil)
        #expect(await rig.refusal("CS-7", password: "another-password") == 401)
        await rig.end()
    }

    @Test func `is used once, but its lost answer is given again`() async throws {
        let rig = try await Rig()
        let made = try await rig.center.makeEnrolment("CS-7", minutes: 10)
        for _ in 0..<2 { #expect(try await redeem(rig, made.code) == "CS-7") }
        await #expect(throws: Enrolment.Refusal.used) {
            try await redeem(rig, made.code, "another-password")
        }
        #expect(await rig.refusal("CS-7", password: Self.password) == nil)
        await rig.end()
    }

    @Test func `ends with its time, with a newer code and with the station`() async throws {
        let rig = try await Rig()
        let late = try await rig.center.makeEnrolment("CS-7", minutes: 10)
        rig.clock.advance(milliseconds: 600_000)
        await #expect(throws: Enrolment.Refusal.expired) { try await redeem(rig, late.code) }
        let old = try await rig.center.makeEnrolment("CS-7", minutes: 10)
        let new = try await rig.center.makeEnrolment("cs-7", minutes: 10)
        #expect(new.station == "CS-7")
        await #expect(throws: Enrolment.Refusal.unknown) { try await redeem(rig, old.code) }
        let now = rig.clock.now
        try await rig.house.write { [house = rig.house] transaction in
            _ = try house.stations.remove("CS-7", at: now, in: transaction)
        }
        await #expect(throws: Enrolment.Refusal.unknown) { try await redeem(rig, new.code) }
        await rig.end()
    }

    @Test(arguments: [
        "", "short", "with blanks in it", "ÄÄÄÄÄÄÄÄÄÄÄÄ", String(repeating: "a", count: 41),
    ])
    func `refuses a password that is none`(_ password: String) async throws {
        let rig = try await Rig()
        let made = try await rig.center.makeEnrolment("CS-7", minutes: 10)
        await #expect(throws: Enrolment.Refusal.badPassword) {
            try await redeem(rig, made.code, password)
        }
        #expect(try await redeem(rig, made.code) == "CS-7")
        await rig.end()
    }

    @Test func `stands in the database as a hash alone`() async throws {
        let rig = try await Rig()
        let made = try await rig.center.makeEnrolment("CS-7", minutes: 10)
        let rows = try await rig.house.read { try $0.query("SELECT * FROM csms_enrolment") }
        #expect(rows.count == 1)
        let hash = try #require(rows.first).text("hash")
        #expect(hash == Hex.encode(SHA256.hash(made.code.text)))
        #expect(!"\(rows)".contains(made.code.text))
        await rig.end()
    }
}
