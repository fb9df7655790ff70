import Charging
import OCPP
import Service

extension StationAgent {
    private var smartCharging: SmartCharging? { configuration.smartCharging }

    func start(
        _ token: String, on number: ConnectorNumber?, _ profile: ChargingProfile
    ) async -> CommandAnswer {
        guard let smartCharging else { return .status("Rejected") }
        let answer = Lock(CommandAnswer.status("Rejected"))
        let why = await smartCharging.expect(profile, token: token, connector: number) {
            chosen in
            let started = await self.start(token, on: number, asking: chosen)
            answer.withLock { $0 = started }
            return started == .status("Accepted")
        }
        if let why { log.notice("start's profile refused", ["reason": why]) }
        return answer.withLock { $0 }
    }

    func setProfile(_ number: ConnectorNumber, _ profile: ChargingProfile) async -> CommandAnswer {
        guard let smartCharging else { return .status("NotSupported") }
        if let why = await smartCharging.install(profile, connector: number) {
            log.notice(
                "profile refused", ["connector": number, "profile": profile.id, "reason": why])
            return .status("Rejected")
        }
        log.notice("profile installed", ["connector": number, "profile": profile.id])
        return .status("Accepted")
    }

    func clearProfiles(_ filter: ProfileFilter) async -> CommandAnswer {
        let isCleared = await smartCharging?.clear(filter) ?? false
        return .status(isCleared ? "Accepted" : "Unknown")
    }

    func composite(
        _ number: ConnectorNumber, _ seconds: Int, _ unit: ChargingSchedule.Unit?
    ) async -> CommandAnswer {
        .composite(await smartCharging?.composite(number, seconds: seconds, unit: unit))
    }
}
