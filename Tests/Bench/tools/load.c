// Plays many OCPP 1.6J stations against a server on loopback and measures what the server pays.
// One thread, epoll, one call of a station under way at a time. Prints one JSON object.
//
//   load --port P --pid SERVER [--stations N] [--call heartbeat|meter] [--seconds S] [--warm S]
//        [--boot] [--status] [--first N] [--name PREFIX] [--rate R] [--tls]
//
// `--status` sends two StatusNotifications after the BootNotification, as a station that comes back does.
// `--rate R` sends R calls a second in all, evenly, instead of the next as soon as one is answered.
// With `--seconds 0` it only connects and then compares the server's memory after the first
// stations (`--first`) with that after all.
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { longest_frame = 2048, most_stations = 15000, connecting_at_once = 50, most_samples = 1000000 };

enum state { connecting, greeting, upgrading, booting, telling, starting, ready, dead };

struct station {
    int fd;
    SSL *tls;
    enum state state;
    unsigned sequence;
    long transaction;
    double sent_at;
    bool is_waiting;
    size_t received;
    unsigned char buffer[longest_frame];
};

static struct {
    int port, pid, stations, first;
    double seconds, warm_seconds, rate;
    bool meter, boot, status, tls;
    const char *name;
} options = {.port = 9100, .name = "BENCH", .stations = 200, .first = 0, .seconds = 2, .warm_seconds = 0.5};

static SSL_CTX *tls;
static struct station *stations;
static int poller, in_progress, open_stations, dead_stations;
static bool is_running;
static unsigned long long answers, errors, late;
static float *latencies;
static size_t latency_count;
static time_t session_start;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

// Seconds of CPU that all threads of the server have had. schedstat counts nanoseconds.
static double server_cpu(void) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", options.pid);
    DIR *folder = opendir(path);
    if (!folder) return 0;
    double sum = 0;
    struct dirent *entry;
    while ((entry = readdir(folder))) {
        if (entry->d_name[0] == '.') continue;
        char file[400];
        snprintf(file, sizeof file, "%s/%s/schedstat", path, entry->d_name);
        FILE *in = fopen(file, "r");
        unsigned long long nanoseconds = 0;
        if (!in) continue;
        if (fscanf(in, "%llu", &nanoseconds) == 1) sum += (double)nanoseconds * 1e-9;
        fclose(in);
    }
    closedir(folder);
    return sum;
}

static long server_rss_bytes(void) {
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/status", options.pid);
    FILE *in = fopen(path, "r");
    long kib = 0;
    if (!in) return 0;
    while (fgets(line, sizeof line, in) && sscanf(line, "VmRSS: %ld", &kib) != 1) {}
    fclose(in);
    return kib * 1024;
}

static double own_cpu(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
           + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static int number(const struct station *station) { return (int)(station - stations); }

static void give_up(struct station *station, const char *why) {
    if (station->state == dead) return;
    if (station->state < ready) {
        in_progress--;
    } else {
        open_stations--;
    }
    if (dead_stations++ < 3) fprintf(stderr, "load: station %d: %s\n", number(station), why);
    station->state = dead;
    close(station->fd);
}

// A whole message or nothing, as the sockets' buffers are never full here.
static bool send_all(struct station *station, const void *bytes, size_t length) {
    if (station->tls) return SSL_write(station->tls, bytes, (int)length) == (int)length;
    return send(station->fd, bytes, length, MSG_NOSIGNAL) == (ssize_t)length;
}

// As recv: -1 with EAGAIN when there is nothing more for now.
static ssize_t receive_some(struct station *station, void *bytes, size_t room) {
    if (!station->tls) return recv(station->fd, bytes, room, 0);
    int count = SSL_read(station->tls, bytes, (int)room);
    if (count > 0) return count;
    errno = SSL_get_error(station->tls, count) == SSL_ERROR_WANT_READ ? EAGAIN : EIO;
    return -1;
}

static void send_text(struct station *station, const char *text) {
    unsigned char frame[longest_frame];
    static const unsigned char mask[4] = {0x12, 0x34, 0x56, 0x78};
    size_t length = strlen(text), head = 2;
    frame[0] = 0x81;
    if (length < 126) {
        frame[1] = (unsigned char)(0x80 | length);
    } else {
        frame[1] = 0x80 | 126;
        frame[2] = (unsigned char)(length >> 8);
        frame[3] = (unsigned char)length;
        head = 4;
    }
    memcpy(frame + head, mask, 4);
    for (size_t i = 0; i < length; i++) frame[head + 4 + i] = (unsigned char)text[i] ^ mask[i & 3];
    station->sent_at = now();
    if (!send_all(station, frame, head + 4 + length)) give_up(station, "send failed");
}

static void format_time(char *out, size_t room, time_t moment) {
    struct tm utc;
    gmtime_r(&moment, &utc);
    strftime(out, room, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

static void send_call(struct station *station, const char *action, const char *payload) {
    char text[longest_frame - 16];
    snprintf(
        text, sizeof text, "[2,\"%08x-8d5e-4b3a-9a9d-%012u\",\"%s\",%s]", number(station),
        station->sequence++, action, payload);
    send_text(station, text);
}

static void send_start(struct station *station) {
    char payload[256], moment[32];
    format_time(moment, sizeof moment, session_start);
    snprintf(
        payload, sizeof payload,
        "{\"connectorId\":1,\"idTag\":\"BENCH%07d\",\"meterStart\":1000,\"timestamp\":\"%s\"}",
        number(station), moment);
    send_call(station, "StartTransaction", payload);
}

// Five samples, ten seconds after the last ones, the register one watt-hour further.
static void send_measured(struct station *station) {
    char payload[1024], moment[32];
    format_time(moment, sizeof moment, session_start + 10 * (time_t)station->sequence);
    snprintf(
        payload, sizeof payload,
        "{\"connectorId\":1,\"transactionId\":%ld,\"meterValue\":[{\"timestamp\":\"%s\","
        "\"sampledValue\":[{\"value\":\"%u\",\"context\":\"Sample.Periodic\","
        "\"measurand\":\"Energy.Active.Import.Register\",\"unit\":\"Wh\"},"
        "{\"value\":\"7200.0\",\"context\":\"Sample.Periodic\","
        "\"measurand\":\"Power.Active.Import\",\"unit\":\"W\"},"
        "{\"value\":\"31.30\",\"context\":\"Sample.Periodic\",\"measurand\":\"Current.Import\","
        "\"phase\":\"L1\",\"unit\":\"A\"},{\"value\":\"230.1\",\"context\":\"Sample.Periodic\","
        "\"measurand\":\"Voltage\",\"phase\":\"L1\",\"unit\":\"V\"},{\"value\":\"54\","
        "\"context\":\"Sample.Periodic\",\"measurand\":\"SoC\",\"unit\":\"Percent\"}]}]}",
        station->transaction, moment, 1000 + station->sequence);
    send_call(station, "MeterValues", payload);
}

static void send_status(struct station *station, int connector) {
    char payload[256], moment[32];
    format_time(moment, sizeof moment, time(NULL));
    snprintf(
        payload, sizeof payload,
        "{\"connectorId\":%d,\"errorCode\":\"NoError\",\"status\":\"Available\",\"timestamp\":\"%s\"}",
        connector, moment);
    send_call(station, "StatusNotification", payload);
}

static void send_next(struct station *station) {
    if (options.meter) {
        send_measured(station);
    } else {
        send_call(station, "Heartbeat", "{}");
    }
}

static void become_ready(struct station *station) {
    station->state = ready;
    in_progress--;
    open_stations++;
}

static void begin(struct station *station) {
    if (!options.meter) return become_ready(station);
    station->state = starting;
    send_start(station);
}

static void take_message(struct station *station, char *text) {
    bool is_result = strncmp(text, "[3,", 3) == 0;
    if (strncmp(text, "[2,", 3) == 0) return; // a server's own call; nobody waits for our answer
    switch (station->state) {
    case booting:
        if (!is_result || !strstr(text, "Accepted")) return give_up(station, text);
        if (options.status) {
            station->state = telling;
            return send_status(station, 0);
        }
        return begin(station);
    case telling:
        if (!is_result) return give_up(station, text);
        // The call before had the number one.
        if (station->sequence < 3) return send_status(station, 1);
        return begin(station);
    case starting: {
        const char *id = strstr(text, "\"transactionId\":");
        if (!is_result) return give_up(station, text);
        station->transaction = id ? strtol(id + 16, NULL, 10) : 1;
        return become_ready(station);
    }
    case ready:
        answers++;
        if (!is_result && errors++ < 3) fprintf(stderr, "load: %s\n", text);
        if (latency_count < most_samples) {
            latencies[latency_count++] = (float)((now() - station->sent_at) * 1e6);
        }
        station->is_waiting = false;
        if (is_running && options.rate == 0) send_next(station);
        return;
    case connecting:
    case greeting:
    case upgrading:
    case dead: return;
    }
}

static void upgrade(struct station *station) {
    char request[512];
    int length = snprintf(
        request, sizeof request,
        "GET /ocpp/%s-%05d HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n",
        options.name, number(station), options.port);
    station->state = upgrading;
    if (!send_all(station, request, (size_t)length)) give_up(station, "send failed");
}

static void drop(struct station *station, size_t count) {
    memmove(station->buffer, station->buffer + count, station->received - count);
    station->received -= count;
}

static bool take_upgrade(struct station *station) {
    station->buffer[station->received] = 0;
    char *end = strstr((char *)station->buffer, "\r\n\r\n");
    if (!end) return false;
    if (strncmp((char *)station->buffer, "HTTP/1.1 101", 12) != 0) {
        give_up(station, (char *)station->buffer);
        return false;
    }
    drop(station, (size_t)(end + 4 - (char *)station->buffer));
    if (options.boot) {
        station->state = booting;
        send_call(
            station, "BootNotification",
            "{\"chargePointVendor\":\"Kerb\",\"chargePointModel\":\"bench\"}");
    } else {
        become_ready(station);
    }
    return true;
}

// Takes one frame out of the buffer; false if there is no whole one.
static bool take_frame(struct station *station) {
    unsigned char *bytes = station->buffer;
    if (station->received < 2) return false;
    size_t length = bytes[1] & 0x7F, head = 2;
    if (length == 126) {
        if (station->received < 4) return false;
        length = (size_t)bytes[2] << 8 | bytes[3];
        head = 4;
    }
    if (station->received < head + length) return false;
    int kind = bytes[0] & 15;
    if (kind == 1) {
        char text[longest_frame];
        memcpy(text, bytes + head, length);
        text[length] = 0;
        drop(station, head + length);
        take_message(station, text);
    } else if (kind == 9) {
        static const unsigned char pong[6] = {0x8A, 0x80};
        send_all(station, pong, sizeof pong);
        drop(station, head + length);
    } else {
        give_up(station, "closed by the server");
    }
    return station->state != dead;
}

static void handle(struct station *station, unsigned events) {
    if (station->state == connecting && (events & EPOLLOUT)) {
        int error = 0;
        socklen_t length = sizeof error;
        getsockopt(station->fd, SOL_SOCKET, SO_ERROR, &error, &length);
        if (error) return give_up(station, strerror(error));
        if (tls) {
            station->tls = SSL_new(tls);
            SSL_set_fd(station->tls, station->fd);
            station->state = greeting;
        } else {
            upgrade(station);
        }
    }
    if (station->state == greeting) {
        int done = SSL_connect(station->tls);
        if (done == 1) {
            upgrade(station);
        } else if (SSL_get_error(station->tls, done) != SSL_ERROR_WANT_READ) {
            return give_up(station, "no TLS");
        } else {
            return;
        }
    }
    while (station->state != dead && station->state != connecting) {
        size_t room = sizeof station->buffer - 1 - station->received;
        ssize_t count = receive_some(station, station->buffer + station->received, room);
        if (count < 0 && errno == EAGAIN) return;
        if (count <= 0) return give_up(station, "connection lost");
        station->received += (size_t)count;
        if (station->state == upgrading && !take_upgrade(station)) continue;
        while (take_frame(station)) {}
    }
}

static void connect_station(struct station *station) {
    int one = 1, index = number(station);
    station->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (station->fd < 0) {
        perror("load: socket");
        exit(1);
    }
    setsockopt(station->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    // Reset instead of TIME_WAIT, or two runs eat up the ports.
    struct linger reset = {1, 0};
    setsockopt(station->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    setsockopt(station->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    struct sockaddr_in own = {.sin_family = AF_INET}, server = {.sin_family = AF_INET};
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (unsigned)(index / 2500));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server.sin_port = htons((uint16_t)options.port);
    if (bind(station->fd, (struct sockaddr *)&own, sizeof own) < 0) perror("load: bind");
    in_progress++;
    if (connect(station->fd, (struct sockaddr *)&server, sizeof server) < 0
        && errno != EINPROGRESS) {
        return give_up(station, strerror(errno));
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = station};
    epoll_ctl(poller, EPOLL_CTL_ADD, station->fd, &event);
}

static void turn(int milliseconds) {
    struct epoll_event events[256];
    int count = epoll_wait(poller, events, 256, milliseconds);
    for (int i = 0; i < count; i++) {
        struct station *station = events[i].data.ptr;
        if (station->state != dead) handle(station, events[i].events);
    }
}

// Sends what is due by now, by the clock and not by the answers, so that a slow answer is not hidden.
static void send_due(double begun) {
    static unsigned long long sent;
    static int next;
    unsigned long long due = (unsigned long long)((now() - begun) * options.rate);
    for (; sent < due; sent++) {
        struct station *station = &stations[next++ % options.stations];
        if (station->state != ready) continue;
        if (station->is_waiting) {
            late++;
            continue;
        }
        station->is_waiting = true;
        send_next(station);
    }
}

static void run_until(double end) {
    static double begun;
    if (begun == 0) begun = now();
    while (now() < end) {
        if (options.rate > 0) send_due(begun);
        turn(options.rate > 0 ? 1 : 5);
    }
}

static void connect_up_to(int *next, int count) {
    double limit = now() + 60;
    while (open_stations + dead_stations < count && now() < limit) {
        while (*next < count && in_progress < connecting_at_once) connect_station(&stations[(*next)++]);
        turn(50);
    }
}

static int by_value(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void read_options(int count, char **words) {
    for (int i = 1; i < count; i++) {
        const char *word = words[i], *value = i + 1 < count ? words[i + 1] : "";
        if (!strcmp(word, "--boot") || !strcmp(word, "--status") || !strcmp(word, "--tls")) {
            options.boot |= strcmp(word, "--tls") != 0;
            options.status |= !strcmp(word, "--status");
            options.tls |= !strcmp(word, "--tls");
            continue;
        }
        i++;
        if (!strcmp(word, "--port")) options.port = atoi(value);
        else if (!strcmp(word, "--pid")) options.pid = atoi(value);
        else if (!strcmp(word, "--stations")) options.stations = atoi(value);
        else if (!strcmp(word, "--first")) options.first = atoi(value);
        else if (!strcmp(word, "--seconds")) options.seconds = atof(value);
        else if (!strcmp(word, "--warm")) options.warm_seconds = atof(value);
        else if (!strcmp(word, "--rate")) options.rate = atof(value);
        else if (!strcmp(word, "--name")) options.name = value;
        else if (!strcmp(word, "--call")) options.meter = !strcmp(value, "meter");
        else {
            fprintf(stderr, "load: unknown option %s\n", word);
            exit(2);
        }
    }
    if (options.stations > most_stations) options.stations = most_stations;
    if (options.meter) options.boot = true;
}

int main(int count, char **words) {
    read_options(count, words);
    if (options.tls) {
        // Nobody else is on loopback; the certificate is the bench's own.
        tls = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    }
    stations = calloc((size_t)options.stations, sizeof *stations);
    latencies = malloc(most_samples * sizeof *latencies);
    poller = epoll_create1(EPOLL_CLOEXEC);
    session_start = time(NULL) - 86400;
    int next = 0;
    connect_up_to(&next, options.first);
    long rss_first = server_rss_bytes();
    double cpu_first = server_cpu();
    int open_first = open_stations;
    connect_up_to(&next, options.stations);
    double connect_cpu = server_cpu() - cpu_first;
    int connected = open_stations - open_first;
    double per_connection = connected > 0 ? (double)(server_rss_bytes() - rss_first) / connected : 0;
    double start = 0, elapsed = 0, server = 0, own = 0;
    if (options.seconds > 0) {
        is_running = true;
        for (int i = 0; options.rate == 0 && i < options.stations; i++) {
            if (stations[i].state == ready) send_next(&stations[i]);
        }
        run_until(now() + options.warm_seconds);
        answers = latency_count = late = 0;
        double server_before = server_cpu(), own_before = own_cpu();
        start = now();
        run_until(start + options.seconds);
        elapsed = now() - start;
        server = server_cpu() - server_before;
        own = own_cpu() - own_before;
        is_running = false;
    }
    unsigned long long done = answers;
    qsort(latencies, latency_count, sizeof *latencies, by_value);
    printf(
        "{\"open\":%d,\"dead\":%d,\"answers\":%llu,\"errors\":%llu,\"seconds\":%.3f,"
        "\"server_us\":%.3f,\"client_us\":%.3f,\"server_load\":%.3f,"
        "\"connect_us\":%.1f,\"bytes_per_connection\":%.0f,\"p50_us\":%.0f,\"p99_us\":%.0f,\"late\":%llu}\n",
        open_stations, dead_stations, done, errors, elapsed, done ? server * 1e6 / (double)done : 0,
        done ? own * 1e6 / (double)done : 0, elapsed > 0 ? server / elapsed : 0,
        connected > 0 ? connect_cpu * 1e6 / connected : 0, per_connection,
        latency_count ? latencies[latency_count / 2] : 0,
        latency_count ? latencies[latency_count * 99 / 100] : 0, late);
    return dead_stations > 0 || open_stations == 0;
}
