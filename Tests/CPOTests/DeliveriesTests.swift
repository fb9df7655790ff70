import Charging
import SQL
import Service
import TestSupport
import Testing

@testable import CPO

@Suite(.timeLimit(.minutes(1))) struct `What a partner did not take` {
    private static let reader = "ocpi/P/bill"

    /// With one charge that is over and billed.
    private func billed() async throws -> House {
        let house = try await House()
        let (transaction, _) = try await house.started(House.start(0))
        _ = try await house.apply(House.stop(transaction, 600, 1500), at: 600)
        return house
    }

    private func stuck(_ house: House) async throws -> [StuckDelivery] {
        try await house.cpo.read { try house.cpo.deliveries.stuck(limit: 10, in: $0) }
    }

    /// Waits until what is set aside fits.
    private func stuck(
        _ house: House, where fits: ([StuckDelivery]) -> Bool
    ) async throws -> [StuckDelivery] {
        while true {
            try Task.checkCancellation()
            let found = try await stuck(house)
            if fits(found) { return found }
            await Task.yield()
        }
    }

    private func retry(_ house: House, _ id: String) async throws -> DeliveryRetry? {
        let outcome = try await house.cpo.write {
            try house.cpo.deliveries.retry(id, at: House.noon, in: $0)
        }
        house.cpo.deliveries.wake()
        return outcome
    }

    @Test func `is tried once each time a person asks, until it is through`() async throws {
        let house = try await billed()
        let answers = Lock<[JournalReader.Delivery]>([
            .park(reason: "400"), .retry(reason: "no answer"), .delivered,
        ])
        let reader = JournalReader(name: Self.reader, kinds: [.cdrCreated])
        let task = Task {
            try await reader.run(house.cpo, fromStart: true) { _ in
                answers.withLock { $0.isEmpty ? .delivered : $0.removeFirst() }
            }
        }
        defer { task.cancel() }
        let first = try await stuck(house) { $0.count == 1 }
        #expect(first[0].reason == "400")
        #expect(first[0].kind == "cdr.created")
        #expect(first[0].reader == Self.reader)
        #expect(try await house.cpo.cdrs.cdr(first[0].subject) != nil)
        #expect(!first[0].id.contains("/"))
        #expect(try await retry(house, first[0].id) == .asked)
        let second = try await stuck(house) { $0.first?.reason == "no answer" }
        #expect(!second[0].isAsked)
        #expect(second[0].at == first[0].at)
        #expect(try await retry(house, first[0].id) == .asked)
        _ = try await stuck(house) { $0.isEmpty }
        #expect(answers.withLock { $0.isEmpty })
    }

    @Test func `can only be dismissed where nobody reads any more`() async throws {
        let house = try await billed()
        let bill = try #require(
            try await house.cpo.journal.lines(after: 0).first { $0.kind == .cdrCreated })
        try await house.cpo.write {
            try house.cpo.journal.park(
                Self.reader, bill.seq, reason: "400", at: House.noon, in: $0)
        }
        let id = try #require(try await stuck(house).first?.id)
        #expect(try await retry(house, id) == .nobodyReads)
        #expect(try await retry(house, "999999~ocpi~P~bill") == nil)
        #expect(try await retry(house, "nonsense") == nil)
        func dismiss(_ id: String) async throws -> Bool {
            try await house.cpo.write { try house.cpo.deliveries.dismiss(id, in: $0) }
        }
        #expect(try await !dismiss("999999~ocpi~P~bill"))
        #expect(try await dismiss(id))
        #expect(try await !dismiss(id))
        #expect(try await stuck(house).isEmpty)
    }

    @Test func `is late while a reader stands before money, not before anything else`()
        async throws
    {
        let house = try await House()
        let journal = house.cpo.journal
        func late(_ moment: Timestamp) async throws -> [LateDelivery] {
            try await house.cpo.read { try house.cpo.deliveries.late(before: moment, in: $0) }
        }
        let now = House.noon.advanced(bySeconds: 600)
        try await house.cpo.write {
            try journal.move(Self.reader, to: 0, at: House.noon, in: $0)
        }
        let (transaction, _) = try await house.started(House.start(0))
        #expect(try await late(now).isEmpty)
        _ = try await house.apply(House.stop(transaction, 600, 1500), at: 600)
        #expect(
            try await late(now) == [LateDelivery(reader: Self.reader, since: now)])
        #expect(try await late(now.advanced(bySeconds: -1)).isEmpty)
        let newest = try await journal.newest()
        try await house.cpo.write {
            try journal.move(Self.reader, to: newest, at: now, in: $0)
        }
        #expect(try await late(now).isEmpty)
    }
}
