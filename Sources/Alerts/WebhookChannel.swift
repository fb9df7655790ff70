import HTTPClient
import JSON

/// A POST with all that is due as JSON, for a chat, a pager or a ticket system.
package struct WebhookChannel: AlertChannel {
    package let name = "webhook"
    package let mostAtOnce = 50
    private let client: HTTPClient
    /// May hold a secret; it stands in no log.
    private let url: String
    private let token: String?
    private let house: String

    package init(_ client: HTTPClient, url: String, token: String?, house: String) {
        self.client = client
        self.url = url
        self.token = token
        self.house = house
    }

    nonisolated(nonsending) package func tell(
        _ messages: [AlertMessage], more: Int
    ) async throws(AlertChannelError) {
        let body: JSONValue = [
            "operator": .string(house), "alerts": .array(messages.map(\.value)),
            "more": .number(more),
        ]
        var headers = [HTTPField("Content-Type", "application/json")]
        if let token { headers.append(HTTPField("Authorization", "Bearer \(token)")) }
        let answer: HTTPAnswer
        do throws(HTTPCallError) {
            answer = try await client.call(
                HTTPCall(.post, url, headers: headers, body: body.encoded()))
        } catch { throw AlertChannelError("the webhook did not take it: \(error)") }
        guard (200..<300).contains(answer.status) else {
            throw AlertChannelError("the webhook answered \(answer.status)")
        }
    }
}

extension AlertMessage {
    var value: JSONValue {
        var value = alert.value
        // Of the same number as before, so a receiver knows that it goes on.
        value["state"] = .string((what == .renewed ? .raised : what).rawValue)
        return value
    }
}

extension Alert {
    /// As the API and webhooks show it.
    package var value: JSONValue {
        .members([
            "id": .number(id), "kind": .string(kind.rawValue), "title": .string(kind.title),
            "subject": .string(subject), "detail": .string(detail), "raisedAt": .time(raisedAt),
            "endedAt": endedAt.map { .time($0) },
            "acknowledgedBy": acknowledgedBy.map { .string($0) },
            "acknowledgedAt": acknowledgedAt.map { .time($0) },
        ])
    }
}
