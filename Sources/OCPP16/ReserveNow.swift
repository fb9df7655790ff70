import Charging
import JSON
import OCPP

/// The operator keeps a connector free for a driver. OCPP 1.6 §5.13, §6.37.
enum ReserveNow {
    static let action = "ReserveNow"
    static let answer = StatusAnswer(
        words: ["Accepted", "Faulted", "Occupied", "Unavailable", "Rejected"])

    static func write(_ reservation: Reservation, _ writer: inout JSONWriter) {
        writer.object { w in
            w.member("connectorId", reservation.connector)
            w.member("expiryDate", reservation.expires)
            w.member("idTag", reservation.token)
            w.member("parentIdTag", ifAny: reservation.group)
            w.member("reservationId", reservation.id)
        }
    }

    static func command(in payload: RawSpan) throws(CallError) -> Decoded<StationCommand> {
        var connector: Int?
        var expires: Timestamp?
        var token: String?
        var group: String?
        var id: Int?
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "connectorId") {
                connector = try f.integer(&r, "connectorId")
            } else if r.matches(key, "expiryDate") {
                expires = try f.time(&r)
            } else if r.matches(key, "idTag") {
                token = try f.orderedToken(&r, "idTag")
            } else if r.matches(key, "parentIdTag") {
                group = try f.orderedGroup(&r, "parentIdTag")
            } else if r.matches(key, "reservationId") {
                id = try f.integer(&r, "reservationId")
            } else {
                try f.unknown(&r)
            }
        }
        try fields.checked()
        // A reservation without a readable end would never end.
        if expires == nil, fields.deviations.contains(.timestampUnreadable) {
            throw CallError(.propertyViolation, "expiryDate is not a time")
        }
        let reservation = Reservation(
            id: try fields.required(id, "reservationId"),
            connector: try fields.required(connector, "connectorId"),
            token: try fields.required(token, "idTag"), group: group,
            expires: try fields.required(expires, "expiryDate"))
        if reservation.connector < 0 {
            throw CallError(.propertyViolation, "connectorId must not be negative")
        }
        return Decoded(.reserve(reservation), fields.deviations)
    }
}

/// The operator gives a reserved connector free again. OCPP 1.6 §5.1, §6.3.
enum CancelReservation {
    static let action = "CancelReservation"
    static let answer = StatusAnswer(words: ["Accepted", "Rejected"])

    static func write(_ id: Int, _ writer: inout JSONWriter) {
        writer.object { w in w.member("reservationId", id) }
    }

    static func command(in payload: RawSpan) throws(CallError) -> Decoded<StationCommand> {
        var id: Int?
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "reservationId") {
                id = try f.integer(&r, "reservationId")
            } else {
                try f.unknown(&r)
            }
        }
        return Decoded(
            .cancelReservation(id: try fields.required(id, "reservationId")), fields.deviations)
    }
}
