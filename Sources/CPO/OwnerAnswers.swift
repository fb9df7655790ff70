import Charging
import Service

/// Answers of tokens' owners, kept for the start that follows the card: bounded in number and time.
///
/// Silence is never kept: the next card asks again.
final class OwnerAnswers: Sendable {
    /// Beyond this the older half goes.
    static let mostAnswers = 10_000
    /// Long enough to plug in after the card, OCPP 1.6 ConnectionTimeOut.
    static let allowedMilliseconds: Int64 = 300_000
    /// Shorter: the driver may have topped up meanwhile.
    static let refusedMilliseconds: Int64 = 30_000

    private struct Kept {
        var answer: OwnerAnswer
        var until: Int64
        var number: Int
    }

    private struct State {
        /// By uid in lower case, so that a token's change finds its own.
        var answers: [String: [OwnerQuestion: Kept]] = [:]
        /// In the order they came; an entry whose number is not its question's any more is stale.
        var order: [(question: OwnerQuestion, number: Int)] = []
        var next = 0
        /// Questions on their way, but for those whose token changed meanwhile.
        var asking: [Int: OwnerQuestion] = [:]

        mutating func forget(_ question: OwnerQuestion) {
            answers[question.uid]?[question] = nil
            if answers[question.uid]?.isEmpty ?? false { answers[question.uid] = nil }
        }
    }

    private let state = Lock(State())

    func find(_ question: OwnerQuestion, at now: Int64) -> OwnerAnswer? {
        let question = question.folded
        return state.withLock { state in
            guard let kept = state.answers[question.uid]?[question] else { return nil }
            if now < kept.until { return kept.answer }
            state.forget(question)
            return nil
        }
    }

    /// - Returns: the question's number, for `answered`.
    func asking(_ question: OwnerQuestion) -> Int {
        state.withLock { state in
            state.next += 1
            state.asking[state.next] = question.folded
            return state.next
        }
    }

    /// - Returns: false where the token changed while its owner was asked.
    func answered(_ number: Int) -> Bool {
        state.withLock { $0.asking.removeValue(forKey: number) } != nil
    }

    func keep(_ answer: OwnerAnswer, of question: OwnerQuestion, at now: Int64) {
        let lasts: Int64
        switch answer {
        case .silent: return
        case .allowed: lasts = Self.allowedMilliseconds
        case .refused, .unknown: lasts = Self.refusedMilliseconds
        }
        let question = question.folded
        state.withLock { state in
            state.next += 1
            state.answers[question.uid, default: [:]][question] = Kept(
                answer: answer, until: now + lasts, number: state.next)
            state.order.append((question, state.next))
            guard state.order.count > Self.mostAnswers else { return }
            // Half at once: taking one off the front would move all the others each time.
            for old in state.order.prefix(Self.mostAnswers / 2)
            where state.answers[old.question.uid]?[old.question]?.number == old.number {
                state.forget(old.question)
            }
            state.order.removeFirst(Self.mostAnswers / 2)
        }
    }

    /// The owner told of its token by another way: what it answered before counts no more, unless
    /// that was this very token or a newer one.
    func tokenChanged(_ token: Token) {
        let uid = token.uid.lowercased()
        state.withLock { state in
            for (number, question) in state.asking
            where question.uid == uid && (question.party == nil || question.party == token.party) {
                state.asking[number] = nil
            }
            for (question, kept) in state.answers[uid] ?? [:]
            where question.party == nil || question.party == token.party {
                if case .allowed(let told?, _, _) = kept.answer,
                    told.lastUpdated >= token.lastUpdated
                {
                    continue
                }
                state.forget(question)
            }
        }
    }

    /// A charge began by its owner's word, and that was good for one.
    func used(_ token: Token) {
        let uid = token.uid.lowercased()
        state.withLock { state in
            for question in (state.answers[uid] ?? [:]).keys
            where question.party == nil || question.party == token.party {
                state.forget(question)
            }
        }
    }

    var count: Int { state.withLock { $0.answers.values.reduce(0) { $0 + $1.count } } }
}

extension OwnerQuestion {
    /// The same for a tag in whatever case.
    fileprivate var folded: OwnerQuestion {
        var question = self
        question.uid = uid.lowercased()
        return question
    }
}
