import Charging

/// Turns what a station reports during a charge into `Usage`: pure, rebuilt from rows at any time.
///
/// - Parking is time in which the vehicle does not ask for power: SuspendedEV and Finishing. A pause by
///   the station (SuspendedEVSE) is charging time. OCPI 2.2.1 §10.4.
/// - What a station said before the charge began, or of the one before it, is no word about this one:
///   a charge away from the operator would be parking, because its plug was last heard of Finishing.
/// - Energy between two registers lies where the vehicle charged; within that it is spread by time.
struct UsageBuilder: Sendable {
    /// One reading inside the transaction, reduced to what a price can depend on.
    struct Reading: Hashable, Sendable {
        var at: Timestamp
        /// nil: a reading without a register; it still carries power and current.
        var register: WattHours?
        var power: Decimal?
        var current: Decimal?
    }

    struct Change: Hashable, Sendable {
        var at: Timestamp
        var status: ConnectorStatus
    }

    /// A status of so long before the start still speaks for it: stations tell the two in any order.
    static let leadSeconds: Int64 = 60

    let startedAt: Timestamp
    let meterStart: WattHours
    /// The last register taken over; never below the one before.
    private(set) var meterLast: WattHours
    private(set) var lastReadingAt: Timestamp
    /// What `meterLast` was before the readings of `lastReadingAt`.
    private var registerBefore: WattHours
    /// Latest sampled values, for pages and pushes.
    private(set) var power: Decimal?
    private(set) var current: Decimal?

    /// Cut and final: everything up to `cutAt`.
    private var segments: [Usage.Segment] = []
    private var cutAt: Timestamp
    /// Changes after `cutAt`, in order; the state at `cutAt` is `state`.
    private var pending: [Change] = []
    private var state: Usage.State = .charging
    /// Energy of a second register at the first instant, until a segment exists to bear it.
    private var carried = WattHours.zero

    init(startedAt: Timestamp, meterStart: WattHours, status: ConnectorStatus? = nil) {
        self.startedAt = startedAt
        self.meterStart = meterStart
        meterLast = meterStart
        lastReadingAt = startedAt
        registerBefore = meterStart
        cutAt = startedAt
        if let status { state = Self.initialState(of: status) }
    }

    /// How a reading was taken.
    enum Outcome: Hashable { case taken, registerFell, outOfOrder }

    /// Takes a status; false when it is older than what is already cut, so that a rebuild is due.
    mutating func take(_ change: Change) -> Bool {
        guard change.at >= cutAt else {
            return change.at <= startedAt ? takeInitial(change) : false
        }
        if let last = pending.last, last.at > change.at {
            pending.append(change)
            pending.sort { $0.at < $1.at }
        } else {
            pending.append(change)
        }
        return true
    }

    mutating func take(_ reading: Reading) -> Outcome {
        guard reading.at >= lastReadingAt else { return .outOfOrder }
        if reading.register == nil {
            // Without a register there is nothing to cut by; the values count from here on.
            power = reading.power ?? power
            current = reading.current ?? current
            return .taken
        }
        guard let register = reading.register, register >= meterLast else {
            // Two messages of one second come in any order; between them nothing fell.
            let isTie = reading.at == lastReadingAt && (reading.register ?? .zero) >= registerBefore
            return isTie ? .taken : .registerFell
        }
        if reading.at > lastReadingAt { registerBefore = meterLast }
        if cutAt == startedAt, segments.isEmpty {
            // Nothing was sampled before the first reading, so it speaks for the time up to itself.
            power = power ?? reading.power
            current = current ?? reading.current
        }
        cut(to: reading.at, register: register)
        power = reading.power ?? power
        current = reading.current ?? current
        return .taken
    }

    /// The usage up to `end` as far as it is known now; energy after the last register is none.
    func usage(until end: Timestamp) -> Usage {
        var copy = self
        copy.cut(to: max(end, cutAt), register: meterLast)
        return Usage(segments: copy.segments)
    }

    static func state(of status: ConnectorStatus) -> Usage.State {
        switch status {
        case .suspendedEV, .finishing: .parking
        case .available, .preparing, .charging, .suspendedEVSE, .reserved, .unavailable, .faulted:
            .charging
        }
    }

    private mutating func takeInitial(_ change: Change) -> Bool {
        // What was reported before the start is the state it started in, if nothing was cut yet.
        guard segments.isEmpty, change.at >= startedAt.advanced(bySeconds: -Self.leadSeconds)
        else { return true }
        state = Self.initialState(of: change.status)
        return true
    }

    /// Parking is only what a station says of this charge: Finishing is always of the one before.
    private static func initialState(of status: ConnectorStatus) -> Usage.State {
        status == .suspendedEV ? .parking : .charging
    }

    private mutating func cut(to end: Timestamp, register: WattHours) {
        var pieces: [(start: Timestamp, end: Timestamp, state: Usage.State)] = []
        var at = cutAt
        var now = state
        var left: [Change] = []
        for change in pending {
            guard change.at < end else {
                left.append(change)
                continue
            }
            let next = Self.state(of: change.status)
            if next != now, change.at > at {
                pieces.append((at, change.at, now))
                at = change.at
            }
            now = next
        }
        if end > at { pieces.append((at, end, now)) }
        append(pieces, energy: register - meterLast)
        pending = left
        state = now
        cutAt = max(end, cutAt)
        lastReadingAt = max(end, lastReadingAt)
        meterLast = register
    }

    private mutating func append(
        _ pieces: [(start: Timestamp, end: Timestamp, state: Usage.State)], energy: WattHours
    ) {
        guard !pieces.isEmpty else {
            // A second register at the same instant: its energy belongs to the piece before it.
            if let last = segments.indices.last {
                segments[last].energy += energy
            } else {
                carried += energy
            }
            return
        }
        let energy = energy + carried
        carried = .zero
        let charging = pieces.filter { $0.state == .charging }
        let bearing: Usage.State = charging.isEmpty ? .parking : .charging
        let total = pieces.filter { $0.state == bearing }
            .reduce(Int64(0)) { $0 + $1.end.milliseconds - $1.start.milliseconds }
        var passed: Int64 = 0
        var given: Int64 = 0
        for piece in pieces {
            var share: Int64 = 0
            if piece.state == bearing, total > 0 {
                passed += piece.end.milliseconds - piece.start.milliseconds
                // Cumulative shares, so that the pieces add up to the register to the watt-hour.
                let upTo = Int64(Int128(energy.value) * Int128(passed) / Int128(total))
                share = upTo - given
                given = upTo
            }
            segments.append(
                Usage.Segment(
                    start: piece.start, end: piece.end, state: piece.state,
                    energy: WattHours(share), current: current, power: power))
        }
    }
}
