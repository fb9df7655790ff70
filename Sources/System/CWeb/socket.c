// WebSockets, ours as server and as client.
#include "internal.h"
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// lws' own LWS_WRITE_CLOSE, which its public header only mentions.
static const enum lws_write_protocol write_close = (enum lws_write_protocol)4;

static void write_and_forget(web_conn *conn, const uint8_t *bytes, size_t length)
{
    unsigned char *copy = malloc(LWS_PRE + length);
    if (!copy) return;
    memcpy(copy + LWS_PRE, bytes, length);
    lws_write(conn->wsi, copy + LWS_PRE, length, LWS_WRITE_HTTP_HEADERS);
    free(copy);
}

static int refuse(web_conn *conn, const char *answer)
{
    write_and_forget(conn, (const uint8_t *)answer, strlen(answer));
    return -1;
}

// OCPP-J §3.2: finish the handshake without a subprotocol, then close at once. lws would drop the
// connection without a word.
static int answer_without_subprotocol(web_conn *conn)
{
    static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char key[64 + sizeof magic], answer[256];
    unsigned char digest[SHA_DIGEST_LENGTH], accept[32];
    int length = lws_hdr_copy(conn->wsi, key, 64, WSI_TOKEN_KEY);
    if (length <= 0) return refuse(conn, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    memcpy(key + length, magic, sizeof magic);
    SHA1((unsigned char *)key, strlen(key), digest);
    EVP_EncodeBlock(accept, digest, sizeof digest);
    // A close frame: FIN and opcode 8, two bytes, 1002.
    int written = snprintf(answer, sizeof answer,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: %s\r\n\r\n%c%c%c%c",
        accept, 0x88, 2, 1002 >> 8, 1002 & 0xFF);
    write_and_forget(conn, (const uint8_t *)answer, (size_t)written);
    return -1;
}

// Called before lws looks at the list of subprotocols: it drops lists over 127 bytes and unknown
// names silently. The only place where a status can still be answered, and it is synchronous.
int socket_confirm(web_conn *conn, const char *upgrade)
{
    web_loop *loop = conn->loop;
    struct lws *wsi = conn->wsi;
    char version[8], common_name[256], organization[256], sha256_hex[65];
    web_request request;
    if (strcasecmp(upgrade, "websocket"))
        return refuse(conn, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    if (lws_hdr_copy(wsi, version, sizeof version, WSI_TOKEN_VERSION) <= 0 || strcmp(version, "13"))
        return refuse(conn,
            "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nConnection: close\r\n"
            "Content-Length: 0\r\n\r\n");
    if (request_read(conn, &request) || strcmp(request.method, "GET")
        || lws_hdr_total_length(wsi, WSI_TOKEN_KEY) <= 0)
        return refuse(conn, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    request_certificate(
        conn, &request, common_name, organization, sizeof common_name, sha256_hex);
    int outcome = loop->callbacks.upgrade(loop->callbacks.context, conn, &request);
    if (outcome == 1) return answer_without_subprotocol(conn);
    if (outcome) {
        write_and_forget(conn, conn->refusal.bytes, conn->refusal.length);
        return -1;
    }
    conn_set_kind(conn, KIND_SOCKET);
    return 0;
}

void web_refuse(web_conn *conn, const uint8_t *answer, size_t length)
{
    buffer_append(&conn->refusal, answer, length, SCRATCH_BYTES);
}

int socket_opened(web_conn *conn, const char *subprotocol)
{
    web_loop *loop = conn->loop;
    conn->opened = true;
    conn->heard = loop->now;
    conn_schedule(conn, conn->ping ? conn->ping : 1);
    loop->callbacks.opened(loop->callbacks.context, conn->user, subprotocol);
    return conn->cut ? -1 : 0;
}

int socket_received(web_conn *conn, const uint8_t *bytes, size_t length)
{
    web_loop *loop = conn->loop;
    struct lws *wsi = conn->wsi;
    if (conn->closing || conn->cut) return 0;
    conn_heard(conn);
    size_t coming = lws_remaining_packet_payload(wsi);
    bool first = lws_is_first_fragment(wsi) && !conn->received.length;
    bool final = lws_is_final_fragment(wsi) && !coming;
    if (first) conn->text = !lws_frame_is_binary(wsi);
    if (first && final && length <= loop->config.max_message) {
        loop->callbacks.message(loop->callbacks.context, conn->user, bytes, length, conn->text);
        return 0;
    }
    // What a frame announces is refused before it is stored.
    if (coming > loop->config.max_message
        || buffer_append(&conn->received, bytes, length, loop->config.max_message)) {
        web_close(conn, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, NULL, 0);
        buffer_free(&conn->received);
        return 0;
    }
    if (!final) return 0;
    web_buffer whole = conn->received;
    conn->received = (web_buffer) { 0 };
    loop->callbacks.message(
        loop->callbacks.context, conn->user, whole.bytes, whole.length, conn->text);
    buffer_free(&whole);
    return 0;
}

int web_send(web_conn *conn, const uint8_t *bytes, size_t length, bool text)
{
    web_loop *loop = conn->loop;
    if (conn->closing || conn->cut || !conn->opened) return -1;
    enum lws_write_protocol kind = text ? LWS_WRITE_TEXT : LWS_WRITE_BINARY;
    // Written here and now if nothing waits: the round trip over the writable event costs as much
    // as the message. lws itself keeps what the kernel refuses.
    if (!conn->head && length <= SCRATCH_BYTES && !lws_partial_buffered(conn->wsi)) {
        memcpy(loop->scratch + LWS_PRE, bytes, length);
        if (lws_write(conn->wsi, loop->scratch + LWS_PRE, length, kind) >= (int)length) return 0;
        web_cut(conn);
        return -1;
    }
    if (length > loop->config.max_queued || conn->queued > loop->config.max_queued - length) {
        web_cut(conn);
        return -2;
    }
    web_tx *tx = queue_append(conn, bytes, length);
    if (!tx) return -1;
    tx->text = text;
    lws_callback_on_writable(conn->wsi);
    return 0;
}

void web_close(web_conn *conn, int code, const char *reason, size_t reason_length)
{
    if (conn->closing || conn->cut) return;
    conn->closing = true;
    conn->close_code = (uint16_t)code;
    conn->wrote = conn->loop->now;
    // A control frame carries at most 125 bytes, two of them the code.
    if (reason_length > 123) reason_length = 123;
    if (reason_length) conn->close_reason = strndup(reason, reason_length);
    conn_schedule(conn, 1);
    lws_callback_on_writable(conn->wsi);
}

int socket_writeable(web_conn *conn)
{
    web_tx *tx = conn->head;
    if (tx) {
        enum lws_write_protocol kind = tx->text ? LWS_WRITE_TEXT : LWS_WRITE_BINARY;
        int written = lws_write(conn->wsi, tx->bytes + LWS_PRE, tx->length, kind);
        bool failed = written < (int)tx->length;
        queue_pop(conn);
        if (failed) return -1;
        if (conn->head || conn->closing) lws_callback_on_writable(conn->wsi);
        return 0;
    }
    if (!conn->closing || conn->close_sent) return 0;
    // Not lws_close_reason() and -1: Debian's build closes a connection on libuv twice "to confirm
    // that it has no problem", and the second time throws the close frame away.
    unsigned char frame[LWS_PRE + 128];
    size_t length = conn->close_reason ? strlen(conn->close_reason) : 0;
    frame[LWS_PRE] = (unsigned char)(conn->close_code >> 8);
    frame[LWS_PRE + 1] = (unsigned char)conn->close_code;
    if (length) memcpy(frame + LWS_PRE + 2, conn->close_reason, length);
    conn->close_sent = true;
    conn->wrote = conn->loop->now;
    return lws_write(conn->wsi, frame + LWS_PRE, length + 2, write_close) < 0 ? -1 : 0;
}

int socket_peer_closes(web_conn *conn, const uint8_t *bytes, size_t length)
{
    // The answer to ours: the handshake is over.
    if (conn->close_sent) return -1;
    if (conn->by_peer) return 0;
    conn->closing = false;
    free(conn->close_reason);
    conn->close_reason = NULL;
    conn->by_peer = true;
    conn->close_code = 1005;
    if (length < 2) return 0;
    conn->close_code = (uint16_t)(bytes[0] << 8 | bytes[1]);
    conn->close_reason = strndup((const char *)bytes + 2, length - 2);
    return 0;
}

void socket_closed(web_conn *conn)
{
    void *user = conn->user;
    conn->user = NULL;
    conn->opened = false;
    if (!user) return;
    bool orderly = conn->by_peer || conn->closing;
    const char *reason = orderly && conn->close_reason ? conn->close_reason : "";
    conn->loop->callbacks.closed(conn->loop->callbacks.context, user,
        orderly ? conn->close_code : 1006, reason, strlen(reason), conn->by_peer);
}
