// What HTTP exchanges and WebSockets have in common: life, queues and the wheel of seconds.
#include "internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

web_conn *conn_create(web_loop *loop, web_listener *listener)
{
    web_conn *conn = calloc(1, sizeof *conn);
    if (!conn) return NULL;
    conn->loop = loop;
    conn->listener = listener;
    conn->heard = conn->wrote = loop->now;
    conn->ping = (uint32_t)loop->config.ping_seconds;
    conn->next = loop->connections;
    conn->previous = &loop->connections;
    if (conn->next) conn->next->previous = &conn->next;
    loop->connections = conn;
    loop->connection_count++;
    return conn;
}

static void wheel_remove(web_conn *conn)
{
    if (!conn->wheel_previous) return;
    *conn->wheel_previous = conn->wheel_next;
    if (conn->wheel_next) conn->wheel_next->wheel_previous = conn->wheel_previous;
    conn->wheel_next = NULL;
    conn->wheel_previous = NULL;
}

void conn_destroy(web_conn *conn)
{
    web_loop *loop = conn->loop;
    if (loop->adopting == conn) loop->adopting = NULL;
    wheel_remove(conn);
    conn_set_kind(conn, KIND_NEW);
    *conn->previous = conn->next;
    if (conn->next) conn->next->previous = conn->previous;
    loop->connection_count--;
    while (conn->head) queue_pop(conn);
    buffer_free(&conn->received);
    buffer_free(&conn->refusal);
    free(conn->close_reason);
    free(conn);
}

void conn_set_kind(web_conn *conn, web_kind kind)
{
    if ((conn->kind == KIND_NEW) != (kind == KIND_NEW)) {
        if (kind == KIND_NEW)
            conn->loop->busy--;
        else
            conn->loop->busy++;
    }
    conn->kind = (uint8_t)kind;
}

void web_set_user(web_conn *conn, void *user) { conn->user = user; }
size_t web_queued(const web_conn *conn) { return conn->queued; }

void web_allow_reading(web_conn *conn, bool allow)
{
    if (!conn->cut) lws_rx_flow_control(conn->wsi, allow);
}

void web_cut(web_conn *conn)
{
    if (conn->cut || !conn->wsi) return;
    conn->cut = true;
    lws_set_timeout(conn->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
}

// ---- buffers ------------------------------------------------------------------------------

int buffer_append(web_buffer *buffer, const void *bytes, size_t length, size_t max)
{
    if (length > max || buffer->length > max - length) return -1;
    if (!length) return 0;
    if (buffer->length + length > buffer->capacity) {
        size_t capacity = buffer->capacity ? buffer->capacity * 2 : 1024;
        while (capacity < buffer->length + length) capacity *= 2;
        uint8_t *grown = realloc(buffer->bytes, capacity);
        if (!grown) return -1;
        buffer->bytes = grown;
        buffer->capacity = capacity;
    }
    memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
    return 0;
}

void buffer_free(web_buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (web_buffer) { 0 };
}

web_tx *queue_append(web_conn *conn, const void *bytes, size_t length)
{
    web_tx *tx = malloc(sizeof *tx + LWS_PRE + length);
    if (!tx) return NULL;
    tx->next = NULL;
    tx->length = length;
    tx->sent = 0;
    tx->text = true;
    if (length) memcpy(tx->bytes + LWS_PRE, bytes, length);
    if (conn->tail)
        conn->tail->next = tx;
    else
        conn->head = tx;
    conn->tail = tx;
    conn->queued += length;
    return tx;
}

void queue_pop(web_conn *conn)
{
    web_tx *tx = conn->head;
    conn->queued -= tx->length;
    conn->head = tx->next;
    if (!conn->head) conn->tail = NULL;
    free(tx);
}

// ---- the wheel ----------------------------------------------------------------------------

// lws' own timers are a sorted list with linear insertion: with one per connection a connect costs
// more the more are open. Here a connection stands in the slot of the second it is looked at next.
void conn_schedule(web_conn *conn, uint32_t seconds)
{
    web_loop *loop = conn->loop;
    wheel_remove(conn);
    if (seconds < 1) seconds = 1;
    if (seconds > WHEEL_SLOTS - 1) seconds = WHEEL_SLOTS - 1;
    web_conn **slot = &loop->wheel[(loop->now + seconds) % WHEEL_SLOTS];
    conn->wheel_next = *slot;
    conn->wheel_previous = slot;
    if (*slot) (*slot)->wheel_previous = &conn->wheel_next;
    *slot = conn;
}

static void check_stream(web_conn *conn)
{
    uint32_t beat = (uint32_t)conn->loop->config.event_heartbeat_seconds;
    uint32_t quiet = conn->loop->now - conn->wrote;
    if (conn->closing) {
        // Its end waits for a reader that does not read.
        if (quiet >= 2 * beat) return web_cut(conn);
        return conn_schedule(conn, 1);
    }
    if (conn->events && quiet >= beat && !conn->head) {
        // A comment: it keeps proxies from closing a quiet stream and finds readers that are gone.
        web_stream_write(conn, (const uint8_t *)":\n\n", 3);
    } else if (conn->head && quiet >= 2 * beat) {
        return web_cut(conn);
    }
    conn_schedule(conn, 1);
}

static void check_socket(web_conn *conn)
{
    uint32_t ping = conn->ping;
    uint32_t pong = (uint32_t)conn->loop->config.pong_seconds;
    uint32_t silence = conn->loop->now - conn->heard;
    if (conn->closing) {
        // The peer has this long to answer our close frame, or to read what stands before it.
        if (conn->loop->now - conn->wrote >= pong) return web_cut(conn);
        return conn_schedule(conn, 1);
    }
    if (!ping) return conn_schedule(conn, WHEEL_SLOTS);
    if (silence < ping) return conn_schedule(conn, ping - silence);
    if (!conn->pinged) {
        // Not empty: lws does not report the pong of an empty ping.
        unsigned char frame[LWS_PRE + 4] = { [LWS_PRE] = 'k' };
        conn->pinged = true;
        // With a message half sent the peer is slow anyway; the deadline runs all the same.
        if (!lws_partial_buffered(conn->wsi))
            lws_write(conn->wsi, frame + LWS_PRE, 1, LWS_WRITE_PING);
    }
    if (silence >= ping + pong) return web_cut(conn);
    conn_schedule(conn, ping + pong - silence);
}

// A body that trickles in would hold its connection for as long as it likes.
static void check_body(web_conn *conn)
{
    if (!conn->awaits_body) return;
    if (conn->loop->now - conn->body_began >= (uint32_t)conn->loop->config.request_seconds)
        return web_cut(conn);
    conn_schedule(conn, 1);
}

// A streamed body has as long as it moves, and an hour or so at most: files are large, lines slow.
static void check_streamed(web_conn *conn)
{
    web_loop *loop = conn->loop;
    if (loop->now - conn->body_heard >= (uint32_t)loop->config.keep_alive_seconds
        || loop->now - conn->body_began >= (uint32_t)loop->config.body_seconds)
        return web_cut(conn);
    conn_schedule(conn, 1);
}

// So would an answer that nobody reads. What is written counts piece by piece.
static void check_answer(web_conn *conn)
{
    if (conn->streamed && !conn->body_done && !conn->answered) return check_streamed(conn);
    if (conn->answered
        && conn->loop->now - conn->wrote >= (uint32_t)conn->loop->config.keep_alive_seconds)
        return web_cut(conn);
    conn_schedule(conn, 1);
}

void web_ping_every(web_conn *conn, uint32_t seconds)
{
    conn->ping = seconds;
    if (conn->opened) conn_schedule(conn, 1);
}

void conn_heard(web_conn *conn)
{
    conn->heard = conn->loop->now;
    if (!conn->pinged) return;
    conn->pinged = false;
    // It was to be looked at when its time to answer is over, which may be long after the next ping.
    conn_schedule(conn, conn->ping);
}

// Reading is paused while a request is handled, so lws does not see the peer leave.
static bool peer_left(const web_conn *conn)
{
    char byte;
    ssize_t got = recv(lws_get_socket_fd(conn->wsi), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0) return errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR;
    // Who has shut its sending side may still wait for an answer, but not for events.
    return got == 0 && conn->kind == KIND_STREAM && conn->events;
}

void conn_check(web_conn *conn)
{
    if (conn->cut) return;
    bool handled = conn->kind == KIND_HTTP || conn->kind == KIND_STREAM;
    if (handled && peer_left(conn)) return web_cut(conn);
    switch ((web_kind)conn->kind) {
    case KIND_STREAM: check_stream(conn); break;
    case KIND_SOCKET:
    case KIND_CLIENT:
        if (conn->opened) check_socket(conn);
        break;
    case KIND_HTTP: check_answer(conn); break;
    case KIND_NEW: check_body(conn); break;
    }
}
