import Charging
import JSON
import OCPP
import Testing

@testable import OCPP16

@Suite struct `A charging profile on the wire` {
    private let dialect = OCPP16Dialect()

    private func read(_ json: String, action: String = "SetChargingProfile") throws(CallError)
        -> Decoded<StationCommand>
    {
        try dialect.command(CallRequest(action: action, payload: Array(json.utf8)))
    }

    private func set(_ schedule: String, _ members: String = "") -> String {
        """
        {"connectorId":1,"csChargingProfiles":{"chargingProfileId":1,"stackLevel":0,\
        "chargingProfilePurpose":"TxDefaultProfile","chargingProfileKind":"Absolute",\(members)\
        "chargingSchedule":\(schedule)}}
        """
    }

    private func code(_ json: String, action: String = "SetChargingProfile") -> CallError.Code? {
        do throws(CallError) {
            _ = try read(json, action: action)
            return nil
        } catch { return error.code }
    }

    @Test func `is understood with what may be forgiven, each thing counted`() throws {
        let read = try read(
            set(
                """
                {"chargingRateUnit":"A","duration":"60","startSchedule":"2026-06-01T10:00:00",\
                "chargingSchedulePeriod":{"startPeriod":0.0,"limit":"16.29","extra":1}}
                """, #""validTo":null,"#))
        guard case .setProfile(let connector, let profile) = read.value else {
            Issue.record("another command")
            return
        }
        #expect(connector == 1)
        #expect(profile.schedule.periods == [.init(start: 0, tenths: 162)])
        #expect(profile.schedule.durationSeconds == 60)
        #expect(
            Set(read.deviations.all) == [
                .textForNumber, .timestampWithoutZone, .objectForList, .unknownField,
                .digitsTooMany, .nullField,
            ])
    }

    @Test(arguments: [
        (
            #"{"chargingRateUnit":"P","chargingSchedulePeriod":[]}"#,
            CallError.Code.propertyViolation
        ),
        (
            #"{"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":-1}]}"#,
            .propertyViolation
        ),
        (
            #"{"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":1e30}]}"#,
            .propertyViolation
        ),
        (
            #"{"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":9e18,"limit":6}]}"#,
            .propertyViolation
        ),
        (
            #"{"chargingRateUnit":"A","duration":9000000000000000000,"chargingSchedulePeriod":[]}"#,
            .propertyViolation
        ),
        (
            #"{"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":[]}]}"#,
            .typeViolation
        ),
        (#"{"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0}]}"#, .missingField),
        (
            #"{"chargingRateUnit":"A","chargingSchedulePeriod":[],"startSchedule":"soon"}"#,
            .propertyViolation
        ),
        (#"{"chargingSchedulePeriod":[{"startPeriod":0,"limit":6}]}"#, .missingField),
    ])
    func `is refused with the right error when it is nonsense`(
        schedule: String, expected: CallError.Code
    ) {
        #expect(code(set(schedule)) == expected)
    }

    @Test func `too long to be true is not cut but refused`() {
        let periods = (0..<2_001).map { #"{"startPeriod":\#($0),"limit":6}"# }
        #expect(
            code(
                set(
                    #"{"chargingRateUnit":"A","chargingSchedulePeriod":["#
                        + periods.joined(separator: ",") + "]}")) == .occurrenceViolation)
    }

    @Test func `that cannot be read refuses the remote start that brings it`() {
        #expect(
            code(
                #"{"idTag":"T","chargingProfile":{"chargingProfileId":1}}"#,
                action: "RemoteStartTransaction") == .missingField)
    }

    @Test func `is never written when it means nothing`() {
        let empty = ChargingProfile(
            id: 1, stackLevel: 0, purpose: .transactionDefault, kind: .relative,
            schedule: ChargingSchedule(unit: .amperes, periods: []))
        #expect(throws: DialectError.unfit(field: "csChargingProfiles")) {
            try dialect.request(for: .setProfile(connector: 1, empty))
        }
        var named = Samples.profiles.first { $0.transaction != nil }!
        #expect(throws: DialectError.unfit(field: "chargingProfile")) {
            try dialect.request(for: .startLimited(connector: 1, token: "T", named))
        }
        named.transaction = .text("x")
        #expect(throws: DialectError.unfit(field: "transactionId")) {
            try dialect.request(for: .setProfile(connector: 1, named))
        }
    }

    @Test func `an accepted composite schedule without a period is none`() throws {
        let answer = try dialect.answer(
            in: Array(
                #"{"status":"Accepted","scheduleStart":"0","connectorId":1,"chargingSchedule":{"chargingRateUnit":"A","chargingSchedulePeriod":[]}}"#
                    .utf8
            ).span.bytes, to: .getComposite(connector: 1, seconds: 1, unit: nil))
        #expect(answer.value == .composite(nil))
    }

    @Test func `with times beyond a year is none in the house's own spelling`() {
        let schedule = ChargingSchedule(
            unit: .amperes, periods: [.init(start: 0, tenths: 60)], durationSeconds: 60)
        #expect(ChargingSchedule(json: schedule.json) == schedule)
        var late = schedule
        late.periods[0].start = .max
        #expect(ChargingSchedule(json: late.json) == nil)
        var long = schedule
        long.durationSeconds = .max
        #expect(ChargingSchedule(json: long.json) == nil)
    }

    @Test func `comes back the same from the house's own spelling`() {
        for profile in Samples.profiles { #expect(ChargingProfile(json: profile.json) == profile) }
    }
}
