/* stream_order.h - when a freed block of device memory may be used again.
 *
 * A stream is a queue of a device. A block is freed and taken by calls of the host, while the work that uses it may still wait in its
 * stream: a block that was freed in one stream may be given to another one only if what the other one does with it comes later for certain.
 * That is known in four ways, which are asked in this order:
 *
 *   same stream     what is queued later runs later
 *   followed        the taker waits, directly or through other streams, for an event that was recorded behind the free
 *   passed          the event that was recorded behind the free has been reached
 *   wait            the taker is told to wait for that event (only if the options allow it)
 *
 * The second is known by vector clocks (Fidge, "Timestamps in Message-Passing Systems", 1988; Mattern, "Virtual Time and Global States",
 * 1989): each stream counts its frees, and has for each other stream the count behind which everything comes that is queued in it hence.
 * CUDA's pools have the same rules (cudaMemPoolReuseFollowEventDependencies, ...AllowOpportunistic, ...AllowInternalDependencies).
 *
 * Blocks are kept whole. One that is at most a quarter longer serves a request: the shortest of those that are known to be free, by looks
 * at no more than ACRE_STREAM_ORDER_LOOKS blocks in each of three size classes, which is best fit as long as there are no more.
 *
 * What the pool holds, in use and free, beyond the release threshold goes back at the next synchronisation, the oldest first.
 *
 * Invariants: known[s][t] <= known[t][t] and passed[t] <= known[t][t]; both only grow; a free block is
 * in the list of its class, in order of size and then of age, and in the list of all by age.
 *
 * Costs: free O(blocks of the class that are longer); take O(looks); record, wait and synchronise O(streams); trim O(free blocks).
 * Memory of the caller; no driver, no clock. Not thread safe: the owner's lock orders calls as they are queued. */
#ifndef ACRE_GPU_STREAM_ORDER_H
#define ACRE_GPU_STREAM_ORDER_H

#include "policy/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ACRE_STREAM_ORDER_LOOKS = 64, ACRE_STREAM_ORDER_STREAMS_MAX = 256, ACRE_STREAM_ORDER_CLASS_COUNT = 496 };

#define ACRE_STREAM_ORDER_BLOCKS_MAX 0x1000000u

/* What is allowed beyond the same stream. */
#define ACRE_REUSE_FOLLOWED (1u << 0)
#define ACRE_REUSE_PASSED   (1u << 1) /* asks for events that nobody has waited for */
#define ACRE_REUSE_WAIT     (1u << 2)

typedef enum acre_stream_reuse { ACRE_REUSED_SAME, ACRE_REUSED_FOLLOWED, ACRE_REUSED_PASSED, ACRE_REUSED_WAIT } acre_stream_reuse;

#define ACRE_STREAM_REUSE_COUNT (ACRE_REUSED_WAIT + 1)

/* A freed block. `event` and `owner` are the caller's, and come back with the block. */
typedef struct acre_stream_block {
    uint64_t address, size_bytes; /* size > 0 */
    uint64_t event;               /* recorded in the stream behind the last use */
    void *owner;
    uint32_t stream; /* in which it was freed */
} acre_stream_block;

typedef struct acre_stream_order_options {
    uint32_t stream_count;    /* 1 to ACRE_STREAM_ORDER_STREAMS_MAX */
    uint32_t block_count_max; /* that are free at one time; 1 to ACRE_STREAM_ORDER_BLOCKS_MAX */
    uint32_t reuse;           /* ACRE_REUSE_... */
    uint64_t release_threshold_bytes;
    bool (*has_passed)(void *context, uint64_t event); /* never blocks; once true, always true; may be NULL: never known */
    void *context;
} acre_stream_order_options;

typedef struct acre_stream_node {
    acre_stream_block block;
    uint64_t time; /* of its stream, from 1; 0: the node is not in use */
} acre_stream_node;

typedef struct acre_stream_order {
    acre_stream_order_options options;
    uint64_t *known;  /* [stream][other stream] */
    uint64_t *passed; /* [stream]: the device has got that far */
    acre_stream_node *nodes;
    acre_link *by_class, *by_age; /* [block_count_max + heads] */
    acre_policy_slot *unused;     /* a stack of nodes */
    uint32_t unused_count;
    uint64_t used_bytes, free_bytes, held_bytes_max, used_bytes_max;
    uint64_t reuse_counts[ACRE_STREAM_REUSE_COUNT], miss_count, released_count;
} acre_stream_order;

/* Bytes of memory, aligned to 8, that an order needs; 0 if the options are outside their ranges. */
size_t acre_stream_order_bytes(const acre_stream_order_options *options);

/* Of at least that many bytes. False, with nothing done, if the options are outside their ranges. */
bool acre_stream_order_init(acre_stream_order *order, const acre_stream_order_options *options, void *memory);

/* The caller has handed out a block that came from elsewhere, or takes one back there without freeing it here. */
void acre_stream_order_add_used(acre_stream_order *order, uint64_t size_bytes);
void acre_stream_order_drop_used(acre_stream_order *order, uint64_t size_bytes);

/* A block that is in use is free from here on in its stream. False: there is no room, and it is in use still. */
bool acre_stream_order_free(acre_stream_order *order, const acre_stream_block *block);

/* A block of at least `size_bytes`, at a multiple of `alignment` (a power of two), for what `stream` does hence. False: there is none. With
 * ACRE_REUSED_WAIT the caller makes the stream wait for block->event before anything else is queued in it. */
bool acre_stream_order_take(acre_stream_order *order, uint32_t stream, uint64_t size_bytes, uint64_t alignment, acre_stream_block *block,
                            acre_stream_reuse *reuse);

/* An event is recorded in a stream: `times` (one for each stream) is what it stands for. */
void acre_stream_order_record(const acre_stream_order *order, uint32_t stream, uint64_t *times);

/* A stream waits for an event with these times. */
void acre_stream_order_wait(acre_stream_order *order, uint32_t stream, const uint64_t *times);

/* The host has waited for an event with these times. */
void acre_stream_order_reached(acre_stream_order *order, const uint64_t *times);

/* The host has waited for all of a stream; what the stream waited for has passed, too. Its number may be
 * another stream's from here on. The owner trims to the release threshold. */
void acre_stream_order_synchronise(acre_stream_order *order, uint32_t stream);

/* Takes out the free blocks that have passed, oldest first, while more than `keep_bytes` are held, in use and free; `give` gets each.
 * Returns their bytes. Asks for at most one event of each stream that has not passed. */
uint64_t acre_stream_order_trim(acre_stream_order *order, uint64_t keep_bytes, void (*give)(void *context, const acre_stream_block *block),
                                void *context);

/* The oldest block that has not passed: who is out of memory waits for its event, and trims. False: all have passed. Asks for one event. */
bool acre_stream_order_oldest(acre_stream_order *order, acre_stream_block *block);

/* Whether the invariants hold. O(streams^2 + blocks). */
bool acre_stream_order_is_valid(const acre_stream_order *order);

#endif
