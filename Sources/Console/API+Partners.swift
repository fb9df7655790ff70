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
                    summary: "Invites a partner: token and address for its side, shown this once",
                    body: "{\"name\"}"
                ) { request in
                    guard let name = try request.object()["name"]?.string,
                        (1...100).contains(name.utf8.count)
                    else { throw APIProblem.field("name", "must be 1 to 100 characters") }
                    let invitation = try await invite(name)
                    try await self.house.write { transaction in
                        try self.audit.note(request.caller, "ocpi.invite", name, in: transaction)
                    }
                    return .json(invitation, status: 201, headers: ["Cache-Control": "no-store"])
                })
        }
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
}
