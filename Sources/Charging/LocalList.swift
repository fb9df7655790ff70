/// A station's own list of tokens, as the operator sends it: whole, or what changed. OCPP 1.6 §5.16.
package struct LocalListUpdate: Hashable, Sendable {
    /// Raw values are OCPP 1.6 §7.43.
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        case full = "Full"
        case differential = "Differential"
    }

    package struct Entry: Hashable, Sendable {
        package var token: String
        /// nil takes the token off the list; only a differential update may.
        package var info: AuthorizationInfo?

        package init(token: String, info: AuthorizationInfo?) {
            self.token = token
            self.info = info
        }
    }

    /// Tokens in one update; a longer one is refused whole.
    package static let mostEntries = 2000

    package var kind: Kind
    /// The list's version once the update is taken; above 0.
    package var version: Int
    package var entries: [Entry]

    package init(kind: Kind, version: Int, entries: [Entry]) {
        self.kind = kind
        self.version = version
        self.entries = entries
    }
}

/// A connector kept free for one driver. OCPP 1.6 §3.5, §5.13.
package struct Reservation: Hashable, Sendable {
    /// The operator's number; the same number again replaces the reservation.
    package var id: Int
    /// 0 keeps any one connector of the station free.
    package var connector: ConnectorNumber
    package var token: String
    /// Another token of this group may use it too.
    package var group: String?
    package var expires: Timestamp

    package init(
        id: Int, connector: ConnectorNumber, token: String, group: String? = nil,
        expires: Timestamp
    ) {
        self.id = id
        self.connector = connector
        self.token = token
        self.group = group
        self.expires = expires
    }
}
