/* ticks.h - the cheapest clock of the machine, for stamping events.
 *
 * On x86-64 with an invariant time stamp counter a tick is one count of it (12 ns to read, the same on every core and in
 * every process); elsewhere a tick is a nanosecond of CLOCK_MONOTONIC. Whoever reads a stamp needs the rate, which
 * acre_ticks_per_second measures.
 */
#ifndef ACRE_OS_TICKS_H
#define ACRE_OS_TICKS_H

#include "os/os.h"

typedef enum acre_clock {
    ACRE_CLOCK_MONOTONIC = 0, /* nanoseconds of CLOCK_MONOTONIC */
    ACRE_CLOCK_TSC = 1,       /* the processor's time stamp counter */
} acre_clock;

/* The clock that this machine's events are stamped with. Every process on the machine gets the same answer. O(1). */
acre_clock acre_clock_of_machine(void);

/* Counts of `clock` in a second; for the counter it is measured against CLOCK_MONOTONIC for `measure_ns` (5 ms gives
 * about 20 parts in a million). Blocks that long. */
uint64_t acre_ticks_per_second(acre_clock clock, uint64_t measure_ns);

static inline uint64_t acre_ticks(acre_clock clock)
{
#if defined(__x86_64__)
    if (clock == ACRE_CLOCK_TSC) return __builtin_ia32_rdtsc();
#else
    (void)clock;
#endif
    return acre_os_now_ns();
}

#endif
