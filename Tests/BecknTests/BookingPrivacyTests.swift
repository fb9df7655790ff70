import CPO
import Charging
import JSON
import SQL
import StoreSupport
import TestSupport
import Testing

@testable import Beckn

@Suite struct `Personal data at the apps' door` {
    @Test func `is listed, column by column`() async throws {
        #expect(
            try await PersonalDataInventory.differences(BecknDoor.migrations, section: "Beckn")
                == [])
    }

    /// A booking that was charged, billed and refunded; its callbacks are delivered.
    private func charged() async throws -> (Network, String) {
        let net = try await Network()
        net.cpo.privacy.register(BookingPersonalRows())
        let id = try await net.book()
        _ = try await net.ask("update", Network.update("start-charging"))
        let transaction = try await net.begin()
        _ = try await net.callbacks()
        net.clock.advance(milliseconds: 60_000)
        try await net.end(transaction, 1200)
        _ = try await net.callbacks()
        _ = try await net.ask(
            "support", ["support": ["ref_id": .string(id)]])
        try await deliver(net)
        return (net, id)
    }

    private func deliver(_ net: Network) async throws {
        _ = try await net.cpo.write {
            try $0.execute("UPDATE beckn_outbox SET state = 'delivered'")
        }
    }

    @Test(arguments: ["order", "email", "token"])
    func `is found by booking, mail or token, and the bill stays`(by name: String) async throws {
        let (net, id) = try await charged()
        let before = try #require(try await net.door.order(id))
        var query = Person.Query()
        switch name {
        case "order": query.order = id
        case "email": query.email = "A@Example.org"
        default: query.token = BecknDoor.tokenUID(of: id).lowercased()
        }
        let found = try await net.cpo.privacy.find(query)
        #expect(Set(found.map(\.kind)).isSuperset(of: ["orders", "sessions", "commands"]))
        #expect(Privacy.report(found).text.contains("Asha"))
        let outcome = try await net.cpo.privacy.erase(query, by: "test") { _ in }
        #expect(!outcome.isWaiting)
        let left = try await net.cpo.database.everyText()
        for word in ["Asha", "a@example.org", BecknDoor.tokenUID(of: id), "std:011"] {
            #expect(!left.lowercased().contains(word.lowercased()), "\(word)")
        }
        let after = try #require(try await net.door.order(id))
        #expect(after.bill == before.bill && after.payment == before.payment)
        #expect(after.refund == before.refund && after.delivery == before.delivery)
        #expect(after.customer == nil && after.billing == nil)
        let cdr = try #require(try await net.cpo.cdrs.list().cdrs.first)
        // The booking joins the bill to what was paid.
        #expect(cdr.session.authorizationReference == id)
        #expect(cdr.session.token.contractID == "ERASED")
        #expect(try await net.cpo.privacy.erase(query, by: "test") { _ in }.findings.isEmpty)
    }

    @Test func `stays while a booking is open, or its app has not heard the last of it`()
        async throws
    {
        let net = try await Network()
        net.cpo.privacy.register(BookingPersonalRows())
        let id = try await net.book()
        try await deliver(net)
        let open = try await net.cpo.privacy.erase(.init(order: id), by: "test") { _ in }
        #expect(open.findings.first { $0.kind == "orders" }?.held == [.order: 1])
        _ = try await net.ask(
            "cancel", ["order_id": .string(id), "cancellation_reason_id": "4"])
        try await net.cpo.privacy.look()
        #expect(try await net.door.order(id)?.customer != nil)
        try await deliver(net)
        try await net.cpo.privacy.look()
        #expect(try await net.door.order(id)?.customer == nil)
        #expect(try await !net.cpo.database.everyText().contains("Asha"))
    }

    @Test func `stays while a booking is not paid in full`() async throws {
        let net = try await Network { $0.allowsPostPaid = true }
        net.cpo.privacy.register(BookingPersonalRows())
        _ = try await net.ask("select", Network.select)
        _ = try await net.ask("init", Network.initialise)
        let confirmed = try await net.ask(
            "confirm",
            [
                "order": [
                    "items": [["id": "E-1:1"]],
                    "payments": [["status": "NOT-PAID", "type": "POST-FULFILLMENT"]],
                ]
            ])
        let id = try #require(confirmed?.order?["id"]?.string)
        _ = try await net.ask("update", Network.update("start-charging"))
        let transaction = try await net.begin()
        _ = try await net.callbacks()
        net.clock.advance(milliseconds: 60_000)
        try await net.end(transaction, 1200)
        _ = try await net.callbacks()
        try await deliver(net)
        #expect(try await net.door.order(id)?.state == .completed)
        let outcome = try await net.cpo.privacy.erase(.init(order: id), by: "test") { _ in }
        #expect(outcome.findings.first { $0.kind == "orders" }?.held == [.order: 1])
        #expect(outcome.findings.first { $0.kind == "sessions" }?.held == [.order: 1])
    }

    @Test func `goes with its days`() async throws {
        let (net, id) = try await charged()
        _ = try await net.cpo.write {
            try $0.execute("UPDATE beckn_outbox SET state = 'parked' WHERE action = 'on_support'")
        }
        net.clock.advance(milliseconds: 1460 * 86_400_000)
        #expect(try await net.cpo.privacy.look()["orders"] == nil)
        net.clock.advance(milliseconds: 3 * 86_400_000)
        let gone = try await net.cpo.privacy.look()
        #expect(gone["orders"] == 1 && gone["tickets"] == 1)
        #expect(try await net.door.order(id)?.customer == nil)
        #expect(try await !net.cpo.database.everyText().contains("Asha"))
        #expect(try await net.cpo.privacy.look().isEmpty)
    }
}
