import CPO
import Charging
import Crypto
import JSON
import SQL
import Service
import Web

/// The operator's door: log-in, the admin API, the pages.
package final class Console: Sendable {
    /// What other doors know and this one shows; the roof puts the lines in. A line that is missing
    /// leaves its path out.
    package struct Connections: Sendable {
        /// Nouns as partners see them.
        package var location: (@Sendable (Location) -> JSONValue)?
        package var tariff: (@Sendable (Tariff) -> JSONValue)?
        package var token: (@Sendable (Token) -> JSONValue)?
        package var cdr: (@Sendable (CDR) -> JSONValue)?
        package var readTariff: (@Sendable (JSONValue) throws -> Tariff)?
        package var readToken: (@Sendable (JSONValue) throws -> Token)?
        package var partners: (@Sendable () async throws -> [JSONValue])?
        package var invite: (@Sendable (_ name: String) async throws -> JSONValue)?
        /// Registers with a partner that gave us its address and a token. Throws `BadValue`.
        package var register:
            (
                @Sendable (_ name: String, _ versionsURL: String, _ token: String) async throws
                    -> JSONValue
            )?
        /// New tokens with a partner; the end of the connection. False when there is none of this id.
        package var rotate: (@Sendable (_ id: String) async throws -> Bool)?
        package var dismiss: (@Sendable (_ id: String) async throws -> Bool)?
        package var orders: (@Sendable (_ cursor: String?, _ limit: Int) async throws -> JSONValue)?
        package var order: (@Sendable (_ id: String) async throws -> JSONValue?)?
        package var messages:
            (
                @Sendable (_ search: MessageSearch, _ before: Int64?, _ limit: Int) async throws
                    -> [JSONValue]
            )?
        package var deviations: (@Sendable (_ station: String) async throws -> [JSONValue])?
        package var refusals: (@Sendable () async throws -> [JSONValue])?
        /// Newest first; `onlyOpen` leaves out what is over.
        package var alerts:
            (
                @Sendable (_ onlyOpen: Bool, _ before: Int64?, _ limit: Int) async throws
                    -> [JSONValue]
            )?
        /// False when there is none of this number.
        package var acknowledgeAlert:
            (
                @Sendable (_ id: Int64, _ who: String, _ at: Timestamp, Transaction) throws -> Bool
            )?
        /// Makes a one-time code for a board; the answer shows it once.
        package var enrolStation:
            (@Sendable (_ station: String, _ minutes: Int) async throws -> JSONValue)?
        /// Stations that are held off, by id as they spell it.
        package var holds: (@Sendable () -> [(station: String, hold: JSONValue)])?
        /// Lets one come again; `note` writes the audit line. False when it is not held off.
        package var liftHold:
            (
                @Sendable (
                    _ station: String, _ note: @escaping @Sendable (Transaction) throws -> Void
                ) async throws -> Bool
            )?
        /// A command as it may be sent to this station. Throws `BadValue` with field and reason.
        package var checkCommand:
            (@Sendable (_ command: StationCommand, _ station: String) throws -> StationCommand)?
        /// How a station proves itself, without its secrets; nil for one that is not known.
        package var stationAccess: (@Sendable (_ station: String) async throws -> JSONValue?)?
        /// Changes it; `note` writes the audit line. Throws `BadValue`; nil: no such station.
        package var changeStationAccess:
            (
                @Sendable (
                    _ station: String, _ change: JSONValue, _ mayLower: Bool,
                    _ note: @escaping @Sendable (JSONValue, Transaction) throws -> Void
                ) async throws -> JSONValue?
            )?
        /// A station's local list and cache, and whether they are in step; nil where none is kept.
        package var localList: (@Sendable (_ station: String) -> JSONValue?)?
        /// Decides whether it is kept, nil: as for all; `note` writes the audit line. False: no such
        /// station.
        package var keepLocalList:
            (
                @Sendable (
                    _ isKept: Bool?, _ station: String,
                    _ note: @escaping @Sendable (Transaction) throws -> Void
                ) async throws -> Bool
            )?
        /// Firmware, logs and certificates of stations; nil where the house keeps none.
        package var files: FileLines?
        package var certificates: CertificateLines?
        package var setStationPassword:
            (
                @Sendable (
                    _ password: String, _ station: String,
                    _ note: @escaping @Sendable (Transaction) throws -> Void
                ) async throws -> Void
            )?

        package init() {}
    }

    /// What of the message log is asked for; nil asks for all.
    package struct MessageSearch: Sendable {
        package var station: String?
        package var action: String?
        package var text: String?
        package var from: Timestamp?
        package var until: Timestamp?
    }

    package let house: ChargePointOperator
    let connections: Connections
    package let users: Users
    package let keys: Keys
    let logins: Logins
    let throttle: LoginThrottle
    let audit: Audit

    package init(
        house: ChargePointOperator, connections: Connections = Connections(),
        passwordCost: PasswordHash.Cost = .standard
    ) {
        self.house = house
        self.connections = connections
        users = Users(database: house.database, clock: house.clock, cost: passwordCost)
        keys = Keys(database: house.database, clock: house.clock)
        logins = Logins(database: house.database, clock: house.clock)
        throttle = LoginThrottle(clock: house.clock)
        audit = Audit(clock: house.clock)
    }

    package func mount(on router: inout Router) {
        let routes = apiRoutes
        for route in routes {
            router.add(route.method, "/api/v1\(route.path)") { request in
                await self.answer(request, route)
            }
        }
        let document = OpenAPI.document(of: routes)
        router.add("GET", "/api/v1/openapi.json") { _ in .json(document) }
        Pages.mount(on: &router)
    }

    var apiRoutes: [APIRoute] {
        accountRoutes + stationRoutes + reviewRoutes + commandRoutes + sessionRoutes + placeRoutes
            + partnerRoutes + deliveryRoutes + importRoutes + alertRoutes + fileRoutes
            + certificateRoutes
            + campaignRoutes + templateRoutes + reservationRoutes + siteRoutes + profileRoutes
            + privacyRoutes + eventRoutes
    }

    private func answer(_ request: HTTPRequest, _ route: APIRoute) async -> HTTPResponse {
        do {
            let caller = try await admit(request, route)
            try route.refuseStrangers(of: request)
            return try await route.handler(APIRequest(http: request, caller: caller))
        } catch let problem as APIProblem {
            return problem.response
        } catch let refusal as CommandRefusal {
            return APIProblem(refusal).response
        } catch let bad as BadValue {
            return APIProblem.field(bad.field, bad.detail).response
        } catch let error as StoredError {
            return APIProblem(422, "a value is wrong", detail: "\(error)", field: error.key)
                .response
        } catch {
            house.log.error(
                "request failed",
                ["method": request.method, "path": request.path, "error": "\(error)"])
            return .problem(500, "something went wrong", detail: "the server's log says what")
        }
    }

    private func admit(_ request: HTTPRequest, _ route: APIRoute) async throws -> Caller {
        guard case .role(let needed) = route.need else {
            return Caller(name: "", role: .viewer, address: request.remoteAddress)
        }
        guard let caller = try await caller(of: request) else {
            throw APIProblem(
                401, "not logged in", detail: "log in, or send `Authorization: Bearer KEY`")
        }
        if let csrf = caller.csrf, request.method != "GET", request.method != "HEAD" {
            guard Self.isSameOrigin(request),
                constantTimeEqual(request.headers["X-CSRF-Token"] ?? "", csrf)
            else {
                throw APIProblem(
                    403, "the X-CSRF-Token header is missing or wrong",
                    detail: "take it from GET /api/v1/me")
            }
        }
        guard caller.role >= needed else {
            throw APIProblem(
                403, "not allowed", detail: "this needs the role \(needed.rawValue)")
        }
        return caller
    }

    /// - Parameter isSeen: false for an answer that still runs, which keeps no log-in open.
    func caller(of request: HTTPRequest, isSeen: Bool = true) async throws -> Caller? {
        if let header = request.headers["Authorization"] {
            let parts = header.split(separator: " ", maxSplits: 1)
            guard parts.count == 2, parts[0].lowercased() == "bearer",
                let key = try await keys.verify(String(parts[1]))
            else { return nil }
            return Caller(
                name: "key \(key.name)", role: key.role, address: request.remoteAddress)
        }
        guard let token = Cookie.value(in: request),
            let login = try await logins.find(token, isSeen: isSeen)
        else { return nil }
        return Caller(
            name: "user \(login.user)", role: login.role, address: request.remoteAddress,
            csrf: login.csrf)
    }

    /// A browser names the page a write came from; another site's may not write.
    static func isSameOrigin(_ request: HTTPRequest) -> Bool {
        guard let origin = request.headers["Origin"] else { return true }
        guard let host = request.headers["Host"] else { return false }
        return origin == "http://\(host)" || origin == "https://\(host)"
    }
}

extension APIProblem {
    init(_ refusal: CommandRefusal) {
        switch refusal {
        case .unknownStation: self.init(404, "unknown station", detail: "it is not registered")
        case .unknownEVSE: self.init(404, "unknown EVSE", field: "evse")
        case .unknownSession: self.init(404, "unknown session", field: "session")
        case .sessionNotRunning:
            self.init(409, "the session does not run", detail: "it has ended", field: "session")
        case .unknownReservation:
            self.init(404, "unknown reservation", field: "reservation")
        case .expired:
            self.init(422, "expired", detail: "must be in the future", field: "expires")
        case .occupied:
            self.init(409, "occupied", detail: "a charge runs on this connector", field: "evse")
        case .inoperative:
            self.init(
                409, "out of order", detail: "the connector is faulted or unavailable",
                field: "evse")
        case .offline:
            self.init(409, "offline", detail: "the station has no connection now")
        case .shared:
            self.init(
                409, "the connector's current is shared by its site",
                detail: "set a limit at its node, or a profile under /stations/{id}/profiles")
        }
    }
}

/// The cookie of a log-in.
enum Cookie {
    /// The prefix makes browsers refuse it without TLS, so plain listeners use another name.
    static func name(_ request: HTTPRequest) -> String { request.isTLS ? "__Host-kerb" : "kerb" }

    static func value(in request: HTTPRequest) -> String? {
        let wanted = name(request)
        for header in request.headers.all("Cookie") {
            for pair in header.split(separator: ";") {
                let sides = pair.split(separator: "=", maxSplits: 1)
                if sides.count == 2, sides[0].filter({ $0 != " " }) == wanted {
                    return String(sides[1])
                }
            }
        }
        return nil
    }

    static func set(_ token: String, _ request: HTTPRequest) -> String {
        "\(name(request))=\(token); Path=/; HttpOnly; SameSite=Strict"
            + (request.isTLS ? "; Secure" : "")
    }

    static func clear(_ request: HTTPRequest) -> String {
        "\(set("gone", request)); Max-Age=0"
    }
}
