/* atomic.h - the few atomic operations acre uses, each on one machine word, with the order it needs in its name.
 *
 * Written over the compiler's built-ins, because <stdatomic.h> forbids to treat a word as plain where one owner is
 * known. On a processor with one core and no such instruction the compiler's own sequences stand. */
#ifndef ACRE_BASE_ATOMIC_H
#define ACRE_BASE_ATOMIC_H

#include "base/bits.h"

static inline acre_word acre_load_relaxed(const acre_word *word) { return __atomic_load_n(word, __ATOMIC_RELAXED); }
static inline acre_word acre_load_acquire(const acre_word *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static inline void acre_store_relaxed(acre_word *word, acre_word value)
{
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}
static inline void acre_store_release(acre_word *word, acre_word value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* A figure of 64 bits that one thread at a time changes and others look at. Where a word is shorter nobody else is there to look. */
static inline uint64_t acre_load_figure(const uint64_t *figure)
{
    return sizeof(acre_word) < sizeof *figure ? *figure : __atomic_load_n(figure, __ATOMIC_RELAXED);
}

static inline void acre_store_figure(uint64_t *figure, uint64_t value)
{
    if (sizeof(acre_word) < sizeof *figure)
        *figure = value;
    else
        __atomic_store_n(figure, value, __ATOMIC_RELAXED);
}

/* A pointer that is set once and read by everyone. */
#define acre_load_pointer(place)         __atomic_load_n(place, __ATOMIC_ACQUIRE)
#define acre_store_pointer(place, value) __atomic_store_n(place, value, __ATOMIC_RELEASE)

#endif
