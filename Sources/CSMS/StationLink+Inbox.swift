import CPO
import Charging
import OCPP
import Service
import Web

extension StationLink {
    /// Answers what waits, one after the other, until nothing does.
    func work(on shard: isolated Shard) async {
        var at = inbox.startIndex
        while at < inbox.endIndex, !isTurnedAway {
            let item = inbox[at]
            at += 1
            await answer(item, on: shard)
            if at == inbox.endIndex {
                inbox.removeAll(keepingCapacity: at <= 8)
                at = inbox.startIndex
                allowReading(on: shard)
            } else if at >= center.settings.waitingMessages / 2 {
                inbox.removeFirst(at)
                at = inbox.startIndex
                allowReading(on: shard)
            }
        }
        if isTurnedAway { inbox.removeAll() }
        isWorking = false
    }

    private func allowReading(on shard: isolated Shard) {
        inboxIsFull = false
        readIfAllowed(on: shard)
    }

    private func answer(_ item: Inbound, on shard: isolated Shard) async {
        var deviations = Deviations()
        var isRepeated = false
        switch replies.find(item.id, fingerprint: item.fingerprint) {
        // What changes nothing is asked anew: the time goes on, and so may a token's state.
        case .repeated where item.isQuestion:
            isRepeated = true
            deviations.insert(.messageRepeated)
        case .repeated(let bytes):
            connection.send(bytes, on: shard)
            center.log.count(Deviations(.messageRepeated), of: station, at: item.receivedAt)
            log(item, bytes, "repeated")
            return
        case .reused: deviations.insert(.messageIDReused)
        case .new: break
        }
        let bytes: [UInt8]
        var note: String?
        switch item.content {
        case .refused(let error):
            bytes = Frame.error(item.id, error, in: dialect.version)
            note = error.description
        case .event(let event):
            deviations.formUnion(event.deviations)
            (bytes, note) = await reply(to: event.value, item, &deviations, on: shard)
        }
        // An error of ours and the answer to a boot are not repeated: trying again may be served.
        if note == nil, !item.isBoot, !isRepeated {
            replies.remember(item.id, fingerprint: item.fingerprint, reply: bytes)
        }
        // Before it is answered, so that whoever saw the answer finds both.
        center.log.count(deviations, of: station, at: item.receivedAt)
        log(item, bytes, note)
        connection.send(bytes, on: shard)
    }

    private func reply(
        to event: StationEvent, _ item: Inbound, _ deviations: inout Deviations,
        on shard: isolated Shard
    ) async -> ([UInt8], String?) {
        if let error = gate(event, &deviations) {
            return (Frame.error(item.id, error, in: dialect.version), error.description)
        }
        do {
            // Its boot is answered by the row, which may be the board's by now.
            if wasPending, item.isBoot {
                let access = try await center.house.read { [station] in
                    try StationAccess.stored(station, in: $0)
                }
                guard keepsStanding(access, on: shard) else {
                    let refusal = CallError(.securityError, "the password is another one now")
                    return (Frame.error(item.id, refusal, in: dialect.version), refusal.description)
                }
            }
            let reply: StationReply
            if let signed = try await center.certificate(
                event, of: self, receivedAt: item.receivedAt)
            {
                reply = signed
            } else {
                reply = try await center.apply(event, from: station, receivedAt: item.receivedAt)
            }
            if case .statusChanged = event { toldStatus = true }
            if case .booted(let status, _, _) = reply {
                registration = status
                if status == .accepted { askForStatusLater(on: shard) }
            }
            let bytes = Frame.result(item.id) { dialect.write(reply, to: event, into: &$0) }
            return (bytes, nil)
        } catch {
            center.house.log.error(
                "event not stored",
                ["station": station, "action": item.action, "error": "\(error)"])
            let refusal = CallError(.internalError, "the message could not be stored")
            return (Frame.error(item.id, refusal, in: dialect.version), refusal.description)
        }
    }

    /// After its boot a station tells the status of every connector; many do not. OCPP 1.6 errata
    /// 3.22. It is left in peace first: some hang on any early call.
    private func askForStatusLater(on shard: isolated Shard) {
        toldStatus = false
        let clock = center.house.clock
        Task {
            // Nothing cancels it; a socket that is gone by then is told nothing.
            try? await clock.sleep(milliseconds: center.settings.statusSilenceMilliseconds)
            _ = shard
            guard !toldStatus, !isClosed else { return }
            tell(.trigger(message: "StatusNotification", connector: nil), on: shard)
        }
    }

    /// What a station may say before it is accepted: its boot, and what may cost money.
    private func gate(_ event: StationEvent, _ deviations: inout Deviations) -> CallError? {
        guard registration != .accepted else { return nil }
        switch event {
        case .booted: return nil
        case .sessionStarted, .metered, .sessionStopped:
            deviations.insert(.callBeforeAccepted)
            // 1.6 stations try a transaction message only a few times: better kept than lost.
            if dialect.version == .v16, !isStrict { return nil }
        case .alive, .statusChanged, .authorizing, .data, .foreign: break
        case .maintenance: break
        }
        return CallError(.securityError, "the station is not accepted yet")
    }

    private func log(_ item: Inbound, _ answer: [UInt8], _ note: String?) {
        let took = center.house.clock.monotonicMilliseconds - item.startedAt
        center.log.add(
            MessageLog.Line(
                station: station, at: item.receivedAt, isInbound: true, action: item.action,
                messageID: item.id.text, request: item.message, answer: answer,
                tookMilliseconds: took, note: note))
    }
}
