import Charging
import SQL
import Service

// Which stations a template is for, and when they are asked.

extension Templates {
    /// A station is left in peace after its boot: some hang on any early call.
    private static let afterBootSeconds: Int64 = 10
    private static let stationsALook = 20
    /// Somebody may have changed them at the station itself.
    private static let readAgainSeconds: Int64 = 86_400
    private static let lookMilliseconds: Int64 = 5000

    /// Reads the settings of stations that booted since, and of all once a day, until cancelled; the
    /// roof owns the task.
    package func run(_ house: ChargePointOperator) async throws {
        while true {
            try await look(house)
            try await house.clock.sleep(milliseconds: Self.lookMilliseconds)
        }
    }

    package func look(_ house: ChargePointOperator) async throws {
        let now = house.clock.now
        let due = try await database.read { try self.due(at: now, in: $0) }
        guard !due.isEmpty else { return }
        try await house.write { transaction in
            for id in due {
                do {
                    _ = try self.read(
                        id, in: house, origin: CommandOrigin(door: "template", reference: id),
                        at: now, transaction: transaction)
                } catch is CommandRefusal {
                    // It went offline meanwhile; its next boot asks again.
                    continue
                }
            }
        }
    }

    /// Stations to be asked now, of each model those whose boot is longest past first.
    private func due(at now: Timestamp, in transaction: Transaction) throws -> [String] {
        var changes: [Maker: Timestamp] = [:]
        for row in try transaction.query(
            "SELECT vendor_folded, model_folded, changed_at FROM template")
        {
            changes[Maker(try row.text("vendor_folded"), try row.text("model_folded"))] =
                try row.timestamp("changed_at")
        }
        guard !changes.isEmpty else { return [] }
        var due: [String] = []
        for spelling in try spellings(in: transaction) where due.count < Self.stationsALook {
            guard let changedAt = changes[Maker(spelling)] else { continue }
            due += try transaction.query(
                """
                SELECT s.id AS id FROM station s LEFT JOIN template_read r ON r.station = s.id
                WHERE s.vendor = ? AND s.model = ?
                AND s.is_online = 1 AND s.registration = 'Accepted' AND s.booted_at < ?
                AND (r.asked_at IS NULL OR r.asked_at < s.booted_at OR r.asked_at < ?)
                ORDER BY s.booted_at LIMIT ?
                """, spelling.vendor, spelling.model,
                now.advanced(bySeconds: -Self.afterBootSeconds),
                max(changedAt, now.advanced(bySeconds: -Self.readAgainSeconds)),
                Self.stationsALook - due.count
            ).map { try $0.text("id") }
        }
        return due
    }

    /// A vendor and a model as they are compared: a database folds the letters A to Z alone.
    struct Maker: Hashable {
        var vendor: String
        var model: String

        init(_ vendor: String, _ model: String) {
            self.vendor = vendor.lowercased()
            self.model = model.lowercased()
        }

        init(_ spelling: (vendor: String, model: String)) {
            self.init(spelling.vendor, spelling.model)
        }
    }

    /// As stations tell them: few, however many stations there are.
    func spellings(in transaction: Transaction) throws -> [(vendor: String, model: String)] {
        try transaction.query(
            """
            SELECT DISTINCT vendor, model FROM station
            WHERE vendor IS NOT NULL AND model IS NOT NULL ORDER BY vendor, model
            """
        ).map { (try $0.text("vendor"), try $0.text("model")) }
    }
}
