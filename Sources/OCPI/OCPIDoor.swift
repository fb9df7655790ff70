import CPO
import Charging
import HTTPClient
import JSON
import SQL
import Service
import Web

/// The operator as an OCPI 2.2.1 party: what partners read, order and are sent.
///
/// It keeps partners and their tokens, serves locations, tariffs, sessions and CDRs as SENDER, tokens
/// and commands as RECEIVER, and pushes what the journal tells to every registered partner.
package final class OCPIDoor: Sendable {
    package let house: ChargePointOperator
    package let settings: OCPISettings
    package let peers: Peers
    let client: HTTPClient
    let caller: PeerClient
    let listing: Listing
    let results: CommandResults
    /// By partner's id: one that is silent is left alone for a while.
    let silences = Lock([String: Breaker]())
    let profileResults = ProfileResults()

    /// - Parameter client: its host rules decide where partners' URLs may point.
    package init(
        _ house: ChargePointOperator, settings: OCPISettings, client: HTTPClient
    ) async throws {
        self.house = house
        self.settings = settings
        self.client = client
        caller = PeerClient(client: client, deadlineSeconds: settings.callDeadlineSeconds)
        peers = Peers(house)
        listing = Listing(house)
        results = CommandResults(house)
        try await peers.load()
        try await results.load()
        house.realTime.connect(self)
        house.deliveries.name { [weak peers] reader in
            Self.peer(ofReader: reader).flatMap { peers?.peer($0)?.name }
        }
    }

    /// Adds `/ocpi/…`.
    ///
    /// One route for all: OCPI wants its envelope on 404 and 405 too, and every path with and without
    /// a slash at its end.
    package func mount(on router: inout Router) {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            router.add(method, "/ocpi/{path...}") { [self] request in await handle(request) }
        }
    }

    /// Pushes and sends results until cancelled; the roof owns the task.
    package func run() async throws {
        try await withThrowingTaskGroup { group in
            group.addTask { try await self.runPushers() }
            group.addTask { try await self.runResults() }
            group.addTask { try await self.runProfileResults() }
            group.addTask { try await self.runActiveProfiles() }
            try await group.next()
            group.cancelAll()
        }
    }

    // MARK: Requests

    /// Who asks, as the token says.
    struct Caller: Sendable {
        var peer: Peer
        var by: Peers.Recognition
        /// The parties whose sessions and CDRs this request may see.
        var parties: [PartyID]
    }

    package func handle(_ request: HTTPRequest) async -> HTTPResponse {
        var segments = request.path.split(separator: "/").map(String.init)
        if segments.first == "ocpi" { segments.removeFirst() }
        let isFunctional =
            segments.count > 1 && segments[1] != "credentials" && segments[0] == Self.version
        let reply = await answer(request, segments)
        if reply.code >= StatusCode.clientError {
            house.log.debug(
                "ocpi request refused",
                [
                    "method": request.method, "path": request.path, "status": reply.httpStatus,
                    "code": reply.code, "reason": reply.message,
                ])
        }
        return reply.response(
            to: request, from: isFunctional ? house.settings.party : nil, at: house.clock.now)
    }

    static let version = OCPIVersion.v221.rawValue

    private func answer(_ request: HTTPRequest, _ segments: [String]) async -> OCPIReply {
        let header = request.headers["Authorization"]
        guard let (peer, by) = await recognised(header) else {
            return .unauthorized("unknown token")
        }
        let caller = Caller(peer: peer, by: by, parties: Self.parties(of: peer, in: request))
        do {
            try await retirePreviousToken(caller)
            switch (segments.first, segments.dropFirst().first) {
            case ("versions", nil): return versions(request)
            case (Self.version, nil): return versionDetails(request)
            case (Self.version, "credentials"): return try await credentials(request, caller)
            case (Self.version, .some(let module)):
                guard by != .invitation else {
                    return .unauthorized("TOKEN_A is good for the registration only")
                }
                if let reply = wrongRecipient(request) { return reply }
                return try await functional(request, module, Array(segments.dropFirst(2)), caller)
            default: return .notFound("no such path")
            }
        } catch let error as WireError {
            return .refusal(StatusCode.invalidParameter, "\(error)")
        } catch let error as BodyError {
            return .badRequest(error.reason)
        } catch {
            house.log.error(
                "ocpi request failed", ["path": request.path, "error": LogError(error)])
            return .failed
        }
    }

    /// A token nobody here knows may have been made by another process a moment ago (`ocpi invite`).
    private func recognised(_ header: String?) async -> (peer: Peer, by: Peers.Recognition)? {
        if let known = peers.recognise(header, at: house.clock.now) { return known }
        guard header != nil, peers.mayLookAgain(at: house.clock.monotonicMilliseconds) else {
            return nil
        }
        // Unreadable rows leave the token unknown, which is what it then is.
        try? await peers.load()
        return peers.recognise(header, at: house.clock.now)
    }

    private func functional(
        _ request: HTTPRequest, _ module: String, _ path: [String], _ caller: Caller
    ) async throws -> OCPIReply {
        switch module {
        case "locations": try await locations(request, path)
        case "tariffs": try await tariffs(request, path)
        case "sessions": try await sessions(request, path, caller)
        case "cdrs": try await cdrs(request, path, caller)
        case "tokens": try await tokens(request, path, caller)
        case "commands": try await commands(request, path, caller)
        case "chargingprofiles": try await chargingProfiles(request, path, caller)
        default: .notFound("no such module")
        }
    }

    /// A partner with several parties may ask for one of them; else it sees what belongs to all.
    private static func parties(of peer: Peer, in request: HTTPRequest) -> [PartyID] {
        guard let country = request.headers["OCPI-from-country-code"],
            let party = request.headers["OCPI-from-party-id"]
        else { return peer.parties }
        let from = PartyID(country: country, party: party)
        return peer.parties.contains(from) ? [from] : peer.parties
    }

    /// Routing headers are never required; one that names somebody else is not for us.
    private func wrongRecipient(_ request: HTTPRequest) -> OCPIReply? {
        guard let country = request.headers["OCPI-to-country-code"],
            let party = request.headers["OCPI-to-party-id"]
        else { return nil }
        let to = PartyID(country: country, party: party)
        return to == house.settings.party
            ? nil : .notFound("\(to) is no party of this platform", code: StatusCode.clientError)
    }
}

/// A body that is no JSON: HTTP 400.
struct BodyError: Error, Hashable, Sendable {
    var reason: String
}

extension HTTPRequest {
    /// The body as JSON.
    func json() throws(BodyError) -> JSONValue {
        do {
            return try JSONValue(parsing: body)
        } catch { throw BodyError(reason: "the body is not JSON: \(error)") }
    }
}
