import Charging

/// What a token's owner is asked at the moment of a charge. OCPI 2.2.1 §12.3.2 and §12.4.2.
package struct OwnerQuestion: Hashable, Sendable {
    /// The owner; nil where nobody here knows the tag.
    package var party: PartyID?
    /// As its owner spells it; as the station read it where nobody here knows it.
    package var uid: String
    package var kind: Token.Kind
    /// Where the driver stands; nil for a plug that no partner knows.
    package var location: String?
    /// The EVSEs it may be; empty where `location` is nil.
    package var evses: [String]

    package init(
        party: PartyID?, uid: String, kind: Token.Kind, location: String? = nil,
        evses: [String] = []
    ) {
        self.party = party
        self.uid = uid
        self.kind = kind
        self.location = location
        self.evses = evses
    }
}

/// What the owner said, or that it said nothing.
package enum OwnerAnswer: Hashable, Sendable {
    /// - Parameter token: as the owner knows it now; nil where it did not say.
    /// - Parameter reference: goes into session and bill.
    /// - Parameter evses: the only ones it holds for; nil: any.
    case allowed(Token?, reference: String?, evses: [String]?)
    case refused(AuthorizationStatus)
    /// The owner knows no such token.
    case unknown
    /// No answer in time, or none that can be used; then the token's whitelist decides.
    case silent(reason: String)
}

/// The way to tokens' owners; the OCPI door implements it.
package protocol TokenOwners: AnyObject, Sendable {
    /// Whether any owner can be asked: else no card costs a look into the registry more.
    var isAnybodyThere: Bool { get }

    /// Whether this owner can be asked now; nil: whether anybody can be asked for unknown tags.
    func canAsk(_ party: PartyID?) -> Bool

    /// Asks the owner, or everybody for an unknown tag; ends early when cancelled.
    func ask(_ question: OwnerQuestion) async -> OwnerAnswer
}
