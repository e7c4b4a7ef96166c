/* test_realtime.c - real-time heaps of all engines: contents, figures, bounds, alarms, and calls that are refused. */
#include "support/adversary.h"
#include "support/test.h"

#include <acre/realtime.h>

#define BYTES_MAX ((size_t)8 << 20)
static _Alignas(64) unsigned char memory[BYTES_MAX];
static acre_realtime heap;

typedef struct block {
    unsigned char *at;
    size_t size;
    unsigned char seed;
} block;
enum { BLOCK_COUNT_MAX = 2048 };
static block blocks[BLOCK_COUNT_MAX];
static size_t count;

static void begin(acre_realtime_engine engine, size_t bytes)
{
    const acre_realtime_options options = {.name = "test", .engine = engine};
    assert_int_equal(acre_realtime_init(&heap, &options, memory, bytes), ACRE_OK);
    count = 0;
}

static void fill(const block *b)
{
    for (size_t i = 0; i < b->size; i++) b->at[i] = (unsigned char)(b->seed + 7 * i);
}

static void check(const block *b, size_t size)
{
    for (size_t i = 0; i < size; i++) assert_int_equal(b->at[i], (unsigned char)(b->seed + 7 * i));
}

static void note(void *at, size_t size, size_t alignment, unsigned char seed)
{
    assert_true((uintptr_t)at % alignment == 0);
    assert_true(acre_realtime_usable_size(&heap, at) >= size);
    blocks[count] = (block){.at = at, .size = size, .seed = seed};
    fill(&blocks[count++]);
}

static void give(size_t index)
{
    check(&blocks[index], blocks[index].size);
    assert_int_equal(acre_realtime_free(&heap, blocks[index].at), ACRE_OK);
    blocks[index] = blocks[--count];
}

static const size_t alignments[ACRE_REALTIME_ENGINE_COUNT] = {8, 16, 8, 8, 32};

static void step(acre_realtime_engine engine, uint64_t number, bool is_growing)
{
    const uint64_t value = number >> 24;
    const size_t size = (size_t)(number % 8 == 0 ? value % 9000 : number % 8 == 1 ? value % 1500 : value % 120);
    if (count == 0 || (count < BLOCK_COUNT_MAX && number % 100 < (is_growing ? 60u : 30u))) {
        void *const at = acre_realtime_alloc(&heap, size);
        if (at != NULL) note(at, size, alignments[engine], (unsigned char)number);
    } else if (number % 100 > 95 && count < BLOCK_COUNT_MAX) {
        const size_t alignment = (size_t)1 << (number >> 50) % 10;
        void *const at = acre_realtime_alloc_aligned(&heap, size, alignment);
        if (at != NULL) note(at, size, alignment, (unsigned char)number);
        if (engine == ACRE_REALTIME_BUDDY && alignment > 32) assert_null(at);
    } else if (number % 100 > 88) {
        block *const b = &blocks[(size_t)(number >> 40) % count];
        unsigned char *const at = acre_realtime_realloc(&heap, b->at, size);
        if (at == NULL) {
            check(b, b->size);
            return;
        }
        check(&(block){.at = at, .seed = b->seed}, size < b->size ? size : b->size);
        *b = (block){.at = at, .size = size, .seed = b->seed};
        assert_true((uintptr_t)at % alignments[engine] == 0);
        fill(b);
    } else {
        give((size_t)(number >> 8) % count);
    }
}

static void blocks_keep_their_contents_over_several_regions(void **state)
{
    (void)state;
    for (int engine = 0; engine < ACRE_REALTIME_ENGINE_COUNT; engine++) {
        uint64_t random = 11 + (uint64_t)engine;
        begin((acre_realtime_engine)engine, 40000);
        assert_int_equal(acre_realtime_add_region(&heap, memory + 100001, 3000), ACRE_OK);
        assert_int_equal(acre_realtime_add_region(&heap, memory + 50000, 20003), ACRE_OK);
        for (int i = 0; i < 30000; i++) {
            const uint64_t number = next_random(&random);
            step((acre_realtime_engine)engine, number, i / 400 % 2 == 0);
            assert_int_equal(heap.block_count, count);
            if (i % 64 == 0) assert_true(acre_realtime_is_valid(&heap));
        }
        assert_true(heap.failure_count > 0);
        while (count > 0) give(0);
        assert_true(acre_realtime_is_valid(&heap));
        assert_int_equal(heap.live_bytes, 0);
    }
}

static size_t visited_count;

static bool visit_block(void *context, void *at, size_t usable_bytes)
{
    assert_ptr_equal(context, &visited_count);
    assert_null(acre_realtime_alloc(&heap, 1)); /* not from here */
    for (size_t i = 0; i < count; i++) {
        if (blocks[i].at != at) continue;
        assert_true(usable_bytes >= blocks[i].size);
        return ++visited_count != 1000;
    }
    fail();
    return false;
}

static void a_walk_visits_every_block_in_use_once(void **state)
{
    (void)state;
    for (int engine = 0; engine < ACRE_REALTIME_ENGINE_COUNT; engine++) {
        uint64_t random = 4;
        begin((acre_realtime_engine)engine, 40000);
        assert_int_equal(acre_realtime_add_region(&heap, memory + 50000, 20000), ACRE_OK);
        for (int i = 0; i < 3000; i++) {
            step((acre_realtime_engine)engine, next_random(&random), i / 400 % 2 == 0);
            if (i % 30 != 0) continue;
            visited_count = 0;
            assert_int_equal(acre_realtime_walk(&heap, visit_block, &visited_count), ACRE_OK);
            assert_int_equal(visited_count, count);
        }
        while (count > 3) give(count - 1);
        visited_count = 997; /* ends at the third */
        assert_int_equal(acre_realtime_walk(&heap, visit_block, &visited_count), ACRE_OK);
        assert_int_equal(visited_count, 1000);
        if (engine == ACRE_REALTIME_BUDDY) continue;
        blocks[0].at[-1] ^= 0x11;
        visited_count = 0;
        assert_int_equal(acre_realtime_walk(&heap, visit_block, &visited_count), ACRE_CORRUPT);
        assert_true(visited_count < 3);
        blocks[0].at[-1] ^= 0x11;
    }
    assert_int_equal(acre_realtime_walk(NULL, visit_block, NULL), ACRE_INVALID);
    assert_int_equal(acre_realtime_walk(&heap, NULL, NULL), ACRE_INVALID);
    heap.is_inside = true;
    assert_int_equal(acre_realtime_walk(&heap, visit_block, NULL), ACRE_BUSY);
}

/* ---- figures ---- */

/* The largest request that a copy of the heap would serve, found by asking. */
static size_t largest_by_asking(void)
{
    acre_realtime_figures figures;
    size_t low = 0;
    size_t high = 40000;
    while (low + 1 < high) {
        const size_t middle = low + (high - low) / 2;
        const acre_realtime before = heap;
        void *const at = acre_realtime_alloc(&heap, middle);
        if (at != NULL) assert_int_equal(acre_realtime_free(&heap, at), ACRE_OK);
        if (at != NULL)
            low = middle;
        else
            high = middle;
        heap = before; /* M, n and failures of a question do not count */
    }
    assert_int_equal(acre_realtime_read_figures(&heap, &figures), ACRE_OK);
    return low == 0 ? 0 : acre_realtime_block_bytes(heap.options.engine, low);
}

static void figures_are_exact_after_every_operation(void **state)
{
    (void)state;
    for (int engine = 0; engine < ACRE_REALTIME_ENGINE_COUNT; engine++) {
        uint64_t random = 5 + (uint64_t)engine;
        size_t live = 0;
        size_t live_peak = 0;
        size_t request_max = 0;
        begin((acre_realtime_engine)engine, 20000);
        for (int i = 0; i < 100000; i++) {
            const uint64_t number = next_random(&random);
            acre_realtime_figures figures;
            if (count == 0 || (count < BLOCK_COUNT_MAX && number % 100 < (i / 400 % 2 == 0 ? 60u : 40u))) {
                const size_t size = (size_t)(number >> 20) % (number % 16 == 0 ? 6000 : 200);
                const size_t bytes = acre_realtime_block_bytes((acre_realtime_engine)engine, size);
                void *const at = acre_realtime_alloc(&heap, size);
                if (live + bytes > live_peak) live_peak = live + bytes;
                if (bytes > request_max) request_max = bytes;
                if (at != NULL) live += bytes;
                if (at != NULL) blocks[count++] = (block){.at = at, .size = size};
            } else {
                const size_t index = (size_t)(number >> 20) % count;
                live -= acre_realtime_block_bytes((acre_realtime_engine)engine, blocks[index].size);
                assert_int_equal(acre_realtime_free(&heap, blocks[index].at), ACRE_OK);
                blocks[index] = blocks[--count];
            }
            assert_int_equal(acre_realtime_read_figures(&heap, &figures), ACRE_OK);
            assert_int_equal(figures.live_bytes, live);
            assert_int_equal(figures.live_bytes_peak, live_peak);
            assert_int_equal(figures.request_bytes_max, request_max);
            assert_int_equal(figures.block_count, count);
            assert_int_equal(figures.free_bytes, figures.capacity_bytes - live);
            const size_t free_bytes = figures.free_bytes;
            assert_int_equal(figures.fragmentation_per_mille,
                             free_bytes == 0 ? 0 : 1000 * (free_bytes - figures.largest_bytes) / free_bytes);
            if (i % 50 == 0) assert_int_equal(figures.largest_bytes, largest_by_asking());
        }
    }
}

static int alarm_count;
static uint32_t alarm_per_mille;

static void note_alarm(void *context, const acre_realtime *of, uint32_t per_mille)
{
    assert_ptr_equal(context, &alarm_count);
    assert_ptr_equal(of, &heap);
    assert_null(acre_realtime_alloc(&heap, 1)); /* not from here */
    assert_int_equal(acre_realtime_free(&heap, memory + 8), ACRE_BUSY);
    alarm_per_mille = per_mille;
    alarm_count++;
}

static void the_alarm_sounds_on_the_operation_that_crosses_the_limit(void **state)
{
    (void)state;
    const acre_realtime_options options = {
        .engine = ACRE_REALTIME_TIGHT, .alarm = note_alarm, .alarm_context = &alarm_count, .fragmentation_limit_per_mille = 300};
    uint64_t random = 3;
    int crossing_count = 0;
    bool was_over = false;
    alarm_count = 0;
    count = 0;
    assert_int_equal(acre_realtime_init(&heap, &options, memory, 20000), ACRE_OK);
    for (int i = 0; i < 100000; i++) {
        const uint64_t number = next_random(&random);
        const int alarms_before = alarm_count;
        acre_realtime_figures figures;
        step(ACRE_REALTIME_TIGHT, number, i / 400 % 2 == 0);
        assert_int_equal(acre_realtime_read_figures(&heap, &figures), ACRE_OK);
        const bool is_over = figures.fragmentation_per_mille > 300;
        assert_int_equal(alarm_count - alarms_before, is_over && !was_over);
        if (alarm_count > alarms_before) assert_int_equal(alarm_per_mille, figures.fragmentation_per_mille);
        crossing_count += is_over && !was_over;
        was_over = is_over;
    }
    assert_true(crossing_count > 20);
}

/* ---- how much is enough ---- */

/* Blocks of at most `request_bytes`, as many as `live_bytes` allow, at random, in an arena of exactly the bound. */
static void run_at_bound(acre_realtime_engine engine, size_t live_bytes, size_t request_bytes, int step_count, uint64_t seed)
{
    uint64_t random = seed;
    const size_t bytes = acre_realtime_bound(engine, live_bytes, request_bytes);
    assert_true(bytes > 0 && bytes <= BYTES_MAX);
    begin(engine, bytes);
    for (int i = 0; i < step_count; i++) {
        const uint64_t number = next_random(&random);
        const unsigned phase = (unsigned)(i / 500) % 4;
        size_t size = (size_t)(number >> 20) % (phase == 0 ? request_bytes : phase == 1 ? 40 : request_bytes / (1 + phase * 7) + 1);
        if (number % 64 == 0) size = request_bytes;
        while (size > 0 && acre_realtime_block_bytes(engine, size) > request_bytes) size = size * 3 / 4;
        const size_t block_bytes = acre_realtime_block_bytes(engine, size);
        if (count < BLOCK_COUNT_MAX && block_bytes <= request_bytes && heap.live_bytes + block_bytes <= live_bytes &&
            (count == 0 || number % 8 != 0)) {
            void *const at = acre_realtime_alloc(&heap, size);
            assert_non_null(at);
            blocks[count++] = (block){.at = at, .size = size};
        } else if (count > 0) {
            for (uint64_t k = 0; k < 1 + number % (phase + 1) * 8 && count > 0; k++) {
                const size_t index = (size_t)next_random(&random) % count;
                assert_int_equal(acre_realtime_free(&heap, blocks[index].at), ACRE_OK);
                blocks[index] = blocks[--count];
            }
        }
    }
    assert_true(acre_realtime_is_valid(&heap));
    assert_true(acre_realtime_is_proved(&heap));
    assert_int_equal(heap.failure_count, 0);
}

static void an_arena_of_the_bound_never_fails_a_random_program(void **state)
{
    (void)state;
    run_at_bound(ACRE_REALTIME_TIGHT, 16384, 1024, 10000000, 1);
    run_at_bound(ACRE_REALTIME_TIGHT, 3000, 2048, 1000000, 2);
    run_at_bound(ACRE_REALTIME_TIGHT, 20000, 64, 1000000, 3);
    run_at_bound(ACRE_REALTIME_FAST, 16384, 1024, 10000000, 4);
    run_at_bound(ACRE_REALTIME_BUDDY, 16384, 1024, 10000000, 5);
    run_at_bound(ACRE_REALTIME_BUDDY, 4096, 4096, 100000, 6);
    run_at_bound(ACRE_REALTIME_BEST, 4096, 512, 100000, 7);
    run_at_bound(ACRE_REALTIME_WORST, 4096, 512, 1000000, 8);
}

static void *take(void *context, size_t size) { return acre_realtime_alloc(context, size); }
static void put(void *context, void *at) { assert_int_equal(acre_realtime_free(context, at), ACRE_OK); }

static size_t run_adversaries(acre_realtime_engine engine, size_t header_bytes)
{
    void *const first = acre_realtime_alloc(&heap, 1);
    assert_int_equal(acre_realtime_free(&heap, first), ACRE_OK);
    adversary a = {.alloc = take, .free = put, .heap = &heap, .base = (unsigned char *)first - header_bytes, .header_bytes = header_bytes};
    size_t worst = adversary_doubling(&a);
    assert_false(a.has_failed);
    assert_int_equal(heap.live_bytes, 0);
    for (size_t hole = 3396; hole <= 4032; hole += 53) {
        for (size_t pin = 8; pin <= 24; pin += 8) {
            const size_t span = adversary_pin_remainder(&a, hole, pin);
            assert_false(a.has_failed);
            if (span > worst) worst = span;
        }
    }
    assert_true(acre_realtime_is_valid(&heap) && heap.options.engine == engine);
    return worst;
}

static void no_adversary_needs_more_than_the_bound(void **state)
{
    (void)state;
    static const acre_realtime_engine engines[] = {ACRE_REALTIME_TIGHT, ACRE_REALTIME_FAST, ACRE_REALTIME_BUDDY};
    for (size_t i = 0; i < 3; i++) {
        /* Blocks of 8 bytes, which the adversaries keep, take 16 with tight and fast and 32 with buddy; others at most twice their size. */
        const size_t live = i == 0 ? 65536 + 4096 * 8 : i == 1 ? 2 * (65536 + 4096 * 8) : 4 * 65536;
        const size_t bytes = acre_realtime_bound(engines[i], live, acre_realtime_block_bytes(engines[i], 4096 + 24));
        assert_true(bytes > 0 && bytes <= BYTES_MAX);
        begin(engines[i], bytes);
        const size_t worst = run_adversaries(engines[i], i == 2 ? 0 : 4);
        print_message("engine %d: span %.2f M\n", (int)engines[i], (double)worst / ADVERSARY_LIVE_BYTES);
        if (i == 0) assert_true(2 * worst <= (size_t)11 * ADVERSARY_LIVE_BYTES);
        assert_true(acre_realtime_is_proved(&heap));
    }
}

static void a_heap_says_when_it_is_no_longer_proved(void **state)
{
    (void)state;
    begin(ACRE_REALTIME_TIGHT, 20000);
    assert_true(acre_realtime_is_proved(&heap));
    void *kept[50];
    for (int i = 0; i < 50; i++) kept[i] = acre_realtime_alloc(&heap, 60);
    assert_true(acre_realtime_is_proved(&heap)); /* 400 units in blocks of 8: 400 (1 + 3) units are 12800 bytes */
    assert_non_null(acre_realtime_alloc(&heap, 1000));
    assert_false(acre_realtime_is_proved(&heap));
    for (int i = 0; i < 50; i++) assert_int_equal(acre_realtime_free(&heap, kept[i]), ACRE_OK);
    assert_false(acre_realtime_is_proved(&heap)); /* it has seen it */

    begin(ACRE_REALTIME_TIGHT, 20000);
    void *const at = acre_realtime_alloc(&heap, 1000);
    assert_true(acre_realtime_is_proved(&heap));
    assert_ptr_equal(acre_realtime_realloc(&heap, at, 300), at);
    assert_false(acre_realtime_is_proved(&heap)); /* Robson's bound does not speak of blocks that shrink */

    begin(ACRE_REALTIME_TIGHT, 600);
    assert_null(acre_realtime_alloc(&heap, 600)); /* a request that fails has been seen, too */
    assert_false(acre_realtime_is_proved(&heap));
}

static void bounds_are_those_of_the_papers(void **state)
{
    (void)state;
    /* 1000 units of at most 64: 1000 * 7; control data and rounding on top, less than 1/25. */
    const size_t tight = acre_realtime_bound(ACRE_REALTIME_TIGHT, 8000, 512);
    assert_true(tight >= 56000 && tight < 56000 * 26 / 25);
    const size_t fast = acre_realtime_bound(ACRE_REALTIME_FAST, 8000, 512);
    assert_true(fast >= 63992 - 8000 && fast < 112500); /* 2 * 1000 * 7, or, if less, 1000 + 501 * 63 */
    const size_t buddy = acre_realtime_bound(ACRE_REALTIME_BUDDY, 32000, 32 * 64);
    assert_true(buddy >= 32 * (1000 * 4 - 64 + 1) && buddy < 32 * (1000 * 4 + 64) * 12 / 11);
    const size_t best = acre_realtime_bound(ACRE_REALTIME_BEST, 8000, 512);
    assert_true(best >= 8 * (1000 + 501 * 63) && best < 8 * (1000 + 501 * 63) * 27 / 25);
    assert_int_equal(acre_realtime_bound(ACRE_REALTIME_TIGHT, 100, 101), 0);
    assert_int_equal(acre_realtime_bound((acre_realtime_engine)99, 100, 10), 0);
    assert_int_equal(acre_realtime_bound(ACRE_REALTIME_TIGHT, SIZE_MAX, 10), 0);
    assert_int_equal(acre_realtime_bound(ACRE_REALTIME_TIGHT, SIZE_MAX, SIZE_MAX), 0);
    assert_int_equal(acre_realtime_bound(ACRE_REALTIME_TIGHT, 0, 0), ACRE_REALTIME_BYTES_MIN);
    /* One byte less has a unit less. */
    begin(ACRE_REALTIME_TIGHT, tight);
    assert_true(heap.capacity_bytes >= 56000 && heap.capacity_bytes < 56000 + 64);
}

/* All sequences of up to 7 operations, on a heap that is just what the bound asks for. */
static uint64_t sequence_count;

static void try_all(int depth, size_t live_bytes, size_t request_bytes)
{
    static const size_t sizes[] = {1, 20, 40, 70};
    unsigned char bytes_before[2048];
    const acre_realtime before = heap;
    block blocks_before[8];
    const size_t count_before = count;
    sequence_count++;
    assert_true(acre_realtime_is_valid(&heap));
    if (depth == 0) return;
    memcpy(bytes_before, memory, sizeof bytes_before);
    memcpy(blocks_before, blocks, sizeof blocks_before);
    for (size_t i = 0; i < 4 + count_before; i++) {
        if (i < 4) {
            const size_t bytes = acre_realtime_block_bytes(heap.options.engine, sizes[i]);
            void *const at = acre_realtime_alloc(&heap, sizes[i]);
            if (bytes <= request_bytes && before.live_bytes + bytes <= live_bytes) assert_non_null(at);
            if (at != NULL) note(at, sizes[i], 8, (unsigned char)(depth * 16 + (int)i));
        } else {
            give(i - 4);
        }
        if (count <= 7) try_all(depth - 1, live_bytes, request_bytes);
        memcpy(memory, bytes_before, sizeof bytes_before);
        memcpy(blocks, blocks_before, sizeof blocks_before);
        heap = before;
        count = count_before;
    }
}

static void every_short_program_within_the_bound_is_served(void **state)
{
    (void)state;
    static const acre_realtime_engine engines[] = {ACRE_REALTIME_TIGHT, ACRE_REALTIME_FAST, ACRE_REALTIME_BUDDY, ACRE_REALTIME_BEST};
    for (size_t i = 0; i < 4; i++) {
        /* The largest M that 512 bytes are enough for. */
        const size_t request = acre_realtime_block_bytes(engines[i], 40);
        size_t live = request;
        while (acre_realtime_bound(engines[i], live + 8, request) == ACRE_REALTIME_BYTES_MIN) live += 8;
        begin(engines[i], ACRE_REALTIME_BYTES_MIN);
        sequence_count = 0;
        try_all(7, live, request);
        print_message("engine %d: M %zu, n %zu, %llu programs\n", (int)engines[i], live, request, (unsigned long long)sequence_count);
        assert_true(sequence_count > 100000);
    }
}

/* Four heaps in blocks of one: a program on the first asks for all it can get, and the others' blocks lie where they lie without it. */
static size_t run_beside(bool is_greedy, unsigned char **places)
{
    enum { PART_COUNT = 4, PART_BYTES = 8192, STEP_COUNT = 20000, SLOT_COUNT = 24 };
    static const char *const names[PART_COUNT] = {"greedy", "radio", "disk", "screen"};
    acre_realtime parts[PART_COUNT];
    unsigned char *slots[PART_COUNT][SLOT_COUNT] = {{NULL}};
    uint64_t random = 8;
    size_t place_count = 0;
    size_t taken_count = 0;
    begin(ACRE_REALTIME_TIGHT, 5 * PART_BYTES);
    for (int i = 0; i < PART_COUNT; i++) {
        const acre_realtime_options options = {.name = names[i], .engine = (acre_realtime_engine)(i % 2)};
        void *const part = acre_realtime_alloc(&heap, PART_BYTES);
        assert_int_equal(acre_realtime_init(&parts[i], &options, part, PART_BYTES), ACRE_OK);
    }
    for (int step_number = 0; step_number < STEP_COUNT; step_number++) {
        const uint64_t number = next_random(&random);
        const unsigned part = 1 + (unsigned)(number % 3);
        unsigned char **const slot = &slots[part][(number >> 8) % SLOT_COUNT];
        if (is_greedy) taken_count += acre_realtime_alloc(&parts[0], (size_t)(number >> 20) % 2000) != NULL;
        if (*slot != NULL) {
            assert_int_equal(acre_realtime_free(&parts[0], *slot), ACRE_BAD_POINTER); /* it is not the first one's */
            assert_int_equal(acre_realtime_free(&parts[part], *slot), ACRE_OK);
            *slot = NULL;
        } else {
            *slot = acre_realtime_alloc(&parts[part], (size_t)(number >> 20) % 120);
            assert_non_null(*slot);
            places[place_count++] = *slot;
        }
    }
    for (int i = 0; i < PART_COUNT; i++) {
        assert_true(acre_realtime_is_valid(&parts[i]));
        assert_true((parts[i].failure_count > 0) == (is_greedy && i == 0));
    }
    assert_true((taken_count > 4) == is_greedy);
    return place_count;
}

static void a_greedy_partition_changes_nothing_for_the_others(void **state)
{
    (void)state;
    static unsigned char *places[2][20000];
    const size_t place_count = run_beside(false, places[0]);
    assert_int_equal(run_beside(true, places[1]), place_count);
    assert_true(place_count > 5000);
    assert_memory_equal(places[0], places[1], place_count * sizeof *places[0]);
}

/* ---- what is refused ---- */

static void invalid_frees_are_refused_and_change_nothing(void **state)
{
    (void)state;
    for (int engine = 0; engine < ACRE_REALTIME_ENGINE_COUNT; engine++) {
        uint64_t random = 21 + (uint64_t)engine;
        int accepted = 0;
        memset(memory, 0, 200000);
        begin((acre_realtime_engine)engine, 40000);
        assert_int_equal(acre_realtime_add_region(&heap, memory + 60000, 20003), ACRE_OK);
        for (int i = 0; i < 100000; i++) {
            const uint64_t number = next_random(&random);
            while (count < 60) {
                const size_t size = (size_t)(next_random(&random) % 300);
                void *const at = acre_realtime_alloc(&heap, size);
                if (at == NULL) break;
                note(at, size, 8, (unsigned char)next_random(&random));
            }
            const size_t index = (size_t)(number >> 10) % count;
            unsigned char *wrong = memory + (number >> 20) % 120000; /* anywhere */
            if (number % 4 == 1) wrong = blocks[index].at + 1 + (number >> 20) % 300; /* near a block */
            if (number % 4 == 2) wrong = blocks[index].at - 1 - (number >> 20) % 40;
            unsigned char *const freed = blocks[index].at;
            if (number % 4 == 3) { /* freed already */
                give(index);
                wrong = freed;
            }
            bool is_block = false;
            for (size_t k = 0; k < count; k++) is_block = is_block || blocks[k].at == wrong;
            if (!is_block) {
                const acre_status status = acre_realtime_free(&heap, wrong);
                accepted += status == ACRE_OK;
                assert_true(status == ACRE_OK || status == ACRE_BAD_POINTER || status == ACRE_CORRUPT);
                if (status != ACRE_OK) assert_null(acre_realtime_realloc(&heap, wrong, 10));
            }
            if (i % 256 == 0) assert_true(acre_realtime_is_valid(&heap));
        }
        print_message("engine %d: %d of 100000 invalid frees were not refused\n", engine, accepted);
        assert_true(accepted <= 100);
        assert_true(engine != ACRE_REALTIME_BUDDY || accepted == 0);
    }
}

static void a_call_into_a_heap_that_is_at_work_is_refused(void **state)
{
    (void)state;
    begin(ACRE_REALTIME_TIGHT, 2000);
    void *const at = acre_realtime_alloc(&heap, 10);
    heap.is_inside = true; /* as an interrupt finds it */
    assert_null(acre_realtime_alloc(&heap, 10));
    assert_null(acre_realtime_alloc_aligned(&heap, 10, 64));
    assert_null(acre_realtime_realloc(&heap, at, 20));
    assert_int_equal(acre_realtime_free(&heap, at), ACRE_BUSY);
    assert_int_equal(acre_realtime_add_region(&heap, memory + 3000, 1000), ACRE_BUSY);
    heap.is_inside = false;
    assert_int_equal(acre_realtime_free(&heap, at), ACRE_OK);
}

ACRE_STATIC_ARENA(static_tight, 1000, ACRE_REALTIME_TIGHT);
ACRE_STATIC_ARENA(static_fast, 1000, ACRE_REALTIME_FAST);
ACRE_STATIC_ARENA(static_buddy, 1000, ACRE_REALTIME_BUDDY);

static void a_static_arena_is_there_at_the_first_request(void **state)
{
    (void)state;
    acre_realtime *const arenas[] = {&static_tight, &static_fast, &static_buddy};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(acre_realtime_free(arenas[i], memory), ACRE_BAD_POINTER);
        assert_int_equal(acre_realtime_usable_size(arenas[i], memory), 0);
        void *const at = acre_realtime_alloc(arenas[i], 100);
        assert_non_null(at);
        memset(at, 1, 100);
        assert_true(acre_realtime_is_valid(arenas[i]));
        assert_int_equal(arenas[i]->live_bytes, acre_realtime_block_bytes(arenas[i]->options.engine, 100));
        assert_int_equal(acre_realtime_free(arenas[i], at), ACRE_OK);
    }
    assert_string_equal(static_tight.options.name, "static_tight");
}

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    const acre_realtime_options good = {.engine = ACRE_REALTIME_TIGHT};
    const acre_realtime_options bad = {.engine = (acre_realtime_engine)5};
    acre_realtime_figures figures;
    acre_realtime none = {.region_count = 0};
    memset(&heap, 0x5a, sizeof heap);
    const acre_realtime before = heap;
    assert_int_equal(acre_realtime_init(NULL, &good, memory, 1000), ACRE_INVALID);
    assert_int_equal(acre_realtime_init(&heap, NULL, memory, 1000), ACRE_INVALID);
    assert_int_equal(acre_realtime_init(&heap, &bad, memory, 1000), ACRE_INVALID);
    assert_int_equal(acre_realtime_init(&heap, &good, NULL, 1000), ACRE_INVALID);
    assert_int_equal(acre_realtime_init(&heap, &good, memory, ACRE_REALTIME_BYTES_MIN - 1), ACRE_INVALID);
    assert_int_equal(acre_realtime_init(&heap, &good, memory, SIZE_MAX), ACRE_INVALID);
    assert_memory_equal(&heap, &before, sizeof heap);

    begin(ACRE_REALTIME_TIGHT, 1000);
    assert_int_equal(acre_realtime_add_region(NULL, memory + 1000, 1000), ACRE_INVALID);
    assert_int_equal(acre_realtime_add_region(&none, memory + 1000, 1000), ACRE_INVALID);
    assert_int_equal(acre_realtime_add_region(&heap, NULL, 1000), ACRE_INVALID);
    assert_int_equal(acre_realtime_add_region(&heap, memory + 999, 1000), ACRE_INVALID);
    assert_int_equal(acre_realtime_add_region(&heap, memory + 200, 600), ACRE_INVALID);
    assert_int_equal(acre_realtime_add_region(&heap, memory + 1000, 100), ACRE_INVALID);
    for (size_t i = 1; i < ACRE_REALTIME_REGION_COUNT_MAX; i++) {
        assert_int_equal(acre_realtime_add_region(&heap, memory + i * 1000, 1000), ACRE_OK);
    }
    assert_int_equal(acre_realtime_add_region(&heap, memory + 10000, 1000), ACRE_NO_MEMORY);

    assert_null(acre_realtime_alloc(NULL, 1));
    assert_null(acre_realtime_alloc(&none, 1));
    assert_null(acre_realtime_alloc(&heap, SIZE_MAX));
    assert_null(acre_realtime_alloc_aligned(NULL, 1, 8));
    assert_null(acre_realtime_alloc_aligned(&heap, 1, 0));
    assert_null(acre_realtime_alloc_aligned(&heap, 1, 24));
    assert_null(acre_realtime_alloc_aligned(&heap, SIZE_MAX, 64));
    assert_null(acre_realtime_alloc_aligned(&heap, 1, (size_t)1 << (sizeof(size_t) * 8 - 1)));
    assert_null(acre_realtime_realloc(NULL, NULL, 1));
    assert_null(acre_realtime_realloc(&heap, memory + 5000, 1));
    void *const at = acre_realtime_realloc(&heap, NULL, 10);
    assert_non_null(at);
    assert_null(acre_realtime_realloc(&heap, at, SIZE_MAX));
    assert_null(acre_realtime_realloc(NULL, at, 10));
    assert_int_equal(acre_realtime_free(NULL, at), ACRE_INVALID);
    assert_int_equal(acre_realtime_free(&none, at), ACRE_BAD_POINTER);
    assert_int_equal(acre_realtime_free(&heap, NULL), ACRE_OK);
    assert_int_equal(acre_realtime_free(&heap, at), ACRE_OK);
    assert_int_equal(acre_realtime_usable_size(NULL, at), 0);
    assert_int_equal(acre_realtime_usable_size(&heap, NULL), 0);
    assert_int_equal(acre_realtime_block_bytes(ACRE_REALTIME_TIGHT, SIZE_MAX), 0);
    assert_int_equal(acre_realtime_block_bytes((acre_realtime_engine)77, 1), 0);
    assert_false(acre_realtime_is_proved(NULL));
    assert_false(acre_realtime_is_proved(&none));
    assert_int_equal(acre_realtime_read_figures(NULL, &figures), ACRE_INVALID);
    assert_int_equal(acre_realtime_read_figures(&heap, NULL), ACRE_INVALID);
    assert_true(acre_realtime_is_valid(&heap));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_keep_their_contents_over_several_regions),
        cmocka_unit_test(a_walk_visits_every_block_in_use_once),
        cmocka_unit_test(figures_are_exact_after_every_operation),
        cmocka_unit_test(the_alarm_sounds_on_the_operation_that_crosses_the_limit),
        cmocka_unit_test(an_arena_of_the_bound_never_fails_a_random_program),
        cmocka_unit_test(no_adversary_needs_more_than_the_bound),
        cmocka_unit_test(a_heap_says_when_it_is_no_longer_proved),
        cmocka_unit_test(bounds_are_those_of_the_papers),
        cmocka_unit_test(every_short_program_within_the_bound_is_served),
        cmocka_unit_test(a_greedy_partition_changes_nothing_for_the_others),
        cmocka_unit_test(invalid_frees_are_refused_and_change_nothing),
        cmocka_unit_test(a_call_into_a_heap_that_is_at_work_is_refused),
        cmocka_unit_test(a_static_arena_is_there_at_the_first_request),
        cmocka_unit_test(bad_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
