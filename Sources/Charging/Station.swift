/// What a station says of itself when it boots. Texts are as sent, bounded by the dialect.
package struct StationIdentity: Hashable, Sendable {
    package var vendor: String
    package var model: String
    package var serial: String?
    package var firmware: String?
    package var meterType: String?
    package var meterSerial: String?

    package init(
        vendor: String, model: String, serial: String? = nil, firmware: String? = nil,
        meterType: String? = nil, meterSerial: String? = nil
    ) {
        self.vendor = vendor
        self.model = model
        self.serial = serial
        self.firmware = firmware
        self.meterType = meterType
        self.meterSerial = meterSerial
    }
}

/// The state of one connector as a driver would see it. OCPP 1.6 §7.7 names all of them.
package enum ConnectorStatus: String, Hashable, Sendable, CaseIterable {
    case available = "Available"
    case preparing = "Preparing"
    case charging = "Charging"
    case suspendedEV = "SuspendedEV"
    case suspendedEVSE = "SuspendedEVSE"
    case finishing = "Finishing"
    case reserved = "Reserved"
    case unavailable = "Unavailable"
    case faulted = "Faulted"
}

/// The number of a connector on its station: 1 and up; 0 means the station itself.
package typealias ConnectorNumber = Int

/// A transaction as both ends name it: OCPP 1.6's number or OCPP 2's text.
///
/// - Note: `.local` is a board's own name for a charge whose StartTransaction is not answered yet; it
///   never leaves the board.
package enum TransactionReference: Hashable, Sendable {
    case number(Int)
    case text(String)
    case local(String)
}

/// Why a charge ended. Raw values are OCPP 1.6 §7.36.
package enum StopReason: String, Hashable, Sendable, CaseIterable {
    case emergencyStop = "EmergencyStop"
    case evDisconnected = "EVDisconnected"
    case hardReset = "HardReset"
    case local = "Local"
    case other = "Other"
    case powerLoss = "PowerLoss"
    case reboot = "Reboot"
    case remote = "Remote"
    case softReset = "SoftReset"
    case unlockCommand = "UnlockCommand"
    case deAuthorized = "DeAuthorized"
}

/// One StatusNotification in neutral words.
package struct StatusReport: Hashable, Sendable {
    package var connector: ConnectorNumber
    package var status: ConnectorStatus
    /// `NoError` or the 1.6 error code; a foreign text is kept as it came.
    package var errorCode: String
    package var info: String?
    package var vendorErrorCode: String?
    /// The station's time; nil when it sent none that can be read.
    package var at: Timestamp?

    package init(
        connector: ConnectorNumber, status: ConnectorStatus, errorCode: String = "NoError",
        info: String? = nil, vendorErrorCode: String? = nil, at: Timestamp?
    ) {
        self.connector = connector
        self.status = status
        self.errorCode = errorCode
        self.info = info
        self.vendorErrorCode = vendorErrorCode
        self.at = at
    }
}

/// What was measured. Raw values are OCPP 1.6 §7.31.
package enum Measurand: String, Hashable, Sendable, CaseIterable {
    case energyImport = "Energy.Active.Import.Register"
    case energyExport = "Energy.Active.Export.Register"
    case powerImport = "Power.Active.Import"
    case powerOffered = "Power.Offered"
    case currentImport = "Current.Import"
    case currentOffered = "Current.Offered"
    case voltage = "Voltage"
    case frequency = "Frequency"
    case powerFactor = "Power.Factor"
    case temperature = "Temperature"
    case stateOfCharge = "SoC"

    /// What its values are counted in here, as OCPP 1.6 §7.46 spells it; a power factor has none.
    package var unit: String? {
        switch self {
        case .energyImport, .energyExport: "Wh"
        case .powerImport, .powerOffered: "W"
        case .currentImport, .currentOffered: "A"
        case .voltage: "V"
        case .frequency: "Hz"
        case .powerFactor: nil
        case .temperature: "Celsius"
        case .stateOfCharge: "Percent"
        }
    }
}

/// Why a sample was taken. Raw values are OCPP 1.6 §7.34.
package enum ReadingContext: String, Hashable, Sendable, CaseIterable {
    case interruptionBegin = "Interruption.Begin"
    case interruptionEnd = "Interruption.End"
    case other = "Other"
    case sampleClock = "Sample.Clock"
    case samplePeriodic = "Sample.Periodic"
    case transactionBegin = "Transaction.Begin"
    case transactionEnd = "Transaction.End"
    case trigger = "Trigger"
}

/// One measured value in its SI unit: Wh, W, A, V, Hz, °C, %, or none for a power factor.
///
/// A measurand Kerb does not know is kept as a `.foreign` so that nothing measured is lost.
package struct MeterSample: Hashable, Sendable {
    package enum Quantity: Hashable, Sendable {
        case known(Measurand)
        case foreign(String, unit: String?)
    }

    package var quantity: Quantity
    package var value: Decimal
    /// `L1`, `L2`, `L3`, `N` or a pair; nil means the sum of all phases.
    package var phase: String?
    package var context: ReadingContext
    /// `Outlet` unless said otherwise. OCPP 1.6 §7.30.
    package var location: String?
    /// A signed record as the meter gave it (OCMF and its kind); then `value` is not read from it.
    package var signed: String?

    package init(
        _ measurand: Measurand, _ value: Decimal, phase: String? = nil,
        context: ReadingContext = .samplePeriodic, location: String? = nil
    ) {
        self.init(
            quantity: .known(measurand), value: value, phase: phase, context: context,
            location: location)
    }

    package init(
        quantity: Quantity, value: Decimal, phase: String? = nil,
        context: ReadingContext = .samplePeriodic, location: String? = nil, signed: String? = nil
    ) {
        self.quantity = quantity
        self.value = value
        self.phase = phase
        self.context = context
        self.location = location
        self.signed = signed
    }
}

/// All samples taken at one moment.
package struct MeterReading: Hashable, Sendable {
    package var at: Timestamp?
    package var samples: [MeterSample]

    package init(at: Timestamp?, samples: [MeterSample]) {
        self.at = at
        self.samples = samples
    }
}

/// What a station tells the operator, in no version's words. `Dialect` maps it to and from the wire.
package enum StationEvent: Hashable, Sendable {
    case booted(StationIdentity)
    case alive
    case statusChanged(StatusReport)
    case authorizing(token: String)
    case sessionStarted(SessionStart)
    case metered(MeterReport)
    case sessionStopped(SessionStop)
    case data(DataMessage)
    case maintenance(MaintenanceReport)
    /// What only one version has, carried raw: the action and its JSON payload.
    case foreign(action: String, payload: String)
}

package struct SessionStart: Hashable, Sendable {
    package var connector: ConnectorNumber
    package var token: String
    package var meterStart: WattHours
    package var at: Timestamp?
    package var reservation: Int?

    package init(
        connector: ConnectorNumber, token: String, meterStart: WattHours, at: Timestamp?,
        reservation: Int? = nil
    ) {
        self.connector = connector
        self.token = token
        self.meterStart = meterStart
        self.at = at
        self.reservation = reservation
    }
}

package struct MeterReport: Hashable, Sendable {
    package var connector: ConnectorNumber
    package var transaction: TransactionReference?
    package var readings: [MeterReading]

    package init(
        connector: ConnectorNumber, transaction: TransactionReference?, readings: [MeterReading]
    ) {
        self.connector = connector
        self.transaction = transaction
        self.readings = readings
    }
}

package struct SessionStop: Hashable, Sendable {
    package var transaction: TransactionReference
    package var meterStop: WattHours
    package var at: Timestamp?
    package var reason: StopReason
    package var token: String?
    package var readings: [MeterReading]

    package init(
        transaction: TransactionReference, meterStop: WattHours, at: Timestamp?, reason: StopReason,
        token: String? = nil, readings: [MeterReading] = []
    ) {
        self.transaction = transaction
        self.meterStop = meterStop
        self.at = at
        self.reason = reason
        self.token = token
        self.readings = readings
    }
}

package struct DataMessage: Hashable, Sendable {
    package var vendor: String
    package var message: String?
    package var data: String?

    package init(vendor: String, message: String? = nil, data: String? = nil) {
        self.vendor = vendor
        self.message = message
        self.data = data
    }
}

/// May this token charge? Raw values are OCPP 1.6 §7.2.
package enum AuthorizationStatus: String, Hashable, Sendable, CaseIterable {
    case accepted = "Accepted"
    case blocked = "Blocked"
    case expired = "Expired"
    case invalid = "Invalid"
    case concurrentTransaction = "ConcurrentTx"
}

package struct AuthorizationInfo: Hashable, Sendable {
    package var status: AuthorizationStatus
    package var group: String?
    package var expires: Timestamp?
    /// It came with an end that nobody could read: it counts for now and must not be kept.
    package var isEndUnread = false

    package init(_ status: AuthorizationStatus, group: String? = nil, expires: Timestamp? = nil) {
        self.status = status
        self.group = group
        self.expires = expires
    }
}

package enum RegistrationStatus: String, Hashable, Sendable, CaseIterable {
    case accepted = "Accepted"
    case pending = "Pending"
    case rejected = "Rejected"
}

/// How the operator answers a `StationEvent`; the case must match the event's kind.
package enum StationReply: Hashable, Sendable {
    case booted(RegistrationStatus, intervalSeconds: Int, now: Timestamp)
    case alive(now: Timestamp)
    case noted
    case authorization(AuthorizationInfo)
    case started(TransactionReference, AuthorizationInfo)
    /// nil when the stop named no token.
    case stopped(AuthorizationInfo?)
    case data(status: String, data: String?)
    /// Whether a certificate that was asked for will be made.
    case certificateRequested(isAccepted: Bool)
    case foreign(payload: String)
}

package enum ResetKind: String, Hashable, Sendable { case soft = "Soft", hard = "Hard" }

/// What the operator asks of a station, in no version's words.
package enum StationCommand: Hashable, Sendable {
    case start(connector: ConnectorNumber?, token: String)
    case stop(TransactionReference)
    case unlock(connector: ConnectorNumber)
    case reset(ResetKind)
    case setAvailability(connector: ConnectorNumber, operative: Bool)
    case changeSetting(key: String, value: String)
    /// Empty asks for all.
    case getSettings(keys: [String])
    case clearCache
    case trigger(message: String, connector: ConnectorNumber?)
    case sendLocalList(LocalListUpdate)
    case getLocalListVersion
    case reserve(Reservation)
    case cancelReservation(id: Int)
    case data(DataMessage)
    /// A start that brings the charge's own profile; it names no transaction yet.
    case startLimited(connector: ConnectorNumber?, token: String, ChargingProfile)
    case setProfile(connector: ConnectorNumber, ChargingProfile)
    case clearProfiles(ProfileFilter)
    /// Connector 0 asks for the station's sum; no unit leaves the choice to the station.
    case getComposite(connector: ConnectorNumber, seconds: Int, unit: ChargingSchedule.Unit?)
    case maintenance(MaintenanceOrder)
    case foreign(action: String, payload: String)
}

package struct Setting: Hashable, Sendable {
    package var key: String
    package var value: String?
    package var isReadOnly: Bool

    package init(key: String, value: String?, isReadOnly: Bool) {
        self.key = key
        self.value = value
        self.isReadOnly = isReadOnly
    }
}

/// A station's answer to a `StationCommand`: an expected outcome, not an error.
package enum CommandAnswer: Hashable, Sendable {
    /// `status` as the version spells it: Accepted, Rejected, Scheduled, RebootRequired, NotSupported, Unlocked…
    case status(String)
    case settings([Setting], unknown: [String])
    /// 0 for an empty list, −1 where there are no lists.
    case listVersion(Int)
    case data(status: String, data: String?)
    /// nil: the station has no schedule to tell.
    case composite(CompositeSchedule?)
    case maintenance(MaintenanceAnswer)
    case foreign(payload: String)
}
