// The one callback of libwebsockets, handing each event to the file that knows about it.
#include "internal.h"
#include <openssl/ssl.h>
#include <string.h>

static void harden(SSL_CTX *context)
{
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    // lws lets the name a client sends choose among all listeners' certificates and rules, so that
    // one which demands client certificates could be talked out of it.
    SSL_CTX_set_tlsext_servername_callback(context, NULL);
}

// The alert that ended a client's hand-shake, sent or received; one loop's thread at a time.
static _Thread_local int last_alert;

static void hear_alert(const SSL *ssl, int where, int value)
{
    (void)ssl;
    if (where & SSL_CB_ALERT) last_alert = value & 0xFF;
}

static void harden_client(SSL_CTX *context)
{
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_info_callback(context, hear_alert);
}

// lws names no cause of a failed hand-shake; OpenSSL's verdict on the server and the alert do.
static const char *client_reason(struct lws *wsi, const char *said)
{
    SSL *ssl = lws_get_ssl(wsi);
    long verdict = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
    int alert = last_alert;
    last_alert = 0;
    if (verdict != X509_V_OK)
        web_set_reason(
            "the server's certificate: %s", X509_verify_cert_error_string(verdict));
    else if (ssl && alert)
        web_set_reason("TLS alert: %s", SSL_alert_desc_string_long(alert));
    else
        return said;
    return web_reason();
}

static int http_event(web_conn *conn, enum lws_callback_reasons why, void *in, size_t length)
{
    switch (why) {
    case LWS_CALLBACK_HTTP: return http_begin(conn);
    case LWS_CALLBACK_HTTP_BODY: return http_body(conn, in, length);
    case LWS_CALLBACK_HTTP_BODY_COMPLETION: return http_body_end(conn);
    case LWS_CALLBACK_HTTP_WRITEABLE: return http_writeable(conn);
    case LWS_CALLBACK_CLOSED_HTTP:
        if (conn->kind == KIND_HTTP || conn->kind == KIND_STREAM) http_closed(conn);
        return 0;
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: return socket_confirm(conn, in);
    default: return 0;
    }
}

static int socket_event(web_conn *conn, enum lws_callback_reasons why, void *in, size_t length)
{
    switch (why) {
    case LWS_CALLBACK_ESTABLISHED: {
        const char *name = lws_get_protocol(conn->wsi)->name;
        return socket_opened(conn, strcmp(name, PROTOCOL_HTTP) ? name : "");
    }
    case LWS_CALLBACK_CLIENT_ESTABLISHED: {
        char *name = (char *)conn->refusal.bytes;
        return socket_opened(conn, name ? name : "");
    }
    case LWS_CALLBACK_RECEIVE:
    case LWS_CALLBACK_CLIENT_RECEIVE: return socket_received(conn, in, length);
    case LWS_CALLBACK_SERVER_WRITEABLE:
    case LWS_CALLBACK_CLIENT_WRITEABLE: return socket_writeable(conn);
    case LWS_CALLBACK_RECEIVE_PONG:
    case LWS_CALLBACK_CLIENT_RECEIVE_PONG: conn_heard(conn); return 0;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE: return socket_peer_closes(conn, in, length);
    case LWS_CALLBACK_CLOSED:
    case LWS_CALLBACK_CLIENT_CLOSED: socket_closed(conn); return 0;
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
        return client_headers(conn, (unsigned char **)in, length);
    case LWS_CALLBACK_CLIENT_FILTER_PRE_ESTABLISH: return client_verify(conn);
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        client_failed(conn, client_reason(conn->wsi, in));
        return 0;
    default: return 0;
    }
}

static void destroyed(web_conn *conn)
{
    switch ((web_kind)conn->kind) {
    case KIND_HTTP:
    case KIND_STREAM: http_closed(conn); break;
    case KIND_SOCKET: socket_closed(conn); break;
    case KIND_CLIENT:
        if (conn->opened)
            socket_closed(conn);
        else
            client_failed(conn, "the connection broke");
        break;
    case KIND_NEW: break;
    }
    conn_destroy(conn);
}

int loop_callback(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in, size_t length)
{
    if (!wsi) return 0;
    switch (why) {
    case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS: harden(user); return 0;
    case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_CLIENT_VERIFY_CERTS: harden_client(user); return 0;
    case LWS_CALLBACK_OPENSSL_PERFORM_CLIENT_CERT_VERIFICATION:
        // `length` is OpenSSL's verdict. The default, 0, would accept any certificate at all.
        return length ? 0 : 1;
    default: break;
    }
    // Set when the connection was accepted. The vhost lws names may be another listener's: it
    // follows the Host header.
    web_conn *conn = lws_get_opaque_user_data(wsi);
    if (!conn) return 0;
    conn->wsi = wsi;
    if (why == LWS_CALLBACK_WSI_DESTROY) {
        lws_set_opaque_user_data(wsi, NULL);
        destroyed(conn);
        return 0;
    }
    if (conn->kind == KIND_SOCKET || conn->kind == KIND_CLIENT)
        return socket_event(conn, why, in, length);
    return http_event(conn, why, in, length);
}
