/* cache_trace.c - see cache_trace.h. A trace is looked at in pieces; lines and records are taken from a piece as long as they are whole. */
#include "cache_trace.h"

#include "base/status.h"
#include "command.h"
#include "steps.h"
#include "trace_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES_MAX = 4096, SHOWN_BYTES = 40, COLUMN_MAX = 1000 };

static const char *const format_names[CACHE_FORMAT_COUNT] = {"auto", "numbers", "csv",           "addresses", "accesses",
                                                             "be32", "be64",    "oracleGeneral", "vscsi",     "acre"};

const char *cache_format_name(cache_format format) { return format_names[format]; }

bool cache_format_named(const char *name, cache_format *format)
{
    for (size_t i = 0; i < CACHE_FORMAT_COUNT; i++) {
        if (strcmp(name, format_names[i]) != 0) continue;
        *format = (cache_format)i;
        return true;
    }
    return false;
}

typedef struct trace_parser {
    cache_input *input;
    const cache_trace_options *options;
    cache_trace_take *take;
    void *context;
    cache_trace_info *info;
    bool is_enough;
    uint64_t line_number;
    char separator;            /* csv */
    unsigned column;           /* csv: of the key, from 0 */
    bool has_column;           /* csv: both are known */
    unsigned operation_column; /* csv: that tells reads and writes, + 1; 0: there is none */
    unsigned version;          /* vscsi */
} trace_parser;

static void give(trace_parser *self, uint64_t key, bool is_write)
{
    self->info->request_count++;
    self->info->is_write = is_write;
    if (!self->take(self->context, key)) self->is_enough = true;
}

/* --- text --- */

typedef struct text {
    const char *bytes;
    size_t length;
} text;

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

static text trimmed(text of)
{
    while (of.length > 0 && is_blank(of.bytes[0])) of = (text){of.bytes + 1, of.length - 1};
    while (of.length > 0 && is_blank(of.bytes[of.length - 1])) of.length--;
    return of;
}

/* What of a text a message shows: what can be printed, and not too much of it. One buffer. */
static const char *shown(text of)
{
    static char buffer[SHOWN_BYTES + 4];
    size_t length = of.length < SHOWN_BYTES ? of.length : SHOWN_BYTES;
    for (size_t i = 0; i < length; i++) buffer[i] = of.bytes[i] >= ' ' && of.bytes[i] <= '~' ? of.bytes[i] : '?';
    for (size_t i = 0; i < 3 && of.length > SHOWN_BYTES; i++) buffer[length++] = '.';
    buffer[length] = 0;
    return buffer;
}

static acre_status bad_line(const trace_parser *self, text what, const char *is_not)
{
    return acre_fail(ACRE_CORRUPT, "'%s': line %llu: '%s' %s", cache_input_name(self->input), (unsigned long long)self->line_number,
                     shown(what), is_not);
}

static int digit_of(char c, unsigned base)
{
    int value = -1;
    if (c >= '0' && c <= '9') value = c - '0';
    if (base == 16 && c >= 'a' && c <= 'f') value = c - 'a' + 10;
    if (base == 16 && c >= 'A' && c <= 'F') value = c - 'A' + 10;
    return value;
}

/* Decimal, or hexadecimal after 0x, below 2^64. */
static bool parse_key(text of, uint64_t *key)
{
    unsigned base = 10;
    uint64_t value = 0;
    if (of.length > 2 && of.bytes[0] == '0' && (of.bytes[1] | 0x20) == 'x') {
        base = 16;
        of = (text){of.bytes + 2, of.length - 2};
    }
    if (of.length == 0) return false;
    for (size_t i = 0; i < of.length; i++) {
        const int digit = digit_of(of.bytes[i], base);
        if (digit < 0 || __builtin_mul_overflow(value, (uint64_t)base, &value) || __builtin_add_overflow(value, (uint64_t)digit, &value))
            return false;
    }
    *key = value;
    return true;
}

/* The first word, without which `rest` is left. */
static text next_word(text *rest)
{
    *rest = trimmed(*rest);
    size_t length = 0;
    while (length < rest->length && !is_blank(rest->bytes[length])) length++;
    const text word = {rest->bytes, length};
    *rest = (text){rest->bytes + length, rest->length - length};
    return word;
}

static acre_status take_number(trace_parser *self, text line)
{
    uint64_t key;
    if (!parse_key(line, &key)) return bad_line(self, line, "is no number from 0 to 2^64 - 1");
    give(self, key, false);
    return ACRE_OK;
}

static bool is_letter(text of, char c) { return of.length == 1 && of.bytes[0] == c; }

static acre_status take_access(trace_parser *self, text line)
{
    uint64_t key;
    text rest = line;
    const text address = next_word(&rest), op = next_word(&rest);
    const bool is_write = is_letter(op, 'w');
    if (!parse_key(address, &key) || (!is_write && !is_letter(op, 'r')) || trimmed(rest).length > 0)
        return bad_line(self, line, "is not a number from 0 to 2^64 - 1, and 'r' or 'w'");
    give(self, key, is_write);
    return ACRE_OK;
}

static acre_status take_address(trace_parser *self, text line)
{
    uint64_t key, gap;
    text rest = line;
    const text op = next_word(&rest), address = next_word(&rest), last = next_word(&rest);
    const bool is_write = is_letter(op, 's');
    if ((!is_write && !is_letter(op, 'l')) || !parse_key(address, &key) || (last.length > 0 && !parse_key(last, &gap)) ||
        trimmed(rest).length > 0)
        return bad_line(self, line, "is not 'l' or 's', an address, and a number");
    give(self, key, is_write);
    return ACRE_OK;
}

/* The cell number `column`, without blanks and quotes around it. False: the line has fewer. */
static bool cell_of(text line, char separator, unsigned column, text *cell)
{
    for (; column > 0; column--) {
        const char *const next = memchr(line.bytes, separator, line.length);
        if (next == NULL) return false;
        const size_t skipped = (size_t)(next - line.bytes) + 1;
        line = (text){line.bytes + skipped, line.length - skipped};
    }
    const char *const end = memchr(line.bytes, separator, line.length);
    if (end != NULL) line.length = (size_t)(end - line.bytes);
    line = trimmed(line);
    if (line.length >= 2 && line.bytes[0] == '"' && line.bytes[line.length - 1] == '"') line = (text){line.bytes + 1, line.length - 2};
    *cell = line;
    return true;
}

static char separator_of(text line)
{
    static const char separators[] = {',', '\t', ';', ' '};
    for (size_t i = 0; i < sizeof separators; i++)
        if (memchr(line.bytes, separators[i], line.length) != NULL) return separators[i];
    return ',';
}

static bool is_called(text cell, const char *name)
{
    for (size_t i = 0; i < cell.length; i++) {
        const char c = cell.bytes[i] >= 'A' && cell.bytes[i] <= 'Z' ? (char)(cell.bytes[i] | 0x20) : cell.bytes[i];
        if (name[i] == 0 || c != name[i]) return false;
    }
    return name[cell.length] == 0;
}

/* The number of the column, from 1; 0: none is called that. */
static unsigned column_named(const trace_parser *self, text line, const char *name)
{
    text cell;
    for (unsigned i = 0; i < COLUMN_MAX && cell_of(line, self->separator, i, &cell); i++)
        if (is_called(cell, name)) return i + 1;
    return 0;
}

static bool find_named(trace_parser *self, text line, const char *name)
{
    const unsigned column = column_named(self, line, name);
    if (column == 0) return false;
    self->column = column - 1;
    self->has_column = true;
    return true;
}

static void find_operations(trace_parser *self, text line)
{
    static const char *const names[] = {"op", "operation", "opcode", "rw"};
    for (size_t i = 0; i < sizeof names / sizeof names[0] && self->operation_column == 0; i++)
        self->operation_column = column_named(self, line, names[i]);
}

/* As programs, key-value stores and SCSI (in hexadecimal) call it. */
static bool is_write_called(text cell)
{
    static const char *const names[] = {"w", "write", "s", "store", "set", "put", "add", "update", "replace", "0a", "2a", "8a", "aa"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (is_called(cell, names[i])) return true;
    return false;
}

/* Which column has the keys, from the first line. True: it is a line of names, and is done with. */
static bool read_names(trace_parser *self, text line)
{
    static const char *const names[] = {"obj_id", "object_id", "objid",   "object", "obj",  "key", "lbn",    "lba",
                                        "block",  "block_id",  "blockid", "page",   "addr", "id",  "offset", "address"};
    const char *const wanted = self->options->column;
    uint64_t number;
    text cell = {line.bytes, 0};
    if (line.bytes[0] == '#') line = trimmed((text){line.bytes + 1, line.length - 1});
    self->separator = separator_of(line);
    find_operations(self, line);
    if (wanted != NULL && !parse_number(wanted, 1, COLUMN_MAX, &number)) {
        (void)find_named(self, line, wanted);
        return true;
    }
    if (wanted != NULL) {
        self->column = (unsigned)number - 1;
        self->has_column = true;
    } else {
        for (size_t i = 0; i < sizeof names / sizeof names[0] && !self->has_column; i++) (void)find_named(self, line, names[i]);
        if (self->has_column) return true;
        self->column = cell_of(line, self->separator, 1, &cell) ? 1 : 0; /* time, id, size; or only the id */
        self->has_column = cell_of(line, self->separator, self->column, &cell) && parse_key(cell, &number);
        return false;
    }
    return cell_of(line, self->separator, self->column, &cell) && !parse_key(cell, &number);
}

static acre_status take_cells(trace_parser *self, text line)
{
    uint64_t key;
    text cell, op;
    if (!self->has_column) {
        const bool are_names = read_names(self, line);
        if (!self->has_column)
            return acre_fail(ACRE_INVALID, "'%s': line %llu: which column has the keys? '%s' has none called %s",
                             cache_input_name(self->input), (unsigned long long)self->line_number, shown(line),
                             self->options->column != NULL ? self->options->column : "as a key usually is");
        if (are_names) return ACRE_OK;
    }
    if (line.bytes[0] == '#') return ACRE_OK;
    if (!cell_of(line, self->separator, self->column, &cell)) return bad_line(self, line, "has no such column as the lines before it");
    if (!parse_key(cell, &key)) return bad_line(self, cell, "is no number from 0 to 2^64 - 1");
    const bool has_op = self->operation_column != 0 && cell_of(line, self->separator, self->operation_column - 1, &op);
    give(self, key, has_op && is_write_called(op));
    return ACRE_OK;
}

static acre_status take_line(trace_parser *self, text line)
{
    self->line_number++;
    line = trimmed(line);
    if (line.length == 0 || (line.length == 1 && line.bytes[0] == '*')) return ACRE_OK;
    if (self->info->format == CACHE_FORMAT_CSV) return take_cells(self, line);
    if (line.bytes[0] == '#') return ACRE_OK;
    if (self->info->format == CACHE_FORMAT_ACCESSES) return take_access(self, line);
    return self->info->format == CACHE_FORMAT_ADDRESSES ? take_address(self, line) : take_number(self, line);
}

static acre_status read_text(trace_parser *self)
{
    for (;;) {
        const uint8_t *bytes;
        size_t length, done = 0;
        acre_status status = cache_input_look(self->input, &bytes, &length);
        if (status != ACRE_OK || length == 0) return status;
        while (status == ACRE_OK && !self->is_enough && done < length) {
            const char *const begin = (const char *)bytes + done;
            const char *const end = memchr(begin, '\n', length - done);
            if (end == NULL && length == CACHE_INPUT_LOOK_BYTES && length - done <= LINE_BYTES_MAX) break;
            const text line = {begin, end != NULL ? (size_t)(end - begin) : length - done};
            if (line.length > LINE_BYTES_MAX) {
                self->line_number++;
                return bad_line(self, line, "is a line of more than 4096 bytes");
            }
            status = take_line(self, line);
            done += line.length + (end != NULL);
        }
        if (status != ACRE_OK || self->is_enough) return status;
        cache_input_take(self->input, done);
    }
}

/* --- records --- */

static uint64_t little(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = bytes; i-- > 0;) value = value << 8 | at[i];
    return value;
}

static uint64_t big(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) value = value << 8 | at[i];
    return value;
}

/* vscsi: where the version stands tells which one it is. */
enum { VSCSI_1_BYTES = 32, VSCSI_2_BYTES = 40, ORACLE_BYTES = 24 };

static unsigned vscsi_1_version(const uint8_t *record) { return (unsigned)little(record + 14, 2) >> 8; }
static unsigned vscsi_2_version(const uint8_t *record) { return (unsigned)little(record + 2, 2) >> 8; }

/* WRITE (6), (10), (12), (16). */
static bool is_scsi_write(uint8_t code) { return (code & 0x1f) == 0x0a; }

/* The version of all of the first records, 0 if it is neither of them. */
static unsigned vscsi_version(const uint8_t *bytes, size_t length)
{
    enum { LOOKED_AT = 64 };
    bool is_first = length >= VSCSI_1_BYTES, is_second = length >= VSCSI_2_BYTES;
    for (size_t i = 0; i < LOOKED_AT && (i + 1) * VSCSI_1_BYTES <= length; i++) is_first &= vscsi_1_version(bytes + i * VSCSI_1_BYTES) == 1;
    for (size_t i = 0; i < LOOKED_AT && (i + 1) * VSCSI_2_BYTES <= length; i++)
        is_second &= vscsi_2_version(bytes + i * VSCSI_2_BYTES) == 2;
    return is_first ? 1 : is_second ? 2 : 0;
}

static bool is_next_possible(const uint8_t *record, uint64_t index)
{
    const uint64_t next = little(record + 16, 8);
    return next == UINT64_MAX || (next > index && next <= INT64_MAX);
}

static size_t record_bytes(const trace_parser *self)
{
    switch (self->info->format) {
    case CACHE_FORMAT_BE32:
        return 4;
    case CACHE_FORMAT_BE64:
        return 8;
    case CACHE_FORMAT_ORACLE_GENERAL:
        return ORACLE_BYTES;
    default:
        return self->version == 2 ? VSCSI_2_BYTES : VSCSI_1_BYTES;
    }
}

static acre_status bad_record(const trace_parser *self, uint64_t place, const char *what, uint64_t value)
{
    return acre_fail(ACRE_CORRUPT, "'%s': byte %llu: a record of %s with %s %llu", cache_input_name(self->input), (unsigned long long)place,
                     cache_format_name(self->info->format), what, (unsigned long long)value);
}

static acre_status take_record(trace_parser *self, const uint8_t *record, uint64_t place)
{
    switch (self->info->format) {
    case CACHE_FORMAT_BE32:
        give(self, big(record, 4), false);
        return ACRE_OK;
    case CACHE_FORMAT_BE64:
        give(self, big(record, 8), false);
        return ACRE_OK;
    case CACHE_FORMAT_ORACLE_GENERAL:
        if (!is_next_possible(record, self->info->request_count)) return bad_record(self, place, "next use", little(record + 16, 8));
        give(self, little(record + 4, 8), false);
        return ACRE_OK;
    default: {
        const unsigned version = self->version == 1 ? vscsi_1_version(record) : vscsi_2_version(record);
        if (version != self->version) return bad_record(self, place, "version", version);
        give(self, little(record + 16, 8), is_scsi_write(record[self->version == 1 ? 12 : 0]));
        return ACRE_OK;
    }
    }
}

static acre_status read_records(trace_parser *self)
{
    const size_t each = record_bytes(self);
    for (;;) {
        const uint8_t *bytes;
        size_t length, done = 0;
        acre_status status = cache_input_look(self->input, &bytes, &length);
        if (status != ACRE_OK || length == 0) return status;
        const uint64_t place = cache_input_place(self->input);
        if (length < each)
            return acre_fail(ACRE_CORRUPT, "'%s': byte %llu: the last record has %zu of %zu bytes", cache_input_name(self->input),
                             (unsigned long long)place, length, each);
        for (; status == ACRE_OK && !self->is_enough && length - done >= each; done += each)
            status = take_record(self, bytes + done, place + done);
        if (status != ACRE_OK || self->is_enough) return status;
        cache_input_take(self->input, done);
    }
}

/* --- acre's own --- */

enum { PAGE_BITS = 12 };

static void take_event(void *context, const acre_event *event)
{
    trace_parser *const self = context;
    const bool is_allocation = acre_event_is_allocation(event->op);
    if (self->is_enough || event->address == 0 || (!is_allocation && event->op != ACRE_EVENT_FREE)) return;
    if (event->op == ACRE_EVENT_REALLOC && event->old_address != 0) give(self, event->old_address >> PAGE_BITS, false);
    if (!self->is_enough) give(self, event->address >> PAGE_BITS, is_allocation);
}

static acre_status read_events(trace_parser *self, const uint8_t *bytes, size_t length)
{
    trace_reader *reader = NULL;
    uint32_t process = 0;
    const acre_status status = trace_reader_open_memory(&reader, cache_input_name(self->input), bytes, length);
    if (status != ACRE_OK) return status;
    if (!steps_choose_process(reader, self->options->process_id, &process)) {
        trace_reader_close(reader);
        return acre_fail(ACRE_INVALID, "'%s' has no process %llu", cache_input_name(self->input),
                         (unsigned long long)self->options->process_id);
    }
    if (trace_header_of(reader)->sample_bytes > 0) {
        trace_reader_close(reader);
        return acre_fail(ACRE_INVALID, "'%s' is sampled: a trace of every event is needed ('acre run --record')",
                         cache_input_name(self->input));
    }
    if (trace_damage(reader) != NULL) self->info->warning = must_print("%s: what stands before it is read", trace_damage(reader));
    trace_for_each_event(reader, process, take_event, self);
    trace_reader_close(reader);
    return ACRE_OK;
}

static acre_status read_acre(trace_parser *self)
{
    uint8_t *all = NULL;
    size_t count = 0, capacity = 0, length = 0;
    const uint8_t *bytes;
    acre_status status;
    while ((status = cache_input_look(self->input, &bytes, &length)) == ACRE_OK && length > 0) {
        if (capacity - count < length) all = must_realloc(all, capacity = 2 * capacity + length);
        memcpy(all + count, bytes, length);
        count += length;
        cache_input_take(self->input, length);
    }
    if (status == ACRE_OK) status = read_events(self, all, count);
    free(all);
    return status;
}

/* --- which format --- */

static bool is_text(const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((bytes[i] < ' ' || bytes[i] > '~') && !is_blank((char)bytes[i]) && bytes[i] != '\n') return false;
    return true;
}

static cache_format format_of_text(const uint8_t *bytes, size_t length)
{
    text rest = {(const char *)bytes, length}, line = {rest.bytes, 0};
    while (rest.length > 0 && (line.length == 0 || line.bytes[0] == '*' || line.bytes[0] == '#')) {
        const char *const end = memchr(rest.bytes, '\n', rest.length);
        const size_t bytes_here = end != NULL ? (size_t)(end - rest.bytes) : rest.length;
        line = trimmed((text){rest.bytes, bytes_here});
        rest = (text){rest.bytes + bytes_here + (end != NULL), rest.length - bytes_here - (end != NULL)};
    }
    text rest_of_line = line;
    uint64_t key;
    const text first = next_word(&rest_of_line), second = next_word(&rest_of_line);
    if (parse_key(first, &key) && (is_letter(second, 'r') || is_letter(second, 'w')) && trimmed(rest_of_line).length == 0)
        return CACHE_FORMAT_ACCESSES;
    if (line.length > 2 && (line.bytes[0] == 'l' || line.bytes[0] == 's') && line.bytes[1] == ' ') return CACHE_FORMAT_ADDRESSES;
    static const char separators[] = {',', '\t', ';', ' '};
    for (size_t i = 0; i < sizeof separators; i++)
        if (memchr(line.bytes, separators[i], line.length) != NULL) return CACHE_FORMAT_CSV;
    return CACHE_FORMAT_NUMBERS;
}

/* The keys of a real trace of 32-bit numbers are numbered in some order; 64-bit ones are that, or hashes. */
static cache_format format_of_numbers(const uint8_t *bytes, size_t length)
{
    enum { BITS_OF_NUMBERED = 28 };
    bool are_high_halves_zero = length % 8 == 0, are_small = true;
    for (size_t i = 0; i + 4 <= length; i += 4) {
        const uint64_t word = big(bytes + i, 4);
        are_small &= word >> BITS_OF_NUMBERED == 0;
        if (i % 8 == 0) are_high_halves_zero &= word == 0;
    }
    return are_high_halves_zero || !are_small ? CACHE_FORMAT_BE64 : CACHE_FORMAT_BE32;
}

static bool is_oracle_general(const uint8_t *bytes, size_t length)
{
    enum { LOOKED_AT = 64 };
    uint64_t time = 0;
    if (length < ORACLE_BYTES) return false;
    for (size_t i = 0; i < LOOKED_AT && (i + 1) * ORACLE_BYTES <= length; i++) {
        const uint8_t *const record = bytes + i * ORACLE_BYTES;
        const uint64_t here = little(record, 4);
        if (!is_next_possible(record, i) || here < time) return false;
        time = here;
    }
    return true;
}

static cache_format format_of(const char *path, const uint8_t *bytes, size_t length)
{
    const char *const slash = strrchr(path, '/');
    const char *const name = slash != NULL ? slash + 1 : path;
    uint64_t magic = 0;
    if (length >= sizeof magic) memcpy(&magic, bytes, sizeof magic);
    if (magic == TRACE_MAGIC) return CACHE_FORMAT_ACRE;
    if (strstr(name, "oracleGeneral") != NULL) return CACHE_FORMAT_ORACLE_GENERAL;
    if (strstr(name, ".vscsi") != NULL) return CACHE_FORMAT_VSCSI;
    if (is_text(bytes, length)) return strstr(name, ".csv") != NULL ? CACHE_FORMAT_CSV : format_of_text(bytes, length);
    if (vscsi_version(bytes, length) != 0) return CACHE_FORMAT_VSCSI;
    return is_oracle_general(bytes, length) ? CACHE_FORMAT_ORACLE_GENERAL : format_of_numbers(bytes, length);
}

static acre_status read_all(trace_parser *self, const uint8_t *bytes, size_t length)
{
    switch (self->info->format) {
    case CACHE_FORMAT_NUMBERS:
    case CACHE_FORMAT_CSV:
    case CACHE_FORMAT_ADDRESSES:
    case CACHE_FORMAT_ACCESSES:
        return read_text(self);
    case CACHE_FORMAT_ACRE:
        return read_acre(self);
    case CACHE_FORMAT_VSCSI:
        self->version = vscsi_version(bytes, length);
        if (self->version == 0)
            return acre_fail(ACRE_CORRUPT, "'%s': byte 0: records of vscsi have version 1 or 2, and the first ones have %u or %u",
                             cache_input_name(self->input), length < VSCSI_1_BYTES ? 0 : vscsi_1_version(bytes),
                             length < VSCSI_2_BYTES ? 0 : vscsi_2_version(bytes));
        return read_records(self);
    default:
        return read_records(self);
    }
}

acre_status cache_trace_read(cache_input *input, const cache_trace_options *options, cache_trace_take *take, void *context,
                             cache_trace_info *info)
{
    trace_parser self = {.input = input, .options = options, .take = take, .context = context, .info = info};
    const uint8_t *bytes;
    size_t length;
    *info = (cache_trace_info){.format = options->format};
    const acre_status status = cache_input_look(input, &bytes, &length);
    if (status != ACRE_OK) return status;
    if (info->format == CACHE_FORMAT_AUTO) info->format = format_of(cache_input_name(input), bytes, length);
    if (options->column != NULL && info->format != CACHE_FORMAT_CSV)
        return acre_fail(ACRE_INVALID, "'%s' is read as %s, which has no columns", cache_input_name(input),
                         cache_format_name(info->format));
    const acre_status read = read_all(&self, bytes, length);
    if (read == ACRE_OK && info->request_count == 0) return acre_fail(ACRE_INVALID, "'%s' has no requests", cache_input_name(input));
    return read;
}
