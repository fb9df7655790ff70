import CPO
import Charging
import Crypto
import JSON

/// What a station's local list can hold, as its settings say. OCPP 1.6 §9.2.
struct LocalListLimits: Hashable, Sendable {
    /// Where a station does not say: few enough for any.
    static let careful = LocalListLimits(mostEntries: 500, mostPerMessage: 50)
    /// Absurd figures are clamped.
    static let range = 1...100_000

    /// LocalAuthListMaxLength.
    var mostEntries: Int
    /// SendLocalListMaxLength.
    var mostPerMessage: Int
    /// LocalPreAuthorize: it looks at its list while it is online as well.
    var looksWhileOnline = false

    init(mostEntries: Int, mostPerMessage: Int, looksWhileOnline: Bool = false) {
        self.mostEntries = min(max(mostEntries, Self.range.lowerBound), Self.range.upperBound)
        self.mostPerMessage = min(max(mostPerMessage, 1), LocalListUpdate.mostEntries)
        self.looksWhileOnline = looksWhileOnline
    }
}

/// A local list as a station shall have it.
struct LocalListContent: Hashable, Sendable {
    var entries: [LocalListUpdate.Entry]
    /// More tokens than the station can hold.
    var isCut: Bool
    /// The same for the same entries, whichever station they are for.
    var digest: String

    init(entries: [LocalListUpdate.Entry], isCut: Bool = false) {
        self.entries = entries
        self.isCut = isCut
        digest = Hex.encode(SHA256.hash(Array(Self.text(of: entries).utf8)))
    }

    /// The tokens that fit one station, the first ones of the registry's order.
    init(_ tokens: [ListedToken], fitting limits: LocalListLimits) {
        let fit = tokens.filter { !(limits.looksWhileOnline && $0.isOfflineOnly) }
        self.init(
            entries: fit.prefix(limits.mostEntries).map(\.entry),
            isCut: fit.count > limits.mostEntries)
    }

    var text: String { Self.text(of: entries) }

    private static func text(of entries: [LocalListUpdate.Entry]) -> String {
        JSONValue.array(entries.map(\.stored)).text
    }

    init(storedText: String) throws {
        let values = try JSONValue(parsing: storedText).array ?? []
        self.init(entries: try values.map { try LocalListUpdate.Entry(stored: $0) })
    }
}

/// The messages that bring a station's list from what it holds to what it shall hold.
enum LocalListPlan {
    /// - Parameter old: what the station holds for certain; nil: nobody knows, so the list is sent whole.
    /// - Parameter version: the station's; each message has the next one.
    /// - Parameter most: entries in one message.
    /// - Returns: one whole list, or its differences, then differences with rising versions; none where
    ///   nothing differs.
    static func updates(
        from old: [LocalListUpdate.Entry]?, to new: [LocalListUpdate.Entry], above version: Int,
        most: Int
    ) -> [LocalListUpdate] {
        let differences = old.map { self.differences(from: $0, to: new) }
        if let differences, differences.isEmpty { return [] }
        var entries = new
        var isFull = true
        if let differences, differences.count < max(1, new.count) {
            (entries, isFull) = (differences, false)
        }
        let messages = max(1, (entries.count + most - 1) / most)
        var next = max(0, version)
        // 31 bits, and never 0 or −1, which mean "empty" and "no lists".
        if next > Int(Int32.max) - messages { (next, entries, isFull) = (0, new, true) }
        var updates: [LocalListUpdate] = []
        for start in stride(from: 0, to: max(1, entries.count), by: most) {
            next += 1
            updates.append(
                LocalListUpdate(
                    kind: isFull && start == 0 ? .full : .differential, version: next,
                    entries: Array(entries.dropFirst(start).prefix(most))))
        }
        return updates
    }

    /// What goes comes first, so that what is new finds room.
    private static func differences(
        from old: [LocalListUpdate.Entry], to new: [LocalListUpdate.Entry]
    ) -> [LocalListUpdate.Entry] {
        func byTag(_ entries: [LocalListUpdate.Entry]) -> [String: LocalListUpdate.Entry] {
            Dictionary(entries.map { ($0.token.lowercased(), $0) }, uniquingKeysWith: { $1 })
        }
        let (before, after) = (byTag(old), byTag(new))
        let gone = old.filter { after[$0.token.lowercased()] == nil }
        let changed = new.filter { before[$0.token.lowercased()] != $0 }
        return gone.map { LocalListUpdate.Entry(token: $0.token, info: nil) } + changed
    }
}
