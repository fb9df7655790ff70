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

    /// A profile that comes with a start and waits for its charge; nil where it is taken.
    package func expect(
        _ profile: ChargingProfile, token: String, connector: ConnectorNumber?
    ) -> String? {
        var profile = profile
        profile.transaction = nil
        if let flaw = refusal(of: profile) { return flaw }
        guard profile.purpose == .transaction else { return "only a TxProfile comes with a start" }
        pending.removeAll { $0.token == token }
        guard pending.count < ProfileLimits.pending else { return "too many starts wait" }
        pending.append(
            Pending(
                connector: connector, token: token, profile: profile,
                since: clock.monotonicMilliseconds, at: clock.now))
        return nil
    }

    package func forget(token: String) { pending.removeAll { $0.token == token } }

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
            try await journal.store(entry, replacing: replaced)
        } catch {
            log.error("journal not written", ["error": String(describing: error)])
            return "the journal cannot be written"
        }
        profiles.install(entry)
        await step()
        return nil
    }

    /// False where nothing matched.
    package func clear(_ filter: ProfileFilter) async -> Bool {
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
    package func composite(
        _ connector: ConnectorNumber, seconds: Int, unit: ChargingSchedule.Unit?
    ) -> CompositeSchedule? {
        guard seconds > 0 else { return nil }
        let unit = unit ?? .amperes
        let start = Timestamp(seconds: clock.now.milliseconds / 1000)
        guard connector == 0 else { return composite(of: connector, start, seconds, unit) }
        let parts = settings.outlets.compactMap {
            composite(of: $0.connector, start, seconds, unit)
        }
        let cap = profiles.composite(
            from: start, seconds: seconds,
            .init(
                connector: 0, chargeStart: start, supply: settings.supply, zone: settings.zone),
            most: settings.fuse, unit: unit)
        return .sum(of: parts, bounded: cap)
    }

    private func composite(
        of connector: ConnectorNumber, _ start: Timestamp, _ seconds: Int,
        _ unit: ChargingSchedule.Unit
    ) -> CompositeSchedule? {
        guard let load = loads[connector],
            let outlet = settings.outlets.first(where: { $0.connector == connector })
        else { return nil }
        return profiles.composite(
            from: start, seconds: seconds, question(load, at: start),
            most: min(outlet.maximum, settings.fuse), unit: unit)
    }

    // MARK: What is in force

    func question(_ load: ConnectorLoad, at now: Timestamp) -> InstalledProfiles.Question {
        let outlet = settings.outlets.first { $0.connector == load.number }
        return InstalledProfiles.Question(
            connector: load.number, charge: load.charge, chargeStart: load.startedAt ?? now,
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
        let limit = profiles.piece(at: now.wall, question(load, at: now.wall)).limit
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

    /// Binds a start's own profile to the charge that began with its token.
    func adoptPending() {
        let now = clock.monotonicMilliseconds
        pending.removeAll { now - $0.since > ProfileLimits.pendingMilliseconds }
        for waiting in pending {
            let begun = loads.values.first { load in
                load.charge != nil && load.token == waiting.token && waiting.fits(load)
                    && load.startedAt.map { $0 >= waiting.at } ?? false
            }
            guard let begun, let charge = begun.charge else { continue }
            pending.removeAll { $0 == waiting }
            let entry = InstalledProfiles.Entry(
                connector: begun.number, profile: waiting.profile, charge: charge)
            let replaced = profiles.entries.filter { $0.isReplaced(by: entry) }.map(\.profile.id)
            // In force at once; the disk may be slow, and the charge must not be faster than asked.
            profiles.install(entry)
            unsaved.append(Unsaved(entry: entry, replaced: replaced))
        }
    }

    /// A profile that holds in memory alone, because its charge had begun.
    struct Unsaved: Hashable {
        var entry: InstalledProfiles.Entry
        var replaced: [Int]
    }

    /// Writes what was adopted, again and again until the disk takes it: a charge that goes on after
    /// a loss of power must not be faster than asked.
    func saveAdopted() {
        let now = clock.monotonicMilliseconds
        guard !isSaving, !unsaved.isEmpty, now >= savesAgainAt else { return }
        isSaving = true
        Task {
            await self.saveUnsaved()
            self.isSaving = false
        }
    }

    /// What was cleared while it was written must not come back with the next start.
    private func forgetIfCleared(_ entry: InstalledProfiles.Entry) async {
        guard !profiles.entries.contains(where: { $0.profile.id == entry.profile.id }) else {
            return
        }
        do { try await journal.removeProfiles([entry.profile.id]) } catch {
            log.error("journal not written", ["error": String(describing: error)])
        }
    }

    private func saveUnsaved() async {
        while let next = unsaved.first {
            // Its charge may have ended, or another taken its place: that is on the disk already.
            if profiles.entries.contains(next.entry) {
                do {
                    try await journal.store(next.entry, replacing: next.replaced)
                } catch {
                    if !isSavingTroubled {
                        log.error(
                            "profile not kept, tried again until it is",
                            [
                                "connector": next.entry.connector,
                                "profile": next.entry.profile.id,
                                "error": String(describing: error),
                            ])
                    }
                    isSavingTroubled = true
                    savesAgainAt =
                        clock.monotonicMilliseconds + ConnectorTimings.journalRetries
                    return
                }
                if isSavingTroubled {
                    log.notice("profile kept", ["profile": next.entry.profile.id])
                }
                isSavingTroubled = false
                await forgetIfCleared(next.entry)
            }
            unsaved.removeAll { $0 == next }
        }
    }
}
