/* test_guard.c - what a heap that checks finds, tells, and leaves alone; through the public calls. */
#include "support/spaces.h"
#include "support/test.h"

#include <acre/guard.h>
#include <acre/heap.h>
#include <acre/system.h>

#include "guard/block_state.h"
#include "guard/canary.h"
#include "guard/level.h"
#include "guard/quarantine.h"
#include "heap/bounds.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- faults, heard ---- */

typedef struct heard {
    acre_fault last;
    unsigned count;
} heard;

static bool hear(void *context, const acre_fault *fault)
{
    heard *const to = context;
    to->last = *fault;
    to->count++;
    return true;
}

static acre_heap *heap_at(acre_guard_level level, const acre_guard_limits *limits)
{
    acre_heap *heap;
    acre_heap_options options = {.name = "guarded", .guard = level};
    if (limits != NULL) options.guard_limits = *limits;
    assert_int_equal(acre_heap_create(&options, &heap), ACRE_OK);
    return heap;
}

/* Runs with a handler that lets the program go on, and says what it heard. */
#define HEAR_FAULTS                                                                                                                        \
    heard told = {.count = 0};                                                                                                             \
    acre_guard_set_handler(hear, &told)

static void one_byte_behind_a_block_is_found_at_free_with_size_and_offset(void **state)
{
    (void)state;
    HEAR_FAULTS;
    for (int level = ACRE_GUARD_L1; level <= ACRE_GUARD_L2; level++) {
        acre_heap *const heap = heap_at((acre_guard_level)level, NULL);
        for (size_t size = 1; size < 9000; size += size < 300 ? 1 : 371) {
            char *const block = acre_heap_alloc(heap, size);
            if (level == ACRE_GUARD_L1 && acre_heap_usable_size(heap, (uintptr_t)block) == 0) continue;
            block[size - 1] = 0;
            told.count = 0;
            acre_block where;
            assert_int_equal(acre_heap_where(heap, (uintptr_t)block, &where), ACRE_OK);
            const bool has_canary = size < where.size_bytes;
            assert_true(has_canary || level == ACRE_GUARD_L1);
            if (has_canary) block[size]++;
            acre_heap_free(heap, block);
            assert_int_equal(told.count, has_canary);
            if (!has_canary) continue;
            assert_int_equal(told.last.kind, ACRE_FAULT_OVERFLOW);
            assert_true(told.last.block == (uintptr_t)block && told.last.has_asked && told.last.asked_bytes == size);
            assert_int_equal(told.last.offset, size);
            assert_int_equal(told.last.touch, ACRE_TOUCH_WRITE);
            assert_string_equal(told.last.heap_name, "guarded");
        }
        acre_heap_destroy(heap);
    }
    acre_guard_set_handler(NULL, NULL);
}

static void the_usable_size_is_what_was_asked_for(void **state)
{
    (void)state;
    for (int level = ACRE_GUARD_L1; level <= ACRE_GUARD_L3; level++) {
        acre_heap *const heap = heap_at((acre_guard_level)level, &(acre_guard_limits){.pages_one_in = 1});
        for (size_t size = 0; size < 100000; size += 1 + size / 3) {
            void *block = acre_heap_alloc(heap, size);
            if (level != ACRE_GUARD_L3 || size <= 28 * 1024) assert_int_equal(acre_heap_usable_size(heap, (uintptr_t)block), size);
            block = acre_heap_resize(heap, block, size + 5);
            if (level != ACRE_GUARD_L3 || size <= 28 * 1024 - 5) assert_int_equal(acre_heap_usable_size(heap, (uintptr_t)block), size + 5);
            acre_heap_free(heap, block);
        }
        acre_heap_destroy(heap);
    }
}

static void a_second_free_is_found_at_once_and_has_no_effect(void **state)
{
    (void)state;
    HEAR_FAULTS;
    for (int level = ACRE_GUARD_L1; level <= ACRE_GUARD_L2; level++) {
        acre_heap *const heap = heap_at((acre_guard_level)level, NULL);
        for (size_t size = 10; size < 100000; size *= 3) {
            void *const block = acre_heap_alloc(heap, size), *const other = acre_heap_alloc(heap, size);
            acre_heap_free(heap, block);
            told.count = 0;
            acre_heap_free(heap, block);
            assert_int_equal(told.count, 1);
            assert_true(told.last.kind == ACRE_FAULT_DOUBLE_FREE || size > 8192);
            acre_heap_free(heap, other);
            assert_int_equal(told.count, 1);
        }
        assert_true(acre_heap_is_valid(heap));
        acre_heap_destroy(heap);
    }
    acre_guard_set_handler(NULL, NULL);
}

static void an_address_inside_of_a_block_is_told_with_the_block(void **state)
{
    (void)state;
    HEAR_FAULTS;
    acre_heap *const heap = heap_at(ACRE_GUARD_L1, NULL);
    char *const block = acre_heap_alloc(heap, 100);
    for (int offset = 1; offset < 112; offset++) {
        told.count = 0;
        acre_heap_free(heap, block + offset);
        assert_int_equal(told.count, 1);
        assert_int_equal(told.last.kind, ACRE_FAULT_INTERIOR_FREE);
        assert_true(told.last.block == (uintptr_t)block && told.last.offset == offset && told.last.asked_bytes == 100);
    }
    told.count = 0;
    acre_heap_free(heap, block);
    assert_int_equal(told.count, 0);
    acre_guard_set_handler(NULL, NULL);
    acre_heap_destroy(heap);
}

static void a_write_to_a_freed_block_is_found_when_it_leaves_the_quarantine(void **state)
{
    (void)state;
    HEAR_FAULTS;
    acre_heap *const heap = heap_at(ACRE_GUARD_L2, &(acre_guard_limits){.quarantine_bytes = 64 * 1024});
    char *const block = acre_heap_alloc(heap, 100);
    acre_heap_free(heap, block);
    *(volatile char *)(block + 7) = 1;
    unsigned frees = 0;
    for (; told.count == 0 && frees < 10000; frees++) acre_heap_free(heap, acre_heap_alloc(heap, 100));
    assert_int_equal(frees, 64 * 1024 / 128); /* at once when so many have come after it */
    assert_int_equal(told.last.kind, ACRE_FAULT_USE_AFTER_FREE);
    assert_true(told.last.block == (uintptr_t)block && told.last.offset == 7 && told.last.asked_bytes == 100);
    acre_guard_set_handler(NULL, NULL);
    acre_heap_destroy(heap);
}

static void a_write_to_a_freed_block_is_found_when_it_is_used_again(void **state)
{
    (void)state;
    HEAR_FAULTS;
    acre_heap *const heap = heap_at(ACRE_GUARD_L2, &(acre_guard_limits){.quarantine_bytes = 4096});
    char *const block = acre_heap_alloc(heap, 100);
    acre_heap_free(heap, block);
    for (int i = 0; i < 64; i++) acre_heap_free(heap, acre_heap_alloc(heap, 90)); /* another place in the magazine each time */
    *(volatile char *)(block + 7) = 1;
    for (int i = 0; told.count == 0 && i < 2000; i++) assert_non_null(acre_heap_alloc(heap, 100));
    assert_int_equal(told.count, 1);
    assert_true(told.last.kind == ACRE_FAULT_USE_AFTER_FREE && told.last.block == (uintptr_t)block && told.last.offset == 7);
    acre_guard_set_handler(NULL, NULL);
    acre_heap_destroy(heap);
}

static void what_waits_is_looked_at_by_check_and_by_destroy(void **state)
{
    (void)state;
    HEAR_FAULTS;
    acre_heap *const heap = heap_at(ACRE_GUARD_L2, NULL);
    char *const freed = acre_heap_alloc(heap, 5000), *const live = acre_heap_alloc(heap, 33);
    assert_int_equal(acre_heap_check(heap), 0);
    acre_heap_free(heap, freed);
    *(volatile char *)freed = 1;
    live[33]++;
    assert_int_equal(acre_heap_check(heap), 2);
    assert_int_equal(told.count, 2);
    acre_heap_destroy(heap);
    assert_int_equal(told.count, 3);
    acre_guard_set_handler(NULL, NULL);
}

static void a_block_that_was_freed_is_not_handed_out_soon(void **state)
{
    (void)state;
    acre_heap *const heap = heap_at(ACRE_GUARD_L2, &(acre_guard_limits){.quarantine_bytes = 1 << 20});
    void *const block = acre_heap_alloc(heap, 1000);
    acre_heap_free(heap, block);
    for (int i = 0; i < 900; i++) {
        void *const other = acre_heap_alloc(heap, 1000);
        assert_ptr_not_equal(other, block);
        acre_heap_free(heap, other);
    }
    acre_heap_destroy(heap);
}

static void a_quarantine_of_time_lets_go_when_it_is_over(void **state)
{
    (void)state;
    acre_heap *const heap = heap_at(ACRE_GUARD_L2, &(acre_guard_limits){.quarantine_bytes = (uint64_t)1 << 40, .quarantine_ns = 1});
    void *const block = acre_heap_alloc(heap, 1000);
    acre_heap_free(heap, block);
    for (int i = 0; i < 1000; i++) acre_heap_free(heap, acre_heap_alloc(heap, 1000));
    acre_heap_figures figures;
    acre_heap_read_figures(heap, &figures);
    assert_true(figures.run_bytes < 1000 * 1000 / 2);
    acre_heap_destroy(heap);
}

static void memory_that_nobody_wrote_is_no_zero(void **state)
{
    (void)state;
    acre_heap *const heap = heap_at(ACRE_GUARD_L2, NULL);
    for (size_t size = 1; size < 20000; size += 100) {
        const unsigned char *const block = acre_heap_alloc(heap, size);
        assert_true(block[0] == ACRE_FRESH_BYTE && block[size - 1] == ACRE_FRESH_BYTE);
    }
    acre_heap_destroy(heap);
}

/* ---- bounds ---- */

static void check_says_what_lies_inside_of_one_block(void **state)
{
    (void)state;
    for (int level = ACRE_GUARD_L0; level <= ACRE_GUARD_L2; level++) {
        acre_heap *const heap = heap_at((acre_guard_level)level, NULL);
        for (size_t size = 1; size < 400000; size += 1 + size / 7) {
            char *const block = acre_heap_alloc(heap, size);
            acre_block where;
            assert_int_equal(acre_heap_where(heap, (uintptr_t)block, &where), ACRE_OK);
            const size_t end = level == ACRE_GUARD_L0 ? (size_t)where.size_bytes : size;
            for (size_t offset = 0; offset < end; offset += 1 + offset / 3) {
                assert_true(acre_check(block + offset, end - offset) && acre_check(block + offset, 1) && acre_check(block + offset, 0));
                assert_false(acre_check(block + offset, end - offset + 1));
                assert_false(acre_check(block + offset, SIZE_MAX));
                assert_false(acre_check(block + offset, SIZE_MAX - 14));
            }
            acre_heap_free(heap, block);
            if (size <= 8192 || level == ACRE_GUARD_L2) assert_true(level == ACRE_GUARD_L0 || !acre_check(block, 1));
        }
        acre_heap_destroy(heap);
    }
    char local[10];
    assert_true(acre_check(local, 10000) && acre_check(NULL, 5) && acre_check("text", 5));
}

static void check_follows_a_block_that_is_resized(void **state)
{
    (void)state;
    acre_heap *const heap = heap_at(ACRE_GUARD_L1, NULL);
    uint64_t random = 5;
    char *block = acre_heap_alloc(heap, 100);
    for (int i = 0; i < 3000; i++) {
        const size_t size = 1 + (size_t)(next_random(&random) % (i % 10 == 0 ? 60000u : 700u));
        block = acre_heap_resize(heap, block, size);
        assert_true(acre_check(block, size) && !acre_check(block, size + 1) && acre_check(block + size - 1, 1));
        acre_block where;
        assert_int_equal(acre_heap_where(heap, (uintptr_t)block, &where), ACRE_OK);
        for (size_t at = size; at < where.size_bytes; at += 5) assert_false(acre_check(block + at, 1));
    }
    acre_heap_free(heap, block);
    assert_int_equal(acre_heap_check(heap), 0);
    acre_heap_destroy(heap);
}

static void an_access_out_of_bounds_is_reported_with_its_size(void **state)
{
    (void)state;
    HEAR_FAULTS;
    acre_heap *const heap = heap_at(ACRE_GUARD_L2, NULL);
    char *const block = acre_heap_alloc(heap, 50);
    assert_true(acre_check_access(block, 50, ACRE_TOUCH_READ, "copy"));
    assert_false(acre_check_access(block + 10, 41, ACRE_TOUCH_WRITE, "copy"));
    assert_int_equal(told.last.kind, ACRE_FAULT_OVERFLOW);
    assert_true(told.last.offset == 10 && told.last.told_bytes == 41 && told.last.touch == ACRE_TOUCH_WRITE && told.last.asked_bytes == 50);
    acre_heap_free(heap, block);
    assert_false(acre_check_access(block, 1, ACRE_TOUCH_READ, "copy"));
    assert_int_equal(told.last.kind, ACRE_FAULT_USE_AFTER_FREE);
    assert_int_equal(told.count, 2);
    acre_guard_set_handler(NULL, NULL);
    acre_heap_destroy(heap);
}

/* ---- spaces without host access ---- */

static void sizes_and_double_frees_are_known_where_addresses_are_no_pointers(void **state)
{
    (void)state;
    HEAR_FAULTS;
    for (int level = ACRE_GUARD_L1; level <= ACRE_GUARD_L2; level++) {
        acre_space space;
        acre_heap *heap;
        assert_int_equal(test_space_open(&space, ACRE_SPACE_HANDLE, (uint64_t)64 << 20), ACRE_OK);
        const acre_heap_options options = {.space = &space, .name = "device", .guard = (acre_guard_level)level};
        assert_int_equal(acre_heap_create(&options, &heap), ACRE_OK);
        const acre_addr block = acre_heap_alloc_address(heap, 77, 16, NULL), large = acre_heap_alloc_address(heap, 70001, 16, NULL);
        assert_true(acre_heap_usable_size(heap, block) == 77 && acre_heap_usable_size(heap, large) == 70001);
        acre_heap_free_address(heap, block + 16);
        assert_int_equal(told.last.kind, ACRE_FAULT_INTERIOR_FREE);
        acre_heap_free_address(heap, block);
        acre_heap_free_address(heap, block);
        assert_int_equal(told.last.kind, ACRE_FAULT_DOUBLE_FREE);
        assert_int_equal(told.last.asked_bytes, 77);
        acre_heap_free_address(heap, large);
        assert_int_equal(acre_heap_check(heap), 0);
        acre_heap_destroy(heap);
        test_space_close(&space);
    }
    assert_int_equal(told.count, 4);
    acre_guard_set_handler(NULL, NULL);
}

/* ---- guard pages ---- */

static const char *own_path;

/* The signal or exit code, and what was written to standard error, of this program when it is run with one argument: the tests' own
 * handlers of signals are not in its way there. */
static int in_child(const char *argument, char *text, size_t size)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        (void)execl(own_path, own_path, argument, (char *)NULL);
        _exit(1);
    }
    close(ends[1]);
    size_t length = 0;
    ssize_t got;
    while (length + 1 < size && (got = read(ends[0], text + length, size - 1 - length)) > 0) length += (size_t)got;
    text[length] = 0;
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static volatile char sink;

static void read_behind(acre_heap *heap) { sink = ((volatile char *)acre_heap_alloc(heap, 48))[48]; }
static void write_behind(acre_heap *heap) { ((volatile char *)acre_heap_alloc(heap, 48))[50] = 1; }
static void read_before(acre_heap *heap) { sink = ((volatile char *)acre_heap_alloc(heap, 48))[-5000]; }

static void read_freed(acre_heap *heap)
{
    volatile char *const block = acre_heap_alloc(heap, 48);
    acre_heap_free(heap, (void *)(uintptr_t)block);
    for (int i = 0; i < 100; i++) acre_heap_free(heap, acre_heap_alloc(heap, 48));
    sink = block[3];
}

static const struct {
    void (*work)(acre_heap *heap);
    const char *text;
} accesses[] = {{read_behind, "beyond the end of the block"},
                {write_behind, "offset 50"},
                {read_before, "in front of the block"},
                {read_freed, "the block is free"}};

static void an_access_to_a_guard_page_is_reported_and_the_signal_follows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof accesses / sizeof accesses[0]; i++) {
        char text[2000];
        const char argument[] = {(char)('0' + i), 0};
        assert_int_not_equal(in_child(argument, text, sizeof text), 0); /* the signal, or the exit code that a sanitizer makes of it */
        assert_non_null(strstr(text, "acre: heap 'guarded': "));
        assert_non_null(strstr(text, accesses[i].text));
        assert_non_null(strstr(text, "asked for 48"));
    }
}

static void about_one_block_in_so_many_ends_at_a_guard_page(void **state)
{
    (void)state;
    acre_heap *const heap = heap_at(ACRE_GUARD_L3, &(acre_guard_limits){.pages_one_in = 50});
    unsigned guarded = 0;
    enum { COUNT = 20000 };
    for (int i = 0; i < COUNT; i++) {
        const size_t size = (size_t)(17 + i % 15);
        void *const block = acre_heap_alloc(heap, size);
        guarded += acre_heap_usable_size(heap, (uintptr_t)block) == size; /* else the room of the class */
        acre_heap_free(heap, block);
    }
    assert_in_range(guarded, COUNT / 50 * 3 / 4, COUNT / 50 * 5 / 4);
    acre_heap_destroy(heap);
}

static void more_blocks_than_there_are_slots_are_served(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    static void *blocks[COUNT];
    acre_heap *const heap = heap_at(ACRE_GUARD_L3, &(acre_guard_limits){.pages_one_in = 1});
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < COUNT; i++) {
            blocks[i] = acre_heap_alloc(heap, 100);
            assert_non_null(blocks[i]);
            memset(blocks[i], i, 100);
        }
        for (int i = 0; i < COUNT; i++) {
            assert_int_equal(*(unsigned char *)blocks[i], (unsigned char)i);
            acre_heap_free(heap, blocks[i]);
        }
    }
    acre_heap_destroy(heap);
}

/* ---- options ---- */

static void unknown_levels_and_limits_are_refused(void **state)
{
    (void)state;
    acre_heap *heap;
    acre_heap_options options = {.guard = (acre_guard_level)(ACRE_GUARD_L3 + 1)};
    assert_int_equal(acre_heap_create(&options, &heap), ACRE_INVALID);
    options = (acre_heap_options){.guard = ACRE_GUARD_L3, .guard_limits = {.pages_one_in = ACRE_PAGES_ONE_IN_MAX + 1}};
    assert_int_equal(acre_heap_create(&options, &heap), ACRE_INVALID);
    acre_space space;
    assert_int_equal(test_space_open(&space, ACRE_SPACE_STATIC, 1 << 20), ACRE_OK);
    options = (acre_heap_options){.guard = ACRE_GUARD_L3, .space = &space};
    assert_int_equal(acre_heap_create(&options, &heap), ACRE_UNSUPPORTED);
    test_space_close(&space);
}

static void a_level_reads_as_it_is_written(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        acre_guard_level level;
        uint32_t one_in;
    } good[] = {{"L0", ACRE_GUARD_L0, 0},       {"L1", ACRE_GUARD_L1, 0},          {"L2", ACRE_GUARD_L2, 0},
                {"L3", ACRE_GUARD_L3, 1000},    {"L3:1/1", ACRE_GUARD_L3, 1},      {"L3:1/1000000", ACRE_GUARD_L3, 1000000},
                {"L1+L3", ACRE_GUARD_L1, 1000}, {"L2+L3:1/7", ACRE_GUARD_L2, 7}};
    static const char *const bad[] = {"", "L", "l1", "L4", "L1:1/2", "L3:", "L3:1", "L3:1/", "L3:1/0", "L3:2/3", "L3:1/1000001", "L3:1/5x",
                                      "L3+L1", "L1+L2", "L1+", "L0+L3", "L2 ", "L3:1/99999999999999999999"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        acre_guard_level level = ACRE_GUARD_L0;
        acre_guard_limits limits = {.pages_one_in = 5};
        assert_true(acre_guard_read(good[i].text, &level, &limits));
        assert_true(level == good[i].level && limits.pages_one_in == good[i].one_in);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        acre_guard_level level = ACRE_GUARD_L0;
        acre_guard_limits limits = {.pages_one_in = 5};
        assert_false(acre_guard_read(bad[i], &level, &limits));
        assert_true(level == ACRE_GUARD_L0 && limits.pages_one_in == 5);
    }
}

static void a_system_has_the_guard_that_it_was_given(void **state)
{
    (void)state;
    HEAR_FAULTS;
    acre_system system;
    assert_int_equal(acre_system_create(&(acre_system_options){.guard = ACRE_GUARD_L1}, &system), ACRE_OK);
    char *const block = (char *)(uintptr_t)acre_system_alloc(&system, 20, 16, NULL);
    block[20]++;
    acre_system_free(&system, (uintptr_t)block);
    assert_int_equal(told.count, 1);
    acre_guard_set_handler(NULL, NULL);
    acre_system_destroy(&system);
}

static void a_fault_as_json_says_what_the_sentence_says(void **state)
{
    (void)state;
    const acre_fault fault = {.kind = ACRE_FAULT_OVERFLOW, .heap_name = "a \"b\"\\c", .address = 0x1010, .block = 0x1000, .size_bytes = 32,
                              .operation = "free", .has_asked = true, .asked_bytes = 16, .offset = 16, .touch = ACRE_TOUCH_WRITE,
                              .alloc_site = {.pcs = {(void *)(uintptr_t)0xabc}, .count = 1}};
    char text[1000];
    (void)acre_fault_json(&fault, text, sizeof text);
    assert_string_equal(text, "{\"kind\":\"overflow\",\"heap\":\"a \\\"b\\\"\\\\c\",\"operation\":\"free\",\"address\":\"0x1010\","
                              "\"block\":\"0x1000\",\"size\":32,\"asked\":16,\"offset\":16,\"access\":\"write\",\"alloc_site\":[\"0xabc\"],"
                              "\"free_site\":[],\"use_site\":[]}");
    (void)acre_fault_text(&fault, text, sizeof text);
    assert_non_null(strstr(text, "asked for 16; write at offset 16"));
    for (size_t size = 1; size < 300; size++) assert_true(acre_fault_json(&fault, text, size) < size); /* cut, never beyond */
    for (int kind = 0; kind < ACRE_FAULT_KIND_COUNT; kind++)
        assert_string_not_equal(acre_fault_kind_text((acre_fault_kind)kind), "unknown");
}

/* ---- the small parts ---- */

static void every_size_of_every_room_is_kept(void **state)
{
    (void)state;
    for (uint64_t room = 16; room <= 8192; room += 16) {
        for (uint64_t slack = 0; slack <= room; slack += room > 2048 && slack + 7 < room ? 7 : 1) {
            uint8_t bytes[4] = {0xff, 0xff, 0xff, 0xff};
            bytes[0] = acre_state_encode(bytes, room, ACRE_BLOCK_LIVE, slack);
            assert_int_equal(acre_slack_decode(bytes, room, bytes[0]), slack);
            assert_int_equal(acre_state_of(bytes[0]), ACRE_BLOCK_LIVE);
            if (room > 16) assert_int_equal(acre_state_of(bytes[1]), ACRE_BLOCK_INNER);
            assert_int_equal(bytes[room <= 16 ? 1 : room < 1024 ? 2 : 3], 0xff);
        }
    }
}

static void a_canary_covers_every_byte_of_its_run_and_no_other(void **state)
{
    (void)state;
    for (size_t size = 0; size < 80; size++) {
        unsigned char run[100];
        memset(run, 1, sizeof run);
        acre_canary_put(run + 10, size);
        for (size_t i = 0; i < sizeof run; i++) assert_int_equal(run[i], i >= 10 && i < 10 + size ? ACRE_CANARY_BYTE : 1);
        assert_true(acre_run_is_whole(run + 10, size, ACRE_CANARY_BYTE));
        for (size_t i = 0; i < size; i++) {
            size_t first, last;
            run[10 + i] ^= 0x40;
            assert_false(acre_run_is_whole(run + 10, size, ACRE_CANARY_BYTE));
            assert_true(acre_run_damage(run + 10, size, ACRE_CANARY_BYTE, &first, &last) && first == i && last == i);
            run[10 + i] ^= 0x40;
        }
    }
}

int main(int argument_count, char **arguments)
{
    own_path = arguments[0];
    if (argument_count == 2) {
        accesses[arguments[1][0] - '0'].work(heap_at(ACRE_GUARD_L3, &(acre_guard_limits){.pages_one_in = 1}));
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_byte_behind_a_block_is_found_at_free_with_size_and_offset),
        cmocka_unit_test(the_usable_size_is_what_was_asked_for),
        cmocka_unit_test(a_second_free_is_found_at_once_and_has_no_effect),
        cmocka_unit_test(an_address_inside_of_a_block_is_told_with_the_block),
        cmocka_unit_test(a_write_to_a_freed_block_is_found_when_it_leaves_the_quarantine),
        cmocka_unit_test(a_write_to_a_freed_block_is_found_when_it_is_used_again),
        cmocka_unit_test(what_waits_is_looked_at_by_check_and_by_destroy),
        cmocka_unit_test(a_block_that_was_freed_is_not_handed_out_soon),
        cmocka_unit_test(a_quarantine_of_time_lets_go_when_it_is_over),
        cmocka_unit_test(memory_that_nobody_wrote_is_no_zero),
        cmocka_unit_test(check_says_what_lies_inside_of_one_block),
        cmocka_unit_test(check_follows_a_block_that_is_resized),
        cmocka_unit_test(an_access_out_of_bounds_is_reported_with_its_size),
        cmocka_unit_test(sizes_and_double_frees_are_known_where_addresses_are_no_pointers),
        cmocka_unit_test(an_access_to_a_guard_page_is_reported_and_the_signal_follows),
        cmocka_unit_test(about_one_block_in_so_many_ends_at_a_guard_page),
        cmocka_unit_test(more_blocks_than_there_are_slots_are_served),
        cmocka_unit_test(unknown_levels_and_limits_are_refused),
        cmocka_unit_test(a_level_reads_as_it_is_written),
        cmocka_unit_test(a_system_has_the_guard_that_it_was_given),
        cmocka_unit_test(a_fault_as_json_says_what_the_sentence_says),
        cmocka_unit_test(every_size_of_every_room_is_kept),
        cmocka_unit_test(a_canary_covers_every_byte_of_its_run_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
