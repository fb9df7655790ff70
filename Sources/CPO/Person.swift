import Charging

/// Whom an erasure or a report is about, by what rows may know of him.
package struct Person: Hashable, Sendable {
    /// Stands where he stood: fits every field that is sent to partners and stations.
    package static let erased = "ERASED"

    /// How a person is named by who asks. At least one of them is given.
    package struct Query: Hashable, Sendable {
        /// The uid of a card or an app's token.
        package var token: String?
        /// Its owner; nil: whoever owns it.
        package var party: PartyID?
        /// The id of a booking that came over Beckn.
        package var order: String?
        /// As a booking holds them.
        package var phone: String?
        package var email: String?

        package init(
            token: String? = nil, party: PartyID? = nil, order: String? = nil,
            phone: String? = nil, email: String? = nil
        ) {
            self.token = token
            self.party = party
            self.order = order
            self.phone = phone
            self.email = email
        }

        package var isEmpty: Bool {
            [token, order, phone, email].allSatisfy { $0?.isEmpty ?? true }
        }
    }

    /// Tokens of this owner alone; nil: of any.
    package var party: PartyID?
    /// What stations are told of his tokens, folded.
    package var tags: Set<String> = []
    /// Of his tokens, in lower case.
    package var uids: Set<String> = []
    /// Bookings.
    package var orders: Set<String> = []
    /// Phone and mail, in lower case.
    package var contacts: Set<String> = []
    /// What stands beside a token in rows found by it, and may be others' as well: contracts.
    package var companions: Set<String> = []
    /// What was stored later is of another relation with him.
    package var until: Timestamp

    package init(until: Timestamp) { self.until = until }

    /// A token of his, known by its uid.
    package mutating func add(token uid: String) {
        uids.insert(uid.lowercased())
        tags.insert(Tokens.folded(Tokens.idTag(of: uid)))
    }

    /// What finds his rows in texts.
    package var words: PersonWords { PersonWords(tags.union(uids).union(contacts)) }
    /// What is taken out of them.
    package var allWords: PersonWords {
        PersonWords(tags.union(uids).union(contacts).union(companions))
    }

    /// Whether a token is one of his.
    package func owns(_ uid: String, of party: String) -> Bool {
        uids.contains(uid.lowercased()) && (self.party.map { $0.description == party } ?? true)
    }
}

extension Token {
    /// The same for whoever it was: no two of one person can be told from two of others.
    package func anonymous(at moment: Timestamp) -> Token {
        Token(
            party: party, uid: Person.erased, kind: kind, contractID: Person.erased,
            issuer: issuer, isValid: isValid, whitelist: whitelist, lastUpdated: moment)
    }
}
