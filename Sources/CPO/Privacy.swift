import Charging
import JSON
import SQL
import Service

/// What is kept of people: found for them, erased when they ask, and made anonymous by its age.
///
/// The house and its doors each register their own rows, as with `Stations.onRemoval`; `Sources/PRIVACY.md`
/// lists every table.
package final class Privacy: Sendable {
    /// Rows one transaction erases at most, so that nobody's commit waits long.
    package static let erasedPerBatch = 50
    /// Rows of a kind that a report shows; how many there are it always says.
    package static let mostShown = 500

    struct State {
        var rows: [any PersonalRows] = []
        var preparations: [@Sendable () async -> Void] = []
        var isErasing = false
    }

    let database: Database
    let writer: HouseWriter
    let settings: RetentionSettings
    let clock: any ServiceClock
    let log: Log
    let erasureKey: ErasureKeyStore
    let state = Lock(State())

    init(
        database: Database, writer: HouseWriter, settings: RetentionSettings,
        erasureKey: ErasureKeyStore, clock: any ServiceClock, log: Log
    ) {
        self.database = database
        self.writer = writer
        self.settings = settings
        self.erasureKey = erasureKey
        self.clock = clock
        self.log = log
    }

    /// Adds what a part of the house or a door keeps.
    package func register(_ rows: any PersonalRows) { state.withLock { $0.rows.append(rows) } }

    /// Runs before rows are looked for: what waits in memory is to be in its rows then.
    package func onErasure(_ prepare: @escaping @Sendable () async -> Void) {
        state.withLock { $0.preparations.append(prepare) }
    }

    var rows: [any PersonalRows] { state.withLock { $0.rows } }

    /// Why nothing of a session may be touched yet: what the house knows, then what doors know.
    func hold(on row: Row, at now: Timestamp, in transaction: Transaction) throws -> Hold? {
        if let hold = try AnonymousSession.hold(row, at: now, in: transaction) { return hold }
        let session = PersonalSession(
            id: try row.text("id"), party: try row.text("token_party"),
            authorizationReference: try row.textOrNil("authorization_reference"))
        for one in rows {
            if let hold = try one.hold(on: session, in: transaction) { return hold }
        }
        return nil
    }

    // MARK: For whoever asks

    /// What is there of one kind.
    package struct Finding: Sendable {
        package var kind: String
        package var rows = 0
        /// Rows that are not touched yet, by reason.
        package var held: [Hold: Int] = [:]
        /// What stays of the others, and why; nil: nothing.
        package var remains: String?
        /// The first of them, as they are stored.
        package var values: [JSONValue] = []
    }

    package enum Refusal: Error, Hashable, Sendable {
        /// Neither token nor order, phone or mail.
        case nobody
        /// A charge of his runs: its session.
        case running(String)
        /// Another erasure is under way.
        case busy
    }

    /// Everything that is kept of somebody. Changes nothing.
    package func find(_ query: Person.Query) async throws -> [Finding] {
        let person = try await person(query, until: clock.now)
        await prepare()
        var found: [Finding] = []
        var kinds: Set<String> = []
        // What goes in two stages is there once.
        for table in tables where kinds.insert(table.kind).inserted {
            var finding = Finding(kind: table.kind, remains: table.remains)
            var cursor: SQLValue?
            repeat {
                try Task.checkCancellation()
                let after = cursor
                let page = try await database.read {
                    try table.mentions(of: person, after: after, in: $0)
                }
                for mention in page.mentions {
                    finding.rows += 1
                    if let hold = mention.hold { finding.held[hold, default: 0] += 1 }
                    if finding.values.count < Self.mostShown {
                        finding.values.append(mention.value)
                    }
                }
                cursor = page.next
            } while cursor != nil
            if finding.rows > 0 { found.append(finding) }
        }
        return found
    }

    /// The session of his that runs, if one does.
    package func running(_ query: Person.Query) async throws -> String? {
        let person = try await person(query, until: clock.now)
        return try await database.read { try Self.running(person, in: $0) }
    }

    private static func running(
        _ person: Person, in transaction: Transaction
    ) throws -> String? {
        try transaction.query(
            """
            SELECT id, id_tag, token_party, token_uid, authorization_reference FROM session
            WHERE closure = 'open' ORDER BY key
            """
        ).first { try SessionTable.isOf(person, $0) }?.text("id")
    }

    /// What was done.
    package struct Outcome: Sendable {
        package var findings: [Finding]
        /// Some rows are held; they go by themselves when their reason has gone.
        package var isWaiting: Bool { findings.contains { !$0.held.isEmpty } }
    }

    /// Erases everything that can be, and remembers the rest. The same again changes nothing more.
    ///
    /// - Parameter note: writes the audit line, in the transaction that begins it.
    /// - Throws: `Refusal`; then nothing was changed.
    package func erase(
        _ query: Person.Query, by who: String,
        note: @escaping @Sendable (Transaction) throws -> Void
    ) async throws -> Outcome {
        guard begin() else { throw Refusal.busy }
        defer { end() }
        let now = clock.now
        let person = try await person(query, until: now)
        await prepare()
        let key = try await writer.write { [erasureKey] transaction in
            if let session = try Self.running(person, in: transaction) {
                throw Refusal.running(session)
            }
            let key = try erasureKey.value(in: transaction)
            try ErasureLedger.add(person, key, by: who, at: now, in: transaction)
            try note(transaction)
            return key
        }
        let findings = try await erase(person, from: .traces)
        let isWaiting = findings.contains { !$0.held.isEmpty }
        try await writer.write { transaction in
            try ErasureLedger.settle(
                person, key, isWaiting ? .waiting : .done, at: now, in: transaction)
        }
        await cutBackLog()
        return Outcome(findings: findings)
    }

    /// What was overwritten stands in the file until its log is played into it, and in the log until that
    /// is cut back.
    func cutBackLog() async {
        do {
            try await database.checkpoint()
        } catch {
            // A reader holds it; it is overwritten in time.
            log.warning("log not cut back after an erasure", ["error": "\(error)"])
        }
    }

    func begin() -> Bool {
        state.withLock { state in
            guard !state.isErasing else { return false }
            state.isErasing = true
            return true
        }
    }

    func end() { state.withLock { $0.isErasing = false } }

    // MARK: Steps

    private var tables: [any PersonalTable] {
        let all = rows.flatMap(\.tables)
        return PersonalStage.allCases.flatMap { stage in all.filter { $0.stage == stage } }
    }

    private func prepare() async {
        for prepare in state.withLock({ $0.preparations }) { await prepare() }
    }

    /// Everything the rows know of somebody who was named in part.
    func person(_ query: Person.Query, until: Timestamp) async throws -> Person {
        guard !query.isEmpty else { throw Refusal.nobody }
        let rows = rows
        return try await database.read { transaction in
            var person = Person(until: until)
            person.party = query.party
            // Doors first: a booking brings the token that its charge was paid with.
            for one in rows.reversed() {
                try one.complete(&person, by: query, in: transaction)
            }
            return person
        }
    }

    /// Erases page by page, each in a transaction of its own.
    ///
    /// - Parameter last: later stages are left as they are.
    func erase(
        _ person: Person, from first: PersonalStage, through last: PersonalStage = .copies
    ) async throws -> [Finding] {
        var found: [Finding] = []
        for table in tables where table.stage >= first && table.stage <= last {
            var finding = Finding(kind: table.kind, remains: table.remains)
            var cursor: SQLValue?
            repeat {
                try Task.checkCancellation()
                let after = cursor
                let page = try await database.read {
                    try table.mentions(of: person, after: after, in: $0)
                }
                guard !page.mentions.isEmpty else {
                    cursor = page.next
                    continue
                }
                let done = try await batch(table, person, after: after)
                finding.rows += done.rows
                finding.held.merge(done.held, uniquingKeysWith: +)
                cursor = done.next
            } while cursor != nil
            guard finding.rows > 0 else { continue }
            if let index = found.firstIndex(where: { $0.kind == finding.kind }) {
                found[index].rows += finding.rows
                found[index].held.merge(finding.held, uniquingKeysWith: +)
            } else {
                found.append(finding)
            }
        }
        return found
    }

    private struct Batch: Sendable {
        var rows: Int
        var held: [Hold: Int] = [:]
        var next: SQLValue?
    }

    private func batch(
        _ table: any PersonalTable, _ person: Person, after cursor: SQLValue?
    ) async throws -> Batch {
        try await writer.write { transaction in
            // Once more, for what changed since it was read.
            let page = try table.mentions(of: person, after: cursor, in: transaction)
            let part = page.mentions.prefix(Self.erasedPerBatch)
            var done = Batch(rows: part.count)
            for mention in part {
                if let hold = mention.hold {
                    done.held[hold, default: 0] += 1
                } else {
                    try table.erase(mention, of: person, in: transaction)
                }
            }
            done.next = part.count < page.mentions.count ? part.last?.key : page.next
            return done
        }
    }
}

// MARK: As the API shows it

extension Privacy.Finding {
    /// How many rows, what is held, what stays: without what they hold.
    package var value: JSONValue {
        .members([
            "kind": .string(kind), "rows": .number(rows),
            "held": .array(
                held.sorted { $0.key.rawValue < $1.key.rawValue }.map { hold, rows in
                    [
                        "reason": .string(hold.rawValue), "about": .string(hold.about),
                        "rows": .number(rows),
                    ]
                }),
            "remains": remains.map { .string($0) },
        ])
    }
}

extension Privacy {
    /// For who asks what is kept of him.
    package static func report(_ findings: [Finding]) -> JSONValue {
        [
            "items": .array(
                findings.map { finding in
                    [
                        "kind": .string(finding.kind), "rows": .number(finding.rows),
                        "isWhole": .bool(finding.values.count == finding.rows),
                        "values": .array(finding.values),
                    ]
                })
        ]
    }
}
