import Charging
import Service
import TestSupport
import Testing

@testable import HAL

@Suite struct `Every board's profile` {
    @Test func `reads, names its dead-man, and has a driver behind every promise`() throws {
        let names = try profiles.names(.boards)
        #expect(names.count >= 10)
        for name in names {
            let board = try profiles.board(name)
            #expect(!board.title.isEmpty)
            switch board.deadMan.kind {
            case .none:
                #expect(name.hasSuffix("-bare") || name.hasSuffix("-no-pulse"))
            case .gpioToggle, .safetyController:
                #expect(board.gpio?.lines[.kick] != nil)
                #expect(board.deadMan.opensWithinMilliseconds <= 1000)
            case .modbusPulse, .simulated:
                #expect(board.deadMan.opensWithinMilliseconds <= 1000)
            }
            #expect(board.deadMan.renewMilliseconds > 0)
        }
    }

    @Test func `opens contactors at the edge of every line that tells of a danger`() {
        #expect(
            Set(LineRole.allCases.filter(\.opensAtEdge)) == [
                .residualCurrentTrip, .directCurrentTrip, .emergencyStop, .door,
                .protectiveEarth, .pilotFault,
            ])
    }

    @Test func `of a split board names its lines by connector`() throws {
        let board = try profiles.board("split-safety-mcu")
        #expect(board.gpio?.chip == "evse-io")
        #expect(board.gpio?.lines[.contactor]?.name(connector: 2) == "ALLOW2")
        #expect(board.gpio?.lines[.emergencyStop]?.name(connector: 2) == "ESTOP")
        guard case .split(let pilot) = board.pilot else {
            Issue.record("another pilot")
            return
        }
        #expect(pilot.offers == [6, 10, 13, 16, 20, 25, 32])
    }

    @Test func `of a relay HAT reads a broken wire as the dangerous side`() throws {
        let lines = try #require(try profiles.board("raspberry-relay-hat").gpio?.lines)
        // Pulled up and open: the mirror is not closed, which on a mirror contact proper means that
        // the main contacts are; the others are active.
        #expect(lines[.mirror]?.bias == .pullUp && lines[.mirror]?.isActiveLow == true)
        for role in [LineRole.residualCurrentTrip, .emergencyStop] {
            #expect(lines[role]?.bias == .pullUp && lines[role]?.isActiveLow == false)
        }
        // A debounce delays the opening.
        #expect((lines[.emergencyStop]?.debounceMicroseconds ?? 0) <= 1_000)
        #expect(lines[.residualCurrentTrip]?.debounceMicroseconds == 0)
    }
}

@Suite struct `A GPIO board's profile` {
    static let good = """
        title: T
        contactor: {driver: gpio, kickMilliseconds: 50, kickHoldMilliseconds: 200}
        pilot: {driver: split, offersAmperes: [6, 16, 32]}
        gpio:
          lines:
            contactor: {name: "K{n}"}
            kick: {name: "KICK{n}"}
            mirror: {name: "M{n}"}
            pilotConnected: {name: "B{n}"}
            pilotReady: {name: "C{n}"}
            offer0: {name: "O{n}"}
            offer1: {name: "P{n}"}
        deadMan: {kind: gpio-toggle, opensWithinMilliseconds: 1000, renewMilliseconds: 300}
        capabilities: {maximumAmperes: 32, phases: 3, feedback: normallyClosed}
        """

    private func problems(_ text: String) -> String {
        do throws(ConfigProblems) {
            _ = try Configuration.parse(Array(text.utf8), file: "b.yaml") {
                BoardProfile(name: "b", $0)
            }
            return "none"
        } catch {
            return error.description
        }
    }

    @Test(arguments: [
        ("kind: gpio-toggle", "kind: simulated", "lines have no simulated"),
        // The boot after a reset by the processor's watchdog is longer than any dead-man may be.
        ("kind: gpio-toggle", "kind: watchdog", "it must be gpio-toggle or modbus-pulse"),
        ("kind: gpio-toggle", "kind: none", "a kicked line is a dead-man"),
        ("kind: gpio-toggle", "kind: modbus-pulse", "lines have no modbus-pulse"),
        ("    kick: {name: \"KICK{n}\"}\n", "", "needs the line `gpio.lines.kick`"),
        ("opensWithinMilliseconds: 1000", "opensWithinMilliseconds: 1500", "within 1000 ms"),
        ("renewMilliseconds: 300", "renewMilliseconds: 500", "one lost renewal"),
        ("kickMilliseconds: 50", "kickMilliseconds: 150", "one late kick"),
        ("    mirror: {name: \"M{n}\"}\n", "", "needs the line `gpio.lines.mirror`"),
        ("feedback: normallyClosed", "feedback: none", "would be read by nobody"),
        ("feedback: normallyClosed", "feedback: coilOnly", "no coil to read back"),
        (
            "normallyClosed}", "normallyClosed, hasEmergencyStop: true}",
            "needs the line `gpio.lines.emergencyStop`"
        ),
        ("normallyClosed}", "normallyClosed, hasDoor: true}", "`gpio.lines.door`"),
        (
            "normallyClosed}", "normallyClosed, hasProtectiveEarth: true}",
            "`gpio.lines.protectiveEarth`"
        ),
        (
            "normallyClosed}", "normallyClosed, hasTemperature: true}",
            "goes with the section `temperature`"
        ),
        ("normallyClosed}", "normallyClosed, maximumDegrees: 70}", "nothing derates"),
        ("normallyClosed}", "normallyClosed, hasProximity: true}", "the section `proximity`"),
        (
            "    offer1: {name: \"P{n}\"}", "    door: {name: D}",
            "would be read by nobody"
        ),
        ("    offer1: {name: \"P{n}\"}\n", "", "need more lines"),
        (
            "    offer1: {name: \"P{n}\"}",
            "    offer1: {name: \"P{n}\"}\n    directCurrentTrip: {name: \"D{n}\"}",
            "a d.c. sensor alone is the line `residualCurrentTrip`"
        ),
        (
            "    offer1: {name: \"P{n}\"}",
            "    offer1: {name: \"P{n}\"}\n    residualCurrentTrip: {name: R}\n    directCurrentTrip: {name: \"D{n}\"}",
            "shared by all outlets where"
        ),
        ("[6, 16, 32]", "[16, 6]", "ascending"), ("[6, 16, 32]", "[5]", "from 6 to 80"),
        ("    pilotReady: {name: \"C{n}\"}\n", "", "`gpio.lines.pilotReady`"),
        ("pilotReady:", "pilotRedy:", "did you mean `pilotReady`?"),
    ])
    func `that promises what its lines do not keep is refused with the mend`(
        part: String, replacement: String, mend: String
    ) {
        #expect(problems(Self.good) == "none")
        let wrong = Self.good.replacing(part, with: replacement)
        #expect(wrong != Self.good)
        #expect(problems(wrong).contains(mend), "\(problems(wrong))")
    }
}

@Suite struct `A pilot controller's registers` {
    private func controller(_ board: String) throws -> EVSEControllerProfile {
        guard case .modbusEVSE(let profile) = try profiles.board(board).pilot else {
            throw ConfigProblems(all: [])
        }
        return profile
    }

    @Test(
        arguments: [
            ("modbus-cabinet", [1: PilotState.a, 2: .b, 3: .c, 4: .d, 5: .e]),
            ("phoenix-ev-cc-serial", [0x4100: .a, 0x4220: .b, 0x4300: .c, 0x4600: .f]),
            ("phoenix-em-cp-pp-eth", [0x0041: .a, 0x2042: .b, 0x0043: .c, 0x0045: .e]),
            ("phoenix-ev-cc-eth", [0x0041: .a, 0x0044: .d]),
            ("phoenix-charx", [0x4131: .a, 0x4232: .b, 0x4332: .c]),
        ] as [(String, [UInt16: PilotState])])
    func `tell the pilot's state as each maker spells it`(
        board: String, states: [UInt16: PilotState]
    ) throws {
        let profile = try controller(board)
        for (raw, state) in states { #expect(profile.state(raw) == state) }
        #expect(profile.state(0) == nil)
        #expect(profile.state(0x5A5A) == nil)
    }

    @Test func `take a current rounded down, and nothing below 6 A`() throws {
        let whole = try controller("phoenix-ev-cc-serial")
        #expect(whole.raw(Amperes(milliamperes: 16_999), unitsPerAmpere: 1) == 16)
        #expect(whole.raw(Amperes(milliamperes: 5_999), unitsPerAmpere: 1) == 0)
        let tenths = try controller("phoenix-ev-cc-eth-wallbe")
        #expect(tenths.unitsPerAmpere == 10)
        #expect(tenths.raw(Amperes(milliamperes: 16_980), unitsPerAmpere: 10) == 169)
    }
}
