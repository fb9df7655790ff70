import Charging

@testable import OCPP16

/// Every neutral value 1.6 can carry, in all combinations of what may be absent.
enum Samples {
    static let noon = Timestamp(seconds: 1_795_262_400)
    static let later = Timestamp(milliseconds: 1_795_262_461_250)

    /// Each element of `axes` gives the choices of one field; the result is their product.
    static func all<A, B>(_ a: [A], _ b: [B]) -> [(A, B)] { a.flatMap { x in b.map { (x, $0) } } }

    static var events: [StationEvent] {
        boots + [.alive] + statuses + [.authorizing(token: "04E8A1B2"), .authorizing(token: "a")]
            + starts + meterings + stops + dataMessages.map { .data($0) }
            + MaintenanceSamples.reports.map { .maintenance($0) }
    }

    private static var boots: [StationEvent] {
        (0..<16).map { mask in
            func some(_ bit: Int, _ text: String) -> String? { mask & (1 << bit) == 0 ? nil : text }
            return .booted(
                StationIdentity(
                    vendor: "Kerb", model: "Two \"quoted\" ü", serial: some(0, "S-0001"),
                    firmware: some(1, "1.2.3"), meterType: some(2, "SDM630"),
                    meterSerial: some(3, "M-77")))
        }
    }

    private static var statuses: [StationEvent] {
        var reports: [StationEvent] = []
        for status in ConnectorStatus.allCases {
            for code in Vocabulary.errorCodes.sorted() {
                reports.append(
                    .statusChanged(
                        StatusReport(connector: 1, status: status, errorCode: code, at: noon)))
            }
        }
        for (info, (vendorCode, at)) in all(
            [nil, "door open"], all([nil, "MREC-17"], [nil, later]))
        {
            reports.append(
                .statusChanged(
                    StatusReport(
                        connector: 0, status: .unavailable, errorCode: "OtherError", info: info,
                        vendorErrorCode: vendorCode, at: at)))
        }
        return reports
    }

    private static var starts: [StationEvent] {
        [nil, 7].map { reservation in
            .sessionStarted(
                SessionStart(
                    connector: 2, token: "TOKEN-12345678901234", meterStart: WattHours(123_456),
                    at: later, reservation: reservation))
        }
    }

    static var readings: [MeterReading] {
        var samples: [MeterSample] = []
        for measurand in Measurand.allCases {
            samples.append(MeterSample(measurand, Decimal("230.125") ?? .zero))
        }
        for context in ReadingContext.allCases {
            samples.append(MeterSample(.energyImport, Decimal(1_234_567), context: context))
        }
        for phase in Vocabulary.phases.sorted() {
            samples.append(MeterSample(.voltage, Decimal("-0.5") ?? .zero, phase: phase))
        }
        for location in Vocabulary.locations.sorted() {
            samples.append(MeterSample(.temperature, Decimal(21), location: location))
        }
        let known = Set(Measurand.allCases.map(\.rawValue))
        for measurand in Vocabulary.measurands where !known.contains(measurand) {
            for unit in [nil, "varh"] as [String?] {
                samples.append(
                    MeterSample(quantity: .foreign(measurand, unit: unit), value: Decimal(5)))
            }
        }
        samples.append(
            MeterSample(
                quantity: .known(.energyImport), value: .zero, context: .transactionEnd,
                signed: #"OCMF|{"FV":"1.0"}|{"SD":"3045"}"#))
        return [
            MeterReading(at: noon, samples: samples),
            MeterReading(at: later, samples: [samples[0]]),
        ]
    }

    private static var meterings: [StationEvent] {
        [nil, .number(4711)].map { transaction in
            .metered(MeterReport(connector: 1, transaction: transaction, readings: readings))
        } + [
            .metered(
                MeterReport(connector: 0, transaction: nil, readings: [readings[1]]))
        ]
    }

    private static var stops: [StationEvent] {
        var stops: [StationEvent] = []
        for reason in StopReason.allCases {
            for (token, data) in all([nil, "TOKEN"], [[], readings]) {
                stops.append(
                    .sessionStopped(
                        SessionStop(
                            transaction: .number(4711), meterStop: WattHours(133_456), at: later,
                            reason: reason, token: token, readings: data)))
            }
        }
        return stops
    }

    static var dataMessages: [DataMessage] {
        all([nil, "ping"], [nil, #"{"a":1}"#]).map {
            DataMessage(vendor: "org.example", message: $0.0, data: $0.1)
        }
    }

    private static var authorizations: [AuthorizationInfo] {
        AuthorizationStatus.allCases.flatMap { status in
            all([nil, "GROUP"], [nil, noon]).map {
                AuthorizationInfo(status, group: $0.0, expires: $0.1)
            }
        }
    }

    static var replies: [(StationEvent, StationReply)] {
        var pairs: [(StationEvent, StationReply)] = []
        for status in RegistrationStatus.allCases {
            pairs.append((boots[0], .booted(status, intervalSeconds: 300, now: later)))
        }
        pairs.append((.alive, .alive(now: noon)))
        pairs.append((statuses[0], .noted))
        pairs.append((meterings[0], .noted))
        for info in authorizations {
            pairs.append((.authorizing(token: "T"), .authorization(info)))
            pairs.append((starts[0], .started(.number(2_147_483_647), info)))
            pairs.append((stops[0], .stopped(info)))
        }
        pairs.append((stops[0], .stopped(nil)))
        for (status, data) in all(DataTransfer.statuses, [nil, "x"]) {
            pairs.append((.data(dataMessages[0]), .data(status: status, data: data)))
        }
        pairs += MaintenanceSamples.replies
        let strange = StationEvent.foreign(
            action: "FirmwareStatusNotification", payload: #"{"status":"Melting"}"#)
        pairs.append((strange, .foreign(payload: "{}")))
        return pairs
    }

    static var commands: [StationCommand] {
        [
            .start(connector: nil, token: "T"), .start(connector: 2, token: "T"),
            .stop(.number(9)), .unlock(connector: 1), .reset(.soft), .reset(.hard),
            .setAvailability(connector: 0, operative: true),
            .setAvailability(connector: 1, operative: false),
            .changeSetting(key: "HeartbeatInterval", value: "60"), .getSettings(keys: []),
            .getSettings(keys: ["HeartbeatInterval", "NoSuchKey"]), .clearCache,
        ]
            + all(Vocabulary.triggers.sorted(), [nil, 1]).map {
                .trigger(message: $0.0, connector: $0.1)
            } + dataMessages.map { .data($0) } + profileCommands
            + MaintenanceSamples.orders.map { .maintenance($0) } + lists
    }

    private static var lists: [StationCommand] {
        localLists
            + all([nil, "GROUP"], [0, 2]).map {
                .reserve(
                    Reservation(
                        id: 77, connector: $0.1, token: "T", group: $0.0, expires: later))
            } + [.getLocalListVersion, .cancelReservation(id: 77)]
    }

    private static var localLists: [StationCommand] {
        let full = authorizations.enumerated().map {
            LocalListUpdate.Entry(token: "TOKEN-\($0.offset)", info: $0.element)
        }
        let gone = LocalListUpdate.Entry(token: "GONE", info: nil)
        return [
            .sendLocalList(LocalListUpdate(kind: .full, version: 1, entries: [])),
            .sendLocalList(LocalListUpdate(kind: .full, version: 7, entries: full)),
            .sendLocalList(LocalListUpdate(kind: .differential, version: 8, entries: [])),
            .sendLocalList(
                LocalListUpdate(kind: .differential, version: 9, entries: [gone, full[0]])),
        ]
    }

    static var answers: [(StationCommand, CommandAnswer)] {
        var pairs: [(StationCommand, CommandAnswer)] = []
        func add(_ command: StationCommand, _ words: StatusAnswer) {
            for word in words.words { pairs.append((command, .status(word))) }
        }
        add(.start(connector: 1, token: "T"), RemoteStartTransaction.answer)
        add(.stop(.number(1)), RemoteStopTransaction.answer)
        add(.unlock(connector: 1), UnlockConnector.answer)
        add(.reset(.hard), Reset.answer)
        add(.setAvailability(connector: 1, operative: true), ChangeAvailability.answer)
        add(.changeSetting(key: "k", value: "v"), ChangeConfiguration.answer)
        add(.clearCache, ClearCache.answer)
        add(.trigger(message: "Heartbeat", connector: nil), TriggerMessage.answer)
        pairs += MaintenanceSamples.answers
        add(localLists[0], SendLocalList.answer)
        add(commands.first { if case .reserve = $0 { true } else { false } }!, ReserveNow.answer)
        add(.cancelReservation(id: 77), CancelReservation.answer)
        for version in [-1, 0, 12] {
            pairs.append((.getLocalListVersion, .listVersion(version)))
        }
        let settings = [
            Setting(key: "HeartbeatInterval", value: "60", isReadOnly: false),
            Setting(key: "AuthorizationKey", value: nil, isReadOnly: true),
        ]
        for (known, unknown) in all([[], settings], [[], ["NoSuchKey"]]) {
            pairs.append((.getSettings(keys: []), .settings(known, unknown: unknown)))
        }
        for (status, data) in all(DataTransfer.statuses, [nil, "x"]) {
            pairs.append((.data(dataMessages[0]), .data(status: status, data: data)))
        }
        return pairs + profileAnswers
    }
}
