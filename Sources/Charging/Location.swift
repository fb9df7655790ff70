/// A party of the roaming world: country and three characters. Compared ignoring case. OCPI 2.2.1 §6.
package struct PartyID: Hashable, Sendable, CustomStringConvertible {
    /// ISO 3166-1 alpha-2, upper case.
    package var country: String
    /// Three characters, upper case.
    package var party: String

    package init(country: String, party: String) {
        self.country = country.uppercased()
        self.party = party.uppercased()
    }

    package var description: String { "\(country)*\(party)" }
}

/// Coordinates as decimal texts, so that no digit is invented on the way. WGS 84.
package struct Coordinates: Hashable, Sendable {
    package var latitude: Decimal
    package var longitude: Decimal

    package init(latitude: Decimal, longitude: Decimal) {
        self.latitude = latitude
        self.longitude = longitude
    }
}

/// A place with EVSEs. OCPI 2.2.1 §8.3.1.
package struct Location: Hashable, Sendable {
    package var party: PartyID
    package var id: String
    package var publish: Bool
    package var name: String?
    package var address: String
    package var city: String
    package var postalCode: String?
    package var state: String?
    /// ISO 3166-1 alpha-3.
    package var country: String
    package var coordinates: Coordinates
    /// IANA name.
    package var timeZone: String
    package var evses: [EVSE]
    package var lastUpdated: Timestamp

    package init(
        party: PartyID, id: String, publish: Bool = true, name: String?, address: String,
        city: String,
        postalCode: String? = nil, state: String? = nil, country: String, coordinates: Coordinates,
        timeZone: String, evses: [EVSE], lastUpdated: Timestamp
    ) {
        self.party = party
        self.id = id
        self.publish = publish
        self.name = name
        self.address = address
        self.city = city
        self.postalCode = postalCode
        self.state = state
        self.country = country
        self.coordinates = coordinates
        self.timeZone = timeZone
        self.evses = evses
        self.lastUpdated = lastUpdated
    }
}

/// OCPI 2.2.1 §8.4.22; lives on the EVSE only.
package enum EVSEStatus: String, Hashable, Sendable, CaseIterable {
    case available = "AVAILABLE"
    case blocked = "BLOCKED"
    case charging = "CHARGING"
    case inoperative = "INOPERATIVE"
    case outOfOrder = "OUTOFORDER"
    case planned = "PLANNED"
    case removed = "REMOVED"
    case reserved = "RESERVED"
    case unknown = "UNKNOWN"
}

/// One outlet that can charge one vehicle at a time. OCPI 2.2.1 §8.3.2.
package struct EVSE: Hashable, Sendable {
    /// Never reused, never shown to drivers.
    package var uid: String
    /// eMI3, `DE*ABC*E123*1`.
    package var evseID: String?
    package var status: EVSEStatus
    package var connectors: [Connector]
    package var capabilities: [String]
    package var physicalReference: String?
    /// The station and connector number behind it; nil while it is only planned.
    package var station: String?
    package var stationConnector: ConnectorNumber?
    package var lastUpdated: Timestamp

    package init(
        uid: String, evseID: String?, status: EVSEStatus, connectors: [Connector],
        capabilities: [String] = ["REMOTE_START_STOP_CAPABLE", "RFID_READER"],
        physicalReference: String? = nil,
        station: String? = nil, stationConnector: ConnectorNumber? = nil, lastUpdated: Timestamp
    ) {
        self.uid = uid
        self.evseID = evseID
        self.status = status
        self.connectors = connectors
        self.capabilities = capabilities
        self.physicalReference = physicalReference
        self.station = station
        self.stationConnector = stationConnector
        self.lastUpdated = lastUpdated
    }
}

/// A plug or socket. OCPI 2.2.1 §8.3.3; enum texts are OCPI's (`IEC_62196_T2`, `SOCKET`, `AC_3_PHASE`).
package struct Connector: Hashable, Sendable {
    package var id: String
    package var standard: String
    package var format: String
    package var powerType: String
    /// Line to neutral, volts.
    package var maxVoltage: Int
    /// Amperes per phase.
    package var maxAmperage: Int
    /// Watts, only where lower than voltage times current.
    package var maxElectricPower: Int?
    package var tariffIDs: [String]
    package var lastUpdated: Timestamp

    package init(
        id: String, standard: String, format: String, powerType: String, maxVoltage: Int,
        maxAmperage: Int,
        maxElectricPower: Int? = nil, tariffIDs: [String], lastUpdated: Timestamp
    ) {
        self.id = id
        self.standard = standard
        self.format = format
        self.powerType = powerType
        self.maxVoltage = maxVoltage
        self.maxAmperage = maxAmperage
        self.maxElectricPower = maxElectricPower
        self.tariffIDs = tariffIDs
        self.lastUpdated = lastUpdated
    }
}
