import CPO
import Charging
import HTTPClient
import JSON
import SQL
import Service
import Web

// Commands as RECEIVER: at once a CommandResponse, later exactly one CommandResult. OCPI 2.2.1 §13.

extension OCPIDoor {
    func commands(
        _ request: HTTPRequest, _ path: [String], _ caller: Caller
    ) async throws -> OCPIReply {
        guard path.count == 1 else { return .notFound("commands/{command}") }
        guard request.method == "POST" else { return .notAllowed("POST", "commands are posted") }
        let body = try request.json()
        switch path[0].uppercased() {
        case "START_SESSION": return try await start(StartRequest(ocpi: body), caller)
        case "STOP_SESSION": return try await stop(StopRequest(ocpi: body), caller)
        case "RESERVE_NOW": return try await reserve(ReserveRequest(ocpi: body), caller)
        case "CANCEL_RESERVATION": return try await cancel(CancelRequest(ocpi: body), caller)
        case "UNLOCK_CONNECTOR": return try await unlock(UnlockRequest(ocpi: body), caller)
        default: return .notFound("no such command")
        }
    }

    private func start(_ wanted: StartRequest, _ caller: Caller) async throws -> OCPIReply {
        if let refusal = refusal(of: wanted.responseURL, for: caller.peer) { return refusal }
        guard caller.peer.parties.contains(wanted.token.party) else {
            return .success(rejected("the token is not yours"))
        }
        guard let location = house.locations.location(wanted.locationID), location.publish else {
            return .refusal(
                StatusCode.unknownLocation, "no such location", data: rejected("unknown location"))
        }
        guard let evse = evse(wanted, at: location) else {
            return .refusal(
                StatusCode.unknownLocation, "no such EVSE or connector",
                data: rejected("unknown EVSE or connector"))
        }
        if evse.capabilities.contains("START_SESSION_CONNECTOR_REQUIRED"), wanted.connectorID == nil
        {
            return .refusal(
                StatusCode.invalidParameter, "connector_id: is missing",
                data: rejected("this EVSE needs a connector_id"))
        }
        let (uid, token) = (evse.uid, wanted.token)
        let reference = wanted.authorizationReference
        return try await order("START_SESSION", wanted.responseURL, caller) {
            [house] origin, now, transaction in
            try house.start(
                .evse(uid: uid), token: token, authorizationReference: reference, origin: origin,
                at: now, in: transaction)
        }
    }

    private func stop(_ wanted: StopRequest, _ caller: Caller) async throws -> OCPIReply {
        if let refusal = refusal(of: wanted.responseURL, for: caller.peer) { return refusal }
        guard let session = try await house.sessions.session(wanted.sessionID) else {
            return .success(CommandResponse.unknownSession.wire(timeoutSeconds: 0))
        }
        guard caller.peer.parties.contains(session.token.party) else {
            return .success(rejected("the session is not yours"))
        }
        let id = session.id
        return try await order("STOP_SESSION", wanted.responseURL, caller) {
            [house] origin, now, transaction in
            try house.stop(session: id, origin: origin, at: now, in: transaction)
        }
    }

    /// The command and the promise of its result, in one transaction.
    func order(
        _ name: String, _ responseURL: String, _ caller: Caller,
        _ make: @escaping @Sendable (CommandOrigin, Timestamp, Transaction) throws -> Command
    ) async throws -> OCPIReply {
        let now = house.clock.now
        let peer = caller.peer.id
        // We answer TIMEOUT ourselves, so a little before the partner gives up.
        let expires = now.advanced(bySeconds: Int64(max(2, settings.commandTimeoutSeconds - 3)))
        do {
            try await house.write { transaction in
                let origin = CommandOrigin(door: CommandResults.door, reference: peer)
                let command = try make(origin, now, transaction)
                try transaction.execute(
                    """
                    INSERT INTO ocpi_command (id, peer, name, response_url, expires_at, result,
                    result_at, after_timeout, created_at) VALUES (?, ?, ?, ?, ?, NULL, NULL, 0, ?)
                    """, command.id, peer, name, responseURL, expires, now)
            }
        } catch let refusal as CommandRefusal {
            return .success(rejected(Self.words(refusal)))
        }
        results.expect()
        return .success(
            CommandResponse.accepted.wire(timeoutSeconds: settings.commandTimeoutSeconds))
    }

    /// The EVSE meant; without one named, a free one at the location.
    func evse(_ uid: String?, at location: Location) -> EVSE? {
        guard let uid else {
            let usable = location.evses.filter { $0.status != .removed && $0.station != nil }
            return usable.first { $0.status == .available } ?? usable.first
        }
        return location.evses.first { Self.same($0.uid, uid) }
    }

    private func evse(_ wanted: StartRequest, at location: Location) -> EVSE? {
        guard let evse = evse(wanted.evseUID, at: location) else { return nil }
        guard let connector = wanted.connectorID, wanted.evseUID != nil else { return evse }
        return evse.connectors.contains { Self.same($0.id, connector) } ? evse : nil
    }

    /// A response URL is the partner's choice, so it may only point where the partner itself lives.
    func refusal(of url: String, for peer: Peer) -> OCPIReply? {
        guard let target = PeerURL(url) else {
            return .refusal(
                StatusCode.invalidParameter, "response_url: must be an http or https URL",
                data: rejected("response_url cannot be used"))
        }
        guard target.isTLS || client.configuration.rules.allowsPlain else {
            return .refusal(
                StatusCode.invalidParameter, "response_url: must be https",
                data: rejected("response_url must be https"))
        }
        guard peer.hosts.contains(target.host) || settings.responseHosts.contains(target.host)
        else {
            return .refusal(
                StatusCode.invalidParameter,
                "response_url: its host is none of your endpoints' hosts",
                data: rejected("response_url has a foreign host"))
        }
        return nil
    }

    func rejected(_ message: String) -> JSONValue {
        CommandResponse.rejected.wire(timeoutSeconds: 0, message)
    }

    private static func words(_ refusal: CommandRefusal) -> String {
        switch refusal {
        case .unknownStation, .inoperative: "the EVSE is out of operation"
        case .unknownEVSE: "unknown EVSE"
        case .unknownSession: "unknown session"
        case .sessionNotRunning: "the session does not run"
        case .unknownReservation: "unknown reservation"
        case .expired: "the reservation would have ended already"
        case .occupied: "the EVSE is occupied"
        case .offline: "the EVSE cannot be reached"
        case .shared: "the EVSE's current is shared by its site"
        }
    }
}
