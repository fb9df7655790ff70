// The world outside the terminals of the simulated board: safety controllers with their relays, mirror
// contacts, RCDs' sensors, and hands that pull lines and hold stopwatches. It shares no code with the
// agent: what it sees is what a board would see.
//
//   hardware run                      plays relay, mirror and sensor of every outlet until it is killed
//   hardware pull LINE 0|1            drives an input from outside
//   hardware value LINE               the level on the terminal
//   hardware react LINE 0|1 OUT 0|1   pulls LINE and prints the microseconds until OUT has its level
//   hardware start OUT PROGRAM ARG…   prints the microseconds from exec until OUT is low, then goes on
//   hardware runtime PROGRAM ARG…     prints the microseconds from exec until the program has ended
//   hardware edges LINE MILLISECONDS  how often a terminal changes in that time
//   hardware type DIGITS              a reader that types like a keyboard, through uinput
#include "lines.h"

#include <linux/uinput.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

enum { HEARTBEAT_HOLD_US = 250000, RELAY_MOVES_US = 15000, LONGEST_US = 15000000, MOST_OUTLETS = 16 };

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

// One outlet behind the terminals. Mirror and sensor are -1 on a board without.
struct outlet {
    int number, allow, beat, mirror, test, trip;
    int last_beat, last_test, relay, shown;
    int64_t beat_at, moved_at, pulled_at;
};

static int numbered(const char *before, int number, const char *after, const char *what, int flags) {
    char name[64];
    snprintf(name, sizeof name, "%s%d%s", before, number, after);
    return try_line(name, what, flags);
}

static int open_outlet(struct outlet *o, int number) {
    *o = (struct outlet){.number = number, .shown = -1, .beat_at = -HEARTBEAT_HOLD_US};
    o->allow = numbered("ALLOW", number, "", "value", O_RDONLY);
    if (o->allow < 0) return 0;
    o->beat = numbered("HEARTBEAT", number, "", "value", O_RDONLY);
    o->mirror = numbered("MIRROR", number, "", "pull", O_WRONLY);
    o->test = numbered("RCD", number, "_TEST", "value", O_RDONLY);
    o->trip = numbered("RCD", number, "_TRIP", "pull", O_WRONLY);
    o->last_beat = level(o->beat);
    return 1;
}

// The relay is closed while the agent allows it, its heartbeat lives and no button is pressed.
static void play(struct outlet *o, FILE *log) {
    int64_t now = now_us();
    int b = level(o->beat);
    if (b != o->last_beat) o->last_beat = b, o->beat_at = now;
    if (o->test >= 0) {
        int t = level(o->test);
        if (t != o->last_test) pull(o->trip, t), o->last_test = t;
    }
    int closed = level(o->allow) && now - o->beat_at <= HEARTBEAT_HOLD_US;
    if (closed != o->relay) {
        o->relay = closed, o->moved_at = now;
        if (o->number == 1) {
            put("/run/relay", "%d\n", o->relay);
            if (log) fprintf(log, "%lld %d\n", (long long)now, o->relay), fflush(log);
        }
    }
    if (o->mirror < 0) return;
    // A mirror contact is closed, and pulls its line low, while the main contacts are open.
    int is_open = access("/run/weld", F_OK) != 0 && !o->relay;
    // Said again and again: a line that is requested with a pull-up of its own is pulled by it in gpio-sim, while
    // a contact to ground wins on a board.
    if (is_open != o->shown ? now - o->moved_at >= RELAY_MOVES_US : now - o->pulled_at >= 10000)
        pull(o->mirror, !is_open), o->shown = is_open, o->pulled_at = now;
}

static void run(void) {
    struct outlet outlets[MOST_OUTLETS];
    int count = 0;
    while (count < MOST_OUTLETS && open_outlet(&outlets[count], count + 1)) count++;
    FILE *log = fopen("/run/relay.log", "w");
    // Many outlets are for measuring: their world must not take the board's time.
    for (;; usleep(count > 1 ? 5000 : 1000))
        for (int i = 0; i < count; i++) play(&outlets[i], log);
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
