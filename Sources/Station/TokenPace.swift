import Charging
import HAL
import Service

/// How fast the tokens of one reader are taken: three at once, then one a second. A pure value.
///
/// A person shows a card and looks what it does. What is faster is a device that tries, and each of its
/// tokens would be a question to the operator.
package struct TokenPace: Sendable {
    private static let burst: Int64 = 3
    private static let everyMilliseconds: Int64 = 1_000

    /// When all three may come at once again.
    private var restedAt = Int64.min / 2

    package init() {}

    /// False for a token that comes too early. Times are monotonic.
    package mutating func admits(at now: Int64) -> Bool {
        let next = max(restedAt, now) + Self.everyMilliseconds
        guard next - now <= Self.burst * Self.everyMilliseconds else { return false }
        restedAt = next
        return true
    }
}

extension StationAgent {
    /// Questions about tokens of one connector under way: one that starts, one that may be of the group
    /// of a charge that runs.
    static let mostQuestions = 2
    /// Between two signs that a token was turned away.
    private static let turnedAwayMilliseconds: Int64 = 1_000

    /// Presents what a reader reads until it ends; nil where one reader serves all connectors.
    package func present(tokensOf tokens: AsyncStream<String>, at number: ConnectorNumber?) async {
        var pace = TokenPace()
        var toldAt = Int64.min / 2
        for await token in tokens {
            let now = clock.monotonicMilliseconds
            if pace.admits(at: now) {
                await present(token: token, at: number)
            } else if now - toldAt >= Self.turnedAwayMilliseconds {
                toldAt = now
                await (number.flatMap { controller($0) } ?? connectors.first)?.turnAway()
            }
        }
    }

    /// Asks about a token of a connector. Where too many questions are open nobody is asked; what the board
    /// knows by itself is no question.
    func ask(about token: String, of connector: ConnectorController) async {
        let (number, known) = (connector.number, await known(token: token))
        if let info = answeredHere(known) {
            return await connector.take(.authorization(token: token, info))
        }
        guard questions[number, default: 0] < Self.mostQuestions else {
            log.notice("token not asked about, too many wait", ["connector": number])
            return await connector.take(
                .authorization(token: token, AuthorizationInfo(.invalid)))
        }
        questions[number, default: 0] += 1
        let info = await askOperator(about: token, known)
        questions[number, default: 0] -= 1
        await connector.take(.authorization(token: token, info))
    }
}

extension ConnectorController {
    /// A token that came faster than people show them: nobody hears of it.
    func turnAway() {
        devices.indicator?.show(.refused)
        log.notice("token turned away, they come too fast", ["connector": number])
    }
}
