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
        let outcome: Result<CommandAnswer, StationLinkError>
        do throws(StationLinkError) {
            outcome = .success(
                try await link.send(
                    command, id: id, deadlineSeconds: deadlineSeconds, on: link.connection.shard))
        } catch {
            outcome = .failure(error)
        }
        await settingSent(command, outcome, station)
        return try outcome.get()
    }

    /// The door's own part in a setting that was sent: a station that took a new password is known by
    /// that one only, and by either where it never answered. OCPP 1.6 security white paper A01.FR.02,
    /// A05.FR.08.
    private func settingSent(
        _ command: StationCommand, _ outcome: Result<CommandAnswer, StationLinkError>,
        _ station: String
    ) async {
        guard case .changeSetting(let key, let value) = meaning(of: command, for: station) else {
            return
        }
        let isTaken: Bool
        switch outcome {
        case .success(let answer):
            guard ["Accepted", "RebootRequired"].contains(answer.statusWord) else { return }
            isTaken = true
        case .failure(.timedOut), .failure(.lost): isTaken = false
        case .failure: return
        }
        do {
            switch key.lowercased() {
            case "authorizationkey":
                try await setPassword(
                    value, for: station, overlapSeconds: isTaken ? 0 : Self.openOverlapSeconds)
            case "securityprofile":
                guard isTaken, let profile = Int(value), (1...3).contains(profile) else { return }
                var access = access(of: station) ?? StationAccess()
                guard profile > access.securityProfile ?? 0 else { return }
                access.raise(
                    to: profile,
                    until: house.clock.now.advanced(bySeconds: Self.openOverlapSeconds))
                try await setAccess(access, for: station)
            default: break
            }
        } catch {
            // The station has it and we do not: a person must set it again.
            house.log.error(
                "new station access not stored", ["station": station, "error": "\(error)"])
        }
    }

    /// How long both count where nobody knows which one the station has.
    private static let openOverlapSeconds: Int64 = 7 * 86_400
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
            let told = try change.apply(to: &access, at: now, mayLower: mayLower)
            try access.store(record.id, at: now, in: transaction)
            try note(told, transaction)
            return access
        }
        guard let changed else { return nil }
        directory.put(changed, for: id)
        if let link = links[id] { await link.setStrict(changed.isStrict) }
        return changed
    }

    /// Sets how a station proves itself; its present socket stays.
    package func setAccess(_ access: StationAccess, for station: String) async throws {
        let now = house.clock.now
        try await house.write { [house, directory] transaction in
            // One that was registered a moment ago is not in the directory yet.
            let record = try house.stations.station(station, in: transaction)
            if let record { directory.put(record) }
            try access.store(station, at: now, in: transaction)
        }
        directory.put(access, for: station)
    }

    /// Sets the password of a station: bytes, or the hexadecimal digits of `AuthorizationKey`.
    ///
    /// - Parameter overlapSeconds: how long the present one counts until the new one was used.
    package func setPassword(
        _ password: String, for station: String, overlapSeconds: Int64 = 0
    ) async throws {
        let now = house.clock.now
        var access = access(of: station) ?? StationAccess()
        access.rotate(
            to: Array(password.utf8),
            until: overlapSeconds > 0 ? now.advanced(bySeconds: overlapSeconds) : nil)
        try await setAccess(access, for: station)
    }
}
