import CPO
import Charging
import JSON
import SQL
import Service

/// What a table asks for, row by row, checked as far as it can be without the rows of the store.
///
/// A table says nothing of what it has no column for: who is there already keeps that.
struct ImportPlan: Sendable {
    enum Outcome: String, Hashable, Sendable, CaseIterable { case created, changed, unchanged }

    /// What becomes of a row.
    struct Judgement: Hashable, Sendable {
        var outcome: Outcome
        /// By the names of the columns; of what is changed.
        var fields: [String] = []

        static let created = Judgement(outcome: .created)

        /// Changed where a field is.
        init(_ fields: [String]) {
            outcome = fields.isEmpty ? .unchanged : .changed
            self.fields = fields
        }

        private init(outcome: Outcome) { self.outcome = outcome }
    }

    struct Step: Sendable {
        var line: Int
        var id: String
        var work: Work
    }

    /// A row's two halves: reading, so that a dry run and what stays as it is hold up no writer.
    struct Work: Sendable {
        var judge: @Sendable (Transaction) throws -> Judgement
        var apply: @Sendable (Transaction) throws -> Void
    }

    struct Problem: Error, Hashable, Sendable {
        var line: Int
        var field: String?
        var detail: String
    }

    /// Mistakes told at once; a person mends them in one go.
    static let mostProblems = 100

    var steps: [Step] = []
    var problems: [Problem] = []

    /// Reads rows one by one; every mistake of each is told with its line, and one id stands once.
    mutating func read(
        _ rows: [CSVTable.Row], id key: String,
        _ work: (CSVTable.Row, String, inout Findings) -> Work?
    ) {
        var lines: [String: Int] = [:]
        for row in rows {
            var found = Findings()
            if let id = row[key] {
                if let first = lines.updateValue(row.line, forKey: id.lowercased()) {
                    found.note(row, key, "\(id) stands in line \(first) too")
                }
            } else {
                found.note(row, key, "is empty")
            }
            // An id that is missing keeps no other mistake from being found.
            let id = row[key] ?? "?"
            let made = work(row, id, &found)
            note(found)
            guard found.problems.isEmpty, let made else { continue }
            steps.append(Step(line: row.line, id: id, work: made))
        }
    }

    mutating func note(_ found: Findings) {
        for problem in found.problems { note(problem, line: problem.line) }
    }

    mutating func note(_ error: any Error, line: Int) {
        guard problems.count < Self.mostProblems else { return }
        problems.append(error as? Problem ?? Problem(error, line: line))
    }

    /// Checks the header: what is required is there, and nothing that nobody reads.
    mutating func check(_ table: CSVTable, required: [String], optional: [String]) {
        for name in required where !table.columns.contains(name) {
            problems.append(
                Problem(line: 1, field: name, detail: "the column `\(name)` is missing"))
        }
        for name in table.columns where !required.contains(name) && !optional.contains(name) {
            let known = (required + optional).joined(separator: ", ")
            problems.append(
                Problem(
                    line: 1, field: name,
                    detail: "nobody reads the column `\(name)`; take it out (known: \(known))"))
        }
    }
}

extension ImportPlan.Problem {
    var value: JSONValue {
        .members([
            "line": .number(line), "field": field.map { .string($0) }, "detail": .string(detail),
        ])
    }
}

extension CSVTable.Row {
    func flag(_ name: String, standard: Bool) throws(ImportPlan.Problem) -> Bool {
        switch self[name]?.lowercased() {
        case nil: standard
        case "true", "1", "yes": true
        case "false", "0", "no": false
        default:
            throw ImportPlan.Problem(
                line: line, field: name, detail: "`\(name)` must be true or false")
        }
    }

    func whole(_ name: String) throws(ImportPlan.Problem) -> JSONValue? {
        guard let text = self[name] else { return nil }
        guard let number = Int(text) else {
            throw ImportPlan.Problem(
                line: line, field: name, detail: "`\(name)` must be a whole number")
        }
        return .number(number)
    }

    func moment(_ name: String) throws(ImportPlan.Problem) -> Timestamp? {
        guard let text = self[name] else { return nil }
        guard let moment = Timestamp(rfc3339: text) else {
            throw ImportPlan.Problem(
                line: line, field: name,
                detail: "`\(name)` must be a time like 2026-12-31T23:00:00Z")
        }
        return moment
    }

    func count(_ name: String) throws(ImportPlan.Problem) -> Int? {
        guard let text = self[name] else { return nil }
        guard let count = Int(text), TokenBody.charges.contains(count) else {
            throw ImportPlan.Problem(
                line: line, field: name, detail: "`\(name)` \(TokenBody.chargesText)")
        }
        return count
    }

    func text(_ name: String) -> JSONValue? { self[name].map { .string($0) } }
}

// MARK: What is imported

extension ImportPlan {
    /// Stations by id. Where `registration` is empty a new one is Accepted, and one that is there keeps
    /// its own.
    static func stations(_ table: CSVTable, _ house: ChargePointOperator) -> ImportPlan {
        var plan = ImportPlan()
        plan.check(table, required: ["id"], optional: ["registration"])
        guard plan.problems.isEmpty else { return plan }
        let now = house.clock.now
        plan.read(table.rows, id: "id") { row, id, found in
            if !Console.isStationID(id) {
                found.note(row, "id", "has 1 to 48 characters, none of them / or :")
            }
            let text = row["registration"] ?? RegistrationStatus.accepted.rawValue
            guard let registration = RegistrationStatus(rawValue: text) else {
                found.note(row, "registration", "must be Accepted, Pending or Rejected")
                return nil
            }
            let isSaid = row["registration"] != nil
            return Work(
                judge: { transaction in
                    guard let old = try house.stations.station(id, in: transaction) else {
                        return .created
                    }
                    let isSame = !isSaid || old.registration == registration
                    return Judgement(isSame ? [] : ["registration"])
                },
                apply: { transaction in
                    if !isSaid, try house.stations.station(id, in: transaction) != nil { return }
                    try house.stations.register(id, registration, at: now, in: transaction)
                })
        }
        return plan
    }
}
