/* gpu_picture.c - see gpu_picture.h. A block is a strip of at most PIECES_MAX pieces: extents that are shorter than that are drawn
 * together, as deep as they are in use.
 */
#include "gpu_picture.h"

#include "command.h"
#include "exports.h"
#include "gpu_devices.h"
#include "tour_page.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { PIECES_MAX = 1200, BLOCKS_SHOWN_MAX = 200, OWNERS_SHOWN_MAX = 20 };

/* What lies there; the page has a colour for each. */
typedef enum kind { KIND_LINEAR, KIND_OPTIMAL, KIND_UNKNOWN, KIND_HELD, KIND_FREE, KIND_COUNT } kind;

typedef struct extent {
    uint64_t offset, size;
    kind kind;
    const char *owner; /* name, else call site; of the dump */
    uint64_t asked;
} extent;

typedef struct owner {
    const char *name;
    uint64_t bytes, count;
} owner;

typedef struct picture {
    char **why;
    owner *owners;
    size_t owner_count, owner_capacity;
    extent *extents; /* of the block that is looked at */
    size_t extent_count, extent_capacity;
} picture;

/* ---- reading the dump ---- */

static bool refuse(picture *self, const char *format, ...) ACRE_PRINTF(2, 3);
static bool refuse(picture *self, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (*self->why == NULL) *self->why = must_copy(text);
    return false;
}

/* A number that is not negative. */
static bool read_number(const json_t *of, const char *key, uint64_t *value)
{
    const json_t *const member = json_object_get(of, key);
    if (!json_is_integer(member) || json_integer_value(member) < 0) return false;
    *value = (uint64_t)json_integer_value(member);
    return true;
}

static const char *read_text(const json_t *of, const char *key)
{
    const char *const text = json_string_value(json_object_get(of, key));
    return text == NULL ? "" : text;
}

static kind kind_of(const json_t *one)
{
    const char *const state = read_text(one, "state"), *const content = read_text(one, "content");
    if (strcmp(state, "free") == 0) return KIND_FREE;
    if (strcmp(state, "held") == 0) return KIND_HELD;
    if (strcmp(state, "used") != 0) return KIND_COUNT;
    return strcmp(content, "linear") == 0 ? KIND_LINEAR : strcmp(content, "optimal") == 0 ? KIND_OPTIMAL : KIND_UNKNOWN;
}

static int by_offset(const void *one, const void *other)
{
    const uint64_t a = ((const extent *)one)->offset, b = ((const extent *)other)->offset;
    return (a > b) - (a < b);
}

/* The extents of a block, in their order. */
static bool read_extents(picture *self, const json_t *block, uint64_t block_bytes)
{
    size_t index;
    const json_t *one;
    self->extent_count = 0;
    json_array_foreach(json_object_get(block, "extents"), index, one)
    {
        extent read = {.kind = kind_of(one)};
        if (read.kind == KIND_COUNT || !read_number(one, "offset", &read.offset) || !read_number(one, "size", &read.size) || read.size == 0)
            return refuse(self, "extent %zu has no offset, no size or no state", index);
        if (read.size > block_bytes || read.offset > block_bytes - read.size)
            return refuse(self, "extent %zu, %llu bytes at %llu, lies outside its block of %llu bytes", index,
                          (unsigned long long)read.size, (unsigned long long)read.offset, (unsigned long long)block_bytes);
        read.owner = read_text(one, "name");
        if (read.owner[0] == 0) read.owner = read_text(one, "site");
        if (!read_number(one, "asked", &read.asked)) read.asked = read.size;
        self->extents = grow_array(self->extents, self->extent_count, &self->extent_capacity, sizeof *self->extents);
        self->extents[self->extent_count++] = read;
    }
    if (self->extent_count > 1) qsort(self->extents, self->extent_count, sizeof *self->extents, by_offset);
    for (size_t i = 1; i < self->extent_count; i++)
        if (self->extents[i].offset - self->extents[i - 1].offset < self->extents[i - 1].size)
            return refuse(self, "two extents overlap at %llu", (unsigned long long)self->extents[i].offset);
    return true;
}

/* ---- pieces ---- */

static json_t *piece_of(const extent *first, size_t count)
{
    static const char *const names[] = {"buffer", "image", "memory", "held for a move", "free"};
    const extent *const last = &first[count - 1];
    const uint64_t bytes = last->offset + last->size - first->offset;
    uint64_t used = 0, used_count = 0, of_kind[KIND_COUNT] = {0};
    for (size_t i = 0; i < count; i++) {
        of_kind[first[i].kind] += first[i].size;
        if (first[i].kind == KIND_FREE) continue;
        used += first[i].size;
        used_count++;
    }
    kind most = KIND_FREE;
    for (kind k = KIND_LINEAR; k < KIND_FREE; k++)
        if (of_kind[k] > (most == KIND_FREE ? 0 : of_kind[most])) most = k;
    char *const size = must_copy(bytes_text(bytes));
    char *const text = count > 1 ? must_print("%s at %llu: %llu small ones, %.0f%% in use", size, (unsigned long long)first->offset,
                                              (unsigned long long)used_count, 100.0 * (double)used / (double)bytes)
                                 : must_print("%s at %llu: %s%s%s", size, (unsigned long long)first->offset, names[first->kind],
                                              first->owner[0] == 0 ? "" : ", ", first->owner);
    json_t *const piece = json_pack("[I, I, i, f, s]", (json_int_t)first->offset, (json_int_t)bytes, (int)most,
                                    (double)(uint64_t)(1000.0 * (double)used / (double)bytes) / 1000.0, text);
    free(text);
    free(size);
    return piece;
}

/* Extents shorter than a piece stand together with their neighbours until they are one. */
static json_t *pieces_of(const picture *self, uint64_t block_bytes)
{
    json_t *const pieces = json_array();
    const uint64_t least = block_bytes / PIECES_MAX;
    for (size_t first = 0, count; first < self->extent_count; first += count) {
        const extent *const extents = &self->extents[first];
        count = 1;
        while (extents[0].size < least && first + count < self->extent_count && extents[count].size < least &&
               extents[count].offset == extents[count - 1].offset + extents[count - 1].size &&
               extents[count - 1].offset + extents[count - 1].size - extents[0].offset < least)
            count++;
        json_array_append_new(pieces, piece_of(extents, count));
    }
    return pieces;
}

static void count_owners(picture *self)
{
    for (size_t i = 0; i < self->extent_count; i++) {
        const extent *const one = &self->extents[i];
        size_t at = 0;
        if (one->kind == KIND_FREE || one->kind == KIND_HELD) continue;
        while (at < self->owner_count && strcmp(self->owners[at].name, one->owner) != 0) at++;
        if (at == self->owner_count) {
            self->owners = grow_array(self->owners, self->owner_count, &self->owner_capacity, sizeof *self->owners);
            self->owners[self->owner_count++] = (owner){.name = one->owner};
        }
        self->owners[at].bytes += one->asked;
        self->owners[at].count++;
    }
}

/* ---- blocks and pools ---- */

/* NULL: it is refused. */
static json_t *block_of(picture *self, const json_t *block, size_t index)
{
    uint64_t size = 0, used = 0, count = 0;
    if (!read_number(block, "size", &size) || size == 0 || !read_number(block, "used", &used) ||
        !read_number(block, "allocations", &count)) {
        (void)refuse(self, "block %zu has no size, no bytes in use or no number of allocations", index);
        return NULL;
    }
    if (!read_extents(self, block, size)) return NULL;
    count_owners(self);
    char *const whole = must_copy(bytes_text(size));
    char *const label =
        must_print("%zu: %s, %.0f%% in use by %llu%s", index, whole, 100.0 * (double)used / (double)size, (unsigned long long)count,
                   json_is_true(json_object_get(block, "dedicated")) ? ", a block of its own" : "");
    json_t *const drawn = json_pack("{s:s, s:I, s:o}", "label", label, "size", (json_int_t)size, "pieces", pieces_of(self, size));
    free(label);
    free(whole);
    return drawn;
}

/* Adds the blocks of a pool. */
static bool add_blocks(picture *self, const json_t *pool, json_t *drawn)
{
    size_t index;
    const json_t *block;
    if (!json_is_array(json_object_get(pool, "blocks"))) return refuse(self, "a pool has no blocks");
    json_array_foreach(json_object_get(pool, "blocks"), index, block)
    {
        json_t *const one = block_of(self, block, index);
        if (one == NULL) return false;
        if (json_array_size(drawn) < BLOCKS_SHOWN_MAX)
            json_array_append_new(drawn, one);
        else
            json_decref(one);
    }
    return true;
}

static void close_picture(picture *self)
{
    free(self->owners);
    free(self->extents);
}

static const json_t *pools_of(picture *self, const json_t *dump)
{
    const json_t *const pools = json_object_get(dump, "pools");
    if (!json_is_array(pools)) (void)refuse(self, "it has no pools");
    return pools;
}

json_t *gpu_picture_of(const json_t *dump, const char *title, char **why)
{
    picture self = {.why = why};
    size_t index;
    const json_t *pool;
    *why = NULL;
    json_t *const blocks = json_array();
    json_array_foreach(pools_of(&self, dump), index, pool)
    {
        if (!add_blocks(&self, pool, blocks)) break;
    }
    close_picture(&self);
    if (*why == NULL) return json_pack("{s:s, s:o}", "title", title, "blocks", blocks);
    json_decref(blocks);
    return NULL;
}

/* ---- the document of a page ---- */

static void add_cell(json_t *row, uint64_t bytes) { json_array_append_new(row, json_string(bytes_text(bytes))); }

static json_t *heaps_of(const json_t *dump)
{
    static const char *const keys[] = {"size", "reserved", "allocated", "largest_free", "used", "budget"};
    json_t *const rows = json_array();
    size_t index;
    const json_t *heap;
    json_array_foreach(json_object_get(dump, "heaps"), index, heap)
    {
        uint64_t flags = 0, permille = 0, count = 0;
        (void)read_number(heap, "flags", &flags);
        (void)read_number(heap, "fragmentation_permille", &permille);
        (void)read_number(heap, "allocations", &count);
        char *const name = must_print("%zu%s", index, (flags & ACRE_GPU_DEVICE_LOCAL) != 0 ? ", of the device" : "");
        char *const fragmentation = must_print("%.1f%%", (double)permille / 10.0);
        json_t *const row = json_pack("[s]", name);
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
            uint64_t bytes = 0;
            (void)read_number(heap, keys[k], &bytes);
            add_cell(row, bytes);
            if (k == 3) json_array_append_new(row, json_string(fragmentation));
            if (k == 2) json_array_append_new(row, json_string(count_text(count)));
        }
        free(fragmentation);
        free(name);
        json_array_append_new(rows, row);
    }
    return json_pack("{s:s, s:s, s:[{s:s, s:[s,s,s,s,s,s,s,s,s], s:o}]}", "name", "heaps", "title",
                     "what is taken of each heap of the device, what of that is allocated, and how what is free lies", "tables", "title",
                     "Heaps", "heads", "heap", "size", "taken", "allocated", "allocations", "largest free extent", "fragmentation",
                     "used by all programs", "budget", "rows", rows);
}

static int by_bytes(const void *one, const void *other)
{
    const uint64_t a = ((const owner *)one)->bytes, b = ((const owner *)other)->bytes;
    return (a < b) - (a > b);
}

static json_t *owners_of(picture *self)
{
    json_t *const rows = json_array();
    if (self->owner_count > 1) qsort(self->owners, self->owner_count, sizeof *self->owners, by_bytes);
    for (size_t i = 0; i < self->owner_count && i < OWNERS_SHOWN_MAX; i++) {
        json_t *const row = json_pack("[s]", self->owners[i].name);
        add_cell(row, self->owners[i].bytes);
        json_array_append_new(row, json_string(count_text(self->owners[i].count)));
        json_array_append_new(rows, row);
    }
    return json_pack("{s:s, s:s, s:[{s:s, s:[s,s,s], s:o}]}", "name", "owners", "title", "who has most, by name, else by call site",
                     "tables", "title", "Owners", "heads", "owner", "allocated", "allocations", "rows", rows);
}

static json_t *pool_of(picture *self, const json_t *dump, const json_t *pool)
{
    uint64_t type = 0, flags = 0;
    json_t *const blocks = json_array();
    (void)read_number(pool, "type", &type);
    (void)read_number(json_array_get(json_object_get(dump, "types"), (size_t)type), "flags", &flags);
    if (!add_blocks(self, pool, blocks)) {
        json_decref(blocks);
        return NULL;
    }
    const size_t count = json_array_size(json_object_get(pool, "blocks"));
    char *const name = json_is_true(json_object_get(pool, "own")) ? must_print("type %llu", (unsigned long long)type)
                                                                  : must_print("pool %s", read_text(pool, "name"));
    char *const words = gpu_flags_text((uint32_t)flags);
    char *const title = must_print("memory type %llu (%s), %s", (unsigned long long)type, words, counted_text(count, "block", "blocks"));
    char *const shown = count > BLOCKS_SHOWN_MAX ? must_print("The first %d blocks of %zu", BLOCKS_SHOWN_MAX, count) : must_copy("Blocks");
    json_t *const stop =
        json_pack("{s:s, s:s, s:[{s:s, s:o}]}", "name", name, "title", title, "pictures", "title", shown, "blocks", blocks);
    free(shown);
    free(title);
    free(words);
    free(name);
    return stop;
}

json_t *gpu_picture_stops(const json_t *dump, char **why)
{
    picture self = {.why = why};
    size_t index;
    const json_t *pool;
    *why = NULL;
    json_t *const stops = json_array(), *const drawn = json_array();
    json_array_foreach(pools_of(&self, dump), index, pool)
    {
        if (json_array_size(json_object_get(pool, "blocks")) == 0 && json_is_array(json_object_get(pool, "blocks"))) continue;
        json_t *const stop = pool_of(&self, dump, pool);
        if (stop == NULL) break;
        json_array_append_new(drawn, stop);
    }
    json_array_append_new(stops, heaps_of(dump));
    json_array_append_new(stops, owners_of(&self));
    json_array_extend(stops, drawn);
    json_decref(drawn);
    close_picture(&self);
    if (*why == NULL) return stops;
    json_decref(stops);
    return NULL;
}

/* ---- the command ---- */

static const char help[] = "Usage: acre gpu picture [OPTIONS] FILE\n"
                           "\n"
                           "Draws what acre_gpu_write_json wrote to FILE (-: standard input) as a page: heaps,\n"
                           "the largest owners, and a strip for each block with what lies in it.\n"
                           "\n"
                           "  --page FILE   where the page goes (acre-gpu.html)\n"
                           "  -h, --help    print this\n";

static int draw(const char *path, const char *page)
{
    json_error_t error;
    char *why = NULL;
    json_t *const dump = strcmp(path, "-") == 0 ? json_loadf(stdin, 0, &error) : json_load_file(path, 0, &error);
    if (dump == NULL) {
        complain("gpu", "'%s': %s", path, error.text);
        return EXIT_USAGE;
    }
    json_t *const stops = gpu_picture_stops(dump, &why);
    int result = EXIT_SUCCESS;
    if (stops == NULL) {
        complain("gpu", "'%s' is nothing that acre_gpu_write_json wrote: %s", path, why);
        result = EXIT_USAGE;
    } else {
        json_t *const document = json_pack("{s:s, s:s, s:s, s:s, s:o}", "kind", "acre gpu picture", "version", ACRE_VERSION, "device",
                                           read_text(dump, "device"), "driver", read_text(dump, "driver"), "stops", stops);
        if (export_tour_page(document, page) != ACRE_OK) {
            complain("gpu", "%s", acre_last_error());
            result = EXIT_TOOL;
        } else if (strcmp(page, "-") != 0) {
            printf("The page with the picture: %s\n", page);
        }
        json_decref(document);
    }
    free(why);
    json_decref(dump);
    return result;
}

int gpu_picture_command(int argument_count, char **arguments)
{
    static const struct option options[] = {{"page", required_argument, NULL, 'p'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    const char *page = "acre-gpu.html";
    optind = 1;
    opterr = 0;
    for (int option; (option = getopt_long(argument_count, arguments, ":h", options, NULL)) != -1;) {
        switch (option) {
        case 'p':
            page = optarg;
            break;
        case 'h':
            fputs(help, stdout);
            return EXIT_SUCCESS;
        case ':':
            return complain_usage("gpu", "'%s' needs a value", arguments[optind - 1]);
        default:
            return complain_usage("gpu", "'%s' is no option", arguments[optind - 1]);
        }
    }
    if (optind == argument_count) return complain_usage("gpu", "picture: of which file?");
    if (optind + 1 < argument_count) return complain_usage("gpu", "'%s' is not expected", arguments[optind + 1]);
    if (!can_write("gpu", page)) return EXIT_USAGE;
    return draw(arguments[optind], page);
}
