import CPO
import Charging
import JSON
import Web

// What partners read: locations, tariffs, sessions and CDRs as SENDER. OCPI 2.2.1 §8 to §11.

extension OCPIDoor {
    func locations(_ request: HTTPRequest, _ path: [String]) async throws -> OCPIReply {
        guard request.method == "GET" else { return readOnly }
        guard let id = path.first else {
            let page = try Page(request, most: settings.pageLimit)
            // What is not open to roaming is not shown at all.
            let open = house.locations.all().filter(\.publish)
            return try await list(
                open, "locations", page, id: \.id, lastUpdated: \.lastUpdated, \.ocpi221)
        }
        guard path.count <= 3, let location = house.locations.location(id), location.publish
        else { return .notFound("no such location", code: StatusCode.unknownLocation) }
        guard path.count > 1 else { return .success(location.ocpi221) }
        guard let evse = location.evses.first(where: { Self.same($0.uid, path[1]) }) else {
            return .notFound("no such EVSE", code: StatusCode.unknownLocation)
        }
        guard path.count > 2 else { return .success(evse.ocpi221) }
        guard let plug = evse.connectors.first(where: { Self.same($0.id, path[2]) }) else {
            return .notFound("no such connector", code: StatusCode.unknownLocation)
        }
        return .success(plug.ocpi221)
    }

    func tariffs(_ request: HTTPRequest, _ path: [String]) async throws -> OCPIReply {
        guard request.method == "GET" else { return readOnly }
        guard path.isEmpty else { return .notFound("tariffs are given as a list") }
        let page = try Page(request, most: settings.pageLimit)
        return try await list(
            house.tariffs.all(), "tariffs", page, id: \.id, lastUpdated: \.lastUpdated, \.ocpi221)
    }

    func sessions(
        _ request: HTTPRequest, _ path: [String], _ caller: Caller
    ) async throws -> OCPIReply {
        if path.count == 2, path[1] == "charging_preferences" {
            return OCPIReply(
                httpStatus: 404, code: StatusCode.invalidParameter,
                message: "no EVSE here takes charging preferences")
        }
        guard request.method == "GET" else { return readOnly }
        guard path.isEmpty else { return .notFound("sessions are given as a list") }
        guard request.query("date_from") != nil else {
            return .refusal(StatusCode.invalidParameter, "date_from is missing")
        }
        let page = try Page(request, most: settings.pageLimit)
        var filter = Sessions.Filter()
        filter.parties = caller.parties
        filter.updatedFrom = page.from
        filter.updatedUntil = page.until
        let found = try await house.sessions.list(filter, offset: page.offset, limit: page.limit)
        let party = house.settings.party
        return page.reply(
            found.sessions.map { $0.ocpi221(party: party) }, total: found.total,
            url: moduleURL("sessions"), most: settings.pageLimit)
    }

    func cdrs(
        _ request: HTTPRequest, _ path: [String], _ caller: Caller
    ) async throws -> OCPIReply {
        guard request.method == "GET" else { return readOnly }
        guard path.isEmpty else { return .notFound("CDRs are given as a list") }
        let page = try Page(request, most: settings.pageLimit)
        let found = try await house.cdrs.list(
            parties: caller.parties, from: page.from, until: page.until, offset: page.offset,
            limit: page.limit)
        let party = house.settings.party
        return page.reply(
            found.cdrs.map { $0.ocpi221(party: party) }, total: found.total,
            url: moduleURL("cdrs"), most: settings.pageLimit)
    }

    private func list<Object: Sendable>(
        _ objects: [Object], _ module: String, _ page: Page, id: (Object) -> String,
        lastUpdated: (Object) -> Timestamp, _ wire: (Object) -> JSONValue
    ) async throws -> OCPIReply {
        let matching = objects.filter { page.contains(lastUpdated($0)) }
        let ordered = try await listing.ordered(module, matching, id: id)
        return page.reply(
            ordered.dropFirst(page.offset).prefix(page.limit).map(wire), total: ordered.count,
            url: moduleURL(module), most: settings.pageLimit)
    }

    private var readOnly: OCPIReply { .notAllowed("GET", "we own these objects: they can be read") }

    static func same(_ a: String, _ b: String) -> Bool { a.lowercased() == b.lowercased() }
}
