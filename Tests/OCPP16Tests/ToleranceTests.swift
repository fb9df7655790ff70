import Charging
import OCPP
import TestSupport
import Testing

@testable import OCPP16

@Suite struct `Lenient reading in 1.6` {
    private let dialect = OCPP16Dialect()

    private func read(_ action: String, _ json: String) throws -> Decoded<StationEvent> {
        try dialect.event(CallRequest(action: action, payload: Array(json.utf8)))
    }

    private func refusal(_ action: String, _ json: String) -> CallError.Code? {
        do throws(CallError) {
            _ = try dialect.event(CallRequest(action: action, payload: Array(json.utf8)))
            return nil
        } catch { return error.code }
    }

    @Test func `takes a null or missing payload for an empty one`() throws {
        #expect(try read("Heartbeat", "null") == Decoded(.alive, Deviations(.payloadMissing)))
        #expect(try read("Heartbeat", "") == Decoded(.alive, Deviations(.payloadMissing)))
    }

    @Test func `ignores unknown fields and counts them`() throws {
        let read = try read("Authorize", #"{"idTag":" AB ","customData":{"x":[1]}}"#)
        #expect(read.value == .authorizing(token: "AB"))
        #expect(read.deviations == Deviations(.unknownField, .textPadded))
    }

    @Test func `takes numbers for texts and texts for numbers`() throws {
        let read = try read(
            "StartTransaction",
            #"{"connectorId":"1","idTag":1234,"meterStart":12.7,"timestamp":"2026-11-21T10:00:00Z"}"#
        )
        let start = SessionStart(
            connector: 1, token: "1234", meterStart: WattHours(12),
            at: Timestamp(rfc3339: "2026-11-21T10:00:00Z"))
        #expect(read.value == .sessionStarted(start))
        #expect(
            read.deviations
                == Deviations(.textForNumber, .numberForText, .fractionForInteger))
    }

    @Test(arguments: [
        (#""2026-11-21 10:00:00""#, Deviation.timestampWithoutZone, true),
        (#""2026-11-21T10:00:00+02""#, nil, true),
        (#""2026-11-21T10:00:00.123456789+0530""#, nil, true),
        (#""1970-01-01T00:00:05Z""#, .clockUnset, true),
        (#""""#, .timestampUnreadable, false), (#""0""#, .timestampUnreadable, false),
        ("0", .timestampUnreadable, false), ("null", .timestampUnreadable, false),
    ])
    func `reads the times chargers send`(_ time: String, _ deviation: Deviation?, _ isTime: Bool)
        throws
    {
        let read = try read(
            "StatusNotification",
            #"{"connectorId":1,"errorCode":"NoError","status":"Available","timestamp":\#(time)}"#)
        guard case .statusChanged(let report) = read.value else {
            Issue.record("another event")
            return
        }
        #expect((report.at != nil) == isTime)
        #expect(read.deviations.all == (deviation.map { [$0] } ?? []))
    }

    @Test func `keeps a foreign error code and gives a foreign status a meaning`() throws {
        let read = try read(
            "StatusNotification",
            #"{"connectorId":1,"errorCode":"Error","status":"Occupied"}"#)
        let report = StatusReport(
            connector: 1, status: .preparing, errorCode: "Error", info: "Occupied", at: nil)
        #expect(read.value == .statusChanged(report))
        #expect(read.deviations == Deviations(.unknownEnumValue))
    }

    @Test func `uses the good samples and drops the bad ones`() throws {
        let read = try read(
            "MeterValues",
            #"""
            {"connectorId":1,"transactionId":-1,"meterValue":{"timestamp":"2026-11-21T10:00:00Z",
            "sampledValue":[{"value":"NaN"},{"value":""},{"value":"-"},{"value":"1,5","unit":"kWh"},
            {"value":50.1,"measurand":"Frequency","unit":"Hz"},{"value":"7","unit":"kWh",
            "measurand":"Energy.Reactive.Import.Register"}]}}
            """#)
        guard case .metered(let report) = read.value else {
            Issue.record("another event")
            return
        }
        #expect(report.transaction == .number(-1))
        #expect(
            report.readings.first?.samples == [
                MeterSample(.energyImport, Decimal(1500)),
                MeterSample(.frequency, Decimal("50.1") ?? .zero),
                MeterSample(
                    quantity: .foreign("Energy.Reactive.Import.Register", unit: "kWh"),
                    value: Decimal(7)),
            ])
        #expect(
            read.deviations
                == Deviations(
                    .transactionIDUnset, .objectForList, .sampleUnreadable, .decimalComma,
                    .numberForText, .unknownEnumValue))
    }

    @Test(arguments: [
        ("12.3456", "kWh", "12345.6"), ("0.0005", "kWh", "0.5"), ("12", "kWh", "12000"),
        ("7", "Wh", "7"), ("12345.6", nil, "12345.6"), ("3", "kwh", "3000"),
    ])
    func `turns energy into watt-hours without losing a digit`(
        _ value: String, _ unit: String?, _ wattHours: String
    ) throws {
        let unitField = unit.map { #","unit":"\#($0)""# } ?? ""
        let read = try read(
            "MeterValues",
            #"{"connectorId":1,"meterValue":[{"timestamp":"2026-11-21T10:00:00Z","sampledValue":"#
                + #"[{"value":"\#(value)"\#(unitField)}]}]}"#)
        guard case .metered(let report) = read.value else {
            Issue.record("another event")
            return
        }
        #expect(report.readings.first?.samples.first?.value == Decimal(wattHours))
    }

    @Test(arguments: [
        "999999999999999999999999999999999999", "-1e36", "1e-36", "0.000000000000000000000001",
        "1e400", "123456789012345678901234567890.123456",
    ])
    func `survives values no instrument shows, in every unit`(_ value: String) throws {
        for (measurand, unit) in [
            ("Energy.Active.Import.Register", "kWh"), ("Temperature", "K"),
            ("Temperature", "Fahrenheit"), ("Power.Active.Import", "kW"),
        ] {
            _ = try read(
                "MeterValues",
                #"{"connectorId":1,"meterValue":[{"timestamp":"2026-11-21T10:00:00Z","#
                    + #""sampledValue":[{"measurand":"\#(measurand)","unit":"\#(unit)","#
                    + #""value":"\#(value)"}]}]}"#)
        }
    }

    @Test(arguments: ["9223372036854775807", "-9223372036854775808", "1000000000001"])
    func `clamps a register no meter has`(_ register: String) throws {
        let read = try read(
            "StartTransaction",
            #"{"connectorId":1,"idTag":"a","meterStart":\#(register),"#
                + #""timestamp":"2026-11-21T10:00:00Z"}"#)
        #expect(read.deviations == Deviations(.numberClamped))
    }

    @Test func `survives every message with any byte changed`() throws {
        var random = SeededGenerator(seed: 20_261_121)
        var requests = try Samples.events.map { try dialect.request(for: $0) }
        requests += try Samples.commands.map { try dialect.request(for: $0) }
        for request in requests {
            for _ in 0..<20 {
                var payload = request.payload
                for _ in 0..<Int.random(in: 1...4, using: &random) {
                    let at = Int.random(in: payload.indices, using: &random)
                    switch Int.random(in: 0..<3, using: &random) {
                    case 0: payload[at] = UInt8.random(in: 0...255, using: &random)
                    case 1: payload.remove(at: at)
                    default: payload.insert(contentsOf: Array("9e9".utf8), at: at)
                    }
                    if payload.isEmpty { break }
                }
                let mutant = CallRequest(action: request.action, payload: payload)
                // Only that both come back matters here.
                _ = try? dialect.event(mutant)
                _ = try? dialect.command(mutant)
            }
        }
    }

    @Test func `takes a stop without reason for a local one`() throws {
        let read = try read(
            "StopTransaction",
            #"{"transactionId":5,"meterStop":10,"timestamp":"2026-11-21T10:00:00Z","idTag":""}"#)
        let stop = SessionStop(
            transaction: .number(5), meterStop: WattHours(10),
            at: Timestamp(rfc3339: "2026-11-21T10:00:00Z"), reason: .local)
        #expect(read == Decoded(.sessionStopped(stop)))
    }

    @Test(arguments: [
        ("Heartbeat", "[]", CallError.Code.formationViolation),
        ("Heartbeat", "{", .formationViolation),
        ("Heartbeat", "{} {}", .formationViolation),
        ("StartTransaction", "{}", .missingField),
        (
            "StartTransaction",
            #"{"connectorId":{},"idTag":"a","meterStart":1,"timestamp":"2026-11-21T10:00:00Z"}"#,
            .typeViolation
        ),
        ("MeterValues", #"{"connectorId":1}"#, .missingField),
        ("MeterValues", #"{"connectorId":1,"meterValue":"x"}"#, .typeViolation),
        ("Reset", #"{"type":"Hard"}"#, .notSupported),
        ("MakeCoffee", "{}", .notImplemented),
    ])
    func `refuses what has no meaning with the right code`(
        _ action: String, _ json: String, _ code: CallError.Code
    ) {
        #expect(refusal(action, json) == code)
    }

    @Test func `does not obey a command it would have to guess`() {
        func code(_ action: String, _ json: String) -> CallError.Code? {
            do throws(CallError) {
                _ = try dialect.command(CallRequest(action: action, payload: Array(json.utf8)))
                return nil
            } catch { return error.code }
        }
        #expect(code("Reset", #"{"type":"Warm"}"#) == .propertyViolation)
        #expect(
            code("ChangeAvailability", #"{"connectorId":1,"type":"?"}"#) == .propertyViolation)
        #expect(
            code("RemoteStartTransaction", #"{"idTag":"a","connectorId":0}"#)
                == .propertyViolation)
        #expect(
            code("RemoteStartTransaction", #"{"idTag":"a","chargingProfile":{}}"#)
                == .missingField)
        #expect(code("ReserveNow", "{}") == .missingField)
    }

    @Test func `takes an unknown authorisation status for a refusal`() throws {
        let payload = Array(#"{"idTagInfo":{"status":"Sure"}}"#.utf8)
        let read = try dialect.reply(in: payload.span.bytes, to: .authorizing(token: "a"))
        #expect(read.value == .authorization(AuthorizationInfo(.invalid)))
    }

    @Test func `keeps an unknown answer as it came`() throws {
        let payload = Array(#"{"status":"Later"}"#.utf8)
        let read = try dialect.answer(in: payload.span.bytes, to: .reset(.soft))
        #expect(read == Decoded(.status("Later"), Deviations(.unknownEnumValue)))
    }
}

@Suite struct `The 1.6 settings` {
    private let settings = SettingsCatalogue.ocpp16

    @Test func `are found ignoring case`() {
        #expect(settings[key: "heartbeatinterval"]?.meaning == .heartbeatIntervalSeconds)
        #expect(settings[.meterSampleIntervalSeconds]?.key == "MeterValueSampleInterval")
    }

    @Test func `accept what fits and refuse the rest`() {
        #expect(
            settings.verdict(on: "60", for: "HeartbeatInterval")
                == .accepted("60", needsReboot: false))
        #expect(settings.verdict(on: "-1", for: "HeartbeatInterval") == .rejected)
        #expect(settings.verdict(on: "3", for: "NumberOfConnectors") == .rejected)
        #expect(settings.verdict(on: "x", for: "Nonsense") == .notSupported)
        #expect(
            settings.verdict(on: "Voltage, Current.Import", for: "MeterValuesSampledData")
                == .accepted("Voltage,Current.Import", needsReboot: false))
        #expect(settings.verdict(on: "Voltage,Colour", for: "MeterValuesSampledData") == .rejected)
    }
}
