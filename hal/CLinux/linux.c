#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
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

int kerb_clock_is_synchronised(void) {
    struct timex state = {0};
    int answer = adjtimex(&state);
    return answer >= 0 && answer != TIME_ERROR && !(state.status & STA_UNSYNC);
}
