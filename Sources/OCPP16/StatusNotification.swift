import Charging
import JSON
import OCPP

/// A connector, or the station as connector 0, is in a new state. OCPP 1.6 §4.9, §6.47.
enum StatusNotification {
    static let action = "StatusNotification"

    static func write(_ report: StatusReport, _ writer: inout JSONWriter) {
        let isKnown = Vocabulary.errorCodes.contains(report.errorCode)
        let vendorCode = report.vendorErrorCode ?? (isKnown ? nil : report.errorCode)
        writer.object { w in
            w.member("connectorId", report.connector)
            w.member("errorCode", isKnown ? report.errorCode : "OtherError")
            w.member("info", ifAny: Wire.cut(report.info, 50))
            w.member("status", report.status.rawValue)
            w.member("timestamp", ifAny: report.at)
            w.member("vendorErrorCode", ifAny: Wire.cut(vendorCode, 50))
        }
    }

    static func event(in payload: RawSpan) throws(CallError) -> Decoded<StationEvent> {
        var connector: Int?
        var status: ConnectorStatus?
        var foreignStatus: String?
        var errorCode: String?
        var info: String?
        var vendorErrorCode: String?
        var at: Timestamp?
        var fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "connectorId") {
                connector = try f.integer(&r, "connectorId")
            } else if r.matches(key, "status") {
                status = try f.word(
                    &r, "status", Vocabulary.status, foreign: &foreignStatus)
            } else if r.matches(key, "errorCode") {
                errorCode = try f.text(&r, "errorCode", maximum: OCPPLimits.textCharacters)
            } else if r.matches(key, "timestamp") {
                at = try f.time(&r)
            } else if r.matches(key, "info") {
                info = try f.text(&r, "info", maximum: 50)
            } else if r.matches(key, "vendorErrorCode") {
                vendorErrorCode = try f.text(&r, "vendorErrorCode", maximum: 50)
            } else if r.matches(key, "vendorId") {
                _ = try f.text(&r, "vendorId", maximum: 255)
            } else {
                try f.unknown(&r)
            }
        }
        if status == nil, let text = foreignStatus {
            status = neutral(foreign: text)
            info = info ?? text
        }
        var report = StatusReport(
            connector: try fields.required(connector, "connectorId"),
            status: try fields.required(status, "status"),
            errorCode: try fields.required(errorCode, "errorCode"), info: info,
            vendorErrorCode: vendorErrorCode, at: at)
        if !Vocabulary.errorCodes.contains(report.errorCode) {
            fields.deviations.insert(.unknownEnumValue)
        }
        if report.connector < 0 || report.connector > Wire.maximumConnector {
            fields.deviations.insert(.connectorOutOfRange)
            report.connector = max(0, min(report.connector, Wire.maximumConnector))
        }
        if report.connector == 0, !Vocabulary.stationStates.contains(report.status) {
            fields.deviations.insert(.statusOfStation)
        }
        return Decoded(.statusChanged(report), fields.deviations)
    }

    /// 1.5 stations said "Occupied"; anything else a driver cannot count on is unavailable.
    private static func neutral(foreign text: String) -> ConnectorStatus {
        let word = text.lowercased()
        if word == "occupied" { return .preparing }
        return ConnectorStatus.allCases.first { $0.rawValue.lowercased() == word } ?? .unavailable
    }
}
