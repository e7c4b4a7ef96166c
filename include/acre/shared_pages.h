/* shared_pages.h - clean pages in memory that processes share: what one of them has read, all of them have.
 *
 *     acre_shared_pages_options options = {.name = "shop", .bytes = 64 << 20};
 *     acre_shared_pages *pages;
 *     acre_shared_pages_open(&options, &pages);                      each process of the user, by the same name
 *     acre_shared_pages_join(pages, (uint64_t[]){device, inode}, &set);     the pages of one file, by what it is known by everywhere
 *
 *     if (!acre_shared_pages_read(pages, set, number, 0, page, 4096, NULL)) {
 *         acre_shared_ticket ticket = acre_shared_pages_begin(pages, set);
 *         read it from the file into `page`;
 *         acre_shared_pages_put(pages, set, number, page, &ticket, false);
 *     }
 *
 * They are copies of what is kept elsewhere, so nothing is lost with them. A read copies a page out, without a lock and without a call of
 * the system. Which page goes when there is no room is the business of a policy (acre/policy.h).
 *
 * What a page in here is worth depends on rules that its users know and these functions do not. For them each set has
 * - an *epoch*: a new one (acre_shared_pages_drop) makes all pages of the set old, in O(1);
 * - *tickets*: what was read from the file after acre_shared_pages_begin counts only if nobody has told of a change, or of a new epoch,
 *   since;
 * - *facts*: bytes of the users' own, by which they tell each other to which state of the file the epoch belongs;
 * - *marks*: what a process says of itself for as long as it lives. acre_shared_pages_others asks whether another one, which is surely
 *   alive, has made a mark.
 * libacre-sqlite (acre/sqlite_vfs.h) is such a user.
 *
 * Processes may end at any moment, in the middle of a call too. If one does so where it could have left something half done, then the next
 * one to come makes all pages, facts and marks void, with new epochs for all sets. A process that is stopped at such a place makes others
 * wait 100 ms at most; they go on without: reads find what they find, nothing is put, and a change becomes a new epoch.
 *
 * The memory is a file of the user's own in /dev/shm, of mode 0600, whose room is taken when the first process opens it, and which the last
 * one to close it takes away. After processes that were killed it stays, for the next one to use. Only processes that see each other
 * in /proc share; who may write that file can make pages say anything.
 *
 * A child of fork has none of it: it opens it itself, and does not close what its parent has opened.
 *
 * Threads: all functions may be called by any thread at any time, unless said otherwise. Costs: a read of a page that is there is one
 * search in a hash table and a copy. put, change, join, leave, marks take the one lock of all processes. Memory beside the pages: 28 to 32
 * bytes each and the policy's. Limits: 64 processes, 64 sets, 2^24 pages.
 *
 * Example: examples/shared_pages.c.
 */
#ifndef ACRE_SHARED_PAGES_H
#define ACRE_SHARED_PAGES_H

#include <acre/policy.h>
#include <acre/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct acre_shared_pages acre_shared_pages;

#define ACRE_SHARED_PROCESSES_MAX 64u
#define ACRE_SHARED_SETS_MAX      64u
#define ACRE_SHARED_PAGES_MAX     (UINT32_C(1) << 24)
#define ACRE_SHARED_FACTS_BYTES   160u
#define ACRE_SHARED_MARK_COUNT    4u
#define ACRE_SHARED_NAME_MAX      64u

typedef struct acre_shared_pages_options {
    const char *name;        /* 1 to 64 letters, digits, '-', '_' and '.' */
    uint64_t bytes;          /* of pages, for the first one to open it; the others get what there is. 0: 64 MiB. At least 16 pages */
    uint32_t page_bytes;     /* 0: 4096; else a power of two from 512 to 65536 */
    acre_policy_kind policy; /* one that notes hits by a byte: fifo, clock, sieve, s3-fifo. 0, which is adaptive elsewhere, is s3-fifo */
} acre_shared_pages_options;

/* ACRE_INVALID: a NULL, options out of their ranges; somebody has opened that name with other pages or another policy, or it is another
 * user's. ACRE_NO_MEMORY: no room, or 64 processes. ACRE_UNSUPPORTED: the system has no such memory, or another version of acre has it.
 * Nothing is held then. Does not wait for anybody but those who open or close it. O(pages) for the first. */
ACRE_API acre_status acre_shared_pages_open(const acre_shared_pages_options *options, acre_shared_pages **pages);

/* The process has it no more: it leaves all sets, and its marks go. Nobody uses `pages` any more. ACRE_INVALID: a NULL, or it is a
 * parent's. */
ACRE_API acre_status acre_shared_pages_close(acre_shared_pages *pages);

/* The set of what `identity` is everywhere: device and inode of a file, say. One that no living process has joined begins anew: no pages,
 * and all facts zero. ACRE_INVALID: a NULL. ACRE_NO_MEMORY: 64 sets are in use. ACRE_BUSY: the lock could not be had. */
ACRE_API acre_status acre_shared_pages_join(acre_shared_pages *pages, const uint64_t identity[2], uint32_t *set);

/* Undoes one join of this process; its marks in the set go. */
ACRE_API void acre_shared_pages_leave(acre_shared_pages *pages, uint32_t set);

/* ---- pages ---- */

/* Copies `bytes` bytes of page `number`, from its byte `at` on. False: it is not there, it is old, or it changed meanwhile; `to` may be
 * anything then. `*was_ahead` (may be NULL): it was put with `is_ahead`, and this is the first read of it. */
ACRE_API bool acre_shared_pages_read(acre_shared_pages *pages, uint32_t set, uint32_t number, size_t at, void *to, size_t bytes,
                                     bool *was_ahead);

/* Is it there, and not old? The same without a copy. */
ACRE_API bool acre_shared_pages_has(acre_shared_pages *pages, uint32_t set, uint32_t number);

typedef struct acre_shared_ticket {
    uint64_t epoch, change_count; /* the implementation's */
} acre_shared_ticket;

/* Before a page is read from where it is kept. */
ACRE_API acre_shared_ticket acre_shared_pages_begin(acre_shared_pages *pages, uint32_t set);

/* A whole page, read after the ticket was taken. False, and it is not there: it does not count, no room could be had, or the lock. */
ACRE_API bool acre_shared_pages_put(acre_shared_pages *pages, uint32_t set, uint32_t number, const void *page,
                                    const acre_shared_ticket *ticket, bool is_ahead);

/* Bytes of a page have been changed where it is kept: in here, too, if it is there and not old. `from` NULL: nobody knows to what, and the
 * page is old. Tickets that were taken before count no more. */
ACRE_API void acre_shared_pages_change(acre_shared_pages *pages, uint32_t set, uint32_t number, size_t at, const void *from, size_t bytes);

/* A new epoch. Also under acre_shared_pages_lock; never waits. */
ACRE_API void acre_shared_pages_drop(acre_shared_pages *pages, uint32_t set);

/* ---- facts and marks ---- */

/* The set's facts, ACRE_SHARED_FACTS_BYTES of them, aligned to 8; all zero at first, and after somebody has ended in the middle of
 * something. The lock of all processes is held until acre_shared_pages_unlock: a few microseconds at most, and of these functions only
 * drop, mark and others are called meanwhile. NULL: the lock could not be had in time, and is not held. */
ACRE_API void *acre_shared_pages_lock(acre_shared_pages *pages, uint32_t set);
ACRE_API void acre_shared_pages_unlock(acre_shared_pages *pages);

/* The process makes a mark (below ACRE_SHARED_MARK_COUNT), under the lock, or takes it back, at any time. */
ACRE_API void acre_shared_pages_mark(acre_shared_pages *pages, uint32_t set, uint32_t mark, bool is_made);

/* Under the lock: has this process the mark; has another one, of which it is certain that it runs, and so has all files open that it has
 * had open when it made the mark, unless it has closed them itself? */
ACRE_API bool acre_shared_pages_is_marked(acre_shared_pages *pages, uint32_t set, uint32_t mark);
ACRE_API bool acre_shared_pages_others(acre_shared_pages *pages, uint32_t set, uint32_t mark);

typedef struct acre_shared_pages_figures {
    uint32_t page_bytes, page_count_max, page_count; /* how many there can be, and are, old ones included */
    uint32_t process_count, set_count;
    uint64_t hit_count, miss_count;   /* reads of this process */
    uint64_t put_count, refuse_count; /* of this process: what it has put, and what did not count */
    uint64_t late_count;              /* times that this process could not have the lock */
    uint64_t evict_count;             /* of all processes */
    uint64_t void_count;              /* times that everything became void, since a process ended in the middle of something */
    uint64_t segment_bytes;           /* all of it */
} acre_shared_pages_figures;

/* ACRE_INVALID: a NULL. ACRE_BUSY: the lock could not be had. O(1). */
ACRE_API acre_status acre_shared_pages_read_figures(acre_shared_pages *pages, acre_shared_pages_figures *figures);

/* Every invariant of what is shared. For tests. O(pages). */
ACRE_API bool acre_shared_pages_is_valid(acre_shared_pages *pages);

#ifdef __cplusplus
}
#endif
#endif
