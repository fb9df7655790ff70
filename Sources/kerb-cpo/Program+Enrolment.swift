import CPO
import CSMS
import Console
import JSON
import SQL
import Service

extension Program {
    static let stationEnrolCommand = CommandTable.Command(
        "station enrol", arguments: ["ID"],
        flags: [
            .init("--config", "FILE", "configuration (/etc/kerb/cpo.yaml)"),
            .init("--minutes", "N", "how long the code can be used (1440, a day)"),
            .init("--svg", "FILE", "write the QR code there, to print it"),
        ],
        "take a station in and make the one-time code of its board; the server may run")

    /// The code is shown once; the database keeps its hash.
    static func enrolStation(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        let settings = try settings(invocation)
        let id = invocation.arguments[0]
        guard Console.isStationID(id) else {
            throw Failure(
                code: .usage,
                text: "ID: a station's id has 1 to 48 characters without blank, : and /")
        }
        let minutes = invocation.value("--minutes").map { Int($0) ?? 0 } ?? Enrolment.usualMinutes
        guard Enrolment.minutes.contains(minutes) else {
            throw Failure(code: .usage, text: "--minutes must be from 1 to 10080, which is a week")
        }
        guard let enrolment = try settings.enrolment else {
            throw Failure(
                code: .usage,
                text:
                    "no listener with tls serves ocpp, and a board enrols over TLS only; add one, or "
                    + "say `ocpp.stationsURL`")
        }
        let database = try await open(settings)
        let house = try await ChargePointOperator(
            database: database, settings: settings.house, log: log(invocation))
        let now = house.clock.now
        let made = try await house.write { transaction in
            try Enrolment.make(
                id, minutes: minutes, in: house, at: now, transaction: transaction)
        }
        await database.close()
        let uri = enrolment.uri(made)
        let code = QRCode(uri.text)
        if let file = invocation.value("--svg") {
            guard let code else { throw Failure(text: "the address is too long for a QR code") }
            try FileSystem.writeAtomically(Array(code.svg.utf8), to: file)
        }
        if invocation.isJSON {
            print(Console.Connections.enrolment(made, uri).text)
            return .done
        }
        if let code { print(code.text(isColoured: Terminal.standardOutput.hasColour)) }
        print("station  \(made.station)")
        print("code     \(made.code.text)  (once, until \(made.expiresAt))")
        print("board    kerb-edge enrol '\(uri.text)'")
        return .done
    }
}
