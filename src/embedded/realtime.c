/* realtime.c - see acre/realtime.h. What a heap is made of: the caller's acre_realtime, which knows its regions and what is in use in all
 * of them; and at the beginning of each region a record of it with the state of its engine. Engines are called by name, one switch for each
 * operation, so that a tool that looks for the longest path can follow. */
#include <acre/realtime.h>

#include "alloc/buddy.h"
#include "alloc/half_fit.h"
#include "alloc/tight.h"
#include "base/bits.h"
#include <string.h>

typedef struct region {
    const unsigned char *begin;
    const unsigned char *end;
    union {
        uint32_t live_units; /* the first member of each */
        acre_tight tight;
        acre_half_fit half_fit;
        acre_buddy buddy;
    } as;
} region;

#define REGION_BYTES ((sizeof(region) + 7) / 8 * 8)

static region *region_at(const acre_realtime *heap, uint32_t index) { return heap->regions[index]; }

/* ---- what differs between engines ---- */

static size_t unit_bytes_of(acre_realtime_engine engine)
{
    return engine == ACRE_REALTIME_BUDDY ? ACRE_BUDDY_CELL_BYTES : ACRE_UNIT_BYTES;
}

static size_t header_bytes_of(acre_realtime_engine engine) { return engine == ACRE_REALTIME_BUDDY ? 0 : ACRE_BLOCK_HEADER_BYTES; }

static size_t alignment_of(acre_realtime_engine engine)
{
    if (engine == ACRE_REALTIME_BUDDY) return ACRE_BUDDY_CELL_BYTES;
    return engine == ACRE_REALTIME_FAST ? 16 : 8;
}

static uint32_t units_of(acre_realtime_engine engine, size_t size)
{
    if (engine == ACRE_REALTIME_BUDDY) return acre_buddy_cells(size);
    return engine == ACRE_REALTIME_FAST ? acre_half_fit_units(size) : acre_block_units(size);
}

/* How many units a region of `bytes` bytes has, all of its control data set aside. */
static uint32_t unit_count_in(acre_realtime_engine engine, size_t bytes)
{
    if (bytes < REGION_BYTES) return 0;
    if (engine == ACRE_REALTIME_BUDDY) {
        const size_t padding = (0 - REGION_BYTES) % ACRE_BUDDY_CELL_BYTES;
        return bytes < REGION_BYTES + padding ? 0 : acre_buddy_cell_count(bytes - REGION_BYTES - padding);
    }
    if (engine == ACRE_REALTIME_FAST) {
        const size_t padding = (0 - REGION_BYTES) % 16;
        return acre_half_fit_unit_count(bytes - REGION_BYTES - padding);
    }
    return acre_tight_unit_count(bytes - REGION_BYTES);
}

static acre_status engine_init(acre_realtime_engine engine, region *at, void *memory, size_t bytes)
{
    if (engine == ACRE_REALTIME_BUDDY) return acre_buddy_init(&at->as.buddy, memory, bytes);
    if (engine == ACRE_REALTIME_FAST) return acre_half_fit_init(&at->as.half_fit, memory, bytes);
    return acre_tight_init(&at->as.tight, memory, bytes);
}

static void *engine_alloc(acre_realtime_engine engine, region *at, size_t size)
{
    if (engine == ACRE_REALTIME_TIGHT) return acre_tight_alloc(&at->as.tight, size);
    if (engine == ACRE_REALTIME_FAST) return acre_half_fit_alloc(&at->as.half_fit, size);
    if (engine == ACRE_REALTIME_BUDDY) return acre_buddy_alloc(&at->as.buddy, size);
    return engine == ACRE_REALTIME_BEST ? acre_tight_alloc_best(&at->as.tight, size) : acre_tight_alloc_worst(&at->as.tight, size);
}

static acre_status engine_free(acre_realtime_engine engine, region *at, void *block)
{
    if (engine == ACRE_REALTIME_BUDDY) return acre_buddy_free(&at->as.buddy, block);
    if (engine == ACRE_REALTIME_FAST) return acre_half_fit_free(&at->as.half_fit, block);
    return acre_tight_free(&at->as.tight, block);
}

static acre_status engine_resize(acre_realtime_engine engine, region *at, void *block, size_t size)
{
    if (engine == ACRE_REALTIME_BUDDY) return acre_buddy_resize(&at->as.buddy, block, size);
    if (engine == ACRE_REALTIME_FAST) return acre_half_fit_resize(&at->as.half_fit, block, size);
    return acre_tight_resize(&at->as.tight, block, size);
}

static size_t live_bytes_of(acre_realtime_engine engine, const region *at) { return at->as.live_units * unit_bytes_of(engine); }

static uint32_t engine_unit_count(acre_realtime_engine engine, const region *at)
{
    if (engine == ACRE_REALTIME_BUDDY) return at->as.buddy.cell_count;
    if (engine == ACRE_REALTIME_FAST) return acre_half_fit_capacity(&at->as.half_fit);
    return at->as.tight.unit_count;
}

static size_t engine_longest_bytes(acre_realtime_engine engine, const region *at)
{
    if (engine == ACRE_REALTIME_BUDDY) return (size_t)acre_buddy_longest(&at->as.buddy) * ACRE_BUDDY_CELL_BYTES;
    if (engine == ACRE_REALTIME_FAST) return (size_t)acre_half_fit_longest(&at->as.half_fit) * ACRE_UNIT_BYTES;
    return (size_t)acre_tight_longest(&at->as.tight) * ACRE_UNIT_BYTES;
}

static bool engine_is_valid(acre_realtime_engine engine, const region *at)
{
    if (engine == ACRE_REALTIME_BUDDY) return acre_buddy_is_valid(&at->as.buddy);
    if (engine == ACRE_REALTIME_FAST) return acre_half_fit_is_valid(&at->as.half_fit);
    return acre_tight_is_valid(&at->as.tight);
}

/* Bytes of the block in use at `block`; 0 for what is none. */
static size_t engine_block_bytes(acre_realtime_engine engine, const region *at, const void *block)
{
    acre_block_around around;
    acre_status status;
    if (engine == ACRE_REALTIME_BUDDY) return (size_t)acre_buddy_cells_of(&at->as.buddy, block) * ACRE_BUDDY_CELL_BYTES;
    if (engine == ACRE_REALTIME_FAST)
        status = acre_half_fit_look(&at->as.half_fit, block, &around);
    else
        status = acre_block_look(at->as.tight.base, at->as.tight.unit_count, block, &around);
    return status == ACRE_OK ? (size_t)(around.end - around.unit) * ACRE_UNIT_BYTES : 0;
}

/* ---- bounds ---- */

/* Whatever the order: as many units as holes too short for n and blocks of 2 units at least can fill; see acre/realtime.h. */
static uint64_t any_order_bound(acre_realtime_engine engine, uint64_t live, uint64_t request)
{
    if (engine == ACRE_REALTIME_BUDDY) return (live + 1) * request;
    return live + (live / ACRE_BLOCK_UNITS_MIN + 1) * (request - 1);
}

static uint64_t unit_bound(acre_realtime_engine engine, uint64_t live, uint64_t request)
{
    const uint64_t any = any_order_bound(engine, live, request);
    const uint64_t levels = acre_log2_ceil(request);
    uint64_t bound = any;
    switch (engine) {
    case ACRE_REALTIME_TIGHT: bound = live * (1 + levels); break;
    case ACRE_REALTIME_FAST: bound = 2 * live * (1 + levels); break;
    case ACRE_REALTIME_BUDDY: /* a whole number of the largest blocks, so that the last place of one is not cut off */
        return acre_align_up(live + (live * levels + 1) / 2 - request + 1, request);
    default: break;
    }
    return bound < any ? bound : any;
}

size_t acre_realtime_block_bytes(acre_realtime_engine engine, size_t size)
{
    if ((unsigned)engine >= ACRE_REALTIME_ENGINE_COUNT || size > ACRE_REALTIME_REGION_BYTES_MAX) return 0;
    return units_of(engine, size) * unit_bytes_of(engine);
}

size_t acre_realtime_bound(acre_realtime_engine engine, size_t live_bytes_max, size_t request_bytes_max)
{
    if ((unsigned)engine >= ACRE_REALTIME_ENGINE_COUNT || live_bytes_max < request_bytes_max) return 0;
    if (live_bytes_max > ACRE_REALTIME_REGION_BYTES_MAX) return 0;
    const size_t unit_bytes = unit_bytes_of(engine);
    const uint64_t live = (live_bytes_max + unit_bytes - 1) / unit_bytes;
    uint64_t request = (request_bytes_max + unit_bytes - 1) / unit_bytes;
    if (request == 0) request = 1;
    if (engine == ACRE_REALTIME_BUDDY) request = (uint64_t)1 << acre_log2_ceil(request);
    const uint64_t need = unit_bound(engine, live < request ? request : live, request);
    /* The smallest region with so many units. Where a tree gets a level more, some bytes more may have fewer units: hence the last steps.
     * */
    size_t low = ACRE_REALTIME_BYTES_MIN;
    size_t high = ACRE_REALTIME_REGION_BYTES_MAX;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (unit_count_in(engine, middle) >= need)
            high = middle;
        else
            low = middle + 1;
    }
    while (low < ACRE_REALTIME_REGION_BYTES_MAX && unit_count_in(engine, low) < need) low++;
    return unit_count_in(engine, low) < need ? 0 : low;
}

bool acre_realtime_is_proved(const acre_realtime *heap)
{
    if (heap == NULL) return false;
    const acre_realtime_engine engine = heap->options.engine;
    const uint64_t live = heap->live_bytes_peak / unit_bytes_of(engine);
    const uint64_t request = heap->request_bytes_max / unit_bytes_of(engine);
    if (request == 0) return heap->region_count > 0;
    const uint64_t need = heap->has_odd_edges ? any_order_bound(engine, live, request) : unit_bound(engine, live, request);
    for (uint32_t i = 0; i < heap->region_count; i++) {
        if (engine_unit_count(engine, region_at(heap, i)) >= need) return true;
    }
    return false;
}

/* ---- the life of a heap ---- */

static bool is_made(const acre_realtime *heap)
{
    return heap != NULL && (unsigned)heap->options.engine < ACRE_REALTIME_ENGINE_COUNT && heap->region_count > 0;
}

static bool overlaps_a_region(const acre_realtime *heap, const unsigned char *memory, size_t bytes)
{
    for (uint32_t i = 0; i < heap->region_count; i++) {
        const region *const at = region_at(heap, i);
        if ((uintptr_t)memory < (uintptr_t)at->end && (uintptr_t)memory + bytes > (uintptr_t)at->begin) return true;
    }
    return false;
}

static acre_status add_region(acre_realtime *heap, void *memory, size_t bytes)
{
    if (memory == NULL || bytes < ACRE_REALTIME_BYTES_MIN || bytes > ACRE_REALTIME_REGION_BYTES_MAX) return ACRE_INVALID;
    if ((uintptr_t)memory + bytes < (uintptr_t)memory || overlaps_a_region(heap, memory, bytes)) return ACRE_INVALID;
    if (heap->region_count == ACRE_REALTIME_REGION_COUNT_MAX) return ACRE_NO_MEMORY;
    const size_t padding = (0 - (uintptr_t)memory) % 8;
    region *const at = (region *)(void *)((unsigned char *)memory + padding);
    const acre_status status =
        engine_init(heap->options.engine, at, (unsigned char *)at + REGION_BYTES, bytes - padding - REGION_BYTES);
    if (status != ACRE_OK) return status;
    at->begin = memory;
    at->end = (unsigned char *)memory + bytes;
    heap->capacity_bytes += engine_unit_count(heap->options.engine, at) * unit_bytes_of(heap->options.engine);
    heap->regions[heap->region_count++] = at;
    return ACRE_OK;
}

acre_status acre_realtime_init(acre_realtime *heap, const acre_realtime_options *options, void *memory, size_t bytes)
{
    if (heap == NULL || options == NULL || (unsigned)options->engine >= ACRE_REALTIME_ENGINE_COUNT) return ACRE_INVALID;
    acre_realtime made = {.options = *options};
    if (made.options.name == NULL) made.options.name = "realtime";
    const acre_status status = add_region(&made, memory, bytes);
    if (status == ACRE_OK) *heap = made;
    return status;
}

/* Every call that changes a heap stands between these two. */
static bool enter(acre_realtime *heap)
{
    if (heap->is_inside) return false;
    heap->is_inside = true;
    return true;
}

static uint32_t fragmentation_of(size_t free_bytes, size_t largest_bytes)
{
    if (free_bytes == 0) return 0;
    return (uint32_t)((uint64_t)(free_bytes - largest_bytes) * ACRE_REALTIME_PER_MILLE / free_bytes);
}

static size_t largest_of(const acre_realtime *heap)
{
    size_t largest = 0;
    for (uint32_t i = 0; i < heap->region_count; i++) {
        const size_t bytes = engine_longest_bytes(heap->options.engine, region_at(heap, i));
        if (bytes > largest) largest = bytes;
    }
    return largest;
}

static void leave(acre_realtime *heap)
{
    if (heap->options.alarm != NULL) {
        const size_t free_bytes = heap->capacity_bytes - heap->live_bytes, largest_bytes = largest_of(heap);
        const bool was_over = heap->is_over_limit;
        /* Whether the fragmentation, rounded down, is above the limit: without a division, which takes 150 instructions. */
        const uint64_t limit = (uint64_t)heap->options.fragmentation_limit_per_mille + 1;
        heap->is_over_limit = free_bytes > 0 && (uint64_t)(free_bytes - largest_bytes) * ACRE_REALTIME_PER_MILLE >= limit * free_bytes;
        if (heap->is_over_limit && !was_over)
            heap->options.alarm(heap->options.alarm_context, heap, fragmentation_of(free_bytes, largest_bytes));
    }
    heap->is_inside = false;
}

acre_status acre_realtime_add_region(acre_realtime *heap, void *memory, size_t bytes)
{
    if (!is_made(heap)) return ACRE_INVALID;
    if (!enter(heap)) return ACRE_BUSY;
    const acre_status status = add_region(heap, memory, bytes);
    leave(heap);
    return status;
}

/* ---- blocks ---- */

/* The region that the block would have to be of. */
static region *region_of(const acre_realtime *heap, const void *block)
{
    for (uint32_t i = 0; i < heap->region_count; i++) {
        region *const at = region_at(heap, i);
        if ((uintptr_t)block - (uintptr_t)at->begin < (uintptr_t)at->end - (uintptr_t)at->begin) return at;
    }
    return NULL;
}

/* M and n of a request, whether there is room for it or not. */
static void note_request(acre_realtime *heap, size_t live_bytes, size_t request_bytes)
{
    if (live_bytes > heap->live_bytes_peak) heap->live_bytes_peak = live_bytes;
    if (request_bytes > heap->request_bytes_max) heap->request_bytes_max = request_bytes;
}

/* What no region had room for. */
static ACRE_SELDOM void *fail(acre_realtime *heap, size_t size)
{
    const size_t bytes = acre_realtime_block_bytes(heap->options.engine, size);
    note_request(heap, heap->live_bytes + bytes, bytes);
    heap->failure_count++;
    return NULL;
}

static void *alloc(acre_realtime *heap, size_t size, region **found)
{
    if (heap->region_count == 0 && heap->unused_memory != NULL) { /* of ACRE_STATIC_ARENA, which wants to be set up */
        if (add_region(heap, heap->unused_memory, heap->unused_bytes) != ACRE_OK) return NULL;
    }
    for (uint32_t i = 0; i < heap->region_count; i++) {
        region *const at = region_at(heap, i);
        const uint32_t live_before = at->as.live_units;
        void *const block = engine_alloc(heap->options.engine, at, size);
        if (block != NULL) {
            const size_t bytes = (at->as.live_units - live_before) * unit_bytes_of(heap->options.engine);
            heap->live_bytes += bytes;
            heap->block_count++;
            note_request(heap, heap->live_bytes, bytes);
            *found = at;
            return block;
        }
    }
    return fail(heap, size);
}

void *acre_realtime_alloc(acre_realtime *heap, size_t size)
{
    region *found;
    if (heap == NULL || !enter(heap)) return NULL;
    void *const block = alloc(heap, size, &found);
    leave(heap);
    return block;
}

/* A block of `size` bytes and room for the alignment, of which front and end come back. */
static void *alloc_and_trim(acre_realtime *heap, size_t size, size_t alignment)
{
    const acre_realtime_engine engine = heap->options.engine;
    region *at;
    if (size > ACRE_REALTIME_REGION_BYTES_MAX || alignment > ACRE_REALTIME_REGION_BYTES_MAX) return NULL;
    const size_t least = ACRE_BLOCK_UNITS_MIN * ACRE_UNIT_BYTES - ACRE_BLOCK_HEADER_BYTES; /* what is left behind the front is a block */
    unsigned char *block = alloc(heap, (size < least ? least : size) + alignment - alignment_of(engine), &at);
    if (block == NULL) return NULL;
    const size_t live_before = live_bytes_of(engine, at);
    const uint32_t front = (uint32_t)((0 - (uintptr_t)block) % alignment) / ACRE_UNIT_BYTES;
    heap->has_odd_edges = true;
    if (front > 0) {
        block = engine == ACRE_REALTIME_FAST ? acre_half_fit_cut_front(&at->as.half_fit, block, front)
                                             : acre_tight_cut_front(&at->as.tight, block, front);
    }
    /* What fast rounded up it may not have room for behind the front; then the block stays as long as it is. */
    (void)engine_resize(engine, at, block, size);
    heap->live_bytes += live_bytes_of(engine, at) - live_before;
    return block;
}

void *acre_realtime_alloc_aligned(acre_realtime *heap, size_t size, size_t alignment)
{
    if (heap == NULL || !acre_is_power_of_two(alignment)) return NULL;
    if (alignment <= alignment_of(heap->options.engine)) return acre_realtime_alloc(heap, size);
    if (heap->options.engine == ACRE_REALTIME_BUDDY || !enter(heap)) return NULL;
    void *const block = alloc_and_trim(heap, size, alignment);
    leave(heap);
    return block;
}

static acre_status free_block(acre_realtime *heap, void *block)
{
    const acre_realtime_engine engine = heap->options.engine;
    region *const at = region_of(heap, block);
    if (at == NULL) return ACRE_BAD_POINTER;
    const uint32_t live_before = at->as.live_units;
    const acre_status status = engine_free(engine, at, block);
    if (status != ACRE_OK) return status;
    heap->live_bytes -= (live_before - at->as.live_units) * unit_bytes_of(engine);
    heap->block_count--;
    return ACRE_OK;
}

acre_status acre_realtime_free(acre_realtime *heap, void *block)
{
    if (heap == NULL) return ACRE_INVALID;
    if (block == NULL) return ACRE_OK;
    if (!enter(heap)) return ACRE_BUSY;
    const acre_status status = free_block(heap, block);
    leave(heap);
    return status;
}

static void *resize(acre_realtime *heap, void *block, size_t size)
{
    const acre_realtime_engine engine = heap->options.engine;
    region *const at = region_of(heap, block);
    const size_t block_bytes = at == NULL ? 0 : engine_block_bytes(engine, at, block);
    if (block_bytes == 0) return NULL;
    const size_t live_before = live_bytes_of(engine, at);
    if (engine_resize(engine, at, block, size) == ACRE_OK) {
        const size_t live_after = live_bytes_of(engine, at);
        if (live_after == live_before) return block;
        heap->has_odd_edges = true;
        heap->live_bytes += live_after - live_before;
        note_request(heap, heap->live_bytes, acre_realtime_block_bytes(engine, size));
        return block;
    }
    region *found;
    void *const moved = alloc(heap, size, &found);
    if (moved == NULL) return NULL;
    const size_t usable = block_bytes - header_bytes_of(engine);
    memcpy(moved, block, usable < size ? usable : size);
    if (free_block(heap, block) == ACRE_OK) return moved;
    (void)free_block(heap, moved); /* a neighbour was overwritten between the two looks: not by us */
    return NULL;
}

void *acre_realtime_realloc(acre_realtime *heap, void *block, size_t size)
{
    if (block == NULL) return acre_realtime_alloc(heap, size);
    if (heap == NULL || !enter(heap)) return NULL;
    void *const moved = resize(heap, block, size);
    leave(heap);
    return moved;
}

size_t acre_realtime_usable_size(const acre_realtime *heap, const void *block)
{
    if (heap == NULL) return 0;
    const region *const at = region_of(heap, block);
    const size_t bytes = at == NULL ? 0 : engine_block_bytes(heap->options.engine, at, block);
    return bytes == 0 ? 0 : bytes - header_bytes_of(heap->options.engine);
}

/* ---- figures ---- */

acre_status acre_realtime_read_figures(const acre_realtime *heap, acre_realtime_figures *figures)
{
    if (heap == NULL || figures == NULL) return ACRE_INVALID;
    const size_t largest = largest_of(heap);
    const size_t free_bytes = heap->capacity_bytes - heap->live_bytes;
    *figures = (acre_realtime_figures){.capacity_bytes = heap->capacity_bytes,
                                       .live_bytes = heap->live_bytes,
                                       .live_bytes_peak = heap->live_bytes_peak,
                                       .request_bytes_max = heap->request_bytes_max,
                                       .free_bytes = free_bytes,
                                       .largest_bytes = largest,
                                       .fragmentation_per_mille = fragmentation_of(free_bytes, largest),
                                       .block_count = heap->block_count,
                                       .failure_count = heap->failure_count,
                                       .is_proved = acre_realtime_is_proved(heap)};
    return ACRE_OK;
}

/* ---- walking ---- */

typedef struct walk {
    acre_realtime_visitor *visit;
    void *context;
    bool is_ended;
} walk;

/* The blocks of a row, as long as headers are headers. */
static acre_status walk_row(walk *w, unsigned char *base, uint32_t unit_count)
{
    uint32_t units;
    for (uint32_t unit = 0; unit < unit_count && !w->is_ended; unit += units) {
        uint32_t *const header = acre_block_at(base, unit);
        const uint32_t kind = acre_block_kind(*header, header);
        units = acre_block_size(*header);
        if ((kind != ACRE_BLOCK_USED && kind != ACRE_BLOCK_FREE) || units == 0 || units > unit_count - unit) return ACRE_CORRUPT;
        if (kind == ACRE_BLOCK_USED) w->is_ended = !w->visit(w->context, header + 1, units * ACRE_UNIT_BYTES - ACRE_BLOCK_HEADER_BYTES);
    }
    return ACRE_OK;
}

static void walk_cells(walk *w, const acre_buddy *buddy)
{
    for (uint32_t cell = 0; cell < buddy->cell_count && !w->is_ended;) {
        unsigned char *const block = buddy->cells + (size_t)cell * ACRE_BUDDY_CELL_BYTES;
        const uint32_t cells = acre_buddy_cells_of(buddy, block);
        if (cells > 0) w->is_ended = !w->visit(w->context, block, (size_t)cells * ACRE_BUDDY_CELL_BYTES);
        cell += cells > 0 ? cells : 1;
    }
}

acre_status acre_realtime_walk(acre_realtime *heap, acre_realtime_visitor *visit, void *context)
{
    if (heap == NULL || visit == NULL) return ACRE_INVALID;
    if (!enter(heap)) return ACRE_BUSY;
    walk w = {.visit = visit, .context = context};
    acre_status status = ACRE_OK;
    for (uint32_t i = 0; i < heap->region_count; i++) {
        const region *const at = region_at(heap, i);
        acre_status of_region = ACRE_OK;
        if (heap->options.engine == ACRE_REALTIME_BUDDY)
            walk_cells(&w, &at->as.buddy);
        else if (heap->options.engine == ACRE_REALTIME_FAST)
            of_region = walk_row(&w, acre_half_fit_first(&at->as.half_fit), acre_half_fit_capacity(&at->as.half_fit));
        else
            of_region = walk_row(&w, at->as.tight.base, at->as.tight.unit_count);
        if (of_region != ACRE_OK) status = of_region;
    }
    leave(heap);
    return status;
}

bool acre_realtime_is_valid(const acre_realtime *heap)
{
    const acre_realtime_engine engine = heap->options.engine;
    size_t live = 0;
    size_t capacity = 0;
    for (uint32_t i = 0; i < heap->region_count; i++) {
        const region *const at = region_at(heap, i);
        if (!engine_is_valid(engine, at)) return false;
        live += live_bytes_of(engine, at);
        capacity += engine_unit_count(engine, at) * unit_bytes_of(engine);
    }
    return live == heap->live_bytes && capacity == heap->capacity_bytes && live <= heap->live_bytes_peak && live <= capacity;
}
