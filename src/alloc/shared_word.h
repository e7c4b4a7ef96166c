/* shared_word.h - changes of a word that any thread may change. All of them return the value before the change.
 *
 * While the process has one thread no atomic instruction is needed, which costs 20 cycles, and a block that goes back alone takes
 * two of them. */
#ifndef ACRE_ALLOC_SHARED_WORD_H
#define ACRE_ALLOC_SHARED_WORD_H

#include "base/atomic.h"
#include "os/os.h"

static inline acre_word acre_fetch_or(acre_word *word, acre_word mask)
{
    if (!acre_os_is_single_threaded()) return __atomic_fetch_or(word, mask, __ATOMIC_ACQ_REL);
    const acre_word before = acre_load_relaxed(word);
    acre_store_relaxed(word, before | mask);
    return before;
}

static inline acre_word acre_fetch_and(acre_word *word, acre_word mask)
{
    if (!acre_os_is_single_threaded()) return __atomic_fetch_and(word, mask, __ATOMIC_ACQ_REL);
    const acre_word before = acre_load_relaxed(word);
    acre_store_relaxed(word, before & mask);
    return before;
}

static inline acre_word acre_fetch_add(acre_word *word, acre_word addend)
{
    if (!acre_os_is_single_threaded()) return __atomic_fetch_add(word, addend, __ATOMIC_ACQ_REL);
    const acre_word before = acre_load_relaxed(word);
    acre_store_relaxed(word, before + addend);
    return before;
}

#endif
