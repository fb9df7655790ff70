import CPO
import Charging
import JSON
import SQL
import Service
import Web

extension Console {
    var siteRoutes: [APIRoute] {
        [
            APIRoute(
                method: "GET", path: "/sites", need: .role(.viewer),
                summary: "Sites whose current is shared among their connectors"
            ) { _ in .page(self.house.sites.all().map(\.json), next: nil) },
            APIRoute(
                method: "GET", path: "/sites/{id}", need: .role(.viewer),
                summary: "A site's fuses and connectors; `state` says what flows and what is given",
                handler: site),
            APIRoute(
                method: "PUT", path: "/sites/{id}", need: .role(.admin),
                summary: "Puts a site; connectors left out are given free",
                body: """
                    {"timeZone", "volts", "nodes": [{"id", "parent", "amperes" (a number or L1, L2, \
                    L3), "watts", "windows": [{"days", "from", "until", "amperes", "watts"}]}], \
                    "connectors": [{"station", "connector", "node", "wiring", "amperes", \
                    "minimumAmperes", "offlineAmperes", "priority", "unit"}]}
                    """, handler: putSite),
            APIRoute(
                method: "DELETE", path: "/sites/{id}", need: .role(.admin),
                summary: "Ends the sharing: stations are told to forget its limits",
                handler: deleteSite),
            limitRoute("PUT"), limitRoute("POST"),
            APIRoute(
                method: "DELETE", path: "/sites/{id}/nodes/{node}/limit", need: .role(.operator),
                summary: "Takes limits on a node away",
                query: [.init(name: "source", about: "of this source only")], handler: unlimit),
        ]
    }

    private func limitRoute(_ method: String) -> APIRoute {
        APIRoute(
            method: method, path: "/sites/{id}/nodes/{node}/limit", need: .role(.operator),
            summary: "Limits a node for a while; it ends by itself",
            body: """
                {"amperes" (a number or L1, L2, L3) or "watts", "validTo", "validFrom", "source"}; \
                the same source again replaces its limit
                """, handler: limitNode)
    }

    private func site(_ request: APIRequest) async throws -> HTTPResponse {
        let id = request[parameter: "id"]
        guard let tree = house.sites.tree(id) else { throw APIProblem.notFound("site", id) }
        return .json(shape(tree))
    }

    private func shape(_ tree: FuseTree) -> JSONValue {
        var value = tree.json.object ?? [:]
        value["limits"] = .array(
            house.sites.limits(of: tree.id, at: house.clock.now).map(Self.shape))
        value["state"] = house.grid.view(of: tree.id).map(Self.shape) ?? .null
        return .object(value)
    }

    private func putSite(_ request: APIRequest) async throws -> HTTPResponse {
        let id = request[parameter: "id"]
        guard (1...36).contains(id.utf8.count), id.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else {
            throw APIProblem.field("id", "must be 1 to 36 printable characters")
        }
        let body = try request.object()
        let now = house.clock.now
        try SiteBody.refuseStrangers(body)
        let tree = try await checked {
            let wanted = try FuseTree(json: body, id: id)
            return try await self.house.write { transaction in
                let tree = try self.house.sites.put(wanted, at: now, in: transaction)
                try self.audit.note(request.caller, "site.put", id, body, in: transaction)
                return tree
            }
        }
        return .json(shape(tree))
    }

    private func deleteSite(_ request: APIRequest) async throws -> HTTPResponse {
        let id = request[parameter: "id"]
        let now = house.clock.now
        let found = try await house.write { transaction in
            try self.audit.note(request.caller, "site.delete", id, in: transaction)
            return try self.house.sites.remove(id, at: now, in: transaction)
        }
        guard found else { throw APIProblem.notFound("site", id) }
        return .noContent
    }

    private func limitNode(_ request: APIRequest) async throws -> HTTPResponse {
        let (id, node) = (request[parameter: "id"], request[parameter: "node"])
        let body = try request.object()
        try SiteBody.refuseStrangers(ofLimit: body)
        let now = house.clock.now
        guard let until = body["validTo"]?.time else {
            throw APIProblem.field("validTo", "must say until when, like 2026-01-31T12:00:00Z")
        }
        var from = now
        if let member = body["validFrom"], !member.isNull {
            guard let time = member.time else {
                throw APIProblem.field("validFrom", "must be a time like 2026-01-31T12:00:00Z")
            }
            from = time
        }
        let source = body.given("source").map { $0.string ?? "" } ?? request.caller.name
        guard (1...64).contains(source.utf8.count) else {
            throw APIProblem.field("source", "must be a name of 1 to 64 bytes")
        }
        let begin = from
        return try await checked {
            let limit = GridLimit(
                node: node, limit: try FuseTree.Limit(json: body), source: source, from: begin,
                until: until)
            do {
                try await self.house.write { transaction in
                    try self.house.sites.limit(id, limit, at: now, in: transaction)
                    try self.audit.note(
                        request.caller, "site.limit", "\(id)/\(node)", body, in: transaction)
                }
            } catch SiteError.unknown { throw APIProblem.notFound("node", "\(id)/\(node)") }
            return .json(Self.shape(limit))
        }
    }

    private func unlimit(_ request: APIRequest) async throws -> HTTPResponse {
        let (id, node) = (request[parameter: "id"], request[parameter: "node"])
        let source = request.http.query("source")
        let now = house.clock.now
        let found = try await house.write { transaction in
            try self.audit.note(
                request.caller, "site.unlimit", "\(id)/\(node)", in: transaction)
            return try self.house.sites.unlimit(
                id, node: node, source: source, at: now, in: transaction)
        }
        guard found else { throw APIProblem.notFound("limit on the node", "\(id)/\(node)") }
        return .noContent
    }

    /// What the house finds wrong with a member, as the API says it.
    func checked<Value>(_ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch let problem as FuseTreeProblem {
            throw APIProblem.field(problem.field, problem.detail)
        }
    }

    // MARK: Shapes

    private static func shape(_ limit: GridLimit) -> JSONValue {
        var members = limit.limit.members
        members["node"] = .string(limit.node)
        members["source"] = .string(limit.source)
        members["validFrom"] = .time(limit.from)
        members["validTo"] = .time(limit.until)
        return .given(members)
    }

    private static func phases(_ currents: PhaseCurrents) -> JSONValue {
        [
            "L1": .amperes(currents.l1), "L2": .amperes(currents.l2), "L3": .amperes(currents.l3),
        ]
    }

    private static func shape(_ view: GridMachine.View) -> JSONValue {
        [
            "nodes": .array(
                view.nodes.map { node in
                    .members([
                        "id": .string(node.id), "limit": node.limit.phases.map(phases),
                        "limitWatts": node.limit.watts.map { .number($0.value) },
                        "allotted": phases(node.allotted), "counted": phases(node.counted),
                        "measured": phases(node.measured), "over": .bool(node.isOver),
                    ])
                }),
            "connectors": .array(
                view.outlets.map { outlet in
                    .members([
                        "station": .string(outlet.id.station),
                        "connector": .number(outlet.id.connector),
                        "standing": .string(outlet.standing.rawValue),
                        "charging": .bool(outlet.isActive),
                        "targetAmperes": .amperes(outlet.target.milliamperes),
                        "allottedAmperes": outlet.present.map { .amperes($0.milliamperes) },
                        "offlineAmperes": outlet.fallback.map { .amperes($0.milliamperes) },
                        "countedAmperes": .amperes(outlet.counted.milliamperes),
                        "measuredAmperes": outlet.measured.map { currents in
                            .array(currents.map { .amperes($0.milliamperes) })
                        },
                    ])
                }),
        ]
    }
}
