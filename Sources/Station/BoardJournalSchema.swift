import SQL

extension BoardJournal {
    /// Times are milliseconds UTC, energy is whole watt-hours.
    static let migrations: [Migration] = [
        Migration(
            1, "the board remembers charges and what it owes the operator",
            """
            CREATE TABLE charge (
                id {identity},
                connector BIGINT NOT NULL,
                token TEXT NOT NULL,
                is_remote BIGINT NOT NULL,
                meter_start_wh BIGINT NOT NULL,
                started_at BIGINT NOT NULL,
                operator_id BIGINT,
                last_register_wh BIGINT NOT NULL,
                last_alive_at BIGINT NOT NULL,
                boot_id TEXT NOT NULL,
                meter_stop_wh BIGINT,
                stopped_at BIGINT,
                stop_reason TEXT,
                stop_token TEXT,
                is_last_good BIGINT NOT NULL DEFAULT 0,
                parked_until BIGINT NOT NULL DEFAULT 0
            );
            CREATE TABLE message (
                seq {identity},
                charge_id BIGINT NOT NULL REFERENCES charge(id),
                kind TEXT NOT NULL,
                body TEXT,
                refusals BIGINT NOT NULL DEFAULT 0
            );
            CREATE INDEX message_charge ON message(charge_id);
            """),
        Migration(
            2, "the board remembers settings, availability, faults and tokens",
            """
            CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL);
            CREATE TABLE availability (
                connector BIGINT PRIMARY KEY, is_operative BIGINT NOT NULL);
            CREATE TABLE latched_fault (
                connector BIGINT NOT NULL, fault TEXT NOT NULL, PRIMARY KEY (connector, fault));
            CREATE TABLE known_token (
                token TEXT PRIMARY KEY,
                status TEXT NOT NULL,
                group_token TEXT,
                expires_at BIGINT,
                learned_at BIGINT NOT NULL
            );
            """),
        Migration(
            3, "times written by a wrong clock can be repaired before they are sent",
            """
            ALTER TABLE charge ADD COLUMN alive_base BIGINT NOT NULL DEFAULT 0;
            ALTER TABLE message ADD COLUMN boot_id TEXT NOT NULL DEFAULT '';
            ALTER TABLE message ADD COLUMN clock_base BIGINT NOT NULL DEFAULT 0;
            ALTER TABLE message ADD COLUMN shift_ms BIGINT;
            """),
        Migration(
            4, "the board remembers security events, reports of its upkeep and an update",
            """
            CREATE TABLE upkeep_report (
                seq {identity},
                kind TEXT NOT NULL,
                word TEXT NOT NULL,
                request BIGINT,
                info TEXT,
                at BIGINT NOT NULL,
                is_told BIGINT NOT NULL,
                refusals BIGINT NOT NULL,
                boot_id TEXT NOT NULL,
                clock_base BIGINT NOT NULL
            );
            CREATE TABLE upkeep_state (name TEXT PRIMARY KEY, body TEXT NOT NULL);
            """),
        Migration(
            5, "a charge that goes on after a loss of power keeps its limits",
            """
            ALTER TABLE charge ADD COLUMN limits TEXT;
            """),
    ]
}

/// What bounds the journal, in one place.
package struct JournalLimits: Hashable, Sendable {
    /// Samples waiting to be sent; above, every second one goes. Starts and stops never do.
    package var samples = 4000
    package var knownTokens = 2000
    /// Lines of the security log, and reports that wait; the oldest told ones go first.
    package var securityEvents = 1000
    /// A charge whose start or stop the operator refuses again and again lets others pass for this.
    package var parkedMilliseconds: Int64 = 900_000

    package init() {}
}
