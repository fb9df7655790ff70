import Charging
import Service

extension ConnectorController {
    /// The gate is logged at most so often; what it said in between is in the black box.
    private static let verdictMilliseconds: Int64 = 1_000

    /// Logs what forbids energy whenever that is something else than before, all of it at once.
    func logVerdict(at now: Instant) {
        guard now.since(loggedVerdictAt) >= Self.verdictMilliseconds else { return }
        let question: ConnectorMachine.Question = machine.isContactorClosed ? .stay : .close
        let hindrances = machine.mayEnergise(question, at: now).hindrances
        let topics = hindrances.map(\.topic)
        guard topics != loggedVerdict else { return }
        loggedVerdict = topics
        loggedVerdictAt = now.milliseconds
        log.info(
            "gate",
            [
                "connector": number, "allows": hindrances.isEmpty,
                "hindrances": hindrances.isEmpty
                    ? nil : hindrances.map(\.description).joined(separator: "; "),
            ])
    }
}
