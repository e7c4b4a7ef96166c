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
#include "alloc/size_class.h"
enum { CLASS = ACRE_CLASS_FIRST + 8, SIZE = 144, CAPACITY = ACRE_UNIT_BYTES / SIZE, ARRAY = 8 };
#define acre_block_index_by(reciprocal, offset) ((offset) / SIZE) /* proved the same in proofs/alloc/size_class.c */
#include "alloc/span.h"
#define acre_span_is_shared(span) ((void)(span), false) /* no span is, but where a proof says so of a batch */
#include "heap/cache.c"
#include "alloc/size_class.c"

#define BASE ((acre_addr)ACRE_UNIT_BYTES * 17)

static acre_heap heap;
static acre_cache cache;
static acre_region region;
static acre_span spans[2]; /* of one unit each, side by side */
static acre_addr array[ARRAY];
static acre_word claimed;      /* by the step of the proof */
static acre_word given_words[2][ACRE_WORDS_PER_UNIT]; /* bits, by span */
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
    acre_word *const word = &given_words[span == &spans[1]][index];
    assert(mask != 0);
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

/* ---- giving back ---- */

enum { WORDS = ACRE_WORDS(CAPACITY) };
#define FEW_BLOCKS ((acre_word)7)                    /* of each word */
#define ODD_BLOCKS ((acre_word)1 << 63 | (acre_word)1)

/* Any batch that is in the middle of its work: blocks of one span that wait, some already given, or none at all. */
static batch any_batch(acre_word blocks, unsigned word_count)
{
    const unsigned first = nondet_unsigned();
    make_spans();
    batch pending = {.heap = &heap, .operation = "free"};
    if (nondet_bool()) return pending;
    pending.span = &spans[0];
    pending.class = CLASS;
    pending.base = spans[0].base;
    pending.size = SIZE;
    pending.bytes = CAPACITY * SIZE;
    pending.capacity = CAPACITY;
    pending.count = nondet_unsigned();
    assume(pending.count <= CAPACITY);
    for (unsigned i = 0; i < WORDS; i++) {
        pending.masks[i] = i >= first && i - first < word_count ? nondet_word() & blocks : 0;
        if (pending.masks[i] != 0) pending.touched |= 1u << i;
    }
    assume((pending.masks[WORDS - 1] & ~acre_word_first(CAPACITY % ACRE_WORD_BITS)) == 0);
    return pending;
}

static bool is_block(acre_addr address)
{
    const uint64_t offset = (address - BASE) % ACRE_UNIT_BYTES;
    return address >= BASE && address < BASE + 2 * (acre_addr)ACRE_UNIT_BYTES && offset % SIZE == 0 && offset / SIZE < CAPACITY;
}

static bool waits(const batch *pending, acre_addr block)
{
    const unsigned index = (unsigned)((block - pending->base) / SIZE);
    return (pending->masks[index / ACRE_WORD_BITS] >> (index % ACRE_WORD_BITS) & 1) != 0 &&
           (pending->touched >> (index / ACRE_WORD_BITS) & 1) != 0;
}

/* One address joins the batch; `is_near`: it lies in the batch's span. */
static void give_one(acre_word blocks, bool is_near)
{
    batch pending = any_batch(blocks, is_near ? WORDS : 1);
    static acre_arena other_arena;
    static acre_region other_region = {.arena = &other_arena};
    const bool is_mine = nondet_bool();
    if (!is_mine) spans[1].region = &other_region;
    const batch before = pending;
    const acre_addr address = nondet_u64();
    assume((address - pending.base < pending.bytes) == is_near);
    const unsigned which = address >= BASE + ACRE_UNIT_BYTES;
    const bool is_good = is_block(address) && (which == 0 || is_mine);
    const bool was_waiting = is_good && before.span == &spans[which] && waits(&before, address);

    const bool is_taken = give(&pending, address);
    assert(is_taken == is_good);
    assert(fault_count == (is_good ? 0 : 1));
    const unsigned word = nondet_unsigned();
    assume(word < WORDS);
    const bool is_given = was_waiting || (before.span != NULL && !is_near);
    assert(given_words[0][word] == (is_given ? before.masks[word] : 0));
    if (!is_good) {
        assert(is_given || pending.masks[word] == before.masks[word]);
        return;
    }
    assert(pending.span == &spans[which] && pending.base == spans[which].base && pending.bytes == CAPACITY * SIZE);
    assert(waits(&pending, address));
    const unsigned index = (unsigned)((address - pending.base) / SIZE);
    const acre_word bit = index / ACRE_WORD_BITS == word ? (acre_word)1 << (index % ACRE_WORD_BITS) : 0;
    assert(pending.masks[word] == ((is_given ? 0 : before.span == NULL ? 0 : before.masks[word]) | bit));
}

/* PROOF batch_give
 *   property: a block of the batch's span joins the batch, and what is there already has been given before, so that it is found to be free;
 *             an address inside of a block is reported and changes nothing
 *   bound:    unbounded in addresses and history; a span of one class (144 bytes); what waits is the first or last block of each
 *             word, both or none
 *   assumes:  block_index; the fault handler lets the program go on
 *   options:  --unwind 6
 */
void prove_batch_give(void) { give_one(ODD_BLOCKS, true); }

/* PROOF batch_turn
 *   property: a block of this heap in another span joins after what waited has been given; any other number is reported, and what
 *             waited has been given
 *   bound:    unbounded in addresses and history; two spans of one class (144 bytes) side by side, the second perhaps of another heap;
 *             what waits is one block of one word or none
 *   assumes:  block_index, page_map_leaf, page_map_set_class; the fault handler lets the program go on
 *   options:  --unwind 6
 */
void prove_batch_turn(void) { give_one((acre_word)1 << 63, false); }

/* PROOF batch_neighbours
 *   property: the loop over neighbours does what batch_give says, for as many of the addresses as are blocks of the batch's span that do
 *             not wait already, and stops at the first that is not
 *   bound:    2 addresses, any numbers
 *   assumes:  block_index
 *   options:  --unwind 6
 */
void prove_batch_neighbours(void)
{
    batch pending = any_batch(ACRE_WORD_ALL, WORDS);
    const batch before = pending;
    array[0] = nondet_u64();
    array[1] = nondet_u64();
    const acre_addr *const stop = give_neighbours(&pending, array, array + 2);
    const size_t count = (size_t)(stop - array);
    assert(count <= 2 && (before.span != NULL || count == 0));
    const unsigned word = nondet_unsigned();
    assume(word < WORDS);
    acre_word want = before.masks[word];
    for (size_t i = 0; i < count; i++) {
        assert(is_block(array[i]) && array[i] < BASE + ACRE_UNIT_BYTES && !waits(&before, array[i]) && waits(&pending, array[i]));
        const unsigned index = (unsigned)((array[i] - BASE) / SIZE);
        if (index / ACRE_WORD_BITS == word) want |= (acre_word)1 << (index % ACRE_WORD_BITS);
    }
    assert(pending.masks[word] == want && given_words[0][word] == 0 && fault_count == 0);
    assert(count < 2 || array[0] != array[1]);
    if (count == 0 && before.span != NULL) {
        assert(!is_block(array[0]) || array[0] >= BASE + ACRE_UNIT_BYTES || waits(&before, array[0]));
    }
}

/* PROOF batch_row
 *   property: a row adds what the loop over neighbours would add: blocks of the batch's span that do not wait already, each once, from
 *             the first address on without a gap; or nothing
 *   bound:    9 addresses in the 64 KiB around the span, the last of them and one other any, the rest one or two blocks apart
 *   assumes:  block_index; the batch has a span
 *   options:  --unwind 11 --unwindset give_row.1:4,give_row.2:4
 */
void prove_batch_row(void)
{
    enum { COUNT = ROW_BLOCKS_MIN + 1 };
    static acre_addr row[COUNT];
    batch pending = any_batch(ACRE_WORD_ALL, WORDS);
    assume(pending.span != NULL);
    const batch before = pending;
    const acre_addr first = BASE - 0x8000 + (nondet_unsigned() & 0xffff);
    const acre_addr step = nondet_bool() ? SIZE : nondet_bool() ? 0 - (acre_addr)SIZE : 2 * SIZE;
    const unsigned odd = nondet_unsigned();
    for (size_t i = 0; i < COUNT; i++) row[i] = i == odd || i == COUNT - 1 ? nondet_u64() : first + i * step;
    const unsigned count = (unsigned)(give_row(&pending, row, row + COUNT) - row);
    assert(count == 0 || (count >= ROW_BLOCKS_MIN && count <= COUNT));
    assert(given_words[0][0] == 0 && fault_count == 0);
    const unsigned index = (unsigned)(row[0] - BASE) / SIZE;
    const bool is_upward = row[1] > row[0];
    const unsigned lowest = is_upward ? index : index + 1 - count;
    if (count > 0) assert(row[0] == BASE + index * SIZE && lowest < CAPACITY && lowest + count <= CAPACITY);
    const unsigned one = nondet_unsigned();
    if (one < count) assert(row[one] == BASE + (is_upward ? index + one : index - one) * SIZE);
    /* Any one block waits if it did before or is in the row, and not both. */
    const unsigned block = nondet_unsigned();
    assume(block < CAPACITY);
    const bool is_in_row = block - lowest < count;
    const bool did_wait = (before.masks[block / ACRE_WORD_BITS] >> (block % ACRE_WORD_BITS) & 1) != 0;
    const bool is_waiting = (pending.masks[block / ACRE_WORD_BITS] >> (block % ACRE_WORD_BITS) & 1) != 0;
    assert(!(is_in_row && did_wait) && is_waiting == (is_in_row || did_wait));
    assert(!is_waiting || (pending.touched >> (block / ACRE_WORD_BITS) & 1) != 0);
}

/* PROOF batch_end
 *   property: at the end every block that waits has its bit set once and is counted, with those counted before, and nothing waits; blocks
 *             that were free already are reported one by one and not counted
 *   bound:    any of the first three blocks of each word of a span of 113, any of them free already
 *   assumes:  span_give_bits, span_give_count; the fault handler lets the program go on
 *   options:  --unwind 6
 */
void prove_batch_end(void)
{
    batch pending = any_batch(FEW_BLOCKS, WORDS);
    const unsigned word = nondet_unsigned();
    assume(word < WORDS);
    const acre_word free_already = nondet_word() & 7;
    given_words[0][word] = free_already;
    const batch before = pending;
    unsigned waiting_count = 0;
    for (unsigned i = 0; i < WORDS; i++) waiting_count += acre_word_count(before.masks[i]);
    const unsigned twice = before.span == NULL ? 0 : acre_word_count(before.masks[word] & free_already);
    give_pending(&pending);
    assert(pending.span == NULL && pending.bytes == 0 && pending.touched == 0 && pending.masks[word] == 0);
    assert(fault_count == twice);
    if (before.span == NULL) return;
    assert(given_words[0][word] == (before.masks[word] | free_already));
    assert(counted[0] == before.count + waiting_count - twice);
}

/* PROOF batch_meshed
 *   property: blocks at the addresses of a span that shows another's memory are given back in the words of both, and the other counts them
 *   bound:    any of the first three blocks of each word of a span of 113
 *   assumes:  span_give_bits, span_give_count; nothing is free already (batch_end)
 *   options:  --unwind 6
 */
void prove_batch_meshed(void)
{
    batch pending = any_batch(FEW_BLOCKS, WORDS);
    pending.is_shared = true;
    spans[0].kind = ACRE_SPAN_MESHED;
    spans[0].previous = &spans[1];
    const batch before = pending;
    unsigned waiting_count = 0;
    for (unsigned i = 0; i < WORDS; i++) waiting_count += acre_word_count(before.masks[i]);
    const unsigned word = nondet_unsigned();
    assume(word < WORDS && before.span != NULL);
    give_pending(&pending);
    assert(given_words[0][word] == before.masks[word] && given_words[1][word] == before.masks[word] && fault_count == 0);
    assert(counted[0] == 0 && counted[1] == before.count + waiting_count);
}

static acre_word meshed_out;

acre_word acre_mesh_out(const acre_heap *of, const acre_span *span, size_t word)
{
    (void)of;
    assert(span == &spans[0] && word < WORDS);
    return word == 0 ? meshed_out : 0; /* none unless a proof says so */
}

/* PROOF batch_shared
 *   property: a block that is out at another address of a span's memory is a double free at this one: reported, not given, not counted
 *   bound:    any of the first three blocks of the first word
 *   assumes:  span_give_bits, span_give_count
 *   options:  --unwind 6
 */
void prove_batch_shared(void)
{
    batch pending = any_batch(FEW_BLOCKS, 1);
    assume(pending.span != NULL);
    pending.is_shared = true;
    spans[0].meshed = 1;
    meshed_out = nondet_word() & FEW_BLOCKS;
    const batch before = pending;
    const acre_word elsewhere = before.masks[0] & meshed_out;
    give_pending(&pending);
    assert(given_words[0][0] == (before.masks[0] & ~meshed_out) && fault_count == acre_word_count(elsewhere));
}

/* ---- compaction ---- */

/* PROOF depot_fullest
 *   property: of the spans that are looked at, one with the fewest free blocks is chosen; the list holds the same spans as before, once
 *             each, linked both ways, and ends where its end says
 *   bound:    a list of 2 spans, any numbers of free blocks
 *   assumes:  nothing
 *   options:  --unwind 5
 */
void prove_depot_fullest(void)
{
    static acre_span listed[2];
    static acre_depot depot;
    const unsigned which = nondet_unsigned();
    assume(which < 2);
    for (unsigned i = 0; i < 2; i++) {
        const unsigned free_count = nondet_unsigned();
        assume(free_count <= CAPACITY);
        listed[i].state = ACRE_SPAN_LISTED | (ACRE_SPAN_COUNT_BIAS + free_count);
        acre_depot_append(&depot, &listed[i]);
    }
    const acre_span *const best = fullest(&depot);
    assert(acre_span_free_count(best->state) <= acre_span_free_count(listed[which].state));
    unsigned seen = 0, length = 0;
    const acre_span *previous = NULL;
    for (const acre_span *span = depot.first; span != NULL && length < 3; span = span->next) {
        assert(span->previous == previous);
        if (span == &listed[which]) seen++;
        previous = span;
        length++;
    }
    assert(length == 2 && seen == 1 && depot.last == previous);
}

static unsigned disowned_count;

acre_span_duty acre_span_disown(acre_span *span)
{
    assert(span == &spans[0]);
    disowned_count++;
    return ACRE_DUTY_NONE;
}

/* PROOF magazine_compact
 *   property: the freed block goes back once, its array is empty, the one that is popped stays, the thread's span is let go
 *   bound:    one freed block, any of the first eight of the span
 *   assumes:  batch_give, batch_end
 *   options:  --unwind 6
 */
void prove_magazine_compact(void)
{
    static acre_addr slots[2 * (ACRE_MAGAZINE_BLOCKS_MAX + 2)];
    make_spans();
    const unsigned index = nondet_unsigned();
    assume(index < 8);
    cache.slots[CLASS] = slots;
    cache.current[CLASS] = nondet_bool() ? &spans[0] : NULL;
    const bool has_current = cache.current[CLASS] != NULL;
    cache.out_bytes = 5 * SIZE;
    set_arrays(&cache, CLASS, slots, 1, slots + array_slots(CLASS));
    slots[1] = nondet_u64();
    const acre_addr popped = slots[1];
    acre_magazine *const magazine = &cache.magazines[CLASS];
    assert(acre_magazine_push(magazine, BASE + index * SIZE));

    compact(&cache, CLASS);
    assert(given_words[0][0] == (acre_word)1 << index && counted[0] == 1 && fault_count == 0);
    assert(magazine->put == slots + array_slots(CLASS) + 1 && magazine->bottom == slots && *magazine->top == popped);
    assert(cache.current[CLASS] == NULL && disowned_count == (has_current ? 1 : 0));
    assert(cache.out_bytes == 4 * SIZE);
}
