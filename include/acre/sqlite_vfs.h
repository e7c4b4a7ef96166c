/* sqlite_vfs.h - a VFS of SQLite that reads databases through one buffer pool: what one connection has read, all connections of the process
 * have, or, if they say so, all processes.
 *
 *     acre_sqlite_vfs_register(&(acre_sqlite_vfs_options){.pool_bytes = 64 << 20});
 *     sqlite3_open("data.db", &db); ...                                           through the VFS "acre", which is the default then
 *     sqlite3_open_v2("data.db", &db, flags, "acre");                             by its name
 *
 * or, for a program that is not to be changed: `ACRE_SQLITE='vfs=on pool=67108864' LD_PRELOAD=libacre-sqlite-preload.so program`.
 *
 * It stands above another VFS, by default the one of the system. Reads of databases are answered from the pool, in blocks whose size has
 * nothing to do with that of SQLite's pages. Everything else is left to the VFS below: locks, journals, WAL and shared memory, and all
 * writes, whose order is the one that SQLite wants; the pool's copy follows a write that has ended. So what a crash leaves is what it
 * leaves without this VFS.
 *
 * What other processes write is noticed when SQLite's own rules let it be read: with a rollback journal when the first connection of
 * the process takes its SHARED lock (the header's change counter, and the size), with a WAL at each read (the salts and the number of
 * frames that were checkpointed, in the wal-index). All blocks of that database are old then, in O(1), and are read again when asked for.
 *
 * Reading ahead: connections that read blocks in sequence, or at a constant distance, have the next ones brought, by io_uring where the
 * system grants a ring (acre/prefetch.h). It switches itself off where it does not help.
 *
 * With `shared_name` the pool is one of all processes of the user that say the same name (acre/shared_pages.h): each has what any has read,
 * and what one of them writes, commits or checkpoints leaves the blocks of all good. A process that is killed in the middle of a
 * transaction, or rolls one back whose pages it had written, makes the database's blocks old. Blocks are read by calls, without a ring.
 *
 * A child of fork has a pool of its own, or shares as any process does. PRAGMA mmap_size has no effect. Databases that are opened with
 * nolock=1 or immutable=1, that the process may only read, that lie on no regular file, or that are too many (64) are left to the VFS below
 * altogether.
 *
 * One rule for the program: while a database is open through this VFS, the same process does not open it otherwise. Closing a file
 * ends all locks that a process has on it, so POSIX wants it, and SQLite's VFS knows only of its own files. (SQLite has the same rule
 * for a program that opens a database file by itself.)
 *
 * Costs: a read of a page that is there is a fix of acre/buffer_pool.h and a memcpy, no system call and no lock. Memory beside the blocks:
 * that of the pool, and 16 bytes for each block of a file that was ever read.
 *
 * Threads: as SQLite.
 *
 * Example: examples/sqlite_vfs.c.
 */
#ifndef ACRE_SQLITE_VFS_H
#define ACRE_SQLITE_VFS_H

#include <acre/buffer_pool.h>
#include <acre/device.h>
#include <acre/policy.h>
#include <acre/shared_pages.h>
#include <acre/status.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct acre_sqlite_vfs_options {
    uint64_t pool_bytes;     /* for the blocks of all databases; 0: 64 MiB. At least 16 blocks */
    uint32_t block_bytes;    /* 0: 4096; else a power of two from 4096 to 65536. One read brings so much */
    acre_policy_kind policy; /* 0 is adaptive */
    acre_device_way way;     /* how blocks are read ahead; ACRE_DEVICE_RING where there is no ring is the same as ACRE_DEVICE_CALLS */
    bool is_direct;          /* past the cache of the system (O_DIRECT), where the file system has that */
    bool has_no_prefetch;    /* nothing is read ahead */
    bool is_not_default;     /* only connections that ask for "acre" have it */
    const char *shared_name; /* processes of the user that say the same one share the pool, see above; NULL: it is the process's own */
    const char *below;       /* the VFS under it, whose name must begin with "unix": others may keep something else in the file than what
                              * they read. NULL: the default one */
} acre_sqlite_vfs_options;

/* Registers the VFS "acre". `options` NULL means all defaults. Initializes SQLite: whatever is to be configured, acre_sqlite_install
 * included, comes before. sqlite3_shutdown makes SQLite's own VFS the default again. ACRE_INVALID: options out of their ranges, no VFS of
 * that name below. ACRE_BUSY: it is registered already. ACRE_NO_MEMORY. With
 * `shared_name` also what acre_shared_pages_open says. One thread at a time. */
ACRE_API acre_status acre_sqlite_vfs_register(const acre_sqlite_vfs_options *options);

/* Gives all of it back. ACRE_BUSY, and nothing was changed: a connection is open through it. ACRE_INVALID: it is not registered. */
ACRE_API acre_status acre_sqlite_vfs_unregister(void);

typedef struct acre_sqlite_vfs_figures {
    uint32_t connection_count; /* open through this VFS */
    uint32_t file_count;       /* databases in the pool */
    uint64_t left_count;       /* connections to a database that was left to the VFS below */
    uint64_t below_read_count; /* reads of databases in the pool that the VFS below answered: without a lock, at the end, after an error */
    uint64_t drop_count;       /* times that all of a database's blocks became old */
    uint64_t stale_count;      /* old blocks that were read again */
    uint64_t prefetch_count;   /* blocks that were read ahead */
    uint64_t prefetch_used_count;     /* and read */
    bool has_ring;                    /* the last database that read ahead had one */
    acre_buffer_pool_figures pool;    /* its hits and misses are blocks. All 0 where it is shared */
    acre_shared_pages_figures shared; /* the same where it is; all 0 where it is not */
    uint64_t shared_request_count;    /* requests by which this process has read blocks for it */
} acre_sqlite_vfs_figures;

/* From the registration on. ACRE_INVALID: NULL, or it is not registered. Any thread. O(1). */
ACRE_API acre_status acre_sqlite_vfs_read_figures(acre_sqlite_vfs_figures *figures);

#ifdef __cplusplus
}
#endif
#endif
