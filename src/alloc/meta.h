/* meta.h - host memory for descriptors, maps and caches: the only memory that an engine reads and writes.
 *
 * It comes in chunks from a space with host access, is zero when handed out, and is given back all at once. What is
 * released singly is kept by its owner in a list of its own. Thread safe. Alloc is O(1) and at most one reserve.
 */
#ifndef ACRE_ALLOC_META_H
#define ACRE_ALLOC_META_H

#include "os/os.h"

#include <acre/space.h>

typedef struct acre_meta_chunk acre_meta_chunk;

typedef struct acre_meta {
    acre_space *space;       /* has ACRE_CAP_HOST_ACCESS */
    acre_meta_chunk *chunks; /* all of them, the newest first: a fixed space takes back only from its end */
    acre_meta_chunk *current; /* the one with the most room left */
    uint64_t reserved_bytes; /* in all chunks */
    acre_lock lock;
} acre_meta;

/* ACRE_INVALID when the space has no host access. Takes no memory. */
acre_status acre_meta_init(acre_meta *meta, acre_space *space);

/* `size` zeroed bytes aligned to 64, NULL when the space is exhausted (the sentence says so). Large pieces are backed by
 * memory only where they are touched. */
void *acre_meta_alloc(acre_meta *meta, size_t size);

/* The chunk after `chunk`, the first after NULL, NULL after the last; `*bytes` is its length. */
const acre_meta_chunk *acre_meta_next_chunk(const acre_meta *meta, const acre_meta_chunk *chunk, size_t *bytes);

/* Gives every chunk back. Nothing that was allocated may be used any more. */
void acre_meta_destroy(acre_meta *meta);

#endif
