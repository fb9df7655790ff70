import CPO
import Charging
import SQL
import TestSupport
import Testing

@testable import Beckn

@Suite struct `A house whose section beckn is gone` {
    private func settle(_ net: Network) async throws -> [StuckDelivery] {
        let now = net.clock.now
        return try await net.cpo.write { [cpo = net.cpo] transaction in
            try BecknDoor.settleWithoutDoor(cpo, at: now, in: transaction)
            return try cpo.deliveries.stuck(limit: 10, in: transaction)
        }
    }

    @Test func `waits for it a month, then lets the journal go and keeps unheard bills in sight`()
        async throws
    {
        let net = try await Network()
        net.cpo.deliveries.register(OutboxDeliveries(outbox: nil))
        _ = try await net.book()
        _ = try await net.ask("update", Network.update("start-charging"))
        let transaction = try await net.begin()
        try #require(transaction > 0)
        // What the door has read by now; the rest comes while there is none.
        let (seen, now) = (try await net.cpo.journal.newest(), net.clock.now)
        try await net.cpo.write { [cpo = net.cpo] in
            try cpo.journal.move("beckn/door", to: seen, at: now, in: $0)
        }
        net.clock.advance(milliseconds: 600_000)
        try await net.end(transaction, 3000)
        #expect(try await settle(net).isEmpty)
        net.clock.advance(milliseconds: 8 * 86_400_000)
        // The contract's answer was tried for a week.
        #expect(try await settle(net).map(\.kind) == ["on_confirm"])
        #expect(try await net.cpo.journal.cursor(of: "beckn/door") == seen)
        net.clock.advance(milliseconds: 30 * 86_400_000)
        let left = try await settle(net)
        #expect(Set(left.map(\.kind)) == ["cdr.created", "on_confirm"])
        #expect(left.first { $0.kind == "cdr.created" }?.reason == "the section `beckn` is gone")
        #expect(try await net.cpo.journal.cursor(of: "beckn/door") == nil)
    }
}
