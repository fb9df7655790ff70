import Charging
import JSON

/// Takes a cabinet into service, outlet by outlet, by watching what the running agent does with a
/// test vehicle: nothing is closed but by the agent and its one gate.
///
/// It sees the status again and again and says what the person is to do next. Pure: time comes with
/// the status.
package struct CommissioningMachine: Sendable {
    package enum Effect: Hashable, Sendable {
        /// Tell the person.
        case say(String)
        /// Ask the person; the answer comes by `answer`.
        case ask(String)
        /// Show the test token at this outlet.
        case present(ConnectorNumber)
        case finished
    }

    /// What one step came to.
    package struct Result: Hashable, Sendable {
        package var connector: ConnectorNumber
        package var step: String
        package var isPassed: Bool
        package var found: String
    }

    private enum Step: Hashable, Sendable {
        case free, plug, charge, relay, measure, wiring, residualCurrent, trip, stop, leave
    }

    /// Waiting for a person; then the step has failed.
    package static let patienceMilliseconds: Int64 = 180_000
    /// From the token to the closed contactor.
    package static let closesWithinMilliseconds: Int64 = 60_000
    /// How long the load is watched.
    package static let measuresMilliseconds: Int64 = 5_000
    /// A token that ended nothing is shown again after this: longer than a car winds down.
    private static let presentsAgain: Int64 = 10_000
    /// A test vehicle draws more, a meter without load reads less.
    package static let leastWatts: Int64 = 200
    package static let mostStrayWatts: Int64 = 100
    /// 230 V within 15 %; a missing neutral or phase is far outside.
    package static let goodMillivolts: ClosedRange<Int64> = 195_500...264_500
    static let leastMilliamperes: Int64 = 500

    package private(set) var results: [Result] = []
    private var waiting: [ConnectorNumber]
    private let wiring: [ConnectorNumber: PhaseWiring]
    private let provesPhases: Bool
    private var proof = PhaseProof()
    private var step = Step.free
    private var since: Int64?
    private var asked: Step?
    private var startWh: Int64 = 0
    private var isOver = false
    /// A step of this outlet failed: it is only left, so that the vehicle is not taken for the next one's.
    private var isGivenUp = false
    /// When the token that ends the charge was last shown.
    private var presentedAt: Int64?
    /// A charge of before the vehicle was plugged in is its driver's.
    private var isOurs = false
    private var hasAskedToLeave = false
    /// Where vehicles stood already when this one was asked for.
    private var stoodBefore: Set<ConnectorNumber> = []

    /// - Parameters:
    ///   - wiring: as configured; an outlet without has nothing to prove.
    ///   - provesPhases: the test vehicle can draw on one phase at a time.
    package init(
        connectors: [ConnectorNumber], wiring: [ConnectorNumber: PhaseWiring] = [:],
        provesPhases: Bool = false
    ) {
        waiting = connectors
        self.wiring = wiring
        self.provesPhases = provesPhases
    }

    /// True once every step of every outlet has passed.
    package var isPassed: Bool { isOver && results.allSatisfy(\.isPassed) }

    // MARK: Inputs

    /// `status` as `StationView.json` gives it.
    package mutating func see(_ status: JSONValue, at now: Int64) -> [Effect] {
        guard let number = waiting.first else {
            isOver = true
            return [.finished]
        }
        guard asked == nil else { return [] }
        let isFirst = since == nil
        let began = since ?? now
        since = began
        let all = status["connectors"]?.array ?? []
        guard let own = all.first(where: { $0["connector"]?.int == number }) else {
            if isGivenUp { return drop() }
            return fail("outlet", "the agent knows no connector \(number)", now)
        }
        let others = all.filter { $0["connector"]?.int != number }
        if now - began > limit {
            if isGivenUp { return drop() }
            return fail(name, "not within \(limit / 1000) s: \(why(own))", now)
        }
        switch step {
        case .free:
            proof = PhaseProof(others: PhaseProof.others(status))
            return free(number, own, isFirst, now)
        case .plug: return plug(number, own, others, isFirst, now)
        case .charge: return charge(number, own, isFirst, now)
        case .relay:
            asked = .relay
            return [.ask("connector \(number): did its contactor close, and no other?")]
        case .measure: return measure(number, own, others, began, isFirst, now)
        case .wiring: return prove(number, own, PhaseProof.others(status), now)
        case .residualCurrent: return askForTrip(number, own, isFirst)
        case .trip: return trip(number, own, now)
        case .stop: return stop(number, own, now)
        case .leave: return leave(number, own, now)
        }
    }

    /// The person's answer to the last question.
    ///
    /// - Parameters:
    ///   - word: nil: nobody answered, which is no.
    ///   - isAssumed: nobody was asked; the record says so.
    package mutating func answer(
        _ word: Bool?, isAssumed: Bool = false, at now: Int64
    ) -> [Effect] {
        guard let question = asked else { return [] }
        asked = nil
        let isYes = word ?? false
        let found =
            isAssumed
            ? "assumed, nobody was asked"
            : word.map { $0 ? "confirmed by a person" : "denied by a person" } ?? "nobody answered"
        switch question {
        case .relay:
            return isYes ? pass("relay", found, then: .measure) : fail("relay", found, now)
        default:
            guard isYes else { return fail("residual current device", found, now) }
            if isAssumed { return pass("residual current device", found, then: .stop) }
            step = .trip
            since = now
            return []
        }
    }

    // MARK: Steps

    private mutating func free(
        _ number: ConnectorNumber, _ own: JSONValue, _ isFirst: Bool, _ now: Int64
    ) -> [Effect] {
        guard own["pilot"]?.string == "A", own["contactor"]?.string == "open" else {
            return isFirst ? [.say("connector \(number): unplug it")] : []
        }
        return pass("free", "no car, contactor open", then: .plug)
    }

    private mutating func plug(
        _ number: ConnectorNumber, _ own: JSONValue, _ others: [JSONValue], _ isFirst: Bool,
        _ now: Int64
    ) -> [Effect] {
        if ["B", "C", "D"].contains(own["pilot"]?.string) {
            return pass("pilot", "state \(own["pilot"]?.string ?? "?")", then: .charge)
        }
        let strangers = others.filter {
            ["B", "C", "D"].contains($0["pilot"]?.string) && $0["charge"] == nil
        }.compactMap { $0["connector"]?.int }
        // Only one that came since it was asked for can be this one.
        stoodBefore = isFirst ? Set(strangers) : stoodBefore.intersection(strangers)
        if let stranger = strangers.first(where: { !stoodBefore.contains($0) }) {
            return fail(
                "pilot",
                "the vehicle shows at connector \(stranger): swap the pilots' wires or units",
                now)
        }
        return isFirst ? [.say("connector \(number): plug the test vehicle in")] : []
    }

    private mutating func charge(
        _ number: ConnectorNumber, _ own: JSONValue, _ isFirst: Bool, _ now: Int64
    ) -> [Effect] {
        isOurs = true
        if own["contactor"]?.string == "closed" {
            startWh = own["meter"]?["registerWh"]?.int64 ?? 0
            return pass("start", "contactor closed", then: .relay)
        }
        return isFirst ? [.present(number)] : []
    }

    private mutating func measure(
        _ number: ConnectorNumber, _ own: JSONValue, _ others: [JSONValue], _ began: Int64,
        _ isFirst: Bool, _ now: Int64
    ) -> [Effect] {
        let meter = own["meter"] ?? .null
        let power = meter["powerW"]?.int64 ?? 0
        let strays = others.filter { other in
            other["contactor"]?.string != "closed"
                && (other["meter"]?["powerW"]?.int64 ?? 0) > Self.mostStrayWatts
        }
        if power < Self.leastWatts, let stray = strays.first?["connector"]?.int {
            return fail(
                "meter", "the meter of connector \(stray) counts instead: swap the meters' units",
                now)
        }
        if power <= -Self.leastWatts {
            return fail(
                "meter",
                "it counts backwards: its current transformers or wires are the other way "
                    + "round", now)
        }
        guard power >= Self.leastWatts else {
            return isFirst ? [.say(Self.drawPlease(number))] : []
        }
        guard now - began >= Self.measuresMilliseconds else { return [] }
        let volts = (meter["voltagesV"]?.array ?? []).map(Self.thousandths)
        if let wrong = volts.first(where: { !Self.goodMillivolts.contains($0) }) {
            return fail("voltages", "\(wrong / 1000) V on a phase: check phases and neutral", now)
        }
        let currents = (meter["currentsA"]?.array ?? []).map(Self.thousandths)
        let phases = currents.enumerated().filter { $0.element.magnitude >= Self.leastMilliamperes }
            .map { Self.phaseName($0.offset, wiring[number]) }
        let counted = (meter["registerWh"]?.int64 ?? 0) - startWh
        let shown = volts.map { String($0 / 1000) }.joined(separator: "/")
        var effects = pass(
            "meter", "\(power) W, \(counted) Wh so far, no other outlet's counts", then: .measure)
        guard let wired = wiring[number] else {
            return effects
                + pass(
                    "phases", "\(phases.joined(separator: " ")) under load, \(shown) V",
                    then: .residualCurrent)
        }
        effects += pass(
            "phases", "\(phases.joined(separator: " ")) under load, \(shown) V", then: .wiring)
        guard provesPhases, currents.count > 1 || proof.hasOthers else {
            let why = provesPhases ? "its meter tells no phases" : "not measured"
            return effects
                + pass("wiring", "\(wired.rawValue) as configured, \(why)", then: .residualCurrent)
        }
        return effects
    }

    /// Load on one phase at a time: the outlet's meter must count it there, and the site's meter on the
    /// phase of the supply that the wiring says.
    private mutating func prove(
        _ number: ConnectorNumber, _ own: JSONValue, _ others: [Int64]?, _ now: Int64
    ) -> [Effect] {
        let wired = wiring[number] ?? .rst
        let currents = (own["meter"]?["currentsA"]?.array ?? []).map(Self.thousandths)
        switch proof.see(currents, others: others, wired, at: now) {
        case .wait: return []
        case .load(let phase):
            since = nil
            return [.say("connector \(number): let the vehicle draw on L\(phase + 1) alone")]
        case .wrong(let what): return fail("wiring", what, now)
        case .proven(let what): return pass("wiring", what, then: .residualCurrent)
        }
    }

    /// Only power that flows shows by its end that something was cut.
    private mutating func askForTrip(
        _ number: ConnectorNumber, _ own: JSONValue, _ isFirst: Bool
    ) -> [Effect] {
        let meter = own["meter"] ?? .null
        let power = meter["error"] == nil ? meter["powerW"]?.int64 ?? 0 : 0
        guard own["contactor"]?.string == "closed", power >= Self.leastWatts else {
            return isFirst ? [.say(Self.drawPlease(number))] : []
        }
        asked = .residualCurrent
        return [
            .ask(
                "connector \(number): press the test button of its residual current device and "
                    + "leave it off; did it trip and cut the power?")
        ]
    }

    private static func drawPlease(_ number: ConnectorNumber) -> String {
        "connector \(number): let the vehicle draw \(leastWatts) W or more"
    }

    /// What the person said counts only where nothing that the board sees speaks against it.
    private mutating func trip(
        _ number: ConnectorNumber, _ own: JSONValue, _ now: Int64
    ) -> [Effect] {
        let began = since ?? now
        switch TripProof().see(own, after: now - began) {
        case .wait: return []
        case .against(let what):
            return fail(
                name,
                "a person says it tripped, but \(what): the device does not cut this outlet's power, or "
                    + "was switched on again too soon", now)
        case .seen(let what, let isTold):
            let clear = isTold ? ", then `kerb-edge clear \(number)` elsewhere" : ""
            return pass(name, "confirmed by a person, \(what)", then: .stop)
                + [.say("connector \(number): switch the residual current device on again\(clear)")]
        }
    }

    private mutating func stop(
        _ number: ConnectorNumber, _ own: JSONValue, _ now: Int64
    ) -> [Effect] {
        // A contactor that a trip opened is no charge that ended.
        guard own["contactor"]?.string == "open", own["charge"] == nil else {
            return endCharge(number, own, now)
        }
        return pass("stop", "contactor open", then: .leave)
    }

    /// A charge may be seen late, and a token that was shown may be lost on its way.
    private mutating func endCharge(
        _ number: ConnectorNumber, _ own: JSONValue, _ now: Int64
    ) -> [Effect] {
        guard own["charge"] != nil, now - (presentedAt ?? .min / 2) >= Self.presentsAgain else {
            return []
        }
        presentedAt = now
        return [.present(number)]
    }

    private mutating func leave(
        _ number: ConnectorNumber, _ own: JSONValue, _ now: Int64
    ) -> [Effect] {
        // The charge that was begun for the test ends by the token that began it.
        if isGivenUp, isOurs, own["charge"] != nil { return endCharge(number, own, now) }
        guard own["pilot"]?.string == "A" else {
            guard !hasAskedToLeave else { return [] }
            hasAskedToLeave = true
            return [.say("connector \(number): unplug the test vehicle")]
        }
        if isGivenUp { return drop() }
        let effects = pass("unplugged", "no car", then: .free)
        waiting.removeFirst()
        isOurs = false
        hasAskedToLeave = false
        presentedAt = nil
        return effects
    }

    /// On to the next outlet, if there is one.
    private mutating func drop() -> [Effect] {
        waiting.removeFirst()
        isGivenUp = false
        isOurs = false
        hasAskedToLeave = false
        step = .free
        since = nil
        return []
    }

    // MARK: Results

    private var name: String {
        switch step {
        case .free: "free"
        case .plug: "pilot"
        case .charge: "start"
        case .relay: "relay"
        case .measure: "meter"
        case .wiring: "wiring"
        case .residualCurrent, .trip: "residual current device"
        case .stop: "stop"
        case .leave: "unplugged"
        }
    }

    private var limit: Int64 {
        step == .charge ? Self.closesWithinMilliseconds : Self.patienceMilliseconds
    }

    private func why(_ own: JSONValue) -> String {
        let hindrances = (own["hindrances"]?.array ?? []).compactMap(\.string)
        return hindrances.isEmpty ? "energy is allowed" : hindrances.joined(separator: "; ")
    }

    private mutating func pass(_ step: String, _ found: String, then next: Step) -> [Effect] {
        guard let number = waiting.first else { return [] }
        results.append(Result(connector: number, step: step, isPassed: true, found: found))
        if next != self.step { since = nil }
        self.step = next
        return [.say("connector \(number): \(step) ok, \(found)")]
    }

    /// The outlet is given up: its further steps would build on a step that failed.
    private mutating func fail(_ step: String, _ found: String, _ now: Int64) -> [Effect] {
        guard let number = waiting.first else { return [] }
        results.append(Result(connector: number, step: step, isPassed: false, found: found))
        self.step = .leave
        since = nil
        isGivenUp = true
        presentedAt = nil
        return [.say("connector \(number): \(step) FAILED, \(found)")]
    }

    /// As the outlet's meter counts them. A single one is the outlet's own, whatever it hangs on.
    private static func phaseName(_ index: Int, _ wired: PhaseWiring?) -> String {
        wired?.phases.count == 1 ? "its own L\(index + 1)" : "L\(index + 1)"
    }

    static func thousandths(_ value: JSONValue) -> Int64 {
        value.decimal.map { $0 * Decimal(1000) }?.floor ?? 0
    }
}
