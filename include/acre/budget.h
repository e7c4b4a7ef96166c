/* budget.h - one memory budget for several caches, divided by what each of them gains from its share.
 *
 *     acre_budget budget;
 *     acre_budget_init(&budget, 64 << 20);
 *     static acre_budget_member pages = {.name = "pages", .read = read_pages, .resize = resize_pages, .bytes_min = 1 << 20};
 *     acre_budget_add(&budget, &pages);                      the budget divides itself evenly at first
 *     ...
 *     acre_budget_step(&budget);                             from time to time, in the program's loop or as a job of acre/scheduler.h
 *
 * A step asks one member what its misses would have cost with each of ACRE_BUDGET_GRAINS + 1 sizes since it was asked last; a live curve
 * (acre/curve.h) knows, and acre_budget_read_curve has the arithmetic. When all were asked, the cheapest of all divisions into grains, each
 * a 64th of the budget, is found by dynamic programming: exact on that grid also where a curve has cliffs, which a greedy rule by marginal
 * gains only sees from their convex hulls. Costs are averaged over rounds, each half as much as the one after it. Memory moves only when
 * the costs fall by more than a `gain_min`, so a division that is as good as another stays; what nobody gains from stays where it is.
 *
 * Members shrink before others grow, and nobody grows by more than others have given, so the sum of all stays within the budget at any
 * time.
 *
 * Threads: one call at a time on one budget; `read` and `resize` are called by the one who steps, with no lock held. A step: one `read` and
 * O(ACRE_BUDGET_GRAINS^2) additions, about 5 us; the last one of a round O(members) more. Never allocates; freestanding.
 *
 * Example: examples/budget.c.
 */
#ifndef ACRE_BUDGET_H
#define ACRE_BUDGET_H

#include <acre/curve.h>
#include <acre/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ACRE_BUDGET_GRAINS    64u
#define ACRE_BUDGET_BYTES_MAX ((uint64_t)1 << 60)

/* costs[i] = what the misses of requests since the last call would have cost with sizes[i] bytes, in any unit that is the same for all
 * members; at most 2^48. Sizes ascend from 0. */
typedef void acre_budget_read(void *context, const uint64_t *sizes, uint64_t *costs, size_t count);

/* The member may use `bytes` from now on. Returns what it keeps to: `bytes`, or more when it cannot give back that much yet. */
typedef uint64_t acre_budget_resize(void *context, uint64_t bytes);

typedef struct acre_budget_member {
    const char *name; /* for messages; not copied */
    acre_budget_read *read;
    acre_budget_resize *resize;
    void *context;
    uint64_t bytes_min;                      /* never less; rounded up to a grain */
    uint64_t bytes_max;                      /* never more; rounded down to a grain. 0: as much as there is */
    uint64_t bytes;                          /* what it has. This and the rest is the budget's */
    uint64_t costs[ACRE_BUDGET_GRAINS + 1];  /* averaged; [grains] */
    uint8_t choices[ACRE_BUDGET_GRAINS + 1]; /* [grains of this member and those before it]: of this one in the cheapest division */
    uint32_t wanted;                         /* grains */
    struct acre_budget_member *next, *previous;
} acre_budget_member;

typedef struct acre_budget {
    uint64_t bytes;
    uint32_t gain_min; /* in a million of the costs: memory moves only for more. 20,000 unless set */
    uint32_t member_count;
    uint64_t round_count, change_count;   /* rounds that ended; those of them that moved memory */
    acre_budget_member *first, *last;     /* the rest is the budget's */
    acre_budget_member *asked;            /* whose turn it is; NULL: a round begins */
    uint64_t row[ACRE_BUDGET_GRAINS + 1]; /* the least costs of those that were asked, for each number of grains */
} acre_budget;

/* A budget without members. ACRE_INVALID: a NULL, or not ACRE_BUDGET_GRAINS to ACRE_BUDGET_BYTES_MAX bytes. O(1). */
ACRE_API acre_status acre_budget_init(acre_budget *budget, uint64_t bytes);

/* Adds a member and divides the budget evenly, as far as their limits allow. `member` stays where it is until it is removed. ACRE_INVALID,
 * and nothing was changed: a NULL, a callback that is missing, in already, bytes_max below bytes_min, or the least of all members is more
 * than the budget. O(members). */
ACRE_API acre_status acre_budget_add(acre_budget *budget, acre_budget_member *member);

/* Takes a member out; its resize is not called, and the next rounds divide what it had. ACRE_INVALID: a NULL, or it is not in. O(members).
 */
ACRE_API acre_status acre_budget_remove(acre_budget *budget, acre_budget_member *member);

/* Another budget; it is divided as before, in proportion, as far as limits allow. ACRE_INVALID: as for init and add. O(members). */
ACRE_API acre_status acre_budget_set_bytes(acre_budget *budget, uint64_t bytes);

/* Asks the next member, or, behind the last one, divides. True: a round has ended. Does nothing, and returns false, for a NULL or a budget
 * without members. */
ACRE_API bool acre_budget_step(acre_budget *budget);

/* For `read`: costs[i] = requests * cost * misses of `curve` with sizes[i] / entry_bytes entries. `requests` since the last call, `cost` of
 * a miss. Under the lock of the curve's cache. ACRE_INVALID: a NULL, an entry_bytes of 0, or more than ACRE_BUDGET_GRAINS + 1 sizes.
 * O(keys_max of the curve). */
ACRE_API acre_status acre_budget_read_curve(const acre_curve *curve, uint64_t requests, uint64_t cost, uint64_t entry_bytes,
                                            const uint64_t *sizes, uint64_t *costs, size_t count);

/* The list is well formed, and its members' sum within the budget: false also as long as a member has not shrunk after
 * acre_budget_set_bytes. For tests. O(members). */
ACRE_API bool acre_budget_is_valid(const acre_budget *budget);

#ifdef __cplusplus
}
#endif
#endif
