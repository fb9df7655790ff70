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

@Suite struct `Clock-aligned moments` {
    private func time(_ text: String) -> Timestamp { Timestamp(rfc3339: text)! }

    @Test(arguments: [
        ("2026-11-27T10:07:31.250Z", 900, "2026-11-27T10:00:00Z"),
        ("2026-11-27T10:15:00Z", 900, "2026-11-27T10:15:00Z"),
        ("2026-11-27T23:59:59.999Z", 3600, "2026-11-27T23:00:00Z"),
        // 7 hours do not divide the day: the last interval is short, midnight begins a new one.
        ("2026-11-27T20:59:00Z", 25_200, "2026-11-27T14:00:00Z"),
        ("2026-11-27T23:00:00Z", 25_200, "2026-11-27T21:00:00Z"),
        ("2026-11-28T00:00:01Z", 25_200, "2026-11-28T00:00:00Z"),
        ("1969-12-31T23:59:59Z", 86_400, "1969-12-31T00:00:00Z"),
    ])
    func `are counted from midnight`(_ now: String, _ interval: Int, _ moment: String) {
        #expect(AlignedTime.before(time(now), everySeconds: interval) == time(moment))
    }
}

@Suite(.timeLimit(.minutes(2))) struct `A station's settings` {
    let folder = TemporaryFolder()

    private func station(_ settings: [String: String]) async throws -> TestStation {
        try await TestStation.make(path: folder.file("board.db"), settings: settings)
    }

    @Test func `bound how many keys are asked at once`() async throws {
        let station = try await station([:])
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            let many = (1...101).map { "Key\($0)" }
            #expect(try await peer.ask(.getSettings(keys: many)) == nil)
            let some = Array(many.prefix(100))
            #expect(
                try await peer.ask(.getSettings(keys: some)) == .settings([], unknown: some))
        }
    }

    @Test func `make it read its meters by the clock, with and without a charge`() async throws {
        let station = try await station([
            "ClockAlignedDataInterval": "1", "MeterValueSampleInterval": "0",
            "MeterValuesAlignedData": "Energy.Active.Import.Register,Current.Import.L1",
        ])
        let peer = TestOperator()
        station.links.yield(peer)
        station.board.change { $0.isPlugged = true }
        try await station.during { () async throws in
            await peer.hears { $0.reports.contains { $0.transaction == nil } }
            _ = try await peer.ask(.start(connector: 1, token: "TAG"))
            await peer.hears { $0.reports.count { $0.transaction == .number(5_000) } >= 2 }
        }
        let readings = peer.heard.reports.flatMap(\.readings)
        #expect(readings.allSatisfy { $0.samples.allSatisfy { $0.context == .sampleClock } })
        #expect(readings.allSatisfy { $0.samples.count == 2 && $0.samples[1].phase == "L1" })
    }

    @Test func `put what was sampled into the stop`() async throws {
        let station = try await station([
            "MeterValueSampleInterval": "1", "ClockAlignedDataInterval": "1",
            "MeterValuesSampledData": "", "MeterValuesAlignedData": "",
            "StopTxnSampledData": "Energy.Active.Import.Register,Power.Active.Import",
            "StopTxnAlignedData": "Power.Active.Import",
        ])
        let peer = TestOperator()
        station.links.yield(peer)
        station.board.change { $0.isPlugged = true }
        try await station.during { () async throws in
            await peer.hears(status: .preparing)
            _ = try await peer.ask(.start(connector: 1, token: "TAG"))
            try await until {
                guard let charge = await station.controller.charge()?.id else { return false }
                return try await station.journal.stopData(of: charge)?.samples.count ?? 0 >= 3
            }
            _ = try await peer.ask(.stop(.number(5_000)))
            await peer.hears { !$0.stops.isEmpty }
            await until { await station.agent.view().journalDepth == 0 }
        }
        #expect(peer.heard.reports.isEmpty)
        let stop = try #require(peer.heard.stops.first)
        let contexts = stop.readings.compactMap { $0.samples.first?.context }
        #expect(contexts.first == .transactionBegin && contexts.last == .transactionEnd)
        #expect(contexts.contains(.samplePeriodic) && contexts.contains(.sampleClock))
        #expect(
            stop.readings.last?.samples.first?.value == Decimal(stop.meterStop.value))
        for reading in stop.readings where reading.samples.first?.context == .sampleClock {
            #expect(reading.samples.map(\.quantity) == [.known(.powerImport)])
        }
    }

    @Test func `send no more in a stop than it can carry, over the whole charge`() async throws {
        let journal = try await BoardJournal(path: folder.file("board.db"), bootID: "boot-1")
        journal.stopDataRules.withLock { $0.keepsSampled = true }
        let noon = Timestamp(seconds: 1_795_262_400)
        let charge = try await journal.start(
            connector: 1, token: "T", isRemote: false, register: WattHours(1), at: noon)
        for minute in 0..<500 {
            try await journal.sample(
                StoredSample(
                    MeterSnapshot(
                        register: WattHours(Int64(minute)), askedAt: 0,
                        at: noon.advanced(bySeconds: Int64(minute) * 60)), .samplePeriodic),
                of: charge)
        }
        let samples = try #require(try await journal.stopData(of: charge)).samples
        #expect(samples.count <= JournalLimits().stopSamples)
        #expect(samples.count >= JournalLimits().stopSamples / 2)
        #expect(samples.first?.snapshot.register == WattHours(0))
        #expect((samples.last?.snapshot.register ?? .zero) > WattHours(450))
        await journal.close()
    }

    @Test func `say that one counts after a restart only, and keep it until then`() async throws {
        let catalogue = SettingsCatalogue([
            .init("AtStartOnly", nil, .integer(0...9), standard: "1", needsReboot: true),
            .init("AtOnce", nil, .integer(0...9), standard: "1"),
        ])
        let station = try await TestStation.make(
            path: folder.file("board.db"), catalogue: catalogue)
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            for (key, status) in [("atstartonly", "RebootRequired"), ("AtOnce", "Accepted")] {
                let answer = try await peer.ask(.changeSetting(key: key, value: "5"))
                #expect(answer == .status(status), "\(key)")
            }
            #expect(
                try await station.journal.settings() == ["AtStartOnly": "5", "AtOnce": "5"])
        }
    }

    @Test func `try a reset again that did not end the program`() async throws {
        let station = try await station(["ResetRetries": "2"])
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            #expect(try await peer.ask(.reset(.soft)) == .status("Accepted"))
            await until { station.resets.withLock { $0 } == 3 }
        }
        #expect(station.resets.withLock { $0 } == 3)
    }

    @Test func `tell vendors and messages apart`() async throws {
        let station = try await station([:])
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            for (vendor, message, status) in [
                ("Other", "Status", "UnknownVendorId"), ("kerb", "Nonsense", "UnknownMessageId"),
                ("kerb", nil, "UnknownMessageId"), ("kerb", "Status", "Accepted"),
            ] as [(String, String?, String)] {
                let answer = try await peer.ask(
                    .data(DataMessage(vendor: vendor, message: message, data: "x")))
                guard case .data(let found, _) = answer else {
                    Issue.record("no answer")
                    continue
                }
                #expect(found == status, "\(vendor) \(message ?? "")")
            }
        }
    }

    @Test func `decide nothing about triggers, obeyed as far as the board has what they ask for`()
        async throws
    {
        let station = try await station([:])
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            // This one has nothing that looks after firmware and logs.
            for action in ["DiagnosticsStatusNotification", "FirmwareStatusNotification"] {
                #expect(
                    try await peer.ask(.trigger(message: action, connector: 9))
                        == .status("NotImplemented"))
            }
            #expect(
                try await peer.ask(.trigger(message: "MeterValues", connector: 1))
                    == .status("Accepted"))
            await peer.hears { !$0.reports.isEmpty }
            for message in ["MeterValues", "StatusNotification"] {
                #expect(
                    try await peer.ask(.trigger(message: message, connector: 9))
                        == .status("Rejected"))
            }
            #expect(
                try await peer.ask(.trigger(message: "BootNotification", connector: nil))
                    == .status("Rejected"))
        }
    }
}
