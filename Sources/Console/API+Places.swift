import CPO
import Charging
import Crypto
import JSON
import SQL
import Service
import Web

extension Console {
    /// Of a location's tariffs that stand in an audit line.
    private static let mostTariffsNoted = 20
    /// Of the plugs that keep a tariff from being deleted.
    private static let mostPlugsNamed = 5

    /// A value another door could not read.
    package struct BadValue: Error, Sendable {
        package var field: String
        package var detail: String

        package init(field: String, detail: String) {
            self.field = field
            self.detail = detail
        }
    }

    var placeRoutes: [APIRoute] {
        var routes: [APIRoute] = []
        if let shape = connections.location { routes += locationRoutes(shape) }
        if let shape = connections.tariff { routes += tariffRoutes(shape) }
        if let shape = connections.token { routes += tokenRoutes(shape) }
        return routes
    }

    private func locationRoutes(_ shape: @escaping @Sendable (Location) -> JSONValue) -> [APIRoute]
    {
        [
            APIRoute(
                method: "GET", path: "/locations", need: .role(.viewer),
                summary: "Places as OCPI has them"
            ) { _ in
                .page(self.house.locations.all().map { self.tied($0, shape) }, next: nil)
            },
            APIRoute(
                method: "GET", path: "/locations/{id}", need: .role(.viewer), summary: "One place"
            ) { request in
                let id = request[parameter: "id"]
                guard let location = self.house.locations.location(id) else {
                    throw APIProblem.notFound("location", id)
                }
                return .json(self.tied(location, shape))
            },
            APIRoute(
                method: "PUT", path: "/locations/{id}", need: .role(.admin),
                summary: "Puts a place; EVSEs left out become REMOVED",
                query: [
                    .init(
                        name: "move",
                        about: "true: plugs that stand in other places move to this one")
                ],
                body: "an OCPI Location; an EVSE also has `station` and `station_connector`"
            ) { request in
                let now = self.house.clock.now
                let location = try LocationBody(self.house, at: now).read(
                    try request.object(), id: request[parameter: "id"])
                try LocationBody.refuseHalfTies(location)
                let isMove = try request.flag("move")
                do {
                    try await self.house.write { transaction in
                        if isMove {
                            try self.house.locations.takeTies(
                                of: location, at: now, in: transaction)
                        }
                        try self.house.locations.refuseTwice(location)
                        try self.house.locations.put(location, at: now, in: transaction)
                        try self.audit.note(
                            request.caller, "location.put", location.id, Self.noted(location),
                            in: transaction)
                    }
                } catch let problem as LocationError {
                    throw APIProblem.field("evses", "\(problem)")
                }
                return .json(
                    self.tied(self.house.locations.location(location.id) ?? location, shape))
            },
            APIRoute(
                method: "DELETE", path: "/locations/{id}", need: .role(.admin),
                summary: "Takes a place out of service: its EVSEs become REMOVED"
            ) { request in
                let id = request[parameter: "id"]
                let now = self.house.clock.now
                let found = try await self.house.write { transaction in
                    try self.audit.note(request.caller, "location.delete", id, in: transaction)
                    return try self.house.locations.retire(id, at: now, in: transaction)
                }
                guard found else { throw APIProblem.notFound("location", id) }
                return .noContent
            },
        ]
    }

    /// How many plugs it has and what they are sold under.
    private static func noted(_ location: Location) -> JSONValue {
        let tariffs = Set(location.evses.flatMap { $0.connectors.flatMap(\.tariffIDs) }).sorted()
        return [
            "evses": .number(location.evses.count),
            "tariffs": .array(tariffs.prefix(mostTariffsNoted).map { .string($0) }),
        ]
    }

    /// As partners see it, and with the station behind each EVSE: what is got can be changed and put again.
    private func tied(
        _ location: Location, _ shape: @Sendable (Location) -> JSONValue
    ) -> JSONValue {
        var value = shape(location)
        guard var evses = value["evses"]?.array, evses.count == location.evses.count else {
            return value
        }
        for (index, evse) in location.evses.enumerated() {
            // Left out it would mean what every charger can.
            if evse.capabilities.isEmpty { evses[index]["capabilities"] = [] }
            evses[index]["station"] = evse.station.map { .string($0) }
            evses[index]["station_connector"] = evse.stationConnector.map { .number($0) }
        }
        value["evses"] = .array(evses)
        return value
    }

    private func tariffRoutes(_ shape: @escaping @Sendable (Tariff) -> JSONValue) -> [APIRoute] {
        [
            APIRoute(
                method: "GET", path: "/tariffs", need: .role(.viewer),
                summary: "Tariffs as OCPI has them"
            ) { _ in .page(self.house.tariffs.all().map(shape), next: nil) },
            APIRoute(
                method: "GET", path: "/tariffs/{id}", need: .role(.viewer), summary: "One tariff"
            ) { request in
                let id = request[parameter: "id"]
                guard let tariff = self.house.tariffs.tariff(id) else {
                    throw APIProblem.notFound("tariff", id)
                }
                return .json(shape(tariff))
            },
            APIRoute(
                method: "PUT", path: "/tariffs/{id}", need: .role(.admin),
                summary: "Puts a tariff; running sessions keep the one they began under",
                body: "an OCPI Tariff"
            ) { request in
                let id = request[parameter: "id"]
                let now = self.house.clock.now
                let body = try self.own(request, "id", id, at: now)
                try TariffBody.refuseStrangers(body)
                let tariff = try self.read(body, self.connections.readTariff)
                try await self.house.write { transaction in
                    try self.house.tariffs.put(tariff, at: now, in: transaction)
                    try self.audit.note(request.caller, "tariff.put", id, body, in: transaction)
                }
                return .json(shape(self.house.tariffs.tariff(id) ?? tariff))
            },
            APIRoute(
                method: "DELETE", path: "/tariffs/{id}", need: .role(.admin),
                summary: "Ends a tariff no plug is sold under; sessions and bills keep their copy"
            ) { request in
                let id = request[parameter: "id"]
                let now = self.house.clock.now
                let found = try await self.house.write { transaction in
                    try self.refuseEnding(ofSold: id)
                    try self.audit.note(request.caller, "tariff.delete", id, in: transaction)
                    return try self.house.tariffs.delete(id, at: now, in: transaction)
                }
                guard found else { throw APIProblem.notFound("tariff", id) }
                return .noContent
            },
        ]
    }

    private func refuseEnding(ofSold tariff: String) throws(APIProblem) {
        let plugs = house.locations.plugs(soldUnder: tariff)
        guard !plugs.isEmpty else { return }
        throw APIProblem(
            409, "plugs are sold under it",
            detail: """
                \(plugs.prefix(Self.mostPlugsNamed).joined(separator: ", "))\
                \(plugs.count > Self.mostPlugsNamed ? " and others" : ""): charges there would cost nothing. \
                Put their locations with another tariff first
                """)
    }

    /// The body with our party where it does not say, the id of the path and the present time.
    func own(
        _ request: APIRequest, _ key: String, _ id: String, at now: Timestamp
    ) throws -> JSONValue {
        var body = try request.object()
        let party = house.settings.party
        if body["country_code"] == nil { body["country_code"] = .string(party.country) }
        if body["party_id"] == nil { body["party_id"] = .string(party.party) }
        body[key] = .string(id)
        body["last_updated"] = .time(now)
        return body
    }

    func read<Value>(
        _ body: JSONValue, _ reader: (@Sendable (JSONValue) throws -> Value)?
    ) throws -> Value {
        guard let reader else { throw APIProblem(404, "not found") }
        do {
            return try reader(body)
        } catch let bad as BadValue {
            throw APIProblem.field(bad.field, bad.detail)
        }
    }
}
