import CPO
import Charging
import Web

/// Tables for spreadsheets and accounts. RFC 4180, UTF-8, times in UTC, one header line.
package enum CSV {
    static func isWanted(_ request: HTTPRequest) -> Bool {
        request.headers["Accept"]?.lowercased().contains("text/csv") ?? false
    }

    static func answer(_ name: String, _ text: String, next: Int?) -> HTTPResponse {
        var headers: HTTPHeaders = [
            "Content-Type": "text/csv; charset=utf-8; header=present",
            "Content-Disposition": "attachment; filename=\"\(name).csv\"",
        ]
        if let next { headers.add("X-Next-Cursor", "\(next)") }
        return HTTPResponse(200, headers: headers, body: Array(text.utf8))
    }

    /// - Parameter isContinued: true leaves the header out, for the pages after the first.
    package static func sessions(_ sessions: [Session], isContinued: Bool = false) -> String {
        let head = [
            "id", "station", "connector", "evse", "token", "status", "started", "ended",
            "energy_wh", "currency", "total_excl_vat", "total_incl_vat", "stop_reason",
            "suspicions",
        ]
        let rows = sessions.map(cells)
        return text(isContinued ? rows : [head] + rows)
    }

    private static func cells(_ session: Session) -> [String] {
        var row: [String] = [session.id, session.station, String(session.connector)]
        row += [session.evseUID, session.token.uid, session.status.rawValue]
        row += [session.startedAt.rfc3339, session.endedAt?.rfc3339 ?? ""]
        row += [String(session.energy.value), session.currency]
        row.append(session.cost.map { "\($0.total.exclVAT)" } ?? "")
        row.append(session.cost?.total.inclVAT.map { "\($0)" } ?? "")
        row += [session.stopReason?.rawValue ?? "", session.suspicions.joined(separator: " ")]
        return row
    }

    /// All that an account needs of each bill. A credit's energy and amounts are negative, so that every
    /// column adds up to what is owed; a total differs from its parts only by a tariff's least or most.
    ///
    /// - Parameter isContinued: true leaves the header out, for the pages after the first.
    package static func bills(_ bills: [CDR], isContinued: Bool = false) -> String {
        text((isContinued ? [] : [billColumns]) + bills.map(cells))
    }

    private static let billColumns =
        [
            "bill", "credit_of", "created", "session", "party", "contract_id", "token",
            "authorization_reference", "station", "connector", "evse", "location", "address",
            "city",
            "postal_code", "country", "started", "ended", "meter_start_wh", "meter_end_wh",
            "energy_wh", "tariff", "currency",
        ] + ["energy", "time", "parking", "fixed", "reservation"].flatMap(both) + both("total")

    private static func both(_ part: String) -> [String] {
        ["\(part)_excl_vat", "\(part)_incl_vat"]
    }

    private static func cells(_ bill: CDR) -> [String] {
        let (session, cost) = (bill.session, bill.cost)
        let isCredit = bill.creditOf != nil
        let place = session.location
        let evse = place.evses.first { $0.uid == session.evseUID }
        func amounts(_ price: Price?) -> [String] {
            let signed = isCredit ? price?.negated : price
            return [signed.map { "\($0.exclVAT)" } ?? "", signed?.inclVAT.map { "\($0)" } ?? ""]
        }
        let energy = session.energy.value
        let ended = session.endedAt ?? session.lastUpdated
        var words: [String] = [bill.id, bill.creditOf ?? "", bill.createdAt.rfc3339, session.id]
        words += [session.token.party.description, session.token.contractID, session.token.uid]
        words += [session.authorizationReference ?? "", session.station, String(session.connector)]
        words += [evse?.evseID ?? session.evseUID, place.name ?? place.id, place.address]
        words += [place.city, place.postalCode ?? "", place.country]
        words += [session.startedAt.rfc3339, ended.rfc3339]
        words += [String(session.meterStart.value), String(session.meterLast.value)]
        words += [String(isCredit ? -energy : energy), session.tariff?.id ?? "", cost.currency]
        let parts = [
            cost.energy, cost.time, cost.parking, cost.fixed, cost.reservation, cost.total,
        ]
        return words + parts.flatMap(amounts)
    }

    private static func text(_ rows: [[String]]) -> String {
        rows.map { $0.map(cell).joined(separator: ",") + "\r\n" }.joined()
    }

    private static let formulas: Set<Unicode.Scalar> = ["=", "+", "-", "@", "\t", "\r"]
    private static let breaks: Set<Unicode.Scalar> = [",", "\"", "\n", "\r"]

    /// A cell a spreadsheet would run as a formula is made a text; a number may be negative.
    static func cell(_ text: String) -> String {
        // By code points: as a character, a line's end is one and a comma with an accent none of these.
        var scalars = Array(text.unicodeScalars)
        if let first = scalars.first, formulas.contains(first), Decimal(text) == nil {
            scalars.insert("'", at: 0)
        }
        var cell = String.UnicodeScalarView()
        guard scalars.contains(where: breaks.contains) else {
            cell.append(contentsOf: scalars)
            return String(cell)
        }
        cell.append("\"")
        for scalar in scalars {
            cell.append(scalar)
            if scalar == "\"" { cell.append(scalar) }
        }
        cell.append("\"")
        return String(cell)
    }
}
