/* word.h - changes of a word that threads and interrupt handlers share, each as if nothing came in between.
 *
 * On a host with many cores they are C11's, sequentially consistent, and no signal handler is in their way. Without an operating system
 * there is one core: an interrupt sees what the code that it came into did in the order in which it did it, so the compiler alone has to
 * keep the order. A processor without such instructions (ARMv6-M) calls freestanding.c for them, which turns interrupts off for a few
 * instructions.
 */
#ifndef ACRE_OS_WORD_H
#define ACRE_OS_WORD_H

#include "base/bits.h"

/* Also by -Os, which counts bytes before it counts what a call costs. */
#define ACRE_OS_INLINE static inline __attribute__((always_inline))

#if __STDC_HOSTED__
#define ACRE_OS_IS_ONE_CORE false
#define ACRE_OS_WORD_ORDER  __ATOMIC_SEQ_CST
#define ACRE_OS_KEEP_ORDER() ((void)0)
#define ACRE_OS_READ(word)   __atomic_load_n(word, __ATOMIC_SEQ_CST)
#else
#define ACRE_OS_IS_ONE_CORE true
#define ACRE_OS_WORD_ORDER  __ATOMIC_RELAXED
#define ACRE_OS_KEEP_ORDER() __atomic_signal_fence(__ATOMIC_SEQ_CST)
#define ACRE_OS_READ(word)   (*(const volatile acre_word *)(word)) /* gcc knows more ways to address it than an atomic one */
#endif

/* A processor with load- and store-exclusive: a store fails when an exception, or another core's store, came between it and the load. */
#if !__STDC_HOSTED__ && defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M' && defined(__ARM_FEATURE_LDREX)
#define ACRE_OS_IS_EXCLUSIVE true
#else
#define ACRE_OS_IS_EXCLUSIVE false
#endif

ACRE_OS_INLINE acre_word acre_os_load(const acre_word *word)
{
    ACRE_OS_KEEP_ORDER();
    const acre_word value = ACRE_OS_READ(word);
    ACRE_OS_KEEP_ORDER();
    return value;
}

/* A change in two steps: acre_os_begin gives what the word is, acre_os_commit makes it `wanted` unless something came in between, which is
 * false then. Between the two there is no other such change. Where ACRE_OS_IS_EXCLUSIVE it fails only for that; else also never for a word
 * that was changed and changed back. */
ACRE_OS_INLINE acre_word acre_os_begin(acre_word *word)
{
#if !__STDC_HOSTED__ && defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M' && defined(__ARM_FEATURE_LDREX)
    acre_word seen;
    __asm__ volatile("ldrex %0, %1" : "=r"(seen) : "Q"(*word) : "memory");
    return seen;
#else
    return acre_os_load(word);
#endif
}

ACRE_OS_INLINE bool acre_os_commit(acre_word *word, acre_word seen, acre_word wanted)
{
#if !__STDC_HOSTED__ && defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M' && defined(__ARM_FEATURE_LDREX)
    acre_word is_refused;
    (void)seen;
    __asm__ volatile("strex %0, %2, %1" : "=&r"(is_refused), "=Q"(*word) : "r"(wanted) : "memory");
    return is_refused == 0;
#else
    ACRE_OS_KEEP_ORDER();
    const bool is_done = __atomic_compare_exchange_n(word, &seen, wanted, false, ACRE_OS_WORD_ORDER, ACRE_OS_WORD_ORDER);
    ACRE_OS_KEEP_ORDER();
    return is_done;
#endif
}

/* The next two return what the word was. */
ACRE_OS_INLINE acre_word acre_os_fetch_or(acre_word *word, acre_word mask)
{
    acre_word before;
    if (ACRE_OS_IS_EXCLUSIVE) {
        do before = acre_os_begin(word);
        while (!acre_os_commit(word, before, before | mask));
    } else {
        ACRE_OS_KEEP_ORDER();
        before = __atomic_fetch_or(word, mask, ACRE_OS_WORD_ORDER);
        ACRE_OS_KEEP_ORDER();
    }
    return before;
}

ACRE_OS_INLINE acre_word acre_os_fetch_and(acre_word *word, acre_word mask)
{
    acre_word before;
    if (ACRE_OS_IS_EXCLUSIVE) {
        do before = acre_os_begin(word);
        while (!acre_os_commit(word, before, before & mask));
    } else {
        ACRE_OS_KEEP_ORDER();
        before = __atomic_fetch_and(word, mask, ACRE_OS_WORD_ORDER);
        ACRE_OS_KEEP_ORDER();
    }
    return before;
}

/* Sets bits; false, and nothing was changed, if one of them was set. */
ACRE_OS_INLINE bool acre_os_set_clear(acre_word *word, acre_word mask)
{
    if (!ACRE_OS_IS_EXCLUSIVE) return (acre_os_fetch_or(word, mask) & mask) == 0;
    for (;;) {
        const acre_word before = acre_os_begin(word);
        if ((before & mask) != 0) return false;
        if (acre_os_commit(word, before, before | mask)) return true;
    }
}

/* True in an interrupt handler of a Cortex-M; false where nobody knows. */
static inline bool acre_os_is_in_interrupt(void)
{
#if !__STDC_HOSTED__ && defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M'
    uint32_t number;
    __asm__ volatile("mrs %0, ipsr" : "=r"(number));
    return number != 0;
#else
    return false;
#endif
}

#endif
