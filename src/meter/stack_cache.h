/* stack_cache.h - a thread's memory of how its frames are left, so that most stacks are read without the unwinder.
 *
 * A frame is known by where its return address lies on the stack (its slot) and what that is (which names the caller and the
 * place in it). From there the slot of the caller's own return address is always as far away, as long as the caller's frame
 * has a fixed size there. So a step (slot, return address) -> next slot, learnt once from the unwinder, serves every stack that
 * passes through the same frame at the same depth, whatever lies below and above.
 *
 * Two things can make a step wrong: a caller whose frame changes its size (alloca), and learning: slots are found by searching
 * the stack upwards for the return addresses that the unwinder gave, and an older copy of the same address may be found in
 * place of the real one. The recorder therefore unwinds a part of the stacks again, counts what differs, and clears the cache.
 *
 * Programs ask for memory at few places most of the time. So the ids of whole stacks are kept too, by their two innermost frames: a look at
 * one compares all of its return addresses with what stands on the stack, without following steps.
 *
 * Another allocation's stack mostly differs from the last one's in its innermost frames only. So the last walk is kept: where the
 * next one meets a frame of it, the rest is compared instead of walked.
 *
 * Zeroed memory is an empty cache. One thread. A whole stack costs some 0.5 ns a frame; a walk 6 ns a frame, and 1 ns a frame that the
 * last one had.
 */
#ifndef ACRE_METER_STACK_CACHE_H
#define ACRE_METER_STACK_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STACK_CACHE_STEP_COUNT = 8192,
    STACK_CACHE_ID_COUNT = 2048,
    STACK_CACHE_WHOLE_COUNT = 512, /* in sets of ... */
    STACK_CACHE_WHOLE_WAYS = 4,    /* ... whole stacks with the same two innermost frames */
    STACK_CACHE_RECENT_COUNT = 256,
    STACK_CACHE_FRAME_BYTES_MAX = 64 * 1024,
    STACK_CACHE_OUTERMOST = 65535,
    STACK_CACHE_FRAMES_MAX = 64, /* deeper stacks lose their outermost frames */
};

/* 16 bytes, so that looking one up touches one line of the cache. */
typedef struct stack_step {
    uint64_t slot;
    uint64_t return_address : 48;
    uint64_t distance_words : 16; /* words to the next slot; 0: the entry is empty; STACK_CACHE_OUTERMOST: there is none */
} stack_step;

typedef struct stack_id {
    uint64_t hash;
    uint32_t id; /* 0: the entry is empty */
} stack_id;

typedef struct stack_walk {
    size_t count;
    bool is_whole; /* the last frame is the outermost; else there are more */
    uintptr_t slots[STACK_CACHE_FRAMES_MAX];
    void *pcs[STACK_CACHE_FRAMES_MAX];         /* innermost first */
    uint64_t hashes[STACK_CACHE_FRAMES_MAX];   /* [i]: stack_hash of frames i ... count - 1 */
} stack_walk;

/* A frame of a whole stack. The lower half of a return address tells it from any other that could stand there: two differ in the upper
 * half alone only if two modules lie a multiple of 4 GiB apart. */
typedef struct stack_whole_frame {
    uint32_t pc;    /* the lower half */
    uint32_t words; /* from the innermost slot to this one's */
} stack_whole_frame;

/* A stack with the id that it has, valid as long as all of its frames stand where they stood. */
typedef struct stack_whole {
    uintptr_t slot; /* of the innermost return address */
    uint32_t id;
    uint32_t count; /* 0: the entry is empty */
    uint32_t epoch; /* of the cache when it was kept */
    uint32_t padding;
    stack_whole_frame frames[STACK_CACHE_FRAMES_MAX];
} stack_whole;

typedef struct stack_cache {
    uintptr_t mapped_begin; /* [mapped_begin, mapped_end) is known to be this thread's stack: reading it is safe */
    uintptr_t mapped_end;
    stack_step steps[STACK_CACHE_STEP_COUNT]; /* direct mapped: a newer step takes an entry over */
    stack_id ids[STACK_CACHE_ID_COUNT];
    stack_walk last;
    uint32_t epoch; /* entries of `wholes` from another one are void */
    uint32_t next_way;
    uint16_t recent[STACK_CACHE_RECENT_COUNT]; /* by the innermost frame: the index of the whole stack that was found last, + 1 */
    stack_whole wholes[STACK_CACHE_WHOLE_COUNT];
} stack_cache;

/* The id of the stack whose innermost return address lies at `slot`, 0 when it is not kept; and keeping that of the last walk. */
uint32_t stack_cache_whole(stack_cache *cache, uintptr_t slot);
void stack_cache_keep_whole(stack_cache *cache, const stack_walk *walk, uint32_t id);

/* Reads the stack whose innermost return address lies at `slot`; that becomes frame 0. NULL when a step is not known. The
 * result is valid until the next walk. */
const stack_walk *stack_cache_walk(stack_cache *cache, uintptr_t slot);

/* Learns the steps of a stack from the unwinder's answer, of which pcs[0] lies at `slot`. `is_whole`: the last of them is the
 * outermost frame. */
void stack_cache_learn(stack_cache *cache, uintptr_t slot, void *const *pcs, size_t count, bool is_whole);

/* The id last kept for the hash of a stack, 0 when there is none; and keeping it. */
uint32_t stack_cache_id(const stack_cache *cache, uint64_t hash);
void stack_cache_keep_id(stack_cache *cache, uint64_t hash, uint32_t id);

/* Forgets everything. */
void stack_cache_clear(stack_cache *cache);

#endif
