/* Proofs of alloc/offset_allocator.c on ranges of 6 granules in up to 3 extents, cut in any way, whose free ones stand in lists of one or
 * two regions in any order. Sizes so small have a list each; how larger ones are rounded to lists is proved apart. */
#include "../proof.h"

#include "alloc/offset_allocator.c"

acre_status acre_fail(acre_status status, const char *format, ...)
{
    (void)format;
    return status;
}

enum { GRANULES = 6, EXTENTS = 3, NODES = EXTENTS + 4, REGIONS = 2, LISTS = GRANULES + 1 };

static node nodes[NODES];
static uint32_t lists[(REGIONS - 1) * ACRE_OFFSET_ROW_LISTS + LISTS];
static uint32_t region_lists[REGIONS];
static uint16_t list_regions[LISTS];
static acre_offset_allocator heap;
static node before[NODES];

static bool is_free(const node *n) { return state_of(n) == STATE_FREE; }

/* As insert does, at the front or behind the first one. */
static void put_in_list(uint32_t index)
{
    node *const n = &nodes[index];
    const uint32_t region = n->at >> heap.region_shift;
    const uint32_t where = region * ACRE_OFFSET_ROW_LISTS + n->count;
    const uint32_t first = lists[where];
    const bool is_second = first != 0 && nondet_bool();
    n->list_previous = is_second ? first : 0;
    n->list_next = is_second ? 0 : first;
    if (is_second)
        nodes[first].list_next = index;
    else
        lists[where] = index;
    if (!is_second && first != 0) nodes[first].list_previous = index;
    region_lists[region] |= 1u << n->count;
    list_regions[n->count] |= (uint16_t)(1u << region);
    heap.region_rows[region] = 1;
    heap.row_regions[0] |= (uint16_t)(1u << region);
    heap.row_lists[0] |= 1u << n->count;
    heap.rows = 1;
    heap.free_count++;
}

static void any_heap(void)
{
    uint32_t at = 0;
    bool was_free = false;
    heap = (acre_offset_allocator){.nodes = nodes,
                                   .lists = lists,
                                   .region_lists = region_lists,
                                   .list_regions = list_regions,
                                   .row_count = 1,
                                   .region_shift = nondet_bool() ? 2 : 3,
                                   .granule_shift = 0,
                                   .granule_count = GRANULES,
                                   .large_count = nondet_u32(),
                                   .node_count_committed = NODES,
                                   .node_count_max = NODES,
                                   .name = "proof"};
    assume(heap.large_count > 0);
    uint32_t count = 0;
    for (uint32_t i = 1; i <= EXTENTS && at < GRANULES; i++) {
        node *const n = &nodes[i];
        const uint32_t generation = nondet_u32();
        const bool is_out = nondet_bool();
        *n = (node){.at = at, .count = i == EXTENTS ? GRANULES - at : nondet_u32(), .previous = i - 1, .next = i + 1};
        assume(n->count > 0 && n->count <= GRANULES - at && (is_out || !was_free));
        was_free = !is_out;
        n->state = generation << STATE_BITS | (is_out ? STATE_BLOCK : STATE_FREE);
        at += n->count;
        count = i;
        if (is_out) {
            heap.block_count++;
            heap.used_count += n->count;
            n->user = nondet_u64();
        } else {
            put_in_list(i);
        }
    }
    nodes[count].next = 0;
    heap.node_count = count + 1;
    if (nondet_bool()) { /* one record was dropped */
        nodes[count + 1] = (node){.state = nondet_u32() << STATE_BITS};
        heap.spare = count + 1;
        heap.node_count++;
    }
    heap.node_room = NODES - count - 1;
    for (uint32_t i = 1; i <= EXTENTS; i++) before[i] = nodes[i];
}

/* The row: from 0 to the end without a gap, no two free ones side by side, and counted. */
static void assert_row(void)
{
    uint32_t at = 0;
    uint32_t previous = 0;
    uint32_t blocks = 0;
    uint32_t frees = 0;
    uint64_t used = 0;
    bool was_free = false;
    uint32_t index = FIRST;
    for (uint32_t i = 0; i < EXTENTS + 2 && index != 0; i++) {
        assert(index < heap.node_count);
        const node *const n = &nodes[index];
        assert(n->at == at && n->previous == previous && n->count > 0 && n->count <= GRANULES - at);
        assert(is_free(n) || state_of(n) == STATE_BLOCK);
        assert(!(is_free(n) && was_free));
        was_free = is_free(n);
        frees += was_free;
        blocks += !was_free;
        if (!was_free) used += n->count;
        at += n->count;
        previous = index;
        index = n->next;
    }
    assert(index == 0 && at == GRANULES && blocks == heap.block_count && frees == heap.free_count && used == heap.used_count);
}

/* Each free extent stands in its list, and any list holds none but such, and is marked if it has one. */
static void assert_lists(void)
{
    const uint32_t index = nondet_u32();
    assume(index > 0 && index < heap.node_count);
    const node *const n = &nodes[index];
    if (is_free(n) && n->count > 0) {
        const uint32_t first = lists[(n->at >> heap.region_shift) * ACRE_OFFSET_ROW_LISTS + n->count];
        assert(first == index ? n->list_previous == 0 : n->list_previous != 0 && nodes[n->list_previous].list_next == index);
        assert(n->list_next == 0 || nodes[n->list_next].list_previous == index);
        assert(first != 0);
    }
    const uint32_t region = nondet_u32();
    const uint32_t list = nondet_u32();
    assume(region < REGIONS && list < LISTS);
    const uint32_t first = lists[region * ACRE_OFFSET_ROW_LISTS + list];
    if (first != 0) {
        assert(first < heap.node_count && is_free(&nodes[first]));
        assert(nodes[first].count == list && nodes[first].at >> heap.region_shift == region);
        assert((heap.region_rows[region] & 1) != 0 && (heap.row_regions[0] >> region & 1) != 0);
        assert((heap.row_lists[0] >> list & 1) != 0 && heap.rows == 1);
    }
    assert((region_lists[region] >> list & 1) == (first != 0 ? 1u : 0u));
    assert((list_regions[list] >> region & 1) == (first != 0 ? 1u : 0u));
    if ((heap.row_lists[0] >> list & 1) != 0) assert(list_regions[list] != 0);
    if ((heap.row_regions[0] >> region & 1) != 0) assert(region_lists[region] != 0);
}

static void check_choice(acre_offset_strategy strategy, bool is_large)
{
    const uint32_t count = nondet_u32();
    const uint32_t mask = ((uint32_t)1 << (nondet_u32() & 3)) - 1;
    assume(count > 0 && count <= GRANULES);
    const uint32_t index = choose(&heap, count, mask, strategy, is_large);
    if (index != 0) {
        assert(index <= EXTENTS && is_free(&nodes[index]));
        const uint32_t at = place_in(&nodes[index], count, mask, is_large);
        assert(at != UINT32_MAX && (at & mask) == 0 && at >= nodes[index].at && at + count <= nodes[index].at + nodes[index].count);
        return;
    }
    const uint32_t any = nondet_u32();
    assume(any > 0 && any <= EXTENTS && is_free(&nodes[any]) && nodes[any].count > 0);
    assert(((nodes[any].at + mask) & ~mask) + count > nodes[any].at + nodes[any].count);
}

/* PROOF offset_choose_small
 *   property: for a small block by good fit a free extent is chosen that holds it at a multiple of the alignment; none only when none does
 *   bound:    6 granules in at most 3 extents, cut in any way; alignment up to 8
 *   assumes:  nothing
 *   options:  --unwind 4 --unwindset look_through.0:3,look_through.1:3,look_through.2:4
 */
void prove_offset_choose_small(void)
{
    any_heap();
    check_choice(ACRE_OFFSET_GOOD_FIT, false);
}

/* PROOF offset_choose_large
 *   property: the same for a large block, at the upper end
 *   bound:    6 granules in at most 3 extents, cut in any way; alignment up to 8
 *   assumes:  nothing
 *   options:  --unwind 4 --unwindset look_through.0:3,look_through.1:3,look_through.2:4
 */
void prove_offset_choose_large(void)
{
    any_heap();
    check_choice(ACRE_OFFSET_GOOD_FIT, true);
}

/* PROOF offset_choose_best
 *   property: the same by best fit; with no alignment, no free extent that holds the block is shorter
 *   bound:    6 granules in at most 3 extents, cut in any way; alignment up to 8
 *   assumes:  nothing
 *   options:  --unwind 4 --unwindset look_through.0:3,look_through.1:3,look_through.2:4
 */
void prove_offset_choose_best(void)
{
    any_heap();
    const uint32_t count = nondet_u32();
    assume(count > 0 && count <= GRANULES);
    const uint32_t index = choose(&heap, count, 0, ACRE_OFFSET_BEST_FIT, false);
    const uint32_t any = nondet_u32();
    assume(any > 0 && any <= EXTENTS && is_free(&nodes[any]) && nodes[any].count >= count);
    assert(index != 0 && nodes[index].count >= count && nodes[index].count <= nodes[any].count);
}

/* Any place in any free extent. */
static uint32_t take_any(void)
{
    const uint32_t index = nondet_u32();
    const uint32_t at = nondet_u32();
    const uint32_t count = nondet_u32();
    assume(index > 0 && index <= EXTENTS && is_free(&nodes[index]) && nodes[index].count > 0);
    assume(at >= nodes[index].at && at < GRANULES && count > 0 && count <= GRANULES && at + count <= nodes[index].at + nodes[index].count);
    const uint32_t taken = take(&heap, index, at, count);
    assert(state_of(&nodes[taken]) == STATE_BLOCK && nodes[taken].at == at && nodes[taken].count == count);
    return taken;
}

/* PROOF offset_take_row
 *   property: a block is cut out of a free extent at any place: the extents still cover the range, no two free ones are neighbours, and the
 *             counts are right
 *   bound:    6 granules in at most 3 extents, cut in any way
 *   assumes:  nothing
 *   options:  --unwind 8
 */
void prove_offset_take_row(void)
{
    any_heap();
    (void)take_any();
    assert_row();
}

/* PROOF offset_take_lists
 *   property: what is left of the extent, and each other free one, stands in its list, and marks are set for lists that have one
 *   bound:    6 granules in at most 3 extents, cut in any way
 *   assumes:  nothing
 *   options:  --unwind 8
 */
void prove_offset_take_lists(void)
{
    any_heap();
    (void)take_any();
    assert_lists();
}

static acre_offset_block any_block(void)
{
    const uint32_t index = nondet_u32();
    assume(index > 0 && index < heap.node_count && state_of(&nodes[index]) == STATE_BLOCK);
    return name_of(&heap, index);
}

/* PROOF offset_free_row
 *   property: a freed block joins its free neighbours, and the counts are right
 *   bound:    6 granules in at most 3 extents, cut in any way
 *   assumes:  nothing
 *   options:  --unwind 8
 */
void prove_offset_free_row(void)
{
    any_heap();
    const acre_status status = acre_offset_free(&heap, any_block());
    assert(status == ACRE_OK);
    assert_row();
}

/* PROOF offset_free_lists
 *   property: after a free each free extent stands in its list, and marks are set for lists that have one
 *   bound:    6 granules in at most 3 extents, cut in any way
 *   assumes:  nothing
 *   options:  --unwind 8
 */
void prove_offset_free_lists(void)
{
    any_heap();
    (void)acre_offset_free(&heap, any_block());
    assert_lists();
}

/* PROOF offset_gate
 *   property: what names no block of the allocator is none, and a name is not good any more when its block was freed
 *   bound:    6 granules in at most 3 extents, cut in any way
 *   assumes:  nothing
 *   options:  --unwind 8
 */
void prove_offset_gate(void)
{
    any_heap();
    const acre_offset_block block = nondet_u64();
    const uint32_t index = node_of(&heap, block);
    if (index == 0) {
        const uint32_t any = nondet_u32();
        assume(any > 0 && any < heap.node_count && state_of(&nodes[any]) == STATE_BLOCK);
        assert(name_of(&heap, any) != block);
        return;
    }
    assert(index < heap.node_count && state_of(&nodes[index]) == STATE_BLOCK && name_of(&heap, index) == block);
    const acre_status status = acre_offset_free(&heap, block);
    assert(status == ACRE_OK && node_of(&heap, block) == 0);
    assert(((nodes[index].state ^ before[index].state) >> STATE_BITS & GENERATION_MASK) != 0); /* nor will it be that of a later block */
}

/* PROOF offset_resize_row
 *   property: a block becomes as long as asked for where it lies, or stays as it is when what is free behind it does not suffice
 *   bound:    6 granules in at most 3 extents, cut in any way
 *   assumes:  nothing
 *   options:  --unwind 8
 */
void prove_offset_resize_row(void)
{
    any_heap();
    const acre_offset_block block = any_block();
    const uint32_t index = (uint32_t)block;
    const uint64_t size = nondet_u64();
    const uint64_t count = size == 0 ? 1 : size;
    const uint32_t next = before[index].next;
    const uint64_t room = before[index].count + (next != 0 && is_free(&before[next]) ? before[next].count : 0);
    const acre_status status = acre_offset_resize(&heap, block, size);
    assert(status == (count <= room ? ACRE_OK : ACRE_NO_MEMORY));
    assert(nodes[index].at == before[index].at && nodes[index].count == (status == ACRE_OK ? count : before[index].count));
    assert_row();
}

/* PROOF offset_list_rounding
 *   property: lists grow with sizes, list_up is the first of which every size suffices, and differs from list_down by one at most
 *   bound:    unbounded
 *   assumes:  nothing
 */
void prove_offset_list_rounding(void)
{
    const uint32_t count = nondet_u32();
    const uint32_t other = nondet_u32();
    assume(count > 0 && other > 0 && count < UINT32_MAX - ((uint32_t)1 << 27));
    const uint32_t down = list_down(count);
    const uint32_t up = list_up(count);
    assert(up == down || up == down + 1);
    assert(down >> ROW_SHIFT < ACRE_OFFSET_ROWS_MAX);
    if (list_down(other) >= up) assert(other >= count);
    if (other >= count) assert(list_down(other) >= down);
    if (count < 64) assert(down == count && up == count);
}
