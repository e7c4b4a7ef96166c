/* record.c - when ACRE_RECORD_DIR names a folder (acre run sets it), what the heap tells about blocks goes to the recorder.
 *
 * ACRE_SAMPLE_BYTES is the mean number of bytes between two samples, 512 KiB if it is not set; 0 records every call. What cannot be
 * done is said on standard error, and the program goes on.
 *
 * What the recorder itself causes to be allocated (libunwind's tables, on a thread's first unwinding) is not recorded:
 * `is_busy` is set while it works.
 */
#include "base/format.h"
#include "gpu/totals.h"
#include "heap/heap.h"
#include "heap/reach.h"
#include "meter/recorder.h"
#include "os/os.h"
#include "os/ticks.h"
#include "unwind.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

enum { GAUGE_STEP_NS = 1000 * 1000, THREADS_A_STEP = 8, SAMPLE_BYTES_DEFAULT = 512 * 1024 };
#define SAMPLE_BYTES_MAX ((uint64_t)1 << 40)

static acre_recorder *recorder;
static acre_clock clock_kind;
static uint64_t gauge_step_ticks;
static uint64_t next_gauge_ticks;
static acre_os_thread_key thread_key;
static _Thread_local acre_recorder_stream *stream ACRE_FAST_TLS;
static _Thread_local bool is_busy ACRE_FAST_TLS;

static void write_device_gauges(acre_recorder_gauges *gauges)
{
    acre_gpu_totals totals;
    acre_gpu_read_totals(&totals);
    if (totals.block_bytes_peak == 0) return;
    acre_gauge_set(gauges, ACRE_GAUGE_DEVICE_BYTES, totals.memory_bytes);
    acre_gauge_set(gauges, ACRE_GAUGE_DEVICE_TAKEN_BYTES, totals.block_bytes);
    acre_gauge_set(gauges, ACRE_GAUGE_DEVICE_PEAK_BYTES, totals.memory_bytes_peak);
    acre_gauge_set(gauges, ACRE_GAUGE_DEVICE_TAKEN_PEAK_BYTES, totals.block_bytes_peak);
}

/* Returns how many threads it has looked at. */
static uint64_t write_gauges(void)
{
    acre_heap_figures figures;
    acre_recorder_gauges *const gauges = acre_recorder_gauges_of(recorder);
    acre_heap *const heap = acre_process_heap();
    if (gauges == NULL || heap == NULL) return 0;
    acre_heap_read_figures(heap, &figures);
    const uint64_t ready_bytes = acre_heap_ready_bytes(heap);
    const uint64_t live_bytes = figures.block_bytes > ready_bytes ? figures.block_bytes - ready_bytes : 0;
    acre_gauge_set(gauges, ACRE_GAUGE_LIVE_BYTES, live_bytes);
    acre_gauge_set(gauges, ACRE_GAUGE_USED_BYTES, figures.run_bytes);
    acre_gauge_set(gauges, ACRE_GAUGE_COMMITTED_BYTES, figures.committed_bytes);
    acre_gauge_set(gauges, ACRE_GAUGE_DIRTY_BYTES, figures.dirty_bytes);
    acre_gauge_set(gauges, ACRE_GAUGE_RESERVED_BYTES, figures.reserved_bytes);
    acre_gauge_set(gauges, ACRE_GAUGE_METADATA_BYTES, figures.meta_bytes);
    if (live_bytes > acre_gauge_get(gauges, ACRE_GAUGE_LIVE_PEAK_BYTES)) acre_gauge_set(gauges, ACRE_GAUGE_LIVE_PEAK_BYTES, live_bytes);
    if (figures.committed_bytes > acre_gauge_get(gauges, ACRE_GAUGE_COMMITTED_PEAK_BYTES))
        acre_gauge_set(gauges, ACRE_GAUGE_COMMITTED_PEAK_BYTES, figures.committed_bytes);
    write_device_gauges(gauges);
    return figures.thread_count;
}

/* Reading the heap's figures costs a walk over its threads, so one thread does it now and then for all, and less often when there are many.
 */
static void write_gauges_when_due(uint64_t now_ticks)
{
    uint64_t due = __atomic_load_n(&next_gauge_ticks, __ATOMIC_RELAXED);
    if (now_ticks < due) return;
    if (!__atomic_compare_exchange_n(&next_gauge_ticks, &due, now_ticks + gauge_step_ticks, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return;
    const uint64_t more_steps = write_gauges() / THREADS_A_STEP;
    if (more_steps > 0) __atomic_fetch_add(&next_gauge_ticks, more_steps * gauge_step_ticks, __ATOMIC_RELAXED);
}

/* Returns the time of what it has put. */
static uint64_t put(acre_recorder_stream *to, const acre_heap_event *told)
{
    static const uint8_t ops[] = {
        [ACRE_HEAP_OP_ALLOC] = ACRE_EVENT_ALLOC,     [ACRE_HEAP_OP_CALLOC] = ACRE_EVENT_CALLOC, [ACRE_HEAP_OP_REALLOC] = ACRE_EVENT_REALLOC,
        [ACRE_HEAP_OP_ALIGNED] = ACRE_EVENT_ALIGNED, [ACRE_HEAP_OP_NEW] = ACRE_EVENT_NEW,       [ACRE_HEAP_OP_FREE] = ACRE_EVENT_FREE,
    };
    if (told->op == ACRE_HEAP_OP_FREE) return acre_recorder_put_free(to, told->address);
    const uint32_t stack = acre_recorder_stack(to, told->frame);
    if (told->op != ACRE_HEAP_OP_REALLOC && told->op != ACRE_HEAP_OP_ALIGNED && told->weight_bytes == 0)
        return acre_recorder_put_alloc(to, ops[told->op], told->address, told->size_bytes, stack);
    const acre_event event = {
        .time = acre_ticks(clock_kind),
        .op = ops[told->op],
        .address = told->address,
        .old_address = told->old_address,
        .size = told->size_bytes,
        .alignment = told->alignment,
        .weight_bytes = told->weight_bytes,
        .stack = stack,
    };
    acre_recorder_put(to, &event);
    return event.time;
}

static bool has_stream(void)
{
    if (stream != NULL) return true;
    stream = acre_recorder_stream_open(recorder);
    if (stream != NULL) (void)acre_os_thread_key_set(thread_key, stream);
    return stream != NULL;
}

static void observe(const acre_heap_event *told)
{
    if (is_busy) return;
    is_busy = true;
    if (has_stream()) write_gauges_when_due(put(stream, told));
    is_busy = false;
}

/* An allocation of device memory, or with size 0 its free: an event of a system of its own, with the stack of the caller. */
static void observe_device(uint64_t record, uint64_t size_bytes, const void *frame)
{
    static bool is_defined;
    static const char definition[] = ACRE_EVENT_DEVICE_DEFINITION;
    if (is_busy) return;
    is_busy = true;
    if (has_stream()) {
        if (!__atomic_exchange_n(&is_defined, true, __ATOMIC_RELAXED)) {
            acre_recorder_put(stream, &(acre_event){.op = ACRE_EVENT_DEFINE,
                                                    .kind = ACRE_EVENT_KIND_DEVICE,
                                                    .payload = definition,
                                                    .payload_bytes = sizeof definition - 1});
        }
        const acre_event event = {.time = acre_ticks(clock_kind),
                                  .op = ACRE_EVENT_SYSTEM,
                                  .kind = ACRE_EVENT_KIND_DEVICE,
                                  .address = record,
                                  .size = size_bytes,
                                  .stack = frame == NULL ? 0 : acre_recorder_stack(stream, frame)};
        acre_recorder_put(stream, &event);
        write_gauges_when_due(event.time);
    }
    is_busy = false;
}

/* Frees that come later on this thread, from other libraries' thread-local data, are not recorded: nobody would close
 * another stream. */
static void thread_ends(void *ended)
{
    is_busy = true;
    acre_recorder_stream_close(ended);
    stream = NULL;
}

static void child_begins(void)
{
    const bool was_busy = is_busy;
    is_busy = true;
    (void)acre_recorder_after_fork(recorder, stream); /* on an error the recorder drops what it gets */
    __atomic_store_n(&next_gauge_ticks, 0, __ATOMIC_RELAXED);
    is_busy = was_busy;
}

/* The program goes on, unobserved: it did not ask for this. */
static void say_not_recorded(const char *why)
{
    char text[400];
    const size_t length = acre_format(text, sizeof text, "acre: nothing is recorded: %s\n", why);
    acre_os_write_error(text, length);
}

/* The tool that made the folder may have ended; then this is not the program's fault either. */
static bool is_there(const char *directory)
{
    if (access(directory, F_OK) == 0) return true;
    char why[300];
    (void)acre_format(why, sizeof why, "the folder ACRE_RECORD_DIR='%s' is not there", directory);
    say_not_recorded(why);
    return false;
}

/* What ACRE_SAMPLE_BYTES says, or the default. False after a message when it is no number. */
static bool read_sample_bytes(uint64_t *bytes)
{
    const char *const text = acre_os_environment("ACRE_SAMPLE_BYTES");
    *bytes = SAMPLE_BYTES_DEFAULT;
    if (text == NULL) return true;
    uint64_t value = 0;
    const char *c = text;
    for (; *c >= '0' && *c <= '9' && value <= SAMPLE_BYTES_MAX; c++) value = value * 10 + (uint64_t)(*c - '0');
    *bytes = value;
    if (c != text && *c == 0 && value <= SAMPLE_BYTES_MAX) return true;
    char why[200];
    (void)acre_format(why, sizeof why, "ACRE_SAMPLE_BYTES='%s' is no number from 0 (everything) to %llu", text,
                      (unsigned long long)SAMPLE_BYTES_MAX);
    say_not_recorded(why);
    return false;
}

__attribute__((constructor(101))) static void begin(void)
{
    enum { CALIBRATE_NS = 100 * 1000 };
    const char *const directory = acre_os_environment("ACRE_RECORD_DIR");
    acre_heap *const heap = directory != NULL ? acre_process_heap() : NULL;
    uint64_t sample_bytes;
    if (heap == NULL || !is_there(directory) || !read_sample_bytes(&sample_bytes)) return;

    is_busy = true;
    const bool can_unwind = acre_unwind_load();
    if (acre_os_thread_key_create(&thread_key, thread_ends) == ACRE_OK &&
        acre_recorder_open(&recorder, directory, can_unwind ? acre_unwind : NULL) == ACRE_OK) {
        clock_kind = acre_clock_of_machine();
        gauge_step_ticks = acre_ticks_per_second(clock_kind, CALIBRATE_NS) / 1000000000u * GAUGE_STEP_NS;
        (void)acre_os_at_fork(NULL, NULL, child_begins);
        acre_heap_observe(heap, observe, sample_bytes, sample_bytes == 0);
        acre_gpu_observe(observe_device);
    } else {
        say_not_recorded(acre_last_error());
    }
    is_busy = false;
}

/* ---- the end ---- */

static void exclude_recorder(void *context, acre_reach_take *take, void *taker)
{
    (void)context;
    acre_recorder_each_memory(recorder, take, taker);
}

static void tell_unreachable(void *context, const acre_block *block)
{
    (void)context;
    acre_recorder_put(stream, &(acre_event){.op = ACRE_EVENT_UNREACHABLE, .address = block->base});
}

/* Tells which blocks nothing points to; the last thing, so that what the program still frees at its end is freed. */
static void tell_leaks(acre_heap *heap)
{
    acre_reach_figures figures;
    if (!has_stream()) return;
    acre_event scanned = {.op = ACRE_EVENT_SCAN};
    if (acre_heap_find_unreachable(heap, exclude_recorder, tell_unreachable, NULL, &figures) != ACRE_OK) {
        scanned.payload = acre_last_error();
        scanned.payload_bytes = strlen(scanned.payload);
    }
    scanned.size = figures.root_bytes;
    scanned.kind = figures.is_all_known;
    scanned.alignment = figures.all_count;
    scanned.old_address = figures.all_bytes;
    acre_recorder_put(stream, &scanned);
}

__attribute__((destructor(101))) static void finish(void)
{
    if (recorder == NULL) return;
    const bool was_busy = is_busy;
    is_busy = true;
    (void)write_gauges();
    tell_leaks(acre_process_heap());
    acre_recorder_finish(recorder);
    is_busy = was_busy;
}
