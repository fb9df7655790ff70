// WebSocket connections we make.
#include "internal.h"
#include <stdlib.h>
#include <string.h>

// Certificates are lws' matter per vhost, so one stands for each set of files.
static bool same(const char *one, const char *other)
{
    return one && other ? !strcmp(one, other) : !one && !other;
}

static char *copy(const char *text) { return text ? strdup(text) : NULL; }

static struct lws_vhost *trust_for(web_loop *loop, const web_client_config *config)
{
    for (web_trust *trust = loop->trusts; trust; trust = trust->next)
        if (same(trust->ca_file, config->ca_file)
            && same(trust->certificate_file, config->certificate_file)
            && same(trust->key_file, config->key_file))
            return trust->vhost;
    web_trust *trust = calloc(1, sizeof *trust);
    if (!trust) return NULL;
    trust->ca_file = copy(config->ca_file);
    trust->certificate_file = copy(config->certificate_file);
    trust->key_file = copy(config->key_file);
    snprintf(trust->vhost_name, VHOST_NAME_BYTES, "kerb trust %p", (void *)trust);
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = loop->protocols,
        .vhost_name = trust->vhost_name,
        .options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
        .client_ssl_ca_filepath = trust->ca_file,
        .client_ssl_cert_filepath = trust->certificate_file,
        .client_ssl_private_key_filepath = trust->key_file,
        .retry_and_idle_policy = &loop->no_retry,
    };
    // Named authorities are the only ones: otherwise any public one could sign our server's name.
    if (trust->ca_file) info.options |= LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
    web_set_reason("the TLS files are unusable");
    trust->vhost = lws_create_vhost(loop->context, &info);
    if (!trust->vhost) {
        free(trust->ca_file);
        free(trust->certificate_file);
        free(trust->key_file);
        free(trust);
        return NULL;
    }
    trust->next = loop->trusts;
    loop->trusts = trust;
    return trust->vhost;
}

void trusts_free(web_loop *loop)
{
    while (loop->trusts) {
        web_trust *trust = loop->trusts;
        loop->trusts = trust->next;
        free(trust->ca_file);
        free(trust->certificate_file);
        free(trust->key_file);
        free(trust);
    }
}

web_conn *web_connect(web_loop *loop, const web_client_config *config, void *user)
{
    struct lws_vhost *vhost = trust_for(loop, config);
    web_conn *conn = vhost ? conn_create(loop, NULL) : NULL;
    if (!conn) {
        loop->callbacks.failed(loop->callbacks.context, user, 0, web_reason());
        return NULL;
    }
    conn_set_kind(conn, KIND_CLIENT);
    conn->user = user;
    // Sent in client_headers(), perhaps before this function returns.
    if (config->authorization)
        buffer_append(&conn->refusal, config->authorization, strlen(config->authorization), 4096);
    struct lws *wsi = NULL;
    struct lws_client_connect_info info = {
        .context = loop->context,
        .vhost = vhost,
        .address = config->address,
        .host = config->host,
        .origin = NULL,
        .port = config->port,
        .path = config->path,
        .protocol = config->subprotocols,
        .local_protocol_name = PROTOCOL_HTTP,
        .ssl_connection = config->tls ? LCCSCF_USE_SSL : 0,
        .alpn = "http/1.1",
        .pwsi = &wsi,
        .retry_and_idle_policy = &loop->no_retry,
        .opaque_user_data = conn,
    };
    loop->adopting = conn;
    web_set_reason("cannot connect");
    struct lws *made = lws_client_connect_via_info(&info);
    if (loop->adopting != conn) return NULL; // failed and destroyed; `failed` was called
    loop->adopting = NULL;
    if (!made) {
        client_failed(conn, web_reason());
        // On libuv it is destroyed when libuv has let go of it.
        if (!loop->config.libuv) conn_destroy(conn);
        return NULL;
    }
    conn->wsi = made;
    return conn;
}

int client_headers(web_conn *conn, unsigned char **at, size_t length)
{
    if (!conn->refusal.length) return 0;
    return lws_add_http_header_by_token(conn->wsi, WSI_TOKEN_HTTP_AUTHORIZATION,
               conn->refusal.bytes, (int)conn->refusal.length, at, *at + length)
        ? -1
        : 0;
}

// Before the connection counts as open: lws accepts an answer without a subprotocol.
int client_verify(web_conn *conn)
{
    char name[64] = "";
    int length = lws_hdr_copy(conn->wsi, name, sizeof name, WSI_TOKEN_PROTOCOL);
    buffer_free(&conn->refusal);
    if (length > 0) {
        buffer_append(&conn->refusal, name, (size_t)length + 1, sizeof name);
        return 0;
    }
    client_failed(conn, "subprotocol");
    return -1;
}

void client_failed(web_conn *conn, const char *reason)
{
    void *user = conn->user;
    conn->user = NULL;
    if (!user) return;
    int status = conn->wsi ? (int)lws_http_client_http_response(conn->wsi) : 0;
    conn->loop->callbacks.failed(
        conn->loop->callbacks.context, user, status, reason ? reason : "cannot connect");
}
