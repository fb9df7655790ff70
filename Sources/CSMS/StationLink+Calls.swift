import CPO
import Charging
import Crypto
import OCPP
import Service
import Web

/// A link's calls to its station, and who waits for their answers.
struct OutboundCalls {
    struct Waiting {
        var command: StationCommand
        /// The command's row; nil for what has none.
        var id: String?
        /// Taken back by who asked, not by the line.
        var isCancelled = false
        var sentAt: Timestamp?
        var sentMilliseconds: Int64 = 0
        /// nil where nobody waits: a follow-up of our own.
        var answer: CheckedContinuation<Result<CommandAnswer, StationLinkError>, Never>?
    }

    var queue = CallQueue<Int>()
    var nextTag = 0
    var waiting: [Int: Waiting] = [:]
    /// When the running timer fires; nil when there is none.
    var timer: Int64?
    /// Rows that came here, oldest first, and rows that were taken back on their way here.
    private var seen: [String] = []
    private var takenBack: Set<String> = []

    private static let mostRemembered = 128

    /// A row is here; true when it was taken back before.
    mutating func arrived(_ id: String) -> Bool {
        if seen.count >= Self.mostRemembered { seen.removeFirst() }
        seen.append(id)
        return takenBack.remove(id) != nil
    }

    /// Takes a row back that is still on its way here; false when it was here.
    mutating func takeBack(_ id: String) -> Bool {
        guard !seen.contains(id), takenBack.count < Self.mostRemembered else { return false }
        takenBack.insert(id)
        return true
    }
}

extension StationLink {
    /// Sends a command when its turn comes and waits for the station's answer.
    func send(
        _ command: StationCommand, id: String? = nil, deadlineSeconds: Int,
        on shard: isolated Shard
    ) async throws(StationLinkError) -> CommandAnswer {
        let request: CallRequest
        do throws(DialectError) {
            request = try dialect.request(for: command)
        } catch {
            throw .notSupported
        }
        let result = await withCheckedContinuation { continuation in
            enqueue(command, id, request, deadlineSeconds, continuation, on: shard)
        }
        return try result.get()
    }

    /// Sends a command whose answer nobody waits for, once what was asked before is answered.
    func tell(_ command: StationCommand, on shard: isolated Shard) {
        // A version that cannot say it needs no follow-up.
        guard let request = try? dialect.request(for: command) else { return }
        enqueue(command, nil, request, Self.followUpSeconds, nil, on: shard)
    }

    private static let followUpSeconds = 30

    private func enqueue(
        _ command: StationCommand, _ id: String?, _ request: CallRequest, _ deadlineSeconds: Int,
        _ answer: CheckedContinuation<Result<CommandAnswer, StationLinkError>, Never>?,
        on shard: isolated Shard
    ) {
        if let id, outbound.arrived(id) {
            answer?.resume(returning: .failure(.cancelled))
            return
        }
        let now = center.house.clock.monotonicMilliseconds
        let milliseconds = Int64(max(1, deadlineSeconds)) * 1000
        outbound.nextTag += 1
        let call = CallQueue<Int>.Call(
            tag: outbound.nextTag, id: MessageID(UUID4.make()), request: request,
            priority: Self.priority(of: command), answerMilliseconds: milliseconds,
            deadline: now + milliseconds, sameAs: Self.purpose(of: command))
        outbound.waiting[call.tag] = OutboundCalls.Waiting(
            command: command, id: id, answer: answer)
        perform(outbound.queue.handle(.enqueue(call), at: now), on: shard)
    }

    /// Takes a call back that waits for its turn; false when it is with the station, or not here.
    func cancel(_ id: String, on shard: isolated Shard) -> Bool {
        guard let tag = outbound.waiting.first(where: { $0.value.id == id })?.key else {
            return outbound.takeBack(id)
        }
        outbound.waiting[tag]?.isCancelled = true
        handle(.cancel(tag), on: shard)
        guard outbound.waiting[tag] != nil else { return true }
        outbound.waiting[tag]?.isCancelled = false
        return false
    }

    /// What a newer call may replace while it waits: a limit in the same place. A setting is not:
    /// two in a row may be meant to restart something in between.
    private static func purpose(of command: StationCommand) -> String? {
        guard case .setProfile(let connector, let profile) = command else { return nil }
        let transaction = profile.transaction?.storedText ?? "-"
        return "profile \(connector) \(profile.purpose) \(profile.stackLevel) \(transaction)"
    }

    /// A person waits for a start, a stop or a plug; nobody for the rest.
    private static func priority(of command: StationCommand) -> CallQueue<Int>.Priority {
        switch command {
        case .start, .startLimited, .stop, .unlock: .urgent
        case .reserve, .cancelReservation: .urgent
        case .setProfile, .clearProfiles, .getComposite: .ordinary
        case .sendLocalList, .getLocalListVersion: .ordinary
        case .reset, .setAvailability, .changeSetting, .getSettings, .clearCache, .trigger, .data,
            .foreign:
            .ordinary
        case .maintenance: .ordinary
        }
    }

    func linkIsUp(on shard: isolated Shard) { handle(.linkIsUp, on: shard) }

    func linkLost(on shard: isolated Shard) { handle(.linkIsDown, on: shard) }

    /// An answer came: matched by its id alone, a late one is counted and dropped.
    func answered(
        _ input: CallQueue<Int>.Input, _ id: MessageID, _ message: RawSpan,
        on shard: isolated Shard
    ) {
        if let call = outbound.queue.current, call.id.text == id.text {
            log(call, message.withUnsafeBytes { Array($0) }, nil)
        }
        handle(input, on: shard)
    }

    private func handle(_ input: CallQueue<Int>.Input, on shard: isolated Shard) {
        let now = center.house.clock.monotonicMilliseconds
        perform(outbound.queue.handle(input, at: now), on: shard)
    }

    private func perform(_ effects: [CallQueue<Int>.Effect], on shard: isolated Shard) {
        for effect in effects {
            switch effect {
            case .send(let call):
                outbound.waiting[call.tag]?.sentAt = center.house.clock.now
                outbound.waiting[call.tag]?.sentMilliseconds =
                    center.house.clock.monotonicMilliseconds
                connection.send(Frame.call(call.id, call.request), on: shard)
            case .settled(let call, let outcome):
                if outcome == .timedOut { log(call, nil, "no answer in time") }
                if outcome == .linkLost { log(call, nil, "connection lost") }
                guard let waiting = outbound.waiting.removeValue(forKey: call.tag) else { continue }
                waiting.answer?.resume(returning: result(outcome, waiting))
            case .stray:
                center.log.count(
                    Deviations(.answerNobodyWaitsFor), of: station, at: center.house.clock.now)
            }
        }
        startTimer(on: shard)
    }

    private func result(
        _ outcome: CallQueue<Int>.Outcome, _ waiting: OutboundCalls.Waiting
    ) -> Result<CommandAnswer, StationLinkError> {
        switch outcome {
        case .answered(let payload): return understood(payload, waiting.command)
        case .refused(let error):
            let code = error.foreignCode ?? error.code.spelled(in: dialect.version)
            return .failure(.refused(code: code, description: error.description))
        case .timedOut: return .failure(.timedOut)
        case .expired: return .failure(.busy)
        case .linkLost: return .failure(.lost)
        case .cancelled: return .failure(waiting.isCancelled ? .cancelled : .offline)
        case .replaced: return .failure(.replaced)
        case .queueFull: return .failure(.busy)
        }
    }

    private func understood(
        _ payload: [UInt8], _ command: StationCommand
    ) -> Result<CommandAnswer, StationLinkError> {
        do throws(CallError) {
            let answer = try dialect.answer(in: payload.span.bytes, to: command)
            center.log.count(answer.deviations, of: station, at: center.house.clock.now)
            if case .status(let word) = answer.value,
                answer.deviations.contains(.unknownEnumValue)
            {
                return .failure(.notUnderstood(word))
            }
            return .success(answer.value)
        } catch {
            return .failure(.notUnderstood(error.description))
        }
    }

    /// One sleeping task per link at most; it asks the queue again when it wakes.
    private func startTimer(on shard: isolated Shard) {
        guard let due = outbound.queue.nextDeadline else { return }
        if let timer = outbound.timer, timer <= due { return }
        outbound.timer = due
        let clock = center.house.clock
        Task {
            // Nothing cancels it; a clock that stops ends with the program.
            try? await clock.sleep(milliseconds: max(1, due - clock.monotonicMilliseconds))
            _ = shard
            if outbound.timer == due { outbound.timer = nil }
            handle(.tick, on: shard)
        }
    }

    private func log(_ call: CallQueue<Int>.Call, _ answer: [UInt8]?, _ note: String?) {
        let clock = center.house.clock
        let waiting = outbound.waiting[call.tag]
        let took = waiting.map { clock.monotonicMilliseconds - $0.sentMilliseconds }
        center.log.add(
            MessageLog.Line(
                station: station, at: waiting?.sentAt ?? clock.now, isInbound: false,
                action: call.request.action, messageID: call.id.text,
                request: Frame.call(call.id, call.request), answer: answer,
                tookMilliseconds: answer == nil ? nil : took, note: note))
    }
}
