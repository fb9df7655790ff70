#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What Swift cannot import: feature-test macros and calls that glibc hides behind them, and ioctl,
// which is variadic. Every call returns -1 with errno set when it fails.

/// Makes a raw pseudo-terminal pair. Writes the slave's path into `name` and keeps nothing open but
/// the master, which is non-blocking and closed on exec. Returns it, or -1 with errno set.
int kerb_open_pty(char *name, size_t size);

/// 1 while the kernel believes that something keeps its clock right: NTP, PTP or a radio.
int kerb_clock_is_synchronised(void);

/// Lets all threads share one heap: glibc gives every thread its own, of which each keeps some 300 kB.
/// To be called before there are threads.
void kerb_use_one_heap(void);

/// Lowers the process's bound on open files to `most`; a lower one stays.
void kerb_bound_descriptors(unsigned most);

// GPIO character device, uAPI version 2 (Linux 5.10 and later). All levels are those of the pad:
// what is active when low is turned round in Swift, so that a safe level means the same everywhere.

enum { KERB_GPIO_NAME = 32, KERB_GPIO_LINES = 64 };

enum kerb_gpio_bias {
    KERB_GPIO_BIAS_AS_IS, KERB_GPIO_BIAS_NONE, KERB_GPIO_BIAS_UP, KERB_GPIO_BIAS_DOWN
};
enum kerb_gpio_drive {
    KERB_GPIO_PUSH_PULL, KERB_GPIO_OPEN_DRAIN, KERB_GPIO_OPEN_SOURCE
};

struct kerb_gpio_line {
    uint32_t offset;
    bool is_output;
    /// Of an output, from the moment of the request on.
    bool level;
    /// enum kerb_gpio_bias
    uint8_t bias;
    /// enum kerb_gpio_drive
    uint8_t drive;
    /// Of an input: edges shorter than this are not reported. 0 reports all.
    uint32_t debounce_microseconds;
};

struct kerb_gpio_event {
    /// CLOCK_MONOTONIC
    uint64_t timestamp_nanoseconds;
    uint32_t offset;
    /// Counts the events of the request, and of the line, from 1. A gap tells of lost ones.
    uint32_t number, line_number;
    bool is_rising;
};

/// The chip's label (32 bytes, ended by 0) and how many lines it has.
int kerb_gpio_chip_info(int chip, char *label, uint32_t *lines);
/// A line's name and who holds it (32 bytes each, ended by 0; empty when there is none).
int kerb_gpio_line_info(int chip, uint32_t offset, char *name, char *consumer, bool *is_used);
/// Requests up to 64 lines at once; inputs report both edges. Returns the request's descriptor.
int kerb_gpio_request(
    int chip, const char *consumer, const struct kerb_gpio_line *lines, size_t count);
/// Gives the lines of a request other settings, in their order, without letting go of them.
int kerb_gpio_reconfigure(int request, const struct kerb_gpio_line *lines, size_t count);
/// Levels of the masked lines; bit n is the n-th line of the request.
int kerb_gpio_read(int request, uint64_t mask, uint64_t *levels);
int kerb_gpio_write(int request, uint64_t mask, uint64_t levels);
/// Takes one event off a request; 0 when none waits and the descriptor does not block, else 1.
int kerb_gpio_event_take(int request, struct kerb_gpio_event *event);

/// A counter that wakes a poll().
int kerb_wake_open(void);
void kerb_wake(int descriptor);
void kerb_wake_taken(int descriptor);

/// Puts the calling thread, and none it begins, before all ordinary ones. Needs CAP_SYS_NICE or
/// RLIMIT_RTPRIO.
int kerb_thread_realtime(int priority);

/// Sets a serial line to 8N1 without any translation or echo; ENOTTY where it is none, EINVAL for a
/// speed that is not 1200 to 115200.
int kerb_serial_raw(int descriptor, int baud);

/// Whether a descriptor is an input device (/dev/input/event…), and keeps its keys from the console.
bool kerb_input_grab(int descriptor);

/// A key that went down; false for every other event of a struct input_event.
bool kerb_input_key(const void *bytes, size_t count, uint16_t *code, int64_t *milliseconds);
size_t kerb_input_event_size(void);
