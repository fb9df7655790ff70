// HTTP/1.1 exchanges: reading bodies that lws reads wrongly or not at all, writing answers.
#include "internal.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { METHOD_POST = 1, METHOD_PUT = 3, METHOD_PATCH = 4 };

static const char *phrase(int status)
{
    switch (status) {
    case 400: return "Bad Request";
    case 413: return "Content Too Large";
    default: return "Not Implemented";
    }
}

// Whether lws will hand over what follows as a body: with these methods also without a length.
static bool may_have_body(struct lws *wsi)
{
    char *uri = NULL;
    int length = 0;
    int method = lws_http_get_uri_and_method(wsi, &uri, &length);
    return method == METHOD_POST || method == METHOD_PUT || method == METHOD_PATCH;
}

static bool expects_body(struct lws *wsi)
{
    return may_have_body(wsi) || lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) > 0;
}

static void finish(web_conn *conn)
{
    void *user = conn->user;
    conn->user = NULL;
    if (user) conn->loop->callbacks.finished(conn->loop->callbacks.context, user);
}

// Answers by ourselves, then reads on without keeping for a moment: closing with unread bytes in the
// kernel's buffer would be a reset that takes the answer with it.
static int refuse(web_conn *conn, int status)
{
    struct lws *wsi = conn->wsi;
    unsigned char answer[LWS_PRE + 160];
    int length = snprintf((char *)answer + LWS_PRE, 160,
        "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", status, phrase(status));
    if (lws_write(wsi, answer + LWS_PRE, (size_t)length, LWS_WRITE_HTTP_HEADERS) < 0) return -1;
    if (conn->streamed) finish(conn);
    // Without a body to come lws would not read at all, but spin over what has come.
    if (!expects_body(wsi)) return -1;
    conn->lingering = true;
    conn->awaits_body = false;
    buffer_free(&conn->received);
    lws_set_timeout(wsi, PENDING_TIMEOUT_USER_REASON_BASE, LINGER_SECONDS);
    return 0;
}

void conn_reset_exchange(web_conn *conn)
{
    buffer_free(&conn->received);
    conn->chunk_left = 0;
    conn->chunk_state = conn->size_digits = 0;
    conn->chunk_overhead = 0;
    conn->dispatched = conn->answered = conn->close_after = conn->chunked = false;
    conn->awaits_body = false;
    conn->streamed = conn->body_done = conn->events = false;
    conn_set_kind(conn, KIND_NEW);
}

static int dispatch(web_conn *conn)
{
    web_loop *loop = conn->loop;
    web_request request;
    char common_name[256], organization[256], sha256_hex[65];
    conn->dispatched = true;
    conn->awaits_body = false;
    if (request_read(conn, &request)) return refuse(conn, 400);
    request_certificate(
        conn, &request, common_name, organization, sizeof common_name, sha256_hex);
    request.body = conn->received.bytes;
    request.body_length = conn->received.length;
    // The handler has its own time; lws' clock is for slow senders.
    lws_set_timeout(conn->wsi, NO_PENDING_TIMEOUT, 0);
    conn_set_kind(conn, KIND_HTTP);
    conn_schedule(conn, 1);
    // With a pipelined request in its buffer lws would spin until this one is answered.
    lws_rx_flow_control(conn->wsi, 0);
    loop->callbacks.request(loop->callbacks.context, conn, &request);
    buffer_free(&conn->received);
    return 0;
}

// The value of a length header that may be trusted to frame the body, -1 if it may not.
static long long content_length(struct lws *wsi)
{
    char text[24];
    if (lws_hdr_fragment_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, 1) > 0) return -1;
    int length = lws_hdr_copy(wsi, text, sizeof text, WSI_TOKEN_HTTP_CONTENT_LENGTH);
    if (length <= 0 || length > 18 || strspn(text, "0123456789") != (size_t)length) return -1;
    return atoll(text);
}

static int expect_continue(web_conn *conn)
{
    char expectation[16];
    if (lws_hdr_copy(conn->wsi, expectation, sizeof expectation, WSI_TOKEN_HTTP_EXPECT) <= 0
        || strcasecmp(expectation, "100-continue"))
        return 0;
    unsigned char answer[LWS_PRE + 32];
    memcpy(answer + LWS_PRE, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    return lws_write(conn->wsi, answer + LWS_PRE, 25, LWS_WRITE_HTTP_HEADERS) < 0 ? -1 : 0;
}

// What lws decides for itself, without a way to ask: it knows these two words only, and alone.
static bool asks_to_close(struct lws *wsi)
{
    char version[12] = "", connection[25] = "";
    lws_hdr_copy(wsi, version, sizeof version, WSI_TOKEN_HTTP);
    lws_hdr_copy(wsi, connection, sizeof connection, WSI_TOKEN_CONNECTION);
    if (!strcasecmp(connection, "close")) return true;
    return strcmp(version, "HTTP/1.1") && strcasecmp(connection, "keep-alive");
}

// Whether the body is wanted piece by piece, and how many bytes of it at most; -1: as a whole.
static long long ask_to_stream(web_conn *conn)
{
    web_loop *loop = conn->loop;
    const char *prefix = loop->config.body_prefix;
    web_request request;
    char common_name[256], organization[256], sha256_hex[65], *uri = NULL;
    int length = 0;
    if (!prefix || !may_have_body(conn->wsi)) return -1;
    if (lws_http_get_uri_and_method(conn->wsi, &uri, &length) < 0 || !uri) return -1;
    if ((size_t)length < strlen(prefix) || memcmp(uri, prefix, strlen(prefix))) return -1;
    if (request_read(conn, &request)) return -1;
    request_certificate(
        conn, &request, common_name, organization, sizeof common_name, sha256_hex);
    long long most = loop->callbacks.streaming(loop->callbacks.context, conn, &request);
    if (most < 0) return -1;
    conn->streamed = conn->dispatched = true;
    conn->body_began = conn->body_heard = loop->now;
    conn_set_kind(conn, KIND_HTTP);
    conn_schedule(conn, 1);
    return most;
}

int body_take(web_conn *conn, const uint8_t *bytes, size_t length)
{
    web_loop *loop = conn->loop;
    if (!conn->streamed)
        return buffer_append(&conn->received, bytes, length, loop->config.max_body);
    if (length > conn->body_left) return -1;
    conn->body_left -= length;
    conn->body_heard = loop->now;
    if (conn->user) loop->callbacks.body(loop->callbacks.context, conn->user, bytes, length);
    return 0;
}

// The whole body of a streamed request has come.
static int body_ended(web_conn *conn)
{
    conn->body_done = true;
    lws_set_timeout(conn->wsi, NO_PENDING_TIMEOUT, 0);
    if (!conn->answered) lws_rx_flow_control(conn->wsi, 0);
    if (conn->user) conn->loop->callbacks.body_end(conn->loop->callbacks.context, conn->user);
    return 0;
}

int http_begin(web_conn *conn)
{
    struct lws *wsi = conn->wsi;
    conn_reset_exchange(conn);
    conn->close_after = asks_to_close(wsi);
    bool encoded = lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0;
    bool measured = lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) > 0;
    // Both at once is how a request is smuggled past a proxy. RFC 9112 §6.3.
    if (encoded && measured) return refuse(conn, 400);
    long long wanted = measured ? content_length(wsi) : 0;
    if (wanted < 0) return refuse(conn, 400);
    long long most = encoded || wanted ? ask_to_stream(conn) : -1;
    if (most < 0) most = (long long)conn->loop->config.max_body;
    if (wanted > most) return refuse(conn, 413);
    if (encoded) {
        char encoding[16];
        if (lws_hdr_copy(wsi, encoding, sizeof encoding, WSI_TOKEN_HTTP_TRANSFER_ENCODING) <= 0
            || strcasecmp(encoding, "chunked"))
            return refuse(conn, 501);
        if (!may_have_body(wsi)) return refuse(conn, 400);
        conn->chunked = true;
        // lws believes 100 MB are coming and cannot be told where this body ends.
        conn->close_after = true;
    }
    if (conn->streamed) {
        conn->body_left = (unsigned long long)most;
        return expect_continue(conn);
    }
    if (encoded || wanted) {
        // lws starts its clock again with every byte that comes.
        conn->awaits_body = true;
        conn->body_began = conn->loop->now;
        conn_schedule(conn, 1);
        return expect_continue(conn);
    }
    // For this one lws reports a body and its end all the same.
    if (measured && lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) > 0) return 0;
    if (may_have_body(wsi) && !measured) conn->close_after = true;
    return dispatch(conn);
}

int http_body(web_conn *conn, const uint8_t *bytes, size_t length)
{
    if (conn->lingering || conn->body_done || (conn->dispatched && !conn->streamed)) return 0;
    // Answered before its body was whole: the rest is read, and dropped.
    if (conn->answered) return 0;
    if (conn->chunked) {
        int outcome = chunked_feed(conn, bytes, length);
        if (outcome < 0) return refuse(conn, outcome == -2 ? 413 : 400);
        if (!outcome) return 0;
        return conn->streamed ? body_ended(conn) : dispatch(conn);
    }
    if (body_take(conn, bytes, length)) return refuse(conn, 413);
    return 0;
}

int http_body_end(web_conn *conn)
{
    if (conn->lingering) return -1;
    if (!conn->dispatched) return dispatch(conn);
    if (conn->streamed && !conn->body_done && !conn->answered) return body_ended(conn);
    conn->body_done = true;
    // Again, so a pipelined request waits behind this body. Once there is an answer, lws calls here
    // instead of asking to write. Before that it calls from an endless loop of its own, entered when
    // the body itself was pipelined, which only an error ends: an answer given within the first
    // call would not, so Swift answers from a later turn.
    if (!conn->answered) return -1;
    return lws_partial_buffered(conn->wsi) ? 0 : http_writeable(conn);
}

// ---- answers ------------------------------------------------------------------------------

// lws writes no HTTP while reading is paused.
static void ask_to_write(web_conn *conn)
{
    lws_rx_flow_control(conn->wsi, 1);
    lws_callback_on_writable(conn->wsi);
}

bool web_will_close(const web_conn *conn)
{
    return conn->close_after || (conn->streamed && !conn->body_done);
}

int web_respond(web_conn *conn, const uint8_t *bytes, size_t length)
{
    if (conn->cut || conn->answered || !queue_append(conn, bytes, length)) return -1;
    conn->answered = true;
    conn->close_after = web_will_close(conn);
    conn->wrote = conn->loop->now;
    ask_to_write(conn);
    return 0;
}

int web_stream_begin(web_conn *conn, const uint8_t *head, size_t length, bool events)
{
    if (conn->cut || conn->answered || !queue_append(conn, head, length)) return -1;
    conn->answered = conn->close_after = true;
    conn->events = events;
    conn_set_kind(conn, KIND_STREAM);
    conn->wrote = conn->loop->now;
    conn_schedule(conn, 1);
    ask_to_write(conn);
    return 0;
}

int web_stream_write(web_conn *conn, const uint8_t *bytes, size_t length)
{
    if (conn->cut || conn->closing) return -1;
    if (conn->queued + length > conn->loop->config.max_event_queue
        || !queue_append(conn, bytes, length)) {
        web_cut(conn);
        return -1;
    }
    ask_to_write(conn);
    return 0;
}

void web_stream_end(web_conn *conn)
{
    conn->closing = true;
    ask_to_write(conn);
}

int http_writeable(web_conn *conn)
{
    web_tx *tx = conn->head;
    if (tx) {
        size_t left = tx->length - tx->sent;
        size_t piece = left < WRITE_BYTES ? left : WRITE_BYTES;
        enum lws_write_protocol kind = tx->sent ? LWS_WRITE_HTTP : LWS_WRITE_HTTP_HEADERS;
        // lws keeps what the kernel does not take, and calls again when that has gone.
        if (piece && lws_write(conn->wsi, tx->bytes + LWS_PRE + tx->sent, piece, kind) < (int)piece)
            return -1;
        tx->sent += piece;
        conn->wrote = conn->loop->now;
        if (tx->sent == tx->length) queue_pop(conn);
        if (conn->head) {
            lws_callback_on_writable(conn->wsi);
            return 0;
        }
    }
    if (conn->kind == KIND_STREAM) {
        if (!conn->closing) {
            lws_rx_flow_control(conn->wsi, 0);
            if (!conn->events && conn->user)
                conn->loop->callbacks.drained(conn->loop->callbacks.context, conn->user);
            return 0;
        }
    } else if (!conn->answered) {
        return 0;
    }
    if (lws_partial_buffered(conn->wsi)) {
        // Closing now would throw away what lws still holds.
        lws_callback_on_writable(conn->wsi);
        return 0;
    }
    bool close = conn->close_after;
    finish(conn);
    if (conn->streamed && !conn->body_done) {
        // Closing with unread bytes would take the answer along.
        conn->lingering = true;
        lws_set_timeout(conn->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LINGER_SECONDS);
        return 0;
    }
    if (close) return -1;
    conn_reset_exchange(conn);
    return lws_http_transaction_completed(conn->wsi) ? -1 : 0;
}

void http_closed(web_conn *conn) { finish(conn); }
