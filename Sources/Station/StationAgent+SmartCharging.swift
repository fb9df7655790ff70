import Charging
import OCPP
import Service

extension StationAgent {
    func start(
        _ token: String, on number: ConnectorNumber?, _ profile: ChargingProfile
    ) async -> CommandAnswer { .status("Rejected") }

    func setProfile(_ number: ConnectorNumber, _ profile: ChargingProfile) async -> CommandAnswer {
        .status("NotSupported")
    }

    func clearProfiles(_ filter: ProfileFilter) async -> CommandAnswer { .status("Unknown") }

    func composite(
        _ number: ConnectorNumber, _ seconds: Int, _ unit: ChargingSchedule.Unit?
    ) async -> CommandAnswer { .composite(nil) }
}
