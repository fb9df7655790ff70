/// What a charge may draw over time, as the operator asks for it. OCPP 1.6 §3.13, §7.8.
package struct ChargingProfile: Hashable, Sendable {
    /// What a profile limits. Raw values are OCPP 1.6 §7.10.
    package enum Purpose: String, Hashable, Sendable, CaseIterable {
        /// The whole station; always on connector 0.
        case stationMaximum = "ChargePointMaxProfile"
        /// Every charge that has no profile of its own.
        case transactionDefault = "TxDefaultProfile"
        /// One charge; gone with it.
        case transaction = "TxProfile"
    }

    /// Raw values are OCPP 1.6 §7.12.
    package enum Recurrence: String, Hashable, Sendable, CaseIterable {
        case daily = "Daily"
        case weekly = "Weekly"

        package var days: Int64 { self == .daily ? 1 : 7 }
    }

    /// What a schedule's times are counted from. OCPP 1.6 §7.9.
    package enum Kind: Hashable, Sendable {
        /// From the schedule's own start.
        case absolute
        /// From the same time of the wall's clock on each day or weekday.
        case recurring(Recurrence)
        /// From the start of the charge.
        case relative
    }

    /// What the operator calls it. Unique on the station: the same number replaces.
    package var id: Int
    /// The highest that is valid at a moment counts.
    package var stackLevel: Int
    package var purpose: Purpose
    package var kind: Kind
    /// The operator's number of the charge a `.transaction` profile is for.
    package var transaction: TransactionReference?
    package var validFrom: Timestamp?
    /// Exclusive.
    package var validTo: Timestamp?
    package var schedule: ChargingSchedule

    package init(
        id: Int, stackLevel: Int, purpose: Purpose, kind: Kind,
        transaction: TransactionReference? = nil, validFrom: Timestamp? = nil,
        validTo: Timestamp? = nil, schedule: ChargingSchedule
    ) {
        self.id = id
        self.stackLevel = stackLevel
        self.purpose = purpose
        self.kind = kind
        self.transaction = transaction
        self.validFrom = validFrom
        self.validTo = validTo
        self.schedule = schedule
    }
}

/// Limits one after the other. OCPP 1.6 §7.13.
package struct ChargingSchedule: Hashable, Sendable {
    /// Raw values are OCPP 1.6 §7.11.
    package enum Unit: String, Hashable, Sendable, CaseIterable {
        /// Per phase.
        case amperes = "A"
        /// The sum of all phases.
        case watts = "W"
    }

    package struct Period: Hashable, Sendable {
        /// Seconds since the schedule's start.
        package var start: Int
        /// The limit in tenths of the schedule's unit: 160 is 16.0 A. Never negative.
        package var tenths: Int64
        /// 1 to 3; nil means 3, as the specification has it.
        package var phases: Int?

        package init(start: Int, tenths: Int64, phases: Int? = nil) {
            self.start = start
            self.tenths = tenths
            self.phases = phases
        }
    }

    package var unit: Unit
    /// nil: the last period holds for as long as the profile is valid.
    package var durationSeconds: Int?
    package var start: Timestamp?
    package var periods: [Period]
    /// Tenths of the unit below which the car charges badly; carried, not enforced.
    package var minimumRateTenths: Int64?

    package init(
        unit: Unit, periods: [Period], durationSeconds: Int? = nil, start: Timestamp? = nil,
        minimumRateTenths: Int64? = nil
    ) {
        self.unit = unit
        self.periods = periods
        self.durationSeconds = durationSeconds
        self.start = start
        self.minimumRateTenths = minimumRateTenths
    }
}

extension ChargingProfile {
    /// Largest numbers that are reckoned with; above, a profile is nonsense.
    package enum Bounds {
        /// 100 MW in tenths of a watt; also far above any current.
        package static let tenths: ClosedRange<Int64> = 0...1_000_000_000
        /// A year.
        package static let seconds = 0...31_536_000
        package static let stackLevel = 0...1_000
    }

    /// What makes the profile mean nothing, whatever the station; nil for a sound one.
    package var flaw: String? {
        if !Bounds.stackLevel.contains(stackLevel) { return "its stack level is out of range" }
        if let flaw = schedule.flaw { return flaw }
        if let validFrom, let validTo, validTo <= validFrom { return "it ends before it begins" }
        switch (purpose, kind) {
        case (.stationMaximum, .relative): return "a station's maximum cannot be relative"
        case (.stationMaximum, _), (.transactionDefault, _), (.transaction, _): break
        }
        if purpose != .transaction, transaction != nil { return "only a TxProfile names a charge" }
        switch kind {
        case .recurring where schedule.start == nil, .absolute where schedule.start == nil:
            return "it has no start of its schedule"
        case .absolute, .recurring, .relative: return nil
        }
    }
}

extension ChargingSchedule {
    var flaw: String? {
        guard periods.first?.start == 0 else { return "its first period does not start at 0" }
        guard zip(periods, periods.dropFirst()).allSatisfy({ $0.start < $1.start }) else {
            return "its periods are not in order"
        }
        guard
            periods.allSatisfy({
                ChargingProfile.Bounds.tenths.contains($0.tenths)
                    && ChargingProfile.Bounds.seconds.contains($0.start)
                    && (1...3).contains($0.phases ?? 3)
            })
        else { return "a period is out of range" }
        guard durationSeconds.map({ $0 > 0 && ChargingProfile.Bounds.seconds.contains($0) }) ?? true
        else { return "its duration is out of range" }
        return nil
    }
}

/// Which profiles to remove: all fields that are given must agree; none given means all. Where an
/// id is given nothing else counts. OCPP 1.6 §5.5, §6.13.
package struct ProfileFilter: Hashable, Sendable {
    package var id: Int?
    package var connector: ConnectorNumber?
    package var purpose: ChargingProfile.Purpose?
    package var stackLevel: Int?

    package init(
        id: Int? = nil, connector: ConnectorNumber? = nil,
        purpose: ChargingProfile.Purpose? = nil, stackLevel: Int? = nil
    ) {
        self.id = id
        self.connector = connector
        self.purpose = purpose
        self.stackLevel = stackLevel
    }
}

/// What a station expects to offer: one schedule, already stacked. OCPP 1.6 §5.7, §6.24.
package struct CompositeSchedule: Hashable, Sendable {
    package var connector: ConnectorNumber
    /// What the periods are counted from.
    package var start: Timestamp
    package var schedule: ChargingSchedule

    package init(connector: ConnectorNumber, start: Timestamp, schedule: ChargingSchedule) {
        self.connector = connector
        self.start = start
        self.schedule = schedule
    }
}
