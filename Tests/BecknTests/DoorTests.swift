import CPO
import Charging
import JSON
import TestSupport
import Testing
import Web

@testable import Beckn

@Suite struct `A booking` {
    @Test func `goes from search to receipt, and every sum agrees`() async throws {
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
        _ = try await net.book()
        _ = try await net.ask("select", Network.select, transaction: "t-9", app: net.app)
        let list = try await net.door.orders(limit: 1)
        #expect(list["items"]?.array?.count == 1)
        #expect(!list.text.contains("Asha"))
    }
}

@Suite struct `The door of Beckn` {
    private func track(_ url: String) -> HTTPRequest {
        let parts = url.split(separator: "?")
        let items = (parts.last ?? "").split(separator: "&").map { pair in
            let sides = pair.split(separator: "=", maxSplits: 1).map(String.init)
            return HTTPRequest.QueryItem(name: sides[0], value: sides[1])
        }
        let id = parts.first?.split(separator: "/").last.map(String.init) ?? ""
        return HTTPRequest(
            path: "/beckn/track/\(id)", pathParameters: ["order": id], queryItems: items)
    }

    @Test func `shows a charge to who has the link, until it expires`() async throws {
        let net = try await Network()
        let id = try await net.book()
        let answer = try await net.ask("track", ["order_id": .string(id)])
        let url = try #require(answer?.body["message"]?["tracking"]?["url"]?.string)
        #expect(url.hasPrefix("https://bpp.example.org/beckn/track/\(id)?until="))
        #expect(await net.door.trackPage(track(url)).status == 200)
        #expect(await net.door.trackPage(track(url + "x")).status == 404)
        #expect(await net.door.trackPage(track(url.replacing(id, with: "other"))).status == 404)
        net.clock.advance(milliseconds: 6 * 3_600_000)
        #expect(await net.door.trackPage(track(url)).status == 410)
    }

    @Test func `believes nobody without a good signature`() async throws {
        let net = try await Network()
        let body = Array("{}".utf8)
        let bare = await net.door.answer(
            try net.request("search", body, headers: ["Authorization": "Basic x"]))
        #expect(bare.status == 401)
        #expect(bare.headers["WWW-Authenticate"]?.contains("bpp.example.org") == true)
        // Signed well, but in another's name.
        let json: JSONValue = [
            "context": Network.context(
                "status", app: net.app, transaction: "t", message: "m", at: net.clock.now),
            "message": ["order_id": "o"],
        ]
        #expect(try await net.post("status", json.encoded(), app: net.rival).status == 401)
        #expect(try await net.callbacks().isEmpty)
    }

    @Test(
        arguments: [
            ("bap_id", nil, "$.context.bap_id"),
            ("message_id", "", "$.context.message_id"),
            ("transaction_id", nil, "$.context.transaction_id"),
            ("timestamp", "yesterday", "$.context.timestamp"),
            ("timestamp", "2020-01-01T00:00:00Z", "$.context.timestamp"),
            ("timestamp", "2099-01-01T00:00:00Z", "$.context.timestamp"),
            ("ttl", "soon", "$.context.ttl"),
            ("domain", "nic2004:60212", "$.context.domain"),
            ("version", "2.0.0", "$.context.version"),
            ("action", "search", "$.context.action"),
            ("bap_uri", "https://evil.example.org", "$.context.bap_uri"),
            ("bap_uri", "http://bap.example.org", "$.context.bap_uri"),
            ("bpp_id", "another.bpp", "$.context.bpp_id"),
        ] as [(String, String?, String)])
    func `refuses a wrong context with its path`(
        field: String, value: String?, path: String
    ) async throws {
        let net = try await Network()
        var context = Network.context(
            "select", app: net.app, transaction: "t", message: "m", at: net.clock.now)
        context[field] = value.map { .string($0) }
        let json: JSONValue = ["context": context, "message": Network.select]
        let answer = try await net.post("select", json.encoded())
        #expect(answer.status == 400)
        #expect(answer.body["message"]?["ack"]?["status"]?.string == "NACK")
        #expect(answer.body["error"]?["paths"]?.string == path)
        #expect(answer.body["error"]?["code"]?.string == "30000")
    }

    @Test(
        arguments: [
            ("select", [:] as JSONValue, "$.message.order"),
            ("select", ["order": [:]], "$.message.order.items"),
            ("select", ["order": ["items": []]], "$.message.order.items[0]"),
            ("select", ["order": ["items": [["quantity": [:]]]]], "$.message.order.items[0].id"),
            (
                "select",
                [
                    "order": [
                        "items": [
                            ["id": "x", "quantity": ["selected": ["measure": ["value": "-1"]]]]
                        ]
                    ]
                ], "$.message.order.items[0].quantity.selected.measure.value"
            ),
            ("init", [:], "$.message.order"),
            ("update", ["order": [:]], "$.message.update_target"),
            (
                "update", ["update_target": "order.fulfillments[0].state", "order": [:]],
                "$.message.order.fulfillments[0]"
            ),
            ("status", [:], "$.message.order_id"),
            ("track", ["order_id": ["x": 1]], "$.message.order_id"),
            ("rating", [:], "$.message.ratings"),
            ("rating", ["ratings": [["id": "x"]]], "$.message.ratings[0].value"),
            (
                "search",
                ["intent": ["fulfillment": ["stops": [["location": ["gps": "here"]]]]]],
                "$.message.intent.fulfillment.stops[0].location.gps"
            ),
        ] as [(String, JSONValue, String)])
    func `refuses a wrong message with its path`(
        action: String, message: JSONValue, path: String
    ) async throws {
        let net = try await Network()
        let answer = try await net.send(action, message)
        #expect(answer.status == 400)
        #expect(answer.body["error"]?["paths"]?.string == path)
        #expect(try await net.callbacks().isEmpty)
    }

    @Test func `knows its actions and takes no endless body`() async throws {
        let net = try await Network()
        #expect(try await net.post("dance", Array("{}".utf8)).status == 404)
        #expect(
            try await net.post("search", [UInt8](repeating: 0x20, count: 300_000)).status == 413)
        #expect(try await net.post("search", Array("{".utf8)).status == 400)
    }

    @Test func `answers with nothing to offer, and asks for reasons`() async throws {
        let net = try await Network()
        let nowhere = try await net.ask(
            "search", ["intent": ["fulfillment": ["stops": [["location": ["gps": "0,0"]]]]]])
        #expect(nowhere?.body["message"]?["catalog"]?["providers"] == [])
        let reasons = try await net.ask("get_cancellation_reasons", [:])
        #expect(reasons?.action == "cancellation_reasons")
        #expect(reasons?.body["message"]?["cancellation_reasons"]?.array?.count == 5)
        let support = try await net.ask("support", ["support": ["ref_id": "o"]])
        #expect(support?.body["message"]?["support"]?["ref_id"]?.string == "o")
    }
}
