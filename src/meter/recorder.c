/* recorder.c - see recorder.h for what it promises and record_file.h for the file.
 *
 * The fast path (acre_recorder_put, acre_recorder_stack when the thread knows the stack) touches the stream and its chunk only. Everything
 * shared, which is the table of stacks, the map of modules, the list of streams and the stream that carries their events, is changed under
 * one lock, on the slow paths.
 */
#include "meter/recorder.h"
#include "base/format.h"
#include "meter/module_map.h"
#include "meter/record_file.h"
#include "meter/stack_cache.h"
#include "meter/stack_table.h"
#include "os/os.h"
#include "os/shared_file.h"
#include "os/ticks.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

enum {
    DIRECTORY_BYTES_MAX = 200,
    PATH_BYTES = 256,
    SERIAL_MAX = 1000000,
    WAIT_STEP_NS = 200 * 1000,
    WAIT_ALIVE_NS = 1000 * 1000 * 1000, /* for a collector whose beat goes on */
    WAIT_SILENT_NS = 300 * 1000 * 1000, /* for one whose beat has stopped */
    DROPS_BETWEEN_TRIES = 1024,
    WALKS_BETWEEN_AUDITS_MIN = 1024, /* doubled with each audit that finds no fault */
    WALKS_BETWEEN_AUDITS_MAX = 16384,
    SHORT_ROOM_BYTES = ACRE_EVENT_SHORT_BYTES_MAX + ACRE_EVENT_SLACK_BYTES,
    UNWINDER_FRAMES_MAX = 16, /* below the function at which a stack begins */
};

_Static_assert((int)STACK_CACHE_FRAMES_MAX == (int)ACRE_STACK_FRAMES_MAX, "walked and unwound stacks are cut alike");

struct acre_recorder_stream {
    acre_recorder *recorder;
    record_chunk *chunk; /* NULL: none, the next event claims one */
    uint32_t chunk_index;
    uint32_t thread;
    acre_event_coder coder;
    uint32_t walks_to_audit, walks_between_audits;
    uint32_t drops_to_try;
    acre_recorder_stream *next; /* in the recorder's list of open or of closed streams */
    stack_cache stacks;
};

struct acre_recorder {
    record_file *file; /* NULL: recording has failed, everything is dropped */
    acre_unwind_function *unwind;
    acre_clock clock;
    _Atomic uint64_t beat_when_gone; /* the beat at which the collector was given up, + 1; 0: it lives */
    char directory[DIRECTORY_BYTES_MAX + 1];
    char path[PATH_BYTES];
    acre_lock growth_lock; /* taken last */

    acre_lock lock; /* guards all below */
    acre_recorder_stream *open_streams;
    acre_recorder_stream *closed_streams;
    acre_recorder_stream *own_stream; /* STACK, MODULE and DEFINE events */
    stack_table stacks;
    module_map modules;
    uint32_t unknown_count; /* stacks with code in no known module since the last refresh */
    uint32_t unknown_patience;
    uint64_t own_begin, own_end; /* the malloc replacement's code; empty when it is the program itself */
};

/* --- chunks --- */

static bool grow(acre_recorder *recorder, uint32_t old_count)
{
    bool has_grown = true;
    acre_lock_take(&recorder->growth_lock);
    const uint32_t count = atomic_load(&recorder->file->chunk_count);
    if (count == old_count) { /* else another thread has done it */
        const uint32_t new_count = count * 2 < RECORD_CHUNK_COUNT_MAX ? count * 2 : RECORD_CHUNK_COUNT_MAX;
        has_grown = new_count > count &&
                    acre_shared_file_grow(recorder->path, RECORD_HEADER_BYTES + (size_t)count * RECORD_CHUNK_BYTES,
                                          RECORD_HEADER_BYTES + (size_t)new_count * RECORD_CHUNK_BYTES) == ACRE_OK;
        if (has_grown) atomic_store(&recorder->file->chunk_count, new_count);
    }
    acre_lock_drop(&recorder->growth_lock);
    return has_grown;
}

/* Low chunks first, so that few pages are ever touched. */
static bool claim_free(acre_recorder *recorder, uint32_t count, uint32_t *index)
{
    record_file *const file = recorder->file;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t expected = RECORD_CHUNK_FREE;
        if (atomic_load_explicit(&file->chunk_states[i], memory_order_relaxed) != RECORD_CHUNK_FREE) continue;
        if (!atomic_compare_exchange_strong(&file->chunk_states[i], &expected, RECORD_CHUNK_WRITING)) continue;
        if (atomic_load(&file->chunk_touched_count) <= i) atomic_store(&file->chunk_touched_count, i + 1);
        *index = i;
        return true;
    }
    return false;
}

/* Waits until a chunk is free, as long as the collector shows life. */
static bool wait_and_claim(acre_recorder *recorder, uint32_t count, uint32_t *index)
{
    uint64_t beat = atomic_load(&recorder->file->collector_beat), silent_ns = 0;
    if (atomic_load(&recorder->beat_when_gone) == beat + 1) return false;

    for (uint64_t waited_ns = 0; waited_ns < WAIT_ALIVE_NS && silent_ns < WAIT_SILENT_NS; waited_ns += WAIT_STEP_NS) {
        acre_os_sleep_ns(WAIT_STEP_NS);
        if (claim_free(recorder, count, index)) return true;
        const uint64_t beat_after = atomic_load(&recorder->file->collector_beat);
        silent_ns = beat_after == beat ? silent_ns + WAIT_STEP_NS : 0;
        beat = beat_after;
    }
    if (silent_ns >= WAIT_SILENT_NS) atomic_store(&recorder->beat_when_gone, beat + 1);
    return false;
}

static void seal(acre_recorder_stream *stream)
{
    if (stream->chunk == NULL) return;
    atomic_store_explicit(&stream->recorder->file->chunk_states[stream->chunk_index], RECORD_CHUNK_FULL,
                          memory_order_release);
    stream->chunk = NULL;
}

static bool claim(acre_recorder_stream *stream, uint64_t ticks)
{
    acre_recorder *const recorder = stream->recorder;
    uint32_t index = 0, count = 0;
    if (recorder->file == NULL) return false;
    if (stream->drops_to_try > 0) {
        stream->drops_to_try--;
        return false;
    }
    for (;;) {
        count = atomic_load(&recorder->file->chunk_count);
        if (claim_free(recorder, count, &index)) break;
        if (count < RECORD_CHUNK_COUNT_MAX && grow(recorder, count)) continue;
        if (wait_and_claim(recorder, count, &index)) break;
        stream->drops_to_try = DROPS_BETWEEN_TRIES;
        return false;
    }
    stream->chunk = record_chunk_at(recorder->file, index);
    stream->chunk_index = index;
    stream->chunk->thread = stream->thread;
    stream->chunk->start_ticks = ticks;
    atomic_store_explicit(&stream->chunk->end_ticks, ticks, memory_order_relaxed);
    atomic_store_explicit(&stream->chunk->used, 0, memory_order_release);
    stream->coder = (acre_event_coder){.time = ticks};
    return true;
}

/* --- events --- */

/* A time of its own is rounded as the short form of events needs it: never up, so that the order of two threads' events stays. */
static uint64_t event_ticks(const acre_recorder *recorder, uint64_t time)
{
    const uint64_t ticks = time != 0 ? time : acre_ticks(recorder->clock);
    return ticks - ticks % ACRE_EVENT_TIME_STEP;
}

static bool is_put(acre_recorder_stream *stream, uint32_t used, size_t length)
{
    if (length == 0) return false;
    atomic_store_explicit(&stream->chunk->end_ticks, stream->coder.time, memory_order_relaxed);
    atomic_store_explicit(&stream->chunk->used, used + (uint32_t)length, memory_order_release);
    return true;
}

static bool put_in_chunk(acre_recorder_stream *stream, const acre_event *event, uint64_t ticks)
{
    if (stream->chunk == NULL) return false;
    const uint32_t used = atomic_load_explicit(&stream->chunk->used, memory_order_relaxed);
    return is_put(stream, used, acre_event_encode(&stream->coder, event, ticks, record_chunk_events(stream->chunk) + used,
                                                  RECORD_CHUNK_ROOM - (size_t)used));
}

/* Where an event's short form goes, NULL when no room is sure. */
static uint8_t *short_room(const acre_recorder_stream *stream, uint32_t *used)
{
    if (stream->chunk == NULL) return NULL;
    *used = atomic_load_explicit(&stream->chunk->used, memory_order_relaxed);
    return *used <= RECORD_CHUNK_ROOM - SHORT_ROOM_BYTES ? record_chunk_events(stream->chunk) + *used : NULL;
}

__attribute__((noinline)) static void put_in_next_chunk(acre_recorder_stream *stream, const acre_event *event,
                                                        uint64_t ticks)
{
    seal(stream);
    if (claim(stream, ticks) && put_in_chunk(stream, event, ticks)) return;
    if (stream->recorder->file != NULL) atomic_fetch_add(&stream->recorder->file->dropped_count, 1);
}

void acre_recorder_put(acre_recorder_stream *stream, const acre_event *event)
{
    const uint64_t ticks = event_ticks(stream->recorder, event->time);
    if (__builtin_expect(!put_in_chunk(stream, event, ticks), 0)) put_in_next_chunk(stream, event, ticks);
}

__attribute__((noinline)) static void put_long(acre_recorder_stream *stream, unsigned op, uint64_t ticks, uint64_t address, uint64_t size,
                                               uint32_t stack)
{
    acre_recorder_put(stream,
                      &(acre_event){.time = ticks, .op = (uint8_t)op, .address = address, .size = size, .stack = stack});
}

uint64_t acre_recorder_put_alloc(acre_recorder_stream *stream, unsigned op, uint64_t address, uint64_t size, uint32_t stack)
{
    const uint64_t ticks = event_ticks(stream->recorder, 0);
    uint32_t used = 0;
    uint8_t *const out = short_room(stream, &used);
    if (out == NULL || !is_put(stream, used, acre_event_encode_alloc(&stream->coder, op, ticks, address, size, stack, out)))
        put_long(stream, op, ticks, address, size, stack);
    return ticks;
}

uint64_t acre_recorder_put_free(acre_recorder_stream *stream, uint64_t address)
{
    const uint64_t ticks = event_ticks(stream->recorder, 0);
    uint32_t used = 0;
    uint8_t *const out = short_room(stream, &used);
    if (out == NULL || !is_put(stream, used, acre_event_encode_free(&stream->coder, ticks, address, out)))
        put_long(stream, ACRE_EVENT_FREE, ticks, address, 0, 0);
    return ticks;
}

/* For the recorder's own stream, under the lock. */
static void put_own(acre_recorder *recorder, const acre_event *event)
{
    const uint64_t ticks = event_ticks(recorder, 0);
    if (recorder->own_stream == NULL) return;
    if (!put_in_chunk(recorder->own_stream, event, ticks)) put_in_next_chunk(recorder->own_stream, event, ticks);
}

/* --- modules --- */

static void module_appeared(void *context, const module_range *range, const char *path, size_t length)
{
    acre_recorder *const recorder = context;
    char program[MODULE_PATH_BYTES];
    const uint64_t here = (uint64_t)(uintptr_t)&module_appeared;

    if (here >= range->begin && here < range->end) {
        const size_t program_length = acre_read_link("/proc/self/exe", program, sizeof program);
        const bool is_program = program_length == length && memcmp(program, path, length) == 0;
        recorder->own_begin = is_program ? 0 : range->begin;
        recorder->own_end = is_program ? 0 : range->end;
    }
    put_own(recorder, &(acre_event){
                          .op = ACRE_EVENT_MODULE,
                          .address = range->begin,
                          .size = range->end - range->begin,
                          .alignment = range->file_offset,
                          .payload = path,
                          .payload_bytes = length,
                      });
}

/* A program that makes code (a compiler at run time) has addresses in no module: then the map is read ever less often. */
static void learn_modules(acre_recorder *recorder, void *const *pcs, size_t count)
{
    bool is_known = true;
    for (size_t i = 0; i < count && is_known; i++) is_known = module_map_knows(&recorder->modules, (uintptr_t)pcs[i]);
    if (is_known || ++recorder->unknown_count < recorder->unknown_patience) return;

    recorder->unknown_count = 0;
    const uint32_t found = module_map_refresh(&recorder->modules, module_appeared, recorder);
    recorder->unknown_patience = found > 0 ? 1 : recorder->unknown_patience * 2;
}

/* --- stacks --- */

/* The id of a stack that has a hash not in the thread's cache. */
static uint32_t intern(acre_recorder *recorder, uint64_t hash, void *const *pcs, size_t count)
{
    acre_lock_take(&recorder->lock);
    uint32_t id = stack_table_find(&recorder->stacks, hash);
    if (id == 0) {
        uint64_t payload[ACRE_STACK_FRAMES_MAX];
        id = stack_table_add(&recorder->stacks, hash);
        for (size_t i = 0; i < count; i++) payload[i] = (uint64_t)(uintptr_t)pcs[i];
        learn_modules(recorder, pcs, count);
        if (id != 0) {
            put_own(recorder, &(acre_event){
                                  .op = ACRE_EVENT_STACK,
                                  .stack = id,
                                  .payload = payload,
                                  .payload_bytes = count * sizeof payload[0],
                              });
        }
    }
    acre_lock_drop(&recorder->lock);
    return id;
}

/* The innermost frame that is not the malloc replacement's. */
static size_t first_outside(const acre_recorder *recorder, void *const *pcs, size_t count)
{
    size_t first = 0;
    while (first < count && (uint64_t)(uintptr_t)pcs[first] >= recorder->own_begin &&
           (uint64_t)(uintptr_t)pcs[first] < recorder->own_end)
        first++;
    return first;
}

static uint32_t id_of(acre_recorder_stream *stream, uint64_t hash, void *const *pcs, size_t count)
{
    uint32_t id = stack_cache_id(&stream->stacks, hash);
    if (id == 0) {
        id = intern(stream->recorder, hash, pcs, count);
        stack_cache_keep_id(&stream->stacks, hash, id);
    }
    return id;
}

/* By the unwinder; pcs[0] becomes the innermost frame, which returns to `caller`. */
static size_t unwind(const acre_recorder *recorder, uint64_t caller, void **pcs, bool *is_whole)
{
    void *raw[ACRE_STACK_FRAMES_MAX + UNWINDER_FRAMES_MAX];
    const size_t raw_count = recorder->unwind(raw, ACRE_STACK_FRAMES_MAX + UNWINDER_FRAMES_MAX);
    size_t from = 0;
    while (from < raw_count && (uint64_t)(uintptr_t)raw[from] != caller) from++;
    if (from == raw_count) from = 0; /* a stack that does not lead here: it is kept as it is */
    const size_t count = raw_count - from < ACRE_STACK_FRAMES_MAX ? raw_count - from : ACRE_STACK_FRAMES_MAX;
    *is_whole = count == raw_count - from && raw_count < ACRE_STACK_FRAMES_MAX + UNWINDER_FRAMES_MAX;
    memcpy(pcs, raw + from, count * sizeof *pcs);
    return count;
}

/* Unwinds the stack that begins at `slot`, and lets the cache learn it. `walked_id`: what the cache said, 0 for nothing. */
__attribute__((noinline)) static uint32_t unwound_id(acre_recorder_stream *stream, uintptr_t slot, uint32_t walked_id)
{
    acre_recorder *const recorder = stream->recorder;
    const uint64_t caller = *(const uint64_t *)slot;
    void *pcs[ACRE_STACK_FRAMES_MAX];
    bool is_whole;
    const size_t count = unwind(recorder, caller, pcs, &is_whole);
    const size_t first = first_outside(recorder, pcs, count);
    const uint32_t id = first == count ? 0 : id_of(stream, stack_hash(pcs + first, count - first), pcs + first, count - first);
    if (walked_id != 0 && walked_id != id) {
        atomic_fetch_add(&recorder->file->stack_wrong_count, 1);
        stack_cache_clear(&stream->stacks);
        stream->walks_between_audits = WALKS_BETWEEN_AUDITS_MIN;
    }
    if (count > 0 && (uint64_t)(uintptr_t)pcs[0] == caller) stack_cache_learn(&stream->stacks, slot, pcs, count, is_whole);
    return id;
}

/* Frame by frame; 0 when the cache does not know them all. */
static uint32_t walked_id_of(acre_recorder_stream *stream, uintptr_t slot)
{
    const stack_walk *const walk = stack_cache_walk(&stream->stacks, slot);
    if (walk == NULL) return 0;
    const size_t first = first_outside(stream->recorder, walk->pcs, walk->count);
    if (first == walk->count) return 0;
    const uint32_t id = id_of(stream, walk->hashes[first], walk->pcs + first, walk->count - first);
    stack_cache_keep_whole(&stream->stacks, walk, id);
    return id;
}

__attribute__((noinline)) uint32_t acre_recorder_stack(acre_recorder_stream *stream, const void *frame)
{
    acre_recorder *const recorder = stream->recorder;
    if (recorder->unwind == NULL || recorder->file == NULL) return 0;

    /* Where the return address of that function stands. */
    const uintptr_t slot = (uintptr_t)(frame != NULL ? frame : __builtin_frame_address(0)) + sizeof(void *);
    uint32_t id = stack_cache_whole(&stream->stacks, slot);
    if (id == 0) id = walked_id_of(stream, slot);
    if (id == 0) return unwound_id(stream, slot, 0);
    if (--stream->walks_to_audit != 0) return id;

    atomic_fetch_add(&recorder->file->stack_audit_count, 1);
    if (stream->walks_between_audits < WALKS_BETWEEN_AUDITS_MAX) stream->walks_between_audits *= 2;
    const uint32_t unwound = unwound_id(stream, slot, id);
    stream->walks_to_audit = stream->walks_between_audits;
    return unwound;
}

/* --- streams --- */

acre_recorder_stream *acre_recorder_stream_open(acre_recorder *recorder)
{
    acre_lock_take(&recorder->lock);
    acre_recorder_stream *stream = recorder->closed_streams;
    if (stream != NULL) recorder->closed_streams = stream->next;
    else stream = acre_private_pages(sizeof *stream);
    if (stream != NULL) {
        stream->recorder = recorder;
        stream->thread = acre_thread_id();
        stream->walks_to_audit = stream->walks_between_audits = WALKS_BETWEEN_AUDITS_MIN;
        stream->next = recorder->open_streams;
        recorder->open_streams = stream;
    }
    acre_lock_drop(&recorder->lock);
    return stream;
}

void acre_recorder_stream_close(acre_recorder_stream *stream)
{
    acre_recorder *const recorder = stream->recorder;
    seal(stream);
    acre_lock_take(&recorder->lock);
    acre_recorder_stream **link = &recorder->open_streams;
    while (*link != stream) link = &(*link)->next;
    *link = stream->next;
    /* Another thread's stack has the same addresses with other contents, or none at all. */
    stack_cache_clear(&stream->stacks);
    stream->drops_to_try = 0;
    stream->next = recorder->closed_streams;
    recorder->closed_streams = stream;
    acre_lock_drop(&recorder->lock);
}

/* --- the recorder --- */

static acre_status create_file(acre_recorder *recorder, bool is_fork)
{
    const uint32_t process = (uint32_t)acre_os_process_id();
    const size_t size_bytes = RECORD_HEADER_BYTES + (size_t)RECORD_CHUNK_COUNT_MIN * RECORD_CHUNK_BYTES;
    void *memory = NULL;
    acre_status status = ACRE_BUSY;
    for (unsigned serial = 1; status == ACRE_BUSY && serial <= SERIAL_MAX; serial++) {
        acre_format(recorder->path, sizeof recorder->path, "%s/%u-%u.events", recorder->directory, process, serial);
        status = acre_shared_file_create(recorder->path, size_bytes, RECORD_FILE_BYTES, &memory);
    }
    if (status != ACRE_OK) return status;

    record_file *const file = memory;
    file->version = RECORD_VERSION;
    file->clock = recorder->clock;
    file->process_id = process;
    file->parent_process_id = acre_parent_process_id();
    file->is_fork = is_fork;
    file->start_ticks = acre_ticks(recorder->clock);
    file->command_bytes = (uint32_t)acre_read_file("/proc/self/cmdline", file->command, RECORD_COMMAND_BYTES);
    (void)acre_read_link("/proc/self/exe", file->program, RECORD_PROGRAM_BYTES - 1);
    atomic_store(&file->chunk_count, RECORD_CHUNK_COUNT_MIN);
    atomic_store_explicit(&file->magic, RECORD_MAGIC, memory_order_release);
    recorder->file = file;
    return ACRE_OK;
}

static void begin_own_stream(acre_recorder *recorder)
{
    recorder->unknown_patience = 1;
    recorder->own_stream = acre_recorder_stream_open(recorder);
    if (recorder->own_stream != NULL) recorder->own_stream->thread = 0;
    acre_lock_take(&recorder->lock);
    (void)module_map_refresh(&recorder->modules, module_appeared, recorder);
    acre_lock_drop(&recorder->lock);
}

acre_status acre_recorder_open(acre_recorder **out, const char *directory, acre_unwind_function *unwinder)
{
    const size_t length = directory != NULL ? strlen(directory) : 0;
    if (length == 0 || length > DIRECTORY_BYTES_MAX)
        return acre_fail(ACRE_INVALID, "recorder: the directory's path has %zu bytes, allowed are 1 to %d", length,
                         DIRECTORY_BYTES_MAX);
    acre_recorder *const recorder = acre_private_pages(sizeof *recorder);
    if (recorder == NULL) return acre_fail(ACRE_NO_MEMORY, "recorder: no memory for its state");

    recorder->unwind = unwinder;
    recorder->clock = acre_clock_of_machine();
    memcpy(recorder->directory, directory, length + 1);
    const acre_status status = create_file(recorder, false);
    if (status != ACRE_OK) {
        acre_private_pages_release(recorder, sizeof *recorder);
        return status;
    }
    begin_own_stream(recorder);
    *out = recorder;
    return ACRE_OK;
}

acre_status acre_recorder_after_fork(acre_recorder *recorder, acre_recorder_stream *mine)
{
    if (recorder->file != NULL) acre_shared_file_unmap(recorder->file, RECORD_FILE_BYTES);
    recorder->file = NULL;
    recorder->lock = recorder->growth_lock = (acre_lock){0}; /* the threads that may have held them do not exist here */
    atomic_store(&recorder->beat_when_gone, 0);
    stack_table_clear(&recorder->stacks);
    recorder->modules.count = 0;

    acre_recorder_stream *stream = recorder->open_streams;
    recorder->open_streams = NULL;
    for (acre_recorder_stream *next; stream != NULL; stream = next) {
        next = stream->next;
        stream->chunk = NULL; /* it lies in the parent's file */
        stream->drops_to_try = 0;
        stack_cache_clear(&stream->stacks);
        acre_recorder_stream **const list = stream == mine ? &recorder->open_streams : &recorder->closed_streams;
        stream->next = *list;
        *list = stream;
    }
    recorder->own_stream = NULL;
    const acre_status status = create_file(recorder, true);
    if (status != ACRE_OK) return status;
    if (mine != NULL) mine->thread = acre_thread_id();
    begin_own_stream(recorder);
    return ACRE_OK;
}

/* "VmHWM:     1234 kB" */
static void take_peak_rss(void *context, const char *line, size_t length)
{
    static const char name[] = "VmHWM:";
    acre_recorder *const recorder = context;
    if (length < sizeof name || memcmp(line, name, sizeof name - 1) != 0) return;

    uint64_t kib = 0;
    for (size_t i = sizeof name; i < length; i++)
        if (line[i] >= '0' && line[i] <= '9') kib = kib * 10 + (uint64_t)(line[i] - '0');
    const uint64_t own = (uint64_t)atomic_load(&recorder->file->chunk_touched_count) * RECORD_CHUNK_BYTES;
    if (kib * 1024 > own) acre_gauge_set(&recorder->file->gauges, ACRE_GAUGE_RSS_PEAK_BYTES, kib * 1024 - own);
}

void acre_recorder_finish(acre_recorder *recorder)
{
    if (recorder->file == NULL) return;
    acre_lock_take(&recorder->lock);
    (void)module_map_refresh(&recorder->modules, module_appeared, recorder);
    (void)acre_read_lines("/proc/self/status", take_peak_rss, recorder);
    acre_lock_drop(&recorder->lock);
    atomic_store(&recorder->file->is_finished, 1);
}

void acre_recorder_each_memory(acre_recorder *recorder, void (*take)(void *taker, const void *begin, size_t bytes), void *taker)
{
    take(taker, recorder, sizeof *recorder);
    acre_lock_take(&recorder->lock);
    take(taker, recorder->stacks.slots, recorder->stacks.slot_count * sizeof *recorder->stacks.slots);
    const acre_recorder_stream *const lists[] = {recorder->open_streams, recorder->closed_streams};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (const acre_recorder_stream *stream = lists[i]; stream != NULL; stream = stream->next) take(taker, stream, sizeof *stream);
    acre_lock_drop(&recorder->lock);
}

acre_recorder_gauges *acre_recorder_gauges_of(acre_recorder *recorder)
{
    return recorder->file != NULL ? &recorder->file->gauges : NULL;
}
