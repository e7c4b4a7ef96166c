/* bounds.h - how far one may read and write from any byte of the window (space/window.h): a byte for 16.
 *
 * The byte of a granule says how many bytes of the block, from the granule's beginning on, are in use: 255 stands for 255 and more, 0 for
 * none or not known. Only small blocks of heaps that check have theirs filled in. So most accesses are found good by one load and
 * a comparison, and what is not found good here is looked at by acre_check in full.
 *
 * Setting and clearing are O(size / 16), and no loop for up to 256 bytes.
 */
#ifndef ACRE_HEAP_BOUNDS_H
#define ACRE_HEAP_BOUNDS_H

#include "guard/block_state.h"

#include <stddef.h>
#include <string.h>

enum { ACRE_BOUNDS_TAIL = 16 }; /* the last granules of a block, whose bytes are not all 255 */

typedef struct acre_bounds {
    uintptr_t base; /* of the window */
    uintptr_t bytes;
    uint8_t *reach;                                      /* by granule */
    bool is_open;                                        /* else nothing is filled in, and `bytes` is 0 */
    uint8_t tails[ACRE_GRANULE_BYTES][ACRE_BOUNDS_TAIL]; /* [s - 1]: the bytes of the last granules, of which the last has s bytes in use */
} acre_bounds;

extern acre_bounds acre_bounds_of_window;

/* Opens it; without memory for it everything is looked at in full. */
void acre_bounds_open(void);

static inline void acre_bounds_make_tails(acre_bounds *bounds)
{
    for (unsigned last = 1; last <= ACRE_GRANULE_BYTES; last++) {
        for (unsigned i = 0; i < ACRE_BOUNDS_TAIL; i++) {
            const unsigned reach = last + (ACRE_BOUNDS_TAIL - 1 - i) * ACRE_GRANULE_BYTES;
            bounds->tails[last - 1][i] = (uint8_t)(reach < 255 ? reach : 255);
        }
    }
}

/* True: good. False: not known. 12 instructions. */
static inline bool acre_bounds_allow(const acre_bounds *bounds, uintptr_t address, size_t size)
{
    const uintptr_t offset = address - bounds->base;
    if (__builtin_expect(offset >= bounds->bytes, 0)) return bounds->is_open;
    size_t end;
    return !__builtin_add_overflow(address & (ACRE_GRANULE_BYTES - 1), size, &end) && end <= bounds->reach[offset >> ACRE_GRANULE_SHIFT];
}

/* Copies up to 16 bytes by two words of one size that overlap. */
static inline void acre_bounds_copy(uint8_t *to, const uint8_t *from, size_t count)
{
    if (count >= 8) {
        memcpy(to, from, 8);
        memcpy(to + count - 8, from + count - 8, 8);
    } else if (count >= 4) {
        memcpy(to, from, 4);
        memcpy(to + count - 4, from + count - 4, 4);
    } else if (count > 0) {
        to[0] = from[0];
        to[count / 2] = from[count / 2];
        to[count - 1] = from[count - 1];
    }
}

static inline void acre_bounds_set(uintptr_t block, size_t size)
{
    const acre_bounds *const bounds = &acre_bounds_of_window;
    const uintptr_t offset = block - bounds->base;
    if (offset >= bounds->bytes || size == 0) return;
    uint8_t *const first = bounds->reach + (offset >> ACRE_GRANULE_SHIFT);
    const size_t count = (size + ACRE_GRANULE_BYTES - 1) / ACRE_GRANULE_BYTES;
    const uint8_t *const tail = bounds->tails[(size - 1) % ACRE_GRANULE_BYTES];
    if (count <= ACRE_BOUNDS_TAIL) {
        acre_bounds_copy(first, tail + ACRE_BOUNDS_TAIL - count, count);
        return;
    }
    (void)memset(first, 255, count - ACRE_BOUNDS_TAIL);
    memcpy(first + count - ACRE_BOUNDS_TAIL, tail, ACRE_BOUNDS_TAIL);
}

static inline void acre_bounds_clear(uintptr_t block, size_t size)
{
    static const uint8_t zeros[ACRE_BOUNDS_TAIL];
    const acre_bounds *const bounds = &acre_bounds_of_window;
    const uintptr_t offset = block - bounds->base;
    if (offset >= bounds->bytes) return;
    uint8_t *const first = bounds->reach + (offset >> ACRE_GRANULE_SHIFT);
    const size_t count = (size + ACRE_GRANULE_BYTES - 1) / ACRE_GRANULE_BYTES;
    if (count <= ACRE_BOUNDS_TAIL)
        acre_bounds_copy(first, zeros, count);
    else
        (void)memset(first, 0, count);
}

#endif
