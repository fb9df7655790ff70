import Charging

/// What the registry knows of a station. Its key is `id` in the spelling it was registered with.
package struct StationRecord: Hashable, Sendable {
    package struct Connector: Hashable, Sendable {
        /// 0 is the station itself.
        package var number: ConnectorNumber
        package var status: ConnectorStatus
        package var errorCode: String
        package var info: String?
        package var vendorErrorCode: String?
        /// The station's time, repaired where it sent none; status only moves forward by it.
        package var at: Timestamp
        /// When it came to this status; the same status told again does not move it.
        package var since: Timestamp

        package init(
            number: ConnectorNumber, status: ConnectorStatus, errorCode: String = "NoError",
            info: String? = nil, vendorErrorCode: String? = nil, at: Timestamp,
            since: Timestamp? = nil
        ) {
            self.number = number
            self.status = status
            self.errorCode = errorCode
            self.info = info
            self.vendorErrorCode = vendorErrorCode
            self.at = at
            self.since = since ?? at
        }
    }

    /// Its boot told of another device than the one before: exchanged, or two by one id.
    package struct Replacement: Hashable, Sendable {
        /// What the last other one said it was.
        package var former: String
        package var at: Timestamp
        /// Since it is registered.
        package var times: Int64

        package init(former: String, at: Timestamp, times: Int64) {
            self.former = former
            self.at = at
            self.times = times
        }
    }

    package var id: String
    /// `.pending` is the onboarding inbox: seen, not adopted yet.
    package var registration: RegistrationStatus
    package var identity: StationIdentity?
    /// WebSocket subprotocol of the newest socket.
    package var subprotocol: String?
    package var isOnline: Bool
    /// Grows with every socket; compare and detach.
    package var linkEpoch: Int64
    package var linkChangedAt: Timestamp?
    package var bootedAt: Timestamp?
    package var replaced: Replacement?
    package var createdAt: Timestamp
    /// Ordered by number.
    package var connectors: [Connector]

    package init(
        id: String, registration: RegistrationStatus, identity: StationIdentity? = nil,
        subprotocol: String? = nil, isOnline: Bool = false, linkEpoch: Int64 = 0,
        linkChangedAt: Timestamp? = nil, bootedAt: Timestamp? = nil, createdAt: Timestamp,
        connectors: [Connector] = []
    ) {
        self.id = id
        self.registration = registration
        self.identity = identity
        self.subprotocol = subprotocol
        self.isOnline = isOnline
        self.linkEpoch = linkEpoch
        self.linkChangedAt = linkChangedAt
        self.bootedAt = bootedAt
        self.createdAt = createdAt
        self.connectors = connectors
    }
}

/// What becomes of a station nobody registered.
package enum UnknownStations: String, Hashable, Sendable, Codable, CaseIterable {
    /// Listed for a person to adopt; its boot is answered Pending.
    case inbox
    /// Registered at once. For demonstrations and closed networks.
    case adopt
    /// Turned away at the handshake.
    case refuse
}
