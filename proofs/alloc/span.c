/* Proofs of alloc/span.c: each function does exactly the step that proofs/spin/span.pml takes for it, from any state that a
 * span can be in while other threads are in the middle of giving blocks back, and the state word never borrows or carries
 * from one field into another.
 *
 * In such a state free_count is the number of free bits less what others have set and not counted yet.
 */
#include "../proof.h"
#include "base/bits.h"
/* CBMC's own count instead of the multiplication in acre_word_count, which is proved to be the same in proofs/base/bits.c. */
#define acre_word_count(word) ((unsigned)__builtin_popcountll(word))
#include "alloc/span.c"
#include "alloc/size_class.c"

enum { WORDS_MAX = ACRE_WORDS_PER_UNIT };

static acre_word words[WORDS_MAX];
static acre_span span;


static acre_word flags_of(acre_word state) { return state & (ACRE_SPAN_OWNED | ACRE_SPAN_LISTED); }
static acre_word generation_of(acre_word state) { return state / ACRE_SPAN_GENERATION; }

/* Any span of any class with at most `word_count_max` words. The blocks' count is left to any value that the protocol allows:
 * no more than the capacity, no less than minus what others may have in flight. */
static int any_span(size_t word_count_max, acre_word flags)
{
    const unsigned class = nondet_unsigned();
    assume(class >= ACRE_CLASS_FIRST && class <= ACRE_CLASS_COUNT);
    span = (acre_span){.kind = ACRE_SPAN_SMALL, .words = words, .class = (uint8_t)class};
    if (nondet_bool()) span.class |= ACRE_CLASS_WATCHED;
    span.unit_count = acre_size_classes[class].unit_count;
    assume(acre_span_word_count(&span) <= word_count_max);
    const int capacity = (int)acre_span_capacity(&span);
    const int free_count = nondet_int();
    assume(free_count >= -capacity && free_count <= capacity);
    const acre_word generation = nondet_word();
    assume(generation <= ACRE_WORD_ALL / ACRE_SPAN_GENERATION);
    span.state = generation * ACRE_SPAN_GENERATION + flags + (acre_word)(ACRE_SPAN_COUNT_BIAS + free_count);
    /* The fields of any such state can be read back: none has borrowed from its neighbour. */
    assert(acre_span_free_count(span.state) == free_count);
    assert(flags_of(span.state) == flags && generation_of(span.state) == generation);
    return free_count;
}

/* One claim from a word with `available` free blocks; states everything that a claim promises. */
static void claim(acre_word available, unsigned count)
{
    any_span(1, ACRE_SPAN_OWNED);
    const acre_word before = span.state;
    assume(acre_span_free_count(before) >= 0);
    words[0] = available;

    const acre_word taken = acre_span_claim(&span, 0, count);
    assert((taken & ~available) == 0);
    assert(words[0] == (available & ~taken));
    assert(span.state == before - (acre_word)acre_word_count(taken));
    assert(flags_of(span.state) == flags_of(before) && generation_of(span.state) == generation_of(before));
    assert(acre_word_count(taken) == acre_min_size(count, acre_word_count(available)));
    /* Every block that stays lies above every block that is taken. */
    if (words[0] != 0) assert(taken < (words[0] & (0 - words[0])));
}

/* PROOF span_claim_word
 *   property: claiming as many blocks as a word has free, or more, takes them all, clears their bits, counts them, changes nothing else
 *   bound:    unbounded
 *   assumes:  the caller owns the span; acre_word_count counts (word_count_half, word_count_halves)
 *   options:  --unwind 2
 */
void prove_span_claim_word(void)
{
    const acre_word available = nondet_word();
    const unsigned count = nondet_unsigned();
    assume(count > 0 && acre_word_count(available) <= count);
    claim(available, count);
    assert(words[0] == 0);
}

/* PROOF span_claim_part
 *   property: claiming any number of blocks takes that many if there are so many, the lowest ones, clears their bits, counts
 *             them, changes nothing else
 *   bound:    words whose free blocks are any of the first six of a byte, any byte of the word
 *   assumes:  the caller owns the span; acre_word_count counts (word_count_half, word_count_halves)
 *   options:  --unwind 8
 */
void prove_span_claim_part(void)
{
    const unsigned byte = nondet_unsigned();
    const unsigned count = nondet_unsigned();
    assume(byte < sizeof(acre_word) && count > 0);
    claim((acre_word)(nondet_unsigned() & 0x3f) << (byte * 8), count);
}

/* PROOF span_give_bits
 *   property: giving blocks back sets exactly their bits; if one of them is free already, it says which, and leaves the word as it was
 *   bound:    unbounded
 *   assumes:  no other thread frees the same blocks at the same instant (then the word keeps them free)
 */
void prove_span_give_bits(void)
{
    any_span(1, nondet_bool() ? ACRE_SPAN_OWNED : 0);
    const acre_word state = span.state;
    const acre_word before = words[0] = nondet_word();
    const acre_word mask = nondet_word();
    assume(mask != 0);

    const acre_word twice = acre_span_give_bits(&span, 0, mask);
    assert(twice == (before & mask));
    assert(words[0] == (twice == 0 ? (before | mask) : before));
    assert(span.state == state);
}

/* PROOF span_give_count
 *   property: counting adds exactly `count` and nothing else; the caller has to list the span exactly if it takes the count of one
 *             that is neither owned nor listed above zero, and to retire it exactly if it makes a listed one full
 *   bound:    unbounded
 *   assumes:  the bits were set before, so that the count does not pass the capacity
 */
void prove_span_give_count(void)
{
    const acre_word flags = nondet_word();
    assume(flags == 0 || flags == ACRE_SPAN_OWNED || flags == ACRE_SPAN_LISTED);
    const int free_before = any_span(WORDS_MAX, flags);
    const acre_word before = span.state;
    const int capacity = (int)acre_span_capacity(&span);
    const unsigned count = nondet_unsigned();
    assume(count > 0 && count <= (unsigned)capacity && free_before + (int)count <= capacity);

    acre_word after;
    const acre_span_duty duty = acre_span_give_count(&span, count, &after);
    assert(span.state == after);
    assert(acre_span_free_count(after) == free_before + (int)count);
    assert(flags_of(after) == flags && generation_of(after) == generation_of(before));
    assert((duty == ACRE_DUTY_LIST) == (flags == 0 && free_before <= 0 && free_before + (int)count > 0));
    assert((duty == ACRE_DUTY_RETIRE) == (flags == ACRE_SPAN_LISTED && free_before + (int)count == capacity));
}

/* PROOF span_disown
 *   property: disowning clears OWNED and nothing else, and the owner has to list the span exactly if it has counted free blocks
 *   bound:    unbounded
 *   assumes:  the caller owns the span
 */
void prove_span_disown(void)
{
    any_span(WORDS_MAX, ACRE_SPAN_OWNED);
    const acre_word before = span.state;
    const acre_span_duty duty = acre_span_disown(&span);
    assert(span.state == before - ACRE_SPAN_OWNED);
    assert(flags_of(span.state) == 0);
    assert(duty == (acre_span_free_count(before) > 0 ? ACRE_DUTY_LIST : ACRE_DUTY_NONE));
}

/* PROOF span_list
 *   property: listing sets LISTED and nothing else, and says whether a block is still out
 *   bound:    unbounded
 *   assumes:  the span is neither owned nor listed, the caller holds the lock of its class
 */
void prove_span_list(void)
{
    any_span(WORDS_MAX, 0);
    const acre_word before = span.state;
    const bool is_listed = acre_span_list(&span);
    assert(span.state == before + ACRE_SPAN_LISTED);
    assert(is_listed == (acre_span_free_count(before) < (int)acre_span_capacity(&span)));
}

/* PROOF span_own
 *   property: taking a span over turns LISTED into OWNED and changes nothing else
 *   bound:    unbounded
 *   assumes:  the span is listed, the caller holds the lock of its class
 */
void prove_span_own(void)
{
    any_span(WORDS_MAX, ACRE_SPAN_LISTED);
    const acre_word before = span.state;
    acre_span_own(&span);
    assert(span.state == before - ACRE_SPAN_LISTED + ACRE_SPAN_OWNED);
    assert(flags_of(span.state) == ACRE_SPAN_OWNED);
    assert(acre_span_free_count(span.state) == acre_span_free_count(before));
}

/* PROOF span_may_retire
 *   property: a late giver may retire a span exactly if its state is what the giver left; a new life of the descriptor never is
 *   bound:    unbounded
 *   assumes:  fewer lives lie between than the generation has values
 */
void prove_span_may_retire(void)
{
    any_span(WORDS_MAX, ACRE_SPAN_LISTED);
    const acre_word after = span.state;
    assert(acre_span_may_retire(&span, after));
    const acre_word generations = nondet_word();
    assume(generations > 0 && generations <= ACRE_WORD_ALL / ACRE_SPAN_GENERATION);
    any_span(WORDS_MAX, ACRE_SPAN_LISTED);
    assume(generation_of(span.state - generations * ACRE_SPAN_GENERATION) == generation_of(after));
    assert(!acre_span_may_retire(&span, after));
}

/* PROOF span_life
 *   property: retiring ends one generation and initialising begins another; a fresh span is valid, owned, and all of it is free
 *   bound:    unbounded in lives; spans of at most 2 words (the others differ in the number of full words)
 *   assumes:  nothing
 *   options:  --unwind 17
 */
void prove_span_life(void)
{
    const unsigned class = nondet_unsigned();
    assume(class >= ACRE_CLASS_FIRST && class <= ACRE_CLASS_COUNT);
    span.kind = ACRE_SPAN_SMALL; /* the arena's doing */
    span.unit_count = acre_size_classes[class].unit_count;
    span.state = nondet_word();
    words[0] = nondet_word();
    words[1] = nondet_word();
    const acre_word before = span.state;
    const unsigned capacity = acre_size_classes[class].capacity;
    assume(capacity <= 2 * ACRE_WORD_BITS);

    acre_span_init(&span, class, words);
    const acre_word first = span.state;
    assert(generation_of(first - ACRE_SPAN_GENERATION) == generation_of(before));
    assert(flags_of(first) == ACRE_SPAN_OWNED);
    assert(acre_span_free_count(first) == (int)capacity);
    const unsigned block = nondet_unsigned();
    assume(block < 2 * ACRE_WORD_BITS && block / ACRE_WORD_BITS < ACRE_WORDS(capacity));
    assert(((words[block / ACRE_WORD_BITS] >> (block % ACRE_WORD_BITS)) & 1) == (block < capacity));

    span.state = first - ACRE_SPAN_OWNED + ACRE_SPAN_LISTED;
    acre_span_retire(&span);
    assert(generation_of(span.state - ACRE_SPAN_GENERATION) == generation_of(first));
    assert(flags_of(span.state) == 0);
    assert(span.words == NULL);
}

/* PROOF span_recount
 *   property: recounting makes the count that of the free bits and changes nothing else
 *   bound:    spans of at most 2 words
 *   assumes:  no other thread exists; acre_word_count counts (word_count_half, word_count_halves)
 *   options:  --unwind 3
 */
void prove_span_recount(void)
{
    any_span(2, ACRE_SPAN_OWNED);
    const acre_word before = span.state;
    words[0] = nondet_word();
    words[1] = nondet_word();
    const unsigned free_bits = acre_word_count(words[0]) + (acre_span_word_count(&span) > 1 ? acre_word_count(words[1]) : 0);
    acre_span_recount(&span);
    assert(acre_span_free_count(span.state) == (int)free_bits);
    assert(flags_of(span.state) == flags_of(before) && generation_of(span.state) == generation_of(before));
}

/* ---- meshing ---- */

/* PROOF span_mesh
 *   property: when no block is out in both, what is out in the one afterwards is what was out in either, and its count says so; the
 *             words of the other stay; it is no longer listed, nor is the one if it is full
 *   bound:    one class of 56 blocks (288 bytes), any of the first twelve and of the last four, all or none of the rest
 *   assumes:  no other thread uses the spans
 *   options:  --unwind 3
 */
void prove_span_mesh(void)
{
    static acre_word other_words[WORDS_MAX];
    const unsigned class = 17;
    assert(acre_size_classes[class].capacity == 56);
    span = (acre_span){.kind = ACRE_SPAN_SMALL, .words = words, .class = (uint8_t)class, .unit_count = acre_size_classes[class].unit_count};
    const acre_word blocks = acre_word_first(acre_span_capacity(&span));
    const acre_word always_free = blocks & ~acre_word_first(12) & acre_word_first(52);
    words[0] = (nondet_word() & blocks & ~always_free) | (nondet_bool() ? always_free : 0);
    other_words[0] = (nondet_word() & blocks) | always_free;
    span.state = ACRE_SPAN_LISTED | (ACRE_SPAN_COUNT_BIAS + acre_word_count(words[0]));
    span.meshed = nondet_u32();
    acre_span other = span;
    other.words = other_words;
    other.state = ACRE_SPAN_LISTED | (ACRE_SPAN_COUNT_BIAS + acre_word_count(other_words[0]));
    const acre_word out = ~words[0] & blocks, other_out = ~other_words[0] & blocks;
    const uint32_t meshed_before = span.meshed, number = nondet_u32();

    const bool may = acre_span_may_mesh(&span, &other);
    assert(may == ((out & other_out) == 0));
    if (!may) return;
    const bool is_full = acre_span_mesh(&span, &other, number);
    assert(words[0] == (blocks & ~(out | other_out)) && other_words[0] == (blocks & ~other_out));
    assert(acre_span_out(&span, 0) == (out | other_out) && acre_span_out(&other, 0) == other_out);
    assert(acre_span_free_count(span.state) == (int)acre_word_count(words[0]));
    assert(is_full == (words[0] == 0) && ((span.state & ACRE_SPAN_LISTED) == 0) == is_full);
    assert(other.kind == ACRE_SPAN_MESHED && acre_span_home(&other) == &span && (other.state & ACRE_SPAN_LISTED) == 0);
    assert(acre_span_home(&span) == &span && span.meshed == number && other.meshed == meshed_before);
}
