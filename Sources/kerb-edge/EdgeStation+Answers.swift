import Charging
import HAL
import JSON
import LinuxHAL
import Service
import Station

// The lines of the local socket and their answers, each one line of JSON.
extension EdgeStation {
    private static let questions =
        "status, settings, log, blackbox, token UID [CONNECTOR], limit AMPERES|off [SECONDS], "
        + "clear CONNECTOR|journal|security-log"

    /// Below the patience of who asks.
    private static let tokenWaits: Int64 = 3_000

    /// Tokens that wait for the operator's word at once; more are told to come again.
    private static let mostWaitingTokens = 8

    /// One after the other, but for tokens: who waits for the operator holds up nobody else.
    func answerAll(_ socket: StatusSocket) async {
        let waiting = Lock(0)
        await withDiscardingTaskGroup { tokens in
            for await question in socket.questions {
                guard question.line.hasPrefix("token ") else {
                    await answer(question)
                    continue
                }
                let isFree = waiting.withLock { waiting in
                    if waiting < Self.mostWaitingTokens { waiting += 1 } else { return false }
                    return true
                }
                guard isFree else {
                    question.answer(error: "token: too many wait already; try again")
                    continue
                }
                tokens.addTask {
                    await answer(question)
                    waiting.withLock { $0 -= 1 }
                }
            }
        }
    }

    func answer(_ question: StatusSocket.Question) async {
        let words = question.line.split(separator: " ").map(String.init)
        let rest = Array(words.dropFirst())
        do {
            switch words.first {
            case "status" where rest.isEmpty: question.answer(await agent.view().json.text)
            case "settings" where rest.isEmpty: question.answer(keysInForce.text)
            case "log" where rest.isEmpty:
                let lines = recentLog().map(JSONValue.string)
                question.answer(JSONValue.members(["lines": .array(lines)]).text)
            case "blackbox" where rest.isEmpty:
                let entries = blackBox.recorder.entries.suffix(4000)
                question.answer(JSONValue.array(entries.map(\.json)).text)
            case "token": question.answer(done: try await show(TokenOrder(rest)))
            case "limit": question.answer(done: try await limit(LimitOrder(rest)))
            case "clear" where rest == ["security-log"]:
                question.answer(await agent.clearSecurityLog())
            case "clear": question.answer(done: try await clear(rest))
            default: throw Mistake("line", "is no question", mend: "ask \(Self.questions)")
            }
        } catch let mistake as Mistake {
            question.answer(error: mistake.description)
        } catch {
            log.error("journal not written", ["error": String(describing: error)])
            question.answer(error: "the journal cannot be written; look at the disk")
        }
    }

    private func show(_ order: TokenOrder) async throws -> String {
        if let connector = order.connector {
            _ = try controller(String(connector), field: "CONNECTOR")
        }
        switch await agent.present(
            token: order.token, at: order.connector, waitsMilliseconds: Self.tokenWaits)
        {
        case .taken(let connector): return "token taken at connector \(connector)"
        case .waiting(let connector):
            return
                "token shown at connector \(connector); the operator has not answered yet, see "
                + "`kerb-edge status`"
        case .refused(let connector, let why):
            throw Mistake(
                "token", "refused at connector \(connector): \(why.reason)", mend: why.mend)
        }
    }

    private func limit(_ order: LimitOrder) async throws -> String {
        do {
            try await smartCharging.limitSite(order.limit)
        } catch {
            log.error("local limit not kept", ["error": String(describing: error)])
            throw Mistake(
                "journal",
                "cannot be written: "
                    + (order.limit == nil
                        ? "the limit stays"
                        : "the limit holds, and is forgotten at the next start"),
                mend: "look at the disk and say it again")
        }
        log.notice(
            "local limit",
            [
                "milliamperes": order.limit?.currents.all.min(),
                "seconds": order.limit?.seconds,
            ])
        guard let limit = order.limit else { return "the local limit is lifted" }
        return limit.text(at: clock.now)
    }

    private func clear(_ words: [String]) async throws -> String {
        guard words.count == 1 else {
            throw Mistake("CONNECTOR", "is missing", mend: "say which, such as `clear 1`")
        }
        if words == ["journal"] {
            try await agent.clearJournalNotices()
            return "cleared"
        }
        let controller = try controller(words[0], field: "CONNECTOR")
        await controller.take(.latchedFaultsCleared)
        log.notice("latched faults cleared", ["connector": controller.number])
        return "cleared"
    }

    private func controller(
        _ word: String, field: String
    ) throws(Mistake) -> ConnectorController {
        if let found = controllers.first(where: { String($0.number) == word }) { return found }
        let known = controllers.map { String($0.number) }.joined(separator: ", ")
        throw Mistake(
            field, "`\(word.prefix(32))` is no such connector", mend: "give one of \(known)")
    }
}

extension LocalLimit {
    /// `16 A on each phase for all outlets together until 2026-01-01T12:00:00Z`
    fileprivate func text(at now: Timestamp) -> String {
        let most = Amperes(milliamperes: currents.all.min() ?? 0)
        let end =
            seconds.map { "until \(now.advanced(bySeconds: $0))" }
            ?? "until `kerb-edge limit off`, over restarts too"
        let text = "\(most.decimal.reduced) A on each phase for all outlets together, \(end)"
        guard most.milliamperes > 0, most < Amperes(6) else { return text }
        return text
            + "\nwarning: no car can be offered less than 6 A (IEC 61851-1), so charging pauses"
    }
}

extension StatusSocket.Question {
    fileprivate func answer(done text: String) {
        answer(JSONValue.members(["done": .string(text)]).text)
    }

    fileprivate func answer(error text: String) {
        answer(JSONValue.members(["error": .string(text)]).text)
    }
}
