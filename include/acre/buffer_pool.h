/* buffer_pool.h - pages of files in memory: found without a lock, replaced by a policy, written back in an order that survives a crash.
 *
 * A program *fixes* a page, which brings it into memory and keeps it there, works on it, and *unfixes* it:
 *
 *     acre_buffer_pool_options options = {.page_bytes = 4096, .frame_count = 65536};
 *     acre_buffer_pool *pool;
 *     acre_buffer_pool_open(&options, &pool);
 *     acre_buffer_pool_add_file(pool, &device, 1000000, &file);            up to a million pages on `device` (acre/device.h)
 *
 *     acre_page_ref ref;
 *     if (acre_buffer_pool_fix(pool, acre_page(file, 7), ACRE_FIX_EXCLUSIVE, &ref) == ACRE_OK) {
 *         lsn = append to the log what is about to be changed;
 *         change(ref.page);
 *         acre_buffer_pool_unfix(&ref, lsn);
 *     }
 *
 * Three ways to fix. *Shared*: others may read too; *exclusive*: nobody else; *optimistic*: nothing is kept at all: the page is read, and
 * acre_buffer_pool_validate tells whether what was read was a page at rest. Until that is known nothing that was read may be relied on, a
 * length or an index least of all. Shared and exclusive pages stay where they are until unfixed.
 *
 * A page that is in memory is found by one load from an array of 8-byte words, one for each page of the file: its latch, version and
 * frame. So fixing it takes no lock, no system call and no search. Frames lie in huge pages where there are any.
 *
 * Order of writes. A page that was changed has the LSN of its last change, a number that grows with the log. No page is written while its
 * LSN is beyond what log->durable_lsn tells: the pool asks the log to flush first, once for many pages. A *checkpoint* writes all that was
 * changed before it began, makes that durable, and tells from which LSN on the log has to be replayed after a crash. It is fuzzy: pages
 * are read and changed meanwhile. Without a log (NULL) any LSN but 0 means no more than "changed".
 *
 * A write that a power failure cuts in two leaves half a page. Three ways to meet that, `torn_pages`: a device that writes a page as a
 * whole; writing each batch to a place of its own first (double write: acre_buffer_pool_repair brings it back); the image of a page in the
 * log, when it is fixed exclusively for the first time after a checkpoint began, and so before the record of its change.
 *
 * With a checksum (4 bytes at `checksum_offset` in each page, which are the pool's) a page that is not what was written, or that belongs
 * to another place, is found when it is read: ACRE_CORRUPT. A page of zeros is one that was never written, and is good.
 *
 * With `is_mapped` each page of a file has an address of its own, as long as the file is there: neighbours lie side by side, so an object
 * of several pages that are all fixed is one piece of memory, and pointers into pages that are fixed again later are right again. A page
 * that is replaced gives its memory back: many in one call of the system (process_madvise on oneself, Linux 6.14 and later; before, one
 * call for each), which costs about 1 us a page and as much again when it comes, and pages are small ones for the MMU.
 *
 * With `reads_ahead` pages come before they are asked for, where the order of those that were missing tells which will be
 * (acre/prefetch.h). With a curve the pool knows what another number of frames would be worth, so that one budget can be divided between
 * several pools and caches (acre/budget.h).
 *
 * The *cleaner* keeps frames free ahead of time, and writes dirty pages as fast as the log grows: call acre_buffer_pool_clean from a loop,
 * or let it be a job of a scheduler (acre/scheduler.h). Without it the threads that miss do its work.
 *
 * Threads: all functions may be called by any thread at any time, unless said otherwise. A ref is for one thread. Whoever waits for a latch
 * sleeps; a thread that fixes several pages does so in an order of its own choosing that has no cycle, as with locks.
 *
 * Costs: a hit takes two atomic instructions (optimistic: none). A miss takes the pool's lock once, for finding a frame. Memory for each
 * frame beside the page: 8 bytes for its word and 6 for its id and flags, the policy's (acre/policy.h), and 8
 * once it has been changed. A word is taken for each page of the file in whose neighbourhood (512 pages) some page was ever in memory.
 *
 * Limits: 64 files of 2^32 - 1 pages; 2^24 - 2 frames (64 GiB of 4 KiB pages); 251 threads that share a page. An optimistic reader that
 * sleeps while a page is changed 2^32 times, to the change, believes that nothing happened.
 *
 * Example: examples/buffer_pool.c.
 */
#ifndef ACRE_BUFFER_POOL_H
#define ACRE_BUFFER_POOL_H

#include <acre/device.h>
#include <acre/policy.h>
#include <acre/prefetch.h>
#include <acre/scheduler.h>
#include <acre/space.h>
#include <acre/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct acre_buffer_pool acre_buffer_pool;

#define ACRE_BUFFER_POOL_FILES_MAX  64u
#define ACRE_BUFFER_POOL_FRAMES_MAX 0xfffffeu

/* A page: the number of its file, which acre_buffer_pool_add_file gave, and its own, from 0. */
typedef uint64_t acre_page_id;
static inline acre_page_id acre_page(uint32_t file, uint32_t page) { return (uint64_t)file << 32 | page; }

/* What the pool asks of a log. The table begins with its own size. The functions are called by any thread, and must not call the pool. */
typedef struct acre_log_ops {
    size_t size_bytes;
    /* The LSN up to which the log survives a power failure. Never goes back. */
    uint64_t (*durable_lsn)(void *log);
    /* Makes the log durable up to `lsn` at least. ACRE_OK: durable_lsn tells so. */
    acre_status (*flush)(void *log, uint64_t lsn);
    /* An LSN that no record appended by now exceeds: the last one's. */
    uint64_t (*last_lsn)(void *log);
    /* Needed for ACRE_TORN_IMAGES: appends the image of a page; `*lsn` is that record's. While the log is replayed it appends nothing and
     * says 0: the images are there already. */
    acre_status (*append_image)(void *log, acre_page_id id, const void *page, size_t bytes, uint64_t *lsn);
} acre_log_ops;

typedef enum acre_torn_pages {
    ACRE_TORN_NEVER = 0,    /* the device writes a page as a whole, or somebody else sees to it */
    ACRE_TORN_DOUBLE_WRITE, /* each batch is written to `double_write` first */
    ACRE_TORN_IMAGES,       /* images of pages in the log */
} acre_torn_pages;

#define ACRE_BUFFER_POOL_NO_CHECKSUM UINT32_MAX

typedef struct acre_buffer_pool_options {
    uint32_t page_bytes;      /* 0: 4096; else a power of two from 4096 to 65536 */
    uint32_t frame_count;     /* pages in memory at most: 16 to ACRE_BUFFER_POOL_FRAMES_MAX */
    uint32_t frame_count_max; /* acre_buffer_pool_resize may go up to that; 0: frame_count. Takes address space, not memory */
    acre_policy_kind policy;  /* 0 is adaptive */
    uint32_t free_low;        /* the cleaner frees frames when fewer than this are free ... */
    uint32_t free_high;       /* ... until so many are; both 0: 1/64 and 1/32 of the frames. Low < high <= 1/2 of the frames.
                               * After a resize never more than half of the frames there are */
    bool has_checksum;
    uint32_t checksum_offset; /* a multiple of 4, within the page */
    const acre_log_ops *log;  /* NULL: there is no log */
    void *log_context;
    uint64_t log_distance_max; /* a checkpoint should be through before the log has grown by that since the last one, in LSNs: the cleaner's
                                * rate follows from it. 0: the cleaner makes none */
    acre_torn_pages torn_pages;
    acre_device *double_write; /* 1 MiB and one page of it are used, from its beginning. Stays the caller's */
    uint32_t gap_pages; /* how many clean pages in memory are written along to make one run of two: up to 16. UINT32_MAX means none, 0 the
                         * default of 2. None in any case with ACRE_TORN_IMAGES */
    bool reads_ahead;   /* pages are read before they are asked for, when that can be foreseen */
    acre_prefetch_options ahead; /* how: 0 means its defaults, but for `outstanding`, a quarter of the frames up to 4,096, and
                                  * `depth_max`, a quarter of that up to 128: so four scans do not disturb each other */
    bool is_mapped;              /* each page has an address of its own, see above; `space` is NULL */
    uint32_t curve_keys_max;     /* keys of a live miss-ratio curve (acre/curve.h), which looks at no more than one fix in 100; 0: there is
                                  * none */
    acre_space *space;           /* where frames lie: host memory. NULL: anonymous huge pages. Stays the caller's */
} acre_buffer_pool_options;

/* ACRE_INVALID: a NULL, options out of their ranges. ACRE_NO_MEMORY. Nothing is held then. O(frames). */
ACRE_API acre_status acre_buffer_pool_open(const acre_buffer_pool_options *options, acre_buffer_pool **pool);

/* Gives all back and writes nothing: make a checkpoint before. ACRE_BUSY, and nothing was changed: a page is fixed. Nobody else uses the
 * pool. */
ACRE_API acre_status acre_buffer_pool_close(acre_buffer_pool *pool);

/* Pages 0 to page_count - 1 of `device`, each at its number times the page's size; pages beyond its end read as zeros. The device's
 * alignment divides the page's size. It must be open as long as the file is. `*file` is the lowest number that is not in use: so files that
 * are added in the same order have the same numbers in the next run. ACRE_INVALID: a NULL, a count of 0 or of 2^32, an alignment.
 * ACRE_NO_MEMORY: 64 files, or no address space. One thread at a time adds, removes or resizes; others may use other files meanwhile. */
ACRE_API acre_status acre_buffer_pool_add_file(acre_buffer_pool *pool, acre_device *device, uint64_t page_count, uint32_t *file);

/* Drops all of the file's pages from memory, without writing them. ACRE_BUSY: one of them is fixed; none is to be fixed while it runs.
 * When it has returned no thread looks at the device any more, and it may be closed. One thread at a time, as above. O(frames). */
ACRE_API acre_status acre_buffer_pool_remove_file(acre_buffer_pool *pool, uint32_t file);

/* ---- using pages ---- */

typedef enum acre_fix_mode {
    ACRE_FIX_SHARED,
    ACRE_FIX_EXCLUSIVE,
    ACRE_FIX_OPTIMISTIC,
    ACRE_FIX_NEW, /* exclusive, and the page is not read: it comes as zeros if it is not in memory, else as it is there */
} acre_fix_mode;

/* Or-ed to a mode: ACRE_BUSY rather than waiting for a latch. */
#define ACRE_FIX_TRY 8u

typedef struct acre_page_ref {
    unsigned char *page;    /* page_bytes of it, aligned to its size; NULL: the ref is not of a page */
    acre_buffer_pool *pool; /* the rest is the pool's */
    uint64_t *word;
    uint64_t seen;
    acre_page_id id;
    uint32_t mode;
} acre_page_ref;

/* Fixes a page. On failure `*ref` is of no page.
 * ACRE_INVALID: a NULL, no such file or page, no such mode. ACRE_BUSY: no frame can be had: pages are fixed wherever the policy looked
 * (never takes more than about 10 us); 251 threads share the page; or ACRE_FIX_TRY and another thread has it, or is reading it in.
 * ACRE_CORRUPT: the checksum is wrong. ACRE_IO: the page cannot be read, or a dirty one that would have to go not written. The sentence has
 * the page. With ACRE_TORN_IMAGES and an exclusive mode also what append_image says when it fails. */
ACRE_API acre_status acre_buffer_pool_fix(acre_buffer_pool *pool, acre_page_id id, unsigned mode, acre_page_ref *ref) ACRE_MUST_USE;

/* True: nobody changed or replaced the page since it was fixed optimistically: what was read so far is right. A ref that is shared or
 * exclusive is always valid. O(1). */
static inline bool acre_buffer_pool_validate(const acre_page_ref *ref)
{
#ifndef __SANITIZE_THREAD__ /* which does not know fences */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
#endif
    const uint64_t now = __atomic_load_n(ref->word, __ATOMIC_RELAXED);
    return ref->mode != ACRE_FIX_OPTIMISTIC || ((now ^ ref->seen) >> 8 == 0 && (now & 0xff) != 0xff);
}

/* Makes a ref exclusive: an optimistic one if nobody has changed the page since, a shared one if nobody else shares it. ACRE_BUSY: that is
 * not so; the ref stays what it is. ACRE_INVALID: not a ref. With images, what append_image says when it fails, and the ref stays, too.
 * O(1), but for images. */
ACRE_API acre_status acre_buffer_pool_upgrade(acre_page_ref *ref);

/* Ends it; the ref is of no page afterwards. `lsn` of a page that was changed: that of the log's record, or any number but 0; else 0.
 * ACRE_INVALID, and the page stays fixed: not a ref, or an LSN with a page that is not exclusive. O(1). */
ACRE_API acre_status acre_buffer_pool_unfix(acre_page_ref *ref, uint64_t lsn);

/* Starts to read pages that will be wanted, neighbours in one request of up to 256 KiB; returns how many of them, from the first on, are in
 * memory or on their way. Fewer than `count`: no frame is free without writing, or 256 requests are in flight. Errors show when a page is
 * fixed. */
ACRE_API size_t acre_buffer_pool_prefetch(acre_buffer_pool *pool, const acre_page_id *ids, size_t count);

/* Handles what devices have finished; for a loop that neither fixes nor prefetches for a while. Returns how many requests. */
ACRE_API size_t acre_buffer_pool_poll(acre_buffer_pool *pool);

/* misses[i]: of a million fixes those that would miss with frame_counts[i] frames under LRU; counts ascend. ACRE_INVALID: a NULL, or they
 * do not ascend. ACRE_UNSUPPORTED: there is no curve. O(curve_keys_max + count). */
ACRE_API acre_status acre_buffer_pool_read_curve(acre_buffer_pool *pool, const uint64_t *frame_counts, uint32_t *misses, size_t count);

/* What misses would have cost since the last call, as acre_budget_read wants it (context: a pool with a curve): nanoseconds, by the mean
 * time of a read. One call at a time. All 0 without a curve. O(curve_keys_max). */
ACRE_API void acre_buffer_pool_read_costs(void *pool, const uint64_t *sizes, uint64_t *costs, size_t count);

/* acre_buffer_pool_resize to that many bytes of frames, as acre_budget_resize wants it (context: the pool). Returns what is kept to: more
 * than `bytes` when pages are fixed that stand in the way, or below 16 frames. */
ACRE_API uint64_t acre_buffer_pool_resize_bytes(void *pool, uint64_t bytes);

/* ---- writing back ---- */

/* Writes everything that was changed before it began, and makes it durable. `*lsn` (may be NULL): changes up to and including this LSN need
 * not be replayed. ACRE_BUSY: a page stayed exclusively fixed for a second. ACRE_IO, ACRE_NO_MEMORY: something could not be written, and is
 * dirty still, or a flush has failed: then every later checkpoint of that file fails, too, until it is removed and recovered from the
 * log. The caller has no page fixed exclusively. O(frames + dirty pages * log). */
ACRE_API acre_status acre_buffer_pool_checkpoint(acre_buffer_pool *pool, uint64_t *lsn);

/* The same for one page, which the caller has not fixed exclusively: nothing to do when it is not dirty. */
ACRE_API acre_status acre_buffer_pool_flush(acre_buffer_pool *pool, acre_page_id id);

/* One step of the cleaner, of about `budget_ns`: frees frames up to the high watermark, writes for the checkpoint what is due.
 * ACRE_JOB_MORE when more is to be done. `context` is the pool: it is an acre_job_step. */
ACRE_API acre_job_result acre_buffer_pool_clean(void *context, uint64_t budget_ns);

/* After the files were added and before anything is fixed: writes back from the double-write area what is torn in its place. `*count` (may
 * be NULL): how many pages. ACRE_UNSUPPORTED: options.torn_pages is another. ACRE_IO. */
ACRE_API acre_status acre_buffer_pool_repair(acre_buffer_pool *pool, uint32_t *count);

/* Another number of frames: 16 to frame_count_max. Fewer: pages that do not fit go, dirty ones are written first, and the memory goes back.
 * ACRE_BUSY: pages are fixed that stand in the way; some frames are gone, and it can be called again. ACRE_IO. Pages in use meanwhile
 * stay usable. */
ACRE_API acre_status acre_buffer_pool_resize(acre_buffer_pool *pool, uint32_t frame_count);

typedef struct acre_buffer_pool_figures {
    uint32_t frame_count, free_count, dirty_count;
    uint64_t hit_count, miss_count;                /* fixes; one that waited for a page that was being read is a hit */
    uint64_t evict_count, read_count, write_count; /* pages */
    uint64_t read_request_count, write_request_count, flush_count, log_flush_count;
    uint64_t prefetch_count;                                /* pages that were read ahead */
    uint64_t foreseen_count, useful_count, polluting_count; /* of what reads_ahead foresaw: all, asked for in time, and not */
    uint64_t foreground_write_count;                        /* pages that a thread had to write because it found no frame */
    uint64_t busy_count, corrupt_count, error_count;        /* fixes refused; pages with a wrong checksum; requests that failed */
    uint64_t checkpoint_count, checkpoint_lsn;
    uint64_t bookkeeping_bytes; /* for all frames, policy and words of resident pages included */
    acre_policy_kind rule;      /* that the policy follows */
} acre_buffer_pool_figures;

/* ACRE_INVALID: a NULL. O(1). Figures of one moment only if nobody uses the pool. */
ACRE_API acre_status acre_buffer_pool_read_figures(acre_buffer_pool *pool, acre_buffer_pool_figures *figures);

/* Every invariant of frames, words, lists and policy. Nobody else uses the pool. For tests. O(frames + pages). */
ACRE_API bool acre_buffer_pool_is_valid(acre_buffer_pool *pool);

#ifdef __cplusplus
}
#endif
#endif
