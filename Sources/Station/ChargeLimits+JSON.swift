import Charging
import JSON
import SQL

extension ChargeLimits {
    /// As `kerb-edge status` shows them and the journal keeps them.
    var json: JSONValue {
        .members([
            "energyWh": energy.map { .number($0.value) },
            "seconds": seconds.map { .number($0) },
            "amount": budget.map { .number($0.amount) },
            "pricePerKWh": budget.map { .number($0.perKilowattHour) },
        ])
    }

    /// As the journal keeps them; nil for none.
    var text: String? { self == .none ? nil : json.text }

    /// What the journal kept, or none; nil for a line that cannot be read: damage made it, and nobody
    /// knows where the charge was to end.
    init?(kept text: String?) {
        guard let text else {
            self.init()
            return
        }
        // See above.
        guard let value = try? JSONValue(parsing: text), value.object != nil else { return nil }
        var budget: Budget?
        if let amount = value["amount"]?.decimal, let price = value["pricePerKWh"]?.decimal {
            budget = Budget(amount: amount, perKilowattHour: price)
        }
        self.init(
            energy: value["energyWh"]?.int64.map { WattHours($0) },
            seconds: value["seconds"]?.int64, budget: budget)
    }
}

extension BoardJournal {
    /// Keeps the limits of an open charge, so that they hold when it goes on after a loss of power.
    func setLimits(_ limits: ChargeLimits, of charge: Int64) async throws {
        let text = limits.text
        try await write(.limits) { sql in
            try sql.execute(
                """
                UPDATE charge SET limits = ?, limits_sum = ?
                WHERE id = ? AND stopped_at IS NULL
                """, text, CheckSum.ofLimits(charge: charge, text: text), charge)
        }
    }
}
