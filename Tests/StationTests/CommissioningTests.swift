import Charging
import JSON
import Testing

@testable import Station

/// Two outlets as the status shows them.
private struct Bench {
    struct Outlet {
        var pilot = "A"
        var isClosed = false
        var watts = 0
        var register = 1000
        var age: Int64 = 0
        var error: String?
        var mirror: String?
        var residualCurrent: String?
        var showsCharge = true
        var hindrance = "no authorised transaction"
        /// Though its contactor is open.
        var isPaused = false
        var isCharging: Bool { (isClosed || isPaused) && showsCharge }
    }

    var outlets = [Outlet(), Outlet()]
    var machine = CommissioningMachine(connectors: [1, 2])
    var now: Int64 = 0
    var said: [CommissioningMachine.Effect] = []

    mutating func see(afterMilliseconds pause: Int64 = 500) {
        now += pause
        said += machine.see(status, at: now)
    }

    mutating func answer(_ word: Bool?) { said += machine.answer(word, at: now) }

    private var status: JSONValue {
        .members([
            "connectors": .array(
                outlets.enumerated().map { index, outlet in
                    .members([
                        "connector": .number(index + 1), "pilot": .string(outlet.pilot),
                        "contactor": .string(outlet.isClosed ? "closed" : "open"),
                        "mirror": outlet.mirror.map(JSONValue.string),
                        "residualCurrent": outlet.residualCurrent.map(JSONValue.string),
                        "charge": outlet.isCharging ? .members([:]) : nil,
                        "hindrances": .array([.string(outlet.hindrance)]),
                        "meter": .members([
                            "registerWh": .number(outlet.register), "powerW": .number(outlet.watts),
                            "currentsA": [10, 0, 0], "voltagesV": [230, 231, 229],
                            "ageMilliseconds": .number(outlet.age),
                            "error": outlet.error.map(JSONValue.string),
                        ]),
                    ])
                })
        ])
    }

    /// The vehicle hangs in the first outlet, and the token was shown.
    mutating func plugIn() {
        see()
        outlets[0].pilot = "C"
        see()
        see()
    }

    /// Its contactor closed, and the person is asked about it.
    mutating func begin() {
        plugIn()
        outlets[0].isClosed = true
        see()
        see()
    }

    /// A charge of the outlet has been measured, and the person is asked about its residual current device.
    ///
    /// - Parameter change: what happens between the two.
    mutating func measure(_ index: Int = 0, then change: (inout Outlet) -> Void = { _ in }) {
        see()
        outlets[index].pilot = "C"
        see()
        see()
        outlets[index].isClosed = true
        outlets[index].watts = 2300
        see()
        see()
        answer(true)
        see()
        see(afterMilliseconds: CommissioningMachine.measuresMilliseconds)
        change(&outlets[index])
        see()
    }

    /// Whether the person was asked to press the test button.
    var isTripAsked: Bool {
        said.contains { effect in
            if case .ask(let text) = effect { text.contains("test button") } else { false }
        }
    }

    /// The person says that it tripped, and it did: upstream of the meter's load.
    mutating func trip(_ index: Int = 0) {
        outlets[index].watts = 0
        answer(true)
        see()
    }

    /// One outlet taken through all steps.
    mutating func pass(_ index: Int) {
        measure(index)
        trip(index)
        see()
        outlets[index].isClosed = false
        outlets[index].watts = 0
        see()
        outlets[index].pilot = "A"
        see()
    }
}

@Suite struct `Commissioning` {
    @Test func `passes a cabinet outlet by outlet and closes nothing itself`() {
        var bench = Bench()
        bench.pass(0)
        bench.pass(1)
        bench.see()
        #expect(bench.machine.isPassed, "\(bench.machine.results)")
        #expect(bench.said.last == .finished)
        #expect(bench.said.count { $0 == .present(1) } == 2)
        #expect(bench.machine.results.count { $0.connector == 2 } == 9)
        #expect(
            bench.machine.results.contains { $0.found.hasPrefix("L1 under load, 230/231/229 V") })
    }

    @Test func `shows the token until the charge ends, also one that is seen late`() {
        var bench = Bench()
        bench.measure()
        bench.trip()
        bench.outlets[0].showsCharge = false
        bench.see()
        bench.said = []
        bench.see()
        #expect(bench.said == [])
        bench.outlets[0].showsCharge = true
        bench.see()
        bench.see()
        #expect(bench.said == [.present(1)])
        bench.see(afterMilliseconds: 10_000)
        #expect(bench.said == [.present(1), .present(1)])
    }

    @Test func `finds pilots that are swapped`() {
        var bench = Bench()
        bench.see()
        bench.see()
        bench.outlets[1].pilot = "B"
        bench.see()
        #expect(bench.machine.results.last?.isPassed == false)
        #expect(bench.machine.results.last?.found.contains("connector 2: swap") == true)
    }

    @Test func `finds meters that are swapped and ends the charge`() {
        var bench = Bench()
        bench.see()
        bench.outlets[0].pilot = "C"
        bench.see()
        bench.outlets[0].isClosed = true
        bench.outlets[1].watts = 2300
        bench.see()
        bench.see()
        bench.answer(true)
        bench.see()
        #expect(bench.machine.results.last?.found.contains("meter of connector 2") == true)
        bench.see()
        #expect(bench.said.last == .present(1))
        #expect(!bench.machine.isPassed)
    }

    @Test func `fails a relay that a person does not confirm`() {
        var bench = Bench()
        bench.see()
        bench.outlets[0].pilot = "C"
        bench.see()
        bench.outlets[0].isClosed = true
        bench.see()
        bench.see()
        bench.answer(false)
        #expect(bench.machine.results.last?.isPassed == false)
    }

    /// The vehicle still hangs in the outlet that failed.
    @Test func `asks for the next outlet when the vehicle has left the one that failed`() {
        var bench = Bench()
        bench.begin()
        bench.answer(false)
        let failed = bench.machine.results
        for _ in 0..<4 { bench.see() }
        #expect(bench.said.count { $0 == .present(1) } == 2)
        bench.outlets[0].isClosed = false
        for _ in 0..<4 { bench.see() }
        #expect(bench.said.last == .say("connector 1: unplug the test vehicle"))
        #expect(bench.machine.results == failed)
        bench.outlets[0].pilot = "A"
        bench.see()
        bench.pass(1)
        bench.see()
        let second = bench.machine.results.filter { $0.connector == 2 }
        #expect(second.filter { !$0.isPassed } == [])
        #expect(bench.machine.results.count { $0.connector == 2 } == 9)
        #expect(bench.said.last == .finished)
    }

    @Test func `waits no longer than it must for a vehicle that stays`() {
        var bench = Bench()
        bench.plugIn()
        bench.see(afterMilliseconds: CommissioningMachine.closesWithinMilliseconds + 1)
        bench.see()
        bench.see(afterMilliseconds: CommissioningMachine.patienceMilliseconds + 1)
        bench.see()
        #expect(bench.said.last == .say("connector 2: free ok, no car, contactor open"))
    }

    @Test func `ends a charge that begins after its step has failed`() {
        var bench = Bench()
        bench.plugIn()
        bench.see(afterMilliseconds: CommissioningMachine.closesWithinMilliseconds + 1)
        bench.see()
        bench.outlets[0].isClosed = true
        bench.see()
        bench.see()
        #expect(bench.said.count { $0 == .present(1) } == 2)
    }

    @Test func `takes a vehicle that stood elsewhere before for none of its own`() {
        var bench = Bench()
        bench.outlets[1].pilot = "B"
        for _ in 0..<4 { bench.see() }
        #expect(bench.machine.results.map(\.isPassed) == [true])
        bench.outlets[0].pilot = "C"
        bench.see()
        #expect(bench.machine.results.last?.step == "pilot")
        #expect(bench.machine.results.last?.isPassed == true)
    }

    @Test func `tells no answer from no`() {
        for word in [nil, false] as [Bool?] {
            var bench = Bench()
            bench.begin()
            bench.answer(word)
            #expect(
                bench.machine.results.last?.found
                    == (word == nil ? "nobody answered" : "denied by a person"))
        }
    }

    @Test func `says what forbids energy when nothing closes in time`() {
        var bench = Bench()
        bench.see()
        bench.outlets[0].pilot = "B"
        bench.see()
        bench.see()
        bench.see(afterMilliseconds: CommissioningMachine.closesWithinMilliseconds + 1)
        #expect(bench.machine.results.last?.found.contains("no authorised transaction") == true)
    }
}

@Suite struct `A trip that a person reports` {
    private func bench(_ change: (inout Bench.Outlet) -> Void) -> Bench {
        var bench = Bench()
        bench.measure()
        change(&bench.outlets[0])
        bench.answer(true)
        for _ in 0..<50 where bench.machine.results.last?.step != "residual current device" {
            bench.see()
        }
        return bench
    }

    /// Whoever pressed nothing, or another outlet's button, says yes as well.
    @Test func `is not believed while power flows`() {
        let last = bench { _ in }.machine.results.last
        #expect(last?.isPassed == false)
        #expect(
            last?.found.contains("a person says it tripped, but its meter reads 2300 W") == true)
    }

    @Test func `is not believed on a reading of before`() {
        let last = bench {
            $0.watts = 0
            $0.age = 60_000
        }.machine.results.last
        #expect(last?.isPassed == false)
        #expect(last?.found.contains("says nothing and its contactor is closed") == true)
    }

    @Test func `is not believed while the mirror says closed`() {
        let last = bench {
            $0.watts = 0
            $0.residualCurrent = "tripped"
            $0.mirror = "closed"
        }.machine.results.last
        #expect(last?.isPassed == false)
        #expect(last?.found.contains("its contactor is still closed") == true)
    }

    @Test func `is not believed when the vehicle is gone`() {
        let last = bench {
            $0.watts = 0
            $0.isClosed = false
            $0.pilot = "A"
        }.machine.results.last
        #expect(last?.isPassed == false)
    }

    /// A limit, a remote stop or a second token opens the contactor as well.
    @Test func `is not believed when the charge has ended and no input heard it`() {
        let last = bench {
            $0.watts = 0
            $0.isClosed = false
        }.machine.results.last
        #expect(last?.isPassed == false)
        #expect(last?.found.contains("its charge has ended, and no input heard a trip") == true)
    }

    /// A meter behind the device is silent, and a charge without its meter ends.
    @Test func `counts when the charge has ended by what was cut`() {
        let last = bench {
            $0.isClosed = false
            $0.error = "timeout"
            $0.hindrance = Fault.meterLost.text
        }.machine.results.last
        #expect(last?.isPassed == true)
    }

    /// A slow meter reads what flows once it is asked again.
    @Test func `waits for a meter that is merely slow`() {
        let last = bench {
            $0.isClosed = false
            $0.isPaused = true
            $0.age = 10_000
        }.machine.results.last
        #expect(last?.isPassed == false)
        #expect(last?.found.contains("its meter reads 2300 W") == true)
    }

    @Test func `counts when the meter fell silent and the contactor opened`() {
        for (error, age) in [("timeout", 0), (nil, 60_000)] as [(String?, Int64)] {
            let last = bench {
                $0.isClosed = false
                $0.isPaused = true
                $0.error = error
                $0.age = age
            }.machine.results.last
            #expect(last?.isPassed == true)
            #expect(last?.found.contains("its meter fell silent") == true)
        }
    }

    /// Nothing could be cut then, and whatever the person says would pass.
    @Test func `is not asked for while nothing flows`() {
        let changes: [(inout Bench.Outlet) -> Void] = [
            { $0.watts = 150 }, { $0.isClosed = false }, { $0.error = "timeout" },
        ]
        for change in changes {
            var bench = Bench()
            bench.measure(then: change)
            #expect(!bench.isTripAsked)
            #expect(bench.said.last == .say("connector 1: let the vehicle draw 200 W or more"))
            var other = bench
            bench.outlets[0].watts = 2300
            bench.outlets[0].isClosed = true
            bench.outlets[0].error = nil
            bench.see()
            #expect(bench.isTripAsked)
            other.see(afterMilliseconds: CommissioningMachine.patienceMilliseconds + 1)
            #expect(!other.isTripAsked)
            #expect(other.machine.results.last?.step == "residual current device")
            #expect(other.machine.results.last?.isPassed == false)
        }
    }

    @Test func `counts when the power is gone, and the device is to be switched on again`() {
        let bench = bench { $0.watts = 0 }
        #expect(bench.machine.results.last?.found == "confirmed by a person, its meter reads 0 W")
        #expect(bench.said.last == .say("connector 1: switch the residual current device on again"))
    }

    @Test func `counts when an input heard it, and its fault is to be cleared`() {
        let bench = bench {
            $0.residualCurrent = "tripped"
            $0.mirror = "open"
            $0.isClosed = false
            $0.age = 60_000
        }
        #expect(bench.machine.results.last?.isPassed == true)
        #expect(
            bench.said.last
                == .say(
                    "connector 1: switch the residual current device on again, then "
                        + "`kerb-edge clear 1` elsewhere"))
    }

    /// A contactor that the trip opened is no answer to the token.
    @Test func `leaves the charge to be ended by its token`() {
        var bench = bench { $0.watts = 0 }
        bench.outlets[0].isClosed = false
        bench.outlets[0].isPaused = true
        bench.see()
        #expect(bench.machine.results.last?.step == "residual current device")
        #expect(bench.said.last == .present(1))
    }
}

@Suite struct `The proof of a wiring` {
    private typealias Proof = PhaseProof

    /// What a load on one phase after the other comes to.
    private func outcome(
        _ wiring: PhaseWiring, loads: [[Int64]], others: [[Int64]] = [], phases: Int = 3
    ) -> [PhaseProof.Finding] {
        var proof = PhaseProof(others: others.first)
        var now: Int64 = 0
        var found: [PhaseProof.Finding] = []
        for (index, load) in loads.enumerated() {
            let rest = others.isEmpty ? nil : others[min(index, others.count - 1)]
            for _ in 0..<14 {
                now += 500
                let finding = proof.see(load, others: rest, wiring, at: now)
                if finding != .wait { found.append(finding) }
                if case .proven = finding { return found }
                if case .wrong = finding { return found }
            }
        }
        return found
    }

    @Test func `passes a load that each meter counts where it is`() {
        let found = outcome(
            .str,
            loads: [[10_000, 10_000, 10_000], [10_000, 0, 0], [0, 10_000, 0], [0, 0, 10_000]],
            others: [
                [3000, 3000, 3000], [3200, 2900, 3000], [3000, 3500, 3000], [3000, 3000, 3000],
            ])
        #expect(found.prefix(3) == [.load(0), .load(1), .load(2)])
        #expect(found.last == .proven("STR, phase by phase at its own and the site's meter"))
    }

    @Test func `says so when nothing sees the supply`() {
        let found = outcome(.rst, loads: [[0, 0, 0], [900, 0, 0], [0, 900, 0], [0, 0, 900]])
        #expect(
            found.last
                == .proven("phase by phase at its own meter; RST as configured, no site meter"))
    }

    @Test func `waits while nothing has been moved yet`() {
        #expect(outcome(.rst, loads: [[0, 900, 0], [0, 900, 0], [900, 900, 0]]) == [.load(0)])
    }

    @Test func `finds current transformers that are exchanged`() {
        let found = outcome(.rst, loads: [[900, 900, 900], [0, 900, 0]])
        guard case .wrong(let what)? = found.last else {
            Issue.record("\(found)")
            return
        }
        #expect(what.hasPrefix("its meter counts on L2 while L1 is loaded"))
    }

    /// The agent takes the outlet's current out of the phase it was told; the load is left where it is.
    @Test func `finds an outlet that hangs on other phases of the supply`() {
        let found = outcome(
            .rst, loads: [[16_000, 16_000, 16_000], [16_000, 0, 0]],
            others: [[2000, 2000, 2000], [0, 18_000, 2000]])
        guard case .wrong(let what)? = found.last else {
            Issue.record("\(found)")
            return
        }
        #expect(
            what.hasPrefix("L1 hangs on L2 of the supply, as the site's meter sees it, not on L1"))
    }

    @Test func `needs one phase alone of an outlet that has one`() {
        let found = outcome(
            .l2, loads: [[0], [16_000]], others: [[2000, 2000, 2000], [2000, 2000, 2000]])
        #expect(found.last == .proven("L2, phase by phase at its own and the site's meter"))
    }
}

@Suite struct `The lock of commissioning` {
    private let locked = CommissioningLock(
        board: "cabinet", fuse: Amperes(63), phases: 3, maximum: [1: Amperes(32)])

    @Test func `lets a configuration ask for less, never for more`() {
        var other = locked
        other.fuse = Amperes(40)
        other.maximum = [1: Amperes(16)]
        #expect(locked.breaches(by: other) == [])
        other.fuse = Amperes(80)
        other.maximum = [1: Amperes(40), 2: Amperes(10)]
        other.board = "another"
        let breaches = locked.breaches(by: other)
        #expect(breaches.count == 4)
        #expect(breaches[0].hasPrefix("site.fuseAmperes is 80 A, commissioning locked 63 A"))
    }

    @Test func `holds the wiring, where its record has one`() {
        var locked = locked
        var other = locked
        other.wiring = [1: "STR"]
        #expect(locked.breaches(by: other) == [])
        locked.wiring = [1: "RST"]
        #expect(locked.breaches(by: locked) == [])
        #expect(
            locked.breaches(by: other).first?
                .hasPrefix("wiring of connector 1 is STR, commissioning locked RST") == true)
    }

    @Test func `comes only from a record in which all passed`() throws {
        var record = CommissioningRecord(
            station: "CS", board: "cabinet", version: "1", at: Timestamp(seconds: 0), by: "A",
            fuse: Amperes(63), phases: 3, wiring: [1: .rst], maximum: [1: Amperes(32)],
            results: [.init(connector: 1, step: "relay", isPassed: true, found: "x")])
        var wired = locked
        wired.wiring = [1: "RST"]
        #expect(CommissioningLock(record.json) == wired)
        #expect(record.text.contains("ok     connector 1, relay: x"))
        record.results[0].isPassed = false
        #expect(CommissioningLock(record.json) == nil)
        record.results = []
        #expect(CommissioningLock(record.json) == nil)
    }
}
