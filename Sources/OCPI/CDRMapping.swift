import Charging
import JSON

// CDR as OCPI 2.2.1 §10.3.1 has it: everything as sealed when the session began.

extension CDR {
    package func ocpi221(party: PartyID) -> JSONValue {
        let periods = ChargingPeriods(session, cost: cost)
        let isCredit = creditOf != nil
        let hasParking = periods.parkingHours != .zero || cost.parking != nil
        return .members([
            "country_code": .string(party.country), "party_id": .string(party.party),
            "id": .string(id), "start_date_time": .time(session.startedAt),
            "end_date_time": .time(session.endedAt ?? session.lastUpdated),
            "session_id": .string(session.id), "cdr_token": session.token.cdrToken,
            "auth_method": .string(session.authMethod.rawValue),
            "authorization_reference": session.authorizationReference.map { .string($0) },
            "cdr_location": session.cdrLocation, "currency": .string(cost.currency),
            "tariffs": session.tariff.map { .array([$0.ocpi221]) },
            "charging_periods": .array(periods.wire), "signed_data": signedData,
            // A credit takes back the total; energy and sub-totals stay as they were.
            "total_cost": (isCredit ? cost.total.negated : cost.total).ocpi221,
            "total_fixed_cost": cost.fixed?.ocpi221,
            "total_energy": .number(session.energy.kilowattHours),
            "total_energy_cost": cost.energy?.ocpi221,
            "total_time": .number(periods.totalHours), "total_time_cost": cost.time?.ocpi221,
            "total_parking_time": hasParking ? .number(periods.parkingHours) : nil,
            "total_parking_cost": cost.parking?.ocpi221,
            "total_reservation_cost": cost.reservation?.ocpi221,
            "credit": isCredit ? true : nil,
            "credit_reference_id": creditOf.map { .string($0) },
            "last_updated": .time(createdAt),
        ])
    }
}

extension Session {
    /// The place, flat. Address and state are shorter here than in a Location. OCPI 2.2.1 §10.4.4.
    fileprivate var cdrLocation: JSONValue {
        let evse = location.evses.first { $0.uid == evseUID } ?? location.evses.first
        let plug = evse?.connectors.first { $0.id == connectorID } ?? evse?.connectors.first
        return .members([
            "id": .string(location.id), "name": location.name.map { .string($0) },
            "address": .string(String(location.address.prefix(45))),
            "city": .string(String(location.city.prefix(45))),
            "postal_code": location.postalCode.map { .string($0) },
            "state": location.state.map { .string(String($0.prefix(20))) },
            "country": .string(location.country), "coordinates": location.coordinates.ocpi221,
            "evse_uid": .string(evseUID), "evse_id": .string(evse?.evseID ?? evseUID),
            "connector_id": .string(connectorID),
            "connector_standard": plug.map { .string($0.standard) },
            "connector_format": plug.map { .string($0.format) },
            "connector_power_type": plug.map { .string($0.powerType) },
        ])
    }
}
