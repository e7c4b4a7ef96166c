/* thrash.h - a page that two places take from each other: the rule of NVIDIA's driver for unified memory (uvm_perf_thrashing.c).
 *
 * An *event* is a fault on a page that came to another place less than a lapse ago. After three in a row who faults waits for a lapse,
 * so that the other gets some work done; after ten waits the page is *pinned* where it is for 300 lapses, and the other uses it there. A
 * lapse without an event, or the end of the pin, makes the page an ordinary one again. O(1); no clock of its own.
 *
 * Two things may be added. The lapse *adapts*: each fault on a page that was elsewhere may vote, and after 32 votes more for one side than
 * for the other the lapse becomes an eighth longer or shorter, between 5 us and 500 ms. Step, votes and bounds are NVIDIA's; a vote is
 * ours: for a longer one, who comes back one to two lapses later, and so was hardly missed; for a shorter one, who comes back within half
 * of it. So the lapse settles between once and twice the time after which pages are taken back. And a page that was forgiven *remembers*
 * its waits, until its block has had no event for an epoch of 2,000 lapses; that makes a block forget four times at most.
 */
#ifndef ACRE_POLICY_THRASH_H
#define ACRE_POLICY_THRASH_H

#include <stdbool.h>
#include <stdint.h>

enum {
    ACRE_THRASH_EVENTS = 3,
    ACRE_THRASH_WAITS = 10,
    ACRE_THRASH_PIN_LAPSES = 300,
    ACRE_THRASH_VOTES = 32,
    ACRE_THRASH_STEP = 8, /* of the lapse, one in so many */
    ACRE_THRASH_LAPSE_NS_MIN = 5000,
    ACRE_THRASH_LAPSE_NS_MAX = 500000000,
    ACRE_THRASH_EPOCH_LAPSES = 2000,
    ACRE_THRASH_RESETS = 4,
};

/* Of a page. All zero: it has been in one place only. */
typedef struct acre_thrash {
    uint64_t moved_ns; /* when it last came to a place: the end of the wait, if there was one; pinned: the end of the pin */
    uint8_t place;     /* that it came to last, + 1 */
    uint8_t event_count;
    uint8_t wait_count;
    bool is_pinned;
} acre_thrash;

/* Of all pages. */
typedef struct acre_thrash_lapse {
    uint64_t ns;   /* where it adapts: ACRE_THRASH_LAPSE_NS_MIN to ACRE_THRASH_LAPSE_NS_MAX */
    int32_t votes; /* above 0: for a longer one */
} acre_thrash_lapse;

/* Of a block. All zero: it has had no event. */
typedef struct acre_thrash_epoch {
    uint64_t event_ns; /* the last one */
    uint32_t reset_count;
} acre_thrash_epoch;

typedef enum acre_thrash_verdict {
    ACRE_THRASH_MOVE, /* at once */
    ACRE_THRASH_WAIT, /* a lapse, then move it */
    ACRE_THRASH_PIN,  /* use it where it is */
} acre_thrash_verdict;

/* A fault in `place` on the page at `now_ns`. */
acre_thrash_verdict acre_thrash_fault(acre_thrash *page, unsigned place, uint64_t now_ns, uint64_t lapse_ns);

/* The same; waits that the fault would forget are remembered. */
acre_thrash_verdict acre_thrash_fault_remembering(acre_thrash *page, unsigned place, uint64_t now_ns, uint64_t lapse_ns);

/* Before that fault: what it says of the lapse. */
void acre_thrash_vote(acre_thrash_lapse *lapse, const acre_thrash *page, unsigned place, uint64_t now_ns);

/* Before a fault in the block, which is an event or not; `epoch_ns`: ACRE_THRASH_EPOCH_LAPSES lapses. True: the waits of all its pages
 * are to be forgotten first. */
bool acre_thrash_forgets(acre_thrash_epoch *epoch, bool is_event, uint64_t now_ns, uint64_t epoch_ns);

/* The fault is an event: another place has got the page less than a lapse ago. */
static inline bool acre_thrash_is_event(const acre_thrash *page, unsigned place, uint64_t now_ns, uint64_t lapse_ns)
{
    return !page->is_pinned && page->place != 0 && page->place != place + 1 && now_ns < page->moved_ns + lapse_ns;
}

static inline bool acre_thrash_is_pinned(const acre_thrash *page, uint64_t now_ns) { return page->is_pinned && now_ns < page->moved_ns; }

#endif
