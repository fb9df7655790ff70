import CPO
import Charging
import Crypto
import JSON
import SQL
import Service
import Web

extension Console {
    var stationRoutes: [APIRoute] {
        var routes = [
            APIRoute(
                method: "GET", path: "/stations", need: .role(.viewer),
                summary: "Stations by id, with status and link", query: [.limit, .cursor],
                handler: stationPage),
            APIRoute(
                method: "GET", path: "/stations/{id}", need: .role(.viewer),
                summary:
                    "One station, with the deviations it showed and its newest security events",
                handler: station),
            APIRoute(
                method: "PUT", path: "/stations/{id}", need: .role(.operator),
                summary: "Registers a station or changes how it is registered",
                body: "{\"registration\": \"Accepted|Pending|Rejected\", \"password\"?}",
                handler: putStation),
            APIRoute(
                method: "DELETE", path: "/stations/{id}", need: .role(.admin),
                summary:
                    "Takes a station out of the registry; its sessions and bills stay. 409 while charges run "
                    + "there or EVSEs are tied to it, unless forced: those are untied and UNKNOWN, and what "
                    + "charges there afterwards has no price",
                query: [.init(name: "force", about: "true: in spite of charges and EVSEs")],
                handler: deleteStation),
        ]
        if connections.enrolStation != nil {
            routes.append(
                APIRoute(
                    method: "POST", path: "/stations/{id}/enrolment", need: .role(.operator),
                    summary: "Takes a station in and makes the one-time code of its board",
                    body: "{\"minutes\"?}", handler: enrolStation))
        }
        if connections.changeStationAccess != nil {
            routes.append(
                APIRoute(
                    method: "PUT", path: "/stations/{id}/access", need: .role(.operator),
                    summary: "Changes how a station proves itself; what is left out stays",
                    body: """
                        {"strict"?, "securityProfile"? 0 to 3, "certificateName"?, "anyUser"?, \
                        "noSubprotocol"? (a handshake that names no version speaks 1.6), "timeZone"? (for \
                        times without a zone), "password"?, "overlapHours"? (24; the old password and profile count until \
                        the new was used, or for as long), "lower"? (administrators: to a weaker \
                        profile)}
                        """, handler: putAccess))
        }
        if connections.keepLocalList != nil {
            routes.append(
                APIRoute(
                    method: "PUT", path: "/stations/{id}/local-list", need: .role(.operator),
                    summary: "Decides whether the station's local list is kept in step",
                    body: "{\"kept\": true, false, or null: as the configuration says}",
                    handler: putLocalList))
        }
        if connections.liftHold != nil {
            routes.append(
                APIRoute(
                    method: "DELETE", path: "/stations/{id}/hold", need: .role(.operator),
                    summary: "Lets a station come again that is held off for connecting too often",
                    handler: liftHold))
        }
        if connections.messages != nil {
            routes.append(
                APIRoute(
                    method: "GET", path: "/messages", need: .role(.viewer),
                    summary: "The raw OCPP log, newest first",
                    query: [
                        .init(name: "station", about: "of this station only"),
                        .init(name: "action", about: "of this action only"),
                        .init(name: "text", about: "what a frame or its note contains"),
                        .init(name: "from", about: "RFC 3339"),
                        .init(name: "until", about: "RFC 3339, exclusive"), .limit, .cursor,
                    ], handler: messagePage))
        }
        if connections.refusals != nil {
            routes.append(
                APIRoute(
                    method: "GET", path: "/refusals", need: .role(.viewer),
                    summary: "Handshakes that were turned away, with the reason",
                    handler: refusalPage))
        }
        return routes
    }

    private func stationPage(_ request: APIRequest) async throws -> HTTPResponse {
        let limit = try request.limit()
        let stations = try await house.stations.list(
            after: request.http.query("cursor") ?? "", limit: limit)
        let running = house.sessions.running()
        let holds = holds()
        return .page(
            stations.map { station in
                var value = Shape.station(station, house, running).object ?? [:]
                value["heldOff"] = holds[station.id.lowercased()]
                value["localList"] = connections.localList?(station.id)
                return .object(value)
            },
            next: stations.count == limit ? stations.last?.id : nil)
    }

    private func station(_ request: APIRequest) async throws -> HTTPResponse {
        let id = request[parameter: "id"]
        guard let station = try await house.stations.station(id) else {
            throw APIProblem.notFound("station", id)
        }
        var value = Shape.station(station, house, house.sessions.running()).object ?? [:]
        if let deviations = connections.deviations {
            value["deviations"] = .array(try await deviations(station.id))
        }
        value["heldOff"] = holds()[station.id.lowercased()]
        value["localList"] = connections.localList?(station.id)
        if let skew = try await house.sessions.skew(of: station.id) {
            value["clockSkewMilliseconds"] = .number(skew.milliseconds)
            value["clockMeasuredAt"] = .time(skew.measuredAt)
        }
        value["access"] = try await connections.stationAccess?(station.id)
        let events = try await house.stations.securityEvents(of: station.id)
        value["securityEvents"] = .array(events.map(Shape.securityEvent))
        return .json(.object(value))
    }

    /// What is put, and what an answer has besides: it is got, changed and put again.
    private static let stationMembers: Set = [
        "registration", "password", "id", "online", "linkChangedAt", "subprotocol", "bootedAt",
        "createdAt", "identity", "replaced", "connectors", "deviations", "heldOff", "localList",
        "clockSkewMilliseconds", "clockMeasuredAt", "access", "securityEvents",
    ]

    private func putStation(_ request: APIRequest) async throws -> HTTPResponse {
        let id = request[parameter: "id"]
        let body = try request.object(only: Self.stationMembers)
        guard let registration = body["registration"]?.string.flatMap(RegistrationStatus.init)
        else { throw APIProblem.field("registration", "must be Accepted, Pending or Rejected") }
        guard id.utf8.count <= 48, !id.isEmpty else {
            throw APIProblem.field("id", "has 1 to 48 characters")
        }
        if let password = body["password"], password.string?.isEmpty != false {
            throw APIProblem.field("password", "must be a text that is not empty")
        }
        let (now, caller, house, audit) = (house.clock.now, request.caller, house, audit)
        let register = { @Sendable (transaction: Transaction) throws -> Void in
            try house.stations.register(id, registration, at: now, in: transaction)
            try audit.note(
                caller, "station.put", id, ["registration": .string(registration.rawValue)],
                in: transaction)
        }
        if let password = body["password"]?.string {
            guard let set = connections.setStationPassword else {
                throw APIProblem.field("password", "cannot be set here")
            }
            // In one: who waits in the inbox with another password must not be taken in by this.
            try await set(password, id, register)
        } else {
            try await house.write(register)
        }
        return try await station(request)
    }

    private func holds() -> [String: JSONValue] {
        var found: [String: JSONValue] = [:]
        for one in connections.holds?() ?? [] { found[one.station.lowercased()] = one.hold }
        return found
    }

    private func liftHold(_ request: APIRequest) async throws -> HTTPResponse {
        guard let lift = connections.liftHold else { throw APIProblem(404, "not found") }
        let id = request[parameter: "id"]
        let (caller, audit) = (request.caller, audit)
        let isLifted = try await lift(id) { transaction in
            try audit.note(caller, "station.hold.lift", id, in: transaction)
        }
        guard isLifted else { throw APIProblem(404, "not found", detail: "\(id) is not held off") }
        return .noContent
    }

    private func putLocalList(_ request: APIRequest) async throws -> HTTPResponse {
        guard let keep = connections.keepLocalList else { throw APIProblem(404, "not found") }
        let id = request[parameter: "id"]
        let kept = try request.object(only: ["kept"])["kept"] ?? .string("missing")
        guard kept.isNull || kept.bool != nil else {
            throw APIProblem.field("kept", "must be true, false or null")
        }
        let (caller, audit, isKept) = (request.caller, audit, kept.bool)
        let isKnown = try await keep(isKept, id) { transaction in
            try audit.note(caller, "station.localList", id, ["kept": kept], in: transaction)
        }
        guard isKnown else { throw APIProblem.notFound("station", id) }
        return try await station(request)
    }

    private func putAccess(_ request: APIRequest) async throws -> HTTPResponse {
        guard let change = connections.changeStationAccess else {
            throw APIProblem(404, "not found")
        }
        let id = request[parameter: "id"]
        let (caller, audit) = (request.caller, audit)
        let changed = try await change(id, request.object(), caller.role == .admin) {
            told, transaction in
            try audit.note(caller, "station.access", id, told, in: transaction)
        }
        guard let changed else { throw APIProblem.notFound("station", id) }
        return .json(changed)
    }

    private func enrolStation(_ request: APIRequest) async throws -> HTTPResponse {
        guard let enrol = connections.enrolStation else { throw APIProblem(404, "not found") }
        let id = request[parameter: "id"]
        guard Self.isStationID(id) else {
            throw APIProblem.field("id", "has 1 to 48 characters, none of them / or :")
        }
        let body = try request.optionalObject(only: ["minutes"])
        let minutes = body["minutes"].map { $0.int ?? 0 } ?? 1440
        guard (1...10_080).contains(minutes) else {
            throw APIProblem.field("minutes", "must be from 1 to 10080, which is a week")
        }
        // Noted first: a code that nobody is seen to have made must not exist.
        try await house.write { transaction in
            try self.audit.note(
                request.caller, "station.enrol", id, ["minutes": .number(minutes)], in: transaction)
        }
        return .json(try await enrol(id, minutes), headers: ["Cache-Control": "no-store"])
    }

    /// An id that a board can be told: it ends a URL and is the user of a log-in.
    package static func isStationID(_ id: String) -> Bool {
        (1...48).contains(id.unicodeScalars.count)
            && id.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value != 0x7F }
            && !id.contains { ":/".contains($0) } && id != "." && id != ".."
    }

    private func deleteStation(_ request: APIRequest) async throws -> HTTPResponse {
        let id = request[parameter: "id"]
        let isForced = try request.flag("force")
        let now = house.clock.now
        let found = try await house.write { transaction in
            guard let station = try self.house.stations.station(id, in: transaction) else {
                return false
            }
            let charges = self.house.sessions.open(station: station.id)
            let evses = self.house.locations.places(station: station.id).map {
                "\($0.location.id)/\($0.evse.uid)"
            }
            if !isForced { try Self.mayGo(charges, evses) }
            try self.audit.note(
                request.caller, "station.delete", station.id,
                [
                    "charges": .array(charges.map { .string($0) }),
                    "evses": .array(evses.map { .string($0) }),
                ], in: transaction)
            return try self.house.stations.remove(station.id, at: now, in: transaction)
        }
        guard found else { throw APIProblem.notFound("station", id) }
        return .noContent
    }

    /// Whoever adopts the station again has plugs without a place, and so without a price.
    private static func mayGo(_ charges: [String], _ evses: [String]) throws(APIProblem) {
        var held: [String] = []
        if !charges.isEmpty { held.append("charges run there: \(named(charges)); stop them") }
        if !evses.isEmpty {
            held.append("EVSEs are tied to it: \(named(evses)); give them another `station`")
        }
        guard !held.isEmpty else { return }
        throw APIProblem(
            409, "the station is in use",
            detail: held.joined(separator: ". ") + ". Or say `force=true`: they are untied")
    }

    private static func named(_ ids: [String]) -> String {
        let most = 10
        return ids.prefix(most).joined(separator: ", ")
            + (ids.count > most ? " and \(ids.count - most) more" : "")
    }

    private func messagePage(_ request: APIRequest) async throws -> HTTPResponse {
        guard let messages = connections.messages else { throw APIProblem(404, "not found") }
        let limit = try request.limit()
        let http = request.http
        func wanted(_ name: String) -> String? {
            http.query(name).flatMap { $0.isEmpty ? nil : $0 }
        }
        let search = MessageSearch(
            station: wanted("station"), action: wanted("action"), text: wanted("text"),
            from: try request.moment("from"), until: try request.moment("until"))
        let found = try await messages(search, wanted("cursor").flatMap { Int64($0) }, limit)
        let next = found.count == limit ? found.last?["id"]?.number?.text : nil
        return .page(found, next: next)
    }

    private func refusalPage(_ request: APIRequest) async throws -> HTTPResponse {
        .page(try await connections.refusals?() ?? [], next: nil)
    }
}
