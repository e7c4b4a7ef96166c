/* backing.h - memory for an engine: a range of a space that is reserved and committed in one step, or not at all. */
#ifndef ACRE_ALLOC_BACKING_H
#define ACRE_ALLOC_BACKING_H

#include <acre/allocator.h>
#include <stdbool.h>

enum { ACRE_BLOCK_GRAIN_BYTES = 16 }; /* what regions, stacks and rings round blocks up to */

/* No request is larger, so that no sum of two overflows. */
#define ACRE_BACKING_BYTES_MAX ((uint64_t)1 << 60)

/* `size` > 0 up to what the space takes and to 16. `size` is at most ACRE_BACKING_BYTES_MAX. */
uint64_t acre_backing_round(const acre_space *space, uint64_t size);

/* A committed range of `size` bytes, which acre_backing_round has made, at a multiple of 16. On failure
 * nothing is held, and the sentence is the space's. One reserve and one commit. */
acre_status acre_backing_take(acre_space *space, uint64_t size, acre_addr *base);
void acre_backing_give(acre_space *space, acre_addr base, uint64_t size);

/* What an engine over one range of fixed size asks for. */
typedef struct acre_ranges_wish {
    const char *kind; /* "stack" and the like, and the name of this one: for messages */
    const char *name;
    acre_space *space;
    acre_space *meta_space; /* NULL: `space` */
    uint64_t size_bytes;    /* for blocks; 0: all that a space of fixed size has left beside the records */
    uint64_t size_bytes_max;
    uint64_t record_count;     /* 0: one for each 64 bytes, at least 16 */
    uint64_t record_count_max; /* a power of two, as the count becomes if `is_power` */
    uint64_t record_bytes;     /* of one record */
    bool is_power;
} acre_ranges_wish;

/* Takes both ranges, the records first. Returns how many records there is room for in `record_count`. On failure nothing is held.
 * ACRE_INVALID: a space is NULL or not open, the records' space has no host access, a number is above its maximum, or there is no size.
 * ACRE_NO_MEMORY: a space has no room. */
acre_status acre_ranges_take(const acre_ranges_wish *wish, acre_ranges *ranges, uint64_t *record_count);
void acre_ranges_give(const acre_ranges *ranges);

/* Address 0 means "no block", so the first 16 bytes of a range that begins there are not used. */
static inline acre_addr acre_backing_first(acre_addr base) { return base == 0 ? ACRE_BLOCK_GRAIN_BYTES : base; }

#endif
