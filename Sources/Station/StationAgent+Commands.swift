import Charging
import JSON
import OCPP
import Service

extension StationAgent {
    /// Answers one call of the operator's; the same message twice gets the same answer once done.
    func serve(_ frame: Frame, _ action: String, _ message: [UInt8]) async {
        let dialect = configuration.dialect
        let fingerprint = ReplyCache.fingerprint(of: message.span.bytes)
        if case .repeated(let reply) = replies.find(frame.id, fingerprint: fingerprint) {
            outbox?.yield(reply)
            return
        }
        let reply: [UInt8]
        do throws(CallError) {
            let command = try command(action, message, frame.payload)
            let answer = try await execute(command)
            log.info("command", ["action": action, "answer": answer.summary])
            reply = Frame.result(frame.id) { dialect.write(answer, to: command, into: &$0) }
        } catch {
            log.warning("command not read", ["action": action, "error": error.description])
            reply = Frame.error(frame.id, error, in: dialect.version)
        }
        replies.remember(frame.id, fingerprint: fingerprint, reply: reply)
        outbox?.yield(reply)
        reconnectIfDue()
    }

    private func command(
        _ action: String, _ message: [UInt8], _ payload: Range<Int>
    ) throws(CallError) -> StationCommand {
        let bytes = message.span.bytes.extracting(payload)
        return try configuration.dialect.command(action: action, payload: bytes).value
    }

    private func execute(_ command: StationCommand) async throws(CallError) -> CommandAnswer {
        switch command {
        case .start(let connector, let token): await start(token, on: connector)
        case .stop(let transaction): await stop(transaction)
        case .unlock(let connector): await unlock(connector)
        case .reset(let kind): reset(kind)
        case .setAvailability(let connector, let operative):
            await setAvailability(connector, operative)
        case .changeSetting(let key, let value): await change(key, value)
        case .getSettings(let keys): try answer(to: keys)
        case .clearCache: await clearCache()
        case .trigger(let message, let connector):
            await triggerUpkeep(message, isExtended: false)
                ? accepted : trigger(message, connector)
        case .sendLocalList(let update): await take(update)
        case .getLocalListVersion: try await localListVersion()
        case .reserve(let reservation): await reserve(reservation)
        case .cancelReservation(let id): await cancel(reservation: id)
        case .data(let message): await answer(to: message)
        case .startLimited(let connector, let token, let profile):
            await start(token, on: connector, profile)
        case .setProfile(let connector, let profile): await setProfile(connector, profile)
        case .clearProfiles(let filter): await clearProfiles(filter)
        case .getComposite(let connector, let seconds, let unit):
            await composite(connector, seconds, unit)
        case .maintenance(let order): await maintain(order)
        case .foreign: .status("NotSupported")
        }
    }

    private var accepted: CommandAnswer { .status("Accepted") }
    private var rejected: CommandAnswer { .status("Rejected") }

    /// Accepted means "will try": the car may not be there yet. OCPP 1.6 §5.11.
    ///
    /// - `asking`: is told of each connector before it is asked.
    func start(
        _ token: String, on number: ConnectorNumber?,
        asking: @Sendable (ConnectorNumber) async -> Void = { _ in }
    ) async -> CommandAnswer {
        guard registration == .accepted else { return rejected }
        var candidates = connectors.filter { number == nil || $0.number == number }
        if number == nil {
            // What is reserved for him first, then where a car waits already.
            var first: [ConnectorController] = []
            for connector in candidates where await connector.isReserved(for: token) {
                first.append(connector)
            }
            for connector in candidates where await connector.isPlugged {
                if !first.contains(where: { $0 === connector }) { first.append(connector) }
            }
            candidates = first + candidates.filter { one in !first.contains { $0 === one } }
        }
        let needsAuthorization = settings.bool(.authorizeRemoteStart)
        for connector in candidates {
            await bindReservation(of: token, to: connector)
            await asking(connector.number)
            let why = await connector.remoteStart(
                token: token, needsAuthorization: needsAuthorization)
            guard let why else { return accepted }
            log.notice("remote start refused", ["connector": connector.number, "reason": why])
        }
        return rejected
    }

    private func stop(_ transaction: TransactionReference) async -> CommandAnswer {
        guard registration == .accepted, case .number(let id) = transaction else { return rejected }
        do {
            guard let (charge, number) = try await journal.openCharge(operatorID: id),
                let connector = controller(number), await connector.charge()?.id == charge
            else { return rejected }
            await connector.take(.stop(.remote))
            return accepted
        } catch {
            log.error("journal not read", ["error": String(describing: error)])
            return rejected
        }
    }

    /// Ends what runs, then opens the lock. OCPP 1.6 §5.18.
    private func unlock(_ number: ConnectorNumber) async -> CommandAnswer {
        guard let connector = controller(number), connector.hasLock else {
            return .status("NotSupported")
        }
        _ = await connector.stop(.unlockCommand, withinMilliseconds: 15_000)
        return .status(await connector.waitUnlocked() ? "Unlocked" : "UnlockFailed")
    }

    private func reset(_ kind: ResetKind) -> CommandAnswer {
        errands.yield { await self.shutDown(kind == .soft ? .softReset : .hardReset, kind) }
        return accepted
    }

    /// Stops every charge, tells what can be told in time, and ends the program.
    private func shutDown(_ reason: StopReason, _ kind: ResetKind) async {
        await configuration.upkeep?.note(.resetOrReboot, kind.rawValue)
        await stopAll(reason)
        await configuration.upkeep?.tellBeforeEnd(withinMilliseconds: 2_000)
        // The program ends by it; where it does not, it is asked again. OCPP 1.6 §9.1 ResetRetries.
        for attempt in 0...settings.int(.resetRetries, else: 1) {
            if attempt > 0 { log.error("reset had no effect", ["attempt": attempt]) }
            await configuration.restart(kind)
            do { try await clock.sleep(milliseconds: configuration.resetWaitMilliseconds) } catch {
                return
            }
        }
        log.error("reset given up")
        // Whatever keeps the program up, it charges on.
        for connector in connectors { await connector.take(.ending(false)) }
    }

    /// Ends every charge in order and gives the operator a moment to hear of it.
    package func stopAll(_ reason: StopReason) async {
        await withTaskGroup { group in
            for connector in connectors {
                group.addTask { _ = await connector.stop(reason, withinMilliseconds: 20_000) }
            }
        }
        deliveryWaitsUntil = 0
        let deadline = clock.monotonicMilliseconds + 5_000
        while link != nil, registration == .accepted, clock.monotonicMilliseconds < deadline {
            wake.yield()
            do {
                if try await journal.depth() == 0 { break }
                try await clock.sleep(milliseconds: 100)
            } catch { break }
        }
    }

    private func setAvailability(
        _ number: ConnectorNumber, _ operative: Bool
    ) async -> CommandAnswer {
        let concerned = number == 0 ? connectors : connectors.filter { $0.number == number }
        guard !concerned.isEmpty else { return rejected }
        do {
            let numbers = concerned.map(\.number) + (number == 0 ? [0] : [])
            try await journal.setAvailability(numbers, operative: operative)
        } catch {
            log.error("journal not written", ["error": String(describing: error)])
            return rejected
        }
        if number == 0 { isStationOperative = operative }
        var isScheduled = false
        for connector in concerned {
            if !operative, await connector.hasTransaction { isScheduled = true }
            await connector.take(.operative(operative))
        }
        errands.yield { await self.reportStatuses() }
        return isScheduled ? .status("Scheduled") : accepted
    }

    private func clearCache() async -> CommandAnswer {
        guard settings.bool(.authorizationCacheEnabled) else { return rejected }
        do {
            try await journal.forgetTokens()
            return accepted
        } catch {
            log.error("journal not written", ["error": String(describing: error)])
            return rejected
        }
    }
}

extension CommandAnswer {
    /// One word for the log.
    var summary: String {
        switch self {
        case .status(let status): status
        case .settings(let settings, let unknown): "\(settings.count) known, \(unknown.count) not"
        case .listVersion(let version): "version \(version)"
        case .data(let status, _): status
        case .composite(let schedule): schedule == nil ? "none" : "schedule"
        case .maintenance(let answer): answer.summary
        case .foreign: "foreign"
        }
    }
}

// MARK: What the agent shows

/// The station at a glance, for `kerb-edge status`.
package struct StationView: Hashable, Sendable {
    package var stationID: String
    package var isLinked: Bool
    package var linkedSince: Timestamp?
    /// Why there is no link, and when the next try is; nil where there is one.
    package var linkError: String?
    package var nextTrySeconds: Int64?
    package var registration: RegistrationStatus?
    package var journalDepth: Int?
    package var journal: BoardJournal.View?
    package var now: Timestamp
    package var clockTrust: ClockTrust
    package var connectors: [ConnectorView]
    /// The limits in force; nil where nothing limits but the wiring.
    package var charging: SmartChargingView?
}

extension StationAgent {
    package func view() async -> StationView {
        var views: [ConnectorView] = []
        for connector in connectors { views.append(await connector.view()) }
        var journalView: BoardJournal.View?
        do { journalView = try await journal.view() } catch {
            log.warning("journal not read", ["error": String(describing: error)])
        }
        return StationView(
            stationID: configuration.stationID, isLinked: link != nil, linkedSince: linkSince,
            linkError: link == nil ? linkTrouble : nil, nextTrySeconds: secondsToNextTry,
            registration: registration, journalDepth: journalView?.depth, journal: journalView,
            now: clock.now, clockTrust: journal.trust, connectors: views,
            charging: await configuration.smartCharging?.view())
    }
}
