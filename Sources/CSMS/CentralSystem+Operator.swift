import CPO
import Charging
import OCPP
import SQL
import Service
import Web

// MARK: Commands

extension CentralSystem: StationLinks {
    package func send(_ command: StationCommand, to station: String, deadlineSeconds: Int)
        async throws(StationLinkError) -> CommandAnswer
    {
        guard let link = links[station] else { throw .offline }
        let answer = try await link.send(
            command, deadlineSeconds: deadlineSeconds, on: link.connection.shard)
        await passwordChanged(command, answer, station)
        return answer
    }

    /// A station that took a new password is known by that one only. OCPP 1.6 security white paper
    /// A01.FR.02.
    private func passwordChanged(
        _ command: StationCommand, _ answer: CommandAnswer, _ station: String
    ) async {
        guard case .changeSetting(let key, let value) = command,
            key.lowercased() == "authorizationkey",
            answer == .status("Accepted") || answer == .status("RebootRequired")
        else { return }
        do {
            try await setPassword(value, for: station)
        } catch {
            // The station has it and we do not: a person must set it again.
            house.log.error(
                "new station password not stored", ["station": station, "error": "\(error)"])
        }
    }
}

// MARK: For the operator

extension CentralSystem {
    /// The raw message log, newest first; all stations' without one.
    package func messages(station: String? = nil, before id: Int64? = nil, limit: Int = 100)
        async throws -> [LoggedMessage]
    {
        await log.flush()
        return try await log.messages(station: station, before: id, limit: limit)
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

    package func access(of station: String) -> StationAccess? { directory[station]?.access }

    /// Sets how a station proves itself; its present socket stays.
    package func setAccess(_ access: StationAccess, for station: String) async throws {
        let now = house.clock.now
        try await house.write { try access.store(station, at: now, in: $0) }
        directory.put(access, for: station)
    }

    /// Sets the password of a station: bytes, or the hexadecimal digits of `AuthorizationKey`.
    package func setPassword(_ password: String, for station: String) async throws {
        var access = access(of: station) ?? StationAccess()
        access.verifier = StationVerifier(password: Array(password.utf8))
        try await setAccess(access, for: station)
    }
}
