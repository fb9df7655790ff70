#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <termios.h>
#include <unistd.h>

int kerb_open_pty(char *name, size_t size) {
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (master < 0) return -1;
    struct termios line;
    int failure = 0;
    if (grantpt(master) || unlockpt(master)) failure = errno;
    else failure = ptsname_r(master, name, size);
    if (!failure && tcgetattr(master, &line) == 0) {
        cfmakeraw(&line);
        if (tcsetattr(master, TCSANOW, &line)) failure = errno;
    }
    if (failure) {
        close(master);
        errno = failure;
        return -1;
    }
    return master;
}

int kerb_serial_raw(int descriptor, int baud) {
    static const struct { int baud; speed_t speed; } speeds[] = {
        {1200, B1200}, {2400, B2400}, {4800, B4800}, {9600, B9600}, {19200, B19200},
        {38400, B38400}, {57600, B57600}, {115200, B115200},
    };
    struct termios line;
    if (tcgetattr(descriptor, &line)) return -1;
    cfmakeraw(&line);
    // 8N1; no modem line decides whether there is something to read.
    line.c_cflag &= ~(tcflag_t)(CSTOPB | CRTSCTS);
    line.c_cflag |= CLOCAL | CREAD;
    line.c_cc[VMIN] = 1;
    line.c_cc[VTIME] = 0;
    for (size_t i = 0; i < sizeof speeds / sizeof *speeds; i++) {
        if (speeds[i].baud != baud) continue;
        return cfsetspeed(&line, speeds[i].speed) || tcsetattr(descriptor, TCSANOW, &line) ? -1 : 0;
    }
    errno = EINVAL;
    return -1;
}

int kerb_clock_is_synchronised(void) {
    struct timex state = {0};
    int answer = adjtimex(&state);
    return answer >= 0 && answer != TIME_ERROR && !(state.status & STA_UNSYNC);
}

void kerb_use_one_heap(void) { mallopt(M_ARENA_MAX, 1); }

void kerb_bound_descriptors(unsigned most) {
    struct rlimit bound;
    if (getrlimit(RLIMIT_NOFILE, &bound) || bound.rlim_cur <= most) return;
    bound.rlim_cur = most;
    setrlimit(RLIMIT_NOFILE, &bound);
}

int kerb_wake_open(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

void kerb_wake(int descriptor) {
    // Full means that a wake-up waits already.
    ssize_t ignored = write(descriptor, &(uint64_t){1}, sizeof(uint64_t));
    (void)ignored;
}

void kerb_wake_taken(int descriptor) {
    uint64_t count;
    ssize_t ignored = read(descriptor, &count, sizeof count);
    (void)ignored;
}

int kerb_thread_realtime(int priority) {
    struct sched_param wanted = {.sched_priority = priority};
    // A thread begun by this one is an ordinary one again: a pool that grows here must not come before
    // everything, nor be ended for reckoning long.
    return sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &wanted);
}

bool kerb_input_grab(int descriptor) {
    int version;
    if (ioctl(descriptor, EVIOCGVERSION, &version) < 0) return false;
    // Refused when another program has grabbed it; that one then gets the keys, and we get none.
    ioctl(descriptor, EVIOCGRAB, 1);
    return true;
}

size_t kerb_input_event_size(void) { return sizeof(struct input_event); }

bool kerb_input_key(const void *bytes, size_t count, uint16_t *code, int64_t *milliseconds) {
    struct input_event event;
    if (count != sizeof event) return false;
    memcpy(&event, bytes, sizeof event);
    if (event.type != EV_KEY || event.value != 1) return false;
    *code = event.code;
    *milliseconds = (int64_t)event.input_event_sec * 1000 + event.input_event_usec / 1000;
    return true;
}
