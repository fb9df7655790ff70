// The far side of the simulated GPIO chip: what its terminals show and who pulls at them.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static inline int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static inline int64_t now_us(void) { return now_ns() / 1000; }

static inline void die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

// /etc/lines lists the names in the order of the chip's offsets; -1 for a name that is not there.
static inline int offset_of(const char *wanted) {
    FILE *file = fopen("/etc/lines", "r");
    char name[64];
    int found = -1;
    for (int i = 0; file && found < 0 && fscanf(file, "%63s", name) == 1; i++)
        if (!strcmp(name, wanted)) found = i;
    if (file) fclose(file);
    return found;
}

// /run/chip is the chip's folder in sysfs; -1 for a line that is not there.
static inline int try_line(const char *name, const char *what, int flags) {
    char chip[256] = "", path[512];
    int offset = offset_of(name);
    if (offset < 0) return -1;
    FILE *file = fopen("/run/chip", "r");
    if (!file || !fgets(chip, sizeof chip, file)) die("/run/chip");
    fclose(file);
    chip[strcspn(chip, "\n")] = 0;
    snprintf(path, sizeof path, "%s/sim_gpio%d/%s", chip, offset, what);
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0) die(path);
    return fd;
}

static inline int open_line(const char *name, const char *what, int flags) {
    int fd = try_line(name, what, flags);
    if (fd < 0) errno = ENOENT, die(name);
    return fd;
}

static inline int level(int fd) {
    char c = '?';
    if (pread(fd, &c, 1, 0) != 1) die("value");
    return c == '1';
}

static inline void pull(int fd, int up) {
    const char *text = up ? "pull-up" : "pull-down";
    if (pwrite(fd, text, strlen(text), 0) < 0) die("pull");
}
