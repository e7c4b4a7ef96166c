/* query_cache.h - results of queries, which are given again as long as nothing that they were made from has changed.
 *
 *     acre_query query = {statement, statement_bytes, parameters, parameter_bytes};
 *     acre_query_answer answer;
 *     acre_query_cache_get(cache, &query, now_ns, NULL, &answer);
 *     if (answer.outcome == ACRE_QUERY_HIT) {
 *         use(answer.value, answer.value_bytes);
 *         acre_query_cache_release(cache, &answer);
 *     } else {
 *         result = run the query;                                        a miss: and this thread is to fill it in
 *         acre_query_cache_fill(cache, &answer, &(acre_query_result){result, bytes, tables, table_count, cost_ns, 0}, now_ns);
 *     }
 *     ...
 *     acre_query_cache_invalidate(cache, table);                         whoever has changed a table, before the change counts as done
 *
 * A key is what the caller says it is: bytes of the statement in a canonical form and bytes of its parameters, which are never parsed and
 * always compared in full. An entry has the objects (tables, rows, files: any 64-bit numbers) that it was made from, each with its version
 * at that time; a writer raises the version, which is one step however many entries there are, and each hit compares the versions. Versions
 * lie in a table of words by the hash of the object: two objects that share a word invalidate each other, nothing worse.
 *
 * What is promised: when acre_query_cache_invalidate has returned, no acre_query_cache_get that begins after it gives a value that was read
 * before. Filling in is safe too: acre_query_cache_get takes a ticket before the query is run, and a value is refused when one of its
 * objects was changed since then. Between the change and the call the old value is still given; a writer whom that disturbs says
 * acre_query_cache_begin_write before the change and acre_query_cache_end_write after it: between them nothing of the object is given or
 * filled in.
 *
 * One thread fills in a key at a time; others are told ACRE_QUERY_BUSY, or wait when they say so. One that takes longer than `fill_ns_max`
 * has lost its turn. Old values are given only to who asks for them (`stale_ns`), and then one thread gets the turn to renew them.
 *
 * What stays is decided by a policy of acre/policy.h under a budget of bytes, with three rules more: an entry whose cost for each byte is
 * 2, 4 or 8 times the mean is passed over as many times as 1, 2 or 3 before it goes; a newcomer that the policy does not remember and whose
 * cost for each byte is below an eighth of the mean is not taken into a full cache; neither is one of more than a quarter of a shard.
 *
 * Threads: every function but open and close may be called by all of them at any time. Shards have a lock each; a hit holds it for the
 * comparison of the key. Times are the caller's, nanoseconds of any clock that does not go back.
 *
 * Example: examples/query_cache.c.
 */
#ifndef ACRE_QUERY_CACHE_H
#define ACRE_QUERY_CACHE_H

#include <acre/policy.h>
#include <acre/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ACRE_QUERY_OBJECTS_MAX     256u /* of one entry */
#define ACRE_QUERY_SHARDS_MAX      64u
#define ACRE_QUERY_KEY_BYTES_MAX   ((size_t)1 << 24) /* statement and parameters */
#define ACRE_QUERY_VALUE_BYTES_MAX ((size_t)1 << 30)

typedef struct acre_query_cache acre_query_cache;

typedef struct acre_query_cache_options {
    uint64_t bytes_max;      /* of all entries, with keys, objects and what is known of them. At least 4,096 for each shard */
    uint32_t entries_max;    /* 0: one for each 512 bytes, at most a million for each shard */
    uint32_t version_count;  /* words of versions, a power of two; 0: 65,536 */
    uint32_t shard_count;    /* a power of two up to ACRE_QUERY_SHARDS_MAX; 0: 16 */
    acre_policy_kind policy; /* 0: adaptive */
    uint64_t fill_ns_max;    /* 0: ten seconds */
    uint32_t curve_keys_max; /* keys of a live miss-ratio curve (acre/curve.h), which looks at no more than one request in 100; 0: there is
                                none */
    void *(*allocate)(void *context, size_t bytes); /* NULL: malloc and free. Aligned to 16; NULL: there is none */
    void (*deallocate)(void *context, void *memory);
    void *context;
} acre_query_cache_options;

typedef struct acre_query {
    const void *statement;
    size_t statement_bytes; /* not 0 */
    const void *parameters; /* may be NULL with 0 bytes */
    size_t parameter_bytes;
} acre_query;

typedef struct acre_query_wishes {
    uint64_t stale_ns; /* a value may be given that has been old for so long: since it expired, or since somebody found that an object had
                        * changed. 0: never */
    uint64_t wait_ns;  /* while another thread fills in, wait so long. 0: do not wait */
} acre_query_wishes;

typedef enum acre_query_outcome {
    ACRE_QUERY_MISS = 0, /* nothing is known, and it is this thread's turn to fill in */
    ACRE_QUERY_HIT,
    ACRE_QUERY_STALE, /* an old value; when `has_turn`, it is this thread's turn to renew it */
    ACRE_QUERY_BUSY,  /* nothing is known, and another thread fills in */
} acre_query_outcome;

typedef struct acre_query_answer {
    acre_query_outcome outcome;
    const void *value; /* of HIT and STALE, until acre_query_cache_release */
    size_t value_bytes;
    bool has_turn;      /* acre_query_cache_fill or acre_query_cache_abandon has to follow */
    void *entry, *turn; /* the rest is the cache's */
    uint64_t epoch, serial;
    uint32_t shard;
} acre_query_answer;

typedef struct acre_query_result {
    const void *value; /* copied */
    size_t value_bytes;
    const uint64_t *objects; /* that it was made from */
    size_t object_count;     /* up to ACRE_QUERY_OBJECTS_MAX */
    uint64_t cost_ns;        /* what it took to make; 0: as usual */
    uint64_t ttl_ns;         /* 0: it does not expire */
} acre_query_result;

typedef struct acre_query_figures {
    uint64_t bytes, bytes_max, entries;
    uint64_t hits, stale_hits, misses, busy;
    uint64_t outdated;                               /* of misses and stale hits: a value was there, and had expired or changed */
    uint64_t fills, refused_changed, refused_policy; /* filled in; not, since an object had changed; not, since there was no room for it */
    uint64_t evictions;
} acre_query_figures;

/* ACRE_INVALID: a NULL, or options out of their ranges. ACRE_NO_MEMORY. O(entries_max + version_count). */
ACRE_API acre_status acre_query_cache_open(acre_query_cache **cache, const acre_query_cache_options *options);

/* No answer may be held and no turn be open. NULL is ignored. O(entries). */
ACRE_API void acre_query_cache_close(acre_query_cache *cache);

/* Looks a query up. `wishes` may be NULL. After HIT and STALE acre_query_cache_release has to follow; when `has_turn`, one of
 * acre_query_cache_fill and acre_query_cache_abandon as well, after the query was run or not. Without memory a miss has no turn, and the
 * caller runs its query as if there were no cache. ACRE_INVALID: a NULL, or a key without statement or longer than
 * ACRE_QUERY_KEY_BYTES_MAX; then the answer is a miss without turn. O(key + objects of the entry). */
ACRE_API acre_status acre_query_cache_get(acre_query_cache *cache, const acre_query *query, uint64_t now_ns,
                                          const acre_query_wishes *wishes, acre_query_answer *answer);

/* The value of a HIT or STALE is not needed any more. O(1). */
ACRE_API void acre_query_cache_release(acre_query_cache *cache, acre_query_answer *answer);

/* Ends the turn with a result, and wakes who waits for it. ACRE_MOVED: an object has changed since the turn began, nothing is kept (the
 * result is right for the moment when it was made). ACRE_DENIED: there is no room for it. ACRE_BUSY: the turn took too long, and is
 * another's by now. ACRE_NO_MEMORY. ACRE_INVALID: a NULL, no turn, or a result out of its ranges; a turn has ended then, too. O(value +
 * objects), and O(1) amortised for evictions. */
ACRE_API acre_status acre_query_cache_fill(acre_query_cache *cache, acre_query_answer *answer, const acre_query_result *result,
                                           uint64_t now_ns);

/* Ends the turn without a result. O(1). */
ACRE_API void acre_query_cache_abandon(acre_query_cache *cache, acre_query_answer *answer);

/* An object has changed: everything that was made from it is old. Two atomic operations, however many entries there are. */
ACRE_API void acre_query_cache_invalidate(acre_query_cache *cache, uint64_t object);

/* An object is about to change: from here to acre_query_cache_end_write, which changes its version, nothing that is made from it is given
 * or filled in. Several writers may be between the two at the same time, up to 65,535 on objects that share a word. O(1). */
ACRE_API void acre_query_cache_begin_write(acre_query_cache *cache, uint64_t object);
ACRE_API void acre_query_cache_end_write(acre_query_cache *cache, uint64_t object);

/* Another budget, as acre_budget_resize wants it (context: the cache): evicts until it fits. Returns what is kept to: `bytes`, or more when
 * so much is in use by callers. At least 4,096 for each shard. O(what goes). */
ACRE_API uint64_t acre_query_cache_resize(void *cache, uint64_t bytes);

/* What misses would have cost since the last call, as acre_budget_read wants it (context: a cache with a curve): requests by the curve of
 * LRU over entries of mean size, times the mean of what results have cost to make, in nanoseconds. Values that become old are not counted:
 * they miss at every size. One call at a time. All 0 without a curve. O(curve_keys_max). */
ACRE_API void acre_query_cache_read_costs(void *cache, const uint64_t *sizes, uint64_t *costs, size_t count);

/* O(shards). ACRE_INVALID: a NULL. */
ACRE_API acre_status acre_query_cache_read_figures(acre_query_cache *cache, acre_query_figures *figures);

/* Every invariant. For tests; nobody else may be calling. O(entries). */
ACRE_API bool acre_query_cache_is_valid(acre_query_cache *cache);

#ifdef __cplusplus
}
#endif
#endif
