import Charging

/// A firmware campaign's decisions: who is sent the image next, what counts as done or failed, and
/// when it pauses. It sees stations as they are and not what happened between two looks, so a restart
/// changes nothing.
package struct CampaignMachine: Hashable, Sendable {
    package enum State: String, Hashable, Sendable, CaseIterable {
        case running, paused, cancelled, done

        /// No station is sent anything any more.
        package var isOver: Bool { self == .cancelled || self == .done }
    }

    package struct Member: Hashable, Sendable {
        package enum State: String, Hashable, Sendable, CaseIterable {
            case waiting, ordered, downloading, downloaded, installing, installed
            case done, failed, cancelled

            /// Nothing more will come of it.
            package var isSettled: Bool { self == .done || self == .failed || self == .cancelled }
            package var isUnderWay: Bool { !isSettled && self != .waiting }
        }

        package var station: String
        /// From 0.
        package var wave: Int
        package var state = State.waiting
        package var tries = 0
        /// Of the last try.
        package var command: String?
        package var request: Int?
        package var orderedAt: Timestamp?
        /// Not before this; after a try that failed.
        package var retryAt: Timestamp?
        /// Since when it is its turn and the station keeps us waiting.
        package var waitSince: Timestamp?
        package var changedAt: Timestamp
        /// What it ran before.
        package var formerFirmware: String?
        /// Why it failed, or what is odd about its success.
        package var note: String?

        package init(station: String, wave: Int, changedAt: Timestamp) {
            self.station = station
            self.wave = wave
            self.changedAt = changedAt
        }
    }

    /// A station as it is now.
    package struct Sight: Hashable, Sendable {
        package enum Order: Hashable, Sendable {
            case open
            case accepted
            /// It never went out: the server ended before.
            case unsent
            /// The station said no, or nobody knows what it said.
            case refused(String)
        }

        package var isOnline = false
        /// A charge runs, or a car stands there between two.
        package var isCharging = false
        package var firmware: String?
        package var bootedAt: Timestamp?
        /// What became of the last order.
        package var order: Order?
        package var status: FirmwareStatus?
        package var statusRequest: Int?
        package var statusAt: Timestamp?
        /// A former campaign has not settled what it sent this station: what it runs now may change.
        package var isUnderWayElsewhere = false

        package init() {}
    }

    /// Why a member that waits is not sent the image now.
    package enum Wait: String, Hashable, Sendable, CaseIterable {
        /// An earlier wave is not done.
        case earlierWave
        case paused
        /// The station is not connected.
        case away
        /// A charge runs, or a car stands there.
        case charging
        /// Its last try failed a moment ago.
        case retry
        /// A former campaign has not settled what it sent this station.
        case otherCampaign
    }

    package enum Input: Hashable, Sendable {
        /// A station that is missing is registered no more.
        case look([String: Sight])
        case pause
        case resume
        case cancel
        /// Goes on without this station, which waits.
        case skip(String)
    }

    package enum Effect: Hashable, Sendable {
        /// Send the image to this station now.
        case order(String)
        /// A member changed in a way that people want to hear of.
        case changed(String)
        case became(State, reason: String?)
    }

    /// Why it stands, where a person said so.
    package static let byHand = "by hand"

    /// Between Installed and a boot that proves it; some stations need none.
    static let settleSeconds: Int64 = 900

    package var plan: CampaignPlan
    package var state = State.running
    /// Failures that a person has seen and let pass.
    package var forgiven = 0
    /// In the order of the waves.
    package var members: [Member]

    package init(plan: CampaignPlan, members: [Member]) {
        self.plan = plan
        self.members = members
    }

    package var failures: Int { members.count { $0.state == .failed } }

    package mutating func handle(_ input: Input, at now: Timestamp) -> [Effect] {
        switch input {
        case .pause:
            return state == .running ? become(.paused, Self.byHand) : []
        case .resume:
            guard state == .paused else { return [] }
            forgiven = failures
            // Nobody was sent anything meanwhile: it was not the stations that kept us waiting.
            for index in members.indices where members[index].state == .waiting {
                members[index].waitSince = nil
            }
            return become(.running, nil)
        case .cancel:
            guard !state.isOver else { return [] }
            var effects = become(.cancelled, Self.byHand)
            for index in members.indices where members[index].state == .waiting {
                effects += move(index, to: .cancelled, note: members[index].note, now)
            }
            return effects
        case .skip(let station):
            guard !state.isOver,
                let index = members.firstIndex(where: {
                    $0.station == station && $0.state == .waiting
                })
            else { return [] }
            return move(index, to: .cancelled, note: "left out \(Self.byHand)", now)
        case .look(let sights): return look(sights, now)
        }
    }

    private mutating func look(_ sights: [String: Sight], _ now: Timestamp) -> [Effect] {
        var effects: [Effect] = []
        for index in members.indices where members[index].state.isUnderWay {
            guard let sight = sights[members[index].station] else {
                effects += move(index, to: .failed, note: "it is registered no more", now)
                continue
            }
            effects += follow(index, sight, now)
        }
        if state == .running, failures - forgiven >= plan.pauseAfterFailures {
            effects += become(.paused, "\(failures) stations failed")
        }
        if state == .running { effects += orderNext(sights, now) }
        if state == .running { effects += giveUp(sights, now) }
        if !state.isOver, members.allSatisfy(\.state.isSettled) { effects += become(.done, nil) }
        return effects
    }

    /// Sends to those of the first wave that is not done yet whom nothing speaks against.
    private mutating func orderNext(_ sights: [String: Sight], _ now: Timestamp) -> [Effect] {
        let wave = wave
        var effects: [Effect] = []
        for index in members.indices
        where members[index].wave == wave && members[index].state == .waiting {
            guard let sight = sights[members[index].station] else {
                effects += move(index, to: .failed, note: "it is registered no more", now)
                continue
            }
            let wait = wait(members[index], sight, now)
            if wait != .otherCampaign, let version = plan.version, sight.firmware == version {
                effects += move(index, to: .done, note: "it ran this version already", now)
                continue
            }
            switch wait {
            case .away, .charging:
                members[index].waitSince = members[index].waitSince ?? now
                continue
            case .otherCampaign, .retry, .earlierWave, .paused:
                members[index].waitSince = nil
                continue
            case nil: break
            }
            members[index].tries += 1
            members[index].orderedAt = now
            members[index].retryAt = nil
            members[index].waitSince = nil
            members[index].formerFirmware = members[index].formerFirmware ?? sight.firmware
            members[index].command = nil
            members[index].request = nil
            members[index].state = .ordered
            members[index].changedAt = now
            members[index].note = nil
            effects += [.order(members[index].station), .changed(members[index].station)]
        }
        return effects
    }

    /// What the station's own words mean for one that was sent the image.
    private mutating func follow(_ index: Int, _ sight: Sight, _ now: Timestamp) -> [Effect] {
        let member = members[index]
        guard let orderedAt = member.orderedAt else { return fail(index, "it has no order", now) }
        if let version = plan.version, sight.firmware == version {
            return move(index, to: .done, note: nil, now)
        }
        switch sight.order {
        case .refused(let reason): return fail(index, reason, now)
        case .unsent:
            members[index].tries -= 1
            return move(index, to: .waiting, note: nil, now)
        case .open, .accepted, nil: break
        }
        if let status = sight.status, let at = sight.statusAt, at >= orderedAt,
            member.request == nil || sight.statusRequest == nil
                || member.request == sight.statusRequest
        {
            switch status {
            case .idle: break
            case .downloading, .downloadScheduled, .downloadPaused:
                return progress(index, sight, to: .downloading, now, orderedAt)
            case .downloaded, .signatureVerified:
                return progress(index, sight, to: .downloaded, now, orderedAt)
            case .installing, .installScheduled, .installRebooting:
                return progress(index, sight, to: .installing, now, orderedAt)
            case .installed: return installed(index, sight, since: at, now)
            case .downloadFailed, .installationFailed:
                return fail(index, status.rawValue, now)
            // The same file again would fail in the same way.
            case .invalidSignature, .installVerificationFailed:
                return move(index, to: .failed, note: status.rawValue, now)
            }
        }
        return progress(index, sight, to: member.state, now, orderedAt)
    }

    private mutating func progress(
        _ index: Int, _ sight: Sight, to state: Member.State, _ now: Timestamp,
        _ orderedAt: Timestamp
    ) -> [Effect] {
        if now.seconds(since: orderedAt) >= Int64(plan.deadlineMinutes) * 60 {
            let why = "no end within \(plan.deadlineMinutes) minutes"
            // Waiting for a station that the image may have killed would never count as a failure.
            guard sight.isOnline else {
                return move(index, to: .failed, note: "\(why), and it is away", now)
            }
            return fail(index, why, now)
        }
        return move(index, to: state, note: members[index].note, now)
    }

    private mutating func installed(
        _ index: Int, _ sight: Sight, since at: Timestamp, _ now: Timestamp
    ) -> [Effect] {
        let hasBooted = sight.bootedAt.map { $0 > at } ?? false
        if hasBooted, plan.version != nil {
            return fail(index, "it came back with \(sight.firmware ?? "no version")", now)
        }
        guard hasBooted || now.seconds(since: at) >= Self.settleSeconds else {
            return move(index, to: .installed, note: members[index].note, now)
        }
        return move(
            index, to: .done, note: plan.version == nil ? nil : "it never told its new version", now
        )
    }

    private mutating func fail(_ index: Int, _ why: String, _ now: Timestamp) -> [Effect] {
        guard members[index].tries < plan.tries, !state.isOver else {
            return move(index, to: .failed, note: why, now)
        }
        members[index].retryAt = now.advanced(bySeconds: Int64(plan.retryMinutes) * 60)
        return move(index, to: .waiting, note: why, now)
    }

    mutating func move(
        _ index: Int, to state: Member.State, note: String?, _ now: Timestamp
    ) -> [Effect] {
        guard members[index].state != state || members[index].note != note else { return [] }
        members[index].state = state
        members[index].waitSince = nil
        members[index].note = note
        members[index].changedAt = now
        return [.changed(members[index].station)]
    }

    mutating func become(_ state: State, _ reason: String?) -> [Effect] {
        self.state = state
        return [.became(state, reason: reason)]
    }
}
