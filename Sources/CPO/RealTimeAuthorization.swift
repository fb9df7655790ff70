import Charging
import SQL
import Service

/// Asks tokens' owners whether they may charge, where their whitelist wants it. OCPI 2.2.1 §12.2.1.
///
/// The question is asked before the event's transaction: nothing waits for a partner in there.
package final class RealTimeAuthorization: Sendable {
    /// Owners of one tag that are asked; more claim a tag only by mistake.
    static let mostOwners = 4
    /// A start that is older when it arrives was decided long ago by the station itself.
    static let freshSeconds: Int64 = 300

    /// Tags nobody here knows that one station may have partners asked about at once, and after how long
    /// one more: whoever holds cards of all numbers to a reader finds none by it.
    static let unknownTagsAtOnce: Int64 = 10
    static let unknownTagMilliseconds: Int64 = 6_000
    /// Stations whose questions are counted; beyond, those whose time is over are forgotten.
    static let mostCounted = 10_000

    /// What owners said of one tag at one station.
    package struct Words: Sendable {
        /// By owner, with their way to spell the uid.
        var byOwner: [PartyID: OwnerAnswer] = [:]
        /// Of a tag that nobody here knows.
        var ofUnknown: OwnerAnswer?
        /// What the registry knew when they were asked.
        var candidates: [Token] = []
    }

    let answers = OwnerAnswers()
    private struct Way {
        /// The door holds the house, not the other way round.
        weak var owners: (any TokenOwners)?
    }

    private let way = Lock(Way())
    /// By station: from when on it may ask about as many at once again.
    private let unknownTags = Lock([String: Int64]())
    private let settings: OperatorSettings
    private let clock: any ServiceClock
    private let log: Log

    init(settings: OperatorSettings, clock: any ServiceClock, log: Log) {
        self.settings = settings
        self.clock = clock
        self.log = log
    }

    /// The way to the owners; without one every token's whitelist decides alone.
    package func connect(_ owners: any TokenOwners) { way.withLock { $0.owners = owners } }

    /// Whether anybody could be asked at all: else nothing is read before an event.
    var isNeeded: Bool { way.withLock { $0.owners }?.isAnybodyThere ?? false }

    /// Asks who has to be asked for this tag, all at once.
    ///
    /// - Parameter candidates: what the registry knows by this tag.
    func words(
        of candidates: [Token], idTag: String, station: String, location: String?, evses: [String],
        at moment: Timestamp
    ) async -> Words {
        var words = Words(candidates: candidates)
        guard let owners = way.withLock({ $0.owners }) else { return words }
        var questions: [OwnerQuestion] = []
        if candidates.isEmpty {
            guard owners.canAsk(nil) else { return words }
            let question = OwnerQuestion(
                party: nil, uid: idTag, kind: .rfid, location: location, evses: evses)
            guard isKnown(question) || mayAskOfUnknown(station) else {
                log.warning(
                    "too many unknown tags", ["station": station, "reason": "partners not asked"])
                return words
            }
            questions = [question]
        } else if !candidates.contains(where: { accepts($0, at: moment) }) {
            questions = candidates.filter { wantsWord($0, at: moment) && owners.canAsk($0.party) }
                .prefix(Self.mostOwners).map { token in
                    OwnerQuestion(
                        party: token.party, uid: token.uid, kind: token.kind, location: location,
                        evses: evses)
                }
        }
        let asked = questions
        await withTaskGroup(of: (OwnerQuestion, OwnerAnswer).self) { group in
            for question in asked {
                group.addTask { (question, await self.answer(to: question, owners)) }
            }
            for await (question, answer) in group {
                if let party = question.party {
                    words.byOwner[party] = answer
                } else {
                    words.ofUnknown = answer
                }
            }
        }
        return words
    }

    private func isKnown(_ question: OwnerQuestion) -> Bool {
        answers.find(question, at: clock.monotonicMilliseconds) != nil
    }

    private func mayAskOfUnknown(_ station: String) -> Bool {
        let now = clock.monotonicMilliseconds
        let spacing = Self.unknownTagMilliseconds
        return unknownTags.withLock { tags in
            if tags.count >= Self.mostCounted { tags = tags.filter { $0.value > now } }
            let free = max(now, tags[station] ?? now) + spacing
            guard free - now <= Self.unknownTagsAtOnce * spacing else { return false }
            tags[station] = free
            return true
        }
    }

    /// Decided here without a question, and well.
    private func accepts(_ token: Token, at moment: Timestamp) -> Bool {
        guard token.isValid, !token.isExpired(at: moment) else { return false }
        return token.party == settings.party
            ? token.whitelist != .never
            : token.whitelist == .always || token.whitelist == .allowed
    }

    /// A partner's token whose whitelist wants its owner's word; `isValid` replaces no such question.
    private func wantsWord(_ token: Token, at moment: Timestamp) -> Bool {
        token.party != settings.party && !token.isExpired(at: moment)
            && (token.whitelist == .never || token.whitelist == .allowedOffline)
    }

    private func answer(
        to question: OwnerQuestion, _ owners: any TokenOwners
    ) async -> OwnerAnswer {
        if let known = answers.find(question, at: clock.monotonicMilliseconds) { return known }
        let number = answers.asking(question)
        let milliseconds = Int64(settings.ownerDeadlineSeconds) * 1000
        let answer = await withTaskGroup(of: OwnerAnswer.self) { [clock] group in
            group.addTask { await owners.ask(question) }
            group.addTask {
                // Cancelled when the answer came first.
                try? await clock.sleep(milliseconds: milliseconds)
                return .silent(reason: "no answer in time")
            }
            let first = await group.next() ?? .silent(reason: "nobody was asked")
            group.cancelAll()
            return first
        }
        if case .silent(let reason) = answer {
            log.warning(
                "token's owner is silent",
                ["party": question.party?.description ?? "any", "reason": reason])
        }
        // Given before the token changed by another way: good for nobody else.
        if answers.answered(number) {
            answers.keep(answer, of: question, at: clock.monotonicMilliseconds)
        }
        return answer
    }
}

extension Token {
    func isExpired(at moment: Timestamp) -> Bool { expires.map { $0 <= moment } ?? false }
}
