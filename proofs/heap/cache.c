/* Proofs of heap/cache.c: blocks move between a span's words and a thread's arrays, and none is lost or doubled on the way.
 *
 * Spans are replaced by what proofs/alloc/span.c shows of them: a claim takes bits out of a word, giving back sets bits and
 * counts them. The page map is a function from addresses to two spans (proofs/alloc/page_map.c).
 */
#include "../proof.h"
#include "base/bits.h"
#include <acre/space.h>
#include <string.h>
#define acre_word_count(word) ((unsigned)__builtin_popcountll(word)) /* proved the same in proofs/base/bits.c */
/* CBMC's own memmove of a length that it does not know ends in bytes that it does not know. */
static void move_up(acre_addr *to, const acre_addr *from, size_t bytes)
{
    assert(to >= from && bytes % sizeof *to == 0);
    for (size_t i = bytes / sizeof *to; i-- > 0;) to[i] = from[i];
}
#define memmove move_up
#include "heap/cache.c"
#include "alloc/size_class.c"

enum { CLASS = ACRE_CLASS_FIRST + 2, ARRAY = 8, BLOCKS = 3 };
#define BASE ((acre_addr)ACRE_UNIT_BYTES * 17)

static acre_heap heap;
static acre_cache cache;
static acre_region region;
static acre_span spans[2]; /* of one unit each, side by side */
static acre_addr array[ARRAY];
static acre_word claimed;      /* by the step of the proof */
static acre_word given[2];     /* bits, by span: word 0 only */
static unsigned counted[2];    /* of them counted */
static unsigned fault_count;

acre_word acre_span_claim(acre_span *span, size_t index, unsigned count)
{
    assert(span == &spans[0] && index < acre_span_word_count(span) && count > 0);
    if (index > 0) return 0;
    const acre_word taken = nondet_word() & 0xff;
    assume(acre_word_count(taken) <= count);
    claimed = taken;
    return taken;
}

acre_word acre_span_give_bits(acre_span *span, size_t index, acre_word mask)
{
    acre_word *const word = &given[span == &spans[1]];
    assert(index == 0 && mask != 0);
    const acre_word twice = *word & mask;
    if (twice == 0) *word |= mask;
    return twice;
}

acre_span_duty acre_span_give_count(acre_span *span, unsigned count, acre_word *after)
{
    counted[span == &spans[1]] += count;
    *after = 0;
    return ACRE_DUTY_NONE;
}

acre_span *acre_page_map_span(const acre_page_map *map, acre_addr address)
{
    (void)map;
    return &spans[address >= BASE + ACRE_UNIT_BYTES];
}

unsigned acre_page_map_class(const acre_page_map *map, acre_addr address)
{
    (void)map;
    return address >= BASE && address < BASE + 2 * (acre_addr)ACRE_UNIT_BYTES ? CLASS : ACRE_CLASS_NONE;
}

void acre_fault_report(const acre_fault *fault)
{
    (void)fault;
    fault_count++;
}

static void make_spans(void)
{
    region.arena = &heap.arena;
    for (unsigned i = 0; i < 2; i++) {
        spans[i] = (acre_span){.base = BASE + i * (acre_addr)ACRE_UNIT_BYTES, .region = &region, .class = CLASS, .unit_count = 1};
    }
    cache.heap = &heap;
}

/* PROOF magazine_refill
 *   property: a refill puts exactly the blocks that it claimed below those of the array, whose order stays; the 0 at the bottom stays,
 *             and what is out grows by their bytes
 *   bound:    at most 2 blocks in the array and 2 wanted, out of the first 8 of a word; any claim that the span's proofs allow
 *   assumes:  the array has room (acre_magazine_capacity); span_claim_word, span_claim_part
 *   options:  --unwind 9
 */
void prove_magazine_refill(void)
{
    make_spans();
    const unsigned before = nondet_unsigned(), wanted = nondet_unsigned(), which = nondet_unsigned();
    assume(before <= 2 && wanted >= 1 && wanted <= 2);
    acre_addr old[2];
    for (unsigned i = 0; i < 2; i++) old[i] = array[1 + i] = nondet_u64();
    array[0] = 0;
    acre_magazine *const magazine = &cache.magazines[CLASS];
    *magazine = (acre_magazine){.bottom = array, .top = array + before};
    cache.current[CLASS] = &spans[0];
    cache.refill_count[CLASS] = 2;
    cache.out_bytes = nondet_u32();
    const int64_t out_bytes = cache.out_bytes;

    const unsigned count = take_from_current(&cache, CLASS, wanted);
    const uint64_t size = acre_size_classes[CLASS].block_bytes;
    assert(count == acre_word_count(claimed) && magazine->top == array + before + count);
    assert(magazine->bottom == array && array[0] == 0);
    assert(cache.out_bytes == out_bytes + (int64_t)(count * size));
    for (unsigned i = 0; i < 2; i++) {
        if (i < before) assert(array[1 + count + i] == old[i]);
    }
    /* Each claimed block stands in the array, the lowest on top: so it stands there once. */
    assume(which < 8 && (claimed >> which & 1) != 0);
    const unsigned above = acre_word_count(claimed >> which) - 1;
    assert(array[1 + above] == BASE + which * size);
}

/* Any content of the first places of the array; which bits it should set, how many blocks are in it twice. */
static void put_blocks(unsigned *block_count, acre_word want[2], unsigned *twice)
{
    const uint64_t size = acre_size_classes[CLASS].block_bytes;
    *block_count = 0;
    *twice = 0;
    for (unsigned i = 0; i < BLOCKS; i++) {
        const unsigned which = nondet_unsigned(), span = nondet_bool();
        assume(which < 8);
        array[1 + i] = nondet_bool() ? 0 : spans[span].base + which * size; /* a 0 stops at a sample */
        if (array[1 + i] == 0) continue;
        if ((want[span] >> which & 1) != 0) ++*twice;
        else ++*block_count;
        want[span] |= (acre_word)1 << which;
    }
}

/* PROOF magazine_flush
 *   property: a flush sets the bit of each block in the array once, counts what it set, span by span, and leaves nothing pending; a
 *             block that is there twice is reported as a double free and not counted again
 *   bound:    3 places, each a block of the first 8 of one of two spans, or a 0
 *   assumes:  span_give_bits, span_give_count; the fault handler lets the program go on
 *   options:  --unwind 9
 */
void prove_magazine_flush(void)
{
    make_spans();
    acre_word want[2] = {0, 0};
    unsigned block_count, twice;
    put_blocks(&block_count, want, &twice);
    empty_array(&cache, CLASS, array + 1, array + 1 + BLOCKS, "free");
    for (unsigned i = 0; i < 2; i++) assert(given[i] == want[i] && counted[i] == acre_word_count(want[i]));
    assert(fault_count == twice);
}
