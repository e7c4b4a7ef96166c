/* vfs.h - what the files of the VFS share: a database that is open, and how its blocks stay right.
 *
 * Each block of a database has a *tag*: the epoch in which it was read. A block is good if that is the file's epoch of today; a new epoch
 * makes all blocks old at once. Epochs and *tickets* are numbers of one count, so no two are alike. A read that begins puts its ticket in
 * the tag, and its epoch in the place of the ticket when it has ended: if a write, or another read, has been there meanwhile, the
 * ticket is gone and the block is not good. The file's epoch changes
 * - when the first connection of the process takes a SHARED lock and finds a header or size that it does not know,
 *   or that a transaction of a process that knows these rules has written and not ended (it is not *settled*),
 * - when the wal-index tells of frames that somebody else has checkpointed.
 *
 * A *lease* is a time in which some connection of the process has a SHARED lock. With a rollback journal nobody else writes in it. So a
 * read counts only if it has ended in the lease in which it began: a process that dies in the middle of its writes, and has them rolled
 * back by another, leaves the header as it was.
 *
 * With a WAL the database is written by checkpoints, which leave alone what a reader of any snapshot may still read from it; the number of
 * frames that were checkpointed grows after they are all there. So what is read while that number stands still is right for whoever
 * sees the same number, and may be anything for others. SQLite reads the number before it reads pages, we afterwards: so we see no older
 * one.
 */
#ifndef ACRE_BINDINGS_SQLITE_VFS_H
#define ACRE_BINDINGS_SQLITE_VFS_H

#include "os/file_identity.h"

#include <acre/prefetch.h>
#include <acre/shared_pages.h>
#include <acre/space.h>
#include <acre/sqlite_vfs.h>
#include <pthread.h>
#include <sqlite3.h>

enum { STAMP_AT = 24, STAMP_END = 100, WANTED_MAX = 64, RUN_BYTES = 256 << 10 };

/* What is known of a database: by this process, or, as facts of shared pages, by all that share them. */
typedef struct vfs_known {
    uint64_t size_bytes;
    uint64_t wal_mark; /* salts and frames checkpointed, as one number; 0: none was seen in this lease */
    uint32_t has_stamp;
    uint32_t is_settled;                       /* nothing was written since that no commit has ended */
    unsigned char stamp[STAMP_END - STAMP_AT]; /* of the header */
} vfs_known;

/* What a process says of itself to others: it has a SHARED lock at least; it keeps others from changing the wal-index. */
enum { MARK_HOLDER, MARK_ADOPTER };

typedef struct vfs_counts {
    uint64_t connection, left, below_read, drop, stale, prefetch, prefetch_used, shared_request;
    uint32_t has_ring;
} vfs_counts;

/* The database file, for all connections to it. One that cannot be in the pool has no device, and is here to be known. */
typedef struct vfs_file vfs_file;
struct vfs_file {
    vfs_file *next;
    acre_file_identity identity;
    uint32_t connection_count;
    int descriptor;          /* keeps the file; those of the devices are opened by way of it, whatever has become of its path */
    acre_device device;      /* the pool's: notes tags, and reads by one of the others */
    acre_device calls, ring; /* the latter is opened for the first block that is read ahead */
    uint32_t ring_state;     /* RING_UNKNOWN, ... */
    bool is_pooled;
    uint32_t number; /* in the pool */
    uint64_t block_count;
    uint64_t *tags;
    uint64_t tags_bytes;

    /* Changed under `lock`, read by anyone. */
    uint64_t epoch, lease, size_bytes; /* the first only where pages are not shared */
    uint64_t seen_mark;                /* of the wal-index, when this process looked last; 0: not in this lease */
    pthread_mutex_t lock;
    uint32_t holder_count;  /* connections with a SHARED lock at least */
    uint32_t adopter_count; /* connections that keep others from writing: what the wal-index tells anew is ours */
    bool is_unsettled;      /* this process has said so of what is known, in the transaction that is under way */
    vfs_known own;

    bool is_shared; /* its blocks are of a set of pages that processes share, and so is what is known */
    bool is_out;    /* what is known could not be had: this process goes without until its next lease. By atomic instructions */
    uint32_t set;
};

/* The state of the process. */
typedef struct vfs_state {
    pthread_mutex_t lock; /* the list of files, and the pool's files */
    acre_sqlite_vfs_options options;
    unsigned block_shift;
    char shared_name[ACRE_SHARED_NAME_MAX + 1]; /* a copy of the option */
    acre_buffer_pool *pool;                     /* one of both */
    acre_shared_pages *shared;
    acre_space tag_space;
    vfs_file *files;
    sqlite3_vfs *below;
    uint64_t generation; /* grows in a child of fork, whose parent's files are none of its business */
    vfs_counts counts;   /* by atomic instructions */
} vfs_state;

extern vfs_state acre_vfs;

/* How devices are opened: a test puts another in its place. */
extern acre_status (*acre_vfs_open_device)(acre_device *device, const char *path, const acre_device_file_options *options);

static inline void vfs_count(uint64_t *count, uint64_t by) { (void)__atomic_fetch_add(count, by, __ATOMIC_RELAXED); }

/* ---- vfs_blocks.c ---- */

/* What a connection reads ahead. */
typedef struct vfs_ahead {
    acre_prefetcher *prefetcher;
    unsigned char *buffer; /* of RUN_BYTES, for pages that are shared; NULL: it was not needed yet */
    uint64_t last;         /* chunk + 1 */
    uint32_t wanted_count;
    bool is_off;                 /* no memory for it */
    uint64_t wanted[WANTED_MAX]; /* chunks */
} vfs_ahead;

/* Under acre_vfs.lock. Puts a file into the pool; false: it cannot be. `path` leads to the file of that identity. */
bool acre_vfs_blocks_open(vfs_file *file, const char *path);
void acre_vfs_blocks_close(vfs_file *file);

/* Copies what is within the file from the pool. False: ask the VFS below. The caller has a SHARED lock. */
bool acre_vfs_blocks_read(vfs_file *file, vfs_ahead *ahead, void *to, uint64_t at, size_t bytes);

/* A write has ended: well, or (`from` NULL) nobody knows how. */
void acre_vfs_blocks_wrote(vfs_file *file, const void *from, uint64_t at, size_t bytes);

/* In the child of a fork: reads that were in flight are the parent's. */
void acre_vfs_blocks_in_child(void);

/* All blocks are old. Under file->lock, or nobody else knows the file, or they are shared. */
void acre_vfs_blocks_drop(vfs_file *file);

/* ---- vfs_shared.c: the same where pages are shared ---- */

bool acre_vfs_shared_open(vfs_file *file);
void acre_vfs_shared_close(vfs_file *file);
bool acre_vfs_shared_copy(vfs_file *file, vfs_ahead *ahead, uint64_t block, size_t begin, size_t bytes, unsigned char *to, bool *was_ahead,
                          bool *was_missing);
size_t acre_vfs_shared_bring(vfs_file *file, vfs_ahead *ahead, const uint32_t *blocks, size_t count, bool is_ahead);
void acre_vfs_shared_wrote(vfs_file *file, uint64_t block, size_t begin, const unsigned char *from, size_t bytes);

/* ---- vfs_file.c ---- */

/* A connection's file; that of the VFS below follows it in memory. */
typedef struct vfs_connection {
    sqlite3_file base;
    vfs_file *file; /* NULL: everything is left to the VFS below */
    uint64_t generation;
    int lock; /* SQLITE_LOCK_NONE ... */
    bool is_adopter;
    bool is_left;                       /* its wal-index cannot be seen */
    const volatile uint32_t *wal_index; /* the first region; NULL: there is none */
    vfs_ahead ahead;
} vfs_connection;

static inline sqlite3_file *vfs_below(vfs_connection *c) { return (sqlite3_file *)(c + 1); }

/* The methods for a file over one with these. */
const sqlite3_io_methods *acre_vfs_methods(const sqlite3_io_methods *below);

/* ---- vfs.c ---- */

/* Ends a connection's use of its file; the last one closes it. */
void acre_vfs_forget(vfs_file *file);

#endif
