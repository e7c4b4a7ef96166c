/* demand.h - how much memory was in use at most within the last two seconds, in windows of about a quarter second.
 *
 * What a program used that shortly ago it may want again: giving it back would cost a page fault for each page that is wanted, five
 * times what giving it back saves. What nobody wanted for two seconds can go. So a program that goes up and down keeps what
 * it goes up to, one that is done with it does not, and memory that is kept never exceeds what was in use together.
 *
 * Note is O(1), turn O(windows).
 */
#ifndef ACRE_ALLOC_DEMAND_H
#define ACRE_ALLOC_DEMAND_H

#include "base/bits.h"

enum { ACRE_DEMAND_WINDOWS = 8, ACRE_DEMAND_SHIFT = 28 };
#define ACRE_DEMAND_WINDOW_NS ((uint64_t)1 << ACRE_DEMAND_SHIFT) /* 268 ms; a power of two, so that nothing is divided */

typedef struct acre_demand {
    uint64_t peaks[ACRE_DEMAND_WINDOWS]; /* by number of the window, modulo */
    uint64_t window;                     /* number of the one that is noted in */
} acre_demand;

static inline void acre_demand_note(acre_demand *demand, uint64_t bytes)
{
    uint64_t *const peak = &demand->peaks[demand->window % ACRE_DEMAND_WINDOWS];
    if (bytes > *peak) *peak = bytes;
}

/* Goes on to the window of `now_ns`, in which `bytes` are in use, and returns the peak of all. Nobody looked in between: what was noted
 * since then may be from just now, so it counts as such. Time that goes back changes nothing. */
static inline uint64_t acre_demand_turn(acre_demand *demand, uint64_t now_ns, uint64_t bytes)
{
    const uint64_t window = now_ns >> ACRE_DEMAND_SHIFT;
    if (window > demand->window) {
        const uint64_t late = demand->peaks[demand->window % ACRE_DEMAND_WINDOWS];
        const bool is_next = window - demand->window == 1;
        const uint64_t passed = window - demand->window;
        for (uint64_t i = 1; i <= passed && i <= ACRE_DEMAND_WINDOWS; i++) demand->peaks[(demand->window + i) % ACRE_DEMAND_WINDOWS] = 0;
        demand->window = window;
        if (!is_next) acre_demand_note(demand, late);
    }
    acre_demand_note(demand, bytes);
    uint64_t peak = 0;
    for (unsigned i = 0; i < ACRE_DEMAND_WINDOWS; i++) peak = demand->peaks[i] > peak ? demand->peaks[i] : peak;
    return peak;
}

#endif
