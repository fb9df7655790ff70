import HAL

extension ConnectorMachine {
    /// Where the residual current device stands with its test. IEC 62955 and IEC 61851-1 §8.5 leave
    /// its rhythm to the maker; ours is at boot and after each charge, always with the relay open.
    enum SelfTest: Hashable {
        case due
        /// The controller was told to run it.
        case running(since: Int64)
        case passed
        /// It could not be run, or failed; tried again from then on.
        case waiting(until: Int64)
    }

    package enum SelfTestResult: Hashable, Sendable {
        case passed
        /// The sensor did not trip, or did not come back: a person must look.
        case failed
        /// The device could not be asked.
        case notRun
        /// Another outlet uses the sensor: it stays due.
        case postponed
    }

    /// Asks for the test when it is due and nothing can flow. Until it has passed the gate is shut.
    mutating func driveSelfTest(_ now: Instant, _ effects: inout Effects) {
        guard board.hasResidualCurrentDevice else { return }
        switch selfTest {
        case .passed: return
        case .running(let since):
            // Whoever hangs: an answer that comes later no longer counts.
            guard now.since(since) >= ConnectorTimings.selfTestLasts else { return }
            selfTest = .waiting(until: now.milliseconds + ConnectorTimings.selfTestRetries)
            return
        case .waiting(let time): guard now.milliseconds >= time else { return }
        case .due: break
        }
        guard !contactor.isClosed, contactor.openSince != nil, let residualCurrent,
            !residualCurrent.isTripped, !latched.contains(.weldedContact)
        else { return }
        selfTest = .running(since: now.milliseconds)
        effects.others.append(.selfTest)
    }

    mutating func absorbSelfTest(
        _ result: SelfTestResult, _ now: Instant, _ effects: inout Effects
    ) {
        guard case .running = selfTest else { return }
        // While it was tested the device could not be read; its test is a word of its own.
        heardAt[.residualCurrent] = now.milliseconds
        switch result {
        case .passed: selfTest = .passed
        case .failed:
            selfTest = .waiting(until: now.milliseconds + ConnectorTimings.selfTestRetries)
            latch(.selfTestFailed, &effects)
        case .notRun:
            selfTest = .waiting(until: now.milliseconds + ConnectorTimings.selfTestRetries)
        case .postponed:
            selfTest = .waiting(until: now.milliseconds + ConnectorTimings.selfTestPostponed)
        }
    }

    var isSelfTesting: Bool { if case .running = selfTest { true } else { false } }
}
