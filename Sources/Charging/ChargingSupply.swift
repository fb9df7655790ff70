/// What a limit in watts means at one connector: its phases and their nominal voltage.
///
/// Watts are the sum of all phases that are wired, whatever `numberPhases` says: without a switch
/// between three phases and one, a car may draw on all of them, and the sum must hold all the same.
package struct ChargingSupply: Hashable, Sendable {
    package var phases: Int
    /// Phase to neutral.
    package var nominal: Volts

    package static let standard = ChargingSupply(phases: 3)

    /// - `phases` is 1 to 3.
    package init(phases: Int, nominal: Volts = Volts(millivolts: 230_000)) {
        self.phases = min(max(phases, 1), 3)
        self.nominal = nominal
    }

    private var millivolts: Int64 { max(1, nominal.millivolts) * Int64(phases) }

    /// Per phase, rounded down.
    package func amperes(tenths: Int64, of unit: ChargingSchedule.Unit) -> Amperes {
        switch unit {
        case .amperes: Amperes(milliamperes: tenths * 100)
        // Tenths of a watt are hundreds of milliwatts; by millivolts they give amperes.
        case .watts: Amperes(milliamperes: tenths * 100_000 / millivolts)
        }
    }

    /// Rounded down to a tenth.
    package func tenths(of limit: Amperes, in unit: ChargingSchedule.Unit) -> Int64 {
        switch unit {
        case .amperes: limit.milliamperes / 100
        case .watts: limit.milliamperes * millivolts / 100_000
        }
    }
}
