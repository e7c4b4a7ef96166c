/* size_class.h - which sizes small blocks have, and how they are cut from units.
 *
 * Steps of 16 bytes up to 256, then eight sizes a doubling up to 8 KiB, and from 1 KiB on one 16 bytes above each power
 * of two, for the many programs that put a header before a page. Above 128 bytes a block is at most 12.5 % larger than asked
 * for, 6 % on average. Every size is a multiple of 16, so blocks are aligned to 16.
 * A span of a class has as many 16 KiB units, at most 5, as give at least 8 blocks and waste little: at most 1/8, mostly 2 %.
 * Larger blocks are runs of units, so that what is free of them is one with what is free of all others.
 */
#ifndef ACRE_ALLOC_SIZE_CLASS_H
#define ACRE_ALLOC_SIZE_CLASS_H

#include "base/bits.h"

enum {
    ACRE_UNIT_SHIFT = 14,
    ACRE_UNIT_BYTES = 1 << ACRE_UNIT_SHIFT,
    ACRE_BLOCK_BYTES_MIN = 16,
    ACRE_SMALL_BYTES_MAX = 8192, /* larger blocks are runs of whole units */

    /* What stands in the page map for a unit. */
    ACRE_CLASS_NONE = 0,        /* not ours, or free */
    ACRE_CLASS_FIRST = 1,       /* classes of small blocks are FIRST .. COUNT */
    ACRE_CLASS_COUNT = 59,
    ACRE_CLASS_LARGE = 60,      /* first unit of a large block */
    ACRE_CLASS_LARGE_REST = 61, /* its other units */
    ACRE_CLASS_WATCHED = 64,    /* added to a small class: blocks that every free must report (samples, guarded ones) */

    ACRE_CLASS_BYTES = 128,     /* every byte of the map is below */

    ACRE_TABLE_BYTES_MAX = 1024, /* sizes up to here find their class in one table look-up */
};

typedef struct acre_size_class {
    uint32_t block_bytes;
    uint16_t unit_count; /* of a span */
    uint16_t capacity;   /* blocks in a span */
    uint64_t reciprocal; /* ceil(2^40 / block_bytes): index = offset * reciprocal >> 40 */
} acre_size_class;

extern const acre_size_class acre_size_classes[ACRE_CLASS_COUNT + 1];
extern const uint8_t acre_class_table[ACRE_TABLE_BYTES_MAX / 16 + 1];

/* The class of each size that is a multiple of 16, from 0 to ACRE_TABLE_BYTES_MAX: to 256 by 16, to 512 by 32, to 1024 by 64. */
#define ACRE_CLASS_TABLE(X)                                                                                                                \
    X(1), X(1), X(2), X(3), X(4), X(5), X(6), X(7), X(8), X(9), X(10), X(11), X(12), X(13), X(14), X(15), X(16),                           \
    X(17), X(17), X(18), X(18), X(19), X(19), X(20), X(20), X(21), X(21), X(22), X(22), X(23), X(23), X(24), X(24),                        \
    X(25), X(25), X(25), X(25), X(26), X(26), X(26), X(26), X(27), X(27), X(27), X(27), X(28), X(28), X(28), X(28),                        \
    X(29), X(29), X(29), X(29), X(30), X(30), X(30), X(30), X(31), X(31), X(31), X(31), X(32), X(32), X(32), X(32)

/* The smallest class that holds `size` bytes; size <= ACRE_SMALL_BYTES_MAX. Size 0 gets the smallest block. O(1). */
static inline unsigned acre_class_of_size(size_t size)
{
    assert(size <= ACRE_SMALL_BYTES_MAX);
    if (acre_likely(size <= ACRE_TABLE_BYTES_MAX)) return acre_class_table[(size + 15) / 16];
    const unsigned exponent = acre_log2_floor(size - 1); /* size is in (2^exponent, 2^(exponent + 1)] */
    const size_t above = size - ((size_t)1 << exponent);
    return 33 + (exponent - 10) * 9 + (above <= 16 ? 0 : 1 + (unsigned)((above - 1) >> (exponent - 3)));
}

/* The smallest class with blocks of at least `size` bytes that are all aligned to `alignment` (a power of two, at most a
 * unit), ACRE_CLASS_LARGE when no small class is. O(classes). */
unsigned acre_class_of_aligned(size_t size, size_t alignment);

static inline uint64_t acre_block_index_by(uint64_t reciprocal, uint64_t offset) { return (offset * reciprocal) >> 40; }

/* Which block of its span the byte at `offset` belongs to. Exact for every offset in a span. O(1). */
static inline unsigned acre_block_index(unsigned class, uint64_t offset)
{
    return (unsigned)acre_block_index_by(acre_size_classes[class].reciprocal, offset);
}

#endif
