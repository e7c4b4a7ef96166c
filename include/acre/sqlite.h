/* sqlite.h - SQLite's page cache and its malloc on acre: one policy that is never bad, and one budget over all connections.
 *
 *     acre_sqlite_install(&(acre_sqlite_options){.budget_bytes = 16 << 20});       before the first connection
 *     sqlite3_open("data.db", &db); ...                                             as ever
 *
 * or, for a program that is not to be changed, `LD_PRELOAD=libacre-sqlite-preload.so`, with what to do in ACRE_SQLITE:
 *
 *     ACRE_SQLITE='budget=16777216 policy=lru malloc=off' LD_PRELOAD=... sqlite3 data.db
 *
 * Without a budget each connection has a cache of its own, as long as PRAGMA cache_size says, which is what SQLite does, and takes no lock.
 * With one, the pages of all connections to files are one cache of that many bytes, whatever cache_size says: a connection that needs more
 * gets it from one that is idle. Pages that are in use or changed cannot be taken away, and what SQLite cannot do without is
 * given to it even beyond the budget. Pages of :memory: and temporary databases are neither counted nor taken.
 *
 * Each connection has copies of its own of the pages that it reads: that is how SQLite's page cache is made.
 *
 * Costs: a page that is there is found in O(1), some 30 instructions; memory beside the pages 20 bytes of tables and 48 of a struct for
 * each, and 50 of the adaptive policy, from the time on when the first page has to go.
 *
 * Threads: as SQLite. This library (libacre-sqlite) needs SQLite 3.7.14 or later.
 *
 * Example: examples/sqlite.c.
 */
#ifndef ACRE_SQLITE_H
#define ACRE_SQLITE_H

#include <acre/policy.h>
#include <acre/status.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct acre_sqlite_options {
    acre_policy_kind policy;
    uint64_t budget_bytes;   /* for the pages of all connections; 0: PRAGMA cache_size for each. At least ACRE_SQLITE_BUDGET_BYTES_MIN */
    bool keeps_malloc;       /* SQLite's other memory stays with the malloc that it has */
    const char *record_path; /* a file that is written anew with each page of a database file that SQLite asks for and gets: 8 bytes, most
                              * significant first, the number of the cache and of the page. `acre cache` reads it as be64. NULL: none */
} acre_sqlite_options;

#define ACRE_SQLITE_BUDGET_BYTES_MIN ((uint64_t)65536)

/* Gives SQLite this page cache, and memory from a heap of its own called "sqlite". `options` NULL means all defaults. ACRE_INVALID: an
 * unknown policy, a budget below the least. ACRE_BUSY: SQLite is in use already (sqlite3_shutdown ends that), or refuses. ACRE_NO_MEMORY:
 * there can be no heap. One thread, before any other SQLite call. */
ACRE_API acre_status acre_sqlite_install(const acre_sqlite_options *options);

/* Another budget, while connections are open; what is beyond it and not in use goes at once. ACRE_INVALID: below the least.
 * ACRE_UNSUPPORTED: it was installed without one. Thread safe. O(pages that go). */
ACRE_API acre_status acre_sqlite_set_budget(uint64_t budget_bytes);

typedef struct acre_sqlite_figures {
    uint64_t cache_count;            /* page caches that are open */
    uint64_t page_count, page_bytes; /* in them, with what stands beside each page */
    uint64_t pinned_count;           /* of these, in use */
    uint64_t hit_count, miss_count;  /* pages that SQLite asked for and found, or had to bring */
    uint64_t evict_count;
    uint64_t budget_bytes; /* 0: none */
} acre_sqlite_figures;

/* Sums over all page caches, closed ones included in what is counted. Thread safe; exact when no connection is at work. O(caches). */
ACRE_API void acre_sqlite_read_figures(acre_sqlite_figures *figures);

#ifdef __cplusplus
}
#endif
#endif
