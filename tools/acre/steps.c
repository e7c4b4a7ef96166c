/* steps.c - see steps.h. Addresses become numbers through a table of live blocks. */
#include "steps.h"

#include "command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct live_object {
    uint64_t address; /* 0: free slot */
    uint64_t size;
    uint32_t object;
} live_object;

typedef struct step_maker {
    FILE *out;
    replay_header header;
    uint64_t live_bytes;
    live_object *slots; /* open addressing by address */
    size_t slot_count, used_count;
    uint32_t *free_objects; /* numbers to use again */
    size_t free_count, free_capacity;
    uint64_t skipped_count;
    bool has_failed;
    bool is_of_device; /* the steps are those of device memory, not of the heap */
} step_maker;

static size_t home_of(const step_maker *self, uint64_t address)
{
    return (size_t)((address >> 3) * UINT64_C(0x9E3779B97F4A7C15) >> 20) & (self->slot_count - 1);
}

static live_object *slot_of(step_maker *self, uint64_t address)
{
    size_t at = home_of(self, address);
    while (self->slots[at].address != 0 && self->slots[at].address != address) at = (at + 1) & (self->slot_count - 1);
    return &self->slots[at];
}

static void make_room(step_maker *self)
{
    if (self->used_count < self->slot_count / 2) return;
    live_object *const old = self->slots;
    const size_t old_count = self->slot_count;
    self->slot_count = old_count == 0 ? 1024 : old_count * 2;
    self->slots = must_calloc(self->slot_count, sizeof *self->slots);
    for (size_t i = 0; i < old_count; i++)
        if (old[i].address != 0) *slot_of(self, old[i].address) = old[i];
    free(old);
}

static void remove_slot(step_maker *self, live_object *removed)
{
    const size_t mask = self->slot_count - 1;
    size_t hole = (size_t)(removed - self->slots);
    for (size_t at = (hole + 1) & mask; self->slots[at].address != 0; at = (at + 1) & mask) {
        if (((at - home_of(self, self->slots[at].address)) & mask) >= ((at - hole) & mask)) {
            self->slots[hole] = self->slots[at];
            hole = at;
        }
    }
    self->slots[hole].address = 0;
    self->used_count--;
}

static void put_step(step_maker *self, const replay_step *step)
{
    self->has_failed |= fwrite(step, sizeof *step, 1, self->out) != 1;
    self->header.step_count++;
}

static uint32_t new_object(step_maker *self)
{
    return self->free_count > 0 ? self->free_objects[--self->free_count] : (uint32_t)self->header.object_count++;
}

/* Forgets the block at `address`; `*object` is its number. False when the trace does not know it. */
static bool forget(step_maker *self, uint64_t address, uint32_t *object)
{
    live_object *const slot = self->slot_count > 0 && address != 0 ? slot_of(self, address) : NULL;
    if (slot == NULL || slot->address == 0) return false;
    *object = slot->object;
    self->live_bytes -= slot->size;
    remove_slot(self, slot);
    return true;
}

static void release(step_maker *self, uint64_t address)
{
    uint32_t object;
    if (!forget(self, address, &object)) {
        self->skipped_count++;
        return;
    }
    put_step(self, &(replay_step){.op = ACRE_EVENT_FREE, .object = object});
    self->free_objects = grow_array(self->free_objects, self->free_count, &self->free_capacity, sizeof *self->free_objects);
    self->free_objects[self->free_count++] = object;
}

static void take_event(void *context, const acre_event *event)
{
    step_maker *const self = context;
    acre_event of_device;
    uint32_t object;
    if (self->is_of_device) {
        if (event->op != ACRE_EVENT_SYSTEM || event->kind != ACRE_EVENT_KIND_DEVICE) return;
        of_device = *event;
        of_device.op = event->size > 0 ? ACRE_EVENT_ALLOC : ACRE_EVENT_FREE;
        event = &of_device;
    }
    if (event->op == ACRE_EVENT_FREE) {
        release(self, event->address);
        return;
    }
    if (!acre_event_is_allocation(event->op) || event->address == 0) return;

    const bool is_resize = event->op == ACRE_EVENT_REALLOC && forget(self, event->old_address, &object);
    make_room(self);
    if (slot_of(self, event->address)->address != 0) release(self, event->address); /* its free is missing in the trace */
    if (!is_resize) object = new_object(self);
    *slot_of(self, event->address) = (live_object){.address = event->address, .size = event->size, .object = object};
    self->used_count++;
    self->live_bytes += event->size;
    if (self->live_bytes > self->header.peak_live_bytes) self->header.peak_live_bytes = self->live_bytes;
    const bool has_alignment = event->alignment > 1 && (event->alignment & (event->alignment - 1)) == 0;
    put_step(self, &(replay_step){
                       .op = event->op == ACRE_EVENT_REALLOC && !is_resize ? (uint8_t)ACRE_EVENT_ALLOC : event->op,
                       .size = event->size,
                       .object = object,
                       .alignment_log2 = has_alignment ? (uint8_t)__builtin_ctzll(event->alignment) : 4,
                   });
}

static void let_go(step_maker *self)
{
    free(self->slots);
    free(self->free_objects);
}

bool steps_write(trace_reader *reader, uint32_t process, FILE *out, replay_header *header, uint64_t *skipped_count)
{
    step_maker self = {.out = out};
    self.has_failed |= fwrite(&self.header, sizeof self.header, 1, out) != 1;
    trace_for_each_event(reader, process, take_event, &self);
    rewind(out);
    self.has_failed |= fwrite(&self.header, sizeof self.header, 1, out) != 1;
    self.has_failed |= fclose(out) != 0;
    let_go(&self);
    *header = self.header;
    *skipped_count = self.skipped_count;
    return !self.has_failed;
}

bool steps_choose_process(const trace_reader *reader, uint64_t process_id, uint32_t *chosen)
{
    uint64_t most = 0;
    bool is_found = false;
    for (uint32_t i = 0; i < trace_process_count(reader); i++) {
        const trace_process_info *const info = trace_process_at(reader, i);
        if (process_id != 0 && info->process.process_id != process_id) continue;
        if (is_found && info->frame_count <= most) continue;
        most = info->frame_count;
        *chosen = i;
        is_found = true;
    }
    return is_found;
}

/* Ends what was written into memory. NULL after a message. */
static replay_step *steps_in_memory(const char *command_name, step_maker *self, char **bytes, bool is_good, replay_header *header)
{
    const bool is_written = self->out != NULL && fclose(self->out) == 0 && !self->has_failed;
    if (is_good && !is_written) complain(command_name, "no memory for the steps: %s", strerror(errno));
    let_go(self);
    *header = self->header;
    if (is_good && is_written) return (replay_step *)(void *)*bytes;
    free(*bytes);
    return NULL;
}

/* The next word of a line, or NULL. */
static char *next_word(char **rest) { return strtok_r(NULL, " \t\r", rest); }

/* `alloc ID BYTES` or `free ID`; IDs stand for addresses. */
static bool read_step(char *line, acre_event *event)
{
    char *rest = NULL;
    const char *const op = strtok_r(line, " \t\r", &rest);
    const char *const id_text = next_word(&rest);
    uint64_t id;
    if (op == NULL || id_text == NULL || !parse_number(id_text, 0, UINT64_MAX >> 5, &id)) return false;
    event->address = (id + 1) << 4;
    if (strcmp(op, "free") == 0) {
        event->op = ACRE_EVENT_FREE;
    } else {
        const char *const size_text = next_word(&rest);
        if (strcmp(op, "alloc") != 0 || size_text == NULL || !parse_number(size_text, 0, UINT64_MAX >> 8, &event->size)) return false;
    }
    return next_word(&rest) == NULL;
}

/* A line of what rmm's logging resource adaptor writes: thread, time, action, pointer, size, stream. Failed allocations are left out. */
static bool read_log_line(char *line, acre_event *event)
{
    enum { ACTION = 2, POINTER = 3, SIZE = 4, FIELDS = 6 };
    char *fields[FIELDS];
    char *rest = line;
    char *end = NULL;
    size_t count = 0;
    while (count < FIELDS && (fields[count] = strsep(&rest, ",")) != NULL) count++;
    if (count != FIELDS || rest != NULL) return false;
    if (strcmp(fields[ACTION], "free") == 0) event->op = ACRE_EVENT_FREE;
    else if (strcmp(fields[ACTION], "allocate") != 0 && strcmp(fields[ACTION], "allocate failure") != 0) return false;
    errno = 0;
    event->address = strtoull(fields[POINTER], &end, 16);
    if (end == fields[POINTER] || *end != 0 || errno != 0) return false;
    if (strcmp(fields[ACTION], "allocate failure") == 0) event->address = 0;
    return parse_number(fields[SIZE], 0, UINT64_MAX >> 8, &event->size);
}

#define LOG_HEADING "Thread,Time,Action,Pointer,Size,Stream"

/* A file of text: steps, or a log, which begins with its heading. */
static replay_step *steps_of_text(const char *command_name, const char *path, FILE *file, replay_header *header)
{
    char *bytes = NULL, line[256];
    size_t length = 0;
    step_maker self = {.out = open_memstream(&bytes, &length)};
    unsigned long long number = 0;
    bool is_good = true, is_log = false;
    while (is_good && self.out != NULL && fgets(line, sizeof line, file) != NULL) {
        acre_event event = {.op = ACRE_EVENT_ALLOC};
        number++;
        line[strcspn(line, "#\r\n")] = 0;
        if (line[strspn(line, " \t")] == 0) continue;
        if (number == 1 && strcmp(line, LOG_HEADING) == 0) {
            is_log = true;
            continue;
        }
        is_good = is_log ? read_log_line(line, &event) : read_step(line, &event);
        if (is_good)
            take_event(&self, &event);
        else
            complain(command_name, "'%s' is no trace, and line %llu of it is %s", path, number,
                     is_log ? "none of an rmm log" : "neither 'alloc ID BYTES' nor 'free ID'");
    }
    return steps_in_memory(command_name, &self, &bytes, is_good, header);
}

static replay_step *steps_of_trace(const char *command_name, trace_reader *reader, uint32_t process, bool is_of_device,
                                   replay_header *header)
{
    char *bytes = NULL;
    size_t length = 0;
    step_maker self = {.out = open_memstream(&bytes, &length), .is_of_device = is_of_device};
    if (self.out != NULL) trace_for_each_event(reader, process, take_event, &self);
    return steps_in_memory(command_name, &self, &bytes, true, header);
}

/* Of device memory, if the process had any, where that is wanted. */
static replay_step *steps_of_either(const char *command_name, trace_reader *reader, uint32_t process, bool wants_device,
                                    replay_header *header)
{
    if (wants_device) {
        replay_step *const steps = steps_of_trace(command_name, reader, process, true, header);
        if (steps == NULL || header->step_count > 0) return steps;
        free(steps);
    }
    return steps_of_trace(command_name, reader, process, false, header);
}

replay_step *steps_of_file(const char *command_name, const char *path, uint64_t process_id, bool wants_device, replay_header *header)
{
    FILE *const file = fopen(path, "re");
    if (file == NULL) {
        complain(command_name, "'%s' can't be read: %s", path, strerror(errno));
        return NULL;
    }
    uint64_t magic = 0;
    const bool is_trace = fread(&magic, sizeof magic, 1, file) == 1 && magic == TRACE_MAGIC;
    rewind(file);
    replay_step *steps = NULL;
    if (!is_trace) steps = steps_of_text(command_name, path, file, header);
    (void)fclose(file);
    if (!is_trace) return steps;

    trace_reader *reader = NULL;
    uint32_t process = 0;
    if (trace_reader_open(&reader, path) != ACRE_OK) {
        complain(command_name, "%s", acre_last_error());
        return NULL;
    }
    if (trace_header_of(reader)->sample_bytes > 0)
        complain(command_name, "'%s' is sampled: a trace of every event is needed ('acre run --record')", path);
    else if (!steps_choose_process(reader, process_id, &process))
        complain(command_name, "'%s' has no process %llu", path, (unsigned long long)process_id);
    else
        steps = steps_of_either(command_name, reader, process, wants_device, header);
    trace_reader_close(reader);
    return steps;
}
