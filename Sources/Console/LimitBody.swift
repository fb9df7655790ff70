import CPO
import Charging
import JSON

/// `setLimit`, `clearLimits` and `getComposite` as the API spells them.
enum LimitBody {
    /// One limit a connector, under a number of its own, so that a new one replaces the old.
    static let firstProfile = 990_000

    /// nil where the command is none of these.
    static func command(
        _ body: JSONValue, _ connector: ConnectorNumber?, now: Timestamp
    ) throws(APIProblem) -> StationCommand? {
        switch body["command"]?.string {
        case "setLimit":
            return .setProfile(
                connector: connector ?? 0, try profile(body, connector ?? 0, now: now))
        case "clearLimits":
            guard let connector else { return .clearProfiles(ProfileFilter()) }
            return .clearProfiles(ProfileFilter(id: firstProfile + connector))
        case "getComposite":
            let seconds = body.given("seconds").map { $0.int ?? -1 } ?? 86_400
            guard ChargingProfile.Bounds.seconds.contains(seconds) else {
                throw .field("seconds", "must be from 0 to a year")
            }
            return .getComposite(
                connector: connector ?? 0, seconds: seconds, unit: try unit(body))
        default: return nil
        }
    }

    private static func unit(_ body: JSONValue) throws(APIProblem) -> ChargingSchedule.Unit? {
        guard let word = body.given("unit") else { return nil }
        guard let unit = word.string.flatMap(ChargingSchedule.Unit.init(rawValue:)) else {
            throw .field("unit", "must be A or W")
        }
        return unit
    }

    /// A limit of the station is its maximum; one of a connector holds for every charge there.
    private static func profile(
        _ body: JSONValue, _ connector: ConnectorNumber, now: Timestamp
    ) throws(APIProblem) -> ChargingProfile {
        let unit: ChargingSchedule.Unit
        let tenths: Int64
        switch (body.given("amperes"), body.given("watts")) {
        case (let value?, nil):
            guard let limit = value.tenths else {
                throw .field("amperes", "must be a number from 0, per phase")
            }
            (unit, tenths) = (.amperes, limit)
        case (nil, let value?):
            guard let limit = value.tenths else {
                throw .field("watts", "must be a number from 0, of all phases")
            }
            (unit, tenths) = (.watts, limit)
        default: throw .field("amperes", "or `watts` must say the limit; clearLimits takes it away")
        }
        var until: Timestamp?
        if let member = body["until"], !member.isNull {
            guard let time = member.time, time > now else {
                throw .field("until", "must be a time to come")
            }
            until = time
        }
        let level = body.given("stackLevel").map { $0.int ?? -1 } ?? 0
        guard ChargingProfile.Bounds.stackLevel.contains(level) else {
            throw .field("stackLevel", "must be from 0 to 1000")
        }
        return ChargingProfile(
            id: firstProfile + connector, stackLevel: level,
            purpose: connector == 0 ? .stationMaximum : .transactionDefault, kind: .absolute,
            validTo: until,
            schedule: ChargingSchedule(
                unit: unit, periods: [.init(start: 0, tenths: tenths)],
                start: Timestamp(seconds: now.milliseconds / 1000)))
    }
}
