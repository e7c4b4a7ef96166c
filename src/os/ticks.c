/* ticks.c - see ticks.h. */
#include "os/ticks.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

acre_clock acre_clock_of_machine(void)
{
#if defined(__x86_64__)
    const unsigned power_leaf = 0x80000007u, invariant_tsc = 1u << 8;
    unsigned a, b, c, d;
    if (__get_cpuid(power_leaf, &a, &b, &c, &d) && (d & invariant_tsc) != 0) return ACRE_CLOCK_TSC;
#endif
    return ACRE_CLOCK_MONOTONIC;
}

uint64_t acre_ticks_per_second(acre_clock clock, uint64_t measure_ns)
{
    if (clock == ACRE_CLOCK_MONOTONIC) return 1000000000u;

    const uint64_t start_ns = acre_os_now_ns();
    const uint64_t start_ticks = acre_ticks(clock);
    uint64_t end_ns;
    do end_ns = acre_os_now_ns();
    while (end_ns - start_ns < measure_ns || end_ns == start_ns);
    const uint64_t end_ticks = acre_ticks(clock);

    return (uint64_t)((double)(end_ticks - start_ticks) * 1e9 / (double)(end_ns - start_ns));
}
