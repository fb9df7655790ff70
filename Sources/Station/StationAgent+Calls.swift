import Charging
import Crypto
import JSON
import OCPP
import Service

extension StationAgent {
    /// What became of one of our calls.
    enum CallOutcome: Hashable, Sendable {
        case answered(StationReply)
        /// The operator answered with an error.
        case refused(CallError)
        /// No answer, or no link. Says nothing about whether the call arrived.
        case silent
        /// The version cannot say it.
        case unsayable
        /// Too many calls wait already: it was not sent, and the link is there.
        case crowded
    }

    /// Sends one call and waits for its answer; one at a time is under way. OCPP-J 1.6 §4.1.1.
    func call(
        _ event: StationEvent, _ priority: CallQueue<Int>.Priority = .ordinary
    ) async -> CallOutcome {
        guard link != nil else { return .silent }
        let dialect = configuration.dialect
        let request: CallRequest
        do throws(DialectError) {
            request = try dialect.request(for: event)
        } catch {
            log.error("event cannot be told", ["error": String(describing: error)])
            return .unsayable
        }
        let tag = nextTag
        nextTag += 1
        let call = CallQueue<Int>.Call(
            tag: tag, id: MessageID(UUID4.make()), request: request, priority: priority,
            answerMilliseconds: configuration.answerMilliseconds)
        let outcome = await withCheckedContinuation { continuation in
            waiting[tag] = continuation
            perform(queue.handle(.enqueue(call), at: clock.monotonicMilliseconds))
        }
        switch outcome {
        case .answered(let payload):
            do throws(CallError) {
                return .answered(try dialect.reply(in: payload.span.bytes, to: event).value)
            } catch {
                log.warning(
                    "answer not read",
                    ["action": request.action, "error": error.description])
                return .refused(error)
            }
        case .refused(let error):
            log.warning(
                "call refused",
                [
                    "action": request.action, "code": error.code.spelled(in: dialect.version),
                    "description": error.description,
                ])
            return .refused(error)
        case .queueFull:
            log.warning("call not sent, too many wait", ["action": request.action])
            return .crowded
        case .timedOut, .expired, .linkLost, .cancelled, .replaced:
            log.debug("call not answered", ["action": request.action])
            return .silent
        }
    }

    func perform(_ effects: [CallQueue<Int>.Effect]) {
        for effect in effects {
            switch effect {
            case .send(let call):
                log.debug("call sent", ["action": call.request.action])
                outbox?.yield(Frame.call(call.id, call.request))
            case .settled(let call, let outcome):
                waiting.removeValue(forKey: call.tag)?.resume(returning: outcome)
            case .stray(let id): log.debug("answer to no call", ["id": id.text])
            }
        }
    }

    /// A token shown at the board; nil where one reader serves all connectors.
    package func present(token: String, at connector: ConnectorNumber?) async {
        _ = await present(token: token, at: connector, waitsMilliseconds: 0)
    }

    /// The same, and what came of it so far.
    package func present(
        token: String, at number: ConnectorNumber?, waitsMilliseconds: Int64
    ) async -> TokenOutcome {
        guard let connector = await place(of: token, at: number) else {
            return .waiting(number ?? 0)
        }
        await bindReservation(of: token, to: connector)
        return await connector.show(token, waitsMilliseconds: waitsMilliseconds)
    }

    private func place(
        of token: String, at number: ConnectorNumber?
    ) async -> ConnectorController? {
        if let number { return controller(number) }
        var views: [(ConnectorController, ConnectorView)] = []
        for connector in connectors { views.append((connector, await connector.view())) }
        let same = views.first { $0.1.charge?.token.lowercased() == token.lowercased() }
        let kept = views.first {
            $0.1.charge == nil && $0.1.reservation?.admits(token: token, group: nil) == true
        }
        let plugged = views.first {
            $0.1.charge == nil && $0.1.status.status == .preparing
        }
        let free = views.first {
            $0.1.charge == nil && $0.1.reservation == nil && $0.1.status.status != .faulted
        }
        return (same ?? kept ?? plugged ?? free ?? views.first)?.0
    }
}
