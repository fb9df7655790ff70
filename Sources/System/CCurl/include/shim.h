#pragma once
#include <curl/curl.h>
// curl's setopt and getinfo are variadic, which Swift does not import; one helper per kind of value.
typedef size_t (*kerb_curl_data)(char *bytes, size_t size, size_t count, void *context);
typedef curl_socket_t (*kerb_curl_open)(void *context, curlsocktype purpose,
                                        struct curl_sockaddr *address);

static inline CURLcode kerb_curl_set_long(CURL *h, CURLoption o, long v) {
    return curl_easy_setopt(h, o, v);
}
static inline CURLcode kerb_curl_set_text(CURL *h, CURLoption o, const char *v) {
    return curl_easy_setopt(h, o, v);
}
static inline CURLcode kerb_curl_set_pointer(CURL *h, CURLoption o, const void *v) {
    return curl_easy_setopt(h, o, v);
}
static inline CURLcode kerb_curl_set_body(CURL *h, const void *bytes, long count) {
    CURLcode failure = curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE, count);
    return failure ? failure : curl_easy_setopt(h, CURLOPT_COPYPOSTFIELDS, bytes);
}
static inline CURLcode kerb_curl_set_callbacks(CURL *h, kerb_curl_data head, kerb_curl_data body,
                                               kerb_curl_open open, void *context) {
    curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, head);
    curl_easy_setopt(h, CURLOPT_HEADERDATA, context);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, body);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, context);
    curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, open);
    return curl_easy_setopt(h, CURLOPT_OPENSOCKETDATA, context);
}
static inline long kerb_curl_status(CURL *h) {
    long status = 0;
    curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
    return status;
}
static inline CURLMcode kerb_curl_multi_set(CURLM *m, CURLMoption o, long v) {
    return curl_multi_setopt(m, o, v);
}
static inline CURL *kerb_curl_done_handle(CURLMsg *m) { return m->easy_handle; }
static inline CURLcode kerb_curl_done_result(CURLMsg *m) { return m->data.result; }

// Files of any size, which never lie in memory whole.
typedef int (*kerb_curl_progress)(void *context, curl_off_t a, curl_off_t b, curl_off_t c,
                                  curl_off_t d);
static inline CURLcode kerb_curl_set_size(CURL *h, CURLoption o, int64_t v) {
    return curl_easy_setopt(h, o, (curl_off_t)v);
}
static inline CURLcode kerb_curl_set_file(CURL *h, kerb_curl_data read, kerb_curl_progress progress,
                                          void *context) {
    curl_easy_setopt(h, CURLOPT_READFUNCTION, read);
    curl_easy_setopt(h, CURLOPT_READDATA, context);
    curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, progress);
    return curl_easy_setopt(h, CURLOPT_XFERINFODATA, context);
}
// Where an answer sends us; NULL when it does not. Belongs to the handle.
static inline const char *kerb_curl_redirect(CURL *h) {
    char *url = NULL;
    curl_easy_getinfo(h, CURLINFO_REDIRECT_URL, &url);
    return url;
}
