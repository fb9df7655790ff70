// Edges by the hundred on the simulated board, and what the least program makes of them.
//
//   edges trips OUTLETS COUNT   plugs cars in at all outlets; whenever one is closed, its pilot has a fault for a
//                               moment (CPn_FAULT) and another car comes, because a contactor that falls again and
//                               again within a charge stays open; prints the microseconds from the hand to the open
//                               line, one a line, COUNT of them
//   edges floor IN OUT COUNT    requests both lines, lowers OUT at each rising edge of IN and prints the
//                               microseconds from the kernel's stamp of the edge to the return of that order
#include "lines.h"

#include <glob.h>
#include <linux/gpio.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

enum { SETTLED_US = 300000, FAULT_LASTS_US = 300000, AWAY_US = 2000000, LONGEST_US = 3000000, GIVE_UP_US = 90000000, MOST_OUTLETS = 16 };
enum state { OPEN, CLOSED, FAULTY, AWAY };

struct outlet {
    int allow, fault, connected, ready;
    enum state state;
    int64_t since;
};

static int numbered(const char *before, int number, const char *after, const char *what, int flags) {
    char name[64];
    snprintf(name, sizeof name, "%s%d%s", before, number, after);
    return open_line(name, what, flags);
}

static void step(struct outlet *o, enum state state) { o->state = state, o->since = now_us(); }

static void plug(struct outlet *o, int in) {
    pull(o->ready, 0);
    pull(o->connected, in);
    pull(o->ready, in);
}

// From the hand at the line to the open contactor; nothing else is done meanwhile.
static int64_t trip(struct outlet *o) {
    int64_t start = now_us();
    pull(o->fault, 1);
    while (level(o->allow))
        if (now_us() - start > LONGEST_US) errno = ETIMEDOUT, die("an outlet did not open");
    return now_us() - start;
}

static void trips(int outlets, int count) {
    struct outlet all[MOST_OUTLETS];
    for (int i = 0; i < outlets; i++) {
        all[i] = (struct outlet){
            .allow = numbered("ALLOW", i + 1, "", "value", O_RDONLY),
            .fault = numbered("CP", i + 1, "_FAULT", "pull", O_WRONLY),
            .connected = numbered("CP", i + 1, "_CONNECTED", "pull", O_WRONLY),
            .ready = numbered("CP", i + 1, "_READY", "pull", O_WRONLY)};
        plug(&all[i], 1);
        step(&all[i], OPEN);
    }
    int64_t last = now_us();
    for (int done = 0; done < count; usleep(5000)) {
        if (now_us() - last > GIVE_UP_US) errno = ETIMEDOUT, die("no outlet closes");
        for (int i = 0; i < outlets && done < count; i++) {
            struct outlet *o = &all[i];
            int64_t lasted = now_us() - o->since;
            if (o->state == OPEN && level(o->allow)) step(o, CLOSED);
            else if (o->state == CLOSED && !level(o->allow)) step(o, OPEN);
            else if (o->state == CLOSED && lasted > SETTLED_US) {
                printf("%lld\n", (long long)trip(o));
                fflush(stdout);
                done++, last = now_us();
                step(o, FAULTY);
            } else if (o->state == FAULTY && lasted > FAULT_LASTS_US) {
                pull(o->fault, 0);
                plug(o, 0);
                step(o, AWAY);
            } else if (o->state == AWAY && lasted > AWAY_US) {
                plug(o, 1);
                step(o, OPEN);
            }
        }
    }
    for (int i = 0; i < outlets; i++) pull(all[i].fault, 0), plug(&all[i], 0);
}

// The chip of these lines, by its label.
static int open_chip(void) {
    glob_t found;
    if (glob("/dev/gpiochip*", 0, NULL, &found)) die("/dev/gpiochip*");
    for (size_t i = 0; i < found.gl_pathc; i++) {
        int fd = open(found.gl_pathv[i], O_RDWR | O_CLOEXEC);
        struct gpiochip_info info;
        if (fd >= 0 && !ioctl(fd, GPIO_GET_CHIPINFO_IOCTL, &info) && !strcmp(info.label, "evse-io")) return fd;
        if (fd >= 0) close(fd);
    }
    errno = ENOENT;
    die("evse-io");
    return -1;
}

static int request(int chip, const char *name, uint64_t flags) {
    struct gpio_v2_line_request wish = {.num_lines = 1, .consumer = "floor"};
    wish.offsets[0] = (uint32_t)offset_of(name);
    wish.config.flags = flags;
    if (ioctl(chip, GPIO_V2_GET_LINE_IOCTL, &wish) < 0) die(name);
    return wish.fd;
}

static void set(int fd, int value) {
    struct gpio_v2_line_values values = {.bits = (uint64_t)value, .mask = 1};
    if (ioctl(fd, GPIO_V2_LINE_SET_VALUES_IOCTL, &values) < 0) die("set");
}

static void floor_of(const char *in, const char *out, int count) {
    int chip = open_chip(), hand = open_line(in, "pull", O_WRONLY);
    pull(hand, 0);
    int input = request(chip, in, GPIO_V2_LINE_FLAG_INPUT | GPIO_V2_LINE_FLAG_EDGE_RISING);
    int output = request(chip, out, GPIO_V2_LINE_FLAG_OUTPUT);
    // The hand is a process of its own, as it is to the agent.
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < count; i++) usleep(20000), pull(hand, 1), usleep(20000), pull(hand, 0);
        _exit(0);
    }
    // As the agent's thread asks for; refused where the agent is refused too.
    struct sched_param priority = {.sched_priority = 50};
    sched_setscheduler(0, SCHED_FIFO, &priority);
    for (int i = 0; i < count; i++) {
        set(output, 1);
        struct pollfd ready = {.fd = input, .events = POLLIN};
        struct gpio_v2_line_event event;
        if (poll(&ready, 1, 3000) != 1 || read(input, &event, sizeof event) != sizeof event) die("edge");
        set(output, 0);
        printf("%lld\n", (long long)(now_ns() - (int64_t)event.timestamp_ns) / 1000);
    }
    waitpid(child, NULL, 0);
}

int main(int count, char **words) {
    const char *what = count > 1 ? words[1] : "";
    if (!strcmp(what, "trips") && count == 4) trips(atoi(words[2]), atoi(words[3]));
    else if (!strcmp(what, "floor") && count == 5) floor_of(words[2], words[3], atoi(words[4]));
    else return fprintf(stderr, "edges: see the top of its source\n"), 2;
    return 0;
}
