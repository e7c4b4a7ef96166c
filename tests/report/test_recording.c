/* test_recording.c - events that a process records arrive in the trace: from many threads, over fork, and when it is killed.
 *
 * Each test forks a program that records through the real recorder while this process collects, as `acre run` does.
 */
#include "collector.h"
#include "command.h"
#include "meter/record_file.h"
#include "meter/recorder.h"
#include "os/os.h"
#include "os/shared_file.h"
#include "os/ticks.h"
#include "trace_reader.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { THREAD_COUNT = 4, EVENT_COUNT = 200000, ROUND_NS = 1000 * 1000 };

typedef void program(const char *directory);

/* --- programs --- */

static void put_events(acre_recorder_stream *stream, uint64_t base, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        acre_recorder_put(stream, &(acre_event){.op = ACRE_EVENT_ALLOC, .address = base + i * 16, .size = i % 1000});
}

static void *record_in_thread(void *argument)
{
    acre_recorder_stream *const stream = acre_recorder_stream_open(argument);
    put_events(stream, (uint64_t)acre_thread_id() << 32, EVENT_COUNT);
    acre_recorder_stream_close(stream);
    return NULL;
}

static acre_recorder *open_recorder(const char *directory, acre_unwind_function *unwind)
{
    acre_recorder *recorder = NULL;
    if (acre_recorder_open(&recorder, directory, unwind) != ACRE_OK) _exit(99);
    return recorder;
}

static void many_threads(const char *directory)
{
    acre_recorder *const recorder = open_recorder(directory, NULL);
    pthread_t threads[THREAD_COUNT];
    for (int i = 0; i < THREAD_COUNT; i++) pthread_create(&threads[i], NULL, record_in_thread, recorder);
    for (int i = 0; i < THREAD_COUNT; i++) pthread_join(threads[i], NULL);
    acre_recorder_finish(recorder);
    _exit(7);
}

static void killed(const char *directory)
{
    acre_recorder *const recorder = open_recorder(directory, NULL);
    acre_recorder_stream *const stream = acre_recorder_stream_open(recorder);
    put_events(stream, 0x1000, 12345);
    acre_gauge_set(acre_recorder_gauges_of(recorder), ACRE_GAUGE_LIVE_BYTES, 4711);
    (void)raise(SIGKILL);
}

static void forking(const char *directory)
{
    acre_recorder *const recorder = open_recorder(directory, NULL);
    acre_recorder_stream *const stream = acre_recorder_stream_open(recorder);
    put_events(stream, 0x1000, 100);
    const pid_t child = fork();
    if (child == 0) {
        if (acre_recorder_after_fork(recorder, stream) != ACRE_OK) _exit(98);
        put_events(stream, 0x1000, 30);
        _exit(0);
    }
    put_events(stream, 0x100000, 5);
    (void)waitpid(child, NULL, 0);
    _exit(0);
}

/* As a process that calls exec: after some time in the first file it goes on in the second. */
static int go_on[2];

static void two_files(const char *directory)
{
    char byte = 0;
    acre_recorder *recorders[2];
    for (int i = 0; i < 2; i++) {
        recorders[i] = open_recorder(directory, NULL);
        put_events(acre_recorder_stream_open(recorders[i]), 0x1000, 10);
    }
    if (write(go_on[1], &byte, 1) != 1 || read(go_on[1], &byte, 1) != 1) _exit(97);
    put_events(acre_recorder_stream_open(recorders[1]), 0x1000, 1000);
    _exit(0);
}

/* An unwinder of a stack that the test makes up: frames above the caller lie in this array. */
static void *fake_pcs[3];

static size_t fake_unwind(void **pcs, size_t count_max)
{
    const size_t count = count_max < 3 ? count_max : 3;
    memcpy(pcs, fake_pcs, count * sizeof *pcs);
    return count;
}

static void with_stacks(const char *directory)
{
    acre_recorder *const recorder = open_recorder(directory, fake_unwind);
    acre_recorder_stream *const stream = acre_recorder_stream_open(recorder);
    for (uint64_t i = 0; i < 1000; i++) {
        fake_pcs[0] = (void *)(uintptr_t)(0x10 + i % 3); /* three stacks in turn */
        fake_pcs[1] = (void *)(uintptr_t)0x20;
        fake_pcs[2] = (void *)(uintptr_t)0x30;
        const uint32_t stack = acre_recorder_stack(stream, NULL);
        acre_recorder_put(stream, &(acre_event){.op = ACRE_EVENT_ALLOC, .address = i % 3 + 1, .size = 8, .stack = stack});
    }
    _exit(0);
}

/* --- collecting --- */

static char directory[64], trace_path[96];

static int make_directory(void **state)
{
    (void)state;
    /* Where `acre run` has it: a tmpfs names the latest file first, and a later file is not to be taken for an earlier one. */
    snprintf(directory, sizeof directory, "/dev/shm/acre-test-XXXXXX");
    if (mkdtemp(directory) == NULL) {
        snprintf(directory, sizeof directory, "/tmp/acre-test-XXXXXX");
        assert_non_null(mkdtemp(directory));
    }
    snprintf(trace_path, sizeof trace_path, "%s/trace", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    unlink(trace_path);
    return rmdir(directory); /* fails when a record file is left behind */
}

/* Rounds in which both files of two_files() are seen, and after them it goes on. */
static void collect_before_it_goes_on(collector *from)
{
    char byte = 0;
    assert_int_equal(read(go_on[0], &byte, 1), 1);
    for (int i = 0; i < 3; i++) {
        (void)collector_round(from);
        acre_os_sleep_ns(20 * ROUND_NS);
    }
    assert_int_equal(write(go_on[0], &byte, 1), 1);
}

/* Runs the program and returns the trace of what it recorded. */
static trace_reader *record(program *run)
{
    trace_writer *writer = NULL;
    const acre_clock clock = acre_clock_of_machine();
    const trace_header header = {.ticks_per_second = acre_ticks_per_second(clock, 1000000), .start_ticks = acre_ticks(clock)};
    assert_int_equal(trace_writer_open(&writer, trace_path, &header), ACRE_OK);
    collector *const from = collector_open(directory, writer);
    const pid_t child = fork();
    if (child == 0) run(directory);

    int status = 0;
    collector_expect(from, (uint32_t)child);
    if (run == two_files) collect_before_it_goes_on(from);
    while (waitpid(child, &status, WNOHANG) == 0) {
        (void)collector_round(from);
        acre_os_sleep_ns(ROUND_NS);
    }
    collector_finish(from, status, 1 << 30);
    collector_close(from);
    assert_int_equal(trace_writer_close(writer), ACRE_OK);
    trace_reader *reader = NULL;
    assert_int_equal(trace_reader_open(&reader, trace_path), ACRE_OK);
    assert_null(trace_damage(reader));
    return reader;
}

typedef struct tally {
    uint64_t count, last_ns, size_sum, live_gauge;
    uint32_t stacks[4]; /* of addresses 1, 2, 3 */
    bool is_stack_stable;
} tally;

static void take(void *context, const acre_event *event)
{
    tally *const sum = context;
    assert_true(event->time >= sum->last_ns);
    sum->last_ns = event->time;
    if (event->op == ACRE_EVENT_GAUGE) {
        if (event->kind == ACRE_GAUGE_LIVE_BYTES) sum->live_gauge = event->size;
        return;
    }
    sum->count++;
    sum->size_sum += event->size;
    if (event->address < 4 && event->address > 0) {
        uint32_t *const known = &sum->stacks[event->address];
        if (*known == 0) *known = event->stack;
        sum->is_stack_stable &= *known == event->stack;
    }
}

static tally tally_of(trace_reader *reader, uint32_t process)
{
    tally sum = {.is_stack_stable = true};
    trace_for_each_event(reader, process, take, &sum);
    return sum;
}

static void every_event_of_every_thread_arrives(void **state)
{
    (void)state;
    trace_reader *const reader = record(many_threads);
    assert_int_equal(trace_process_count(reader), 1);
    const trace_process_info *const info = trace_process_at(reader, 0);
    const tally sum = tally_of(reader, 0);
    assert_int_equal(sum.count + info->end.dropped_count, THREAD_COUNT * EVENT_COUNT);
    assert_int_equal(info->end.dropped_count, 0);
    assert_int_equal(sum.size_sum, (uint64_t)THREAD_COUNT * EVENT_COUNT / 1000 * 999 * 500);
    assert_true(WIFEXITED(info->end.wait_status) && WEXITSTATUS(info->end.wait_status) == 7);
    assert_true(info->end.is_finished);
    assert_true(info->module_count > 0);
    trace_reader_close(reader);
}

static void nothing_is_lost_when_the_program_is_killed(void **state)
{
    (void)state;
    trace_reader *const reader = record(killed);
    const trace_process_info *const info = trace_process_at(reader, 0);
    const tally sum = tally_of(reader, 0);
    assert_int_equal(sum.count, 12345);
    assert_int_equal(sum.live_gauge, 4711);
    assert_true(WIFSIGNALED(info->end.wait_status));
    /* It could not tell its peak any more. */
    assert_true(info->end.gauges[ACRE_GAUGE_RSS_PEAK_BYTES] > 1 << 29 && info->end.gauges[ACRE_GAUGE_RSS_PEAK_BYTES] < 1 << 30);
    assert_false(info->end.is_finished);
    trace_reader_close(reader);
}

static void a_forked_child_records_into_its_own_file(void **state)
{
    (void)state;
    trace_reader *const reader = record(forking);
    assert_int_equal(trace_process_count(reader), 2);
    const uint32_t child = trace_process_at(reader, 0)->process.is_fork ? 0 : 1;
    assert_true(trace_process_at(reader, child)->process.is_fork);
    assert_int_equal(trace_process_at(reader, child)->process.parent_process_id,
                     trace_process_at(reader, 1 - child)->process.process_id);
    assert_int_equal(tally_of(reader, child).count, 30);
    assert_int_equal(tally_of(reader, 1 - child).count, 105);
    trace_reader_close(reader);
}

static void a_process_goes_on_in_its_later_file(void **state)
{
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, go_on), 0);
    trace_reader *const reader = record(two_files);
    close(go_on[0]);
    close(go_on[1]);
    assert_int_equal(trace_process_count(reader), 2);
    assert_int_equal(tally_of(reader, 0).count + tally_of(reader, 1).count, 1020);
    trace_reader_close(reader);
}

static void each_different_stack_has_one_id_with_its_addresses(void **state)
{
    (void)state;
    trace_reader *const reader = record(with_stacks);
    const trace_process_info *const info = trace_process_at(reader, 0);
    const tally sum = tally_of(reader, 0);
    assert_int_equal(sum.count, 1000);
    assert_true(sum.is_stack_stable);
    for (uint32_t i = 1; i <= 3; i++) {
        const trace_stack *const stack = &info->stacks[sum.stacks[i]];
        assert_int_equal(stack->count, 3);
        assert_int_equal(stack->pcs[0], 0x10 + i - 1);
        assert_int_equal(stack->pcs[2], 0x30);
    }
    trace_reader_close(reader);
}

static void without_a_collector_events_are_dropped_and_counted(void **state)
{
    (void)state;
    const pid_t child = fork();
    if (child == 0) {
        /* Chunks can't grow beyond this, and nobody takes them. */
        acre_recorder *const recorder = open_recorder(directory, NULL);
        acre_recorder_stream *const stream = acre_recorder_stream_open(recorder);
        const uint64_t start_ns = acre_os_now_ns();
        char path[128];
        snprintf(path, sizeof path, "%s/%u-1.events", directory, (unsigned)getpid());
        unlink(path); /* growing opens the file by its path */
        put_events(stream, 0x1000, EVENT_COUNT);
        put_events(stream, 0x1000, EVENT_COUNT);
        _exit(acre_os_now_ns() - start_ns < 3000000000u ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_bad_directory_is_refused(void **state)
{
    (void)state;
    acre_recorder *recorder = NULL;
    char too_long[300];
    memset(too_long, 'x', sizeof too_long);
    too_long[299] = 0;
    assert_int_equal(acre_recorder_open(&recorder, NULL, NULL), ACRE_INVALID);
    assert_int_equal(acre_recorder_open(&recorder, "", NULL), ACRE_INVALID);
    assert_int_equal(acre_recorder_open(&recorder, too_long, NULL), ACRE_INVALID);
    assert_int_equal(acre_recorder_open(&recorder, "/nonexistent", NULL), ACRE_IO);
    assert_non_null(strstr(acre_last_error(), "/nonexistent"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_event_of_every_thread_arrives, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(nothing_is_lost_when_the_program_is_killed, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(a_forked_child_records_into_its_own_file, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(a_process_goes_on_in_its_later_file, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(each_different_stack_has_one_id_with_its_addresses, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(without_a_collector_events_are_dropped_and_counted, make_directory, remove_directory),
        cmocka_unit_test(a_bad_directory_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
