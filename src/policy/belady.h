/* belady.h - the fewest misses that any policy could have had which takes every entry that it misses: the entry goes that is wanted again
 * last (Belady 1966). It knows the whole trace, so it is for replays only.
 *
 * A request is a number, its place in the trace, and an entry in the cache is stood for by the place of its next request. So the cache is
 * a set of numbers: request i is a hit if i is in it, and the entry that has to go is the largest one. The set is a bit a request, with a
 * word of summary for as many words below it, and again, to one word at the top: test, set, clear and largest are O(log n / log 64).
 * Entries that are never wanted again are only counted; they go first.
 */
#ifndef ACRE_POLICY_BELADY_H
#define ACRE_POLICY_BELADY_H

#include "base/bits.h"

#define ACRE_BELADY_NEVER       UINT32_MAX
#define ACRE_BELADY_REQUEST_MAX 0xfffffff0u
#define ACRE_BELADY_LEVELS_MAX  7u /* 32 bits of numbers by words of 32 */

typedef struct acre_belady {
    acre_word *levels[ACRE_BELADY_LEVELS_MAX]; /* levels[0]: a bit a request; levels[i + 1]: a bit a word of levels[i] */
    unsigned level_count;
    uint32_t request_count;
    uint32_t capacity;
    uint32_t held_count; /* entries in the cache, `never_count` of them are never wanted again */
    uint32_t never_count;
} acre_belady;

/* The memory that a trace of so many requests takes, at most ACRE_BELADY_REQUEST_MAX: about an eighth of a byte each. O(1). */
size_t acre_belady_bytes(uint32_t request_count);

/* next[i]: where the object of request i is asked for again, or ACRE_BELADY_NEVER. Objects are numbered from 0 below `object_count`; `last`
 * has that many places, whose contents are lost. O(requests). */
void acre_belady_next_uses(uint32_t *next, const uint32_t *objects, uint32_t request_count, uint32_t *last, uint32_t object_count);

/* An empty cache of `capacity` entries, at least 1, in memory of acre_belady_bytes, aligned as a word. O(bytes). */
void acre_belady_init(acre_belady *belady, uint32_t request_count, uint32_t capacity, void *memory);

/* Request number `request`, whose object comes again at `next`. All requests are given one after the other. True: it was a hit. */
bool acre_belady_access(acre_belady *belady, uint32_t request, uint32_t next);

/* The summaries tell what is below them, and no more is held than the capacity. O(requests). */
bool acre_belady_is_valid(const acre_belady *belady);

#endif
