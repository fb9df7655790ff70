import SQL

extension Console {
    /// Numbers 400 to 499. Times are milliseconds UTC; secrets are stored as hashes only.
    package static let migrations: [Migration] = [
        Migration(
            400, "who may log in, by password or by key, and what they did",
            """
            CREATE TABLE console_user (
                name TEXT PRIMARY KEY, role TEXT NOT NULL, password TEXT NOT NULL,
                created_at BIGINT NOT NULL);
            CREATE TABLE console_login (
                token_hash TEXT PRIMARY KEY, user_name TEXT NOT NULL, csrf TEXT NOT NULL,
                address TEXT NOT NULL, created_at BIGINT NOT NULL, seen_at BIGINT NOT NULL);
            CREATE INDEX console_login_user ON console_login(user_name);
            CREATE TABLE console_key (
                prefix TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL,
                secret_hash TEXT NOT NULL, created_at BIGINT NOT NULL, seen_at BIGINT,
                revoked_at BIGINT);
            CREATE TABLE console_audit (
                id {identity}, at BIGINT NOT NULL, who TEXT NOT NULL, address TEXT NOT NULL,
                action TEXT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL,
                status BIGINT NOT NULL);
            """)
    ]
}
