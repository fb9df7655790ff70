import CPO
import Charging
import Crypto
import HTTPClient
import JSON
import SQL
import Service
import Web

// ChargingProfiles as RECEIVER: at once a ChargingProfileResponse, later exactly one result, and after
// the first profile that was taken every change of what holds. OCPI 2.2.1 §14.

extension OCPIDoor {
    /// Between two profiles of one session; a station must not be flooded through us.
    static let profileSpacingMilliseconds: Int64 = 5000
    /// Requests of one session at once, of any kind; one more every `profileSpacingMilliseconds`.
    static let profileRequestsAtOnce: Int64 = 4

    func chargingProfiles(
        _ request: HTTPRequest, _ path: [String], _ caller: Caller
    ) async throws -> OCPIReply {
        guard path.count == 1 else { return .notFound("chargingprofiles/{session_id}") }
        switch request.method {
        case "PUT":
            let wanted = try ProfileRequest(ocpi: request.json())
            if let refusal = profileRefusal(of: wanted.responseURL, for: caller.peer) {
                return refusal
            }
            return try await answer(path[0], caller) { session in
                try await self.put(wanted, for: session, caller)
            }
        case "DELETE":
            let url = try responseURL(request)
            if let refusal = profileRefusal(of: url, for: caller.peer) { return refusal }
            return try await answer(path[0], caller) { session in
                try await self.clear(session, url, caller)
            }
        case "GET":
            let url = try responseURL(request)
            if let refusal = profileRefusal(of: url, for: caller.peer) { return refusal }
            guard let seconds = request.query("duration").flatMap({ Int($0) }),
                (1...604_800).contains(seconds)
            else { throw WireError("duration", "must be a whole number from 1 to 604800") }
            return try await answer(path[0], caller) { session in
                try await self.ask(session, seconds, url, caller)
            }
        default: return .notAllowed("GET, PUT, DELETE", "a profile is put, read or deleted")
        }
    }

    private func responseURL(_ request: HTTPRequest) throws(WireError) -> String {
        guard let url = request.query("response_url"), (1...255).contains(url.count) else {
            throw WireError("response_url", "is missing, or longer than 255 characters")
        }
        return url
    }

    private func profileRefusal(of url: String, for peer: Peer) -> OCPIReply? {
        guard var reply = refusal(of: url, for: peer) else { return nil }
        reply.data = ProfileResponse.rejected.wire(timeoutSeconds: 0)
        return reply
    }

    /// Nothing but a running charge of the partner's own on a connector that can do it goes further.
    private func answer(
        _ id: String, _ caller: Caller,
        _ take: (Session) async throws -> ProfileResponse
    ) async throws -> OCPIReply {
        func reply(_ response: ProfileResponse) -> OCPIReply {
            .success(
                response.wire(
                    timeoutSeconds: response == .accepted ? settings.commandTimeoutSeconds : 0))
        }
        guard let session = try await house.sessions.session(id),
            caller.peer.parties.contains(session.token.party)
        else { return reply(.unknownSession) }
        guard session.endedAt == nil else { return reply(.rejected) }
        let evse = house.locations.evse(session.evseUID)?.evse ?? session.location.evses.first
        guard evse?.capabilities.contains("CHARGING_PROFILE_CAPABLE") == true else {
            return reply(.notSupported)
        }
        guard let station = try await house.stations.station(session.station), station.isOnline
        else { return reply(.rejected) }
        guard profileResults.mayAsk(session.id, at: house.clock.monotonicMilliseconds) else {
            return reply(.tooOften)
        }
        do {
            return reply(try await take(session))
        } catch let problem as FuseTreeProblem {
            return .refusal(
                StatusCode.invalidParameter, "\(problem.field): \(problem.detail)",
                data: ProfileResponse.rejected.wire(timeoutSeconds: 0))
        } catch is CommandRefusal { return reply(.rejected) }
    }

    private func put(
        _ wanted: ProfileRequest, for session: Session, _ caller: Caller
    ) async throws -> ProfileResponse {
        guard profileResults.mayPut(session.id, at: house.clock.monotonicMilliseconds) else {
            return .tooOften
        }
        let plan = ProfilePlan(
            purpose: .transaction, content: .schedule(wanted.kind, wanted.schedule))
        let (now, peer) = (house.clock.now, caller.peer)
        let unit = wanted.schedule.unit
        try await promise(.put, wanted.responseURL, session, caller) { [house] transaction in
            try Self.settle([.put, .clear], session, house, in: transaction)
            let record = try house.profiles.put(
                plan, name: Self.profileName(session.id), station: session.station,
                connector: session.connector, session: session.id, source: "ocpi \(peer.name)",
                at: now, in: transaction)
            return (record.number, nil, unit)
        }
        return .accepted
    }

    private func clear(
        _ session: Session, _ url: String, _ caller: Caller
    ) async throws -> ProfileResponse {
        let now = house.clock.now
        try await promise(.clear, url, session, caller) { [house] transaction in
            try Self.settle([.put], session, house, in: transaction)
            let name = Self.profileName(session.id)
            // One that is on its way out already is waited for together with it.
            let record =
                try house.profiles.withdraw(session.station, name: name, at: now, in: transaction)
                ?? house.profiles.find(session.station, name: name, in: transaction)
            return (record?.number, nil, nil)
        }
        return .accepted
    }

    /// What came of the requests before this one, now that the profile they were about is another: each
    /// has its own result, and none waits for the later one's.
    private static func settle(
        _ kinds: [ProfileResults.Kind], _ session: Session, _ house: ChargePointOperator,
        in transaction: Transaction
    ) throws {
        let state = try house.profiles.find(
            session.station, name: profileName(session.id), in: transaction)?.state
        for kind in kinds {
            let isDone = kind == .put ? state == .told || state == .kept : state == nil
            let result: ProfileResult = isDone ? .accepted : .rejected
            try transaction.execute(
                """
                UPDATE ocpi_profile_promise SET result = ? WHERE session = ? AND kind = ?
                AND result IS NULL AND profile IS NOT NULL
                """, result.rawValue, session.id, kind.rawValue)
        }
    }

    private func ask(
        _ session: Session, _ seconds: Int, _ url: String, _ caller: Caller
    ) async throws -> ProfileResponse {
        let now = house.clock.now
        let command = Command(
            id: UUID4.make(), station: session.station,
            command: .getComposite(connector: session.connector, seconds: seconds, unit: nil),
            origin: CommandOrigin(door: "ocpi-profile", reference: caller.peer.id), createdAt: now)
        try await promise(.get, url, session, caller) { [house] transaction in
            try house.commands.enqueue(command, in: transaction)
            return (nil, command.id, nil)
        }
        return .accepted
    }

    /// What is asked of the house, and the promise of its result, in one transaction.
    private func promise(
        _ kind: ProfileResults.Kind, _ url: String, _ session: Session, _ caller: Caller,
        _ make:
            @escaping @Sendable (Transaction) throws -> (
                profile: Int?, command: String?, unit: ChargingSchedule.Unit?
            )
    ) async throws {
        let now = house.clock.now
        let expires = now.advanced(bySeconds: Int64(max(2, settings.commandTimeoutSeconds - 3)))
        let peer = caller.peer.id
        try await house.write { transaction in
            let made = try make(transaction)
            try transaction.execute(
                """
                INSERT INTO ocpi_profile_promise (id, peer, kind, session, station, party, profile,
                command, unit, response_url, expires_at, created_at)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """, UUID4.make(), peer, kind.rawValue, session.id, session.station,
                session.token.party.description, made.profile, made.command, made.unit?.rawValue,
                url, expires, now)
        }
        profileResults.expect()
    }

    static func profileName(_ session: String) -> String { "ocpi/\(session)" }
}
