/* test_cache.c - the readers of traces in every format and packing, what they say of damage, and the counts of all policies against those
 * of an independent implementation, where its traces are: ACRE_TEST_DATA, or ../shared/data beside the checkout. */
#include "support/test.h"

#include "cache_replay.h"
#include "command.h"
#include "plain_policies.h"

#include <acre/curve.h>
#include <lzma.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum { PATH_BYTES = 4096, POLICIES_OF_REFERENCE = 8 };

/* --- reading --- */

typedef struct bytes {
    uint8_t *data;
    size_t length, capacity;
} bytes;

static void append(bytes *to, const void *data, size_t length)
{
    if (to->length + length > to->capacity || to->data == NULL) {
        to->capacity = 2 * (to->length + length) + 64;
        to->data = realloc(to->data, to->capacity);
        assert_non_null(to->data);
    }
    if (length > 0) memcpy(to->data + to->length, data, length);
    to->length += length;
}

static void append_text(bytes *to, const char *text) { append(to, text, strlen(text)); }

static bytes packed(const bytes *plain, int how)
{
    bytes out = {malloc(plain->length + 65536), plain->length + 65536, 0};
    size_t at = 0;
    if (how == 0) {
        memcpy(out.data, plain->data, plain->length);
        out.length = plain->length;
    } else if (how == 1) {
        z_stream z = {.next_in = plain->data, .avail_in = (uInt)plain->length, .next_out = out.data, .avail_out = (uInt)out.length};
        assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
        assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
        out.length = z.total_out;
        (void)deflateEnd(&z);
    } else if (how == 2) {
        assert_int_equal(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC32, NULL, plain->data, plain->length, out.data, &at, out.length),
                         LZMA_OK);
        out.length = at;
    } else {
        out.length = ZSTD_compress(out.data, out.length, plain->data, plain->length, 3);
        assert_false(ZSTD_isError(out.length));
    }
    return out;
}

typedef struct seen {
    uint64_t *keys;
    size_t count, capacity;
    const cache_trace_info *info;
    uint64_t writes; /* a bit for each of the first 64 */
} seen;

static bool see(void *context, uint64_t key)
{
    seen *const self = context;
    self->keys = grow_array(self->keys, self->count, &self->capacity, sizeof *self->keys);
    if (self->count < 64) self->writes |= (uint64_t)self->info->is_write << self->count;
    self->keys[self->count++] = key;
    return true;
}

static acre_status read_bytes(const char *name, const bytes *from, const cache_trace_options *options, seen *keys, cache_trace_info *info)
{
    cache_input *input = NULL;
    *keys = (seen){.info = info};
    *info = (cache_trace_info){0};
    acre_status status = cache_input_open_memory(&input, name, from->data, from->length, UINT64_MAX);
    if (status == ACRE_OK) status = cache_trace_read(input, options, see, keys, info);
    cache_input_close(input);
    return status;
}

static uint64_t key_at(size_t i) { return i * i % 1009 + 5; }

static void append_little(bytes *to, uint64_t value, unsigned length) { append(to, &value, length); }

static void append_big(bytes *to, uint64_t value, unsigned length)
{
    const uint64_t swapped = __builtin_bswap64(value) >> (64 - 8 * length);
    append(to, &swapped, length);
}

enum { KINDS = 14 };

/* What the formats that tell writes from reads are made to tell. */
static bool is_write_at(size_t i) { return i % 3 == 0; }
static bool tells_writes(int kind) { return kind == 2 || kind == 3 || kind == 10 || kind == 11 || kind == 13; }

/* The same requests in one of the ways that traces come in. */
static bytes made(int kind, size_t count, const char **name, cache_format *format)
{
    static const char *const names[KINDS] = {"a.trace", "a.trace", "a",     "a.csv",   "a.txt", "a.csv", "a.lis",
                                             "a.trace", "a.trace", "a.bin", "a.vscsi", "a.raw", "a.txt", "a.txt"};
    static const cache_format formats[KINDS] = {
        CACHE_FORMAT_NUMBERS, CACHE_FORMAT_NUMBERS, CACHE_FORMAT_ADDRESSES, CACHE_FORMAT_CSV,     CACHE_FORMAT_CSV,
        CACHE_FORMAT_CSV,     CACHE_FORMAT_CSV,     CACHE_FORMAT_BE32,      CACHE_FORMAT_BE64,    CACHE_FORMAT_ORACLE_GENERAL,
        CACHE_FORMAT_VSCSI,   CACHE_FORMAT_VSCSI,   CACHE_FORMAT_NUMBERS,   CACHE_FORMAT_ACCESSES};
    bytes out = {NULL, 0, 0};
    char line[200];
    *name = names[kind];
    *format = formats[kind];
    if (kind == 3) append_text(&out, "version,time,op,size,lbn\n");
    if (kind == 5) append_text(&out, "# \"Time\"; \"Obj_ID\" ;\"size\"\r\n");
    for (size_t i = 0; i < count; i++) {
        const unsigned long long key = key_at(i);
        line[0] = 0;
        switch (kind) {
        case 0:
            snprintf(line, sizeof line, "%llu\n", key);
            break;
        case 1:
            snprintf(line, sizeof line, "%s  %llu \r\n", i % 100 == 7 ? "*\n\n# a comment\n" : "", key);
            break;
        case 2:
            snprintf(line, sizeof line, "%c 0x%llx %zu\n", is_write_at(i) ? 's' : 'l', key, i % 9);
            break;
        case 3:
            snprintf(line, sizeof line, "1,%zu,%s,512,%llu\n", i, is_write_at(i) ? "2A" : "28", key);
            break;
        case 4:
            snprintf(line, sizeof line, "%zu\t%llu\t4096\n", i, key);
            break;
        case 5:
            snprintf(line, sizeof line, "%zu;%llu; 17\r\n", i, key);
            break;
        case 6:
            snprintf(line, sizeof line, "%zu, \"%llu\" ,1\n", i, key);
            break;
        case 7:
            append_big(&out, key, 4);
            break;
        case 8:
            append_big(&out, key, 8);
            break;
        case 9:
            append_little(&out, i / 10, 4);
            append_little(&out, key, 8);
            append_little(&out, 512, 4);
            append_little(&out, i % 2 == 0 ? UINT64_MAX : i + 3, 8);
            break;
        case 10:
            for (int k = 0; k < 3; k++) append_little(&out, 100 + i, 4);
            append_little(&out, is_write_at(i) ? 0x2a : 0x28, 2);
            append_little(&out, 0x0100, 2);
            append_little(&out, key, 8);
            append_little(&out, i, 8);
            break;
        case 11:
            append_little(&out, is_write_at(i) ? 0x2a : 0x28, 2);
            append_little(&out, 0x0200, 2);
            for (int k = 0; k < 3; k++) append_little(&out, 100 + i, 4);
            append_little(&out, key, 8);
            append_little(&out, i, 8);
            append_little(&out, 9, 8);
            break;
        case 13:
            snprintf(line, sizeof line, "%s0x%llx %c\n", i == 0 ? "# address, r or w\n" : "", key, is_write_at(i) ? 'w' : 'r');
            break;
        default:
            snprintf(line, sizeof line, "%llu%s", key, i + 1 < count ? "\n" : "");
            break; /* the last line has no end */
        }
        append_text(&out, line);
    }
    return out;
}

static void every_format_is_recognized_and_gives_the_same_keys_in_every_packing(void **state)
{
    static const size_t counts[] = {70, 999, 30000};
    for (int kind = 0; kind < KINDS; kind++) {
        for (size_t c = 0; c < 3; c++) {
            for (int how = 0; how < 4; how++) {
                const char *name;
                cache_format format;
                const bytes plain = made(kind, counts[c], &name, &format), stored = packed(&plain, how);
                const cache_trace_options options = {0};
                cache_trace_info info;
                seen keys;
                const acre_status status = read_bytes(name, &stored, &options, &keys, &info);
                if (status != ACRE_OK) fail_msg("kind %d: %s", kind, acre_last_error());
                if (info.format != format) fail_msg("kind %d, %zu requests: read as %s", kind, counts[c], cache_format_name(info.format));
                assert_int_equal(keys.count, counts[c]);
                assert_int_equal(info.request_count, counts[c]);
                for (size_t i = 0; i < keys.count; i++) assert_int_equal(keys.keys[i], key_at(i));
                for (size_t i = 0; i < 64; i++) assert_int_equal(keys.writes >> i & 1, tells_writes(kind) && is_write_at(i));
                free(keys.keys);
                free(plain.data);
                free(stored.data);
            }
        }
    }
}

static void members_of_a_packing_may_follow_one_another(void **state)
{
    for (int how = 1; how < 4; how++) {
        const char *name;
        cache_format format;
        const bytes plain = made(0, 500, &name, &format), once = packed(&plain, how);
        bytes twice = {NULL, 0, 0};
        const cache_trace_options options = {0};
        cache_trace_info info;
        seen keys;
        append(&twice, once.data, once.length);
        append(&twice, once.data, once.length);
        assert_int_equal(read_bytes(name, &twice, &options, &keys, &info), ACRE_OK);
        assert_int_equal(keys.count, 1000);
        free(keys.keys);
        free(plain.data);
        free(once.data);
        free(twice.data);
    }
}

static void refused(const char *name, const char *text, size_t length, const cache_trace_options *options, acre_status expected,
                    const char *sentence)
{
    bytes from = {NULL, 0, 0};
    cache_trace_info info;
    seen keys;
    append(&from, text, length);
    const acre_status status = read_bytes(name, &from, options, &keys, &info);
    if (status != expected || (sentence != NULL && strcmp(acre_last_error(), sentence) != 0))
        fail_msg("status %d, '%s' and not '%s'", (int)status, status == ACRE_OK ? "" : acre_last_error(), sentence);
    free(keys.keys);
    free(info.warning);
    free(from.data);
}

static void refused_text(const char *name, const char *text, const cache_trace_options *options, acre_status expected, const char *sentence)
{
    refused(name, text, strlen(text), options, expected, sentence);
}

static void damage_is_told_with_its_place_and_value(void **state)
{
    const cache_trace_options any = {0}, vscsi = {.format = CACHE_FORMAT_VSCSI}, third = {.column = "3"}, named = {.column = "page"};
    refused_text("a", "1\n2\nx7\n", &any, ACRE_CORRUPT, "'a': line 3: 'x7' is no number from 0 to 2^64 - 1");
    refused_text("a", "1\n18446744073709551616\n", &any, ACRE_CORRUPT,
                 "'a': line 2: '18446744073709551616' is no number from 0 to 2^64 - 1");
    refused_text("a", "1\n-1\n", &any, ACRE_CORRUPT, "'a': line 2: '-1' is no number from 0 to 2^64 - 1");
    refused_text("a", "1\n2 3\n", &any, ACRE_CORRUPT, "'a': line 2: '2 3' is no number from 0 to 2^64 - 1");
    refused_text("a", "l 0x10 1\nl 0x20 1\nm 0x30 1\n", &any, ACRE_CORRUPT,
                 "'a': line 3: 'm 0x30 1' is not 'l' or 's', an address, and a number");
    refused_text("a", "l 0x10 1 5\n", &any, ACRE_CORRUPT, "'a': line 1: 'l 0x10 1 5' is not 'l' or 's', an address, and a number");
    refused_text("a.csv", "time,id\n1,2\n3\n", &any, ACRE_CORRUPT, "'a.csv': line 3: '3' has no such column as the lines before it");
    refused_text("a.csv", "time,id\n1,2\n3,4x\n", &any, ACRE_CORRUPT, "'a.csv': line 3: '4x' is no number from 0 to 2^64 - 1");
    refused_text("a.csv", "time,what\n1,2\n", &any, ACRE_INVALID,
                 "'a.csv': line 1: which column has the keys? 'time,what' has none called as a key usually is");
    refused_text("a.csv", "time,what\n1,2\n", &named, ACRE_INVALID,
                 "'a.csv': line 1: which column has the keys? 'time,what' has none called page");
    refused_text("a.csv", "1,2\n1,2\n", &third, ACRE_CORRUPT, "'a.csv': line 1: '1,2' has no such column as the lines before it");
    refused_text("a", "1\n2\n", &third, ACRE_INVALID, "'a' is read as numbers, which has no columns");
    refused_text("a", "", &any, ACRE_INVALID, "'a' has no requests");
    refused_text("a", "# nothing\n*\n\n", &any, ACRE_INVALID, "'a' has no requests");
    refused("a.vscsi", "\0\0\0\0\0\0\0", 7, &any, ACRE_CORRUPT,
            "'a.vscsi': byte 0: records of vscsi have version 1 or 2, and the first ones have 0 or 0");
    refused_text("a", "0123456789abcdef0123456789abcdef01234567", &vscsi, ACRE_CORRUPT,
                 "'a': byte 0: records of vscsi have version 1 or 2, and the first ones have 102 or 51");
}

static void a_line_that_has_no_end_is_refused(void **state)
{
    bytes from = {NULL, 0, 0};
    const cache_trace_options any = {0};
    append_text(&from, "12\n");
    for (int i = 0; i < 200000; i++) append_text(&from, "1");
    refused("a", (const char *)from.data, from.length, &any, ACRE_CORRUPT,
            "'a': line 2: '1111111111111111111111111111111111111111...' is a line of more than 4096 bytes");
    free(from.data);
}

static void a_record_that_is_cut_off_or_wrong_is_told(void **state)
{
    const char *name;
    cache_format format;
    const cache_trace_options any = {0};
    const char *const cut[KINDS] = {[9] = "'a.bin': byte 71976: the last record has 23 of 24 bytes",
                                    [10] = "'a.vscsi': byte 95968: the last record has 31 of 32 bytes",
                                    [11] = "'a.raw': byte 119960: the last record has 39 of 40 bytes"};
    for (int kind = 9; kind < 12; kind++) {
        bytes plain = made(kind, 3000, &name, &format);
        refused(name, (const char *)plain.data, plain.length - 1, &any, ACRE_CORRUPT, cut[kind]);
        free(plain.data);
    }
    bytes plain = made(9, 3000, &name, &format);
    plain.data[24 * 2000 + 16] = 7;
    memset(plain.data + 24 * 2000 + 17, 0, 7);
    refused(name, (const char *)plain.data, plain.length, &any, ACRE_CORRUPT,
            "'a.bin': byte 48000: a record of oracleGeneral with next use 7");
    free(plain.data);
    plain = made(10, 3000, &name, &format);
    plain.data[32 * 2000 + 15] = 9;
    refused(name, (const char *)plain.data, plain.length, &any, ACRE_CORRUPT, "'a.vscsi': byte 64000: a record of vscsi with version 9");
    free(plain.data);
}

/* Each byte of a packed trace changed, and each length: never another list of keys without an error. gzip's and zstd's own headers have
 * bytes without meaning (time, name), so equal keys are right as well. */
static void damage_to_packed_data_is_never_read_as_other_keys(void **state)
{
    for (int how = 1; how < 4; how++) {
        const char *name;
        cache_format format;
        const cache_trace_options any = {.format = CACHE_FORMAT_NUMBERS};
        const bytes plain = made(0, 60, &name, &format), stored = packed(&plain, how);
        for (size_t at = 0; at < 2 * stored.length; at++) {
            bytes bad = {NULL, 0, 0};
            cache_trace_info info;
            seen keys;
            append(&bad, stored.data, at < stored.length ? stored.length : at - stored.length);
            if (at < stored.length) bad.data[at] ^= 0x10;
            if (read_bytes(name, &bad, &any, &keys, &info) == ACRE_OK && how != 3) {
                assert_int_equal(keys.count, 60);
                for (size_t i = 0; i < keys.count; i++) assert_int_equal(keys.keys[i], key_at(i));
            }
            free(keys.keys);
            free(bad.data);
        }
        free(plain.data);
        free(stored.data);
    }
}

static void a_column_is_chosen_by_name_or_number(void **state)
{
    const char *const text = "id,other\n1,7\n2,8\n";
    const char *const columns[] = {"1", "2", "other", "id"};
    for (size_t i = 0; i < 4; i++) {
        bytes from = {NULL, 0, 0};
        const cache_trace_options options = {.column = columns[i]};
        cache_trace_info info;
        seen keys;
        append_text(&from, text);
        assert_int_equal(read_bytes("a.csv", &from, &options, &keys, &info), ACRE_OK);
        assert_int_equal(keys.count, 2);
        assert_int_equal(keys.keys[1], i == 0 || i == 3 ? 2 : 8);
        free(keys.keys);
        free(from.data);
    }
}

static void a_file_that_is_not_there_is_named(void **state)
{
    cache_input *input = NULL;
    assert_int_equal(cache_input_open(&input, "/no/such/file"), ACRE_IO);
    assert_string_equal(acre_last_error(), "'/no/such/file' can't be read: No such file or directory");
    assert_int_equal(cache_input_open(&input, "/"), ACRE_IO);
    assert_string_equal(acre_last_error(), "'/' can't be read: Is a directory");
}

static void formats_have_names(void **state)
{
    cache_format format;
    for (int i = 0; i < CACHE_FORMAT_COUNT; i++) {
        assert_true(cache_format_named(cache_format_name((cache_format)i), &format));
        assert_int_equal(format, i);
    }
    assert_false(cache_format_named("text", &format));
}

/* --- numbering and samples --- */

static void keys_are_numbered_in_the_order_of_first_use(void **state)
{
    cache_keys keys;
    cache_keys_begin(&keys, 1, 0);
    for (uint64_t i = 0; i < 100000; i++) assert_true(cache_keys_take(&keys, (i * 7919 % 5003) << 40));
    assert_int_equal(keys.object_count, 5003);
    assert_int_equal(keys.count, 100000);
    for (uint64_t i = 0; i < 5003; i++) assert_int_equal(keys.objects[i], i);
    for (uint64_t i = 0; i < 100000; i++) assert_int_equal(keys.keys[keys.objects[i]], (i * 7919 % 5003) << 40);
    cache_keys_end(&keys);
}

static void a_sample_that_was_thinned_out_is_the_one_of_that_rate(void **state)
{
    cache_keys thinned, plain;
    uint64_t seed = 5;
    cache_keys_begin(&thinned, 1, 1000);
    for (int i = 0; i < 200000; i++) assert_true(cache_keys_take(&thinned, next_random(&seed) % 30000));
    assert_in_range(thinned.object_count, 500, 1000);
    const double rate = cache_keys_rate(&thinned);
    assert_true(fabs((double)thinned.object_count / rate / 30000 - 1) < 0.15);
    seed = 5;
    cache_keys_begin(&plain, rate, 0);
    for (int i = 0; i < 200000; i++) assert_true(cache_keys_take(&plain, next_random(&seed) % 30000));
    assert_int_equal(plain.object_count, thinned.object_count);
    assert_int_equal(plain.count, thinned.count);
    for (size_t i = 0; i < plain.count; i++) assert_int_equal(plain.keys[plain.objects[i]], thinned.keys[thinned.objects[i]]);
    cache_keys_end(&plain);
    cache_keys_end(&thinned);
}

/* --- the reference --- */

static char data_folder[PATH_BYTES];

static bool has_data(void)
{
    struct stat about;
    char path[PATH_BYTES + 64];
    const char *const told = getenv("ACRE_TEST_DATA");
    snprintf(data_folder, sizeof data_folder, "%s", told != NULL ? told : SHARED_DATA);
    snprintf(path, sizeof path, "%s/cache/reference-misses.csv", data_folder);
    return stat(path, &about) == 0;
}

static void read_file(cache_keys *keys, const char *path, double rate)
{
    cache_input *input = NULL;
    cache_trace_info info;
    const cache_trace_options options = {0};
    cache_keys_begin(keys, rate, 0);
    if (cache_input_open(&input, path) != ACRE_OK || cache_trace_read(input, &options, cache_keys_take, keys, &info) != ACRE_OK)
        fail_msg("%s", acre_last_error());
    cache_input_close(input);
}

/* LRU and FIFO once more, as simple as can be: by the time of the last use or of the first. */
static uint32_t misses_by_times(const cache_keys *keys, uint32_t capacity, bool is_lru)
{
    enum { RING = 1 << 20 };
    uint32_t *const times = calloc(keys->object_count, sizeof *times); /* in the cache: time + 1 */
    uint32_t *const queue = malloc((keys->count + 1) * sizeof *queue); /* what was put at each time */
    uint32_t misses = 0, held = 0, oldest = 0, time = 0;
    for (size_t i = 0; i < keys->count; i++) {
        const uint32_t object = keys->objects[i];
        const bool is_hit = times[object] != 0;
        misses += !is_hit;
        if (is_hit && !is_lru) continue;
        if (!is_hit && held == capacity) {
            while (times[queue[oldest]] != oldest + 1) oldest++; /* used again since */
            times[queue[oldest]] = 0;
            held--;
        }
        held += !is_hit;
        queue[time] = object;
        times[object] = ++time;
    }
    free(queue);
    free(times);
    return misses;
}

typedef struct reference_row {
    char trace[64];
    uint64_t size, requests, misses[POLICIES_OF_REFERENCE];
} reference_row;

static const char *const reference_names[POLICIES_OF_REFERENCE] = {"lru", "fifo", "clock", "arc", "2q", "sieve", "s3-fifo", "opt"};

static bool next_row(FILE *file, reference_row *row)
{
    char line[512], *rest = NULL;
    if (fgets(line, sizeof line, file) == NULL) return false;
    line[strcspn(line, "\n")] = 0;
    snprintf(row->trace, sizeof row->trace, "%s", strtok_r(line, ",", &rest));
    uint64_t *const figures[] = {&row->size, &row->requests};
    for (size_t i = 0; i < 2 + POLICIES_OF_REFERENCE; i++)
        assert_true(parse_number(strtok_r(NULL, ",", &rest), 0, UINT32_MAX, i < 2 ? figures[i] : &row->misses[i - 2]));
    return true;
}

/* How many of the counts are wrong; each is printed. */
static size_t wrong_in_row(const reference_row *row, const cache_keys *keys, const uint32_t *next_uses)
{
    size_t wrong_count = 0;
    cache_job jobs[POLICIES_OF_REFERENCE];
    assert_int_equal(keys->request_count, row->requests);
    assert_int_equal(misses_by_times(keys, (uint32_t)row->size, true), row->misses[0]);
    assert_int_equal(misses_by_times(keys, (uint32_t)row->size, false), row->misses[1]);
    for (size_t i = 0; i < POLICIES_OF_REFERENCE; i++) {
        jobs[i] = (cache_job){.keys = keys, .next_uses = next_uses, .capacity = (uint32_t)row->size};
        assert_true(cache_rule_named(reference_names[i], &jobs[i].rule));
    }
    cache_replay(jobs, POLICIES_OF_REFERENCE, 2, NULL, NULL);
    for (size_t i = 0; i < POLICIES_OF_REFERENCE; i++) {
        const uint64_t allowed = strcmp(reference_names[i], "s3-fifo") == 0 ? row->requests / 1000 : 0;
        const uint64_t found = jobs[i].miss_count, expected = row->misses[i];
        assert_null(jobs[i].failure);
        if ((found > expected ? found - expected : expected - found) <= allowed) continue;
        print_error("%s %llu, %s: %llu misses and not %llu\n", row->trace, (unsigned long long)row->size, reference_names[i],
                    (unsigned long long)found, (unsigned long long)expected);
        wrong_count++;
    }
    return wrong_count;
}

/* The files of a trace are called as it is, with what they are packed as behind that. */
static size_t files_of(const char *trace, char paths[][PATH_BYTES + 128])
{
    static const char *const endings[] = {".trace.gz", ".trace.xz", ".gz", ".csv.xz", ".oracleGeneral.bin.xz", ".vscsi.xz"};
    struct stat about;
    size_t count = 0;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        snprintf(paths[count], sizeof paths[0], "%s/cache/%s%s", data_folder, trace, endings[i]);
        if (stat(paths[count], &about) == 0) count++;
    }
    return count;
}

static void misses_are_those_of_the_reference_on_every_row(void **state)
{
    if (!has_data()) {
        print_message("skipped: no traces at '%s' (ACRE_TEST_DATA)\n", data_folder);
        skip();
    }
    static char paths[6][PATH_BYTES + 128];
    char path[PATH_BYTES + 64], line[512];
    snprintf(path, sizeof path, "%s/cache/reference-misses.csv", data_folder);
    FILE *const file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    assert_string_equal(line, "trace,cache_size_pages,request_count,lru,fifo,clock,arc,twoq,sieve,s3fifo,opt\n");
    size_t row_count = 0, wrong_count = 0;
    for (reference_row row; next_row(file, &row); row_count++) {
        const size_t file_count = files_of(row.trace, paths);
        assert_true(file_count > 0);
        for (size_t i = 0; i < file_count; i++) {
            cache_keys keys;
            read_file(&keys, paths[i], 1);
            uint32_t *const next_uses = cache_next_uses(&keys);
            wrong_count += wrong_in_row(&row, &keys, next_uses);
            free(next_uses);
            cache_keys_end(&keys);
        }
    }
    (void)fclose(file);
    assert_true(row_count >= 52);
    assert_int_equal(wrong_count, 0);
}

/* Misses of acre's W-TinyLFU where its sketch has room for all objects, as for a cache that may grow: then it counts exactly. */
static uint32_t misses_with_a_wide_sketch(const cache_keys *keys, uint32_t capacity)
{
    uint64_t *const slot_keys = calloc(capacity, sizeof *slot_keys);
    uint32_t *const slots = calloc(keys->object_count, sizeof *slots); /* of each object: slot + 1 */
    const acre_policy_options options = {
        .kind = ACRE_POLICY_W_TINYLFU, .capacity = capacity, .capacity_max = capacity + 8 * keys->object_count, .keys = slot_keys};
    const size_t size = acre_policy_bytes(&options);
    void *const memory = malloc(size);
    acre_policy *policy = NULL;
    uint32_t misses = 0;
    assert_int_equal(acre_policy_init(&policy, &options, memory, size), ACRE_OK);
    for (size_t i = 0; i < keys->count; i++) {
        const uint32_t object = keys->objects[i];
        if (slots[object] != 0) {
            acre_policy_hit(policy, slots[object] - 1);
            continue;
        }
        const acre_policy_origin origin = acre_policy_miss(policy, object);
        uint32_t slot = misses++;
        if (slot >= capacity) {
            slot = acre_policy_evict(policy, origin, NULL, NULL);
            slots[slot_keys[slot]] = 0;
        }
        slot_keys[slot] = object;
        slots[object] = slot + 1;
        acre_policy_admit(policy, slot, origin);
    }
    free(memory);
    free(slots);
    free(slot_keys);
    return misses;
}

/* Each row of the reference counts, with its trace. */
static void for_each_row(void (*add)(void *context, const reference_row *row, const cache_keys *keys), void *context)
{
    static char paths[6][PATH_BYTES + 128];
    char path[PATH_BYTES + 64], line[512];
    snprintf(path, sizeof path, "%s/cache/reference-misses.csv", data_folder);
    FILE *const file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    for (reference_row row; next_row(file, &row);) {
        cache_keys keys;
        assert_true(files_of(row.trace, paths) > 0);
        read_file(&keys, paths[0], 1);
        add(context, &row, &keys);
        cache_keys_end(&keys);
    }
    (void)fclose(file);
}

/* W-TinyLFU against the plain one: how far it is off as it is, as shares of the requests. */
typedef struct plain_sums {
    double largest, sum;
    size_t row_count, wrong_count;
} plain_sums;

static void add_plain_row(void *context, const reference_row *row, const cache_keys *keys)
{
    plain_sums *const sums = context;
    const uint32_t capacity = (uint32_t)row->size;
    cache_job jobs[] = {{.keys = keys, .rule = ACRE_POLICY_CAR, .capacity = capacity},
                        {.keys = keys, .rule = ACRE_POLICY_W_TINYLFU, .capacity = capacity}};
    cache_replay(jobs, 2, 2, NULL, NULL);
    const uint32_t car = plain_car_misses(keys->objects, keys->count, keys->object_count, capacity);
    const uint32_t tinylfu = plain_w_tinylfu_misses(keys->objects, keys->count, keys->object_count, capacity);
    const uint32_t wide = misses_with_a_wide_sketch(keys, capacity);
    const double off = fabs((double)jobs[1].miss_count - tinylfu) / (double)row->requests;
    if (jobs[0].miss_count != car || wide != tinylfu) {
        print_error("%s %u: car %llu misses and not %u; w-tinylfu with a wide sketch %u and not %u\n", row->trace, capacity,
                    (unsigned long long)jobs[0].miss_count, car, wide, tinylfu);
        sums->wrong_count++;
    }
    sums->largest = fmax(sums->largest, off);
    sums->sum += off;
    sums->row_count++;
}

/* A sketch takes rare keys for more frequent ones where counters are shared, so W-TinyLFU as it is cannot have the exact counts: where a
 * loop is longer than the cache and all keys are equally frequent, what it mistakes decides. */
static void misses_of_car_and_w_tinylfu_are_those_of_plain_ones(void **state)
{
    plain_sums sums = {.row_count = 0};
    if (!has_data()) skip();
    for_each_row(add_plain_row, &sums);
    print_message("w-tinylfu is off by %.4f of the requests at most, by %.4f in the mean\n", sums.largest,
                  sums.sum / (double)sums.row_count);
    assert_true(sums.row_count >= 52);
    assert_int_equal(sums.wrong_count, 0);
    assert_true(sums.largest < 0.12 && sums.sum / (double)sums.row_count < 0.012);
}

/* Miss ratios of LIRS by another program (libCacheSim), which no two programs agree on to the last miss. */
static const struct {
    const char *trace;
    uint64_t size;
    double miss_ratio;
} lirs_rows[] = {
    {"cloudPhysicsIO", 490, 0.8314},
    {"cloudPhysicsIO", 2449, 0.8138},
    {"cloudPhysicsIO", 4897, 0.7518},
    {"cloudPhysicsIO", 9795, 0.6559},
    {"cache2k_web07", 205, 0.6131},
    {"cache2k_web07", 1024, 0.4759},
    {"cache2k_web07", 2048, 0.4261},
    {"cache2k_web07", 4097, 0.3797},
    {"cache2k_web12", 138, 0.6417},
    {"cache2k_web12", 688, 0.3888},
    {"cache2k_web12", 1376, 0.2982},
    {"cache2k_web12", 2751, 0.2311},
    {"corda_trace_vaultservice", 905, 0.9950},
    {"lirs_2_pools", 99, 0.5303},
    {"lirs_2_pools", 497, 0.4810},
    {"lirs_2_pools", 994, 0.4568},
    {"lirs_2_pools", 1988, 0.4091},
    {"lirs_sprite", 71, 0.7943},
    {"lirs_sprite", 354, 0.3493},
    {"lirs_sprite", 708, 0.1596},
    {"lirs_sprite", 1415, 0.1041},
    {"lirs_multi1", 130, 0.5460},
    {"lirs_multi1", 261, 0.5020},
    {"lirs_multi1", 521, 0.4356},
    {"lirs_multi2", 284, 0.6297},
    {"lirs_multi2", 568, 0.4836},
    {"lirs_multi2", 1137, 0.4055},
    {"lirs_multi3", 373, 0.6270},
    {"lirs_multi3", 745, 0.5146},
    {"lirs_multi3", 1491, 0.4331},
    {"lirs_ps", 154, 0.7132},
    {"lirs_ps", 308, 0.4687},
    {"lirs_ps", 617, 0.4101},
    {"lirs_cpp", 61, 0.3612},
    {"lirs_cpp", 122, 0.1930},
    {"lirs_cpp", 245, 0.1526},
    {"lirs_gli", 126, 0.9210},
    {"lirs_gli", 253, 0.8377},
    {"lirs_gli", 506, 0.6638},
    {"lirs_loop", 506, 0.5054},
    {"lirs_zigzag", 200, 0.9995},
    {"lirs_zigzag", 1000, 0.9957},
    {"address_gcc", 351, 0.0971},
    {"address_gcc", 3507, 0.0751},
    {"address_twolf", 74, 0.1386},
    {"address_twolf", 735, 0.0200},
};

/* LIRS misses no more than that one did, within 2.5 % of the requests. It may miss less: ours demotes what nobody uses. */
static void expect_lirs(const reference_row *row, double miss_ratio)
{
    for (size_t i = 0; i < sizeof lirs_rows / sizeof lirs_rows[0]; i++) {
        if (strcmp(lirs_rows[i].trace, row->trace) != 0 || lirs_rows[i].size != row->size) continue;
        if (miss_ratio > lirs_rows[i].miss_ratio + 0.025)
            fail_msg("lirs on %s, %llu entries: %.4f and not %.4f", row->trace, (unsigned long long)row->size, miss_ratio,
                     lirs_rows[i].miss_ratio);
    }
}

typedef struct adaptive_sums {
    double log_of_best, worst_of_lru, cut;
    size_t row_count;
} adaptive_sums;

static void add_row(void *context, const reference_row *row, const cache_keys *keys)
{
    adaptive_sums *const sums = context;
    cache_job jobs[ACRE_POLICY_KIND_COUNT];
    uint64_t best = UINT64_MAX;
    for (unsigned rule = 0; rule < ACRE_POLICY_KIND_COUNT; rule++)
        jobs[rule] = (cache_job){.keys = keys, .rule = rule, .capacity = (uint32_t)row->size};
    cache_replay(jobs, ACRE_POLICY_KIND_COUNT, 2, NULL, NULL);
    for (unsigned rule = 0; rule < ACRE_POLICY_KIND_COUNT; rule++) {
        assert_null(jobs[rule].failure);
        if (rule != ACRE_POLICY_ADAPTIVE && jobs[rule].miss_count < best) best = jobs[rule].miss_count;
    }
    expect_lirs(row, (double)jobs[ACRE_POLICY_LIRS].miss_count / (double)row->requests);
    const double adaptive = (double)jobs[ACRE_POLICY_ADAPTIVE].miss_count, lru = (double)jobs[ACRE_POLICY_LRU].miss_count;
    sums->log_of_best += log(adaptive / (double)best);
    sums->cut += 1 - adaptive / lru;
    if (adaptive / lru > sums->worst_of_lru) sums->worst_of_lru = adaptive / lru;
    sums->row_count++;
}

static void the_adaptive_policy_is_never_bad(void **state)
{
    if (!has_data()) {
        print_message("skipped: no traces at '%s' (ACRE_TEST_DATA)\n", data_folder);
        skip();
    }
    adaptive_sums sums = {.worst_of_lru = 0};
    for_each_row(add_row, &sums);
    const double count = (double)sums.row_count, of_best = exp(sums.log_of_best / count);
    print_message("adaptive on %zu rows: %.4f of the best online policy of each (geometric mean), at most %.3f of LRU, on average %.1f %% "
                  "fewer misses than LRU\n",
                  sums.row_count, of_best, sums.worst_of_lru, 100 * sums.cut / count);
    assert_true(of_best <= 1.03 && sums.worst_of_lru <= 1.05 && sums.cut / count >= 0.09);
}

static void append_keys(cache_keys *to, const cache_keys *from, uint64_t base)
{
    for (size_t i = 0; i < from->count; i++) assert_true(cache_keys_take(to, base + from->keys[from->objects[i]]));
}

/* Keys that come three times in a row, then a loop over twice as much as fits, then the first again. */
static void the_adaptive_policy_survives_a_change_of_phases(void **state)
{
    if (!has_data()) {
        print_message("skipped: no traces at '%s' (ACRE_TEST_DATA)\n", data_folder);
        skip();
    }
    static char paths[6][PATH_BYTES + 128];
    cache_keys corda, loop, all;
    assert_true(files_of("corda_trace_vaultservice", paths) > 0);
    read_file(&corda, paths[0], 1);
    assert_true(files_of("lirs_loop", paths) > 0);
    read_file(&loop, paths[0], 1);
    cache_keys_begin(&all, 1, 0);
    append_keys(&all, &corda, 0);
    for (unsigned i = 0; i < 5; i++) append_keys(&all, &loop, (uint64_t)1 << 60);
    append_keys(&all, &corda, 0);
    cache_job job = {.keys = &all, .rule = ACRE_POLICY_ADAPTIVE, .capacity = 512};
    cache_replay(&job, 1, 1, NULL, NULL);
    assert_null(job.failure);
    print_message("adaptive: %llu misses of %llu\n", (unsigned long long)job.miss_count, (unsigned long long)all.request_count);
    assert_int_equal(all.request_count, 2798904);
    assert_true((double)job.miss_count <= 0.60 * 2798904);
    cache_keys_end(&corda);
    cache_keys_end(&loop);
    cache_keys_end(&all);
}

/* Exact misses of LRU at sizes that ascend, from stack distances counted with a Fenwick tree. */
static void exact_curve(const cache_keys *keys, const uint64_t *sizes, double *misses, size_t size_count)
{
    uint32_t *const tree = calloc(keys->count + 2, sizeof *tree), *const last = calloc(keys->object_count + 1, sizeof *last);
    uint64_t *const hits = calloc((size_t)keys->object_count + 2, sizeof *hits);
    uint64_t sum = 0, size = 0;
    uint32_t live = 0;
    for (size_t i = 1; i <= keys->count; i++) {
        uint32_t *const old = &last[keys->objects[i - 1]];
        uint32_t before = 0;
        for (size_t k = *old; k > 0; k -= k & (0 - k)) before += tree[k];
        if (*old != 0) hits[live - before]++;
        for (size_t k = *old; k > 0 && k <= keys->count; k += k & (0 - k)) tree[k]--;
        for (size_t k = i; k <= keys->count; k += k & (0 - k)) tree[k]++;
        live += *old == 0;
        *old = (uint32_t)i;
    }
    for (size_t i = 0; i < size_count; i++) {
        while (size < sizes[i] && size <= keys->object_count) sum += hits[size++];
        misses[i] = 1 - (double)sum / (double)keys->count;
    }
    free(hits);
    free(last);
    free(tree);
}

enum { CURVE_POINTS = 100 };

/* The largest and the mean difference over sizes from a two-hundredth of the objects to all, evenly apart on a logarithmic scale. */
static void compare_curves(const cache_keys *keys, double *largest, double *mean)
{
    const acre_curve_options options = {.keys_max = 32768, .share = 0};
    void *const memory = malloc(acre_curve_bytes(&options));
    uint64_t sizes[CURVE_POINTS];
    uint32_t found[CURVE_POINTS];
    double exact[CURVE_POINTS];
    acre_curve *curve;
    assert_int_equal(acre_curve_init(&curve, &options, memory, acre_curve_bytes(&options)), ACRE_OK);
    for (size_t i = 0; i < keys->count; i++) acre_curve_access(curve, keys->keys[keys->objects[i]]);
    assert_true(acre_curve_is_valid(curve));
    for (int i = 0; i < CURVE_POINTS; i++) sizes[i] = (uint64_t)ceil(keys->object_count * pow(200, (double)(i + 1) / CURVE_POINTS - 1));
    exact_curve(keys, sizes, exact, CURVE_POINTS);
    assert_int_equal(acre_curve_read(curve, sizes, found, CURVE_POINTS), ACRE_OK);
    *largest = *mean = 0;
    for (int i = 0; i < CURVE_POINTS; i++) {
        const double error = fabs(exact[i] - found[i] / 1e6);
        *largest = fmax(*largest, error);
        *mean += error / CURVE_POINTS;
    }
    free(memory);
}

static void a_live_curve_is_within_a_fiftieth_of_the_exact_one_on_every_trace(void **state)
{
    static const char *const names[] = {"address_gcc",
                                        "address_twolf",
                                        "cache2k_web07",
                                        "cache2k_web12",
                                        "cloudPhysicsIO",
                                        "corda_trace_vaultservice",
                                        "lirs_2_pools",
                                        "lirs_cpp",
                                        "lirs_cs",
                                        "lirs_gli",
                                        "lirs_loop",
                                        "lirs_multi1",
                                        "lirs_multi2",
                                        "lirs_multi3",
                                        "lirs_ps",
                                        "lirs_scan",
                                        "lirs_sprite",
                                        "lirs_zigzag",
                                        "tencentBlock.ns1326.sample",
                                        "tencentBlock.ns1360.sample",
                                        "tencentBlock.ns3300.sample"};
    if (!has_data()) {
        print_message("skipped: no traces at '%s' (ACRE_TEST_DATA)\n", data_folder);
        skip();
    }
    static char paths[6][PATH_BYTES + 128];
    double worst = 0, worst_mean = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        cache_keys keys;
        double largest, mean;
        assert_true(files_of(names[i], paths) > 0);
        read_file(&keys, paths[0], 1);
        compare_curves(&keys, &largest, &mean);
        cache_keys_end(&keys);
        worst = fmax(worst, largest);
        worst_mean = fmax(worst_mean, mean);
        if (largest > 0.02 || mean > 0.005) fail_msg("%s: off by %.4f, by %.4f in the mean", names[i], largest, mean);
    }
    print_message("live curves: off by %.4f at most, by %.4f in the mean of a trace at most\n", worst, worst_mean);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_is_recognized_and_gives_the_same_keys_in_every_packing),
        cmocka_unit_test(members_of_a_packing_may_follow_one_another),
        cmocka_unit_test(damage_is_told_with_its_place_and_value),
        cmocka_unit_test(a_line_that_has_no_end_is_refused),
        cmocka_unit_test(a_record_that_is_cut_off_or_wrong_is_told),
        cmocka_unit_test(damage_to_packed_data_is_never_read_as_other_keys),
        cmocka_unit_test(a_column_is_chosen_by_name_or_number),
        cmocka_unit_test(a_file_that_is_not_there_is_named),
        cmocka_unit_test(formats_have_names),
        cmocka_unit_test(keys_are_numbered_in_the_order_of_first_use),
        cmocka_unit_test(a_sample_that_was_thinned_out_is_the_one_of_that_rate),
        cmocka_unit_test(misses_are_those_of_the_reference_on_every_row),
        cmocka_unit_test(misses_of_car_and_w_tinylfu_are_those_of_plain_ones),
        cmocka_unit_test(the_adaptive_policy_is_never_bad),
        cmocka_unit_test(the_adaptive_policy_survives_a_change_of_phases),
        cmocka_unit_test(a_live_curve_is_within_a_fiftieth_of_the_exact_one_on_every_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
