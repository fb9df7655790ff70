import Charging
import OCPP
import Service

// How an update goes on: one step after the other, each on the disk before its effects.
extension StationUpkeep {
    /// An input whose step the disk did not take. Nothing was done of it; it comes again.
    struct PostponedStep {
        var input: FirmwareMachine.Input
        var againAt: Int64
        var backoff: Backoff
        /// The update had let no new charge begin; meanwhile it lets them.
        var isHoldLifted = false
    }

    func handle(_ input: FirmwareMachine.Input) async {
        // What comes meanwhile waits: a step that waits for the disk must not be overtaken.
        await takeTurn()
        await step(input)
        if stepsWaiting.isEmpty { isStepping = false } else { stepsWaiting.removeFirst().resume() }
    }

    /// Looked at again where the turn is waited for: on the way there the actor may be left, and the step
    /// under way may have ended and handed its turn to nobody.
    private func takeTurn() async {
        if isStepping {
            await withCheckedContinuation { next in
                if isStepping { return stepsWaiting.append(next) }
                isStepping = true
                next.resume()
            }
        }
        isStepping = true
    }

    private func step(_ input: FirmwareMachine.Input) async {
        guard case .tick = input else { return await take(input) }
        guard var waiting = postponed else {
            if isJobUnsaved, now.milliseconds >= savesAgainAt { _ = await keepJob() }
            return await take(input)
        }
        guard now.milliseconds >= waiting.againAt else { return }
        // Asks the disk before anything is done: the hold alone keeps drivers from their energy.
        guard await keepJob() else {
            waiting.againAt = now.milliseconds + waiting.backoff.next()
            postponed = waiting
            return
        }
        log.notice("update goes on", [:])
        postponed = nil
        // What was ordered meanwhile may hold nothing.
        if waiting.isHoldLifted, machine.isHolding { await agent?.hold(true) }
        // Somebody may have begun to charge since this tick was asked whether anybody does, while
        // nothing was held: the next one decides.
        if case .tick = waiting.input { return }
        await take(waiting.input)
    }

    private func take(_ input: FirmwareMachine.Input) async {
        let before = machine
        let effects = machine.handle(input, at: now)
        let order = machine.job?.order ?? before.job?.order
        if machine.job != before.job {
            if await keepJob() {
                // Whatever waited was of a step that this one took the place of.
                postponed = nil
            } else if effects.contains(where: \.mustBeKnown) {
                machine = before
                return await postpone(input)
            } else if case .ordered = input {
                // What waited was of the update that this one took the place of.
                postponed = nil
            }
        }
        guard let order else { return }
        for effect in effects { await perform(effect, order) }
    }

    /// Going on would end in a state that nobody knows after a power cut, so it waits; charging does
    /// not wait for it.
    private func postpone(_ input: FirmwareMachine.Input) async {
        var backoff = postponed?.backoff ?? configuration.stepRetries
        let wasLifted = postponed?.isHoldLifted ?? false
        postponed = PostponedStep(
            input: input, againAt: now.milliseconds + backoff.next(), backoff: backoff,
            isHoldLifted: wasLifted || machine.isHolding)
        log.error("update waits for the disk, charging goes on", [:])
        if machine.isHolding, !wasLifted { await agent?.hold(false) }
    }

    private func keepJob() async -> Bool {
        do {
            try await journal.keep(firmwareJob: machine.job)
            isJobUnsaved = false
            return true
        } catch {
            log.error("firmware job not stored", ["error": String(describing: error)])
            isJobUnsaved = true
            savesAgainAt = now.milliseconds + ConnectorTimings.journalRetries
            return false
        }
    }
}

extension FirmwareMachine.Effect {
    /// The next start goes on from what is stored: none of these may happen that it would not know of.
    fileprivate var mustBeKnown: Bool {
        switch self {
        case .install, .restart, .rollBack, .holdConnectors(true): true
        case .report, .download, .stopDownload, .verify, .holdConnectors(false), .note, .discard:
            false
        }
    }
}
