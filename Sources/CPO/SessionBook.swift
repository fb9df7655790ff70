import Charging

/// The open sessions in memory, so that a meter value costs an insert and not a re-read. The rows
/// are the truth: the book can be thrown away and read again at any time.
struct SessionBook: Sendable {
    struct Entry: Sendable {
        var key: Int64
        /// Token, location and tariff as sealed; usage and cost are filled in when asked for.
        var session: Session
        var builder: UsageBuilder
        var rules: LocalTimeRules
        var idTag: String
        var authorization: AuthorizationStatus
        /// The station named its number, so that a stop without one is not this session's.
        var isAcknowledged: Bool
        /// Its station had not been taken in when this was read.
        var mayBePending: Bool
        /// When the last `session.updated` line was written; meter values within a second share one.
        var journalledAt: Timestamp
        /// Rows of readings played into it.
        var readings = 0
        /// A late reading is a row and not played yet.
        var isBehind = false
        /// Rated power in watts, where the plug says it.
        var ratedWatts: Int64?
        var stateOfCharge: Decimal?
        /// The last currents that were measured, and when.
        var currents: MeterReading.Currents?
        var currentsAt: Timestamp?
        /// Suspicions of a kind are raised once per session, not once per meter value.
        var raised: Set<Suspicion.Code> = []
    }

    private(set) var entries: [Int64: Entry] = [:]
    private var byStation: [String: [Int64]] = [:]
    private var byID: [String: Int64] = [:]
    /// Charges of one token, and of one group: a driver's second one may be one too many.
    private var byToken: [Payer: Set<Int64>] = [:]
    private var byGroup: [Payer: Set<Int64>] = [:]
    var isTrusted = false
    private(set) var version = 0
    /// Who hears of charges that begin and end; what changes within one its event tells.
    private let news: HouseNews?

    init(news: HouseNews? = nil) { self.news = news }

    mutating func replace(with other: SessionBook) {
        let stations = Set(byStation.keys).union(other.byStation.keys)
        entries = other.entries
        byStation = other.byStation
        byID = other.byID
        byToken = other.byToken
        byGroup = other.byGroup
        isTrusted = other.isTrusted
        version += 1
        for station in stations { news?.note(.station(station)) }
    }

    /// Who pays, as its owner tells tokens apart: no case, and another owner's is another.
    private struct Payer: Hashable {
        var party: PartyID
        var id: String

        static func token(_ token: Token) -> Payer {
            Payer(party: token.party, id: "\(token.kind.rawValue) \(token.uid.lowercased())")
        }

        static func group(of token: Token) -> Payer? {
            token.groupID.map { Payer(party: token.party, id: $0.lowercased()) }
        }
    }

    mutating func put(_ entry: Entry) {
        version += 1
        remove(entry.key)
        news?.note(.station(entry.session.station))
        entries[entry.key] = entry
        byID[entry.session.id] = entry.key
        let token = entry.session.token
        byToken[.token(token), default: []].insert(entry.key)
        if let group = Payer.group(of: token) { byGroup[group, default: []].insert(entry.key) }
        byStation[entry.session.station, default: []].append(entry.key)
    }

    mutating func remove(_ key: Int64) {
        guard let old = entries.removeValue(forKey: key) else { return }
        version += 1
        news?.note(.station(old.session.station))
        byID[old.session.id] = nil
        let token = Payer.token(old.session.token)
        byToken[token]?.remove(key)
        if byToken[token]?.isEmpty ?? false { byToken[token] = nil }
        if let group = Payer.group(of: old.session.token) {
            byGroup[group]?.remove(key)
            if byGroup[group]?.isEmpty ?? false { byGroup[group] = nil }
        }
        byStation[old.session.station]?.removeAll { $0 == key }
        if byStation[old.session.station]?.isEmpty ?? false { byStation[old.session.station] = nil }
    }

    /// Where charges run.
    var stations: Set<String> { Set(byStation.keys) }

    func key(id: String) -> Int64? { byID[id] }

    /// Oldest first.
    func open(station: String, connector: ConnectorNumber) -> [Int64] {
        (byStation[station] ?? []).filter { entries[$0]?.session.connector == connector }
    }

    func open(station: String) -> [Entry] {
        (byStation[station] ?? []).compactMap { entries[$0] }
    }

    func open(token: Token) -> [Entry] {
        (byToken[.token(token)] ?? []).compactMap { entries[$0] }
    }

    func open(groupOf token: Token) -> [Entry] {
        (Payer.group(of: token).flatMap { byGroup[$0] } ?? []).compactMap { entries[$0] }
    }

    func key(station: String, reference: TransactionReference) -> Int64? {
        (byStation[station] ?? []).first { entries[$0]?.session.transaction == reference }
    }

    /// Changes one entry in place: a copy would copy its segments with every meter value.
    mutating func change<Result>(_ key: Int64, _ body: (inout Entry) -> Result) -> Result? {
        version += 1
        return entries[key]?.apply(body)
    }
}

extension SessionBook.Entry {
    fileprivate mutating func apply<Result>(_ body: (inout Self) -> Result) -> Result {
        body(&self)
    }
}
