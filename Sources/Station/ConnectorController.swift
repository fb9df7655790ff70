import Charging
import HAL
import Service

/// Owns one machine, reads its inputs, and sets its outputs before it reads on.
///
/// It lives on the control thread, apart from the pool that serves network and disk, and never
/// awaits between an input and its outputs. Disk and operator work is queued and comes back as an
/// input.
package actor ConnectorController {
    /// What the agent has to know.
    package enum Notice: Hashable, Sendable {
        case status(ConnectorMachine.Status)
        case authorize(token: String)
        /// Something that is owed to the operator is on the disk.
        case journalled
        case reservationEnded(id: Int, ConnectorMachine.ReservationEnd)
    }

    package nonisolated let number: ConnectorNumber
    package nonisolated let notices: AsyncStream<Notice>
    let devices: ConnectorDevices
    let journal: BoardJournal
    let clock: any ServiceClock
    let log: Log
    let polls: PollIntervals
    var machine: ConnectorMachine
    var contactorSetAt: Int64 = 0
    private var lastTaken: Int64
    /// When the control thread last came back from an absence.
    private var resumedAt = Int64.min
    /// The next poll of the residual current device tests it first.
    var isSelfTestAsked = false
    /// The limits that remote starts brought with them.
    private var awaitedProfiles: AwaitedProfiles?
    var writes: [ConnectorMachine.JournalEntry] = []
    var journalTrouble: JournalTrouble?
    private var recorder: EventRecorder?
    var lastMeterError: String?
    var lastOffered: Amperes?
    /// Why the last token that was shown came to nothing.
    var refusal: TokenRefusal?
    /// What the gate said when it was last logged, and when.
    var loggedVerdict: [String]?
    /// The serial number of a meter of which a notice was left already.
    var toldMeter: String?
    /// What of the meter a notice was left of already.
    private var toldConcerns: Set<ConnectorMachine.MeterConcern> = []
    var loggedVerdictAt = Int64.min / 2
    var isFailing: Set<String> = []
    /// Ended charges whose signed record is not settled yet.
    var signings: [Int64: Signing] = [:]
    /// The charge that the meter's own transaction is of.
    var signedCharge: Int64?
    /// The charge that was open when this run began.
    let recoveredCharge: Int64?
    /// The outlet as a signed record calls it.
    let outlet: String
    let signingOrders: AsyncStream<SigningOrder>
    let signingWriter: AsyncStream<SigningOrder>.Continuation
    private let noticeWriter: AsyncStream<Notice>.Continuation
    let writeSignal: AsyncStream<Void>.Continuation
    private let writeSignals: AsyncStream<Void>
    private let executor: ThreadExecutor

    /// Entries waiting for the disk; above, samples and registers give way. Starts and stops do not,
    /// and there is at most one of each.
    private static let mostWaitingEntries = 64
    private static let mostWaitingNotices = 256

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    package init(
        machine: ConnectorMachine, devices: ConnectorDevices, journal: BoardJournal,
        executor: ThreadExecutor, polls: PollIntervals = PollIntervals(), outlet: String? = nil,
        clock: any ServiceClock = .system, log: Log
    ) {
        number = machine.number
        self.outlet = outlet ?? "\(machine.number)"
        lastTaken = clock.monotonicMilliseconds
        self.machine = machine
        recoveredCharge = machine.transaction?.id
        self.devices = devices
        self.journal = journal
        self.executor = executor
        self.polls = polls
        self.clock = clock
        self.log = log
        (notices, noticeWriter) = AsyncStream.makeStream(
            bufferingPolicy: .bufferingNewest(Self.mostWaitingNotices))
        (signingOrders, signingWriter) = AsyncStream.makeStream(
            bufferingPolicy: .bufferingNewest(Self.mostSigningOrders))
        (writeSignals, writeSignal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Reads inputs and writes the journal until it is cancelled; then opens.
    package func run() async {
        devices.makeSafe()
        tellClock()
        await withTaskGroup { group in
            // On the control thread throughout: a reading goes to its bus and comes back without a
            // third thread, forty times a second and outlet. What blocks is the bus's own thread.
            group.addTask(executorPreference: executor) { await self.tick() }
            group.addTask(executorPreference: executor) { await self.pollPilot() }
            group.addTask(executorPreference: executor) { await self.pollMirror() }
            group.addTask(executorPreference: executor) { await self.pollSafety() }
            group.addTask(executorPreference: executor) { await self.pollDoor() }
            group.addTask(executorPreference: executor) { await self.pollProtectiveEarth() }
            group.addTask(executorPreference: executor) { await self.pollResidualCurrent() }
            group.addTask(executorPreference: executor) { await self.pollSocket() }
            group.addTask(executorPreference: executor) { await self.pollTemperature() }
            group.addTask(executorPreference: executor) { await self.pollMeter() }
            group.addTask(executorPreference: executor) { await self.compareMeter() }
            group.addTask { await self.writeJournal() }
            group.addTask { await self.sign() }
            // All but the comparison of the meter end only by cancellation.
            await group.waitForAll()
        }
        devices.makeSafe()
        noticeWriter.finish()
    }

    /// The one inbox: no two inputs interleave, because nothing here awaits.
    ///
    /// - `askedAt`: when a reading was asked for; one from before an absence of this thread tells of
    ///   a time that is over and is left out, unless it is an alarm.
    package func take(_ input: ConnectorMachine.Input, askedAt: Int64 = .max) {
        resumeIfAbsent(since: lastTaken)
        let now = Instant(milliseconds: clock.monotonicMilliseconds, wall: clock.now)
        lastTaken = now.milliseconds
        if askedAt >= resumedAt || input.isAlarm { apply(machine.handle(input, at: now)) }
        recorder?.saw(input, machine, at: now)
        if case .tick = input { logVerdict(at: now) }
    }

    /// Tells the machine whether the wall's clock can be believed, when that changed.
    func tellClock() {
        let isTrusted = journal.trust != .untrusted
        if machine.isClockTrusted != isTrusted { take(.clock(isTrusted: isTrusted)) }
    }

    /// From now on what happens here is remembered there.
    package func record(into recorder: EventRecorder) { self.recorder = recorder }

    /// A start is made durable together with the profile that waits there for it.
    func bind(_ profiles: AwaitedProfiles) { awaitedProfiles = profiles }

    func noteFailure(_ device: String, _ error: (any Error)?) {
        recorder?.failed(device, error, of: number)
    }

    /// After longer than the dead-man holds a closing it has done its work: what was closed is open.
    /// Where there is none, nothing was heard for too long, and opening is the answer to that.
    func resumeIfAbsent(since last: Int64) {
        let deadMan = devices.contactor.deadMan
        let now = Instant(milliseconds: clock.monotonicMilliseconds, wall: clock.now)
        let longest =
            deadMan.kind == .none
            ? ConnectorTimings.inputIsLost : Int64(deadMan.opensWithinMilliseconds)
        guard now.since(last) > longest else { return }
        log.warning("control was absent", ["connector": number])
        resumedAt = now.milliseconds
        lastTaken = now.milliseconds
        apply(machine.handle(.resumed, at: now))
    }

    private func apply(_ effects: [ConnectorMachine.Effect]) {
        for effect in effects {
            switch effect {
            case .output(let output): set(output)
            case .journal(let entry): queue(entry)
            case .authorize(let token): noticeWriter.yield(.authorize(token: token))
            case .selfTest: isSelfTestAsked = true
            case .report(let report): tell(report)
            }
        }
    }

    private func set(_ output: ConnectorMachine.Output) {
        recorder?.did(output, of: number)
        switch output {
        case .contactor(let closed):
            devices.contactor.set(closed: closed)
            contactorSetAt = clock.monotonicMilliseconds
            log.info("contactor", ["connector": number, "closed": closed])
        case .pilot(let signal):
            devices.pilot.set(signal)
            log.debug("pilot", ["connector": number, "signal": "\(signal)"])
        case .lock(let locked): devices.lock?.set(locked: locked)
        case .indicator(let indication): devices.indicator?.show(indication)
        }
    }

    private func tell(_ report: ConnectorMachine.Report) {
        recorder?.told(report, of: number)
        switch report {
        case .status(let status):
            log.notice(
                "status changed",
                [
                    "connector": number, "status": status.status.rawValue,
                    "errorCode": status.errorCode == "NoError" ? nil : status.errorCode,
                    "reason": status.info,
                ])
            noticeWriter.yield(.status(status))
        case .tokenRefused(let status):
            refusal = .byOperator(status)
            devices.indicator?.show(.refused)
            log.notice("token refused", ["connector": number, "status": status.rawValue])
        case .startAbandoned(let why):
            refusal = .byConnector(why)
            // A minute later nobody stands there any more.
            if why != .timedOut { devices.indicator?.show(.refused) }
            log.notice("start abandoned", ["connector": number, "reason": why.rawValue])
        case .reservationEnded(let id, let why):
            log.notice(
                "reservation ended",
                ["connector": number, "reservation": id, "reason": why.rawValue])
            noticeWriter.yield(.reservationEnded(id: id, why))
        case .siteLimitLost(let share):
            log.error(
                "site limit not repeated, the safe share counts",
                ["connector": number, "milliamperes": share.milliamperes])
        case .resumed:
            log.notice(
                "session goes on", ["connector": number, "charge": machine.transaction?.id])
        case .registerRefused(let kept, let shown):
            let text =
                "connector \(number): a charge found open was closed with the register kept, \(kept) "
                + "Wh; its meter shows \(shown) Wh, more than it can have drawn since"
            log.error(
                "register refused", ["connector": number, "kept": kept.value, "shown": shown.value])
            // Nothing waits for it, and the log has it as well.
            Task { try? await journal.leaveNotice(text) }
        case .meterDoubted(let concern, let why):
            log.warning(
                "meter doubted",
                ["connector": number, "charge": machine.transaction?.id, "reason": why])
            // Of every charge in the log, of the first one as a notice too.
            guard toldConcerns.insert(concern).inserted else { return }
            let text = "connector \(number): its meter is doubted: \(why)"
            // As above.
            Task { try? await journal.leaveNotice(text) }
        }
    }

    /// Something that is owed to the operator can be told.
    func tellJournalled() { noticeWriter.yield(.journalled) }

    // MARK: The disk

    /// Tells the machine when the journal can or can no longer keep a new charge.
    func noteJournal() {
        guard journal.trouble != journalTrouble else { return }
        journalTrouble = journal.trouble
        take(.journalTrouble(journalTrouble))
    }

    private func queue(_ entry: ConnectorMachine.JournalEntry) {
        switch entry {
        case .start: writes.append(entry)
        case .stop(let stop):
            askForRecord(of: stop)
            writes.append(entry)
        case .limits(let charge, _):
            // Only the last one counts.
            writes.removeAll { if case .limits(charge, _) = $0 { true } else { false } }
            writes.append(entry)
        case .wear:
            writes.removeAll { if case .wear = $0 { true } else { false } }
            writes.append(entry)
        case .latched:
            // Each names all that is latched: only the last one counts.
            writes.removeAll { if case .latched = $0 { true } else { false } }
            writes.append(entry)
        case .register(let charge, _, _):
            // Only the last one counts.
            writes.removeAll {
                if case .register(charge, _, _) = $0 { true } else { false }
            }
            if writes.count < Self.mostWaitingEntries { writes.append(entry) }
        case .sample:
            if writes.count < Self.mostWaitingEntries {
                writes.append(entry)
            } else {
                log.warning("sample not kept, the disk is slow", ["connector": number])
            }
        }
        writeSignal.yield()
    }

    private func writeJournal() async {
        for await _ in writeSignals {
            while !writes.isEmpty {
                let entry = Self.next(of: &writes)
                await write(entry)
            }
        }
    }

    /// A contactor's life waits for everything else: each commit before a stop is one more that a loss
    /// of power may cut off. The rest keeps its order.
    static func next(
        of writes: inout [ConnectorMachine.JournalEntry]
    ) -> ConnectorMachine.JournalEntry {
        let first = writes.firstIndex { if case .wear = $0 { false } else { true } }
        return writes.remove(at: first ?? 0)
    }

    private func write(_ entry: ConnectorMachine.JournalEntry) async {
        do {
            switch entry {
            case .start(let start):
                let charge = try await write(start)
                log.notice(
                    "session started",
                    ["connector": number, "charge": charge, "registerWh": start.register.value])
                beginSigning(charge, token: start.token)
                take(.journal(.started(charge)))
            case .sample(let charge, let snapshot, let context):
                try await journal.sample(StoredSample(snapshot, context), of: charge)
            case .register(let charge, let register, let at):
                try await journal.keep(register: register, of: charge, at: at)
                return
            case .stop(let stop):
                try await write(stop)
                log.notice(
                    "session ended",
                    [
                        "connector": number, "charge": stop.transaction,
                        "registerWh": stop.register.value, "reason": stop.reason.rawValue,
                        "lastGood": stop.isLastGood ? true : nil,
                        "limit": stop.limit?.rawValue,
                    ])
                take(.journal(.stopped))
            case .limits(let charge, let limits):
                try await journal.setLimits(limits, of: charge)
                return
            case .wear(let wear):
                try await journal.keep(
                    wear: wear, lastClosing: machine.contactor.lastClosing, connector: number)
                return
            case .latched(let faults):
                try await journal.setLatched(faults, connector: number)
                return
            }
            tellJournalled()
        } catch {
            log.error(
                "journal not written", ["connector": number, "error": String(describing: error)])
            await take(unwritten: entry)
        }
    }

    private func write(_ start: ConnectorMachine.Start) async throws -> Int64 {
        let own = awaitedProfiles?.claim(start, by: number)
        do {
            let charge = try await journal.start(
                connector: number, token: start.token, isRemote: start.isRemote,
                register: start.register, at: start.at, reservation: start.reservation,
                limits: start.limits, profile: own?.profile)
            // Before the machine can offer anything.
            if let own {
                awaitedProfiles?.begun(own, charge: charge, at: clock.monotonicMilliseconds)
            }
            return charge
        } catch {
            if let own { awaitedProfiles?.abandoned(own) }
            throw error
        }
    }

    private func take(unwritten entry: ConnectorMachine.JournalEntry) async {
        switch entry {
        case .start: take(.journal(.startFailed))
        case .stop: take(.journal(.stopFailed))
        case .sample, .register, .wear: break
        case .limits(let charge, _):
            // They hold in memory; a charge that goes on after a loss of power needs them too.
            await writeAgain(entry) { if case .limits(charge, _) = $0 { true } else { false } }
        case .latched:
            await writeAgain(entry) { if case .latched = $0 { true } else { false } }
        }
    }

    /// What holds in memory goes to the disk later, unless a newer one waits.
    private func writeAgain(
        _ entry: ConnectorMachine.JournalEntry,
        unless isNewer: (ConnectorMachine.JournalEntry) -> Bool
    ) async {
        // Its pauses end at once then, and a failing disk would be asked for ever.
        if Task.isCancelled { return }
        if !writes.contains(where: isNewer) { writes.append(entry) }
        // A failing disk must not be asked in a tight loop. A cancellation may cut the pause short.
        try? await clock.sleep(milliseconds: ConnectorTimings.journalRetries)
        writeSignal.yield()
    }
}
