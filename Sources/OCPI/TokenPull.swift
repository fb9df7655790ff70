import CPO
import Charging
import HTTPClient
import JSON
import SQL
import Service

// A partner's tokens by pull: after the registration, at every start and once in a while, so that its
// drivers' cards are known here even where its pushes were missed. OCPI 2.2.1 §12.2.1.

extension OCPIDoor {
    /// Hours between pulls, with splay, so that partners are not asked by everybody at once.
    static let tokenPullMilliseconds: ClosedRange<Int64> = 7_200_000...14_400_000
    /// After a failed pull.
    static let tokenRetryMilliseconds: ClosedRange<Int64> = 60_000...120_000
    static let tokenPageLimit = 100
    static let maximumTokenPages = 10_000

    func pullTokens(of id: String) async {
        while !Task.isCancelled {
            var wait = Self.tokenPullMilliseconds
            do {
                guard let peer = peers.peer(id), peer.state == .registered else { return }
                let count = try await pullTokens(of: peer)
                if count > 0 {
                    house.log.info("ocpi tokens pulled", ["partner": peer.name, "tokens": count])
                }
            } catch {
                house.log.warning(
                    "ocpi tokens not pulled", ["partner": id, "error": LogError(error)])
                wait = Self.tokenRetryMilliseconds
            }
            do {
                try await house.clock.sleep(milliseconds: Int64.random(in: wait))
            } catch { return }
        }
    }

    /// Everything that changed since the last whole pull; the count of tokens that are new or differ.
    func pullTokens(of peer: Peer) async throws -> Int {
        guard let url = peer.url(of: "tokens", role: "SENDER"), let credentials = peer.outgoing
        else { return 0 }
        let begin = house.clock.now
        let id = peer.id
        let since = try await house.read { transaction in
            try transaction.queryOne("SELECT since FROM ocpi_token_pull WHERE peer = ?", id)?
                .timestamp("since")
        }
        let filter = since.map { "date_from=\(PeerURL.encoded($0.rfc3339))&" } ?? ""
        var (changed, offset) = (0, 0)
        // By offset and not by Link: some partners' links are dead or lead elsewhere.
        for _ in 0..<Self.maximumTokenPages {
            let page = "\(url)?\(filter)offset=\(offset)&limit=\(Self.tokenPageLimit)"
            let (answer, http) = try await caller.call(
                .get, page, credentials, route: (house.settings.party, peer.parties.first))
            let objects = answer.data?.array ?? []
            changed += try await take(objects, of: peer)
            offset += objects.count
            let total = http.header("X-Total-Count").flatMap(Int.init)
            if objects.isEmpty
                || total.map({ offset >= $0 }) ?? (objects.count < Self.tokenPageLimit)
            {
                break
            }
        }
        _ = try await house.write { transaction in
            try transaction.execute(
                """
                INSERT INTO ocpi_token_pull (peer, since) VALUES (?, ?)
                ON CONFLICT (peer) DO UPDATE SET since = excluded.since
                """, id, begin)
        }
        return changed
    }

    /// One page in one transaction. A token that cannot be read spoils no other.
    private func take(_ objects: [JSONValue], of peer: Peer) async throws -> Int {
        var tokens: [Token] = []
        for object in objects {
            do throws(WireError) {
                let token = try Token(ocpi: object)
                if peer.parties.contains(token.party) { tokens.append(token) }
            } catch {
                house.log.warning(
                    "ocpi token not taken", ["partner": peer.name, "reason": "\(error)"])
            }
        }
        let (found, now) = (tokens, house.clock.now)
        guard !found.isEmpty else { return 0 }
        return try await house.write { [house] transaction in
            try found.count { try house.tokens.take($0, at: now, in: transaction) }
        }
    }
}
