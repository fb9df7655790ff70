#pragma once
#include <libpq-fe.h>
// The default writes notices to standard error: a log of its own that nobody asked for.
static void kerb_pq_ignore(void *argument, const PGresult *notice) {
    (void)argument;
    (void)notice;
}
static inline void kerb_pq_silence(PGconn *connection) {
    PQsetNoticeReceiver(connection, kerb_pq_ignore, (void *)0);
}
