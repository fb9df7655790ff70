import Charging
import Crypto
import SQL
import StoreSupport
import TestSupport
import Testing

@testable import CSMS

@Suite struct `A station's password` {
    static let key = Array("0123456789ABCDEF".utf8)

    @Test(arguments: [StationVerifier.Source.random, .unknown])
    func `is known by its bytes and by their digits`(_ source: StationVerifier.Source) {
        let verifier = StationVerifier(password: Self.key, source)
        #expect(verifier.match(Self.key) == .yes)
        #expect(verifier.match(Array("30313233343536373839414243444546".utf8)) == .yesAsHex)
        #expect(verifier.match(Array("0123456789ABCDEG".utf8)) == .no)
        #expect(verifier.match([]) == .no)
        // Who was let in once changes nothing for others.
        #expect(verifier.match(Self.key) == .yes)
        #expect(verifier.match(Array("30313233343536373839414243444547".utf8)) == .no)
    }

    @Test(arguments: [StationVerifier.Source.random, .unknown])
    func `is known by its bytes where its digits were set`(_ source: StationVerifier.Source) {
        let digits = Array("30313233343536373839414243444546".utf8)
        let verifier = StationVerifier(password: digits, source)
        #expect(verifier.match(digits) == .yesAsHex)
        #expect(verifier.match(Self.key) == .yes)
        #expect(verifier.match(digits) == .yesAsHex)
    }

    @Test func `leaves no trace of itself in what is kept`() {
        let one = StationVerifier(password: Self.key, .random)
        let two = StationVerifier(password: Self.key, .random)
        #expect(one.verifier != two.verifier)
        #expect(one.verifier.count == 32)
    }

    @Test func `is stretched where no machine made it, and costs that once`() throws {
        let salt = [UInt8](repeating: 7, count: 16)
        let stretched = try PasswordHash.derive(
            Self.key, salt: salt, cost: PasswordHash.Cost(logN: 11, r: 8, p: 1))
        let verifier = StationVerifier(salt: salt, verifier: stretched, stretch: 11)
        #expect(verifier.match(Array("0123456789ABCDEG".utf8)) == .no)
        #expect(verifier.match(Self.key) == .yes)
        // As it is stored beside a newer one.
        let stored = try #require(StationVerifier(text: verifier.text))
        #expect(stored == verifier)
        #expect(StationVerifier(password: Self.key, .random).stretch == 0)
        #expect(StationVerifier(password: Self.key, .unknown).stretch == 11)
        // A cost that nobody stored here is not paid.
        #expect(StationVerifier(salt: salt, verifier: stretched, stretch: 40).match([1]) == .no)
    }

    @Test func `is kept as it was made`() async throws {
        let clock = ManualClock(Timestamp(seconds: 1_800_014_400))
        let database = try await TestStore.open(readers: 1, clock: clock)
        try await database.migrate(CentralSystem.migrations)
        let now = clock.now
        var access = StationAccess()
        access.rotate(to: Self.key, .random, until: nil, at: now)
        access.rotate(
            to: Array("typed-by-a-person".utf8), until: now.advanced(bySeconds: 60), at: now)
        let stored = try await database.write { [access] transaction in
            try access.store("CS-1", at: now, in: transaction)
            return try StationAccess.stored("CS-1", in: transaction)
        }
        #expect(stored == access)
        #expect(stored.verifier?.stretch == 11)
        #expect(stored.formers.map { $0.verifier?.stretch } == [0])
    }
}
