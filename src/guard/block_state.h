/* block_state.h - what a heap that checks knows of each small block: its state, and how much of it nobody asked for.
 *
 * The *granules* of a block are its pieces of 16 bytes; a byte is kept for each. The first byte of a block holds the state and the high
 * bits of the slack, the second, which every block but the smallest has, the low ones. So the size costs no more than the state does: it is
 * the room less the slack. The state alone decides who may free a block, and changes atomically; the low byte is written before.
 */
#ifndef ACRE_GUARD_BLOCK_STATE_H
#define ACRE_GUARD_BLOCK_STATE_H

#include <stdbool.h>
#include <stdint.h>

enum { ACRE_GRANULE_SHIFT = 4, ACRE_GRANULE_BYTES = 1 << ACRE_GRANULE_SHIFT };

typedef enum acre_block_state {
    ACRE_BLOCK_UNKNOWN, /* handed out before the heap checked, or never */
    ACRE_BLOCK_FREE,
    ACRE_BLOCK_LIVE,
    ACRE_BLOCK_LIVE_NEW, /* by operator new */
    ACRE_BLOCK_BUSY,     /* in the hands of a realloc */
    ACRE_BLOCK_WAITING,  /* freed, in the quarantine */
    ACRE_BLOCK_POISONED, /* free, and still full of poison */
} acre_block_state;

enum {
    ACRE_STATE_BITS = 3,
    ACRE_STATE_MASK = (1 << ACRE_STATE_BITS) - 1,
    ACRE_SLACK_HIGH_BITS = 8 - ACRE_STATE_BITS,
    ACRE_SLACK_MAX_SMALLEST = (1 << ACRE_SLACK_HIGH_BITS) - 1, /* a block of one granule has no second byte */
    ACRE_SLACK_MAX = (1 << (8 + ACRE_SLACK_HIGH_BITS)) - 1,
};

static inline acre_block_state acre_state_of(uint8_t byte) { return (acre_block_state)(byte & ACRE_STATE_MASK); }

/* The first byte with another state. */
static inline uint8_t acre_state_changed(uint8_t byte, acre_block_state state)
{
    return (uint8_t)((unsigned)(byte >> ACRE_STATE_BITS << ACRE_STATE_BITS) | (unsigned)state);
}

static inline bool acre_state_is_out(acre_block_state state)
{
    return state == ACRE_BLOCK_LIVE || state == ACRE_BLOCK_LIVE_NEW || state == ACRE_BLOCK_BUSY || state == ACRE_BLOCK_UNKNOWN;
}

/* What is kept of a slack that is more than has room: only a size of 0 in a block of 8 KiB is. */
static inline uint64_t acre_slack_kept(uint64_t room, uint64_t slack)
{
    const uint64_t max = room > ACRE_GRANULE_BYTES ? ACRE_SLACK_MAX : ACRE_SLACK_MAX_SMALLEST;
    return slack < max ? slack : max;
}

/* The first byte; the second is written. `bytes` are those of a block of `room` bytes. */
static inline uint8_t acre_state_encode(uint8_t *bytes, uint64_t room, acre_block_state state, uint64_t slack)
{
    const uint64_t kept = acre_slack_kept(room, slack);
    if (room <= ACRE_GRANULE_BYTES) return (uint8_t)((kept << ACRE_STATE_BITS) | (unsigned)state);
    __atomic_store_n(&bytes[1], (uint8_t)kept, __ATOMIC_RELAXED);
    return (uint8_t)((kept >> 8 << ACRE_STATE_BITS) | (unsigned)state);
}

static inline uint64_t acre_slack_decode(const uint8_t *bytes, uint64_t room, uint8_t first)
{
    const uint64_t high = first >> ACRE_STATE_BITS;
    return room <= ACRE_GRANULE_BYTES ? high : high << 8 | __atomic_load_n(&bytes[1], __ATOMIC_RELAXED);
}

#endif
