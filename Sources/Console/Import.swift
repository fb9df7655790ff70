import CPO
import Charging
import JSON
import SQL
import Service

/// What a table asks for, row by row, checked as far as it can be without the rows of the store.
struct ImportPlan: Sendable {
    enum Outcome: String, Hashable, Sendable, CaseIterable { case created, changed, unchanged }

    struct Step: Sendable {
        var line: Int
        var id: String
        var apply: @Sendable (Transaction) throws -> Outcome
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

    /// Reads rows one by one; the mistakes of each are told with its line, and one id stands once.
    mutating func read(
        _ rows: [CSVTable.Row], id key: String,
        _ step: (CSVTable.Row, String) throws -> @Sendable (Transaction) throws -> Outcome
    ) {
        var lines: [String: Int] = [:]
        for row in rows {
            do {
                guard let id = row[key] else { throw Problem.missing(key, row) }
                if let first = lines.updateValue(row.line, forKey: id.lowercased()) {
                    throw Problem(
                        line: row.line, field: key, detail: "\(id) stands in line \(first) too")
                }
                steps.append(Step(line: row.line, id: id, apply: try step(row, id)))
            } catch { note(error, line: row.line) }
        }
    }

    mutating func note(_ error: any Error, line: Int) {
        guard problems.count < Self.mostProblems else { return }
        switch error {
        case let problem as Problem: problems.append(problem)
        case let problem as APIProblem:
            problems.append(
                Problem(
                    line: line, field: problem.field, detail: problem.detail ?? problem.title))
        case let bad as Console.BadValue:
            problems.append(
                Problem(line: line, field: bad.field, detail: "`\(bad.field)` \(bad.detail)"))
        default: problems.append(Problem(line: line, field: nil, detail: "\(error)"))
        }
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
    static func missing(_ field: String, _ row: CSVTable.Row) -> Self {
        Self(line: row.line, field: field, detail: "`\(field)` is empty")
    }

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
    /// Stations by id; `registration` is Accepted where it is empty.
    static func stations(_ table: CSVTable, _ house: ChargePointOperator) -> ImportPlan {
        var plan = ImportPlan()
        plan.check(table, required: ["id"], optional: ["registration"])
        guard plan.problems.isEmpty else { return plan }
        let now = house.clock.now
        plan.read(table.rows, id: "id") { row, id in
            guard Console.isStationID(id) else {
                throw Problem(
                    line: row.line, field: "id",
                    detail: "`id` has 1 to 48 characters, none of them / or :")
            }
            let text = row["registration"] ?? RegistrationStatus.accepted.rawValue
            guard let registration = RegistrationStatus(rawValue: text) else {
                throw Problem(
                    line: row.line, field: "registration",
                    detail: "`registration` must be Accepted, Pending or Rejected")
            }
            return { transaction in
                let old = try house.stations.station(id, in: transaction)
                try house.stations.register(id, registration, at: now, in: transaction)
                guard let old else { return .created }
                return old.registration == registration ? .unchanged : .changed
            }
        }
        return plan
    }

    /// Tokens of our own drivers, in the names of OCPI 2.2.1 §12.3.2.
    static func tokens(
        _ table: CSVTable, _ house: ChargePointOperator,
        _ read: @escaping @Sendable (JSONValue) throws -> Token
    ) -> ImportPlan {
        var plan = ImportPlan()
        plan.check(
            table, required: ["uid"],
            optional: [
                "type", "contract_id", "visual_number", "issuer", "group_id", "valid", "whitelist",
                "language", "expires", "max_charges",
            ])
        guard plan.problems.isEmpty else { return plan }
        let now = house.clock.now
        let party = house.settings.party
        plan.read(table.rows, id: "uid") { row, uid in
            let body = JSONValue.members([
                "country_code": .string(party.country), "party_id": .string(party.party),
                "uid": .string(uid), "type": row.text("type") ?? "RFID",
                "contract_id": row.text("contract_id") ?? .string(uid),
                "visual_number": row.text("visual_number"),
                "issuer": row.text("issuer") ?? .string(party.description),
                "group_id": row.text("group_id"),
                "valid": .bool(try row.flag("valid", standard: true)),
                "whitelist": row.text("whitelist") ?? "ALLOWED", "language": row.text("language"),
                "last_updated": .time(now),
            ])
            var token = try read(body)
            token.expires = try row.moment("expires")
            token.mostCharges = try row.count("max_charges")
            let found = token
            return { transaction in
                guard
                    let old = try house.tokens.find(
                        uid: uid, party: party, kind: found.kind, in: transaction)
                else {
                    try house.tokens.put(found, at: now, in: transaction)
                    return .created
                }
                var same = found
                (same.uid, same.lastUpdated) = (old.uid, old.lastUpdated)
                guard same != old else { return .unchanged }
                try house.tokens.put(found, at: now, in: transaction)
                return .changed
            }
        }
        return plan
    }
}
