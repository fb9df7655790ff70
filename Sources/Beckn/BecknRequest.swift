import Charging
import JSON

/// A request with everything its handling needs. What is missing or malformed is found here, before the
/// acknowledgement; what is merely impossible is found later and told by callback.
enum BecknRequest: Sendable {
    case search(SearchIntent)
    case select(itemID: String, Quantity?, fulfilment: String)
    case initialise(billing: JSONValue?, customer: JSONValue?, fulfilment: String?)
    case confirm(OrderMachine.PaymentClaim)
    case start(order: String?)
    case end(order: String?)
    case changeRefused(order: String?, BecknError)
    case status(order: String)
    case track(order: String)
    case cancel(order: String, reasonID: String, reason: String)
    case rating([Rating])
    case support(reference: String?, text: String)
    case reasons(BecknCallback)

    struct Rating: Hashable, Sendable {
        var id: String
        var category: String
        var value: String
    }

    static let categories = ["Item", "Order", "Fulfillment", "Provider", "Agent", "Support"]
    static let ratingLimit = 10

    init(_ action: BecknAction, _ json: JSONValue, settings: BecknSettings) throws(BecknError) {
        let root = Wire(json)
        switch action {
        case .getCancellationReasons, .getReturnReasons, .getRatingCategories:
            self = .reasons(action.callback)
        case .search: self = .search(try SearchIntent(of: json, settings: settings))
        case .select: self = try Self.select(try root.require("message").require("order"))
        case .initialise: self = try Self.initialise(try root.require("message").require("order"))
        case .confirm: self = .confirm(try Self.claim(try root.require("message").require("order")))
        case .update: self = try Self.update(try root.require("message"))
        case .status: self = .status(order: try Self.orderID(try root.require("message")))
        case .track: self = .track(order: try Self.orderID(try root.require("message")))
        case .cancel: self = try Self.cancel(try root.require("message"))
        case .rating: self = try Self.rating(try root.require("message"))
        case .support: self = try Self.support(try root.require("message"))
        }
    }

    /// `order_id`; some peers send `ref_id`.
    private static func orderID(_ message: Wire) throws(BecknError) -> String {
        guard let id = message.any("order_id", "ref_id")?.text else {
            throw .field("\(message.path).order_id", "missing")
        }
        return id
    }

    private static func select(_ order: Wire) throws(BecknError) -> BecknRequest {
        let items = try order.require("items")
        guard let item = items.elements.first else { throw .field("\(items.path)[0]", "missing") }
        let fulfilment = order.any("fulfillments", "fulfillment")?.elements.first
        let tags = Tags(order["tags"], item["tags"], fulfilment?["tags"])
        return .select(
            itemID: try item.requireText("id"),
            try Quantity(item: item, fulfilment: fulfilment, tags: tags),
            fulfilment: fulfilment?["id"]?.text ?? "1")
    }

    private static func initialise(_ order: Wire) throws(BecknError) -> BecknRequest {
        let fulfilment = order.any("fulfillments", "fulfillment")?.elements.first
        return .initialise(
            billing: try order["billing"]?.kept(), customer: try fulfilment?["customer"]?.kept(),
            fulfilment: fulfilment?["id"]?.text)
    }

    private static func claim(_ order: Wire) throws(BecknError) -> OrderMachine.PaymentClaim {
        let payment = order.any("payments", "payment")?.elements.first
        let params = payment?["params"]
        if let amount = params?["amount"], amount.decimal == nil {
            throw .field(amount.path, "not a decimal")
        }
        return OrderMachine.PaymentClaim(
            isPaid: payment?["status"]?.text?.folded == "paid", type: payment?["type"]?.text,
            collectedBy: payment?["collected_by"]?.text, amount: params?["amount"]?.decimal,
            currency: params?["currency"]?.text, transactionID: params?["transaction_id"]?.text,
            itemID: order["items"]?.elements.first?["id"]?.text)
    }

    private static func update(_ message: Wire) throws(BecknError) -> BecknRequest {
        let target = try message.requireText("update_target")
        let order = try message.require("order")
        let id = order["id"]?.text
        guard target.folded.contains("fulfillment") else {
            return .changeRefused(
                order: id, BecknError(.updateNotPossible, "\(target) cannot be changed here"))
        }
        guard let fulfilment = order.any("fulfillments", "fulfillment")?.elements.first else {
            throw .field("\(order.path).fulfillments[0]", "missing")
        }
        let state = try fulfilment.require("state")
        guard let code = (state["descriptor"] ?? state).any("code", "name")?.text else {
            throw .field("\(state.path).descriptor.code", "missing")
        }
        switch code.folded {
        case "startcharging": return .start(order: id)
        case "endcharging", "stopcharging": return .end(order: id)
        default:
            return .changeRefused(
                order: id, BecknError(.updateNotPossible, "\(code) is no state to ask for"))
        }
    }

    private static func cancel(_ message: Wire) throws(BecknError) -> BecknRequest {
        let order = try orderID(message)
        // The sandbox stops a running charge this way.
        if message["descriptor"]?["code"]?.text?.folded == "stopcharging" {
            return .end(order: order)
        }
        let descriptor = message["descriptor"]
        return .cancel(
            order: order, reasonID: message["cancellation_reason_id"]?.text ?? "5",
            reason: descriptor?.any("short_desc", "name", "code")?.text ?? "cancelled by the driver"
        )
    }

    private static func rating(_ message: Wire) throws(BecknError) -> BecknRequest {
        let list = try message.require("ratings")
        guard !list.elements.isEmpty else { throw .field("\(list.path)[0]", "missing") }
        var ratings: [Rating] = []
        for rating in list.elements.prefix(ratingLimit) {
            ratings.append(
                Rating(
                    id: try rating.requireText("id"),
                    category: rating["rating_category"]?.text ?? "Order",
                    value: try rating.requireText("value")))
        }
        return .rating(ratings)
    }

    private static func support(_ message: Wire) throws(BecknError) -> BecknRequest {
        let support = message["support"] ?? message
        let kept = try support.kept()
        return .support(reference: support.any("ref_id", "order_id")?.text, text: kept.text)
    }
}
