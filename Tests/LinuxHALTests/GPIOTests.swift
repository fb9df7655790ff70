import Charging
import Glibc
import HAL
import LinuxHAL
import Service
import TestSupport
import Testing

@Suite struct `A contactor on a line` {
    @Test func `is open from the request on, closes, and kicks its dead-man`() throws {
        let rig = try GPIORig()
        let contactor = rig.contactor()
        #expect(rig.gpio.terminal("K1").written == [false])
        contactor.set(closed: true)
        #expect(rig.gpio["K1"])
        let kicks = rig.gpio.terminal("KICK1").written.count
        for _ in 0..<10 {
            rig.pass(milliseconds: 100)
            contactor.set(closed: true)
        }
        #expect(rig.gpio["K1"])
        #expect(rig.gpio.terminal("KICK1").written.count - kicks == 20, "every 50 ms")
        contactor.set(closed: false)
        #expect(!rig.gpio["K1"] && !rig.gpio["KICK1"])
    }

    @Test func `opens and stops kicking when nobody renews, and stays open when one comes late`()
        async throws
    {
        let rig = try GPIORig()
        let contactor = rig.contactor()
        contactor.set(closed: true)
        rig.pass(milliseconds: 790)
        #expect(rig.gpio["K1"])
        rig.pass(milliseconds: 10)
        #expect(!rig.gpio["K1"])
        let kicks = rig.gpio.terminal("KICK1").written.count
        contactor.set(closed: true)
        rig.pass(milliseconds: 500)
        #expect(!rig.gpio["K1"])
        #expect(rig.gpio.terminal("KICK1").written.count == kicks)
        // Whoever has said that it is open may close it again.
        contactor.set(closed: false)
        contactor.set(closed: true)
        #expect(rig.gpio["K1"])
    }

    @Test func `does not close by a renewal that comes before its thread, after a stop`() throws {
        let rig = try GPIORig()
        let contactor = rig.contactor()
        contactor.set(closed: true)
        // The whole program stood still: no clockwork ran.
        rig.clock.advance(milliseconds: 5_000)
        contactor.set(closed: true)
        #expect(!rig.gpio["K1"])
    }

    @Test(arguments: [("RCD1", true), ("ESTOP", false)])
    func `opens at the edge of a safety input and is told of before it closes again`(
        line: String, level: Bool
    ) async throws {
        let rig = try GPIORig()
        let contactor = rig.contactor()
        contactor.set(closed: true)
        rig.gpio[line] = level
        #expect(rig.gpio["K1"])
        rig.board.drain()
        #expect(!rig.gpio["K1"])
        #expect(rig.falls.withLock { $0.map(\.opened) } == [["contactor 1"]])
        // A short one is over before anybody looked.
        rig.gpio[line] = !level
        rig.board.drain()
        contactor.set(closed: true)
        #expect(!rig.gpio["K1"], "the renewal of one who has not heard of it")
        contactor.set(closed: false)
        contactor.set(closed: true)
        #expect(rig.gpio["K1"])
    }

    @Test func `does not close while a safety input is active, though no edge was seen`() throws {
        let rig = try GPIORig()
        let contactor = rig.contactor()
        rig.gpio["RCD1"] = true
        contactor.set(closed: true)
        #expect(!rig.gpio["K1"])
        #expect(rig.gpio.terminal("K1").written.allSatisfy { !$0 })
    }

    @Test func `opens when a reading sees the trip before its edge is taken`() async throws {
        let rig = try GPIORig()
        let contactor = rig.contactor()
        contactor.set(closed: true)
        let stop = GPIOEmergencyStop(try #require(rig.board.input(.emergencyStop, connector: 1)))
        rig.gpio["ESTOP"] = false
        #expect(try await stop.isActive().value)
        #expect(!rig.gpio["K1"])
    }

    @Test func `shows what its mirror says, either way round`() async throws {
        let rig = try GPIORig()
        let inverse = rig.contactor()
        #expect(try await inverse.state().value == .open)
        rig.gpio["MIRROR1"] = false
        #expect(try await inverse.state().value == .closed)
        #expect(try await rig.contactor(feedback: .normallyOpen).state().value == .open)
        #expect(try await rig.contactor(feedback: .none).state().value == .unknown)
    }

    @Test func `says that it fell where no mirror could tell`() async throws {
        let rig = try GPIORig()
        let contactor = rig.contactor(feedback: .none)
        contactor.set(closed: true)
        rig.gpio["RCD1"] = true
        rig.board.drain()
        await #expect(throws: DeviceError.outputNotSet("a safety input opened it")) {
            try await contactor.state()
        }
    }

    @Test func `tries an opening that failed again until it is done`() async throws {
        let rig = try GPIORig()
        let contactor = rig.contactor()
        contactor.set(closed: true)
        rig.gpio.fail(ENODEV)
        contactor.set(closed: false)
        #expect(rig.gpio["K1"], "the line cannot be reached")
        await #expect(throws: DeviceError.self) { try await contactor.state() }
        contactor.set(closed: true)
        rig.gpio.fail(nil)
        rig.pass(milliseconds: 20)
        #expect(!rig.gpio["K1"])
        #expect(try await contactor.state().value == .open)
    }

    @Test func `opens when the lines can no longer be watched`() throws {
        let rig = try GPIORig()
        let contactor = rig.contactor()
        contactor.set(closed: true)
        rig.gpio.fail(EIO)
        rig.board.drain()
        rig.gpio.fail(nil)
        rig.pass(milliseconds: 20)
        #expect(!rig.gpio["K1"])
        contactor.set(closed: false)
        contactor.set(closed: true)
        #expect(!rig.gpio["K1"], "nobody would see a trip any more")
    }

    @Test func `without a circuit opens by itself after two renewals`() throws {
        let rig = try GPIORig()
        let contactor = rig.contactor(hasKick: false)
        contactor.set(closed: true)
        rig.pass(milliseconds: 590)
        #expect(rig.gpio["K1"])
        rig.pass(milliseconds: 10)
        #expect(!rig.gpio["K1"])
    }
}

@Suite struct `A watched line` {
    private func event(_ isRising: Bool, _ number: UInt32) -> GPIOEvent {
        GPIOEvent(offset: 3, isRising: isRising, nanoseconds: 0, number: number)
    }

    @Test func `counts every pulse, also one that nobody read`() {
        var watch = LineWatch(isActiveLow: false, level: false)
        #expect(watch.take(event(true, 1)) == .active)
        #expect(watch.take(event(false, 2)) == .none)
        #expect(watch.activations == 1)
        #expect(!watch.isActive)
        watch.read(level: true)
        // The edge of what a reading has seen already still wants somebody to act, once.
        #expect(watch.take(event(true, 3)) == .active)
        #expect(watch.activations == 2)
    }

    @Test func `takes lost edges for an activation and wants to be read`() {
        var watch = LineWatch(isActiveLow: true, level: true)
        #expect(watch.take(event(true, 3)) == .gap)
        #expect(watch.activations == 1)
        #expect(!watch.isActive)
        #expect(watch.take(event(false, 4)) == .active)
        #expect(watch.activations == 2)
    }
}

@Suite struct `A residual current device on a line` {
    private func device(_ rig: GPIORig) throws -> (
        GPIOResidualCurrentDevice, GPIOResidualCurrentDevice.Sensor
    ) {
        let sensor = GPIOResidualCurrentDevice.Sensor(
            trip: try #require(rig.board.input(.residualCurrentTrip, connector: 1)),
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
            await #expect(throws: DeviceError.self) { try await device.selfTest() }
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
        try await device.selfTest()
        #expect(rig.gpio.terminal("TEST1").written.count == tests)
        #expect(try await device.state().value == .healthy)
    }

    /// The sensor follows its test line.
    private func passTest(
        _ rig: GPIORig, _ device: GPIOResidualCurrentDevice,
        _ look: @escaping @Sendable () -> Void = {}
    ) async throws {
        try await advancing(rig) {
            rig.gpio["RCD1"] = rig.gpio["TEST1"]
            rig.board.drain()
            look()
        } during: {
            try await device.selfTest()
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

@Suite struct `A lock on lines` {
    private func lock(_ rig: GPIORig) throws -> GPIOLock {
        GPIOLock(
            board: rig.board, lock: try #require(rig.board.output(.lock, connector: 1)),
            unlock: rig.board.output(.unlock, connector: 1),
            locked: try #require(rig.board.input(.locked, connector: 1)), pulseMilliseconds: 600)
    }

    @Test func `drives its motor for a moment, never both ways`() async throws {
        let rig = try GPIORig()
        let lock = try lock(rig)
        lock.set(locked: true)
        #expect(rig.gpio["LOCK1"] && !rig.gpio["UNLOCK1"])
        rig.gpio["LOCKED1"] = true
        rig.pass(milliseconds: 600)
        #expect(!rig.gpio["LOCK1"] && !rig.gpio["UNLOCK1"])
        #expect(try await lock.isLocked().value)
        lock.set(locked: false)
        #expect(!rig.gpio["LOCK1"] && rig.gpio["UNLOCK1"])
        lock.set(locked: true)
        #expect(rig.gpio["LOCK1"] && !rig.gpio["UNLOCK1"])
    }

    @Test func `tries a jammed bolt three times and then leaves it`() throws {
        let rig = try GPIORig()
        let lock = try lock(rig)
        lock.set(locked: true)
        rig.pass(milliseconds: 10_000)
        #expect(rig.gpio.terminal("LOCK1").written.filter { $0 }.count == GPIOLock.tries)
        #expect(!rig.gpio["LOCK1"])
    }
}

@Suite struct `Lines of a board` {
    @Test func `are found by name on the chip with the label`() throws {
        let gpio = FakeGPIO([("first", ["A", "K1"]), ("second", ["K1", "B"])])
        func wish(_ name: String, chip: String?) -> GPIOWish {
            GPIOWish(
                connector: 1, role: .contactor, name: name, chip: chip,
                profile: LineProfile(name: name))
        }
        func plan(_ wish: GPIOWish) throws(GPIOError) -> GPIOPlan {
            try GPIOPlan([wish], on: gpio.chips())
        }
        #expect(
            try plan(wish("K1", chip: "second")).places.values.first
                == .init(chip: "/dev/gpiochip1", offset: 0))
        #expect(throws: GPIOError.ambiguous("K1", chips: ["/dev/gpiochip0", "/dev/gpiochip1"])) {
            try plan(wish("K1", chip: nil))
        }
        #expect(throws: GPIOError.noChip(label: "third", known: ["first", "second"])) {
            try plan(wish("K1", chip: "third"))
        }
        #expect(throws: GPIOError.noLine("K2", chip: "first", nearest: "K1")) {
            try plan(wish("K2", chip: "first"))
        }
        #expect(throws: GPIOError.noChip(label: nil, known: [])) {
            try GPIOPlan([wish("K1", chip: "x")], on: [])
        }
    }

    @Test func `are shared where they are inputs of all, and refused where they are not`() throws {
        let rig = try GPIORig(connectors: 2)
        #expect(rig.gpio.world.withLock { $0.requests } == 1, "one request for all")
        let one = rig.contactor(1)
        let two = rig.contactor(2)
        one.set(closed: true)
        two.set(closed: true)
        rig.gpio["ESTOP"] = false
        rig.board.drain()
        #expect(!rig.gpio["K1"] && !rig.gpio["K2"])
        var wishes = GPIORig.wishes(connectors: 2)
        for index in wishes.indices where wishes[index].role == .contactor {
            wishes[index].name = "K1"
        }
        #expect(throws: GPIOError.self) {
            try GPIOBoard(kernel: GPIORig.fake(connectors: 2), wishes: wishes)
        }
    }

    @Test func `report their reactions`() {
        var times = ReactionTimes()
        #expect(times.percentile(99) == nil)
        for value in 1...300 { times.add(Int64(value)) }
        #expect(times.count == 300)
        #expect(times.longest == 300)
        #expect(times.percentile(50) == 173)
        #expect(times.percentile(99) == 298)
    }
}

@Suite struct `Safe lines` {
    @Test func `are the outputs at the level at which nothing happens, in a file of one line each`()
        throws
    {
        let lines = SafeLines(GPIORig.wishes())
        #expect(lines.lines.count == 7)
        let text = lines.text
        #expect(text.contains("*\tK1\tlow\tpushPull\n"))
        #expect(text.contains("*\tGREEN1\thigh\tpushPull\n"))
        #expect(!text.contains("ESTOP"))
        #expect(SafeLines(text: text) == lines)
    }

    @Test(arguments: [
        "", "K1", "# another file\n*\tK1\tlow\tpushPull\n",
        SafeLines(lines: []).text + "*\tK1\tlow\n",
        SafeLines(lines: []).text + "*\tK1\tmiddle\tpushPull\n",
        SafeLines(lines: []).text + "*\t\tlow\tpushPull\n",
        SafeLines(lines: []).text + String(repeating: "*\tK1\tlow\tpushPull\n", count: 300),
    ])
    func `are not read from what we did not write`(text: String) {
        #expect(SafeLines(text: text) == nil)
    }

    @Test func `lie where they could be written last, and nowhere without a line`() throws {
        let folder = TemporaryFolder()
        let places = SafeLines.places(
            configuration: folder.file("edge.yaml"), state: folder.file("state"))
        #expect(
            places == [
                folder.file("edge.yaml.safe-lines"), folder.file("state/edge.yaml.safe-lines"),
            ])
        let lines = SafeLines(GPIORig.wishes())
        #expect(SafeLines.read(places) == nil)
        #expect(try lines.write(places) == places[0])
        #expect(SafeLines.read(places) == lines)
        // Beside the configuration is no room any more: the other place is newer, and counts.
        try FileSystem.makeFolder(folder.file("state"))
        var past = [timeval(tv_sec: 1, tv_usec: 0), timeval(tv_sec: 1, tv_usec: 0)]
        utimes(places[0], &past)
        let fewer = SafeLines(lines: Array(lines.lines.prefix(2)))
        #expect(try fewer.write(["/proc/none/edge.yaml.safe-lines", places[1]]) == places[1])
        #expect(SafeLines.read(places) == fewer)
        #expect(try SafeLines(lines: []).write(places) == nil)
        #expect(SafeLines.read(places) == nil)
    }

    @Test func `are taken over by the drivers without being let go or moved`() throws {
        let gpio = GPIORig.fake()
        gpio["K1"] = true
        let held = SafeLines(GPIORig.wishes()).hold(gpio)
        #expect(held.count == 7)
        #expect(held.problems.isEmpty)
        #expect(!gpio["K1"])
        #expect(gpio["GREEN1"])
        let rig = try GPIORig(held: held, gpio: gpio)
        #expect(gpio.world.withLock { $0.requests } == 2, "the inputs come with a second one")
        #expect(gpio.terminal("K1").written == [false])
        let contactor = rig.contactor()
        contactor.set(closed: true)
        #expect(gpio["K1"])
        rig.gpio["RCD1"] = true
        rig.board.drain()
        #expect(!gpio["K1"])
    }

    @Test func `of another board keep what they can and give way to the drivers`() throws {
        let gpio = GPIORig.fake()
        // Written for a board whose RCD line was an output, and with lines that are not there.
        let stale = SafeLines(lines: [
            .init(chip: nil, name: "K1", level: true, drive: .pushPull),
            .init(chip: nil, name: "RCD1", level: false, drive: .pushPull),
            .init(chip: nil, name: "GONE", level: false, drive: .pushPull),
        ])
        let held = stale.hold(gpio)
        #expect(held.count == 2)
        #expect(held.problems == [.noLine("GONE", chip: nil, nearest: nil)])
        let rig = try GPIORig(held: held, gpio: gpio)
        #expect(!gpio["K1"], "what the board says counts")
        let contactor = rig.contactor()
        contactor.set(closed: true)
        gpio["RCD1"] = true
        rig.board.drain()
        #expect(!gpio["K1"])
    }

    @Test func `take the rest when one of them is held by somebody`() throws {
        let gpio = GPIORig.fake()
        let place = try GPIOPlan.find("GREEN1", chip: nil, on: gpio.chips())
        let first = try gpio.request(
            [GPIOLineSetting(offset: place.offset, isOutput: true)], chip: place.chip)
        let held = SafeLines(GPIORig.wishes()).hold(gpio)
        #expect(held.count == 6)
        #expect(held.problems.count == 1)
        withExtendedLifetime(first) {}
    }
}
