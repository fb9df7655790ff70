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
    private static let place = [
        "name", "address", "city", "postal_code", "state", "country", "latitude", "longitude",
        "time_zone", "publish",
    ]
    private static let evse = ["evse_id", "physical_reference", "station", "station_connector"]
    private static let connector = [
        "connector_id", "standard", "format", "power_type", "max_voltage", "max_amperage",
        "max_electric_power", "tariff_ids",
    ]

    static func locations(_ table: CSVTable, _ house: ChargePointOperator) -> ImportPlan {
        var plan = ImportPlan()
        let required = ["location_id", "evse_uid", "connector_id"]
        plan.check(
            table, required: required,
            optional: (place + evse + connector).filter { !required.contains($0) })
        guard plan.problems.isEmpty else { return plan }
        let now = house.clock.now
        var (order, groups) = ([String](), [String: [CSVTable.Row]]())
        for row in table.rows {
            guard let id = row["location_id"] else {
                plan.note(Problem.missing("location_id", row), line: row.line)
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
            do {
                for row in rows {
                    guard let uid = row["evse_uid"] else { continue }
                    let owner = owners[uid.lowercased(), default: id]
                    owners[uid.lowercased()] = owner
                    guard owner == id else {
                        throw Problem(
                            line: row.line, field: "evse_uid",
                            detail: "the uid \(uid) stands in location \(owner)")
                    }
                }
                let body = try body(of: rows)
                let wanted = try LocationBody(house, at: now).read(body, id: id)
                let isPublishSaid = rows.contains { $0["publish"] != nil }
                let said = isPublishSaid ? columns : columns.subtracting(["publish"])
                let work = Work(
                    judge: { _ in
                        let old = house.locations.location(id)
                        let kept = wanted.keeping(old, said)
                        try LocationBody.refuseHalfTies(kept)
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
            } catch { plan.note(error, line: line) }
        }
        return plan
    }

    private static func body(of rows: [CSVTable.Row]) throws(Problem) -> JSONValue {
        var shared: [String: String] = [:]
        for row in rows {
            for name in place {
                guard let text = row[name] else { continue }
                if let first = shared[name], first != text {
                    throw Problem(
                        line: row.line, field: name,
                        detail: "`\(name)` is another than in the place's first line")
                }
                shared[name] = text
            }
        }
        let head = CSVTable.Row(line: rows[0].line, cells: shared)
        var value = JSONValue.members([
            "name": head.text("name"), "address": head.text("address"), "city": head.text("city"),
            "postal_code": head.text("postal_code"), "state": head.text("state"),
            "country": head.text("country"), "time_zone": head.text("time_zone"),
            "publish": .bool(try head.flag("publish", standard: true)),
            "evses": .array(try evses(of: rows)),
        ])
        if let latitude = head.text("latitude"), let longitude = head.text("longitude") {
            value["coordinates"] = ["latitude": latitude, "longitude": longitude]
        }
        return value
    }

    private static func evses(of rows: [CSVTable.Row]) throws(Problem) -> [JSONValue] {
        var (order, groups) = ([String](), [String: [CSVTable.Row]]())
        for row in rows {
            guard let uid = row["evse_uid"] else { throw .missing("evse_uid", row) }
            if groups[uid.lowercased()] == nil { order.append(uid) }
            groups[uid.lowercased(), default: []].append(row)
        }
        var found: [JSONValue] = []
        for uid in order {
            guard let rows = groups[uid.lowercased()], let head = rows.first else { continue }
            var connectors: [JSONValue] = []
            for row in rows { connectors.append(try connector(of: row)) }
            found.append(
                .members([
                    "uid": .string(uid), "evse_id": head.text("evse_id"),
                    "physical_reference": head.text("physical_reference"),
                    "station": head.text("station"),
                    "station_connector": try head.whole("station_connector"),
                    "connectors": .array(connectors),
                ]))
        }
        return found
    }

    private static func connector(of row: CSVTable.Row) throws(Problem) -> JSONValue {
        .members([
            "id": row.text("connector_id"), "standard": row.text("standard"),
            "format": row.text("format"), "power_type": row.text("power_type"),
            "max_voltage": try row.whole("max_voltage"),
            "max_amperage": try row.whole("max_amperage"),
            "max_electric_power": try row.whole("max_electric_power"),
            // A cell holds several, separated by blanks.
            "tariff_ids": .array(
                (row["tariff_ids"] ?? "").split(separator: " ").map { .string(String($0)) }),
        ])
    }
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
