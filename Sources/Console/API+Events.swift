import CPO
import Charging
import Crypto
import JSON
import SQL
import Service
import Web

extension Console {
    /// A reader that resumes far behind gets this many lines at a time.
    static let eventPageLines = 200

    var eventRoutes: [APIRoute] {
        [
            APIRoute(
                method: "GET", path: "/events", need: .role(.viewer),
                summary: "Server-sent events: the journal from now, or from where one was",
                query: [
                    .init(
                        name: "after",
                        about: "the last number seen; the header Last-Event-ID wins"),
                    .init(
                        name: "kinds", about: "beginnings of kinds, by comma: session.,station."),
                ], handler: events)
        ]
    }

    private func events(_ request: APIRequest) async throws -> HTTPResponse {
        let kinds = (request.http.query("kinds") ?? "").split(separator: ",").map(String.init)
        let wanted = request.http.headers["Last-Event-ID"] ?? request.http.query("after")
        var start: Int64?
        if let wanted, !wanted.isEmpty {
            guard let number = Int64(wanted), number >= 0 else {
                throw APIProblem.field("after", "must be the number of an event")
            }
            start = number
        }
        let journal = house.journal
        // Asked for before the first read, so that nothing between the two is missed.
        let announcements = journal.announcements()
        let newest = try await journal.newest()
        let first = min(start ?? newest, newest)
        let log = house.log
        return .events { [self] stream in
            stream.send(event: "hello", id: "\(first)", data: "{\"seq\":\(first)}")
            do {
                try await Self.follow(journal, announcements, first, kinds, stream) {
                    // A key that was revoked meanwhile hears no more.
                    try await self.caller(of: request.http, isSeen: false) != nil
                }
            } catch {
                log.warning("event stream ended", ["error": "\(error)"])
            }
        }
    }

    private static func follow(
        _ journal: Journal, _ announcements: AsyncStream<Int64>, _ first: Int64, _ kinds: [String],
        _ stream: EventStream, _ isAdmitted: @Sendable () async throws -> Bool
    ) async throws {
        var seq = first
        var next = announcements.makeAsyncIterator()
        while stream.isOpen, !Task.isCancelled {
            let page = try await journal.lines(after: seq, limit: eventPageLines)
            guard let last = page.last else {
                guard await next.next() != nil else { return }
                continue
            }
            guard try await isAdmitted() else { return }
            for line in page {
                let kind = line.kind.rawValue
                guard kinds.isEmpty || kinds.contains(where: { kind.hasPrefix($0) }) else {
                    continue
                }
                let data: JSONValue = [
                    "seq": .number(line.seq), "at": .time(line.at), "kind": .string(kind),
                    "subject": .string(line.subject),
                    // What a door wrote is JSON; a line that is not is shown as the text it is.
                    "body": (try? JSONValue(parsing: line.body)) ?? .string(line.body),
                ]
                guard stream.send(id: "\(line.seq)", data: data.text) else { return }
            }
            seq = last.seq
            // A far reader is served at the pace it reads, instead of being cut for its backlog.
            await stream.room()
        }
    }
}
