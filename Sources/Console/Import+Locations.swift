import CPO
import Charging
import JSON
import Service

/// Places from a table with a line for every connector, in the names of OCPI 2.2.1 §8.3.
///
/// A place's own columns are filled in its first line; in its others they are empty or the same.
/// EVSEs that stand in the store and not in the table stay as they are, and so does what the table has no
/// column for.
extension ImportPlan {
    private static let evse = ["evse_id", "physical_reference", "station", "station_connector"]
    private static let connector = [
        "connector_id", "standard", "format", "power_type", "max_voltage", "max_amperage",
        "max_electric_power", "tariff_ids",
    ]

    /// What would be right where a cell is not.
    private static let good: [String: JSONValue] = [
        "address": "?", "city": "?", "country": "IND", "time_zone": "UTC",
        "coordinates": ["latitude": 0, "longitude": 0], "uid": "?", "id": "?", "standard": "?",
        "format": "SOCKET", "power_type": "DC", "max_voltage": 1, "max_amperage": 1,
    ]

    static func locations(_ table: CSVTable, _ house: ChargePointOperator) -> ImportPlan {
        var plan = ImportPlan()
        let required = ["location_id", "evse_uid", "connector_id"]
        plan.check(
            table, required: required,
            optional: (PlaceLines.columns + evse + connector).filter { !required.contains($0) })
        guard plan.problems.isEmpty else { return plan }
        let now = house.clock.now
        var (order, groups) = ([String](), [String: [CSVTable.Row]]())
        for row in table.rows {
            guard let id = row["location_id"] else {
                var found = Findings()
                found.note(row, "location_id", "is empty")
                var owner: [String: String] = [:]
                own(row, "?", &owner, &found)
                _ = read(PlaceLines([row]), "?", house, now, &found)
                // Of a place that is not named nothing is known.
                for problem in found.problems where !problem.isOfPlace {
                    plan.note(problem, line: problem.line)
                }
                continue
            }
            if groups[id.lowercased()] == nil { order.append(id) }
            groups[id.lowercased(), default: []].append(row)
        }
        let columns = Set(table.columns)
        // Whose plugs the table may put elsewhere.
        let leaving = Set(table.rows.compactMap { $0["evse_uid"]?.lowercased() })
        var owners: [String: String] = [:]
        for id in order {
            guard let rows = groups[id.lowercased()], let line = rows.first?.line else { continue }
            var found = Findings()
            for row in rows { own(row, id, &owners, &found) }
            let lines = PlaceLines(rows)
            let wanted = read(lines, id, house, now, &found)
            for problem in found.problems.sorted(by: { $0.line < $1.line }) {
                plan.note(problem, line: problem.line)
            }
            guard found.problems.isEmpty, let wanted else { continue }
            let isPublishSaid = rows.contains { $0["publish"] != nil }
            let said = isPublishSaid ? columns : columns.subtracting(["publish"])
            let work = Work(
                judge: { _ in
                    let old = house.locations.location(id)
                    let kept = wanted.keeping(old, said)
                    do { try LocationBody.refuseHalfTies(kept) } catch {
                        throw lines.told(error).problem
                    }
                    try house.locations.refuseTwice(kept, leaving: leaving)
                    guard let new = try house.locations.change(to: kept, at: now) else {
                        return Judgement([])
                    }
                    guard let old else { return .created }
                    let fields = new.changes(from: old)
                    return Judgement(fields.isEmpty ? ["evses"] : fields)
                },
                apply: { transaction in
                    let old = house.locations.location(id)
                    let kept = wanted.keeping(old, said)
                    try house.locations.refuseTwice(kept, leaving: leaving)
                    try house.locations.put(kept, at: now, in: transaction)
                })
            plan.steps.append(Step(line: line, id: id, work: work))
        }
        return plan
    }

    private static func read(
        _ lines: PlaceLines, _ id: String, _ house: ChargePointOperator, _ now: Timestamp,
        _ found: inout Findings
    ) -> Location? {
        let body = lines.body(&found)
        return found.whole(body, good: good, told: lines.told) {
            try LocationBody(house, at: now).read($0, id: id)
        }
    }

    /// An EVSE's uid is there, and stands in one place of the table.
    private static func own(
        _ row: CSVTable.Row, _ id: String, _ owners: inout [String: String],
        _ found: inout Findings
    ) {
        guard let uid = row["evse_uid"] else {
            found.note(row, "evse_uid", "is empty")
            return
        }
        let owner = owners[uid.lowercased(), default: id]
        owners[uid.lowercased()] = owner
        if owner != id { found.note(row, "evse_uid", "\(uid) stands in location \(owner)") }
    }
}

extension ImportPlan.Problem {
    fileprivate var isOfPlace: Bool { PlaceLines.columns.contains(field ?? "") }
}

extension Location {
    /// With the EVSEs of `old` that do not stand here, and what the table's columns do not say.
    fileprivate func keeping(_ old: Location?, _ columns: Set<String>) -> Location {
        guard let old else { return self }
        var merged = self
        if !columns.contains("name") { merged.name = old.name }
        if !columns.contains("postal_code") { merged.postalCode = old.postalCode }
        if !columns.contains("state") { merged.state = old.state }
        if !columns.contains("publish") { merged.publish = old.publish }
        for index in merged.evses.indices {
            let uid = merged.evses[index].uid.lowercased()
            guard let known = old.evses.first(where: { $0.uid.lowercased() == uid }) else {
                continue
            }
            merged.evses[index] = merged.evses[index].keeping(known, columns)
        }
        let here = Set(evses.map { $0.uid.lowercased() })
        merged.evses += old.evses.filter { !here.contains($0.uid.lowercased()) }
        return merged
    }

    /// By the names of the columns; an EVSE by its uid.
    fileprivate func changes(from old: Location) -> [String] {
        let pairs: [(String, Bool)] = [
            ("name", name == old.name), ("address", address == old.address),
            ("city", city == old.city), ("postal_code", postalCode == old.postalCode),
            ("state", state == old.state), ("country", country == old.country),
            ("latitude", coordinates.latitude == old.coordinates.latitude),
            ("longitude", coordinates.longitude == old.coordinates.longitude),
            ("time_zone", timeZone == old.timeZone), ("publish", publish == old.publish),
        ]
        return pairs.filter { !$0.1 }.map(\.0)
            + evses.filter { !old.evses.contains($0) }.map { "evse \($0.uid)" }
    }
}

extension EVSE {
    fileprivate func keeping(_ known: EVSE, _ columns: Set<String>) -> EVSE {
        var merged = self
        merged.status = known.status
        merged.capabilities = known.capabilities
        if !columns.contains("evse_id") { merged.evseID = known.evseID }
        if !columns.contains("physical_reference") {
            merged.physicalReference = known.physicalReference
        }
        if !columns.contains("station") { merged.station = known.station }
        if !columns.contains("station_connector") {
            merged.stationConnector = known.stationConnector
        }
        for index in merged.connectors.indices {
            let id = merged.connectors[index].id.lowercased()
            guard let old = known.connectors.first(where: { $0.id.lowercased() == id }) else {
                continue
            }
            if !columns.contains("tariff_ids") {
                merged.connectors[index].tariffIDs = old.tariffIDs
            }
            if !columns.contains("max_electric_power") {
                merged.connectors[index].maxElectricPower = old.maxElectricPower
            }
        }
        return merged
    }
}
