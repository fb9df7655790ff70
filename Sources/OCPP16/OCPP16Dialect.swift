import Charging
import JSON
import OCPP

/// OCPP 1.6 over JSON, edition 2 with errata: each action's file between wire and neutral words.
package struct OCPP16Dialect: Dialect {
    package init() {}

    package var version: ProtocolVersion { .v16 }
    package var settings: SettingsCatalogue { .ocpp16 }

    package func knows(action: String) -> Bool { Vocabulary.actions.contains(action) }

    private func refuse(_ action: String) -> CallError {
        knows(action: action)
            ? CallError(.notSupported, "the action is not offered here")
            : CallError(.notImplemented, "the action is not part of OCPP 1.6")
    }

    func request(
        _ action: String, _ write: (inout JSONWriter) throws(DialectError) -> Void
    ) throws(DialectError) -> CallRequest {
        var writer = JSONWriter(reserving: 256)
        try write(&writer)
        return CallRequest(action: action, payload: writer.bytes)
    }
}

// MARK: Station to operator

extension OCPP16Dialect {
    package func request(for event: StationEvent) throws(DialectError) -> CallRequest {
        switch event {
        case .booted(let identity):
            return try request(BootNotification.action) { BootNotification.write(identity, &$0) }
        case .alive: return try request(Heartbeat.action) { Heartbeat.write(&$0) }
        case .statusChanged(let report):
            try Self.check(connector: report.connector)
            return try request(StatusNotification.action) { StatusNotification.write(report, &$0) }
        case .authorizing(let token):
            try Self.check(token: token)
            return try request(Authorize.action) { Authorize.write(token, &$0) }
        case .sessionStarted(let start): return try request(for: start)
        case .metered(let report): return try request(for: report)
        case .sessionStopped(let stop): return try request(for: stop)
        case .data(let message):
            try Self.check(message)
            return try request(DataTransfer.action) { DataTransfer.write(message, &$0) }
        case .maintenance(let report): return try Maintenance.request(for: report)
        case .foreign(let action, let payload):
            guard knows(action: action) else { throw .unknownToVersion(action) }
            return CallRequest(action: action, payload: Array(payload.utf8))
        }
    }

    private func request(for start: SessionStart) throws(DialectError) -> CallRequest {
        guard let at = start.at else { throw .missing(field: "timestamp") }
        guard start.connector > 0 else { throw .unfit(field: "connectorId") }
        try Self.check(token: start.token)
        return try request(StartTransaction.action) { StartTransaction.write(start, at: at, &$0) }
    }

    private func request(for report: MeterReport) throws(DialectError) -> CallRequest {
        try Self.check(connector: report.connector)
        let number = report.transaction?.number
        if report.transaction != nil, number == nil { throw .missing(field: "transactionId") }
        return try request(MeterValues.action) { writer throws(DialectError) in
            try MeterValues.write(report, number: number, &writer)
        }
    }

    private func request(for stop: SessionStop) throws(DialectError) -> CallRequest {
        guard let at = stop.at else { throw .missing(field: "timestamp") }
        guard let number = stop.transaction.number else { throw .missing(field: "transactionId") }
        if let token = stop.token { try Self.check(token: token) }
        return try request(StopTransaction.action) { writer throws(DialectError) in
            try StopTransaction.write(stop, number: number, at: at, &writer)
        }
    }

    package func event(action: String, payload: RawSpan) throws(CallError)
        -> Decoded<StationEvent>
    {
        switch action {
        case MeterValues.action: return try MeterValues.event(in: payload)
        case Heartbeat.action: return try Heartbeat.event(in: payload)
        case StatusNotification.action: return try StatusNotification.event(in: payload)
        case StartTransaction.action: return try StartTransaction.event(in: payload)
        case StopTransaction.action: return try StopTransaction.event(in: payload)
        case Authorize.action: return try Authorize.event(in: payload)
        case BootNotification.action: return try BootNotification.event(in: payload)
        case DataTransfer.action:
            let message = try DataTransfer.message(in: payload)
            return Decoded(.data(message.value), message.deviations)
        default:
            if let event = try Maintenance.event(action: action, payload: payload) { return event }
            guard Vocabulary.reports.contains(action) else { throw refuse(action) }
            return Decoded(.foreign(action: action, payload: try Self.object(payload)))
        }
    }

    package func write(
        _ reply: StationReply, to event: StationEvent, into writer: inout JSONWriter
    ) {
        switch reply {
        case .booted(let status, let interval, let now):
            BootNotification.write(status, interval, now, &writer)
        case .alive(let now): Heartbeat.write(now, &writer)
        case .noted: writer.object { _ in }
        case .authorization(let info): Authorize.write(info, &writer)
        case .started(let transaction, let info):
            StartTransaction.write(transaction, info, &writer)
        case .stopped(let info): StopTransaction.write(info, &writer)
        case .data(let status, let data): DataTransfer.write(status, data, &writer)
        case .certificateRequested(let isAccepted):
            SignCertificate.write(isAccepted: isAccepted, &writer)
        case .foreign(let payload): writer.raw(payload.utf8)
        }
    }

    package func reply(in payload: RawSpan, to event: StationEvent) throws(CallError)
        -> Decoded<StationReply>
    {
        switch event {
        case .booted: return try BootNotification.reply(in: payload)
        case .alive: return try Heartbeat.reply(in: payload)
        case .authorizing: return try Authorize.reply(in: payload)
        case .sessionStarted: return try StartTransaction.reply(in: payload)
        case .sessionStopped: return try StopTransaction.reply(in: payload)
        case .statusChanged, .metered:
            let fields = try FieldReader.read(payload) { r, _, f throws(JSONError) in
                try f.unknown(&r)
            }
            return Decoded(.noted, fields.deviations)
        case .data:
            let answer = try DataTransfer.answer(in: payload)
            return Decoded(
                .data(status: answer.value.0, data: answer.value.1), answer.deviations)
        case .maintenance(let report): return try Maintenance.reply(in: payload, to: report)
        case .foreign: return Decoded(.foreign(payload: try Self.object(payload)))
        }
    }
}

// MARK: Operator to station

extension OCPP16Dialect {
    package func request(for command: StationCommand) throws(DialectError) -> CallRequest {
        switch command {
        case .start(let connector, let token):
            if let connector, connector < 1 { throw .unfit(field: "connectorId") }
            try Self.check(token: token)
            return try request(RemoteStartTransaction.action) {
                RemoteStartTransaction.write(connector, token, nil, &$0)
            }
        case .stop(let transaction):
            guard let number = transaction.number else { throw .unfit(field: "transactionId") }
            return try request(RemoteStopTransaction.action) {
                RemoteStopTransaction.write(number, &$0)
            }
        case .unlock(let connector):
            guard connector > 0 else { throw .unfit(field: "connectorId") }
            return try request(UnlockConnector.action) { UnlockConnector.write(connector, &$0) }
        case .reset(let kind): return try request(Reset.action) { Reset.write(kind, &$0) }
        case .setAvailability(let connector, let operative):
            try Self.check(connector: connector)
            return try request(ChangeAvailability.action) {
                ChangeAvailability.write(connector, operative, &$0)
            }
        case .changeSetting(let key, let value):
            try Self.check(key, ChangeConfiguration.keyCharacters, "key")
            try Self.check(value, ChangeConfiguration.valueCharacters, "value")
            return try request(ChangeConfiguration.action) {
                ChangeConfiguration.write(key, value, &$0)
            }
        case .getSettings(let keys):
            for key in keys { try Self.check(key, ChangeConfiguration.keyCharacters, "key") }
            return try request(GetConfiguration.action) { GetConfiguration.write(keys, &$0) }
        case .clearCache: return try request(ClearCache.action) { ClearCache.write(&$0) }
        case .trigger(let message, let connector):
            guard Vocabulary.triggers.contains(message) else {
                throw .unfit(field: "requestedMessage")
            }
            return try request(TriggerMessage.action) {
                TriggerMessage.write(message, connector, &$0)
            }
        case .sendLocalList, .getLocalListVersion, .reserve, .cancelReservation:
            return try listRequest(for: command)
        case .data(let message):
            try Self.check(message)
            return try request(DataTransfer.action) { DataTransfer.write(message, &$0) }
        case .startLimited(let connector, let token, let profile):
            return try request(start: connector, token, profile)
        case .setProfile(let connector, let profile):
            try Self.check(connector: connector)
            try ChargingProfileWire.check(profile)
            return try request(SetChargingProfile.action) {
                SetChargingProfile.write(connector, profile, &$0)
            }
        case .clearProfiles(let filter):
            return try request(ClearChargingProfile.action) {
                ClearChargingProfile.write(filter, &$0)
            }
        case .getComposite(let connector, let seconds, let unit):
            try Self.check(connector: connector)
            return try request(GetCompositeSchedule.action) {
                GetCompositeSchedule.write(connector, seconds, unit, &$0)
            }
        case .maintenance(let order): return try Maintenance.request(for: order)
        case .foreign(let action, let payload):
            guard knows(action: action) else { throw .unknownToVersion(action) }
            return CallRequest(action: action, payload: Array(payload.utf8))
        }
    }

    /// A start's own profile is for that charge alone and names none. OCPP 1.6 §5.11.
    private func request(
        start connector: ConnectorNumber?, _ token: String, _ profile: ChargingProfile
    ) throws(DialectError) -> CallRequest {
        if let connector, connector < 1 { throw .unfit(field: "connectorId") }
        try Self.check(token: token)
        try ChargingProfileWire.check(profile)
        guard profile.purpose == .transaction, profile.transaction == nil else {
            throw .unfit(field: "chargingProfile")
        }
        return try request(RemoteStartTransaction.action) {
            RemoteStartTransaction.write(connector, token, profile, &$0)
        }
    }

    package func command(action: String, payload: RawSpan) throws(CallError)
        -> Decoded<StationCommand>
    {
        switch action {
        case RemoteStartTransaction.action: try RemoteStartTransaction.command(in: payload)
        case RemoteStopTransaction.action: try RemoteStopTransaction.command(in: payload)
        case UnlockConnector.action: try UnlockConnector.command(in: payload)
        case Reset.action: try Reset.command(in: payload)
        case ChangeAvailability.action: try ChangeAvailability.command(in: payload)
        case ChangeConfiguration.action: try ChangeConfiguration.command(in: payload)
        case GetConfiguration.action: try GetConfiguration.command(in: payload)
        case ClearCache.action: try ClearCache.command(in: payload)
        case TriggerMessage.action: try TriggerMessage.command(in: payload)
        case SendLocalList.action: try SendLocalList.command(in: payload)
        case GetLocalListVersion.action: try GetLocalListVersion.command(in: payload)
        case ReserveNow.action: try ReserveNow.command(in: payload)
        case CancelReservation.action: try CancelReservation.command(in: payload)
        case DataTransfer.action: try Self.dataCommand(payload)
        case SetChargingProfile.action: try SetChargingProfile.command(in: payload)
        case ClearChargingProfile.action: try ClearChargingProfile.command(in: payload)
        case GetCompositeSchedule.action: try GetCompositeSchedule.command(in: payload)
        default: try maintenanceCommand(action, payload)
        }
    }

    private func maintenanceCommand(_ action: String, _ payload: RawSpan) throws(CallError)
        -> Decoded<StationCommand>
    {
        guard let command = try Maintenance.command(action: action, payload: payload) else {
            throw refuse(action)
        }
        return command
    }

    private static func dataCommand(_ payload: RawSpan) throws(CallError)
        -> Decoded<StationCommand>
    {
        let message = try DataTransfer.message(in: payload)
        return Decoded(.data(message.value), message.deviations)
    }

    package func write(
        _ answer: CommandAnswer, to command: StationCommand, into writer: inout JSONWriter
    ) {
        switch answer {
        case .status(let status): Self.statusAnswer(to: command).write(status, &writer)
        case .settings(let settings, let unknown):
            GetConfiguration.write(settings, unknown, &writer)
        case .listVersion(let version): GetLocalListVersion.write(version, &writer)
        case .data(let status, let data): DataTransfer.write(status, data, &writer)
        case .composite(let schedule): GetCompositeSchedule.write(schedule, &writer)
        case .maintenance(let answer): Maintenance.write(answer, &writer)
        case .foreign(let payload): writer.raw(payload.utf8)
        }
    }

    package func answer(in payload: RawSpan, to command: StationCommand) throws(CallError)
        -> Decoded<CommandAnswer>
    {
        switch command {
        case .getSettings: return try GetConfiguration.answer(in: payload)
        case .getLocalListVersion: return try GetLocalListVersion.answer(in: payload)
        case .data:
            let answer = try DataTransfer.answer(in: payload)
            return Decoded(
                .data(status: answer.value.0, data: answer.value.1), answer.deviations)
        case .maintenance(let order): return try Maintenance.answer(in: payload, to: order)
        case .foreign: return Decoded(.foreign(payload: try Self.object(payload)))
        case .getComposite(let connector, _, _):
            return try GetCompositeSchedule.answer(in: payload, connector: connector)
        case .start, .stop, .unlock, .reset, .setAvailability, .changeSetting, .clearCache,
            .trigger, .startLimited, .setProfile, .clearProfiles:
            return try Self.statusAnswer(to: command).read(payload)
        case .sendLocalList, .reserve, .cancelReservation:
            return try Self.statusAnswer(to: command).read(payload)
        }
    }

    private static func statusAnswer(to command: StationCommand) -> StatusAnswer {
        switch command {
        case .start: RemoteStartTransaction.answer
        case .stop: RemoteStopTransaction.answer
        case .unlock: UnlockConnector.answer
        case .reset: Reset.answer
        case .setAvailability: ChangeAvailability.answer
        case .changeSetting: ChangeConfiguration.answer
        case .clearCache: ClearCache.answer
        case .trigger: TriggerMessage.answer
        case .startLimited: RemoteStartTransaction.answer
        case .setProfile: SetChargingProfile.answer
        case .clearProfiles: ClearChargingProfile.answer
        case .getComposite: StatusAnswer(words: ["Accepted", "Rejected"])
        case .maintenance(let order): Maintenance.statusAnswer(to: order)
        case .sendLocalList: SendLocalList.answer
        case .reserve: ReserveNow.answer
        case .cancelReservation: CancelReservation.answer
        case .getLocalListVersion: StatusAnswer(words: ["NotSupported"])
        case .getSettings, .data, .foreign: StatusAnswer(words: DataTransfer.statuses)
        }
    }
}

// MARK: What 1.6 can carry

extension OCPP16Dialect {
    static func check(connector: ConnectorNumber) throws(DialectError) {
        guard connector >= 0 else { throw .unfit(field: "connectorId") }
    }

    static func check(token: String) throws(DialectError) {
        // A token cut to fit would be somebody else's.
        guard Wire.isToken(token) else { throw .unfit(field: "idTag") }
    }

    private static func check(_ message: DataMessage) throws(DialectError) {
        try check(message.vendor, 255, "vendorId")
        try check(message.message ?? "", 50, "messageId")
    }

    private static func check(_ text: String, _ maximum: Int, _ field: String)
        throws(DialectError)
    {
        guard text.unicodeScalars.count <= maximum else { throw .unfit(field: field) }
    }

    /// A payload as text, checked to be one JSON object; null or nothing is an empty one.
    private static func object(_ payload: RawSpan) throws(CallError) -> String {
        let fields = try FieldReader.read(payload) { r, _, _ throws(JSONError) in try r.skip() }
        guard !fields.deviations.contains(.payloadMissing) else { return "{}" }
        return payload.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }
}
