import Charging

// Members whose turn it is, or not yet, and what keeps them waiting.

extension CampaignMachine {
    /// Why each member that waits does so; who is to be sent the image with the next look waits for
    /// nothing and is left out.
    package func waits(_ sights: [String: Sight], at now: Timestamp) -> [String: Wait] {
        guard !state.isOver else { return [:] }
        let wave = wave
        var waits: [String: Wait] = [:]
        for member in members where member.state == .waiting {
            guard let sight = sights[member.station] else { continue }
            waits[member.station] =
                member.wave != wave
                ? .earlierWave : state == .paused ? .paused : wait(member, sight, now)
        }
        return waits
    }

    /// The first wave that is not done yet.
    var wave: Int? {
        members.lazy.filter({ !$0.state.isSettled }).map(\.wave).min()
    }

    /// What speaks against sending it the image now.
    func wait(_ member: Member, _ sight: Sight, _ now: Timestamp) -> Wait? {
        if sight.isUnderWayElsewhere { return .otherCampaign }
        if let retryAt = member.retryAt, retryAt > now { return .retry }
        if !sight.isOnline { return .away }
        return sight.isCharging ? .charging : nil
    }

    /// Goes on without stations that were away or never free for too long. They have not failed; but
    /// where no station of their wave took the image it is unproven, and a person looks first.
    mutating func giveUp(_ sights: [String: Sight], _ now: Timestamp) -> [Effect] {
        var effects: [Effect] = []
        var waves: Set<Int> = []
        for index in members.indices where members[index].state == .waiting {
            let member = members[index]
            guard let since = member.waitSince, let sight = sights[member.station],
                let wait = wait(member, sight, now),
                now.seconds(since: since) >= Int64(plan.waitHours) * 3600
            else { continue }
            let why = wait == .away ? "it was away" : "it was never free"
            effects += move(
                index, to: .cancelled, note: "left out: \(why) for \(plan.waitHours) hours", now)
            waves.insert(member.wave)
        }
        let isUnproven = waves.contains { wave in
            members.contains { $0.wave > wave }
                && members.allSatisfy { $0.wave != wave || $0.state.isSettled && $0.state != .done }
        }
        if isUnproven { effects += become(.paused, "no station of a wave took the image") }
        return effects
    }
}
