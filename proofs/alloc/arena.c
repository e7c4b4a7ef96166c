/* Proofs of alloc/arena.c: the lists of free runs, and joining and cutting runs.
 *
 * The page map is replaced by two arrays, one descriptor and one dirty mark a unit, which proofs/alloc/page_map.c justifies:
 * the map is a function from addresses to such places. Everything else is the code as it is.
 */
#include "../proof.h"
#include "base/bits.h"
#include "alloc/arena.c"
#include "alloc/size_class.c"

#ifndef UNITS
#define UNITS 4 /* of the region: enough for a run with a free neighbour on both sides and something taken beyond one */
#endif
#define BASE ((acre_addr)ACRE_UNIT_BYTES * 17) /* odd, so that alignment matters */

static acre_span spans[UNITS];
static bool dirty[UNITS];
static acre_arena arena;
static acre_region region;
static size_t used_units = UNITS; /* of the region; what follows was never handed out */

static size_t unit_of(acre_addr address)
{
    assert(address >= BASE && address < BASE + UNITS * (acre_addr)ACRE_UNIT_BYTES && address % ACRE_UNIT_BYTES == 0);
    return (size_t)((address - BASE) >> ACRE_UNIT_SHIFT);
}

acre_span *acre_page_map_span(const acre_page_map *map, acre_addr address)
{
    (void)map;
    return &spans[unit_of(address)];
}

void acre_page_map_set_dirty(acre_page_map *map, acre_addr address, size_t unit_count, bool is_dirty)
{
    (void)map;
    const size_t first = unit_of(address);
    assert(unit_count <= UNITS - first);
    for (size_t i = 0; i < UNITS; i++) {
        if (i >= first && i - first < unit_count) dirty[i] = is_dirty;
    }
}

size_t acre_page_map_count_dirty(const acre_page_map *map, acre_addr address, size_t unit_count)
{
    (void)map;
    const size_t first = unit_of(address);
    assert(unit_count <= UNITS - first);
    size_t count = 0;
    for (size_t i = 0; i < UNITS; i++) count += i >= first && i - first < unit_count && dirty[i];
    return count;
}

/* ---- the lists ---- */

/* PROOF bin_of
 *   property: a longer run never stands in an earlier list, one length a list up to 64 units; every length has a list
 *   bound:    unbounded
 *   assumes:  the length is not 0
 */
void prove_bin_of(void)
{
    const uint64_t a = nondet_u64(), b = nondet_u64();
    assume(a > 0 && a <= b);
    assert(acre_bin_of(a) <= acre_bin_of(b) && acre_bin_of(b) < ACRE_BIN_COUNT);
    if (b <= ACRE_BIN_EXACT_MAX && a != b) assert(acre_bin_of(a) != acre_bin_of(b));
    /* In a list for longer runs no run is more than an eighth longer than another, up to the last, open-ended list. */
    if (acre_bin_of(a) == acre_bin_of(b) && acre_bin_of(a) < ACRE_BIN_COUNT - 1) assert(b - a <= a / 8);
}

/* PROOF bin_find
 *   property: finds the first list at or after a given one that has runs, or says that there is none
 *   bound:    unbounded
 *   assumes:  the bits tell which lists have runs (bin_insert, bin_remove)
 *   options:  --unwind 6
 */
void prove_bin_find(void)
{
    for (unsigned i = 0; i < ACRE_WORDS(ACRE_BIN_COUNT); i++) arena.bin_words[i] = nondet_word();
    assume(arena.bin_words[ACRE_BIN_COUNT / ACRE_WORD_BITS] >> (ACRE_BIN_COUNT % ACRE_WORD_BITS) == 0);
    const unsigned from = nondet_unsigned(), other = nondet_unsigned();
    const unsigned found = bin_find(&arena, from);
    assume(other >= from && other < ACRE_BIN_COUNT);
    const bool other_has_runs = (arena.bin_words[other / ACRE_WORD_BITS] >> (other % ACRE_WORD_BITS) & 1) != 0;
    assert(found <= ACRE_BIN_COUNT);
    if (found < ACRE_BIN_COUNT) {
        assert(found >= from && (arena.bin_words[found / ACRE_WORD_BITS] >> (found % ACRE_WORD_BITS) & 1) != 0);
    }
    if (other < found) assert(!other_has_runs);
}

/* PROOF bin_find_last
 *   property: finds the last list at or before a given one whose bit is set, or says that there is none
 *   bound:    unbounded
 *   assumes:  the bits tell which lists may have dirty runs (free_run_make)
 *   options:  --unwind 6
 */
void prove_bin_find_last(void)
{
    for (unsigned i = 0; i < ACRE_WORDS(ACRE_BIN_COUNT); i++) arena.bin_words[i] = nondet_word();
    const unsigned up_to = nondet_unsigned(), other = nondet_unsigned();
    assume(up_to < ACRE_BIN_COUNT && other <= up_to);
    const unsigned found = bin_find_last(arena.bin_words, up_to);
    const bool other_has_runs = (arena.bin_words[other / ACRE_WORD_BITS] >> (other % ACRE_WORD_BITS) & 1) != 0;
    assert(found <= up_to || found == ACRE_BIN_COUNT);
    if (found < ACRE_BIN_COUNT) assert((arena.bin_words[found / ACRE_WORD_BITS] >> (found % ACRE_WORD_BITS) & 1) != 0);
    if (found == ACRE_BIN_COUNT || other > found) assert(!other_has_runs);
}

/* A list with any number of runs, of which those next to the one looked at are told: none, one or two. */
static void any_list(unsigned bin, acre_span *first, acre_span *second)
{
    first->unit_count = second->unit_count = bin + 1;
    const unsigned length = nondet_unsigned();
    arena.bins[bin] = length == 0 ? NULL : first;
    first->previous = NULL;
    first->next = length > 1 ? second : NULL;
    second->previous = first;
    second->next = NULL;
    const acre_word others = nondet_word() & ~((acre_word)1 << bin);
    arena.bin_words[0] = others | ((acre_word)(length > 0) << bin);
}

static bool bin_bit(unsigned bin) { return (arena.bin_words[0] >> bin & 1) != 0; }

/* PROOF bin_insert
 *   property: a run is put in front of its list, whose other runs stay in order; the list's bit is set, no other bit changes
 *   bound:    unbounded: only the first run of a list is looked at
 *   assumes:  the list is well linked, its bit tells whether it is empty
 */
void prove_bin_insert(void)
{
    const unsigned bin = nondet_unsigned();
    assume(bin < ACRE_BIN_EXACT_MAX);
    any_list(bin, &spans[0], &spans[1]);
    acre_span *const first = arena.bins[bin];
    const acre_word bits = arena.bin_words[0];
    spans[2].unit_count = bin + 1;
    bin_insert(&arena, &spans[2]);
    assert(arena.bins[bin] == &spans[2] && spans[2].previous == NULL && spans[2].next == first);
    if (first != NULL) assert(first->previous == &spans[2]);
    assert(arena.bin_words[0] == (bits | (acre_word)1 << bin));
}

/* PROOF bin_remove
 *   property: a run leaves its list, whose other runs stay in order; the bit is cleared with the last run, no other bit changes
 *   bound:    unbounded: only the neighbours of a run are looked at
 *   assumes:  the list is well linked, its bit tells whether it is empty
 */
void prove_bin_remove(void)
{
    const unsigned bin = nondet_unsigned();
    assume(bin < ACRE_BIN_EXACT_MAX);
    any_list(bin, &spans[0], &spans[1]);
    assume(arena.bins[bin] != NULL);
    const bool has_second = spans[0].next != NULL;
    const bool remove_second = has_second && nondet_bool();
    const acre_word bits = arena.bin_words[0];
    bin_remove(&arena, remove_second ? &spans[1] : &spans[0]);
    if (remove_second) {
        assert(arena.bins[bin] == &spans[0] && spans[0].next == NULL && spans[0].previous == NULL);
    } else {
        assert(arena.bins[bin] == (has_second ? &spans[1] : NULL));
        if (has_second) assert(spans[1].previous == NULL && spans[1].next == NULL);
    }
    assert(bin_bit(bin) == (arena.bins[bin] != NULL));
    assert((arena.bin_words[0] | (acre_word)1 << bin) == bits);
}

/* ---- runs ---- */

/* Every way to cut UNITS used units into taken and free runs, no two free ones side by side: bit i of `starts` says that a run
 * begins at unit i, bit i of `frees` that it is free. The shapes are gone through one by one, so that the prover's formulas
 * are left with what is arbitrary in each: which units are dirty. False: no such shape. */
#define ANY_UNITS UINT32_MAX
static unsigned dirty_units = ANY_UNITS; /* as a set; ANY_UNITS: each may be or not */

static bool make_region(unsigned starts, unsigned frees)
{
    static acre_space space;
    if ((starts & 1) == 0 || (frees & ~starts) != 0 || starts >> used_units != 0) return false;
    for (unsigned unit = 0, last = 0; unit < UNITS; unit++) {
        if ((starts >> unit & 1) == 0) continue;
        if (unit > 0 && (frees >> last & 1) != 0 && (frees >> unit & 1) != 0) return false;
        last = unit;
    }
    arena.space = &space;
    arena.figures = (acre_arena_figures){0};
    arena.bin_words[0] = 0;
    for (unsigned bin = 0; bin < UNITS; bin++) arena.bins[bin] = NULL; /* no run is longer */
    region = (acre_region){.base = BASE, .unit_count = UNITS, .used_count = used_units, .committed_count = UNITS, .arena = &arena};
    for (size_t unit = 0; unit < UNITS; unit++) {
        dirty[unit] = unit < used_units && (dirty_units == ANY_UNITS ? nondet_bool() : (dirty_units >> unit & 1) != 0);
        spans[unit] = (acre_span){0};
    }
    for (size_t at = 0, length; at < used_units; at += length) {
        for (length = 1; at + length < used_units && (starts >> (at + length) & 1) == 0; length++) {}
        const bool is_free = (frees >> at & 1) != 0;
        const acre_addr address = BASE + units_to_bytes(at);
        if (is_free) {
            free_run_make(&arena, &region, address, length, acre_page_map_count_dirty(NULL, address, length));
        } else {
            spans[at] = (acre_span){.base = address, .region = &region, .unit_count = (uint32_t)length, .kind = ACRE_SPAN_LARGE};
            arena.figures.run_bytes += units_to_bytes(length);
            for (size_t i = 0; i < length; i++) dirty[at + i] = true; /* taken units are marked when they are taken */
        }
    }
    return true;
}

static bool is_in_bin(const acre_span *run)
{
    const acre_span *at = arena.bins[acre_bin_of(run->unit_count)];
    for (unsigned i = 0; i < UNITS && at != NULL; i++, at = at->next) {
        if (at == run) return true;
    }
    return false;
}

/* The invariant of acre_arena_is_valid, unit by unit. `taken` runs of the region may still lack their kind. */
static void check_region(void)
{
    bool is_after_free = false;
    uint64_t dirty_units = 0;
    unsigned run_count[2] = {0, 0};
    assert(region.used_count <= UNITS);
    for (size_t at = 0; at < region.used_count;) {
        const acre_span *const run = &spans[at];
        assert(run->base == BASE + units_to_bytes(at) && run->region == &region);
        assert(run->unit_count >= 1 && run->unit_count <= region.used_count - at);
        const bool is_free = run->kind == ACRE_SPAN_FREE;
        if (is_free) {
            assert(!is_after_free);
            const acre_span *const last = &spans[at + run->unit_count - 1];
            assert(last == run || (last->kind == ACRE_SPAN_FREE_END && last->unit_count == run->unit_count));
            assert(run->dirty_count == acre_page_map_count_dirty(NULL, run->base, run->unit_count));
            assert(is_in_bin(run));
            dirty_units += run->dirty_count;
        }
        for (size_t i = 1; i < run->unit_count; i++) { /* a run has no tag but at its ends */
            assert(spans[at + i].kind == ACRE_SPAN_NONE || (is_free && i == run->unit_count - 1));
        }
        run_count[is_free]++;
        is_after_free = is_free;
        at += run->unit_count;
    }
    unsigned listed = 0;
    for (unsigned bin = 0; bin < UNITS; bin++) {
        assert(bin_bit(bin) == (arena.bins[bin] != NULL));
        for (const acre_span *run = arena.bins[bin]; run != NULL; run = run->next) listed++;
    }
    assert(listed == run_count[true]);
    assert(arena.figures.dirty_bytes == units_to_bytes(dirty_units));
}

static void give_any_run_of_any_region(unsigned first_unit, unsigned end_unit, bool is_clean)
{
    for (unsigned starts = 1; starts < 1 << UNITS; starts += 2) {
        for (unsigned frees = 0; frees < 1 << UNITS; frees++) {
            for (unsigned at = first_unit; at < end_unit; at++) {
                if ((starts >> at & 1) == 0 || (frees >> at & 1) != 0 || !make_region(starts, frees)) continue;
                const uint64_t run_bytes = arena.figures.run_bytes;
                const uint64_t given_bytes = units_to_bytes(spans[at].unit_count);
                acre_arena_give(&arena, &spans[at], is_clean);
                assert(arena.figures.run_bytes == run_bytes - given_bytes);
                check_region();
            }
        }
    }
}

/* PROOF arena_give_dirty_low
 *   property: a run that is given back is joined with the free runs on both sides; tags, lists, dirty counts and figures are right
 *   bound:    unbounded in history; every region of 4 units, every run of it that begins in the lower half
 *   assumes:  the run was taken
 *   options:  --unwind 17
 */
void prove_arena_give_dirty_low(void) { give_any_run_of_any_region(0, UNITS / 2, false); }

/* PROOF arena_give_dirty_high
 *   property: a run that is given back is joined with the free runs on both sides; tags, lists, dirty counts and figures are right
 *   bound:    unbounded in history; every region of 4 units, every run of it that begins in the upper half
 *   assumes:  the run was taken
 *   options:  --unwind 17
 */
void prove_arena_give_dirty_high(void) { give_any_run_of_any_region(UNITS / 2, UNITS, false); }

/* PROOF arena_give_clean_low
 *   property: the same for a run that has no memory behind it any more: its units are clean, its neighbours' stay as they were
 *   bound:    unbounded in history; every region of 4 units, every run of it that begins in the lower half
 *   assumes:  the run was taken, and reads as zero
 *   options:  --unwind 17
 */
void prove_arena_give_clean_low(void) { give_any_run_of_any_region(0, UNITS / 2, true); }

/* PROOF arena_give_clean_high
 *   property: the same for a run that has no memory behind it any more: its units are clean, its neighbours' stay as they were
 *   bound:    unbounded in history; every region of 4 units, every run of it that begins in the upper half
 *   assumes:  the run was taken, and reads as zero
 *   options:  --unwind 17
 */
void prove_arena_give_clean_high(void) { give_any_run_of_any_region(UNITS / 2, UNITS, true); }

/* One taking of `count` units from every region of UNITS units. */
static void take_from_any_region(unsigned count, uint64_t alignment)
{
    const unsigned slack = (unsigned)(alignment >> ACRE_UNIT_SHIFT) - 1; /* units that an unlucky place may cost */
    for (unsigned starts = 1; starts < 1 << UNITS; starts += 2) {
        for (unsigned frees = 0; frees < 1 << UNITS; frees++) {
            if (!make_region(starts, frees)) continue;
            const bool gives_zeros = nondet_bool();
            arena.space->info.capabilities = gives_zeros ? ACRE_CAP_ZEROED : 0;
            bool must_fit = false, may_fit = false, was_dirty[UNITS];
            for (size_t at = 0; at < UNITS; at++) {
                was_dirty[at] = dirty[at];
                if (spans[at].kind != ACRE_SPAN_FREE) continue;
                if (spans[at].unit_count >= count) may_fit = true;
                if (spans[at].unit_count >= count + slack) must_fit = true;
            }

            bool is_zero = false;
            acre_span *const run = take_from_bins(&arena, count, alignment, &is_zero);
            assert(run != NULL || !must_fit);
            assert(run == NULL || may_fit);
            if (run == NULL) continue;
            assert(run->unit_count == count && (run->base & (alignment - 1)) == 0);
            const size_t first = unit_of(run->base);
            bool is_dirty = false, was_free = false;
            for (size_t i = 0; i < count; i++) is_dirty = is_dirty || was_dirty[first + i];
            for (size_t at = 0; at <= first; at++) {
                if ((starts >> at & 1) != 0) was_free = (frees >> at & 1) != 0;
            }
            assert(was_free && is_zero == (gives_zeros && !is_dirty));
            account_taken(&arena, run->base, count);
            check_region();
        }
    }
}

/* PROOF arena_take
 *   property: a run is taken out of a free one whenever one is long enough, what is left is free again, and it is called zero exactly
 *             if none of its units is dirty and the space hands out zeros
 *   bound:    unbounded in history; every region of 3 units, every length
 *   assumes:  alignment of a unit; the region has no unused end
 *   options:  --unwind 9 -DUNITS=3
 */
void prove_arena_take(void)
{
    for (unsigned count = 1; count <= UNITS; count++) take_from_any_region(count, ACRE_UNIT_BYTES);
}

/* PROOF arena_take_aligned
 *   property: the same with an alignment that may leave free units on both sides of the run
 *   bound:    unbounded in history; every region of 4 units, 1 unit aligned to 2
 *   assumes:  the region has no unused end
 *   options:  --unwind 17
 */
void prove_arena_take_aligned(void) { take_from_any_region(1, 2 * ACRE_UNIT_BYTES); }

/* Every region of which the last unit may be unused, and every taken run of it: made longer by `more` units, or shorter. */
static void resize_any_run(bool is_longer)
{
    for (used_units = UNITS - 1; used_units <= UNITS; used_units++) {
        for (unsigned starts = 1; starts < 1 << UNITS; starts += 2) {
            for (unsigned frees = 0; frees < 1 << UNITS; frees++) {
                for (unsigned at = 0; at < used_units; at++) {
                    for (unsigned to = 1; to <= UNITS; to++) {
                        if ((starts >> at & 1) == 0 || (frees >> at & 1) != 0 || !make_region(starts, frees)) continue;
                        const unsigned length = spans[at].unit_count;
                        if (is_longer ? to <= length : to >= length) continue;
                        const uint64_t run_bytes = arena.figures.run_bytes;
                        const bool gives_zeros = nondet_bool();
                        arena.space->info.capabilities = gives_zeros ? ACRE_CAP_ZEROED : 0;
                        bool is_dirty = false, is_zero = false, is_done = true;
                        for (size_t i = at + length; i < at + to && i < UNITS; i++) is_dirty = is_dirty || dirty[i];
                        /* What follows the run: nothing taken before its new end. */
                        bool may_grow = at + to <= UNITS;
                        for (size_t i = at + length; i < at + to && i < used_units; i++) {
                            if ((starts >> i & 1) != 0 && (frees >> i & 1) == 0) may_grow = false;
                        }
                        if (is_longer) is_done = acre_arena_extend(&arena, &spans[at], to, &is_zero);
                        else acre_arena_shrink(&arena, &spans[at], to);
                        assert(!is_longer || is_done == may_grow);
                        assert(spans[at].unit_count == (is_done ? to : length) && spans[at].kind == ACRE_SPAN_LARGE);
                        assert(arena.figures.run_bytes == (is_done ? run_bytes - units_to_bytes(length) + units_to_bytes(to) : run_bytes));
                        if (is_longer && is_done) assert(is_zero == (gives_zeros && !is_dirty));
                        for (size_t i = to; i < length; i++) assert(dirty[at + i]); /* what is cut off was written to */
                        check_region();
                    }
                }
            }
        }
    }
}

/* PROOF arena_extend
 *   property: a run is made longer exactly if what follows it, up to the new end, is free or was never used; the new units are called
 *             zero exactly if none is dirty and the space hands out zeros; tags, lists, dirty counts and figures are right
 *   bound:    unbounded in history; every region of 3 units, the last of which may be unused, every taken run, every length
 *   assumes:  the units of the region are committed
 *   options:  --unwind 9 -DUNITS=3
 */
void prove_arena_extend(void) { resize_any_run(true); }

/* PROOF arena_shrink
 *   property: a run is cut to its first units and the rest is joined with what is free behind it; tags, lists, dirty counts and figures
 *             are right
 *   bound:    unbounded in history; every region of 3 units, the last of which may be unused, every taken run, every length
 *   assumes:  nothing
 *   options:  --unwind 9 -DUNITS=3
 */
void prove_arena_shrink(void) { resize_any_run(false); }

/* PROOF arena_take_from_end
 *   property: a run is taken out of what was never used and the free run below it whenever they are long enough, what is left of that
 *             run is free again, and the new run is called zero exactly if none of its units is dirty and the space hands out zeros
 *   bound:    unbounded in history; every region of 3 units of which 1 or 2 are unused, every length
 *   assumes:  alignment of a unit; the units of the region are committed
 *   options:  --unwind 9 -DUNITS=3
 */
void prove_arena_take_from_end(void)
{
    for (used_units = 1; used_units < UNITS; used_units++) {
        for (unsigned starts = 1; starts < 1 << UNITS; starts += 2) {
            for (unsigned frees = 0; frees < 1 << UNITS; frees++) {
                for (unsigned count = 1; count <= UNITS; count++) {
                    if (!make_region(starts, frees)) continue;
                    const bool gives_zeros = nondet_bool();
                    arena.space->info.capabilities = gives_zeros ? ACRE_CAP_ZEROED : 0;
                    size_t first = used_units; /* of the free run below, if there is one */
                    for (size_t at = 0; at < used_units; at++) {
                        if ((starts >> at & 1) != 0) first = (frees >> at & 1) != 0 ? at : used_units;
                    }
                    bool is_dirty = false, is_zero = false;
                    for (size_t i = first; i < first + count && i < UNITS; i++) is_dirty = is_dirty || dirty[i];
                    acre_span *const run = take_from_end(&arena, &region, count, ACRE_UNIT_BYTES, &is_zero);
                    assert((run != NULL) == (first + count <= UNITS));
                    if (run != NULL) {
                        assert(run == &spans[first] && run->unit_count == count && is_zero == (gives_zeros && !is_dirty));
                        account_taken(&arena, run->base, count);
                    }
                    check_region();
                }
            }
        }
    }
}

/* What the space does while the lock is open. */
static acre_addr purged_at;
static uint64_t purged_bytes_asked;
static bool can_purge_now;

acre_status acre_space_purge(acre_space *space, acre_addr address, uint64_t size)
{
    (void)space;
    purged_at = address;
    purged_bytes_asked = size;
    return can_purge_now ? ACRE_OK : ACRE_IO;
}

/* A purge of the free run at `at` in a region whose runs begin and are free as said. */
static void purge_run(unsigned starts, unsigned frees, unsigned at, unsigned surplus)
{
    if (!make_region(starts, frees) || spans[at].dirty_count == 0) return;
    const unsigned length = spans[at].unit_count;
    bool was_dirty[UNITS];
    for (unsigned i = 0; i < UNITS; i++) was_dirty[i] = dirty[i];
    const uint64_t run_bytes = arena.figures.run_bytes, dirty_bytes = arena.figures.dirty_bytes;
    const uint64_t gone = purge_part(&arena, &spans[at], units_to_bytes(surplus));
    const size_t first = unit_of(purged_at), count = purged_bytes_asked >> ACRE_UNIT_SHIFT;
    assert(first >= at && first + count <= at + length && count >= 1 && count <= surplus);
    for (size_t i = first + count; i < at + length; i++) assert(!was_dirty[i]);
    unsigned expected = 0;
    for (unsigned i = 0; i < UNITS; i++) {
        const bool is_in = i >= first && i - first < count;
        expected += is_in && was_dirty[i];
        assert(dirty[i] == (was_dirty[i] && !(is_in && can_purge_now)));
    }
    assert(expected >= 1 && gone == (can_purge_now ? units_to_bytes(expected) : 0));
    assert(arena.figures.dirty_bytes == dirty_bytes - gone && arena.figures.run_bytes == run_bytes);
    check_region();
}

static void purge_any_run(void)
{
    for (dirty_units = 0; dirty_units < 1 << UNITS; dirty_units++) {
        for (unsigned surplus = 1; surplus <= UNITS; surplus++) {
            purge_run(1, 1, 0, surplus); /* all of the region */
            if (surplus < UNITS) purge_run(5, 1, 0, surplus); /* two units, then a taken one */
            if (surplus < UNITS) purge_run(3, 2, 1, surplus); /* a taken one, then two units */
        }
    }
}

/* PROOF arena_purge_part
 *   property: a purge takes a part out of a free run of which something is dirty, no longer than it was asked for, with nothing dirty
 *             above it; after it exactly that part is clean and everything is joined as it was
 *   bound:    unbounded in history; every free run of 2 or 3 units in a region of 3, whatever of it is dirty, every surplus
 *   assumes:  no other thread takes or gives a run while the lock is open (every one of those is a step of its own)
 *   options:  --unwind 9 -DUNITS=3
 */
void prove_arena_purge_part(void)
{
    can_purge_now = true;
    purge_any_run();
}

/* PROOF arena_purge_refused
 *   property: when the space refuses to purge, nothing has changed
 *   bound:    as arena_purge_part
 *   assumes:  as arena_purge_part
 *   options:  --unwind 9 -DUNITS=3
 */
void prove_arena_purge_refused(void)
{
    can_purge_now = false;
    purge_any_run();
}
