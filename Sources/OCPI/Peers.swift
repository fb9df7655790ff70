import CPO
import Charging
import SQL
import Service

/// The partners, kept in memory as well: every request looks its token up here.
package final class Peers: Sendable {
    /// By which of its tokens a partner was recognised.
    enum Recognition: Hashable, Sendable {
        /// TOKEN_A: good for versions and credentials only.
        case invitation
        case current
        /// The token before a rotation.
        case previous
        /// The token of a rotation that is under way.
        case pending
    }

    private struct State {
        var byID: [String: Peer] = [:]
        /// When the rows were last read because of an unknown token.
        var lookedAgainAt: Int64?
        var nextWatcher = 0
        var watchers: [Int: AsyncStream<Void>.Continuation] = [:]
    }

    private let house: ChargePointOperator
    private let state = Lock(State())

    init(_ house: ChargePointOperator) { self.house = house }

    /// In order of creation.
    package func all() -> [Peer] {
        state.withLock { Array($0.byID.values) }.sorted {
            ($0.createdAt, $0.id) < ($1.createdAt, $1.id)
        }
    }

    package func peer(_ id: String) -> Peer? { state.withLock { $0.byID[id] } }

    /// Rows are read again for an unknown token this often at most.
    static let lookAgainMilliseconds: Int64 = 500

    func mayLookAgain(at now: Int64) -> Bool {
        state.withLock { state in
            if let last = state.lookedAgainAt, now - last < Self.lookAgainMilliseconds {
                return false
            }
            state.lookedAgainAt = now
            return true
        }
    }

    func recognise(_ header: String?, at now: Timestamp) -> (peer: Peer, by: Recognition)? {
        let hashes = PeerToken.candidates(header).map(PeerToken.hash)
        guard !hashes.isEmpty else { return nil }
        return state.withLock { state in
            for peer in state.byID.values where peer.state != .gone {
                if let hash = peer.tokenHash, hashes.contains(hash) { return (peer, .current) }
                if let hash = peer.invitationHash, hashes.contains(hash) {
                    return (peer, .invitation)
                }
                if let hash = peer.pendingHash, hashes.contains(hash) { return (peer, .pending) }
                if let hash = peer.previousHash, hashes.contains(hash),
                    let until = peer.previousUntil, now < until
                {
                    return (peer, .previous)
                }
            }
            return nil
        }
    }

    /// Writes the partner as it is now; call `load` once the transaction is through.
    static func store(_ peer: Peer, in transaction: Transaction) throws {
        try transaction.execute(
            """
            INSERT INTO ocpi_peer (id, state, invitation_hash, token_hash, previous_hash,
            previous_until, pending_hash, outgoing_token, body, created_at, updated_at)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
            state = excluded.state, invitation_hash = excluded.invitation_hash,
            token_hash = excluded.token_hash, previous_hash = excluded.previous_hash,
            previous_until = excluded.previous_until, pending_hash = excluded.pending_hash,
            outgoing_token = excluded.outgoing_token,
            body = excluded.body, updated_at = excluded.updated_at
            """, peer.id, peer.state.rawValue, peer.invitationHash, peer.tokenHash,
            peer.previousHash, peer.previousUntil, peer.pendingHash, peer.outgoingToken,
            peer.storedBody,
            peer.createdAt, peer.updatedAt)
    }

    static func peer(_ id: String, in transaction: Transaction) throws -> Peer? {
        try transaction.queryOne("SELECT * FROM ocpi_peer WHERE id = ?", id).map(Peer.init(row:))
    }

    /// Changes one partner in one transaction, and what is kept in memory after it.
    ///
    /// - Returns: false, and nothing changed, when `body` says so or the partner is not there.
    @discardableResult
    func change(_ id: String, _ body: @escaping @Sendable (inout Peer) -> Bool) async throws -> Bool
    {
        let now = house.clock.now
        let changed = try await house.write { transaction in
            guard var peer = try Self.peer(id, in: transaction), body(&peer) else { return false }
            peer.updatedAt = now
            try Self.store(peer, in: transaction)
            return true
        }
        if changed { try await load() }
        return changed
    }

    /// Reads the partners again: another process, like `kerb-cpo ocpi invite`, may have added one.
    package func load() async throws {
        let peers = try await house.read { transaction in
            try transaction.query("SELECT * FROM ocpi_peer").map(Peer.init(row:))
        }
        let watchers = state.withLock { state in
            state.byID = Dictionary(peers.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
            return Array(state.watchers.values)
        }
        for watcher in watchers { watcher.yield() }
    }

    /// Tells that some partner changed, newest only.
    func changes() -> AsyncStream<Void> {
        AsyncStream(bufferingPolicy: .bufferingNewest(1)) { continuation in
            let id = state.withLock { state in
                state.nextWatcher += 1
                state.watchers[state.nextWatcher] = continuation
                return state.nextWatcher
            }
            continuation.yield()
            continuation.onTermination = { [weak self] _ in
                self?.state.withLock { _ = $0.watchers.removeValue(forKey: id) }
            }
        }
    }
}
