/* collector.c - see collector.h. */
#include "collector.h"
#include "command.h"
#include "meter/record_file.h"
#include "os/shared_file.h"
#include "os/ticks.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SEARCH_STEP_NS = 9 * 1000 * 1000, /* a new process fills its first chunks in some 5 ms, and then makes more */
    GAUGE_STEP_NS_MIN = 10 * 1000 * 1000,
    GAUGE_POINTS = 2000, /* a long run is sampled ever less often, so that about this many points remain */
    GAUGE_BUFFER_BYTES = 16 * 1024,
    GAUGE_FRAME_BYTES = 2 * 1024, /* with as many, gauges are written when events are */
    OWN_BUFFER_BYTES = RECORD_CHUNK_BYTES + 2 * ACRE_EVENT_PAYLOAD_MAX, /* what a chunk holds is not longer when it is encoded anew */
};

/* One record file. A process that calls exec gets another one. */
typedef struct observed {
    char *path;
    record_file *file; /* mapped; NULL when it has ended */
    uint32_t process_id;
    uint32_t index;    /* in the trace */
    bool is_in_trace;  /* its PROCESS frame is written: it has recorded something of its own */
    uint64_t next_gauge_ns, start_ns, start_ticks, last_ticks;
    uint64_t shown[ACRE_GAUGE_COUNT]; /* gauge values as last written */
    uint8_t gauge_bytes[GAUGE_BUFFER_BYTES];
    size_t gauge_used;
    uint64_t gauge_start_ticks;
    acre_event_coder gauge_coder;
    uint32_t own_chunk; /* the chunk of the recorder itself that is being read, + 1; 0: none */
    uint32_t own_used;  /* bytes of it that were read */
    acre_event_coder own_coder;
} observed;

struct collector {
    const char *directory;
    trace_writer *writer;
    acre_clock clock;
    observed **processes;
    size_t count, capacity;
    uint32_t trace_count; /* processes in the trace */
    uint32_t expected_id; /* 0: none */
    int wait_status;      /* of the expected process; -1 until it is known */
    uint64_t resident_peak_bytes; /* the same, 0 until then: of the process and the children that it waited for */
    uint64_t next_search_ns; /* when to look for new processes again */
    bool has_failed;
};

static void put(collector *self, const trace_frame *frame, const void *raw, size_t raw_bytes)
{
    if (self->has_failed || trace_writer_put(self->writer, frame, raw, raw_bytes) == ACRE_OK) return;
    complain("run", "%s; the rest of the recording is lost", acre_last_error());
    self->has_failed = true;
}

/* --- finding processes --- */

/* The name of a file that has been removed is free for another process. */
static bool is_known(const collector *self, const char *path)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->processes[i]->file != NULL && strcmp(self->processes[i]->path, path) == 0) return true;
    return false;
}

static void meet(collector *self, const char *path)
{
    struct stat facts;
    void *memory = NULL;
    /* A file that is shorter than its first chunks is still being made. */
    if (stat(path, &facts) != 0 || facts.st_size < RECORD_HEADER_BYTES + RECORD_CHUNK_COUNT_MIN * RECORD_CHUNK_BYTES) return;
    if (acre_shared_file_map(path, RECORD_FILE_BYTES, &memory) != ACRE_OK) return;
    record_file *const file = memory;
    if (atomic_load_explicit(&file->magic, memory_order_acquire) != RECORD_MAGIC || file->version != RECORD_VERSION) {
        acre_shared_file_unmap(memory, RECORD_FILE_BYTES);
        return;
    }
    observed *const process = must_calloc(1, sizeof *process);
    process->path = must_copy(path);
    process->file = file;
    process->process_id = file->process_id;
    process->start_ns = acre_os_now_ns();
    process->start_ticks = process->last_ticks = file->start_ticks;
    self->processes = grow_array(self->processes, self->count, &self->capacity, sizeof(observed *));
    self->processes[self->count++] = process;
}

static bool ends_in(const char *text, const char *ending)
{
    const size_t length = strlen(text), ending_length = strlen(ending);
    return length >= ending_length && strcmp(text + length - ending_length, ending) == 0;
}

static void find_processes(collector *self)
{
    DIR *const directory = opendir(self->directory);
    if (directory == NULL) return;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (!ends_in(entry->d_name, ".events")) continue;
        char *const path = must_print("%s/%s", self->directory, entry->d_name);
        if (!is_known(self, path)) meet(self, path);
        free(path);
    }
    closedir(directory);
}

/* --- draining --- */

static void introduce(collector *self, observed *process)
{
    const record_file *const file = process->file;
    if (process->is_in_trace) return;
    process->is_in_trace = true;
    process->index = self->trace_count++;

    const uint32_t command_bytes = file->command_bytes < RECORD_COMMAND_BYTES ? file->command_bytes : RECORD_COMMAND_BYTES;
    const trace_process facts = {
        .process_id = file->process_id,
        .parent_process_id = file->parent_process_id,
        .is_fork = file->is_fork,
        .program_bytes = (uint32_t)strnlen(file->program, RECORD_PROGRAM_BYTES),
        .command_bytes = command_bytes,
        .start_ticks = file->start_ticks,
    };
    uint8_t raw[sizeof facts + RECORD_PROGRAM_BYTES + RECORD_COMMAND_BYTES];
    memcpy(raw, &facts, sizeof facts);
    memcpy(raw + sizeof facts, file->program, facts.program_bytes);
    memcpy(raw + sizeof facts + facts.program_bytes, file->command, command_bytes);
    put(self, &(trace_frame){.kind = TRACE_PROCESS, .process = process->index}, raw,
        sizeof facts + facts.program_bytes + command_bytes);
}

/* Writes the first `used` bytes of a chunk as a frame. What they are is for the reader to check: decoding them here would cost as much
 * as making them did. */
static void drain_chunk(collector *self, observed *process, record_chunk *chunk)
{
    const uint32_t used = atomic_load_explicit(&chunk->used, memory_order_acquire);
    if (used == 0 || used > RECORD_CHUNK_ROOM) return;
    const uint64_t start_ticks = chunk->start_ticks, claimed = atomic_load_explicit(&chunk->end_ticks, memory_order_relaxed);
    const uint64_t end_ticks = claimed > start_ticks ? claimed : start_ticks;

    introduce(self, process);
    if (end_ticks > process->last_ticks) process->last_ticks = end_ticks;
    put(self, &(trace_frame){.kind = TRACE_EVENTS, .process = process->index, .thread = chunk->thread,
                             .start_ticks = start_ticks, .end_ticks = end_ticks}, record_chunk_events(chunk), used);
}

/* Its next owner says anew what it is for; until then nobody may take it for what it was. */
static void free_chunk(record_file *file, uint32_t index)
{
    atomic_store_explicit(&record_chunk_at(file, index)->used, 0, memory_order_release);
    atomic_store_explicit(&file->chunk_states[index], RECORD_CHUNK_FREE, memory_order_release);
}

static uint32_t chunk_count_of(const observed *process)
{
    const uint32_t claimed = atomic_load(&process->file->chunk_touched_count);
    return claimed < RECORD_CHUNK_COUNT_MAX ? claimed : RECORD_CHUNK_COUNT_MAX;
}

static void write_own(collector *self, observed *process, const acre_event_coder *coder, uint64_t start_ticks, const uint8_t *raw,
                      size_t used)
{
    if (used == 0) return;
    introduce(self, process);
    put(self, &(trace_frame){.kind = TRACE_EVENTS, .process = process->index, .start_ticks = start_ticks, .end_ticks = coder->time}, raw,
        used);
}

/* Writes what is new in a chunk of the recorder itself, which may still be written to: encoded anew, because a frame begins anew. */
static void take_own_part(collector *self, observed *process, record_chunk *chunk, uint32_t used)
{
    uint8_t raw[OWN_BUFFER_BYTES];
    size_t raw_used = 0;
    const uint64_t start_ticks = process->own_coder.time;
    acre_event_coder coder = {.time = start_ticks};
    while (process->own_used < used) {
        acre_event event;
        const size_t length =
            acre_event_decode(&process->own_coder, record_chunk_events(chunk) + process->own_used, used - process->own_used, &event);
        if (length == 0) break;
        process->own_used += (uint32_t)length;
        raw_used += acre_event_encode(&coder, &event, event.time, raw + raw_used, sizeof raw - raw_used);
    }
    process->own_used = used; /* what is no event has no end that could be known */
    write_own(self, process, &coder, start_ticks, raw, raw_used);
}

/* Takes what is new in chunk `index` if it is the recorder's own, and the one that is being read or none is. */
static void take_own_chunk(collector *self, observed *process, uint32_t index, bool is_over)
{
    record_chunk *const chunk = record_chunk_at(process->file, index);
    const uint32_t used = atomic_load_explicit(&chunk->used, memory_order_acquire);
    if (used == 0 || used > RECORD_CHUNK_ROOM || chunk->thread != 0) return;
    if (process->own_chunk != 0 && process->own_chunk != index + 1) return;
    if (process->own_chunk == 0) {
        process->own_chunk = index + 1;
        process->own_used = 0;
        process->own_coder = (acre_event_coder){.time = chunk->start_ticks};
    }
    if (used > process->own_used) take_own_part(self, process, chunk, used);
    if (!is_over) return;
    process->own_chunk = 0;
    free_chunk(process->file, index);
}

/* Call stacks and modules, which stand in the trace before the events that they explain: a trace that is cut off is of use then. Full
 * chunks first, as they are older; those that are written to are over when the process is. */
static void drain_own(collector *self, observed *process, bool has_process_ended)
{
    const uint32_t count = chunk_count_of(process);
    for (uint32_t wanted = RECORD_CHUNK_FULL; wanted >= RECORD_CHUNK_WRITING; wanted--)
        for (uint32_t i = 0; i < count; i++)
            if (atomic_load_explicit(&process->file->chunk_states[i], memory_order_acquire) == wanted)
                take_own_chunk(self, process, i, wanted == RECORD_CHUNK_FULL || has_process_ended);
}

/* Takes the full chunks of threads; when the process has ended also those that a thread was writing to. */
static bool drain(collector *self, observed *process, bool has_process_ended)
{
    record_file *const file = process->file;
    const uint32_t count = chunk_count_of(process);
    bool has_drained = false;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t state = atomic_load_explicit(&file->chunk_states[i], memory_order_acquire);
        if (state == RECORD_CHUNK_FREE || (state == RECORD_CHUNK_WRITING && !has_process_ended)) continue;
        record_chunk *const chunk = record_chunk_at(file, i);
        if (chunk->thread == 0 && has_process_ended) continue; /* it may have loaded modules and nothing more */
        if (atomic_load_explicit(&chunk->used, memory_order_acquire) == 0) continue;
        drain_own(self, process, has_process_ended);
        if (chunk->thread != 0) {
            drain_chunk(self, process, chunk);
            free_chunk(file, i);
        }
        has_drained = true;
    }
    return has_drained;
}

/* --- gauges --- */

static void write_gauges(collector *self, observed *process)
{
    if (process->gauge_used == 0) return;
    introduce(self, process);
    put(self, &(trace_frame){.kind = TRACE_EVENTS, .process = process->index, .thread = TRACE_GAUGE_THREAD,
                             .start_ticks = process->gauge_start_ticks, .end_ticks = process->gauge_coder.time},
        process->gauge_bytes, process->gauge_used);
    process->gauge_used = 0;
}

static void put_gauge(collector *self, observed *process, uint32_t gauge, uint64_t value, uint64_t ticks)
{
    if (sizeof process->gauge_bytes - process->gauge_used < ACRE_EVENT_FIXED_BYTES_MAX + ACRE_EVENT_SLACK_BYTES)
        write_gauges(self, process);
    if (process->gauge_used == 0) {
        process->gauge_start_ticks = ticks;
        process->gauge_coder = (acre_event_coder){.time = ticks};
    }
    const acre_event event = {.op = ACRE_EVENT_GAUGE, .kind = gauge, .size = value};
    process->gauge_used += acre_event_encode(&process->gauge_coder, &event, ticks,
                                             process->gauge_bytes + process->gauge_used,
                                             sizeof process->gauge_bytes - process->gauge_used);
    process->shown[gauge] = value;
}

/* Resident bytes from /proc/PID/statm, 0 when the process is gone or a zombie. */
static uint64_t resident_bytes(uint32_t process_id)
{
    char path[64], text[128];
    snprintf(path, sizeof path, "/proc/%u/statm", process_id);
    text[acre_read_file(path, text, sizeof text - 1)] = 0;
    const char *const resident = strchr(text, ' '); /* "total resident ...", in pages */
    if (resident == NULL) return 0;
    return strtoull(resident, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* What of the resident memory is the recording itself. */
static uint64_t recording_bytes(const observed *process)
{
    return (uint64_t)atomic_load(&process->file->chunk_touched_count) * RECORD_CHUNK_BYTES;
}

static void sample_gauges(collector *self, observed *process)
{
    record_file *const file = process->file;
    const uint64_t ticks = acre_ticks(self->clock);
    const uint64_t resident = resident_bytes(process->process_id);
    const uint64_t own = recording_bytes(process);
    if (resident > own) acre_gauge_set(&file->gauges, ACRE_GAUGE_RSS_BYTES, resident - own);
    for (uint32_t i = 0; i < ACRE_GAUGE_COUNT; i++) {
        const uint64_t value = acre_gauge_get(&file->gauges, (acre_gauge)i);
        if (value != process->shown[i]) put_gauge(self, process, i, value, ticks);
    }
    const uint64_t age_ns = acre_os_now_ns() - process->start_ns;
    const uint64_t step_ns = age_ns / GAUGE_POINTS;
    process->next_gauge_ns = acre_os_now_ns() + (step_ns > GAUGE_STEP_NS_MIN ? step_ns : GAUGE_STEP_NS_MIN);
}

/* --- the life of a process --- */

/* After exec the same process goes on in a later file; a folder lists the two in any order. */
static bool has_gone_on(const collector *self, const observed *process)
{
    for (size_t i = 0; i < self->count; i++) {
        const observed *const other = self->processes[i];
        if (other->process_id == process->process_id && other->start_ticks > process->start_ticks) return true;
    }
    return false;
}

static bool has_ended(const collector *self, const observed *process)
{
    if (has_gone_on(self, process)) return true;
    if (process->process_id == self->expected_id) return false;
    if (kill((pid_t)process->process_id, 0) != 0 && errno == ESRCH) return true;
    return resident_bytes(process->process_id) == 0;
}

/* The kernel's figure, where the process did not come to tell its own. */
static void learn_resident_peak(const collector *self, observed *process)
{
    acre_recorder_gauges *const gauges = &process->file->gauges;
    const uint64_t own = recording_bytes(process);
    if (acre_gauge_get(gauges, ACRE_GAUGE_RSS_PEAK_BYTES) == 0 && self->resident_peak_bytes > own)
        acre_gauge_set(gauges, ACRE_GAUGE_RSS_PEAK_BYTES, self->resident_peak_bytes - own);
}

static void part(collector *self, observed *process)
{
    record_file *const file = process->file;
    const bool is_expected = process->process_id == self->expected_id && !has_gone_on(self, process);
    /* A child that only went on to exec has loaded modules, and allocated nothing worth a place in the trace. */
    (void)drain(self, process, true);
    if (is_expected || acre_gauge_get(&file->gauges, ACRE_GAUGE_COMMITTED_BYTES) > 0) introduce(self, process);
    if (is_expected) learn_resident_peak(self, process);
    if (process->is_in_trace) {
        drain_own(self, process, true);
        sample_gauges(self, process);
        write_gauges(self, process);
        trace_process_end end = {
            .dropped_count = atomic_load(&file->dropped_count),
            .stack_audit_count = atomic_load(&file->stack_audit_count),
            .stack_wrong_count = atomic_load(&file->stack_wrong_count),
            .end_ticks = process->last_ticks,
            .is_finished = atomic_load(&file->is_finished),
            .wait_status = is_expected ? self->wait_status : -1,
        };
        static_assert(ACRE_GAUGE_COUNT <= sizeof end.gauges / sizeof end.gauges[0], "the frame has room for every gauge");
        for (uint32_t i = 0; i < ACRE_GAUGE_COUNT; i++) end.gauges[i] = acre_gauge_get(&file->gauges, (acre_gauge)i);
        put(self, &(trace_frame){.kind = TRACE_PROCESS_END, .process = process->index}, &end, sizeof end);
    }
    acre_shared_file_unmap(file, RECORD_FILE_BYTES);
    process->file = NULL;
    unlink(process->path);
}

collector *collector_open(const char *directory, trace_writer *writer)
{
    collector *const self = must_calloc(1, sizeof *self);
    self->directory = directory;
    self->writer = writer;
    self->clock = acre_clock_of_machine();
    return self;
}

void collector_expect(collector *self, uint32_t process_id)
{
    self->expected_id = process_id;
    self->wait_status = -1;
}

bool collector_round(collector *self)
{
    bool has_drained = false;
    const uint64_t now_ns = acre_os_now_ns();
    if (now_ns >= self->next_search_ns) {
        find_processes(self);
        self->next_search_ns = now_ns + SEARCH_STEP_NS;
    }
    for (size_t i = 0; i < self->count; i++) {
        observed *const process = self->processes[i];
        if (process->file == NULL) continue;
        atomic_fetch_add(&process->file->collector_beat, 1);
        if (drain(self, process, false)) {
            has_drained = true;
            if (process->gauge_used >= GAUGE_FRAME_BYTES) write_gauges(self, process);
        }
        if (now_ns < process->next_gauge_ns) continue;
        if (has_ended(self, process)) part(self, process);
        else sample_gauges(self, process);
    }
    return has_drained;
}

void collector_finish(collector *self, int wait_status, uint64_t resident_peak_bytes)
{
    self->wait_status = wait_status;
    self->resident_peak_bytes = resident_peak_bytes;
    find_processes(self);
    for (size_t i = 0; i < self->count; i++)
        if (self->processes[i]->file != NULL) part(self, self->processes[i]);
}

void collector_close(collector *self)
{
    for (size_t i = 0; i < self->count; i++) {
        if (self->processes[i]->file != NULL) acre_shared_file_unmap(self->processes[i]->file, RECORD_FILE_BYTES);
        free(self->processes[i]->path);
        free(self->processes[i]);
    }
    free(self->processes);
    free(self);
}
