/* same_addresses.h - one program on the three engines, and a number made of where all its blocks lay: the same on every machine whose
 * regions have narrow headers. So what happened in the field can be replayed elsewhere. */
#ifndef ACRE_TESTS_SAME_ADDRESSES_H
#define ACRE_TESTS_SAME_ADDRESSES_H

#include "alloc/buddy.h"
#include "alloc/half_fit.h"
#include "alloc/tight.h"

/* As on the first machine it ran on; a change of an engine that moves blocks changes it. */
#define SAME_ADDRESSES UINT32_C(831284405)

enum { SAME_BYTES = 10240, SAME_SLOTS = 64, SAME_STEPS = 5000 };

static _Alignas(32) unsigned char same_memory[SAME_BYTES];
static unsigned char *same_blocks[SAME_SLOTS];

typedef union same_engine {
    acre_tight tight;
    acre_half_fit fast;
    acre_buddy buddy;
} same_engine;

static unsigned char *same_take(same_engine *engine, int which, size_t size)
{
    return which == 0   ? acre_tight_alloc(&engine->tight, size)
           : which == 1 ? acre_half_fit_alloc(&engine->fast, size)
                        : acre_buddy_alloc(&engine->buddy, size);
}

static acre_status same_give(same_engine *engine, int which, void *block)
{
    return which == 0   ? acre_tight_free(&engine->tight, block)
           : which == 1 ? acre_half_fit_free(&engine->fast, block)
                        : acre_buddy_free(&engine->buddy, block);
}

/* 0 when an engine refuses what it must not. */
static uint32_t same_addresses(void)
{
    uint32_t hash = 2166136261u;
    uint32_t state = 2463534242u;
    for (int which = 0; which < 3; which++) {
        same_engine engine;
        const acre_status status = which == 0   ? acre_tight_init(&engine.tight, same_memory, SAME_BYTES)
                                   : which == 1 ? acre_half_fit_init(&engine.fast, same_memory, SAME_BYTES)
                                                : acre_buddy_init(&engine.buddy, same_memory, SAME_BYTES);
        if (status != ACRE_OK) return 0;
        for (uint32_t i = 0; i < SAME_SLOTS; i++) same_blocks[i] = NULL;
        for (uint32_t i = 0; i < SAME_STEPS; i++) {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            unsigned char **const slot = &same_blocks[state % SAME_SLOTS];
            if (*slot != NULL) {
                if (same_give(&engine, which, *slot) != ACRE_OK) return 0;
                *slot = NULL;
                continue;
            }
            *slot = same_take(&engine, which, (state >> 8) % ((state & 64) != 0 ? 60 : 500));
            hash = (hash ^ (uint32_t)(*slot == NULL ? SAME_BYTES : *slot - same_memory)) * 16777619u;
        }
    }
    return hash;
}

#endif
