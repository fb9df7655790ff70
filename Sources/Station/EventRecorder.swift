import Charging
import HAL
import JSON
import Service

/// The last minutes of a board to the millisecond: what its inputs said, what it did, and why it
/// forbade energy. Kept in memory; the black box puts it on the disk around every fault, so that a
/// cause that lasted a tenth of a second can be found the next day.
package final class EventRecorder: Sendable {
    package struct Entry: Hashable, Sendable {
        package var at: Timestamp
        /// Monotonic, so that distances are right whatever the wall's clock did.
        package var milliseconds: Int64
        package var connector: ConnectorNumber
        package var what: What
        package var value: String
    }

    package enum What: String, Hashable, Sendable, CaseIterable {
        case pilot, mirror, currents, register, emergencyStop, residualCurrent, door, lock,
            proximity
        case protectiveEarth, temperature, contactor, signal, hindrances, status, fault, device,
            absence
    }

    /// Entries kept: two minutes of sixteen busy connectors.
    package static let mostEntries = 8192

    private struct State {
        var ring: [Entry] = []
        /// Where the next one goes once the ring is full.
        var next = 0
        var last: [Key: String] = [:]
        var faults: [ConnectorNumber: Set<Fault>] = [:]
        var hindrances: [ConnectorNumber: [Hindrance]] = [:]
        /// Connectors on which a fault began that nobody has asked about yet.
        var occasions: Set<ConnectorNumber> = []
    }

    private struct Key: Hashable {
        var connector: ConnectorNumber
        var what: What
        /// A device's name where there are several of one kind.
        var part: String
    }

    private let most: Int
    private let clock: any ServiceClock
    private let state = Lock(State())

    package init(most: Int = EventRecorder.mostEntries, clock: any ServiceClock = .system) {
        self.most = most
        self.clock = clock
    }

    /// Notes what is different from before. Takes no longer than a look-up: it is called by the
    /// thread that opens contactors.
    func note(
        _ what: What, _ value: String, of connector: ConnectorNumber, part: String = ""
    ) {
        let (now, milliseconds) = (clock.now, clock.monotonicMilliseconds)
        let key = Key(connector: connector, what: what, part: part)
        state.withLock { state in
            guard state.last[key] != value else { return }
            state.last[key] = value
            let text = part.isEmpty ? value : "\(part): \(value)"
            let entry = Entry(
                at: now, milliseconds: milliseconds, connector: connector, what: what, value: text)
            if state.ring.count < most {
                state.ring.append(entry)
            } else {
                state.ring[state.next] = entry
                state.next = (state.next + 1) % most
            }
        }
    }

    private func isFailing(_ device: String, _ connector: ConnectorNumber) -> Bool {
        let key = Key(connector: connector, what: .device, part: device)
        return state.withLock { $0.last[key].map { $0 != "good" } ?? false }
    }

    /// Notes which faults there are; a new one is an occasion for the black box. True if any is new.
    @discardableResult
    func note(faults: Set<Fault>, of connector: ConnectorNumber) -> Bool {
        let (before, isChanged) = state.withLock { state in
            let before = state.faults.updateValue(faults, forKey: connector) ?? []
            return (before, before != faults)
        }
        guard isChanged else { return false }
        let names = faults.sorted().map(\.rawValue).joined(separator: ", ")
        note(.fault, names.isEmpty ? "none" : names, of: connector)
        guard !faults.isSubset(of: before) else { return false }
        state.withLock { _ = $0.occasions.insert(connector) }
        return true
    }

    /// What is remembered, oldest first.
    package var entries: [Entry] {
        state.withLock { Array($0.ring[$0.next...] + $0.ring[..<$0.next]) }
    }

    /// True once for each time a fault began on the connector, however short it was.
    package func takeOccasion(of connector: ConnectorNumber) -> Bool {
        state.withLock { $0.occasions.remove(connector) != nil }
    }
}

extension EventRecorder.Entry {
    package var json: JSONValue {
        .members([
            "at": .time(at), "ms": .number(milliseconds), "connector": .number(connector),
            "what": .string(what.rawValue), "value": .string(value),
        ])
    }
}

// MARK: What a connector hands over

extension EventRecorder {
    /// An input and what the machine makes of it.
    func saw(_ input: ConnectorMachine.Input, _ machine: ConnectorMachine, at now: Instant) {
        let connector = machine.number
        switch input {
        case .pilot(let state, let diode):
            note(.pilot, "\(state.rawValue), diode \(diode.rawValue)", of: connector)
        case .mirror(let state): note(.mirror, state.rawValue, of: connector)
        case .meter(let snapshot):
            note(.register, "\(snapshot.register.value)", of: connector)
            let currents = snapshot.currents.map { String($0.milliamperes) }
            note(.currents, currents.joined(separator: " "), of: connector)
        case .emergencyStop(let isActive): note(.emergencyStop, "\(isActive)", of: connector)
        case .residualCurrent(let state): note(.residualCurrent, state.rawValue, of: connector)
        case .door(let isOpen): note(.door, isOpen ? "open" : "closed", of: connector)
        case .protectiveEarth(let isLost):
            note(.protectiveEarth, isLost ? "lost" : "good", of: connector)
        case .locked(let isLocked): note(.lock, "\(isLocked)", of: connector)
        case .proximity(let rating):
            note(.proximity, rating.map { "\($0.milliamperes)" } ?? "none", of: connector)
        case .temperature(let degrees): note(.temperature, "\(degrees)", of: connector)
        case .resumed: note(.absence, "until \(now.milliseconds)", of: connector)
        case .tick: noteVerdict(machine, now)
        default: break
        }
        if note(faults: machine.faults, of: connector) { noteVerdict(machine, now) }
    }

    private func noteVerdict(_ machine: ConnectorMachine, _ now: Instant) {
        let question: ConnectorMachine.Question = machine.isContactorClosed ? .stay : .close
        let hindrances = machine.mayEnergise(question, at: now).hindrances
        let before = state.withLock {
            $0.hindrances.updateValue(hindrances, forKey: machine.number)
        }
        // Ten times a second, nearly always the same: put into words when it is not.
        guard before != hindrances else { return }
        note(
            .hindrances, hindrances.map(\.description).joined(separator: "; "), of: machine.number)
    }

    func did(_ output: ConnectorMachine.Output, of connector: ConnectorNumber) {
        switch output {
        case .contactor(let closed): note(.contactor, closed ? "close" : "open", of: connector)
        case .pilot(let signal): note(.signal, signal.text, of: connector)
        case .lock(let locked): note(.lock, locked ? "to lock" : "to unlock", of: connector)
        default: break
        }
    }

    func told(_ report: ConnectorMachine.Report, of connector: ConnectorNumber) {
        switch report {
        case .status(let status): note(.status, status.status.rawValue, of: connector)
        case .meterDoubted(let concern, let why):
            note(.device, why, of: connector, part: "meter, \(concern.rawValue)")
        default: break
        }
    }

    func failed(_ device: String, _ error: (any Error)?, of connector: ConnectorNumber) {
        // A good reading is the rule and is not spelled out twenty times a second.
        if error == nil, !isFailing(device, connector) { return }
        note(.device, error.map { "\($0)" } ?? "good", of: connector, part: device)
    }
}
