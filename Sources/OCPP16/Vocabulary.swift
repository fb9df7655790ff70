import Charging
import OCPP

/// The closed word lists of OCPP 1.6 §7, as a strict sender must spell them.
enum Vocabulary {
    /// §7.31.
    static let measurands: [String] = [
        "Current.Export", "Current.Import", "Current.Offered", "Energy.Active.Export.Interval",
        "Energy.Active.Export.Register", "Energy.Active.Import.Interval",
        "Energy.Active.Import.Register", "Energy.Reactive.Export.Interval",
        "Energy.Reactive.Export.Register", "Energy.Reactive.Import.Interval",
        "Energy.Reactive.Import.Register", "Frequency", "Power.Active.Export",
        "Power.Active.Import", "Power.Factor", "Power.Offered", "Power.Reactive.Export",
        "Power.Reactive.Import", "RPM", "SoC", "Temperature", "Voltage",
    ]

    /// §7.45; both spellings of the degree stand in the official schema.
    static let units: Set<String> = [
        "A", "Celcius", "Celsius", "Fahrenheit", "K", "Percent", "V", "VA", "W", "Wh", "kVA", "kW",
        "kWh", "kvar", "kvarh", "var", "varh",
    ]

    /// §7.30.
    static let locations: Set<String> = ["Body", "Cable", "EV", "Inlet", "Outlet"]

    /// §7.36.
    static let phases: Set<String> = [
        "L1", "L1-L2", "L1-N", "L2", "L2-L3", "L2-N", "L3", "L3-L1", "L3-N", "N",
    ]

    /// §7.6.
    static let errorCodes: Set<String> = [
        "ConnectorLockFailure", "EVCommunicationError", "GroundFailure", "HighTemperature",
        "InternalError", "LocalListConflict", "NoError", "OtherError", "OverCurrentFailure",
        "OverVoltage", "PowerMeterFailure", "PowerSwitchFailure", "ReaderFailure", "ResetFailure",
        "UnderVoltage", "WeakSignal",
    ]

    /// §7.27.
    static let triggers: Set<String> = [
        "BootNotification", "DiagnosticsStatusNotification", "FirmwareStatusNotification",
        "Heartbeat", "MeterValues", "StatusNotification",
    ]

    /// All actions of 1.6 and its security extension: a known one that Kerb does not serve is
    /// answered NotSupported, any other NotImplemented.
    static let actions: Set<String> = [
        "Authorize", "BootNotification", "CancelReservation", "CertificateSigned",
        "ChangeAvailability", "ChangeConfiguration", "ClearCache", "ClearChargingProfile",
        "DataTransfer", "DeleteCertificate", "DiagnosticsStatusNotification",
        "ExtendedTriggerMessage", "FirmwareStatusNotification", "GetCompositeSchedule",
        "GetConfiguration", "GetDiagnostics", "GetInstalledCertificateIds", "GetLocalListVersion",
        "GetLog", "Heartbeat", "InstallCertificate", "LogStatusNotification", "MeterValues",
        "RemoteStartTransaction", "RemoteStopTransaction", "ReserveNow", "Reset",
        "SecurityEventNotification", "SendLocalList", "SetChargingProfile", "SignCertificate",
        "SignedFirmwareStatusNotification", "SignedUpdateFirmware", "StartTransaction",
        "StatusNotification", "StopTransaction", "TriggerMessage", "UnlockConnector",
        "UpdateFirmware",
    ]

    /// A station's reports that need nothing but an empty answer, asked for or not.
    static let reports: Set<String> = [
        "DiagnosticsStatusNotification", "FirmwareStatusNotification", "LogStatusNotification",
        "SecurityEventNotification", "SignedFirmwareStatusNotification",
    ]

    /// What connector 0 may be. §7.7.
    static let stationStates: Set<ConnectorStatus> = [.available, .unavailable, .faulted]
}

// MARK: Words with their neutral meaning

extension Vocabulary {
    static let registration = Words<RegistrationStatus>([
        ("Accepted", .accepted), ("Pending", .pending), ("Rejected", .rejected),
    ])

    static let authorization = Words<AuthorizationStatus>([
        ("Accepted", .accepted), ("Blocked", .blocked), ("Expired", .expired),
        ("Invalid", .invalid), ("ConcurrentTx", .concurrentTransaction),
    ])

    static let status = Words<ConnectorStatus>([
        ("Available", .available), ("Preparing", .preparing), ("Charging", .charging),
        ("SuspendedEV", .suspendedEV), ("SuspendedEVSE", .suspendedEVSE),
        ("Finishing", .finishing), ("Reserved", .reserved), ("Unavailable", .unavailable),
        ("Faulted", .faulted),
    ])

    static let reason = Words<StopReason>([
        ("EmergencyStop", .emergencyStop), ("EVDisconnected", .evDisconnected),
        ("HardReset", .hardReset), ("Local", .local), ("Other", .other),
        ("PowerLoss", .powerLoss), ("Reboot", .reboot), ("Remote", .remote),
        ("SoftReset", .softReset), ("UnlockCommand", .unlockCommand),
        ("DeAuthorized", .deAuthorized),
    ])

    static let update = Words<LocalListUpdate.Kind>([
        ("Full", .full), ("Differential", .differential),
    ])

    static let measurand = Words<Measurand>([
        ("Energy.Active.Import.Register", .energyImport),
        ("Energy.Active.Export.Register", .energyExport),
        ("Power.Active.Import", .powerImport), ("Power.Offered", .powerOffered),
        ("Current.Import", .currentImport), ("Current.Offered", .currentOffered),
        ("Voltage", .voltage), ("Frequency", .frequency), ("Power.Factor", .powerFactor),
        ("Temperature", .temperature), ("SoC", .stateOfCharge),
    ])

    static let context = Words<ReadingContext>([
        ("Sample.Periodic", .samplePeriodic), ("Sample.Clock", .sampleClock),
        ("Transaction.Begin", .transactionBegin), ("Transaction.End", .transactionEnd),
        ("Interruption.Begin", .interruptionBegin), ("Interruption.End", .interruptionEnd),
        ("Trigger", .trigger), ("Other", .other),
    ])
}
