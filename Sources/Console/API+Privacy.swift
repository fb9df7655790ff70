import CPO
import Charging
import JSON
import SQL
import Service
import Web

extension Console {
    var privacyRoutes: [APIRoute] {
        let body =
            "{\"token\"?: a uid, \"party\"?: its owner as \"IN-KRB\", \"order\"?: a booking's id, "
            + "\"phone\"?, \"email\"?}"
        return [
            APIRoute(
                method: "POST", path: "/erasure", need: .role(.admin),
                summary:
                    "Takes a person out of all rows; bills stay without him. Says first what would "
                    + "happen: `dryRun` is true unless it is false",
                body: "\(body) with \"dryRun\"?", handler: erase),
            APIRoute(
                method: "POST", path: "/erasure/report", need: .role(.admin),
                summary: "Everything that is kept of a person", body: body
            ) { request in
                let query = try Self.person(request.object(only: Self.personMembers))
                let found = try await self.house.privacy.find(query)
                try await self.house.write { transaction in
                    try self.audit.note(
                        request.caller, "erasure.report", Self.names(query), in: transaction)
                }
                return .json(Privacy.report(found), headers: ["Cache-Control": "no-store"])
            },
        ]
    }

    private func erase(_ request: APIRequest) async throws -> HTTPResponse {
        let body = try request.object(only: Self.personMembers.union(["dryRun"]))
        let query = try Self.person(body)
        let isDry: Bool
        switch body["dryRun"] {
        case nil: isDry = true
        case .bool(let value): isDry = value
        default: throw APIProblem.field("dryRun", "must be true or false")
        }
        do {
            guard !isDry else {
                let found = try await house.privacy.find(query)
                let running = try await house.privacy.running(query)
                return .json(Self.shape(found, isDry: true, running: running))
            }
            let outcome = try await house.privacy.erase(query, by: request.caller.name) {
                // Without whom: the list would name him for years.
                try self.audit.note(
                    request.caller, "erasure", Self.names(query), in: $0)
            }
            return .json(Self.shape(outcome.findings, isDry: false, running: nil))
        } catch let refusal as Privacy.Refusal {
            throw APIProblem(refusal)
        }
    }

    private static func shape(
        _ findings: [Privacy.Finding], isDry: Bool, running: String?
    ) -> JSONValue {
        .members([
            "dryRun": .bool(isDry), "items": .array(findings.map(\.value)),
            "running": running.map { .string($0) },
            "waiting": .bool(findings.contains { !$0.held.isEmpty }),
        ])
    }

    /// By what he was named, for the audit list.
    private static func names(_ query: Person.Query) -> String {
        let names = [
            ("token", query.token), ("party", query.party?.description), ("order", query.order),
            ("phone", query.phone), ("email", query.email),
        ]
        return "somebody, by "
            + names.filter { $0.1 != nil }.map(\.0).joined(separator: ", ")
    }

    /// The longest name of anybody: longer ones are no names.
    private static let longestName = 255

    private static let personMembers: Set = ["token", "party", "order", "phone", "email"]

    private static func person(_ body: JSONValue) throws(APIProblem) -> Person.Query {
        func text(_ name: String) throws(APIProblem) -> String? {
            guard let value = body[name], !value.isNull else { return nil }
            guard let text = value.string, (1...longestName).contains(text.utf8.count) else {
                throw .field(name, "must be a text of 1 to \(longestName) characters")
            }
            return text
        }
        var query = Person.Query(
            token: try text("token"), order: try text("order"), phone: try text("phone"),
            email: try text("email"))
        if let text = try text("party") {
            guard let party = PartyID(stored: String(text.map { $0 == "-" ? "*" : $0 })),
                party.country.utf8.count == 2, party.party.utf8.count == 3
            else { throw .field("party", "must be a country and a party, like IN-KRB") }
            query.party = party
        }
        guard !query.isEmpty else {
            throw .field("token", "or `order`, `phone` or `email` must name somebody")
        }
        return query
    }
}

extension APIProblem {
    init(_ refusal: Privacy.Refusal) {
        switch refusal {
        case .nobody:
            self = .field("token", "or `order`, `phone` or `email` must name somebody")
        case .running(let session):
            self.init(
                409, "a charge runs",
                detail: "session \(session) runs with it; stop it, and erase after its end",
                field: "token")
        case .busy:
            self.init(
                409, "another erasure is under way", detail: "try again in a minute",
                retryAfterSeconds: 60)
        }
    }
}
