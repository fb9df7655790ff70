import Charging
import Service

/// What the fuse leaves to each outlet.
extension SmartCharging {
    func balance() {
        let now = clock.monotonicMilliseconds
        var present = settings.outlets.compactMap { balanced($0, now) }
        if obeysLeader(present, now) { return }
        var circuits = circuits(at: now)
        if case .leader(let leader, _) = group {
            present += leader.loads(at: now)
            circuits += leader.circuits(fuse: settings.fuse)
        }
        if site == .free {
            balancer.grant(present, at: now)
            for outlet in settings.outlets {
                wanted[outlet.connector, default: Applied()].site = outlet.maximum
            }
            return
        }
        groupLimits = balancer.step(present, circuits, at: now)
        for outlet in settings.outlets {
            wanted[outlet.connector, default: Applied()].site =
                groupLimits[LoadBalancer.ID(connector: outlet.connector)] ?? .zero
        }
    }

    private func balanced(_ outlet: SmartChargingSettings.Outlet, _ now: Int64) -> LoadBalancer
        .Load?
    {
        guard let load = loads[outlet.connector] else { return nil }
        let age = load.currentsAskedAt.map { now - $0 } ?? .max
        let isMeasured = age <= SiteLoad.isLost && !load.currents.isEmpty
        var most = min(load.cap, outlet.maximum)
        if let profile = wanted[outlet.connector]?.profile?.limit { most = min(most, profile) }
        // An outlet whose meter is silent gets no more than the least.
        if !isMeasured || holdsLeast { most = min(most, outlet.minimum) }
        return LoadBalancer.Load(
            id: .init(connector: outlet.connector),
            share: .init(
                wiring: outlet.wiring, circuit: 2, minimum: outlet.minimum, wanted: most,
                priority: outlet.priority),
            isActive: load.isActive, mayDraw: load.mayDraw, isIdle: load.isIdle,
            measured: isMeasured ? load.currents.map(\.magnitude).max() : nil)
    }

    /// The tree above the outlets: 0 the fuse without the other consumers, 1 the local limits on all
    /// outlets, 2 the operator's maximum of this station.
    private func circuits(at now: Int64) -> [CurrentSharing.Circuit] {
        let left = ownFuse(at: now)
        var fuse = left ?? PhaseCurrents(settings.fuse)
        // A follower only decides while nobody hears its leader.
        var isSafe = left == nil || group?.isFollower ?? false
        var isBound = group != nil || meter != nil
        let local = localLimit(at: now)
        if local.isUnreadable || areProfilesDoubted { isSafe = true }
        if local.limit != nil { isBound = true }
        var own = PhaseCurrents(settings.fuse)
        if let maximum = stationMaximum(at: clock.now) {
            isBound = true
            own = PhaseCurrents(maximum.limit)
        }
        if areProfilesDoubted { own = own.least(PhaseCurrents(settings.safe)) }
        if isSafe { fuse = fuse.least(PhaseCurrents(safe)) }
        let before = site
        site = isSafe ? .safe : isBound || !settings.carriesAll ? .shared : .free
        if site != before, site == .safe || before == .safe {
            log.notice("site share", ["state": site.rawValue])
        }
        return [
            .init(id: 0, capacity: fuse),
            .init(id: 1, parent: 0, capacity: local.limit ?? PhaseCurrents(settings.fuse)),
            .init(id: 2, parent: 1, capacity: own),
        ]
    }

    /// This board's fuse without the other consumers behind it; nil while nobody knows what they draw.
    func ownFuse(at now: Int64) -> PhaseCurrents? {
        let fuse = PhaseCurrents(settings.fuse)
        guard meter != nil else { return fuse }
        return siteLoad.others(at: now).map { (fuse - $0).atLeastZero }
    }

    /// A file's limit that has ended by what it says itself, and by the clock of whoever wrote it: the
    /// operator's time must not end what holds against the operator.
    func isOver(_ limit: SiteLimit) -> Bool {
        guard let until = limit.until, let now = journal.ownTime else { return false }
        return until <= now
    }

    /// What file and socket say now.
    func localLimit(at now: Int64) -> (limit: PhaseCurrents?, isUnreadable: Bool) {
        var limits: [PhaseCurrents] = []
        var isUnreadable = false
        if readLimit != nil {
            switch fileLimit {
            case .none: break
            case .limit(let limit): if !isOver(limit) { limits.append(limit.currents) }
            case .unreadable: isUnreadable = true
            }
            // One that cannot even be looked at any more is as good as unreadable.
            let age = now - (fileHeardAt ?? .min / 2)
            if age > SmartChargingSettings.sourceIsLost { isUnreadable = true }
        }
        if isHeldLimitUnread { isUnreadable = true }
        if let limit = heldLimit {
            if let end = limit.endsAt, end <= now {
                heldLimit = nil
            } else {
                limits.append(limit.currents)
            }
        }
        let least = limits.reduce(PhaseCurrents?.none) { $0?.least($1) ?? $1 }
        return (least, isUnreadable)
    }

    /// What all that this board shares may draw while a source of truth is silent.
    private var safe: Amperes {
        guard case .leader(let leader, _) = group else { return settings.safe }
        return Amperes(milliamperes: settings.safe.milliamperes + leader.safe.milliamperes)
    }
}
