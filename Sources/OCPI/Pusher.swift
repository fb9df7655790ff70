import CPO
import Charging
import HTTPClient
import JSON
import SQL
import Service

// What the journal tells goes to every registered partner: two readers each, so that a state nobody
// needs any more never holds up a bill. A partner that is down blocks only its own readers.

extension OCPIDoor {
    /// Tries of a CDR that is refused, as against not reached, before the operator has to look.
    static let refusedBillTries = 10

    /// The names of a partner's cursors.
    static func readers(of peer: String) -> [String] { [stateReader(peer), billReader(peer)] }
    static func stateReader(_ peer: String) -> String { "ocpi/\(peer)/state" }
    static func billReader(_ peer: String) -> String { "ocpi/\(peer)/bill" }

    /// One pusher for each partner while it is registered; readers of one that left are let go.
    func runPushers() async throws {
        let running = Lock(Set<String>())
        await withDiscardingTaskGroup { group in
            for await _ in peers.changes() {
                for peer in peers.all() where peer.state == .registered {
                    guard running.withLock({ $0.insert(peer.id).inserted }) else { continue }
                    group.addTask {
                        await self.push(to: peer.id)
                        running.withLock { _ = $0.remove(peer.id) }
                        await self.retireReaders(but: running)
                    }
                }
                await retireReaders(but: running)
            }
            group.cancelAll()
        }
    }

    /// Until the partner is gone or the task is cancelled.
    private func push(to id: String) async {
        await withDiscardingTaskGroup { group in
            let stateReader = JournalReader(
                name: Self.stateReader(id),
                kinds: [
                    .evseStatus, .locationChanged, .tariffChanged, .tariffDeleted, .sessionStarted,
                    .sessionUpdated,
                ], triesPerLine: .max,
                backoff: Backoff(firstMilliseconds: 500, longestMilliseconds: 4000))
            let billReader = JournalReader(
                name: Self.billReader(id), kinds: [.sessionEnded, .cdrCreated],
                triesPerLine: .max,
                backoff: Backoff(firstMilliseconds: 1000, longestMilliseconds: 1_800_000))
            let tries = Lock([Int64: Int]())
            let breaker = Breaker(house.clock)
            group.addTask {
                await self.read(stateReader, id) { await self.pushState($0, to: id, breaker) }
            }
            group.addTask {
                await self.read(billReader, id) { await self.pushBill($0, to: id, tries) }
            }
            group.addTask { await self.pullTokens(of: id) }
            for await _ in peers.changes() {
                guard let peer = peers.peer(id), peer.state == .registered else { break }
            }
            group.cancelAll()
        }
    }

    private func read(
        _ reader: JournalReader, _ id: String,
        _ deliver: @escaping @Sendable (JournalLine) async -> JournalReader.Delivery
    ) async {
        var backoff = Backoff(firstMilliseconds: 1000, longestMilliseconds: 60_000)
        while !Task.isCancelled {
            do {
                try await reader.run(house, deliver: deliver)
                return
            } catch {
                house.log.error(
                    "ocpi journal reader stopped", ["partner": id, "error": LogError(error)])
            }
            // Cancelled while waiting: the loop ends above.
            try? await house.clock.sleep(milliseconds: backoff.next())
        }
    }

    // MARK: States

    /// No queueing: what a partner that is down misses it reads with `date_from` when it is back.
    private func pushState(
        _ line: JournalLine, to id: String, _ breaker: Breaker
    ) async -> JournalReader.Delivery {
        guard let peer = peers.peer(id), !breaker.isOpen else { return .delivered }
        do throws(PeerFailure) {
            switch line.kind {
            case .locationChanged: try await pushLocation(line.subject, to: peer)
            case .evseStatus: try await pushStatus(of: line.subject, to: peer)
            case .tariffChanged: try await pushTariff(line.subject, to: peer)
            case .tariffDeleted: try await dropTariff(line.subject, at: peer)
            case .sessionStarted: try await pushSession(line.subject, to: peer, isNew: true)
            case .sessionUpdated: try await pushSession(line.subject, to: peer, isNew: false)
            default: break
            }
            breaker.worked()
            return .delivered
        } catch {
            switch error {
            case .later(let reason, _):
                guard breaker.failed() else { return .retry(reason: reason) }
                house.log.warning(
                    "ocpi pushes dropped for a while", ["partner": peer.name, "reason": reason])
                return .delivered
            case .refused:
                breaker.worked()
                // Nobody can mend a state by trying: the next one replaces it.
                house.log.warning(
                    "ocpi push refused",
                    ["partner": peer.name, "kind": line.kind.rawValue, "reason": "\(error)"])
                return .delivered
            }
        }
    }

    private func pushLocation(_ id: String, to peer: Peer) async throws(PeerFailure) {
        guard let location = house.locations.location(id), location.publish,
            let url = peer.url(of: "locations", role: "RECEIVER")
        else { return }
        try await send(
            .put,
            PeerURL.join(
                url, house.settings.party.country, house.settings.party.party, location.id),
            peer, location.ocpi221)
    }

    private func pushStatus(of uid: String, to peer: Peer) async throws(PeerFailure) {
        guard let place = house.locations.evse(uid), place.location.publish,
            let url = peer.url(of: "locations", role: "RECEIVER")
        else { return }
        let target = PeerURL.join(
            url, house.settings.party.country, house.settings.party.party, place.location.id,
            place.evse.uid)
        do throws(PeerFailure) {
            try await send(
                .patch, target, peer,
                [
                    "status": .string(place.evse.status.rawValue),
                    "last_updated": .time(place.evse.lastUpdated),
                ])
        } catch {
            // The partner does not know the EVSE yet: it gets the whole place.
            guard case .refused = error else { throw error }
            try await pushLocation(place.location.id, to: peer)
        }
    }

    private func pushTariff(_ id: String, to peer: Peer) async throws(PeerFailure) {
        guard let tariff = house.tariffs.tariff(id),
            let url = peer.url(of: "tariffs", role: "RECEIVER")
        else { return }
        try await send(
            .put, PeerURL.join(url, tariff.party.country, tariff.party.party, tariff.id), peer,
            tariff.ocpi221)
    }

    private func dropTariff(_ id: String, at peer: Peer) async throws(PeerFailure) {
        guard house.tariffs.tariff(id) == nil, let url = peer.url(of: "tariffs", role: "RECEIVER")
        else { return }
        let party = house.settings.party
        try await send(.delete, PeerURL.join(url, party.country, party.party, id), peer, nil)
    }

    /// PUT first, then PATCH; a PATCH that is refused becomes a PUT. The end is the bill reader's.
    private func pushSession(
        _ id: String, to peer: Peer, isNew: Bool
    ) async throws(PeerFailure) {
        guard let url = peer.url(of: "sessions", role: "RECEIVER"),
            let session = await loaded(id), peer.parties.contains(session.token.party),
            session.endedAt == nil
        else { return }
        let party = house.settings.party
        let target = PeerURL.join(url, party.country, party.party, session.id)
        if !isNew {
            do throws(PeerFailure) {
                return try await send(
                    .patch, target, peer, session.ocpi221Changes, to: session.token.party)
            } catch { guard case .refused = error else { throw error } }
        }
        try await send(
            .put, target, peer, session.ocpi221(party: party), to: session.token.party)
    }

    // MARK: Bills

    /// - Parameter tries: refusals per line; what cannot be reached does not count.
    private func pushBill(
        _ line: JournalLine, to id: String, _ tries: Lock<[Int64: Int]>
    ) async -> JournalReader.Delivery {
        // It left a moment ago, and this reader ends: what it did not get was not delivered.
        guard let peer = peers.peer(id), peer.state == .registered else {
            return .retry(reason: "the connection ended")
        }
        do throws(PeerFailure) {
            if line.kind == .sessionEnded {
                try await pushFinalSession(line.subject, to: peer)
            } else {
                try await pushCDR(line.subject, to: peer)
            }
        } catch {
            house.log.warning(
                "ocpi bill not taken",
                ["partner": peer.name, "subject": line.subject, "reason": "\(error)"])
            guard case .refused = error else { return .retry(reason: "\(error)") }
            let count = tries.withLock { tries in
                tries[line.seq, default: 0] += 1
                return tries[line.seq] ?? 0
            }
            return count < Self.refusedBillTries
                ? .retry(reason: "\(error)") : .park(reason: "\(error)")
        }
        tries.withLock { _ = $0.removeValue(forKey: line.seq) }
        return .delivered
    }

    /// PUT, because it replaces the periods and leaves no doubt.
    private func pushFinalSession(_ id: String, to peer: Peer) async throws(PeerFailure) {
        guard let url = peer.url(of: "sessions", role: "RECEIVER"),
            let session = await loaded(id), peer.parties.contains(session.token.party)
        else { return }
        let party = house.settings.party
        try await send(
            .put, PeerURL.join(url, party.country, party.party, session.id), peer,
            session.ocpi221(party: party), to: session.token.party)
    }

    /// The same id and body however often it is sent; "already there" is success.
    private func pushCDR(_ id: String, to peer: Peer) async throws(PeerFailure) {
        guard let url = peer.url(of: "cdrs", role: "RECEIVER"), let credentials = peer.outgoing
        else { return }
        let cdr: CDR?
        do {
            cdr = try await house.cdrs.cdr(id)
        } catch { throw .later("the CDR cannot be read: \(error)", isOpen: false) }
        guard let cdr, peer.parties.contains(cdr.session.token.party) else { return }
        let party = house.settings.party
        var location: String?
        do throws(PeerFailure) {
            location = try await caller.call(
                .post, url, credentials, route: (party, cdr.session.token.party),
                body: cdr.ocpi221(party: party)
            ).answer.location
        } catch {
            guard case .refused(let http, _, let message) = error,
                http == 409 || message.lowercased().contains("already exist")
            else { throw error }
        }
        await keepReceipt(cdr.id, at: location, of: peer)
    }

    private func keepReceipt(_ cdr: String, at location: String?, of peer: Peer) async {
        let (id, now) = (peer.id, house.clock.now)
        do {
            _ = try await house.write { transaction in
                try transaction.execute(
                    """
                    INSERT INTO ocpi_cdr_receipt (peer, cdr, location, delivered_at)
                    VALUES (?, ?, ?, ?) ON CONFLICT (peer, cdr) DO UPDATE SET
                    location = excluded.location, delivered_at = excluded.delivered_at
                    """, id, cdr, location.flatMap { PeerURL($0)?.text }, now)
            }
        } catch {
            // The bill is delivered; without the receipt it merely cannot be read back by us.
            house.log.error("ocpi receipt not kept", ["cdr": cdr, "error": LogError(error)])
        }
    }

    private func loaded(_ id: String) async -> Session? {
        do {
            return try await house.sessions.session(id)
        } catch {
            house.log.error("session not read", ["session": id, "error": LogError(error)])
            return nil
        }
    }

    private func send(
        _ method: HTTPCall.Method, _ url: String, _ peer: Peer, _ body: JSONValue?,
        to party: PartyID? = nil
    ) async throws(PeerFailure) {
        guard let credentials = peer.outgoing else { return }
        let to = party ?? (peer.parties.count == 1 ? peer.parties.first : nil)
        _ = try await caller.call(
            method, url, credentials, route: (house.settings.party, to), body: body)
    }
}
