import SQL

extension CentralSystem {
    /// Numbers 100 to 199.
    package static let migrations: [Migration] = [
        Migration(
            100, "how stations prove themselves",
            """
            CREATE TABLE csms_station (
                folded TEXT PRIMARY KEY, security_profile BIGINT, salt BLOB, verifier BLOB,
                certificate_name TEXT, takes_any_user BIGINT NOT NULL, is_strict BIGINT NOT NULL,
                changed_at BIGINT NOT NULL);
            """),
        Migration(
            101, "the message log, deviations and refused handshakes",
            """
            CREATE TABLE csms_message (
                id {identity}, station TEXT NOT NULL, at BIGINT NOT NULL,
                is_inbound BIGINT NOT NULL, action TEXT NOT NULL, message_id TEXT NOT NULL,
                request TEXT NOT NULL, answer TEXT, took_ms BIGINT, note TEXT);
            CREATE INDEX csms_message_station ON csms_message(station, id);
            CREATE TABLE csms_deviation (
                station TEXT NOT NULL, kind TEXT NOT NULL, times BIGINT NOT NULL,
                first_at BIGINT NOT NULL, last_at BIGINT NOT NULL, PRIMARY KEY (station, kind));
            CREATE TABLE csms_refusal (
                folded TEXT NOT NULL, reason TEXT NOT NULL, address TEXT NOT NULL,
                times BIGINT NOT NULL, first_at BIGINT NOT NULL, last_at BIGINT NOT NULL,
                PRIMARY KEY (folded, reason, address));
            """),
        Migration(
            102, "one-time codes by which boards enrol",
            """
            CREATE TABLE csms_enrolment (
                hash TEXT PRIMARY KEY, folded TEXT NOT NULL, made_at BIGINT NOT NULL,
                expires_at BIGINT NOT NULL, used_at BIGINT, used_by TEXT);
            """),
        Migration(
            103, "what counted before a change of a station's access",
            """
            ALTER TABLE csms_station ADD COLUMN former_verifier TEXT;
            ALTER TABLE csms_station ADD COLUMN former_profile BIGINT;
            ALTER TABLE csms_station ADD COLUMN former_until BIGINT;
            """),
        Migration(
            104, "more than one change of a station's access may be under way",
            """
            ALTER TABLE csms_station ADD COLUMN formers TEXT;
            """),
        Migration(
            105, "what stations hold in their local lists",
            """
            CREATE TABLE csms_local_list (
                folded TEXT PRIMARY KEY, station TEXT NOT NULL, is_kept BIGINT, version BIGINT,
                content TEXT, state TEXT NOT NULL, detail TEXT, entries BIGINT NOT NULL,
                is_cut BIGINT NOT NULL, most_entries BIGINT NOT NULL,
                most_per_message BIGINT NOT NULL, looks_while_online BIGINT NOT NULL,
                changed_at BIGINT, next_try_at BIGINT);
            CREATE TABLE csms_list_content (digest TEXT PRIMARY KEY, body TEXT NOT NULL);
            """),
        Migration(
            106, "the security profile that a station came by, so that it comes by nothing weaker",
            """
            ALTER TABLE csms_station ADD COLUMN proven_profile BIGINT;
            """),
        Migration(
            107, "where a station came from that waits to be taken in",
            """
            ALTER TABLE csms_station ADD COLUMN came_from TEXT;
            """),
        Migration(
            108, "stations that name no version of OCPP, and where their clocks are",
            """
            ALTER TABLE csms_station ADD COLUMN takes_no_subprotocol BIGINT NOT NULL DEFAULT 0;
            ALTER TABLE csms_station ADD COLUMN time_zone TEXT;
            """),
        Migration(
            109, "files that stations fetch or bring, and the one-time addresses for it",
            """
            CREATE TABLE csms_file (
                id TEXT PRIMARY KEY, kind TEXT NOT NULL, station TEXT, name TEXT NOT NULL,
                vendor TEXT, model TEXT, version TEXT, certificate TEXT, signature TEXT,
                wanted_sha256 TEXT, size BIGINT, sha256 TEXT, created_at BIGINT NOT NULL,
                stored_at BIGINT, made_by TEXT NOT NULL, command TEXT);
            CREATE INDEX csms_file_kind ON csms_file(kind, created_at);
            CREATE TABLE csms_link (
                hash TEXT PRIMARY KEY, direction TEXT NOT NULL, file TEXT NOT NULL, station TEXT,
                uses BIGINT NOT NULL, most_uses BIGINT NOT NULL, made_at BIGINT NOT NULL,
                expires_at BIGINT NOT NULL, used_at BIGINT);
            CREATE INDEX csms_link_file ON csms_link(file);
            """),
        Migration(
            110, "certificates that the operator's authority made for stations",
            """
            CREATE TABLE csms_certificate (
                fingerprint TEXT PRIMARY KEY, serial TEXT NOT NULL, station TEXT NOT NULL,
                name TEXT NOT NULL, issuer TEXT NOT NULL, made_at BIGINT NOT NULL,
                not_after BIGINT NOT NULL, command TEXT, used_at BIGINT, ends_at BIGINT,
                reason TEXT, UNIQUE (issuer, serial));
            CREATE INDEX csms_certificate_station ON csms_certificate(station, made_at);
            CREATE TABLE csms_signing (
                station TEXT PRIMARY KEY, name TEXT NOT NULL, csr TEXT NOT NULL,
                asked_at BIGINT NOT NULL, root_command TEXT);
            CREATE TABLE csms_renewal (station TEXT PRIMARY KEY, asked_at BIGINT NOT NULL);
            """),
        Migration(
            111, "stations that wait to be taken in though they were registered",
            """
            ALTER TABLE csms_station ADD COLUMN was_registered BIGINT NOT NULL DEFAULT 0;
            """),
        Migration(
            112, "passwords of stations that no machine made are stretched",
            """
            ALTER TABLE csms_station ADD COLUMN stretch BIGINT NOT NULL DEFAULT 0;
            """),
    ]
}
