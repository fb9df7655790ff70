import Charging
import Crypto
import JSON
import SQL
import Service

/// Settings by model, what stations have of them, and how far the two are apart.
package final class Templates: Sendable {
    /// Keys of one GetConfiguration: every station takes so many. OCPP 1.6 §9.1.8.
    private static let keysACall = 10

    let database: Database
    private let journal: Journal

    init(database: Database, journal: Journal) {
        self.database = database
        self.journal = journal
    }

    // MARK: Templates

    package func list() async throws -> [SettingTemplate] {
        try await database.read { transaction in
            try transaction.query("SELECT * FROM template ORDER BY id")
                .map(SettingTemplate.init(row:))
        }
    }

    package func template(_ id: String, in transaction: Transaction) throws -> SettingTemplate? {
        try transaction.queryOne("SELECT * FROM template WHERE id = ?", id)
            .map(SettingTemplate.init(row:))
    }

    /// The one of a station's model; nil without one, and before its first boot.
    package func template(
        of station: StationRecord, in transaction: Transaction
    ) throws -> SettingTemplate? {
        guard let identity = station.identity else { return nil }
        return try transaction.queryOne(
            "SELECT * FROM template WHERE vendor_folded = ? AND model_folded = ?",
            identity.vendor.lowercased(), identity.model.lowercased()
        ).map(SettingTemplate.init(row:))
    }

    /// - Returns: the id of another template of the same model, and then nothing was stored.
    package func put(
        _ template: SettingTemplate, at now: Timestamp, in transaction: Transaction
    ) throws -> String? {
        let other = try transaction.queryOne(
            "SELECT id FROM template WHERE vendor_folded = ? AND model_folded = ? AND id <> ?",
            template.vendor.lowercased(), template.model.lowercased(), template.id)
        if let other { return try other.text("id") }
        try transaction.execute(
            """
            INSERT INTO template (id, vendor, model, vendor_folded, model_folded, body, changed_at)
            VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET vendor = excluded.vendor,
            model = excluded.model, vendor_folded = excluded.vendor_folded,
            model_folded = excluded.model_folded, body = excluded.body,
            changed_at = excluded.changed_at
            """, template.id, template.vendor, template.model, template.vendor.lowercased(),
            template.model.lowercased(), template.settings.stored.text, now)
        try journal.append(.templateChanged, template.id, at: now, in: transaction)
        return nil
    }

    package func remove(
        _ id: String, at now: Timestamp, in transaction: Transaction
    ) throws -> Bool {
        guard try transaction.execute("DELETE FROM template WHERE id = ?", id) == 1 else {
            return false
        }
        try journal.append(.templateChanged, id, ["removed": true], at: now, in: transaction)
        return true
    }

    // MARK: Drift

    /// What is wanted of a station beside what it has; nil where no template is for it.
    package func drift(of id: String, in house: ChargePointOperator) async throws -> (
        template: SettingTemplate, settings: [SettingDrift]
    )? {
        try await database.read { transaction in
            guard let station = try house.stations.station(id, in: transaction),
                let template = try self.template(of: station, in: transaction)
            else { return nil }
            return (template, try self.drift(of: station.id, from: template, in: transaction))
        }
    }

    func drift(
        of station: String, from template: SettingTemplate, in transaction: Transaction
    ) throws -> [SettingDrift] {
        var found: [String: Row] = [:]
        for row in try transaction.query(
            "SELECT * FROM station_setting WHERE station = ?", station)
        { found[try row.text("folded")] = row }
        return try template.settings.map { setting in
            var drift = SettingDrift(key: setting.key, wanted: setting.value)
            guard let row = found[setting.key.lowercased()] else { return drift }
            drift.found = try row.textOrNil("value")
            drift.isReadOnly = try row.bool("is_readonly")
            drift.readAt = try row.timestampOrNil("read_at")
            drift.answer = try row.textOrNil("answer")
            drift.answeredAt = try row.timestampOrNil("answered_at")
            return drift
        }
    }

    /// The stations of a template, with how many settings are in which state.
    package func stations(
        of template: SettingTemplate, limit: Int = 1000, in transaction: Transaction
    ) throws -> [(station: StationRecord, counts: [SettingDrift.State: Int])] {
        let wanted = Maker(template.vendor, template.model)
        var stations: [StationRecord] = []
        for spelling in try spellings(in: transaction) where Maker(spelling) == wanted {
            stations += try transaction.query(
                """
                SELECT * FROM station WHERE vendor = ? AND model = ?
                AND registration = 'Accepted' ORDER BY folded LIMIT ?
                """, spelling.vendor, spelling.model, limit
            ).map(StationRecord.init(row:))
        }
        return try stations.sorted { $0.id.lowercased() < $1.id.lowercased() }.prefix(limit).map {
            station in
            var counts: [SettingDrift.State: Int] = [:]
            for one in try drift(of: station.id, from: template, in: transaction) {
                counts[one.state, default: 0] += 1
            }
            return (station, counts)
        }
    }

    // MARK: Asking and changing

    /// Asks a station for what its template speaks of.
    ///
    /// - Throws: `CommandRefusal`.
    package func read(
        _ id: String, in house: ChargePointOperator, origin: CommandOrigin, at now: Timestamp,
        transaction: Transaction
    ) throws -> [Command] {
        let station = try house.reachable(id, in: transaction)
        guard let template = try template(of: station, in: transaction) else { return [] }
        var keys = template.settings.map(\.key)
        var commands: [Command] = []
        while !keys.isEmpty {
            let part = Array(keys.prefix(Self.keysACall))
            keys.removeFirst(part.count)
            let command = Command(
                id: UUID4.make(), station: station.id, command: .getSettings(keys: part),
                origin: origin, createdAt: now)
            try house.commands.enqueue(command, in: transaction)
            commands.append(command)
        }
        try transaction.execute(
            """
            INSERT INTO template_read (station, asked_at) VALUES (?, ?)
            ON CONFLICT (station) DO UPDATE SET asked_at = excluded.asked_at
            """, station.id, now)
        return commands
    }

    /// Sends what differs; a key the station does not know, or only shows, is left out.
    ///
    /// - Throws: `CommandRefusal`.
    package func apply(
        _ id: String, in house: ChargePointOperator, origin: CommandOrigin, at now: Timestamp,
        transaction: Transaction
    ) throws -> [Command] {
        let station = try house.reachable(id, in: transaction)
        guard let template = try template(of: station, in: transaction) else { return [] }
        return try drift(of: station.id, from: template, in: transaction).filter {
            $0.state == .differs && !$0.isReadOnly
        }.map { drift in
            let command = Command(
                id: UUID4.make(), station: station.id,
                command: .changeSetting(key: drift.key, value: drift.wanted), origin: origin,
                createdAt: now)
            try house.commands.enqueue(command, in: transaction)
            return command
        }
    }

    // MARK: What stations say

    /// Keeps what an answered command tells of the station's settings.
    static func heard(
        _ command: Command, at now: Timestamp, _ journal: Journal, in transaction: Transaction
    ) throws {
        switch command.command {
        case .getSettings:
            // Whatever is no list of settings says nothing of them.
            guard command.state == .accepted || command.state == .seen,
                let body = try? JSONValue(parsing: command.answer ?? ""),
                body["settings"]?.array != nil
            else { return }
            for one in body["settings"]?.array ?? [] {
                guard let key = one["key"]?.string else { continue }
                try keep(
                    key, one["value"]?.string ?? "", isReadOnly: one["readonly"]?.bool ?? false,
                    command.station, now, in: transaction)
            }
            for key in (body["unknown"]?.array ?? []).compactMap(\.string) {
                try keep(key, nil, isReadOnly: false, command.station, now, in: transaction)
            }
        case .changeSetting(let key, let value):
            guard !SettingTemplate.forbiddenKeys.contains(key.lowercased()),
                let answer = command.answer
            else { return }
            try transaction.execute(
                """
                INSERT INTO station_setting (station, folded, key, value, is_readonly, read_at,
                answer, answered_at) VALUES (?, ?, ?, ?, 0, ?, ?, ?)
                ON CONFLICT (station, folded) DO UPDATE SET answer = excluded.answer,
                answered_at = excluded.answered_at,
                value = COALESCE(excluded.value, station_setting.value),
                read_at = COALESCE(excluded.read_at, station_setting.read_at)
                """, command.station, key.lowercased(), key,
                answer == "Accepted" ? value : nil, answer == "Accepted" ? now : nil, answer, now)
        default: return
        }
        try journal.append(.stationSettings, command.station, at: now, in: transaction)
    }

    private static func keep(
        _ key: String, _ value: String?, isReadOnly: Bool, _ station: String, _ now: Timestamp,
        in transaction: Transaction
    ) throws {
        // A secret that a station shows against the rules is not kept.
        guard !SettingTemplate.forbiddenKeys.contains(key.lowercased()), key.utf8.count <= 255
        else { return }
        try transaction.execute(
            """
            INSERT INTO station_setting (station, folded, key, value, is_readonly, read_at)
            VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (station, folded) DO UPDATE SET
            key = excluded.key, value = excluded.value, is_readonly = excluded.is_readonly,
            read_at = excluded.read_at
            """, station, key.lowercased(), key, value, isReadOnly, now)
    }

    /// The station is registered no more.
    static func forget(_ station: String, in transaction: Transaction) throws {
        for table in ["station_setting", "template_read", "station_firmware"] {
            try transaction.execute("DELETE FROM \(table) WHERE station = ?", station)
        }
    }
}

extension SettingTemplate {
    init(row: Row) throws {
        self.init(
            id: try row.text("id"), vendor: try row.text("vendor"), model: try row.text("model"),
            settings: try JSONValue(parsing: row.text("body")).array?.map(Setting.init(stored:))
                ?? [],
            changedAt: try row.timestamp("changed_at"))
    }
}
