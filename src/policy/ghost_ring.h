/* ghost_ring.h - keys that were in the cache, forgotten in the order in which they came: a ring of fingerprints and an index of their
 * places.
 *
 * A key that is asked for again leaves a hole. The ring has an eighth more places than keys; when the holes are more than that, which is
 * after as many keys have come, what is left moves together. 11 bytes a key. */
#ifndef ACRE_POLICY_GHOST_RING_H
#define ACRE_POLICY_GHOST_RING_H

#include "policy/index.h"

#include <string.h>

typedef struct acre_ghost_ring {
    acre_index index;        /* of places; a fingerprint of 0 is a hole */
    acre_policy_slot size;   /* places */
    acre_policy_slot newest; /* the place that is written next */
    acre_policy_slot length; /* places from the oldest key on */
    acre_policy_slot count;  /* keys */
} acre_ghost_ring;

static inline void acre_ghost_ring_lay_out(acre_ghost_ring *ring, acre_carver *carver, acre_policy_slot count_max)
{
    ring->size = (acre_policy_slot)(count_max + count_max / 8 + 1);
    acre_index_lay_out(&ring->index, carver, count_max, ring->size);
}

static inline acre_policy_slot acre_ghost_ring_oldest(const acre_ghost_ring *ring)
{
    return (acre_policy_slot)(ring->newest >= ring->length ? ring->newest - ring->length : ring->newest + ring->size - ring->length);
}

/* The oldest place goes, hole or key. */
static inline void acre_ghost_ring_shorten(acre_ghost_ring *ring)
{
    acre_policy_slot oldest = acre_ghost_ring_oldest(ring);
    assert(ring->length > 0);
    if (ring->index.nodes[oldest].fingerprint != 0) {
        acre_index_remove(&ring->index, oldest);
        ring->count--;
    }
    ring->length--;
}

static inline void acre_ghost_ring_trim(acre_ghost_ring *ring, acre_policy_slot count_max)
{
    while (ring->count > count_max) acre_ghost_ring_shorten(ring);
}

static inline acre_policy_slot acre_ghost_ring_after(const acre_ghost_ring *ring, acre_policy_slot place)
{
    return (acre_policy_slot)(place + 1 == ring->size ? 0 : place + 1);
}

/* Closes the holes. O(size). */
static inline void acre_ghost_ring_close(acre_ghost_ring *ring)
{
    acre_policy_slot from = acre_ghost_ring_oldest(ring), to = from;
    memset(ring->index.heads, 0, ring->index.head_count * sizeof *ring->index.heads);
    for (acre_policy_slot i = 0; i < ring->length; i++, from = acre_ghost_ring_after(ring, from)) {
        if (ring->index.nodes[from].fingerprint != 0) {
            acre_index_insert(&ring->index, to, ring->index.nodes[from].fingerprint);
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
    if (ring->length == ring->size) acre_ghost_ring_close(ring);
    acre_index_insert(&ring->index, ring->newest, acre_fingerprint_word(fingerprint));
    ring->newest = acre_ghost_ring_after(ring, ring->newest);
    ring->length++;
    ring->count++;
}

/* Whether a key is remembered; it is not any more. */
static inline bool acre_ghost_ring_take(acre_ghost_ring *ring, uint32_t fingerprint)
{
    acre_policy_slot place = acre_index_find(&ring->index, acre_fingerprint_word(fingerprint));
    if (place == ACRE_POLICY_NO_SLOT) return false;
    acre_index_remove(&ring->index, place);
    ring->index.nodes[place].fingerprint = 0;
    ring->count--;
    return true;
}

static inline bool acre_ghost_ring_is_valid(const acre_ghost_ring *ring)
{
    acre_policy_slot count = 0, place = acre_ghost_ring_oldest(ring);
    for (acre_policy_slot i = 0; i < ring->length; i++) {
        count = (acre_policy_slot)(count + (ring->index.nodes[place].fingerprint != 0));
        if (ring->index.nodes[place].fingerprint != 0 &&
            acre_index_find(&ring->index, ring->index.nodes[place].fingerprint) == ACRE_POLICY_NO_SLOT)
            return false;
        place = acre_ghost_ring_after(ring, place);
    }
    return ring->length <= ring->size && ring->newest < ring->size && count == ring->count;
}

#endif
