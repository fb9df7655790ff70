import HAL

/// Why energy is forbidden now. Each is one line of `kerb-edge status`.
package enum Hindrance: Hashable, Sendable, CustomStringConvertible {
    case starting
    case inoperative
    case fault(Fault)
    /// The control pilot is not in C (or D with ventilation).
    case pilotState(PilotState?)
    case ventilationMissing
    case pilotSettling
    case noCurrentOffered
    case diodeNotChecked
    case notAuthorized
    /// Kept for a driver who has not come yet.
    case reserved
    /// No charge may begin; what runs goes on.
    case journal(JournalTrouble)
    /// For whom the connector is kept is not known; nobody new starts.
    case reservationsUnread
    case startNotJournalled
    /// A charge was found open after a restart; whether it goes on is not decided yet.
    case resuming
    case tokenRefused
    case stopping
    case residualCurrentNotReady
    case emergencyStopUnread
    case doorUnread
    case protectiveEarthUnread
    case temperatureUnread
    case mirrorNotOpen(MirrorState)
    case lockNotConfirmed
    case proximityLost
    case closedTooRecently
    /// A fault was there; so much longer nothing closes.
    case restsAfterFault(milliseconds: Int64)
    /// Nothing was decided for a while: what was heard before counts no more, and is heard again.
    case controlWasAbsent
    case meterNeverRead
    case meterStale(ageMilliseconds: Int64)
    /// Below `minimumAmperes` of the board, 6 A or more.
    case limitBelowMinimum(milliamperes: Int64)
    /// By the operator's schedule no energy is offered at this hour.
    case outsideSchedule

    /// True where a closed contactor opens now, whatever flows; otherwise the car is asked first.
    package var isUrgent: Bool {
        switch self {
        case .fault(let fault): fault.opensAtOnce
        case .starting, .pilotState, .ventilationMissing, .diodeNotChecked,
            .residualCurrentNotReady, .emergencyStopUnread, .doorUnread, .protectiveEarthUnread,
            .temperatureUnread, .lockNotConfirmed, .proximityLost, .startNotJournalled, .resuming:
            true
        case .inoperative, .notAuthorized, .journal, .reserved, .reservationsUnread,
            .tokenRefused, .stopping, .meterNeverRead, .meterStale, .limitBelowMinimum,
            .pilotSettling, .noCurrentOffered, .mirrorNotOpen,
            .closedTooRecently, .restsAfterFault, .controlWasAbsent, .outsideSchedule:
            false
        }
    }

    /// What it is without the numbers that change from second to second: two with the same topic are
    /// one state of affairs.
    package var topic: String {
        switch self {
        case .restsAfterFault: "rests after a fault"
        case .meterStale: "meter stale"
        case .limitBelowMinimum: "the limit is below what can be offered"
        case .starting, .inoperative, .fault, .pilotState, .ventilationMissing, .pilotSettling,
            .noCurrentOffered, .diodeNotChecked, .notAuthorized, .reserved, .journal,
            .reservationsUnread, .startNotJournalled, .resuming, .tokenRefused, .stopping,
            .residualCurrentNotReady, .emergencyStopUnread, .doorUnread, .protectiveEarthUnread,
            .temperatureUnread, .mirrorNotOpen, .lockNotConfirmed, .proximityLost,
            .closedTooRecently, .controlWasAbsent, .meterNeverRead, .outsideSchedule:
            description
        }
    }

    /// True for what every closing passes through: no reason to tell the operator.
    var isPassing: Bool {
        switch self {
        case .starting, .pilotSettling, .noCurrentOffered, .closedTooRecently, .controlWasAbsent,
            .startNotJournalled, .pilotState, .diodeNotChecked:
            true
        case .fault, .inoperative, .ventilationMissing, .notAuthorized, .reserved, .journal,
            .reservationsUnread, .resuming, .tokenRefused, .stopping, .residualCurrentNotReady,
            .emergencyStopUnread, .doorUnread, .protectiveEarthUnread, .temperatureUnread,
            .mirrorNotOpen, .lockNotConfirmed, .proximityLost, .restsAfterFault, .meterNeverRead,
            .meterStale, .limitBelowMinimum, .outsideSchedule:
            false
        }
    }

    package var description: String {
        switch self {
        case .starting: "the board is starting"
        case .inoperative: "set out of operation"
        case .fault(let fault): fault.text
        case .pilotState(let state): Self.text(of: state)
        case .ventilationMissing: "the car wants ventilation, there is none"
        case .pilotSettling: "state C not stable for 500 ms yet"
        case .noCurrentOffered: "no current offered on the pilot"
        case .diodeNotChecked: "the car's diode is not checked yet"
        case .notAuthorized: "no authorised transaction"
        case .reserved: "reserved"
        case .journal(let trouble): trouble.description
        case .reservationsUnread: "reservations could not be read"
        case .startNotJournalled: "the start is not on disk yet"
        case .resuming: "whether the charge goes on is not decided yet"
        case .outsideSchedule: "outside the hours of the schedule"
        case .tokenRefused: "the operator refused the token"
        case .stopping: "the transaction is stopping"
        case .residualCurrentNotReady: "residual current device not tested"
        case .emergencyStopUnread: "emergency stop not read"
        case .doorUnread: "door contact not read"
        case .protectiveEarthUnread: "protective earth not read"
        case .temperatureUnread: "temperature not read"
        case .mirrorNotOpen(let state): "mirror contact reads \(state.rawValue)"
        case .lockNotConfirmed: "connector not locked"
        case .proximityLost: "proximity pin not read"
        case .closedTooRecently: "less than 10 s since the last closing"
        case .restsAfterFault(let left): "rests after a fault, \((left + 999) / 1000) s more"
        case .controlWasAbsent: "control was absent, inputs are read again"
        case .meterNeverRead: "meter never read"
        case .meterStale(let age): "meter stale \(age / 1000) s"
        case .limitBelowMinimum(let limit): "limit \(limit / 1000) A is below what can be offered"
        }
    }

    private static func text(of state: PilotState?) -> String {
        switch state {
        case nil: "control pilot not read"
        case .a: "no car connected"
        case .b: "the car does not ask for energy"
        case .c, .d: "the car is ready"
        case .e: "control pilot shorted"
        case .f: "control pilot not available"
        }
    }
}

/// The gate's answer: energy is allowed exactly when nothing hinders it.
package struct Verdict: Hashable, Sendable {
    package var hindrances: [Hindrance]

    package var allows: Bool { hindrances.isEmpty }
    package var isUrgent: Bool { hindrances.contains { $0.isUrgent } }

    package init(hindrances: [Hindrance]) { self.hindrances = hindrances }
}
