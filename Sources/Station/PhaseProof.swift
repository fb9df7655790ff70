import Charging
import JSON

/// Finds out on which phases a load appears that a person moves from phase to phase.
///
/// The agent takes each outlet's currents out of what the site's meter sees, by the wiring it was told:
/// with the right wiring the rest does not move with the load. Pure, part of `CommissioningMachine`.
struct PhaseProof: Hashable, Sendable {
    enum Finding: Hashable, Sendable {
        case wait
        /// Ask for load on this phase of the outlet alone, from 0.
        case load(Int)
        case wrong(String)
        case proven(String)
    }

    /// How long a load must stand: longer than the site's meter and its middle of readings take.
    static let standsMilliseconds: Int64 = 5_000

    /// What other consumers drew before the load, in milliamperes; nil without a site meter.
    private let before: [Int64]?
    private var phase = 0
    private var isAsked = false
    /// What was loaded when this phase was asked for: the person has not acted yet.
    private var atFirst: Set<Int> = []
    private var loaded: Set<Int> = []
    private var loadedSince: Int64 = 0

    init(others: [Int64]? = nil) { before = others }

    var hasOthers: Bool { before != nil }

    /// Of a status, per phase of the supply.
    static func others(_ status: JSONValue) -> [Int64]? {
        status["charging"]?["othersAmperes"]?.array?.map(CommissioningMachine.thousandths)
    }

    /// - Parameter currents: of the outlet's meter, in milliamperes, its phases in order.
    mutating func see(
        _ currents: [Int64], others: [Int64]?, _ wiring: PhaseWiring, at now: Int64
    ) -> Finding {
        let least = CommissioningMachine.leastMilliamperes
        let seen = Set(currents.indices.filter { currents[$0].magnitude >= least })
        if seen != loaded || !isAsked {
            loaded = seen
            loadedSince = now
        }
        guard isAsked else {
            isAsked = true
            atFirst = seen
            return .load(phase)
        }
        guard now - loadedSince >= Self.standsMilliseconds else { return .wait }
        guard seen == [phase] else {
            // Nothing was changed yet, or it is on its way: patience is the caller's.
            guard seen != atFirst, let other = seen.first, seen.count == 1 else { return .wait }
            return .wrong(
                "its meter counts on L\(other + 1) while L\(phase + 1) is loaded: exchange its "
                    + "current transformers or wires")
        }
        if currents[phase] < 0 {
            return .wrong(
                "its meter counts L\(phase + 1) backwards: turn its current transformer or wires")
        }
        if let wrong = elsewhere(currents[phase], others, wiring) { return .wrong(wrong) }
        phase += 1
        isAsked = false
        guard phase >= min(currents.count, wiring.phases.count) else { return .wait }
        return .proven(
            before == nil
                ? "phase by phase at its own meter; \(wiring.rawValue) as configured, no site meter"
                : "\(wiring.rawValue), phase by phase at its own and the site's meter")
    }

    /// Whether the load shows as another consumer's on a phase where it should not be.
    private func elsewhere(
        _ current: Int64, _ others: [Int64]?, _ wiring: PhaseWiring
    ) -> String? {
        guard let before, let others, before.count == others.count,
            wiring.phases.indices.contains(phase)
        else { return nil }
        let told = wiring.phases[phase]
        let rises = others.indices.filter { others[$0] - before[$0] > current / 2 }
        guard let place = rises.first(where: { $0 != told }) else { return nil }
        return
            "L\(phase + 1) hangs on L\(place + 1) of the supply, as the site's meter sees it, not on "
            + "L\(told + 1) as `wiring: \(wiring.rawValue)` says: mend the wires or the key"
    }
}
