#pragma once
#include <stddef.h>

// What Swift cannot import: feature-test macros and calls that glibc hides behind them.

/// Makes a raw pseudo-terminal pair. Writes the slave's path into `name` and keeps nothing open but
/// the master, which is non-blocking and closed on exec. Returns it, or -1 with errno set.
int kerb_open_pty(char *name, size_t size);

/// 1 while the kernel believes that something keeps its clock right: NTP, PTP or a radio.
int kerb_clock_is_synchronised(void);

/// Lets all threads share one heap: glibc gives every thread its own, of which each keeps some 300 kB.
/// To be called before there are threads.
void kerb_use_one_heap(void);
