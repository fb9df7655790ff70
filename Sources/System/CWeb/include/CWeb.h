// One event loop is one thread, one libwebsockets context and, on a server, one libuv loop.
// Swift never sees a `struct lws`. Everything but web_loop_wake() and web_loop_stop() is called on
// the loop's own thread; every pointer handed to a callback lives for that call only.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct web_loop web_loop;
typedef struct web_conn web_conn;

typedef struct {
    const char *name, *value;
    size_t name_length, value_length;
} web_field;

// A request whose head (and, for HTTP, body) is whole. Path and query are percent-decoded once.
typedef struct {
    const char *method;
    const char *path;
    size_t path_length;
    const web_field *query; // name and value of each item
    size_t query_count;
    const web_field *headers; // names in lower case
    size_t header_count;
    const uint8_t *body;
    size_t body_length;
    const char *remote_address;
    const char *listener; // as given to web_loop_listen()
    bool tls;
    // Of the verified client certificate; common_name is NULL if there is none.
    const char *common_name, *organization, *sha256_hex;
} web_request;

typedef struct {
    void *context;
    // Decides about an upgrade. 0: go on, the subprotocol is the first offered one that is known.
    // 1: answer 101 without subprotocol, then close 1002. 2: send what web_refuse() was given, close.
    int (*upgrade)(void *context, web_conn *conn, const web_request *request);
    // The handshake is done; `subprotocol` is empty if none was chosen.
    void (*opened)(void *context, void *user, const char *subprotocol);
    void (*message)(void *context, void *user, const uint8_t *bytes, size_t length, bool text);
    // Last call about `user`, also if it was never opened.
    void (*closed)(
        void *context, void *user, int code, const char *reason, size_t reason_length, bool by_peer);
    // A client's connection attempt failed; last call about `user`. `status` is 0 or the server's.
    void (*failed)(void *context, void *user, int status, const char *reason);
    void (*request)(void *context, web_conn *conn, const web_request *request);
    // The head of a request whose path begins with `body_prefix`, with a body to come. 0 or more:
    // `user` is set, and `body` gets at most so many bytes as they come, then `body_end`; `request` is
    // not called. -1: like any other request.
    long long (*streaming)(void *context, web_conn *conn, const web_request *request);
    void (*body)(void *context, void *user, const uint8_t *bytes, size_t length);
    void (*body_end)(void *context, void *user);
    // Nothing waits any more of an answer that is written piece by piece.
    void (*drained)(void *context, void *user);
    // Last call about an HTTP exchange's `user`: answered whole, or the peer has left.
    void (*finished)(void *context, void *user);
    // After web_loop_wake(), once for any number of wakes.
    void (*jobs)(void *context);
} web_callbacks;

typedef struct {
    bool libuv; // false: libwebsockets' own poll() loop
    const char *const *subprotocols;
    size_t subprotocol_count;
    // Further header names to hand over, lower case with a colon: libwebsockets can only be asked
    // for those it does not know by name.
    const char *const *extra_headers;
    size_t extra_header_count;
    const char *body_prefix; // of paths whose bodies may be streamed; NULL: none
    size_t max_body, max_header, max_message, max_queued, max_event_queue;
    int event_heartbeat_seconds, ping_seconds, pong_seconds;
    int request_seconds, keep_alive_seconds;
    int body_seconds; // of a streamed body as a whole
    int accepts_per_second; // 0: no bound
    int max_connections;
} web_loop_config;

typedef struct {
    const char *name;
    const char *certificate_file, *key_file; // NULL: plain
    const char *client_ca_file;              // NULL: no client certificates
    bool client_certificate_required;
} web_listener_config;

typedef struct {
    const char *address; // numeric
    const char *host;    // name for the Host header, SNI and the certificate check
    int port;
    const char *path;
    const char *subprotocols;  // comma-separated
    const char *authorization; // header value or NULL
    bool tls;
    const char *ca_file, *certificate_file, *key_file; // NULL: the system's authorities, no own one
} web_client_config;

// Why the last call of this thread returned NULL or a negative number.
const char *web_reason(void);

// A bound, listening socket or -1. `shared`: other sockets of this user may bind the same port.
int web_bind(const char *address, int port, bool shared);
int web_bound_port(int socket);

web_loop *web_loop_create(const web_loop_config *config, const web_callbacks *callbacks);
// Takes over `socket`, also on failure. 0 or -1. Before web_loop_run().
int web_loop_listen(web_loop *loop, const web_listener_config *config, int socket);
// Returns after web_loop_stop().
void web_loop_run(web_loop *loop);
// Closes every connection. Behind web_loop_run(), on the same thread.
void web_loop_close(web_loop *loop);
void web_loop_stop(web_loop *loop); // any thread, until web_loop_close()
void web_loop_wake(web_loop *loop); // any thread, until web_loop_close()
void web_loop_free(web_loop *loop); // never run, or run and returned
void web_loop_pause_accepting(web_loop *loop);
// Closes up to `count` WebSockets that are not closing yet; returns how many are still open.
size_t web_loop_close_some(web_loop *loop, size_t count, int code);
size_t web_loop_connections(const web_loop *loop);
// HTTP exchanges, event streams and WebSockets that are under way; idle keep-alives do not count.
size_t web_loop_busy(const web_loop *loop);

// `user` is what the callbacks get. Set in `upgrade` or `request`.
void web_set_user(web_conn *conn, void *user);
void web_refuse(web_conn *conn, const uint8_t *answer, size_t length);

// Whether the connection will be closed behind the answer, so that its head can say so.
bool web_will_close(const web_conn *conn);
// A whole answer: head and body.
int web_respond(web_conn *conn, const uint8_t *bytes, size_t length);
// The head of an answer that comes in pieces; then web_stream_write() until web_stream_end().
// `events`: server-sent ones, kept alive with comments.
int web_stream_begin(web_conn *conn, const uint8_t *head, size_t length, bool events);
// -1: the reader was too slow and is cut.
int web_stream_write(web_conn *conn, const uint8_t *bytes, size_t length);
void web_stream_end(web_conn *conn);

// 0 sent or queued, -1 failed, -2 the peer was too slow and is cut.
int web_send(web_conn *conn, const uint8_t *bytes, size_t length, bool text);
void web_close(web_conn *conn, int code, const char *reason, size_t reason_length);
void web_cut(web_conn *conn);
void web_allow_reading(web_conn *conn, bool allow);
size_t web_queued(const web_conn *conn);
// A figure of its own instead of the loop's ping_seconds; 0 never.
void web_ping_every(web_conn *conn, uint32_t seconds);

// Always ends in `opened` or `failed`; `failed` may come before this returns, with NULL.
web_conn *web_connect(web_loop *loop, const web_client_config *config, void *user);
