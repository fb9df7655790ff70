import Charging
import Crypto
import JSON

/// One driver's way through a Beckn network, step by step: each method sends one request, takes its
/// callback and keeps what the next step needs. Beckn core 1.1, EV conventions of the UEI guide.
package struct Booking: Sendable {
    /// A step whose answer lacks what the next one needs.
    package struct Broken: Error, Sendable, CustomStringConvertible {
        package let description: String
    }

    /// An offer out of a catalogue: one connector and its price.
    package struct Offer: Sendable {
        package let provider: String
        package let item: String
        package let name: String
        package let fulfillment: String
        package let pricePerKWh: String
    }

    package let transaction = UUID4.make()
    private let app: BecknApp
    package private(set) var orderID: String?
    private var offer: Offer?
    private var quantity: JSONValue = .null
    private var payment: JSONValue = .null

    package init(app: BecknApp) { self.app = app }

    /// Searches around a place for a connector type; gives the offers of all providers.
    package func search(
        latitude: String, longitude: String, radiusKM: Int, connectorType: String
    ) async throws -> [Offer] {
        let message = try await app.call(
            "search", transaction: transaction,
            [
                "intent": [
                    "fulfillment": [
                        "type": "CHARGING",
                        "stops": [
                            [
                                "location": [
                                    "circle": [
                                        "gps": .string("\(latitude),\(longitude)"),
                                        "radius": ["value": .string("\(radiusKM)"), "unit": "km"],
                                    ]
                                ]
                            ]
                        ],
                    ],
                    "item": [
                        "tags": [
                            [
                                "descriptor": ["code": "connector-specifications"],
                                "list": [
                                    [
                                        "descriptor": ["code": "connector-type"],
                                        "value": .string(connectorType),
                                    ]
                                ],
                            ]
                        ]
                    ],
                ]
            ])
        var offers: [Offer] = []
        for provider in message["catalog"]?["providers"]?.array ?? [] {
            for item in provider["items"]?.array ?? [] {
                guard let providerID = provider["id"]?.string, let id = item["id"]?.string else {
                    continue
                }
                offers.append(
                    Offer(
                        provider: providerID, item: id,
                        name: item["descriptor"]?["name"]?.string ?? id,
                        fulfillment: item["fulfillment_ids"]?[0]?.string ?? "",
                        pricePerKWh: item["price"]?["value"]?.string ?? ""))
            }
        }
        return offers
    }

    /// Asks what `kWh` at this offer cost; gives the order with its quote.
    package mutating func select(_ offer: Offer, kWh: String) async throws -> JSONValue {
        self.offer = offer
        quantity = ["selected": ["measure": ["value": .string(kWh), "unit": "kWh"]]]
        return try await order("select", order([:]))
    }

    /// Names the payer; gives the draft with its payment terms.
    package mutating func initialise(name: String, phone: String, email: String) async throws
        -> JSONValue
    {
        let billing: JSONValue = [
            "name": .string(name), "phone": .string(phone), "email": .string(email),
        ]
        let draft = try await order("init", order(["billing": billing]))
        orderID = draft["id"]?.string
        guard let terms = draft["payments"]?[0] else {
            throw Broken(description: "on_init names no payment terms: \(draft.text)")
        }
        payment = terms
        return draft
    }

    /// Pays and confirms; gives the order as it stands then.
    package mutating func confirm(name: String, phone: String, email: String) async throws
        -> JSONValue
    {
        var paid = payment
        paid["status"] = "PAID"
        var parameters = paid["params"] ?? [:]
        parameters["transaction_id"] = .string(UUID4.make())
        paid["params"] = parameters
        let billing: JSONValue = [
            "name": .string(name), "phone": .string(phone), "email": .string(email),
        ]
        let confirmed = try await order(
            "confirm", order(["billing": billing, "payments": [paid]]))
        guard let id = confirmed["id"]?.string else {
            throw Broken(description: "on_confirm carries no order id")
        }
        orderID = id
        return confirmed
    }

    /// `start-charging` or `end-charging`.
    package func update(_ code: String) async throws -> JSONValue {
        try await order(
            "update", try body(code),
            extra: ["update_target": "order.fulfillments[0].state"])
    }

    package func status() async throws -> JSONValue {
        try await app.call("status", transaction: transaction, ["order_id": .string(try id())])[
            "order"] ?? .null
    }

    package func track() async throws -> JSONValue {
        try await app.call("track", transaction: transaction, ["order_id": .string(try id())])[
            "tracking"]
            ?? .null
    }

    package func cancel(reason: String) async throws -> JSONValue {
        try await app.call(
            "cancel", transaction: transaction,
            [
                "order_id": .string(try id()), "cancellation_reason_id": .string(reason),
                "descriptor": ["short_desc": "the driver changed the plan"],
            ])["order"] ?? .null
    }

    package func rate(_ value: Int) async throws -> JSONValue {
        try await app.call(
            "rating", transaction: transaction,
            [
                "ratings": [
                    [
                        "id": .string(try id()), "rating_category": "Order",
                        "value": .string("\(value)"),
                    ]
                ]
            ])
    }

    package func support() async throws -> JSONValue {
        try await app.call(
            "support", transaction: transaction, ["support": ["ref_id": .string(try id())]])[
                "support"]
            ?? .null
    }

    /// The newest `action` of this booking that fits.
    package func next(
        _ action: String, seconds: Int, where fits: @escaping @Sendable (JSONValue) -> Bool
    ) async throws -> JSONValue {
        let message = try await app.next(action, transaction: transaction, seconds: seconds) {
            $0["order"].map(fits) ?? false
        }
        return message["order"] ?? .null
    }

    private func id() throws -> String {
        guard let orderID else { throw Broken(description: "there is no order yet") }
        return orderID
    }

    private func body(_ stateCode: String) throws -> JSONValue {
        [
            "id": .string(try id()),
            "fulfillments": [
                [
                    "id": .string(offer?.fulfillment ?? ""),
                    "state": ["descriptor": ["code": .string(stateCode)]],
                ]
            ],
        ]
    }

    private func order(_ more: [String: JSONValue]) -> JSONValue {
        var order = more
        order["provider"] = ["id": .string(offer?.provider ?? "")]
        order["items"] = [["id": .string(offer?.item ?? ""), "quantity": quantity]]
        order["fulfillments"] = [["id": .string(offer?.fulfillment ?? ""), "type": "CHARGING"]]
        if let orderID { order["id"] = .string(orderID) }
        return .object(order)
    }

    private func order(
        _ action: String, _ order: JSONValue, extra: [String: JSONValue] = [:]
    ) async throws -> JSONValue {
        var message = extra
        message["order"] = order
        let answer = try await app.call(action, transaction: transaction, .object(message))
        guard let order = answer["order"] else {
            throw Broken(description: "on_\(action) carries no order: \(answer.text)")
        }
        return order
    }
}
