import Charging
import SQL
import Service

extension BoardJournal {
    /// Why no charge may begin now; nil while all is well.
    package var trouble: JournalTrouble? { state.withLock { $0.trouble } }

    /// Learns from a failed write what the disk is worth.
    func note(_ error: any Error) {
        let trouble: JournalTrouble? =
            switch error {
            case JournalError.refusing(let trouble): trouble
            case SQLError.full: .full
            case SQLError.corrupt: .damaged
            case SQLError.disk(let why), SQLError.unreadable(let why),
                SQLError.notAllowed(let why):
                .failing(why)
            default: nil
            }
        guard let trouble else { return }
        // Damage is not forgotten because the next write happens to touch another page.
        state.withLock { $0.trouble = $0.trouble == .damaged ? .damaged : trouble }
    }

    /// Looks after the journal until it is cancelled or found damaged: holds a little disk back, and
    /// once writing has failed tries again until it works.
    func watch(_ log: Log) async {
        var told: JournalTrouble?
        while !Task.isCancelled {
            await probeDisk()
            do { try await settleTimes() } catch {
                log.warning("clock not noted", ["error": String(describing: error)])
            }
            let trouble = trouble
            if trouble != told {
                told = trouble
                tell(trouble, log)
            }
            if trouble == .damaged { return }
            do { try await clock.sleep(milliseconds: limits.probeMilliseconds) } catch { return }
        }
    }

    private func tell(_ trouble: JournalTrouble?, _ log: Log) {
        if let trouble {
            log.error("no new charge", ["reason": trouble.description])
            return
        }
        let skipped = state.withLock { state in
            defer { state.skippedSamples = 0 }
            return state.skippedSamples
        }
        log.notice("journal writes again", ["samplesNotKept": skipped])
    }

    /// One look: is the space held back there, and where writing failed, does it work again?
    package func probeDisk() async {
        guard reserve?.hold() != false else {
            state.withLock { $0.trouble = .full }
            return
        }
        guard let trouble, trouble != .damaged else { return }
        let (bootID, limits) = (bootID, limits)
        do {
            let hasRoom = try await write(.probe) { sql in
                try sql.execute("UPDATE boot SET last_ms = last_ms WHERE boot_id = ?", bootID)
                return try Self.usedBytes(sql) <= limits.startBytes
            }
            state.withLock { $0.trouble = hasRoom ? nil : .limit }
        } catch {
            note(error)
        }
    }

    // MARK: What a person should know

    /// Something a person should look at: stays until `clearNotices`.
    func leaveNotice(_ text: String) async throws {
        let (now, most) = (clock.now, limits.notices)
        try await write(.setting) { sql in
            try sql.execute("INSERT INTO notice (at, text) VALUES (?, ?)", now, text)
            try sql.execute(
                """
                DELETE FROM notice WHERE number NOT IN (
                    SELECT number FROM notice ORDER BY number DESC LIMIT ?)
                """, most)
        }
    }

    package func clearNotices() async throws {
        try await write(.setting) { sql in try sql.execute("DELETE FROM notice") }
    }

    /// The journal at a glance, for `kerb-edge status` and `doctor`.
    package struct View: Hashable, Sendable {
        /// Messages the operator has not confirmed.
        package var depth = 0
        /// Charges the operator refuses; each is tried again, for ever.
        package var parkedCharges = 0
        /// Messages whose times wait for a clock that can be trusted.
        package var waitingForTime = 0
        package var usedBytes: Int64 = 0
        package var limitBytes: Int64 = 0
        package var trouble: JournalTrouble?
        package var notices: [String] = []
    }

    package func view() async throws -> View {
        let (limits, trouble, bootID) = (limits, trouble, bootID)
        let now = clock.monotonicMilliseconds
        return try await database.read { sql in
            func count(_ text: String, _ arguments: [SQLValue] = []) throws -> Int {
                try sql.query(text, list: arguments).first?.int("n") ?? 0
            }
            return View(
                depth: try count("SELECT COUNT(*) AS n FROM message"),
                parkedCharges: try count(
                    "SELECT COUNT(*) AS n FROM charge WHERE parked_boot = ? AND parked_until > ?",
                    [.text(bootID), .integer(now)]),
                waitingForTime: try count(
                    """
                    SELECT COUNT(*) AS n FROM message JOIN boot USING (boot_id)
                    WHERE boot.trust = 'untrusted'
                    """),
                usedBytes: try Self.usedBytes(sql), limitBytes: limits.bytes, trouble: trouble,
                notices: try sql.query("SELECT at, text FROM notice ORDER BY number").map {
                    "\(try $0.timestamp("at")) \(try $0.text("text"))"
                })
        }
    }
}
