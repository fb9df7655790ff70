import Charging
import HAL
import Service

/// Keeps every charge within the operator's profiles, and all of them within the site's fuse.
///
/// It lives on the control thread: while that thread hangs nothing is offered anew, and the dead-man
/// opens. Nothing here waits for network or disk between a reading and a limit.
package actor SmartCharging {
    let settings: SmartChargingSettings
    let controllers: [ConnectorController]
    let journal: BoardJournal
    let clock: any ServiceClock
    let log: Log
    private let executor: ThreadExecutor
    let meter: (any EnergyMeter)?
    let readLimit: (@Sendable () -> SiteLimitReading)?
    var group: Group?
    var lastReport: Int64 = .min / 2

    // What the operator wants.
    var profiles = InstalledProfiles()
    /// Damage took a profile, and the operator has said nothing since: the safe share counts.
    var areProfilesDoubted = false
    let awaited = AwaitedProfiles()
    var offlineSince: Int64?

    // What is.
    var loads: [ConnectorNumber: ConnectorLoad] = [:]
    var balancer: LoadBalancer
    var siteLoad = SiteLoad()
    private var standstill = MeterStandstill()
    var fileLimit: SiteLimitReading = .none
    var fileHeardAt: Int64?
    var heldLimit: HeldLimit?
    /// What the journal kept of a person's limit cannot be read: the safe share counts.
    var isHeldLimitUnread = false
    /// The last writing of it, and whether that takes it away.
    var limitWrite: Task<Void, any Error>?
    var isLimitBeingTaken = false
    /// Counts what was said of it.
    var limitOrders = 0
    var site = SiteState.free
    private var isMeterFailing = false

    // What was decided.
    var wanted: [ConnectorNumber: Applied] = [:]
    /// What every outlet of every board has, in the leader.
    var groupLimits: [LoadBalancer.ID: Amperes] = [:]

    // What was said.
    var applied: [ConnectorNumber: Applied] = [:]
    /// When each outlet was last told its limit, and when all were last decided on.
    private var toldAt: [ConnectorNumber: Int64] = [:]
    private var steppedAt: Int64
    private var isStepping = false
    private var isStepDue = false
    private var stepsAwaited: [CheckedContinuation<Bool, Never>] = []
    private var isRemoving = false

    struct Applied: Hashable {
        var profile: InstalledProfiles.Limit?
        var isLifted = false
        var site: Amperes?
    }

    /// Why the outlets have what they have.
    enum SiteState: String, Hashable {
        /// All of them at once cannot exceed the fuse.
        case free
        case shared
        /// The leader of the boards says what this one may have.
        case granted
        /// A source of truth is silent: the safe share counts.
        case safe
    }

    package static let tickMilliseconds: Int64 = 250
    private static let readMilliseconds: Int64 = 1_000
    /// An outlet is told its site limit so often: it falls to its safe share without.
    private static let repeatMilliseconds: Int64 = 1_000

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    package init(
        _ settings: SmartChargingSettings, controllers: [ConnectorController],
        journal: BoardJournal, executor: ThreadExecutor, meter: (any EnergyMeter)? = nil,
        readLimit: (@Sendable () -> SiteLimitReading)? = nil, group: Group? = nil,
        clock: any ServiceClock = .system,
        log: Log
    ) {
        self.settings = settings
        self.controllers = controllers
        self.journal = journal
        self.executor = executor
        self.meter = meter
        self.readLimit = readLimit
        self.group = group
        self.clock = clock
        self.log = log
        balancer = LoadBalancer(timings: settings.balancing)
        offlineSince = clock.monotonicMilliseconds
        steppedAt = clock.monotonicMilliseconds
    }

    /// Reads what was installed before the restart. To be called before any charge can start.
    package func load() async throws {
        profiles = InstalledProfiles(try await journal.profiles())
        let kept = try await journal.settings()
        await readHeldLimit(kept[Self.limitKey])
        await readProfileDoubt(kept[Self.profilesKey])
        for controller in controllers { await controller.bind(awaited) }
        await step()
        for outlet in settings.outlets {
            let share = settings.safeShare(of: outlet, isShared: meter != nil || group != nil)
            await controllers.first { $0.number == outlet.connector }?.take(.safeShare(share))
        }
    }

    /// True while limits are still decided on. The connectors and the other boards fall to their safe
    /// shares without; the watchdog ends a program whose loop hangs.
    package var isAlive: Bool {
        clock.monotonicMilliseconds - steppedAt <= ConnectorTimings.siteLimitIsLost
    }

    /// How long ago the limits of all boards were decided on.
    var stepAge: Int64 { clock.monotonicMilliseconds - steppedAt }

    /// Runs until it is cancelled.
    package func run() async {
        await withTaskGroup { group in
            group.addTask { await self.tick() }
            if let meter { group.addTask { await self.poll(meter) } }
            if let readLimit { group.addTask { await self.poll(readLimit) } }
            group.addTask { await self.keepHeldLimits() }
            if let members = self.group { group.addTask { await self.listen(members) } }
            await group.waitForAll()
        }
    }

    private func tick() async {
        while !Task.isCancelled {
            await step()
            do { try await clock.sleep(milliseconds: Self.tickMilliseconds) } catch { return }
        }
    }

    private nonisolated func poll(_ meter: any EnergyMeter) async {
        while !Task.isCancelled {
            do throws(MeterError) {
                await take(try await meter.readings())
            } catch {
                await takeMeterError(error)
            }
            // Ends early only by cancellation, which ends the loop.
            try? await clock.sleep(milliseconds: Self.readMilliseconds)
        }
    }

    /// Off the control thread: a file may lie on a disk that hangs.
    private nonisolated func poll(_ readLimit: @Sendable () -> SiteLimitReading) async {
        while !Task.isCancelled {
            await take(readLimit())
            // Ends early only by cancellation, which ends the loop.
            try? await clock.sleep(milliseconds: Self.readMilliseconds)
        }
    }

    private func takeMeterError(_ error: MeterError) {
        if !isMeterFailing { log.warning("site meter failed", ["reason": "\(error)"]) }
        isMeterFailing = true
    }

    private func take(_ readings: MeterReadings) {
        if let (quantity, doubt) = readings.doubts.first(where: \.value.isOfSmallCurrents) {
            return takeMeterError(.implausible(quantity, found: "\(doubt)"))
        }
        let outlets = outletCurrents(at: readings.askedAt)
        // A meter whose answers stand still would leave to the cars what others draw by now.
        if let stood = standstill.take(readings, outlets: outlets) {
            return takeMeterError(
                .implausible(
                    .currentL1, found: "\(MeterDoubt.valuesStandStill(milliseconds: stood))"))
        }
        if isMeterFailing { log.notice("site meter is back") }
        isMeterFailing = false
        var currents = readings.currents
        guard currents.count >= settings.supply.phases else {
            return takeMeterError(.notAvailable(.currentL1))
        }
        // Meters tell a current without its direction; a phase that feeds back relieves the fuse.
        if readings.powers.count == currents.count {
            for (index, power) in readings.powers.enumerated() where power.value < 0 {
                currents[index].milliamperes = -abs(currents[index].milliamperes)
            }
        }
        siteLoad.take(
            site: PhaseWiring.rst.onSupply(currents), outlets: outlets, askedAt: readings.askedAt)
    }

    func outletCurrents(at moment: Int64) -> PhaseCurrents {
        var outlets = PhaseCurrents.zero
        for outlet in settings.outlets {
            // An outlet whose meter fell silent counts as the others' load: too much is safe here, and
            // what it drew when it was last heard may be nobody's any more.
            guard let load = loads[outlet.connector], load.mayDraw, let at = load.currentsAskedAt,
                moment - at <= SiteLoad.isLost
            else { continue }
            // A meter wired the other way round counts below zero what the car draws all the same.
            outlets = outlets + outlet.wiring.onSupply(load.currents.map(\.magnitude))
        }
        return outlets
    }

    private func take(_ reading: SiteLimitReading) {
        if case .unreadable(let why) = reading, reading != fileLimit {
            log.error("limit file not understood, the safe share counts", ["reason": why])
        }
        fileLimit = reading
        fileHeardAt = clock.monotonicMilliseconds
    }

    // MARK: One step

    /// Looks, decides, tells the connectors. Two at once become one after the other, and each returns
    /// once the connectors know what it was called for: what follows may begin a charge.
    func step() async {
        while isStepping { if await joinsStep() { return } }
        isStepping = true
        isStepDue = true
        while isStepDue {
            isStepDue = false
            let waiting = stepsAwaited
            stepsAwaited = []
            for controller in controllers {
                loads[controller.number] = await controller.load()
            }
            adoptBegun()
            endProfiles()
            limitByProfiles()
            balance()
            await apply()
            steppedAt = clock.monotonicMilliseconds
            for caller in waiting { caller.resume(returning: true) }
        }
        isStepping = false
    }

    /// Waits for the step after the one under way; false where that has ended meanwhile. What asks for
    /// another one and who waits for it are written down together: on the way into the wait the actor may
    /// be left, and a step that ends in between would leave its caller waiting.
    private func joinsStep() async -> Bool {
        await withCheckedContinuation { caller in
            guard isStepping else { return caller.resume(returning: false) }
            isStepDue = true
            stepsAwaited.append(caller)
        }
    }

    private func limitByProfiles() {
        let now = Instant(milliseconds: clock.monotonicMilliseconds, wall: clock.now)
        for load in loads.values {
            var (limit, isLifted) = limit(of: load, at: now)
            // Before its charge begins a start's own profile bounds every outlet it may begin at.
            if load.charge == nil {
                for (profile, since) in awaitedEntries(at: load.number) {
                    let own = InstalledProfiles([
                        .init(connector: load.number, profile: profile, charge: 0)
                    ])
                    var question = question(load, at: now)
                    question.charge = 0
                    question.chargeStart = now.wall.advanced(byMilliseconds: -now.since(since))
                    let piece = own.piece(at: now.wall, question)
                    if let least = piece.limit, least.limit < limit?.limit ?? Amperes(1_000) {
                        limit = least
                        isLifted = false
                    }
                }
            }
            wanted[load.number, default: Applied()].profile = limit
            wanted[load.number]?.isLifted = isLifted
        }
    }

    func apply() async {
        for controller in controllers {
            guard let next = wanted[controller.number] else { continue }
            let before = applied[controller.number]
            applied[controller.number] = next
            if before == nil || next.profile?.limit != before?.profile?.limit {
                await controller.take(.limit(.profile, next.profile?.limit))
            }
            let now = clock.monotonicMilliseconds
            if let site = next.site,
                site != before?.site
                    || now - (toldAt[controller.number] ?? .min / 2) >= Self.repeatMilliseconds
            {
                toldAt[controller.number] = now
                await controller.take(.limit(.site, site))
            }
            if next.profile != before?.profile, let profile = next.profile {
                log.info(
                    "profile in force",
                    [
                        "connector": controller.number, "profile": profile.profile,
                        "purpose": profile.purpose.rawValue,
                        "milliamperes": profile.limit.milliamperes,
                    ])
            }
        }
    }

    // MARK: The end of a charge's own profile

    private func endProfiles() {
        // Before every connector was heard a charge found open may not be in its machine yet.
        guard loads.count == controllers.count, !isRemoving else { return }
        let over = profiles.orphans(charges: Set(loads.values.compactMap(\.charge)))
        guard !over.isEmpty else { return }
        profiles.remove(ids: over)
        isRemoving = true
        let journal = journal
        Task {
            do { try await journal.removeProfiles(over) } catch {
                // The next start removes them.
                self.log.error("journal not written", ["error": String(describing: error)])
            }
            self.isRemoving = false
        }
    }
}
