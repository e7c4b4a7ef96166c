/* bits.h - the machine word as a small set, and powers of two. Every function is O(1) and has no branch that depends on
 * more than its argument being zero, so that provers and worst-case tools read through them. */
#ifndef ACRE_BASE_BITS_H
#define ACRE_BASE_BITS_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A word is what the machine changes atomically: 64 bits on hosts, 32 on a Cortex-M. */
typedef uintptr_t acre_word;

#define ACRE_WORD_BITS ((unsigned)sizeof(acre_word) * 8u)
#define ACRE_WORD_ALL  (~(acre_word)0)
#define ACRE_WORDS(bit_count) (((size_t)(bit_count) + ACRE_WORD_BITS - 1) / ACRE_WORD_BITS)

#define acre_likely(condition)   __builtin_expect(!!(condition), 1)
#define acre_unlikely(condition) __builtin_expect(!!(condition), 0)

/* The lowest number in a set that is not empty. */
static inline unsigned acre_word_lowest(acre_word word)
{
    assert(word != 0);
    return sizeof word == sizeof(unsigned long long) ? (unsigned)__builtin_ctzll(word)
                                                     : (unsigned)__builtin_ctzl((unsigned long)word);
}

/* How many numbers above the highest in a set could still be; the set is not empty. */
static inline unsigned acre_word_leading_zeros(acre_word word)
{
    assert(word != 0);
    return sizeof word == sizeof(unsigned long long) ? (unsigned)__builtin_clzll(word)
                                                     : (unsigned)__builtin_clzl((unsigned long)word);
}

/* How many bits of a word of 64 are set. Written out, since without a popcount instruction the built-in is a library call. */
static inline unsigned acre_bits_count(uint64_t bits)
{
    bits -= (bits >> 1) & 0x5555555555555555u;
    bits = (bits & 0x3333333333333333u) + ((bits >> 2) & 0x3333333333333333u);
    bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (unsigned)((bits * 0x0101010101010101u) >> 56);
}

/* How many numbers a set holds. */
static inline unsigned acre_word_count(acre_word word) { return acre_bits_count(word); }

/* The set {0, ..., count - 1}; count <= ACRE_WORD_BITS. */
static inline acre_word acre_word_first(unsigned count)
{
    assert(count <= ACRE_WORD_BITS);
    return count == 0 ? 0 : ACRE_WORD_ALL >> (ACRE_WORD_BITS - count);
}

/* floor(log2(value)), value > 0. */
static inline unsigned acre_log2_floor(uint64_t value)
{
    assert(value > 0);
    return 63u - (unsigned)__builtin_clzll(value);
}

/* ceil(log2(value)), value > 0. */
static inline unsigned acre_log2_ceil(uint64_t value)
{
    return value <= 1 ? 0 : acre_log2_floor(value - 1) + 1;
}

static inline bool acre_is_power_of_two(uint64_t value) { return value != 0 && (value & (value - 1)) == 0; }

/* `value` up or down to a multiple of `alignment`, a power of two. The caller sees to it that `value + alignment`
 * does not overflow. */
static inline uint64_t acre_align_up(uint64_t value, uint64_t alignment)
{
    assert(acre_is_power_of_two(alignment));
    return (value + alignment - 1) & ~(alignment - 1);
}

static inline uint64_t acre_align_down(uint64_t value, uint64_t alignment)
{
    assert(acre_is_power_of_two(alignment));
    return value & ~(alignment - 1);
}

static inline size_t acre_min_size(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t acre_max_size(size_t a, size_t b) { return a > b ? a : b; }

#endif
