import Charging
import Testing

@testable import CPO

@Suite struct `Commands of smart charging` {
    private static let profile = ChargingProfile(
        id: 7, stackLevel: 2, purpose: .transaction, kind: .recurring(.weekly),
        validFrom: Timestamp(seconds: 1_790_000_000), validTo: Timestamp(seconds: 1_800_000_000),
        schedule: ChargingSchedule(
            unit: .watts,
            periods: [.init(start: 0, tenths: 110_405), .init(start: 60, tenths: 0, phases: 1)],
            durationSeconds: 3_600, start: Timestamp(seconds: 1_790_000_000),
            minimumRateTenths: 61))

    @Test(arguments: [
        StationCommand.setProfile(connector: 1, profile),
        .startLimited(connector: nil, token: "T", profile),
        .startLimited(connector: 2, token: "T", profile), .clearProfiles(ProfileFilter()),
        .clearProfiles(
            ProfileFilter(id: 1, connector: 0, purpose: .stationMaximum, stackLevel: 3)),
        .getComposite(connector: 0, seconds: 60, unit: nil),
        .getComposite(connector: 1, seconds: 60, unit: .watts),
    ])
    func `come back from their row as they were`(_ command: StationCommand) throws {
        #expect(try StationCommand(storedText: command.storedText) == command)
    }

    @Test func `tell a schedule as their answer, and a refusal where there is none`() {
        let composite = CompositeSchedule(
            connector: 1, start: Timestamp(seconds: 1_790_000_000), schedule: Self.profile.schedule)
        let (state, answer) = Commands.read(.composite(composite))
        #expect(state == .accepted)
        #expect(answer.contains("11040.5"))
        #expect(Commands.read(.composite(nil)).0 == .rejected)
    }
}
