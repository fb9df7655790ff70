// Laying out the head of a request, as lws parsed it, for Swift.
#include "internal.h"
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/socket.h>

static const char *const methods[]
    = { "GET", "POST", "OPTIONS", "PUT", "PATCH", "DELETE", "CONNECT", "HEAD" };

typedef struct {
    char *at, *end;
} cursor;

static int take_value(cursor *place, web_field *field, int copied)
{
    if (copied < 0) return -1;
    field->value = place->at;
    field->value_length = (size_t)copied;
    place->at += copied + 1;
    return 0;
}

static int room(const cursor *place)
{
    ptrdiff_t left = place->end - place->at;
    return left > 1 ? (int)left - 1 : 0;
}

static size_t read_known(struct lws *wsi, cursor *place, web_field *fields)
{
    size_t count = 0;
    for (int token = 0; token < WSI_TOKEN_COUNT && count < MAX_FIELDS; token++) {
        int length = lws_hdr_total_length(wsi, (enum lws_token_indexes)token);
        if (length <= 0) continue;
        const char *name = (const char *)lws_token_to_string((enum lws_token_indexes)token);
        size_t name_length = name ? strlen(name) : 0;
        // The table also holds methods, the URI and HTTP/2's pseudo-headers.
        if (name_length < 2 || name[0] == ':' || name[name_length - 1] != ':') continue;
        int copied = lws_hdr_copy(wsi, place->at, room(place), (enum lws_token_indexes)token);
        if (take_value(place, &fields[count], copied)) continue;
        fields[count].name = name;
        fields[count++].name_length = name_length - 1;
    }
    return count;
}

// lws trims the headers it knows, not these.
static void trim(web_field *field)
{
    while (field->value_length && (*field->value == ' ' || *field->value == '\t')) {
        field->value++;
        field->value_length--;
    }
    while (field->value_length && strchr(" \t", field->value[field->value_length - 1]))
        field->value_length--;
}

static size_t read_extra(web_loop *loop, struct lws *wsi, cursor *place, web_field *fields, size_t count)
{
    for (size_t i = 0; i < loop->config.extra_header_count && count < MAX_FIELDS; i++) {
        const char *name = loop->extra_headers[i];
        int name_length = (int)strlen(name);
        int length = lws_hdr_custom_length(wsi, name, name_length);
        if (length < 0 || length >= room(place)) continue;
        int copied = lws_hdr_custom_copy(wsi, place->at, room(place), name, name_length);
        if (take_value(place, &fields[count], copied)) continue;
        trim(&fields[count]);
        fields[count].name = name;
        fields[count++].name_length = (size_t)name_length - 1;
    }
    return count;
}

static size_t read_query(struct lws *wsi, cursor *place, web_field *items)
{
    size_t count = 0;
    for (int i = 0; count < MAX_FIELDS; i++) {
        // One fragment is one item, already decoded: joining them with `&` would lose the borders.
        int length = lws_hdr_copy_fragment(wsi, place->at, room(place), WSI_TOKEN_HTTP_URI_ARGS, i);
        if (length < 0) break;
        if (!length) continue; // `&&`
        char *equals = memchr(place->at, '=', (size_t)length);
        size_t name_length = equals ? (size_t)(equals - place->at) : (size_t)length;
        items[count].name = place->at;
        items[count].name_length = name_length;
        items[count].value = equals ? equals + 1 : place->at + length;
        items[count].value_length = equals ? (size_t)length - name_length - 1 : 0;
        count++;
        place->at += length + 1;
    }
    return count;
}

static const char *peer_address(web_conn *conn, char *text, size_t capacity)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    if (getpeername(lws_get_socket_fd(conn->wsi), (struct sockaddr *)&address, &length)) return "";
    const void *bytes = address.ss_family == AF_INET6
        ? (const void *)&((struct sockaddr_in6 *)&address)->sin6_addr
        : (const void *)&((struct sockaddr_in *)&address)->sin_addr;
    const char *found = inet_ntop(address.ss_family, bytes, text, (socklen_t)capacity);
    return found ? found : "";
}

// Fills everything but the body and the certificate. -1: the head is unusable.
int request_read(web_conn *conn, web_request *request)
{
    web_loop *loop = conn->loop;
    struct lws *wsi = conn->wsi;
    char *uri = NULL;
    int length = 0;
    int method = lws_http_get_uri_and_method(wsi, &uri, &length);
    if (method < 0 || method >= (int)(sizeof methods / sizeof *methods) || length < 1) return -1;
    cursor place = { loop->head, loop->head + loop->head_capacity };
    char *address = place.at;
    place.at += INET6_ADDRSTRLEN;
    *request = (web_request) {
        .method = methods[method],
        .path = uri,
        .path_length = (size_t)length,
        .listener = conn->listener ? conn->listener->name : "",
        .tls = lws_is_ssl(wsi) != 0,
        .remote_address = peer_address(conn, address, INET6_ADDRSTRLEN),
        .headers = loop->fields,
        .query = loop->items,
    };
    request->header_count = read_known(wsi, &place, loop->fields);
    request->header_count = read_extra(loop, wsi, &place, loop->fields, request->header_count);
    request->query_count = read_query(wsi, &place, loop->items);
    return 0;
}

static void read_name(X509_NAME *subject, int nid, char *text, size_t capacity)
{
    // A name with a NUL inside would read differently in C and in the log: it counts as none.
    int length = X509_NAME_get_text_by_NID(subject, nid, text, (int)capacity);
    if (length < 0 || strlen(text) != (size_t)length) text[0] = 0;
}

bool request_certificate(web_conn *conn, web_request *request, char *common_name,
    char *organization, size_t capacity, char *sha256_hex)
{
    if (!lws_is_ssl(conn->wsi)) return false;
    SSL *ssl = lws_get_ssl(conn->wsi);
    X509 *certificate = ssl ? SSL_get0_peer_certificate(ssl) : NULL;
    if (!certificate || SSL_get_verify_result(ssl) != X509_V_OK) return false;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int digest_length = 0;
    if (!X509_digest(certificate, EVP_sha256(), digest, &digest_length)) return false;
    for (unsigned int i = 0; i < digest_length; i++) sprintf(sha256_hex + 2 * i, "%02x", digest[i]);
    read_name(X509_get_subject_name(certificate), NID_commonName, common_name, capacity);
    read_name(X509_get_subject_name(certificate), NID_organizationName, organization, capacity);
    request->common_name = common_name;
    request->organization = organization;
    request->sha256_hex = sha256_hex;
    return true;
}
