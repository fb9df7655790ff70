import CPO
import Charging
import JSON
import OCPP
import Service
import Web

extension CentralSystem {
    func decide(_ request: UpgradeRequest) -> UpgradeDecision {
        let now = house.clock.now
        switch verdict(on: request, at: now) {
        case .refused(let reason):
            let name = Admission.stationID(path: request.http.path) ?? "?"
            log.refused(name, reason, from: request.http.remoteAddress, at: now)
            if let deviation = reason.deviation, let known = directory[name]?.id {
                log.count(Deviations(deviation), of: known, at: now)
            }
            // Counted above; a line for each would let a stranger write the log.
            guard reason != .tooManyTries else { return .refuse(status: reason.status) }
            house.log.info(
                "station refused",
                [
                    "station": name, "reason": reason.rawValue,
                    "address": request.http.remoteAddress,
                ])
            return .refuse(status: reason.status)
        case .speechless:
            let name = Admission.stationID(path: request.http.path) ?? "?"
            log.refused(name, .noSubprotocol, from: request.http.remoteAddress, at: now)
            // Of a station that is known the operator sees what it lacks.
            if request.offeredSubprotocols.isEmpty, let known = directory[name]?.id {
                log.count(Deviations(.subprotocolMissing), of: known, at: now)
            }
            return .accept { _, _ in Speechless() }
        case .granted(let granted):
            guard let dialect = dialects.first(where: { $0.version == granted.version }) else {
                return .refuse(status: 400)
            }
            let isNamed = !granted.deviations.contains(.subprotocolMissing)
            return .accept(named: isNamed) { connection, _ in
                StationLink(
                    connection: connection, dialect: dialect, granted: granted, center: self)
            }
        }
    }

    private func verdict(on request: UpgradeRequest, at now: Timestamp) -> Admission.Verdict {
        let pair = WrongPasswords.Pair(
            address: request.http.remoteAddress,
            station: Admission.stationID(path: request.http.path) ?? "")
        guard wrongPasswords.mayTry(pair) else { return .refused(.tooManyTries) }
        let verdict = admitted(request, pair, at: now)
        switch verdict {
        case .refused(.wrongPassword):
            // A whole fleet may be behind one address: a right one is never refused for others' wrong ones.
            let isAtBound = wrongPasswords.isAtBound(pair)
            wrongPasswords.count(pair)
            return isAtBound ? .refused(.tooManyTries) : verdict
        case .granted: wrongPasswords.forget(pair)
        case .refused, .speechless: break
        }
        return verdict
    }

    private func admitted(
        _ request: UpgradeRequest, _ pair: WrongPasswords.Pair, at now: Timestamp
    ) -> Admission.Verdict {
        var admission = admission
        admission.mayStretch = { [wrongPasswords] in wrongPasswords.mayStretch(pair) }
        let verdict = admission.decide(
            request, at: now, isOthersName: { directory.isOthersName($0) }, { directory[$0] })
        guard case .granted(let granted) = verdict else { return verdict }
        if let own = granted.certificate, authority?.hasEnded(own, at: now) == true {
            return .refused(.endedCertificate)
        }
        // After it proved who it is: nobody else can have it held off.
        if quarantine.hold(of: granted.station, at: now) != nil { return .refused(.heldOff) }
        if let refusal = placed(granted, request.http.remoteAddress) { return .refused(refusal) }
        if let hold = quarantine.connecting(
            granted.station, from: request.http.remoteAddress,
            replacements: links.replacements(of: granted.station, at: now), at: now)
        {
            held(hold)
            return .refused(.heldOff)
        }
        // From here on the old one is worth nothing, whoever else holds it; `admit` writes it down.
        // What is new to the inbox, or its password, is not written down before its socket is open.
        if granted.changesAccess, granted.firstPassword == nil {
            directory.change(granted.station) { _ = granted.apply(to: &$0, at: now) }
        }
        return verdict
    }

    /// Keeps a place for one that is new, and its password, until it is admitted.
    private func placed(
        _ granted: Admission.Granted, _ address: String
    ) -> Admission.Refusal? {
        let known = directory[granted.station]
        let isNew = known == nil
        guard isNew || granted.firstPassword != nil else { return nil }
        let waits = known.map { self.mustWait($0.registration, $0.access, granted) } ?? false
        let claim = StationDirectory.Claim(
            // Kept for a minute, in memory alone.
            verifier: granted.firstPassword.map { StationVerifier(password: $0, .random) },
            from: Neighbourhood(of: address), at: house.clock.monotonicMilliseconds)
        guard directory.claim(granted.station, claim, with: granted.firstPassword) else {
            return .wrongPassword
        }
        guard isNew || waits, house.settings.unknownStations == .inbox else { return nil }
        let (all, near) = directory.waiting(near: claim.from, at: claim.at)
        let isFull = isNew && all > settings.pendingStations
        let isFullHere =
            settings.pendingStationsOfAddress > 0 && near > settings.pendingStationsOfAddress
        guard isFull || isFullHere else { return nil }
        directory.unclaim(granted.station)
        return isFull ? .inboxFull : .inboxFullHere
    }

    /// Two devices by one id need not differ in their addresses: behind one router they do in what they
    /// say they are.
    func heard(_ identity: StationIdentity, of station: String, at now: Timestamp) {
        guard house.settings.corrections.first(for: identity)?.isCluster != true,
            let link = links[station],
            let hold = quarantine.booted(
                station, as: identity, from: link.connection.remoteAddress, at: now)
        else { return }
        held(hold)
        Task { await link.close(1008, reason: "held off") }
    }

    /// Tells the operator, in the log and on the pages that are open.
    private func held(_ hold: StationHold) {
        house.log.warning(
            "station held off",
            [
                "station": hold.station, "reason": hold.reason.rawValue,
                "addresses": hold.addresses.joined(separator: " "),
            ])
        links.forgetReplacements(of: hold.station)
        Task { [house] in
            do {
                try await house.write { transaction in
                    try house.journal.append(
                        .stationHeld, hold.station,
                        [
                            "reason": .string(hold.reason.rawValue), "until": .time(hold.until),
                            "addresses": .array(hold.addresses.map { .string($0) }),
                        ], at: hold.since, in: transaction)
                }
            } catch {
                house.log.error("hold not journalled", ["error": "\(error)"])
            }
        }
    }

    /// Hears a socket that the server closes at once: nothing in common to speak.
    private final class Speechless: WebSocketSession {
        func opened(on shard: isolated Shard) {}
        func received(_ message: RawSpan, isText: Bool, on shard: isolated Shard) {}
        func closed(_ closure: WebSocketClosure, on shard: isolated Shard) {}
    }
}
