import SQL

extension OCPIDoor {
    /// Numbers 200 to 299. Times are milliseconds UTC.
    package static let migrations: [Migration] = [
        Migration(
            200, "OCPI partners, with hashes of the tokens they use and the token we use",
            """
            CREATE TABLE ocpi_peer (
                id TEXT PRIMARY KEY, state TEXT NOT NULL, invitation_hash TEXT, token_hash TEXT,
                previous_hash TEXT, previous_until BIGINT, pending_hash TEXT, outgoing_token TEXT,
                body TEXT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL);
            """),
        Migration(
            201, "commands OCPI partners gave, and whether their result is out",
            """
            CREATE TABLE ocpi_command (
                id TEXT PRIMARY KEY, peer TEXT NOT NULL, name TEXT NOT NULL,
                response_url TEXT NOT NULL, expires_at BIGINT NOT NULL, result TEXT,
                result_at BIGINT, after_timeout BIGINT NOT NULL, created_at BIGINT NOT NULL);
            CREATE INDEX ocpi_command_result ON ocpi_command(result);
            """),
        Migration(
            202, "where an OCPI partner keeps the CDRs it took",
            """
            CREATE TABLE ocpi_cdr_receipt (
                peer TEXT NOT NULL, cdr TEXT NOT NULL, location TEXT, delivered_at BIGINT NOT NULL,
                PRIMARY KEY (peer, cdr));
            """),
        Migration(
            203, "the order in which OCPI lists show locations and tariffs",
            """
            CREATE TABLE ocpi_listing (
                position {identity}, kind TEXT NOT NULL, object TEXT NOT NULL,
                UNIQUE (kind, object));
            """),
        Migration(
            204, "when the tokens of an OCPI partner were last pulled as a whole",
            """
            CREATE TABLE ocpi_token_pull (peer TEXT PRIMARY KEY, since BIGINT NOT NULL);
            """),
        Migration(
            206, "results about charging profiles we owe partners, and charges they hear of",
            """
            CREATE TABLE ocpi_profile_promise (
                id TEXT PRIMARY KEY, peer TEXT NOT NULL, kind TEXT NOT NULL, session TEXT NOT NULL,
                station TEXT NOT NULL, party TEXT NOT NULL, profile BIGINT, command TEXT, unit TEXT,
                response_url TEXT NOT NULL, expires_at BIGINT NOT NULL,
                created_at BIGINT NOT NULL);
            CREATE TABLE ocpi_profile_watch (
                session TEXT NOT NULL, peer TEXT NOT NULL, unit TEXT NOT NULL,
                PRIMARY KEY (session, peer));
            """),
        Migration(
            207, "commands OCPI partners gave, by age",
            """
            CREATE INDEX ocpi_command_created ON ocpi_command(created_at);
            CREATE INDEX ocpi_cdr_receipt_cdr ON ocpi_cdr_receipt(cdr);
            """),
        Migration(
            208, "results of profile requests that a later one came before",
            """
            ALTER TABLE ocpi_profile_promise ADD COLUMN result TEXT;
            CREATE INDEX ocpi_profile_promise_session ON ocpi_profile_promise(session);
            """),
    ]
}
