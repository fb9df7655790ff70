import Charging
import JSON
import OCPP

/// The operator wants another firmware, without a signature. OCPP 1.6 §5.19, §6.55.
enum UpdateFirmware {
    static let action = "UpdateFirmware"

    static func write(_ order: FirmwareOrder, at: Timestamp, _ writer: inout JSONWriter) {
        writer.object { w in
            w.member("location", order.transfer.location)
            w.member("retries", ifAny: order.transfer.retries)
            w.member("retrieveDate", at)
            w.member("retryInterval", ifAny: order.transfer.retrySeconds)
        }
    }

    static func command(in payload: RawSpan) throws(CallError) -> Decoded<StationCommand> {
        var transfer = TransferFields()
        var at: Timestamp?
        var fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "retrieveDate") {
                at = try f.time(&r)
            } else if try !transfer.take(&r, key, &f) {
                try f.unknown(&r)
            }
        }
        if at == nil { fields.deviations.insert(.timestampMissing) }
        let order = FirmwareOrder(transfer: try transfer.checked(fields), retrieveAt: at)
        return Decoded(.maintenance(.updateFirmware(order)), fields.deviations)
    }
}

/// The same with a signature and the certificate that made it. Security white paper §5.1.
enum SignedUpdateFirmware {
    static let action = "SignedUpdateFirmware"
    static let answer = StatusAnswer(
        words: [
            "Accepted", "AcceptedCanceled", "InvalidCertificate", "RevokedCertificate", "Rejected",
        ])
    static let certificateCharacters = 5500
    static let signatureCharacters = 800

    static func write(
        _ order: FirmwareOrder, _ signed: FirmwareOrder.Signed, at: Timestamp,
        _ writer: inout JSONWriter
    ) {
        writer.object { w in
            w.key("firmware")
            w.object { w in
                w.member("installDateTime", ifAny: signed.installAt)
                w.member("location", order.transfer.location)
                w.member("retrieveDateTime", at)
                w.member("signature", signed.signature)
                w.member("signingCertificate", signed.certificate)
            }
            w.member("requestId", signed.requestID)
            w.member("retries", ifAny: order.transfer.retries)
            w.member("retryInterval", ifAny: order.transfer.retrySeconds)
        }
    }

    static func command(in payload: RawSpan) throws(CallError) -> Decoded<StationCommand> {
        var transfer = TransferFields()
        var (requestID, isThere): (Int?, Bool) = (nil, false)
        var (retrieveAt, installAt): (Timestamp?, Timestamp?) = (nil, nil)
        var (certificate, signature): (String?, String?) = (nil, nil)
        var fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "firmware") {
                isThere = try f.object(&r, "firmware") { r, key, f throws(JSONError) in
                    if r.matches(key, "retrieveDateTime") {
                        retrieveAt = try f.time(&r)
                    } else if r.matches(key, "installDateTime") {
                        installAt = try f.timeOrNull(&r)
                    } else if r.matches(key, "signingCertificate") {
                        certificate = try f.text(
                            &r, "signingCertificate", maximum: certificateCharacters)
                    } else if r.matches(key, "signature") {
                        signature = try f.text(&r, "signature", maximum: signatureCharacters)
                    } else if try !transfer.take(&r, key, &f) {
                        try f.unknown(&r)
                    }
                }
            } else if r.matches(key, "requestId") {
                requestID = try f.integer(&r, "requestId")
            } else if try !transfer.take(&r, key, &f) {
                try f.unknown(&r)
            }
        }
        guard isThere else {
            try fields.checked()
            throw CallError(.missingField, "a required field is missing: firmware")
        }
        if retrieveAt == nil { fields.deviations.insert(.timestampMissing) }
        let signed = FirmwareOrder.Signed(
            requestID: try fields.required(requestID, "requestId"), installAt: installAt,
            certificate: try fields.required(certificate, "signingCertificate"),
            signature: try fields.required(signature, "signature"))
        let order = FirmwareOrder(
            transfer: try transfer.checked(fields), retrieveAt: retrieveAt, signed: signed)
        return Decoded(.maintenance(.updateFirmware(order)), fields.deviations)
    }
}

/// The fields of a file's way that four messages share, under 1.6's two names for the place.
struct TransferFields {
    static let locationCharacters = 512
    private var location: String?
    private var retries: Int?
    private var retrySeconds: Int?

    /// Takes the member if it is one of them.
    @_lifetime(reader: copy reader)
    mutating func take(_ reader: inout JSONReader, _ key: JSONSlice, _ fields: inout FieldReader)
        throws(JSONError) -> Bool
    {
        if reader.matches(key, "location") || reader.matches(key, "remoteLocation") {
            location = try fields.text(&reader, "location", maximum: Self.locationCharacters)
        } else if reader.matches(key, "retries") {
            retries = try fields.integer(&reader, "retries")
        } else if reader.matches(key, "retryInterval") {
            retrySeconds = try fields.integer(&reader, "retryInterval")
        } else {
            return false
        }
        return true
    }

    /// A place, certificate or signature cut to fit would be another one; without its date an update
    /// would begin at once, and a log would have no bounds.
    func checked(_ fields: FieldReader) throws(CallError) -> TransferOrder {
        let place = try fields.required(location, "location")
        try fields.refuseCut()
        if fields.deviations.contains(.timestampUnreadable) {
            throw CallError(.propertyViolation, "a date is not a time")
        }
        return TransferOrder(location: place, retries: retries, retrySeconds: retrySeconds)
    }
}

extension FieldReader {
    /// For messages in which no text may lose its end.
    func refuseCut() throws(CallError) {
        if deviations.contains(.textTooLong) {
            throw CallError(.propertyViolation, "a text is longer than its field allows")
        }
    }
}
