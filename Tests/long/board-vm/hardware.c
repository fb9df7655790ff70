// The world outside the terminals of the simulated board: a safety controller with its relay, a mirror
// contact, an RCD's sensor, and hands that pull lines and hold stopwatches. It shares no code with the
// agent: what it sees is what a board would see.
//
//   hardware run                      plays relay, mirror and sensor until it is killed
//   hardware pull LINE 0|1            drives an input from outside
//   hardware value LINE               the level on the terminal
//   hardware react LINE 0|1 OUT 0|1   pulls LINE and prints the microseconds until OUT has its level
//   hardware start OUT PROGRAM ARG…   prints the microseconds from exec until OUT is low, then goes on
//   hardware runtime PROGRAM ARG…     prints the microseconds from exec until the program has ended
//   hardware edges LINE MILLISECONDS  how often a terminal changes in that time
//   hardware type DIGITS              a reader that types like a keyboard, through uinput
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/uinput.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { HEARTBEAT_HOLD_US = 250000, RELAY_MOVES_US = 15000, LONGEST_US = 3000000 };

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void die(const char *what) {
    fprintf(stderr, "hardware: %s: %s\n", what, strerror(errno));
    exit(1);
}

// /etc/lines lists the names in the order of the chip's offsets; /etc/chip is its folder in sysfs.
static int offset_of(const char *wanted) {
    FILE *file = fopen("/etc/lines", "r");
    char name[64];
    for (int i = 0; file && fscanf(file, "%63s", name) == 1; i++)
        if (!strcmp(name, wanted)) return fclose(file), i;
    errno = ENOENT;
    die(wanted);
    return -1;
}

static int open_line(const char *name, const char *what, int flags) {
    char chip[256] = "", path[512];
    FILE *file = fopen("/etc/chip", "r");
    if (!file || !fgets(chip, sizeof chip, file)) die("/etc/chip");
    fclose(file);
    chip[strcspn(chip, "\n")] = 0;
    snprintf(path, sizeof path, "%s/sim_gpio%d/%s", chip, offset_of(name), what);
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0) die(path);
    return fd;
}

static int level(int fd) {
    char c = '?';
    if (pread(fd, &c, 1, 0) != 1) die("value");
    return c == '1';
}

static void pull(int fd, int up) {
    const char *text = up ? "pull-up" : "pull-down";
    if (pwrite(fd, text, strlen(text), 0) < 0) die("pull");
}

static void put(const char *path, const char *format, ...) {
    char part[128];
    snprintf(part, sizeof part, "%s.part", path);
    FILE *file = fopen(part, "w");
    if (!file) die(part);
    va_list list;
    va_start(list, format);
    vfprintf(file, format, list);
    va_end(list);
    fclose(file);
    rename(part, path);
}

// The relay is closed while the agent allows it, its heartbeat lives and no button is pressed.
static void run(void) {
    int allow = open_line("ALLOW1", "value", O_RDONLY), beat = open_line("HEARTBEAT1", "value", O_RDONLY);
    int test = open_line("RCD1_TEST", "value", O_RDONLY), trip = open_line("RCD1_TRIP", "pull", O_WRONLY);
    int mirror = open_line("MIRROR1", "pull", O_WRONLY);
    int last_beat = level(beat), last_test = 0, relay = 0, shown = -1;
    int64_t beat_at = -HEARTBEAT_HOLD_US, moved_at = 0, pulled_at = 0;
    FILE *log = fopen("/run/relay.log", "w");
    for (;; usleep(1000)) {
        int64_t now = now_us();
        int b = level(beat), t = level(test);
        if (b != last_beat) last_beat = b, beat_at = now;
        if (t != last_test) pull(trip, t), last_test = t;
        int closed = level(allow) && now - beat_at <= HEARTBEAT_HOLD_US;
        if (closed != relay) {
            relay = closed, moved_at = now;
            put("/run/relay", "%d\n", relay);
            if (log) fprintf(log, "%lld %d\n", (long long)now, relay), fflush(log);
        }
        // A mirror contact is closed, and pulls its line low, while the main contacts are open.
        int is_open = access("/run/weld", F_OK) != 0 && !relay;
        // Said again and again: a line that is requested with a pull-up of its own is pulled by it in gpio-sim, while
        // a contact to ground wins on a board.
        if (is_open != shown ? now - moved_at >= RELAY_MOVES_US : now - pulled_at >= 10000)
            pull(mirror, !is_open), shown = is_open, pulled_at = now;
    }
}

static void wait_for(int fd, int wanted, int64_t since) {
    while (level(fd) != wanted)
        if (now_us() - since > LONGEST_US) {
            printf("never\n");
            exit(1);
        }
    printf("%lld\n", (long long)(now_us() - since));
    fflush(stdout);
}

// Starts a program and gives its process at the moment of its exec.
static pid_t begin(char **program, int silent) {
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC)) die("pipe");
    pid_t child = fork();
    if (child == 0) {
        if (silent) dup2(open("/dev/null", O_WRONLY), 1);
        execv(program[0], program);
        die(program[0]);
    }
    // Ends when exec has taken place, because the child's end closes by it.
    close(pipes[1]);
    char c;
    if (read(pipes[0], &c, 1) < 0) die("exec");
    close(pipes[0]);
    return child;
}

static void start(int fd, char **program) {
    pid_t child = begin(program, 0);
    wait_for(fd, 0, now_us());
    waitpid(child, NULL, 0);
}

static void runtime(char **program) {
    pid_t child = begin(program, 1);
    int64_t start = now_us();
    waitpid(child, NULL, 0);
    printf("%lld\n", (long long)(now_us() - start));
}

static void edges(int fd, int milliseconds) {
    int64_t start = now_us();
    int count = 0, last = level(fd);
    while (now_us() - start < milliseconds * 1000LL) {
        int found = level(fd);
        if (found != last) last = found, count++;
        usleep(500);
    }
    printf("%d\n", count);
}

static void send_key(int fd, int type, int code, int value) {
    struct input_event event = {.type = type, .code = code, .value = value};
    if (write(fd, &event, sizeof event) != sizeof event) die("uinput");
}

// /run/reader leads to the event device of the reader, whatever number it got.
static void link_reader(int fd) {
    char name[64] = "", command[256];
    if (ioctl(fd, UI_GET_SYSNAME(sizeof name), name) < 0) die("uinput name");
    snprintf(command, sizeof command, "ln -sf /dev/input/$(basename /sys/class/input/%s/event*) /run/reader", name);
    if (system(command) != 0) die("/run/reader");
}

static void type_digits(const char *digits) {
    static const int row[] = {KEY_0, KEY_1, KEY_2, KEY_3, KEY_4, KEY_5, KEY_6, KEY_7, KEY_8, KEY_9};
    int fd = open("/dev/uinput", O_WRONLY | O_CLOEXEC);
    if (fd < 0) die("/dev/uinput");
    ioctl(fd, UI_SET_EVBIT, EV_KEY);
    for (int i = 0; i < 10; i++) ioctl(fd, UI_SET_KEYBIT, row[i]);
    ioctl(fd, UI_SET_KEYBIT, KEY_ENTER);
    struct uinput_setup setup = {.id = {.bustype = BUS_USB, .vendor = 1, .product = 1}};
    strcpy(setup.name, "reader that types");
    if (ioctl(fd, UI_DEV_SETUP, &setup) || ioctl(fd, UI_DEV_CREATE)) die("uinput");
    link_reader(fd);
    // The agent looks for a reader that was not there every two seconds.
    sleep(4);
    for (const char *d = digits; *d; d++) {
        send_key(fd, EV_KEY, row[*d - '0'], 1);
        send_key(fd, EV_SYN, SYN_REPORT, 0);
        send_key(fd, EV_KEY, row[*d - '0'], 0);
        send_key(fd, EV_SYN, SYN_REPORT, 0);
    }
    send_key(fd, EV_KEY, KEY_ENTER, 1);
    send_key(fd, EV_SYN, SYN_REPORT, 0);
    sleep(1);
}

int main(int count, char **words) {
    const char *what = count > 1 ? words[1] : "";
    if (!strcmp(what, "run")) run();
    else if (!strcmp(what, "pull") && count == 4) pull(open_line(words[2], "pull", O_WRONLY), atoi(words[3]));
    else if (!strcmp(what, "value") && count == 3) printf("%d\n", level(open_line(words[2], "value", O_RDONLY)));
    else if (!strcmp(what, "react") && count == 6) {
        int hand = open_line(words[2], "pull", O_WRONLY), out = open_line(words[4], "value", O_RDONLY);
        int64_t start = now_us();
        pull(hand, atoi(words[3]));
        wait_for(out, atoi(words[5]), start);
    } else if (!strcmp(what, "start") && count > 3) start(open_line(words[2], "value", O_RDONLY), words + 3);
    else if (!strcmp(what, "runtime") && count > 2) runtime(words + 2);
    else if (!strcmp(what, "edges") && count == 4) edges(open_line(words[2], "value", O_RDONLY), atoi(words[3]));
    else if (!strcmp(what, "type") && count == 3) type_digits(words[2]);
    else return fprintf(stderr, "hardware: see the top of its source\n"), 2;
    return 0;
}
