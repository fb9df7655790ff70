import Charging

/// Decides how an update goes: when to fetch, check, install, restart, and when to go back.
///
/// Pure: it is told what happened and says what to do. The job it holds is written to the disk after
/// every input and before its effects, so that a power cut at any instant continues the job or ends
/// it with the right word. OCPP 1.6 §5.19, security white paper §5.1.
package struct FirmwareMachine: Hashable, Sendable {
    package enum Input: Hashable, Sendable {
        case ordered(FirmwareOrder)
        /// Once a second.
        case tick(isCharging: Bool)
        case downloaded
        case downloadFailed(mayHeal: Bool)
        case verified(Bool)
        case installEnded(isGood: Bool)
        /// The program has just started with the job found on the disk.
        case started(version: String)
        /// The operator has accepted this program's boot.
        case healthy
        case rolledBack(Bool)
        /// The new program did not come up, and the old one was brought back from outside.
        case broughtBack
    }

    package enum Effect: Hashable, Sendable {
        case report(FirmwareStatus)
        case download
        case stopDownload
        case verify
        /// Let no new charge begin; running ones go on.
        case holdConnectors(Bool)
        case install
        case restart
        case rollBack
        case note(SecurityEvent.Kind)
        /// The job has ended: its file may go.
        case discard
    }

    /// What is known of the update under way.
    package struct Job: Hashable, Sendable {
        package var order: FirmwareOrder
        package var phase: Phase
        /// Tries of the download so far.
        package var attempts = 0
        /// Tries of the installation so far.
        package var installs = 0
        /// Starts of the program since the installation.
        package var starts = 0
        /// Tries of the way back so far.
        package var rollbacks = 0
        /// Milliseconds UTC; tells two orders of the same file apart.
        package var orderedAt: Int64 = 0
        /// The program that was to be replaced.
        package var version: String
    }

    package enum Phase: String, Hashable, Sendable, CaseIterable {
        case scheduled, downloading, waitingToRetry, verifying, waitingToInstall
        case waitingForCharges, installing, probation, rollingBack
    }

    package struct Rules: Hashable, Sendable {
        /// Where the order names none.
        package var retries = 3
        package var retrySeconds = 60
        /// A new program that has run this long is healthy even if the operator cannot be reached.
        package var healthMilliseconds: Int64 = 300_000
        /// Starts that a new program has to become healthy.
        package var starts = 3
        /// Tries of an installation or roll-back that a power cut interrupts.
        package var interruptedTries = 2
        /// What an operator can ask for at most.
        package static let mostRetries = 100
        package static let longestRetrySeconds = 86_400

        package init() {}
    }

    package private(set) var job: Job?
    private let rules: Rules
    private let version: String
    /// On the monotonic clock; what waits on it begins anew with the program.
    private var waitsUntil: Int64 = 0
    /// No new charge may begin.
    private(set) var isHolding = false

    package init(rules: Rules = Rules(), version: String, job: Job? = nil) {
        self.rules = rules
        self.version = version
        self.job = job
    }

    /// Whether a new order may take the place of what is under way.
    package var canBeReplaced: Bool {
        switch job?.phase {
        case nil, .scheduled, .downloading, .waitingToRetry, .verifying, .waitingToInstall,
            .waitingForCharges:
            true
        case .installing, .probation, .rollingBack: false
        }
    }

    /// What a trigger is answered with.
    package var status: FirmwareStatus {
        switch job?.phase {
        case nil: .idle
        case .scheduled: .downloadScheduled
        case .downloading, .waitingToRetry: .downloading
        case .verifying: .downloaded
        case .waitingToInstall, .waitingForCharges: .installScheduled
        case .installing: .installing
        case .probation, .rollingBack: .installRebooting
        }
    }

    /// The old program waits for its own end in probation; only the new one can pass it.
    private var isNewProgram: Bool { (job?.starts ?? 0) > 0 }

    // MARK: Inputs

    package mutating func handle(_ input: Input, at now: Instant) -> [Effect] {
        if case .ordered(let order) = input { return ordered(order, now) }
        if case .started(let version) = input { return started(version, now) }
        guard let phase = job?.phase else { return [] }
        switch (input, phase) {
        case (.tick(let isCharging), _): return tick(phase, isCharging, now)
        case (.downloaded, .downloading): return downloaded(now)
        case (.downloadFailed(let mayHeal), .downloading): return failed(mayHeal, now)
        case (.verified(true), .verifying): return [.report(.signatureVerified)] + toInstall(now)
        case (.verified(false), .verifying):
            return end([.report(.invalidSignature), .note(.invalidFirmwareSignature)])
        case (.installEnded(true), .installing):
            job?.phase = .probation
            return [.report(.installRebooting), .restart]
        case (.installEnded(false), .installing), (.rolledBack, .rollingBack):
            return installFailed(input)
        case (.healthy, .probation) where isNewProgram: return installed()
        case (.broughtBack, .installing), (.broughtBack, .probation), (.broughtBack, .rollingBack):
            return end([.report(.installationFailed)])
        // Late news of what has been replaced or has ended.
        case (.downloaded, _), (.downloadFailed, _), (.verified, _), (.installEnded, _),
            (.healthy, _), (.rolledBack, _), (.broughtBack, _), (.ordered, _), (.started, _):
            return []
        }
    }

    private mutating func ordered(_ order: FirmwareOrder, _ now: Instant) -> [Effect] {
        guard canBeReplaced else { return [] }
        let before: [Effect] = job == nil ? [] : [.stopDownload] + hold(false) + [.discard]
        job = Job(
            order: order, phase: .scheduled, orderedAt: now.wall.milliseconds, version: version)
        if let at = order.retrieveAt, at > now.wall {
            return before + [.report(.downloadScheduled)]
        }
        return before + download()
    }

    private mutating func tick(_ phase: Phase, _ isCharging: Bool, _ now: Instant) -> [Effect] {
        switch phase {
        case .scheduled:
            let at = job?.order.retrieveAt
            return at.map { $0 <= now.wall } ?? true ? download() : []
        case .waitingToRetry:
            guard now.milliseconds >= waitsUntil else { return [] }
            job?.phase = .downloading
            return [.download]
        case .waitingToInstall:
            let at = job?.order.signed?.installAt
            return at.map { $0 <= now.wall } ?? true ? waitForCharges() : []
        case .waitingForCharges: return isCharging ? [] : install()
        case .probation:
            return isNewProgram && now.milliseconds >= waitsUntil ? installed() : []
        case .downloading, .verifying, .installing, .rollingBack: return []
        }
    }

    /// Takes up what the disk holds. What cannot be known is done again, a few times.
    private mutating func started(_ version: String, _ now: Instant) -> [Effect] {
        guard let job else { return [] }
        switch job.phase {
        case .scheduled, .waitingToInstall: return []
        case .downloading, .waitingToRetry:
            self.job?.phase = .downloading
            return [.download]
        case .verifying: return [.verify]
        case .waitingForCharges: return hold(true)
        case .installing where version != job.version:
            // The installer restarted us before it told its end: this is the new program.
            self.job?.phase = .probation
            return started(version, now)
        case .installing:
            return job.installs < rules.interruptedTries ? install() : rollBack()
        case .probation:
            self.job?.starts += 1
            waitsUntil = now.milliseconds + rules.healthMilliseconds
            return job.starts + 1 > rules.starts ? rollBack() : []
        case .rollingBack:
            return job.rollbacks < rules.interruptedTries
                ? rollBack() : end([.report(.installationFailed)])
        }
    }

    // MARK: Steps

    private mutating func download() -> [Effect] {
        job?.phase = .downloading
        return [.report(.downloading), .download]
    }

    private mutating func failed(_ mayHeal: Bool, _ now: Instant) -> [Effect] {
        guard let job else { return [] }
        let asked = job.order.transfer.retries ?? rules.retries
        let retries = min(max(asked, 0), Rules.mostRetries)
        guard mayHeal, job.attempts < retries else { return end([.report(.downloadFailed)]) }
        let pause = job.order.transfer.retrySeconds ?? rules.retrySeconds
        waitsUntil =
            now.milliseconds
            + Int64(min(max(pause, 1), Rules.longestRetrySeconds)) * 1000
        self.job?.attempts += 1
        self.job?.phase = .waitingToRetry
        return []
    }

    private mutating func downloaded(_ now: Instant) -> [Effect] {
        guard job?.order.signed != nil else { return [.report(.downloaded)] + toInstall(now) }
        job?.phase = .verifying
        return [.report(.downloaded), .verify]
    }

    private mutating func toInstall(_ now: Instant) -> [Effect] {
        if let at = job?.order.signed?.installAt, at > now.wall {
            job?.phase = .waitingToInstall
            return [.report(.installScheduled)]
        }
        return waitForCharges()
    }

    private mutating func waitForCharges() -> [Effect] {
        job?.phase = .waitingForCharges
        return hold(true)
    }

    private mutating func install() -> [Effect] {
        job?.phase = .installing
        job?.installs += 1
        let isFirst = job?.installs == 1
        return hold(true) + (isFirst ? [.report(.installing)] : []) + [.install]
    }

    private mutating func installFailed(_ input: Input) -> [Effect] {
        guard case .rolledBack(let isGood) = input else { return rollBack() }
        // The old program is back on the disk and has to be started.
        let mustRestart = isGood && (job?.starts ?? 0) > 0
        return end([.report(.installationFailed)] + (mustRestart ? [.restart] : []))
    }

    private mutating func rollBack() -> [Effect] {
        job?.phase = .rollingBack
        job?.rollbacks += 1
        return [.rollBack]
    }

    private mutating func installed() -> [Effect] {
        end([.report(.installed), .note(.firmwareUpdated)])
    }

    private mutating func end(_ effects: [Effect]) -> [Effect] {
        job = nil
        return effects + hold(false) + [.discard]
    }

    private mutating func hold(_ isHeld: Bool) -> [Effect] {
        guard isHolding != isHeld else { return [] }
        isHolding = isHeld
        return [.holdConnectors(isHeld)]
    }
}
