import Charging
import SQL
import TestSupport
import Testing

@testable import CPO

@Suite struct `The journal's old lines` {
    private func house(lines: Int) async throws -> House {
        let house = try await House(isNew: false)
        try await house.cpo.write { transaction in
            for number in 0..<lines {
                try house.cpo.journal.append(
                    "test", "\(number)", at: House.noon, in: transaction)
            }
        }
        return house
    }

    @Test func `go by their age where nobody reads`() async throws {
        let house = try await house(lines: 3)
        let (journal, age) = (house.cpo.journal, Journal.keptSeconds)
        try await house.cpo.pruneJournal(at: House.noon.advanced(bySeconds: age))
        #expect(try await journal.lines(after: 0).count == 3)
        try await house.cpo.pruneJournal(at: House.noon.advanced(bySeconds: age + 1))
        #expect(try await journal.lines(after: 0).isEmpty)
        // A number that was used is not used again: readers count on it.
        try await house.cpo.write { try journal.append("test", "4", at: House.noon, in: $0) }
        #expect(try await journal.lines(after: 0).map(\.seq) == [4])
    }

    @Test func `go in many small transactions, but not without end`() async throws {
        let house = try await house(lines: 2 * Journal.prunesPerLook + 3)
        let later = House.noon.advanced(bySeconds: Journal.keptSeconds + 1)
        try await house.cpo.pruneJournal(at: later, limit: 2)
        #expect(try await house.cpo.journal.lines(after: 0).count == 3)
        try await house.cpo.pruneJournal(at: later, limit: 2)
        #expect(try await house.cpo.journal.lines(after: 0).isEmpty)
    }

    @Test func `leave in sight what a partner that left never took, if it is money of its drivers`()
        async throws
    {
        let house = try await House()
        let (transaction, _) = try await house.started(House.start(0))
        _ = try await house.apply(House.stop(transaction, 600, 1500), at: 600)
        let journal = house.cpo.journal
        let later = House.noon.advanced(bySeconds: 40 * 86_400)
        let other = PartyID(country: "NL", party: "EMS")
        func stuck() async throws -> [StuckDelivery] {
            try await house.cpo.read { try house.cpo.deliveries.stuck(limit: 10, in: $0) }
        }
        try await house.cpo.write { transaction in
            for (name, parties) in [("ocpi/P/bill", [House.party]), ("ocpi/Q/bill", [other])] {
                try journal.move(name, to: 1, at: House.noon, in: transaction)
                try journal.retire(
                    name, billsOf: parties, until: later, reason: "gone", at: later,
                    in: transaction)
            }
        }
        let left = try await stuck()
        #expect(left.map(\.reader) == ["ocpi/P/bill"])
        #expect(left.map(\.kind) == ["cdr.created"])
        #expect(left.map(\.reason) == ["gone"])
        #expect(try await journal.cursor(of: "ocpi/P/bill") == nil)
        try await house.cpo.pruneJournal(at: later)
        #expect(try await journal.lines(after: 0).map(\.kind) == [.cdrCreated])
        #expect(try await stuck() == left)
    }
}
