import Charging
import SQL
import Service

// How times are kept: every record holds the wall's time as the board believed it, the boot it was
// written in, and what the wall read at that boot's monotonic zero (`clock_base`). Their difference
// is the monotonic time, which is never wrong. Once a clock can be trusted, the boot's true base is
// known, and with it the true time of each of its records.
extension BoardJournal {
    /// What the wall's clock reads at the monotonic zero of this boot, in milliseconds.
    var base: Int64 { clock.now.milliseconds - clock.monotonicMilliseconds }

    var trust: ClockTrust { (clock as? BoardClock)?.trust ?? .operator }

    /// Somebody who knows said what time it is; a battery may be slow, and would let in what has expired.
    var isClockKnown: Bool {
        switch trust {
        case .operator, .ntp: true
        case .untrusted, .rtc: false
        }
    }

    /// The time without the operator's word; nil where nobody here knows it.
    var ownTime: Timestamp? {
        guard let board = clock as? BoardClock else { return clock.now }
        return board.ownTime
    }

    /// The base that a time of this boot was read with. The clock may have been set between the
    /// moment something happened and the moment it is written; then it is the one before.
    func base(of at: Timestamp) -> Int64 {
        let now = clock.monotonicMilliseconds
        let present = clock.now.milliseconds - now
        let known = state.withLock { state in
            if let last = state.bases.last, abs(present - last) <= BoardClock.smallestStep {
                return state.bases
            }
            state.bases.append(present)
            if state.bases.count > Self.rememberedBases { state.bases.removeFirst() }
            return state.bases
        }
        for base in [present] + known.reversed() {
            let monotonic = at.milliseconds &- base
            if monotonic >= 0, monotonic <= now + BoardClock.smallestStep { return base }
        }
        // Of no clock this program has seen: it counts as of now.
        return at.milliseconds &- now
    }

    private static let rememberedBases = 8

    /// This boot was alive at that moment.
    static func alive(
        _ at: Timestamp, _ boot: String, _ base: Int64, _ sql: Transaction
    ) throws {
        try sql.execute(
            "UPDATE boot SET last_ms = MAX(last_ms, ?) WHERE boot_id = ?",
            sane(at.milliseconds &- base), boot)
    }

    /// What damage made of a time must not end the program that reckons with it: a row without a sum is
    /// believed. Milliseconds; 2,200 years to either side.
    static func sane(_ milliseconds: Int64) -> Int64 {
        min(max(milliseconds, -(1 << 46)), 1 << 46)
    }

    /// By how much a time moves that was written with `base`: as the boot of its charge was told, else
    /// as that boot is known now; not at all while nobody knows.
    static func shift(
        from base: Int64, boot: String, of charge: Row, _ sql: Transaction
    ) throws -> Int64 {
        if let told = try charge.int64OrNil("told_base"), try charge.textOrNil("told_boot") == boot
        {
            return sane(told &- base)
        }
        let row = try sql.queryOne("SELECT base_ms, trust FROM boot WHERE boot_id = ?", boot)
        guard let row, try row.text("trust") != ClockTrust.untrusted.rawValue else { return 0 }
        return try shift(from: base, to: row.int64("base_ms"))
    }

    /// An answer's way over the network moves nothing.
    static func shift(from base: Int64, to known: Int64) -> Int64 {
        let shift = sane(known &- base)
        return abs(shift) > BoardClock.tolerancesMilliseconds ? shift : 0
    }

    /// When a charge began, as it was told or would be now.
    static func startedAt(_ charge: Row, _ sql: Transaction) throws -> Timestamp {
        let at = try charge.timestamp("started_at")
        return Timestamp(
            milliseconds: sane(at.milliseconds) + sane(try startShift(charge, sql)))
    }

    static func startShift(_ charge: Row, _ sql: Transaction) throws -> Int64 {
        if let settled = try charge.int64OrNil("start_shift_ms") { return settled }
        // A charge of an older program's: its boot is no longer known.
        guard let boot = try charge.textOrNil("start_boot"),
            let base = try charge.int64OrNil("start_base")
        else { return 0 }
        return try shift(from: base, boot: boot, of: charge, sql)
    }

    /// The base of this boot as an earlier run of the program, or its operator, found it.
    package func trustedBase() async throws -> Int64? {
        let bootID = bootID
        return try await database.read { sql in
            try sql.queryOne(
                "SELECT base_ms FROM boot WHERE boot_id = ? AND trust IN ('operator', 'ntp')",
                bootID)?
                .int64("base_ms")
        }
    }

    /// Enters this boot, and forgets those of which nothing is left; but for the last one whose times are
    /// known, after which all later ones lie.
    func enterBoot() async throws {
        let (bootID, base, trust, now) = (bootID, base, trust, clock.monotonicMilliseconds)
        try await write(.opening) { sql in
            try sql.execute(
                """
                INSERT INTO boot (boot_id, base_ms, trust, last_ms) VALUES (?, ?, ?, ?)
                ON CONFLICT (boot_id) DO NOTHING
                """, bootID, base, ClockTrust.untrusted.rawValue, now)
            try Self.seal("boot", where: "boot_id = ?", bootID, in: sql)
            try sql.execute(
                """
                DELETE FROM boot WHERE boot_id <> ?
                    AND boot_id NOT IN (SELECT boot_id FROM message)
                    AND boot_id NOT IN (SELECT boot_id FROM charge)
                    AND boot_id NOT IN (SELECT boot_id FROM stop_sample)
                    AND boot_id NOT IN (SELECT boot_id FROM upkeep_report)
                    AND boot_id NOT IN (
                        SELECT start_boot FROM charge WHERE start_boot IS NOT NULL)
                    AND number <> COALESCE((
                        SELECT MAX(number) FROM boot
                        WHERE boot_id <> ? AND trust NOT IN ('untrusted', 'rtc', 'supposed')), 0)
                """, bootID, bootID)
            if trust != .untrusted { try Self.settle(bootID, base, trust, sql) }
        }
    }

    /// Once the clock can be trusted, and again when it was set: what this boot's zero was.
    func settleTimes() async throws {
        let trust = trust
        guard trust != .untrusted else { return }
        let (bootID, base, now) = (bootID, base, clock.now)
        let isKnown = state.withLock { state in
            guard let settled = state.settled else { return false }
            return settled.trust == trust
                && abs(settled.base - base) <= BoardClock.tolerancesMilliseconds
        }
        if isKnown { return }
        try await write(.time) { sql in
            try Self.settle(bootID, base, trust, sql)
            if trust != .rtc { try Self.correctStamps(at: now, sql) }
        }
        state.withLock { $0.settled = (base, trust) }
    }

    /// A boot whose base was found from the boot after it, which an operator or a time server had set.
    private static let derived = "derived"
    /// The same from a battery's word, or of a boot whose own time order refutes: until there is a
    /// better one.
    private static let supposed = "supposed"
    /// A boot that ended by so much after the next one began had a clock that was ahead, whoever set it:
    /// a time server that was wrong once must not date for ever what came before it was right.
    private static let mostDisorder: Int64 = 86_400_000

    /// What a word on the time weighs against another that contradicts it: a lighter one may be the one
    /// that is wrong, and refutes nothing. A battery's own is judged by order alone.
    private static func weight(_ word: String) -> Int {
        switch ClockTrust(rawValue: word) {
        case .ntp: 3
        case .operator: 2
        case nil: 1
        case .rtc, .untrusted: 0
        }
    }

    /// Boots that ended before anybody knew the time lie before the next one: the closest they can
    /// be is that each ended as the next began. So order holds, and durations are exact.
    private static func settle(
        _ bootID: String, _ base: Int64, _ trust: ClockTrust, _ sql: Transaction
    ) throws {
        // A program that starts again knows less than the one before it in this boot: a battery is
        // read at power-on only, and what the clock says later is no word of it.
        let changed = try sql.execute(
            """
            UPDATE boot SET base_ms = ?1, trust = ?2
            WHERE boot_id = ?3 AND (?2 <> 'rtc' OR trust = 'untrusted')
            """, base, trust.rawValue, bootID)
        guard changed > 0 else { return }
        var next = base
        let earlier = try sql.query(
            """
            SELECT number, base_ms, trust, last_ms FROM boot
            WHERE number < (SELECT number FROM boot WHERE boot_id = ?) ORDER BY number DESC
            """, bootID)
        for (index, row) in earlier.enumerated() {
            let (own, last) = (try row.int64("base_ms"), try row.int64("last_ms"))
            let word = try row.text("trust")
            let isRefuted =
                Self.weight(trust.rawValue) >= Self.weight(word)
                && own &+ last > next &+ Self.mostDisorder
            let isKnown: Bool =
                switch ClockTrust(rawValue: word) {
                case .operator, .ntp: !isRefuted
                // A battery is believed as far as order allows.
                case .rtc:
                    try own &+ last <= next
                        && own >= earliest(after: earlier.dropFirst(index + 1), next: next) ?? own
                case .untrusted: false
                case nil: word != Self.supposed && !isRefuted
                }
            if isKnown {
                next = own
                continue
            }
            next = next &- last
            try sql.execute(
                "UPDATE boot SET base_ms = ?, trust = ? WHERE number = ?", next,
                trust == .rtc || isRefuted ? Self.supposed : Self.derived,
                try row.int64("number"))
        }
        try seal("boot", where: "TRUE", in: sql)
    }

    /// When a boot can have begun at the earliest, after those before it, the last one first: what is known
    /// of one of them, and as long as those since then took, of whose times nothing is known but that.
    /// One that ended long after `next`, the beginning of a boot after it, had a clock that was ahead and bounds
    /// nothing.
    private static func earliest(after boots: ArraySlice<Row>, next: Int64) throws -> Int64? {
        var (bound, since): (Int64?, Int64) = (nil, 0)
        for row in boots {
            let (base, last) = (try row.int64("base_ms"), try row.int64("last_ms"))
            let word = try row.text("trust")
            let trust = ClockTrust(rawValue: word)
            if trust != .untrusted, word != supposed, base &+ last <= next &+ mostDisorder {
                bound = max(bound ?? .min, base &+ last &+ since)
                if trust != .rtc { return bound }
            }
            since = since &+ last
        }
        return bound
    }
}
