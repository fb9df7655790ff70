// libcurl, loaded by the first call that needs it.
//
// It brings thirty libraries with it (LDAP, Kerberos, GnuTLS through RTMP, ...), some 5 MB of a board's
// memory, for files that are fetched a few times a year. So nothing is linked: each function of it that we
// call stands here under its own name, is invisible outside this program, and passes the call on. Where the
// library is not installed, handles are NULL, and kerb_curl_missing() says why.
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>

// By its folder: other C modules have a shim.h too.
#include "include/shim.h"

// What the two variadic ones take of their callers: one value, never a floating-point number.
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

#define EACH(F)                                                                                       \
    F(curl_global_init) F(curl_free) F(curl_easy_init) F(curl_easy_cleanup) F(curl_easy_reset)        \
    F(curl_easy_perform) F(curl_easy_strerror) F(curl_easy_setopt) F(curl_easy_getinfo)               \
    F(curl_multi_init) F(curl_multi_cleanup) F(curl_multi_add_handle) F(curl_multi_remove_handle)     \
    F(curl_multi_perform) F(curl_multi_poll) F(curl_multi_wakeup) F(curl_multi_info_read)             \
    F(curl_multi_setopt) F(curl_slist_append) F(curl_slist_free_all) F(curl_url) F(curl_url_cleanup)  \
    F(curl_url_get) F(curl_url_set)

#define FIELD(name) __typeof__(name) *name;
static struct { EACH(FIELD) } library;
static const char *missing;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void) {
    void *handle = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        missing = "libcurl.so.4 is not installed (Debian: libcurl4)";
        return;
    }
#define FIND(name)                                                                                    \
    if (!(library.name = (__typeof__(name) *)dlsym(handle, #name))) missing = "libcurl.so.4 lacks " #name;
    EACH(FIND)
}

const char *kerb_curl_missing(void) {
    pthread_once(&once, load);
    return missing;
}

// Handles come from these; without a library there is none, and nothing below is reached.
CURLcode curl_global_init(long flags) {
    return kerb_curl_missing() ? CURLE_FAILED_INIT : library.curl_global_init(flags);
}
CURL *curl_easy_init(void) { return kerb_curl_missing() ? NULL : library.curl_easy_init(); }
CURLM *curl_multi_init(void) { return kerb_curl_missing() ? NULL : library.curl_multi_init(); }
CURLU *curl_url(void) { return kerb_curl_missing() ? NULL : library.curl_url(); }
struct curl_slist *curl_slist_append(struct curl_slist *list, const char *text) {
    return kerb_curl_missing() ? NULL : library.curl_slist_append(list, text);
}
const char *curl_easy_strerror(CURLcode code) {
    return kerb_curl_missing() ? missing : library.curl_easy_strerror(code);
}
void curl_slist_free_all(struct curl_slist *list) {
    if (list) library.curl_slist_free_all(list);
}
void curl_free(void *memory) {
    if (memory) library.curl_free(memory);
}

void curl_easy_cleanup(CURL *h) { library.curl_easy_cleanup(h); }
void curl_easy_reset(CURL *h) { library.curl_easy_reset(h); }
CURLcode curl_easy_perform(CURL *h) { return library.curl_easy_perform(h); }
CURLMcode curl_multi_cleanup(CURLM *m) { return library.curl_multi_cleanup(m); }
CURLMcode curl_multi_add_handle(CURLM *m, CURL *h) { return library.curl_multi_add_handle(m, h); }
CURLMcode curl_multi_remove_handle(CURLM *m, CURL *h) { return library.curl_multi_remove_handle(m, h); }
CURLMcode curl_multi_perform(CURLM *m, int *running) { return library.curl_multi_perform(m, running); }
CURLMcode curl_multi_poll(CURLM *m, struct curl_waitfd more[], unsigned count, int wait, int *ready) {
    return library.curl_multi_poll(m, more, count, wait, ready);
}
CURLMcode curl_multi_wakeup(CURLM *m) { return library.curl_multi_wakeup(m); }
CURLMsg *curl_multi_info_read(CURLM *m, int *left) { return library.curl_multi_info_read(m, left); }
void curl_url_cleanup(CURLU *url) { library.curl_url_cleanup(url); }
// Under a name of ours: newer headers have a const more.
CURLUcode kerb_curl_url_get(CURLU *url, CURLUPart part, char **text, unsigned flags) {
    return library.curl_url_get(url, part, text, flags);
}
CURLUcode curl_url_set(CURLU *url, CURLUPart part, const char *text, unsigned flags) {
    return library.curl_url_set(url, part, text, flags);
}

CURLcode kerb_curl_set_long(CURL *h, CURLoption o, long v) { return library.curl_easy_setopt(h, o, v); }
CURLcode kerb_curl_set_text(CURL *h, CURLoption o, const char *v) { return library.curl_easy_setopt(h, o, v); }
CURLcode kerb_curl_set_pointer(CURL *h, CURLoption o, const void *v) {
    return library.curl_easy_setopt(h, o, v);
}
CURLcode kerb_curl_set_body(CURL *h, const void *bytes, long count) {
    CURLcode failure = library.curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE, count);
    return failure ? failure : library.curl_easy_setopt(h, CURLOPT_COPYPOSTFIELDS, bytes);
}
CURLcode kerb_curl_set_callbacks(CURL *h, kerb_curl_data head, kerb_curl_data body, kerb_curl_open open,
                                 void *context) {
    library.curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, head);
    library.curl_easy_setopt(h, CURLOPT_HEADERDATA, context);
    library.curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, body);
    library.curl_easy_setopt(h, CURLOPT_WRITEDATA, context);
    library.curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, open);
    return library.curl_easy_setopt(h, CURLOPT_OPENSOCKETDATA, context);
}
CURLcode kerb_curl_set_size(CURL *h, CURLoption o, int64_t v) {
    return library.curl_easy_setopt(h, o, (curl_off_t)v);
}
CURLcode kerb_curl_set_file(CURL *h, kerb_curl_data read, kerb_curl_progress progress, void *context) {
    library.curl_easy_setopt(h, CURLOPT_READFUNCTION, read);
    library.curl_easy_setopt(h, CURLOPT_READDATA, context);
    library.curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
    library.curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, progress);
    return library.curl_easy_setopt(h, CURLOPT_XFERINFODATA, context);
}
CURLMcode kerb_curl_multi_set(CURLM *m, CURLMoption o, long v) { return library.curl_multi_setopt(m, o, v); }
long kerb_curl_status(CURL *h) {
    long status = 0;
    library.curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
    return status;
}
const char *kerb_curl_redirect(CURL *h) {
    char *url = NULL;
    library.curl_easy_getinfo(h, CURLINFO_REDIRECT_URL, &url);
    return url;
}
