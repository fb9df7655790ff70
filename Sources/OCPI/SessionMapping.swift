import Charging
import JSON

// Session as OCPI 2.2.1 §9.3.1 has it.

extension Session {
    /// - Parameter party: the CPO the session belongs to.
    package func ocpi221(party: PartyID) -> JSONValue {
        .members([
            "country_code": .string(party.country), "party_id": .string(party.party),
            "id": .string(id), "start_date_time": .time(startedAt),
            "end_date_time": endedAt.map { .time($0) }, "kwh": .number(energy.kilowattHours),
            "cdr_token": token.cdrToken, "auth_method": .string(authMethod.rawValue),
            "authorization_reference": authorizationReference.map { .string($0) },
            "location_id": .string(location.id), "evse_uid": .string(evseUID),
            "connector_id": .string(connectorID), "currency": .string(currency),
            "charging_periods": .array(ChargingPeriods(self, cost: cost).wire),
            "total_cost": cost?.total.ocpi221, "status": .string(status.rawValue),
            "last_updated": .time(lastUpdated),
        ])
    }

    /// What moves while the session runs. No periods: a PATCH would append them, and the last one
    /// grows; the final PUT carries them.
    package var ocpi221Changes: JSONValue {
        .members([
            "kwh": .number(energy.kilowattHours), "total_cost": cost?.total.ocpi221,
            "status": .string(status.rawValue), "last_updated": .time(lastUpdated),
        ])
    }
}

extension Token {
    /// OCPI 2.2.1 §10.4.5.
    var cdrToken: JSONValue {
        [
            "country_code": .string(party.country), "party_id": .string(party.party),
            "uid": .string(uid), "type": .string(kind.rawValue),
            "contract_id": .string(contractID),
        ]
    }
}
