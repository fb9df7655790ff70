import CPO
import JSON
import SQL
import Web

extension Console {
    /// Undoes what a dry run did, and carries what it found.
    private struct DryRun: Error {
        var outcomes: [ImportPlan.Outcome]
    }

    var importRoutes: [APIRoute] {
        var routes = [
            importRoute("stations", "`id,registration`") { ImportPlan.stations($0, self.house) },
            importRoute("locations", "a line for every connector, in OCPI's names") {
                ImportPlan.locations($0, self.house)
            },
        ]
        if let read = connections.readToken {
            routes.append(
                importRoute("tokens", "`uid,type,contract_id,…` as OCPI names them") {
                    ImportPlan.tokens($0, self.house, read)
                })
        }
        return routes
    }

    private func importRoute(
        _ kind: String, _ columns: String,
        _ plan: @escaping @Sendable (CSVTable) throws -> ImportPlan
    ) -> APIRoute {
        APIRoute(
            method: "POST", path: "/import/\(kind)", need: .role(.admin),
            summary: "Takes \(kind) from a table: all of it or nothing",
            query: [
                .init(name: "dryRun", about: "`true`: says what would change, changes nothing")
            ],
            body: "text/csv in UTF-8 with a header: \(columns)"
        ) { request in
            let isDry: Bool
            switch request.http.query("dryRun") {
            case nil, "", "false": isDry = false
            case "true": isDry = true
            default: throw APIProblem.field("dryRun", "must be true or false")
            }
            var made: ImportPlan
            do {
                made = try plan(try CSVTable(request.http.body.span))
            } catch let mistake as CSVTable.Mistake {
                made = ImportPlan()
                made.problems = [
                    .init(line: mistake.line, field: nil, detail: mistake.reason)
                ]
            }
            return try await self.run(made, kind, isDry: isDry, for: request.caller)
        }
    }

    private func run(
        _ plan: ImportPlan, _ kind: String, isDry: Bool, for caller: Caller
    ) async throws -> HTTPResponse {
        guard plan.problems.isEmpty else { return Self.refusal(plan.problems) }
        let outcomes: [ImportPlan.Outcome]
        do {
            outcomes = try await house.write { transaction in
                let outcomes = try plan.steps.map { step in
                    do { return try step.apply(transaction) } catch {
                        throw ImportPlan.Problem(error, line: step.line)
                    }
                }
                if isDry { throw DryRun(outcomes: outcomes) }
                try self.audit.note(
                    caller, "import.\(kind)", "\(plan.steps.count) rows",
                    Self.counts(outcomes), in: transaction)
                return outcomes
            }
        } catch let dry as DryRun {
            outcomes = dry.outcomes
        } catch let problem as ImportPlan.Problem {
            return Self.refusal([problem])
        }
        var value = Self.counts(outcomes)
        value["dryRun"] = .bool(isDry)
        value["items"] = .array(
            zip(plan.steps, outcomes).prefix(APIRequest.highestLimit).map { step, outcome in
                [
                    "line": .number(step.line), "id": .string(step.id),
                    "outcome": .string(outcome.rawValue),
                ]
            })
        return .json(value)
    }

    private static func counts(_ outcomes: [ImportPlan.Outcome]) -> JSONValue {
        var value: JSONValue = [:]
        for one in ImportPlan.Outcome.allCases {
            value[one.rawValue] = .number(outcomes.count { $0 == one })
        }
        return value
    }

    /// Every mistake with its line; nothing was taken.
    private static func refusal(_ problems: [ImportPlan.Problem]) -> HTTPResponse {
        .json(
            [
                "status": 422, "title": "nothing was imported",
                "detail": .string("line \(problems[0].line): \(problems[0].detail)"),
                "problems": .array(problems.map(\.value)),
            ], status: 422, headers: ["Content-Type": "application/problem+json"])
    }
}

extension ImportPlan.Problem {
    init(_ error: any Error, line: Int) {
        if case LocationError.evseBelongsElsewhere(let uid, let other) = error {
            self.init(
                line: line, field: "evse_uid", detail: "the uid \(uid) stands in location \(other)")
        } else {
            self.init(line: line, field: nil, detail: "\(error)")
        }
    }
}
