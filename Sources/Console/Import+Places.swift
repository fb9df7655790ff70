import CPO
import JSON

/// The lines of one place in a table, by EVSE, and the body that they make.
struct PlaceLines: Sendable {
    /// Of the place itself.
    static let columns = [
        "name", "address", "city", "postal_code", "state", "country", "latitude", "longitude",
        "time_zone", "publish",
    ]
    /// Members that have another name in a table.
    private static let renamed = [
        "coordinates": "latitude", "uid": "evse_uid", "id": "connector_id",
        "connectors": "connector_id",
    ]

    private var rows: [CSVTable.Row]
    private var evses: [(uid: String, rows: [CSVTable.Row])] = []

    /// - Parameter rows: at least one.
    init(_ rows: [CSVTable.Row]) {
        self.rows = rows
        var places: [String: Int] = [:]
        for row in rows {
            // Where it is missing it was told; the rest of the line is read all the same.
            let uid = row["evse_uid"] ?? "line \(row.line)"
            if let index = places[uid.lowercased()] {
                evses[index].rows.append(row)
            } else {
                places[uid.lowercased()] = evses.count
                evses.append((uid, [row]))
            }
        }
    }

    /// As `LocationBody` reads it.
    func body(_ found: inout ImportPlan.Findings) -> JSONValue {
        var shared: [String: String] = [:]
        for row in rows {
            for name in Self.columns {
                guard let text = row[name] else { continue }
                if let first = shared[name], first != text {
                    found.note(row, name, "is another than in the place's first line")
                } else {
                    shared[name] = text
                }
            }
        }
        let head = CSVTable.Row(line: line(of: "publish").line, cells: shared)
        let isPublic = found.tried(head, or: true) { try head.flag("publish", standard: true) }
        var value = JSONValue.members([
            "name": head.text("name"), "address": head.text("address"), "city": head.text("city"),
            "postal_code": head.text("postal_code"), "state": head.text("state"),
            "country": head.text("country"), "time_zone": head.text("time_zone"),
            "publish": .bool(isPublic),
        ])
        var bodies: [JSONValue] = []
        for evse in evses { bodies.append(Self.evse(evse.uid, evse.rows, &found)) }
        value["evses"] = .array(bodies)
        if let latitude = head.text("latitude"), let longitude = head.text("longitude") {
            value["coordinates"] = ["latitude": latitude, "longitude": longitude]
        }
        return value
    }

    private static func evse(
        _ uid: String, _ rows: [CSVTable.Row], _ found: inout ImportPlan.Findings
    ) -> JSONValue {
        let head = rows[0]
        var connectors: [JSONValue] = []
        for row in rows { connectors.append(connector(of: row, &found)) }
        return .members([
            "uid": .string(uid), "evse_id": head.text("evse_id"),
            "physical_reference": head.text("physical_reference"),
            "station": head.text("station"),
            "station_connector": whole("station_connector", head, &found),
            "connectors": .array(connectors),
        ])
    }

    private static func connector(
        of row: CSVTable.Row, _ found: inout ImportPlan.Findings
    ) -> JSONValue {
        .members([
            "id": row.text("connector_id"), "standard": row.text("standard"),
            "format": row.text("format"), "power_type": row.text("power_type"),
            "max_voltage": whole("max_voltage", row, &found),
            "max_amperage": whole("max_amperage", row, &found),
            "max_electric_power": whole("max_electric_power", row, &found),
            // A cell holds several, separated by blanks.
            "tariff_ids": .array(
                (row["tariff_ids"] ?? "").split(separator: " ").map { .string(String($0)) }),
        ])
    }

    private static func whole(
        _ column: String, _ row: CSVTable.Row, _ found: inout ImportPlan.Findings
    ) -> JSONValue? {
        found.tried(row, or: .number(1)) { try row.whole(column) }
    }

    /// Where a column of the place stands; its first line where it stands nowhere.
    private func line(of column: String) -> CSVTable.Row {
        rows.first { $0[column] != nil } ?? rows[0]
    }

    /// A mistake of the body as the table has it, with the path of its member.
    func told(_ error: any Error) -> (problem: ImportPlan.Problem, path: String?) {
        guard let problem = error as? APIProblem, let path = problem.field else {
            return (ImportPlan.Problem(error, line: rows[0].line), nil)
        }
        let steps = path.split(separator: ".").map(String.init)
        let column = steps.last.map { Self.renamed[$0] ?? $0 } ?? path
        var row = line(of: column)
        if steps.count > 2, let index = Int(steps[1]), evses.indices.contains(index) {
            let lines = evses[index].rows
            row = lines[0]
            if steps.count > 4, let number = Int(steps[3]), lines.indices.contains(number) {
                row = lines[number]
            }
        }
        let detail = (problem.detail ?? problem.title).replacing(
            "`\(path)`", with: "`\(path == "coordinates" ? path : column)`")
        return (ImportPlan.Problem(line: row.line, field: column, detail: detail), path)
    }
}
