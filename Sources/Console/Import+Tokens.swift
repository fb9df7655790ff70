import CPO
import Charging
import JSON
import SQL
import Service

/// Tokens of our own drivers, in the names of OCPI 2.2.1 §12.3.2.
///
/// An empty cell of `contract_id`, `issuer`, `valid` or `whitelist` says nothing either; one of the other
/// columns takes away what was there. A new token is valid, RFID and ALLOWED where nothing is said.
extension ImportPlan {
    private static let columns = [
        "type", "contract_id", "visual_number", "issuer", "group_id", "valid", "whitelist",
        "language", "expires", "max_charges",
    ]

    /// What would be right where a cell is not.
    private static let good: [String: JSONValue] = [
        "uid": "?", "type": "RFID", "contract_id": "?", "issuer": "?", "whitelist": "ALLOWED",
    ]

    static func tokens(
        _ table: CSVTable, _ house: ChargePointOperator,
        _ read: @escaping @Sendable (JSONValue) throws -> Token
    ) -> ImportPlan {
        var plan = ImportPlan()
        plan.check(table, required: ["uid"], optional: columns)
        guard plan.problems.isEmpty else { return plan }
        let now = house.clock.now
        let party = house.settings.party
        plan.read(table.rows, id: "uid") { row, uid, found in
            let isValid = found.tried(row, or: true) { try row.flag("valid", standard: true) }
            let body = JSONValue.members([
                "country_code": .string(party.country), "party_id": .string(party.party),
                "uid": .string(uid), "type": row.text("type") ?? "RFID",
                "contract_id": row.text("contract_id") ?? .string(uid),
                "visual_number": row.text("visual_number"),
                "issuer": row.text("issuer") ?? .string(party.description),
                "group_id": row.text("group_id"),
                "valid": .bool(isValid),
                "whitelist": row.text("whitelist") ?? "ALLOWED", "language": row.text("language"),
                "last_updated": .time(now),
            ])
            let expires = found.tried(row, or: nil) { try row.moment("expires") }
            let mostCharges = found.tried(row, or: nil) { try row.count("max_charges") }
            let token = found.whole(
                body, good: good,
                told: {
                    let problem = Problem($0, line: row.line)
                    return (problem, problem.field)
                }, read)
            guard var token else { return nil }
            token.expires = expires
            token.mostCharges = mostCharges
            let told = token
            let said = Set(table.columns.filter { isSaid($0, in: row) })
            return Work(
                judge: { transaction in
                    guard let old = try known(told, row, house, in: transaction) else {
                        return .created
                    }
                    let new = merged(told, over: old, said)
                    return Judgement(columns.filter { field($0, of: new) != field($0, of: old) })
                },
                apply: { transaction in
                    var new = told
                    if let old = try known(told, row, house, in: transaction) {
                        new = merged(told, over: old, said)
                        new.lastUpdated = now
                    }
                    try house.tokens.put(new, at: now, in: transaction)
                })
        }
        return plan
    }

    /// Whether the table says something of a column, were it that there is nothing.
    private static func isSaid(_ column: String, in row: CSVTable.Row) -> Bool {
        switch column {
        case "type", "contract_id", "issuer", "valid", "whitelist": row[column] != nil
        default: true
        }
    }

    /// The one that is there. A table without a type means the one of this uid, whatever it is.
    private static func known(
        _ told: Token, _ row: CSVTable.Row, _ house: ChargePointOperator,
        in transaction: Transaction
    ) throws -> Token? {
        if row["type"] != nil {
            return try house.tokens.find(
                uid: told.uid, party: told.party, kind: told.kind, in: transaction)
        }
        let found = try house.tokens.candidates(
            idTag: Tokens.idTag(of: told.uid), in: transaction
        ).filter { $0.party == told.party && $0.uid.lowercased() == told.uid.lowercased() }
        guard found.count <= 1 else {
            let kinds = found.map(\.kind.rawValue).sorted().joined(separator: " and ")
            throw Problem(
                line: row.line, field: "type", detail: "\(told.uid) is there as \(kinds); say which"
            )
        }
        return found.first
    }

    private static func merged(_ told: Token, over old: Token, _ said: Set<String>) -> Token {
        var new = old
        for column in said {
            switch column {
            case "contract_id": new.contractID = told.contractID
            case "visual_number": new.visualNumber = told.visualNumber
            case "issuer": new.issuer = told.issuer
            case "group_id": new.groupID = told.groupID
            case "valid": new.isValid = told.isValid
            case "whitelist": new.whitelist = told.whitelist
            case "language": new.language = told.language
            case "expires": new.expires = told.expires
            case "max_charges": new.mostCharges = told.mostCharges
            // `uid` and `type` say which one is meant.
            default: break
            }
        }
        return new
    }

    /// To be compared.
    private static func field(_ column: String, of token: Token) -> String? {
        switch column {
        case "contract_id": token.contractID
        case "visual_number": token.visualNumber
        case "issuer": token.issuer
        case "group_id": token.groupID
        case "valid": "\(token.isValid)"
        case "whitelist": token.whitelist.rawValue
        case "language": token.language
        case "expires": token.expires?.rfc3339
        case "max_charges": token.mostCharges.map { "\($0)" }
        default: token.kind.rawValue
        }
    }
}
