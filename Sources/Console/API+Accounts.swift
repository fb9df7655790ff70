import CPO
import Charging
import Crypto
import JSON
import SQL
import Service
import Web

extension Console {
    var accountRoutes: [APIRoute] {
        [
            APIRoute(
                method: "POST", path: "/login", need: .nothing, summary: "Logs a browser in",
                body: "{\"user\", \"password\"}", handler: login),
            APIRoute(
                method: "POST", path: "/logout", need: .role(.viewer), summary: "Logs it out",
                handler: logout),
            APIRoute(
                method: "GET", path: "/me", need: .role(.viewer),
                summary: "Who is asking, with the CSRF token of a log-in", handler: me),
            APIRoute(
                method: "GET", path: "/audit", need: .role(.admin),
                summary: "Who did what, newest first",
                query: [.limit, .cursor], handler: auditPage),
        ]
    }

    private func login(_ request: APIRequest) async throws -> HTTPResponse {
        let http = request.http
        // Only a page of ours can send this type across; another site's form cannot log people in.
        guard http.headers["Content-Type"]?.lowercased().hasPrefix("application/json") == true,
            Self.isSameOrigin(http)
        else { throw APIProblem(415, "log in with JSON from our own page") }
        let body = try request.object(only: ["user", "password"])
        guard let user = body["user"]?.string, let password = body["password"]?.string else {
            throw APIProblem.field("user", "and `password` are needed")
        }
        // The throttle remembers names.
        guard user.utf8.count <= 100 else {
            throw APIProblem.field("user", "is too long")
        }
        let keys = ["name \(user.lowercased())", "address \(http.remoteAddress)"]
        let wait = throttle.wait(keys)
        guard wait == 0 else {
            throw APIProblem(
                429, "too many tries", detail: "wait \(wait) seconds", retryAfterSeconds: wait)
        }
        // Counted before the slow check, so that tries at the same time count as well.
        throttle.failed(keys)
        let found: Role?
        do {
            found = try await users.verify(user, password: password)
        } catch CryptoError.busy {
            throw APIProblem(503, "too many log-ins at once", retryAfterSeconds: 5)
        }
        guard let role = found else {
            house.log.warning("log-in refused", ["address": http.remoteAddress])
            throw APIProblem(401, "name or password is wrong")
        }
        throttle.succeeded(keys)
        let login = try await logins.open(user, address: http.remoteAddress)
        let caller = Caller(name: "user \(user)", role: role, address: http.remoteAddress)
        try await house.write { transaction in
            try self.audit.note(caller, "login", user, in: transaction)
        }
        return .json(
            ["user": .string(user), "role": .string(role.rawValue), "csrf": .string(login.csrf)],
            headers: ["Set-Cookie": Cookie.set(login.token, http), "Cache-Control": "no-store"])
    }

    private func logout(_ request: APIRequest) async throws -> HTTPResponse {
        if let token = Cookie.value(in: request.http) { try await logins.close(token) }
        return HTTPResponse(204, headers: ["Set-Cookie": Cookie.clear(request.http)])
    }

    private func me(_ request: APIRequest) async throws -> HTTPResponse {
        .json(
            [
                "user": .string(String(request.caller.name.drop { $0 != " " }.dropFirst())),
                "role": .string(request.caller.role.rawValue),
                "csrf": request.caller.csrf.map { .string($0) } ?? .null,
                "operator": .string(house.settings.name),
                "party": .string(house.settings.party.description),
                "currency": .string(house.settings.currency),
            ], headers: ["Cache-Control": "no-store"])
    }

    private func auditPage(_ request: APIRequest) async throws -> HTTPResponse {
        let limit = try request.limit()
        let before = try request.before()
        let lines = try await house.read { transaction in
            try Audit.list(before: before, limit: limit, in: transaction)
        }
        let next = lines.count == limit ? lines.last.map { "\($0.id)" } : nil
        return .page(lines.map(\.value), next: next)
    }
}

extension APIRoute.Parameter {
    static let limit = Self(name: "limit", about: "lines of a page, 1 to 500, else 100")
    static let cursor = Self(name: "cursor", about: "`next` of the page before")
    static let wait = Self(
        name: "wait", about: "seconds, at most 60: answers when the station has, or then")
}
