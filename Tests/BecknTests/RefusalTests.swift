import CPO
import Charging
import JSON
import SQL
import TestSupport
import Testing
import Web

@testable import Beckn

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

    @Test func `believes a gateway under either header, and its silence is an answer`() async throws
    {
        let net = try await Network()
        let json: JSONValue = [
            "context": Network.context(
                "search", app: net.app, transaction: "t", message: "m", at: net.clock.now),
            "message": ["intent": ["fulfillment": ["stops": [["location": ["gps": "0,0"]]]]]],
        ]
        let body = json.encoded()
        for name in ["X-Gateway-Authorization", "Proxy-Authorization"] {
            var request = try net.request("search", body)
            request.headers.add(name, try net.signature(of: body, by: net.gateway))
            #expect(await net.door.answer(request).status == 200)
            var forged = try net.request("search", body)
            forged.headers.add(name, try net.signature(of: body, by: net.rival))
            #expect(await net.door.answer(forged).status == 401)
        }
        #expect(try await net.callbacks().isEmpty)
    }

    @Test func `forgets message ids after a week`() async throws {
        let net = try await Network()
        try await net.send("search", [:], id: "m-1")
        net.clock.advance(milliseconds: 8 * 86_400_000)
        try await net.door.forget()
        let rows = try await net.cpo.read { try $0.query("SELECT * FROM beckn_request") }
        #expect(rows.isEmpty)
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
