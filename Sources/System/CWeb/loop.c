// The loop: creation, thread, ticks, wake-ups, end.
#include "internal.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char reason[REASON_BYTES];

const char *web_reason(void) { return reason; }

void web_set_reason(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
}

// libwebsockets says why it refuses only in its log; the last line becomes our reason.
static void keep_log_line(int level, const char *line)
{
    (void)level;
    size_t length = strcspn(line, "\n");
    web_set_reason("%.*s", (int)(length < REASON_BYTES - 1 ? length : REASON_BYTES - 1), line);
}

// ---- libuv, found at run time -------------------------------------------------------------

static int uv_find(web_uv *uv)
{
    // Never closed: libwebsockets' plug-in holds it as well.
    void *library = dlopen("libuv.so.1", RTLD_NOW | RTLD_GLOBAL);
    if (!library) {
        web_set_reason("libuv.so.1 is not installed (package libwebsockets-evlib-uv)");
        return -1;
    }
    const struct {
        const char *name;
        void *place;
    } wanted[] = {
        { "uv_loop_init", &uv->loop_init },
        { "uv_run", &uv->run }, { "uv_stop", &uv->stop }, { "uv_async_init", &uv->async_init },
        { "uv_async_send", &uv->async_send }, { "uv_timer_init", &uv->timer_init },
        { "uv_timer_start", &uv->timer_start }, { "uv_close", &uv->close },
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        void *found = dlsym(library, wanted[i].name);
        if (!found) {
            web_set_reason("libuv.so.1 has no %s", wanted[i].name);
            return -1;
        }
        memcpy(wanted[i].place, &found, sizeof found);
    }
    return 0;
}

// ---- time ---------------------------------------------------------------------------------

static void tick(web_loop *loop)
{
    loop->now++;
    loop->accepts_left = loop->config.accepts_per_second;
    listeners_apply(loop);
    // Take the slot off first: a check may put its connection back into the same slot.
    web_conn *due = loop->wheel[loop->now % WHEEL_SLOTS];
    loop->wheel[loop->now % WHEEL_SLOTS] = NULL;
    if (due) due->wheel_previous = &due;
    while (due) {
        web_conn *conn = due;
        due = conn->wheel_next;
        if (due) due->wheel_previous = &due;
        conn->wheel_next = NULL;
        conn->wheel_previous = NULL;
        conn_check(conn);
    }
}

static void uv_tick(uv_timer_t *timer)
{
    web_loop *loop = timer->data;
    tick(loop);
    // On a foreign loop, lws' own timers run at its next event only: this is one.
    lws_cancel_service(loop->context);
}

static void poll_tick(lws_sorted_usec_list_t *timer)
{
    web_loop *loop = lws_container_of(timer, web_loop, poll_tick);
    tick(loop);
    lws_sul_schedule(loop->context, 0, &loop->poll_tick, poll_tick, LWS_US_PER_SEC);
}

// ---- work from other threads --------------------------------------------------------------

void loop_run_jobs(web_loop *loop)
{
    // Cleared before the queue is drained: what is queued afterwards wakes again.
    if (atomic_exchange(&loop->wake_pending, 0)) loop->callbacks.jobs(loop->callbacks.context);
}

static void uv_woken(uv_async_t *async)
{
    web_loop *loop = async->data;
    loop_run_jobs(loop);
    if (atomic_load(&loop->stopping)) loop->uv.stop(&loop->uv_loop);
}

static void interrupt(web_loop *loop)
{
    if (loop->config.libuv)
        loop->uv.async_send(&loop->uv_async);
    else
        lws_cancel_service(loop->context);
}

void web_loop_wake(web_loop *loop)
{
    if (!atomic_exchange(&loop->wake_pending, 1)) interrupt(loop);
}

void web_loop_stop(web_loop *loop)
{
    atomic_store(&loop->stopping, true);
    interrupt(loop);
}

size_t web_loop_connections(const web_loop *loop) { return loop->connection_count; }
size_t web_loop_busy(const web_loop *loop) { return loop->busy; }

size_t web_loop_close_some(web_loop *loop, size_t count, int code)
{
    size_t open = 0;
    for (web_conn *conn = loop->connections; conn; conn = conn->next) {
        if (conn->kind == KIND_STREAM && count && !conn->closing) {
            web_stream_end(conn);
            count--;
        }
        if ((conn->kind != KIND_SOCKET && conn->kind != KIND_CLIENT) || !conn->opened) continue;
        if (!conn->closing && count) {
            web_close(conn, code, NULL, 0);
            count--;
        }
        open++;
    }
    return open;
}

// ---- creation and end ---------------------------------------------------------------------

static char *keep_name(web_loop *loop, const char *name)
{
    char *copy = strdup(name);
    if (copy) loop->names[loop->name_count++] = copy;
    return copy;
}

static int keep_names(web_loop *loop, const web_loop_config *config)
{
    size_t total = config->subprotocol_count + config->extra_header_count;
    loop->protocol_count = config->subprotocol_count + 2;
    loop->names = calloc(total + 2, sizeof *loop->names);
    loop->protocols = calloc(loop->protocol_count + 1, sizeof *loop->protocols);
    if (!loop->names || !loop->protocols) return -1;
    struct lws_protocols *protocol = loop->protocols;
    *protocol++ = (struct lws_protocols) { .name = PROTOCOL_HTTP, .callback = loop_callback };
    for (size_t i = 0; i < config->subprotocol_count; i++) {
        char *name = keep_name(loop, config->subprotocols[i]);
        if (!name) return -1;
        *protocol++ = (struct lws_protocols) { .name = name, .callback = loop_callback };
    }
    *protocol = (struct lws_protocols) { .name = PROTOCOL_LISTENER, .callback = listener_callback };
    for (size_t i = 0; i < loop->protocol_count; i++) {
        // The receive buffer is most of what an idle connection costs; messages may be larger.
        loop->protocols[i].rx_buffer_size = 1024;
        // Otherwise lws sends at most 4096 bytes a turn.
        loop->protocols[i].tx_packet_size = SCRATCH_BYTES;
        loop->protocols[i].id = (unsigned int)i;
    }
    loop->extra_headers = (const char *const *)(loop->names + loop->name_count);
    for (size_t i = 0; i < config->extra_header_count; i++)
        if (!keep_name(loop, config->extra_headers[i])) return -1;
    if (config->body_prefix && !(loop->config.body_prefix = keep_name(loop, config->body_prefix)))
        return -1;
    return 0;
}

static int start_uv(web_loop *loop)
{
    if (uv_find(&loop->uv)) return -1;
    if (loop->uv.loop_init(&loop->uv_loop)) {
        web_set_reason("libuv cannot make a loop");
        return -1;
    }
    loop->uv_async.data = loop;
    loop->uv_timer.data = loop;
    loop->uv.async_init(&loop->uv_loop, &loop->uv_async, uv_woken);
    loop->uv.timer_init(&loop->uv_loop, &loop->uv_timer);
    loop->uv.timer_start(&loop->uv_timer, uv_tick, 1000, 1000);
    return 0;
}

// With DO_SSL_GLOBAL_INIT every context moves the global numbers under which lws finds its own data
// in OpenSSL's objects, and the handshakes of older contexts no longer find theirs: only the first
// one of the process may.
static struct lws_context *create_context(struct lws_context_creation_info *info)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static bool has_tls;
    pthread_mutex_lock(&lock);
    if (!has_tls) info->options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    struct lws_context *context = lws_create_context(info);
    has_tls |= context != NULL;
    pthread_mutex_unlock(&lock);
    return context;
}

web_loop *web_loop_create(const web_loop_config *config, const web_callbacks *callbacks)
{
    web_loop *loop = calloc(1, sizeof *loop);
    if (!loop) return NULL;
    loop->config = *config;
    loop->callbacks = *callbacks;
    loop->config.subprotocols = loop->config.extra_headers = NULL; // the copies are `names`
    loop->accepting = true;
    loop->accepts_left = config->accepts_per_second;
    loop->scratch = malloc(LWS_PRE + SCRATCH_BYTES);
    loop->head_capacity = config->max_header * 2 + 8192;
    loop->head = malloc(loop->head_capacity);
    reason[0] = 0;
    lws_set_log_level(LLL_ERR, keep_log_line);
    if (!loop->scratch || !loop->head || keep_names(loop, config)
        || (config->libuv && start_uv(loop))) {
        web_loop_free(loop);
        return NULL;
    }
    void *foreign[1] = { &loop->uv_loop };
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = loop->protocols,
        .user = loop,
        .gid = (gid_t)-1,
        .uid = (uid_t)-1,
        .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
        .max_http_header_data2 = (unsigned int)config->max_header,
        .timeout_secs = (unsigned int)config->request_seconds,
        .connect_timeout_secs = (unsigned int)config->request_seconds,
        .keepalive_timeout = config->keep_alive_seconds,
        .retry_and_idle_policy = &loop->no_retry,
    };
    if (config->libuv) {
        info.options |= LWS_SERVER_OPTION_LIBUV;
        info.foreign_loops = foreign;
    }
    loop->context = create_context(&info);
    if (!loop->context) {
        if (!reason[0]) web_set_reason("libwebsockets cannot make a context");
        web_loop_free(loop);
        return NULL;
    }
    if (!config->libuv)
        lws_sul_schedule(loop->context, 0, &loop->poll_tick, poll_tick, LWS_US_PER_SEC);
    return loop;
}

static void nothing(uv_handle_t *handle) { (void)handle; }

// Loops that are over and cannot be freed; kept here so that they are not lost.
static pthread_mutex_t retired_lock = PTHREAD_MUTEX_INITIALIZER;
static web_loop *retired;

static bool has_sockets(const web_loop *loop)
{
    for (const web_listener *listener = loop->listeners; listener; listener = listener->next)
        if (listener->wsi) return true;
    return loop->connection_count > 0;
}

// On libuv, lws_context_destroy() closes the descriptor of its wake-up pipe at once and, when libuv has
// let go of it, a second time: by then it may be another thread's. So every socket is closed here, and
// the context itself is left: a server has one in its life.
static void retire_uv(web_loop *loop)
{
    if (loop->retired) return;
    loop->retired = true;
    loop->accepting = false;
    uint32_t deadline = loop->now + RETIRE_SECONDS;
    while (loop->now < deadline && has_sockets(loop)) {
        for (web_listener *listener = loop->listeners; listener; listener = listener->next)
            if (listener->wsi)
                lws_set_timeout(
                    listener->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
        for (web_conn *conn = loop->connections; conn; conn = conn->next) web_cut(conn);
        // lws looks at its timers only when something happens.
        lws_cancel_service(loop->context);
        loop->uv.run(&loop->uv_loop, UV_RUN_ONCE);
    }
    loop->uv.close((uv_handle_t *)&loop->uv_async, nothing);
    loop->uv.close((uv_handle_t *)&loop->uv_timer, nothing);
    loop->uv.run(&loop->uv_loop, UV_RUN_NOWAIT);
}

static void destroy_context(web_loop *loop)
{
    if (!loop->context) return;
    if (loop->config.libuv) return retire_uv(loop);
    lws_sul_cancel(&loop->poll_tick);
    lws_context_destroy(loop->context);
    loop->context = NULL;
}

void web_loop_run(web_loop *loop)
{
    if (loop->config.libuv)
        loop->uv.run(&loop->uv_loop, UV_RUN_DEFAULT);
    else
        while (!atomic_load(&loop->stopping)) {
            if (lws_service(loop->context, 0) < 0) break;
            // A loop without a listener has no vhost to hear EVENT_WAIT_CANCELLED: clients' loops.
            loop_run_jobs(loop);
        }
    loop_run_jobs(loop);
}

void web_loop_close(web_loop *loop)
{
    destroy_context(loop);
    // What the closing connections queued.
    loop->callbacks.jobs(loop->callbacks.context);
}

void web_loop_free(web_loop *loop)
{
    if (!loop) return;
    destroy_context(loop);
    if (loop->retired) {
        pthread_mutex_lock(&retired_lock);
        loop->next_retired = retired;
        retired = loop;
        pthread_mutex_unlock(&retired_lock);
        return;
    }
    listeners_free(loop);
    trusts_free(loop);
    for (size_t i = 0; i < loop->name_count; i++) free(loop->names[i]);
    free(loop->names);
    free(loop->protocols);
    free(loop->scratch);
    free(loop->head);
    free(loop);
}
