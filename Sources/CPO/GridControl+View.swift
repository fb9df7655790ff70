import Charging
import SQL
import Service

extension GridControl {
    /// A site as it stands; nil until the sharing has looked at it.
    package func view(of site: String) -> GridMachine.View? {
        let now = moment
        return state.withLock { $0.machines[site] }?.view(at: now)
    }

    /// What a connector is allowed from now on, as far as is known here: the profiles its station
    /// took. Connector 0 is the station's own maximum.
    ///
    /// - `most`: what it carries where no profile says less.
    package func expected(
        _ house: ChargePointOperator, station: String, connector: ConnectorNumber, seconds: Int,
        unit: ChargingSchedule.Unit?, at start: Timestamp
    ) async throws -> CompositeSchedule {
        let outlet = OutletID(station, connector)
        let tree = sites.site(of: outlet).flatMap { sites.tree($0) }
        let shared = tree?.outlets.first { $0.id == outlet }
        let place =
            house.locations.place(station: station, connector: connector)
            ?? house.locations.places(station: station).first
        let plug = place?.evse.connectors.first
        let supply =
            shared.flatMap { tree?.supply(of: $0) }
            ?? ChargingSupply(
                phases: plug?.powerType == "AC_1_PHASE" ? 1 : 3,
                nominal: Volts(millivolts: Int64(plug?.maxVoltage ?? 230) * 1000))
        let most = shared?.most ?? Amperes(Int64(plug?.maxAmperage ?? 32))
        let zone = rules(of: tree?.timeZone ?? place?.location.timeZone ?? "UTC")
        let charge = house.sessions.charge(at: outlet)
        let records = try await house.read { [profiles] in
            try profiles.list(station, in: $0).filter { $0.state == .told }
        }
        var entries = Self.entries(records, charge, in: zone, at: nil)
        if let shared, let tree { entries += told(shared, in: tree) }
        return InstalledProfiles(entries).composite(
            from: start, seconds: seconds,
            InstalledProfiles.Question(
                connector: connector, charge: charge == nil ? nil : 1,
                chargeStart: charge?.startedAt ?? start, supply: supply, zone: zone),
            most: most, unit: unit ?? shared?.unit ?? .amperes)
    }

    private func told(
        _ outlet: FuseTree.Outlet, in tree: FuseTree
    ) -> [InstalledProfiles.Entry] {
        guard let told = state.withLock({ $0.machines[tree.id]?.told(outlet.id) }) else {
            return []
        }
        return [GridMachine.Part.fallback, .present].compactMap { part in
            let slot = told[part]
            return slot.confirmed.map { limit in
                InstalledProfiles.Entry(
                    connector: outlet.id.connector,
                    profile: GridProfile.profile(
                        part, limit, expires: slot.expires, outlet, in: tree))
            }
        }
    }
}
