/// Who pays. OCPI 2.2.1 §12.3.2.
package struct Token: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        case adHocUser = "AD_HOC_USER"
        case appUser = "APP_USER"
        case other = "OTHER"
        case rfid = "RFID"
    }

    package enum Whitelist: String, Hashable, Sendable, CaseIterable {
        case always = "ALWAYS"
        case allowed = "ALLOWED"
        case allowedOffline = "ALLOWED_OFFLINE"
        case never = "NEVER"
    }

    /// The eMSP that owns it; the CPO itself for its own drivers.
    package var party: PartyID
    package var uid: String
    package var kind: Kind
    package var contractID: String
    package var visualNumber: String?
    package var issuer: String
    package var groupID: String?
    package var isValid: Bool
    package var whitelist: Whitelist
    package var language: String?
    /// The house's own: not accepted from then on.
    package var expires: Timestamp?
    /// The house's own: charges at a time. nil: the operator's rule for all; 0: no bound.
    package var mostCharges: Int?
    package var lastUpdated: Timestamp

    package init(
        party: PartyID, uid: String, kind: Kind, contractID: String, visualNumber: String? = nil,
        issuer: String, groupID: String? = nil, isValid: Bool = true,
        whitelist: Whitelist = .allowed,
        language: String? = nil, expires: Timestamp? = nil, mostCharges: Int? = nil,
        lastUpdated: Timestamp
    ) {
        self.party = party
        self.uid = uid
        self.kind = kind
        self.contractID = contractID
        self.visualNumber = visualNumber
        self.issuer = issuer
        self.groupID = groupID
        self.isValid = isValid
        self.whitelist = whitelist
        self.language = language
        self.expires = expires
        self.mostCharges = mostCharges
        self.lastUpdated = lastUpdated
    }
}
