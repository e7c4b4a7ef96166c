/* page_cache.h - pages of a small device in a few frames of memory: flash, EEPROM, an SD card behind a microcontroller.
 *
 *     static unsigned char frames[32][256], memory[2048];
 *     acre_page_cache_options options = {.page_bytes = 256, .page_count = 4096, .frame_count = 32, .frames = frames, ...};
 *     acre_page_cache *cache;
 *     acre_page_cache_init(&cache, &options, memory, sizeof memory);
 *
 *     void *page;
 *     if (acre_page_cache_fix(cache, 7, ACRE_PAGE_READ, &page) == ACRE_OK) {
 *         change(page);
 *         acre_page_cache_unfix(cache, page, true);
 *     }
 *     acre_page_cache_flush(cache);
 *
 * What acre/buffer_pool.h is for a server this is for a machine without threads, virtual memory or malloc: pages are found by a hash of
 * their number, replaced by a policy of acre/policy.h, and written when their frame is needed or when they are flushed. A fixed page stays
 * where it is. Everything lies in the caller's memory; frames may lie elsewhere, say where DMA reaches them.
 *
 * Order of writes: only `write` writes, so a device with a log brings the log up to date there. Nothing is written twice; a page that a
 * power failure cuts in two is the device's affair (flash translation layers and SD cards see to it, raw flash does not).
 *
 * Threads: one call at a time on one cache; `read`, `write` and `sync` must not call it.
 *
 * Costs: a hit is O(1); fix, look, change and unfix together take 150 to 180 instructions of a Cortex-M3, 270 to 350 of an M0 (w-tinylfu
 * more). Memory beside the frames on a 32-bit machine, for 32 of them: clock 568 bytes, lru and sieve 704, s3-fifo 952, lirs 1,240; the
 * adaptive policy 4,304, since its shadows are not smaller than the cache. tests/embedded/board_page_cache.c prints them.
 *
 * Example: examples/page_cache.c.
 */
#ifndef ACRE_PAGE_CACHE_H
#define ACRE_PAGE_CACHE_H

#include <acre/policy.h>
#include <acre/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct acre_page_cache acre_page_cache;

#define ACRE_PAGE_CACHE_PAGE_BYTES_MAX ((uint32_t)1 << 20)
#define ACRE_PAGE_CACHE_FIXES_MAX      255u /* of one page at a time */

typedef struct acre_page_cache_options {
    acre_policy_kind policy;      /* 0 is adaptive */
    acre_policy_slot frame_count; /* 2 to ACRE_POLICY_CAPACITY_MAX */
    uint32_t page_bytes;          /* a multiple of 4 up to ACRE_PAGE_CACHE_PAGE_BYTES_MAX */
    uint32_t page_count;          /* of the device; not 0 */
    void *frames;                 /* frame_count * page_bytes bytes, aligned to 4 */
    /* Bring a page into memory, and the other way. ACRE_OK, or a status that the caller of the cache gets. */
    acre_status (*read)(void *device, uint32_t page, void *bytes);
    acre_status (*write)(void *device, uint32_t page, const void *bytes); /* NULL: nothing may be changed */
    acre_status (*sync)(void *device);                                    /* what was written is durable afterwards. NULL: it is at once */
    void *device;
} acre_page_cache_options;

/* The memory that a cache of these options takes beside its frames; 0 when they are not valid. O(1). */
ACRE_API size_t acre_page_cache_bytes(const acre_page_cache_options *options);

/* An empty cache in `bytes` bytes at `memory`, aligned to 8, which are the cache's until nobody calls it; nothing has to be closed.
 * ACRE_INVALID, and nothing was changed: a NULL, options out of their ranges, memory that is too small or not aligned. O(frames). */
ACRE_API acre_status acre_page_cache_init(acre_page_cache **cache, const acre_page_cache_options *options, void *memory, size_t bytes);

typedef enum acre_page_mode {
    ACRE_PAGE_READ = 0, /* brought from the device if it is not in memory */
    ACRE_PAGE_NEW,      /* not read: as it is in memory, else zeros. It has to be unfixed as changed to come to be on the device */
} acre_page_mode;

/* Keeps a page in memory, at `*bytes`, until it is unfixed as often as it was fixed. On failure `*bytes` is NULL.
 * ACRE_INVALID: a NULL, no such page or mode. ACRE_BUSY: all pages that the policy looked at are fixed (64 at most), or this one is
 * ACRE_PAGE_CACHE_FIXES_MAX times. What `read` says when it fails, or `write`, when a changed page would have to go and no other can. */
ACRE_API acre_status acre_page_cache_fix(acre_page_cache *cache, uint32_t page, acre_page_mode mode, void **bytes) ACRE_MUST_USE;

/* `bytes` is what fix gave. ACRE_INVALID, and nothing was changed: it is not a fixed page, or changed without a `write`. O(1). */
ACRE_API acre_status acre_page_cache_unfix(acre_page_cache *cache, void *bytes, bool is_changed);

/* Writes all changed pages, in the order of their numbers, and syncs. A page that is fixed is written as it is. The first failure is
 * returned, and what could not be written is changed still. O(frames * changed pages). */
ACRE_API acre_status acre_page_cache_flush(acre_page_cache *cache);

/* A page is not needed any more: it is not in memory afterwards, and not written. ACRE_BUSY: it is fixed. ACRE_INVALID: a NULL, or no such
 * page. O(1). */
ACRE_API acre_status acre_page_cache_drop(acre_page_cache *cache, uint32_t page);

typedef struct acre_page_cache_figures {
    acre_policy_slot used_count, changed_count, fixed_count; /* pages */
    uint32_t hit_count, miss_count, evict_count, read_count, write_count, error_count;
} acre_page_cache_figures;

/* ACRE_INVALID: a NULL. Counts are modulo 2^32. O(frames). */
ACRE_API acre_status acre_page_cache_read_figures(const acre_page_cache *cache, acre_page_cache_figures *figures);

/* Every invariant of its tables and of the policy. For tests. O(frames). */
ACRE_API bool acre_page_cache_is_valid(const acre_page_cache *cache);

#ifdef __cplusplus
}
#endif
#endif
