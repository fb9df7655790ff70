import CPO
import Charging
import Service

/// A station that holds what it is told, and answers as it is scripted.
final class HoldingStation: StationLinks {
    struct Held: Hashable, Sendable {
        var connector: ConnectorNumber
        var profile: ChargingProfile
    }

    private struct State {
        var held: [Held] = []
        var asked: [StationCommand] = []
        var answer: Result<CommandAnswer, StationLinkError> = .success(.status("Accepted"))
        var clearAnswer: String?
    }

    private let state = Lock(State())

    var held: [Held] { state.withLock { $0.held } }
    var asked: [StationCommand] { state.withLock { $0.asked } }

    func answer(_ answer: Result<CommandAnswer, StationLinkError>) {
        state.withLock { $0.answer = answer }
    }

    /// What it says to every clear, and does nothing; nil: it clears.
    func answerClears(_ word: String?) { state.withLock { $0.clearAnswer = word } }

    /// As if others had told it.
    func hold(_ profile: ChargingProfile, connector: ConnectorNumber) {
        state.withLock { $0.held.append(Held(connector: connector, profile: profile)) }
    }

    /// A boot that keeps nothing.
    func forget() { state.withLock { $0.held = [] } }

    func send(
        _ command: StationCommand, to station: String, deadlineSeconds: Int
    ) async throws(StationLinkError) -> CommandAnswer {
        let answer = state.withLock { state in
            state.asked.append(command)
            return state.answer
        }
        guard try answer.get() == .status("Accepted") else { return try answer.get() }
        return state.withLock { state in
            switch command {
            case .setProfile(let connector, let profile):
                state.held.removeAll { $0.profile.id == profile.id }
                state.held.append(Held(connector: connector, profile: profile))
            case .clearProfiles(let filter):
                if let word = state.clearAnswer { return .status(word) }
                let before = state.held.count
                state.held.removeAll {
                    one in
                    filter.id.map { $0 == one.profile.id }
                        ?? ((filter.connector ?? one.connector) == one.connector
                            && (filter.purpose ?? one.profile.purpose) == one.profile.purpose)
                }
                return .status(before == state.held.count ? "Unknown" : "Accepted")
            default: break
            }
            return .status("Accepted")
        }
    }

    /// The limit a connector's TxDefaultProfile says, in amperes.
    func limit(_ connector: ConnectorNumber) -> Int64? {
        held.filter { $0.connector == connector && $0.profile.purpose == .transactionDefault }
            .max { $0.profile.stackLevel < $1.profile.stackLevel }
            .flatMap { $0.profile.schedule.periods.first?.tenths }.map { $0 / 10 }
    }
}
