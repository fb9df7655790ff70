/// Who is counted as one stranger: an IPv4 address, or the network that a line of IPv6 is given.
///
/// Whoever has a line has 2^64 addresses of IPv6; counted one by one he would never come to an end.
/// RFC 6177 §2, RFC 4291 §2.5.4.
struct Neighbourhood: Hashable, Sendable {
    /// As it is stored and compared: `192.0.2.7`, or `2001:db8:0:1::/64`.
    let text: String

    /// - Parameter address: numeric, as the socket has it; what is none stands for itself.
    init(of address: String) {
        guard address.utf8.contains(UInt8(ascii: ":")) else {
            text = address
            return
        }
        // An IPv4 peer at a listener of both kinds.
        if let last = address.split(separator: ":").last, last.utf8.contains(UInt8(ascii: ".")) {
            text = String(last)
            return
        }
        let bare = address.prefix { $0 != "%" }
        var groups: [String] = []
        var rest = bare[...]
        // What stands before `::` is whole; what it leaves out is zero.
        while let colon = rest.firstIndex(of: ":"), groups.count < 4 {
            let group = rest[..<colon]
            if !group.isEmpty { groups.append(String(group).lowercased()) }
            rest = rest[rest.index(after: colon)...]
            if rest.hasPrefix(":") {
                rest = ""
                break
            }
        }
        if !rest.isEmpty, groups.count < 4 { groups.append(String(rest).lowercased()) }
        while groups.count < 4 { groups.append("0") }
        text = groups.prefix(4).joined(separator: ":") + "::/64"
    }
}

/// Shares a bounded list fairly: what is too much goes from whoever has most, his oldest first, so that
/// nobody pushes out what others left.
struct FairShare<Key: Hashable & Sendable> {
    struct Entry {
        var key: Key
        var owner: Neighbourhood
        /// When it was last heard of.
        var at: Int64
    }

    var most: Int
    var mostOfOne: Int

    /// Which entries must go.
    func excess(of entries: [Entry]) -> [Key] {
        // Newest first: the last one is the next to go.
        var lists = Dictionary(grouping: entries, by: \.owner).values.map { list in
            list.sorted { $0.at > $1.at }
        }
        var gone: [Key] = []
        for index in lists.indices where lists[index].count > mostOfOne {
            gone += lists[index][mostOfOne...].map(\.key)
            lists[index].removeSubrange(mostOfOne...)
        }
        guard entries.count - gone.count > most else { return gone }
        let (level, spare) = evenShare(of: lists.map(\.count))
        for list in lists where list.count > level + 1 { gone += list[(level + 1)...].map(\.key) }
        // Of two with as many the one whose oldest is older loses it.
        let last = lists.filter { $0.count > level }.map { $0[level] }.sorted { $0.at > $1.at }
        return gone + last.dropFirst(spare).map(\.key)
    }

    /// - Parameter counts: of each owner; together more than `most`.
    /// - Returns: how many everybody keeps who has so many, and how many of those keep one more.
    private func evenShare(of counts: [Int]) -> (level: Int, spare: Int) {
        var (level, room, owners) = (0, most, counts.count)
        for count in counts.sorted() {
            let wanted = (count - level) * owners
            if wanted > room { break }
            room -= wanted
            level = count
            owners -= 1
        }
        return owners > 0 ? (level + room / owners, room % owners) : (level, 0)
    }
}
