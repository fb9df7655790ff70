import CPO
import Charging
import JSON
import SQL
import Service

extension Program {
    static let eraseCommand = CommandTable.Command(
        "erase",
        flags: [
            config, .init("--token", "UID", "a card's or an app token's uid"),
            .init("--party", "CC-PID", "the token's owner, as IN-KRB; else whoever owns it"),
            .init("--order", "ID", "a booking that came over Beckn"),
            .init("--phone", "NUMBER", "as bookings hold it"),
            .init("--email", "ADDRESS", "as bookings hold it"),
            .init("--dry-run", "say what would go and what would stay, and change nothing"),
            .init("--report", "print everything that is kept of somebody as JSON"),
        ],
        "take a person out of all rows on his demand, while the server runs; bills stay without him"
    )

    static func erase(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        let query = try person(invocation)
        guard !query.isEmpty else {
            throw Failure(
                code: .usage, text: "--token: name somebody by it, by --order, --phone or --email")
        }
        let settings = try settings(invocation)
        let database = try await open(settings)
        let house = try await ChargePointOperator(
            database: database, settings: settings.house, log: log(invocation))
        for rows in Doors.personalRows { house.privacy.register(rows) }
        let code = try await erase(query, house, invocation)
        await database.close()
        return code
    }

    private static func erase(
        _ query: Person.Query, _ house: ChargePointOperator,
        _ invocation: CommandTable.Invocation
    ) async throws -> ExitCode {
        if invocation.has("--report") {
            print(Privacy.report(try await house.privacy.find(query)).text)
            return .done
        }
        let isDry = invocation.has("--dry-run")
        let findings: [Privacy.Finding]
        do {
            findings =
                isDry
                ? try await house.privacy.find(query)
                : try await house.privacy.erase(query, by: "command line") { _ in }.findings
        } catch Privacy.Refusal.running(let session) {
            throw Failure(
                code: .refused, text: "session \(session) runs; stop it, and erase after its end")
        }
        if invocation.isJSON {
            print(JSONValue.array(findings.map(\.value)).text)
            return .done
        }
        for finding in findings { print(sentence(finding, isDry: isDry)) }
        if findings.isEmpty { print("nothing is kept of him") }
        return .done
    }

    private static func sentence(_ finding: Privacy.Finding, isDry: Bool) -> String {
        let held = finding.held.values.reduce(0, +)
        var text = "\(finding.kind): \(finding.rows - held) "
        text += isDry ? "would be erased" : "erased"
        if let remains = finding.remains { text += " (there stay \(remains))" }
        for (hold, rows) in finding.held.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            text += "; \(rows) stay for now, because \(hold.about)"
        }
        return text
    }

    private static func person(_ invocation: CommandTable.Invocation) throws -> Person.Query {
        var query = Person.Query(
            token: invocation.value("--token"), order: invocation.value("--order"),
            phone: invocation.value("--phone"), email: invocation.value("--email"))
        guard let text = invocation.value("--party") else { return query }
        guard let party = PartyID(stored: String(text.map { $0 == "-" ? "*" : $0 })),
            party.country.utf8.count == 2, party.party.utf8.count == 3
        else {
            throw Failure(code: .usage, text: "--party: \(text) is no party; write as IN-KRB")
        }
        query.party = party
        return query
    }

    // MARK: After a restore

    /// What to say of erasures that a restore brought to nothing.
    static func sentence(_ erasures: DatabasePlace.Erasures) -> String {
        switch erasures {
        case .due(0): ""
        case .due(let count): "; \(count) erasures are made again when the server starts"
        case .foreign:
            "; it is a backup of another database, so erasures made here are not made again"
        case .lost(let error):
            "; what was there before cannot be read, so erasures made since the backup are not made "
                + "again: it is \(error)"
        }
    }
}
