import Charging
import OCPP
import Service

/// May this token charge? The list before the cache, both before the operator's silence.
/// OCPP 1.6 §3.4, §3.5, §4.1.
extension StationAgent {
    func authorize(token: String) async -> AuthorizationInfo {
        let known = await known(token: token)
        if let info = answeredHere(known) { return info }
        return await askOperator(about: token, known)
    }

    /// The word on a token for which the operator is not asked; nil where he is.
    func answeredHere(_ known: AuthorizationInfo?) -> AuthorizationInfo? {
        guard registration == .accepted, link != nil else { return offline(known) }
        if settings.bool(.localPreAuthorize), let known, known.status == .accepted { return known }
        return nil
    }

    func askOperator(
        about token: String, _ known: AuthorizationInfo?
    ) async -> AuthorizationInfo {
        switch await call(.authorizing(token: token), .urgent) {
        case .answered(.authorization(let info)):
            do { try await learn(token, info) } catch {
                log.warning("token not remembered", ["error": String(describing: error)])
            }
            return info
        // Whoever fills the queue must not come by the rules for a board that is alone.
        case .answered, .refused, .unsayable, .crowded: return AuthorizationInfo(.invalid)
        case .silent: return offline(known)
        }
    }

    /// What the board knows of a token by itself.
    func known(token: String) async -> AuthorizationInfo? {
        do {
            if settings.bool(.localListEnabled),
                let info = try await journal.listed(token: token, at: clock.now)
            {
                return info
            }
            guard settings.bool(.authorizationCacheEnabled) else { return nil }
            return try await journal.known(token: token, at: clock.now)
        } catch {
            log.warning("tokens not read", ["error": String(describing: error)])
            return nil
        }
    }

    /// A refused token stays refused offline; an unknown one charges only where the operator
    /// takes that risk. OCPP 1.6 §3.5.1.
    private func offline(_ known: AuthorizationInfo?) -> AuthorizationInfo {
        if let known {
            return settings.bool(.localAuthorizeOffline) || known.status != .accepted
                ? known : AuthorizationInfo(.invalid)
        }
        return AuthorizationInfo(
            settings.bool(.allowOfflineTransactionForUnknownToken) ? .accepted : .invalid)
    }

    /// Remembers the operator's word on a token, and tells where the list says otherwise.
    func learn(_ token: String, _ info: AuthorizationInfo) async throws {
        if settings.bool(.localListEnabled),
            let listed = try await journal.listed(token: token, at: clock.now)
        {
            // The list is the operator's to mend; the cache must not contradict it.
            if listed.status == .accepted, info.status != .accepted,
                info.status != .concurrentTransaction
            {
                errands.yield { await self.reportListConflict() }
            }
            return
        }
        guard settings.bool(.authorizationCacheEnabled) else { return }
        // Kept without its end it would be good for ever; a refusal may be kept as long.
        if info.isEndUnread, info.status == .accepted {
            log.warning("token not remembered, its expiryDate cannot be read")
            // Nor does the older word count, which may know of no end.
            return try await journal.forget(token: token)
        }
        try await journal.learn(token: token, info, at: clock.now)
    }

    /// OCPP 1.6 §3.5.2.
    private func reportListConflict() async {
        log.warning("local list and operator disagree on a token")
        let report = StatusReport(
            connector: 0, status: isStationOperative ? .available : .unavailable,
            errorCode: "LocalListConflict", info: "the local list accepts a refused token",
            at: clock.now)
        _ = await call(.statusChanged(report))
    }

    // MARK: The operator's list

    func take(_ update: LocalListUpdate) async -> CommandAnswer {
        guard settings.bool(.localListEnabled) else { return .status("NotSupported") }
        do {
            switch try await journal.take(update, at: clock.now) {
            case .accepted:
                log.notice(
                    "local list changed",
                    [
                        "kind": update.kind.rawValue, "version": update.version,
                        "entries": update.entries.count,
                    ])
                return .status("Accepted")
            case .versionMismatch: return .status("VersionMismatch")
            case .failed(let why):
                log.warning("local list refused", ["reason": why])
                return .status("Failed")
            }
        } catch {
            log.error("journal not written", ["error": String(describing: error)])
            return .status("Failed")
        }
    }

    /// −1 where lists are switched off. OCPP 1.6 §5.10.
    func localListVersion() async throws(CallError) -> CommandAnswer {
        guard settings.bool(.localListEnabled) else { return .listVersion(-1) }
        do {
            return .listVersion(try await journal.localListVersion())
        } catch {
            log.error("journal not read", ["error": String(describing: error)])
            throw CallError(.internalError, "the list cannot be read")
        }
    }
}
