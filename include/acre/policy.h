/* policy.h - which entry of a cache has to go: replacement policies over slots, written once for everything that caches.
 *
 * A cache keeps up to `capacity` entries in slots 0, 1, 2, ... and finds them by its own table. A policy owns none of them: it is told of
 * hits and misses, and says which slot is to be used again.
 *
 *     acre_policy_options options = {.kind = ACRE_POLICY_ADAPTIVE, .capacity = 1000, .keys = keys};
 *     acre_policy *policy;
 *     acre_policy_init(&policy, &options, memory, bytes);              memory of acre_policy_bytes(&options) bytes
 *
 *     slot = find(key);                                                 the cache's own table
 *     if (slot is one) {
 *         acre_policy_hit(policy, slot);
 *     } else {
 *         acre_policy_origin origin = acre_policy_miss(policy, key);    it may remember the key
 *         slot = a free one, or acre_policy_evict(policy, origin, NULL, NULL);
 *         keys[slot] = key;                                             take out the old entry, put in the new one
 *         acre_policy_admit(policy, slot, origin);
 *     }
 *
 * The kinds, each as its paper says; c is the capacity:
 *
 *     adaptive   follows whichever of LRU, S3-FIFO and LIRS would have missed least lately, which shadows of them tell. The default
 *     fifo       the one that came first
 *     lru        the one that was used least recently
 *     clock      FIFO, but an entry that was used since the last look goes round again (one bit; Corbato 1968)
 *     2q         a FIFO of c/4 for entries used once, LRU for those asked for again within the next c/2 (Johnson, Shasha 1994)
 *     arc        two LRU lists whose shares follow the hits in what each has lost (Megiddo, Modha 2003)
 *     car        the same with two clocks (Bansal, Modha 2004)
 *     lirs       by the time between the last two uses rather than since the last one; 1 % for newcomers (Jiang, Zhang 2002)
 *     s3-fifo    a FIFO of c/10 for newcomers, a clock of two bits for the rest, 0.9 c remembered, nearly (Yang and others 2023)
 *     sieve      a hand that goes over a FIFO and leaves what was used where it is (Zhang and others 2024)
 *     w-tinylfu  a window of c/100 in front of a segmented LRU, which takes a newcomer only if a sketch has seen it more often than
 *                the one that would have to go (Einziger, Friedman, Manes 2017)
 *
 * Threads: one call at a time on one policy, under the cache's lock, with the exception of acre_policy_note, which any thread may call at
 * any time: it writes one byte at most, and nothing if nothing changes (fifo, clock, s3-fifo, sieve), or keeps the hit in a buffer of the
 * thread's own until acre_policy_deliver hands it in under the lock (the others).
 *
 * Costs: hit, miss, admit, forget O(1); evict O(1) amortised, and each call looks at no more than `effort` slots that the cache will not
 * give up. Bytes a slot, without the caller's keys: clock 2, fifo, lru, sieve and s3-fifo 10, w-tinylfu 18 to 26, 2q 20, arc and car 31,
 * lirs 36, adaptive 46 and 8 KiB for its shadows; acre_policy_bytes has the sum. No call allocates.
 *
 * Example: examples/policy.c.
 */
#ifndef ACRE_POLICY_H
#define ACRE_POLICY_H

#include <acre/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The number of a slot: 16 bits on microcontrollers. */
#if UINTPTR_MAX > 0xffffffffu
typedef uint32_t acre_policy_slot;
#define ACRE_POLICY_NO_SLOT      UINT32_MAX
#define ACRE_POLICY_CAPACITY_MAX 0x20000000u
#else
typedef uint16_t acre_policy_slot;
#define ACRE_POLICY_NO_SLOT      UINT16_MAX
#define ACRE_POLICY_CAPACITY_MAX 0x2000u
#endif

typedef enum acre_policy_kind {
    ACRE_POLICY_ADAPTIVE = 0,
    ACRE_POLICY_FIFO,
    ACRE_POLICY_LRU,
    ACRE_POLICY_CLOCK,
    ACRE_POLICY_TWO_QUEUE,
    ACRE_POLICY_ARC,
    ACRE_POLICY_CAR,
    ACRE_POLICY_LIRS,
    ACRE_POLICY_S3_FIFO,
    ACRE_POLICY_SIEVE,
    ACRE_POLICY_W_TINYLFU,
} acre_policy_kind;

#define ACRE_POLICY_KIND_COUNT 11

/* "adaptive", "lru", ..., as above; NULL for no kind. Any thread. O(1). */
ACRE_API const char *acre_policy_name(acre_policy_kind kind);

/* The kind of that name. ACRE_INVALID: there is none, or a NULL. Any thread. */
ACRE_API acre_status acre_policy_named(const char *name, acre_policy_kind *kind);

typedef struct acre_policy_options {
    acre_policy_kind kind;
    acre_policy_slot capacity;     /* slots that may be in use: 1 to ACRE_POLICY_CAPACITY_MAX */
    acre_policy_slot capacity_max; /* acre_policy_resize may go up to that; 0: `capacity`. What memory is needed for */
    const void *keys;      /* the cache's own: the 64-bit key of the entry in slot i is at keys + i * key_stride_bytes, aligned to 8 bytes.
                            * Any bijection or hash of what the cache finds entries by; need not be well mixed. fifo, lru, clock and
                            * sieve need none */
    bool has_fingerprints; /* `keys` are fingerprints instead, acre_policy_fingerprint_of(key): 32 bits, aligned to 4 bytes */
    size_t key_stride_bytes; /* 0: 8, of fingerprints 4 */
    uint32_t effort;         /* how many slots evict may find kept before it gives up: 0 means 64 */
} acre_policy_options;

/* What a cache finds when it looks at a slot that a policy would take. */
typedef enum acre_verdict {
    ACRE_EVICT = 0,   /* it can go */
    ACRE_KEEP,        /* pinned: counts as used */
    ACRE_WRITE_FIRST, /* dirty: it cannot go yet, and the cache has noted that it should be written */
} acre_verdict;

typedef acre_verdict acre_policy_look(void *context, acre_policy_slot slot);

/* How a policy remembers a key that it is asked for: what acre_policy_miss gave, for evict and admit. 0: not at all. */
typedef uint32_t acre_policy_origin;

/* Lies at the beginning of the memory that it was given. The fields are for the implementation. */
typedef struct acre_policy acre_policy;
struct acre_policy {
    uint8_t *hits;     /* a byte a slot: hits, up to hit_limit, and ACRE_POLICY_NOTED */
    uint8_t *where;    /* a byte a slot: 0 when it is not in use; NULL where the kind keeps that with something else */
    uint8_t hit_limit; /* 0: touch is called for each hit */
    uint8_t kind;
    bool has_fingerprints;
    void (*touch)(acre_policy *policy, acre_policy_slot slot);
    const struct acre_policy_operations *operations;
    const unsigned char *keys;
    size_t key_stride_bytes;
    acre_policy_slot capacity, capacity_max;
    acre_policy_slot count; /* slots in use */
    uint32_t effort;
};

#define ACRE_POLICY_NOTED 0x80u

/* All that a policy knows of a key. A bijection of its lower 32 bits for given upper ones, so that a cache which has the upper bits
 * elsewhere can keep this instead of the lower ones: acre_policy_key_of gives them back. Any thread. O(1). */
ACRE_API uint32_t acre_policy_fingerprint_of(uint64_t key);
ACRE_API uint64_t acre_policy_key_of(uint32_t fingerprint, uint32_t upper);

/* The memory that a policy of these options takes, 0 when they are not valid. O(1). */
ACRE_API size_t acre_policy_bytes(const acre_policy_options *options);

/* A policy with no slot in use, in `bytes` bytes at `memory`, aligned to 8, which are the policy's until the cache stops calling it;
 * nothing has to be closed. ACRE_INVALID, and nothing was changed: a NULL, options out of their ranges, memory that is too small or not
 * aligned. O(bytes). */
ACRE_API acre_status acre_policy_init(acre_policy **policy, const acre_policy_options *options, void *memory, size_t bytes);

/* An entry was asked for that is in `slot`. Under the lock. acre_policy_touch leaves a slot alone that is not in use; acre_policy_hit is
 * for those that are. */
ACRE_API void acre_policy_touch(acre_policy *policy, acre_policy_slot slot);
static inline void acre_policy_hit(acre_policy *policy, acre_policy_slot slot)
{
    uint8_t hits = __atomic_load_n(policy->hits + slot, __ATOMIC_RELAXED);
    if (policy->hit_limit == 0)
        policy->touch(policy, slot);
    else if (hits < policy->hit_limit)
        __atomic_store_n(policy->hits + slot, (uint8_t)(hits + 1), __ATOMIC_RELAXED);
}

/* Hits of one thread that are not handed in. Begins as all zero. */
#define ACRE_POLICY_HITS_MAX 64u
typedef struct acre_policy_hits {
    uint32_t count;
    acre_policy_slot slots[ACRE_POLICY_HITS_MAX];
} acre_policy_hits;

/* The same as acre_policy_hit without the lock, from any thread. True: the buffer is full; hand it in, or set its count to 0 if the lock
 * is taken. A hit that is lost, or that reaches a slot which is in other use by then, does no harm but to the policy's judgement. */
static inline bool acre_policy_note(acre_policy *policy, acre_policy_slot slot, acre_policy_hits *mine)
{
    uint8_t hits = __atomic_load_n(policy->hits + slot, __ATOMIC_RELAXED);
    if (policy->hit_limit != 0) {
        if (hits < policy->hit_limit) __atomic_store_n(policy->hits + slot, (uint8_t)(hits + 1), __ATOMIC_RELAXED);
        return false;
    }
    if (hits & ACRE_POLICY_NOTED) return false;
    __atomic_store_n(policy->hits + slot, (uint8_t)(hits | ACRE_POLICY_NOTED), __ATOMIC_RELAXED);
    if (mine->count < ACRE_POLICY_HITS_MAX) mine->slots[mine->count++] = slot;
    return mine->count == ACRE_POLICY_HITS_MAX;
}

/* Hands in the hits of a thread and empties the buffer. Under the lock. O(hits). */
ACRE_API void acre_policy_deliver(acre_policy *policy, acre_policy_hits *mine);

/* `key` was asked for and is in no slot. Under the lock. The caller goes on with evict, if it has no free slot, and admit; or leaves it at
 * that, if it does not want the entry in the cache. */
ACRE_API acre_policy_origin acre_policy_miss(acre_policy *policy, uint64_t key);

/* Takes a slot out of use: the one whose entry the cache can spare most easily, when a key of `origin` is to come (0: to have free slots
 * ahead of time). keys[slot] still has the old key. `look`, which may be NULL, is asked about each slot that would be taken, and must not
 * call into the policy; a slot that is kept counts as used. ACRE_POLICY_NO_SLOT: none is in use, or `effort` of them were kept. Under the
 * lock. */
ACRE_API acre_policy_slot acre_policy_evict(acre_policy *policy, acre_policy_origin origin, acre_policy_look *look, void *context);

/* Up to `count` slots in one go, each as acre_policy_evict(policy, 0, look, context); returns how many. */
ACRE_API size_t acre_policy_evict_many(acre_policy *policy, acre_policy_slot *slots, size_t count, acre_policy_look *look, void *context);

/* `slot`, which is not in use and below `capacity_max`, has an entry: its key is in keys[slot]. Under the lock. When `capacity` slots are
 * in use already it is accepted all the same: the cache is over its size and should evict. */
ACRE_API void acre_policy_admit(acre_policy *policy, acre_policy_slot slot, acre_policy_origin origin);

/* The entry of `slot` is gone by another way than evict (deleted, or moved out). Nothing is remembered of it. A slot that is not in use is
 * left alone. Under the lock. O(1), but for fifo, clock and s3-fifo, where the slot's place is given up when its turn comes. */
ACRE_API void acre_policy_forget(acre_policy *policy, acre_policy_slot slot);

/* True when `slot` is in use. Under the lock. O(1). */
ACRE_API bool acre_policy_holds(const acre_policy *policy, acre_policy_slot slot);

/* Another capacity. When more slots are in use than that, the cache evicts until it fits. ACRE_INVALID: a NULL, 0, or more than
 * capacity_max. Under the lock. O(what is remembered beyond it). */
ACRE_API acre_status acre_policy_resize(acre_policy *policy, acre_policy_slot capacity);

/* Every invariant of the policy's lists, counts and memory. For tests. O(capacity). */
ACRE_API bool acre_policy_is_valid(const acre_policy *policy);

/* Which rule an adaptive policy follows, or its own kind. O(1). */
ACRE_API acre_policy_kind acre_policy_rule(const acre_policy *policy);

#ifdef __cplusplus
}
#endif
#endif
