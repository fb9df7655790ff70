import Charging
import Service
import Station
import Web

extension EdgeSettings {
    /// Several boards behind one fuse: who leads, who asks.
    struct Group: Sendable {
        enum Role: String, CaseIterable, Sendable { case leader, follower }

        var role: Role
        var keyFile: String
        /// A leader's own address, or a follower's leader.
        var address: String
        var board: Int
        var members: [GroupLeader.Member]
    }

    static func group(_ site: ConfigSection) -> Group? {
        guard let section = site.sectionOrNil("group", about: "several boards behind one fuse")
        else { return nil }
        let group = Group(
            role: section.choice("role", about: "leader: shares the fuse; follower: asks"),
            keyFile: section.path("keyFile", about: "the secret all boards of the group hold"),
            address: section.text(
                "address", about: "leader: where it listens; follower: the leader's; IPv4:port"),
            board: section.int(
                "board", default: 0, in: 0...31, about: "follower: its number, as the leader has it"
            ),
            members: section.list("boards", atMost: 31, about: "leader: its followers") {
                GroupLeader.Member(
                    board: $0.int("board", in: 1...31, about: "its number"),
                    safe: Amperes(
                        Int64(
                            $0.int(
                                "safeAmperes", in: 0...1000,
                                about: "the follower's own safeAmperes"))))
            })
        guard !site.isSchema else { return group }
        if GroupSocket.Peer(group.address) == nil {
            section.problem("address", "must be like 192.168.10.2:7401")
        }
        FileChecks(section).secret("keyFile", group.keyFile)
        switch group.role {
        case .leader:
            let numbers = group.members.map(\.board)
            if numbers.isEmpty || Set(numbers).count != numbers.count {
                section.problem("boards", "a leader names each follower once")
            }
        case .follower:
            if group.board == 0 { section.problem("board", "a follower has a number from 1") }
        }
        return group
    }

    /// What all boards may draw when nobody hears anybody must be within the fuse.
    static func checkGroup(_ settings: EdgeSettings, _ site: ConfigSection) {
        guard let group = settings.supply.group, let safe = settings.supply.safe else { return }
        let sum = group.members.reduce(safe.milliamperes) { $0 + $1.safe.milliamperes }
        if group.role == .leader, sum > settings.fuse.milliamperes {
            site.problem(
                "safeAmperes",
                "and the followers' come to \(sum / 1000) A, more than the fuse; lower them")
        }
    }

    private static let shortestKeyBytes = 16

    func openGroup(
        _ timings: LoadBalancer.Timings = LoadBalancer.Timings()
    ) throws -> SmartCharging.Group? {
        guard let group = supply.group, let address = GroupSocket.Peer(group.address) else {
            return nil
        }
        var key = try FileSystem.read(group.keyFile, limitBytes: 4_096)
        while let last = key.last, last == 0x0A || last == 0x0D { key.removeLast() }
        guard key.count >= Self.shortestKeyBytes else {
            throw Program.Failure(
                code: .usage, text: "\(group.keyFile): a group's key has at least 16 characters")
        }
        switch group.role {
        case .leader:
            let leader = GroupLeader(
                members: group.members, key: key, timings: timings,
                session: SmartCharging.randomText())
            return .leader(leader, try GroupSocket(bindingTo: address))
        case .follower:
            let follower = GroupFollower(
                board: group.board, key: key, session: SmartCharging.randomText())
            guard let any = GroupSocket.Peer("0.0.0.0:0") else { return nil }
            return .follower(follower, try GroupSocket(bindingTo: any), leader: address)
        }
    }
}
