/* trace_reader.c - see trace_reader.h. */
#include "trace_reader.h"
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum { STACK_ID_MAX = 1 << 22, PROCESS_COUNT_MAX = 1 << 20, STACK_FRAMES_MAX = 1024 };

typedef struct frame_entry {
    size_t offset; /* of the frame's header in the file */
    uint64_t start_ticks;
    uint32_t process;
    uint32_t thread;
} frame_entry;

struct trace_reader {
    char *name;
    const uint8_t *bytes;
    size_t length;
    bool is_mapped;
    trace_header header;
    char *damage;
    frame_entry *frames; /* of events, by process, thread, time */
    size_t frame_count;
    size_t frame_capacity;
    trace_process_info *processes;
    size_t process_count;
    size_t process_capacity;
    ZSTD_DCtx *decompressor;
};

static void set_damage(trace_reader *reader, size_t offset, const char *format, ...) ACRE_PRINTF(3, 4);

/* The first damage is the one that counts. */
static void set_damage(trace_reader *reader, size_t offset, const char *format, ...)
{
    if (reader->damage != NULL) return;
    char what[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    reader->damage = must_print("%s: at byte offset %zu of %zu: %s", reader->name, offset, reader->length, what);
}

static trace_frame frame_at(const trace_reader *reader, size_t offset)
{
    trace_frame frame;
    memcpy(&frame, reader->bytes + offset, sizeof frame);
    return frame;
}

uint64_t trace_ns(const trace_reader *reader, uint64_t ticks)
{
    if (ticks <= reader->header.start_ticks) return 0;
    return (uint64_t)((long double)(ticks - reader->header.start_ticks) * 1e9L / reader->header.ticks_per_second);
}

/* --- the index --- */

/* Decompresses the frame at `offset`, whose header and checksum are sound, into `raw` of raw_bytes. */
static bool decompress(trace_reader *reader, size_t offset, uint8_t *raw)
{
    const trace_frame frame = frame_at(reader, offset);
    if (frame.raw_bytes == 0) return true;
    const size_t got = ZSTD_decompressDCtx(reader->decompressor, raw, frame.raw_bytes, reader->bytes + offset + sizeof frame,
                                           frame.stored_bytes);
    if (!ZSTD_isError(got) && got == frame.raw_bytes) return true;
    set_damage(reader, offset, "a frame of %u bytes can't be decompressed", frame.stored_bytes);
    return false;
}

/* Is there a whole frame at `offset`? */
static bool check_frame(trace_reader *reader, size_t offset)
{
    const size_t left = reader->length - offset;
    if (left < sizeof(trace_frame)) {
        set_damage(reader, offset, "the file ends within a frame's header");
        return false;
    }
    const trace_frame frame = frame_at(reader, offset);
    if (frame.magic != TRACE_FRAME_MAGIC ||
        frame.check != crc32(0, reader->bytes + offset, offsetof(trace_frame, check))) {
        set_damage(reader, offset, "no sound frame header");
        return false;
    }
    if (frame.stored_bytes > left - sizeof frame) {
        set_damage(reader, offset, "the file ends within a frame of %u bytes", frame.stored_bytes);
        return false;
    }
    if (frame.stored_check != crc32(0, reader->bytes + offset + sizeof frame, frame.stored_bytes)) {
        set_damage(reader, offset, "the checksum of a frame's %u bytes is wrong", frame.stored_bytes);
        return false;
    }
    if (frame.raw_bytes > TRACE_FRAME_RAW_BYTES_MAX) {
        set_damage(reader, offset, "a frame says that it unpacks to %u bytes, at most %d are allowed", frame.raw_bytes,
                   TRACE_FRAME_RAW_BYTES_MAX);
        return false;
    }
    return true;
}

static bool take_process(trace_reader *reader, size_t offset, const trace_frame *frame, const uint8_t *raw)
{
    trace_process process;
    if (frame->raw_bytes < sizeof process || frame->process != reader->process_count ||
        reader->process_count >= PROCESS_COUNT_MAX) {
        set_damage(reader, offset, "process %u is out of turn", frame->process);
        return false;
    }
    memcpy(&process, raw, sizeof process);
    const size_t texts_bytes = frame->raw_bytes - sizeof process;
    if (process.program_bytes > texts_bytes || process.command_bytes != texts_bytes - process.program_bytes) {
        set_damage(reader, offset, "the texts of process %u have a wrong length", frame->process);
        return false;
    }
    const char *const texts = (const char *)raw + sizeof process;
    reader->processes = grow_array(reader->processes, reader->process_count, &reader->process_capacity,
                                   sizeof *reader->processes);
    trace_process_info *const info = &reader->processes[reader->process_count++];
    *info = (trace_process_info){.process = process, .start_ns = trace_ns(reader, process.start_ticks)};
    info->end_ns = info->start_ns;
    info->program = must_copy_part(texts, process.program_bytes);
    info->command = must_calloc(process.command_bytes + 1, 1);
    memcpy(info->command, texts + process.program_bytes, process.command_bytes);
    /* The first argument is how it was called; a file of several programs is another one then. A login shell has a '-'. */
    const char *const called = info->command[0] != 0 ? info->command : info->program;
    const char *const slash = strrchr(called, '/');
    const char *const name = slash != NULL ? slash + 1 : called;
    info->name = must_copy(name[0] == '-' ? name + 1 : name);
    size_t command_bytes = process.command_bytes;
    while (command_bytes > 0 && info->command[command_bytes - 1] == 0) command_bytes--;
    for (size_t i = 0; i < command_bytes; i++)
        if (info->command[i] == 0) info->command[i] = ' ';
    return true;
}

static bool take_process_end(trace_reader *reader, size_t offset, const trace_frame *frame, const uint8_t *raw)
{
    if (frame->raw_bytes != sizeof(trace_process_end) || frame->process >= reader->process_count) {
        set_damage(reader, offset, "the end of process %u makes no sense", frame->process);
        return false;
    }
    trace_process_info *const info = &reader->processes[frame->process];
    memcpy(&info->end, raw, sizeof info->end);
    info->has_end = true;
    if (trace_ns(reader, info->end.end_ticks) > info->end_ns) info->end_ns = trace_ns(reader, info->end.end_ticks);
    return true;
}

static bool take_events(trace_reader *reader, size_t offset, const trace_frame *frame)
{
    if (frame->process >= reader->process_count || frame->end_ticks < frame->start_ticks) {
        set_damage(reader, offset, "events of a process %u that the trace does not name", frame->process);
        return false;
    }
    reader->frames = grow_array(reader->frames, reader->frame_count, &reader->frame_capacity, sizeof *reader->frames);
    reader->frames[reader->frame_count++] = (frame_entry){
        .offset = offset,
        .start_ticks = frame->start_ticks,
        .process = frame->process,
        .thread = frame->thread,
    };
    trace_process_info *const info = &reader->processes[frame->process];
    const uint64_t end_ns = trace_ns(reader, frame->end_ticks);
    if (end_ns > info->end_ns) info->end_ns = end_ns;
    info->frame_count++;
    return true;
}

static int compare_frames(const void *left, const void *right)
{
    const frame_entry *const a = left, *const b = right;
    if (a->process != b->process) return a->process < b->process ? -1 : 1;
    if (a->thread != b->thread) return a->thread < b->thread ? -1 : 1;
    if (a->start_ticks != b->start_ticks) return a->start_ticks < b->start_ticks ? -1 : 1;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static void read_frames(trace_reader *reader)
{
    static uint8_t raw[TRACE_FRAME_RAW_BYTES_MAX];
    size_t offset = reader->header.header_bytes;
    bool has_end = false;
    while (!has_end && offset < reader->length && check_frame(reader, offset)) {
        const trace_frame frame = frame_at(reader, offset);
        bool is_sound = true;
        switch (frame.kind) {
        case TRACE_PROCESS: is_sound = decompress(reader, offset, raw) && take_process(reader, offset, &frame, raw); break;
        case TRACE_PROCESS_END:
            is_sound = decompress(reader, offset, raw) && take_process_end(reader, offset, &frame, raw);
            break;
        case TRACE_EVENTS: is_sound = take_events(reader, offset, &frame); break;
        case TRACE_END: has_end = true; break;
        default: break; /* of a later version */
        }
        if (!is_sound) break;
        offset += sizeof frame + frame.stored_bytes;
    }
    if (!has_end) set_damage(reader, offset, "the trace ends here, before its end mark (the recording was cut off)");
    if (reader->frame_count > 0) qsort(reader->frames, reader->frame_count, sizeof *reader->frames, compare_frames);
}

/* --- streams: the frames of one thread, one after the other --- */

typedef struct stream {
    trace_reader *reader;
    size_t next_frame, end_frame; /* in reader->frames */
    uint8_t *raw;
    size_t raw_capacity, raw_bytes, at;
    size_t frame_offset;
    uint32_t thread;
    acre_event_coder coder;
    acre_event event; /* the next one to be given */
} stream;

static bool open_next_frame(stream *from)
{
    if (from->next_frame == from->end_frame) return false;
    const frame_entry *const entry = &from->reader->frames[from->next_frame++];
    const trace_frame frame = frame_at(from->reader, entry->offset);
    if (frame.raw_bytes > from->raw_capacity) {
        from->raw_capacity = frame.raw_bytes;
        from->raw = must_realloc(from->raw, from->raw_capacity);
    }
    if (!decompress(from->reader, entry->offset, from->raw)) return false;
    from->raw_bytes = frame.raw_bytes;
    from->at = 0;
    from->frame_offset = entry->offset;
    from->coder = (acre_event_coder){.time = frame.start_ticks};
    return true;
}

/* Decodes the next event into from->event, its time in ticks; false at the end of the thread. */
static bool advance(stream *from)
{
    while (from->at == from->raw_bytes)
        if (!open_next_frame(from)) return false;
    const size_t length = acre_event_decode(&from->coder, from->raw + from->at, from->raw_bytes - from->at, &from->event);
    if (length == 0) {
        set_damage(from->reader, from->frame_offset, "no event at byte %zu of the frame's contents", from->at);
        return false;
    }
    from->at += length;
    from->event.thread = from->thread;
    return true;
}

/* --- stacks and modules --- */

static void define_stack(trace_process_info *info, const acre_event *event)
{
    const size_t count = event->payload_bytes / sizeof(uint64_t);
    if (event->stack == 0 || event->stack > STACK_ID_MAX || count == 0 || count > STACK_FRAMES_MAX) return;
    if (event->stack >= info->stack_count) {
        const uint32_t old_count = info->stack_count;
        uint32_t new_count = old_count == 0 ? 64 : old_count;
        while (new_count <= event->stack) new_count *= 2;
        info->stacks = must_realloc(info->stacks, new_count * sizeof *info->stacks);
        memset(info->stacks + old_count, 0, (new_count - old_count) * sizeof *info->stacks);
        info->stack_count = new_count;
    }
    trace_stack *const stack = &info->stacks[event->stack];
    free(stack->pcs);
    stack->pcs = must_alloc(count * sizeof(uint64_t));
    memcpy(stack->pcs, event->payload, count * sizeof(uint64_t));
    stack->count = (uint32_t)count;
}

static void define_module(trace_process_info *info, const acre_event *event)
{
    if (event->address + event->size < event->address) return;
    info->modules = must_realloc(info->modules, (info->module_count + 1) * sizeof *info->modules);
    info->modules[info->module_count++] = (trace_module){
        .begin = event->address,
        .end = event->address + event->size,
        .file_offset = event->alignment,
        .path = must_copy_part(event->payload, event->payload_bytes),
    };
}

/* The frames of [first, end) that belong to one thread. */
static size_t end_of_thread(const trace_reader *reader, size_t first)
{
    size_t end = first + 1;
    while (end < reader->frame_count && reader->frames[end].process == reader->frames[first].process &&
           reader->frames[end].thread == reader->frames[first].thread)
        end++;
    return end;
}

static size_t first_frame_of(const trace_reader *reader, uint32_t process)
{
    size_t low = 0, high = reader->frame_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (reader->frames[middle].process < process) low = middle + 1;
        else high = middle;
    }
    return low;
}

static void read_definitions(trace_reader *reader)
{
    for (size_t first = 0; first < reader->frame_count;) {
        const size_t end = end_of_thread(reader, first);
        if (reader->frames[first].thread == 0) {
            stream own = {.reader = reader, .next_frame = first, .end_frame = end};
            trace_process_info *const info = &reader->processes[reader->frames[first].process];
            while (advance(&own)) {
                if (own.event.op == ACRE_EVENT_STACK) define_stack(info, &own.event);
                if (own.event.op == ACRE_EVENT_MODULE) define_module(info, &own.event);
            }
            free(own.raw);
        }
        first = end;
    }
}

/* --- merging by time: a binary heap of streams, the earliest event at its root --- */

static void sift_down(stream **heap, size_t count, size_t at)
{
    for (;;) {
        size_t least = at;
        const size_t left = 2 * at + 1, right = left + 1;
        if (left < count && heap[left]->event.time < heap[least]->event.time) least = left;
        if (right < count && heap[right]->event.time < heap[least]->event.time) least = right;
        if (least == at) return;
        stream *const swap = heap[at];
        heap[at] = heap[least];
        heap[least] = swap;
        at = least;
    }
}

void trace_for_each_event(trace_reader *reader, uint32_t process, void (*take)(void *context, const acre_event *event),
                          void *context)
{
    stream **heap = NULL;
    size_t count = 0, capacity = 0;
    for (size_t first = first_frame_of(reader, process);
         first < reader->frame_count && reader->frames[first].process == process;) {
        const size_t end = end_of_thread(reader, first);
        stream *const from = must_calloc(1, sizeof *from);
        *from = (stream){.reader = reader, .next_frame = first, .end_frame = end, .thread = reader->frames[first].thread};
        if (from->thread != 0 && advance(from)) {
            heap = grow_array(heap, count, &capacity, sizeof *heap);
            heap[count++] = from;
        } else {
            free(from->raw);
            free(from);
        }
        first = end;
    }
    for (size_t i = count; i-- > 0;) sift_down(heap, count, i);
    while (count > 0) {
        stream *const from = heap[0];
        acre_event event = from->event;
        event.time = trace_ns(reader, event.time);
        take(context, &event);
        if (!advance(from)) {
            free(from->raw);
            free(from);
            heap[0] = heap[--count];
        }
        sift_down(heap, count, 0);
    }
    free(heap);
}

/* --- the reader --- */

acre_status trace_reader_open_memory(trace_reader **out, const char *name, const uint8_t *bytes, size_t length)
{
    trace_header header;
    if (length < sizeof header)
        return acre_fail(ACRE_CORRUPT, "trace '%s': %zu byte%s too few for a trace", name, length, length == 1 ? " is" : "s are");
    memcpy(&header, bytes, sizeof header);
    if (header.magic != TRACE_MAGIC) return acre_fail(ACRE_CORRUPT, "trace '%s': at byte offset 0: not an acre trace", name);
    if (header.version < TRACE_VERSION_OLDEST || header.version > TRACE_VERSION)
        return acre_fail(ACRE_UNSUPPORTED, "trace '%s': format version %u, this acre reads %d to %d", name, header.version,
                         TRACE_VERSION_OLDEST, TRACE_VERSION);
    if (header.check != crc32(0, bytes, offsetof(trace_header, check)) || header.header_bytes < sizeof header ||
        header.header_bytes > length || header.ticks_per_second == 0)
        return acre_fail(ACRE_CORRUPT, "trace '%s': at byte offset 0: the header is damaged", name);

    trace_reader *const reader = must_calloc(1, sizeof *reader);
    reader->name = must_copy(name);
    reader->bytes = bytes;
    reader->length = length;
    reader->header = header;
    reader->decompressor = ZSTD_createDCtx();
    read_frames(reader);
    read_definitions(reader);
    *out = reader;
    return ACRE_OK;
}

acre_status trace_reader_open(trace_reader **out, const char *path)
{
    struct stat facts;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return acre_fail(ACRE_IO, "trace '%s': %s", path, strerror(errno));
    if (fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode) || facts.st_size == 0) {
        close(fd);
        return acre_fail(ACRE_IO, "trace '%s': not a file with contents", path);
    }
    void *const bytes = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (bytes == MAP_FAILED) return acre_fail(ACRE_IO, "trace '%s': %s", path, strerror(errno));

    const acre_status status = trace_reader_open_memory(out, path, bytes, (size_t)facts.st_size);
    if (status == ACRE_OK) (*out)->is_mapped = true;
    else munmap(bytes, (size_t)facts.st_size);
    return status;
}

void trace_reader_close(trace_reader *reader)
{
    for (size_t i = 0; i < reader->process_count; i++) {
        trace_process_info *const info = &reader->processes[i];
        for (uint32_t k = 0; k < info->stack_count; k++) free(info->stacks[k].pcs);
        for (uint32_t k = 0; k < info->module_count; k++) free(info->modules[k].path);
        free(info->stacks);
        free(info->modules);
        free(info->program);
        free(info->command);
        free(info->name);
    }
    if (reader->is_mapped) munmap((void *)(uintptr_t)reader->bytes, reader->length);
    ZSTD_freeDCtx(reader->decompressor);
    free(reader->processes);
    free(reader->frames);
    free(reader->damage);
    free(reader->name);
    free(reader);
}

const trace_header *trace_header_of(const trace_reader *reader) { return &reader->header; }
const char *trace_damage(const trace_reader *reader) { return reader->damage; }
uint32_t trace_process_count(const trace_reader *reader) { return (uint32_t)reader->process_count; }

const trace_process_info *trace_process_at(const trace_reader *reader, uint32_t index)
{
    assert(index < reader->process_count);
    return &reader->processes[index];
}
