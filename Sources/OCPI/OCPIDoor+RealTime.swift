import CPO
import Charging
import HTTPClient
import JSON
import Service

// Real-time authorisation, as the CPO that asks: POST {tokens}/{uid}/authorize with the place the
// driver stands at. OCPI 2.2.1 §12.1.2, §12.3.2.

extension OCPIDoor: TokenOwners {
    /// Partners asked for a tag that nobody here knows.
    static let mostAsked = 8

    package var isAnybodyThere: Bool { !askable(nil).isEmpty }

    package func canAsk(_ party: PartyID?) -> Bool {
        guard party != nil || settings.asksForUnknownTokens else { return false }
        return !askable(party).isEmpty
    }

    package func ask(_ question: OwnerQuestion) async -> OwnerAnswer {
        guard Self.isSafe(question) else { return .unknown }
        let asked = askable(question.party).prefix(Self.mostAsked)
        var worst: OwnerAnswer?
        await withTaskGroup(of: OwnerAnswer.self) { group in
            for peer in asked { group.addTask { await self.ask(peer, question) } }
            for await answer in group {
                worst = Self.clearer(worst, answer)
                guard case .allowed = answer else { continue }
                group.cancelAll()
                break
            }
        }
        return worst ?? .silent(reason: "no partner can be asked")
    }

    /// Whether a tag can stand in a path. Some servers decode a path before they take it apart, so encoding
    /// alone keeps no slash in its place; a tag that its owner told us of is its owner's choice.
    private static func isSafe(_ question: OwnerQuestion) -> Bool {
        guard !["", ".", ".."].contains(question.uid) else { return false }
        return question.party != nil || !question.uid.contains { "/\\%?#;".contains($0) }
    }

    /// Registered partners with an endpoint for it.
    private func askable(_ party: PartyID?) -> [Peer] {
        peers.all().filter { peer in
            peer.state == .registered && peer.outgoing != nil
                && (party.map { peer.parties.contains($0) } ?? true)
                && peer.url(of: "tokens", role: "SENDER") != nil
        }
    }

    /// What counts of several partners' answers: a yes, then a reasoned no, then silence, since the
    /// silent one may have known it.
    private static func clearer(_ one: OwnerAnswer?, _ other: OwnerAnswer) -> OwnerAnswer {
        func rank(_ answer: OwnerAnswer) -> Int {
            switch answer {
            case .allowed: 3
            case .refused: 2
            case .silent: 1
            case .unknown: 0
            }
        }
        guard let one else { return other }
        return rank(other) > rank(one) ? other : one
    }

    private func ask(_ peer: Peer, _ question: OwnerQuestion) async -> OwnerAnswer {
        guard let base = peer.url(of: "tokens", role: "SENDER"), let credentials = peer.outgoing
        else { return .silent(reason: "no endpoint") }
        let breaker = silences.withLock { silences in
            let breaker = silences[peer.id] ?? Breaker(house.clock)
            silences[peer.id] = breaker
            return breaker
        }
        guard !breaker.isOpen else {
            return .silent(reason: "the partner was silent several times in a row")
        }
        let url =
            PeerURL.join(base, question.uid, "authorize") + "?type=\(question.kind.rawValue)"
        let caller = PeerClient(
            client: client, deadlineSeconds: house.settings.ownerDeadlineSeconds)
        let to = question.party ?? (peer.parties.count == 1 ? peer.parties.first : nil)
        do throws(PeerFailure) {
            let answer = try await caller.call(
                .post, url, credentials, route: (house.settings.party, to),
                body: question.references
            ).answer
            breaker.worked()
            return Self.read(answer.object, question, peer)
        } catch {
            switch error {
            case .later(let reason, _):
                // One of many that was given up because another answered first was not silent.
                if !Task.isCancelled || question.party != nil { _ = breaker.failed() }
                return .silent(reason: reason)
            case .refused(404, _, _), .refused(_, StatusCode.unknownToken, _):
                breaker.worked()
                return .unknown
            case .refused:
                // Not offered, or not understood: as good as no answer to the driver's question.
                breaker.worked()
                return .silent(reason: "\(error)")
            }
        }
    }

    private static func read(
        _ object: JSONValue?, _ question: OwnerQuestion, _ peer: Peer
    ) -> OwnerAnswer {
        do throws(WireError) {
            let fields = try WireFields(object ?? .null, at: "")
            switch try fields.choice("allowed", Allowed.self) {
            case .allowed: break
            case .blocked, .noCredit: return .refused(.blocked)
            case .expired: return .refused(.expired)
            case .notAllowed: return .refused(.invalid)
            }
            let token = try fields.members["token"].map { value throws(WireError) in
                try Token(ocpi: value, at: "token")
            }
            if let token {
                guard peer.parties.contains(token.party), same(token.uid, question.uid),
                    question.party.map({ $0 == token.party }) ?? true
                else { throw WireError("token", "is not the one that was asked for") }
            }
            return .allowed(
                token,
                reference: try fields.optionalText("authorization_reference", max: 36),
                evses: try evses(fields, question))
        } catch {
            return .silent(reason: "\(error)")
        }
    }

    /// EVSEs the answer is limited to; another place's leave none.
    private static func evses(
        _ fields: WireFields, _ question: OwnerQuestion
    ) throws(WireError) -> [String]? {
        guard let location = try fields.optionalFields("location") else { return nil }
        let id = try location.text("location_id", max: 36)
        guard let here = question.location, same(id, here) else { return [] }
        let uids = try location.list("evse_uids") { value, path throws(WireError) in
            guard let uid = value.string else { throw WireError(path, "must be a text") }
            return uid
        }
        return uids.isEmpty ? nil : uids
    }

    /// OCPI 2.2.1 §12.4.1.
    private enum Allowed: String, CaseIterable {
        case allowed = "ALLOWED"
        case blocked = "BLOCKED"
        case expired = "EXPIRED"
        case noCredit = "NO_CREDIT"
        case notAllowed = "NOT_ALLOWED"
    }
}

extension OwnerQuestion {
    /// LocationReferences, OCPI 2.2.1 §12.4.3; nil where no partner knows the place.
    var references: JSONValue? {
        location.map { location in
            [
                "location_id": .string(location),
                "evse_uids": .array(evses.map { .string($0) }),
            ]
        }
    }
}
