/// How many datagrams of a second are looked at, of each peer and of all together. A pure value.
///
/// Who sends under many addresses can use up what all have together; then the boards hear nothing and
/// fall to their safe shares.
struct DatagramBudget {
    private static let secondMilliseconds: Int64 = 1_000

    private var startedAt = Int64.min / 2
    /// No more peers than datagrams are let through.
    private var taken: [GroupSocket.Peer: Int] = [:]
    private var all = 0

    /// False where this second's datagrams, or this peer's, are used up. Times are monotonic.
    mutating func admits(_ peer: GroupSocket.Peer, at now: Int64) -> Bool {
        if now - startedAt >= Self.secondMilliseconds {
            startedAt = now
            taken.removeAll(keepingCapacity: true)
            all = 0
        }
        guard all < BoardGroup.mostOfAll, taken[peer, default: 0] < BoardGroup.mostOfPeer else {
            return false
        }
        taken[peer, default: 0] += 1
        all += 1
        return true
    }
}
