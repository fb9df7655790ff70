import Glibc
import HAL
import LinuxHAL
import Service
import TestSupport

/// A board with one or more chips, whose terminals a test moves and reads.
final class FakeGPIO: GPIOKernel {
    struct Terminal: Sendable {
        var level = false
        var isOutput = false
        var holder: String?
        var debounceMicroseconds = 0
        /// Each level that an output was given, the request's first.
        var written: [Bool] = []
    }

    struct World: Sendable {
        var labels: [String]
        var names: [[String]]
        var terminals: [[Terminal]]
        var requests = 0
        /// Every call fails with this.
        var failure: Int32?
    }

    let world: Lock<World>

    init(_ chips: [(label: String, lines: [String])]) {
        world = Lock(
            World(
                labels: chips.map(\.label), names: chips.map(\.lines),
                terminals: chips.map { $0.lines.map { _ in Terminal() } }))
    }

    convenience init(_ lines: [String]) { self.init([("evse-io", lines)]) }

    func chips() -> [GPIOChip] {
        world.withLock { world in
            world.labels.indices.map { chip in
                GPIOChip(
                    path: "/dev/gpiochip\(chip)", label: world.labels[chip],
                    lines: world.names[chip].indices.map {
                        .init(
                            name: world.names[chip][$0], holder: world.terminals[chip][$0].holder)
                    })
            }
        }
    }

    func request(
        _ lines: [GPIOLineSetting], chip: String
    ) throws(GPIOError) -> any GPIORequest {
        let index = Int(chip.dropFirst("/dev/gpiochip".count)) ?? 0
        try world.withLock { world throws(GPIOError) in
            if let failure = world.failure { throw .failed(chip, errno: failure) }
            for line in lines {
                if world.terminals[index][Int(line.offset)].holder != nil {
                    throw .failed(chip, errno: EBUSY)
                }
            }
            world.requests += 1
            for line in lines { world.terminals[index][Int(line.offset)].holder = "kerb-edge" }
        }
        let request = FakeRequest(world: world, chip: index)
        try request.reconfigure(lines)
        return request
    }

    private func place(_ name: String) -> (Int, Int) {
        world.withLock { world in
            for (chip, names) in world.names.enumerated() {
                if let offset = names.firstIndex(of: name) { return (chip, offset) }
            }
            preconditionFailure("the fake board has a line \(name)")
        }
    }

    func terminal(_ name: String) -> Terminal {
        let (chip, offset) = place(name)
        return world.withLock { $0.terminals[chip][offset] }
    }

    subscript(name: String) -> Bool {
        get { terminal(name).level }
        set {
            let (chip, offset) = place(name)
            world.withLock { $0.terminals[chip][offset].level = newValue }
        }
    }

    func fail(_ code: Int32?) { world.withLock { $0.failure = code } }
}

/// What a request on the fake board does; edges are put in by `push`.
final class FakeRequest: GPIORequest {
    let descriptor: Int32 = -1
    private let world: Lock<FakeGPIO.World>
    private let chip: Int
    private let state = Lock(State())

    private struct State: Sendable {
        var lines: [GPIOLineSetting] = []
        var last: [UInt32: Bool] = [:]
        var number: [UInt32: UInt32] = [:]
        var lost = 0
    }

    init(world: Lock<FakeGPIO.World>, chip: Int) {
        self.world = world
        self.chip = chip
    }

    func read(_ mask: UInt64) throws(GPIOError) -> UInt64 {
        let lines = state.withLock { $0.lines }
        return try world.withLock { world throws(GPIOError) in
            if let failure = world.failure { throw .failed("fake", errno: failure) }
            var levels: UInt64 = 0
            for (bit, line) in lines.enumerated()
            where mask >> UInt64(bit) & 1 == 1
                && world.terminals[chip][Int(line.offset)].level
            {
                levels |= 1 << UInt64(bit)
            }
            return levels
        }
    }

    func write(_ levels: UInt64, _ mask: UInt64) throws(GPIOError) {
        let lines = state.withLock { $0.lines }
        try world.withLock { world throws(GPIOError) in
            if let failure = world.failure { throw .failed("fake", errno: failure) }
            for (bit, line) in lines.enumerated() where mask >> UInt64(bit) & 1 == 1 {
                let level = levels >> UInt64(bit) & 1 == 1
                world.terminals[chip][Int(line.offset)].level = level
                world.terminals[chip][Int(line.offset)].written.append(level)
            }
        }
    }

    func reconfigure(_ lines: [GPIOLineSetting]) throws(GPIOError) {
        world.withLock { world in
            for line in lines {
                var terminal = world.terminals[chip][Int(line.offset)]
                terminal.isOutput = line.isOutput
                terminal.debounceMicroseconds = line.debounceMicroseconds
                if line.isOutput {
                    terminal.level = line.level
                    terminal.written.append(line.level)
                }
                world.terminals[chip][Int(line.offset)] = terminal
            }
        }
        let levels = world.withLock { $0.terminals[chip].map(\.level) }
        state.withLock { state in
            state.lines = lines
            for line in lines { state.last[line.offset] = levels[Int(line.offset)] }
        }
    }

    /// An edge for each input whose level is another than last time.
    func takeEvent() throws(GPIOError) -> GPIOEvent? {
        if let failure = world.withLock({ $0.failure }) { throw .failed("fake", errno: failure) }
        let levels = world.withLock { $0.terminals[chip].map(\.level) }
        return state.withLock { state in
            for line in state.lines where !line.isOutput {
                let level = levels[Int(line.offset)]
                guard state.last[line.offset] != level else { continue }
                state.last[line.offset] = level
                state.number[line.offset, default: 0] += 1
                return GPIOEvent(
                    offset: line.offset, isRising: level, nanoseconds: 0,
                    number: state.number[line.offset] ?? 0)
            }
            return nil
        }
    }
}

/// A board with everything one connector can have, at rest: no car, nothing tripped.
struct GPIORig {
    let clock = ManualClock()
    let gpio: FakeGPIO
    let board: GPIOBoard
    let falls = Lock<[GPIOFall]>([])

    static let lines: [LineRole: LineProfile] = [
        .contactor: LineProfile(name: "K{n}"), .kick: LineProfile(name: "KICK{n}"),
        .mirror: LineProfile(name: "MIRROR{n}"),
        .residualCurrentTrip: LineProfile(name: "RCD{n}"),
        .directCurrentTrip: LineProfile(name: "DC{n}"),
        .residualCurrentTest: LineProfile(name: "TEST{n}"),
        // A button's contact is closed until somebody presses it.
        .emergencyStop: LineProfile(name: "ESTOP", isActiveLow: true, debounceMicroseconds: 1_000),
        .protectiveEarth: LineProfile(name: "PE{n}"),
        .lock: LineProfile(name: "LOCK{n}"), .unlock: LineProfile(name: "UNLOCK{n}"),
        .locked: LineProfile(name: "LOCKED{n}"), .lightRed: LineProfile(name: "RED{n}"),
        .lightGreen: LineProfile(name: "GREEN{n}", isActiveLow: true),
        .buzzer: LineProfile(name: "BUZZER{n}"),
    ]

    static func wishes(connectors: Int = 1) -> [GPIOWish] {
        (1...connectors).flatMap { connector in
            lines.map { role, profile in
                GPIOWish(
                    connector: connector, role: role, name: profile.name(connector: connector),
                    chip: nil, profile: profile)
            }
        }
    }

    static func fake(connectors: Int = 1) -> FakeGPIO {
        let names = Set(wishes(connectors: connectors).map(\.name)).sorted()
        let fake = FakeGPIO(names)
        fake["ESTOP"] = true
        for connector in 1...connectors { fake["MIRROR\(connector)"] = true }
        return fake
    }

    init(connectors: Int = 1, held: HeldLines = HeldLines(), gpio: FakeGPIO? = nil) throws {
        let fake = gpio ?? Self.fake(connectors: connectors)
        self.gpio = fake
        let falls = falls
        board = try GPIOBoard(
            kernel: fake, wishes: Self.wishes(connectors: connectors), held: held, clock: clock,
            tell: { fall in falls.withLock { $0.append(fall) } })
    }

    func contactor(
        _ connector: Int = 1, feedback: BoardCapabilities.Feedback = .normallyClosed,
        hasKick: Bool = true
    ) -> GPIOContactor {
        GPIOContactor(
            name: "contactor \(connector)",
            deadMan: DeadMan(
                hasKick ? .gpioToggle : .none, opensWithinMilliseconds: 1000,
                renewMilliseconds: 300),
            profile: GPIOContactorProfile(kickMilliseconds: 50, kickHoldMilliseconds: 200),
            board: board, coil: board.output(.contactor, connector: connector),
            kick: hasKick ? board.output(.kick, connector: connector) : nil,
            mirror: feedback == .none ? nil : board.input(.mirror, connector: connector),
            feedback: feedback,
            guards: LineRole.allCases.filter(\.opensAtEdge).compactMap {
                board.input($0, connector: connector)
            })
    }

    /// Time passes in steps of a kick, with the board's clockwork and without a renewal.
    func pass(milliseconds: Int64) {
        for _ in 0..<milliseconds / 10 {
            clock.advance(milliseconds: 10)
            _ = board.advance()
        }
    }
}
