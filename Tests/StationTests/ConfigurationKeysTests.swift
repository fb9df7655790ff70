import Charging
import OCPP
import OCPP16
import Service
import TestSupport
import Testing

@testable import Station

/// Every key of OCPP 1.6 §9 and its errata, its type, its access, and whether a board of ours offers it.
private struct Key: Sendable {
    enum Kind: Sendable { case boolean, integer, list }

    var name: String
    var kind: Kind
    var isReadOnly: Bool
    var isOffered: Bool

    init(_ name: String, _ kind: Kind, readOnly: Bool = false, offered: Bool = true) {
        self.name = name
        self.kind = kind
        isReadOnly = readOnly
        isOffered = offered
    }

    static let all: [Key] = [
        Key("AllowOfflineTxForUnknownId", .boolean), Key("AuthorizationCacheEnabled", .boolean),
        Key("AuthorizeRemoteTxRequests", .boolean),
        // No light that can be set.
        Key("BlinkRepeat", .integer, offered: false),
        Key("ClockAlignedDataInterval", .integer), Key("ConnectionTimeOut", .integer),
        Key("ConnectorPhaseRotation", .list),
        Key("ConnectorPhaseRotationMaxLength", .integer, readOnly: true),
        Key("GetConfigurationMaxKeys", .integer, readOnly: true),
        Key("HeartbeatInterval", .integer),
        Key("LightIntensity", .integer, offered: false),
        Key("LocalAuthorizeOffline", .boolean), Key("LocalPreAuthorize", .boolean),
        Key("MaxEnergyOnInvalidId", .integer), Key("MeterValuesAlignedData", .list),
        Key("MeterValuesAlignedDataMaxLength", .integer, readOnly: true),
        Key("MeterValuesSampledData", .list),
        Key("MeterValuesSampledDataMaxLength", .integer, readOnly: true),
        Key("MeterValueSampleInterval", .integer), Key("MinimumStatusDuration", .integer),
        Key("NumberOfConnectors", .integer, readOnly: true), Key("ResetRetries", .integer),
        Key("StopTransactionOnEVSideDisconnect", .boolean),
        Key("StopTransactionOnInvalidId", .boolean), Key("StopTxnAlignedData", .list),
        Key("StopTxnAlignedDataMaxLength", .integer, readOnly: true),
        Key("StopTxnSampledData", .list),
        Key("StopTxnSampledDataMaxLength", .integer, readOnly: true),
        Key("SupportedFeatureProfiles", .list, readOnly: true),
        Key("SupportedFeatureProfilesMaxLength", .integer, readOnly: true),
        Key("TransactionMessageAttempts", .integer),
        Key("TransactionMessageRetryInterval", .integer),
        Key("UnlockConnectorOnEVSideDisconnect", .boolean),
        Key("WebSocketPingInterval", .integer), Key("LocalAuthListEnabled", .boolean),
        Key("LocalAuthListMaxLength", .integer, readOnly: true),
        Key("SendLocalListMaxLength", .integer, readOnly: true),
        Key("ReserveConnectorZeroSupported", .boolean, readOnly: true),
        Key("SupportedFileTransferProtocols", .list, readOnly: true),
    ]
}

@Suite(.timeLimit(.minutes(2))) struct `The configuration keys` {
    private func settings(_ written: [String: String] = [:]) -> StationSettings {
        StationSettings(
            catalogue: .ocpp16,
            defaults: [
                .connectorCount: "2", .maximumKeysPerRead: "100",
                .supportedProfiles: "Core,LocalAuthListManagement",
                .securityProfile: "2", .transferProtocols: "FTPS,HTTPS",
            ], written: written)
    }

    private func value(_ key: String, _ settings: StationSettings) -> Setting? {
        guard case .settings(let found, _) = settings.answer(to: [key]) else { return nil }
        return found.first
    }

    @Test func `are each offered with the documented type or deliberately absent`() {
        let settings = settings()
        for key in Key.all {
            let found = value(key.name, settings)
            #expect((found != nil) == key.isOffered, "\(key.name)")
            guard let found else {
                #expect(settings.verdict(on: "1", for: key.name) == .notSupported, "\(key.name)")
                continue
            }
            #expect(found.isReadOnly == key.isReadOnly, "\(key.name)")
            switch key.kind {
            case .boolean: #expect(["true", "false"].contains(found.value), "\(key.name)")
            case .integer: #expect(found.value.flatMap { Int($0) } != nil, "\(key.name)")
            case .list: #expect(found.value != nil, "\(key.name)")
            }
            let wrong = key.kind == .boolean ? "perhaps" : "-1,x"
            #expect(settings.verdict(on: wrong, for: key.name) == .rejected, "\(key.name)")
            let same = settings.verdict(on: found.value ?? "", for: key.name)
            if key.isReadOnly {
                #expect(same == .rejected, "\(key.name)")
            } else {
                guard case .accepted = same else {
                    Issue.record("\(key.name) does not take its own value: \(same)")
                    continue
                }
            }
        }
    }

    @Test(arguments: [
        ("BlinkRepeat", 0, 100_000), ("ClockAlignedDataInterval", 0, 86_400),
        ("ConnectionTimeOut", 1, 86_400), ("HeartbeatInterval", 0, 86_400),
        ("LightIntensity", 0, 100), ("MaxEnergyOnInvalidId", 0, 100_000),
        ("MeterValueSampleInterval", 0, 86_400), ("MinimumStatusDuration", 0, 3_600),
        ("ResetRetries", 0, 10), ("TransactionMessageAttempts", 1, 1_000),
        ("TransactionMessageRetryInterval", 0, 86_400), ("WebSocketPingInterval", 0, 3_600),
        ("SecurityProfile", 0, 3),
    ])
    func `are taken to the bounds of their range and no further`(
        _ key: String, _ least: Int, _ most: Int
    ) {
        let keys = SettingsCatalogue.ocpp16
        for good in [least, most] {
            #expect(
                keys.verdict(on: String(good), for: key)
                    == .accepted(String(good), needsReboot: false))
        }
        for bad in [least - 1, most + 1] {
            #expect(keys.verdict(on: String(bad), for: key) == .rejected)
        }
        let writable = keys.definitions.filter {
            if case .integer = $0.kind { $0.access == .readWrite } else { false }
        }
        #expect(writable.count == 13, "every writable number stands above")
    }

    @Test func `wait a standard minute for the car where an older program was told not at all`() {
        let settings = settings(["ConnectionTimeOut": "0"])
        #expect(settings.connectorRules.connectionTimeoutMilliseconds == 60_000)
        #expect(settings.verdict(on: "0", for: "ConnectionTimeOut") == .rejected)
        #expect(
            self.settings(["ConnectionTimeOut": "1"]).connectorRules.connectionTimeoutMilliseconds
                == 1_000)
    }

    @Test func `are printed with access, range and whether a restart is needed`() {
        let lines = SettingsCatalogue.ocpp16.text.split(separator: "\n")
        #expect(lines.count == SettingsCatalogue.ocpp16.definitions.count + 1)
        func words(_ key: String) -> [Substring]? {
            lines.first { $0.hasPrefix(key + " ") }?.split(separator: " ")
        }
        #expect(words("SecurityProfile") == ["SecurityProfile", "read,", "write", "0-3"])
        #expect(words("NumberOfConnectors") == ["NumberOfConnectors", "read", "0-64"])
        #expect(
            words("ResetRetries") == ["ResetRetries", "read,", "write", "0-10", "1"])
        #expect(
            words("AuthorizationKey")
                == ["AuthorizationKey", "write", "32", "to", "40", "hexadecimal", "digits"])
        for key in ["BlinkRepeat", "LightIntensity"] {
            #expect(words(key)?.prefix(3) == [Substring(key), "not", "offered"])
        }
        #expect(!lines.contains { $0.hasSuffix(" ") })
        let offered = Set(
            SettingsCatalogue.ocpp16.definitions.filter(\.isOffered).map(\.key))
        for key in Key.all { #expect(offered.contains(key.name) == key.isOffered, "\(key.name)") }
    }

    @Test(arguments: [
        (String(repeating: "aB", count: 16), true), (String(repeating: "09", count: 20), true),
        (String(repeating: "ab", count: 15), false), (String(repeating: "ab", count: 21), false),
        (String(repeating: "a", count: 33), false), (String(repeating: "ax", count: 16), false),
        (String(repeating: "é1", count: 16), false),
    ])
    func `take a password of 16 to 20 bytes in hexadecimal digits`(
        _ value: String, _ isTaken: Bool
    ) {
        let verdict = SettingsCatalogue.ocpp16.verdict(on: value, for: "AuthorizationKey")
        #expect(verdict == (isTaken ? .accepted(value, needsReboot: false) : .rejected))
    }

    /// Keys of other chapters and of the security extension have their own tests.
    @Test func `stand in the table above, all of chapters 9 point 1 to 3`() {
        let others = [
            "ChargeProfile", "ChargingSchedule", "ConnectorSwitch", "MaxChargingProfiles",
            "AdditionalRoot", "AuthorizationKey", "Certificate", "CpoName", "SecurityProfile",
        ]
        let known = Set(Key.all.map(\.name))
        let strange = SettingsCatalogue.ocpp16.definitions.map(\.key).filter { key in
            !known.contains(key) && !others.contains { key.hasPrefix($0) }
        }
        #expect(strange == [])
    }

    @Test(arguments: [
        ("MeterValuesSampledData", "Energy.Active.Import.Register,Voltage.L1", true),
        ("MeterValuesSampledData", "Voltage,Current.Import.L2 , Power.Active.Import", true),
        ("MeterValuesSampledData", "", true),
        ("MeterValuesSampledData", "Voltage,SoC", false),
        ("MeterValuesSampledData", "Voltage,Voltage", false),
        ("MeterValuesSampledData", "Voltage.L4", false),
        ("MeterValuesAlignedData", "Energy.Active.Import.Register", true),
        ("StopTxnSampledData", "Nonsense", false),
        ("ClockAlignedDataInterval", "900", true), ("ClockAlignedDataInterval", "86401", false),
        ("WebSocketPingInterval", "0", true), ("MaxEnergyOnInvalidId", "500", true),
        ("ResetRetries", "3", true), ("LocalAuthListEnabled", "TRUE", true),
    ])
    func `take what makes sense and refuse the rest`(
        _ key: String, _ value: String, _ isTaken: Bool
    ) {
        let verdict = settings().verdict(on: value, for: key)
        if case .accepted = verdict {
            #expect(isTaken)
        } else {
            #expect(!isTaken)
            #expect(verdict == .rejected)
        }
    }

    @Test(arguments: [
        ("0.RST,1.STR,2.NotApplicable", true), ("2.NotApplicable, 0.RST, 1.STR", true),
        ("0.RST,1.RST,2.NotApplicable", false), ("0.RST,1.STR", false), ("", false),
        ("0.RST,1.STR,2.NotApplicable,2.NotApplicable", false), ("STR", false),
    ])
    func `say how connectors are wired, and may only be confirmed`(
        _ value: String, _ isTaken: Bool
    ) {
        let wired = StationSettings.rotation(phases: 3, wiring: [2: .l2, 1: .str])
        #expect(wired == "0.RST,1.STR,2.NotApplicable")
        // What an older program let the operator write does not come back.
        let settings = StationSettings(
            catalogue: .ocpp16, defaults: [.connectorCount: "2", .phaseRotation: wired],
            written: ["ConnectorPhaseRotation": "0.RST,1.TSR"])
        #expect(settings.text(.phaseRotation) == wired)
        let verdict = settings.verdict(on: value, for: "ConnectorPhaseRotation")
        #expect((verdict != .rejected) == isTaken)
    }

    @Test func `of an older program that no longer fit are forgotten`() {
        let settings = settings([
            "MeterValuesSampledData": "SoC", "ResetRetries": "many", "HeartbeatInterval": "100000",
        ])
        #expect(settings.text(.measurandsSampled) == "Energy.Active.Import.Register")
        #expect(settings.int(.resetRetries, else: 0) == 1)
        #expect(settings.int(.heartbeatIntervalSeconds, else: 0) == 86_400, "not the standard 300")
    }
}
