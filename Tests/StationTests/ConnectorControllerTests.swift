import Charging
import HAL
import OCPP
import SQL
import Service
import TestSupport
import Testing

@testable import Station

@Suite struct `A connector's controller` {
    private let folder = TemporaryFolder()

    private func station(
        _ capabilities: BoardCapabilities = BoardCapabilities.bench()
    ) async throws -> TestStation {
        try await TestStation.make(path: folder.file("board.db"), capabilities: capabilities)
    }

    @Test func `begins nothing new once the program is ending`() async throws {
        let station = try await station()
        let controller = station.controller
        #expect(await controller.stop(.reboot, withinMilliseconds: 0))
        #expect(
            await controller.remoteStart(token: "TAG", needsAuthorization: false)
                == "the program is ending")
        await controller.take(.token("TAG"))
        #expect(await controller.machine.permission == .none)
        await station.journal.close()
    }

    @Test func `logs all that forbids energy when it changes, once a second at most`() async throws
    {
        let clock = ManualClock()
        let lines = Lock<[String]>([])
        let station = try await TestStation.make(
            path: folder.file("board.db"), clock: clock,
            log: Log(sink: { line in
                if line.contains(text: "gate") { lines.withLock { $0.append(line) } }
            }))
        let controller = station.controller
        for _ in 0..<3 { await controller.take(.tick) }
        #expect(lines.withLock { $0.count } == 1)
        await controller.take(.emergencyStop(isActive: true))
        await controller.take(.residualCurrent(.tripped))
        #expect(lines.withLock { $0.count } == 1)
        clock.advance(milliseconds: 1_000)
        for _ in 0..<3 { await controller.take(.tick) }
        let found = lines.withLock { $0 }
        #expect(found.count == 2)
        let last = try #require(found.last)
        #expect(last.contains(text: Fault.emergencyStop.text))
        #expect(last.contains(text: Fault.residualCurrent.text))
        #expect(last.contains(text: "allows=false"))
        // What changes every second alone is no other verdict.
        clock.advance(milliseconds: 60_000)
        await controller.take(.tick)
        let settled = lines.withLock { $0.count }
        for _ in 0..<20 {
            clock.advance(milliseconds: 1_000)
            await controller.take(.tick)
        }
        #expect(lines.withLock { $0.count } <= settled + 1)
        await station.journal.close()
    }

    @Test func `tells once that the meter was exchanged while nobody was running`() async throws {
        let lines = Lock<[String]>([])
        let log = Log(sink: { line in
            if line.contains(text: "meter exchanged") { lines.withLock { $0.append(line) } }
        })
        for (serial, told) in [("A1", 0), ("A1", 0), ("B2", 1), ("B2", 1), ("A1", 2)] {
            let station = try await TestStation.make(path: folder.file("board.db"), log: log)
            station.board.change { $0.serial = serial }
            try await station.during { () async throws in
                let key = ConnectorController.meterKey(of: 1)
                await until { (try? await station.journal.settings()[key]) == serial }
                #expect(try await station.journal.settings()[key] == serial)
                let notices = try await station.journal.view().notices
                #expect(notices.count == told)
                if told > 0 {
                    #expect(
                        notices.contains {
                            $0.contains(text: "serial B2") && $0.contains(text: "A1")
                        })
                }
            }
        }
        #expect(lines.withLock { $0.count } == 2)
    }

    @Test func `sounds a refusal to the driver, of the operator and of the connector`()
        async throws
    {
        let station = try await station()
        let controller = station.controller
        func refusals() -> Int {
            station.board.state.withLock { $0.indications.count { $0 == .refused } }
        }
        await controller.take(.token("TAG"))
        #expect(refusals() == 0)
        await controller.take(.authorization(token: "TAG", AuthorizationInfo(.blocked)))
        #expect(refusals() == 1)
        await controller.take(.token("TAG"))
        await controller.take(.authorization(token: "TAG", AuthorizationInfo(.accepted)))
        #expect(refusals() == 1)
        await controller.take(.operative(false))
        #expect(refusals() == 2)
        await station.journal.close()
    }

    @Test func `leaves out a reading that was asked for before an absence`() async throws {
        let station = try await station()
        let controller = station.controller
        let asked = SystemClock().monotonicMilliseconds
        await controller.resumeIfAbsent(since: asked - 5_000)
        await controller.take(.pilot(.c, diode: .passed), askedAt: asked - 1)
        #expect(await controller.machine.pilot == nil)
        await controller.take(.pilot(.c, diode: .passed), askedAt: asked + 60_000)
        #expect(await controller.machine.pilot == .c)
        await station.journal.close()
    }

    @Test func `lets an alarm through from before an absence, because it is told once`()
        async throws
    {
        let station = try await station()
        let controller = station.controller
        let asked = SystemClock().monotonicMilliseconds
        await controller.resumeIfAbsent(since: asked - 5_000)
        await controller.take(.residualCurrent(.healthy), askedAt: asked - 1)
        #expect(await controller.machine.residualCurrent == nil)
        await controller.take(.residualCurrent(.tripped), askedAt: asked - 1)
        #expect(await controller.machine.latched == [.residualCurrent])
        await station.journal.close()
    }

    @Test func `notices lost outputs on a board without feedback`() async throws {
        var capabilities = BoardCapabilities.bench()
        capabilities.feedback = .none
        let station = try await station(capabilities)
        try await station.during { () async throws in
            station.board.change { $0.isOutputLost = true }
            await until { await station.controller.machine.faults.contains(.outputFailed) }
            #expect(await station.controller.machine.faults.contains(.outputFailed))
        }
    }

    @Test func `closes nothing by a pilot's answer of before, and is spared an opening by it`()
        async throws
    {
        let station = try await station()
        let controller = station.controller
        try await station.during { () async throws in
            station.board.change { $0.isPlugged = true }
            await until { await controller.machine.pilot == .b }
            await until {
                await controller.remoteStart(token: "T", needsAuthorization: false) == nil
            }
            station.board.change { $0.isPilotLost = true }
            await until { await controller.machine.pilot == .e }
            #expect(!station.board.state.withLock { $0.contactor.contains(true) })
            station.board.change { $0.isPilotLost = false }
            await until { await controller.machine.isContactorClosed }
            station.board.change { $0.isPilotLost = true }
            await until { await !controller.machine.isContactorClosed }
            // Two seconds after the last good answer, by the age of it alone.
            #expect(await controller.machine.faults.contains(.inputMissing))
            let heard = await controller.machine.heardAt[.pilot] ?? .max
            let silent = SystemClock().monotonicMilliseconds - heard
            #expect(silent > ConnectorTimings.inputIsLost)
        }
    }

    @Test
    func `believes neither meter, temperature nor outputs what they were asked before an absence`()
        async throws
    {
        let station = try await station(BoardCapabilities.bench(hasTemperature: true))
        let controller = station.controller
        station.board.change {
            $0.isOutputLost = true
            $0.askedAgo = 60_000
        }
        await controller.resumeIfAbsent(since: SystemClock().monotonicMilliseconds - 5_000)
        try await station.during { () async throws in
            await until { await controller.machine.faults.contains(.outputFailed) }
            station.board.change { $0.isOutputLost = false }
            // Two rounds of every poll go by.
            for _ in 0..<2 {
                let heard = await controller.machine.heardAt[.emergencyStop] ?? 0
                await until {
                    await (controller.machine.heardAt[.emergencyStop] ?? 0) > heard + 100
                }
            }
            #expect(await controller.machine.meter == nil)
            #expect(await controller.machine.degrees == nil)
            #expect(await !controller.machine.areOutputsWorking)
            // Too hot it was, whenever that was.
            station.board.change { $0.tenthsOfDegree = 801 }
            await until { await controller.machine.degrees == 81 }
            #expect(await controller.machine.faults.contains(.overTemperature))
            station.board.change { $0.askedAgo = 0 }
            await until {
                let machine = await controller.machine
                return machine.meter != nil && machine.areOutputsWorking
            }
        }
    }

    @Test func `rests only while nobody is there and the contactor has shown that it is open`()
        async throws
    {
        let station = try await station()
        let controller = station.controller
        #expect(await !controller.machine.isResting)
        try await station.during { () async throws in
            await until { await controller.machine.isResting }
            #expect(await controller.machine.pilot == .a)
            station.board.change { $0.isPlugged = true }
            await until { await controller.machine.pilot == .b }
            #expect(await !controller.machine.isResting)
            await controller.take(.token("TAG"))
            await controller.take(.authorization(token: "TAG", AuthorizationInfo(.accepted)))
            await until { await controller.machine.isContactorClosed }
            #expect(await !controller.machine.isResting)
            await controller.take(.pilot(.a, diode: .passed))
            station.board.change { $0.isPlugged = false }
            await until { await controller.machine.isResting }
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `ends with its task while the disk fails, and asks it no more`() async throws {
        let attempts = Lock(0)
        let station = try await TestStation.make(
            path: folder.file("board.db"),
            disk: TestDisk { step, moment in
                guard step == .latch, moment == .asked else { return }
                let count = attempts.withLock { count in
                    count += 1
                    return count
                }
                // A loop without an end shows as a number, and not as a test without one.
                if count < 1_000 { throw SQLError.disk("test") }
            })
        try await station.during { () async throws in
            await station.controller.take(.residualCurrent(.tripped))
            await until { attempts.withLock { $0 } > 0 }
        }
        #expect(attempts.withLock { $0 } < 10)
    }

    /// Looks again every few milliseconds, for at most ten seconds.
    private func until(_ isDone: () async -> Bool) async {
        for _ in 0..<2000 {
            if await isDone() { return }
            // The controller's polls are its own; there is nothing to await but time.
            try? await Task.sleep(for: .milliseconds(5))
        }
    }
}
