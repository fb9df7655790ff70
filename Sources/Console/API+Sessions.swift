import CPO
import Charging
import Crypto
import JSON
import SQL
import Service
import Web

extension Console {
    var sessionRoutes: [APIRoute] {
        let charge: [APIRoute.Parameter] = [
            .init(name: "station", about: "of this station only"),
            .init(name: "token", about: "of this token's uid only"),
            .init(name: "state", about: "ACTIVE, COMPLETED, INVALID, PENDING"),
        ]
        let period = [
            APIRoute.Parameter(name: "from", about: "changed at or after this time"),
            APIRoute.Parameter(name: "until", about: "changed before this time"),
        ]
        return [
            APIRoute(
                method: "GET", path: "/sessions", need: .role(.viewer),
                summary: "Sessions, newest first; CSV with `Accept: text/csv`",
                query: charge + period + [.limit, .cursor], handler: sessionPage),
            APIRoute(
                method: "GET", path: "/sessions/{id}", need: .role(.viewer),
                summary: """
                    One session with its bills, its series, counted as billed, and the readings as \
                    they came: `signed` is a meter's record byte for byte, and stands in place of `value`
                    """,
                handler: session),
            APIRoute(
                method: "GET", path: "/cdrs", need: .role(.viewer),
                summary: "Bills in order of creation; CSV with `Accept: text/csv`",
                query: charge + period + [
                    .init(name: "newest", about: "true: newest first"), .limit, .cursor,
                ], handler: cdrPage),
            APIRoute(
                method: "GET", path: "/cdrs/{id}", need: .role(.viewer), summary: "One bill",
                handler: cdr),
        ]
    }

    private func sessionPage(_ request: APIRequest) async throws -> HTTPResponse {
        var filter = try Self.charge(request)
        filter.newestFirst = true
        filter.updatedFrom = try request.moment("from")
        filter.updatedUntil = try request.moment("until")
        let (limit, offset) = (try request.limit(), try request.offset())
        let page = try await house.sessions.list(filter, offset: offset, limit: limit)
        let next = offset + page.sessions.count < page.total ? offset + page.sessions.count : nil
        if CSV.isWanted(request.http) {
            return CSV.answer("sessions", CSV.sessions(page.sessions), next: next)
        }
        return .page(page.sessions.map { Shape.session($0, house) }, next: next.map(String.init))
    }

    private static func charge(_ request: APIRequest) throws(APIProblem) -> Sessions.Filter {
        var filter = Sessions.Filter()
        filter.station = request.http.query("station")
        filter.tokenUID = request.http.query("token")
        if let state = request.http.query("state") {
            guard let status = SessionStatus(rawValue: state.uppercased()) else {
                throw .field("state", "must be ACTIVE, COMPLETED, INVALID or PENDING")
            }
            filter.status = status
        }
        return filter
    }

    private func session(_ request: APIRequest) async throws -> HTTPResponse {
        let id = request[parameter: "id"]
        guard let session = try await house.sessions.session(id) else {
            throw APIProblem.notFound("session", id)
        }
        var value = Shape.session(session, house).object ?? [:]
        let readings = try await house.sessions.readings(of: id)
        value["readings"] = .array(readings.map(Shape.reading))
        value["bills"] = .array(try await house.cdrs.list(session: id).map(Self.line))
        value["series"] = .array(session.series(readings).map(Shape.point))
        return .json(.object(value))
    }

    private func cdrPage(_ request: APIRequest) async throws -> HTTPResponse {
        let (limit, offset) = (try request.limit(), try request.offset())
        let page = try await house.cdrs.list(
            from: try request.moment("from"), until: try request.moment("until"),
            of: try Self.charge(request), newestFirst: try request.flag("newest"), offset: offset,
            limit: limit)
        let next = offset + page.cdrs.count < page.total ? offset + page.cdrs.count : nil
        if CSV.isWanted(request.http) {
            return CSV.answer("bills", CSV.bills(page.cdrs), next: next)
        }
        return .page(page.cdrs.map(shape), next: next.map(String.init))
    }

    private func cdr(_ request: APIRequest) async throws -> HTTPResponse {
        let id = request[parameter: "id"]
        guard let cdr = try await house.cdrs.cdr(id) else { throw APIProblem.notFound("CDR", id) }
        return .json(shape(cdr))
    }

    /// A bill in its session's account: a credit's amount is negative, so that they add up.
    private static func line(_ cdr: CDR) -> JSONValue {
        var cost = cdr.cost
        if cdr.creditOf != nil { cost.total = cost.total.negated }
        return .members([
            "id": .string(cdr.id), "creditOf": cdr.creditOf.map { .string($0) },
            "createdAt": .time(cdr.createdAt), "cost": Shape.cost(cost),
        ])
    }

    private func shape(_ cdr: CDR) -> JSONValue {
        if let known = connections.cdr { return known(cdr) }
        var value = Shape.session(cdr.session, house).object ?? [:]
        value["id"] = .string(cdr.id)
        value["cost"] = Shape.cost(cdr.cost)
        return .object(value)
    }
}
