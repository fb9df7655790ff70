import CPO
import Charging
import Crypto
import JSON
import SQL
import Service
import Web

extension Console {
    var partnerRoutes: [APIRoute] {
        var routes: [APIRoute] = []
        if let partners = connections.partners {
            routes.append(
                APIRoute(
                    method: "GET", path: "/ocpi/parties", need: .role(.viewer),
                    summary: "Partners over OCPI"
                ) { _ in .page(try await partners(), next: nil) })
        }
        if let invite = connections.invite {
            routes.append(
                APIRoute(
                    method: "POST", path: "/ocpi/parties", need: .role(.admin),
                    summary: "Invites a partner, or registers with one that invited us",
                    body:
                        "{\"name\"}: token and address for its side, shown this once; {\"name\", \"versionsURL\", \"token\"}: its own"
                ) { request in
                    let body = try request.object(only: ["name", "versionsURL", "token"])
                    guard let name = body["name"]?.string, (1...100).contains(name.utf8.count)
                    else { throw APIProblem.field("name", "must be 1 to 100 characters") }
                    let partner: JSONValue
                    if body["versionsURL"] != nil || body["token"] != nil {
                        partner = try await self.register(name, body)
                    } else {
                        partner = try await invite(name)
                    }
                    try await self.house.write { transaction in
                        try self.audit.note(request.caller, "ocpi.invite", name, in: transaction)
                    }
                    return .json(partner, status: 201, headers: ["Cache-Control": "no-store"])
                })
        }
        routes += connectionRoutes
        if let orders = connections.orders {
            routes.append(
                APIRoute(
                    method: "GET", path: "/beckn/orders", need: .role(.viewer),
                    summary: "Orders over Beckn, newest first", query: [.limit, .cursor]
                ) { request in
                    let found = try await orders(
                        request.http.query("cursor"), min(200, try request.limit()))
                    return .page(
                        found["items"]?.array ?? [], next: found["nextCursor"]?.string)
                })
        }
        if let order = connections.order {
            routes.append(
                APIRoute(
                    method: "GET", path: "/beckn/orders/{id}", need: .role(.viewer),
                    summary: "One order"
                ) { request in
                    let id = request[parameter: "id"]
                    guard let found = try await order(id) else {
                        throw APIProblem.notFound("order", id)
                    }
                    return .json(found)
                })
        }
        return routes
    }

    /// What changes a connection that stands.
    private var connectionRoutes: [APIRoute] {
        let actions:
            [(String, String, String, String, (@Sendable (String) async throws -> Bool)?)] = [
                (
                    "POST", "/ocpi/parties/{id}/rotate", "ocpi.rotate",
                    "New tokens in both directions", connections.rotate
                ),
                (
                    "DELETE", "/ocpi/parties/{id}", "ocpi.dismiss",
                    "Ends the connection in both directions", connections.dismiss
                ),
            ]
        return actions.compactMap { method, path, deed, summary, action in
            guard let action else { return nil }
            return APIRoute(method: method, path: path, need: .role(.admin), summary: summary) {
                request in
                let id = request[parameter: "id"]
                do {
                    guard try await action(id) else { throw APIProblem.notFound("partner", id) }
                } catch let error as BadValue {
                    throw APIProblem(502, "the partner did not take it", detail: error.detail)
                }
                try await self.house.write { transaction in
                    try self.audit.note(request.caller, deed, id, in: transaction)
                }
                return .noContent
            }
        }
    }

    private func register(_ name: String, _ body: JSONValue) async throws -> JSONValue {
        guard let register = connections.register else {
            throw APIProblem(501, "not built in", detail: "partners are invited only")
        }
        guard let url = body["versionsURL"]?.string else {
            throw APIProblem.field("versionsURL", "must be the partner's versions address")
        }
        guard let token = body["token"]?.string, (1...64).contains(token.utf8.count) else {
            throw APIProblem.field("token", "must be the 1 to 64 characters the partner gave")
        }
        do {
            return try await register(name, url, token)
        } catch let error as BadValue {
            throw APIProblem.field(error.field, error.detail)
        }
    }
}
