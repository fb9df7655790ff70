// What a program may do that was started with the unit's settings: tries it, and prints a line of what came of it.
//
//   sandbox            one attempt each: `word: done` or `word: the kernel's refusal`
//   sandbox eat BYTES  touches so much memory, then says so
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static void tell(const char *word, long result) {
    printf("%s: %s\n", word, result >= 0 ? "done" : strerror(errno));
    fflush(stdout);
}

static long writes(const char *path) { return open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600); }

static long becomes_code(void) {
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static long is_written_code(void) {
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? -1 : 0;
}

static long is_set(void) {
    struct timeval now = {.tv_sec = 1};
    return settimeofday(&now, NULL);
}

static long eats(size_t bytes) {
    char *memory = malloc(bytes);
    for (size_t at = 0; memory && at < bytes; at += 4096) ((volatile char *)memory)[at] = 1;
    return memory ? 0 : -1;
}

int main(int count, char **words) {
    if (count == 3 && !strcmp(words[1], "eat")) return tell("memory", eats(strtoul(words[2], NULL, 10))), 0;
    // It sets the clock where it may: never on a machine that is in use.
    if (access("/usr/local/bin/board-lines", F_OK)) return fprintf(stderr, "sandbox: for the test's machine only\n"), 2;
    struct sched_param priority = {.sched_priority = 1};
    tell("socket inet", socket(AF_INET, SOCK_STREAM, 0));
    tell("socket unix", socket(AF_UNIX, SOCK_DGRAM, 0));
    tell("socket netlink", socket(AF_NETLINK, SOCK_RAW, 0));
    tell("socket packet", socket(AF_PACKET, SOCK_RAW, 0));
    tell("memory to code", becomes_code());
    tell("written code", is_written_code());
    tell("namespace", unshare(CLONE_NEWUSER));
    tell("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
    tell("clock", is_set());
    tell("module", syscall(SYS_init_module, NULL, 0, ""));
    tell("real time", sched_setscheduler(0, SCHED_FIFO, &priority));
    tell("file in /etc", writes("/etc/sandbox"));
    tell("file in /usr", writes("/usr/sandbox"));
    tell("file in its own folder", writes("/var/lib/kerb-edge/sandbox"));
    tell("disk", open("/dev/vda", O_RDONLY));
    tell("kernel log", open("/dev/kmsg", O_RDONLY));
    tell("gpio", open("/dev/gpiochip0", O_RDWR));
    tell("usb serial", open("/dev/ttyUSB0", O_RDWR | O_NOCTTY | O_NONBLOCK));
    return 0;
}
