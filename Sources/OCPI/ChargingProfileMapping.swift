import Charging
import JSON

// Charging profiles as OCPI 2.2.1 §14 has them.

/// What we say at once. OCPI 2.2.1 §14.4.
enum ProfileResponse: String, Hashable, Sendable {
    case accepted = "ACCEPTED"
    case notSupported = "NOT_SUPPORTED"
    case rejected = "REJECTED"
    case tooOften = "TOO_OFTEN"
    case unknownSession = "UNKNOWN_SESSION"

    func wire(timeoutSeconds: Int) -> JSONValue {
        ["result": .string(rawValue), "timeout": .number(timeoutSeconds)]
    }
}

/// What we say later. OCPI 2.2.1 §14.3.
enum ProfileResult: String, Hashable, Sendable {
    case accepted = "ACCEPTED"
    case rejected = "REJECTED"
    /// There was no profile that the request could mean.
    case unknown = "UNKNOWN"

    func wire(_ profile: JSONValue? = nil) -> JSONValue {
        .members(["result": .string(rawValue), "profile": profile])
    }
}

/// The body of a PUT. OCPI 2.2.1 §14.3.4 SetChargingProfile, ChargingProfile.
struct ProfileRequest: Hashable, Sendable {
    /// Periods one profile may have; a station that takes fewer refuses it.
    static let mostPeriods = 256

    var responseURL: String
    var schedule: ChargingSchedule

    init(ocpi value: JSONValue) throws(WireError) {
        let fields = try WireFields(value, at: "")
        responseURL = try fields.text("response_url", max: 255)
        let profile = try fields.fields("charging_profile")
        let seconds = ChargingProfile.Bounds.seconds
        let whole = Int64(seconds.lowerBound)...Int64(seconds.upperBound)
        let unit = try profile.choice("charging_rate_unit", ChargingSchedule.Unit.self)
        let periods = try profile.list("charging_profile_period", atLeast: 1) {
            value, path throws(WireError) -> ChargingSchedule.Period in
            let fields = try WireFields(value, at: path)
            let limit = try fields.required("limit", "a number from 0", \.tenths)
            return .init(start: Int(try fields.whole("start_period", whole)), tenths: limit)
        }
        guard periods.count <= Self.mostPeriods else {
            throw WireError(
                profile.at("charging_profile_period"), "must be at most \(Self.mostPeriods)")
        }
        schedule = ChargingSchedule(
            unit: unit, periods: periods,
            durationSeconds: try profile.optionalWhole("duration", whole).map(Int.init),
            start: try profile.optionalTime("start_date_time"),
            minimumRateTenths: try profile.optional(
                "min_charging_rate", "a number from 0", \.tenths))
    }

    /// Without a start it counts from the beginning of the charge.
    var kind: ChargingProfile.Kind { schedule.start == nil ? .relative : .absolute }
}

extension CompositeSchedule {
    /// An ActiveChargingProfile. OCPI 2.2.1 §14.3.1. A rate in amperes is per phase, as OCPP has it.
    var ocpiActive: JSONValue {
        func number(_ tenths: Int64) -> JSONValue {
            .number(Decimal(significand: Int128(tenths), scale: 1).reduced)
        }
        return [
            "start_date_time": .time(start),
            "charging_profile": .members([
                "start_date_time": .time(start),
                "duration": schedule.durationSeconds.map { .number($0) },
                "charging_rate_unit": .string(schedule.unit.rawValue),
                "min_charging_rate": schedule.minimumRateTenths.map(number),
                "charging_profile_period": .array(
                    schedule.periods.map {
                        ["start_period": .number($0.start), "limit": number($0.tenths)]
                    }),
            ]),
        ]
    }
}
