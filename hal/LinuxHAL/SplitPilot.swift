import Charging
import HAL
import Service

/// The pilot of a board whose safety controller makes it: its states come in on lines, the current
/// to offer goes out as a code. The controller opens by itself whatever we say.
package final class SplitPilot: Pilot {
    package let name: String
    private let board: GPIOBoard
    private let profile: SplitPilotProfile
    private let connected: GPIOInput
    private let ready: GPIOInput
    private let fault: GPIOInput?
    private let offers: [GPIOOutput]
    private let memory = Lock(Memory())

    private struct Memory: Sendable {
        var code = 0
        var failure: String?
    }

    package init(
        name: String, board: GPIOBoard, profile: SplitPilotProfile, connected: GPIOInput,
        ready: GPIOInput, fault: GPIOInput?, offers: [GPIOOutput]
    ) {
        self.name = name
        self.board = board
        self.profile = profile
        self.connected = connected
        self.ready = ready
        self.fault = fault
        self.offers = offers
    }

    package func set(_ signal: PilotSignal) {
        // Written while the lock is held: two codes must reach the lines in their order.
        memory.withLock { memory in
            memory.code = profile.code(signal)
            write(&memory)
        }
    }

    private func write(_ memory: inout Memory) {
        let code = memory.code
        do throws(DeviceError) {
            try GPIOOutput.set(
                offers.enumerated().map { bit, line in (line, code >> bit & 1 == 1) })
            memory.failure = nil
        } catch {
            memory.failure = "\(error)"
        }
    }

    package func reading() async throws(DeviceError) -> Measured<PilotReading> {
        let askedAt = board.clock.monotonicMilliseconds
        let memory = memory.withLock { memory in
            if memory.failure != nil { write(&memory) }
            return memory
        }
        if let failure = memory.failure { throw .outputNotSet(failure) }
        let isFaulty = try fault?.read().isActive ?? false
        let state = try SplitPilotProfile.state(
            isFaulty: isFaulty, isConnected: connected.read().isActive,
            isReady: ready.read().isActive)
        return connected.measured(
            PilotReading(state: state, offered: profile.current(code: memory.code)),
            askedAt: askedAt)
    }
}

extension SplitPilotProfile {
    /// The code of the largest current that does not exceed the wanted one; 0 where there is none.
    package func code(_ signal: PilotSignal) -> Int {
        guard case .pwm(let current) = signal else { return 0 }
        return (offers.lastIndex { Amperes(Int64($0)) <= current } ?? -1) + 1
    }

    package func current(code: Int) -> Amperes {
        guard offers.indices.contains(code - 1) else { return .zero }
        return Amperes(Int64(offers[code - 1]))
    }

    /// What the three lines say together; ready without connected is a broken wire.
    package static func state(isFaulty: Bool, isConnected: Bool, isReady: Bool) -> PilotState {
        switch (isFaulty, isConnected, isReady) {
        case (true, _, _), (false, false, true): .e
        case (false, false, false): .a
        case (false, true, false): .b
        case (false, true, true): .c
        }
    }
}
