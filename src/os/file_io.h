/* file_io.h - reading and writing a file at a place, and a ring of requests to the kernel (io_uring). */
#ifndef ACRE_OS_FILE_IO_H
#define ACRE_OS_FILE_IO_H

#include "base/status.h"
#include "os/os.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct acre_os_part { /* laid out as struct iovec */
    void *bytes;
    size_t size_bytes;
} acre_os_part;

#define ACRE_OS_PARTS_MAX 64u

/* Opens or makes a file for reading and writing. `*is_direct`: past the cache of the system; is made false where the file system cannot. */
acre_status acre_file_open(const char *path, bool *is_direct, int *descriptor);

/* A file without a name in a folder, `bytes` long, which is gone with its descriptor. */
acre_status acre_file_open_unnamed(const char *folder, uint64_t bytes, int *descriptor);

/* Moves what the parts have from `done_bytes` on; returns how many bytes are moved then, counted from the first part. Less than all: the
 * end of the file (`*error` is 0) or an error, by the system's number. */
uint64_t acre_file_move(int descriptor, bool is_write, const acre_os_part *parts, unsigned part_count, uint64_t offset, uint64_t done_bytes,
                        int *error);

int acre_file_flush(int descriptor); /* fdatasync: 0, or the system's number of the error */
acre_status acre_file_size(int descriptor, uint64_t *bytes);
acre_status acre_file_resize(int descriptor, uint64_t bytes);

/* What a system's error means to acre. */
acre_status acre_file_status(int system_error);

/* The error of a request that has to be begun again: it was interrupted, or the thread that had begun it has ended. */
bool acre_file_is_interrupted(int system_error);

/* ---- a ring ---- */

typedef enum acre_ring_verb { ACRE_RING_READ, ACRE_RING_WRITE, ACRE_RING_FLUSH } acre_ring_verb;

enum { ACRE_RING_MEMORY_MAX = 16 }; /* pieces of memory that the kernel knows */

/* push and submit are for one thread at a time, and so are reap and use_memory; the two sides may run side by side. */
typedef struct acre_ring {
    int descriptor;
    unsigned depth;
    unsigned sq_mask, cq_mask;
    unsigned sq_tail; /* ours, not yet published */
    unsigned unsubmitted_count;
    uint32_t *sq_head, *sq_tail_shared, *sq_array;
    uint32_t *cq_head, *cq_tail;
    void *sqes, *cqes;
    void *rings;
    size_t rings_bytes, sqes_bytes;
    bool has_fixed_file, has_memory_table;
    int file;
    struct {
        uintptr_t begin, end;
    } memory[ACRE_RING_MEMORY_MAX];
    unsigned memory_count;
} acre_ring;

typedef struct acre_ring_result {
    void *tag;
    int32_t result; /* bytes, or the system's error as a negative number */
} acre_ring_result;

/* For requests on `file`. ACRE_UNSUPPORTED: the system grants none. */
acre_status acre_ring_open(acre_ring *ring, unsigned depth, int file);
void acre_ring_close(acre_ring *ring);

/* One more request; false: the ring is full. */
bool acre_ring_push(acre_ring *ring, acre_ring_verb verb, const acre_os_part *parts, unsigned part_count, uint64_t offset, void *tag);

/* Hands the pushed ones to the kernel. False: it takes none at the moment, and they stay pushed. */
bool acre_ring_submit(acre_ring *ring);

/* What has come to an end: at most `count` of them. No system call. */
unsigned acre_ring_reap(acre_ring *ring, acre_ring_result *results, unsigned count);

/* Sleeps until one has come to an end, `wait_ns` have passed, or a signal came. */
void acre_ring_wait(acre_ring *ring, uint64_t wait_ns);

/* Tells the kernel of memory, or, with NULL, that no memory it was told of is to be used any more. */
acre_status acre_ring_use_memory(acre_ring *ring, void *memory, size_t bytes);

#endif
