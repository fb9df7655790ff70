import Charging

/// A condition that makes a connector Faulted.
package enum Fault: String, Hashable, Sendable, CaseIterable, Comparable {
    case emergencyStop
    case residualCurrent
    /// The 6 mA d.c. sensor tripped, where it tells so apart.
    case directCurrent
    /// The protective earth is lost, or nobody can tell.
    case protectiveEarthLost
    /// The residual current device did not pass its own test.
    case selfTestFailed
    /// The mirror says closed although the contactor was told to open.
    case weldedContact
    /// The mirror says open although the contactor was told to close.
    case stuckContact
    /// The mirror cannot be read.
    case mirrorUnreadable
    /// An output could not be set.
    case outputFailed
    case pilot
    case diode
    case proximity
    case overTemperature
    case doorOpen
    case lock
    case overCurrent
    case overVoltage
    /// A phase without voltage, or the phases far apart: a fuse, a broken neutral.
    case phaseLost
    case underVoltage
    /// No good reading for too long.
    case meterLost
    /// The register fell, leapt, or stands still although current flows; a person must look.
    case meterAbsurd
    /// An input the board has gave no reading since the start, or none for too long.
    case inputMissing

    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    package enum Latch: Hashable, Sendable {
        /// Gone when its cause is.
        case none
        /// Stays, over restarts too, until the car is unplugged.
        case unplugged
        /// Stays, over restarts too, until a person clears it.
        case person
    }

    package var latch: Latch {
        switch self {
        case .residualCurrent, .directCurrent, .selfTestFailed, .weldedContact, .stuckContact,
            .meterAbsurd:
            .person
        case .diode, .overCurrent: .unplugged
        case .emergencyStop, .protectiveEarthLost, .mirrorUnreadable, .outputFailed, .pilot,
            .proximity, .overTemperature, .doorOpen, .lock, .overVoltage, .phaseLost, .underVoltage,
            .meterLost, .inputMissing:
            .none
        }
    }

    /// True where the contactor opens before anything else, under load if need be.
    package var opensAtOnce: Bool {
        switch self {
        case .emergencyStop, .residualCurrent, .directCurrent, .protectiveEarthLost,
            .selfTestFailed,
            .weldedContact, .stuckContact, .mirrorUnreadable, .outputFailed, .pilot, .diode,
            .proximity, .overTemperature, .doorOpen, .lock, .overVoltage, .inputMissing:
            true
        case .overCurrent, .phaseLost, .underVoltage, .meterLost, .meterAbsurd: false
        }
    }

    /// True where the pilot shows F for as long as the fault lasts.
    package var signalsF: Bool {
        switch self {
        case .emergencyStop, .residualCurrent, .directCurrent, .protectiveEarthLost,
            .selfTestFailed,
            .weldedContact, .stuckContact:
            true
        case .mirrorUnreadable, .outputFailed, .pilot, .diode, .proximity, .overTemperature,
            .doorOpen, .lock, .overCurrent, .overVoltage, .phaseLost, .underVoltage, .meterLost,
            .meterAbsurd, .inputMissing:
            false
        }
    }

    /// The StatusNotification error code. OCPP 1.6 §7.6.
    package var errorCode: String {
        switch self {
        case .residualCurrent, .directCurrent, .protectiveEarthLost, .selfTestFailed:
            "GroundFailure"
        case .weldedContact, .stuckContact, .mirrorUnreadable, .outputFailed: "PowerSwitchFailure"
        case .overTemperature: "HighTemperature"
        case .lock: "ConnectorLockFailure"
        case .overCurrent: "OverCurrentFailure"
        case .overVoltage: "OverVoltage"
        case .phaseLost, .underVoltage: "UnderVoltage"
        case .meterLost, .meterAbsurd: "PowerMeterFailure"
        case .emergencyStop, .pilot, .diode, .proximity, .doorOpen, .inputMissing: "OtherError"
        }
    }

    /// The vendor code, from the ChargeX MREC list where it has one.
    package var vendorErrorCode: String? {
        switch self {
        case .residualCurrent, .directCurrent, .selfTestFailed: "MREC2GroundFailure"
        case .overTemperature: "MREC3HighTemperature"
        case .overCurrent: "MREC4OverCurrentFailure"
        case .overVoltage: "MREC5OverVoltage"
        case .underVoltage: "MREC6UnderVoltage"
        case .phaseLost: "MREC15PowerLoss"
        case .emergencyStop: "MREC8EmergencyStop"
        case .pilot: "MREC14PilotFault"
        case .weldedContact, .stuckContact: "MREC17EVSEContactorFault"
        case .proximity: "MREC23ProximityFault"
        case .diode: "DiodeFault"
        case .protectiveEarthLost: "ProtectiveEarthLost"
        case .doorOpen: "EnclosureOpen"
        case .mirrorUnreadable, .outputFailed, .lock, .meterLost, .meterAbsurd, .inputMissing: nil
        }
    }

    /// What a technician reads; at most 50 characters, as OCPP 1.6's `info`.
    package var text: String {
        switch self {
        case .emergencyStop: "emergency stop pressed"
        case .residualCurrent: "residual current device tripped"
        case .directCurrent: "6 mA d.c. sensor tripped"
        case .protectiveEarthLost: "protective earth lost"
        case .selfTestFailed: "residual current device failed its test"
        case .weldedContact: "contactor told to open, mirror says closed"
        case .stuckContact: "contactor told to close, mirror says open"
        case .mirrorUnreadable: "mirror contact cannot be read"
        case .outputFailed: "an output could not be set"
        case .pilot: "control pilot shorted or out of range"
        case .diode: "no diode behind the control pilot"
        case .proximity: "proximity pin lost while charging"
        case .overTemperature: "too hot"
        case .doorOpen: "enclosure open"
        case .lock: "connector lock does not confirm"
        case .overCurrent: "car draws more than it is offered"
        case .overVoltage: "supply voltage too high"
        case .phaseLost: "a phase of the supply is lost"
        case .underVoltage: "supply voltage too low"
        case .meterLost: "meter does not answer"
        case .meterAbsurd: "meter register fell, leapt or stands still"
        case .inputMissing: "an input no longer speaks"
        }
    }
}
