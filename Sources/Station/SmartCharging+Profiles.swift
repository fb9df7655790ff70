import Charging
import Service

// What the operator asks for. OCPP 1.6 §3.13, §5.5, §5.7, §5.16.
extension SmartCharging {
    /// nil where a profile is taken, else why not.
    package func install(
        _ profile: ChargingProfile, connector: ConnectorNumber
    ) async -> String? {
        if let flaw = refusal(of: profile) { return flaw }
        guard connector == 0 || loads[connector] != nil else { return "no such connector" }
        var entry = InstalledProfiles.Entry(connector: connector, profile: profile)
        switch profile.purpose {
        case .stationMaximum:
            guard connector == 0 else { return "a station's maximum belongs to connector 0" }
        case .transactionDefault: break
        case .transaction:
            guard connector > 0 else { return "a TxProfile belongs to a connector" }
            let controller = controllers.first { $0.number == connector }
            guard let charge = await controller?.charge() else { return "no charge runs there" }
            do {
                if let why = try await mismatch(profile.transaction, charge: charge.id) {
                    return why
                }
            } catch {
                return "the journal cannot be read"
            }
            entry.charge = charge.id
        }
        return await keep(entry)
    }

    /// Holds a profile ready for the charge that `start` asks for, and lets it go where there will be
    /// none. A start whose profile cannot be kept is no start: the car would charge too fast.
    ///
    /// - `start`: calls `chosen` before it asks a connector: from then on the profile is that one's.
    /// - Returns: why the profile is not taken; nil where `start` was asked.
    func expect(
        _ profile: ChargingProfile, token: String, connector: ConnectorNumber?,
        start: @Sendable (_ chosen: @Sendable (ConnectorNumber) async -> Void) async -> Bool
    ) async -> String? {
        var profile = profile
        profile.transaction = nil
        if let flaw = refusal(of: profile) { return flaw }
        guard profile.purpose == .transaction else { return "only a TxProfile comes with a start" }
        let own = awaited.expect(
            .init(
                connector: connector, token: token, profile: profile,
                since: clock.monotonicMilliseconds))
        guard let own else { return "too many starts wait" }
        // Its limit must stand before anything can be offered.
        await step()
        let isAccepted = await start { connector in
            self.awaited.bind(own, to: connector)
            await self.step()
        }
        awaited.confirm(own, isAccepted: isAccepted)
        await step()
        return nil
    }

    private func refusal(of profile: ChargingProfile) -> String? {
        if let flaw = profile.flaw { return flaw }
        if profile.stackLevel > ProfileLimits.stackLevel { return "the stack level is too high" }
        if profile.schedule.periods.count > ProfileLimits.periods { return "too many periods" }
        if let end = profile.validTo, end <= clock.now { return "it is over already" }
        return nil
    }

    private func mismatch(
        _ transaction: TransactionReference?, charge: Int64
    ) async throws -> String? {
        guard let transaction else { return nil }
        let known = try await journal.operatorID(of: charge)
        guard case .number(let number) = transaction, known == number else {
            return "another charge runs there"
        }
        return nil
    }

    private func keep(_ entry: InstalledProfiles.Entry) async -> String? {
        let replaced = profiles.entries.filter { $0.isReplaced(by: entry) }.map(\.profile.id)
        guard profiles.entries.count - replaced.count < ProfileLimits.installed else {
            return "as many profiles as fit are installed"
        }
        do {
            try await journal.store(entry)
        } catch {
            log.error("journal not written", ["error": String(describing: error)])
            return "the journal cannot be written"
        }
        profiles.install(entry)
        if entry.profile.purpose == .stationMaximum { await endProfileDoubt() }
        await step()
        return nil
    }

    /// False where nothing matched.
    package func clear(_ filter: ProfileFilter) async -> Bool {
        // Whether anything is left of what he clears or not: he has spoken.
        if Self.endsDoubt(filter) { await endProfileDoubt() }
        let ids = Set(profiles.matching(filter).map(\.profile.id))
        guard !ids.isEmpty else { return false }
        do {
            try await journal.removeProfiles(ids)
        } catch {
            // It still holds, here and after the next start: to say otherwise would be wrong.
            log.error("journal not written", ["error": String(describing: error)])
            return false
        }
        profiles.remove(ids: ids)
        await step()
        return true
    }

    /// What is expected to be offered; nil for a connector that is not there.
    ///
    /// A thousand changes of a hundred profiles take their time: the control thread only says what is
    /// asked, and reckons nothing.
    package func composite(
        _ connector: ConnectorNumber, seconds: Int, unit: ChargingSchedule.Unit?
    ) async -> CompositeSchedule? {
        guard seconds > 0 else { return nil }
        let start = Timestamp(seconds: clock.now.milliseconds / 1000)
        let now = Instant(milliseconds: clock.monotonicMilliseconds, wall: start)
        var wanted = CompositeQuestion(
            profiles: profiles, start: start, seconds: seconds, unit: unit ?? .amperes)
        for outlet in settings.outlets where [0, outlet.connector].contains(connector) {
            guard let load = loads[outlet.connector] else { continue }
            wanted.parts.append(
                (question(load, at: now), most: min(outlet.maximum, settings.fuse)))
        }
        if connector == 0 {
            let station = InstalledProfiles.Question(
                connector: 0, chargeStart: start, supply: settings.supply, zone: settings.zone)
            wanted.station = (station, most: settings.fuse)
        }
        return await Self.reckon(wanted)
    }

    private struct CompositeQuestion: Sendable {
        var profiles: InstalledProfiles
        var start: Timestamp
        var seconds: Int
        var unit: ChargingSchedule.Unit
        var parts: [(InstalledProfiles.Question, most: Amperes)] = []
        /// Where it is the whole station's.
        var station: (InstalledProfiles.Question, most: Amperes)?
    }

    @concurrent private static func reckon(_ wanted: CompositeQuestion) async -> CompositeSchedule?
    {
        func composite(
            _ question: InstalledProfiles.Question, _ most: Amperes
        ) -> CompositeSchedule {
            wanted.profiles.composite(
                from: wanted.start, seconds: wanted.seconds, question, most: most,
                unit: wanted.unit)
        }
        let parts = wanted.parts.map { composite($0.0, $0.most) }
        guard let station = wanted.station else { return parts.first }
        return .sum(of: parts, bounded: composite(station.0, station.most))
    }

    // MARK: What is in force

    /// Whom a connector's limit is asked for.
    ///
    /// A charge's start is told from its age: the wall's clock may have been set since.
    func question(_ load: ConnectorLoad, at now: Instant) -> InstalledProfiles.Question {
        let outlet = settings.outlets.first { $0.connector == load.number }
        let age =
            load.foundStartedAt.map { max(0, now.wall.milliseconds(since: $0)) }
            ?? load.startedMilliseconds.map { max(0, now.since($0)) } ?? 0
        return InstalledProfiles.Question(
            connector: load.number, charge: load.charge,
            chargeStart: now.wall.advanced(byMilliseconds: -age),
            supply: ChargingSupply(
                phases: min(outlet?.wiring.phases.count ?? 3, settings.supply.phases),
                nominal: settings.supply.nominal),
            zone: settings.zone)
    }

    func stationMaximum(at now: Timestamp) -> InstalledProfiles.Limit? {
        profiles.piece(
            at: now,
            .init(connector: 0, chargeStart: now, supply: settings.supply, zone: settings.zone)
        ).limit
    }

    /// The profiles' limit on a connector, and whether it was lifted because the operator is away.
    func limit(
        of load: ConnectorLoad, at now: Instant
    ) -> (InstalledProfiles.Limit?, isLifted: Bool) {
        let limit = profiles.piece(at: now.wall, question(load, at: now)).limit
        guard var limit, limit.purpose != .stationMaximum, limit.limit < settings.offlineAmperes,
            let patience = settings.offlineMilliseconds, let offlineSince,
            now.since(offlineSince) >= patience
        else { return (limit, false) }
        limit.limit = settings.offlineAmperes
        if let maximum = stationMaximum(at: now.wall), maximum.limit < limit.limit {
            return (maximum, false)
        }
        return (limit, true)
    }

    /// The operator is there, or is not.
    package func linkChanged(isUp: Bool) async {
        if isUp {
            offlineSince = nil
        } else if offlineSince == nil {
            offlineSince = clock.monotonicMilliseconds
        }
        await step()
    }

    /// Takes over the profiles of charges that began. They are on the disk with their charge.
    func adoptBegun() {
        let now = clock.monotonicMilliseconds
        awaited.dropWaiting { waiting in
            // As long as a connector waits for this token, whatever the operator's patience is.
            now - waiting.since > ProfileLimits.pendingMilliseconds
                && !loads.values.contains {
                    $0.awaitedToken == waiting.token && waiting.fits($0.number)
                }
        }
        // One whose charge is not seen yet would count as left over, and bounds as if it waited. One
        // that was never seen is left over.
        let begun = awaited.takeBegun { begun in
            loads[begun.entry.connector]?.charge == begun.entry.charge
                || now - begun.at > ProfileLimits.beginsWithinMilliseconds
        }
        for entry in begun { profiles.install(entry) }
    }

    /// What bounds a connector before its charge begins, and from when it counts.
    func awaitedEntries(at number: ConnectorNumber) -> [(ChargingProfile, since: Int64)] {
        awaited.waiting.filter { $0.fits(number) }.map { ($0.profile, $0.since) }
            + awaited.begun.filter { $0.entry.connector == number }
            .map { ($0.entry.profile, $0.at) }
    }
}
