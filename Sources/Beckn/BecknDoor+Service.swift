import CPO
import Charging
import Crypto
import JSON
import SQL
import Service
import Web

// Track, rating, support and the lists of reasons.
extension BecknDoor {
    /// How long a track link works.
    static let trackSeconds: Int64 = 6 * 3600

    func track(
        _ id: String, _ context: BecknContext, _ now: Timestamp, _ transaction: Transaction
    ) throws {
        guard let order = try store.order(id, context, in: transaction).map(fresh) else {
            let error = BecknError(.orderUnknown, "no such order")
            return try reply(.onTrack, context, error: error, now, transaction)
        }
        let isActive = order.state == .charging || order.state == .stopping
        var tracking: JSONValue = [
            "id": .string(order.id), "status": isActive ? "active" : "inactive",
            "url": .string(try trackURL(order, now)),
        ]
        tracking["location"] = ["gps": .string(order.offer.gps)]
        try reply(.onTrack, context, ["tracking": tracking], now, transaction)
    }

    private func trackURL(_ order: Order, _ now: Timestamp) throws -> String {
        let until = now.advanced(bySeconds: Self.trackSeconds).milliseconds / 1000
        let code = try identity.seal("\(order.id)|\(until)")
        var base = settings.subscriberURL
        while base.hasSuffix("/") { base.removeLast() }
        return "\(base)/track/\(order.id)?until=\(until)&code=\(code)"
    }

    /// The live figures behind a link from on_track: sealed, expiring, without names.
    func trackPage(_ request: HTTPRequest) async -> HTTPResponse {
        let id = request[parameter: "order"]
        let until = request.query("until").flatMap { Int64($0) } ?? 0
        do {
            guard
                constantTimeEqual(
                    try identity.seal("\(id)|\(until)"), request.query("code") ?? "")
            else { return .problem(404, "not found") }
            guard clock.now.milliseconds / 1000 < until else {
                return .problem(410, "the link has expired")
            }
            guard let order = try await order(id) else { return .problem(404, "not found") }
            return .json(live(fresh(order)), headers: ["Cache-Control": "no-store"])
        } catch {
            log.error("track page failed", ["error": LogError(error)])
            return .problem(503, "not now")
        }
    }

    private func live(_ order: Order) -> JSONValue {
        let delivery = order.delivery
        return .members([
            "currency": .string(order.quote.currency),
            "cost": (delivery?.cost).map { .string($0.rounded(to: digits).description) },
            "energyKWh": delivery.map {
                .string(WattHours($0.energyWh).kilowattHours.reduced.description)
            },
            "endedAt": (delivery?.endedAt).map { .time($0) },
            "powerW": (delivery?.powerWatts).map { .number($0) },
            "startedAt": delivery.map { .time($0.startedAt) },
            "state": .string(order.state.rawValue), "updatedAt": .time(order.updatedAt),
        ])
    }

    // MARK: Rating and support

    func rate(
        _ ratings: [BecknRequest.Rating], _ context: BecknContext, _ now: Timestamp,
        _ transaction: Transaction
    ) throws {
        if let error = try flaw(of: ratings, context, transaction) {
            return try reply(.onRating, context, error: error, now, transaction)
        }
        let order = try store.order(nil, context, in: transaction)?.id
        for rating in ratings {
            try transaction.execute(
                """
                INSERT INTO beckn_rating (bap_id, order_id, rated_id, category, value, at)
                VALUES (?, ?, ?, ?, ?, ?)
                """, context.bapID, order, rating.id, rating.category, rating.value, now)
        }
        try reply(.onRating, context, [:], now, transaction)
    }

    private func flaw(
        of ratings: [BecknRequest.Rating], _ context: BecknContext, _ transaction: Transaction
    ) throws -> BecknError? {
        for rating in ratings {
            guard BecknRequest.categories.contains(where: { $0.folded == rating.category.folded })
            else { return BecknError(.ratingNotSupported, "\(rating.category) is not rated here") }
            guard let value = Wire(.string(rating.value)).decimal, value >= .zero,
                value <= Decimal(5)
            else { return BecknError(.ratingWrong, "a rating is 0 to 5") }
            if rating.category.folded == "order",
                try store.order(rating.id, context, in: transaction) == nil
            {
                return BecknError(.ratedEntityUnknown, "no such order")
            }
        }
        return nil
    }

    func support(
        _ reference: String?, _ text: String, _ context: BecknContext, _ now: Timestamp,
        _ transaction: Transaction
    ) throws {
        let ticket = UUID4.make()
        try transaction.execute(
            """
            INSERT INTO beckn_ticket (id, bap_id, reference, body, state, at)
            VALUES (?, ?, ?, ?, 'open', ?)
            """, ticket, context.bapID, reference, text, now)
        try house.journal.append(
            "beckn.ticket", ticket, ["bap": .string(context.bapID)], at: now, in: transaction)
        try reply(
            .onSupport, context,
            [
                "support": .members([
                    "email": settings.supportEmail.map { .string($0) },
                    "phone": settings.supportPhone.map { .string($0) },
                    "ref_id": .string(reference ?? ticket),
                    "url": settings.supportURL.map { .string($0) },
                ])
            ], now, transaction)
    }

    /// `message` of the meta answers.
    static func reasons(_ callback: BecknCallback) -> JSONValue {
        switch callback {
        case .cancellationReasons:
            let reasons = [
                "The charger is occupied", "The charger does not work", "The wait is too long",
                "Plans have changed", "Another reason",
            ]
            return [
                "cancellation_reasons": .array(
                    reasons.enumerated().map { index, name in
                        ["descriptor": ["name": .string(name)], "id": .string("\(index + 1)")]
                    })
            ]
        case .ratingCategories:
            return [
                "rating_categories": .array(
                    BecknRequest.categories.map { .string($0) })
            ]
        case .returnReasons: return ["return_reasons": []]
        case .onSearch, .onSelect, .onInit, .onConfirm, .onStatus, .onTrack, .onCancel, .onUpdate,
            .onRating, .onSupport:
            return [:]
        }
    }
}
