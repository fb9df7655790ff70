import CPO
import JSON
import SQL
import Web

extension Console {
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
            summary:
                "Takes \(kind) from a table: all of it or nothing; who is there keeps what no column says",
            query: [
                .init(
                    name: "dryRun",
                    about: "`true`: says what would change, in which `fields`, and changes nothing")
            ],
            body: "text/csv in UTF-8 with a header: \(columns)"
        ) { request in
            let isDry = try request.flag("dryRun")
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

    /// Rows are judged beside the writer, all at one moment. Then those that differ are written in one
    /// transaction, so that it is all or nothing; at most `CSVTable.mostRows`, and stations wait as long.
    /// What somebody else changes between the two is written over where a column says so, and kept else.
    private func run(
        _ plan: ImportPlan, _ kind: String, isDry: Bool, for caller: Caller
    ) async throws -> HTTPResponse {
        guard plan.problems.isEmpty else { return Self.refusal(plan.problems) }
        let found: [ImportPlan.Judgement]
        do {
            let judged = try await house.read { try Self.judged(plan.steps, in: $0) }
            guard judged.problems.isEmpty else { return Self.refusal(judged.problems) }
            found = judged.found
            if !isDry {
                let counts = Self.counts(found)
                try await house.write { transaction in
                    for (step, one) in zip(plan.steps, found) where one.outcome != .unchanged {
                        try Self.told(of: step) { try step.work.apply(transaction) }
                    }
                    try self.audit.note(
                        caller, "import.\(kind)", "\(plan.steps.count) rows", counts,
                        in: transaction)
                }
            }
        } catch let problem as ImportPlan.Problem {
            return Self.refusal([problem])
        }
        var value = Self.counts(found)
        value["dryRun"] = .bool(isDry)
        value["items"] = .array(
            zip(plan.steps, found).prefix(APIRequest.highestLimit).map { step, one in
                .members([
                    "line": .number(step.line), "id": .string(step.id),
                    "outcome": .string(one.outcome.rawValue),
                    "fields": one.fields.isEmpty ? nil : .array(one.fields.map { .string($0) }),
                ])
            })
        return .json(value)
    }

    private static func judged(
        _ steps: [ImportPlan.Step], in transaction: Transaction
    ) throws -> (found: [ImportPlan.Judgement], problems: [ImportPlan.Problem]) {
        var found: [ImportPlan.Judgement] = []
        var problems: [ImportPlan.Problem] = []
        for step in steps where problems.count < ImportPlan.mostProblems {
            do {
                found.append(try told(of: step) { try step.work.judge(transaction) })
            } catch let problem as ImportPlan.Problem {
                problems.append(problem)
                // Of no cell: the store fails, and would for each row.
                if problem.field == nil { break }
            }
        }
        return (found, problems)
    }

    /// What goes wrong with a row is told with its line.
    private static func told<Value>(
        of step: ImportPlan.Step, _ body: () throws -> Value
    ) throws -> Value {
        do { return try body() } catch let problem as ImportPlan.Problem {
            throw problem
        } catch {
            throw ImportPlan.Problem(error, line: step.line)
        }
    }

    private static func counts(_ found: [ImportPlan.Judgement]) -> JSONValue {
        var value: JSONValue = [:]
        for one in ImportPlan.Outcome.allCases {
            value[one.rawValue] = .number(found.count { $0.outcome == one })
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
        switch error {
        case LocationError.plugTiedTwice:
            self.init(line: line, field: "station", detail: "\(error)")
        case is LocationError: self.init(line: line, field: "evse_uid", detail: "\(error)")
        case let problem as APIProblem:
            self.init(line: line, field: problem.field, detail: problem.detail ?? problem.title)
        case let bad as Console.BadValue:
            self.init(line: line, field: bad.field, detail: "`\(bad.field)` \(bad.detail)")
        default: self.init(line: line, field: nil, detail: "\(error)")
        }
    }
}
