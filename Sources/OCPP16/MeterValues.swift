import Charging
import JSON
import OCPP

/// Readings of a connector's meter, or of the station's as connector 0. OCPP 1.6 §4.7, §6.31.
enum MeterValues {
    static let action = "MeterValues"

    static func write(
        _ report: MeterReport, number: Int?, _ writer: inout JSONWriter
    ) throws(DialectError) {
        let readings = try SampledValues.sayable(report.readings)
        guard !readings.isEmpty else { throw .missing(field: "meterValue") }
        writer.beginObject()
        writer.member("connectorId", report.connector)
        writer.key("meterValue")
        SampledValues.write(readings, &writer)
        writer.member("transactionId", ifAny: number)
        writer.endObject()
    }

    static func event(in payload: RawSpan) throws(CallError) -> Decoded<StationEvent> {
        var connector: Int?
        var id: Int?
        var readings: [MeterReading] = []
        var sawReadings = false
        var fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "connectorId") {
                connector = try f.integer(&r, "connectorId")
            } else if r.matches(key, "transactionId") {
                id = try f.integer(&r, "transactionId")
            } else if r.matches(key, "meterValue") {
                readings = try SampledValues.read(&r, "meterValue", &f)
                sawReadings = true
            } else {
                try f.unknown(&r)
            }
        }
        _ = try fields.required(sawReadings ? true : nil, "meterValue")
        if let id, id < 1 { fields.deviations.insert(.transactionIDUnset) }
        let report = MeterReport(
            connector: try fields.required(connector, "connectorId"),
            transaction: id.map { .number($0) }, readings: readings)
        if report.connector < 0 || report.connector > Wire.maximumConnector {
            fields.deviations.insert(.connectorOutOfRange)
        }
        return Decoded(.metered(report), fields.deviations)
    }
}
