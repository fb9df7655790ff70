import Charging
import JSON
import OCPP

/// A station introduces itself. OCPP 1.6 §4.2, §6.3.
enum BootNotification {
    static let action = "BootNotification"

    static func write(_ identity: StationIdentity, _ writer: inout JSONWriter) {
        writer.object { w in
            w.member("chargePointModel", Wire.cut(identity.model, 20))
            w.member("chargePointSerialNumber", ifAny: Wire.cut(identity.serial, 25))
            w.member("chargePointVendor", Wire.cut(identity.vendor, 20))
            w.member("firmwareVersion", ifAny: Wire.cut(identity.firmware, 50))
            w.member("meterSerialNumber", ifAny: Wire.cut(identity.meterSerial, 25))
            w.member("meterType", ifAny: Wire.cut(identity.meterType, 25))
        }
    }

    static func event(in payload: RawSpan) throws(CallError) -> Decoded<StationEvent> {
        var vendor: String?
        var model: String?
        var serial: String?
        var boxSerial: String?
        var firmware: String?
        var meterType: String?
        var meterSerial: String?
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "chargePointVendor") {
                vendor = try f.text(&r, "chargePointVendor", maximum: 20)
            } else if r.matches(key, "chargePointModel") {
                model = try f.text(&r, "chargePointModel", maximum: 20)
            } else if r.matches(key, "chargePointSerialNumber") {
                serial = try f.text(&r, "chargePointSerialNumber", maximum: 25)
            } else if r.matches(key, "chargeBoxSerialNumber") {
                boxSerial = try f.text(&r, "chargeBoxSerialNumber", maximum: 25)
            } else if r.matches(key, "firmwareVersion") {
                firmware = try f.text(&r, "firmwareVersion", maximum: 50)
            } else if r.matches(key, "meterType") {
                meterType = try f.text(&r, "meterType", maximum: 25)
            } else if r.matches(key, "meterSerialNumber") {
                meterSerial = try f.text(&r, "meterSerialNumber", maximum: 25)
            } else if r.matches(key, "iccid") {
                _ = try f.text(&r, "iccid", maximum: 20)
            } else if r.matches(key, "imsi") {
                _ = try f.text(&r, "imsi", maximum: 20)
            } else {
                try f.unknown(&r)
            }
        }
        let identity = StationIdentity(
            vendor: try fields.required(vendor, "chargePointVendor"),
            model: try fields.required(model, "chargePointModel"),
            // chargeBoxSerialNumber is deprecated, but many stations fill nothing else.
            serial: serial ?? boxSerial, firmware: firmware, meterType: meterType,
            meterSerial: meterSerial)
        return Decoded(.booted(identity), fields.deviations)
    }

    static func write(
        _ status: RegistrationStatus, _ intervalSeconds: Int, _ now: Timestamp,
        _ writer: inout JSONWriter
    ) {
        writer.object { w in
            w.member("currentTime", now)
            w.member("interval", max(0, intervalSeconds))
            w.member("status", status.rawValue)
        }
    }

    static func reply(in payload: RawSpan) throws(CallError) -> Decoded<StationReply> {
        var now: Timestamp?
        var interval: Int?
        var status: RegistrationStatus?
        var foreign: String?
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "currentTime") {
                now = try f.time(&r)
            } else if r.matches(key, "interval") || r.matches(key, "heartbeatInterval") {
                interval = try f.integer(&r, "interval")
            } else if r.matches(key, "status") {
                status = try f.word(&r, "status", Vocabulary.registration, foreign: &foreign)
            } else {
                try f.unknown(&r)
            }
        }
        let reply = StationReply.booted(
            try fields.required(status, "status"),
            intervalSeconds: Wire.seconds(try fields.required(interval, "interval")),
            now: try fields.required(now, "currentTime"))
        return Decoded(reply, fields.deviations)
    }
}
