/* arena.c - see arena.h.
 *
 * The words of this file: a *run* is a range of units in one region, named by the descriptor of its first unit. A free run
 * has FREE in its first descriptor and FREE_END in its last, and stands in a bin. `cut` turns free units into a taken run,
 * `join` puts units back.
 */
#include "alloc/arena.h"
#include "base/status.h"

#include <string.h>

enum {
    COMMIT_UNITS_MIN = 256 * 1024 / ACRE_UNIT_BYTES,       /* at a time, or an eighth of what is committed, */
    COMMIT_UNITS_MAX = 32 * 1024 * 1024 / ACRE_UNIT_BYTES, /* but no more than this */
    REGION_UNITS_MIN = 4,
    PURGE_UNITS_MAX = 8 * 1024 * 1024 / ACRE_UNIT_BYTES, /* in one system call: about a millisecond of it */
};

static acre_addr units_to_bytes(uint64_t unit_count) { return unit_count << ACRE_UNIT_SHIFT; }

static acre_span *descriptor(const acre_arena *arena, acre_addr address) { return acre_page_map_span(arena->map, address); }

/* Under the lock; others read without it. */
static void change(uint64_t *figure, uint64_t by) { acre_store_figure(figure, *figure + by); }

static acre_addr end_of(const acre_span *run) { return run->base + units_to_bytes(run->unit_count); }

static acre_addr used_end(const acre_region *region) { return region->base + units_to_bytes(region->used_count); }

/* ---- bins ---- */

unsigned acre_bin_of(uint64_t unit_count)
{
    assert(unit_count > 0);
    if (unit_count <= ACRE_BIN_EXACT_MAX) return (unsigned)unit_count - 1;
    const unsigned exponent = acre_log2_floor(unit_count);
    const unsigned step = (unsigned)(unit_count >> (exponent - 3)) & (ACRE_BIN_STEPS - 1);
    const unsigned bin = ACRE_BIN_EXACT_MAX + (exponent - 6) * ACRE_BIN_STEPS + step;
    return bin < ACRE_BIN_COUNT ? bin : ACRE_BIN_COUNT - 1;
}

static void bin_insert(acre_arena *arena, acre_span *run)
{
    const unsigned bin = acre_bin_of(run->unit_count);
    run->previous = NULL;
    run->next = arena->bins[bin];
    if (run->next != NULL) run->next->previous = run;
    arena->bins[bin] = run;
    arena->bin_words[bin / ACRE_WORD_BITS] |= (acre_word)1 << (bin % ACRE_WORD_BITS);
}

static void bin_remove(acre_arena *arena, acre_span *run)
{
    const unsigned bin = acre_bin_of(run->unit_count);
    if (run->next != NULL) run->next->previous = run->previous;
    if (run->previous != NULL) {
        run->previous->next = run->next;
        return;
    }
    assert(arena->bins[bin] == run);
    arena->bins[bin] = run->next;
    if (run->next == NULL) arena->bin_words[bin / ACRE_WORD_BITS] &= ~((acre_word)1 << (bin % ACRE_WORD_BITS));
}

/* The first bin from `bin` on that has a run, ACRE_BIN_COUNT if none has. */
static unsigned bin_find(const acre_arena *arena, unsigned bin)
{
    if (bin >= ACRE_BIN_COUNT) return ACRE_BIN_COUNT;
    size_t index = bin / ACRE_WORD_BITS;
    acre_word word = arena->bin_words[index] & (ACRE_WORD_ALL << (bin % ACRE_WORD_BITS));
    while (word == 0) {
        if (++index == ACRE_WORDS(ACRE_BIN_COUNT)) return ACRE_BIN_COUNT;
        word = arena->bin_words[index];
    }
    return (unsigned)index * ACRE_WORD_BITS + acre_word_lowest(word);
}

/* The last bin up to `bin` whose bit is set in `words`, ACRE_BIN_COUNT if none is. */
static unsigned bin_find_last(const acre_word *words, unsigned bin)
{
    size_t index = bin / ACRE_WORD_BITS;
    acre_word word = words[index] & (ACRE_WORD_ALL >> (ACRE_WORD_BITS - 1 - bin % ACRE_WORD_BITS));
    while (word == 0) {
        if (index-- == 0) return ACRE_BIN_COUNT;
        word = words[index];
    }
    return (unsigned)index * ACRE_WORD_BITS + acre_log2_floor(word);
}

/* ---- free runs ---- */

/* Makes [address, address + unit_count) one free run in its bin. */
static void free_run_make(acre_arena *arena, acre_region *region, acre_addr address, uint64_t unit_count, uint64_t dirty_count)
{
    assert(dirty_count <= unit_count && unit_count <= UINT32_MAX);
    acre_span *const run = descriptor(arena, address);
    run->base = address;
    run->region = region;
    run->unit_count = (uint32_t)unit_count;
    run->kind = ACRE_SPAN_FREE;
    run->dirty_count = dirty_count;
    if (unit_count > 1) {
        acre_span *const last = descriptor(arena, address + units_to_bytes(unit_count - 1));
        last->kind = ACRE_SPAN_FREE_END;
        last->unit_count = (uint32_t)unit_count;
    }
    change(&arena->figures.dirty_bytes, units_to_bytes(dirty_count));
    bin_insert(arena, run);
    const unsigned bin = acre_bin_of(unit_count);
    arena->dirty_bin_words[bin / ACRE_WORD_BITS] |= (acre_word)(dirty_count > 0) << (bin % ACRE_WORD_BITS);
}

/* Takes a free run out of its bin and erases its tags; what it said is left in `run` for the caller. */
static void free_run_unmake(acre_arena *arena, acre_span *run)
{
    assert(run->kind == ACRE_SPAN_FREE);
    bin_remove(arena, run);
    run->kind = ACRE_SPAN_NONE;
    if (run->unit_count > 1) {
        descriptor(arena, run->base + units_to_bytes(run->unit_count - 1))->kind = ACRE_SPAN_NONE;
    }
    change(&arena->figures.dirty_bytes, 0 - units_to_bytes(run->dirty_count));
}

/* The free run that ends right below `address`, or NULL. */
static inline acre_span *free_run_before(const acre_arena *arena, const acre_region *region, acre_addr address)
{
    if (address == region->base) return NULL;
    acre_span *const last = descriptor(arena, address - ACRE_UNIT_BYTES);
    /* Read by itself: compilers would read the byte beside it as well, which may be just being written where the run is somebody's. */
    const uint8_t kind = __atomic_load_n(&last->kind, __ATOMIC_RELAXED);
    if (kind == ACRE_SPAN_FREE && last->unit_count == 1) return last;
    if (kind != ACRE_SPAN_FREE_END) return NULL;
    return descriptor(arena, address - units_to_bytes(last->unit_count));
}

/* The free run that begins at `address`, or NULL. */
static acre_span *free_run_at(const acre_arena *arena, const acre_region *region, acre_addr address)
{
    if (address == used_end(region)) return NULL;
    acre_span *const first = descriptor(arena, address);
    return first->kind == ACRE_SPAN_FREE ? first : NULL;
}

/* Joins [address, address + unit_count) with the free runs on both sides. */
static void join(acre_arena *arena, acre_region *region, acre_addr address, uint64_t unit_count, uint64_t dirty_count)
{
    acre_span *const before = free_run_before(arena, region, address);
    acre_span *const after = free_run_at(arena, region, address + units_to_bytes(unit_count));
    if (before != NULL && before->unit_count + unit_count <= UINT32_MAX) {
        free_run_unmake(arena, before);
        address = before->base;
        unit_count += before->unit_count;
        dirty_count += before->dirty_count;
    }
    if (after != NULL && after->unit_count + unit_count <= UINT32_MAX) {
        free_run_unmake(arena, after);
        unit_count += after->unit_count;
        dirty_count += after->dirty_count;
    }
    free_run_make(arena, region, address, unit_count, dirty_count);
}

/* Turns the middle of an unmade free run into a taken one; what is left on both sides is free again. */
static acre_span *cut(acre_arena *arena, acre_span *run, acre_addr address, uint64_t unit_count, bool *is_zero)
{
    acre_region *const region = run->region;
    const acre_addr run_base = run->base;
    const acre_addr run_end = end_of(run);
    uint64_t dirty_left = run->dirty_count;
    const uint64_t dirty_taken = dirty_left == 0 ? 0 : acre_page_map_count_dirty(arena->map, address, (size_t)unit_count);

    const uint64_t units_before = (address - run_base) >> ACRE_UNIT_SHIFT;
    const uint64_t units_after = (run_end - address - units_to_bytes(unit_count)) >> ACRE_UNIT_SHIFT;
    dirty_left -= dirty_taken;
    const uint64_t dirty_before =
        dirty_left == 0 || units_before == 0 ? 0 : acre_page_map_count_dirty(arena->map, run_base, (size_t)units_before);
    if (units_before > 0) free_run_make(arena, region, run_base, units_before, dirty_before);
    if (units_after > 0) {
        free_run_make(arena, region, run_end - units_to_bytes(units_after), units_after, dirty_left - dirty_before);
    }
    acre_span *const taken = descriptor(arena, address);
    taken->base = address;
    taken->region = region;
    taken->unit_count = (uint32_t)unit_count;
    *is_zero = dirty_taken == 0 && (arena->space->info.capabilities & ACRE_CAP_ZEROED) != 0;
    return taken;
}

/* What every run that is handed out goes through. */
static void account_taken(acre_arena *arena, acre_addr address, uint64_t unit_count)
{
    acre_page_map_set_dirty(arena->map, address, (size_t)unit_count, true);
    change(&arena->figures.run_bytes, units_to_bytes(unit_count));
    change(&arena->take_count, 1);
    acre_demand_note(&arena->demand, arena->figures.run_bytes);
}

/* Where in a free run a run of `unit_count` units could begin; false when it does not fit. */
static bool place_in(const acre_span *run, uint64_t unit_count, uint64_t alignment, acre_addr *address)
{
    *address = acre_align_up(run->base, alignment);
    const acre_addr end = end_of(run);
    return *address < end && (end - *address) >> ACRE_UNIT_SHIFT >= unit_count;
}

static acre_span *take_from_bins(acre_arena *arena, uint64_t unit_count, uint64_t alignment, bool *is_zero)
{
    acre_addr address = 0;
    const unsigned own_bin = acre_bin_of(unit_count);
    unsigned tries = ACRE_BIN_TRIES_MAX;
    for (acre_span *run = arena->bins[own_bin]; run != NULL && tries > 0; run = run->next, tries--) {
        if (!place_in(run, unit_count, alignment, &address)) continue;
        free_run_unmake(arena, run);
        return cut(arena, run, address, unit_count, is_zero);
    }
    /* From here on every run is long enough, whatever its place, once the alignment is paid for. */
    const uint64_t enough = unit_count + (alignment > ACRE_UNIT_BYTES ? (alignment >> ACRE_UNIT_SHIFT) - 1 : 0);
    const unsigned bin =
        bin_find(arena, enough > ACRE_BIN_EXACT_MAX || enough == unit_count ? acre_bin_of(enough) + 1 : acre_bin_of(enough));
    if (bin == ACRE_BIN_COUNT) return NULL;
    acre_span *const run = arena->bins[bin];
    if (!place_in(run, unit_count, alignment, &address)) return NULL; /* only in the last, open-ended bin */
    free_run_unmake(arena, run);
    return cut(arena, run, address, unit_count, is_zero);
}

/* ---- regions ---- */

static acre_status commit_up_to(acre_arena *arena, acre_region *region, uint64_t unit_count)
{
    if (unit_count <= region->committed_count) return ACRE_OK;
    const uint64_t needed = unit_count - region->committed_count;
    uint64_t step = region->committed_count / 8;
    if (step < COMMIT_UNITS_MIN) step = COMMIT_UNITS_MIN;
    if (step > COMMIT_UNITS_MAX) step = COMMIT_UNITS_MAX;
    if (step < needed) step = needed;
    if (step > region->unit_count - region->committed_count) step = region->unit_count - region->committed_count;

    const acre_addr start = region->base + units_to_bytes(region->committed_count);
    acre_status status = acre_space_commit(arena->space, start, units_to_bytes(step));
    if (status != ACRE_OK && step > needed) {
        step = needed;
        status = acre_space_commit(arena->space, start, units_to_bytes(step));
    }
    if (status != ACRE_OK) return status;
    region->committed_count += step;
    arena->figures.committed_bytes += units_to_bytes(step);
    return ACRE_OK;
}

/* Takes from what was never used, together with the free run right below it. */
static acre_span *take_from_end(acre_arena *arena, acre_region *region, uint64_t unit_count, uint64_t alignment, bool *is_zero)
{
    acre_span *const below = free_run_before(arena, region, used_end(region));
    const acre_addr start = below != NULL ? below->base : used_end(region);
    const acre_addr address = acre_align_up(start, alignment);
    const uint64_t needed_end = ((address - region->base) >> ACRE_UNIT_SHIFT) + unit_count;
    if (address < start || needed_end > region->unit_count || needed_end < unit_count) return NULL;
    /* The run below may even be long enough alone: the lists are not searched for every alignment. */
    const uint64_t end = needed_end > region->used_count ? needed_end : region->used_count;
    const uint64_t run_units = end - ((start - region->base) >> ACRE_UNIT_SHIFT);
    if (run_units > UINT32_MAX || commit_up_to(arena, region, end) != ACRE_OK) return NULL;

    acre_span *const run = descriptor(arena, start);
    if (below != NULL) {
        free_run_unmake(arena, below);
    } else {
        run->base = start;
        run->region = region;
        run->dirty_count = 0;
    }
    run->unit_count = (uint32_t)run_units;
    region->used_count = end;
    return cut(arena, run, address, unit_count, is_zero);
}

static acre_region *region_descriptor(acre_arena *arena)
{
    acre_region *const region = arena->unused_regions;
    if (region == NULL) return acre_meta_alloc(arena->meta, sizeof *region);
    arena->unused_regions = region->next;
    return region;
}

/* Gives a region back of which nothing is used; meta memory is never given back singly, so its descriptor is kept. */
static void drop_region(acre_arena *arena, acre_region *region)
{
    (void)acre_space_release(arena->space, region->base, units_to_bytes(region->unit_count));
    region->next = arena->unused_regions;
    arena->unused_regions = region;
}

/* Puts a region that holds at least `unit_count` aligned units in front of the others. NULL: no memory, nothing changed. */
static acre_region *add_region(acre_arena *arena, uint64_t unit_count, uint64_t alignment)
{
    if (alignment < ACRE_UNIT_BYTES) alignment = ACRE_UNIT_BYTES;
    if (unit_count > UINT32_MAX) {
        (void)acre_fail(ACRE_NO_MEMORY, "a block of %llu units of %d bytes: at most 2^32", (unsigned long long)unit_count, ACRE_UNIT_BYTES);
        return NULL;
    }
    const uint64_t grain = acre_max_size(arena->space->info.grain_bytes, ACRE_UNIT_BYTES);
    const uint64_t needed = acre_align_up(units_to_bytes(unit_count), grain);
    const bool is_fixed = (arena->space->info.capabilities & ACRE_CAP_FIXED) != 0;
    /* A whole multiple, so that it may lie where other regions do. */
    uint64_t size = acre_align_up((needed + arena->region_bytes - 1) / arena->region_bytes * arena->region_bytes, grain);
    acre_addr base = 0;
    acre_status status;
    for (;;) {
        /* A region as large as a slot of the map should fill one, rather than straddle two. */
        const uint64_t slot_bytes = (uint64_t)arena->map->slot_units << ACRE_UNIT_SHIFT;
        const bool fills_slot = size >= slot_bytes && slot_bytes > alignment && acre_is_power_of_two(slot_bytes) &&
                                !is_fixed;
        status = acre_space_reserve(arena->space, size, fills_slot ? slot_bytes : alignment, NULL, &base);
        if (status == ACRE_OK || size == needed || size / 2 < REGION_UNITS_MIN * ACRE_UNIT_BYTES) break;
        size = acre_max_size(acre_align_up(size / 2, grain), needed);
    }
    if (status != ACRE_OK) return NULL;

    acre_region *const region = region_descriptor(arena);
    if (region == NULL) {
        (void)acre_space_release(arena->space, base, size);
        return NULL;
    }
    *region = (acre_region){.next = arena->regions, .arena = arena, .base = base, .unit_count = size >> ACRE_UNIT_SHIFT};
    if (acre_page_map_cover(arena->map, base, size) != ACRE_OK) {
        drop_region(arena, region);
        return NULL;
    }
    arena->regions = region;
    arena->figures.reserved_bytes += size;
    return region;
}

/* ---- public ---- */

void acre_arena_init(acre_arena *arena, acre_space *space, acre_page_map *map, acre_meta *meta, uint64_t region_bytes)
{
    assert(region_bytes % ACRE_UNIT_BYTES == 0 && region_bytes > 0);
    memset(arena, 0, sizeof *arena);
    arena->space = space;
    arena->map = map;
    arena->meta = meta;
    arena->region_bytes = region_bytes;
}

static acre_span *take_locked(acre_arena *arena, uint64_t unit_count, uint64_t alignment, bool *is_zero)
{
    acre_span *run = take_from_bins(arena, unit_count, alignment, is_zero);
    for (acre_region *region = arena->regions; run == NULL && region != NULL; region = region->next) {
        run = take_from_end(arena, region, unit_count, alignment, is_zero);
    }
    if (run != NULL) return run;
    acre_region *const region = add_region(arena, unit_count, alignment);
    if (region == NULL) return NULL;
    run = take_from_end(arena, region, unit_count, alignment, is_zero);
    if (run == NULL) { /* addresses, but no memory behind them: or every failure would reserve one more region */
        arena->regions = region->next;
        arena->figures.reserved_bytes -= units_to_bytes(region->unit_count);
        drop_region(arena, region);
    }
    return run;
}

acre_span *acre_arena_take(acre_arena *arena, uint64_t unit_count, uint64_t alignment, acre_span_kind kind, bool *is_zero)
{
    assert(unit_count > 0 && acre_is_power_of_two(alignment));
    acre_lock_take(&arena->lock);
    acre_span *run = take_locked(arena, unit_count, alignment, is_zero);
    while (run == NULL && arena->purging_count > 0) { /* what is being purged may be what is missing */
        acre_lock_drop(&arena->lock);
        acre_lock_take(&arena->lock);
        run = take_locked(arena, unit_count, alignment, is_zero);
    }
    if (run != NULL) {
        run->kind = (uint8_t)kind;
        account_taken(arena, run->base, unit_count);
    }
    acre_lock_drop(&arena->lock);
    return run;
}

static void give_locked(acre_arena *arena, acre_region *region, acre_addr address, uint64_t unit_count, bool is_clean)
{
    change(&arena->figures.run_bytes, 0 - units_to_bytes(unit_count));
    if (is_clean) acre_page_map_set_dirty(arena->map, address, (size_t)unit_count, false);
    join(arena, region, address, unit_count, is_clean ? 0 : unit_count);
}

void acre_arena_give(acre_arena *arena, acre_span *run, bool is_clean)
{
    acre_lock_take(&arena->lock);
    run->kind = ACRE_SPAN_NONE;
    give_locked(arena, run->region, run->base, run->unit_count, is_clean);
    acre_lock_drop(&arena->lock);
}

bool acre_arena_extend(acre_arena *arena, acre_span *run, uint64_t unit_count, bool *is_zero)
{
    assert(unit_count > run->unit_count);
    acre_region *const region = run->region;
    const uint64_t more = unit_count - run->unit_count;
    bool is_done = false;
    acre_lock_take(&arena->lock);
    const acre_addr end = end_of(run);
    acre_span *const after = free_run_at(arena, region, end);
    if (after != NULL && after->unit_count >= more) {
        free_run_unmake(arena, after);
        (void)cut(arena, after, end, more, is_zero);
        is_done = true;
    } else if (end_of(after != NULL ? after : run) == used_end(region) &&
               ((end - region->base) >> ACRE_UNIT_SHIFT) + more <= region->unit_count) {
        is_done = take_from_end(arena, region, more, ACRE_UNIT_BYTES, is_zero) != NULL;
    }
    if (is_done) {
        account_taken(arena, end, more);
        descriptor(arena, end)->kind = ACRE_SPAN_NONE;
        run->unit_count = (uint32_t)unit_count;
    }
    acre_lock_drop(&arena->lock);
    return is_done;
}

void acre_arena_shrink(acre_arena *arena, acre_span *run, uint64_t unit_count)
{
    assert(unit_count > 0 && unit_count < run->unit_count);
    acre_lock_take(&arena->lock);
    const uint64_t surplus = run->unit_count - unit_count;
    run->unit_count = (uint32_t)unit_count;
    give_locked(arena, run->region, end_of(run), surplus, false);
    acre_lock_drop(&arena->lock);
}

/* Purges the upper end of what is dirty in a free run, about `surplus_bytes` of it. Returns how many dirty bytes went. The lock is open
 * during the system call, and the part counts as handed out meanwhile; the rest of the run stays free. */
static uint64_t purge_part(acre_arena *arena, acre_span *run, uint64_t surplus_bytes)
{
    acre_region *const region = run->region;
    const acre_addr base = run->base;
    acre_addr end = end_of(run);
    const uint64_t dirty_count = run->dirty_count;
    const uint64_t surplus_count = (surplus_bytes + ACRE_UNIT_BYTES - 1) >> ACRE_UNIT_SHIFT;
    uint64_t part_count = surplus_count < PURGE_UNITS_MAX ? surplus_count : PURGE_UNITS_MAX;
    uint64_t part_dirty;
    for (;;) { /* from the end down to something dirty, which there is */
        const uint64_t left_count = (end - base) >> ACRE_UNIT_SHIFT;
        if (part_count > left_count) part_count = left_count;
        part_dirty = acre_page_map_count_dirty(arena->map, end - units_to_bytes(part_count), (size_t)part_count);
        if (part_dirty > 0) break;
        end -= units_to_bytes(part_count);
    }
    const acre_addr part = end - units_to_bytes(part_count);
    const uint64_t above_count = (end_of(run) - end) >> ACRE_UNIT_SHIFT; /* all clean */
    free_run_unmake(arena, run);
    if (part > base) free_run_make(arena, region, base, (part - base) >> ACRE_UNIT_SHIFT, dirty_count - part_dirty);
    if (above_count > 0) free_run_make(arena, region, end, above_count, 0);
    change(&arena->figures.run_bytes, units_to_bytes(part_count));
    arena->purging_count++;
    acre_lock_drop(&arena->lock);
    const bool is_done = acre_space_purge(arena->space, part, units_to_bytes(part_count)) == ACRE_OK;
    acre_lock_take(&arena->lock);
    arena->purging_count--;
    change(&arena->figures.run_bytes, 0 - units_to_bytes(part_count));
    if (is_done) acre_page_map_set_dirty(arena->map, part, (size_t)part_count, false);
    join(arena, region, part, part_count, is_done ? 0 : part_dirty);
    return is_done ? units_to_bytes(part_dirty) : 0;
}

uint64_t acre_arena_purge(acre_arena *arena, uint64_t keep_bytes, uint64_t run_bytes_min)
{
    if ((arena->space->info.capabilities & ACRE_CAP_PURGE) == 0) return 0;
    uint64_t purged_bytes = 0;
    const unsigned bin_min = acre_bin_of(acre_max_size(run_bytes_min >> ACRE_UNIT_SHIFT, 1));
    acre_lock_take(&arena->lock);
    /* Longest first. A purged run is clean, so each is purged once; the lock is open during the system call. */
    for (unsigned end = ACRE_BIN_COUNT; end > bin_min && arena->figures.dirty_bytes > keep_bytes;) {
        const unsigned bin = bin_find_last(arena->dirty_bin_words, end - 1);
        if (bin == ACRE_BIN_COUNT || bin < bin_min) break;
        acre_span *run = arena->bins[bin];
        while (run != NULL && run->dirty_count == 0) run = run->next;
        if (run == NULL) arena->dirty_bin_words[bin / ACRE_WORD_BITS] &= ~((acre_word)1 << (bin % ACRE_WORD_BITS));
        if (run == NULL || units_to_bytes(run->unit_count) < run_bytes_min) {
            end = bin;
            continue;
        }
        const uint64_t part_bytes = purge_part(arena, run, arena->figures.dirty_bytes - keep_bytes);
        if (part_bytes == 0) break; /* the space refuses: trying on would find the same run for ever */
        purged_bytes += part_bytes;
    }
    arena->figures.purged_bytes += purged_bytes;
    acre_lock_drop(&arena->lock);
    return purged_bytes;
}

void acre_arena_destroy(acre_arena *arena)
{
    acre_region *next;
    for (acre_region *region = arena->regions; region != NULL; region = next) {
        next = region->next;
        acre_page_map_set_class(arena->map, region->base, (size_t)region->used_count, ACRE_CLASS_NONE);
        acre_page_map_set_dirty(arena->map, region->base, (size_t)region->used_count, false);
        for (acre_addr at = region->base; at < used_end(region); at += ACRE_UNIT_BYTES) {
            descriptor(arena, at)->kind = ACRE_SPAN_NONE; /* the map may outlive the arena: no tag may */
        }
        (void)acre_space_release(arena->space, region->base, units_to_bytes(region->unit_count));
    }
    arena->regions = NULL;
}

uint64_t acre_arena_demand(acre_arena *arena, uint64_t now_ns, uint64_t *run_bytes)
{
    acre_lock_take(&arena->lock);
    *run_bytes = arena->figures.run_bytes;
    const uint64_t peak = acre_demand_turn(&arena->demand, now_ns, *run_bytes);
    acre_lock_drop(&arena->lock);
    return peak;
}

acre_arena_figures acre_arena_read_figures(acre_arena *arena)
{
    acre_lock_take(&arena->lock);
    const acre_arena_figures figures = arena->figures;
    acre_lock_drop(&arena->lock);
    return figures;
}

/* Walks one region from run to run. Returns false at the first thing that is wrong. */
static bool region_is_valid(const acre_arena *arena, const acre_region *region, uint64_t *free_units, uint64_t *dirty_units,
                            uint64_t *free_runs)
{
    if (region->used_count > region->committed_count || region->committed_count > region->unit_count) return false;
    bool is_after_free = false;
    for (acre_addr at = region->base; at < used_end(region);) {
        const acre_span *const run = descriptor(arena, at);
        if (run->base != at || run->region != region || run->unit_count == 0) return false;
        const bool is_free = run->kind == ACRE_SPAN_FREE;
        if (is_free) {
            if (is_after_free) return false; /* two neighbours that were not joined */
            if (acre_page_map_count_dirty(arena->map, at, run->unit_count) != run->dirty_count) return false;
            const acre_span *const last = descriptor(arena, end_of(run) - ACRE_UNIT_BYTES);
            if (last != run && (last->kind != ACRE_SPAN_FREE_END || last->unit_count != run->unit_count)) return false;
            *free_units += run->unit_count;
            *dirty_units += run->dirty_count;
            (*free_runs)++;
        }
        is_after_free = is_free;
        at = end_of(run);
        if (at > used_end(region)) return false;
    }
    return true;
}

bool acre_arena_is_valid(acre_arena *arena)
{
    acre_lock_take(&arena->lock);
    uint64_t free_units = 0;
    uint64_t dirty_units = 0;
    uint64_t used_units = 0;
    uint64_t free_runs = 0;
    bool is_valid = true;
    for (const acre_region *region = arena->regions; region != NULL && is_valid; region = region->next) {
        is_valid = region_is_valid(arena, region, &free_units, &dirty_units, &free_runs);
        used_units += region->used_count;
    }
    for (unsigned bin = 0; bin < ACRE_BIN_COUNT && is_valid; bin++) {
        const bool is_marked = (arena->bin_words[bin / ACRE_WORD_BITS] >> (bin % ACRE_WORD_BITS) & 1) != 0;
        const bool may_be_dirty = (arena->dirty_bin_words[bin / ACRE_WORD_BITS] >> (bin % ACRE_WORD_BITS) & 1) != 0;
        if (is_marked != (arena->bins[bin] != NULL)) is_valid = false;
        for (const acre_span *run = arena->bins[bin]; run != NULL && is_valid; run = run->next) {
            is_valid = run->kind == ACRE_SPAN_FREE && acre_bin_of(run->unit_count) == bin &&
                       (run->next == NULL || run->next->previous == run) && (run->dirty_count == 0 || may_be_dirty) && free_runs > 0;
            free_runs--;
        }
    }
    is_valid = is_valid && free_runs == 0 && arena->figures.dirty_bytes == units_to_bytes(dirty_units) &&
               arena->figures.run_bytes == units_to_bytes(used_units - free_units);
    acre_lock_drop(&arena->lock);
    return is_valid;
}
