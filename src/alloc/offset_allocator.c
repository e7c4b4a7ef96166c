/* offset_allocator.c - see acre/offset_allocator.h. A node stands for a block or a free extent; nodes are neighbours by `previous` and
 * `next`, and free ones stand in the list of their region and size. Two free extents never lie side by side. The lower part of an extent
 * that is cut keeps its node, so node 1 is the lowest for ever. */
#include <acre/offset_allocator.h>

#include "alloc/backing.h"
#include "alloc/offset_allocator.h"
#include "base/bits.h"
#include "base/status.h"

#include <string.h>

enum {
    ROW_SHIFT = 5,
    FIRST = 1,
    LOOKS_MAX = 8, /* how many extents of a list are looked at */
    STATE_BITS = 2,
    STATE_SPARE = 0,
    STATE_FREE = 1,
    STATE_BLOCK = 2,
    COMMIT_BYTES = 65536,
    NODES_NEEDED = 2, /* by the cut of an extent in three */
    LARGE_SHIFT = 8,
    SHORT_LISTS = 3 << ROW_SHIFT, /* of extents below 128 granules */
};
#define GENERATION_MASK ((uint32_t)0x1fffffff)

typedef struct acre_offset_node {
    uint32_t at;    /* granule where it begins */
    uint32_t count; /* granules; 0: spare */
    uint32_t previous;
    uint32_t next;
    union {
        struct {
            uint32_t list_previous; /* 0: it is the first */
            uint32_t list_next;
        };
        uint64_t user;
    };
    uint32_t reserved;
    uint32_t state; /* generation, then STATE_... */
} node;

_Static_assert(sizeof(node) == 32, "two records a line");
_Static_assert(ACRE_OFFSET_ROW_LISTS == 1u << ROW_SHIFT, "a list for each value of the bits below the highest");

static uint32_t state_of(const node *n) { return n->state & ((1u << STATE_BITS) - 1); }
static void set_state(node *n, uint32_t state) { n->state = (n->state & ~((1u << STATE_BITS) - 1)) | state; }

/* ---- sizes and lists ---- */

/* By how many bits a size is shortened to what its list tells apart. */
static inline uint32_t list_shift(uint32_t count) { return 31 - ROW_SHIFT - (uint32_t)__builtin_clz(count | ACRE_OFFSET_ROW_LISTS); }

/* The list of a size within a region: sizes below 64 are their list's number, from there on there are 32 to a power of two. */
static inline uint32_t list_down(uint32_t count)
{
    const uint32_t shift = list_shift(count);
    return (shift << ROW_SHIFT) + (count >> shift);
}

/* The first list of which any extent has room for `count`. */
static inline uint32_t list_up(uint32_t count)
{
    const uint32_t shift = list_shift(count);
    return (shift << ROW_SHIFT) + (uint32_t)(((uint64_t)count + ((1u << shift) - 1)) >> shift);
}

static inline uint32_t region_of(const acre_offset_allocator *offsets, uint32_t at) { return at >> offsets->region_shift; }

static inline uint32_t list_word(const acre_offset_allocator *offsets, uint32_t region, uint32_t row)
{
    return region * offsets->row_count + row;
}

/* A list that gets its first extent, or loses its last one, says so in five words. */
ACRE_SELDOM static void mark_list(acre_offset_allocator *offsets, uint32_t region, uint32_t list)
{
    const uint32_t row = list >> ROW_SHIFT;
    const uint32_t bit = 1u << (list & (ACRE_OFFSET_ROW_LISTS - 1));
    offsets->region_lists[list_word(offsets, region, row)] |= bit;
    offsets->region_rows[region] |= 1u << row;
    offsets->row_regions[row] |= (uint16_t)(1u << region);
    offsets->list_regions[list] |= (uint16_t)(1u << region);
    offsets->row_lists[row] |= bit;
    offsets->rows |= 1u << row;
}

ACRE_SELDOM static void unmark_list(acre_offset_allocator *offsets, uint32_t region, uint32_t list)
{
    const uint32_t row = list >> ROW_SHIFT;
    const uint32_t bit = 1u << (list & (ACRE_OFFSET_ROW_LISTS - 1));
    const uint16_t others = (uint16_t) ~(1u << region);
    uint32_t *const lists = &offsets->region_lists[list_word(offsets, region, row)];
    *lists &= ~bit;
    if (*lists == 0) {
        offsets->region_rows[region] &= ~(1u << row);
        offsets->row_regions[row] &= others;
    }
    offsets->list_regions[list] &= others;
    if (offsets->list_regions[list] != 0) return;
    offsets->row_lists[row] &= ~bit;
    if (offsets->row_lists[row] == 0) offsets->rows &= ~(1u << row);
}

static inline uint32_t *first_at(const acre_offset_allocator *offsets, uint32_t region, uint32_t list)
{
    return &offsets->lists[(region * offsets->row_count << ROW_SHIFT) + list];
}

static inline void insert(acre_offset_allocator *offsets, uint32_t index)
{
    node *const n = &offsets->nodes[index];
    const uint32_t region = region_of(offsets, n->at);
    const uint32_t list = list_down(n->count);
    uint32_t *const first = first_at(offsets, region, list);
    const uint32_t next = *first;
    set_state(n, STATE_FREE);
    n->list_previous = 0;
    n->list_next = next;
    *first = index;
    offsets->free_count++;
    if (next != 0)
        offsets->nodes[next].list_previous = index;
    else
        mark_list(offsets, region, list);
}

static inline void withdraw(acre_offset_allocator *offsets, uint32_t index)
{
    const node *const n = &offsets->nodes[index];
    const uint32_t next = n->list_next;
    offsets->free_count--;
    if (next != 0) offsets->nodes[next].list_previous = n->list_previous;
    if (n->list_previous != 0) {
        offsets->nodes[n->list_previous].list_next = next;
        return;
    }
    const uint32_t region = region_of(offsets, n->at);
    const uint32_t list = list_down(n->count);
    *first_at(offsets, region, list) = next;
    if (next == 0) unmark_list(offsets, region, list);
}

/* ---- nodes ---- */

static uint64_t node_offset_bytes(const acre_offset_allocator *offsets)
{
    const uint64_t rows = offsets->row_count;
    const uint64_t words = rows * ACRE_OFFSET_REGIONS * (ACRE_OFFSET_ROW_LISTS + 1);
    return acre_align_up(words * sizeof(uint32_t) + rows * ACRE_OFFSET_ROW_LISTS * sizeof(uint16_t), sizeof(node));
}

/* Commits more of the records. */
ACRE_SELDOM static bool make_room(acre_offset_allocator *offsets)
{
    uint64_t more = offsets->reserved_bytes - offsets->committed_bytes;
    const uint64_t step = acre_align_up(COMMIT_BYTES, offsets->space->info.grain_bytes);
    if (more > step) more = step;
    if (more == 0 || acre_space_commit(offsets->space, offsets->base + offsets->committed_bytes, more) != ACRE_OK) return false;
    offsets->committed_bytes += more;
    const uint64_t fitting = (offsets->committed_bytes - node_offset_bytes(offsets)) / sizeof(node);
    const uint32_t committed = fitting < offsets->node_count_max ? (uint32_t)fitting : offsets->node_count_max;
    offsets->node_room += committed - offsets->node_count_committed;
    offsets->node_count_committed = committed;
    return offsets->node_room >= NODES_NEEDED;
}

static inline bool have_nodes(acre_offset_allocator *offsets)
{
    return acre_likely(offsets->node_room >= NODES_NEEDED) || make_room(offsets);
}

static inline uint32_t make_node(acre_offset_allocator *offsets)
{
    uint32_t index = offsets->spare;
    offsets->node_room--;
    if (acre_likely(index != 0)) {
        offsets->spare = offsets->nodes[index].next;
        return index;
    }
    index = offsets->node_count++;
    assert(index < offsets->node_count_committed);
    offsets->nodes[index].state = 0;
    return index;
}

static inline void drop_node(acre_offset_allocator *offsets, uint32_t index)
{
    node *const n = &offsets->nodes[index];
    n->count = 0;
    n->next = offsets->spare;
    set_state(n, STATE_SPARE);
    offsets->spare = index;
    offsets->node_room++;
}

/* Cuts a node in two: returns that of the upper part, which begins `count` granules above. */
static inline uint32_t cut(acre_offset_allocator *offsets, uint32_t index, uint32_t count)
{
    const uint32_t upper = make_node(offsets);
    node *const low = &offsets->nodes[index];
    node *const high = &offsets->nodes[upper];
    assert(count > 0 && count < low->count);
    high->at = low->at + count;
    high->count = low->count - count;
    high->previous = index;
    high->next = low->next;
    if (low->next != 0) offsets->nodes[low->next].previous = upper;
    low->next = upper;
    low->count = count;
    return upper;
}

/* Joins a node with the one above it, which goes. */
static inline void join(acre_offset_allocator *offsets, uint32_t index)
{
    node *const low = &offsets->nodes[index];
    const uint32_t upper = low->next;
    low->count += offsets->nodes[upper].count;
    low->next = offsets->nodes[upper].next;
    if (low->next != 0) offsets->nodes[low->next].previous = index;
    drop_node(offsets, upper);
}

static acre_offset_block name_of(const acre_offset_allocator *offsets, uint32_t index)
{
    return (uint64_t)(offsets->nodes[index].state >> STATE_BITS & GENERATION_MASK) << 32 | index;
}

/* The gate: which node a block is; 0 if it is none. */
static inline uint32_t node_of(const acre_offset_allocator *offsets, acre_offset_block block)
{
    const uint32_t index = (uint32_t)block;
    if (offsets == NULL || offsets->nodes == NULL || index == 0 || index >= offsets->node_count) return 0;
    return state_of(&offsets->nodes[index]) == STATE_BLOCK && name_of(offsets, index) == block ? index : 0;
}

/* ---- choice ---- */

/* Where in a free extent `count` granules at a multiple of `mask` + 1 begin, from its lower or its upper end; UINT32_MAX: nowhere. */
static inline uint32_t place_in(const node *n, uint32_t count, uint32_t mask, bool is_high)
{
    if (n->count < count) return UINT32_MAX;
    if (is_high) {
        const uint32_t at = (n->at + (n->count - count)) & ~mask;
        return at >= n->at ? at : UINT32_MAX;
    }
    const uint64_t at = ((uint64_t)n->at + mask) & ~(uint64_t)mask;
    return at + count <= (uint64_t)n->at + n->count ? (uint32_t)at : UINT32_MAX;
}

/* The first list of a region, from `list` on, that has an extent; UINT32_MAX: none. */
static inline uint32_t first_list(const acre_offset_allocator *offsets, uint32_t region, uint32_t list)
{
    const uint32_t row = list >> ROW_SHIFT;
    const uint32_t own = offsets->region_lists[list_word(offsets, region, row)] & (UINT32_MAX << (list & (ACRE_OFFSET_ROW_LISTS - 1)));
    if (own != 0) return (row << ROW_SHIFT) + (uint32_t)__builtin_ctz(own);
    const uint32_t rows = row < 31 ? offsets->region_rows[region] & (UINT32_MAX << (row + 1)) : 0;
    if (rows == 0) return UINT32_MAX;
    const uint32_t next = (uint32_t)__builtin_ctz(rows);
    return (next << ROW_SHIFT) + (uint32_t)__builtin_ctz(offsets->region_lists[list_word(offsets, region, next)]);
}

/* An extent for a small block, from `list` on. If a list of short extents has one of the very size anywhere, that: nothing is left over.
 * Else one of the lowest region that has any. */
static inline uint32_t choose_small(const acre_offset_allocator *offsets, uint32_t list)
{
    const uint32_t row = list >> ROW_SHIFT;
    if (row >= offsets->row_count) return 0;
    const uint32_t own = offsets->list_regions[list];
    if (list < SHORT_LISTS && own != 0) return *first_at(offsets, (uint32_t)__builtin_ctz(own), list);
    uint32_t regions = 0; /* that have an extent of a higher row */
    for (uint32_t above = row + 1; above < offsets->row_count; above++) regions |= offsets->row_regions[above];
    const uint32_t higher = regions == 0 ? ACRE_OFFSET_REGIONS : (uint32_t)__builtin_ctz(regions);
    for (uint32_t left = offsets->row_regions[row] & ((2u << higher) - 1); left != 0; left &= left - 1) {
        const uint32_t region = (uint32_t)__builtin_ctz(left);
        const uint32_t found = first_list(offsets, region, list);
        if (found != UINT32_MAX) return *first_at(offsets, region, found);
    }
    return higher == ACRE_OFFSET_REGIONS ? 0 : *first_at(offsets, higher, first_list(offsets, higher, list));
}

/* The first list that has an extent in any region, from `list` on; UINT32_MAX: none. */
static inline uint32_t filled_list(const acre_offset_allocator *offsets, uint32_t list)
{
    uint32_t row = list >> ROW_SHIFT;
    if (row >= offsets->row_count) return UINT32_MAX;
    uint32_t lists = offsets->row_lists[row] & (UINT32_MAX << (list & (ACRE_OFFSET_ROW_LISTS - 1)));
    if (lists == 0) {
        const uint32_t rows = row < 31 ? offsets->rows & (UINT32_MAX << (row + 1)) : 0;
        if (rows == 0) return UINT32_MAX;
        row = (uint32_t)__builtin_ctz(rows);
        lists = offsets->row_lists[row];
    }
    return (row << ROW_SHIFT) + (uint32_t)__builtin_ctz(lists);
}

/* An extent of the smallest list of all regions, from `list` on. */
static inline uint32_t choose_smallest(const acre_offset_allocator *offsets, uint32_t list)
{
    const uint32_t found = filled_list(offsets, list);
    return found == UINT32_MAX ? 0 : *first_at(offsets, (uint32_t)__builtin_ctz(offsets->list_regions[found]), found);
}

/* The smallest extent that will do in the first list that has one, of those from `list` to before `end`; of all only the first few are
 * looked at. */
ACRE_SELDOM static uint32_t look_through(const acre_offset_allocator *offsets, uint32_t count, uint32_t mask, uint32_t list, uint32_t end)
{
    uint32_t best = 0;
    unsigned looks = LOOKS_MAX;
    for (list = filled_list(offsets, list); list < end && best == 0 && looks > 0; list = filled_list(offsets, list + 1)) {
        for (uint32_t left = offsets->list_regions[list]; left != 0; left &= left - 1) {
            uint32_t index = *first_at(offsets, (uint32_t)__builtin_ctz(left), list);
            for (; index != 0 && looks > 0; index = offsets->nodes[index].list_next, looks--) {
                const node *const n = &offsets->nodes[index];
                if (place_in(n, count, mask, false) == UINT32_MAX) continue;
                if (best == 0 || n->count < offsets->nodes[best].count) best = index;
            }
        }
    }
    return best;
}

static uint32_t choose_lowest(const acre_offset_allocator *offsets, uint32_t count, uint32_t mask)
{
    for (uint32_t index = FIRST; index != 0; index = offsets->nodes[index].next) {
        const node *const n = &offsets->nodes[index];
        if (state_of(n) == STATE_FREE && place_in(n, count, mask, false) != UINT32_MAX) return index;
    }
    return 0;
}

/* The extent behind the last block, or the lowest one. */
static uint32_t choose_next(const acre_offset_allocator *offsets, uint32_t count, uint32_t mask)
{
    const uint32_t behind = offsets->last == 0 ? FIRST : offsets->nodes[offsets->last].next;
    const uint32_t candidates[2] = {behind, FIRST};
    for (unsigned i = 0; i < 2; i++) {
        const uint32_t index = candidates[i];
        if (index == 0 || state_of(&offsets->nodes[index]) != STATE_FREE) continue;
        if (place_in(&offsets->nodes[index], count, mask, false) != UINT32_MAX) return index;
    }
    return 0;
}

/* What the first choice was too short for: alignment takes a part, or the only extents that will do stand among others that are too short.
 */
ACRE_SELDOM static uint32_t choose_else(const acre_offset_allocator *offsets, uint32_t count, uint32_t mask, bool is_smallest)
{
    const uint64_t wide = (uint64_t)count + mask;
    const uint32_t list = wide <= offsets->granule_count ? list_up((uint32_t)wide) : UINT32_MAX;
    const uint32_t index = list == UINT32_MAX ? 0 : is_smallest ? choose_smallest(offsets, list) : choose_small(offsets, list);
    return index != 0 ? index : look_through(offsets, count, mask, list_down(count), list);
}

static inline uint32_t choose(const acre_offset_allocator *offsets, uint32_t count, uint32_t mask, acre_offset_strategy strategy,
                              bool is_large)
{
    if (acre_unlikely(strategy >= ACRE_OFFSET_LOWEST))
        return strategy == ACRE_OFFSET_LOWEST ? choose_lowest(offsets, count, mask) : choose_next(offsets, count, mask);
    const bool is_best = strategy == ACRE_OFFSET_BEST_FIT;
    if (is_best) {
        const uint32_t index = list_shift(count) == 0 ? 0 : look_through(offsets, count, mask, list_down(count), list_down(count) + 1);
        if (index != 0) return index;
    }
    const uint32_t up = list_up(count);
    const uint32_t index = is_large || is_best ? choose_smallest(offsets, up) : choose_small(offsets, up);
    if (acre_likely(index != 0) && (mask == 0 || place_in(&offsets->nodes[index], count, mask, is_large) != UINT32_MAX)) return index;
    return choose_else(offsets, count, mask, is_large || is_best);
}

/* Makes a block of `count` granules from `at` on out of a free extent, of which up to two pieces stay free. */
static inline uint32_t take(acre_offset_allocator *offsets, uint32_t index, uint32_t at, uint32_t count)
{
    withdraw(offsets, index);
    uint32_t taken = index;
    const uint32_t below = at - offsets->nodes[index].at;
    if (below > 0) {
        taken = cut(offsets, index, below);
        insert(offsets, index);
    }
    if (offsets->nodes[taken].count > count) insert(offsets, cut(offsets, taken, count));
    node *const n = &offsets->nodes[taken];
    n->state = (n->state & ~((1u << STATE_BITS) - 1)) | STATE_BLOCK;
    n->user = 0;
    offsets->block_count++;
    offsets->used_count += count;
    return taken;
}

/* How many granules `size` bytes take; 0: more than there are. */
static inline uint32_t granules(const acre_offset_allocator *offsets, uint64_t size)
{
    const uint64_t count = (size == 0 ? 0 : (size - 1) >> offsets->granule_shift) + 1;
    return count <= offsets->granule_count ? (uint32_t)count : 0;
}

/* ---- public ---- */

acre_status acre_offset_alloc(acre_offset_allocator *offsets, uint64_t size, uint64_t alignment, acre_offset_strategy strategy,
                              acre_offset_block *block, uint64_t *offset)
{
    if (offsets == NULL || offsets->nodes == NULL || block == NULL || offset == NULL)
        return acre_fail(ACRE_INVALID, "offset allocator: alloc: a NULL, or it is not open");
    if (!acre_is_power_of_two(alignment) || (unsigned)strategy > ACRE_OFFSET_NEXT) {
        return acre_fail(ACRE_INVALID, "offset allocator '%s': alignment %llu is no power of two, or %u no strategy", offsets->name,
                         (unsigned long long)alignment, (unsigned)strategy);
    }
    const uint32_t count = granules(offsets, size);
    uint64_t mask = (alignment - 1) >> offsets->granule_shift;
    if (acre_unlikely(mask > UINT32_MAX)) mask = UINT32_MAX; /* offset 0 alone is a multiple */
    if (count == 0 || !have_nodes(offsets)) return ACRE_NO_MEMORY;
    const bool is_large = count >= offsets->large_count && strategy < ACRE_OFFSET_LOWEST;
    const uint32_t index = choose(offsets, count, (uint32_t)mask, strategy, is_large);
    if (index == 0) return ACRE_NO_MEMORY;
    const uint32_t at = place_in(&offsets->nodes[index], count, (uint32_t)mask, is_large);
    assert(at != UINT32_MAX);
    const uint32_t taken = take(offsets, index, at, count);
    if (acre_unlikely(strategy == ACRE_OFFSET_NEXT)) offsets->last = taken;
    *block = name_of(offsets, taken);
    *offset = (uint64_t)at << offsets->granule_shift;
    return ACRE_OK;
}

acre_status acre_offset_alloc_at(acre_offset_allocator *offsets, uint64_t offset, uint64_t size, acre_offset_block *block)
{
    if (offsets == NULL || offsets->nodes == NULL || block == NULL)
        return acre_fail(ACRE_INVALID, "offset allocator: alloc_at: a NULL, or it is not open");
    if ((offset & (((uint64_t)1 << offsets->granule_shift) - 1)) != 0) {
        return acre_fail(ACRE_INVALID, "offset allocator '%s': offset %llu is no multiple of its granule", offsets->name,
                         (unsigned long long)offset);
    }
    const uint32_t count = granules(offsets, size);
    const uint64_t at = offset >> offsets->granule_shift;
    if (count == 0 || at > offsets->granule_count - count || !have_nodes(offsets)) return ACRE_NO_MEMORY;
    uint32_t index = FIRST;
    while (offsets->nodes[index].next != 0 && offsets->nodes[offsets->nodes[index].next].at <= at) index = offsets->nodes[index].next;
    const node *const n = &offsets->nodes[index];
    if (state_of(n) != STATE_FREE || at + count > (uint64_t)n->at + n->count) return ACRE_NO_MEMORY;
    *block = name_of(offsets, take(offsets, index, (uint32_t)at, count));
    return ACRE_OK;
}

/* The last block goes: the one below it is the last one then, 0 if there is none. At most one free extent is in between. */
static void step_back(acre_offset_allocator *offsets)
{
    uint32_t below = offsets->nodes[offsets->last].previous;
    if (below != 0 && state_of(&offsets->nodes[below]) == STATE_FREE) below = offsets->nodes[below].previous;
    offsets->last = below;
}

acre_status acre_offset_free(acre_offset_allocator *offsets, acre_offset_block block)
{
    uint32_t index = node_of(offsets, block);
    if (index == 0) return acre_fail(ACRE_BAD_POINTER, "offset allocator: block %llx is none, or was freed", (unsigned long long)block);
    if (acre_unlikely(index == offsets->last)) step_back(offsets);
    node *n = &offsets->nodes[index];
    offsets->block_count--;
    offsets->used_count -= n->count;
    n->state = ((n->state >> STATE_BITS) + 1) << STATE_BITS | STATE_FREE; /* the next generation */
    if (n->next != 0 && state_of(&offsets->nodes[n->next]) == STATE_FREE) {
        withdraw(offsets, n->next);
        join(offsets, index);
    }
    if (n->previous != 0 && state_of(&offsets->nodes[n->previous]) == STATE_FREE) {
        index = n->previous;
        withdraw(offsets, index);
        join(offsets, index);
    }
    insert(offsets, index);
    return ACRE_OK;
}

acre_status acre_offset_resize(acre_offset_allocator *offsets, acre_offset_block block, uint64_t size)
{
    const uint32_t index = node_of(offsets, block);
    if (index == 0) return acre_fail(ACRE_BAD_POINTER, "offset allocator: block %llx is none, or was freed", (unsigned long long)block);
    const uint32_t count = granules(offsets, size);
    node *const n = &offsets->nodes[index];
    const uint32_t before = n->count;
    if (count == 0) return ACRE_NO_MEMORY;
    if (count == before) return ACRE_OK;
    const bool is_next_free = n->next != 0 && state_of(&offsets->nodes[n->next]) == STATE_FREE;
    const uint64_t room = (uint64_t)before + (is_next_free ? offsets->nodes[n->next].count : 0);
    if (count > room || !have_nodes(offsets)) return ACRE_NO_MEMORY;
    if (is_next_free) {
        withdraw(offsets, n->next);
        join(offsets, index);
    }
    if (n->count > count) insert(offsets, cut(offsets, index, count));
    offsets->used_count = offsets->used_count - before + count;
    return ACRE_OK;
}

static void describe(const acre_offset_allocator *offsets, uint32_t index, acre_offset_extent *extent)
{
    const node *const n = &offsets->nodes[index];
    const bool is_out = state_of(n) == STATE_BLOCK;
    *extent = (acre_offset_extent){.offset = (uint64_t)n->at << offsets->granule_shift,
                                   .size_bytes = (uint64_t)n->count << offsets->granule_shift,
                                   .is_out = is_out,
                                   .block = is_out ? name_of(offsets, index) : 0,
                                   .user = is_out ? n->user : 0};
}

acre_status acre_offset_read(const acre_offset_allocator *offsets, acre_offset_block block, acre_offset_extent *extent)
{
    const uint32_t index = node_of(offsets, block);
    if (extent == NULL) return acre_fail(ACRE_INVALID, "offset allocator: read: a NULL");
    if (index == 0) return acre_fail(ACRE_BAD_POINTER, "offset allocator: block %llx is none, or was freed", (unsigned long long)block);
    describe(offsets, index, extent);
    return ACRE_OK;
}

acre_status acre_offset_set_user(acre_offset_allocator *offsets, acre_offset_block block, uint64_t user)
{
    const uint32_t index = node_of(offsets, block);
    if (index == 0) return acre_fail(ACRE_BAD_POINTER, "offset allocator: block %llx is none, or was freed", (unsigned long long)block);
    offsets->nodes[index].user = user;
    return ACRE_OK;
}

uint32_t acre_offset_step(const acre_offset_allocator *offsets, uint32_t index, acre_offset_extent *extent)
{
    const uint32_t next = index == 0 ? FIRST : offsets->nodes[index].next;
    if (next != 0) describe(offsets, next, extent);
    return next;
}

acre_status acre_offset_walk(const acre_offset_allocator *offsets, acre_offset_visitor *visit, void *context)
{
    if (offsets == NULL || offsets->nodes == NULL || visit == NULL)
        return acre_fail(ACRE_INVALID, "offset allocator: walk: a NULL, or it is not open");
    acre_offset_extent extent;
    for (uint32_t index = acre_offset_step(offsets, 0, &extent); index != 0; index = acre_offset_step(offsets, index, &extent))
        if (!visit(context, &extent)) break;
    return ACRE_OK;
}

static uint32_t largest_free(const acre_offset_allocator *offsets)
{
    uint32_t largest = 0;
    if (offsets->rows == 0) return 0;
    const uint32_t row = 31 - (uint32_t)__builtin_clz(offsets->rows);
    const uint32_t list = (row << ROW_SHIFT) + (31 - (uint32_t)__builtin_clz(offsets->row_lists[row]));
    for (uint32_t left = offsets->list_regions[list]; left != 0; left &= left - 1) {
        uint32_t index = *first_at(offsets, (uint32_t)__builtin_ctz(left), list);
        for (; index != 0; index = offsets->nodes[index].list_next)
            largest = offsets->nodes[index].count > largest ? offsets->nodes[index].count : largest;
    }
    return largest;
}

acre_status acre_offset_read_figures(const acre_offset_allocator *offsets, acre_offset_figures *figures)
{
    if (offsets == NULL || offsets->nodes == NULL || figures == NULL)
        return acre_fail(ACRE_INVALID, "offset allocator: figures: a NULL, or it is not open");
    *figures = (acre_offset_figures){.size_bytes = (uint64_t)offsets->granule_count << offsets->granule_shift,
                                     .block_bytes = offsets->used_count << offsets->granule_shift,
                                     .block_count = offsets->block_count,
                                     .free_extent_count = offsets->free_count,
                                     .largest_free_bytes = (uint64_t)largest_free(offsets) << offsets->granule_shift,
                                     .record_bytes = offsets->committed_bytes};
    return ACRE_OK;
}

/* ---- the life of an allocator ---- */

static acre_status check_options(const acre_offset_options *options, uint64_t granule, const char *name)
{
    if (options->space == NULL || options->space->ops == NULL || (options->space->info.capabilities & ACRE_CAP_HOST_ACCESS) == 0)
        return acre_fail(ACRE_INVALID, "offset allocator '%s': the space is NULL, not open, or without host access", name);
    if (!acre_is_power_of_two(granule) || options->size_bytes < granule || options->size_bytes / granule >= UINT32_MAX) {
        return acre_fail(ACRE_INVALID,
                         "offset allocator '%s': %llu bytes in granules of %llu: a granule is a power of two, and there are 1 to 2^32 - 2",
                         name, (unsigned long long)options->size_bytes, (unsigned long long)granule);
    }
    if (options->block_count_max > ACRE_OFFSET_BLOCKS_MAX) {
        return acre_fail(ACRE_INVALID, "offset allocator '%s': %u blocks: at most %u", name, (unsigned)options->block_count_max,
                         (unsigned)ACRE_OFFSET_BLOCKS_MAX);
    }
    return ACRE_OK;
}

acre_status acre_offset_allocator_open(acre_offset_allocator *offsets, const acre_offset_options *options)
{
    if (offsets == NULL || options == NULL) return acre_fail(ACRE_INVALID, "offset allocator: open: a NULL");
    const uint64_t granule = options->granule_bytes == 0 ? ACRE_BLOCK_GRAIN_BYTES : options->granule_bytes;
    *offsets = (acre_offset_allocator){.space = options->space, .name = options->name == NULL ? "offsets" : options->name};
    acre_status status = check_options(options, granule, offsets->name);
    if (status != ACRE_OK) return status;
    offsets->granule_shift = (uint32_t)__builtin_ctzll(granule);
    offsets->granule_count = (uint32_t)(options->size_bytes >> offsets->granule_shift);
    const uint32_t bits = 32 - (uint32_t)__builtin_clz((offsets->granule_count - 1) | 1);
    offsets->region_shift = bits > 4 ? bits - 4 : 0;
    offsets->row_count = (list_down(offsets->granule_count) >> ROW_SHIFT) + 1;
    assert(offsets->row_count <= ACRE_OFFSET_ROWS_MAX);
    offsets->large_count = offsets->granule_count >> LARGE_SHIFT;
    if (offsets->large_count < ACRE_OFFSET_ROW_LISTS) offsets->large_count = UINT32_MAX;
    uint32_t blocks = options->block_count_max == 0 ? (uint32_t)1 << 20 : options->block_count_max;
    if (blocks > offsets->granule_count) blocks = offsets->granule_count;
    offsets->node_count_max = 2 * blocks + 3; /* a free extent above each, one below, and two in passing; node 0 */
    const uint64_t record_bytes = node_offset_bytes(offsets) + (uint64_t)offsets->node_count_max * sizeof(node);
    offsets->reserved_bytes = acre_align_up(record_bytes, options->space->info.grain_bytes);
    status = acre_space_reserve(options->space, offsets->reserved_bytes, options->space->info.grain_bytes, NULL, &offsets->base);
    if (status != ACRE_OK) return status;
    uint64_t first = acre_align_up(node_offset_bytes(offsets) + 4 * sizeof(node), options->space->info.grain_bytes);
    if (first < COMMIT_BYTES) first = COMMIT_BYTES;
    if (first > offsets->reserved_bytes) first = offsets->reserved_bytes;
    status = acre_space_commit(options->space, offsets->base, first);
    if (status != ACRE_OK) {
        (void)acre_space_release(options->space, offsets->base, offsets->reserved_bytes);
        return status;
    }
    offsets->committed_bytes = first;
    unsigned char *const records = acre_space_pointer(options->space, offsets->base);
    const uint64_t count = (first - node_offset_bytes(offsets)) / sizeof(node);
    offsets->node_count_committed = count < offsets->node_count_max ? (uint32_t)count : offsets->node_count_max;
    memset(records, 0, (size_t)node_offset_bytes(offsets) + 2 * sizeof(node));
    offsets->region_lists = (uint32_t *)(void *)records;
    offsets->lists = offsets->region_lists + (size_t)offsets->row_count * ACRE_OFFSET_REGIONS;
    offsets->list_regions = (uint16_t *)(void *)(offsets->lists + (size_t)offsets->row_count * ACRE_OFFSET_REGIONS * ACRE_OFFSET_ROW_LISTS);
    offsets->nodes = (node *)(void *)(records + node_offset_bytes(offsets));
    offsets->node_count = 2;
    offsets->node_room = offsets->node_count_committed - offsets->node_count;
    offsets->nodes[FIRST].count = offsets->granule_count;
    insert(offsets, FIRST);
    assert(acre_offset_allocator_is_valid(offsets));
    return ACRE_OK;
}

void acre_offset_allocator_close(acre_offset_allocator *offsets)
{
    if (offsets == NULL || offsets->nodes == NULL) return;
    (void)acre_space_release(offsets->space, offsets->base, offsets->reserved_bytes);
    offsets->nodes = NULL;
}

/* ---- whether all is right ---- */

static bool row_is_valid(const acre_offset_allocator *offsets)
{
    uint32_t at = 0;
    uint32_t before = 0;
    uint32_t blocks = 0;
    uint32_t frees = 0;
    uint64_t used = 0;
    bool was_free = false;
    for (uint32_t index = FIRST; index != 0; index = offsets->nodes[index].next) {
        if (index >= offsets->node_count) return false;
        const node *const n = &offsets->nodes[index];
        const uint32_t state = state_of(n);
        if (n->at != at || n->previous != before || n->count == 0 || n->count > offsets->granule_count - at) return false;
        if (state != STATE_FREE && state != STATE_BLOCK) return false;
        if (state == STATE_FREE && was_free) return false;
        was_free = state == STATE_FREE;
        frees += was_free;
        blocks += !was_free;
        used += was_free ? 0 : n->count;
        at += n->count;
        before = index;
    }
    if (offsets->last != 0 && (offsets->last >= offsets->node_count || state_of(&offsets->nodes[offsets->last]) != STATE_BLOCK))
        return false;
    return at == offsets->granule_count && blocks == offsets->block_count && frees == offsets->free_count && used == offsets->used_count;
}

static bool list_is_valid(const acre_offset_allocator *offsets, uint32_t region, uint32_t list, uint32_t *free_left)
{
    uint32_t before = 0;
    for (uint32_t index = *first_at(offsets, region, list); index != 0; index = offsets->nodes[index].list_next) {
        if (index >= offsets->node_count || (*free_left)-- == 0) return false;
        const node *const n = &offsets->nodes[index];
        if (state_of(n) != STATE_FREE || region_of(offsets, n->at) != region || list_down(n->count) != list) return false;
        if (n->list_previous != before) return false;
        before = index;
    }
    return true;
}

static bool row_marks_are_valid(const acre_offset_allocator *offsets, uint32_t row)
{
    uint32_t regions = 0;
    uint32_t lists = 0;
    for (uint32_t region = 0; region < ACRE_OFFSET_REGIONS; region++) {
        const uint32_t own = offsets->region_lists[list_word(offsets, region, row)];
        if ((offsets->region_rows[region] >> row & 1) != (own != 0 ? 1u : 0u)) return false;
        for (uint32_t list = 0; list < ACRE_OFFSET_ROW_LISTS; list++) {
            const uint32_t is_there = own >> list & 1;
            if (is_there != (*first_at(offsets, region, (row << ROW_SHIFT) + list) != 0 ? 1u : 0u)) return false;
            if (is_there != ((uint32_t)offsets->list_regions[(row << ROW_SHIFT) + list] >> region & 1)) return false;
        }
        regions |= own != 0 ? 1u << region : 0;
        lists |= own;
    }
    return offsets->row_regions[row] == regions && offsets->row_lists[row] == lists && (offsets->rows >> row & 1) == (lists != 0 ? 1u : 0u);
}

bool acre_offset_allocator_is_valid(const acre_offset_allocator *offsets)
{
    if (offsets == NULL || offsets->nodes == NULL || !row_is_valid(offsets)) return false;
    uint32_t free_left = offsets->free_count;
    for (uint32_t row = 0; row < offsets->row_count; row++) {
        if (!row_marks_are_valid(offsets, row)) return false;
        for (uint32_t list = row << ROW_SHIFT; list < (row + 1) << ROW_SHIFT; list++) {
            for (uint32_t region = 0; region < ACRE_OFFSET_REGIONS; region++)
                if (!list_is_valid(offsets, region, list, &free_left)) return false;
        }
    }
    return free_left == 0;
}
