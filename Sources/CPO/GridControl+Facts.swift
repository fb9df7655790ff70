import Charging
import SQL
import Service

// What is known of the connectors of a site.

extension GridControl {
    /// A site's connectors as they are now, and until when they are if nothing is heard of them.
    struct Sight: Sendable {
        var facts: [OutletID: GridMachine.Facts] = [:]
        /// Monotonic; nil: as long as nothing is heard.
        var until: Int64?
    }

    func facts(
        _ ids: [String], _ house: ChargePointOperator
    ) async throws -> [String: Sight] {
        let now = moment
        let trees = ids.compactMap { sites.tree($0) }
        let releasing = state.withLock { $0.releasing }
        return try await house.read { [self] transaction in
            var sights: [String: Sight] = [:]
            for tree in trees {
                sights[tree.id] = try sight(of: tree, now, releasing, house, in: transaction)
            }
            return sights
        }
    }

    private func sight(
        of tree: FuseTree, _ now: GridMachine.Moment, _ releasing: Set<OutletID>,
        _ house: ChargePointOperator, in transaction: Transaction
    ) throws -> Sight {
        var sight = Sight()
        var changes: [Timestamp] = []
        let outlets = Dictionary(
            tree.outlets.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        let records = try records(at: tree.id, in: transaction)
        for row in try transaction.query(
            """
            SELECT o.station AS station, o.connector AS connector, s.is_online AS is_online,
            s.booted_at AS booted_at, c.status AS status FROM site_connector o
            LEFT JOIN station s ON s.id = o.station
            LEFT JOIN station_connector c ON c.station = o.station AND c.number = o.connector
            WHERE o.site = ?
            """, tree.id)
        {
            let id = OutletID(try row.text("station"), try row.int("connector"))
            guard let outlet = outlets[id] else { continue }
            let charge = house.sessions.charge(at: id)
            let status = try row.textOrNil("status").flatMap(ConnectorStatus.init(rawValue:))
            let cap = cap(records[id.station] ?? [], outlet, tree, charge, now.time)
            sight.facts[id] = GridMachine.Facts(
                isOnline: try row.int64OrNil("is_online") == 1 && !releasing.contains(id),
                bootedAt: try row.timestampOrNil("booted_at"), isActive: charge != nil,
                isIdle: status == .suspendedEV || status == .finishing, cap: cap.limit,
                measured: charge.flatMap { measured($0, outlet, tree, now.time) },
                clockIsTrusted: isTrusted(id.station, house.sessions))
            changes += cap.changes
            if let at = charge?.currentsAt {
                // Older it says nothing, and neither does one that is as far ahead.
                changes += [Self.freshSeconds + 1, -Self.freshSeconds].map {
                    at.advanced(bySeconds: $0)
                }
            }
        }
        sight.until =
            changes.filter { $0 > now.time }.min().map {
                now.monotonic + $0.milliseconds(since: now.time)
            }
        return sight
    }

    /// Profiles by station; most sites have none.
    private func records(
        at site: String, in transaction: Transaction
    ) throws -> [String: [StationProfiles.Record]] {
        let isAny = state.withLock { $0.holders.count > 0 || !$0.telling.isEmpty }
        guard isAny else { return [:] }
        var records: [String: [StationProfiles.Record]] = [:]
        for row in try transaction.query(
            """
            SELECT * FROM charging_profile WHERE state <> 'withdrawn'
            AND station IN (SELECT station FROM site_connector WHERE site = ?)
            """, site)
        {
            let record = try StationProfiles.Record(row: row)
            records[record.station, default: []].append(record)
        }
        return records
    }

    private func isTrusted(_ station: String, _ sessions: Sessions) -> Bool {
        sessions.knownSkew(of: station).map { abs($0) <= Self.clockMilliseconds } ?? false
    }

    private func measured(
        _ charge: Sessions.Charge, _ outlet: FuseTree.Outlet, _ tree: FuseTree, _ now: Timestamp
    ) -> [Amperes]? {
        guard let currents = charge.currents, let at = charge.currentsAt,
            abs(now.seconds(since: at)) <= Self.freshSeconds
        else { return nil }
        let count = outlet.wiring.phases.count
        if let phases = currents.phases { return Array(phases.prefix(count)) }
        let supply = tree.supply(of: outlet)
        let each =
            currents.power.map { supply.amperes(tenths: max(0, $0.value) * 10, of: .watts) }
            ?? currents.sum.map { Amperes(milliamperes: $0.milliamperes / Int64(count)) }
        return each.map { Array(repeating: $0, count: count) }
    }

    /// What profiles leave a connector at most, nil where none says anything, and when that may change.
    private func cap(
        _ records: [StationProfiles.Record], _ outlet: FuseTree.Outlet, _ tree: FuseTree,
        _ charge: Sessions.Charge?, _ now: Timestamp
    ) -> (limit: Amperes?, changes: [Timestamp]) {
        guard !records.isEmpty else { return (nil, []) }
        let zone = rules(of: tree.timeZone)
        // Of a plan by the time of the day only this minute.
        let piece = InstalledProfiles(Self.entries(records, charge, in: zone, at: now, ahead: 1))
            .piece(
                at: now,
                InstalledProfiles.Question(
                    connector: outlet.id.connector, charge: charge == nil ? nil : 1,
                    chargeStart: charge?.startedAt ?? now, supply: tree.supply(of: outlet),
                    zone: zone))
        let windows = records.flatMap { record -> [FuseTree.Window] in
            guard case .windows(let windows, _, _) = record.plan.content else { return [] }
            return windows
        }
        let next = FuseTree.Window.nextChange(of: windows, after: now, in: zone)
        return (piece.limit?.limit, [piece.until, next].compactMap(\.self))
    }

    /// The rows as a station would hold them; the running charge has the number 1.
    ///
    /// - Parameter now: nil: each as it was told last.
    static func entries(
        _ records: [StationProfiles.Record], _ charge: Sessions.Charge?, in zone: LocalTimeRules,
        at now: Timestamp?, ahead: Int64 = ProfilePlan.aheadSeconds
    ) -> [InstalledProfiles.Entry] {
        records.map { record in
            InstalledProfiles.Entry(
                connector: record.connector,
                profile: record.plan.profile(
                    id: record.id, transaction: charge?.transaction, in: zone,
                    at: now ?? record.toldAt ?? record.changedAt, ahead: ahead),
                charge: record.session != nil && record.session == charge?.session ? 1 : nil)
        }
    }
}
