import Charging
import SQL
import Service

/// What a sample is worth when space runs out; the lowest go first, every other one, oldest first.
enum SampleRank: Int, Hashable, Sendable, CaseIterable {
    case ordinary = 0
    /// The first of a quarter of an hour: prices and settlement change on its boundaries.
    case quarter = 1
    /// The first of an hour.
    case hour = 2
    /// The first of a charge. The last one is known by its place.
    case first = 3

    init(of at: Timestamp, after previous: Timestamp?) {
        guard let previous else {
            self = .first
            return
        }
        func isNew(_ milliseconds: Int64) -> Bool {
            at.milliseconds / milliseconds != previous.milliseconds / milliseconds
        }
        self = isNew(3_600_000) ? .hour : isNew(900_000) ? .quarter : .ordinary
    }
}

extension BoardJournal {
    /// Queues a sample; thins what waits where it is too much. While the disk is full nothing is
    /// written but the register: the space left is for ends.
    package func sample(_ sample: StoredSample, of charge: Int64) async throws {
        guard trouble == nil else {
            state.withLock { $0.skippedSamples += 1 }
            return try await keep(
                register: sample.snapshot.register, of: charge, at: sample.snapshot.at)
        }
        let (text, at, limits) = (sample.text, sample.snapshot.at, limits)
        let (bootID, base) = (bootID, base(of: at))
        // Clock-aligned ones and those that were asked for are never thinned first.
        let isPeriodic = sample.context == .samplePeriodic
        try await write(.sample) { sql in
            let previous = try sql.queryOne(
                "SELECT last_sample_at FROM charge WHERE id = ?", charge)?
                .timestampOrNil("last_sample_at")
            let rank = SampleRank(of: at, after: previous)
            try Self.owe(
                "sample", of: charge, boot: bootID, base: base, body: text,
                rank: isPeriodic ? rank : max(rank, .quarter), sql)
            try sql.execute("UPDATE charge SET last_sample_at = ? WHERE id = ?", at, charge)
            try Self.keep(
                sample.snapshot.register, of: charge, at: at, boot: bootID, base: base, sql)
            _ = try Self.makeRoom(limits, below: limits.thinningBytes, sql)
        }
    }

    /// Where the journal is above `most`, thins samples until an eighth of it is free again, so that
    /// the work is not done anew for the next sample; false where too little is left to thin.
    ///
    /// Every other one of the oldest goes, and again, so that the past becomes coarser the older it
    /// is. Ordinary ones first, then quarters, hours, last what begins and ends a charge's samples.
    static func makeRoom(
        _ limits: JournalLimits, below most: Int64, _ sql: Transaction
    ) throws -> Bool {
        guard try usedBytes(sql) > most else { return true }
        let enough = most - most / 8
        for rank in SampleRank.allCases {
            // Each round takes half of the oldest quarter: a hundred leave nothing of it.
            for _ in 0..<100 {
                let gone = try thin(upTo: rank, most: limits.thinnedAtOnce, sql)
                if try usedBytes(sql) <= enough { return true }
                if gone == 0 { break }
            }
        }
        return try usedBytes(sql) <= most
    }

    /// Bytes of the pages in use.
    static func usedBytes(_ sql: Transaction) throws -> Int64 {
        let pages = try sql.queryOne("PRAGMA page_count")?.int64("page_count") ?? 0
        let free = try sql.queryOne("PRAGMA freelist_count")?.int64("freelist_count") ?? 0
        return (pages - free) * 4096
    }

    /// Removes every other one of the oldest quarter of the samples up to a rank; of at least four.
    private static func thin(
        upTo rank: SampleRank, most: Int, _ sql: Transaction
    ) throws -> Int {
        // Below the highest rank the last sample of each charge stays, whatever its rank.
        let kept =
            rank == .first
            ? ""
            : "AND seq NOT IN (SELECT MAX(seq) FROM message WHERE kind = 'sample' GROUP BY charge_id)"
        let count =
            try sql.queryOne(
                "SELECT COUNT(*) AS n FROM message WHERE kind = 'sample' AND rank <= ? \(kept)",
                rank.rawValue)?.int("n") ?? 0
        guard count > 0 else { return 0 }
        return try sql.execute(
            """
            DELETE FROM message WHERE seq IN (
                SELECT seq FROM (
                    SELECT seq, ROW_NUMBER() OVER (ORDER BY seq) AS place FROM (
                        SELECT seq FROM message WHERE kind = 'sample' AND rank <= ? \(kept)
                        ORDER BY seq LIMIT ?))
                WHERE place % 2 = 0 OR ? = 1)
            """, rank.rawValue, min(most, max(4, count / 4)), count)
    }
}

extension SampleRank: Comparable {
    static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}
