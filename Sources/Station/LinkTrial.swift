/// What one connection to the operator proves itself with.
package struct LinkIdentity: Hashable, Sendable {
    /// Security profile 0 to 3. OCPP 1.6 security white paper §2.
    package var profile: Int
    /// nil: the one of the configuration's file.
    package var password: [UInt8]?
    /// A certificate and key the board asked for, by the name of their files; nil: those of the
    /// configuration.
    package var certificate: String?

    package init(profile: Int, password: [UInt8]? = nil, certificate: String? = nil) {
        self.profile = profile
        self.password = password
        self.certificate = certificate
    }
}

/// A new password, certificate or profile counts only after a connection was made with it; until
/// then the old one is kept, so that one of both always works. Reliability threat T29.
package struct LinkTrial: Hashable, Sendable {
    /// With which the last connection that counted was made.
    package private(set) var current: LinkIdentity
    package private(set) var candidate: LinkIdentity?
    private var tries = 0

    /// Tries of the new between two of the old: a network that stutters must not undo a change that
    /// the operator has made already.
    private static let triesOfNew = 2

    package init(current: LinkIdentity, candidate: LinkIdentity? = nil) {
        self.current = current
        self.candidate = candidate
    }

    package enum Outcome: Hashable, Sendable {
        case unchanged
        case promoted
        /// The old one works and the new one does not.
        case rolledBack
    }

    /// What the newest change would leave the board with.
    package var newest: LinkIdentity { candidate ?? current }

    /// What to connect with now.
    package var next: LinkIdentity { isCandidatesTurn ? candidate ?? current : current }

    private var isCandidatesTurn: Bool { tries % (Self.triesOfNew + 1) < Self.triesOfNew }

    package mutating func propose(_ identity: LinkIdentity) {
        candidate = identity == current ? nil : identity
        tries = 0
    }

    /// A connection was made with `identity`.
    package mutating func succeeded(with identity: LinkIdentity) -> Outcome {
        tries = 0
        guard let candidate else { return .unchanged }
        if identity == candidate {
            current = candidate
            self.candidate = nil
            return .promoted
        }
        guard identity == current else { return .unchanged }
        self.candidate = nil
        return .rolledBack
    }

    package mutating func failed() { tries += candidate == nil ? 0 : 1 }
}
