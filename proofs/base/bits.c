/* Proofs of base/bits.h: every function, for every argument. */
#include "../proof.h"
#include "base/bits.h"

/* PROOF word_lowest
 *   property: the lowest number of a word is in it, and none below it is
 *   bound:    unbounded
 *   assumes:  the word is not empty
 */
void prove_word_lowest(void)
{
    const acre_word word = nondet_word();
    assume(word != 0);
    const unsigned lowest = acre_word_lowest(word);
    assert(lowest < ACRE_WORD_BITS);
    assert((word >> lowest) & 1);
    const unsigned other = nondet_unsigned();
    assume(other < lowest);
    assert(((word >> other) & 1) == 0);
}

/* PROOF word_count_half
 *   property: the count of half a word is the sum of its bits
 *   bound:    unbounded: with word_count_halves it speaks for every word
 *   assumes:  the upper half is empty
 *   options:  --unwind 33
 */
void prove_word_count_half(void)
{
    const acre_word word = nondet_u32();
    unsigned sum = 0;
    for (unsigned bit = 0; bit < 32; bit++) sum += (unsigned)((word >> bit) & 1);
    assert(acre_word_count(word) == sum);
}

/* PROOF word_count_halves
 *   property: the count of a word is the sum of the counts of its halves
 *   bound:    unbounded
 *   assumes:  words of 64 bits
 */
void prove_word_count_halves(void)
{
    const acre_word low = nondet_u32();
    const acre_word high = (acre_word)nondet_u32() << 32;
    assert(acre_word_count(high) == acre_word_count(high >> 32));
    assert(acre_word_count(low | high) == acre_word_count(low) + acre_word_count(high));
}

/* PROOF word_first
 *   property: word_first(n) holds exactly the numbers below n
 *   bound:    unbounded
 *   assumes:  n is at most the width of a word
 */
void prove_word_first(void)
{
    const unsigned count = nondet_unsigned();
    const unsigned bit = nondet_unsigned();
    assume(count <= ACRE_WORD_BITS && bit < ACRE_WORD_BITS);
    assert(((acre_word_first(count) >> bit) & 1) == (bit < count));
}

/* PROOF log2
 *   property: 2^floor <= value < 2^(floor + 1), and 2^(ceil - 1) < value <= 2^ceil
 *   bound:    unbounded
 *   assumes:  value > 0
 */
void prove_log2(void)
{
    const uint64_t value = nondet_u64();
    assume(value > 0);
    const unsigned floor = acre_log2_floor(value);
    assert(floor <= 63);
    assert(value >> floor == 1);
    const unsigned ceil = acre_log2_ceil(value);
    assert(ceil <= 64);
    assert(ceil == 64 || value <= (uint64_t)1 << ceil);
    assert(ceil == 0 || value > (uint64_t)1 << (ceil - 1));
}

/* PROOF align
 *   property: aligning gives the nearest multiple above or below, and leaves a multiple as it is
 *   bound:    unbounded
 *   assumes:  the alignment is a power of two, value + alignment does not overflow
 */
void prove_align(void)
{
    const unsigned shift = nondet_unsigned();
    const uint64_t value = nondet_u64();
    assume(shift < 64);
    const uint64_t alignment = (uint64_t)1 << shift;
    assert(acre_is_power_of_two(alignment));
    assume(value <= UINT64_MAX - alignment);
    const uint64_t up = acre_align_up(value, alignment);
    const uint64_t down = acre_align_down(value, alignment);
    assert((up & (alignment - 1)) == 0 && up >= value && up - value < alignment);
    assert((down & (alignment - 1)) == 0 && down <= value && value - down < alignment);
}

/* PROOF power_of_two
 *   property: a number is a power of two exactly if one bit is set
 *   bound:    unbounded
 *   assumes:  nothing
 */
void prove_power_of_two(void)
{
    const uint64_t value = nondet_u64();
    assert(acre_is_power_of_two(value) == (acre_word_count((acre_word)value) == 1));
}
