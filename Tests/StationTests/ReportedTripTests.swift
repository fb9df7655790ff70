import Charging
import JSON
import Testing

@testable import Station

@Suite struct `A trip that a person reports` {
    private func bench(_ change: (inout CommissioningBench.Outlet) -> Void) -> CommissioningBench {
        var bench = CommissioningBench()
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
        let changes: [(inout CommissioningBench.Outlet) -> Void] = [
            { $0.watts = 150 }, { $0.isClosed = false }, { $0.error = "timeout" },
        ]
        for change in changes {
            var bench = CommissioningBench()
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
