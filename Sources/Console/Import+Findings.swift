import CPO
import JSON

extension ImportPlan {
    /// What is wrong with a row or a place, all of it: reading goes on with what would be right.
    struct Findings: Sendable {
        private(set) var problems: [Problem] = []

        mutating func note(_ error: any Error, line: Int) {
            guard problems.count < ImportPlan.mostProblems else { return }
            problems.append(error as? Problem ?? Problem(error, line: line))
        }

        mutating func note(_ row: CSVTable.Row, _ field: String, _ detail: String) {
            note(
                Problem(line: row.line, field: field, detail: "`\(field)` \(detail)"),
                line: row.line)
        }

        /// - Parameter other: stands for what cannot be read, so that it is not told twice.
        mutating func tried<Value>(
            _ row: CSVTable.Row, or other: Value, _ read: () throws -> Value
        ) -> Value {
            do { return try read() } catch {
                note(error, line: row.line)
                return other
            }
        }

        /// Reads a body again without each thing that was wrong with it: readers stop at their first.
        ///
        /// - Parameter good: a value for each member that must be there; others are taken out.
        /// - Parameter told: the mistake as the table has it, with the path of its member.
        mutating func whole<Value>(
            _ body: JSONValue, good: [String: JSONValue],
            told: (any Error) -> (problem: Problem, path: String?),
            _ read: (JSONValue) throws -> Value
        ) -> Value? {
            var body = body
            var mended: Set<String> = []
            while problems.count < ImportPlan.mostProblems {
                do { return try read(body) } catch {
                    let found = told(error)
                    // What was mended in vain is one mistake.
                    guard let path = found.path else {
                        note(found.problem, line: found.problem.line)
                        return nil
                    }
                    guard mended.insert(path).inserted else { return nil }
                    note(found.problem, line: found.problem.line)
                    let steps = path.split(separator: ".")
                    body.put(good[String(steps.last ?? "")], at: steps[...])
                }
            }
            return nil
        }
    }
}

extension JSONValue {
    /// nil takes the member out; a path that leads nowhere changes nothing.
    fileprivate mutating func put(_ value: JSONValue?, at path: ArraySlice<Substring>) {
        guard let step = path.first else { return }
        let rest = path.dropFirst()
        if case .array(var items) = self, let index = Int(step), items.indices.contains(index) {
            items[index].put(value, at: rest)
            self = .array(items)
        } else if case .object(var members) = self {
            if rest.isEmpty {
                members[String(step)] = value
            } else {
                members[String(step)]?.put(value, at: rest)
            }
            self = .object(members)
        }
    }
}
