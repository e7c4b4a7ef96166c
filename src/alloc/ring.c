/* ring.c - see acre/ring.h. Blocks lie in [oldest, next), or, after the producer has gone back to the beginning, in [oldest, limit) and
 * [base, next). So the record of the oldest block, which the producer wrote itself, tells all that is free; from the consumer it
 * needs only a number. The inline path allocates in a window [next, end) that was free when it was looked at, and for which records
 * were left even if all blocks were of 16 bytes; the consumer only makes more free. */
#include <acre/ring.h>

#include "alloc/backing.h"
#include "base/bits.h"
#include "base/status.h"
#include "guard/fault.h"

#define BLOCK_COUNT_MAX ((uint64_t)1 << 28)

static const acre_ring_record *record_of(const acre_ring *ring, size_t number) { return &ring->records[number & ring->mask]; }

static uint64_t whole_size(uint64_t size) { return acre_align_up(size > 0 ? size : 1, ACRE_BLOCK_GRAIN_BYTES); }

static bool is_made(const acre_ring *ring, const char *operation)
{
    if (ring != NULL && ring->records != NULL) return true;
    (void)acre_fail(ACRE_INVALID, "ring: %s: the ring is NULL or not made", operation);
    return false;
}

bool acre_ring_is_valid(const acre_ring *ring)
{
    if (ring->records == NULL || !acre_is_power_of_two((uint64_t)ring->mask + 1)) return false;
    if (ring->base == 0 || ring->base > ring->limit || ring->base % ACRE_BLOCK_GRAIN_BYTES != 0) return false;
    if (ring->limit % ACRE_BLOCK_GRAIN_BYTES != 0 || ring->next % ACRE_BLOCK_GRAIN_BYTES != 0) return false;
    if (ring->end % ACRE_BLOCK_GRAIN_BYTES != 0) return false; /* else a block that fits below it would be rounded up beyond it */
    if (ring->next < ring->base || ring->next > ring->limit || ring->end < ring->next || ring->end > ring->limit) return false;
    if (!ring->is_host && ring->end != ring->next) return false;
    const size_t count = ring->allocated - ring->freed;
    if (count > ring->mask + 1 || ring->published - ring->freed > count) return false;
    if (ring->end - ring->next > (uint64_t)(ring->mask + 1 - count) * ACRE_BLOCK_GRAIN_BYTES) return false;
    /* Each block lies behind the one before, but that once one may be at the beginning again; and all of them in one lap. */
    acre_addr from = count > 0 ? record_of(ring, ring->freed)->base : ring->next;
    const acre_addr oldest = from;
    acre_addr end = ring->limit;
    for (size_t number = ring->freed; number != ring->allocated; number++) {
        const acre_ring_record *const record = record_of(ring, number);
        if (record->base < from && end == ring->limit) {
            from = ring->base;
            end = oldest;
        }
        if (record->base < from || record->base > end || end - record->base < whole_size(record->size_bytes)) return false;
        from = record->base + whole_size(record->size_bytes);
    }
    if (count == 0) return true;
    if (from != ring->next) return false;
    const bool is_behind = ring->next > oldest; /* the whole window then lies behind too, or it ends where the oldest begins */
    return is_behind || ring->end <= oldest;
}

/* ---- the life of a ring ---- */

acre_status acre_ring_create(const acre_ring_options *options, acre_ring *ring)
{
    if (options == NULL || ring == NULL) return acre_fail(ACRE_INVALID, "ring: the options or the ring are NULL");
    *ring = (acre_ring){.name = options->name != NULL ? options->name : "ring"};
    const acre_ranges_wish wish = {.kind = "ring",
                                   .name = ring->name,
                                   .space = options->space,
                                   .meta_space = options->meta_space,
                                   .size_bytes = options->size_bytes,
                                   .size_bytes_max = ACRE_RING_BYTES_MAX,
                                   .record_count = options->block_count_max,
                                   .record_count_max = BLOCK_COUNT_MAX,
                                   .record_bytes = sizeof *ring->records,
                                   .is_power = true};
    uint64_t count = 0;
    const acre_status status = acre_ranges_take(&wish, &ring->ranges, &count);
    if (status != ACRE_OK) return status;
    ring->base = acre_backing_first(ring->ranges.base);
    ring->limit = ring->ranges.base + ring->ranges.size_bytes;
    ring->is_host = (options->space->info.capabilities & ACRE_CAP_HOST_ACCESS) != 0;
    ring->records = acre_space_pointer(ring->ranges.meta_space, ring->ranges.record_base);
    ring->mask = (size_t)count - 1;
    ring->next = ring->end = ring->base;
    assert(acre_ring_is_valid(ring));
    return ACRE_OK;
}

void acre_ring_destroy(acre_ring *ring)
{
    if (ring == NULL || ring->records == NULL) return;
    acre_ranges_give(&ring->ranges);
    *ring = (acre_ring){.name = ring->name};
}

/* ---- the producer ---- */

typedef struct window {
    acre_addr start; /* where the block goes, 0 when it does not fit */
    acre_addr end;   /* of the free room that it lies in */
} window;

/* The place of a block in the free room [from, end). */
static window place_in(acre_addr from, acre_addr end, uint64_t whole, uint64_t alignment)
{
    const uint64_t padding = (0 - from) & (alignment - 1);
    const uint64_t room = end - from;
    return (window){.start = padding <= room && room - padding >= whole ? from + padding : 0, .end = end};
}

/* Looks how far the consumer has come. A ring without a block begins at the beginning again: its lines are in the cache. */
static window find_place(const acre_ring *ring, size_t freed, uint64_t whole, uint64_t alignment)
{
    if (freed == ring->allocated) return place_in(ring->base, ring->limit, whole, alignment);
    const acre_addr oldest = record_of(ring, freed)->base;
    if (oldest >= ring->next) return place_in(ring->next, oldest, whole, alignment);
    const window behind = place_in(ring->next, ring->limit, whole, alignment);
    return behind.start != 0 ? behind : place_in(ring->base, oldest, whole, alignment);
}

static void say_full(const acre_ring *ring, size_t freed, uint64_t size, uint64_t alignment)
{
    if (ring->allocated - freed > ring->mask) {
        (void)acre_fail(ACRE_BUSY, "ring '%s': %llu bytes asked for: all of its %llu blocks are in use", ring->name,
                        (unsigned long long)size, (unsigned long long)ring->mask + 1);
        return;
    }
    const bool is_empty = freed == ring->allocated;
    const acre_addr oldest = is_empty ? ring->limit : record_of(ring, freed)->base;
    const bool is_behind = oldest < ring->next;
    const uint64_t behind = is_empty ? 0 : (is_behind ? ring->limit : oldest) - ring->next;
    const uint64_t before = is_empty || is_behind ? oldest - ring->base : 0;
    (void)acre_fail(
        is_empty ? ACRE_NO_MEMORY : ACRE_BUSY,
        "ring '%s': %llu bytes aligned to %llu asked for: of %llu are free %llu behind the newest block and %llu at the beginning",
        ring->name, (unsigned long long)size, (unsigned long long)alignment, (unsigned long long)(ring->limit - ring->base),
        (unsigned long long)behind, (unsigned long long)before);
}

acre_addr acre_ring_alloc_address(acre_ring *ring, uint64_t size, uint64_t alignment)
{
    if (!is_made(ring, "alloc")) return 0;
    if (!acre_is_power_of_two(alignment)) {
        (void)acre_fail(ACRE_INVALID, "ring '%s': alignment %llu is no power of two", ring->name, (unsigned long long)alignment);
        return 0;
    }
    if (size > ring->limit - ring->base) {
        (void)acre_fail(ACRE_NO_MEMORY, "ring '%s': %llu bytes asked for: it has %llu in all", ring->name, (unsigned long long)size,
                        (unsigned long long)(ring->limit - ring->base));
        return 0;
    }
    const size_t freed = __atomic_load_n(&ring->freed, __ATOMIC_ACQUIRE);
    const uint64_t records_left = (uint64_t)ring->mask + 1 - (ring->allocated - freed);
    const uint64_t whole = whole_size(size);
    window place = {.start = 0};
    if (records_left > 0) place = find_place(ring, freed, whole, alignment > ACRE_BLOCK_GRAIN_BYTES ? alignment : ACRE_BLOCK_GRAIN_BYTES);
    if (place.start == 0) {
        say_full(ring, freed, size, alignment);
        return 0;
    }
    ring->records[ring->allocated & ring->mask] = (acre_ring_record){.base = place.start, .size_bytes = size};
    ring->allocated++;
    ring->next = place.start + whole;
    const uint64_t room = place.end - ring->next;
    const uint64_t recorded = (records_left - 1) * ACRE_BLOCK_GRAIN_BYTES;
    ring->end = !ring->is_host ? ring->next : ring->next + (room < recorded ? room : recorded);
    return place.start;
}

void *acre_ring_alloc_slowly(acre_ring *ring, size_t size)
{
    if (!is_made(ring, "alloc")) return NULL;
    if (!ring->is_host) {
        (void)acre_fail(ACRE_UNSUPPORTED, "ring '%s': its addresses are no pointers: use acre_ring_alloc_address", ring->name);
        return NULL;
    }
    return (void *)(uintptr_t)acre_ring_alloc_address(ring, size, ACRE_BLOCK_GRAIN_BYTES);
}

/* ---- the consumer ---- */

acre_status acre_ring_refuse(const acre_ring *ring, acre_addr block)
{
    if (!is_made(ring, "free")) return ACRE_INVALID;
    if (block == 0) return ACRE_OK;
    acre_block oldest;
    if (!acre_ring_peek(ring, 0, &oldest)) {
        return acre_fail(ACRE_BAD_POINTER, "ring '%s': free of 0x%llx: no block is published", ring->name, (unsigned long long)block);
    }
    return acre_fail(ACRE_BAD_POINTER, "ring '%s': free of 0x%llx: the oldest block, which goes first, is 0x%llx", ring->name,
                     (unsigned long long)block, (unsigned long long)oldest.base);
}

/* ---- either ---- */

acre_status acre_ring_read_figures(const acre_ring *ring, acre_allocator_figures *figures)
{
    if (!is_made(ring, "figures")) return ACRE_INVALID;
    if (figures == NULL) return acre_fail(ACRE_INVALID, "ring '%s': figures into NULL", ring->name);
    *figures = (acre_allocator_figures){.committed_bytes = ring->ranges.size_bytes, .meta_bytes = ring->ranges.record_bytes};
    for (size_t number = ring->freed; number != ring->allocated; number++) {
        figures->block_bytes += whole_size(record_of(ring, number)->size_bytes);
    }
    figures->dirty_bytes = figures->committed_bytes - figures->block_bytes;
    return ACRE_OK;
}

static acre_addr ring_alloc(acre_allocator *allocator, uint64_t size, uint64_t alignment, const acre_hints *hints)
{
    (void)hints;
    acre_ring *const ring = allocator->implementation;
    const acre_addr block = acre_ring_alloc_address(ring, size, alignment);
    acre_ring_publish(ring);
    return block;
}

/* The block that begins at an address or holds it; NULL when there is none. */
static const acre_ring_record *find_block(const acre_ring *ring, acre_addr address)
{
    if (ring->allocated == ring->freed) return NULL;
    const acre_ring_record *const newest = record_of(ring, ring->allocated - 1);
    if (newest->base == address) return newest;
    for (size_t number = ring->freed; number != ring->allocated; number++) {
        const acre_ring_record *const record = record_of(ring, number);
        if (address - record->base < whole_size(record->size_bytes)) return record;
    }
    return NULL;
}

static void ring_free(acre_allocator *allocator, acre_addr block)
{
    acre_ring *const ring = allocator->implementation;
    if (acre_ring_free(ring, block) == ACRE_OK) return;
    const acre_ring_record *const found = find_block(ring, block);
    acre_fault_report(&(acre_fault){.kind = found == NULL          ? ACRE_FAULT_FOREIGN_FREE
                                            : found->base == block ? ACRE_FAULT_ORDER_FREE
                                                                   : ACRE_FAULT_INTERIOR_FREE,
                                    .heap_name = allocator->name,
                                    .address = block,
                                    .block = found == NULL ? 0 : found->base,
                                    .size_bytes = found == NULL ? 0 : found->size_bytes,
                                    .operation = "free"});
}

static uint64_t ring_usable_size(acre_allocator *allocator, acre_addr block)
{
    const acre_ring_record *const found = find_block(allocator->implementation, block);
    return found != NULL && found->base == block ? whole_size(found->size_bytes) : 0;
}

static void ring_walk(acre_allocator *allocator, acre_block_visitor *visit, void *context)
{
    const acre_ring *const ring = allocator->implementation;
    for (size_t number = ring->freed; number != ring->allocated; number++) {
        const acre_ring_record *const record = record_of(ring, number);
        const acre_block block = {.base = record->base, .size_bytes = whole_size(record->size_bytes), .is_out = true};
        if (!visit(context, &block)) return;
    }
}

static void ring_read_figures(acre_allocator *allocator, acre_allocator_figures *figures)
{
    (void)acre_ring_read_figures(allocator->implementation, figures);
}

void acre_ring_allocator(acre_ring *ring, acre_allocator *allocator)
{
    static const acre_allocator_ops ops = {
        .size_bytes = sizeof(acre_allocator_ops),
        .alloc = ring_alloc,
        .free = ring_free,
        .usable_size = ring_usable_size,
        .walk = ring_walk,
        .read_figures = ring_read_figures,
    };
    *allocator = (acre_allocator){.ops = &ops, .name = ring->name, .implementation = ring};
}
