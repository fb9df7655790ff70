import Charging

@testable import OCPP16

extension Samples {
    static var profiles: [ChargingProfile] {
        var profiles: [ChargingProfile] = []
        let kinds: [ChargingProfile.Kind] = [
            .absolute, .relative, .recurring(.daily), .recurring(.weekly),
        ]
        for (purpose, kind) in all(ChargingProfile.Purpose.allCases, kinds) {
            for (unit, isFull) in all(ChargingSchedule.Unit.allCases, [false, true]) {
                var profile = ChargingProfile(
                    id: 7, stackLevel: isFull ? 3 : 0, purpose: purpose, kind: kind,
                    schedule: ChargingSchedule(
                        unit: unit, periods: [.init(start: 0, tenths: 165)],
                        start: kind == .relative ? nil : noon))
                if isFull {
                    if purpose == .transaction { profile.transaction = .number(4711) }
                    profile.validFrom = noon
                    profile.validTo = later
                    profile.schedule.durationSeconds = 86_400
                    profile.schedule.minimumRateTenths = 61
                    profile.schedule.periods += [
                        .init(start: 60, tenths: 0, phases: 1),
                        .init(start: 61, tenths: 110_400, phases: 3),
                    ]
                }
                if profile.flaw == nil { profiles.append(profile) }
            }
        }
        return profiles
    }

    static var profileCommands: [StationCommand] {
        let own = profiles.filter { $0.purpose == .transaction && $0.transaction == nil }
        return profiles.map { .setProfile(connector: 1, $0) }
            + own.map { .startLimited(connector: nil, token: "T", $0) }
            + [.startLimited(connector: 2, token: "T", own[0])]
            + all([nil, 7], all([nil, 0, 1], all([nil, .transaction], [nil, 3]))).map {
                .clearProfiles(
                    ProfileFilter(
                        id: $0.0, connector: $0.1.0, purpose: $0.1.1.0, stackLevel: $0.1.1.1))
            }
            + [nil, .amperes, .watts].map {
                .getComposite(connector: 0, seconds: 86_400, unit: $0)
            }
    }

    static var profileAnswers: [(StationCommand, CommandAnswer)] {
        var pairs: [(StationCommand, CommandAnswer)] = []
        for word in SetChargingProfile.answer.words {
            pairs.append((.setProfile(connector: 1, profiles[0]), .status(word)))
        }
        for word in ClearChargingProfile.answer.words {
            pairs.append((.clearProfiles(ProfileFilter()), .status(word)))
        }
        for word in RemoteStartTransaction.answer.words {
            let own = profiles.first { $0.purpose == .transaction && $0.transaction == nil }
            guard let own else { continue }
            pairs.append((.startLimited(connector: 1, token: "T", own), .status(word)))
        }
        let question = StationCommand.getComposite(connector: 1, seconds: 600, unit: nil)
        pairs.append((question, .composite(nil)))
        for profile in profiles {
            pairs.append(
                (
                    question,
                    .composite(
                        CompositeSchedule(
                            connector: 1, start: noon, schedule: profile.schedule))
                ))
        }
        return pairs
    }
}
