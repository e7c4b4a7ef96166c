/* pool.h - what the files of the buffer pool share: its structure, the words of pages, frames and their flags.
 *
 * A page's word has three fields: the latch (bits 0 to 7: how many share the page, or LATCH_EXCLUSIVE), the frame plus 1 (bits 8 to 31; 0:
 * not in memory), and a version (bits 32 to 63) that grows when the page was held exclusively, came or went. A word with no frame that is
 * held exclusively is *claimed*: somebody is bringing the page in.
 *
 * A frame is in one of three states: free (in the list that goes through the ids), retired (beyond the number of frames), or in use; in use
 * are just the slots that the policy holds. The word of a frame's page has that frame, or is claimed.
 *
 * Who may change what: the word of a page, whoever holds it exclusively, but for the latch; the id of a frame, the holder of `lock` if he
 * has claimed the word; flags by atomic instructions. DIRTY is set by who holds the page exclusively, and cleared by the writer, who shares
 * it and has set WRITING before. A frame that is DIRTY or WRITING is not given up.
 *
 * Order of locks: round, writing, flushing, lock. A device is never submitted to or polled under `lock`, and nobody waits for a latch under
 * any of them.
 */
#ifndef ACRE_DATABASE_POOL_H
#define ACRE_DATABASE_POOL_H

#include "base/atomic.h"
#include "base/bits.h"
#include "os/os.h"
#include "policy/index.h"

#include <acre/buffer_pool.h>
#include <acre/curve.h>
#include <assert.h>

#define LATCH_MASK       0xffu
#define LATCH_EXCLUSIVE  0xffu
#define LATCH_SHARED_MAX 251u
#define WORD_FRAME       0xffffff00u
#define WORD_VERSION     ((uint64_t)1 << 32)

static inline uint32_t word_latch(uint64_t word) { return (uint32_t)word & LATCH_MASK; }
static inline bool word_is_resident(uint64_t word) { return (word & WORD_FRAME) != 0; }
static inline uint32_t word_frame(uint64_t word)
{
    assert(word_is_resident(word));
    return ((uint32_t)word >> 8) - 1;
}
static inline uint64_t word_load(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static inline bool word_change(uint64_t *word, uint64_t from, uint64_t to)
{
    if (!__atomic_compare_exchange_n(word, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) return false;
#ifndef __SANITIZE_THREAD__ /* which does not know fences */
    /* An optimistic reader that sees a change must see the latch, too. */
    if ((to & LATCH_MASK) == LATCH_EXCLUSIVE) __atomic_thread_fence(__ATOMIC_RELEASE);
#endif
    return true;
}
/* The word after an exclusive holder: one version on, with another frame (plus 1) and latch. */
static inline uint64_t word_next(uint64_t word, uint32_t frame_plus_1, uint32_t latch)
{
    return ((word & ~(WORD_VERSION - 1)) + WORD_VERSION) | (uint64_t)frame_plus_1 << 8 | latch;
}

/* IMAGED: the log has an image since the last checkpoint began. AHEAD: it was brought because it was foreseen, and nobody has asked for it
 * yet. */
enum { FLAG_DIRTY = 1, FLAG_WRITING = 2, FLAG_IMAGED = 4, FLAG_AHEAD = 8 };

enum {
    STRIPE_COUNT = 64,
    VICTIM_COUNT_MAX = 64,
    RUN_BYTES_MAX = 256 << 10,
    RUN_PAGES_MAX = RUN_BYTES_MAX / 4096,
    STAGED_PAGES_MAX = 240, /* and their checksums fit a page of 4096 bytes */
    STAGED_BYTES_MAX = 1 << 20,
    READ_COUNT_MAX = 256,
};
#define NO_FRAME UINT32_MAX

typedef struct pool_file {
    uint64_t *words;      /* NULL: no such file. Set last, cleared first */
    unsigned char *pages; /* when they are mapped: page_count of them, of which memory is behind those that are in the pool */
    uint64_t page_count;
    acre_device *device;
    size_t words_bytes;
    uint64_t device_count; /* pages that the device is known to have */
    bool is_unflushed;     /* a write has ended since the last flush began */
    bool is_doubtful;      /* a flush has failed: nobody knows what is durable */
} pool_file;

/* What a thread keeps to itself. The last one is for threads that are too many. */
typedef struct pool_stripe {
    _Alignas(64) uint64_t hit_count;
    uint64_t request_count;   /* while there is a curve */
    uint64_t seen_miss_count; /* of the pool, when the turns were given */
    uint32_t turn_count;      /* so many more buffers of hits are handed in before the next miss */
    acre_policy_hits hits;
} pool_stripe;

typedef struct pool_read {
    acre_device_request request;
    acre_device_part parts[RUN_PAGES_MAX];
    uint32_t frames[RUN_PAGES_MAX];
    acre_page_id first;
    acre_buffer_pool *pool;
    struct pool_read *next;
} pool_read;

typedef struct staged_page {
    acre_page_id id;
    uint64_t lsn;
    uint32_t frame;
} staged_page;

typedef struct pool_run {
    acre_device_request request;
    acre_device_part part;
    uint32_t first, count; /* of the batch's pages */
    struct pool_batch *batch;
    pool_file *file;
} pool_run;

/* Pages that are copied, and on their way. */
typedef struct pool_batch {
    unsigned char *bytes;
    uint32_t count, run_count;
    uint32_t in_flight;
    staged_page pages[STAGED_PAGES_MAX];
    pool_run runs[STAGED_PAGES_MAX];
} pool_batch;

typedef struct pool_counts {
    uint64_t miss, evict, read, write, read_request, write_request, flush, log_flush, prefetch, foreground, busy, corrupt, error,
        checkpoint, read_ns;
} pool_counts;

struct acre_buffer_pool {
    unsigned char *frames;
    acre_policy *policy;
    unsigned page_shift;
    uint32_t page_bytes;
    bool is_mapped;       /* each page has an address of its own; else it is at its frame */
    bool has_hit_buffers; /* of threads: the policy wants to hear of each hit */
    uint8_t *flags;
    uint64_t *lsns;         /* of the last change of dirty frames; what a clean one has is durable */
    uint32_t *fingerprints; /* of the ids of frames, which they are with the file's number; of a free frame, the next free one */
    uint8_t *file_numbers;
    pool_file files[ACRE_BUFFER_POOL_FILES_MAX];
    uint32_t poller_counts[ACRE_BUFFER_POOL_FILES_MAX]; /* threads that look at a file's device: it is not let go before they are done */
    acre_buffer_pool_options options;
    uint32_t waiter_count; /* threads that sleep for a latch or a page; seldom changes */
    uint32_t wake_count;   /* what they sleep on */
    acre_space meta, own_space;
    acre_space *space;
    uint64_t frames_bytes; /* reserved */
    void *metadata;        /* all of the rest, pool included */
    uint64_t metadata_bytes;
    size_t policy_bytes;
    pool_read *reads;
    acre_prefetcher *prefetcher; /* NULL: nothing is foreseen */
    acre_curve *curve;           /* NULL: there is none */
    acre_lock foreseeing;        /* of the prefetcher */
    acre_lock curve_lock;
    uint64_t told_requests, told_misses, told_read_ns; /* when the curve was asked for costs last */

    _Alignas(64) acre_lock lock; /* policy, lists, ids */
    uint32_t free_head, free_count;
    uint32_t frame_count;  /* in use or free are only lower ones, but for what resize has left */
    uint32_t frame_end;    /* frames with memory */
    uint32_t victim_count; /* dirty pages that the policy would have taken */
    acre_page_id victims[VICTIM_COUNT_MAX];
    pool_read *free_reads;
    uint32_t read_count; /* in flight */
    bool is_filling;     /* the cleaner is on its way from the low to the high watermark */

    acre_lock writing;  /* one thread at a time writes back */
    acre_lock flushing; /* and makes durable: who finds nothing to flush must know that no flush is under way */
    pool_batch *batches[2];
    uint32_t dirty_count;

    acre_lock round; /* the checkpoint in progress */
    bool has_round, round_has_failed;
    uint64_t round_lsn, round_seen_lsn;
    acre_page_id *round_ids;
    size_t round_count, round_at, round_left;
    uint64_t checkpoint_lsn;

    pool_counts counts; /* by atomic instructions */
    pool_stripe stripes[STRIPE_COUNT + 1];
};

static inline void count_up(uint64_t *count, uint64_t by) { (void)__atomic_fetch_add(count, by, __ATOMIC_RELAXED); }

/* The word of a page, NULL when there is no such page. */
static inline uint64_t *word_of(const acre_buffer_pool *pool, acre_page_id id)
{
    const uint64_t file = id >> 32;
    if (acre_unlikely(file >= ACRE_BUFFER_POOL_FILES_MAX) || acre_unlikely((uint32_t)id >= pool->files[file].page_count)) return NULL;
    return pool->files[file].words + (uint32_t)id;
}

static inline acre_page_id frame_id(const acre_buffer_pool *pool, uint32_t frame)
{
    return acre_fingerprint_key(__atomic_load_n(&pool->fingerprints[frame], __ATOMIC_RELAXED),
                                __atomic_load_n(&pool->file_numbers[frame], __ATOMIC_RELAXED));
}

static inline void set_frame_id(acre_buffer_pool *pool, uint32_t frame, acre_page_id id)
{
    __atomic_store_n(&pool->fingerprints[frame], acre_fingerprint(id), __ATOMIC_RELAXED);
    __atomic_store_n(&pool->file_numbers[frame], (uint8_t)(id >> 32), __ATOMIC_RELAXED);
}

static inline unsigned char *page_at(const acre_buffer_pool *pool, acre_page_id id, uint32_t frame)
{
    if (acre_unlikely(pool->is_mapped)) return pool->files[id >> 32].pages + ((size_t)(uint32_t)id << pool->page_shift);
    return pool->frames + ((size_t)frame << pool->page_shift);
}

static inline uint8_t frame_flags(const acre_buffer_pool *pool, uint32_t frame)
{
    return __atomic_load_n(&pool->flags[frame], __ATOMIC_ACQUIRE);
}

/* Whoever sleeps for a latch or a page is woken. The word was changed before, by a sequentially consistent instruction. */
static inline void wake_waiters(acre_buffer_pool *pool)
{
    if (acre_unlikely(__atomic_load_n(&pool->waiter_count, __ATOMIC_SEQ_CST) > 0)) {
        (void)__atomic_fetch_add(&pool->wake_count, 1, __ATOMIC_SEQ_CST);
        acre_os_wake(&pool->wake_count);
    }
}

static inline void word_publish(acre_buffer_pool *pool, uint64_t *word, uint64_t value)
{
    (void)__atomic_exchange_n(word, value, __ATOMIC_SEQ_CST);
    wake_waiters(pool);
}

/* Sleeps until a word is no longer what was seen, or about a millisecond has passed. Helps with what devices have finished. */
void acre_pool_wait_for(acre_buffer_pool *pool, acre_page_id id, const uint64_t *word, uint64_t seen);

/* Marks a page dirty; its frame is latched exclusively, or is the writer's. */
void acre_pool_mark_dirty(acre_buffer_pool *pool, uint32_t frame);

/* ---- frames.c ---- */

/* Under `lock`. A frame for a page whose word is claimed, in use and with its id; NO_FRAME: none can be had, and the dirty pages that would
 * have gone are in `victims`. */
uint32_t acre_pool_take_frame(acre_buffer_pool *pool, acre_page_id id);

/* The page is not to be in memory after all: its frame is free. Takes `lock`. */
void acre_pool_drop_frame(acre_buffer_pool *pool, uint32_t frame);

/* Under `lock`: the list of free frames. */
void acre_pool_put_free(acre_buffer_pool *pool, uint32_t frame);

/* Evicts up to `count` pages to free frames. Takes `lock`. Copies the dirty ones in the way to `victims`. Returns how many were evicted. */
uint32_t acre_pool_evict(acre_buffer_pool *pool, uint32_t count, acre_page_id *victims, uint32_t *victim_count);

/* Writes dirty pages that are in the way, and frees the frames of those that nobody uses then. Takes `writing` and `lock`. Sorts `victims`;
 * `*freed` is how many. */
acre_status acre_pool_write_and_free(acre_buffer_pool *pool, acre_page_id *victims, uint32_t victim_count, uint32_t *freed);

/* Under `lock`: hands in the hits of the calling thread. */
void acre_pool_deliver_hits(acre_buffer_pool *pool);

/* Tells a device of frames and copies. */
void acre_pool_tell_device(acre_buffer_pool *pool, acre_device *device);

/* ---- ahead.c ---- */

/* `id` was missing, or was there because it had been foreseen: what the thread of `stripe` will ask for next begins to come. */
void acre_pool_foresee(acre_buffer_pool *pool, const pool_stripe *stripe, acre_page_id id, bool was_missing);

/* A page of AHEAD frames is asked for. */
void acre_pool_meet(acre_buffer_pool *pool, const pool_stripe *stripe, acre_page_id id, uint32_t frame);

/* ---- worth.c ---- */

/* The curve is told of a request: of one that it wants, or that many have passed. */
void acre_pool_tell_curve(acre_buffer_pool *pool, acre_page_id id, bool is_lot);

enum { REQUESTS_A_LOT = 1024 };

/* A request of a thread that is the `count`th one of its own. */
static inline void tell_curve(acre_buffer_pool *pool, acre_page_id id, uint64_t count)
{
    const bool is_lot = count % REQUESTS_A_LOT == 0;
    if (acre_unlikely(is_lot) || acre_unlikely(acre_curve_wants(pool->curve, id))) acre_pool_tell_curve(pool, id, is_lot);
}

/* ---- write_back.c ---- */

/* The checksum of a page as it belongs in the page. */
uint32_t acre_pool_checksum(const acre_buffer_pool *pool, acre_page_id id, const unsigned char *page);

/* Is it what was written, or zeros? True, too, when there are no checksums. */
bool acre_pool_is_intact(const acre_buffer_pool *pool, acre_page_id id, const unsigned char *page);

/* Under `writing`. Writes those of the pages that are dirty; ids are sorted. Those that were latched exclusively are left, and put in order
 * at the beginning of `ids`; `*left` is their number. Returns the first failure; what failed is dirty still. */
acre_status acre_pool_write_back(acre_buffer_pool *pool, acre_page_id *ids, size_t count, size_t *left);

/* Makes what was written to the files durable. Under `round` or `writing`. */
acre_status acre_pool_flush_files(acre_buffer_pool *pool);
acre_status acre_pool_flush_file(acre_buffer_pool *pool, uint32_t number);

void acre_pool_sort(acre_page_id *ids, size_t count);

/* ---- double_write.c ---- */

/* Under `writing`: the batch's pages are durable in the double-write area. */
acre_status acre_pool_write_twice(acre_buffer_pool *pool, pool_batch *batch);

/* ---- prefetch.c ---- */

/* acre_buffer_pool_prefetch; `flag` is put on the frames of pages that it begins to read. */
size_t acre_pool_read_ahead(acre_buffer_pool *pool, const acre_page_id *ids, size_t count, uint8_t flag);

/* Waits until no read ahead is in flight, or until about `limit_ns` have passed. */
/* Takes what the devices of all files have done; waits so long for each. Returns how much that was. Any thread, while files come and go. */
size_t acre_pool_poll(acre_buffer_pool *pool, uint64_t wait_ns);

void acre_pool_finish_reads(acre_buffer_pool *pool, uint64_t limit_ns);

#endif
