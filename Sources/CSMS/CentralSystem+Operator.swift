import CPO
import Charging
import JSON
import OCPP
import SQL
import Service
import Web

// MARK: Commands

extension CentralSystem: StationLinks {
    package func send(_ command: StationCommand, to station: String, deadlineSeconds: Int)
        async throws(StationLinkError) -> CommandAnswer
    {
        try await send(command, id: nil, to: station, deadlineSeconds: deadlineSeconds)
    }

    package func carry(_ command: Command, deadlineSeconds: Int)
        async throws(StationLinkError) -> CommandAnswer
    {
        try await send(
            command.command, id: command.id, to: command.station, deadlineSeconds: deadlineSeconds)
    }

    package func cancel(_ command: String, at station: String) async -> Bool {
        guard let link = links[station] else { return false }
        return await link.cancel(command, on: link.connection.shard)
    }

    private func send(
        _ command: StationCommand, id: String?, to station: String, deadlineSeconds: Int
    ) async throws(StationLinkError) -> CommandAnswer {
        guard let link = links[station] else { throw .offline }
        let offered = try await offerPassword(in: command, to: station)
        let outcome: Result<CommandAnswer, StationLinkError>
        do throws(StationLinkError) {
            outcome = .success(
                try await link.send(
                    command, id: id, deadlineSeconds: deadlineSeconds, on: link.connection.shard))
        } catch {
            outcome = .failure(error)
        }
        await settingSent(command, outcome, station, offered: offered)
        if concernsList(meaning(of: command, for: station)) { await upkeep.disturbed(station) }
        return try outcome.get()
    }

    /// Whether nobody knows any more what a station's local list holds.
    private func concernsList(_ command: StationCommand) -> Bool {
        switch command {
        case .sendLocalList: true
        case .changeSetting(let key, _): key.lowercased() == "localauthlistenabled"
        default: false
        }
    }

    /// Takes a new password beside the present one before the station hears of it: it may come with
    /// either from then on, whatever happens to the answer, or to us.
    ///
    /// - Returns: the password, where it is new; nil where there is none to take beside it, since a
    ///   station without one would be locked out.
    private func offerPassword(
        in command: StationCommand, to station: String
    ) async throws(StationLinkError) -> String? {
        guard case .changeSetting(let key, let value) = meaning(of: command, for: station),
            key.lowercased() == "authorizationkey",
            let present = access(of: station)?.verifier,
            present.match(Array(value.utf8)) == .no
        else { return nil }
        do {
            try await setPassword(value, for: station, overlapSeconds: Self.openOverlapSeconds)
        } catch {
            throw .refused(
                code: "InternalError",
                description: "the new password could not be stored, so it was not sent")
        }
        return value
    }

    /// The door's own part in a setting that was sent: a station that took a new password is known by
    /// that one only, and by either where it never answered. OCPP 1.6 security white paper A01.FR.02,
    /// A05.FR.08.
    private func settingSent(
        _ command: StationCommand, _ outcome: Result<CommandAnswer, StationLinkError>,
        _ station: String, offered: String?
    ) async {
        guard case .changeSetting(let key, let value) = meaning(of: command, for: station) else {
            return
        }
        // nil: nobody knows.
        let isTaken: Bool?
        switch outcome {
        case .success(let answer):
            isTaken = ["Accepted", "RebootRequired"].contains(answer.statusWord)
        case .failure(.timedOut), .failure(.lost), .failure(.notUnderstood): isTaken = nil
        case .failure: isTaken = false
        }
        do {
            if isTaken == false {
                guard let offered else { return }
                return try await updateAccess(of: station) {
                    $0.takeBack(Array(offered.utf8))
                }
            }
            switch key.lowercased() {
            case "authorizationkey":
                try await setPassword(
                    value, for: station,
                    overlapSeconds: isTaken == true ? 0 : Self.openOverlapSeconds)
            case "securityprofile":
                guard isTaken == true, let profile = Int(value), (1...3).contains(profile) else {
                    return
                }
                let now = house.clock.now
                try await updateAccess(of: station) { access in
                    guard profile > access.securityProfile ?? 0 else { return }
                    access.raise(
                        to: profile, until: now.advanced(bySeconds: Self.openOverlapSeconds),
                        at: now)
                }
            default: break
            }
        } catch {
            // The station has it and we do not: a person must set it again.
            house.log.error(
                "new station access not stored", ["station": station, "error": "\(error)"])
        }
    }

    /// How long both count where nobody knows which one the station has.
    static let openOverlapSeconds: Int64 = 7 * 86_400
}

extension CommandAnswer {
    /// The status, raw answers included; nil where there is none.
    fileprivate var statusWord: String? {
        switch self {
        case .status(let word): word
        // A payload that is no JSON has no status.
        case .foreign(let payload): (try? JSONValue(parsing: payload))?["status"]?.string
        default: nil
        }
    }
}

// MARK: Certificates

extension CentralSystem {
    /// The answer to a station that asks for a certificate; nil for everything else, and where there is
    /// no authority.
    nonisolated(nonsending) func certificate(
        _ event: StationEvent, of link: StationLink, receivedAt: Timestamp
    ) async throws -> StationReply? {
        guard case .maintenance(.certificateRequested(let csr)) = event, let authority else {
            return nil
        }
        // What the handshake will ask of it.
        let name = access(of: link.station)?.certificateName ?? link.station
        return .certificateRequested(
            isAccepted: try await authority.requested(
                csr, by: link.station, name: name, profile: link.granted.profile, at: receivedAt))
    }
}

extension CentralSystem {
    package func certificates(of station: String) async throws -> [IssuedCertificate] {
        guard let authority, let known = directory[station]?.id else { return [] }
        return try await authority.certificates(of: known)
    }

    /// Revokes a certificate, and closes the socket that came with it.
    package func revoke(
        _ fingerprint: String, of station: String,
        note: @escaping @Sendable (Transaction) throws -> Void
    ) async throws -> Bool {
        guard let authority, let known = directory[station]?.id,
            try await authority.revoke(fingerprint, of: known, note: note)
        else { return false }
        if let link = links[known], link.granted.certificate == fingerprint {
            await link.close(1008, reason: "certificate revoked")
        }
        return true
    }
}

// MARK: For the operator

extension CentralSystem {
    /// The raw message log, newest first; all stations' without one.
    package func messages(station: String? = nil, before id: Int64? = nil, limit: Int = 100)
        async throws -> [LoggedMessage]
    {
        try await messages(MessageFilter(station: station), before: id, limit: limit)
    }

    package func messages(
        _ filter: MessageFilter, before id: Int64? = nil, limit: Int = 100
    ) async throws -> [LoggedMessage] {
        await log.flush()
        return try await log.messages(filter, before: id, limit: limit)
    }

    /// How the station departs from the specification, most frequent first.
    package func deviations(of station: String) async throws -> [DeviationCount] {
        await log.flush()
        return try await log.deviations(of: station)
    }

    /// Handshakes that were turned away, with the exact reason: the onboarding list.
    package func refusals() async throws -> [RefusedHandshake] {
        await log.flush()
        return try await log.refusals()
    }

    /// Stations that are turned away for connecting too often.
    package func holds() -> [StationHold] { quarantine.holds(at: house.clock.now) }

    /// Lets a station come again that is held off.
    ///
    /// - Parameter note: writes the audit line, in the transaction of the journal's.
    /// - Returns: false when it is not held off.
    package func liftHold(
        of station: String, note: @escaping @Sendable (Transaction) throws -> Void
    ) async throws -> Bool {
        let now = house.clock.now
        guard quarantine.hold(of: station, at: now) != nil else { return false }
        try await house.write { [house] transaction in
            try note(transaction)
            try house.journal.append(
                .stationHeld, station, ["lifted": true], at: now, in: transaction)
        }
        links.forgetReplacements(of: station)
        return quarantine.lift(station)
    }

    package func access(of station: String) -> StationAccess? { directory[station]?.access }

    /// Changes how a station proves itself; its present socket stays.
    ///
    /// - Parameter note: writes the audit line, in the transaction of the change.
    /// - Returns: the access then; nil for a station that is not registered.
    /// - Throws: `AccessProblem` for a value that cannot be taken; then nothing was changed.
    package func changeAccess(
        of id: String, _ body: JSONValue, mayLower: Bool,
        note: @escaping @Sendable (JSONValue, Transaction) throws -> Void
    ) async throws -> StationAccess? {
        let change = try AccessChange(body)
        let now = house.clock.now
        let changed = try await house.write {
            [house, directory] transaction -> StationAccess? in
            guard let record = try house.stations.station(id, in: transaction) else { return nil }
            directory.put(record)
            var access = try StationAccess.stored(record.id, in: transaction)
            let told = try change.apply(
                to: &access, at: now, mayLower: mayLower,
                isWaiting: record.registration == .pending)
            if let name = access.certificateName {
                try Self.check(name, of: record, house, in: transaction)
            }
            try access.store(record.id, at: now, in: transaction)
            try note(told, transaction)
            return access
        }
        guard let changed else { return nil }
        directory.put(changed, for: id)
        if let link = links[id] {
            await link.setReading(changed)
            await link.accessChanged(changed)
        }
        return changed
    }

    /// With a certificate of its own it would be let in as the other one.
    private static func check(
        _ name: String, of record: StationRecord, _ house: ChargePointOperator,
        in transaction: Transaction
    ) throws {
        if let other = try house.stations.station(name, in: transaction), other.id != record.id {
            throw AccessProblem(field: "certificateName", detail: "is the id of another station")
        }
        if let other = try StationAccess.station(named: name, in: transaction),
            other != record.id.lowercased()
        {
            throw AccessProblem(
                field: "certificateName", detail: "is the certificate's name of \(other) already")
        }
    }

    /// Changes how a station proves itself, in one transaction; its present socket stays.
    private func updateAccess(
        of station: String, with note: @escaping @Sendable (Transaction) throws -> Void = { _ in },
        _ change: @escaping @Sendable (inout StationAccess) -> Void
    ) async throws {
        let now = house.clock.now
        let changed = try await house.write { [house, directory] transaction in
            try note(transaction)
            // One that was registered a moment ago is not in the directory yet.
            let record = try house.stations.station(station, in: transaction)
            if let record { directory.put(record) }
            var access = try StationAccess.stored(station, in: transaction)
            change(&access)
            try access.store(station, at: now, in: transaction)
            return access
        }
        directory.put(changed, for: station)
        await links[station]?.accessChanged(changed)
    }

    /// Sets the password of a station: bytes, or the hexadecimal digits of `AuthorizationKey`.
    ///
    /// - Parameter overlapSeconds: how long the present one counts until the new one was used.
    /// - Parameter note: what else belongs to it, in its transaction.
    package func setPassword(
        _ password: String, for station: String, overlapSeconds: Int64 = 0,
        with note: @escaping @Sendable (Transaction) throws -> Void = { _ in }
    ) async throws {
        let now = house.clock.now
        let until = overlapSeconds > 0 ? now.advanced(bySeconds: overlapSeconds) : nil
        try await updateAccess(of: station, with: note) {
            $0.rotate(to: Array(password.utf8), until: until, at: now)
        }
    }
}
