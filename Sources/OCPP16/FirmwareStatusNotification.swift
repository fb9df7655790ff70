import Charging
import JSON
import OCPP

/// How far an update without signature is. OCPP 1.6 §4.5, §6.25.
enum FirmwareStatusNotification {
    static let action = "FirmwareStatusNotification"
    static let words: [FirmwareStatus] = [
        .downloaded, .downloadFailed, .downloading, .idle, .installationFailed, .installing,
        .installed,
    ]

    static func write(_ status: FirmwareStatus, _ writer: inout JSONWriter) {
        writer.object { w in w.member("status", status.rawValue) }
    }

    static func event(in payload: RawSpan) throws(CallError) -> Decoded<StationEvent>? {
        try StatusReportFields.read(payload, FirmwareStatus.init) { status, _ in .firmware(status) }
    }
}

/// How far a signed update is. Security white paper §5.2.
enum SignedFirmwareStatusNotification {
    static let action = "SignedFirmwareStatusNotification"

    static func write(_ status: FirmwareStatus, _ requestID: Int?, _ writer: inout JSONWriter) {
        StatusReportFields.write(status.rawValue, requestID, &writer)
    }

    static func event(in payload: RawSpan) throws(CallError) -> Decoded<StationEvent>? {
        try StatusReportFields.read(payload, FirmwareStatus.init) { status, requestID in
            .signedFirmware(status, requestID: requestID)
        }
    }
}

/// How far an upload of diagnostics is. OCPP 1.6 §4.4, §6.17.
enum DiagnosticsStatusNotification {
    static let action = "DiagnosticsStatusNotification"

    /// 1.6 has one word for all that can go wrong.
    static func spelled(_ status: UploadStatus) -> String {
        switch status {
        case .idle: "Idle"
        case .uploaded: "Uploaded"
        case .uploading: "Uploading"
        case .failed, .badMessage, .notSupported, .permissionDenied: "UploadFailed"
        }
    }

    static func write(_ status: UploadStatus, _ writer: inout JSONWriter) {
        writer.object { w in w.member("status", spelled(status)) }
    }

    static func event(in payload: RawSpan) throws(CallError) -> Decoded<StationEvent>? {
        try StatusReportFields.read(payload, word) { status, _ in .diagnostics(status) }
    }

    private static func word(_ text: String) -> UploadStatus? {
        UploadStatus.allCases.first { spelled($0) == text }
    }
}

/// How far an upload of a log is. Security white paper §5.4.
enum LogStatusNotification {
    static let action = "LogStatusNotification"

    static func write(_ status: UploadStatus, _ requestID: Int?, _ writer: inout JSONWriter) {
        StatusReportFields.write(status.rawValue, requestID, &writer)
    }

    static func event(in payload: RawSpan) throws(CallError) -> Decoded<StationEvent>? {
        try StatusReportFields.read(payload, UploadStatus.init) { status, requestID in
            .log(status, requestID: requestID)
        }
    }
}

/// A status word and the request it belongs to.
enum StatusReportFields {
    static func write(_ status: String, _ requestID: Int?, _ writer: inout JSONWriter) {
        writer.object { w in
            w.member("requestId", ifAny: requestID)
            w.member("status", status)
        }
    }

    /// nil where the word is none of the version's: the message is then kept as it came.
    static func read<Word>(
        _ payload: RawSpan, _ word: (String) -> Word?,
        _ report: (Word, Int?) -> MaintenanceReport
    ) throws(CallError) -> Decoded<StationEvent>? {
        var (status, requestID): (String?, Int?) = (nil, nil)
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "status") {
                status = try f.text(&r, "status", maximum: OCPPLimits.textCharacters)
            } else if r.matches(key, "requestId") {
                requestID = try f.integer(&r, "requestId")
            } else {
                try f.unknown(&r)
            }
        }
        guard let known = word(try fields.required(status, "status")) else { return nil }
        return Decoded(.maintenance(report(known, requestID)), fields.deviations)
    }
}
