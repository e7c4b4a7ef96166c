/* buddy.c - see alloc/buddy.h. A place in the tree is a level and a number there; where the nodes of a level begin follows from the sizes
 * of the levels below, so a way up or down carries it along. */
#include "alloc/buddy.h"

#include "base/bits.h"
#include <string.h>

typedef struct place {
    unsigned char *nodes; /* of its level */
    uint32_t level;
    uint32_t number;
} place;

/* How many nodes a level has. */
static uint32_t width_of(const acre_buddy *heap, uint32_t level) { return (heap->cell_count + (1u << level) - 1) >> level; }

static unsigned char *value_of(const place *at) { return at->nodes + at->number; }

static bool is_wholly_free(const place *at) { return *value_of(at) == at->level + 1; }

static void go_up(const acre_buddy *heap, place *at)
{
    at->nodes += width_of(heap, at->level++);
    at->number /= 2;
}

static void go_down(const acre_buddy *heap, place *at)
{
    at->nodes -= width_of(heap, --at->level);
    at->number *= 2;
}

/* What a node of `level` says whose children say `left` and `right`. */
static unsigned char joined(uint32_t level, unsigned char left, unsigned char right)
{
    if (left == level && right == level) return (unsigned char)(level + 1);
    return left > right ? left : right;
}

/* The node to the right of another one says 0 where the heap has ended. */
static unsigned char right_of(const acre_buddy *heap, const place *left)
{
    return left->number + 1 < width_of(heap, left->level) ? left->nodes[left->number + 1] : 0;
}

/* The nodes above `at` say what has become of it. */
static void tell_above(const acre_buddy *heap, place at)
{
    while (at.level < heap->top_level) {
        place left = at;
        left.number &= ~1u;
        const unsigned char value = joined(at.level + 1, *value_of(&left), right_of(heap, &left));
        go_up(heap, &at);
        *value_of(&at) = value;
    }
}

static void set(const acre_buddy *heap, const place *at, uint32_t value)
{
    *value_of(at) = (unsigned char)value;
    tell_above(heap, *at);
}

static uint32_t level_for(size_t size) { return size <= 1 ? 0 : acre_log2_ceil((size + ACRE_BUDDY_CELL_BYTES - 1) / ACRE_BUDDY_CELL_BYTES);
    }

uint32_t acre_buddy_cells(size_t size) { return 1u << level_for(size); }

void *acre_buddy_alloc(acre_buddy *heap, size_t size)
{
    if (size > ACRE_REALTIME_REGION_BYTES_MAX) return NULL;
    const uint32_t level = level_for(size);
    place at = {.nodes = heap->tree + heap->node_count - 1, .level = heap->top_level, .number = 0};
    if (*value_of(&at) < level + 1) return NULL;
    while (at.level > level) {
        go_down(heap, &at);
        if (*value_of(&at) < level + 1) at.number++;
    }
    set(heap, &at, 0);
    heap->live_cells += 1u << level;
    return heap->cells + ((size_t)at.number << level) * ACRE_BUDDY_CELL_BYTES;
}

/* The gate for pointers of callers: the place of the block in use that begins at `block`. */
static bool find(const acre_buddy *heap, const void *block, place *at)
{
    const uintptr_t offset = (uintptr_t)block - (uintptr_t)heap->cells;
    if (offset % ACRE_BUDDY_CELL_BYTES != 0 || offset / ACRE_BUDDY_CELL_BYTES >= heap->cell_count) return false;
    *at = (place){.nodes = heap->tree, .level = 0, .number = (uint32_t)(offset / ACRE_BUDDY_CELL_BYTES)};
    while (*value_of(at) != 0) {
        if (at->number % 2 != 0 || at->level == heap->top_level) return false; /* a block that has this cell does not begin here */
        go_up(heap, at);
    }
    return true;
}

uint32_t acre_buddy_cells_of(const acre_buddy *heap, const void *block)
{
    place at;
    return find(heap, block, &at) ? 1u << at.level : 0;
}

acre_status acre_buddy_free(acre_buddy *heap, void *block)
{
    place at;
    if (!find(heap, block, &at)) return ACRE_BAD_POINTER;
    set(heap, &at, at.level + 1);
    heap->live_cells -= 1u << at.level;
    return ACRE_OK;
}

acre_status acre_buddy_resize(acre_buddy *heap, void *block, size_t size)
{
    place at;
    if (!find(heap, block, &at)) return ACRE_BAD_POINTER;
    if (size > ACRE_REALTIME_REGION_BYTES_MAX) return ACRE_NO_MEMORY;
    const uint32_t level = level_for(size);
    if (level > heap->top_level) return ACRE_NO_MEMORY;
    const uint32_t level_before = at.level;
    place above = at;
    while (above.level < level) { /* each time the buddy has to be on the right, and free */
        if (above.number % 2 != 0 || right_of(heap, &above) != above.level + 1) return ACRE_NO_MEMORY;
        go_up(heap, &above);
    }
    set(heap, &at, at.level + 1);
    at = above;
    while (at.level > level) go_down(heap, &at);
    set(heap, &at, 0);
    heap->live_cells += (1u << level) - (1u << level_before);
    return ACRE_OK;
}

uint32_t acre_buddy_longest(const acre_buddy *heap)
{
    const uint32_t value = heap->tree[heap->node_count - 1];
    return value == 0 ? 0 : 1u << (value - 1);
}

/* ---- the life of a heap ---- */

/* Two nodes a cell are enough, and one a level for what does not come out even. */
static uint32_t cell_count_of(size_t bytes) { return (uint32_t)((bytes - 24) / (ACRE_BUDDY_CELL_BYTES + 2)); }

uint32_t acre_buddy_cell_count(size_t bytes)
{
    return bytes > ACRE_REALTIME_REGION_BYTES_MAX || bytes < ACRE_BUDDY_BYTES_MIN ? 0 : cell_count_of(bytes);
}

acre_status acre_buddy_init(acre_buddy *heap, void *memory, size_t bytes)
{
    if (bytes > ACRE_REALTIME_REGION_BYTES_MAX || bytes < ACRE_BUDDY_BYTES_MIN) return ACRE_INVALID;
    const size_t padding = (0 - (uintptr_t)memory) % ACRE_BUDDY_CELL_BYTES;
    *heap = (acre_buddy){.cells = (unsigned char *)memory + padding, .cell_count = cell_count_of(bytes - padding)};
    heap->tree = heap->cells + (size_t)heap->cell_count * ACRE_BUDDY_CELL_BYTES;
    memset(heap->tree, 1, heap->cell_count);
    unsigned char *below = heap->tree;
    uint32_t level = 0;
    for (uint32_t width = heap->cell_count; width > 1; width = (width + 1) / 2) {
        unsigned char *const nodes = below + width;
        level++;
        for (uint32_t i = 0; i < width; i += 2) nodes[i / 2] = joined(level, below[i], i + 1 < width ? below[i + 1] : 0);
        below = nodes;
    }
    heap->top_level = level;
    heap->node_count = (uint32_t)(below - heap->tree) + 1;
    return ACRE_OK;
}

/* ---- whether all is right ---- */

bool acre_buddy_is_valid(const acre_buddy *heap)
{
    uint32_t live = 0;
    place at = {.nodes = heap->tree, .level = 0, .number = 0};
    for (; at.level <= heap->top_level; go_up(heap, &at)) {
        for (at.number = 0; at.number < width_of(heap, at.level); at.number++) {
            if (at.level == 0) {
                if (*value_of(&at) > 1) return false;
                live += *value_of(&at) == 0 ? 1 : 0;
                continue;
            }
            place child = at;
            go_down(heap, &child);
            const unsigned char right = right_of(heap, &child);
            if (*value_of(&at) == 0 && is_wholly_free(&child) && right == at.level) {
                live += 1u << at.level; /* in use */
            } else if (*value_of(&at) != joined(at.level, *value_of(&child), right)) {
                return false;
            }
        }
        at.number = 0;
        if (at.level == heap->top_level) break;
    }
    return live == heap->live_cells && (uint32_t)(at.nodes - heap->tree) + 1 == heap->node_count;
}
