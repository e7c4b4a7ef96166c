/* Proofs of alloc/tight.c and alloc/block.h on a heap of 20 units or less in a few blocks, cut in any way: they cross from the first chunk
 * into the second. Headers are narrow and the forest has its roots only; proofs/alloc/tight_trees.c has the trees. */
#define ACRE_REALTIME_REGION_BYTES_MAX (16 << 10)
#include "carved.h"
#include "alloc/tight.c"
#include "alloc/block.c"

static unsigned char window[WINDOW_BYTES];
static acre_tight_length tops[2 * ROOT];
static acre_tight heap;
static row before;

static uint32_t longest_from(const row *of, uint32_t first, uint32_t end)
{
    uint32_t longest = 0;
    for (uint32_t i = 0; i < BLOCKS; i++) {
        const uint32_t units = units_of_block(of, i);
        if (of->is_free[i] && units > 1 && of->unit[i] >= first && of->unit[i] < end && units > longest) longest = units;
    }
    return longest;
}

/* The trees over a row: two chunks, nodes 16 and 17 of the one window. */
static void any_heap(void)
{
    row_base = (unsigned char *)(words + 1);
    before = any_row(1);
    for (uint32_t i = 0; i < BLOCKS; i++) {
        const uint32_t unit = before.unit[i];
        if (!before.is_free[i] || units_of_block(&before, i) < 2) continue;
        uint16_t *const bits = bits_of(window, FIRST_CHUNK + unit / CHUNK_UNITS);
        *bits = (uint16_t)(*bits | 0x8000u >> unit % CHUNK_UNITS);
    }
    const uint32_t low = longest_from(&before, 0, CHUNK_UNITS);
    const uint32_t high = longest_from(&before, CHUNK_UNITS, UNITS);
    window[16] = (unsigned char)low;
    window[17] = (unsigned char)high;
    window[8] = window[4] = window[2] = (unsigned char)(low > high ? low : high);
    tops[ROOT] = window[2];
    for (uint32_t i = FIRST_NODE; i < ROOT; i++) tops[i] = UINT16_MAX;
    heap = (acre_tight){.base = row_base, .windows = window, .tops = tops, .unit_count = UNITS, .live_units = before.live_units};
}

/* That the trees say what the row has, wherever blocks begin now. */
static void assert_trees(void)
{
    uint32_t unit = 0;
    uint32_t longest[2] = {0, 0};
    uint32_t bits[2] = {0, 0};
    for (uint32_t i = 0; i <= BLOCKS && unit < UNITS; i++) {
        const uint32_t *const header = header_at(unit);
        const uint32_t units = acre_block_size(*header);
        if (acre_block_kind(*header, header) == ACRE_BLOCK_FREE && units > 1) {
            const uint32_t chunk = unit / CHUNK_UNITS;
            bits[chunk] |= 0x8000u >> unit % CHUNK_UNITS;
            if (units > longest[chunk]) longest[chunk] = units;
        }
        unit += units;
    }
    assert(unit == UNITS);
    const uint32_t greatest = longest[0] > longest[1] ? longest[0] : longest[1];
    for (uint32_t chunk = 0; chunk < 2; chunk++) {
        assert(*bits_of(window, FIRST_CHUNK + chunk) == bits[chunk] && window[16 + chunk] == longest[chunk]);
    }
    assert(window[8] == greatest && window[4] == greatest && window[2] == greatest && tops[ROOT] == greatest);
}

/* The model of first fit. */
static uint32_t lowest_with(uint32_t units)
{
    for (uint32_t i = 0; i < BLOCKS; i++) {
        if (before.is_free[i] && units_of_block(&before, i) >= units) return before.unit[i];
    }
    return UNITS;
}

/* PROOF tight_alloc_place
 *   property: a block goes where the lowest free block begins that has room for it, has its size, and is refused only when none has
 *   bound:    20 units in at most 5 blocks, cut in any way
 *   assumes:  nothing
 *   options:  --unwind 9
 */
void prove_tight_alloc_place(void)
{
    any_heap();
    const size_t size = nondet_size();
    const uint32_t *const block = acre_tight_alloc(&heap, size);
    if (block == NULL) {
        assert(size > UNITS * 8 - 4 || lowest_with(acre_block_units(size)) == UNITS);
    } else {
        const uint32_t *const header = header_at(lowest_with(acre_block_units(size)));
        assert(block == header + 1);
        assert(acre_block_kind(*header, header) == ACRE_BLOCK_USED && acre_block_size(*header) == acre_block_units(size));
    }
}

/* PROOF tight_alloc_row
 *   property: after a block of any size, or its refusal, the row of blocks is whole
 *   bound:    18 units in at most 3 blocks, cut in any way
 *   assumes:  nothing
 *   options:  -DUNITS=18 -DBLOCKS=3 --unwind 7
 */
void prove_tight_alloc_row(void)
{
    any_heap();
    (void)acre_tight_alloc(&heap, nondet_size());
    assert(acre_block_row_is_valid(row_base, UNITS, heap.live_units));
}

/* PROOF tight_alloc_trees
 *   property: after a block of any size, or its refusal, bits and trees say what the row of blocks has
 *   bound:    18 units in at most 3 blocks, cut in any way
 *   assumes:  nothing
 *   options:  -DUNITS=18 -DBLOCKS=3 --unwind 7
 */
void prove_tight_alloc_trees(void)
{
    any_heap();
    (void)acre_tight_alloc(&heap, nondet_size());
    assert_trees();
}

/* Any block in use. */
static uint32_t any_used(void)
{
    const uint32_t i = nondet_u32();
    assume(i < BLOCKS && !before.is_free[i] && units_of_block(&before, i) > 0);
    return i;
}

/* PROOF tight_free_row
 *   property: a block in use is taken back, joins its neighbours, and the row of blocks is whole
 *   bound:    18 units in at most 3 blocks, cut in any way
 *   assumes:  nothing
 *   options:  -DUNITS=18 -DBLOCKS=3 --unwind 7
 */
void prove_tight_free_row(void)
{
    any_heap();
    const uint32_t i = any_used();
    assert(acre_tight_free(&heap, header_at(before.unit[i]) + 1) == ACRE_OK);
    assert(heap.live_units == before.live_units - units_of_block(&before, i));
    assert(acre_block_row_is_valid(row_base, UNITS, heap.live_units));
}

/* PROOF tight_free_trees
 *   property: after a block is taken back, bits and trees say what the row of blocks has
 *   bound:    18 units in at most 3 blocks, cut in any way
 *   assumes:  nothing
 *   options:  -DUNITS=18 -DBLOCKS=3 --unwind 7
 */
void prove_tight_free_trees(void)
{
    any_heap();
    const uint32_t i = any_used();
    assert(acre_tight_free(&heap, header_at(before.unit[i]) + 1) == ACRE_OK);
    assert_trees();
}

/* PROOF tight_look
 *   property: whatever stands in a heap, and whatever pointer is given: the gate reads nothing outside the heap, lets only units through,
 *             and what it says of the neighbours lies in the heap
 *   bound:    heaps of at most 20 units
 *   assumes:  nothing
 *   options:  --unwind 44
 */
void prove_tight_look(void)
{
    acre_block_around at;
    for (uint32_t i = 0; i < 2 * UNITS + 2; i++) words[i] = nondet_u32();
    row_base = (unsigned char *)(words + 1);
    const uint32_t unit_count = nondet_u32();
    assume(unit_count <= UNITS);
    const uintptr_t offset = nondet_word();
    const acre_status status = acre_block_look(row_base, unit_count, (const void *)((uintptr_t)row_base + 4 + offset), &at);
    if (status == ACRE_OK) {
        assert(offset % 8 == 0 && at.unit == offset / 8 && at.unit < at.end && at.end <= unit_count);
        assert(at.more <= unit_count - at.end && at.back <= at.unit);
    }
}

/* PROOF tight_free_refuses
 *   property: a pointer to the middle of a block, of a free one or between units is refused, unless its owner made a header there
 *   bound:    20 units in at most 5 blocks, cut in any way; what is in the blocks is 0
 *   assumes:  nothing
 *   options:  --unwind 9
 */
void prove_tight_free_refuses(void)
{
    any_heap();
    const uintptr_t offset = nondet_word();
    for (uint32_t i = 0; i < BLOCKS; i++) assume(before.is_free[i] || units_of_block(&before, i) == 0 || offset != 8 *
        (uintptr_t)before.unit[i]);
    assert(acre_tight_free(&heap, (void *)((uintptr_t)row_base + 4 + offset)) == ACRE_BAD_POINTER);
    assert(heap.live_units == before.live_units);
}
