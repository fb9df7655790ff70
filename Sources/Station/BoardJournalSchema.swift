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
        Migration(
            10, "the board knows its boots, its check sums and what a person should know",
            """
            CREATE TABLE boot (
                number {identity},
                boot_id TEXT NOT NULL UNIQUE,
                base_ms BIGINT NOT NULL,
                trust TEXT NOT NULL,
                last_ms BIGINT NOT NULL
            );
            INSERT INTO boot (boot_id, base_ms, trust, last_ms)
                SELECT boot_id, MAX(alive_base), 'operator', 0 FROM charge GROUP BY boot_id
                ORDER BY MIN(id);
            CREATE TABLE notice (
                number {identity}, at BIGINT NOT NULL, text TEXT NOT NULL);
            ALTER TABLE charge ADD COLUMN start_sum BIGINT;
            ALTER TABLE charge ADD COLUMN stop_sum BIGINT;
            ALTER TABLE charge ADD COLUMN operator_sum BIGINT;
            ALTER TABLE charge ADD COLUMN last_sample_at BIGINT;
            ALTER TABLE charge ADD COLUMN told_base BIGINT;
            ALTER TABLE charge ADD COLUMN told_boot TEXT;
            ALTER TABLE charge ADD COLUMN parkings BIGINT NOT NULL DEFAULT 0;
            ALTER TABLE charge ADD COLUMN parked_boot TEXT NOT NULL DEFAULT '';
            ALTER TABLE message ADD COLUMN rank BIGINT NOT NULL DEFAULT 0;
            ALTER TABLE message ADD COLUMN sum BIGINT;
            """),
        Migration(
            20, "the board keeps the operator's local list",
            """
            CREATE TABLE local_list (
                id BIGINT PRIMARY KEY, version BIGINT NOT NULL, taken_at BIGINT NOT NULL);
            CREATE TABLE local_token (
                token TEXT PRIMARY KEY,
                status TEXT NOT NULL,
                group_token TEXT,
                expires_at BIGINT
            );
            """),
        Migration(
            21, "a stop can repeat what was sampled",
            """
            CREATE TABLE stop_sample (
                seq {identity},
                charge_id BIGINT NOT NULL REFERENCES charge(id) ON DELETE CASCADE,
                at BIGINT NOT NULL,
                body TEXT NOT NULL,
                boot_id TEXT NOT NULL,
                clock_base BIGINT NOT NULL,
                shift_ms BIGINT
            );
            CREATE INDEX stop_sample_charge ON stop_sample(charge_id);
            """),
        Migration(
            22, "reservations outlive a restart",
            """
            CREATE TABLE reservation (
                id BIGINT PRIMARY KEY,
                connector BIGINT NOT NULL,
                token TEXT NOT NULL,
                group_token TEXT,
                expires_at BIGINT NOT NULL
            );
            """),
        Migration(
            30, "the board remembers the operator's charging profiles",
            """
            CREATE TABLE charging_profile (
                place {identity},
                profile_id BIGINT NOT NULL UNIQUE,
                connector BIGINT NOT NULL,
                charge_id BIGINT,
                body TEXT NOT NULL
            );
            """),
        Migration(
            40, "the time of a start can be repaired after it was told",
            """
            ALTER TABLE charge ADD COLUMN start_boot TEXT;
            ALTER TABLE charge ADD COLUMN start_base BIGINT;
            ALTER TABLE charge ADD COLUMN start_shift_ms BIGINT;
            """),
        Migration(
            50, "a changed digit is noticed in what decides without being billed, too",
            """
            ALTER TABLE charge ADD COLUMN alive_sum BIGINT;
            ALTER TABLE charge ADD COLUMN limits_sum BIGINT;
            ALTER TABLE setting ADD COLUMN sum BIGINT;
            ALTER TABLE availability ADD COLUMN sum BIGINT;
            ALTER TABLE latched_fault ADD COLUMN sum BIGINT;
            ALTER TABLE charging_profile ADD COLUMN sum BIGINT;
            ALTER TABLE local_token ADD COLUMN sum BIGINT;
            ALTER TABLE known_token ADD COLUMN sum BIGINT;
            ALTER TABLE boot ADD COLUMN sum BIGINT;
            """),
    ]
}
