import Charging
import HAL
import TestSupport

@testable import Station

/// A board whose world does what it likes; it restates the rules without asking the gate.
///
/// The rules themselves are in `ConnectorChaos+Rules.swift`.
struct ConnectorChaos {
    struct Broken: Error { var rule: String }

    /// The charge that is open on the world's disk, or on its way there.
    struct Open {
        var token: String
        var startRegister: Int64
        var startedAt: Instant
        var keptRegister: Int64
        var keptAt: Timestamp
        var limits = ChargeLimits.none
    }

    var random: SeededGenerator
    var machine: ConnectorMachine
    let board: BoardCapabilities
    let rules: ConnectorRules
    var now = Instant(milliseconds: 0, wall: BenchBoard.start)
    /// The last inputs with their effects, put into words only when a rule broke.
    var trace: [(Int64, ConnectorMachine.Input, [ConnectorMachine.Effect])] = []

    // What the world is like.
    var standing: [ConnectorMachine.Input] = []
    var relay = false
    var welds = false
    var register: Int64 = 1_000
    var pilot: PilotState = .a
    var isStopPressed = false
    var isTripped = false
    var isDoorOpen = false
    var isEarthLost = false
    var degrees = 25
    var isLocked = false
    /// The car's diode failed since it was plugged in.
    var isDiodeBad = false
    var cable: Amperes? = Amperes(32)
    var draws: Int64 = 10_000
    /// −1: its meter is wired the other way round.
    let direction: Int64
    var volts: Int64 = 230_000
    var isTested = false
    /// What the connector falls to when nobody repeats the site's limit; nil: it holds by itself.
    let share: Amperes?
    var siteLimit: Amperes?
    var siteHeardAt: Int64 = -100_000
    /// Whoever shares the fuse hangs until then.
    var hangsUntil: Int64 = 0
    var isOffering = false
    var heardSinceAbsence: Set<ConnectorMachine.Sensor> = []
    var groups: [String: String?] = [:]

    // What it was told.
    var commanded = false
    var open: Open?
    var isStartDurable = false
    var pendingStart = false
    var pendingStop: ConnectorMachine.Stop?
    var reservation: ConnectorMachine.Reservation?
    var kept: [Fault] = []
    var nextID: Int64 = 1
    var flowed: Int64 = 0
    var billed: Int64 = 0

    // Since when and until when.
    var lastClosing: Int64?
    var meterAskedAt: Int64?
    var dangerAt: Int64?
    var overCurrentOpening: Int64?
    var windDownSince: Int64?
    var hotOfferSince: Int64?
    var thinCableSince: Int64?
    var badVoltsSince: Int64?

    // What it got to see.
    var counts: [String: Int] = [:]

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
        board = BoardCapabilities.bench(
            hasLock: seed % 2 == 0, hasProximity: seed % 3 == 0,
            hasVentilation: seed % 5 == 0, hasDoor: true, hasProtectiveEarth: true,
            hasTemperature: true, reportsDiode: seed % 4 == 3)
        var rules = ConnectorRules()
        rules.stopsOnDisconnect = seed % 7 != 0
        rules.sampleIntervalMilliseconds = 10_000
        rules.wakesCar = seed % 3 == 1
        if seed % 4 == 0 {
            rules.freeVend = .init(token: "T0", limits: ChargeLimits(energy: WattHours(60)))
        }
        if seed % 4 == 1 { rules.schedule = Self.schedule }
        if seed % 2 == 1 { rules.afterPowerLoss = .resume(withinSeconds: 60) }
        self.rules = rules
        direction = seed % 6 == 5 ? -1 : 1
        share = seed % 3 == 2 ? Amperes(8) : nil
        machine = ConnectorMachine(number: 1, board: board, rules: rules, at: now)
        _ = machine.handle(.safeShare(share), at: now)
        standing = [
            .pilot(.a, diode: .unknown), .proximity(Amperes(32)), .locked(false),
            .residualCurrent(.healthy), .emergencyStop(isActive: false), .door(isOpen: false),
            .protectiveEarth(isLost: false), .temperature(degrees: 25),
        ]
    }

    /// Open but for 14:16 to 14:18 UTC, three minutes after the world begins.
    private static let schedule = OfferSchedule(
        windows: [.init(from: 14 * 60 + 18, until: 14 * 60 + 16)], zone: .utc)

    mutating func chance(_ percent: Int) -> Bool {
        Int.random(in: 0..<100, using: &random) < percent
    }

    mutating func perMille(_ share: Int) -> Bool {
        Int.random(in: 0..<1_000, using: &random) < share
    }

    private mutating func token() -> String { "T\(Int.random(in: 0..<3, using: &random))" }
    private mutating func group() -> String? { chance(50) ? "G" : nil }

    mutating func see(_ what: String) { counts[what, default: 0] += 1 }

    var words: String {
        trace.suffix(14).map { "\($0.0) \($0.1) -> \($0.2)" }.joined(separator: "\n")
    }
}

// MARK: What happens

extension ConnectorChaos {
    mutating func step() throws(Broken) {
        try give(chance(80) ? randomInput() : randomOrder())
        if draws > 10_000 ? chance(1) : perMille(relay ? 60 : 5) {
            draws = draws > 10_000 ? 10_000 : 60_000
        }
        if volts > 230_000 ? chance(2) : perMille(1) {
            volts = volts > 230_000 ? 230_000 : 270_000
        }
        if chance(30) { try measure() }
        try answerDisk()
        if perMille(open == nil ? 1 : 8) { try reboot() }
        if perMille(2) { try beAbsent() }
        if perMille(4) {
            hangsUntil = now.milliseconds + 100 * .random(in: 1...400, using: &random)
        }
        let pause = chance(5) ? 100 * Int64.random(in: 1...60, using: &random) : 100
        for _ in 0..<(pause / 100) {
            advance(100)
            try poll()
            // Nor does a meter stop being asked because nothing else happens.
            if pause > 100, now.milliseconds % 2_000 == 0 { try measure() }
            if share != nil, now.milliseconds >= hangsUntil, now.milliseconds % 1_000 == 0 {
                try give(.limit(.site, siteLimit))
            }
            try give(.tick)
        }
    }

    private mutating func advance(_ milliseconds: Int64) {
        now.milliseconds += milliseconds
        now.wall.milliseconds += milliseconds
    }

    /// From the board.
    private mutating func randomInput() -> ConnectorMachine.Input {
        switch Int.random(in: 0..<40, using: &random) {
        case 0...1:
            let states: [PilotState] = [.a, .b, .b, .c, .c, .c, .c, .c, .c, .c, .c, .d]
            pilot =
                perMille(6) ? (chance(50) ? .e : .f) : states.randomElement(using: &random) ?? .a
            let isBad = perMille(4)
            if isBad, pilot != .a { isDiodeBad = true }
            if pilot == .a { isDiodeBad = false }
            return .pilot(pilot, diode: isBad ? .failed : .passed)
        case 6:
            isStopPressed = chance(2)
            return .emergencyStop(isActive: isStopPressed)
        case 7:
            isTripped = perMille(5)
            return .residualCurrent(
                isTripped ? (chance(2) ? .tripped : .directTripped) : .healthy)
        case 8:
            isDoorOpen = chance(2)
            return .door(isOpen: isDoorOpen)
        case 9:
            degrees = chance(1) ? 90 : Int.random(in: 25...80, using: &random)
            return .temperature(degrees: degrees)
        case 10:
            cable =
                chance(99) ? Amperes([13, 20, 32, 32].randomElement(using: &random) ?? 32) : nil
            return .proximity(cable)
        case 11: return mended()
        case 12: return .mirror(chance(1) ? .unknown : relay ? .closed : .open)
        case 13: return .outputs(areWorking: chance(99))
        case 14 where chance(5): return .lapsed
        case 15:
            isEarthLost = chance(2)
            return .protectiveEarth(isLost: isEarthLost)
        default: return .tick
        }
    }

    mutating func authorization(of token: String) -> ConnectorMachine.Input {
        let group = group()
        let isAccepted = chance(75)
        return .authorization(
            token: token, AuthorizationInfo(isAccepted ? .accepted : .invalid, group: group))
    }

    /// A person looked: what was welded is not any more.
    private mutating func mended() -> ConnectorMachine.Input {
        guard chance(30) else { return .tick }
        welds = false
        isDiodeBad = false
        relay = commanded
        return .latchedFaultsCleared
    }

    /// From people and the operator.
    private mutating func randomOrder() -> ConnectorMachine.Input {
        switch Int.random(in: 0..<20, using: &random) {
        case 0...4: return .remoteStart(token: token(), needsAuthorization: chance(30))
        case 5: return .token(token())
        case 6...8:
            return authorization(of: token())
        case 9:
            return .stop(
                [.remote, .softReset, .unlockCommand].randomElement(using: &random) ?? .remote)
        case 10: return .operative(chance(95))
        case 11:
            guard now.milliseconds >= hangsUntil else { return .tick }
            return .limit(.site, Amperes(Int64.random(in: 0...40, using: &random)))
        case 18: return .held(chance(10))
        case 12: return .transactionToken(AuthorizationInfo(chance(85) ? .accepted : .blocked))
        case 13...14:
            let wanted = ConnectorMachine.Reservation(
                id: Int.random(in: 1...9, using: &random), token: token(), group: group(),
                expires: now.wall.advanced(bySeconds: Int64.random(in: 1...90, using: &random)))
            guard machine.refusalOfReservation(wanted, at: now) == nil else { return .tick }
            return .reserve(wanted)
        case 15: return chance(20) ? .reserve(nil) : .tick
        case 16...17:
            return .chargeLimit(
                nextID - 1,
                ChargeLimits(
                    energy: WattHours(Int64.random(in: 1...150, using: &random)),
                    seconds: chance(30) ? Int64.random(in: 5...60, using: &random) : nil))
        default: return .tick
        }
    }

    private mutating func measure() throws(Broken) {
        if relay {
            let energy = Int64.random(in: 0...6, using: &random)
            register += energy
            flowed += energy
        }
        guard chance(97) else { return }
        meterAskedAt = now.milliseconds
        let volts = [230_000, self.volts, 231_000].map { Volts(millivolts: $0) }
        try give(
            .meter(
                MeterSnapshot(
                    register: WattHours(register),
                    currents: [Amperes(milliamperes: relay ? direction * draws : 0)],
                    voltages: volts,
                    askedAt: now.milliseconds, at: now.wall)))
        try checkMeasured()
    }

    private mutating func answerDisk() throws(Broken) {
        if pendingStart, chance(60) {
            pendingStart = false
            if chance(90) {
                isStartDurable = true
                nextID += 1
                try give(.journal(.started(nextID - 1)))
            } else {
                open = nil
                try give(.journal(.startFailed))
            }
        }
        if let stop = pendingStop, chance(60) {
            pendingStop = nil
            if chance(90) {
                close(stop)
                isTested = false
                try give(.journal(.stopped))
            } else {
                try give(.journal(.stopFailed))
            }
        }
    }

    private mutating func close(_ stop: ConnectorMachine.Stop) {
        billed += stop.register.value - (open?.startRegister ?? 0)
        open = nil
        see("completed")
    }

    /// The inputs go on saying what they last said, now and then with a gap.
    mutating func poll() throws(Broken) {
        guard now.milliseconds % 500 == 0, chance(80) else { return }
        for sensor in ConnectorMachine.Sensor.allCases {
            if sensor == .mirror {
                try give(.mirror(relay ? .closed : .open))
            } else if let input = standing.first(where: { $0.sensor == sensor }) {
                try give(input)
            }
        }
    }

    /// The program hangs for longer than the dead-man holds a closing.
    private mutating func beAbsent() throws(Broken) {
        advance(100 * Int64.random(in: 11...200, using: &random))
        if !welds { relay = false }
        heardSinceAbsence = []
        try give(.resumed)
        if commanded { throw Broken(rule: "what fell is taken for open") }
        see("absences")
    }

    /// The power goes: what the disk had is all that is left.
    private mutating func reboot() throws(Broken) {
        if pendingStart {
            pendingStart = false
            if chance(50) {
                isStartDurable = true
                nextID += 1
            } else {
                open = nil
            }
        }
        if let stop = pendingStop {
            pendingStop = nil
            if chance(50) { close(stop) }
        }
        if !welds { relay = false }
        commanded = false
        advance(100 * Int64.random(in: 10...(chance(90) ? 300 : 900), using: &random))
        machine = ConnectorMachine(
            number: 1, board: board, rules: rules, latched: Set(kept),
            recovering: open.map {
                .init(
                    transaction: nextID - 1, token: $0.token,
                    lastRegister: WattHours($0.keptRegister), lastAlive: $0.keptAt,
                    reason: .powerLoss, startRegister: WattHours($0.startRegister),
                    startedAt: $0.startedAt.wall, limits: $0.limits)
            }, lastClosing: lastClosing, at: now)
        (isTested, isOffering) = (false, false)
        siteHeardAt = -100_000
        _ = machine.handle(.safeShare(share), at: now)
        // Whatever danger there was has passed before the board comes back, unseen by it.
        (isStopPressed, isDoorOpen, isEarthLost, degrees) = (false, false, false, 25)
        standing.removeAll {
            [.emergencyStop, .door, .protectiveEarth, .temperature].contains($0.sensor)
        }
        standing += [
            .emergencyStop(isActive: false), .door(isOpen: false),
            .protectiveEarth(isLost: false), .temperature(degrees: 25),
        ]
        (dangerAt, windDownSince) = (nil, nil)
        // Known over the cut for as long as the same car is plugged in.
        if !kept.contains(.overCurrent) { overCurrentOpening = nil }
        (hotOfferSince, badVoltsSince, thinCableSince) = (nil, nil, nil)
        heardSinceAbsence = []
        if let reservation, reservation.expires > now.wall {
            try give(.reserve(reservation))
        } else {
            reservation = nil
        }
        see("reboots")
    }
}
