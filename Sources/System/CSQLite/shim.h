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
