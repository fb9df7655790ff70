import HAL
import LinuxHAL
import Service
import TestSupport
import Testing

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

@Suite struct `Lights and a buzzer on lines` {
    @Test func `sound a refusal three times and then show what they showed`() throws {
        let rig = try GPIORig()
        let lights = try #require(GPIOIndicator(board: rig.board, connector: 1))
        lights.show(.faulted)
        _ = rig.board.advance()
        #expect(rig.gpio["RED1"] && !rig.gpio["BUZZER1"])
        lights.show(.refused)
        _ = rig.board.advance()
        #expect(rig.gpio["RED1"] && rig.gpio["BUZZER1"])
        rig.pass(milliseconds: 6 * LightPattern.refusalMilliseconds)
        // Silent before and between.
        #expect(rig.gpio.terminal("BUZZER1").written.filter { $0 }.count == 3)
        #expect(rig.gpio["RED1"] && !rig.gpio["BUZZER1"])
        // What came meanwhile is shown behind it, at its own place in time.
        lights.show(.refused)
        lights.show(.available)
        _ = rig.board.advance()
        #expect(rig.gpio["RED1"] && rig.gpio["BUZZER1"])
        rig.pass(milliseconds: 6 * LightPattern.refusalMilliseconds)
        // The green light is active low.
        #expect(!rig.gpio["RED1"] && !rig.gpio["GREEN1"] && !rig.gpio["BUZZER1"])
    }
}

@Suite struct `Lines of a board` {
    @Test func `may be the agent's while its configuration is checked, and nobody else's`() throws {
        let gpio = GPIORig.fake()
        let driving = try GPIORig(gpio: gpio)
        #expect(gpio.terminal("K1").holder == LinuxGPIO.consumer)
        let wishes = GPIORig.wishes()
        let looked = try GPIOBoard(
            kernel: UndrivenGPIO(gpio, wishes), wishes: wishes, clock: driving.clock)
        _ = looked
        gpio.world.withLock { world in
            for index in world.terminals[0].indices { world.terminals[0][index].holder = "sysfs" }
        }
        #expect(throws: GPIOError.self) {
            try GPIOBoard(
                kernel: UndrivenGPIO(gpio, wishes), wishes: wishes, clock: driving.clock)
        }
    }

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
