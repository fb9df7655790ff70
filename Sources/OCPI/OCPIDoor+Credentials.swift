import CPO
import Charging
import Crypto
import JSON
import SQL
import Service
import Web

// Credentials as the receiver: a partner registers, rotates or leaves. OCPI 2.2.1 §7.

extension OCPIDoor {
    /// Makes a partner that may register, and the TOKEN_A to hand over with our versions URL.
    ///
    /// The token is shown this once; only its hash is kept.
    package func invite(_ name: String) async throws -> (
        peer: Peer, tokenA: String, versionsURL: String
    ) {
        let token = PeerToken.make()
        var peer = Peer(id: UUID4.make(), state: .invited, name: name, at: house.clock.now)
        peer.invitationHash = PeerToken.hash(token)
        let invited = peer
        try await house.write { try Peers.store(invited, in: $0) }
        try await peers.load()
        house.log.info("ocpi partner invited", ["partner": name, "id": peer.id])
        return (peer, token, versionsURL)
    }

    func credentials(_ request: HTTPRequest, _ caller: Caller) async throws -> OCPIReply {
        let isRegistered = caller.peer.state == .registered && caller.by != .invitation
        switch request.method {
        case "GET":
            // Answered from the token just shown, because only its hash is stored.
            return .success(ourCredentials(token: shownToken(request, caller)))
        case "POST":
            if isRegistered || caller.by != .invitation {
                return .notAllowed("GET, PUT, DELETE", "registered already: use PUT")
            }
            return try await take(request, caller)
        case "PUT":
            guard isRegistered else {
                return .notAllowed("GET, POST", "not registered: use POST")
            }
            return try await take(request, caller)
        case "DELETE":
            guard isRegistered else { return .notAllowed("GET, POST", "not registered") }
            try await forget(caller.peer.id)
            house.log.notice("ocpi partner left", ["partner": caller.peer.name])
            return .success()
        default: return .notAllowed("GET, POST, PUT, DELETE", "unknown method")
        }
    }

    /// The heart of POST and PUT: we read the partner's versions and endpoints with the token it gave,
    /// then both new tokens are stored in one transaction, or nothing is.
    private func take(_ request: HTTPRequest, _ caller: Caller) async throws -> OCPIReply {
        let theirs = try PeerCredentials(ocpi: request.json())
        let (id, shown) = (caller.peer.id, caller.by)
        let found: Discovery
        do throws(DiscoveryError) {
            found = try await discover(theirs.url, token: theirs.token)
        } catch {
            house.log.warning(
                "ocpi registration failed", ["partner": caller.peer.name, "reason": error.reason])
            return .refusal(error.code, error.reason)
        }
        let token = PeerToken.make()
        let until = house.clock.now.advanced(bySeconds: settings.tokenGraceSeconds)
        let newest = try await house.journal.newest()
        let now = house.clock.now
        let outcome = try await house.write { [house] transaction -> Outcome in
            guard var peer = try Peers.peer(id, in: transaction) else { return .notRegistrable }
            if let taken = try Self.taken(
                theirs.roles, by: id, ours: house.settings.party, in: transaction)
            {
                return .taken(taken)
            }
            if shown == .invitation {
                // Two POSTs with one TOKEN_A: the second finds it used up.
                guard peer.state == .invited, peer.invitationHash != nil else {
                    return .notRegistrable
                }
                for name in Self.readers(of: id) {
                    try house.journal.move(name, to: newest, at: now, in: transaction)
                }
            } else {
                guard peer.state == .registered else { return .notRegistrable }
                peer.previousHash = peer.tokenHash
                peer.previousUntil = until
            }
            peer.state = .registered
            peer.invitationHash = nil
            peer.tokenHash = PeerToken.hash(token)
            peer.take(theirs, found)
            peer.updatedAt = now
            try Peers.store(peer, in: transaction)
            return .stored
        }
        try await peers.load()
        switch outcome {
        case .stored: break
        case .notRegistrable:
            return .notAllowed("GET, PUT, DELETE", "registered already: use PUT")
        case .taken(let party):
            return .refusal(
                StatusCode.invalidParameter, "roles: \(party) is registered by another connection")
        }
        house.log.notice("ocpi partner registered", ["partner": caller.peer.name, "id": id])
        return .success(ourCredentials(token: token))
    }

    private enum Outcome: Sendable {
        case stored
        case notRegistrable
        case taken(PartyID)
    }

    /// The first of the roles that is another's or ours: whoever could claim any party would read its
    /// drivers' sessions and bills.
    static func taken(
        _ roles: [Peer.Role], by id: String, ours: PartyID, in transaction: Transaction
    ) throws -> PartyID? {
        let others = try transaction.query(
            "SELECT * FROM ocpi_peer WHERE state = 'registered' AND id <> ?", id
        ).map(Peer.init(row:))
        let known = Set(others.flatMap(\.parties) + [ours])
        return roles.map(\.party).first { known.contains($0) }
    }

    /// A rotation is over as soon as the new token is used.
    func retirePreviousToken(_ caller: Caller) async throws {
        guard caller.by == .current, caller.peer.previousHash != nil else { return }
        try await peers.change(caller.peer.id) { peer in
            guard peer.previousHash != nil else { return false }
            peer.previousHash = nil
            peer.previousUntil = nil
            return true
        }
    }

    /// Both tokens die: nothing is taken from the partner, nothing is sent to it.
    func forget(_ id: String) async throws {
        try await peers.change(id) { peer in
            peer.state = .gone
            peer.invitationHash = nil
            peer.tokenHash = nil
            peer.previousHash = nil
            peer.previousUntil = nil
            peer.pendingHash = nil
            peer.outgoingToken = nil
            return true
        }
    }

    private func shownToken(_ request: HTTPRequest, _ caller: Caller) -> String {
        let valid = [
            caller.peer.tokenHash, caller.peer.invitationHash, caller.peer.previousHash,
            caller.peer.pendingHash,
        ].compactMap(\.self)
        return PeerToken.candidates(request.headers["Authorization"]).first {
            valid.contains(PeerToken.hash($0))
        } ?? ""
    }
}

extension Peer {
    mutating func take(_ credentials: PeerCredentials, _ found: OCPIDoor.Discovery) {
        outgoingToken = credentials.token
        versionsURL = credentials.url
        roles = credentials.roles
        endpoints = found.endpoints
        wantsRawToken = found.wantsRawToken
    }
}
