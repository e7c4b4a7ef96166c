/* thrash.h - a page that two places take from each other: the rule of NVIDIA's driver for unified memory (uvm_perf_thrashing.c).
 *
 * An *event* is a fault on a page that came to another place less than a lapse ago. After three in a row who faults waits for a lapse,
 * so that the other gets some work done; after ten waits the page is *pinned* where it is for 300 lapses, and the other uses it there. A
 * lapse without an event, or the end of the pin, makes the page an ordinary one again. O(1); no clock of its own.
 */
#ifndef ACRE_POLICY_THRASH_H
#define ACRE_POLICY_THRASH_H

#include <stdbool.h>
#include <stdint.h>

enum { ACRE_THRASH_EVENTS = 3, ACRE_THRASH_WAITS = 10, ACRE_THRASH_PIN_LAPSES = 300 };

/* Of a page. All zero: it has been in one place only. */
typedef struct acre_thrash {
    uint64_t moved_ns; /* when it last came to a place: the end of the wait, if there was one; pinned: the end of the pin */
    uint8_t place;     /* that it came to last, + 1 */
    uint8_t event_count;
    uint8_t wait_count;
    bool is_pinned;
} acre_thrash;

typedef enum acre_thrash_verdict {
    ACRE_THRASH_MOVE, /* at once */
    ACRE_THRASH_WAIT, /* a lapse, then move it */
    ACRE_THRASH_PIN,  /* use it where it is */
} acre_thrash_verdict;

/* A fault in `place` on the page at `now_ns`. */
acre_thrash_verdict acre_thrash_fault(acre_thrash *page, unsigned place, uint64_t now_ns, uint64_t lapse_ns);

static inline bool acre_thrash_is_pinned(const acre_thrash *page, uint64_t now_ns) { return page->is_pinned && now_ns < page->moved_ns; }

#endif
