import Charging
import Service
import TestSupport
import Testing

@testable import Station

@Suite(.timeLimit(.minutes(1))) struct `An event recorder` {
    let folder = TemporaryFolder()
    let clock = ManualClock()

    @Test func `keeps what changed, and the newest of it`() {
        let recorder = EventRecorder(most: 3, clock: clock)
        for value in ["A", "A", "B", "B", "C", "C", "B"] {
            clock.advance(milliseconds: 10)
            recorder.note(.pilot, value, of: 1)
        }
        #expect(recorder.entries.map(\.value) == ["B", "C", "B"])
        #expect(recorder.entries.map(\.milliseconds) == [30, 50, 70])
    }

    @Test func `remembers a fault that came and went, once`() {
        let recorder = EventRecorder(clock: clock)
        recorder.note(faults: [.pilot], of: 2)
        recorder.note(faults: [], of: 2)
        #expect(!recorder.takeOccasion(of: 1))
        #expect(recorder.takeOccasion(of: 2))
        #expect(!recorder.takeOccasion(of: 2))
        recorder.note(faults: [.pilot], of: 2)
        recorder.note(faults: [.pilot], of: 2)
        #expect(recorder.takeOccasion(of: 2))
        #expect(!recorder.takeOccasion(of: 2))
        #expect(recorder.entries.map(\.value) == ["pilot", "none", "pilot"])
    }

    @Test func `is fed by a running station`() async throws {
        let board = TestBoard()
        let station = try await TestStation.make(board: board, path: folder.file("board.db"))
        let box = EventRecorder()
        await station.controller.record(into: box)
        let peer = TestOperator()
        station.links.yield(peer)
        board.change { $0.isPlugged = true }
        try await station.during { () async throws in
            await peer.hears(status: .preparing)
            _ = try await peer.ask(.start(connector: 1, token: "TAG"))
            await peer.hears(status: .charging)
            await until { box.entries.contains { $0.what == .currents && $0.value == "16000" } }
            board.change { $0.isStopPressed = true }
            await peer.hears(status: .faulted)
        }
        let seen = box.entries
        func has(_ what: EventRecorder.What, _ value: String) -> Bool {
            seen.contains { $0.what == what && $0.value.contains(value) }
        }
        #expect(has(.contactor, "close") && has(.contactor, "open"))
        #expect(has(.mirror, "closed") && has(.fault, "emergencyStop"))
        #expect(has(.status, "Charging") && has(.signal, "PWM") && has(.currents, "16000"))
        #expect(has(.hindrances, "emergency stop pressed"))
    }
}
