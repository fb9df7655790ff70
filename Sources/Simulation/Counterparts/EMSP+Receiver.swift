import Charging
import Crypto
import JSON
import Service
import Web

extension EMSP {
    private static let modules = [
        ("credentials", "SENDER"), ("locations", "RECEIVER"), ("tariffs", "RECEIVER"),
        ("sessions", "RECEIVER"), ("cdrs", "RECEIVER"), ("tokens", "SENDER"),
        ("commands", "SENDER"),
    ]

    func mount(on router: inout Router) {
        // Weak, because the server that keeps the routes is kept by this object.
        router.add("GET", "/ocpi/emsp/versions") { [weak self] request in
            self?.answer(request) { emsp in
                [["version": "2.2.1", "url": .string("\(emsp.url)/2.2.1")]]
            } ?? HTTPResponse(503)
        }
        router.add("GET", "/ocpi/emsp/2.2.1") { [weak self] request in
            self?.answer(request) { emsp in
                [
                    "version": "2.2.1",
                    "endpoints": .array(
                        Self.modules.map { name, role in
                            [
                                "identifier": .string(name), "role": .string(role),
                                "url": .string("\(emsp.url)/2.2.1/\(name)"),
                            ]
                        }),
                ]
            } ?? HTTPResponse(503)
        }
        router.add("GET", "/ocpi/emsp/2.2.1/tokens") { [weak self] request in
            self?.answer(request) { _ in [] } ?? HTTPResponse(503)
        }
        for method in ["PUT", "PATCH", "POST", "DELETE"] {
            for pattern in ["{module}", "{module}/{a}", "{module}/{a}/{b}", "{module}/{a}/{b}/{c}"]
                + ["{module}/{a}/{b}/{c}/{d}", "{module}/{a}/{b}/{c}/{d}/{e}"]
            {
                router.add(method, "/ocpi/emsp/2.2.1/\(pattern)") { [weak self] request in
                    self?.take(request) ?? HTTPResponse(503)
                }
            }
        }
    }

    /// Checks the request and wraps the data in the envelope. OCPI 2.2.1 §4.1.7.
    private func answer(_ request: HTTPRequest, _ data: (EMSP) -> JSONValue) -> HTTPResponse {
        if let refusal = check(request) { return refusal }
        return envelope(request, data: data(self))
    }

    private func envelope(
        _ request: HTTPRequest, data: JSONValue?, status: Int = 200, code: Int = 1000,
        message: String? = nil, location: String? = nil
    ) -> HTTPResponse {
        var headers: HTTPHeaders = [:]
        for name in ["X-Request-ID", "X-Correlation-ID"] {
            if let value = request.headers[name] { headers.add(name, value) }
        }
        if let location { headers.add("Location", location) }
        return .json(
            .members([
                "data": data, "status_code": .number(code), "timestamp": .time(SystemClock().now),
                "status_message": message.map { .string($0) },
            ]), status: status, headers: headers)
    }

    private func check(_ request: HTTPRequest) -> HTTPResponse? {
        let expected = state.withLock { $0.tokenB }
        let given = request.headers["Authorization"] ?? ""
        guard given == "Token \(Base64.encode(Array(expected.utf8)))" else {
            findings.note(
                "\(request.method) \(request.path): wrong Authorization `\(given.prefix(12))…`")
            return envelope(request, data: nil, status: 401, code: 2001, message: "unknown token")
        }
        for name in ["X-Request-ID", "X-Correlation-ID"] {
            findings.expect(
                request.headers[name]?.isEmpty == false,
                "\(request.method) \(request.path): no \(name)")
        }
        if ["PUT", "PATCH", "POST"].contains(request.method) {
            findings.expect(
                request.headers["Content-Type"]?.hasPrefix("application/json") == true,
                "\(request.method) \(request.path): Content-Type is no JSON")
        }
        return nil
    }

    /// A push: kept under its URL, PATCH merged, checked, and told to those who wait.
    private func take(_ request: HTTPRequest) -> HTTPResponse {
        if let refusal = check(request) { return refusal }
        let module = request[parameter: "module"]
        let body: JSONValue
        do {
            body = request.body.isEmpty ? .null : try JSONValue(parsing: request.body)
        } catch {
            findings.note("\(request.method) \(request.path): \(error)")
            return envelope(request, data: nil, status: 400, code: 2001, message: "no JSON")
        }
        let path = String(request.path.drop { $0 == "/" })
        let (isKnown, object) = state.withLock { state -> (Bool, JSONValue) in
            let old = state.objects[path]
            let object = request.method == "PATCH" ? Self.merged(old ?? [:], with: body) : body
            if module != "commands" {
                state.objects[path] = request.method == "DELETE" ? nil : object
            }
            return (old != nil, object)
        }
        if request.method == "PATCH", !isKnown, module == "sessions" {
            return envelope(request, data: nil, status: 404, code: 2001, message: "unknown session")
        }
        if request.method == "PATCH" {
            findings.expect(
                body["last_updated"]?.time != nil, "\(request.path): PATCH without last_updated")
        }
        OCPIChecks.check(module, object, path: request, findings)
        if module == "cdrs", request.method == "POST" {
            let id = object["id"]?.string ?? ""
            pushes.put(Push(module: module, method: "POST", path: path, object: object))
            return envelope(
                request, data: nil, status: 201, location: "\(url)/2.2.1/cdrs/\(id)")
        }
        pushes.put(Push(module: module, method: request.method, path: path, object: object))
        return envelope(request, data: nil, status: isKnown ? 200 : 201)
    }

    /// A PATCH of a session appends its periods; every other member replaces. OCPI 2.2.1 §9.2.2.3.
    private static func merged(_ old: JSONValue, with patch: JSONValue) -> JSONValue {
        var object = old
        for (key, value) in patch.object ?? [:] {
            if key == "charging_periods", let added = value.array {
                object[key] = .array((old[key]?.array ?? []) + added)
            } else {
                object[key] = value
            }
        }
        return object
    }

    /// The newest state of one pushed session.
    package func session(_ id: String) -> JSONValue? {
        state.withLock { state in
            state.objects.first { $0.key.contains("/sessions/") && $0.key.hasSuffix("/\(id)") }?
                .value
        }
    }
}
