/* block.h - the block format of the engines that carve memory of the caller and write into it: tight.c and half_fit.c.
 *
 * A heap is a row of units of 8 bytes, cut into blocks without a gap. A block begins with a header of 4 bytes; what the caller gets lies
 * behind it and is aligned to 8, so headers stand 4 bytes before a multiple of 8. A free block also has its size in its last word, so that
 * the block behind it finds its beginning. Two free blocks never touch. Behind the last block stands a header of size 0, in use.
 *
 *                  size in units, header included    it is free    the block before it is free    check
 *     narrow       bits 31..17                                     bit 16                         bits 15..0
 *     wide         bits 31..10                       bit 9         bit 8                          bits  7..0
 *
 * The check makes all parts of the header and its address, combined by exclusive or, give one number when the block is in use and another
 * one when it is free: the header's *kind* (in wide ones the two differ by bit 9). So one changed byte of a header is always noticed; any
 * other change, and a word that never was a header, with a chance of 65535 in 65536 (wide: 255 in 256). Whoever frees a block looks at up
 * to three headers and two sizes that must fit each other. A header that ends to be one is wiped.
 *
 * Regions of up to 256 KiB have narrow headers: the default where addresses have 32 bits. */
#ifndef ACRE_ALLOC_BLOCK_H
#define ACRE_ALLOC_BLOCK_H

#include <acre/status.h>
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How large a region of a real-time heap may be, its control data included. A build may set another one, of at most 32 MiB; the longest
 * paths of tight.c grow with it. */
#ifndef ACRE_REALTIME_REGION_BYTES_MAX
#if UINTPTR_MAX > 0xffffffff
#define ACRE_REALTIME_REGION_BYTES_MAX (32 << 20)
#else
#define ACRE_REALTIME_REGION_BYTES_MAX (256 << 10)
#endif
#endif

#define ACRE_UNIT_BYTES         8u
#define ACRE_BLOCK_HEADER_BYTES 4u
#define ACRE_BLOCK_UNITS_MIN    2u /* of a block in use; what a split leaves over may be 1 unit, which waits for a neighbour */

#if ACRE_REALTIME_REGION_BYTES_MAX <= (256 << 10)
#define ACRE_BLOCK_SIZE_SHIFT 17
#define ACRE_BLOCK_USED       0x5a00u /* the two kinds differ in each byte */
#define ACRE_BLOCK_FREE       0x0096u
#else
#define ACRE_BLOCK_SIZE_SHIFT 10
#define ACRE_BLOCK_USED       0x5au
#define ACRE_BLOCK_FREE       0x15au
#endif
#define ACRE_BLOCK_AFTER_FREE (ACRE_BLOCK_SIZE_SHIFT == 17 ? 1u << 16 : 1u << 8)
/* What turns AFTER_FREE over in a header: its bit, and the one of the check that it goes into. */
#define ACRE_BLOCK_TURN (ACRE_BLOCK_AFTER_FREE | 1u)

/* Inline also with -Os, where a call is longer than they are. */
#define ACRE_BLOCK_INLINE static inline __attribute__((always_inline))

/* How many units a block for `size` bytes takes; size <= ACRE_REALTIME_REGION_BYTES_MAX. */
ACRE_BLOCK_INLINE uint32_t acre_block_units(size_t size)
{
    const uint32_t units = (uint32_t)(size + ACRE_BLOCK_HEADER_BYTES + ACRE_UNIT_BYTES - 1) / ACRE_UNIT_BYTES;
    return units < ACRE_BLOCK_UNITS_MIN ? ACRE_BLOCK_UNITS_MIN : units;
}

/* The header that stands at a unit of a heap. */
ACRE_BLOCK_INLINE uint32_t *acre_block_at(unsigned char *base, uint32_t unit)
{
    return (uint32_t *)(void *)base + (size_t)unit * 2;
}

ACRE_BLOCK_INLINE uint32_t acre_block_size(uint32_t word) { return word >> ACRE_BLOCK_SIZE_SHIFT; }

/* ACRE_BLOCK_USED, ACRE_BLOCK_FREE, or something else when the word at `header` is no header. */
ACRE_BLOCK_INLINE uint32_t acre_block_kind(uint32_t word, const uint32_t *header)
{
#if ACRE_BLOCK_SIZE_SHIFT == 17
    return (word ^ word >> 16 ^ (uint32_t)(uintptr_t)header) & 0xffff;
#else
    const uint32_t halves = word ^ (uint32_t)(uintptr_t)header ^ (word ^ (uint32_t)(uintptr_t)header) >> 16;
    return ((halves ^ halves >> 8) & 0xff) | (word >> 1 & 0x100);
#endif
}

/* The header of a block of that kind behind one in use. */
ACRE_BLOCK_INLINE uint32_t acre_block_word(uint32_t units, uint32_t kind, const uint32_t *header)
{
#if ACRE_BLOCK_SIZE_SHIFT == 17
    return units << 17 | ((units << 1 ^ kind ^ (uint32_t)(uintptr_t)header) & 0xffff);
#else
    const uint32_t word = units << ACRE_BLOCK_SIZE_SHIFT | (kind & 0x100) << 1;
    return word | (acre_block_kind(word, header) ^ kind);
#endif
}

/* Makes a free block behind one in use. */
ACRE_BLOCK_INLINE void acre_block_write_free(uint32_t *header, uint32_t units)
{
    *header = acre_block_word(units, ACRE_BLOCK_FREE, header);
    header[(size_t)units * 2 - 1] = units;
}

/* What stands around a block in use, as acre_block_look found it. */
typedef struct acre_block_around {
    uint32_t *header;
    uint32_t *behind; /* the header behind the block */
    uint32_t unit;    /* where the block begins */
    uint32_t end;     /* where it ends */
    uint32_t more;    /* units of the free block behind it, or 0 */
    uint32_t back;    /* units of the free block before it, or 0 */
} acre_block_around;

/* The one gate for pointers of callers: the block at `pointer` in the heap of `unit_count` units at `base`, and its neighbours, when all
 * that can be seen of them is right. ACRE_BAD_POINTER: it is no block in use of this heap. ACRE_CORRUPT: a neighbour's header or size is
 * not what was written. Reads nothing outside the heap whatever the heap holds. */
ACRE_BLOCK_INLINE acre_status acre_block_look(unsigned char *base, uint32_t unit_count, const void *pointer, acre_block_around *around)
{
    /* One comparison for both: in an address that is not at a unit, the rotation moves the bits that are too many to the top. */
    const uintptr_t offset = (uintptr_t)pointer - ((uintptr_t)base + ACRE_BLOCK_HEADER_BYTES);
    const uintptr_t unit = offset >> 3 | offset << (sizeof offset * 8 - 3);
    if (unit >= unit_count) return ACRE_BAD_POINTER;
    around->unit = (uint32_t)unit;
    around->header = acre_block_at(base, around->unit);
    const uint32_t word = *around->header;
    if (acre_block_kind(word, around->header) != ACRE_BLOCK_USED) return ACRE_BAD_POINTER;
    around->end = around->unit + acre_block_size(word);
    if (acre_block_size(word) - 1 >= unit_count - around->unit) return ACRE_BAD_POINTER; /* 0 - 1 is more than that, too */

    around->behind = acre_block_at(base, around->end);
    const uint32_t word_behind = *around->behind;
    const uint32_t kind = acre_block_kind(word_behind, around->behind);
    around->more = 0;
    if (kind == ACRE_BLOCK_FREE) {
        around->more = acre_block_size(word_behind);
        if (around->more - 1 >= unit_count - around->end) return ACRE_CORRUPT;
        if (around->behind[(size_t)around->more * 2 - 1] != around->more) return ACRE_CORRUPT;
    } else if (kind != ACRE_BLOCK_USED || (word_behind & ACRE_BLOCK_AFTER_FREE) != 0) {
        return ACRE_CORRUPT;
    }
    around->back = 0;
    if ((word & ACRE_BLOCK_AFTER_FREE) != 0) {
        around->back = around->header[-1];
        if (around->back - 1 >= around->unit) return ACRE_CORRUPT;
        const uint32_t *const before = acre_block_at(base, around->unit - around->back);
        if (*before != acre_block_word(around->back, ACRE_BLOCK_FREE, before)) return ACRE_CORRUPT;
    }
    return ACRE_OK;
}

/* True when the row of blocks of a heap is whole: every header is one, sizes fill the heap without a gap, marks and last words fit, no two
 * free blocks touch, and `live_units` are in use. O(blocks). */
bool acre_block_row_is_valid(unsigned char *base, uint32_t unit_count, uint32_t live_units);

#endif
