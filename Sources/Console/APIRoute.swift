import Charging
import JSON
import Web

/// One path of the admin API with what is needed to be let in. A route without a declared need does
/// not compile.
struct APIRoute: Sendable {
    enum Need: Hashable, Sendable {
        /// Log-in itself and the document of the API.
        case nothing
        case role(Role)
    }

    struct Parameter: Sendable {
        var name: String
        var about: String
    }

    var method: String
    /// Below `/api/v1`.
    var path: String
    var need: Need
    var summary: String
    var query: [Parameter] = []
    /// What the body is, for the document; nil: it has none.
    var body: String?
    var handler: @Sendable (APIRequest) async throws -> HTTPResponse
}

/// A request whose caller is known and allowed.
struct APIRequest: Sendable {
    static let standardLimit = 100
    static let highestLimit = 500

    var http: HTTPRequest
    var caller: Caller

    subscript(parameter name: String) -> String { http[parameter: name] }

    /// The body as a JSON object.
    func object() throws(APIProblem) -> JSONValue {
        let value: JSONValue
        do {
            value = try JSONValue(parsing: http.body)
        } catch {
            throw APIProblem(400, "the body is no JSON", detail: "\(error)")
        }
        guard value.object != nil else {
            throw APIProblem(400, "the body is no JSON object", detail: "send {…}")
        }
        return value
    }

    func limit() throws(APIProblem) -> Int {
        guard let text = http.query("limit") else { return Self.standardLimit }
        guard let limit = Int(text), (1...Self.highestLimit).contains(limit) else {
            throw .field("limit", "must be from 1 to \(Self.highestLimit)")
        }
        return limit
    }

    /// A switch of the address; false unless it says otherwise.
    func flag(_ name: String) throws(APIProblem) -> Bool {
        switch http.query(name) {
        case nil, "", "false": return false
        case "true": return true
        default: throw .field(name, "must be true or false")
        }
    }

    /// Where a page that counts begins; the cursor is opaque to callers.
    func offset() throws(APIProblem) -> Int {
        guard let text = http.query("cursor"), !text.isEmpty else { return 0 }
        guard let offset = Int(text), offset >= 0 else {
            throw .field("cursor", "take it from `next` of the page before")
        }
        return offset
    }

    /// Of a list that runs from new to old: the number of the last one of the page before.
    func before() throws(APIProblem) -> Int64? {
        guard let text = http.query("cursor"), !text.isEmpty else { return nil }
        guard let number = Int64(text) else {
            throw .field("cursor", "take it from `next` of the page before")
        }
        return number
    }

    func moment(_ name: String) throws(APIProblem) -> Timestamp? {
        guard let text = http.query(name), !text.isEmpty else { return nil }
        // A plus sign that was not encoded arrives as a blank.
        let mended = String(text.map { $0 == " " ? "+" : $0 })
        guard let moment = Timestamp(rfc3339: mended) else {
            throw .field(name, "must be a time like 2026-01-31T12:00:00Z")
        }
        return moment
    }
}

/// Who asks.
struct Caller: Sendable {
    /// `user NAME` or `key NAME`.
    var name: String
    var role: Role
    var address: String
    /// Of a log-in; nil for keys.
    var csrf: String?

    /// - Throws: 403 where so many stations at once are an admin's decision.
    func mayReach(_ stations: Int) throws(APIProblem) {
        guard role < .admin, stations > Role.mostStationsOfAnOperator else { return }
        throw APIProblem(
            403, "an admin's decision",
            detail: """
                it reaches \(stations) stations; more than \(Role.mostStationsOfAnOperator) at once \
                are ordered by an admin, or in smaller parts
                """)
    }
}

/// An answer that says which field is wrong, why, and what to do.
struct APIProblem: Error, Sendable {
    var status: Int
    var title: String
    var detail: String?
    var field: String?
    var retryAfterSeconds: Int64?

    init(
        _ status: Int, _ title: String, detail: String? = nil, field: String? = nil,
        retryAfterSeconds: Int64? = nil
    ) {
        self.status = status
        self.title = title
        self.detail = detail
        self.field = field
        self.retryAfterSeconds = retryAfterSeconds
    }

    static func field(_ name: String, _ detail: String) -> APIProblem {
        APIProblem(422, "a value is wrong", detail: "`\(name)` \(detail)", field: name)
    }

    static func notFound(_ what: String, _ id: String) -> APIProblem {
        APIProblem(404, "not found", detail: "there is no \(what) \(id)")
    }

    var response: HTTPResponse {
        var headers = HTTPHeaders()
        if let retryAfterSeconds { headers.add("Retry-After", "\(retryAfterSeconds)") }
        if status == 401 { headers.add("WWW-Authenticate", "Bearer realm=\"kerb\"") }
        return .problem(status, title, detail: detail, field: field, headers: headers)
    }
}

extension HTTPResponse {
    /// A page: `next` is the cursor of the one behind it, or null.
    static func page(_ items: [JSONValue], next: String?) -> HTTPResponse {
        .json(["items": .array(items), "next": next.map { .string($0) } ?? .null])
    }
}
