/* streams.c - what it costs to free a block in the order of a stream and to take another one.
 *
 *     streams [STREAMS] [PAIRS]
 *
 * 1,000 blocks of 12 sizes live in STREAMS streams (3, at most 8). A random one is freed in its stream, and one of the same size is taken
 * for a random stream, PAIRS times (1,000,000); every event has passed, so that all is reused. Prints nanoseconds a pair, and how blocks
 * were reused. For instructions: `valgrind --tool=cachegrind --cache-sim=no` with two numbers of pairs, and the difference. */
#include "gpu/stream_order.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { STREAMS_MAX = 8, LIVE_COUNT = 1000, SIZE_COUNT = 12 };

static bool has_passed(void *context, uint64_t event)
{
    (void)context;
    (void)event;
    return true;
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static double seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void begin(acre_stream_order *order, acre_stream_block *live, uint32_t streams)
{
    for (uint32_t i = 0; i < LIVE_COUNT; i++) {
        live[i] =
            (acre_stream_block){.address = (uint64_t)(i + 1) << 24, .size_bytes = (uint64_t)512 << i % SIZE_COUNT, .stream = i % streams};
        acre_stream_order_add_used(order, live[i].size_bytes);
    }
}

/* False: a block was not reused. */
static bool run(acre_stream_order *order, acre_stream_block *live, uint32_t streams, unsigned long pairs)
{
    uint64_t seed = 88172645463325252u;
    for (unsigned long k = 0; k < pairs; k++) {
        const uint64_t random = next_random(&seed);
        acre_stream_block *const block = &live[random % LIVE_COUNT];
        const uint64_t size_bytes = block->size_bytes;
        const uint32_t stream = (uint32_t)(random >> 32) % streams;
        acre_stream_reuse reuse;
        if (!acre_stream_order_free(order, block) || !acre_stream_order_take(order, stream, size_bytes, 256, block, &reuse)) return false;
        block->stream = stream;
    }
    return true;
}

int main(int argc, char **argv)
{
    const unsigned long streams = argc > 1 ? strtoul(argv[1], NULL, 10) : 3, pairs = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000000;
    static acre_stream_block live[LIVE_COUNT];
    if (streams < 1 || streams > STREAMS_MAX || pairs == 0) {
        (void)fprintf(stderr, "streams: 1 to %d streams, at least one pair\n", STREAMS_MAX);
        return 2;
    }
    const acre_stream_order_options options = {.stream_count = (uint32_t)streams,
                                               .block_count_max = 4096,
                                               .reuse = ACRE_REUSE_FOLLOWED | ACRE_REUSE_PASSED | ACRE_REUSE_WAIT,
                                               .has_passed = has_passed};
    acre_stream_order order;
    void *const memory = malloc(acre_stream_order_bytes(&options));
    if (memory == NULL || !acre_stream_order_init(&order, &options, memory)) return 1;
    begin(&order, live, (uint32_t)streams);
    const double start = seconds();
    const bool is_good = run(&order, live, (uint32_t)streams, pairs);
    printf("%lu streams: %.1f ns a pair; reused in the same stream %" PRIu64 ", after the event %" PRIu64 "\n", streams,
           (seconds() - start) * 1e9 / (double)pairs, order.reuse_counts[ACRE_REUSED_SAME], order.reuse_counts[ACRE_REUSED_PASSED]);
    free(memory);
    return !is_good;
}
