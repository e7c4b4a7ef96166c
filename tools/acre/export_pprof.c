/* export_pprof.c - the profile.proto of pprof, encoded by hand: it needs six messages and two wire types.
 *
 * Field numbers: https://github.com/google/pprof/blob/main/proto/profile.proto
 */
#include "command.h"
#include "exports.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

typedef struct buffer {
    uint8_t *bytes;
    size_t length, capacity;
} buffer;

enum { WIRE_VARINT = 0, WIRE_BYTES = 2 };
enum { PROFILE_SAMPLE_TYPE = 1, PROFILE_SAMPLE = 2, PROFILE_MAPPING = 3, PROFILE_LOCATION = 4, PROFILE_FUNCTION = 5,
       PROFILE_STRING = 6, PROFILE_TIME_NANOS = 9, PROFILE_DURATION_NANOS = 10, PROFILE_PERIOD_TYPE = 11, PROFILE_PERIOD = 12,
       PROFILE_DEFAULT_TYPE = 14 };
enum { SAMPLE_LOCATION = 1, SAMPLE_VALUE = 2, SAMPLE_LABEL = 3, LABEL_KEY = 1, LABEL_NUMBER = 3 };
enum { LOCATION_ID = 1, LOCATION_MAPPING = 2, LOCATION_ADDRESS = 3, LOCATION_LINE = 4, LINE_FUNCTION = 1, LINE_NUMBER = 2 };
enum { FUNCTION_ID = 1, FUNCTION_NAME = 2, FUNCTION_SYSTEM_NAME = 3, FUNCTION_FILE = 4 };
enum { MAPPING_ID = 1, MAPPING_START = 2, MAPPING_LIMIT = 3, MAPPING_OFFSET = 4, MAPPING_FILE = 5, MAPPING_HAS_FUNCTIONS = 7,
       MAPPING_HAS_FILES = 8, MAPPING_HAS_LINES = 9, MAPPING_HAS_INLINE = 10 };

static void put_byte(buffer *out, uint8_t byte)
{
    out->bytes = grow_array(out->bytes, out->length, &out->capacity, 1);
    out->bytes[out->length++] = byte;
}

static void put_varint(buffer *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) put_byte(out, (uint8_t)(value | 0x80));
    put_byte(out, (uint8_t)value);
}

static void put_number(buffer *out, unsigned field, uint64_t value)
{
    put_varint(out, (uint64_t)field << 3 | WIRE_VARINT);
    put_varint(out, value);
}

static void put_bytes(buffer *out, unsigned field, const void *bytes, size_t length)
{
    put_varint(out, (uint64_t)field << 3 | WIRE_BYTES);
    put_varint(out, length);
    for (size_t i = 0; i < length; i++) put_byte(out, ((const uint8_t *)bytes)[i]);
}

/* Appends a finished message as a field of `out`, and empties it for the next one. */
static void put_message(buffer *out, unsigned field, buffer *message)
{
    put_bytes(out, field, message->bytes, message->length);
    message->length = 0;
}

/* --- tables of strings and functions: each gets its number when it is first met --- */

typedef struct text_slot {
    const char *text, *file; /* strings have no file */
    uint64_t number;
} text_slot;

typedef struct text_table {
    text_slot *slots;
    size_t slot_count, used_count;
} text_table;

static size_t slot_of(const text_table *table, const char *text, const char *file)
{
    size_t hash = 1469598103u;
    for (const char *c = text; *c != 0; c++) hash = (hash ^ (uint8_t)*c) * 16777619u;
    size_t at = hash & (table->slot_count - 1);
    while (table->slots[at].text != NULL &&
           (strcmp(table->slots[at].text, text) != 0 || strcmp(table->slots[at].file, file) != 0))
        at = (at + 1) & (table->slot_count - 1);
    return at;
}

/* The number of (text, file), which must outlive the table; `*is_added` when it is met for the first time. */
static uint64_t number_of(text_table *table, const char *text, const char *file, bool *is_added)
{
    if (table->used_count >= table->slot_count / 2) {
        const text_table old = *table;
        table->slot_count = old.slot_count == 0 ? 256 : old.slot_count * 2;
        table->slots = must_calloc(table->slot_count, sizeof *table->slots);
        for (size_t i = 0; i < old.slot_count; i++)
            if (old.slots[i].text != NULL) table->slots[slot_of(table, old.slots[i].text, old.slots[i].file)] = old.slots[i];
        free(old.slots);
    }
    text_slot *const slot = &table->slots[slot_of(table, text, file)];
    *is_added = slot->text == NULL;
    if (*is_added) *slot = (text_slot){.text = text, .file = file, .number = table->used_count++};
    return slot->number;
}

typedef struct encoder {
    buffer profile, message, inner, packed;
    text_table strings, functions;
    uint64_t location_count, mapping_count;
} encoder;

static uint64_t string(encoder *self, const char *text)
{
    bool is_added;
    const uint64_t number = number_of(&self->strings, text, "", &is_added);
    if (is_added) put_bytes(&self->profile, PROFILE_STRING, text, strlen(text));
    return number;
}

static uint64_t function(encoder *self, const symbol_frame *frame)
{
    bool is_added;
    const char *const file = frame->file != NULL ? frame->file : "";
    const uint64_t id = number_of(&self->functions, frame->function, file, &is_added) + 1; /* 0 means none */
    if (is_added) {
        const uint64_t name = string(self, frame->function), file_name = string(self, file);
        buffer message = {0};
        put_number(&message, FUNCTION_ID, id);
        put_number(&message, FUNCTION_NAME, name);
        put_number(&message, FUNCTION_SYSTEM_NAME, name);
        put_number(&message, FUNCTION_FILE, file_name);
        put_message(&self->profile, PROFILE_FUNCTION, &message);
        free(message.bytes);
    }
    return id;
}

/* --- locations: one a return address and process --- */

typedef struct location_slot {
    uint64_t address, id;
} location_slot;

typedef struct location_table {
    location_slot *slots;
    size_t slot_count;
} location_table;

static uint64_t location(encoder *self, const profile *process, uint64_t first_mapping, location_table *table,
                         uint64_t address)
{
    size_t at = (size_t)(address * UINT64_C(0x9E3779B97F4A7C15) >> 24) & (table->slot_count - 1);
    while (table->slots[at].id != 0 && table->slots[at].address != address) at = (at + 1) & (table->slot_count - 1);
    if (table->slots[at].id != 0) return table->slots[at].id;

    const trace_process_info *const info = process->figures->info;
    size_t count;
    const symbol_frame *const frames = symbols_at(process->names, address, &count);
    const uint64_t id = ++self->location_count;
    buffer message = {0}, line = {0};
    put_number(&message, LOCATION_ID, id);
    for (uint32_t i = 0; i < info->module_count; i++) {
        if (address < info->modules[i].begin || address >= info->modules[i].end) continue;
        put_number(&message, LOCATION_MAPPING, first_mapping + i);
        break;
    }
    put_number(&message, LOCATION_ADDRESS, address);
    for (size_t i = 0; i < count; i++) {
        put_number(&line, LINE_FUNCTION, function(self, &frames[i]));
        put_number(&line, LINE_NUMBER, frames[i].line);
        put_message(&message, LOCATION_LINE, &line);
    }
    put_message(&self->profile, PROFILE_LOCATION, &message);
    free(message.bytes);
    free(line.bytes);
    table->slots[at] = (location_slot){.address = address, .id = id};
    return id;
}

static void put_mappings(encoder *self, const trace_process_info *info)
{
    for (uint32_t i = 0; i < info->module_count; i++) {
        const uint64_t file = string(self, info->modules[i].path);
        put_number(&self->message, MAPPING_ID, ++self->mapping_count);
        put_number(&self->message, MAPPING_START, info->modules[i].begin);
        put_number(&self->message, MAPPING_LIMIT, info->modules[i].end);
        put_number(&self->message, MAPPING_OFFSET, info->modules[i].file_offset);
        put_number(&self->message, MAPPING_FILE, file);
        for (unsigned has = MAPPING_HAS_FUNCTIONS; has <= MAPPING_HAS_INLINE; has++) put_number(&self->message, has, 1);
        put_message(&self->profile, PROFILE_MAPPING, &self->message);
    }
}

static void put_sample(encoder *self, const profile *process, uint64_t first_mapping, location_table *table, uint32_t stack)
{
    const stack_figures *const figures = &process->figures->stacks[stack];
    const trace_process_info *const info = process->figures->info;
    const double values[] = {figures->allocated_count, figures->allocated_bytes, figures->live_count, figures->live_bytes};
    if (figures->allocated_count <= 0) return;

    self->packed.length = 0;
    for (uint32_t i = 0; stack < info->stack_count && i < info->stacks[stack].count; i++)
        put_varint(&self->packed, location(self, process, first_mapping, table, info->stacks[stack].pcs[i]));
    put_message(&self->message, SAMPLE_LOCATION, &self->packed);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) put_varint(&self->packed, (uint64_t)llround(fmax(values[i], 0)));
    put_message(&self->message, SAMPLE_VALUE, &self->packed);
    put_number(&self->inner, LABEL_KEY, string(self, "pid"));
    put_number(&self->inner, LABEL_NUMBER, info->process.process_id);
    put_message(&self->message, SAMPLE_LABEL, &self->inner);
    put_message(&self->profile, PROFILE_SAMPLE, &self->message);
}

static void put_process(encoder *self, const profile *process)
{
    const uint64_t first_mapping = self->mapping_count + 1;
    location_table table = {.slot_count = 1024};
    size_t address_count = 0;
    for (uint32_t i = 0; i < process->figures->info->stack_count; i++) address_count += process->figures->info->stacks[i].count;
    while (table.slot_count < address_count * 2) table.slot_count *= 2;
    table.slots = must_calloc(table.slot_count, sizeof *table.slots);
    put_mappings(self, process->figures->info);
    for (uint32_t i = 0; i < process->figures->stack_count; i++) put_sample(self, process, first_mapping, &table, i);
    free(table.slots);
}

static void put_value_type(encoder *self, unsigned field, const char *type, const char *unit)
{
    const uint64_t type_number = string(self, type), unit_number = string(self, unit);
    put_number(&self->message, 1, type_number);
    put_number(&self->message, 2, unit_number);
    put_message(&self->profile, field, &self->message);
}

acre_status export_pprof(const run_report *report, const char *path)
{
    const trace_header *const header = trace_header_of(report->reader);
    encoder self = {0};
    (void)string(&self, ""); /* string 0 must be "" */
    put_value_type(&self, PROFILE_SAMPLE_TYPE, "alloc_objects", "count");
    put_value_type(&self, PROFILE_SAMPLE_TYPE, "alloc_space", "bytes");
    put_value_type(&self, PROFILE_SAMPLE_TYPE, "inuse_objects", "count");
    put_value_type(&self, PROFILE_SAMPLE_TYPE, "inuse_space", "bytes");
    uint64_t end_ns = 0;
    for (uint32_t i = 0; i < report->count; i++) {
        put_process(&self, report->profiles[i]);
        if (report->profiles[i]->figures->end_ns > end_ns) end_ns = report->profiles[i]->figures->end_ns;
    }
    put_number(&self.profile, PROFILE_TIME_NANOS, header->start_unix_ns);
    put_number(&self.profile, PROFILE_DURATION_NANOS, end_ns);
    put_value_type(&self, PROFILE_PERIOD_TYPE, "space", "bytes");
    put_number(&self.profile, PROFILE_PERIOD, header->sample_bytes > 0 ? header->sample_bytes : 1);
    const uint64_t default_type = string(&self, "alloc_space");
    put_number(&self.profile, PROFILE_DEFAULT_TYPE, default_type);

    acre_status status = ACRE_OK;
    const int fd = open_output_fd(path);
    gzFile out = fd < 0 ? NULL : gzdopen(fd, "wb");
    const bool is_written = out != NULL && gzwrite(out, self.profile.bytes, (unsigned)self.profile.length) > 0;
    if (out != NULL && gzclose(out) != Z_OK) status = acre_fail(ACRE_IO, "'%s' can't be written", path);
    if (!is_written) status = acre_fail(ACRE_IO, "'%s' can't be written: %s", path, strerror(errno));
    free(self.profile.bytes);
    free(self.message.bytes);
    free(self.inner.bytes);
    free(self.packed.bytes);
    free(self.strings.slots);
    free(self.functions.slots);
    return status;
}
