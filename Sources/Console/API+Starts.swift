import CPO
import Charging
import Service

extension Console {
    /// A start on whose account the caller says. The order speaks for its token at the station, so the
    /// token must be one that the station's own reader would be told yes of.
    func start(
        _ tag: String, at id: String, _ connector: ConnectorNumber?, isUnknown: Bool,
        _ origin: CommandOrigin, _ caller: Caller
    ) async throws -> Command {
        let now = house.clock.now
        // As a station would name it: a long uid has a stand-in.
        let shown = Tokens.idTag(of: tag)
        // No partner is asked for a station that no order reaches.
        let station = try await house.read { try self.house.reachable(id, in: $0).id }
        let words = try await house.sessions.words(
            of: tag, at: station, connector: connector, receivedAt: now)
        return try await house.write { transaction in
            let found = try self.house.sessions.judge(
                shown, at: station, connector: connector, receivedAt: now, words: words,
                in: transaction)
            let token = try self.payer(tag, found, isUnknown: isUnknown, at: now)
            let command = try self.house.start(
                .station(station, connector: connector), token: token,
                authorizationReference: found.reference, origin: origin, at: now, in: transaction)
            try self.note(command, caller, in: transaction)
            return command
        }
    }

    private func payer(
        _ tag: String, _ found: Sessions.Authorization, isUnknown: Bool, at now: Timestamp
    ) throws -> Token {
        switch (found.info.status, found.token) {
        case (.accepted, let token?): return token
        case (.blocked, _):
            throw APIProblem.field("token", "is blocked; unblock it, or name another one")
        case (.expired, _):
            throw APIProblem.field(
                "token", "has expired; give it a later `expires`, or name another one")
        case (let status, .some):
            throw APIProblem.field(
                "token",
                "is not to charge here (\(status.rawValue)): its whitelist is NEVER, or its owner "
                    + "says no or cannot be asked now; name another one")
        case (_, nil):
            guard isUnknown else {
                throw APIProblem.field(
                    "token",
                    "is unknown, and nobody would pay; register it (PUT /tokens/UID), or vouch for "
                        + "it with `unknownToken`: true")
            }
            return adHoc(tag, at: now)
        }
    }

    /// A token for this once.
    func adHoc(_ tag: String, at now: Timestamp) -> Token {
        Token(
            party: house.settings.party, uid: tag, kind: .adHocUser, contractID: tag,
            issuer: house.settings.name, whitelist: .never, lastUpdated: now)
    }
}
