/* stream_order.c - vector clocks of streams, and free blocks by size and by age. */
#include "gpu/stream_order.h"

#include "base/bits.h"
#include "policy/carve.h"

#include <assert.h>
#include <string.h>

enum { SUBDIVISION_BITS = 3, SUBDIVISIONS = 1 << SUBDIVISION_BITS, NO_WORDS = ACRE_STREAM_ORDER_STREAMS_MAX / 64 };

/* Streams of which an event has not passed: none that was recorded later has. */
typedef struct stream_set {
    uint64_t words[NO_WORDS];
} stream_set;

static bool has_stream(const stream_set *set, uint32_t stream) { return (set->words[stream / 64] >> stream % 64 & 1) != 0; }
static void add_stream(stream_set *set, uint32_t stream) { set->words[stream / 64] |= (uint64_t)1 << stream % 64; }

static uint64_t *known_of(const acre_stream_order *order, uint32_t stream)
{
    return order->known + (size_t)stream * order->options.stream_count;
}

static void raise_to(uint64_t *time, uint64_t other)
{
    if (*time < other) *time = other;
}

/* Eight classes for each power of two; sizes below eight have one each. Monotonic. */
static uint32_t class_of(uint64_t size_bytes)
{
    if (size_bytes < SUBDIVISIONS) return (uint32_t)size_bytes;
    const unsigned shift = acre_log2_floor(size_bytes) - SUBDIVISION_BITS;
    return shift * SUBDIVISIONS + (uint32_t)(size_bytes >> shift);
}

static acre_policy_slot class_head(const acre_stream_order *order, uint32_t size_class)
{
    return order->options.block_count_max + size_class;
}
static acre_policy_slot age_head(const acre_stream_order *order) { return order->options.block_count_max; }

static void lay_out(acre_stream_order *order, void *memory, size_t *used_bytes)
{
    const size_t streams = order->options.stream_count, blocks = order->options.block_count_max;
    acre_carver carver = {.memory = memory};
    order->known = acre_carve(&carver, streams * streams, sizeof *order->known);
    order->passed = acre_carve(&carver, streams, sizeof *order->passed);
    order->nodes = acre_carve(&carver, blocks, sizeof *order->nodes);
    order->by_class = acre_carve(&carver, blocks + ACRE_STREAM_ORDER_CLASS_COUNT, sizeof *order->by_class);
    order->by_age = acre_carve(&carver, blocks + 1, sizeof *order->by_age);
    order->unused = acre_carve(&carver, blocks, sizeof *order->unused);
    *used_bytes = carver.used_bytes;
}

static bool are_good(const acre_stream_order_options *options)
{
    return options->stream_count > 0 && options->stream_count <= ACRE_STREAM_ORDER_STREAMS_MAX && options->block_count_max > 0 &&
           options->block_count_max <= ACRE_STREAM_ORDER_BLOCKS_MAX &&
           (options->reuse & ~(ACRE_REUSE_FOLLOWED | ACRE_REUSE_PASSED | ACRE_REUSE_WAIT)) == 0;
}

size_t acre_stream_order_bytes(const acre_stream_order_options *options)
{
    if (!are_good(options)) return 0;
    acre_stream_order order = {.options = *options};
    size_t bytes;
    lay_out(&order, NULL, &bytes);
    return bytes;
}

bool acre_stream_order_init(acre_stream_order *order, const acre_stream_order_options *options, void *memory)
{
    if (!are_good(options)) return false;
    *order = (acre_stream_order){.options = *options};
    size_t bytes;
    lay_out(order, memory, &bytes);
    memset(memory, 0, bytes);
    for (uint32_t size_class = 0; size_class < ACRE_STREAM_ORDER_CLASS_COUNT; size_class++)
        acre_list_init(order->by_class, class_head(order, size_class));
    acre_list_init(order->by_age, age_head(order));
    for (uint32_t node = options->block_count_max; node-- > 0;) order->unused[order->unused_count++] = node;
    return true;
}

/* ---- bytes ---- */

void acre_stream_order_add_used(acre_stream_order *order, uint64_t size_bytes)
{
    order->used_bytes += size_bytes;
    raise_to(&order->used_bytes_max, order->used_bytes);
    raise_to(&order->held_bytes_max, order->used_bytes + order->free_bytes);
}

void acre_stream_order_drop_used(acre_stream_order *order, uint64_t size_bytes)
{
    assert(order->used_bytes >= size_bytes);
    order->used_bytes -= size_bytes;
}

/* ---- free blocks ---- */

bool acre_stream_order_free(acre_stream_order *order, const acre_stream_block *block)
{
    assert(block->stream < order->options.stream_count && block->size_bytes > 0);
    if (order->unused_count == 0) return false;
    const acre_policy_slot node = order->unused[--order->unused_count], head = class_head(order, class_of(block->size_bytes));
    order->nodes[node] = (acre_stream_node){*block, ++known_of(order, block->stream)[block->stream]};
    acre_policy_slot after = acre_list_last(order->by_class, head);
    while (after != head && order->nodes[after].block.size_bytes > block->size_bytes) after = order->by_class[after].previous;
    acre_list_insert_before(order->by_class, order->by_class[after].next, node);
    acre_list_push_last(order->by_age, age_head(order), node);
    acre_stream_order_drop_used(order, block->size_bytes);
    order->free_bytes += block->size_bytes;
    return true;
}

/* The node is not in use any more. */
static acre_stream_block take_out(acre_stream_order *order, acre_policy_slot node)
{
    const acre_stream_block block = order->nodes[node].block;
    acre_list_remove(order->by_class, node);
    acre_list_remove(order->by_age, node);
    order->nodes[node].time = 0;
    order->unused[order->unused_count++] = node;
    order->free_bytes -= block.size_bytes;
    return block;
}

static bool is_passed(const acre_stream_order *order, const acre_stream_node *node)
{
    return node->time <= order->passed[node->block.stream];
}

/* Asks for the event; never twice for a stream that is in `late`. */
static bool has_passed(acre_stream_order *order, const acre_stream_node *node, stream_set *late)
{
    const uint32_t stream = node->block.stream;
    if (is_passed(order, node)) return true;
    if (order->options.has_passed == NULL || has_stream(late, stream)) return false;
    if (order->options.has_passed(order->options.context, node->block.event)) {
        raise_to(&order->passed[stream], node->time);
        return true;
    }
    add_stream(late, stream);
    return false;
}

/* ---- taking ---- */

typedef struct request {
    uint64_t size_bytes, size_bytes_max, alignment;
    uint32_t stream;
    stream_set late;
} request;

/* Whether what the stream does hence comes behind the last use of a block, and why. */
static bool is_behind(const acre_stream_order *order, uint32_t stream, const acre_stream_node *node, acre_stream_reuse *reuse)
{
    const uint32_t other = node->block.stream;
    if (other == stream)
        *reuse = ACRE_REUSED_SAME;
    else if ((order->options.reuse & ACRE_REUSE_FOLLOWED) && node->time <= known_of(order, stream)[other])
        *reuse = ACRE_REUSED_FOLLOWED;
    else if (is_passed(order, node))
        *reuse = ACRE_REUSED_PASSED;
    else
        return false;
    return true;
}

static bool may_have(acre_stream_order *order, request *wanted, const acre_stream_node *node, acre_stream_reuse way,
                     acre_stream_reuse *reuse)
{
    if (way == ACRE_REUSED_SAME) return is_behind(order, wanted->stream, node, reuse);
    *reuse = way;
    return way == ACRE_REUSED_WAIT || has_passed(order, node, &wanted->late);
}

/* The shortest block that the stream may have in a way (SAME stands for all that needs no question). */
static acre_policy_slot look_for(acre_stream_order *order, request *wanted, acre_stream_reuse way, acre_stream_reuse *reuse)
{
    const uint32_t class_last = class_of(wanted->size_bytes_max);
    for (uint32_t size_class = class_of(wanted->size_bytes); size_class <= class_last; size_class++) {
        const acre_policy_slot head = class_head(order, size_class);
        acre_policy_slot node = acre_list_first(order->by_class, head);
        for (unsigned looks = 0; node != head && looks < ACRE_STREAM_ORDER_LOOKS; node = order->by_class[node].next, looks++) {
            const acre_stream_block *const block = &order->nodes[node].block;
            if (block->size_bytes > wanted->size_bytes_max) break;
            if (block->size_bytes < wanted->size_bytes || (block->address & (wanted->alignment - 1)) != 0) continue;
            if (may_have(order, wanted, &order->nodes[node], way, reuse)) return node;
        }
    }
    return ACRE_POLICY_NO_SLOT;
}

bool acre_stream_order_take(acre_stream_order *order, uint32_t stream, uint64_t size_bytes, uint64_t alignment, acre_stream_block *block,
                            acre_stream_reuse *reuse)
{
    assert(stream < order->options.stream_count && size_bytes > 0 && acre_is_power_of_two(alignment));
    request wanted = {.size_bytes = size_bytes, .alignment = alignment, .stream = stream};
    wanted.size_bytes_max = size_bytes > UINT64_MAX - size_bytes / 4 ? UINT64_MAX : size_bytes + size_bytes / 4;
    acre_policy_slot node = look_for(order, &wanted, ACRE_REUSED_SAME, reuse);
    if (node == ACRE_POLICY_NO_SLOT && (order->options.reuse & ACRE_REUSE_PASSED))
        node = look_for(order, &wanted, ACRE_REUSED_PASSED, reuse);
    if (node == ACRE_POLICY_NO_SLOT && (order->options.reuse & ACRE_REUSE_WAIT)) {
        node = look_for(order, &wanted, ACRE_REUSED_WAIT, reuse);
        if (node != ACRE_POLICY_NO_SLOT) raise_to(&known_of(order, stream)[order->nodes[node].block.stream], order->nodes[node].time);
    }
    if (node == ACRE_POLICY_NO_SLOT) {
        order->miss_count++;
        return false;
    }
    *block = take_out(order, node);
    acre_stream_order_add_used(order, block->size_bytes);
    order->reuse_counts[*reuse]++;
    return true;
}

/* ---- what comes before what ---- */

void acre_stream_order_record(const acre_stream_order *order, uint32_t stream, uint64_t *times)
{
    assert(stream < order->options.stream_count);
    memcpy(times, known_of(order, stream), order->options.stream_count * sizeof *times);
}

void acre_stream_order_wait(acre_stream_order *order, uint32_t stream, const uint64_t *times)
{
    assert(stream < order->options.stream_count);
    for (uint32_t other = 0; other < order->options.stream_count; other++) raise_to(&known_of(order, stream)[other], times[other]);
}

void acre_stream_order_reached(acre_stream_order *order, const uint64_t *times)
{
    for (uint32_t stream = 0; stream < order->options.stream_count; stream++) raise_to(&order->passed[stream], times[stream]);
}

void acre_stream_order_synchronise(acre_stream_order *order, uint32_t stream)
{
    assert(stream < order->options.stream_count);
    acre_stream_order_reached(order, known_of(order, stream));
}

/* ---- giving back ---- */

uint64_t acre_stream_order_trim(acre_stream_order *order, uint64_t keep_bytes, void (*give)(void *context, const acre_stream_block *block),
                                void *context)
{
    const acre_policy_slot head = age_head(order);
    stream_set late = {{0}};
    uint64_t given_bytes = 0;
    acre_policy_slot node = acre_list_first(order->by_age, head);
    while (node != head && order->used_bytes + order->free_bytes > keep_bytes) {
        const acre_policy_slot next = order->by_age[node].next;
        if (has_passed(order, &order->nodes[node], &late)) {
            const acre_stream_block block = take_out(order, node);
            given_bytes += block.size_bytes;
            order->released_count++;
            give(context, &block);
        }
        node = next;
    }
    return given_bytes;
}

bool acre_stream_order_oldest(acre_stream_order *order, acre_stream_block *block)
{
    const acre_policy_slot head = age_head(order);
    for (acre_policy_slot node = acre_list_first(order->by_age, head); node != head; node = order->by_age[node].next) {
        stream_set late = {{0}};
        if (has_passed(order, &order->nodes[node], &late)) continue;
        *block = order->nodes[node].block;
        return true;
    }
    return false;
}

/* ---- invariants ---- */

static bool are_times_valid(const acre_stream_order *order)
{
    for (uint32_t stream = 0; stream < order->options.stream_count; stream++) {
        const uint64_t now = known_of(order, stream)[stream];
        if (order->passed[stream] > now) return false;
        for (uint32_t other = 0; other < order->options.stream_count; other++)
            if (known_of(order, other)[stream] > now) return false;
    }
    return true;
}

static bool is_node_valid(const acre_stream_order *order, acre_policy_slot node)
{
    const acre_stream_node *const self = &order->nodes[node];
    return self->time > 0 && self->block.stream < order->options.stream_count &&
           self->time <= known_of(order, self->block.stream)[self->block.stream];
}

bool acre_stream_order_is_valid(const acre_stream_order *order)
{
    const size_t free_count = order->options.block_count_max - order->unused_count;
    if (!are_times_valid(order) || acre_list_count(order->by_age, age_head(order), free_count) != free_count) return false;
    uint64_t free_bytes = 0;
    size_t in_classes = 0;
    for (uint32_t size_class = 0; size_class < ACRE_STREAM_ORDER_CLASS_COUNT; size_class++) {
        const acre_policy_slot head = class_head(order, size_class);
        const size_t count = acre_list_count(order->by_class, head, free_count);
        if (count > free_count) return false;
        in_classes += count;
        uint64_t size_bytes = 0;
        for (acre_policy_slot node = acre_list_first(order->by_class, head); node != head; node = order->by_class[node].next) {
            const uint64_t next_bytes = order->nodes[node].block.size_bytes;
            if (!is_node_valid(order, node) || class_of(next_bytes) != size_class || next_bytes < size_bytes) return false;
            free_bytes += size_bytes = next_bytes;
        }
    }
    return in_classes == free_count && free_bytes == order->free_bytes;
}
