import CPO
import JSON
import SQL
import Service
import Web

extension Console {
    var alertRoutes: [APIRoute] {
        guard connections.alerts != nil else { return [] }
        return [
            APIRoute(
                method: "GET", path: "/alerts", need: .role(.viewer),
                summary: "What a person should know, newest first",
                query: [
                    .init(name: "state", about: "`open` leaves out what is over"), .limit, .cursor,
                ], handler: alertPage),
            APIRoute(
                method: "POST", path: "/alerts/{id}/acknowledgement", need: .role(.operator),
                summary: "Takes note of an alert: nothing more about it is sent",
                handler: acknowledgeAlert),
        ]
    }

    private func alertPage(_ request: APIRequest) async throws -> HTTPResponse {
        guard let alerts = connections.alerts else { throw APIProblem(404, "not found") }
        let limit = try request.limit()
        let onlyOpen: Bool
        switch request.http.query("state") {
        case nil, "": onlyOpen = false
        case "open": onlyOpen = true
        default: throw APIProblem.field("state", "must be open, or left out")
        }
        let found = try await alerts(
            onlyOpen, try request.before(), limit)
        return .page(found, next: found.count == limit ? found.last?["id"]?.number?.text : nil)
    }

    private func acknowledgeAlert(_ request: APIRequest) async throws -> HTTPResponse {
        let text = request[parameter: "id"]
        guard let acknowledge = connections.acknowledgeAlert, let id = Int64(text) else {
            throw APIProblem.notFound("alert", text)
        }
        let now = house.clock.now
        let found = try await house.write { transaction in
            let found = try acknowledge(id, request.caller.name, now, transaction)
            if found {
                try self.audit.note(request.caller, "alert.acknowledge", text, in: transaction)
            }
            return found
        }
        guard found else { throw APIProblem.notFound("alert", text) }
        return .noContent
    }
}
