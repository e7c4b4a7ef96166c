/* half_fit.c - see alloc/half_fit.h. Lists are rings through their end, which is a unit like others as far as links go: so taking a block
 * out is two stores, and a ring of nothing but its end is seen from two links that are equal. */
#include "alloc/half_fit.h"

#if ACRE_REALTIME_REGION_BYTES_MAX <= (256 << 10)
#define LIST_COUNT 15u
#else
#define LIST_COUNT 23u
#endif
#define FIRST_UNIT (LIST_COUNT + 1) /* units below it are the ends of lists: unit i of the list of 2^i to 2^(i + 1) - 1 units */
#define UNIT_GRAIN 2u               /* every block has a multiple of it */

enum { NEXT = 1, PREVIOUS = 2 }; /* words behind a header */

ACRE_BLOCK_INLINE uint32_t log2_floor(uint32_t units) { return 31 - (uint32_t)__builtin_clz(units); }

ACRE_BLOCK_INLINE uint32_t units_of(size_t size)
{
    const uint32_t units = acre_block_units(size);
    return 1u << (32 - (uint32_t)__builtin_clz(units - 1));
}

uint32_t acre_half_fit_units(size_t size) { return units_of(size); }

/* Takes a free block out of its list. Returns which of `lists` have a block then. */
ACRE_BLOCK_INLINE uint32_t withdraw(unsigned char *base, uint32_t unit, uint32_t lists)
{
    const uint32_t *const header = acre_block_at(base, unit);
    const uint32_t next = header[NEXT];
    const uint32_t previous = header[PREVIOUS];
    acre_block_at(base, previous)[NEXT] = next;
    acre_block_at(base, next)[PREVIOUS] = previous;
    return next == previous ? lists & ~(1u << next) : lists;
}

/* Makes a free block behind one in use, at the front of its list. Returns which of `lists` have a block then. */
ACRE_BLOCK_INLINE uint32_t insert(unsigned char *base, uint32_t unit, uint32_t units, uint32_t lists)
{
    const uint32_t list = log2_floor(units);
    uint32_t *const header = acre_block_at(base, unit);
    const uint32_t next = acre_block_at(base, list)[NEXT];
    acre_block_write_free(header, units);
    header[NEXT] = next;
    header[PREVIOUS] = list;
    acre_block_at(base, list)[NEXT] = unit;
    acre_block_at(base, next)[PREVIOUS] = unit;
    return lists | 1u << list;
}

void *acre_half_fit_alloc(acre_half_fit *heap, size_t size)
{
    if (size > ACRE_REALTIME_REGION_BYTES_MAX) return NULL;
    const uint32_t units = units_of(size);
    const uint32_t fitting = heap->filled_lists & (0 - units); /* from the request's own on */
    if (fitting == 0) return NULL;
    const uint32_t unit = acre_block_at(heap->base, (uint32_t)__builtin_ctz(fitting))[NEXT];
    uint32_t *const header = acre_block_at(heap->base, unit);
    const uint32_t rest = acre_block_size(*header) - units;
    uint32_t lists = withdraw(heap->base, unit, heap->filled_lists);
    *header = acre_block_word(units, ACRE_BLOCK_USED, header);
    if (rest > 0)
        lists = insert(heap->base, unit + units, rest, lists);
    else
        header[(size_t)units * 2] ^= ACRE_BLOCK_TURN;
    heap->filled_lists = lists;
    heap->live_units += units;
    return header + 1;
}

/* In narrow headers, what stands in the ends of lists is never taken for a size; in wide ones it might be. */
ACRE_BLOCK_INLINE acre_status look(const acre_half_fit *heap, const void *block, acre_block_around *at)
{
#if ACRE_BLOCK_SIZE_SHIFT != 17
    if ((uintptr_t)block - (uintptr_t)heap->base < FIRST_UNIT * ACRE_UNIT_BYTES) return ACRE_BAD_POINTER;
#endif
    return acre_block_look(heap->base, heap->end_unit, block, at);
}

/* The block behind a block that ends or changes: a free one is no more, one in use is behind a free one from now on. */
ACRE_BLOCK_INLINE uint32_t absorb(const acre_half_fit *heap, const acre_block_around *at, uint32_t lists)
{
    if (at->more == 0) {
        *at->behind ^= ACRE_BLOCK_TURN;
        return lists;
    }
    *at->behind = 0;
    return withdraw(heap->base, at->end, lists);
}

acre_status acre_half_fit_free(acre_half_fit *heap, void *block)
{
    acre_block_around at;
    const acre_status status = look(heap, block, &at);
    if (status != ACRE_OK) return status;
    const uint32_t unit = at.unit - at.back;
    uint32_t lists = absorb(heap, &at, heap->filled_lists);
    *at.header = 0;
    heap->live_units -= at.end - at.unit;
    if (at.back > 0) lists = withdraw(heap->base, unit, lists);
    heap->filled_lists = insert(heap->base, unit, at.end + at.more - unit, lists);
    return ACRE_OK;
}

acre_status acre_half_fit_resize(acre_half_fit *heap, void *block, size_t size)
{
    acre_block_around at;
    const acre_status status = look(heap, block, &at);
    if (status != ACRE_OK) return status;
    if (size > ACRE_REALTIME_REGION_BYTES_MAX) return ACRE_NO_MEMORY;
    const uint32_t units = units_of(size);
    const uint32_t length = at.end + at.more - at.unit;
    if (units > length) return ACRE_NO_MEMORY;
    if (units == at.end - at.unit) return ACRE_OK;
    heap->filled_lists = absorb(heap, &at, heap->filled_lists);
    *at.header = acre_block_word(units, ACRE_BLOCK_USED, at.header) ^ (at.back > 0 ? ACRE_BLOCK_TURN : 0);
    if (length > units)
        heap->filled_lists = insert(heap->base, at.unit + units, length - units, heap->filled_lists);
    else
        at.header[(size_t)units * 2] ^= ACRE_BLOCK_TURN;
    heap->live_units += units - (at.end - at.unit);
    return ACRE_OK;
}

void *acre_half_fit_cut_front(acre_half_fit *heap, void *block, uint32_t units)
{
    uint32_t *const header = (uint32_t *)block - 1;
    uint32_t *const moved = header + (size_t)units * 2;
    const uint32_t length = acre_block_size(*header);
    const uint32_t unit = (uint32_t)((unsigned char *)header - heap->base) / ACRE_UNIT_BYTES;
    assert(units > 0 && units % UNIT_GRAIN == 0 && units < length);
    *moved = acre_block_word(length - units, ACRE_BLOCK_USED, moved) ^ ACRE_BLOCK_TURN;
    heap->filled_lists = insert(heap->base, unit, units, heap->filled_lists);
    heap->live_units -= units;
    return moved + 1;
}

acre_status acre_half_fit_look(const acre_half_fit *heap, const void *block, acre_block_around *at) { return look(heap, block, at); }

unsigned char *acre_half_fit_first(const acre_half_fit *heap) { return heap->base + (size_t)FIRST_UNIT * ACRE_UNIT_BYTES; }

uint32_t acre_half_fit_capacity(const acre_half_fit *heap) { return heap->end_unit - FIRST_UNIT; }

uint32_t acre_half_fit_longest(const acre_half_fit *heap) { return heap->filled_lists == 0 ? 0 : 1u << log2_floor(heap->filled_lists); }

/* ---- the life of a heap ---- */

/* The first header stands 12 bytes behind a multiple of 16; there are the ends of lists, the heap, and the last header. */
ACRE_BLOCK_INLINE uint32_t unit_count_of(uint32_t bytes)
{
    return ((bytes - 12 - ACRE_BLOCK_HEADER_BYTES) / ACRE_UNIT_BYTES - FIRST_UNIT) & ~(UNIT_GRAIN - 1);
}

uint32_t acre_half_fit_unit_count(size_t bytes)
{
    return bytes > ACRE_REALTIME_REGION_BYTES_MAX || bytes < ACRE_HALF_FIT_BYTES_MIN ? 0 : unit_count_of((uint32_t)bytes);
}

acre_status acre_half_fit_init(acre_half_fit *heap, void *memory, size_t bytes)
{
    if (bytes > ACRE_REALTIME_REGION_BYTES_MAX || bytes < ACRE_HALF_FIT_BYTES_MIN) return ACRE_INVALID;
    const uint32_t padding = (uint32_t)(0 - (uintptr_t)memory) % 16;
    const uint32_t unit_count = unit_count_of((uint32_t)bytes - padding);
    heap->base = (unsigned char *)memory + padding + 12;
    heap->end_unit = FIRST_UNIT + unit_count;
    heap->live_units = 0;
    for (uint32_t i = 0; i < LIST_COUNT; i++) acre_block_at(heap->base, i)[NEXT] = acre_block_at(heap->base, i)[PREVIOUS] = i;
    uint32_t *const last = acre_block_at(heap->base, heap->end_unit);
    *last = acre_block_word(0, ACRE_BLOCK_USED, last) ^ ACRE_BLOCK_TURN;
    heap->filled_lists = insert(heap->base, FIRST_UNIT, unit_count, 0);
    return ACRE_OK;
}

/* ---- whether all is right ---- */

bool acre_half_fit_is_valid(const acre_half_fit *heap)
{
    const uint32_t unit_count = heap->end_unit - FIRST_UNIT;
    if (unit_count % UNIT_GRAIN != 0) return false;
    if (!acre_block_row_is_valid(heap->base + (size_t)FIRST_UNIT * ACRE_UNIT_BYTES, unit_count, heap->live_units)) return false;
    uint32_t free_count = 0;
    for (uint32_t unit = FIRST_UNIT; unit < heap->end_unit; unit += acre_block_size(*acre_block_at(heap->base, unit))) {
        const uint32_t *const header = acre_block_at(heap->base, unit);
        if (acre_block_size(*header) % UNIT_GRAIN != 0) return false;
        if (acre_block_kind(*header, header) == ACRE_BLOCK_FREE) free_count++;
    }
    for (uint32_t list = 0; list < LIST_COUNT; list++) {
        uint32_t before = list;
        for (uint32_t unit = acre_block_at(heap->base, list)[NEXT]; unit != list; unit = acre_block_at(heap->base, unit)[NEXT]) {
            if (unit < FIRST_UNIT || unit >= heap->end_unit || free_count-- == 0) return false;
            const uint32_t *const header = acre_block_at(heap->base, unit);
            if (acre_block_kind(*header, header) != ACRE_BLOCK_FREE || log2_floor(acre_block_size(*header)) != list) return false;
            if (header[PREVIOUS] != before) return false;
            before = unit;
        }
        if (acre_block_at(heap->base, list)[PREVIOUS] != before) return false;
        if ((heap->filled_lists >> list & 1) != (before != list ? 1u : 0u)) return false;
    }
    return free_count == 0 && heap->filled_lists >> LIST_COUNT == 0;
}
