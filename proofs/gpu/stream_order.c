/* Proofs of gpu/stream_order.c: what a stream is given comes behind its last use. A step starts from two free blocks of any streams, sizes,
 * and times, and from any clocks that meet the invariant. */
#include "../proof.h"
#include "gpu/stream_order.c"

enum { STREAM_COUNT = 3, BLOCK_COUNT = 3, SIZE_MAX_BYTES = 4, HEAD_COUNT = 6 };

static uint64_t known[STREAM_COUNT * STREAM_COUNT], passed[STREAM_COUNT];
static acre_stream_node nodes[BLOCK_COUNT];
static acre_link by_class[BLOCK_COUNT + HEAD_COUNT], by_age[BLOCK_COUNT + 1];
static acre_policy_slot unused[BLOCK_COUNT];
static acre_stream_order order;
static bool event_passed[2];
static unsigned asked;

static bool answer(void *context, uint64_t event)
{
    (void)context;
    asked++;
    return event_passed[event];
}

static void assume_clocks(void)
{
    for (unsigned t = 0; t < STREAM_COUNT; t++) {
        assume(known[t * STREAM_COUNT + t] < UINT64_MAX);
        assume(passed[t] <= known[t * STREAM_COUNT + t]);
        for (unsigned s = 0; s < STREAM_COUNT; s++) assume(known[s * STREAM_COUNT + t] <= known[t * STREAM_COUNT + t]);
    }
}

static void any_clocks(void)
{
    for (unsigned i = 0; i < STREAM_COUNT * STREAM_COUNT; i++) known[i] = nondet_u64();
    for (unsigned t = 0; t < STREAM_COUNT; t++) passed[t] = nondet_u64();
    assume_clocks();
}

static acre_stream_block any_block(uint64_t event)
{
    const acre_stream_block block = {nondet_u64(), nondet_u64(), event, NULL, nondet_u32()};
    assume(block.size_bytes > 0 && block.size_bytes <= SIZE_MAX_BYTES && block.stream < STREAM_COUNT);
    return block;
}

/* With `count` free blocks, one or two. */
static void any_order(unsigned count)
{
    order = (acre_stream_order){.options = {STREAM_COUNT, BLOCK_COUNT, nondet_u32() & 7, 0, answer, NULL}};
    order.known = known;
    order.passed = passed;
    order.nodes = nodes;
    order.by_class = by_class;
    order.by_age = by_age;
    order.unused = unused;
    for (unsigned i = 0; i < HEAD_COUNT; i++) acre_list_init(by_class, BLOCK_COUNT + i);
    acre_list_init(by_age, BLOCK_COUNT);
    for (unsigned i = 0; i < BLOCK_COUNT; i++) unused[order.unused_count++] = BLOCK_COUNT - 1 - i;
    for (unsigned i = 0; i < count; i++) {
        const acre_stream_block block = any_block(i);
        event_passed[i] = nondet_bool();
        order.used_bytes += block.size_bytes;
        assume(acre_stream_order_free(&order, &block));
    }
    any_clocks();
    for (unsigned i = 0; i < count; i++) {
        nodes[i].time = nondet_u64();
        assume(nodes[i].time > 0 && nodes[i].time <= known[nodes[i].block.stream * STREAM_COUNT + nodes[i].block.stream]);
        /* What has passed has passed: the device says so, too. */
        if (nodes[i].time <= passed[nodes[i].block.stream]) event_passed[i] = true;
    }
    if (count == 2 && nodes[0].block.stream == nodes[1].block.stream)
        assume(nodes[0].time < nodes[1].time && (!event_passed[1] || event_passed[0]));
    asked = 0;
}

/* PROOF stream_take
 *   property: a block that a stream gets is long enough, was freed in the same stream, or before what the stream follows, or has passed, or
 *             the stream is told to wait and follows it from then on; a block that the stream may have is not left
 *   bound:    3 streams, 1 free block of up to 4 bytes; any clocks
 *   assumes:  the invariant of the clocks
 *   options:  --unwind 10 --unwindset look_for.0:2,look_for.1:3
 */
void prove_stream_take(void)
{
    any_order(1);
    const uint32_t stream = nondet_u32(), allowed = order.options.reuse, other = nodes[0].block.stream;
    const uint64_t wanted_bytes = nondet_u64(), time = nodes[0].time, size_bytes = nodes[0].block.size_bytes;
    assume(stream < STREAM_COUNT && wanted_bytes > 0 && wanted_bytes <= SIZE_MAX_BYTES);
    const bool is_followed = (allowed & ACRE_REUSE_FOLLOWED) && time <= known[stream * STREAM_COUNT + other];
    const bool has_it_passed = time <= passed[other] || ((allowed & ACRE_REUSE_PASSED) && event_passed[0]);
    const bool may_have = other == stream || is_followed || has_it_passed;
    const bool is_fit = wanted_bytes <= size_bytes && size_bytes <= wanted_bytes + wanted_bytes / 4;
    acre_stream_block block;
    acre_stream_reuse reuse;
    const bool is_found = acre_stream_order_take(&order, stream, wanted_bytes, 1, &block, &reuse);
    assert(is_found == (is_fit && (may_have || (allowed & ACRE_REUSE_WAIT))));
    if (!is_found) return;
    assert(block.size_bytes == size_bytes && nodes[0].time == 0 && order.free_bytes == 0);
    assert(reuse == ACRE_REUSED_WAIT ? known[stream * STREAM_COUNT + other] >= time : may_have);
}

/* PROOF stream_look
 *   property: of the blocks that a stream may have without a question it gets the shortest that is long enough
 *   bound:    3 streams, 2 free blocks of up to 4 bytes; any clocks
 *   assumes:  the invariant of the clocks
 *   options:  --unwind 10 --unwindset look_for.0:3,look_for.1:3
 */
void prove_stream_look(void)
{
    any_order(2);
    request wanted = {.size_bytes = nondet_u64(), .alignment = 1, .stream = nondet_u32()};
    assume(wanted.stream < STREAM_COUNT && wanted.size_bytes > 0 && wanted.size_bytes <= SIZE_MAX_BYTES);
    wanted.size_bytes_max = wanted.size_bytes + wanted.size_bytes / 4;
    acre_policy_slot best = ACRE_POLICY_NO_SLOT;
    for (unsigned i = 0; i < 2; i++) {
        const uint32_t other = nodes[i].block.stream;
        const uint64_t size_bytes = nodes[i].block.size_bytes;
        const bool is_followed =
            (order.options.reuse & ACRE_REUSE_FOLLOWED) && nodes[i].time <= known[wanted.stream * STREAM_COUNT + other];
        if (other != wanted.stream && !is_followed && nodes[i].time > passed[other]) continue;
        if (size_bytes < wanted.size_bytes || size_bytes > wanted.size_bytes_max) continue;
        if (best == ACRE_POLICY_NO_SLOT || size_bytes < nodes[best].block.size_bytes) best = i;
    }
    acre_stream_reuse reuse;
    assert(look_for(&order, &wanted, ACRE_REUSED_SAME, &reuse) == best);
}

/* PROOF stream_free
 *   property: nobody follows a block that was just freed, and it has not passed; the clocks meet their invariant
 *   bound:    3 streams, 3 blocks of up to 4 bytes; any clocks
 *   assumes:  the invariant of the clocks
 *   options:  --unwind 10
 */
void prove_stream_free(void)
{
    any_order(2);
    const acre_stream_block block = any_block(0);
    uint64_t before[STREAM_COUNT * STREAM_COUNT];
    memcpy(before, known, sizeof before);
    order.used_bytes += block.size_bytes;
    assert(acre_stream_order_free(&order, &block));
    assert(passed[block.stream] < nodes[2].time);
    for (unsigned s = 0; s < STREAM_COUNT; s++) {
        assert(known[s * STREAM_COUNT + s] >= before[s * STREAM_COUNT + s]);
        if (s != block.stream) assert(known[s * STREAM_COUNT + block.stream] < nodes[2].time);
    }
    assert(are_times_valid(&order) && is_node_valid(&order, 2));
}

/* PROOF stream_wait
 *   property: a stream that waits for an event follows all that the event stood for and all that it followed before, and nothing else;
 *             other streams follow what they followed
 *   bound:    3 streams; any clocks
 *   assumes:  the invariant of the clocks; the event was recorded before
 *   options:  --unwind 10
 */
void prove_stream_wait(void)
{
    any_order(2);
    uint64_t times[STREAM_COUNT], before[STREAM_COUNT * STREAM_COUNT];
    const uint32_t stream = nondet_u32(), recorded = nondet_u32();
    assume(stream < STREAM_COUNT && recorded < STREAM_COUNT);
    acre_stream_order_record(&order, recorded, times);
    for (unsigned t = 0; t < STREAM_COUNT; t++) assert(times[t] == known[recorded * STREAM_COUNT + t]);
    /* What is queued meanwhile makes clocks grow. */
    memcpy(before, known, sizeof before);
    for (unsigned i = 0; i < STREAM_COUNT * STREAM_COUNT; i++) {
        known[i] = nondet_u64();
        assume(known[i] >= before[i]);
    }
    assume_clocks();
    memcpy(before, known, sizeof before);
    acre_stream_order_wait(&order, stream, times);
    for (unsigned s = 0; s < STREAM_COUNT; s++)
        for (unsigned t = 0; t < STREAM_COUNT; t++) {
            const uint64_t old = before[s * STREAM_COUNT + t];
            assert(known[s * STREAM_COUNT + t] == (s == stream && times[t] > old ? times[t] : old));
        }
    assert(are_times_valid(&order));
}

/* PROOF stream_synchronise
 *   property: after the host has waited for a stream, what was freed in it has passed, and what it follows; what passed stays so
 *   bound:    3 streams, 2 free blocks; any clocks
 *   assumes:  the invariant of the clocks
 *   options:  --unwind 10
 */
void prove_stream_synchronise(void)
{
    any_order(2);
    uint64_t before[STREAM_COUNT];
    memcpy(before, passed, sizeof before);
    const uint32_t stream = nondet_u32();
    assume(stream < STREAM_COUNT);
    acre_stream_order_synchronise(&order, stream);
    for (unsigned t = 0; t < STREAM_COUNT; t++) {
        const uint64_t followed = known[stream * STREAM_COUNT + t];
        assert(passed[t] == (followed > before[t] ? followed : before[t]));
    }
    assert(passed[stream] == known[stream * STREAM_COUNT + stream] && are_times_valid(&order));
}

static unsigned given_count;

static void note_given(void *context, const acre_stream_block *block)
{
    (void)context;
    assert(event_passed[block->event]);
    given_count++;
}

/* PROOF stream_trim
 *   property: what is given back has passed; what is kept is within the bound, or has not passed; bytes agree
 *   bound:    3 streams, 2 free blocks; any clocks
 *   assumes:  the invariant of the clocks; an event that has passed has passed for what was freed before it in the same stream
 *   options:  --unwind 10
 */
void prove_stream_trim(void)
{
    any_order(2);
    const uint64_t keep_bytes = nondet_u64(), free_bytes = order.free_bytes;
    const uint64_t given_bytes = acre_stream_order_trim(&order, keep_bytes, note_given, NULL);
    assert(order.free_bytes + given_bytes == free_bytes && asked <= 2);
    for (unsigned i = 0; i < 2; i++) assert(nodes[i].time == 0 || !event_passed[i] || order.used_bytes + order.free_bytes <= keep_bytes);
    assert(given_count == (nodes[0].time == 0) + (nodes[1].time == 0));
}

/* PROOF stream_class
 *   property: a longer block is in no lower class, and each length has a class
 *   bound:    unbounded
 *   assumes:  nothing
 */
void prove_stream_class(void)
{
    const uint64_t shorter = nondet_u64(), longer = nondet_u64();
    assume(shorter > 0 && shorter <= longer);
    assert(class_of(shorter) <= class_of(longer) && class_of(longer) < ACRE_STREAM_ORDER_CLASS_COUNT);
}
