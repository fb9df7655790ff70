import HAL
import LinuxHAL
import Service
import TestSupport
import Testing

@Suite struct `A residual current device on a line` {
    private func device(_ rig: GPIORig, hasDirect: Bool = false) throws -> (
        GPIOResidualCurrentDevice, GPIOResidualCurrentDevice.Sensor
    ) {
        let sensor = GPIOResidualCurrentDevice.Sensor(
            trip: try #require(rig.board.input(.residualCurrentTrip, connector: 1)),
            direct: hasDirect ? rig.board.input(.directCurrentTrip, connector: 1) : nil,
            test: rig.board.output(.residualCurrentTest, connector: 1), times: .init())
        return (GPIOResidualCurrentDevice(sensor), sensor)
    }

    @Test func `is not ready before its test, and tells a pulse that has passed once`()
        async throws
    {
        let rig = try GPIORig()
        let (device, sensor) = try device(rig)
        let other = GPIOResidualCurrentDevice(sensor)
        #expect(try await device.state().value == .notTested)
        try await passTest(rig, device)
        #expect(try await device.state().value == .healthy)
        #expect(try await other.state().value == .healthy)
        rig.gpio["RCD1"] = true
        rig.board.drain()
        rig.gpio["RCD1"] = false
        rig.board.drain()
        #expect(try await device.state().value == .tripped)
        #expect(try await device.state().value == .healthy)
        #expect(try await other.state().value == .tripped, "each outlet hears of it")
    }

    @Test func `fails its test when the sensor does not trip, and lets go of the test line`()
        async throws
    {
        let rig = try GPIORig()
        let (device, _) = try device(rig)
        try await advancing(rig) {
            await #expect(throws: DeviceError.self) { _ = try await device.selfTest() }
        }
        #expect(!rig.gpio["TEST1"])
        #expect(try await device.state().value == .notTested)
    }

    @Test func `lets nothing close during its test, and tests nothing while something is closed`()
        async throws
    {
        let rig = try GPIORig()
        let contactor = rig.contactor()
        let (device, _) = try device(rig)
        let tried = Lock(false)
        try await passTest(rig, device) {
            guard rig.gpio["TEST1"], !tried.withLock({ $0 }) else { return }
            tried.withLock { $0 = true }
            contactor.set(closed: true)
            #expect(!rig.gpio["K1"])
        }
        #expect(tried.withLock { $0 })
        contactor.set(closed: false)
        contactor.set(closed: true)
        #expect(rig.gpio["K1"])
        let tests = rig.gpio.terminal("TEST1").written.count
        #expect(
            try await device.selfTest() == .notRun("another outlet on the sensor is closed"),
            "what was not tried has not passed")
        #expect(rig.gpio.terminal("TEST1").written.count == tests)
        #expect(try await device.state().value == .healthy)
        contactor.set(closed: true)
        #expect(rig.gpio["K1"], "a renewal meets no hold of a test that was not run")
    }

    @Test func `is not tested by two outlets at once, and says so to the second`() async throws {
        let rig = try GPIORig()
        let (device, sensor) = try device(rig)
        let other = GPIOResidualCurrentDevice(sensor)
        let first = Task { try await device.selfTest() }
        // It sleeps in its pulse, until the clock is moved.
        await rig.clock.sleepers(atLeast: 1)
        #expect(
            try await other.selfTest() == .notRun("another outlet tests the sensor"))
        first.cancel()
        await #expect(throws: DeviceError.selfTestFailed("the program ends")) {
            try await first.value
        }
    }

    @Test func `tells a d.c. trip on a line of its own apart, and opens at its edge`() async throws
    {
        let rig = try GPIORig()
        let contactor = rig.contactor()
        let (device, _) = try device(rig, hasDirect: true)
        try await passTest(rig, device, follows: "DC1")
        #expect(try await device.state().value == .healthy, "the test's own pulse is no trip")
        contactor.set(closed: false)
        contactor.set(closed: true)
        #expect(rig.gpio["K1"])
        rig.gpio["DC1"] = true
        rig.board.drain()
        #expect(!rig.gpio["K1"])
        rig.gpio["DC1"] = false
        rig.board.drain()
        #expect(try await device.state().value == .directTripped)
        #expect(try await device.state().value == .healthy)
        rig.gpio["RCD1"] = true
        rig.gpio["DC1"] = true
        rig.board.drain()
        #expect(try await device.state().value == .tripped)
    }

    @Test func `is tested on the d.c. line where it has one, and holds both lines meanwhile`()
        async throws
    {
        let rig = try GPIORig()
        let contactor = rig.contactor()
        let (device, _) = try device(rig, hasDirect: true)
        try await advancing(rig) {
            rig.gpio["RCD1"] = rig.gpio["TEST1"]
            rig.board.drain()
            contactor.set(closed: false)
            contactor.set(closed: true)
            #expect(!rig.gpio["K1"])
            contactor.set(closed: false)
        } during: {
            await #expect(throws: DeviceError.self) { _ = try await device.selfTest() }
        }
        #expect(try await device.state().value == .notTested, "only the other line moved")
    }

    /// The sensor follows its test line.
    private func passTest(
        _ rig: GPIORig, _ device: GPIOResidualCurrentDevice, follows line: String = "RCD1",
        _ look: @escaping @Sendable () -> Void = {}
    ) async throws {
        try await advancing(rig) {
            rig.gpio[line] = rig.gpio["TEST1"]
            rig.board.drain()
            look()
        } during: {
            let outcome = try await device.selfTest()
            #expect(outcome == .passed)
        }
    }

    /// Lets 10 ms pass, and the world move, whenever the body sleeps.
    private func advancing(
        _ rig: GPIORig, _ world: @escaping @Sendable () -> Void = {},
        during body: @escaping @Sendable () async throws -> Void
    ) async throws {
        let isDone = Lock(false)
        try await withThrowingTaskGroup { group in
            group.addTask {
                let result: Result<Void, any Error>
                do { result = .success(try await body()) } catch { result = .failure(error) }
                isDone.withLock { $0 = true }
                // One that sleeps wakes the loop below, which then sees that all is done.
                try await rig.clock.sleep(milliseconds: 1)
                try result.get()
            }
            while true {
                // Nobody moves on but by this clock, so who sleeps now sleeps until it is advanced.
                await rig.clock.sleepers(atLeast: 1)
                let isOver = isDone.withLock { $0 }
                if !isOver { world() }
                rig.clock.advance(milliseconds: 10)
                if isOver { break }
            }
            try await group.waitForAll()
        }
    }
}
