// The floor of a Beckn search: one signature verified, one box query in SQLite's R*Tree over the
// same places, one answer of BYTES bytes hashed and signed. No JSON, no HTTP, no storing.
//
//   searchfloor EVSES BYTES ROUNDS      prints CPU-µs per round
#include <openssl/evp.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { evses_per_location = 4, request_bytes = 700, line_bytes = 160 };

static double cpu(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec * 1e-3;
}

static void must(int is_true, const char *what) {
    if (is_true) return;
    fprintf(stderr, "searchfloor: %s\n", what);
    exit(1);
}

static void hash(const unsigned char *bytes, size_t count, unsigned char *out) {
    must(EVP_Digest(bytes, count, out, NULL, EVP_blake2b512(), NULL), "hash");
}

static void sign(EVP_PKEY *key, const unsigned char *line, unsigned char *signature) {
    size_t length = 64;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    must(EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1, "sign");
    must(EVP_DigestSign(context, signature, &length, line, line_bytes) == 1, "sign");
    EVP_MD_CTX_free(context);
}

static void verify(EVP_PKEY *key, const unsigned char *line, const unsigned char *signature) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    must(EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1, "verify");
    must(EVP_DigestVerify(context, signature, 64, line, line_bytes) == 1, "verify");
    EVP_MD_CTX_free(context);
}

static sqlite3_stmt *places(sqlite3 **database, int evses) {
    sqlite3_stmt *insert, *query;
    int locations = evses / evses_per_location, side = 1;
    while (side * side < locations) side++;
    must(sqlite3_open(":memory:", database) == SQLITE_OK, "open");
    must(
        sqlite3_exec(
            *database,
            "CREATE VIRTUAL TABLE place USING rtree(id, south, north, west, east);"
            "CREATE TABLE evse (place INTEGER, number INTEGER, standard TEXT, body TEXT,"
            " PRIMARY KEY (place, number)) WITHOUT ROWID;",
            NULL, NULL, NULL)
            == SQLITE_OK,
        "schema");
    sqlite3_exec(*database, "BEGIN", NULL, NULL, NULL);
    sqlite3_prepare_v2(
        *database, "INSERT INTO place VALUES (?1, ?2, ?2, ?3, ?3)", -1, &insert, NULL);
    for (int i = 0; i < locations; i++) {
        sqlite3_bind_int(insert, 1, i);
        sqlite3_bind_double(insert, 2, 28.0 + i / side * 0.02);
        sqlite3_bind_double(insert, 3, 76.5 + i % side * 0.02);
        must(sqlite3_step(insert) == SQLITE_DONE, "insert");
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    sqlite3_exec(
        *database,
        "WITH n(x) AS (VALUES (1), (2), (3), (4)) INSERT INTO evse SELECT id, x,"
        " CASE x % 2 WHEN 0 THEN 'IEC_62196_T2_COMBO' ELSE 'IEC_62196_T2' END,"
        " printf('IN*KRB*E%d*%d', id, x) FROM place, n; COMMIT",
        NULL, NULL, NULL);
    must(
        sqlite3_prepare_v2(
            *database,
            "SELECT id, number, body FROM place JOIN evse ON evse.place = id WHERE north >= ?1 AND"
            " south <= ?2 AND east >= ?3 AND west <= ?4 AND standard = 'IEC_62196_T2'",
            -1, &query, NULL)
            == SQLITE_OK,
        "query");
    return query;
}

int main(int count, char **words) {
    must(count == 4, "EVSES BYTES ROUNDS");
    size_t answer_bytes = (size_t)atoi(words[2]);
    int rounds = atoi(words[3]);
    sqlite3 *database;
    sqlite3_stmt *query = places(&database, atoi(words[1]));
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    unsigned char digest[64], signature[64], line[line_bytes] = {0}, request[request_bytes] = {0};
    unsigned char *answer = calloc(1, answer_bytes + 1);
    must(key && answer, "memory");
    sign(key, line, signature);
    unsigned long found = 0;
    double start = cpu();
    for (int i = 0; i < rounds; i++) {
        double south = 28.1 + (double)(i % 80) * 0.01 - 0.027, west = 76.6 + (double)(i % 79) * 0.01 - 0.031;
        hash(request, sizeof request, digest);
        verify(key, line, signature);
        sqlite3_bind_double(query, 1, south);
        sqlite3_bind_double(query, 2, south + 0.054);
        sqlite3_bind_double(query, 3, west);
        sqlite3_bind_double(query, 4, west + 0.062);
        while (sqlite3_step(query) == SQLITE_ROW) found++;
        sqlite3_reset(query);
        hash(answer, answer_bytes, digest);
        sign(key, line, signature);
    }
    printf("%.2f\n", (cpu() - start) / rounds);
    must(found > 0, "nothing found");
    sqlite3_finalize(query);
    sqlite3_close(database);
    EVP_PKEY_free(key);
    free(answer);
    return 0;
}
