import Charging
import JSON
import OCPP

/// The operator asks what a connector, or the station as connector 0, expects to offer.
/// OCPP 1.6 §5.7, §6.23, §6.24.
enum GetCompositeSchedule {
    static let action = "GetCompositeSchedule"

    static func write(
        _ connector: ConnectorNumber, _ seconds: Int, _ unit: ChargingSchedule.Unit?,
        _ writer: inout JSONWriter
    ) {
        writer.object { w in
            w.member("chargingRateUnit", ifAny: unit?.rawValue)
            w.member("connectorId", connector)
            w.member("duration", seconds)
        }
    }

    static func command(in payload: RawSpan) throws(CallError) -> Decoded<StationCommand> {
        var connector: Int?
        var seconds: Int?
        var unit: ChargingSchedule.Unit?
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "connectorId") {
                connector = try f.integer(&r, "connectorId")
            } else if r.matches(key, "duration") {
                seconds = try f.integer(&r, "duration")
            } else if r.matches(key, "chargingRateUnit") {
                unit = try f.closed(&r, "chargingRateUnit", ChargingProfileWire.units)
            } else {
                try f.unknown(&r)
            }
        }
        let duration = try fields.required(seconds, "duration")
        guard ChargingProfile.Bounds.seconds.contains(duration) else {
            throw CallError(.propertyViolation, "duration must be from 0 to a year of seconds")
        }
        return Decoded(
            .getComposite(
                connector: try fields.required(connector, "connectorId"), seconds: duration,
                unit: unit), fields.deviations)
    }

    static func write(_ composite: CompositeSchedule?, _ writer: inout JSONWriter) {
        writer.object { w in
            // A schedule without a period says nothing, and the schema wants at least one.
            guard let composite, !composite.schedule.periods.isEmpty else {
                w.member("status", "Rejected")
                return
            }
            w.key("chargingSchedule")
            ChargingProfileWire.write(composite.schedule, &w)
            w.member("connectorId", composite.connector)
            w.member("scheduleStart", composite.start)
            w.member("status", "Accepted")
        }
    }

    /// A station that accepts and tells no schedule, or none with a period, has none to tell.
    static func answer(
        in payload: RawSpan, connector asked: ConnectorNumber
    ) throws(CallError) -> Decoded<CommandAnswer> {
        var isAccepted: Bool?
        var connector: Int?
        var start: Timestamp?
        var schedule: ChargingSchedule?
        let statuses = Words<Bool>([("Accepted", true), ("Rejected", false)])
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "status") {
                isAccepted = try f.closed(&r, "status", statuses)
            } else if r.matches(key, "connectorId") {
                connector = try f.integer(&r, "connectorId")
            } else if r.matches(key, "scheduleStart") {
                start = try f.time(&r)
            } else if r.matches(key, "chargingSchedule") {
                schedule = try ChargingProfileWire.readSchedule(&r, &f)
            } else {
                try f.unknown(&r)
            }
        }
        guard try fields.required(isAccepted, "status"), let schedule, !schedule.periods.isEmpty,
            let start = start ?? schedule.start
        else { return Decoded(.composite(nil), fields.deviations) }
        return Decoded(
            .composite(
                CompositeSchedule(
                    connector: connector ?? asked, start: start, schedule: schedule)),
            fields.deviations)
    }
}
