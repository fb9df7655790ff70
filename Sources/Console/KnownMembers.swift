import JSON
import Web

// What a request says and nobody reads would be dropped, and with it a limit, a price or an end: it is
// refused by name. Rows of the store and partners' messages are read elsewhere and forgive more.

extension JSONValue {
    /// Absent or null: nil.
    func given(_ key: String) -> JSONValue? {
        guard let found = self[key], !found.isNull else { return nil }
        return found
    }

    /// A switch of a body; nil where it says nothing.
    func flag(_ key: String) throws(APIProblem) -> Bool? {
        guard let found = given(key) else { return nil }
        guard let flag = found.bool else { throw .field(key, "must be true or false") }
        return flag
    }

    /// A text of a body, an empty one too; nil where it says nothing.
    func text(_ key: String) throws(APIProblem) -> String? {
        guard let found = given(key) else { return nil }
        guard let text = found.string else { throw .field(key, "must be a text") }
        return text
    }

    /// - Parameter path: where this object stands in the body.
    func refuseStrangers(_ known: Set<String>, at path: String = "") throws(APIProblem) {
        guard let members = object else { throw .field(path, "must be an object") }
        let strangers = members.filter { !known.contains($0.key) && !$0.value.isNull }
        guard let stranger = strangers.keys.min() else { return }
        throw .stranger(path.isEmpty ? stranger : "\(path).\(stranger)", known: known.sorted())
    }

    /// Items of a list with their paths. None where it is no list: whoever reads it says so.
    func items(_ key: String, at path: String = "") -> [(value: JSONValue, path: String)] {
        let whole = path.isEmpty ? key : "\(path).\(key)"
        return (self[key]?.array ?? []).enumerated().map { ($1, "\(whole)[\($0)]") }
    }
}

extension APIProblem {
    static func stranger(_ name: String, known: [String]) -> APIProblem {
        let mend = known.isEmpty ? "" : ", or mend its spelling (\(known.joined(separator: ", ")))"
        return .field(name, "is not taken here: leave it out\(mend)")
    }
}

extension APIRequest {
    /// The body as an object of these members and no others.
    func object(only known: Set<String>) throws(APIProblem) -> JSONValue {
        let value = try object()
        try value.refuseStrangers(known)
        return value
    }

    /// The same of a request that may come without one.
    func optionalObject(only known: Set<String>) throws(APIProblem) -> JSONValue {
        http.body.isEmpty ? [:] : try object(only: known)
    }
}

extension APIRoute {
    /// A misspelt filter would give everything, and a misspelt `dryRun` be no dry run. A body where none
    /// is read would be an order that is not heard.
    func refuseStrangers(of request: HTTPRequest) throws(APIProblem) {
        // Any list may be asked for by pages; a short one is one page.
        let paging = method == "GET" && !path.hasSuffix("}") ? ["limit", "cursor"] : []
        let known = Set(query.map(\.name) + paging)
        var rest = known
        for item in request.queryItems where !item.name.isEmpty && rest.remove(item.name) == nil {
            guard known.contains(item.name) else {
                throw .stranger(item.name, known: query.map(\.name))
            }
            throw .field(item.name, "stands twice in the query")
        }
        guard body == nil, !request.body.isEmpty else { return }
        // What is no JSON is no empty object either.
        guard let value = try? JSONValue(parsing: request.body), value.object != nil else {
            throw APIProblem(422, "a value is wrong", detail: "nothing of a body is read here")
        }
        try value.refuseStrangers([])
    }
}
