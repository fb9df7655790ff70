import Charging
import JSON

@testable import Station

/// Two outlets as the status shows them.
struct CommissioningBench {
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
