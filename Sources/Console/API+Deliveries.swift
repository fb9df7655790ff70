import CPO
import Charging
import JSON
import SQL
import Service
import Web

// What partners did not take: tried once more, or let go because a person settled it otherwise.
extension Console {
    var deliveryRoutes: [APIRoute] {
        [
            APIRoute(
                method: "GET", path: "/deliveries", need: .role(.viewer),
                summary: "What partners did not take and was set aside, newest first",
                query: [.limit], handler: deliveryPage),
            APIRoute(
                method: "POST", path: "/deliveries/{id}/retry", need: .role(.operator),
                summary: """
                    Tries it once more, at once; a refusal sets it aside again with the new reason. 409 \
                    where its partner is gone
                    """, handler: retryDelivery),
            APIRoute(
                method: "POST", path: "/deliveries/{id}/dismissal", need: .role(.operator),
                summary: "Lets it go: it was settled otherwise, and its partner never gets it",
                body: "{\"reason\": TEXT}", handler: dismissDelivery),
        ]
    }

    private func deliveryPage(_ request: APIRequest) async throws -> HTTPResponse {
        let limit = try request.limit()
        let found = try await house.read { [house] transaction in
            try house.deliveries.stuck(limit: limit, in: transaction)
        }
        var items: [JSONValue] = []
        for one in found { items.append(try await shape(one)) }
        return .page(items, next: nil)
    }

    /// With the amount at stake where it is a bill.
    private func shape(_ one: StuckDelivery) async throws -> JSONValue {
        var cost: JSONValue?
        if one.kind == JournalLine.Kind.cdrCreated.rawValue {
            cost = try await house.cdrs.cdr(one.subject).map { Shape.cost($0.cost) }
        }
        return .members([
            "id": .string(one.id),
            "partner": house.deliveries.partner(of: one.reader).map { .string($0) },
            "reader": .string(one.reader), "kind": .string(one.kind),
            "subject": .string(one.subject), "at": .time(one.at), "reason": .string(one.reason),
            "isAsked": .bool(one.isAsked), "cost": cost,
        ])
    }

    private func retryDelivery(_ request: APIRequest) async throws -> HTTPResponse {
        let (id, now) = (request[parameter: "id"], house.clock.now)
        let outcome = try await house.write { [house] transaction in
            let outcome = try house.deliveries.retry(id, at: now, in: transaction)
            if outcome == .asked {
                try self.audit.note(request.caller, "delivery.retry", id, in: transaction)
            }
            return outcome
        }
        switch outcome {
        case .asked:
            house.deliveries.wake()
            return .noContent
        case .nobodyReads:
            throw APIProblem(
                409, "the partner is gone",
                detail: "settle it with the partner by hand, then dismiss it")
        case .overtaken:
            throw APIProblem(
                409, "something newer was told since",
                detail: "what it says is out of date; dismiss it")
        case nil: throw APIProblem.notFound("delivery", id)
        }
    }

    private func dismissDelivery(_ request: APIRequest) async throws -> HTTPResponse {
        let id = request[parameter: "id"]
        let reason = try Self.reason(try request.object(only: ["reason"]))
        let found = try await house.write { [house] transaction in
            let found = try house.deliveries.dismiss(id, in: transaction)
            if found {
                try self.audit.note(
                    request.caller, "delivery.dismiss", id, ["reason": .string(reason)],
                    in: transaction)
            }
            return found
        }
        guard found else { throw APIProblem.notFound("delivery", id) }
        return .noContent
    }
}
