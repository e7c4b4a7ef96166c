/* Proofs of alloc/half_fit.c on heaps of 12 or 8 units in up to 4 or 3 blocks, cut in any way, with its free blocks in their lists in any
 * order. proofs/alloc/tight.c has the block format. */
#define ACRE_REALTIME_REGION_BYTES_MAX (16 << 10)
#ifndef UNITS
#define UNITS  12
#define BLOCKS 4
#endif
#define UNITS_BEFORE 16
#include "carved.h"
#include "alloc/half_fit.c"
#include "alloc/block.c"

static acre_half_fit heap;
static row before;

static uint32_t *link_at(uint32_t unit) { return acre_block_at(heap.base, unit); }

static void any_heap(void)
{
    heap = (acre_half_fit){.base = (unsigned char *)(words + 1), .end_unit = FIRST_UNIT + UNITS};
    row_base = heap.base + FIRST_UNIT * ACRE_UNIT_BYTES;
    before = any_row(UNIT_GRAIN);
    heap.live_units = before.live_units;
    for (uint32_t i = 0; i < LIST_COUNT; i++) link_at(i)[NEXT] = link_at(i)[PREVIOUS] = i;
    for (uint32_t i = 0; i < BLOCKS; i++) {
        const uint32_t units = units_of_block(&before, i);
        const uint32_t unit = FIRST_UNIT + before.unit[i];
        if (!before.is_free[i] || units == 0) continue;
        const uint32_t list = log2_floor(units);
        const bool is_last = nondet_bool();
        const uint32_t behind = is_last ? link_at(list)[PREVIOUS] : list; /* goes behind that one */
        const uint32_t front = link_at(behind)[NEXT];
        link_at(unit)[NEXT] = front;
        link_at(unit)[PREVIOUS] = behind;
        link_at(behind)[NEXT] = unit;
        link_at(front)[PREVIOUS] = unit;
        heap.filled_lists |= 1u << list;
    }
}

static bool has_free(uint32_t units)
{
    for (uint32_t i = 0; i < BLOCKS; i++) {
        const uint32_t length = units_of_block(&before, i);
        if (before.is_free[i] && length > 0 && log2_floor(length) >= log2_floor(units)) return true;
    }
    return false;
}

/* PROOF half_fit_alloc_place
 *   property: a block is cut from the beginning of a free one that is long enough, has a power of two of units that holds the request, and
 *             is refused only when no free block reaches that power of two
 *   bound:    12 units in at most 4 blocks, cut in any way
 *   assumes:  nothing
 *   options:  --unwind 17
 */
void prove_half_fit_alloc_place(void)
{
    any_heap();
    const size_t size = nondet_size();
    const uint32_t *const block = acre_half_fit_alloc(&heap, size);
    if (block == NULL) {
        assert(size > ACRE_REALTIME_REGION_BYTES_MAX || !has_free(units_of(size)));
        return;
    }
    const uint32_t units = units_of(size);
    bool is_place = false;
    for (uint32_t i = 0; i < BLOCKS; i++) {
        if (before.is_free[i] && units_of_block(&before, i) >= units && header_at(before.unit[i]) + 1 == block) is_place = true;
    }
    assert(is_place && (units & (units - 1)) == 0 && units * 8 >= size + 4);
    assert(acre_block_size(block[-1]) == units && acre_block_kind(block[-1], block - 1) == ACRE_BLOCK_USED);
    assert(heap.live_units == before.live_units + units);
}

/* That the lists have the free blocks of the row, wherever they begin now, and nothing else. */
static void assert_lists(void)
{
    uint32_t unit = FIRST_UNIT;
    uint32_t lists = 0;
    for (uint32_t i = 0; i <= BLOCKS && unit < heap.end_unit; i++) {
        const uint32_t *const header = link_at(unit);
        const uint32_t units = acre_block_size(*header);
        if (acre_block_kind(*header, header) == ACRE_BLOCK_FREE) {
            const uint32_t list = log2_floor(units);
            uint32_t found = link_at(list)[NEXT];
            assert(link_at(header[NEXT])[PREVIOUS] == unit && link_at(header[PREVIOUS])[NEXT] == unit);
            if (found != unit) found = link_at(found)[NEXT];
            assert(found == unit); /* of at most 2 free blocks */
            lists |= 1u << list;
        }
        unit += units;
    }
    const uint32_t list = nondet_u32(); /* any one */
    assume(list < LIST_COUNT);
    assert(unit == heap.end_unit && heap.filled_lists == lists);
    assert((lists >> list & 1) != 0 || (link_at(list)[NEXT] == list && link_at(list)[PREVIOUS] == list));
}

/* PROOF half_fit_alloc_row
 *   property: after a block of any size, or its refusal, the row of blocks is whole
 *   bound:    8 units in at most 3 blocks, cut in any way
 *   assumes:  nothing
 *   options:  -DUNITS=8 -DBLOCKS=3 --unwind 17
 */
void prove_half_fit_alloc_row(void)
{
    any_heap();
    (void)acre_half_fit_alloc(&heap, nondet_size());
    assert(acre_block_row_is_valid(row_base, UNITS, heap.live_units));
}

/* PROOF half_fit_alloc_lists
 *   property: after a block of any size, or its refusal, lists and their bits have the free blocks and nothing else
 *   bound:    8 units in at most 3 blocks, cut in any way
 *   assumes:  nothing
 *   options:  -DUNITS=8 -DBLOCKS=3 --unwind 17
 */
void prove_half_fit_alloc_lists(void)
{
    any_heap();
    (void)acre_half_fit_alloc(&heap, nondet_size());
    assert_lists();
}

static void free_any(void)
{
    any_heap();
    const uint32_t i = nondet_u32();
    assume(i < BLOCKS && !before.is_free[i] && units_of_block(&before, i) > 0);
    assert(acre_half_fit_free(&heap, header_at(before.unit[i]) + 1) == ACRE_OK);
    assert(heap.live_units == before.live_units - units_of_block(&before, i));
}

/* PROOF half_fit_free_row
 *   property: a block in use is taken back, joins its neighbours, and the row of blocks is whole
 *   bound:    8 units in at most 3 blocks, cut in any way
 *   assumes:  nothing
 *   options:  -DUNITS=8 -DBLOCKS=3 --unwind 17
 */
void prove_half_fit_free_row(void)
{
    free_any();
    assert(acre_block_row_is_valid(row_base, UNITS, heap.live_units));
}

/* PROOF half_fit_free_lists
 *   property: after a block is taken back, lists and their bits have the free blocks and nothing else
 *   bound:    8 units in at most 3 blocks, cut in any way
 *   assumes:  nothing
 *   options:  -DUNITS=8 -DBLOCKS=3 --unwind 17
 */
void prove_half_fit_free_lists(void)
{
    free_any();
    assert_lists();
}

/* PROOF half_fit_free_refuses
 *   property: a pointer that is no block in use, the ends of lists among them, is refused
 *   bound:    12 units in at most 4 blocks, cut in any way; what is in the blocks is 0
 *   assumes:  nothing
 *   options:  --unwind 17
 */
void prove_half_fit_free_refuses(void)
{
    any_heap();
    const uintptr_t offset = nondet_word();
    for (uint32_t i = 0; i < BLOCKS; i++) {
        const bool is_used = !before.is_free[i] && units_of_block(&before, i) > 0;
        assume(!is_used || offset != 8 * (uintptr_t)(FIRST_UNIT + before.unit[i]));
    }
    assert(acre_half_fit_free(&heap, (void *)((uintptr_t)heap.base + 4 + offset)) == ACRE_BAD_POINTER);
}
