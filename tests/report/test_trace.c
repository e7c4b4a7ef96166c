/* test_trace.c - a trace is read back as it was written; a damaged one is reported and never trusted. */
#include "analysis.h"
#include "synthetic_trace.h"
#include "trace_reader.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

static uint8_t *trace_bytes;
static size_t trace_length;

static int make_trace(void **state)
{
    (void)state;
    char path[] = "/tmp/acre-test-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    write_synthetic_trace(path);
    FILE *const file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    trace_length = (size_t)ftell(file);
    rewind(file);
    trace_bytes = malloc(trace_length);
    assert_int_equal(fread(trace_bytes, 1, trace_length, file), trace_length);
    fclose(file);
    unlink(path);
    return 0;
}

static int drop_trace(void **state)
{
    (void)state;
    free(trace_bytes);
    return 0;
}

static trace_reader *open_whole(void)
{
    trace_reader *reader = NULL;
    assert_int_equal(trace_reader_open_memory(&reader, "synthetic", trace_bytes, trace_length), ACRE_OK);
    return reader;
}

typedef struct order_check {
    uint64_t last_ns, count, unknown_count;
} order_check;

static void check_order(void *context, const acre_event *event)
{
    order_check *const check = context;
    assert_true(event->time >= check->last_ns);
    check->last_ns = event->time;
    check->count++;
    if (event->op == UNKNOWN_OP) check->unknown_count++;
}

static void events_come_in_the_order_of_time_over_all_threads(void **state)
{
    (void)state;
    trace_reader *const reader = open_whole();
    order_check check = {0};
    assert_null(trace_damage(reader));
    assert_int_equal(trace_process_count(reader), 2);
    trace_for_each_event(reader, 0, check_order, &check);
    assert_int_equal(check.count, 2 * 2 * LOOP_COUNT + LEAK_COUNT + 2 + 2 * 61 + LOST_COUNT + 2);
    assert_int_equal(check.unknown_count, 2); /* handed over, for its taker to skip */
    assert_null(trace_damage(reader));
    trace_reader_close(reader);
}

static void stacks_modules_and_names_are_those_that_were_written(void **state)
{
    (void)state;
    trace_reader *const reader = open_whole();
    const trace_process_info *const info = trace_process_at(reader, 0);
    assert_int_equal(info->process.process_id, 100);
    assert_string_equal(info->program, "/nowhere/first");
    assert_string_equal(info->command, "/nowhere/first");
    assert_int_equal(info->module_count, 1);
    assert_int_equal(info->modules[0].begin, 0x400000);
    assert_string_equal(info->modules[0].path, "/nowhere/first");
    assert_true(info->stack_count > 2);
    assert_int_equal(info->stacks[2].count, 3);
    assert_int_equal(info->stacks[2].pcs[0], 0x401020);
    assert_true(info->has_end);
    assert_false(trace_process_at(reader, 1)->has_end);
    trace_reader_close(reader);
}

static void the_figures_are_those_of_the_simplest_count(void **state)
{
    (void)state;
    trace_reader *const reader = open_whole();
    analysis *const first = analysis_of_process(reader, 0), *const second = analysis_of_process(reader, 1);
    const double leaked = (double)LEAK_COUNT * LEAK_BYTES;

    assert_int_equal((uint64_t)first->allocated_count, 2 * LOOP_COUNT + LEAK_COUNT);
    assert_int_equal((uint64_t)first->allocated_bytes, 2 * LOOP_COUNT * LOOP_BYTES + (uint64_t)leaked);
    assert_int_equal((uint64_t)first->freed_count, 2 * LOOP_COUNT);
    assert_int_equal((uint64_t)first->live_bytes, (uint64_t)leaked);
    assert_int_equal((uint64_t)first->live_count, LEAK_COUNT);
    assert_int_equal((uint64_t)first->stacks[2].live_bytes, (uint64_t)leaked);
    assert_int_equal((uint64_t)first->stacks[1].live_bytes, 0);
    assert_true(first->has_scan);
    assert_int_equal((uint64_t)first->leaked_count, LOST_COUNT);
    assert_int_equal((uint64_t)first->leaked_bytes, LOST_COUNT * LEAK_BYTES);
    assert_int_equal((uint64_t)first->stacks[2].leaked_bytes, LOST_COUNT * LEAK_BYTES);
    assert_int_equal((uint64_t)first->stacks[1].leaked_count, 0);
    assert_int_equal((uint64_t)first->stacks[1].life_sum_ns, (uint64_t)2 * LOOP_COUNT * STEP_NS);
    /* The last leaked block and the two looping ones. */
    assert_int_equal((uint64_t)first->peak_live_bytes, (uint64_t)leaked + 2 * LOOP_BYTES);
    assert_int_equal((uint64_t)(first->stacks[1].peak_bytes + first->stacks[2].peak_bytes), (uint64_t)first->peak_live_bytes);
    assert_true(fabs(first->stacks[2].late_live_bytes - leaked / 2) <= LEAK_BYTES);
    assert_int_equal((uint64_t)first->sizes[7].allocated_count, 2 * LOOP_COUNT); /* 100 is in (64, 128] */
    assert_int_equal((uint64_t)first->lives[9].count, 2 * LOOP_COUNT);           /* 1000 ns are in [512, 1024) */
    assert_int_equal(first->gauge_peaks[ACRE_GAUGE_COMMITTED_BYTES], 61 * 4096);
    assert_int_equal((uint64_t)first->variance_live, 0);
    assert_int_equal(first->unknown_free_count, 0);
    assert_int_equal(second->unknown_free_count, 1);
    assert_int_equal((uint64_t)second->live_bytes, OTHER_BYTES);
    assert_false(second->has_scan);
    assert_int_equal((uint64_t)second->leaked_count, 0);
    assert_int_equal((uint64_t)second->stacks[0].live_bytes, OTHER_BYTES);
    analysis_free(first);
    analysis_free(second);
    trace_reader_close(reader);
}

/* In the last bins the process only looks for leaks, and one bin of the second process has nothing but the free of a block from before. */
static void what_is_live_stays_on_the_curve_to_the_end(void **state)
{
    (void)state;
    trace_reader *const reader = open_whole();
    analysis *const first = analysis_of_process(reader, 0), *const second = analysis_of_process(reader, 1);
    assert_true(first->bins[ANALYSIS_BIN_COUNT - 1].live_bytes >= (double)LEAK_COUNT * LEAK_BYTES);
    for (size_t i = 1; i < ANALYSIS_BIN_COUNT; i++) assert_true(first->bins[i].live_bytes > 0);
    for (size_t i = ANALYSIS_BIN_COUNT / 2; i < ANALYSIS_BIN_COUNT; i++)
        assert_int_equal((uint64_t)second->bins[i].live_bytes, OTHER_BYTES);
    analysis_free(first);
    analysis_free(second);
    trace_reader_close(reader);
}

/* Reads everything that the bytes offer. Returns the number of events. */
static uint64_t read_all(const uint8_t *bytes, size_t length, bool *is_damaged)
{
    trace_reader *reader = NULL;
    *is_damaged = true;
    if (trace_reader_open_memory(&reader, "mutated", bytes, length) != ACRE_OK) return 0;
    uint64_t count = 0;
    for (uint32_t i = 0; i < trace_process_count(reader); i++) {
        order_check check = {0};
        trace_for_each_event(reader, i, check_order, &check);
        count += check.count;
        analysis_free(analysis_of_process(reader, i));
    }
    *is_damaged = trace_damage(reader) != NULL;
    trace_reader_close(reader);
    return count;
}

static void a_trace_cut_anywhere_is_reported_and_read_up_to_there(void **state)
{
    (void)state;
    uint64_t last_count = 0;
    for (size_t length = 0; length < trace_length; length += 1 + length / 97) {
        uint8_t *const cut = malloc(length + 1); /* its own block: a step past the end is seen by the sanitizer */
        bool is_damaged;
        memcpy(cut, trace_bytes, length);
        const uint64_t count = read_all(cut, length, &is_damaged);
        assert_true(is_damaged);
        assert_true(count >= last_count);
        last_count = count;
        free(cut);
    }
    assert_true(last_count > 0);
}

static void the_damage_names_the_byte_offset(void **state)
{
    (void)state;
    trace_reader *reader = NULL;
    assert_int_equal(trace_reader_open_memory(&reader, "t.trace", trace_bytes, trace_length - 1), ACRE_OK);
    char expected[64];
    snprintf(expected, sizeof expected, "at byte offset %zu of", trace_length - sizeof(trace_frame));
    assert_non_null(strstr(trace_damage(reader), expected));
    assert_non_null(strstr(trace_damage(reader), "t.trace"));
    trace_reader_close(reader);
}

static void a_changed_byte_is_always_noticed(void **state)
{
    (void)state;
    srand(3);
    for (int step = 0; step < 400; step++) {
        uint8_t *const changed = malloc(trace_length);
        bool is_damaged;
        memcpy(changed, trace_bytes, trace_length);
        changed[(size_t)rand() % trace_length] ^= (uint8_t)(1 + rand() % 255);
        (void)read_all(changed, trace_length, &is_damaged);
        assert_true(is_damaged);
        free(changed);
    }
}

static void what_is_no_trace_is_refused(void **state)
{
    (void)state;
    trace_reader *reader = NULL;
    uint8_t later[sizeof(trace_header)];
    memcpy(later, trace_bytes, sizeof later);
    later[8] = 99;
    assert_int_equal(trace_reader_open_memory(&reader, "x", (const uint8_t *)"text", 4), ACRE_CORRUPT);
    assert_int_equal(trace_reader_open_memory(&reader, "x", later, sizeof later), ACRE_UNSUPPORTED);
    assert_non_null(strstr(acre_last_error(), "99"));
    assert_int_equal(trace_reader_open(&reader, "/nonexistent/trace"), ACRE_IO);
    assert_int_equal(trace_reader_open(&reader, "/"), ACRE_IO);
}

static void a_trace_of_the_first_version_is_read(void **state)
{
    (void)state;
    uint8_t *const older = malloc(trace_length);
    trace_reader *reader = NULL;
    trace_header header;
    memcpy(older, trace_bytes, trace_length);
    memcpy(&header, trace_bytes, sizeof header);
    header.version = 1;
    header.check = (uint32_t)crc32(0, (const uint8_t *)&header, offsetof(trace_header, check));
    memcpy(older, &header, sizeof header);
    assert_int_equal(trace_reader_open_memory(&reader, "older", older, trace_length), ACRE_OK);
    assert_null(trace_damage(reader));
    assert_int_equal(trace_process_count(reader), 2);
    trace_reader_close(reader);
    free(older);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_in_the_order_of_time_over_all_threads),
        cmocka_unit_test(stacks_modules_and_names_are_those_that_were_written),
        cmocka_unit_test(the_figures_are_those_of_the_simplest_count),
        cmocka_unit_test(what_is_live_stays_on_the_curve_to_the_end),
        cmocka_unit_test(a_trace_cut_anywhere_is_reported_and_read_up_to_there),
        cmocka_unit_test(the_damage_names_the_byte_offset),
        cmocka_unit_test(a_changed_byte_is_always_noticed),
        cmocka_unit_test(what_is_no_trace_is_refused),
        cmocka_unit_test(a_trace_of_the_first_version_is_read),
    };
    return cmocka_run_group_tests(tests, make_trace, drop_trace);
}
