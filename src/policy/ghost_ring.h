/* ghost_ring.h - keys that were in the cache, forgotten in the order in which they came: a ring of fingerprints and an index of their places.
 *
 * A key that is asked for again leaves a hole. The ring has a quarter more places than keys; when the holes are more than that, which is
 * after as many keys have come, what is left moves together. 11 bytes a key. */
#ifndef ACRE_POLICY_GHOST_RING_H
#define ACRE_POLICY_GHOST_RING_H

#include "policy/index.h"

#include <string.h>

typedef struct acre_ghost_ring {
    uint32_t *fingerprints; /* by place; 0: a hole */
    acre_index index;
    acre_policy_slot size;   /* places */
    acre_policy_slot newest; /* the place that is written next */
    acre_policy_slot length; /* places from the oldest key on */
    acre_policy_slot count;  /* keys */
} acre_ghost_ring;

static inline void acre_ghost_ring_lay_out(acre_ghost_ring *ring, acre_carver *carver, acre_policy_slot count_max)
{
    ring->size = (acre_policy_slot)(count_max + count_max / 4 + 1);
    ring->fingerprints = acre_carve(carver, ring->size, sizeof *ring->fingerprints);
    ring->index.fingerprints = ring->fingerprints;
    acre_index_lay_out(&ring->index, carver, count_max, ring->size);
}

/* A hole is 0, which one key in 2^32 has for a fingerprint: that one goes as 1. */
static inline uint32_t acre_ghost_ring_word(uint32_t fingerprint) { return fingerprint == 0 ? 1 : fingerprint; }

static inline acre_policy_slot acre_ghost_ring_oldest(const acre_ghost_ring *ring)
{
    return (acre_policy_slot)(ring->newest >= ring->length ? ring->newest - ring->length : ring->newest + ring->size - ring->length);
}

/* The oldest place goes, hole or key. */
static inline void acre_ghost_ring_shorten(acre_ghost_ring *ring)
{
    acre_policy_slot oldest = acre_ghost_ring_oldest(ring);
    assert(ring->length > 0);
    if (ring->fingerprints[oldest] != 0) {
        acre_index_remove(&ring->index, oldest);
        ring->count--;
    }
    ring->length--;
}

static inline void acre_ghost_ring_trim(acre_ghost_ring *ring, acre_policy_slot count_max)
{
    while (ring->count > count_max)
        acre_ghost_ring_shorten(ring);
}

static inline acre_policy_slot acre_ghost_ring_after(const acre_ghost_ring *ring, acre_policy_slot place)
{
    return (acre_policy_slot)(place + 1 == ring->size ? 0 : place + 1);
}

/* Closes the holes. O(size). */
static inline void acre_ghost_ring_close(acre_ghost_ring *ring)
{
    acre_policy_slot from = acre_ghost_ring_oldest(ring), to = from;
    memset(ring->index.table, 0, ring->index.size * sizeof *ring->index.table);
    for (acre_policy_slot i = 0; i < ring->length; i++, from = acre_ghost_ring_after(ring, from)) {
        if (ring->fingerprints[from] != 0) {
            ring->fingerprints[to] = ring->fingerprints[from];
            acre_index_insert(&ring->index, to);
            to = acre_ghost_ring_after(ring, to);
        }
    }
    ring->newest = to;
    ring->length = ring->count;
}

/* Remembers a key, which is not in the ring, and no more than `count_max` of them, which is at least 1. */
static inline void acre_ghost_ring_push(acre_ghost_ring *ring, uint32_t fingerprint, acre_policy_slot count_max)
{
    acre_ghost_ring_trim(ring, (acre_policy_slot)(count_max - 1));
    if (ring->length == ring->size)
        acre_ghost_ring_close(ring);
    ring->fingerprints[ring->newest] = acre_ghost_ring_word(fingerprint);
    acre_index_insert(&ring->index, ring->newest);
    ring->newest = acre_ghost_ring_after(ring, ring->newest);
    ring->length++;
    ring->count++;
}

/* Whether a key is remembered; it is not any more. */
static inline bool acre_ghost_ring_take(acre_ghost_ring *ring, uint32_t fingerprint)
{
    acre_policy_slot place = acre_index_find(&ring->index, acre_ghost_ring_word(fingerprint));
    if (place == ACRE_POLICY_NO_SLOT)
        return false;
    acre_index_remove(&ring->index, place);
    ring->fingerprints[place] = 0;
    ring->count--;
    return true;
}

static inline bool acre_ghost_ring_is_valid(const acre_ghost_ring *ring)
{
    acre_policy_slot count = 0, place = acre_ghost_ring_oldest(ring);
    for (acre_policy_slot i = 0; i < ring->length; i++) {
        count = (acre_policy_slot)(count + (ring->fingerprints[place] != 0));
        if (ring->fingerprints[place] != 0 && acre_index_find(&ring->index, ring->fingerprints[place]) == ACRE_POLICY_NO_SLOT)
            return false;
        place = acre_ghost_ring_after(ring, place);
    }
    return ring->length <= ring->size && ring->newest < ring->size && count == ring->count;
}

#endif
