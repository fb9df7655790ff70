import CPO
import Charging
import JSON
import TestSupport
import Testing
import Web

@testable import Beckn

@Suite struct `A booking` {
    @Test func `begins with a search by place and plug`() async throws {
        let net = try await Network()
        let found = try #require(
            try await net.ask(
                "search",
                [
                    "intent": [
                        "fulfillment": [
                            "stops": [
                                [
                                    "location": [
                                        "circle": [
                                            "gps": "28.7, 77.1",
                                            "radius": ["unit": "km", "value": "5"],
                                        ]
                                    ]
                                ]
                            ],
                            "tags": [
                                [
                                    "list": [
                                        [
                                            "descriptor": ["code": "connector-type"],
                                            "value": "Type 2",
                                        ]
                                    ]
                                ]
                            ],
                        ]
                    ]
                ]))
        #expect(found.action == "on_search")
        #expect(found.url == "https://bap.example.org/callbacks/on_search")
        let items = found.body["message"]?["catalog"]?["providers"]?[0]?["items"]?.array
        #expect(items?.compactMap { $0["id"]?.string } == ["E-1:1", "E-2:1"])
    }

    @Test func `goes from quote to contract with one sum`() async throws {
        let net = try await Network()
        let quoted = try #require(try await net.ask("select", Network.select))
        #expect(quoted.order?["quote"]?["price"] == ["currency": "INR", "value": "212.40"])
        #expect(quoted.order?["id"] == nil)
        let draft = try #require(try await net.ask("init", Network.initialise))
        #expect(draft.order?["type"]?.string == "DRAFT")
        #expect(draft.order?["payments"]?[0]?["status"]?.string == "NOT-PAID")
        #expect(draft.order?["payments"]?[0]?["params"]?["amount"]?.string == "212.40")
        let contract = try #require(try await net.ask("confirm", Network.confirm()))
        #expect(contract.order?["status"]?.string == "ACTIVE")
        #expect(contract.order?["payments"]?[0]?["status"]?.string == "PAID")
        let id = try #require(contract.order?["id"]?.string)
        #expect(draft.order?["id"]?.string == id)
    }

    @Test func `is delivered, billed and refunded, and every sum agrees`() async throws {
        let net = try await Network()
        let id = try await net.book()
        #expect(try await net.ask("update", Network.update("start-charging")) == nil)
        let transaction = try await net.begin()
        let started = try #require(try await net.callbacks().first)
        #expect(started.action == "on_update")
        #expect(started.state == "charging-started")
        net.clock.advance(milliseconds: 60_000)
        try await net.meter(transaction, 1120)
        let live = try #require(try await net.ask("status", ["order_id": .string(id)]))
        #expect(live.body.text.contains("0.12 kWh"))
        let tracking = try #require(try await net.ask("track", ["order_id": .string(id)]))
        #expect(tracking.body["message"]?["tracking"]?["status"]?.string == "active")

        try await net.send("update", Network.update("end-charging"))
        #expect(try await net.callbacks().isEmpty)
        guard case .stop(.number(transaction))? = try await net.command()?.command else {
            Issue.record("no stop was sent")
            return
        }
        try await net.end(transaction, 1200)
        let final = try #require(try await net.callbacks().last)
        #expect(final.action == "on_update")
        #expect(final.order?["status"]?.string == "COMPLETE")
        #expect(final.order?["quote"]?["price"]?["value"]?.string == "4.25")
        #expect(final.order?["refund_terms"]?[0]?["refund_amount"]?["value"]?.string == "208.15")
        #expect(final.body.text.contains(#""value":"0.2 kWh""#))
        #expect(final.body.text.contains("taxable-amount"))
        let cdrs = try await net.cpo.cdrs.list()
        #expect(cdrs.cdrs.map(\.cost.payable.description) == ["4.25"])
        #expect(cdrs.cdrs.first?.session.energy == WattHours(200))

        let rated = try await net.ask(
            "rating",
            ["ratings": [["id": .string(id), "rating_category": "Order", "value": "5"]]])
        #expect(rated?.action == "on_rating")
        #expect(rated?.error == nil)
    }

    @Test func `begins with statuses of this moment, not of the last journal line`() async throws {
        let net = try await Network()
        // Sent and put into the outbox before the journal reaches the door.
        _ = try await net.apply(
            .statusChanged(StatusReport(connector: 1, status: .faulted, at: net.clock.now)))
        try await net.send("search", [:])
        let found = try #require(try await net.callbacks().first)
        let items = found.body["message"]?["catalog"]?["providers"]?[0]?["items"]
        #expect(items?[0]?.text.contains("Faulted") == true)
        #expect(items?[1]?.text.contains("Faulted") == false)
    }

    @Test func `keeps the message id and echoes its context exactly`() async throws {
        let net = try await Network()
        try await net.send("select", Network.select, id: "m-77")
        let context = try #require(try await net.callbacks().first?.body["context"])
        #expect(context["message_id"]?.string == "m-77")
        #expect(context["transaction_id"]?.string == "t-1")
        #expect(context["domain"]?.string == "ev-charging:uei")
        #expect(context["bpp_id"]?.string == "bpp.example.org")
        #expect(context["location"] == ["city": ["code": "std:011"]])
    }

    @Test func `takes a message id once`() async throws {
        let net = try await Network()
        _ = try await net.book()
        #expect(
            try await net.send("update", Network.update("start-charging"), id: "m-5").status == 200)
        #expect(
            try await net.send("update", Network.update("start-charging"), id: "m-5").status == 200)
        #expect(try await net.cpo.commands.list().count == 1)
        _ = try await net.begin()
        #expect(try await net.callbacks().count == 1)
    }

    @Test func `belongs to its app alone`() async throws {
        let net = try await Network()
        let id = try await net.book()
        for (action, message) in [
            ("status", ["order_id": .string(id)] as JSONValue),
            ("track", ["order_id": .string(id)]),
            ("cancel", ["order_id": .string(id), "cancellation_reason_id": "4"]),
            ("update", Network.update("start-charging")),
            ("confirm", Network.confirm()),
            ("rating", ["ratings": [["id": .string(id), "value": "0"]]]),
        ] {
            let answer = try await net.ask(action, message, app: net.rival)
            #expect(answer?.error == (action == "rating" ? "30014" : "30010"), "\(action)")
            #expect(answer?.order == nil)
        }
        #expect(try await net.door.order(id)?.state == .confirmed)
        #expect(try await net.cpo.commands.list().isEmpty)
    }

    @Test func `keeps the plug from others`() async throws {
        let net = try await Network()
        _ = try await net.ask("select", Network.select, transaction: "t-2", app: net.rival)
        _ = try await net.ask("init", Network.initialise, transaction: "t-2", app: net.rival)
        _ = try await net.book()
        let late = try await net.ask(
            "confirm", Network.confirm(), transaction: "t-2", app: net.rival)
        #expect(late?.error == "40002")
        let again = try await net.ask(
            "select", Network.select, transaction: "t-3", app: net.rival)
        #expect(again?.error == "40002")
    }

    @Test func `is refunded when the station refuses or is not there`() async throws {
        let net = try await Network()
        let id = try await net.book()
        let at = net.clock.now
        try await net.cpo.write { transaction in
            try net.cpo.stations.allDetached(at: at, in: transaction)
        }
        try await net.send("update", Network.update("start-charging"))
        let answers = try await net.callbacks()
        #expect(answers.map(\.action) == ["on_update", "on_cancel"])
        #expect(answers.first?.error == "40006")
        #expect(answers.first?.messageID != answers.last?.messageID)
        #expect(answers.last?.order?["status"]?.string == "CANCELLED")
        #expect(answers.last?.order?["quote"]?["price"]?["value"]?.string == "0.00")
        #expect(answers.last?.order?["cancellation"]?["cancelled_by"]?.string == "PROVIDER")
        #expect(try await net.door.order(id)?.refund?.amount == Decimal("212.40"))
    }

    @Test func `is cancelled and refunded when the driver does not come`() async throws {
        let net = try await Network { $0.cancellationFeePercent = 10 }
        _ = try await net.book()
        net.clock.advance(milliseconds: 899_000)
        try await net.door.tick()
        #expect(try await net.callbacks().isEmpty)
        net.clock.advance(milliseconds: 1_000)
        try await net.door.tick()
        let gone = try #require(try await net.callbacks().last)
        #expect(gone.action == "on_cancel")
        #expect(gone.order?["quote"]?["price"]?["value"]?.string == "21.24")
        #expect(gone.order?["refund_terms"]?[0]?["refund_amount"]?["value"]?.string == "191.16")
    }

    @Test func `ends in time when the station never starts`() async throws {
        let net = try await Network()
        _ = try await net.book()
        try await net.send("update", Network.update("start-charging"))
        net.clock.advance(milliseconds: 120_000)
        try await net.door.tick()
        #expect(try await net.callbacks().map(\.action) == ["on_update", "on_cancel"])
        let transaction = try await net.begin()
        _ = try await net.callbacks()
        #expect(try await net.command()?.command == .stop(.number(transaction)))
    }

    @Test func `may be cancelled before it starts`() async throws {
        let net = try await Network()
        let id = try await net.book()
        let gone = try await net.ask(
            "cancel", ["order_id": .string(id), "cancellation_reason_id": "4"])
        #expect(gone?.action == "on_cancel")
        #expect(gone?.order?["cancellation"]?["cancelled_by"]?.string == "CONSUMER")
        let late = try await net.ask("update", Network.update("start-charging"))
        #expect(late?.error == "50002")
    }

    @Test func `that cannot be had is refused by callback`() async throws {
        let net = try await Network()
        var other = Network.select
        other["order"]?["items"] = [["id": "no-such"]]
        #expect(try await net.ask("select", other)?.error == "30004")
        _ = try await net.apply(
            .statusChanged(StatusReport(connector: 1, status: .faulted, at: net.clock.now)))
        #expect(try await net.ask("select", Network.select)?.error == "40002")
        #expect(try await net.ask("init", Network.initialise)?.error == "30010")
        #expect(try await net.ask("status", ["order_id": "o"])?.error == "30010")
    }

    @Test func `shows what the house knows in the list of orders`() async throws {
        let net = try await Network()
        let id = try await net.book()
        var other = Network.select
        other["order"]?["items"] = [["id": "E-2:1"]]
        _ = try await net.ask("select", other, transaction: "t-9")
        let detail = try #require(try await net.door.orderDetail(id))
        #expect(detail["state"]?.string == "confirmed")
        #expect(
            detail["callbacks"]?.array?.compactMap { $0["action"]?.string }
                == ["on_select", "on_init", "on_confirm"])
        #expect(try await net.door.orderDetail("none") == nil)
        let list = try await net.door.orders(limit: 1)
        #expect(list["items"]?.array?.count == 1)
        let cursor = try #require(list["nextCursor"]?.string)
        let rest = try await net.door.orders(cursor: cursor)
        #expect(rest["items"]?.array?.count == 1)
        #expect(rest["nextCursor"] == nil)
        #expect(!list.text.contains("Asha"))
    }
}
