import CPO
import Charging
import JSON

// Reserving, cancelling and unlocking for a partner. OCPI 2.2.1 §13.3.

/// RESERVE_NOW. OCPI 2.2.1 §13.3.3.
struct ReserveRequest: Hashable, Sendable {
    var responseURL: String
    var token: Token
    var expires: Timestamp
    var reservationID: String
    var locationID: String
    var evseUID: String?

    init(ocpi value: JSONValue) throws(WireError) {
        let fields = try WireFields(value, at: "")
        responseURL = try fields.text("response_url", max: 255)
        guard let token = fields.members["token"] else { throw WireError("token", "is missing") }
        self.token = try Token(ocpi: token, at: "token")
        expires = try fields.time("expiry_date")
        reservationID = try fields.text("reservation_id", max: 36)
        locationID = try fields.text("location_id", max: 36)
        evseUID = try fields.optionalText("evse_uid", max: 36)
    }
}

/// CANCEL_RESERVATION. OCPI 2.2.1 §13.3.1.
struct CancelRequest: Hashable, Sendable {
    var responseURL: String
    var reservationID: String

    init(ocpi value: JSONValue) throws(WireError) {
        let fields = try WireFields(value, at: "")
        responseURL = try fields.text("response_url", max: 255)
        reservationID = try fields.text("reservation_id", max: 36)
    }
}

/// UNLOCK_CONNECTOR. OCPI 2.2.1 §13.3.6.
struct UnlockRequest: Hashable, Sendable {
    var responseURL: String
    var locationID: String
    var evseUID: String
    var connectorID: String

    init(ocpi value: JSONValue) throws(WireError) {
        let fields = try WireFields(value, at: "")
        responseURL = try fields.text("response_url", max: 255)
        locationID = try fields.text("location_id", max: 36)
        evseUID = try fields.text("evse_uid", max: 36)
        connectorID = try fields.text("connector_id", max: 36)
    }
}

extension OCPIDoor {
    func reserve(_ wanted: ReserveRequest, _ caller: Caller) async throws -> OCPIReply {
        if let refusal = refusal(of: wanted.responseURL, for: caller.peer) { return refusal }
        guard caller.peer.parties.contains(wanted.token.party) else {
            return .success(rejected("the token is not yours"))
        }
        guard let location = house.locations.location(wanted.locationID), location.publish else {
            return .refusal(
                StatusCode.unknownLocation, "no such location", data: rejected("unknown location"))
        }
        guard let evse = evse(wanted.evseUID, at: location) else {
            return .refusal(
                StatusCode.unknownLocation, "no such EVSE", data: rejected("unknown EVSE"))
        }
        let uid = evse.uid
        let wish = ChargePointOperator.ReservationWish(
            token: wanted.token, expires: wanted.expires, partnerID: wanted.reservationID)
        return try await order("RESERVE_NOW", wanted.responseURL, caller) {
            [house] origin, now, transaction in
            try house.reserve(
                .evse(uid: uid), wish, origin: origin, at: now, in: transaction)
        }
    }

    func cancel(_ wanted: CancelRequest, _ caller: Caller) async throws -> OCPIReply {
        if let refusal = refusal(of: wanted.responseURL, for: caller.peer) { return refusal }
        let (parties, id) = (caller.peer.parties, wanted.reservationID)
        return try await order("CANCEL_RESERVATION", wanted.responseURL, caller) {
            [house] origin, now, transaction in
            // Names are the partner's own: one of another partner is not even found.
            for party in parties {
                guard
                    let found = try house.reservations.find(
                        partnerID: id, party: party, in: transaction)
                else { continue }
                return try house.cancel(
                    reservation: found.reservation.id, origin: origin, at: now, in: transaction)
            }
            throw CommandRefusal.unknownReservation
        }
    }

    func unlock(_ wanted: UnlockRequest, _ caller: Caller) async throws -> OCPIReply {
        if let refusal = refusal(of: wanted.responseURL, for: caller.peer) { return refusal }
        guard let location = house.locations.location(wanted.locationID), location.publish,
            let evse = evse(wanted.evseUID, at: location),
            evse.connectors.contains(where: { Self.same($0.id, wanted.connectorID) })
        else {
            return .refusal(
                StatusCode.unknownLocation, "no such EVSE or connector",
                data: rejected("unknown EVSE or connector"))
        }
        // Unlocking ends a charge: only the driver's own eMSP may.
        let running = house.sessions.running().first { Self.same($0.evseUID, evse.uid) }
        if let running, !caller.peer.parties.contains(running.token.party) {
            return .success(rejected("another driver is charging there"))
        }
        let uid = evse.uid
        return try await order("UNLOCK_CONNECTOR", wanted.responseURL, caller) {
            [house] origin, now, transaction in
            try house.unlock(.evse(uid: uid), origin: origin, at: now, in: transaction)
        }
    }
}
