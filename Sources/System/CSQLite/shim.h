#pragma once
#include <sqlite3.h>
// SQLITE_TRANSIENT is a cast macro and sqlite3_db_config is variadic: Swift imports neither.
static inline int kerb_sqlite_bind_text(sqlite3_stmt *s, int i, const char *p, int n) {
    return sqlite3_bind_text(s, i, p, n, SQLITE_TRANSIENT);
}
static inline int kerb_sqlite_bind_blob(sqlite3_stmt *s, int i, const void *p, int n) {
    return sqlite3_bind_blob(s, i, p, n, SQLITE_TRANSIENT);
}
// A database file that somebody else wrote into must not be able to run anything.
static inline int kerb_sqlite_defend(sqlite3 *d) {
    int failure = sqlite3_db_config(d, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)0);
    return failure ? failure : sqlite3_db_config(d, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, (int *)0);
}
// Once, before the first database is opened. Savepoints keep what they undo in memory: by default
// SQLite spills it into a file under /var/tmp from 64 KiB on, which costs as much as the log itself.
// Nobody reads the memory statistics, and counting them takes a global lock per allocation.
static inline int kerb_sqlite_configure(void) {
    int failure = sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, -1);
    return failure ? failure : sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}
