import Charging
import JSON
import Web

/// What a list was asked for, and the headers of one page of it. OCPI 2.2.1 §4.1.4.
struct Page: Hashable, Sendable {
    /// On `last_updated`: from inclusive, until exclusive.
    var from: Timestamp?
    var until: Timestamp?
    var offset: Int
    var limit: Int

    /// - Throws: `WireError` for what is no date or number, and for a limit of 0 or less. A limit above
    ///   `most` is lowered.
    init(_ request: HTTPRequest, most: Int) throws(WireError) {
        from = try Self.date(request, "date_from")
        until = try Self.date(request, "date_to")
        offset = try Self.number(request, "offset", least: 0) ?? 0
        limit = min(try Self.number(request, "limit", least: 1) ?? most, most)
    }

    func contains(_ moment: Timestamp) -> Bool {
        (from.map { $0 <= moment } ?? true) && (until.map { moment < $0 } ?? true)
    }

    /// - Parameter url: the list's public address, for `Link`.
    func reply(_ objects: [JSONValue], total: Int, url: String, most: Int) -> OCPIReply {
        var reply = OCPIReply.success(.array(objects))
        reply.headers = ["X-Total-Count": String(total), "X-Limit": String(most)]
        // Compared without adding up: the offset is the partner's and may be any number.
        if !objects.isEmpty, total - objects.count > offset {
            reply.headers.add("Link", "<\(url)?\(next(objects.count))>; rel=\"next\"")
        }
        return reply
    }

    private func next(_ count: Int) -> String {
        var items: [String] = []
        if let from { items.append("date_from=\(PeerURL.encoded(from.rfc3339))") }
        if let until { items.append("date_to=\(PeerURL.encoded(until.rfc3339))") }
        items.append("offset=\(offset + count)")
        items.append("limit=\(limit)")
        return items.joined(separator: "&")
    }

    private static func date(_ request: HTTPRequest, _ name: String) throws(WireError) -> Timestamp?
    {
        guard let text = request.query(name) else { return nil }
        // A plus in a query is a blank to some decoders; +00:00 becomes " 00:00".
        guard let moment = Timestamp(rfc3339: text) else {
            throw WireError(name, "must be a time like 2026-01-31T12:00:00Z")
        }
        return moment
    }

    private static func number(
        _ request: HTTPRequest, _ name: String, least: Int
    ) throws(WireError) -> Int? {
        guard let text = request.query(name) else { return nil }
        guard let number = Int(text), number >= least else {
            throw WireError(name, "must be a whole number of at least \(least)")
        }
        return number
    }
}
