/* pool.c - see acre/pool.h.
 *
 * A slot is new (its number is `handed_out` or more), free (its bit is set) or out (its bit is clear). The first word of bits, that of the
 * near slots, is always looked at; `summary` tells which words of the others, the far ones, are worth a look. Whoever sets the first bit
 * of such a word sets its bit in the summary after it; whoever takes the last one clears it, looks at the word again, and sets it back if
 * it is not empty any more. So once all calls have returned, a word with a free slot is in the summary. While they are under way a bit
 * there may be wrong: one that is set for nothing is cleared by whoever finds it, one that is clear is about to be set.
 *
 * Only `first` and `words` decide who has a slot, and each change of them is one atomic step that knows what the word was. There is no
 * pointer to a next free slot, and so no A-B-A. proofs/spin/pool.pml visits the interleavings.
 */
#include <acre/pool.h>

#include "base/bits.h"
#include "base/status.h"
#include "os/word.h"

#define LEADING ((acre_word)1 << (ACRE_WORD_BITS - 1))

#define NOINLINE __attribute__((noinline))

enum { NEAR, FAR };
#define HAS_FAR (ACRE_POOL_COUNT_MAX > ACRE_POOL_WORD_BITS)

static void *slot_at(const acre_pool *pool, acre_word index) { return (void *)(pool->base + index * pool->slot_bytes); }

/* The index of the slot that begins at the address; a larger number than any index if none does. */
static acre_word index_of(const acre_pool *pool, const void *address)
{
    const acre_word product = ((uintptr_t)address - pool->base) * pool->inverse;
    const unsigned shift = (unsigned)pool->shift;
    return product >> shift | product << ((ACRE_WORD_BITS - shift) % ACRE_WORD_BITS);
}

/* The same as in os/word.h, where a call is better than its code once more. */
static NOINLINE acre_word fetch_or(acre_word *word, acre_word mask) { return acre_os_fetch_or(word, mask); }

static NOINLINE void count_up(acre_word *count) { (void)__atomic_fetch_add(count, 1, ACRE_OS_WORD_ORDER); }

/* On many cores a pool may look empty although it never is: its words are seen one after the other, and a slot comes back to one that was
 * seen while the last one of the next is taken. So a free of a pool of several words is counted when its bit is set, and a call that found
 * nothing asks whether one was counted meanwhile; if none was, the frees that it did not see have not returned, and count as later. A word
 * with a free slot that is not in the summary yet gets there without waiting for the one who is about to do it. True: another attempt may
 * bring a slot. */
static bool may_have_missed(acre_pool *pool)
{
    const size_t count = (pool->count[FAR] + ACRE_WORD_BITS - 1) / ACRE_WORD_BITS;
    const acre_word freed_count = acre_os_load(&pool->freed_count);
    bool is_found = acre_os_load(&pool->first) != 0;
    for (size_t i = 0; i < count; i++) {
        if (acre_os_load(&pool->words[i]) == 0) continue;
        (void)fetch_or(&pool->summary, LEADING >> i);
        is_found = true;
    }
    return is_found || acre_os_load(&pool->freed_count) != freed_count;
}

static inline void count_freed(acre_pool *pool)
{
    if (!ACRE_OS_IS_ONE_CORE && HAS_FAR && pool->count[FAR] != 0) count_up(&pool->freed_count);
}

/* A near slot that is free again, else a new one (there are far ones in use only when there is none). ACRE_BUSY: somebody else was first;
 * where only an exception can be, it goes round again, which is shorter than a call. */
ACRE_OS_INLINE acre_status attempt_near(acre_pool *pool, acre_word *index)
{
    acre_word seen;
    do {
        seen = acre_os_begin(&pool->first);
        if (seen == 0) break;
        *index = acre_word_leading_zeros(seen);
        if (acre_os_commit(&pool->first, seen, seen ^ LEADING >> *index)) return ACRE_OK;
    } while (ACRE_OS_IS_EXCLUSIVE);
    if (seen != 0) return ACRE_BUSY;
    do {
        *index = acre_os_begin(&pool->handed_out[NEAR]);
        if (*index == pool->count[NEAR]) return ACRE_NO_MEMORY;
        if (acre_os_commit(&pool->handed_out[NEAR], *index, *index + 1)) return ACRE_OK;
    } while (ACRE_OS_IS_EXCLUSIVE);
    return ACRE_BUSY;
}

/* A far slot that is free again; `at` is a word that the summary has. */
static inline acre_status attempt_far(acre_pool *pool, acre_word at, acre_word *index)
{
    const acre_word seen = acre_os_begin(&pool->words[at]);
    acre_word rest = 0;
    if (seen != 0) {
        const unsigned bit = acre_word_leading_zeros(seen);
        *index = (at + 1) * ACRE_WORD_BITS + bit;
        rest = seen ^ LEADING >> bit;
        if (!acre_os_commit(&pool->words[at], seen, rest)) return ACRE_BUSY;
    }
    if (rest == 0) {
        (void)acre_os_fetch_and(&pool->summary, ~(LEADING >> at));
        if (acre_os_load(&pool->words[at]) != 0) (void)fetch_or(&pool->summary, LEADING >> at);
    }
    return seen != 0 ? ACRE_OK : ACRE_BUSY;
}

/* A far slot that is new. */
static inline acre_status attempt_new(acre_pool *pool, acre_word *index)
{
    const acre_word next = acre_os_begin(&pool->handed_out[FAR]);
    if (next == pool->count[FAR]) return ACRE_NO_MEMORY;
    *index = next + ACRE_WORD_BITS;
    return acre_os_commit(&pool->handed_out[FAR], next, next + 1) ? ACRE_OK : ACRE_BUSY;
}

/* ACRE_BUSY: another attempt may bring it. */
static acre_status attempt(acre_pool *pool, void **slot)
{
    acre_word index = 0;
    *slot = NULL;
    acre_status status = attempt_near(pool, &index);
    if (HAS_FAR && status == ACRE_NO_MEMORY) {
        const acre_word summary = acre_os_load(&pool->summary);
        status = summary != 0 ? attempt_far(pool, acre_word_leading_zeros(summary), &index) : attempt_new(pool, &index);
    }
    if (!ACRE_OS_IS_ONE_CORE && status == ACRE_NO_MEMORY && may_have_missed(pool)) status = ACRE_BUSY;
    if (status == ACRE_OK) *slot = slot_at(pool, index);
    return status;
}

/* Attempts are written out, so that there is no loop. */
acre_status acre_pool_try(acre_pool *pool, void **slot)
{
    acre_status status = attempt(pool, slot);
    if (HAS_FAR || !ACRE_OS_IS_EXCLUSIVE) {
        if (status == ACRE_BUSY) status = attempt(pool, slot);
        if (status == ACRE_BUSY) status = attempt(pool, slot);
    }
    if (status != ACRE_OK) count_up(&pool->failed_count);
    return status;
}

static NOINLINE void *alloc_slowly(acre_pool *pool)
{
    void *slot;
    acre_status status = acre_pool_try(pool, &slot);
    while (!ACRE_OS_IS_ONE_CORE && status == ACRE_BUSY) status = attempt(pool, &slot);
    return slot;
}

void *acre_pool_alloc(acre_pool *pool)
{
    acre_word index;
    return acre_likely(attempt_near(pool, &index) == ACRE_OK) ? slot_at(pool, index) : alloc_slowly(pool);
}

static NOINLINE acre_status refuse(acre_pool *pool)
{
    count_up(&pool->refused_count);
    return ACRE_BAD_POINTER;
}

/* A free of what is no near slot. */
static NOINLINE acre_status free_far(acre_pool *pool, acre_word index)
{
    const acre_word far = index - ACRE_WORD_BITS;
    if (index == index_of(pool, NULL)) return ACRE_OK;
    if (!HAS_FAR || index < ACRE_WORD_BITS || far >= acre_os_load(&pool->handed_out[FAR])) return refuse(pool);
    const acre_word at = far / ACRE_WORD_BITS;
    const acre_word mask = LEADING >> far % ACRE_WORD_BITS;
    const acre_word before = fetch_or(&pool->words[at], mask);
    if ((before & mask) != 0) return refuse(pool);
    if (before == 0) (void)fetch_or(&pool->summary, LEADING >> at);
    count_freed(pool);
    return ACRE_OK;
}

acre_status acre_pool_free(acre_pool *pool, void *slot)
{
    const acre_word index = index_of(pool, slot);
    if (acre_unlikely(index >= acre_os_load(&pool->handed_out[NEAR]))) return free_far(pool, index);
    if (acre_unlikely(!acre_os_set_clear(&pool->first, LEADING >> index))) return refuse(pool);
    count_freed(pool);
    return ACRE_OK;
}

/* ---- what there is ---- */

static acre_word word_count(const acre_pool *pool) { return (pool->count[FAR] + ACRE_WORD_BITS - 1) / ACRE_WORD_BITS; }

/* The leading `count` bits of a word, which has no more than that. */
static acre_word leading_bits(acre_word count)
{
    return count == 0 ? 0 : ACRE_WORD_ALL << (ACRE_WORD_BITS - (count < ACRE_WORD_BITS ? count : ACRE_WORD_BITS));
}

/* Which slots of word `at` have been in use; 0 is the near ones, 1 the first of `words`. */
static acre_word known(const acre_pool *pool, acre_word at)
{
    if (at == 0) return leading_bits(acre_os_load(&pool->handed_out[NEAR]));
    const acre_word far = acre_os_load(&pool->handed_out[FAR]);
    const acre_word before = (at - 1) * ACRE_WORD_BITS;
    return leading_bits(far > before ? far - before : 0);
}

static acre_word free_in(const acre_pool *pool, acre_word at) { return acre_os_load(at == 0 ? &pool->first : &pool->words[at - 1]); }

static bool is_forbidden(void)
{
#ifndef NDEBUG
    return acre_os_is_in_interrupt();
#else
    return false;
#endif
}

acre_status acre_pool_find(const acre_pool *pool, const void *address, acre_pool_slot *slot)
{
    if (is_forbidden()) return ACRE_DENIED;
    if (pool == NULL || slot == NULL) return acre_fail(ACRE_INVALID, "pool: find: the pool or the slot is NULL");
    const uintptr_t distance = (uintptr_t)address - pool->base;
    const acre_word index = distance / pool->slot_bytes;
    if (index >= pool->count[NEAR] + pool->count[FAR]) {
        return acre_fail(ACRE_BAD_POINTER, "pool '%s': 0x%llx lies in no slot", pool->name, (unsigned long long)(uintptr_t)address);
    }
    const acre_word at = index / ACRE_WORD_BITS;
    const acre_word mask = LEADING >> index % ACRE_WORD_BITS;
    *slot = (acre_pool_slot){.index = (uint32_t)index,
                             .offset = distance % pool->slot_bytes,
                             .is_out = (known(pool, at) & ~free_in(pool, at) & mask) != 0};
    return ACRE_OK;
}

acre_status acre_pool_read_figures(const acre_pool *pool, acre_pool_figures *figures)
{
    if (is_forbidden()) return ACRE_DENIED;
    if (pool == NULL || figures == NULL) return acre_fail(ACRE_INVALID, "pool: figures: the pool or the figures are NULL");
    uint32_t used = 0;
    uint32_t span = 0;
    for (acre_word at = 0; at <= word_count(pool); at++) {
        const acre_word out = known(pool, at) & ~free_in(pool, at);
        if (out == 0) continue;
        used += acre_word_count(out);
        span = (uint32_t)((at + 1) * ACRE_WORD_BITS) - acre_word_lowest(out);
    }
    *figures = (acre_pool_figures){.count = (uint32_t)(pool->count[NEAR] + pool->count[FAR]),
                                   .used = used,
                                   .used_max = (uint32_t)(acre_os_load(&pool->handed_out[NEAR]) + acre_os_load(&pool->handed_out[FAR])),
                                   .span = span,
                                   .holes = span - used,
                                   .failed_count = (uint32_t)acre_os_load(&pool->failed_count),
                                   .refused_count = (uint32_t)acre_os_load(&pool->refused_count),
                                   .slot_bytes = pool->slot_bytes};
    return ACRE_OK;
}

bool acre_pool_is_valid(const acre_pool *pool)
{
    const acre_word near_count = pool->count[NEAR], far_count = pool->count[FAR];
    if (pool->base == 0 || pool->slot_bytes == 0 || pool->words == NULL || near_count == 0 || near_count > ACRE_WORD_BITS) return false;
    if (far_count > ACRE_POOL_COUNT_MAX - ACRE_WORD_BITS || (far_count > 0 && near_count != ACRE_WORD_BITS)) return false;
    if (pool->shift >= ACRE_WORD_BITS || (pool->slot_bytes >> pool->shift) * pool->inverse != 1) return false;
    if (pool->handed_out[NEAR] > near_count || pool->handed_out[FAR] > far_count) return false;
    if (pool->handed_out[FAR] > 0 && pool->handed_out[NEAR] < near_count) return false;
    if ((pool->summary & ~leading_bits(word_count(pool))) != 0) return false;
    for (acre_word at = 0; at <= word_count(pool); at++) {
        const acre_word free_slots = free_in(pool, at);
        if ((free_slots & ~known(pool, at)) != 0) return false;
        if (at > 0 && free_slots != 0 && (pool->summary & LEADING >> (at - 1)) == 0) return false;
    }
    return true;
}
