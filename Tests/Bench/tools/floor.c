// The floor: libwebsockets on libuv in plain C, answering every CALL with a CALLRESULT and nothing
// behind it. It parses no more than the message's id and keeps nothing. What a server in front of
// it costs beyond this is the server's own.
//
//   floor PORT
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <uv.h>

enum { longest_answer = 256, longest_id = 64 };

static size_t write_time(char *out, size_t room) {
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t length = strftime(out, room, "%Y-%m-%dT%H:%M:%S", &utc);
    return length + (size_t)snprintf(out + length, room - length, ".%03ldZ", now.tv_nsec / 1000000);
}

// `[2,"id","Action",{…}]` becomes `[3,"id",{…}]`; 0 if it is no CALL.
static size_t answer(const char *in, size_t length, char *out) {
    if (length < 8 || memcmp(in, "[2,\"", 4) != 0) return 0;
    const char *end = memchr(in + 4, '"', length - 4);
    if (!end || end - in > longest_id || in + length - end < 4) return 0;
    char now[40];
    size_t at = (size_t)(end - in) + 1;
    memcpy(out, in, at);
    out[1] = '3';
    if (end[3] == 'H' || end[3] == 'B') {
        now[write_time(now, sizeof now)] = 0;
        at += (size_t)snprintf(
            out + at, longest_answer - at,
            ",{\"currentTime\":\"%s\",\"interval\":300,\"status\":\"Accepted\"}]", now);
    } else {
        memcpy(out + at, ",{}]", 4);
        at += 4;
    }
    return at;
}

static int callback(
    struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length) {
    (void)user;
    if (reason != LWS_CALLBACK_RECEIVE) return 0;
    char text[LWS_PRE + longest_answer];
    size_t count = answer(in, length, text + LWS_PRE);
    if (count == 0) return -1;
    // Written at once: waiting for the writeable callback would double the cost.
    int sent = lws_write(wsi, (unsigned char *)text + LWS_PRE, count, LWS_WRITE_TEXT);
    return sent < (int)count ? -1 : 0;
}

int main(int count, char **arguments) {
    static const struct lws_protocols protocols[] = {
        {.name = "ocpp1.6", .callback = callback, .rx_buffer_size = 1024},
        {0},
    };
    // All zero: no timer per connection, which would cost O(connections) each.
    static const lws_retry_bo_t no_validity_timers;
    uv_loop_t loop;
    void *loops[] = {&loop};
    struct rlimit files = {65536, 65536};
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max > 65536 ? 65536 : files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    uv_loop_init(&loop);
    lws_set_log_level(LLL_ERR, NULL);
    struct lws_context_creation_info info = {
        .port = count > 1 ? atoi(arguments[1]) : 9100,
        .iface = "lo",
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_LIBUV,
        .foreign_loops = loops,
        .retry_and_idle_policy = &no_validity_timers,
    };
    struct lws_context *context = lws_create_context(&info);
    if (!context) return 1;
    puts("ready");
    fflush(stdout);
    return uv_run(&loop, UV_RUN_DEFAULT);
}
