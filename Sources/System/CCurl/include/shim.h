#pragma once
#include <curl/curl.h>
#include <stdint.h>
// curl's setopt and getinfo are variadic, which Swift does not import; one helper per kind of value.
typedef size_t (*kerb_curl_data)(char *bytes, size_t size, size_t count, void *context);
typedef curl_socket_t (*kerb_curl_open)(void *context, curlsocktype purpose,
                                        struct curl_sockaddr *address);
typedef int (*kerb_curl_progress)(void *context, curl_off_t a, curl_off_t b, curl_off_t c,
                                  curl_off_t d);

// Of an enumeration in older headers, macros in newer ones, which Swift sees as other types.
static const long KERB_CURLUSESSL_TRY = (long)CURLUSESSL_TRY;
static const long KERB_CURLUSESSL_ALL = (long)CURLUSESSL_ALL;

// Why the library cannot be used; NULL when it can. Loads it.
const char *kerb_curl_missing(void);

CURLcode kerb_curl_set_long(CURL *h, CURLoption o, long v);
CURLcode kerb_curl_set_text(CURL *h, CURLoption o, const char *v);
CURLcode kerb_curl_set_pointer(CURL *h, CURLoption o, const void *v);
CURLcode kerb_curl_set_size(CURL *h, CURLoption o, int64_t v);
CURLcode kerb_curl_set_body(CURL *h, const void *bytes, long count);
CURLcode kerb_curl_set_callbacks(CURL *h, kerb_curl_data head, kerb_curl_data body, kerb_curl_open open,
                                 void *context);
// Files of any size, which never lie in memory whole.
CURLcode kerb_curl_set_file(CURL *h, kerb_curl_data read, kerb_curl_progress progress, void *context);
CURLUcode kerb_curl_url_get(CURLU *url, CURLUPart part, char **text, unsigned flags);
CURLMcode kerb_curl_multi_set(CURLM *m, CURLMoption o, long v);
long kerb_curl_status(CURL *h);
// Where an answer sends us; NULL when it does not. Belongs to the handle.
const char *kerb_curl_redirect(CURL *h);

static inline CURL *kerb_curl_done_handle(CURLMsg *m) { return m->easy_handle; }
static inline CURLcode kerb_curl_done_result(CURLMsg *m) { return m->data.result; }
