import Charging

/// What the installer says of the supply and of the operator's limits.
package struct SmartChargingSettings: Hashable, Sendable {
    package struct Outlet: Hashable, Sendable {
        package var connector: ConnectorNumber
        package var wiring: PhaseWiring
        /// The least that can be offered, and the most the wiring carries, per phase.
        package var minimum: Amperes
        package var maximum: Amperes
        /// 0 to 9; a higher one is served before a lower one.
        package var priority: Int

        package init(
            connector: ConnectorNumber, wiring: PhaseWiring, minimum: Amperes = Amperes(6),
            maximum: Amperes, priority: Int = 0
        ) {
            self.connector = connector
            self.wiring = wiring
            self.minimum = minimum
            self.maximum = maximum
            self.priority = priority
        }
    }

    package var outlets: [Outlet]
    /// Per phase.
    package var fuse: Amperes
    /// Phases of the supply, and their nominal voltage.
    package var supply: ChargingSupply
    /// What this board's outlets may draw together, per phase, while nobody knows what the rest of
    /// the site draws.
    package var safe: Amperes
    /// The station's place on the globe, for profiles that recur by the wall's clock.
    package var zone: LocalTimeRules = .utc
    package var balancing = LoadBalancer.Timings()
    /// So long after the link was lost the operator's limits stop holding a charge below
    /// `offlineAmperes`; nil: they hold for ever. The station's maximum always holds.
    package var offlineMilliseconds: Int64?
    package var offlineAmperes = Amperes(6)
    /// A lost limit file or site meter's driver is noticed after this.
    package static let sourceIsLost: Int64 = 10_000

    package init(
        outlets: [Outlet], fuse: Amperes, supply: ChargingSupply = .standard, safe: Amperes
    ) {
        self.outlets = outlets
        self.fuse = fuse
        self.supply = supply
        self.safe = safe
    }

    /// True where all outlets at their most stay within the fuse on every phase.
    var carriesAll: Bool {
        var sum = PhaseCurrents.zero
        for outlet in outlets {
            for phase in outlet.wiring.phases { sum[phase] += outlet.maximum.milliamperes }
        }
        return sum.all.allSatisfy { $0 <= fuse.milliamperes }
    }

    /// What an outlet falls back to by itself when nobody repeats its limit: the even part of `safe`
    /// on its fullest phase, or nothing where that is less than can be offered. An outlet keeps its
    /// most where all of them at once cannot exceed the fuse.
    ///
    /// - `isShared`: others draw from the same fuse, be it boards or the rest of the site.
    func safeShare(of outlet: Outlet, isShared: Bool) -> Amperes {
        if !isShared, carriesAll { return outlet.maximum }
        let crowd =
            outlet.wiring.phases.map { phase in
                Int64(outlets.count { $0.wiring.phases.contains(phase) })
            }.max() ?? 1
        let even = safe.milliamperes / max(1, crowd) / CurrentSharing.step * CurrentSharing.step
        let share = min(Amperes(milliamperes: even), outlet.maximum)
        return share < outlet.minimum ? .zero : share
    }
}

/// A person's limit on all outlets together, by `kerb-edge limit`.
package struct LocalLimit: Hashable, Sendable {
    package var currents: PhaseCurrents
    /// How long it holds, by the monotonic clock; nil: until it is taken away.
    package var seconds: Int64?

    package static let mostMilliamperes: Int64 = 1_000_000
    package static let longestSeconds: Int64 = 2_592_000

    package init(currents: PhaseCurrents, seconds: Int64? = nil) {
        self.currents = currents
        self.seconds = seconds
    }
}

/// What bounds the operator's profiles here; the configuration keys of OCPP 1.6 §9.4 tell it.
package enum ProfileLimits {
    /// ChargeProfileMaxStackLevel.
    package static let stackLevel = 99
    /// ChargingScheduleMaxPeriods: a week in hours, and a day in minutes of a quarter.
    package static let periods = 200
    /// MaxChargingProfilesInstalled.
    package static let installed = 100
    /// A remote start's profile waits this long for its charge, longer where a connector does.
    static let pendingMilliseconds: Int64 = 600_000
    /// A start on the disk is seen by smart charging within this, or has ended before.
    static let beginsWithinMilliseconds: Int64 = 5_000
    static let pending = 16
}

/// A limit from outside OCPP on all outlets together, by the local file.
package struct SiteLimit: Hashable, Sendable {
    package var currents: PhaseCurrents
    /// Exclusive; nil: until it is taken away.
    package var until: Timestamp?

    package init(currents: PhaseCurrents, until: Timestamp? = nil) {
        self.currents = currents
        self.until = until
    }
}

/// What the source of a limit says now.
package enum SiteLimitReading: Hashable, Sendable {
    /// There is none: the file is not there.
    case none
    case limit(SiteLimit)
    /// Something is there that cannot be read as a limit.
    case unreadable(String)
}
