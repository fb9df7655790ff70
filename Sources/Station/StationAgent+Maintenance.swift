import Charging
import OCPP
import Service

extension StationAgent {
    // MARK: What the operator orders

    func maintain(_ order: MaintenanceOrder) async -> CommandAnswer {
        if case .trigger(let message, let connector) = order {
            return await extendedTrigger(message, connector)
        }
        guard let upkeep = configuration.upkeep else { return .status("Rejected") }
        let (answer, mustReconnect) = await upkeep.execute(order)
        reconnectsAfterReply = mustReconnect
        return answer
    }

    /// Writes a key of the security extension; nil for every other key.
    func changeSecurity(_ key: String, _ value: String) async -> CommandAnswer? {
        guard let (answer, mustReconnect) = await configuration.upkeep?.change(key, value) else {
            return nil
        }
        reconnectsAfterReply = mustReconnect
        return answer
    }

    /// Ends the link once the answer is out, so that the next one is made with what changed.
    func reconnectIfDue() {
        guard reconnectsAfterReply else { return }
        reconnectsAfterReply = false
        isLeavingLink = true
        lastCall = queue.current?.id
        // The writer sends what is queued, lets the operator read it, and then closes.
        outbox?.finish()
        backoff.reset()
    }

    /// Waits until the operator had time to read the last messages of a link that we leave.
    ///
    /// An operator who is still at our call when the close arrives fails at its answer, and may then
    /// never read the answer to his own call behind it.
    func restBeforeClosing() async {
        guard isLeavingLink else { return }
        let last = lastCall
        let latest = clock.monotonicMilliseconds + LinkEnd.mostAnswerMilliseconds
        do {
            repeat {
                try await clock.sleep(milliseconds: LinkEnd.restMilliseconds)
            } while last != nil && queue.current?.id == last
                && clock.monotonicMilliseconds < latest
        } catch { return }
    }

    /// How a link is left that is to be made anew.
    private enum LinkEnd {
        /// After the last message, and how often the answer to a call under way is looked for.
        static let restMilliseconds: Int64 = 500
        /// As long the answer to a call under way is awaited.
        static let mostAnswerMilliseconds: Int64 = 5_000
    }

    private func extendedTrigger(
        _ message: String, _ connector: ConnectorNumber?
    ) async -> CommandAnswer {
        guard let upkeep = configuration.upkeep else { return .status("NotImplemented") }
        if message == "SignChargePointCertificate" {
            errands.yield { await upkeep.requestCertificate() }
            return .status("Accepted")
        }
        if await triggerUpkeep(message, isExtended: true) { return .status("Accepted") }
        return trigger(message, connector)
    }

    /// True where the message is one of upkeep's; it follows the answer.
    func triggerUpkeep(_ message: String, isExtended: Bool) async -> Bool {
        guard let upkeep = configuration.upkeep,
            let report = await upkeep.state(message, isExtended: isExtended)
        else { return false }
        errands.yield { _ = await self.call(.maintenance(report)) }
        return true
    }

    // MARK: What upkeep asks

    var isLinked: Bool { link != nil }

    var isCharging: Bool {
        get async {
            for connector in connectors where await connector.hasTransaction { return true }
            return false
        }
    }

    /// Lets no new charge begin, whatever the operator sets meanwhile; what was reserved stays so.
    func hold(_ isHeld: Bool) async {
        for connector in connectors { await connector.take(.held(isHeld)) }
        errands.yield { await self.reportStatuses() }
    }

    /// Ends the program in order, so that its supervisor starts what was installed.
    func restartForUpdate() async {
        errands.yield {
            await self.configuration.upkeep?.note(.resetOrReboot, "firmware update")
            await self.stopAll(.reboot)
            await self.configuration.upkeep?.tellBeforeEnd(withinMilliseconds: 5_000)
            await self.configuration.restart(.soft)
        }
    }

    /// Empties the security log by a person's hand at the board. JSON for the local socket.
    package func clearSecurityLog() async -> String {
        do {
            try await journal.clearSecurityLog()
        } catch {
            log.error("journal not written", ["error": String(describing: error)])
            return "{\"error\":\"the journal cannot be written\"}"
        }
        await configuration.upkeep?.note(.securityLogWasCleared)
        return "{\"done\":\"cleared\"}"
    }

    // MARK: Security events of the agent's own

    func note(_ kind: SecurityEvent.Kind, _ info: String? = nil) {
        guard let upkeep = configuration.upkeep else { return }
        errands.yield { await upkeep.note(kind, info) }
    }

    /// A cabinet whose door is open is being tampered with until somebody says otherwise.
    func watchDoor(_ status: ConnectorMachine.Status, _ connector: ConnectorNumber) {
        let open = Fault.doorOpen.vendorErrorCode
        guard status.vendorErrorCode == open,
            statuses[connector]?.vendorErrorCode != open
        else { return }
        note(.tamperDetectionActivated, "door, connector \(connector)")
    }
}

extension MaintenanceAnswer {
    /// One word for the log.
    var summary: String {
        switch self {
        case .taken: "taken"
        case .log(let status, let name): status ?? name ?? "nothing"
        case .roots(let roots): "\(roots.count) roots"
        }
    }
}
