import Charging
import JSON
import OCPP

/// The operator wants the diagnostics uploaded. OCPP 1.6 §5.9, §6.23.
enum GetDiagnostics {
    static let action = "GetDiagnostics"
    static let fileNameCharacters = 255

    static func write(_ order: LogOrder, _ writer: inout JSONWriter) {
        writer.object { w in
            w.member("location", order.transfer.location)
            w.member("retries", ifAny: order.transfer.retries)
            w.member("retryInterval", ifAny: order.transfer.retrySeconds)
            w.member("startTime", ifAny: order.from)
            w.member("stopTime", ifAny: order.until)
        }
    }

    static func command(in payload: RawSpan) throws(CallError) -> Decoded<StationCommand> {
        var transfer = TransferFields()
        var (from, until): (Timestamp?, Timestamp?) = (nil, nil)
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "startTime") {
                from = try f.timeOrNull(&r)
            } else if r.matches(key, "stopTime") {
                until = try f.timeOrNull(&r)
            } else if try !transfer.take(&r, key, &f) {
                try f.unknown(&r)
            }
        }
        let order = LogOrder(
            kind: .diagnostics, transfer: try transfer.checked(fields), requestID: nil, from: from,
            until: until)
        return Decoded(.maintenance(.sendLog(order)), fields.deviations)
    }

    static func write(_ fileName: String?, _ writer: inout JSONWriter) {
        writer.object { w in
            w.member("fileName", ifAny: Wire.cut(fileName, fileNameCharacters))
        }
    }

    static func answer(in payload: RawSpan) throws(CallError) -> Decoded<CommandAnswer> {
        var name: String?
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "fileName") {
                name = try f.text(&r, "fileName", maximum: fileNameCharacters)
            } else {
                try f.unknown(&r)
            }
        }
        try fields.checked()
        // Both mean that there is nothing to upload.
        if name == "" { name = nil }
        return Decoded(.maintenance(.log(status: nil, fileName: name)), fields.deviations)
    }
}

/// The operator wants one of two logs uploaded. Security white paper §5.3.
enum GetLog {
    static let action = "GetLog"
    static let answer = StatusAnswer(words: ["Accepted", "AcceptedCanceled", "Rejected"])
    private static let kinds = Words<LogKind>([
        ("DiagnosticsLog", .diagnostics), ("SecurityLog", .security),
    ])

    static func write(_ order: LogOrder, _ requestID: Int, _ writer: inout JSONWriter) {
        writer.object { w in
            w.key("log")
            w.object { w in
                w.member("latestTimestamp", ifAny: order.until)
                w.member("oldestTimestamp", ifAny: order.from)
                w.member("remoteLocation", order.transfer.location)
            }
            w.member("logType", order.kind.rawValue)
            w.member("requestId", requestID)
            w.member("retries", ifAny: order.transfer.retries)
            w.member("retryInterval", ifAny: order.transfer.retrySeconds)
        }
    }

    static func command(in payload: RawSpan) throws(CallError) -> Decoded<StationCommand> {
        var transfer = TransferFields()
        var (kind, foreign): (LogKind?, String?) = (nil, nil)
        var requestID: Int?
        var (from, until): (Timestamp?, Timestamp?) = (nil, nil)
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "log") {
                _ = try f.object(&r, "log") { r, key, f throws(JSONError) in
                    if r.matches(key, "oldestTimestamp") {
                        from = try f.timeOrNull(&r)
                    } else if r.matches(key, "latestTimestamp") {
                        until = try f.timeOrNull(&r)
                    } else if try !transfer.take(&r, key, &f) {
                        try f.unknown(&r)
                    }
                }
            } else if r.matches(key, "logType") {
                kind = try f.word(&r, "logType", kinds, foreign: &foreign)
            } else if r.matches(key, "requestId") {
                requestID = try f.integer(&r, "requestId")
            } else if try !transfer.take(&r, key, &f) {
                try f.unknown(&r)
            }
        }
        // Sending another log than the one asked for is no leniency.
        if foreign != nil { throw CallError(.propertyViolation, "logType is none of the two") }
        let order = LogOrder(
            kind: try fields.required(kind, "logType"), transfer: try transfer.checked(fields),
            requestID: try fields.required(requestID, "requestId"), from: from, until: until)
        return Decoded(.maintenance(.sendLog(order)), fields.deviations)
    }

    static func write(_ status: String, _ fileName: String?, _ writer: inout JSONWriter) {
        writer.object { w in
            w.member("filename", ifAny: Wire.cut(fileName, GetDiagnostics.fileNameCharacters))
            w.member("status", answer.words.contains(status) ? status : "Rejected")
        }
    }

    static func answer(in payload: RawSpan) throws(CallError) -> Decoded<CommandAnswer> {
        var (status, name): (String?, String?) = (nil, nil)
        var fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "status") {
                status = try f.text(&r, "status", maximum: OCPPLimits.textCharacters)
            } else if r.matches(key, "filename") {
                name = try f.text(&r, "filename", maximum: GetDiagnostics.fileNameCharacters)
            } else {
                try f.unknown(&r)
            }
        }
        let word = try fields.required(status, "status")
        if !answer.words.contains(word) { fields.deviations.insert(.unknownEnumValue) }
        return Decoded(.maintenance(.log(status: word, fileName: name)), fields.deviations)
    }
}
