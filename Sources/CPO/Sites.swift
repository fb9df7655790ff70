import Charging
import JSON
import SQL
import Service

/// The sites whose current is shared from here: their fuse trees, the limits others put on them, and
/// what each connector was told.
///
/// Trees and limits are kept in memory as well; changes go through a transaction.
package final class Sites: Remembering {
    /// A limit holds at most this long, so that a forgotten one ends.
    package static let longestLimitSeconds: Int64 = 7 * 86_400
    /// Sources that may limit one node at once.
    package static let mostLimitsPerNode = 8

    private struct State {
        var trees: [String: FuseTree] = [:]
        var limits: [String: [GridLimit]] = [:]
        /// The site of each shared connector, by station.
        var outlets: [String: [ConnectorNumber: String]] = [:]
        /// Those whose tree or limits changed since they were last taken; nil: all.
        var changed: Set<String>? = []
        var isTrusted = false
        var version = 0

        /// A site's connectors are these; others it had are free.
        mutating func share(_ tree: FuseTree?, as id: String) {
            for outlet in trees[id]?.outlets ?? [] {
                outlets[outlet.id.station]?[outlet.id.connector] = nil
                if outlets[outlet.id.station]?.isEmpty ?? false {
                    outlets[outlet.id.station] = nil
                }
            }
            for outlet in tree?.outlets ?? [] {
                outlets[outlet.id.station, default: [:]][outlet.id.connector] = id
            }
            trees[id] = tree
            changed?.insert(id)
            version += 1
        }
    }

    private let journal: Journal
    private let news: HouseNews
    private let stations: Stations
    private let state = Lock(State())

    init(journal: Journal, news: HouseNews, stations: Stations) {
        self.journal = journal
        self.news = news
        self.stations = stations
    }

    // MARK: Reading

    package func all() -> [FuseTree] {
        state.withLock { $0.trees.values.sorted { $0.id < $1.id } }
    }

    package func tree(_ id: String) -> FuseTree? { state.withLock { $0.trees[id] } }

    /// Those that hold now or will.
    package func limits(of site: String, at now: Timestamp) -> [GridLimit] {
        state.withLock { $0.limits[site] ?? [] }.filter { now < $0.until }
    }

    /// The site that shares a connector's current; nil for one that has all its own.
    package func site(of outlet: OutletID) -> String? {
        state.withLock { $0.outlets[outlet.station]?[outlet.connector] }
    }

    /// The sites that share connectors of a station.
    func sites(of station: String) -> Set<String> {
        state.withLock { Set(($0.outlets[station] ?? [:]).values) }
    }

    /// Those with shared connectors.
    func sharedStations() -> Set<String> { state.withLock { Set($0.outlets.keys) } }

    /// The connectors of a station that are shared.
    package func outlets(of station: String) -> [ConnectorNumber] {
        state.withLock { ($0.outlets[station] ?? [:]).keys.sorted() }
    }

    // MARK: Changing

    /// Puts a site as it shall be.
    ///
    /// - Throws: `FuseTreeProblem` for a tree that cannot be, a station that is not registered, or a
    ///   connector that another site shares.
    @discardableResult
    package func put(
        _ wanted: FuseTree, at: Timestamp, in transaction: Transaction
    ) throws -> FuseTree {
        try ensure(in: transaction)
        var tree = wanted
        if let problem = tree.problem { throw problem }
        do {
            _ = try LocalTimeRules(tzif: ZoneInfo.load(tree.timeZone))
        } catch { throw FuseTreeProblem("timeZone", "\(error)") }
        for (index, outlet) in tree.outlets.enumerated() {
            guard let known = try stations.station(outlet.id.station, in: transaction) else {
                throw FuseTreeProblem(
                    "connectors[\(index)].station", "\(outlet.id.station) is not registered")
            }
            tree.outlets[index].id.station = known.id
            if let other = site(of: tree.outlets[index].id), other != tree.id {
                throw FuseTreeProblem(
                    "connectors[\(index)].connector",
                    "\(tree.outlets[index].id) is shared by the site \(other) already")
            }
        }
        if let problem = tree.problem { throw problem }
        try store(tree, at: at, in: transaction)
        try journal.append(.siteChanged, tree.id, at: at, in: transaction)
        let stored = tree
        note(self.tree(stored.id), stored)
        state.withLock { state in
            state.share(stored, as: stored.id)
            let nodes = Set(stored.nodes.map(\.id))
            state.limits[stored.id]?.removeAll { !nodes.contains($0.node) }
        }
        return tree
    }

    private func note(_ trees: FuseTree?...) {
        news.note(.sites)
        news.note(
            stations: Set(trees.compactMap(\.self).flatMap { $0.outlets.map(\.id.station) }))
    }

    private func store(_ tree: FuseTree, at: Timestamp, in transaction: Transaction) throws {
        try transaction.execute(
            """
            INSERT INTO site (id, body, updated_at) VALUES (?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET body = excluded.body, updated_at = excluded.updated_at
            """, tree.id, tree.json.text, at)
        // What a connector was told outlives its place in a tree: it still holds it.
        try transaction.execute("UPDATE site_connector SET site = NULL WHERE site = ?", tree.id)
        for outlet in tree.outlets {
            try transaction.execute(
                """
                INSERT INTO site_connector (station, connector, site, told) VALUES (?, ?, ?, '{}')
                ON CONFLICT (station, connector) DO UPDATE SET site = excluded.site
                """, outlet.id.station, outlet.id.connector, tree.id)
        }
        let nodes = tree.nodes.map(\.id)
        let marks = nodes.map { _ in "?" }.joined(separator: ", ")
        _ = try transaction.query(
            "DELETE FROM site_limit WHERE site = ? AND node NOT IN (\(marks)) RETURNING node",
            list: [.text(tree.id)] + nodes.map { .text($0) })
    }

    /// Gives a site's connectors free. False when there is none of this id.
    package func remove(_ id: String, at: Timestamp, in transaction: Transaction) throws -> Bool {
        try ensure(in: transaction)
        guard let tree = tree(id) else { return false }
        try transaction.execute("UPDATE site_connector SET site = NULL WHERE site = ?", id)
        try transaction.execute("DELETE FROM site_limit WHERE site = ?", id)
        try transaction.execute("DELETE FROM site WHERE id = ?", id)
        try journal.append(.siteChanged, id, ["removed": true], at: at, in: transaction)
        note(tree)
        state.withLock { state in
            state.share(nil, as: id)
            state.limits[id] = nil
        }
        return true
    }

    /// Limits a node for a while; the same source again replaces its limit.
    ///
    /// - Throws: `FuseTreeProblem`; `SiteError.unknown`.
    package func limit(
        _ site: String, _ limit: GridLimit, at now: Timestamp, in transaction: Transaction
    ) throws {
        try ensure(in: transaction)
        guard let tree = tree(site), tree.nodes.contains(where: { $0.id == limit.node }) else {
            throw SiteError.unknown
        }
        guard limit.limit != FuseTree.Limit() else {
            throw FuseTreeProblem("amperes", "or `watts` must say the limit")
        }
        guard limit.until > now, limit.until > limit.from else {
            throw FuseTreeProblem("validTo", "must be a time to come, after `validFrom`")
        }
        guard limit.until.seconds(since: now) <= Self.longestLimitSeconds else {
            throw FuseTreeProblem(
                "validTo", "must be within \(Self.longestLimitSeconds / 86_400) days; renew it")
        }
        let others = limits(of: site, at: now).filter { $0.node == limit.node }
        guard
            others.contains(where: { $0.source == limit.source })
                || others.count < Self.mostLimitsPerNode
        else {
            throw FuseTreeProblem(
                "source", "at most \(Self.mostLimitsPerNode) sources may limit one node")
        }
        try transaction.execute("DELETE FROM site_limit WHERE valid_until <= ?", now)
        try transaction.execute(
            """
            INSERT INTO site_limit (site, node, source, body, valid_from, valid_until, set_at)
            VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (site, node, source) DO UPDATE SET
            body = excluded.body, valid_from = excluded.valid_from,
            valid_until = excluded.valid_until, set_at = excluded.set_at
            """, site, limit.node, limit.source, JSONValue.given(limit.limit.members).text,
            limit.from, limit.until, now)
        try journal.append(
            .siteChanged, site, ["node": .string(limit.node), "source": .string(limit.source)],
            at: now, in: transaction)
        state.withLock { state in
            state.version += 1
            state.changed?.insert(site)
            state.limits[site, default: []].removeAll {
                $0.node == limit.node && $0.source == limit.source || $0.until <= now
            }
            state.limits[site, default: []].append(limit)
        }
    }

    /// Takes limits of a node away, of one source or of all. False where there are none.
    package func unlimit(
        _ site: String, node: String, source: String?, at now: Timestamp,
        in transaction: Transaction
    ) throws -> Bool {
        try ensure(in: transaction)
        let count = try transaction.execute(
            """
            DELETE FROM site_limit WHERE site = ? AND node = ?
            AND (CAST(? AS TEXT) IS NULL OR source = ?)
            """, site, node, source, source)
        guard count > 0 else { return false }
        try journal.append(
            .siteChanged, site, ["node": .string(node)], at: now, in: transaction)
        state.withLock { state in
            state.version += 1
            state.changed?.insert(site)
            state.limits[site]?.removeAll {
                $0.node == node && (source == nil || $0.source == source)
            }
        }
        return true
    }

    // MARK: Memory

    var version: Int { state.withLock { $0.version } }

    /// Sites whose tree or limits changed since the last call, with those that are gone; nil: any may.
    func takeChanged() -> Set<String>? {
        state.withLock { state in
            defer { state.changed = [] }
            return state.changed
        }
    }

    func distrust() { state.withLock { $0.isTrusted = false } }

    func ensure(in transaction: Transaction) throws {
        guard !state.withLock({ $0.isTrusted }) else { return }
        try load(in: transaction)
    }

    func load(in transaction: Transaction) throws {
        var fresh = State(isTrusted: true)
        for row in try transaction.query("SELECT * FROM site") {
            let tree = try FuseTree(
                json: JSONValue(parsing: row.text("body")), id: row.text("id"))
            fresh.share(tree, as: tree.id)
        }
        for row in try transaction.query("SELECT * FROM site_limit") {
            fresh.limits[try row.text("site"), default: []].append(
                GridLimit(
                    node: try row.text("node"),
                    limit: try FuseTree.Limit(json: JSONValue(parsing: row.text("body"))),
                    source: try row.text("source"), from: try row.timestamp("valid_from"),
                    until: try row.timestamp("valid_until")))
        }
        let loaded = fresh
        state.withLock { state in
            let next = state.version + 1
            state = loaded
            state.changed = nil
            state.version = next
        }
    }
}

package enum SiteError: Error, Hashable, Sendable {
    /// No such site, or no such node in it.
    case unknown
}
