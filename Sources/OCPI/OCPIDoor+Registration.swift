import CPO
import Charging
import Crypto
import HTTPClient
import JSON
import Service

// Credentials as the sender: we register with a partner, rotate our tokens, or leave. OCPI 2.2.1 §7.

extension OCPIDoor {
    /// What a partner's versions and version details say.
    package struct Discovery: Hashable, Sendable {
        var endpoints: [Peer.Endpoint]
        var wantsRawToken: Bool
    }

    /// Why a partner's platform cannot be used, with the OCPI code that says so.
    package struct DiscoveryError: Error, Hashable, Sendable, CustomStringConvertible {
        package var code: Int
        package var reason: String
        package var description: String { reason }
    }

    /// Endpoints a partner's version details may have at most.
    static let maximumEndpoints = 100

    /// Reads a partner's versions URL and the details of our version.
    func discover(_ versionsURL: String, token: String) async throws(DiscoveryError) -> Discovery {
        var credentials = PeerClient.Credentials(token: token, isRaw: false)
        var versions: JSONValue
        do throws(PeerFailure) {
            versions = try await caller.call(.get, versionsURL, credentials).answer.data ?? .null
        } catch {
            // Some partners know their own token raw only, whatever their version.
            guard case .refused(let http, _, _) = error, http == 401 || http == 403 else {
                throw Self.unusable(versionsURL, "\(error)")
            }
            credentials.isRaw = true
            do throws(PeerFailure) {
                versions =
                    try await caller.call(.get, versionsURL, credentials).answer.data ?? .null
            } catch { throw Self.unusable(versionsURL, "\(error)") }
        }
        guard let list = versions.array else {
            throw Self.unusable(versionsURL, "`data` is no list of versions")
        }
        guard
            let url = list.first(where: { $0["version"]?.string == Self.version })?["url"]?.string
        else {
            throw DiscoveryError(
                code: StatusCode.unsupportedVersion,
                reason: "\(versionsURL) offers no version \(Self.version)")
        }
        let details: JSONValue
        do throws(PeerFailure) {
            details = try await caller.call(.get, url, credentials).answer.object ?? .null
        } catch { throw Self.unusable(url, "\(error)") }
        let endpoints = (details["endpoints"]?.array ?? []).prefix(Self.maximumEndpoints)
            .compactMap { value -> Peer.Endpoint? in
                guard let identifier = value["identifier"]?.string,
                    let url = value["url"]?.string, PeerURL(url) != nil
                else { return nil }
                return Peer.Endpoint(
                    identifier: identifier, role: value["role"]?.string ?? "", url: url)
            }
        guard endpoints.contains(where: { $0.identifier.lowercased() == "credentials" }) else {
            throw DiscoveryError(
                code: StatusCode.missingEndpoints, reason: "\(url) names no credentials endpoint")
        }
        return Discovery(endpoints: endpoints, wantsRawToken: credentials.isRaw)
    }

    private static func unusable(_ url: String, _ reason: String) -> DiscoveryError {
        DiscoveryError(code: StatusCode.cannotUseClient, reason: "GET \(url): \(reason)")
    }

    /// Registers with a partner that gave us its versions URL and a TOKEN_A.
    ///
    /// TOKEN_B is valid before the POST, because the partner calls us during it.
    package func register(
        _ name: String, versionsURL: String, tokenA: String
    ) async throws(DiscoveryError) -> Peer {
        let found = try await discover(versionsURL, token: tokenA)
        let tokenB = PeerToken.make()
        var peer = Peer(id: UUID4.make(), state: .calling, name: name, at: house.clock.now)
        peer.tokenHash = PeerToken.hash(tokenB)
        peer.versionsURL = versionsURL
        let calling = peer
        do {
            try await house.write { try Peers.store(calling, in: $0) }
            try await peers.load()
            let theirs = try await exchange(
                .post, found, PeerClient.Credentials(token: tokenA, isRaw: found.wantsRawToken),
                ours: tokenB)
            let newest = try await house.journal.newest()
            let now = house.clock.now
            let taken = try await house.write { [house] transaction -> PartyID? in
                for name in Self.readers(of: calling.id) {
                    try house.journal.move(name, to: newest, at: now, in: transaction)
                }
                return try Self.taken(
                    theirs.roles, by: calling.id, ours: house.settings.party, in: transaction)
            }
            if let taken {
                throw DiscoveryError(
                    code: StatusCode.clientError,
                    reason: "\(taken) is registered by another connection")
            }
            try await peers.change(calling.id) { peer in
                peer.state = .registered
                peer.take(theirs, found)
                return true
            }
        } catch {
            // The half-made partner must not stay valid; if even that fails its token is known to
            // nobody but the partner that refused us.
            try? await forget(calling.id)
            if let error = error as? DiscoveryError { throw error }
            throw DiscoveryError(code: StatusCode.cannotUseClient, reason: "\(error)")
        }
        house.log.notice("ocpi partner registered", ["partner": name, "id": peer.id])
        return peers.peer(peer.id) ?? peer
    }

    /// New tokens in both directions. The old incoming one stays valid until the new one is used.
    package func rotate(_ id: String) async throws {
        guard let peer = peers.peer(id), peer.state == .registered, let url = peer.versionsURL,
            let outgoing = peer.outgoingToken
        else { throw DiscoveryError(code: StatusCode.clientError, reason: "not registered") }
        let found = try await discover(url, token: outgoing)
        let tokenB = PeerToken.make()
        let until = house.clock.now.advanced(bySeconds: settings.tokenGraceSeconds)
        // Both tokens are valid while the partner calls us back.
        try await peers.change(id) { peer in
            peer.pendingHash = PeerToken.hash(tokenB)
            return true
        }
        let theirs: PeerCredentials
        do throws(DiscoveryError) {
            theirs = try await exchange(
                .put, found,
                PeerClient.Credentials(token: outgoing, isRaw: found.wantsRawToken), ours: tokenB)
        } catch {
            try await peers.change(id) { peer in
                peer.pendingHash = nil
                return true
            }
            throw error
        }
        let now = house.clock.now
        let taken = try await house.write { [house] transaction -> PartyID? in
            guard var peer = try Peers.peer(id, in: transaction) else { return nil }
            let taken = try Self.taken(
                theirs.roles, by: id, ours: house.settings.party, in: transaction)
            let roles = peer.roles
            peer.previousHash = peer.tokenHash
            peer.previousUntil = until
            peer.tokenHash = PeerToken.hash(tokenB)
            peer.pendingHash = nil
            peer.take(theirs, found)
            // The tokens are exchanged already; whose bills it sees stays as it was.
            if taken != nil { peer.roles = roles }
            peer.updatedAt = now
            try Peers.store(peer, in: transaction)
            return taken
        }
        try await peers.load()
        if let taken {
            throw DiscoveryError(
                code: StatusCode.clientError,
                reason: "\(taken) is registered by another connection; the roles stay as they were")
        }
    }

    /// Ends the connection: tells the partner, and ends it here whatever the partner answers.
    package func leave(_ id: String) async throws {
        guard let peer = peers.peer(id) else { return }
        if peer.state == .registered, let url = peer.url(of: "credentials", role: ""),
            let credentials = peer.outgoing
        {
            do throws(PeerFailure) {
                _ = try await caller.call(.delete, url, credentials)
            } catch {
                house.log.warning(
                    "ocpi partner did not take our leave",
                    ["partner": peer.name, "reason": "\(error)"])
            }
        }
        try await forget(id)
    }

    private func exchange(
        _ method: HTTPCall.Method, _ found: Discovery, _ credentials: PeerClient.Credentials,
        ours: String
    ) async throws(DiscoveryError) -> PeerCredentials {
        let url = found.endpoints.first { $0.identifier.lowercased() == "credentials" }?.url ?? ""
        let answer: PeerAnswer
        do throws(PeerFailure) {
            answer = try await caller.call(
                method, url, credentials, body: ourCredentials(token: ours)
            ).answer
        } catch { throw Self.unusable(url, "\(error)") }
        do throws(WireError) {
            return try PeerCredentials(ocpi: answer.object ?? .null)
        } catch { throw Self.unusable(url, "\(error)") }
    }
}

extension Peer {
    /// What we show this partner; nil unless registered.
    var outgoing: PeerClient.Credentials? {
        guard state == .registered, let outgoingToken else { return nil }
        return PeerClient.Credentials(token: outgoingToken, isRaw: wantsRawToken)
    }
}
