/* cache.c - see cache.h.
 *
 * From top to bottom: the depot of a class (spans without an owner), giving blocks back by words, taking them by words, and
 * the magazines in front of it.
 */
#include "heap/cache.h"
#include "base/atomic.h"
#include "guard/fault.h"
#include "heap/depot.h"
#include "heap/guarded.h"
#include "heap/mesh.h"
#include "heap/purge.h"
#include "heap/sample.h"

#include <limits.h>
#include <string.h>

enum {
    SWEEP_UNITS = 256 * 1024 / ACRE_UNIT_BYTES, /* of fresh spans between two looks at what a thread does not use */
    COMPACTION_LOOK = 256,                      /* changes of arrays between two looks at how sparse spans are */
    ROW_BLOCKS_MIN = 8,                         /* side by side: shorter rows are given one by one */
};

/* ---- the depot ---- */

/* The units go back to the arena. The span is retired, so nobody else knows it. */
static void release_units(acre_heap *heap, acre_span *span)
{
    if (acre_unlikely(span->meshed != 0)) acre_mesh_part(heap, span);
    acre_page_map_set_class(heap->map, span->base, span->unit_count, ACRE_CLASS_NONE);
    acre_arena_give(&heap->arena, span, false);
    acre_purge_surplus(heap);
}

/* Does what rule 2 or 3 of the span protocol asks for. */
static void fulfil(acre_heap *heap, acre_span *span, unsigned class, acre_span_duty duty, acre_word after)
{
    if (duty == ACRE_DUTY_NONE) return;
    acre_depot *const depot = acre_depot_of(heap, class);
    bool is_retired = false;
    acre_lock_take(&depot->lock);
    if (duty == ACRE_DUTY_LIST) {
        is_retired = !acre_span_list(span);
        if (!is_retired) acre_depot_insert(depot, span);
    } else if (acre_span_may_retire(span, after)) {
        acre_depot_remove(depot, span);
        is_retired = true;
    }
    if (is_retired) acre_span_retire(span);
    acre_lock_drop(&depot->lock);
    if (is_retired) release_units(heap, span);
}

static void disown(acre_heap *heap, acre_span *span)
{
    const unsigned class = span->class;
    fulfil(heap, span, class, acre_span_disown(span), 0);
}

/* The fullest of the first spans of a list, which is not empty; the others go to its end, so that the next time others are looked at. */
static acre_span *fullest(acre_depot *depot)
{
    enum { TRIES = 16 };
    acre_span *best = depot->first;
    int best_free_count = INT_MAX;
    acre_span *span = best;
    for (unsigned i = 0; i < TRIES && span != NULL; i++) {
        acre_span *const next = span->next;
        const int free_count = acre_span_free_count(acre_load_relaxed(&span->state));
        acre_span *const loser = free_count < best_free_count ? best : span;
        if (free_count < best_free_count) {
            best = span;
            best_free_count = free_count;
        }
        if (loser != best) {
            acre_depot_remove(depot, loser);
            acre_depot_append(depot, loser);
        }
        span = next;
    }
    return best;
}

/* A span of the class that has free blocks and no owner, for the caller to own: the one that was listed last, or, while the class is
 * compacted, the fullest of some. `*is_compacted` becomes false when there is none. */
static acre_span *own_listed_span(acre_heap *heap, unsigned class, bool *is_compacted)
{
    acre_depot *const depot = acre_depot_of(heap, class);
    acre_span *span = NULL;
    if (__atomic_load_n(&depot->first, __ATOMIC_RELAXED) != NULL) {
        acre_lock_take(&depot->lock);
        span = depot->first;
        if (span != NULL && *is_compacted) span = fullest(depot);
        if (span != NULL) {
            acre_depot_remove(depot, span);
            acre_span_own(span);
        }
        acre_lock_drop(&depot->lock);
    }
    if (span == NULL) *is_compacted = false;
    return span;
}

static acre_span *own_fresh_span(acre_heap *heap, unsigned class)
{
    bool is_zero;
    const unsigned unit_count = acre_size_classes[class & (ACRE_CLASS_WATCHED - 1)].unit_count;
    acre_span *const span = acre_arena_take(&heap->arena, unit_count, ACRE_UNIT_BYTES, ACRE_SPAN_SMALL, &is_zero);
    if (span == NULL) return NULL;
    acre_span_init(span, class, acre_page_map_words(heap->map, span->base));
    for (unsigned unit = 1; unit < unit_count; unit++) {
        acre_span *const other = acre_page_map_span(heap->map, span->base + ((acre_addr)unit << ACRE_UNIT_SHIFT));
        other->units_before = unit;
    }
    if (acre_unlikely(heap->guard != NULL && heap->guard->has_checks)) acre_guard_forget(heap, span->base, unit_count);
    acre_page_map_set_class(heap->map, span->base, unit_count, class);
    if (is_zero) acre_purge_surplus(heap);
    return span;
}

/* ---- giving back ---- */

/* Blocks of one span that are on their way back. */
typedef struct batch {
    acre_heap *heap;
    const char *operation;
    acre_span *span; /* NULL: nothing is pending */
    /* What its blocks are, so that one address after another is looked up in the map only when it lies elsewhere. */
    acre_addr base;
    uint64_t bytes; /* in all blocks of the span; 0: none */
    uint64_t size;
    uint64_t reciprocal;
    unsigned class;
    unsigned capacity;
    bool is_shared;   /* the span's memory is another's, too */
    unsigned count;   /* given but not counted */
    unsigned touched; /* words with blocks that are not given yet */
    acre_word masks[ACRE_WORDS_PER_UNIT]; /* those blocks; only the smallest fill as many words, and their span is one unit */
} batch;

/* The bits of a word that stand for blocks from `first` to below `end`; some do. */
static acre_word row_in_word(size_t word, size_t first, size_t end)
{
    const size_t base = word * ACRE_WORD_BITS;
    const acre_word from_first = first > base ? ACRE_WORD_ALL << (first - base) : ACRE_WORD_ALL;
    return end - base < ACRE_WORD_BITS ? from_first & acre_word_first((unsigned)(end - base)) : from_first;
}

static void report(const acre_heap *heap, acre_fault_kind kind, acre_addr address, acre_addr block, uint64_t size, const char *operation)
{
    acre_fault_report(&(acre_fault){
        .kind = kind, .heap_name = heap->name, .address = address, .block = block, .size_bytes = size, .operation = operation});
}

static void report_double_frees(const batch *pending, size_t word, acre_word blocks)
{
    for (; blocks != 0; blocks &= blocks - 1) {
        const uint64_t index = word * ACRE_WORD_BITS + acre_word_lowest(blocks);
        const acre_addr address = pending->base + index * pending->size;
        report(pending->heap, ACRE_FAULT_DOUBLE_FREE, address, address, pending->size, pending->operation);
    }
}

/* Returns which blocks have become free. */
static inline acre_word give_bits(batch *pending, size_t word, acre_word mask)
{
    const acre_word freed_before = acre_span_give_bits(pending->span, word, mask);
    if (acre_unlikely(freed_before != 0)) {
        report_double_frees(pending, word, freed_before); /* where the handler lets the program go on, the others go back */
        mask &= ~freed_before;
        if (mask != 0) (void)acre_span_give_bits(pending->span, word, mask);
    }
    return mask;
}

/* The same where spans share memory (heap/mesh.h): a block that is in use at another address is not out at this one. */
static acre_word give_shared_bits(batch *pending, size_t word, acre_word mask)
{
    const acre_word elsewhere = acre_mesh_out(pending->heap, pending->span, word) & mask;
    report_double_frees(pending, word, elsewhere);
    mask &= ~elsewhere;
    if (mask != 0) mask = give_bits(pending, word, mask);
    acre_span *const home = acre_span_home(pending->span);
    if (mask != 0 && home != pending->span) (void)acre_span_give_bits(home, word, mask);
    return mask;
}

static void give_pending_word(batch *pending, size_t word)
{
    const acre_word mask = pending->masks[word];
    pending->masks[word] = 0;
    const acre_word given = acre_unlikely(pending->is_shared) ? give_shared_bits(pending, word, mask) : give_bits(pending, word, mask);
    pending->count += acre_word_count(given);
}

static void give_pending_bits(batch *pending)
{
    for (; pending->touched != 0; pending->touched &= pending->touched - 1) give_pending_word(pending, acre_word_lowest(pending->touched));
}

static inline void give_pending(batch *pending)
{
    if (pending->span == NULL) return;
    give_pending_bits(pending);
    if (pending->count > 0) {
        acre_word after;
        acre_span *const home = acre_unlikely(pending->is_shared) ? acre_span_home(pending->span) : pending->span;
        const acre_span_duty duty = acre_span_give_count(home, pending->count, &after);
        fulfil(pending->heap, home, pending->class, duty, after);
    }
    pending->span = NULL;
    pending->bytes = 0;
    pending->count = 0;
}

acre_span *acre_span_of(const acre_heap *heap, acre_addr address)
{
    acre_span *const span = acre_page_map_span(heap->map, address);
    if (span->units_before == 0) return span;
    return acre_page_map_span(heap->map, address - ((acre_addr)span->units_before << ACRE_UNIT_SHIFT));
}

/* Turns the batch to the span of an address. Every address that comes back from a program and does not lie where the one before
 * did passes here, so this is where it is checked. */
static bool turn_to(batch *pending, acre_addr address)
{
    give_pending(pending);
    const unsigned class = acre_page_map_class(pending->heap->map, address);
    const unsigned size_class = class & (ACRE_CLASS_WATCHED - 1);
    if (acre_unlikely(size_class == ACRE_CLASS_NONE || size_class > ACRE_CLASS_COUNT)) {
        report(pending->heap, ACRE_FAULT_FOREIGN_FREE, address, 0, 0, pending->operation);
        return false;
    }
    acre_span *const span = acre_span_of(pending->heap, address);
    if (acre_unlikely(span->region->arena != &pending->heap->arena)) { /* a block, but of another heap */
        report(pending->heap, ACRE_FAULT_FOREIGN_FREE, address, 0, 0, pending->operation);
        return false;
    }
    const acre_size_class *const facts = &acre_size_classes[size_class];
    pending->span = span;
    pending->is_shared = acre_span_is_shared(span);
    pending->class = class;
    pending->base = span->base;
    pending->size = facts->block_bytes;
    pending->capacity = facts->capacity;
    pending->bytes = (uint64_t)facts->capacity * facts->block_bytes;
    pending->reciprocal = facts->reciprocal;
    return true;
}

/* Adds a block to the batch. False: it is none, which is reported. */
static inline bool give(batch *pending, acre_addr address)
{
    if (acre_unlikely(address - pending->base >= pending->bytes) && !turn_to(pending, address)) return false;
    const uint64_t offset = address - pending->base;
    const uint64_t index = acre_block_index_by(pending->reciprocal, offset);
    if (acre_unlikely(index * pending->size != offset || offset >= pending->bytes)) {
        report(pending->heap, ACRE_FAULT_INTERIOR_FREE, address, pending->base + index * pending->size, pending->size, pending->operation);
        return false;
    }
    const size_t word = (size_t)index / ACRE_WORD_BITS;
    const acre_word bit = (acre_word)1 << (index % ACRE_WORD_BITS);
    if (acre_unlikely((pending->masks[word] & bit) != 0)) give_pending_bits(pending); /* so that it is found to be free already */
    pending->masks[word] |= bit;
    pending->touched |= 1u << word;
    return true;
}

/* Adds a row of blocks of the batch's span that lie side by side, ROW_BLOCKS_MIN or more, which begins at `at` and goes up or down. Returns
 * its end, or `at` when there is none, or one of them waits already. What `give` does, for most of what comes back: blocks that were
 * freed in the order in which they were made, and blocks that were never handed out. There are two addresses at least. */
static acre_addr *give_row(batch *pending, acre_addr *at, const acre_addr *end)
{
    const uint64_t size = pending->size;
    const uint64_t step = at[1] - at[0];
    const uint64_t offset = *at - pending->base;
    const size_t index = (size_t)acre_block_index_by(pending->reciprocal, offset);
    if ((step != size && step != 0 - size) || offset >= pending->bytes || index * size != offset) return at;
    const size_t count_max = acre_min_size((size_t)(end - at), step == size ? pending->capacity - index : index + 1);
    size_t count = 1;
    while (count < count_max && at[count] - at[count - 1] == step) count++;
    if (count < ROW_BLOCKS_MIN) return at;
    const size_t first = step == size ? index : index + 1 - count;
    for (size_t word = first / ACRE_WORD_BITS; word * ACRE_WORD_BITS < first + count; word++) {
        if (acre_unlikely((pending->masks[word] & row_in_word(word, first, first + count)) != 0)) return at;
    }
    for (size_t word = first / ACRE_WORD_BITS; word * ACRE_WORD_BITS < first + count; word++) {
        pending->masks[word] |= row_in_word(word, first, first + count);
        pending->touched |= 1u << word;
    }
    return at + count;
}

/* Adds the addresses from `at` on that are blocks of the batch's span, up to the first that is anything else, and returns its
 * place. What `give` does, for the many. */
static acre_addr *give_neighbours(batch *pending, acre_addr *at, const acre_addr *end)
{
    const acre_addr base = pending->base;
    const uint64_t bytes = pending->bytes;
    const uint64_t size = pending->size;
    const uint64_t reciprocal = pending->reciprocal;
    unsigned touched = pending->touched;
    for (; at < end; at++) {
        const uint64_t offset = *at - base;
        const uint64_t index = acre_block_index_by(reciprocal, offset);
        if (offset >= bytes || index * size != offset) break;
        acre_word *const mask = &pending->masks[index / ACRE_WORD_BITS];
        const acre_word bit = (acre_word)1 << (index % ACRE_WORD_BITS);
        if (acre_unlikely((*mask & bit) != 0)) break;
        *mask |= bit;
        touched |= 1u << (index / ACRE_WORD_BITS);
    }
    pending->touched = touched;
    return at;
}

bool acre_block_give(acre_heap *heap, acre_addr address, const char *operation)
{
    batch pending = {.heap = heap, .operation = operation};
    const bool is_block = give(&pending, address);
    const unsigned class = pending.class & (ACRE_CLASS_WATCHED - 1);
    give_pending(&pending);
    if (is_block) {
        __atomic_fetch_sub(&heap->direct_bytes, (int64_t)acre_size_classes[class].block_bytes, __ATOMIC_RELAXED);
    }
    return is_block;
}

acre_addr acre_block_take(acre_heap *heap, unsigned class)
{
    bool is_compacted = false;
    acre_span *span = own_listed_span(heap, class, &is_compacted);
    if (span == NULL) span = own_fresh_span(heap, class);
    if (span == NULL) return 0;
    acre_word taken = 0;
    size_t word = 0;
    const size_t word_count = acre_span_word_count(span);
    for (; taken == 0 && word < word_count; word++) taken = acre_span_claim(span, word, 1);
    assert(taken != 0); /* it was listed, or it is fresh */
    const uint64_t size = acre_size_classes[acre_span_size_class(span)].block_bytes;
    const acre_addr address = span->base + ((word - 1) * ACRE_WORD_BITS + acre_word_lowest(taken)) * size;
    disown(heap, span);
    __atomic_fetch_add(&heap->direct_bytes, (int64_t)size, __ATOMIC_RELAXED);
    return address;
}

/* ---- magazines ---- */

unsigned acre_magazine_capacity(unsigned class)
{
    const size_t size = acre_size_classes[class].block_bytes;
    const size_t bytes = size <= ACRE_TABLE_BYTES_MAX ? ACRE_MAGAZINE_BYTES_MAX : ACRE_MAGAZINE_BYTES_MAX_BEYOND;
    return (unsigned)acre_max_size(acre_min_size(bytes / size, ACRE_MAGAZINE_BLOCKS_MAX), 1);
}

/* An array: the 0 at its bottom, the blocks, and room for the 0 that stops at a sample. */
static size_t array_slots(unsigned class) { return acre_magazine_capacity(class) + 2; }

static acre_addr *freed_array(const acre_cache *cache, unsigned class)
{
    acre_addr *const first = cache->slots[class];
    return cache->magazines[class].bottom == first ? first + array_slots(class) : first;
}

static void set_arrays(acre_cache *cache, unsigned class, acre_addr *popped, size_t popped_count, acre_addr *freed)
{
    cache->magazines[class] =
        (acre_magazine){.top = popped + popped_count, .put = freed + 1, .end = freed + 1 + acre_magazine_capacity(class), .bottom = popped};
}

static bool has_stops(const acre_heap *heap) { return (heap->sample_bytes | heap->guard_stop_blocks) != 0; }

/* Bytes until the next stop. Samples and guarded blocks are two Poisson processes, and together one, whose rate is the sum of theirs. */
static int64_t stop_distance(acre_cache *cache, unsigned class)
{
    const acre_heap *const heap = cache->heap;
    if (heap->guard_stop_blocks == 1) return 0; /* each and every block */
    const uint64_t guard_bytes = heap->guard_stop_blocks * acre_size_classes[class].block_bytes;
    uint64_t mean_bytes = heap->sample_bytes + guard_bytes; /* one of the two, mostly */
    if (heap->sample_bytes != 0 && guard_bytes != 0)
        mean_bytes = (uint64_t)(1 / (1 / (double)heap->sample_bytes + 1 / (double)guard_bytes)) + 1;
    return acre_sample_distance(&cache->random, mean_bytes);
}

/* Either with the probability that its rate has in the sum. */
bool acre_stop_is_guards(acre_cache *cache, unsigned class)
{
    const acre_heap *const heap = cache->heap;
    const uint64_t guard_bytes = heap->guard_stop_blocks * acre_size_classes[class].block_bytes;
    if (guard_bytes == 0 || heap->sample_bytes == 0) return guard_bytes != 0;
    const uint64_t of_1000 = heap->sample_bytes * 1000 / (heap->sample_bytes + guard_bytes);
    cache->random ^= cache->random << 13;
    cache->random ^= cache->random >> 7;
    cache->random ^= cache->random << 17;
    return cache->random % 1000 < of_1000;
}

/* Puts a 0 into the array that is popped, where enough bytes will have been handed out for a sample to be due. */
static void set_sample_stop(acre_cache *cache, unsigned class)
{
    if (acre_likely(!has_stops(cache->heap))) return;
    acre_magazine *const magazine = &cache->magazines[class];
    const int64_t size = acre_size_classes[class].block_bytes;
    const int64_t count = magazine->top - magazine->bottom;
    const int64_t until_sample = cache->sample_left[class] / size;
    if (until_sample >= count) {
        cache->sample_left[class] -= count * size;
        return;
    }
    acre_addr *const stop = magazine->top - until_sample + 1;
    memmove(stop + 1, stop, (size_t)until_sample * sizeof *stop);
    *stop = 0;
    magazine->top++;
}

/* How many blocks the next refill takes, and how few freed ones are too few for a round: a thread that frees each block soon would
 * change arrays all the time with the few that it began with. */
static void set_refill_count(acre_cache *cache, unsigned class, size_t count)
{
    const size_t refill_count = acre_min_size(count, acre_magazine_capacity(class));
    cache->refill_count[class] = (uint16_t)refill_count;
    cache->round_count[class] = (uint16_t)acre_min_size(refill_count, ACRE_ROUND_BYTES / acre_size_classes[class].block_bytes);
}

/* Puts the addresses of a word's blocks below `place`, the lowest on top. Returns where the last one lies. */
static acre_addr *put_blocks(acre_addr *place, acre_word blocks, acre_addr base, uint64_t size)
{
    if (blocks != 0 && (blocks & (blocks + (blocks & (0 - blocks)))) == 0) { /* they lie side by side, as in a fresh span */
        acre_addr address = base + acre_word_lowest(blocks) * size;
        for (acre_addr *const end = place - acre_word_count(blocks); place > end; address += size) *--place = address;
        return place;
    }
    for (; blocks != 0; blocks &= blocks - 1) *--place = base + acre_word_lowest(blocks) * size;
    return place;
}

/* Takes up to `wanted` blocks out of the thread's span and puts them below those of the array that is popped, lowest address on
 * top. Returns how many; the next time twice as many will be wanted. */
static unsigned take_from_current(acre_cache *cache, unsigned class, unsigned wanted)
{
    const acre_span *const span = cache->current[class];
    const uint64_t size = acre_size_classes[class].block_bytes;
    const size_t word_count = span == NULL ? 0 : acre_span_word_count(span);
    acre_word taken[ACRE_WORDS_PER_UNIT]; /* only the smallest blocks fill as many, and their span is one unit */
    unsigned count = 0;
    size_t seen_count = 0;
    for (; seen_count < word_count && count < wanted; seen_count++) {
        taken[seen_count] = acre_span_claim(cache->current[class], seen_count, wanted - count);
        count += acre_word_count(taken[seen_count]);
    }
    if (count == 0) return 0;
    acre_magazine *const magazine = &cache->magazines[class];
    acre_addr *const first = magazine->bottom + 1;
    if (magazine->top != magazine->bottom) memmove(first + count, first, (size_t)(magazine->top - magazine->bottom) * sizeof *first);
    acre_addr *place = first + count;
    for (size_t word = 0; word < seen_count; word++) {
        const acre_addr base = span->base + word * ACRE_WORD_BITS * size;
        place = put_blocks(place, taken[word], base, size);
    }
    magazine->top += count;
    set_refill_count(cache, class, 2u * cache->refill_count[class]);
    __atomic_store_n(&cache->out_bytes, cache->out_bytes + (int64_t)(count * size), __ATOMIC_RELAXED);
    return count;
}

static void empty_array(acre_cache *cache, unsigned class, acre_addr *from, const acre_addr *to, const char *operation)
{
    if (from >= to) return;
    batch pending = {.heap = cache->heap, .operation = operation};
    const uint64_t row_bytes = (ROW_BLOCKS_MIN - 1) * (uint64_t)acre_size_classes[class].block_bytes;
    size_t given_count = 0;
    for (acre_addr *at = from; at < to;) {
        const acre_addr *const end = to - at >= ROW_BLOCKS_MIN ? at + ROW_BLOCKS_MIN : to;
        if (end[-1] - *at == row_bytes || *at - end[-1] == row_bytes) {
            acre_addr *const row_end = give_row(&pending, at, to);
            given_count += (size_t)(row_end - at);
            at = row_end;
        }
        while (at < end) {
            acre_addr *const next = give_neighbours(&pending, at, end);
            given_count += (size_t)(next - at);
            at = next;
            if (at == end) break;
            if (*at != 0 && give(&pending, *at)) given_count++; /* a 0 stops at a sample */
            at++;
        }
    }
    give_pending(&pending);
    const int64_t given_bytes = (int64_t)(given_count * acre_size_classes[class].block_bytes);
    __atomic_store_n(&cache->out_bytes, cache->out_bytes - given_bytes, __ATOMIC_RELAXED);
}

/* Forgotten first: in the child of a fork that comes in between, nobody takes it for the cache's. */
static void drop_current(acre_cache *cache, unsigned class)
{
    acre_span *const span = cache->current[class];
    cache->current[class] = NULL;
    if (span != NULL) disown(cache->heap, span);
}

/* A span of which nothing is out may serve another class better. */
static void let_go_if_free(acre_cache *cache, unsigned class)
{
    const acre_span *const span = cache->current[class];
    if (span != NULL && acre_span_free_count(acre_load_relaxed(&span->state)) >= (int)acre_span_capacity(span)) drop_current(cache, class);
}

static void flush_class(acre_cache *cache, unsigned class)
{
    acre_magazine *const magazine = &cache->magazines[class];
    acre_addr *const freed = freed_array(cache, class);
    empty_array(cache, class, freed + 1, magazine->put, "free");
    empty_array(cache, class, magazine->bottom + 1, magazine->top + 1, "return");
    set_arrays(cache, class, magazine->bottom, 0, freed);
}

/* What changes whenever a class is used, with few exceptions, which do no harm. */
static uint32_t mark_of(const acre_cache *cache, unsigned class)
{
    const acre_magazine *const magazine = &cache->magazines[class];
    return (uint32_t)((uintptr_t)magazine->top / sizeof(acre_addr) * 0x9e3779b1u + (uintptr_t)magazine->put / sizeof(acre_addr));
}

/* Gives back what the thread holds of classes that it has not used since the last sweep: a program that goes from one size to the
 * next (growing strings) would otherwise hold some of each, and with them their spans. Not of the class that is being changed. */
static void sweep(acre_cache *cache, unsigned changing)
{
    for (unsigned class = ACRE_CLASS_FIRST; class <= ACRE_CLASS_COUNT; class++) {
        if (class == changing) continue;
        const uint32_t mark = mark_of(cache, class);
        if (mark == cache->swept_marks[class]) {
            flush_class(cache, class);
            drop_current(cache, class);
        }
        cache->swept_marks[class] = mark;
    }
}

/* A span to take blocks from. Before the thread makes the heap grow, it looks for what it does not use. */
static acre_span *own_span(acre_cache *cache, unsigned class)
{
    acre_span *const span = own_listed_span(cache->heap, class, &cache->is_compacted[class]);
    if (span != NULL) return span;
    cache->fresh_unit_count += acre_size_classes[class].unit_count;
    if (cache->fresh_unit_count >= SWEEP_UNITS) {
        cache->fresh_unit_count = 0;
        sweep(cache, class);
    }
    return own_fresh_span(cache->heap, class);
}

/* Fills the empty array; takes another span when the thread's is exhausted. */
static bool refill(acre_cache *cache, unsigned class)
{
    while (take_from_current(cache, class, cache->refill_count[class]) == 0) {
        drop_current(cache, class);
        cache->current[class] = own_span(cache, class);
        if (cache->current[class] == NULL) return false;
    }
    return true;
}

/* ---- compaction ---- */

static unsigned compact_every(acre_cache *cache)
{
    const acre_heap *const heap = cache->heap;
    int64_t out_bytes = __atomic_load_n(&heap->direct_bytes, __ATOMIC_RELAXED);
    for (const acre_cache *other = acre_load_pointer(&heap->caches); other != NULL; other = other->next) {
        out_bytes += __atomic_load_n(&other->out_bytes, __ATOMIC_RELAXED);
    }
    const int64_t span_bytes = (int64_t)acre_arena_run_bytes(&heap->arena) - __atomic_load_n(&heap->large_bytes, __ATOMIC_RELAXED);
    if (span_bytes <= out_bytes || out_bytes < 0) return 0; /* other threads changed the figures meanwhile */
    return acre_compaction_every(&cache->compaction, acre_os_now_ns(), (uint64_t)span_bytes, (uint64_t)(span_bytes - out_bytes));
}

/* Looks how sparse spans are, or compacts as the last look said. */
static __attribute__((noinline)) bool is_compaction_due(acre_cache *cache, unsigned class)
{
    const bool is_due = cache->is_compacted[class];
    cache->look_count += cache->compact_every;
    if (cache->look_count >= COMPACTION_LOOK) {
        cache->look_count = 0;
        const unsigned every = compact_every(cache);
        memset(cache->is_compacted, every != 0, sizeof cache->is_compacted);
        cache->compact_every = every != 0 ? every : COMPACTION_LOOK;
        if (every != 0) sweep(cache, class);
    }
    cache->change_left = cache->compact_every;
    return is_due;
}

/* Counts a change of arrays; true when the freed blocks shall go back instead. */
static inline bool should_compact(acre_cache *cache, unsigned class)
{
    return acre_unlikely(--cache->change_left == 0) && is_compaction_due(cache, class);
}

/* The freed blocks of a class go back, and the thread's span, of which there may be fuller ones. */
static void compact(acre_cache *cache, unsigned class)
{
    acre_magazine *const magazine = &cache->magazines[class];
    acre_addr *const freed = freed_array(cache, class);
    empty_array(cache, class, freed + 1, magazine->put, "free");
    magazine->put = freed + 1;
    drop_current(cache, class);
}

static bool has_free(const acre_span *span) { return span != NULL && acre_span_free_count(acre_load_relaxed(&span->state)) > 0; }

/* The freed array becomes the one that is popped; what it lacks for a round comes from the thread's span, or from another one that is
 * there. */
static void change_arrays(acre_cache *cache, unsigned class, acre_addr *freed, size_t freed_count)
{
    set_arrays(cache, class, freed, freed_count, cache->magazines[class].bottom);
    const size_t round_count = cache->round_count[class];
    if (freed_count >= round_count) return;
    if (!has_free(cache->current[class])) {
        if (freed_count > round_count / 8) return;
        drop_current(cache, class);
        cache->current[class] = own_listed_span(cache->heap, class, &cache->is_compacted[class]);
    }
    if (cache->current[class] != NULL) (void)take_from_current(cache, class, (unsigned)(round_count - freed_count));
}

/* Blocks above the table's sizes always come this way. The one freed last is taken first, since its pages are there: a program
 * that goes through many sizes (growing strings) would otherwise touch two arrays of blocks in each class. */
static bool pop_freed_last(acre_cache *cache, unsigned class, acre_addr *address)
{
    acre_magazine *const magazine = &cache->magazines[class];
    const acre_addr *const freed = freed_array(cache, class);
    if (magazine->put == freed + 1) return false;
    if (has_stops(cache->heap)) {
        const int64_t size = acre_size_classes[class].block_bytes;
        if (cache->sample_left[class] < size) return false; /* the sample is due in the other array */
        cache->sample_left[class] -= size;
    }
    *address = *--magazine->put;
    return true;
}

/* Has the thread taken no block of the class itself? Then what it freed is others', and lies beside what others write to: to hand it out
 * here would make two threads share a line of the cache for good. */
static bool holds_only_others(const acre_cache *cache, unsigned class)
{
    return acre_unlikely(cache->current[class] == NULL) && !acre_os_is_single_threaded();
}

acre_addr acre_cache_change_round(acre_cache *cache, unsigned class)
{
    acre_magazine *const magazine = &cache->magazines[class];
    if (magazine->top != magazine->bottom || holds_only_others(cache, class)) return 0;
    acre_addr *const freed = freed_array(cache, class);
    const size_t freed_count = (size_t)(magazine->put - (freed + 1));
    if (freed_count < acre_max_size(cache->round_count[class], 1)) return 0;
    if (should_compact(cache, class)) {
        compact(cache, class);
        return 0;
    }
    set_arrays(cache, class, freed, freed_count, magazine->bottom);
    set_sample_stop(cache, class);
    return acre_magazine_pop(magazine); /* a stop is met again by whoever gets this 0 */
}

acre_pop_result acre_cache_pop(acre_cache *cache, unsigned class, acre_addr *address)
{
    acre_magazine *const magazine = &cache->magazines[class];
    const bool is_beyond_table = acre_size_classes[class].block_bytes > ACRE_TABLE_BYTES_MAX;
    if (is_beyond_table && should_compact(cache, class)) compact(cache, class);
    if (is_beyond_table && pop_freed_last(cache, class, address)) return ACRE_POP_BLOCK;
    for (;;) {
        *address = acre_magazine_pop(magazine);
        if (*address != 0) return ACRE_POP_BLOCK;
        if (magazine->top != magazine->bottom) {
            magazine->top--; /* the stop */
            cache->sample_left[class] = stop_distance(cache, class);
            set_sample_stop(cache, class);
            return ACRE_POP_SAMPLE_DUE;
        }
        acre_addr *const freed = freed_array(cache, class);
        if (holds_only_others(cache, class)) flush_class(cache, class);
        if (magazine->put != freed + 1 && should_compact(cache, class)) compact(cache, class);
        if (magazine->put != freed + 1)
            change_arrays(cache, class, freed, (size_t)(magazine->put - (freed + 1)));
        else if (!refill(cache, class))
            return ACRE_POP_NO_MEMORY;
        set_sample_stop(cache, class);
    }
}

void acre_cache_each_ready(const acre_cache *cache, void (*take)(void *context, acre_addr block), void *context)
{
    for (unsigned class = ACRE_CLASS_FIRST; class <= ACRE_CLASS_COUNT; class++) {
        const acre_magazine magazine = cache->magazines[class];
        const acre_addr *const first = cache->slots[class], *const end = first + 2 * array_slots(class);
        const acre_addr *const popped_end = magazine.top < end ? magazine.top + 1 : end;
        const acre_addr *const freed_end = magazine.put < end ? magazine.put : end;
        for (const acre_addr *at = magazine.bottom; at >= first && at < popped_end; at++)
            if (*at != 0) take(context, *at);
        for (const acre_addr *at = freed_array(cache, class); at < freed_end; at++)
            if (*at != 0) take(context, *at);
    }
}

/* How many addresses stand in [begin, end), which another thread may be moving. */
static uint64_t count_between(const acre_addr *begin, const acre_addr *end, unsigned class)
{
    return end > begin ? acre_min_size((uint64_t)(end - begin), acre_magazine_capacity(class)) : 0;
}

uint64_t acre_cache_ready_bytes(const acre_cache *cache)
{
    uint64_t bytes = 0;
    for (unsigned class = ACRE_CLASS_FIRST; class <= ACRE_CLASS_COUNT; class++) {
        const acre_magazine magazine = cache->magazines[class];
        const uint64_t count = count_between(magazine.bottom, magazine.top, class) +
                               count_between(freed_array(cache, class) + 1, magazine.put, class);
        bytes += count * acre_size_classes[class].block_bytes;
    }
    return bytes;
}

void acre_cache_push(acre_cache *cache, unsigned class, acre_addr address)
{
    acre_magazine *const magazine = &cache->magazines[class];
    if (acre_magazine_push(magazine, address)) return;
    acre_addr *const freed = freed_array(cache, class);
    if (magazine->top == magazine->bottom && should_compact(cache, class)) {
        compact(cache, class);
    } else if (magazine->top == magazine->bottom) {
        set_arrays(cache, class, freed, (size_t)(magazine->put - (freed + 1)), magazine->bottom);
        set_sample_stop(cache, class);
    } else { /* those freed first go, so that a thread that takes some again finds the others */
        const size_t count = (size_t)(magazine->put - (freed + 1));
        const size_t kept_count = count / 2;
        acre_addr *const kept = magazine->put - kept_count;
        empty_array(cache, class, freed + 1, kept, "free");
        memmove(freed + 1, kept, kept_count * sizeof *kept);
        magazine->put = freed + 1 + kept_count;
        let_go_if_free(cache, class);
    }
    (void)acre_magazine_push(magazine, address);
}

void acre_cache_flush(acre_cache *cache)
{
    for (unsigned class = ACRE_CLASS_FIRST; class <= ACRE_CLASS_COUNT; class++) {
        flush_class(cache, class);
        let_go_if_free(cache, class);
    }
}

/* ---- the cache as a whole ---- */

static void draw_samples(acre_cache *cache)
{
    for (unsigned class = ACRE_CLASS_FIRST; class <= ACRE_CLASS_COUNT; class++) cache->sample_left[class] = stop_distance(cache, class);
    cache->sample_left[ACRE_CLASS_COUNT + 1] = acre_sample_distance(&cache->random, cache->heap->sample_bytes);
}

static void reset(acre_cache *cache)
{
    for (unsigned class = ACRE_CLASS_FIRST; class <= ACRE_CLASS_COUNT; class++) {
        acre_addr *const first = cache->slots[class];
        set_arrays(cache, class, first, 0, first + array_slots(class));
        cache->current[class] = NULL;
        set_refill_count(cache, class, ACRE_REFILL_BLOCKS_FIRST);
    }
    cache->change_left = cache->compact_every = COMPACTION_LOOK;
    draw_samples(cache);
}

void acre_cache_restart_samples(acre_cache *cache)
{
    acre_cache_flush(cache); /* the stops in the magazines go with their contents */
    draw_samples(cache);
}

acre_cache *acre_cache_acquire(acre_heap *heap)
{
    acre_lock_take(&heap->lock);
    acre_cache *cache = heap->caches;
    while (cache != NULL && cache->is_used != 0) cache = cache->next;
    if (cache != NULL) cache->is_used = 1;
    acre_lock_drop(&heap->lock);
    if (cache != NULL) return cache;

    size_t slot_count = 0;
    for (unsigned class = ACRE_CLASS_FIRST; class <= ACRE_CLASS_COUNT; class++) slot_count += 2 * array_slots(class);
    const size_t head_bytes = (size_t)acre_align_up(sizeof *cache, 64);
    cache = acre_meta_alloc(&heap->meta, head_bytes + slot_count * sizeof(acre_addr));
    if (cache == NULL) return NULL;
    cache->heap = heap;
    cache->random = (uintptr_t)cache ^ 0x9e3779b97f4a7c15u;
    acre_addr *slots = (acre_addr *)(void *)((char *)cache + head_bytes);
    for (unsigned class = ACRE_CLASS_FIRST; class <= ACRE_CLASS_COUNT; class++) {
        cache->slots[class] = slots;
        slots += 2 * array_slots(class);
    }
    reset(cache);
    cache->is_used = 1;

    acre_lock_take(&heap->lock);
    cache->next = heap->caches;
    acre_store_pointer(&heap->caches, cache);
    acre_lock_drop(&heap->lock);
    return cache;
}

static void disown_all(acre_cache *cache)
{
    for (unsigned class = ACRE_CLASS_FIRST; class <= ACRE_CLASS_COUNT; class++) drop_current(cache, class);
}

void acre_cache_let_go(acre_cache *cache)
{
    acre_cache_flush(cache);
    disown_all(cache);
}

void acre_cache_release(acre_cache *cache)
{
    acre_cache_let_go(cache);
    acre_lock_take(&cache->heap->lock);
    cache->is_used = 0;
    acre_lock_drop(&cache->heap->lock);
}

void acre_cache_abandon(acre_cache *cache)
{
    for (unsigned class = ACRE_CLASS_FIRST; class <= ACRE_CLASS_COUNT; class++) {
        if (cache->current[class] != NULL) acre_span_recount(cache->current[class]);
    }
    disown_all(cache);
    cache->heap->has_lost_ready = true;
    reset(cache);
    cache->is_used = 0;
}

bool acre_cache_is_valid(const acre_cache *cache)
{
    for (unsigned class = ACRE_CLASS_FIRST; class <= ACRE_CLASS_COUNT; class++) {
        const acre_magazine *const magazine = &cache->magazines[class];
        const acre_addr *const first = cache->slots[class];
        const acre_addr *const second = first + array_slots(class);
        const acre_addr *const freed = freed_array(cache, class);
        if (magazine->bottom != first && magazine->bottom != second) return false;
        if (*first != 0 || *second != 0) return false;
        if (magazine->top < magazine->bottom || magazine->top >= magazine->bottom + array_slots(class)) return false;
        if (magazine->put <= freed || magazine->put > magazine->end) return false;
        if (magazine->end != freed + 1 + acre_magazine_capacity(class)) return false;
        const acre_span *const span = cache->current[class];
        if (span != NULL && ((span->state & ACRE_SPAN_OWNED) == 0 || span->class != class)) return false;
    }
    return true;
}
