// Our own listening sockets. lws 4.1.6 never sets SO_REUSEPORT, so loops could not share a port
// through it; and here new connections can be made to wait in the kernel's queue.
#define _GNU_SOURCE
#include "internal.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int web_bind(const char *address, int port, bool shared)
{
    struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
    struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    bool is_six = inet_pton(AF_INET6, address, &six.sin6_addr) == 1;
    if (!is_six && inet_pton(AF_INET, address, &four.sin_addr) != 1) {
        web_set_reason("not a numeric IPv4 or IPv6 address");
        return -1;
    }
    int yes = 1;
    int fd = socket(is_six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        web_set_reason("%s", strerror(errno));
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (shared) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
    if (is_six) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
    int failed = is_six ? bind(fd, (struct sockaddr *)&six, sizeof six)
                        : bind(fd, (struct sockaddr *)&four, sizeof four);
    if (failed || listen(fd, 4096)) {
        web_set_reason("%s", strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

int web_bound_port(int fd)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &length)) return -1;
    return address.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&address)->sin6_port)
                                         : ntohs(((struct sockaddr_in *)&address)->sin_port);
}

static void tls_options(
    struct lws_context_creation_info *info, const web_listener_config *config)
{
    info->options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    // lws makes a client's TLS context beside the server's, and fills it with the system's authorities.
    info->options |= LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
    info->ssl_cert_filepath = config->certificate_file;
    info->ssl_private_key_filepath = config->key_file;
    // HTTP/2 would lose custom headers and WebSockets in this version.
    info->alpn = "http/1.1";
    if (!config->client_ca_file) return;
    info->ssl_ca_filepath = config->client_ca_file;
    info->options |= LWS_SERVER_OPTION_REQUIRE_VALID_OPENSSL_CLIENT_CERT;
    if (!config->client_certificate_required)
        info->options |= LWS_SERVER_OPTION_PEER_CERT_NOT_REQUIRED;
}

static int adopt_socket(web_listener *listener)
{
    lws_adopt_desc_t adopt = {
        .vh = listener->vhost,
        .type = LWS_ADOPT_RAW_FILE_DESC,
        .fd.filefd = listener->socket,
        .vh_prot_name = PROTOCOL_LISTENER,
    };
    listener->wsi = lws_adopt_descriptor_vhost_via_info(&adopt);
    if (!listener->wsi) return -1;
    listener->socket = -1;
    return 0;
}

int web_loop_listen(web_loop *loop, const web_listener_config *config, int socket)
{
    web_listener *listener = calloc(1, sizeof *listener);
    if (!listener) {
        close(socket);
        return -1;
    }
    listener->loop = loop;
    listener->socket = socket;
    listener->name = strdup(config->name);
    listener->next = loop->listeners;
    loop->listeners = listener;
    snprintf(listener->vhost_name, VHOST_NAME_BYTES, "kerb listener %p", (void *)listener);
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = loop->protocols,
        .vhost_name = listener->vhost_name,
        .keepalive_timeout = loop->config.keep_alive_seconds,
        .retry_and_idle_policy = &loop->no_retry,
    };
    if (config->certificate_file) tls_options(&info, config);
    web_set_reason("the TLS files are unusable");
    listener->vhost = lws_create_vhost(loop->context, &info);
    return listener->vhost ? adopt_socket(listener) : -1;
}

void listeners_free(web_loop *loop)
{
    while (loop->listeners) {
        web_listener *listener = loop->listeners;
        loop->listeners = listener->next;
        if (listener->socket >= 0) close(listener->socket);
        free(listener->name);
        free(listener);
    }
}

static bool may_accept(const web_loop *loop)
{
    return loop->accepting && (loop->config.accepts_per_second <= 0 || loop->accepts_left > 0)
        && loop->connection_count < (size_t)loop->config.max_connections;
}

// Listens or lets wait, whichever is right now.
void listeners_apply(web_loop *loop)
{
    bool pause = !may_accept(loop);
    for (web_listener *listener = loop->listeners; listener; listener = listener->next) {
        if (listener->paused == pause || !listener->wsi) continue;
        listener->paused = pause;
        lws_rx_flow_control(listener->wsi, !pause);
    }
}

void web_loop_pause_accepting(web_loop *loop)
{
    loop->accepting = false;
    listeners_apply(loop);
}

static void adopt_connection(web_listener *listener, int fd)
{
    web_loop *loop = listener->loop;
    int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    web_conn *conn = conn_create(loop, listener);
    if (!conn) {
        close(fd);
        return;
    }
    lws_adopt_desc_t adopt = {
        .vh = listener->vhost,
        .type = (lws_adoption_type)(LWS_ADOPT_HTTP | LWS_ADOPT_SOCKET | LWS_ADOPT_ALLOW_SSL),
        .fd.sockfd = fd,
        .opaque = conn,
    };
    // The connection may be made, fail and be destroyed before this returns.
    loop->adopting = conn;
    struct lws *wsi = lws_adopt_descriptor_vhost_via_info(&adopt);
    if (loop->adopting != conn) return;
    loop->adopting = NULL;
    if (wsi)
        conn->wsi = wsi;
    else if (!loop->config.libuv)
        conn_destroy(conn);
    // On libuv a connection that failed here is destroyed when libuv has let go of it.
}

static void accept_some(web_listener *listener)
{
    web_loop *loop = listener->loop;
    for (int i = 0; i < ACCEPTS_A_TURN && may_accept(loop); i++) {
        int fd = accept4(lws_get_socket_fd(listener->wsi), NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) break;
        loop->accepts_left--;
        adopt_connection(listener, fd);
    }
    listeners_apply(loop);
}

int listener_callback(
    struct lws *wsi, enum lws_callback_reasons why, void *user, void *in, size_t length)
{
    (void)user, (void)in, (void)length;
    if (why != LWS_CALLBACK_RAW_RX_FILE && why != LWS_CALLBACK_RAW_CLOSE_FILE) return 0;
    web_loop *loop = lws_context_user(lws_get_context(wsi));
    // Not by lws' opaque pointer: that one means a connection.
    for (web_listener *listener = loop->listeners; listener; listener = listener->next)
        if (listener->wsi == wsi) {
            if (why == LWS_CALLBACK_RAW_CLOSE_FILE)
                listener->wsi = NULL;
            else
                accept_some(listener);
        }
    return 0;
}
