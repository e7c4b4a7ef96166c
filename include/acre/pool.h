/* pool.h - slots of one size, for threads and interrupt handlers at the same time, without a lock.
 *
 *     typedef struct packet { uint8_t bytes[120]; uint32_t length; } packet;
 *     ACRE_POOL_DEFINE(packets, packet, 32)          at file scope: the pool is there before main, nothing is to be called first
 *
 *     packet *const p = acre_pool_alloc(&packets);   in main, a thread, an interrupt handler
 *     ...
 *     if (acre_pool_free(&packets, p) != ACRE_OK) ...
 *
 * A bit tells whether a slot is free; a slot itself is never read or written. So a free is checked, in release builds too: what is not the
 * beginning of a slot of this pool, was never handed out, or is free already is refused, and nothing changes. (A second free after
 * somebody else has got the slot cannot be told from his.) Slots that came back are handed out first, lower ones before higher ones, and
 * new ones only when there are none: so the number of slots that were ever handed out is the most that were in use at one time.
 *
 * Any context may call acre_pool_alloc, acre_pool_try and acre_pool_free: threads on all cores of a host, its signal handlers, and without
 * an operating system the one core's main program and interrupt handlers of every priority. They are lock-free: whoever is interrupted
 * holds nobody up. Instructions as `acre wcet` and QEMU count them (docs/pools.md), uncontended, gcc 12 -Os, pools of up to 32 slots: on a
 * Cortex-M3 alloc 15 (20 of a slot that is new) and free 20. On a Cortex-M0 interrupts are off for at most 5 instructions in a row.
 *
 * One thing more than 32 slots (64 on a 64-bit machine) cost: beyond these a second level tells which words have free slots. Where there
 * is no operating system, a handler that interrupts a free or an alloc between its two levels may find the pool full although a slot of
 * that word is free. On a host the call looks again.
 *
 * The slots lie apart from all else, in an array NAME_slots with an alignment of its type, so they can have a protection of their own.
 *
 * Example: examples/pool.c.
 */
#ifndef ACRE_POOL_H
#define ACRE_POOL_H

#include <acre/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uintptr_t acre_pool_word; /* of bits, one a slot; the leading bit is the first slot */

#define ACRE_POOL_WORD_BITS ((unsigned)(sizeof(acre_pool_word) * 8))

/* Slots of one pool: 1,056, or 4,160 on a 64-bit machine. A firmware where every byte of code counts compiles src/alloc/pool.c and all that
 * includes this header with ACRE_POOL_SMALL: then pools have no second level and at most 32 slots. */
#ifdef ACRE_POOL_SMALL
#define ACRE_POOL_COUNT_MAX ACRE_POOL_WORD_BITS
#else
#define ACRE_POOL_COUNT_MAX (ACRE_POOL_WORD_BITS + ACRE_POOL_WORD_BITS * ACRE_POOL_WORD_BITS)
#endif

/* Made by ACRE_POOL_DEFINE. The fields are for implementations. */
typedef struct acre_pool {
    acre_pool_word first;         /* which of the first ACRE_POOL_WORD_BITS slots, the near ones, are free again */
    acre_pool_word summary;       /* which of `words` may have free slots */
    acre_pool_word handed_out[2]; /* near and far slots that have ever been in use: so many from the lowest one on; the others are new */
    acre_pool_word count[2];      /* near and far slots */
    acre_pool_word *words;        /* which of the far slots are free again */
    uintptr_t base;               /* of the first slot */
    acre_pool_word slot_bytes;
    acre_pool_word inverse;       /* of the odd factor of slot_bytes, modulo 2^ACRE_POOL_WORD_BITS */
    acre_pool_word shift;         /* slot_bytes is the odd factor times 2^shift */
    acre_pool_word failed_count;  /* calls that got no slot */
    acre_pool_word refused_count; /* frees of what was no slot in use */
    acre_pool_word freed_count;   /* on a host: frees, of a pool with far slots */
    const char *name;
} acre_pool;

/* Defines `name`, an acre_pool of `count` slots for objects of `type`; 1 <= count <= ACRE_POOL_COUNT_MAX. At file scope. Other files say
 * `extern acre_pool name;`. Its memory: the slots, 15 words, a bit a slot in words. */
#define ACRE_POOL_DEFINE(name, type, count)                                                                                                \
    typedef char name##_count_is_in_range[(count) >= 1 && (count) <= ACRE_POOL_COUNT_MAX ? 1 : -1];                                        \
    static type name##_slots[count];                                                                                                       \
    static acre_pool_word name##_words[ACRE_POOL_WORDS(count)];                                                                            \
    acre_pool name = {0,                                                                                                                   \
                      0,                                                                                                                   \
                      {0, 0},                                                                                                              \
                      {ACRE_POOL_NEAR(count), (count)-ACRE_POOL_NEAR(count)},                                                              \
                      name##_words,                                                                                                        \
                      (uintptr_t)name##_slots,                                                                                             \
                      sizeof(type),                                                                                                        \
                      ACRE_POOL_INVERSE(ACRE_POOL_ODD(sizeof(type))),                                                                      \
                      ACRE_POOL_SHIFT(ACRE_POOL_EVEN(sizeof(type))),                                                                       \
                      0,                                                                                                                   \
                      0,                                                                                                                   \
                      0,                                                                                                                   \
                      #name}

#define ACRE_POOL_NEAR(count)  ((count) < ACRE_POOL_WORD_BITS ? (count) : ACRE_POOL_WORD_BITS)
/* Words for the far slots, at least 1. */
#define ACRE_POOL_WORDS(count) ((count) <= ACRE_POOL_WORD_BITS ? 1 : ((count)-1) / ACRE_POOL_WORD_BITS)

/* size = EVEN * ODD, and EVEN = 2^SHIFT. A multiple of size, times INVERSE and rotated right by SHIFT, is the quotient; anything else is
 * more than the largest quotient (Warren, Hacker's Delight, "Test for Zero Remainder after Division by a Constant"). Five bits of the
 * first guess of an inverse are right, and each step of Newton's doubles them. */
#define ACRE_POOL_EVEN(size)         ((acre_pool_word)(size) & (0 - (acre_pool_word)(size)))
#define ACRE_POOL_ODD(size)          ((acre_pool_word)(size) / ACRE_POOL_EVEN(size))
#define ACRE_POOL_NEWTON(odd, guess) ((guess) * (2 - (odd) * (guess)))
#define ACRE_POOL_INVERSE(odd)                                                                                                             \
    ACRE_POOL_NEWTON(odd, ACRE_POOL_NEWTON(odd, ACRE_POOL_NEWTON(odd, ACRE_POOL_NEWTON(odd, (3 * (odd)) ^ 2))))
#define ACRE_POOL_SHIFT(even)                                                                                                              \
    (((even)&0xaaaaaaaa ? 1u : 0u) + ((even)&0xcccccccc ? 2u : 0u) + ((even)&0xf0f0f0f0 ? 4u : 0u) + ((even)&0xff00ff00 ? 8u : 0u) +       \
     ((even)&0xffff0000 ? 16u : 0u))

/* A slot, or NULL: all are in use. Its bytes are as the last user left them, or zero. Any context. On a host O(1) and lock-free; without an
 * operating system as acre_pool_try. */
ACRE_API void *acre_pool_alloc(acre_pool *pool) ACRE_MUST_USE;

/* The same, by at most three attempts: never waits, never loops. ACRE_OK: `*slot` is one. ACRE_NO_MEMORY: all are in use. ACRE_BUSY: others
 * were first in each attempt (on one core: an interrupt that uses the pool came in each time). Else `*slot` is NULL. Any context. */
ACRE_API acre_status acre_pool_try(acre_pool *pool, void **slot) ACRE_MUST_USE;

/* Gives a slot back. NULL is ignored. ACRE_BAD_POINTER, and nothing was changed: it is no slot of this pool, not the beginning of one, was
 * never handed out, or is free already; no sentence is kept, acre_pool_find has the reason. Any context. O(1), lock-free. */
ACRE_API acre_status acre_pool_free(acre_pool *pool, void *slot);

/* ---- what there is: from the main program or a thread; exact while nobody else uses the pool ---- */

typedef struct acre_pool_slot {
    uint32_t index;
    size_t offset; /* of the address in its slot, bytes */
    bool is_out;   /* handed out and not given back */
} acre_pool_slot;

/* The slot that the byte at `address` lies in. ACRE_BAD_POINTER: in none. ACRE_INVALID: a NULL. O(1). In debug builds ACRE_DENIED in an
 * interrupt handler of a Cortex-M. */
ACRE_API acre_status acre_pool_find(const acre_pool *pool, const void *address, acre_pool_slot *slot);

typedef struct acre_pool_figures {
    uint32_t count;      /* slots */
    uint32_t used;       /* in use */
    uint32_t used_max;   /* the most that were in use at one time; when calls overlap it may be a little more than that */
    uint32_t span;       /* one more than the index of the highest slot in use */
    uint32_t holes;      /* free slots below that */
    uint32_t failed_count, refused_count;
    size_t slot_bytes;
} acre_pool_figures;

/* A pool does not fragment as a heap does: any free slot is good for any request, so none fails while one is free. What `holes` of `span`
 * tells is how scattered the slots in use are, which matters where memory above them could be put to another use or switched off. O(count
 * / word). ACRE_INVALID: a NULL. In debug builds ACRE_DENIED in an interrupt handler of a Cortex-M, because its time grows with the pool.
 * */
ACRE_API acre_status acre_pool_read_figures(const acre_pool *pool, acre_pool_figures *figures);

/* True when every invariant of the pool holds; nobody else uses it. O(count / word). For tests. */
ACRE_API bool acre_pool_is_valid(const acre_pool *pool);

#ifdef __cplusplus
}
#endif
#endif
