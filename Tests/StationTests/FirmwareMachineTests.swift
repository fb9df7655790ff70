import Charging
import JSON
import Testing

@testable import Station

@Suite struct `An update of the firmware` {
    private static let noon = Timestamp(seconds: 1_800_014_400)

    private static func order(
        signed: Bool = true, retrieveIn seconds: Int64 = 0, installIn: Int64? = nil,
        retries: Int? = 2
    ) -> FirmwareOrder {
        FirmwareOrder(
            transfer: TransferOrder(
                location: "https://files.example.org/a", retries: retries, retrySeconds: 10),
            retrieveAt: noon.advanced(bySeconds: seconds),
            signed: signed
                ? FirmwareOrder.Signed(
                    requestID: 7, installAt: installIn.map { noon.advanced(bySeconds: $0) },
                    certificate: "PEM", signature: "AA==") : nil)
    }

    private func at(_ seconds: Int64) -> Instant {
        Instant(milliseconds: seconds * 1000, wall: Self.noon.advanced(bySeconds: seconds))
    }

    private func machine(_ job: FirmwareMachine.Job? = nil) -> FirmwareMachine {
        FirmwareMachine(version: "1.0", job: job)
    }

    @Test func `goes its whole way in the words of the white paper`() throws {
        var machine = machine()
        var effects = machine.handle(.ordered(Self.order()), at: at(0))
        #expect(effects == [.report(.downloading), .download])
        effects = machine.handle(.downloaded, at: at(1))
        #expect(effects == [.report(.downloaded), .verify])
        effects = machine.handle(.verified(true), at: at(2))
        #expect(effects == [.report(.signatureVerified), .holdConnectors(true)])
        #expect(machine.handle(.tick(isCharging: true), at: at(3)) == [])
        effects = machine.handle(.tick(isCharging: false), at: at(4))
        #expect(effects == [.report(.installing), .install])
        effects = machine.handle(.installEnded(isGood: true), at: at(5))
        #expect(effects == [.report(.installRebooting), .restart])
        // The old program that hears of an accepted boot is not the one to be well.
        #expect(machine.handle(.healthy, at: at(6)) == [])
        #expect(machine.handle(.tick(isCharging: false), at: at(6)) == [])
        var after = FirmwareMachine(version: "1.1", job: machine.job)
        #expect(after.handle(.started(version: "1.1"), at: at(7)) == [])
        effects = after.handle(.healthy, at: at(8))
        #expect(effects == [.report(.installed), .note(.firmwareUpdated), .discard])
        #expect(after.job == nil)
    }

    @Test func `waits for its times`() {
        var machine = machine()
        var effects = machine.handle(
            .ordered(Self.order(retrieveIn: 10, installIn: 100)), at: at(0))
        #expect(effects == [.report(.downloadScheduled)])
        #expect(machine.handle(.tick(isCharging: false), at: at(9)) == [])
        effects = machine.handle(.tick(isCharging: false), at: at(10))
        #expect(effects == [.report(.downloading), .download])
        _ = machine.handle(.downloaded, at: at(11))
        effects = machine.handle(.verified(true), at: at(12))
        #expect(effects == [.report(.signatureVerified), .report(.installScheduled)])
        #expect(machine.handle(.tick(isCharging: false), at: at(99)) == [])
        #expect(machine.handle(.tick(isCharging: false), at: at(100)) == [.holdConnectors(true)])
    }

    @Test func `tries a download as often as it was told`() {
        var machine = machine()
        _ = machine.handle(.ordered(Self.order(retries: 1)), at: at(0))
        #expect(machine.handle(.downloadFailed(mayHeal: true), at: at(1)) == [])
        #expect(machine.handle(.tick(isCharging: false), at: at(10)) == [])
        #expect(machine.handle(.tick(isCharging: false), at: at(11)) == [.download])
        let effects = machine.handle(.downloadFailed(mayHeal: true), at: at(12))
        #expect(effects == [.report(.downloadFailed), .discard])
        #expect(machine.job == nil)
    }

    @Test func `does not try again what cannot heal`() {
        var machine = machine()
        _ = machine.handle(.ordered(Self.order()), at: at(0))
        let effects = machine.handle(.downloadFailed(mayHeal: false), at: at(1))
        #expect(effects == [.report(.downloadFailed), .discard])
    }

    @Test func `never installs what is not genuine`() {
        var machine = machine()
        _ = machine.handle(.ordered(Self.order()), at: at(0))
        _ = machine.handle(.downloaded, at: at(1))
        let effects = machine.handle(.verified(false), at: at(2))
        #expect(
            effects == [.report(.invalidSignature), .note(.invalidFirmwareSignature), .discard])
        #expect(machine.handle(.tick(isCharging: false), at: at(3)) == [])
    }

    @Test func `gives way to a newer order until it installs`() {
        var machine = machine()
        _ = machine.handle(.ordered(Self.order()), at: at(0))
        let effects = machine.handle(.ordered(Self.order(signed: false)), at: at(1))
        #expect(effects == [.stopDownload, .discard, .report(.downloading), .download])
        _ = machine.handle(.downloaded, at: at(2))
        _ = machine.handle(.tick(isCharging: false), at: at(3))
        #expect(!machine.canBeReplaced)
        #expect(machine.handle(.ordered(Self.order()), at: at(4)) == [])
    }

    @Test func `goes back when the installer fails`() {
        var machine = machine()
        _ = machine.handle(.ordered(Self.order(signed: false)), at: at(0))
        _ = machine.handle(.downloaded, at: at(1))
        _ = machine.handle(.tick(isCharging: false), at: at(2))
        #expect(machine.handle(.installEnded(isGood: false), at: at(3)) == [.rollBack])
        let effects = machine.handle(.rolledBack(true), at: at(4))
        #expect(effects == [.report(.installationFailed), .holdConnectors(false), .discard])
    }

    private func job(_ phase: FirmwareMachine.Phase, starts: Int = 0) -> FirmwareMachine.Job {
        FirmwareMachine.Job(
            order: Self.order(), phase: phase, installs: 1, starts: starts, version: "1.0")
    }

    @Test func `goes back when the new program starts too often without getting well`() {
        var job = job(.probation)
        for _ in 1...3 {
            var machine = FirmwareMachine(version: "1.1", job: job)
            #expect(machine.handle(.started(version: "1.1"), at: at(0)) == [])
            job = machine.job ?? job
        }
        var machine = FirmwareMachine(version: "1.1", job: job)
        #expect(machine.handle(.started(version: "1.1"), at: at(0)) == [.rollBack])
        let effects = machine.handle(.rolledBack(true), at: at(1))
        #expect(effects == [.report(.installationFailed), .restart, .discard])
    }

    @Test func `is well after a while without the operator`() {
        var machine = FirmwareMachine(version: "1.1", job: job(.probation))
        _ = machine.handle(.started(version: "1.1"), at: at(0))
        #expect(machine.handle(.tick(isCharging: false), at: at(299)) == [])
        #expect(machine.handle(.tick(isCharging: false), at: at(300)).first == .report(.installed))
    }

    @Test func `takes up every phase after a power cut`() {
        func resumed(_ phase: FirmwareMachine.Phase, version: String = "1.0")
            -> [FirmwareMachine.Effect]
        {
            var machine = FirmwareMachine(version: version, job: job(phase))
            return machine.handle(.started(version: version), at: at(0))
        }
        #expect(resumed(.scheduled) == [])
        #expect(resumed(.downloading) == [.download])
        #expect(resumed(.waitingToRetry) == [.download])
        #expect(resumed(.verifying) == [.verify])
        #expect(resumed(.waitingToInstall) == [])
        #expect(resumed(.waitingForCharges) == [.holdConnectors(true)])
        #expect(resumed(.installing) == [.holdConnectors(true), .install])
        // The installer restarted the program itself.
        #expect(resumed(.installing, version: "1.1") == [])
        #expect(resumed(.rollingBack) == [.rollBack])
    }

    @Test(arguments: [FirmwareMachine.Phase.installing, .probation, .rollingBack])
    func `has failed once the old program was brought back from outside`(
        _ phase: FirmwareMachine.Phase
    ) {
        var machine = FirmwareMachine(version: "1.0", job: job(phase))
        let effects = machine.handle(.broughtBack, at: at(0))
        #expect(effects == [.report(.installationFailed), .discard])
        #expect(machine.job == nil)
        #expect(machine.handle(.started(version: "1.0"), at: at(1)) == [])
    }

    @Test func `goes on with what is not installed yet when an older one was brought back`() {
        var machine = FirmwareMachine(version: "1.0", job: job(.waitingForCharges))
        #expect(machine.handle(.broughtBack, at: at(0)) == [])
        #expect(machine.job?.phase == .waitingForCharges)
    }

    @Test(arguments: FirmwareMachine.Phase.allCases)
    func `comes back from the journal`(_ phase: FirmwareMachine.Phase) throws {
        for signed in [true, false] {
            var job = job(phase, starts: 2)
            job.order = Self.order(signed: signed, installIn: 5)
            let text = job.json.text
            #expect(FirmwareMachine.Job(json: try JSONValue(parsing: text)) == job)
        }
    }

    /// Whatever comes in whatever order: nothing is installed that was not verified since it came.
    @Test func `installs nothing unverified under any sequence of inputs`() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            var machine = machine()
            var isVerified = false
            for step in 0..<40 {
                let input: FirmwareMachine.Input =
                    switch Int.random(in: 0..<10, using: &random) {
                    case 0: .ordered(Self.order())
                    case 1, 2: .tick(isCharging: Bool.random(using: &random))
                    case 3: .downloaded
                    case 4: .downloadFailed(mayHeal: Bool.random(using: &random))
                    case 5: .verified(Bool.random(using: &random))
                    case 6: .installEnded(isGood: Bool.random(using: &random))
                    case 7: .healthy
                    case 8: .broughtBack
                    default: .rolledBack(Bool.random(using: &random))
                    }
                let effects = machine.handle(input, at: at(Int64(step)))
                if effects.contains(.download) { isVerified = false }
                if effects.contains(.report(.signatureVerified)) { isVerified = true }
                if effects.contains(.install) { #expect(isVerified) }
            }
        }
    }
}

@Suite struct `A change of credentials` {
    private let old = LinkIdentity(profile: 1, password: [1])
    private let new = LinkIdentity(profile: 1, password: [2])

    @Test func `counts after the first connection made with it`() {
        var trial = LinkTrial(current: old)
        trial.propose(new)
        #expect(trial.next == new)
        #expect(trial.succeeded(with: new) == .promoted)
        #expect(trial.current == new && trial.candidate == nil)
    }

    @Test func `is tried twice before the old one, and for ever while nothing answers`() {
        var trial = LinkTrial(current: old)
        trial.propose(new)
        var used: [LinkIdentity] = []
        for _ in 0..<6 {
            used.append(trial.next)
            trial.failed()
        }
        #expect(used == [new, new, old, new, new, old])
        #expect(trial.candidate == new)
    }

    @Test func `is undone once the old one works where the new one did not`() {
        var trial = LinkTrial(current: old)
        trial.propose(new)
        trial.failed()
        trial.failed()
        #expect(trial.succeeded(with: trial.next) == .rolledBack)
        #expect(trial.newest == old)
    }
}
