/* block_state.h - what a heap that checks knows of each small block: its state, and how much of it nobody asked for.
 *
 * The *granules* of a block are its pieces of 16 bytes; a byte is kept for each. The low bits of a block's first byte are its state, those
 * of the others say that no block begins there. The other five bits of the first byte, of the second, and in blocks of 1 KiB and more of
 * the third, are the slack, the room less the size. So a size costs no more than the state does, and whether a live block begins at an
 * address is seen in one byte, which alone decides who may free it. The others are written before it.
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
    ACRE_BLOCK_INNER,    /* not the first granule */
} acre_block_state;

enum {
    ACRE_STATE_BITS = 3,
    ACRE_STATE_MASK = (1 << ACRE_STATE_BITS) - 1,
    ACRE_SLACK_BITS = 8 - ACRE_STATE_BITS,                                  /* in a byte */
    ACRE_THIRD_BYTE_ROOM = (1 << 2 * ACRE_SLACK_BITS) - ACRE_GRANULE_BYTES, /* blocks above have one */
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

static inline uint8_t acre_slack_part(uint64_t slack, unsigned part, acre_block_state state)
{
    return (uint8_t)((slack >> (part * ACRE_SLACK_BITS)) << ACRE_STATE_BITS | (unsigned)state);
}

/* The first byte; the others are written. `bytes` are those of a block of `room` bytes; `slack` <= room. */
static inline uint8_t acre_state_encode(uint8_t *bytes, uint64_t room, acre_block_state state, uint64_t slack)
{
    if (room > ACRE_GRANULE_BYTES) __atomic_store_n(&bytes[1], acre_slack_part(slack, 1, ACRE_BLOCK_INNER), __ATOMIC_RELAXED);
    if (room > ACRE_THIRD_BYTE_ROOM) __atomic_store_n(&bytes[2], acre_slack_part(slack, 2, ACRE_BLOCK_INNER), __ATOMIC_RELAXED);
    return acre_slack_part(slack, 0, state);
}

static inline uint64_t acre_slack_decode(const uint8_t *bytes, uint64_t room, uint8_t first)
{
    uint64_t slack = first >> ACRE_STATE_BITS;
    if (room > ACRE_GRANULE_BYTES) slack |= (uint64_t)(__atomic_load_n(&bytes[1], __ATOMIC_RELAXED) >> ACRE_STATE_BITS) << ACRE_SLACK_BITS;
    if (room > ACRE_THIRD_BYTE_ROOM)
        slack |= (uint64_t)(__atomic_load_n(&bytes[2], __ATOMIC_RELAXED) >> ACRE_STATE_BITS) << 2 * ACRE_SLACK_BITS;
    return slack;
}

#endif
