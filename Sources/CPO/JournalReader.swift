import Charging
import Service

/// Carries the journal to one partner, page or webhook: in order, at least once, surviving restarts.
package struct JournalReader: Sendable {
    /// What became of one line.
    package enum Delivery: Hashable, Sendable {
        /// Done, or of no interest to this reader.
        case delivered
        /// The peer is down or busy: the cursor stays, the same line comes again later.
        case retry(reason: String)
        /// The peer refused this line for good; it is set aside and the reader goes on.
        case park(reason: String)
    }

    /// The key of the cursor: `ocpi/IN*EMS`, `beckn/example-bap.in`.
    package var name: String
    /// Kinds of which only the newest line per subject matters.
    package var coalescing: Set<JournalLine.Kind>
    /// Kinds it wants; empty means all. Others only move the cursor.
    package var kinds: Set<JournalLine.Kind>
    /// Tries of one line before it is parked.
    package var triesPerLine: Int
    package var backoff: Backoff

    package init(
        name: String, kinds: Set<JournalLine.Kind> = [],
        coalescing: Set<JournalLine.Kind> = [
            .evseStatus, .connectorStatus, .sessionUpdated, .locationChanged, .tariffChanged,
            .stationLink,
        ], triesPerLine: Int = 20,
        backoff: Backoff = Backoff(firstMilliseconds: 1000, longestMilliseconds: 60_000)
    ) {
        self.name = name
        self.kinds = kinds
        self.coalescing = coalescing
        self.triesPerLine = triesPerLine
        self.backoff = backoff
    }

    /// One at a time: what is dismissed while another is under way must not go out after it.
    private static let askedAtOnce = 1

    /// Reads until cancelled. A reader without a cursor starts at the journal's present end, or at
    /// its beginning with `fromStart`.
    package func run(
        _ house: ChargePointOperator, fromStart: Bool = false,
        deliver: @Sendable (JournalLine) async -> Delivery
    ) async throws {
        let journal = house.journal
        let announcements = journal.announcements()
        var seq = try await start(house, fromStart)
        var backoff = backoff
        var next = announcements.makeAsyncIterator()
        while !Task.isCancelled {
            let asked = try await bringAsked(house, deliver)
            let page = try await journal.lines(after: seq)
            guard let last = page.last else {
                guard asked < Self.askedAtOnce else { continue }
                guard await next.next() != nil else { return }
                continue
            }
            for line in worthwhile(page) {
                guard try await bring(line, house, &backoff, deliver) else { return }
                seq = line.seq
            }
            // The rest of the page is of no interest or was overtaken.
            seq = last.seq
            try await move(house, to: seq)
        }
    }

    /// The lines to deliver: wanted kinds, and of a coalescing kind the newest per subject.
    func worthwhile(_ page: [JournalLine]) -> [JournalLine] {
        struct Key: Hashable {
            var kind: JournalLine.Kind
            var subject: String
        }
        var newest: [Key: Int64] = [:]
        for line in page where coalescing.contains(line.kind) {
            newest[Key(kind: line.kind, subject: line.subject)] = line.seq
        }
        return page.filter { line in
            guard kinds.isEmpty || kinds.contains(line.kind) else { return false }
            guard let last = newest[Key(kind: line.kind, subject: line.subject)] else {
                return true
            }
            return last == line.seq
        }
    }

    private func start(_ house: ChargePointOperator, _ fromStart: Bool) async throws -> Int64 {
        if let cursor = try await house.journal.cursor(of: name) { return cursor }
        let seq = fromStart ? 0 : try await house.journal.newest()
        try await move(house, to: seq)
        return seq
    }

    /// False when the task was cancelled before the line was settled.
    private func bring(
        _ line: JournalLine, _ house: ChargePointOperator, _ backoff: inout Backoff,
        _ deliver: @Sendable (JournalLine) async -> Delivery
    ) async throws -> Bool {
        var tries = 0
        while !Task.isCancelled {
            tries += 1
            switch await deliver(line) {
            case .delivered:
                backoff.reset()
                try await move(house, to: line.seq)
                return true
            case .park(let reason):
                try await park(house, line, reason)
                return true
            case .retry(let reason):
                guard tries < triesPerLine else {
                    try await park(house, line, reason)
                    return true
                }
                do {
                    try await house.clock.sleep(milliseconds: backoff.next())
                } catch {
                    return false
                }
            }
        }
        return false
    }

    /// What was set aside and a person asked for gets one try: it is through, or set aside again with
    /// what this try found. Those behind it need not wait for a peer that is still down.
    ///
    /// - Returns: how many were asked for.
    private func bringAsked(
        _ house: ChargePointOperator, _ deliver: @Sendable (JournalLine) async -> Delivery
    ) async throws -> Int {
        let lines = try await house.journal.asked(of: name, limit: Self.askedAtOnce)
        for line in lines {
            let outcome = await deliver(line)
            // Cut short it says nothing about the peer: it stays asked for.
            if Task.isCancelled { break }
            let name = name
            try await house.write { transaction in
                switch outcome {
                case .delivered:
                    _ = try house.journal.release(name, line.seq, in: transaction)
                case .retry(let reason), .park(let reason):
                    try house.journal.parkAgain(name, line.seq, reason: reason, in: transaction)
                }
            }
        }
        return lines.count
    }

    private func move(_ house: ChargePointOperator, to seq: Int64) async throws {
        let (name, at) = (name, house.clock.now)
        try await house.write { try house.journal.move(name, to: seq, at: at, in: $0) }
    }

    private func park(
        _ house: ChargePointOperator, _ line: JournalLine, _ reason: String
    ) async throws {
        let (name, at) = (name, house.clock.now)
        try await house.write { transaction in
            try house.journal.park(name, line.seq, reason: reason, at: at, in: transaction)
            try house.journal.move(name, to: line.seq, at: at, in: transaction)
        }
    }
}
