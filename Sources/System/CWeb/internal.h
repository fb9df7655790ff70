#pragma once
#include "CWeb.h"
#include <libwebsockets.h>
#include <stdatomic.h>
#include <uv.h>

enum {
    WHEEL_SLOTS = 64,      // seconds; a later check is put off slot by slot
    SCRATCH_BYTES = 65536, // largest message that is written without being queued
    WRITE_BYTES = 32768,   // an answer goes out in pieces of this
    MAX_FIELDS = 160,
    ACCEPTS_A_TURN = 64,
    LINGER_SECONDS = 3, // after a refused body: the answer must not be lost in a reset
    REASON_BYTES = 256,
    VHOST_NAME_BYTES = 48,
    RETIRE_SECONDS = 3,
};

typedef enum { KIND_NEW, KIND_HTTP, KIND_STREAM, KIND_SOCKET, KIND_CLIENT } web_kind;

typedef struct {
    uint8_t *bytes;
    size_t length, capacity;
} web_buffer;

typedef struct web_tx {
    struct web_tx *next;
    size_t length, sent;
    bool text;
    unsigned char bytes[]; // LWS_PRE, then `length`
} web_tx;

typedef struct web_listener {
    struct web_listener *next;
    web_loop *loop;
    char *name;
    char vhost_name[VHOST_NAME_BYTES]; // lws keeps the pointer
    struct lws_vhost *vhost;
    struct lws *wsi; // of the listening socket
    bool paused;
    int socket; // until it is adopted
} web_listener;

struct web_conn {
    struct lws *wsi;
    web_loop *loop;
    web_listener *listener; // NULL for our own client connections
    void *user;
    struct web_conn *next, **previous;             // all of the loop
    struct web_conn *wheel_next, **wheel_previous; // due in the same second
    web_buffer received;                           // body, or a message that comes in pieces
    web_tx *head, *tail;
    size_t queued;
    web_buffer refusal;
    char *close_reason; // ours or the peer's
    uint32_t heard, wrote; // seconds of the loop
    uint32_t body_began, body_heard;
    uint32_t ping; // seconds of silence before one; 0: none
    size_t chunk_left;
    unsigned long long body_left; // a streamed body may still bring so many bytes
    uint16_t close_code;
    uint8_t kind, chunk_state, size_digits;
    uint16_t chunk_overhead; // bytes of the extension or trailer at hand
    bool opened, closing, close_sent, by_peer, cut, pinged;
    bool streamed, body_done, events;
    bool awaits_body, dispatched, answered, close_after, chunked, lingering, text;
};

// The functions of libuv that are used, found at run time: an agent needs no libuv.
typedef struct {
    int (*loop_init)(uv_loop_t *);
    int (*run)(uv_loop_t *, uv_run_mode);
    void (*stop)(uv_loop_t *);
    int (*async_init)(uv_loop_t *, uv_async_t *, uv_async_cb);
    int (*async_send)(uv_async_t *);
    int (*timer_init)(uv_loop_t *, uv_timer_t *);
    int (*timer_start)(uv_timer_t *, uv_timer_cb, uint64_t, uint64_t);
    void (*close)(uv_handle_t *, uv_close_cb);
} web_uv;

typedef struct web_trust {
    struct web_trust *next;
    char *ca_file, *certificate_file, *key_file;
    char vhost_name[VHOST_NAME_BYTES]; // lws keeps the pointer
    struct lws_vhost *vhost;
} web_trust;

struct web_loop {
    web_loop_config config;
    web_callbacks callbacks;
    struct lws_context *context;
    struct lws_protocols *protocols;
    size_t protocol_count;
    char **names; // of subprotocols and extra headers, ours to free
    size_t name_count;
    const char *const *extra_headers;
    lws_retry_bo_t no_retry; // all zero: no validity timers of lws
    web_listener *listeners;
    web_trust *trusts;
    web_conn *connections, *adopting;
    size_t connection_count, busy;
    web_conn *wheel[WHEEL_SLOTS];
    uint32_t now;
    int accepts_left;
    bool accepting, retired;
    web_loop *next_retired;
    lws_sorted_usec_list_t poll_tick;
    web_uv uv;
    uv_loop_t uv_loop;
    uv_async_t uv_async;
    uv_timer_t uv_timer;
    atomic_bool stopping;
    atomic_int wake_pending;
    uint8_t *scratch;
    // Where the fields of the request at hand are laid out.
    char *head;
    size_t head_capacity;
    web_field fields[MAX_FIELDS], items[MAX_FIELDS];
};

void web_set_reason(const char *format, ...) __attribute__((format(printf, 1, 2)));

web_conn *conn_create(web_loop *loop, web_listener *listener);
void conn_destroy(web_conn *conn);
void conn_reset_exchange(web_conn *conn);
void conn_set_kind(web_conn *conn, web_kind kind);
void conn_schedule(web_conn *conn, uint32_t seconds);
void conn_check(web_conn *conn);
void conn_heard(web_conn *conn);

int buffer_append(web_buffer *buffer, const void *bytes, size_t length, size_t max);
void buffer_free(web_buffer *buffer);
web_tx *queue_append(web_conn *conn, const void *bytes, size_t length);
void queue_pop(web_conn *conn);

// Keeps bytes of a body or hands them on. -1: too many.
int body_take(web_conn *conn, const uint8_t *bytes, size_t length);
// 1 the body is whole, 0 more is needed, -1 malformed, -2 too large.
int chunked_feed(web_conn *conn, const uint8_t *bytes, size_t length);

int request_read(web_conn *conn, web_request *request);
bool request_certificate(web_conn *conn, web_request *request, char *common_name,
    char *organization, size_t capacity, char *sha256_hex);

int http_begin(web_conn *conn);
int http_body(web_conn *conn, const uint8_t *bytes, size_t length);
int http_body_end(web_conn *conn);
int http_writeable(web_conn *conn);
void http_closed(web_conn *conn);

int socket_confirm(web_conn *conn, const char *upgrade);
int socket_opened(web_conn *conn, const char *subprotocol);
int socket_received(web_conn *conn, const uint8_t *bytes, size_t length);
int socket_writeable(web_conn *conn);
int socket_peer_closes(web_conn *conn, const uint8_t *bytes, size_t length);
void socket_closed(web_conn *conn);

int client_headers(web_conn *conn, unsigned char **at, size_t length);
int client_verify(web_conn *conn);
void client_failed(web_conn *conn, const char *reason);

void listeners_apply(web_loop *loop);
void listeners_free(web_loop *loop);
void trusts_free(web_loop *loop);

int loop_callback(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in, size_t length);
int listener_callback(
    struct lws *wsi, enum lws_callback_reasons why, void *user, void *in, size_t length);
void loop_run_jobs(web_loop *loop);

// A name no client can offer as a subprotocol: it has a space.
#define PROTOCOL_HTTP "kerb http"
#define PROTOCOL_LISTENER "kerb listener"
