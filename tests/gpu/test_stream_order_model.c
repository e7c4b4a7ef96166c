/* test_stream_order_model.c - the order of streams against the simplest model, over all interleavings.
 *
 *   test_stream_order_model [--must-fail] [--all]
 *
 * The model is the graph of what was queued: an item comes behind the one before it in its stream, and behind what the stream was made to
 * wait for. A block may be used when its last use has passed, or is an ancestor of what the stream does now; anything else is an error,
 * and so is a block that could have been reused by what is known, and was not.
 *
 * 1. Three streams with four operations each: all 34,650 orders in which a host can call them, for each triple of programs, and all answers
 *    that a device can give when it is asked whether an event has passed.
 * 2. Two streams that have two blocks each, with all programs of four operations, in all orders, with all answers.
 *
 * --must-fail: ends with 0 if an error is found: for builds with a planted bug. --all: more programs, a minute. */
#include "gpu/stream_order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { IS_SLOW = 1 };
#else
enum { IS_SLOW = 0 };
#endif

enum { STREAMS_MAX = 3, STEPS = 4, ITEMS_MAX = 64, BLOCKS_MAX = 16, ASKS_MAX = 2, MEMORY_WORDS = 1024, SIZE_BYTES = 512 };

typedef struct model_block {
    bool is_free;
    unsigned last_use; /* an item */
} model_block;

/* All that a step changes: a step is undone by copying it back. */
typedef struct world {
    uint64_t memory[MEMORY_WORDS];
    acre_stream_order order;
    uint64_t ancestors[ITEMS_MAX]; /* of each item, itself included: sets of items */
    unsigned item_count;
    uint64_t tips[STREAMS_MAX]; /* what comes before the next item of a stream */
    uint64_t passed;            /* items */
    model_block blocks[BLOCKS_MAX];
    unsigned block_count;
    unsigned held[STREAMS_MAX][2 + STEPS], held_count[STREAMS_MAX];
    uint64_t records[STREAMS_MAX][STREAMS_MAX], record_tips[STREAMS_MAX];
    bool has_record[STREAMS_MAX];
} world;

static world now;
static unsigned stream_count, answers, ask_count;
static unsigned long long step_count, leaf_count, error_count;
static bool has_waits;

static void check(bool holds, const char *what)
{
    if (!holds && error_count++ < 3) printf("%s\n", what);
}

/* ---- the model ---- */

static unsigned queue(unsigned stream)
{
    const unsigned item = now.item_count++;
    now.tips[stream] |= (uint64_t)1 << item;
    now.ancestors[item] = now.tips[stream];
    return item;
}

/* The device answers as it likes, but for what has passed already. */
static bool has_passed(void *context, uint64_t event)
{
    (void)context;
    if (now.passed >> event & 1) return true;
    const bool answer = answers >> ask_count++ & 1;
    if (answer) now.passed |= now.ancestors[event];
    return answer;
}

static bool is_usable(unsigned stream, const model_block *block) { return ((now.passed | now.tips[stream]) >> block->last_use & 1) != 0; }

/* ---- operations ---- */

static void take(unsigned stream)
{
    acre_stream_block found;
    acre_stream_reuse reuse;
    unsigned number;
    if (acre_stream_order_take(&now.order, stream, SIZE_BYTES, 256, &found, &reuse)) {
        number = (unsigned)(found.address / SIZE_BYTES);
        model_block *const block = &now.blocks[number];
        check(block->is_free, "a block that is in use was handed out");
        check(found.event == block->last_use, "the event of another block came back");
        if (reuse == ACRE_REUSED_WAIT) now.tips[stream] |= now.ancestors[found.event];
        check(is_usable(stream, block), "a block was handed to a stream while an earlier use in another may still run");
        block->is_free = false;
    } else {
        for (unsigned i = 0; i < now.block_count; i++)
            check(!now.blocks[i].is_free || (!has_waits && !(now.tips[stream] >> now.blocks[i].last_use & 1)),
                  "a block that could be reused was not");
        number = now.block_count++;
        now.blocks[number].is_free = false;
        acre_stream_order_add_used(&now.order, SIZE_BYTES);
    }
    now.held[stream][now.held_count[stream]++] = number;
    (void)queue(stream);
}

static void give(unsigned stream)
{
    const unsigned number = now.held[stream][--now.held_count[stream]], item = queue(stream);
    now.blocks[number] = (model_block){.is_free = true, .last_use = item};
    const acre_stream_block block = {.address = (uint64_t)number * SIZE_BYTES, .size_bytes = SIZE_BYTES, .event = item, .stream = stream};
    check(acre_stream_order_free(&now.order, &block), "a free was refused");
}

static void record(unsigned stream)
{
    (void)queue(stream);
    now.record_tips[stream] = now.tips[stream];
    now.has_record[stream] = true;
    acre_stream_order_record(&now.order, stream, now.records[stream]);
}

static void wait_for(unsigned stream, unsigned other)
{
    now.tips[stream] |= now.record_tips[other];
    (void)queue(stream);
    acre_stream_order_wait(&now.order, stream, now.records[other]);
}

static void synchronise(unsigned stream)
{
    now.passed |= now.tips[stream];
    acre_stream_order_synchronise(&now.order, stream);
}

static void reach_record(unsigned stream)
{
    now.passed |= now.record_tips[stream];
    acre_stream_order_reached(&now.order, now.records[stream]);
}

/* A take, F free of what was taken last, R record, 1 and 2 wait for the last record of the next or next but one stream, H the host waits
 * for the last record, N it waits for all, and the number
 * is that of another stream. What cannot be done does nothing. */
static bool can_do(unsigned stream, char operation)
{
    switch (operation) {
    case 'F':
        return now.held_count[stream] > 0;
    case '1':
        return now.has_record[(stream + 1) % stream_count];
    case '2':
        return now.has_record[(stream + 2) % stream_count];
    case 'H':
        return now.has_record[stream];
    default:
        return true;
    }
}

static void do_operation(unsigned stream, char operation)
{
    switch (operation) {
    case 'A':
        take(stream);
        break;
    case 'F':
        give(stream);
        break;
    case 'R':
        record(stream);
        break;
    case '1':
        wait_for(stream, (stream + 1) % stream_count);
        break;
    case '2':
        wait_for(stream, (stream + 2) % stream_count);
        break;
    case 'H':
        reach_record(stream);
        break;
    default:
        synchronise(stream);
        now.tips[stream] = 0;
        break;
    }
}

/* ---- all orders and answers ---- */

static void count_given(void *context, const acre_stream_block *block)
{
    unsigned *const given = context;
    const unsigned number = (unsigned)(block->address / SIZE_BYTES);
    check(now.blocks[number].is_free, "a block that is in use was given back");
    now.blocks[number].is_free = false;
    ++*given;
}

/* At the end all passes, and every free block can be given back, once. */
static void end(void)
{
    unsigned free_count = 0, given = 0;
    for (unsigned i = 0; i < now.block_count; i++) free_count += now.blocks[i].is_free;
    check(acre_stream_order_is_valid(&now.order), "an invariant does not hold");
    for (unsigned stream = 0; stream < stream_count; stream++) acre_stream_order_synchronise(&now.order, stream);
    check(acre_stream_order_trim(&now.order, 0, count_given, &given) == (uint64_t)free_count * SIZE_BYTES && given == free_count,
          "a free block did not come back after all had passed");
    check(now.order.free_bytes == 0 && now.order.used_bytes == (uint64_t)(now.block_count - free_count) * SIZE_BYTES,
          "bytes are counted wrongly");
    leaf_count++;
}

typedef struct level {
    world before;
    unsigned stream, at, answers; /* what is tried: a stream, an operation of the alphabet (0 for programs), answers of the device */
} level;

/* False: the operation cannot be done, or these are answers to what was not asked. */
static bool step(unsigned stream, char operation, unsigned with_answers, bool may_do_nothing)
{
    answers = with_answers;
    ask_count = 0;
    const bool is_able = can_do(stream, operation);
    if (!is_able && !may_do_nothing) return false;
    if (is_able) do_operation(stream, operation);
    step_count++;
    return answers >> ask_count == 0;
}

/* Depth first with a stack of its own. `programs` has an operation for each stream and step, or is NULL: then all of `alphabet`. */
static void explore(const char *const *programs, const char *alphabet)
{
    static level levels[STREAMS_MAX * STEPS + 1];
    unsigned done[STREAMS_MAX] = {0}, depth = 0;
    const unsigned depth_max = stream_count * STEPS, operation_count = programs == NULL ? (unsigned)strlen(alphabet) : 1;
    levels[0] = (level){.before = now};
    for (;;) {
        level *const self = &levels[depth];
        if (depth == depth_max) end();
        if (depth == depth_max || self->stream == stream_count) {
            if (depth == 0) return;
            depth--;
            done[levels[depth].stream]--;
            levels[depth].answers++;
            continue;
        }
        bool is_done = false;
        if (done[self->stream] < STEPS && self->answers < 1u << ASKS_MAX) {
            now = self->before;
            is_done = step(self->stream, programs == NULL ? alphabet[self->at] : programs[self->stream][done[self->stream]], self->answers,
                           programs != NULL);
        }
        if (is_done) {
            done[self->stream]++;
            levels[++depth] = (level){.before = now};
        } else if (self->answers > 0 && self->answers < 1u << ASKS_MAX) {
            self->answers++;
        } else {
            self->answers = 0;
            if (++self->at == operation_count) self->at = 0, self->stream++;
        }
    }
}

static void begin(unsigned streams, uint32_t reuse)
{
    stream_count = streams;
    has_waits = (reuse & ACRE_REUSE_WAIT) != 0;
    memset(&now, 0, sizeof now);
    const acre_stream_order_options options = {
        .stream_count = streams, .block_count_max = BLOCKS_MAX, .reuse = reuse, .has_passed = has_passed};
    if (acre_stream_order_bytes(&options) > sizeof now.memory || !acre_stream_order_init(&now.order, &options, now.memory)) abort();
}

/* Each triple once, since streams that change places in a ring change nothing. */
static void explore_triples(const char *const *programs, unsigned program_count, uint32_t reuse)
{
    for (unsigned a = 0; a < program_count; a++)
        for (unsigned b = a; b < program_count; b++)
            for (unsigned c = a; c < program_count; c++) {
                if (c == a && b != a) continue; /* it is a, a, b */
                begin(3, reuse);
                explore((const char *const[]){programs[a], programs[b], programs[c]}, "");
            }
}

int main(int argc, char **argv)
{
    static const char *const programs[] = {"AFRA", "1R1A", "AAFF", "AFAF", "2AFR"};
    bool must_fail = false, is_all = false;
    for (int i = 1; i < argc; i++) {
        must_fail |= strcmp(argv[i], "--must-fail") == 0;
        is_all |= strcmp(argv[i], "--all") == 0;
    }
    begin(2, ACRE_REUSE_FOLLOWED | ACRE_REUSE_PASSED);
    for (unsigned i = 0; i < 4; i++) take(i / 2);
    explore(NULL, is_all ? "AFR1HN" : IS_SLOW ? "FR1" : "AFR1");
    printf("two streams, all programs: %llu ends after %llu steps\n", leaf_count, step_count);
    const unsigned program_count = is_all ? sizeof programs / sizeof programs[0] : IS_SLOW ? 1 : 2;
    explore_triples(programs, program_count, ACRE_REUSE_FOLLOWED | ACRE_REUSE_PASSED);
    explore_triples(programs, program_count, ACRE_REUSE_FOLLOWED | ACRE_REUSE_WAIT);
    printf("with three streams: %llu ends after %llu steps; %llu errors\n", leaf_count, step_count, error_count);
    return must_fail ? error_count == 0 : error_count != 0;
}
