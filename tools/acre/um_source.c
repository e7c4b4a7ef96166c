/* um_source.c - see um_source.h. */
#include "um_source.h"

#include "command.h"

#include <acre/um.h>
#include <stdlib.h>

enum { BLOCK_PAGES = ACRE_UM_BLOCK_BYTES / ACRE_UM_PAGE_BYTES };
#define PAGES_MAX ((uint64_t)1 << 28) /* 1 TiB */

static int compare_numbers(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The page of each object. Keys that are neighbours are so as pages; where nothing was asked for in more than a block, a new block begins.
 * False: they spread too far. */
static bool lay_out(um_source *self, unsigned shift)
{
    const cache_keys *const keys = &self->keys;
    uint64_t *const sorted = must_calloc(keys->object_count + 1u, sizeof *sorted);
    uint64_t *const pages = must_calloc(keys->object_count + 1u, sizeof *pages);
    uint64_t end = 0, used = 0;
    for (uint32_t i = 0; i < keys->object_count; i++) sorted[i] = keys->keys[i] >> shift;
    qsort(sorted, keys->object_count, sizeof *sorted, compare_numbers);
    for (uint32_t i = 0; i < keys->object_count && end < PAGES_MAX; i++) {
        const uint64_t gap = i == 0 ? 0 : sorted[i] - sorted[i - 1];
        if (i > 0) end = gap == 0 ? end - 1 : gap < BLOCK_PAGES ? end + gap - 1 : (end + BLOCK_PAGES - 1) / BLOCK_PAGES * BLOCK_PAGES;
        used += i == 0 || gap > 0;
        pages[i] = end++;
    }
    for (uint32_t i = 0; i < keys->object_count && end < PAGES_MAX; i++) {
        const uint64_t key = keys->keys[i] >> shift;
        const uint64_t *const found = bsearch(&key, sorted, keys->object_count, sizeof *sorted, compare_numbers);
        self->page_of[i] = (uint32_t)pages[found - sorted];
    }
    free(sorted);
    free(pages);
    self->bytes = end * ACRE_UM_PAGE_BYTES;
    self->used_bytes = used * ACRE_UM_PAGE_BYTES;
    return end > 0 && end < PAGES_MAX;
}

typedef struct reading {
    um_source *source;
    cache_trace_info info;
    size_t capacity; /* of the writes */
} reading;

static bool take(void *context, uint64_t key)
{
    reading *const self = context;
    um_source *const source = self->source;
    source->writes = grow_array(source->writes, source->keys.count, &self->capacity, sizeof *source->writes);
    source->writes[source->keys.count] = self->info.is_write;
    return cache_keys_take(&source->keys, key);
}

bool um_source_open_trace(um_source *source, const char *path, const cache_trace_options *options, unsigned shift)
{
    reading self = {.source = source};
    cache_input *input;
    *source = (um_source){.name = path, .is_trace = true};
    cache_keys_begin(&source->keys, 1, 0);
    acre_status status = cache_input_open(&input, path);
    if (status == ACRE_OK) {
        status = cache_trace_read(input, options, take, &self, &self.info);
        cache_input_close(input);
    }
    if (status != ACRE_OK) complain("um", "%s", acre_last_error());
    if (self.info.warning != NULL) complain("um", "%s", self.info.warning);
    free(self.info.warning);
    if (status != ACRE_OK) return false;
    source->page_of = must_calloc(source->keys.object_count + 1u, sizeof *source->page_of);
    if (lay_out(source, shift)) return true;
    complain("um", "'%s': its keys spread over more than 1 TiB of pages: try --shift", path);
    return false;
}

void um_source_open_pattern(um_source *source, unsigned pattern, uint64_t bytes)
{
    *source = (um_source){.name = um_pattern_name(pattern), .bytes = bytes, .used_bytes = bytes, .pattern = pattern};
}

void um_source_close(um_source *source)
{
    free(source->page_of);
    free(source->writes);
    if (source->is_trace) cache_keys_end(&source->keys);
}

bool um_source_run(const um_source *source, um_touch *touch, void *context)
{
    if (!source->is_trace) return um_pattern_run(source->pattern, source->bytes, touch, context);
    for (size_t i = 0; i < source->keys.count; i++) {
        const uint64_t at = (uint64_t)source->page_of[source->keys.objects[i]] * ACRE_UM_PAGE_BYTES;
        if (!touch(context, at, ACRE_UM_PAGE_BYTES, source->writes[i] != 0)) return false;
    }
    return true;
}
