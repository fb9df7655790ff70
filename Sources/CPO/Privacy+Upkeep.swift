import Charging
import SQL
import Service

// What goes on without being asked: erasures that are due, and what has its age.
extension Privacy {
    /// Pages of one kind in one look; the rest has its turn at the next one.
    package static let mostPages = 1000
    /// Between two looks.
    static let lookMilliseconds: Int64 = 3_600_000
    /// Marks read in one turn.
    private static let marksLooked = 1000

    /// Until cancelled; the roof owns the task.
    package func run() async throws {
        while true {
            try await look()
            try await clock.sleep(milliseconds: Self.lookMilliseconds)
        }
    }

    /// Erases what is due, then what is old enough.
    ///
    /// - Returns: rows by kind, of what went by its age.
    @discardableResult
    package func look() async throws -> [String: Int] {
        try await eraseDue()
        let now = clock.now
        var counts: [String: Int] = [:]
        for aging in rows.flatMap(\.agings) {
            let days = aging.days(settings)
            guard days > 0 else { continue }
            let before = now.advanced(bySeconds: -Int64(days) * 86_400)
            do {
                let count = try await age(aging, before: before)
                if count > 0 { counts[aging.kind, default: 0] += count }
            } catch let error as StoredError {
                // One row that cannot be read keeps its own kind from going on, and no other.
                log.error("rows past their days stay", ["kind": aging.kind, "error": "\(error)"])
            }
        }
        if settings.backupDays > 0 {
            let before = now.advanced(bySeconds: -Int64(settings.backupDays) * 86_400)
            try await writer.write { try ErasureLedger.forget(before: before, in: $0) }
        }
        if !counts.isEmpty { await cutBackLog() }
        for (kind, count) in counts.sorted(by: { $0.key < $1.key }) {
            log.info("personal data past its days", ["kind": kind, "rows": count])
        }
        return counts
    }

    private func age(_ aging: Aging, before moment: Timestamp) async throws -> Int {
        var (count, pages) = (0, 0)
        var cursor: SQLValue?
        repeat {
            try Task.checkCancellation()
            let after = cursor
            let page = try await writer.write { transaction in
                let page = try aging.page(moment, after, transaction)
                if page.changed > 0 {
                    try transaction.execute(
                        """
                        INSERT INTO retention_count (kind, total) VALUES (?, ?)
                        ON CONFLICT (kind) DO UPDATE SET
                        total = retention_count.total + excluded.total
                        """, aging.kind, page.changed)
                }
                return page
            }
            count += page.changed
            cursor = page.next
            pages += 1
        } while cursor != nil && pages < Self.mostPages
        return count
    }

    // MARK: Erasures that are due

    /// Looks through all tags and bookings for those whose erasure is not done, and goes on with it.
    func eraseDue() async throws {
        let (lines, key) = try await writer.write { [erasureKey] transaction in
            (try ErasureLedger.open(in: transaction), try erasureKey.value(in: transaction))
        }
        guard !lines.isEmpty, begin() else { return }
        defer { end() }
        let open = Dictionary(lines.map { ($0.hash, $0) }, uniquingKeysWith: { $1 })
        let parties = Set(lines.map(\.party))
        var found: [ErasureLedger.Line: String] = [:]
        for source in rows.flatMap(\.marks) {
            let window = RowWindow(
                source.table, key: source.key, isTextKey: source.isTextKey, rows: Self.marksLooked)
            var cursor: SQLValue?
            repeat {
                try Task.checkCancellation()
                let after = cursor
                let page = try await database.read { transaction in
                    let page = try window.read(
                        "\(source.column) AS mark", where: "\(source.column) IS NOT NULL",
                        after: after, in: transaction)
                    return (try Set(page.rows.map { try $0.text("mark") }), page.next)
                }
                for text in page.0 {
                    let mark = source.kind == .tag ? Tokens.folded(text) : text
                    for party in parties {
                        guard let line = open[key.hash(source.kind, mark, of: party)] else {
                            continue
                        }
                        found[line] = mark
                    }
                }
                cursor = page.1
            } while cursor != nil
        }
        for line in lines { try await eraseDue(line, found[line]) }
        await cutBackLog()
    }

    private func eraseDue(_ line: ErasureLedger.Line, _ mark: String?) async throws {
        var state = ErasureLedger.State.done
        if let mark {
            var query = Person.Query()
            if line.kind == .tag { query.token = mark } else { query.order = mark }
            if let party = PartyID(stored: line.party) { query.party = party }
            let person = try await person(query, until: line.at)
            // Tokens that came back since are of a new relation with the same person.
            let findings = try await erase(
                person, from: .traces, through: line.state == .due ? .copies : .sessions)
            if findings.contains(where: { !$0.held.isEmpty }) { state = .waiting }
            log.info(
                "erasure made again",
                ["rows": findings.reduce(0) { $0 + $1.rows }, "state": state.rawValue])
        }
        let made = state
        try await writer.write { transaction in
            try ErasureLedger.settle(line.hash, made, at: line.at, in: transaction)
        }
    }
}

extension PartyID {
    /// As it stands in columns, `IN*KRB`.
    package init?(stored text: String) {
        let parts = text.split(separator: "*")
        guard parts.count == 2 else { return nil }
        self.init(country: String(parts[0]), party: String(parts[1]))
    }
}
