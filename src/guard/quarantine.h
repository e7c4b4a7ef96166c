/* quarantine.h - freed blocks that wait before they may be used again: a ring, the one freed first leaves first.
 *
 * Blocks leave when those that wait have more bytes than is allowed, when the ring is full, or when one is older than is allowed. Whoever
 * puts one in takes out those that are due, so that there is always room for the next. The owner has a lock around it. O(1).
 */
#ifndef ACRE_GUARD_QUARANTINE_H
#define ACRE_GUARD_QUARANTINE_H

#include <acre/space.h>

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct acre_waiting_block {
    acre_addr block;
    uint64_t size_bytes;
    uint64_t since_ns;
} acre_waiting_block;

typedef struct acre_quarantine {
    acre_waiting_block *ring;
    uint32_t capacity; /* a power of two */
    uint32_t first;    /* counts of blocks that have left ... */
    uint32_t next;     /* ... and come, modulo 2^32 */
    uint64_t bytes;    /* of those that wait */
    uint64_t bytes_max;
    uint64_t ns_max;
} acre_quarantine;

static inline uint32_t acre_quarantine_count(const acre_quarantine *quarantine) { return quarantine->next - quarantine->first; }

static inline acre_waiting_block *acre_quarantine_at(const acre_quarantine *quarantine, uint32_t count)
{
    return &quarantine->ring[count & (quarantine->capacity - 1)];
}

/* There is room: nobody is due because of a full ring. */
static inline void acre_quarantine_put(acre_quarantine *quarantine, acre_waiting_block block)
{
    assert(acre_quarantine_count(quarantine) < quarantine->capacity);
    *acre_quarantine_at(quarantine, quarantine->next++) = block;
    quarantine->bytes += block.size_bytes;
}

/* Takes the oldest block out if it has to leave; `everybody`: if there is one. */
static inline bool acre_quarantine_take(acre_quarantine *quarantine, uint64_t now_ns, bool everybody, acre_waiting_block *block)
{
    const uint32_t count = acre_quarantine_count(quarantine);
    if (count == 0) return false;
    const acre_waiting_block oldest = *acre_quarantine_at(quarantine, quarantine->first);
    const bool is_old = now_ns > oldest.since_ns && now_ns - oldest.since_ns > quarantine->ns_max;
    if (!everybody && quarantine->bytes <= quarantine->bytes_max && count < quarantine->capacity && !is_old) return false;
    quarantine->first++;
    quarantine->bytes -= oldest.size_bytes;
    *block = oldest;
    return true;
}

#endif
