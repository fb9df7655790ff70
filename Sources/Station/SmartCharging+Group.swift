import Charging
import Crypto
import Service

extension SmartCharging {
    /// This board's part among several behind one fuse.
    package enum Group: Sendable {
        case leader(GroupLeader, GroupSocket)
        case follower(GroupFollower, GroupSocket, leader: GroupSocket.Peer)

        var isFollower: Bool {
            if case .follower = self { true } else { false }
        }

        var socket: GroupSocket {
            switch self {
            case .leader(_, let socket), .follower(_, let socket, _): socket
            }
        }
    }

    private static let heardWithoutSleep = 64

    /// A text nobody can guess, for sessions.
    package static func randomText() -> String { UUID4.make() }

    func listen(_ members: Group) async {
        await withTaskCancellationHandler {
            var heard = 0
            for await datagram in members.socket.datagrams {
                hear(datagram)
                heard += 1
                // The control thread has contactors to open: a flood takes its turn with them, and
                // the thread sleeps for real time's sake, which ends one that never does.
                if heard % Self.heardWithoutSleep == 0 {
                    // Ends early only by cancellation, which stops the socket.
                    try? await clock.sleep(milliseconds: 1)
                } else {
                    await Task.yield()
                }
            }
        } onCancel: {
            members.socket.stop()
        }
    }

    private func hear(_ datagram: GroupSocket.Datagram) {
        switch group {
        case .leader(_, let socket):
            if let answer = answer(to: datagram.bytes) { socket.send(answer, to: datagram.from) }
        case .follower(var follower, let socket, let peer):
            // The tag is what counts; an answer from elsewhere is not even looked at.
            guard datagram.from == peer else { return }
            follower.take(datagram.bytes, at: clock.monotonicMilliseconds)
            group = .follower(follower, socket, leader: peer)
        case nil: break
        }
    }

    /// The leader's answer to a board. Limits that nobody decides on any more are repeated to nobody:
    /// the boards fall to their safe shares as if this one were gone.
    func answer(to datagram: [UInt8]) -> [UInt8]? {
        let now = clock.monotonicMilliseconds
        guard case .leader(var leader, let socket) = group, stepAge <= BoardGroup.isSilent else {
            return nil
        }
        let answer = leader.take(datagram, groupLimits, at: now)
        group = .leader(leader, socket)
        return answer
    }

    /// Reports to the leader and takes its limits; false where this board has to decide by itself.
    func obeysLeader(_ present: [LoadBalancer.Load], _ now: Int64) -> Bool {
        guard case .follower(var follower, let socket, let peer) = group else { return false }
        if now - lastReport >= BoardGroup.reportMilliseconds {
            lastReport = now
            let outlets = present.map { load in
                BoardGroup.Outlet(
                    connector: load.id.connector, share: load.share, isActive: load.isActive,
                    mayDraw: load.mayDraw, isIdle: load.isIdle, measured: load.measured)
            }
            socket.send(follower.report(outlets, maximum: ownMaximum(now), at: now), to: peer)
            group = .follower(follower, socket, leader: peer)
        }
        let limits = follower.limits(at: now)
        if (limits != nil) != (site == .granted) {
            log.notice("leader of the boards", ["heard": limits != nil])
        }
        guard let limits else {
            if site == .granted {
                // From here on alone: down to the safe share at once, up only later.
                balancer = LoadBalancer(timings: settings.balancing)
                var held: [LoadBalancer.ID: Amperes] = [:]
                for (connector, applied) in applied {
                    held[.init(connector: connector)] = applied.site ?? .zero
                }
                balancer.adopt(held, at: now)
            }
            return false
        }
        site = .granted
        let granted = bounded(limits, present, now)
        for outlet in settings.outlets {
            let limit = granted[outlet.connector] ?? .zero
            // A leader may not have heard of the doubt yet.
            wanted[outlet.connector, default: Applied()].site =
                holdsLeast ? min(limit, outlet.minimum) : limit
        }
        return true
    }

    /// What the leader grants, within what this board may draw by itself: its own fuse is not the
    /// leader's, who may not have heard of it yet.
    func bounded(
        _ limits: [ConnectorNumber: Amperes], _ present: [LoadBalancer.Load], _ now: Int64
    ) -> [ConnectorNumber: Amperes] {
        let own = CurrentSharing([.init(id: 0, capacity: ownMaximum(now))])
        let shares = present.map { load in
            var share = load.share
            share.circuit = 0
            share.wanted = min(limits[load.id.connector] ?? .zero, share.wanted)
            return share
        }
        let left = own.left(after: shares.map(\.wanted), of: shares)
        if left[0]?.all.allSatisfy({ $0 >= 0 }) == true { return limits }
        return Dictionary(
            zip(present.map(\.id.connector), own.shares(of: shares)),
            uniquingKeysWith: { first, _ in first })
    }

    /// What bounds this board's outlets together, whatever the others draw.
    private func ownMaximum(_ now: Int64) -> PhaseCurrents {
        let local = localLimit(at: now)
        let fuse = ownFuse(at: now)
        let bounds = [
            stationMaximum(at: clock.now).map { PhaseCurrents($0.limit) }, local.limit,
            local.isUnreadable || areProfilesDoubted || fuse == nil
                ? PhaseCurrents(settings.safe) : nil, fuse,
        ]
        return bounds.compactMap(\.self).reduce(PhaseCurrents(settings.fuse)) { $0.least($1) }
    }
}
