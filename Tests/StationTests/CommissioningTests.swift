import Charging
import JSON
import Testing

@testable import Station

@Suite struct `Commissioning` {
    @Test func `passes a cabinet outlet by outlet and closes nothing itself`() {
        var bench = CommissioningBench()
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

    @Test func `calls the phase of a one-phase outlet its own, whatever it hangs on`() {
        for (wiring, name) in [(PhaseWiring.l2, "its own L1 under load"), (.str, "L1 under load")] {
            var bench = CommissioningBench()
            bench.machine = CommissioningMachine(connectors: [1, 2], wiring: [1: wiring])
            bench.measure()
            #expect(
                bench.machine.results.contains { $0.found.hasPrefix(name) },
                "\(bench.machine.results)")
        }
    }

    @Test func `shows the token until the charge ends, also one that is seen late`() {
        var bench = CommissioningBench()
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
        var bench = CommissioningBench()
        bench.see()
        bench.see()
        bench.outlets[1].pilot = "B"
        bench.see()
        #expect(bench.machine.results.last?.isPassed == false)
        #expect(bench.machine.results.last?.found.contains("connector 2: swap") == true)
    }

    @Test func `finds meters that are swapped and ends the charge`() {
        var bench = CommissioningBench()
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
        var bench = CommissioningBench()
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
        var bench = CommissioningBench()
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
        var bench = CommissioningBench()
        bench.plugIn()
        bench.see(afterMilliseconds: CommissioningMachine.closesWithinMilliseconds + 1)
        bench.see()
        bench.see(afterMilliseconds: CommissioningMachine.patienceMilliseconds + 1)
        bench.see()
        #expect(bench.said.last == .say("connector 2: free ok, no car, contactor open"))
    }

    @Test func `ends a charge that begins after its step has failed`() {
        var bench = CommissioningBench()
        bench.plugIn()
        bench.see(afterMilliseconds: CommissioningMachine.closesWithinMilliseconds + 1)
        bench.see()
        bench.outlets[0].isClosed = true
        bench.see()
        bench.see()
        #expect(bench.said.count { $0 == .present(1) } == 2)
    }

    @Test func `takes a vehicle that stood elsewhere before for none of its own`() {
        var bench = CommissioningBench()
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
            var bench = CommissioningBench()
            bench.begin()
            bench.answer(word)
            #expect(
                bench.machine.results.last?.found
                    == (word == nil ? "nobody answered" : "denied by a person"))
        }
    }

    @Test func `says what forbids energy when nothing closes in time`() {
        var bench = CommissioningBench()
        bench.see()
        bench.outlets[0].pilot = "B"
        bench.see()
        bench.see()
        bench.see(afterMilliseconds: CommissioningMachine.closesWithinMilliseconds + 1)
        #expect(bench.machine.results.last?.found.contains("no authorised transaction") == true)
    }
}
