/* report.c - what a device memory manager has: figures, JSON, a report for people, and whether its notes are as they must be. */
#include "gpu/manager.h"

#include "alloc/offset_allocator.h"
#include "base/format.h"
#include "base/status.h"
#include "guard/fault.h"

#include <string.h>

enum { OWNERS_MAX = 16, TEXT_BYTES = 512 };

/* ---- figures ---- */

static void count_block(const acre_gpu_block *block, acre_gpu_figures *figures)
{
    acre_offset_figures places;
    figures->block_count++;
    figures->block_bytes += block->size_bytes;
    figures->memory_count += block->entry_count;
    figures->memory_bytes += block->asked_bytes;
    if (block->is_dedicated) return;
    if (block->offsets.nodes == NULL) { /* slabs: each free slot is an extent */
        const uint64_t slot = block->pool->options.slot_bytes;
        const uint64_t free_count = (block->size_bytes - block->used_bytes) / slot;
        figures->free_extent_count += free_count;
        if (free_count > 0 && figures->free_extent_largest_bytes < slot) figures->free_extent_largest_bytes = slot;
        return;
    }
    if (acre_offset_read_figures(&block->offsets, &places) != ACRE_OK) return;
    figures->free_extent_count += places.free_extent_count;
    if (places.largest_free_bytes > figures->free_extent_largest_bytes) figures->free_extent_largest_bytes = places.largest_free_bytes;
}

static uint64_t count_pool(acre_gpu_pool *pool, acre_gpu_figures *figures)
{
    uint64_t free_bytes = 0;
    acre_lock_take(&pool->lock);
    for (const acre_gpu_block *block = pool->first; block != NULL; block = block->next) {
        count_block(block, figures);
        free_bytes += block->size_bytes - block->used_bytes;
    }
    acre_lock_drop(&pool->lock);
    return free_bytes;
}

static void settle(acre_gpu_figures *figures, uint64_t free_bytes)
{
    if (free_bytes == 0) return;
    const double outside = (double)(free_bytes - figures->free_extent_largest_bytes) / (double)free_bytes;
    figures->fragmentation_permille = (uint32_t)(outside * 1000.0);
}

acre_status acre_gpu_read_figures(acre_gpu *gpu, uint32_t heap, acre_gpu_figures *figures)
{
    uint64_t free_bytes = 0;
    if (gpu == NULL || figures == NULL) return acre_fail(ACRE_INVALID, "gpu: read figures: a NULL");
    if (heap >= gpu->device.heap_count)
        return acre_fail(ACRE_INVALID, "gpu '%s': heap %u of %u", gpu->driver->name, heap, gpu->device.heap_count);
    *figures = (acre_gpu_figures){0};
    acre_lock_take(&gpu->opened_lock);
    for (acre_gpu_pool *pool = acre_gpu_next_pool(gpu, NULL); pool != NULL; pool = acre_gpu_next_pool(gpu, pool))
        if (acre_gpu_type_of(pool)->heap == heap) free_bytes += count_pool(pool, figures);
    acre_lock_drop(&gpu->opened_lock);
    settle(figures, free_bytes);
    acre_gpu_read_budget(gpu, heap, &figures->used_bytes, &figures->limit_bytes);
    return ACRE_OK;
}

acre_status acre_gpu_pool_read_figures(acre_gpu_pool *pool, acre_gpu_figures *figures)
{
    if (pool == NULL || figures == NULL) return acre_fail(ACRE_INVALID, "gpu: read figures: a NULL");
    *figures = (acre_gpu_figures){0};
    settle(figures, count_pool(pool, figures));
    return ACRE_OK;
}

/* ---- text ---- */

typedef struct output {
    acre_gpu_writer *write;
    void *context;
    bool is_refused;
} output;

static void put(output *out, const char *text, size_t bytes)
{
    if (!out->is_refused && !out->write(out->context, text, bytes)) out->is_refused = true;
}

ACRE_PRINTF(2, 3) static void print(output *out, const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    const size_t length = acre_format_list(text, sizeof text, format, arguments);
    va_end(arguments);
    put(out, text, length);
}

/* Bytes of the character of UTF-8 that begins there; 0: none does (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF). */
static size_t utf8_length(const unsigned char *text)
{
    static const struct {
        unsigned char first_least, first_most, second_least, second_most, length;
    } forms[] = {{0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                 {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
                 {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (text[0] < forms[i].first_least || text[0] > forms[i].first_most) continue;
        if (forms[i].length == 1) return 1;
        if (text[1] < forms[i].second_least || text[1] > forms[i].second_most) return 0;
        for (size_t at = 2; at < forms[i].length; at++)
            if ((text[at] & 0xc0) != 0x80) return 0;
        return forms[i].length;
    }
    return 0;
}

/* A JSON string: what it may not hold as it is gets a number, and a byte that is no UTF-8 (a name may be cut within a character) stands as
 * U+FFFD. */
static void print_string(output *out, const char *text)
{
    static const char digits[] = "0123456789abcdef";
    put(out, "\"", 1);
    while (*text != 0) {
        const unsigned char byte = (unsigned char)*text;
        const size_t length = utf8_length((const unsigned char *)text);
        if (length == 0) {
            put(out, "\\ufffd", 6);
        } else if (length > 1 || (byte >= 0x20 && byte != 0x7f && byte != '"' && byte != '\\')) {
            put(out, text, length);
        } else {
            char escaped[] = "\\u0000";
            escaped[4] = digits[byte >> 4];
            escaped[5] = digits[byte & 15];
            put(out, escaped, sizeof escaped - 1);
        }
        text += length == 0 ? 1 : length;
    }
    put(out, "\"", 1);
}

static size_t name_site(const void *site, char *text, size_t size)
{
    const size_t length = acre_fault_hooks_of_process.name == NULL ? 0 : acre_fault_hooks_of_process.name(site, text, size);
    return length > 0 ? length : acre_format(text, size, "%p", site);
}

/* ---- JSON ---- */

static void print_entry(output *out, const acre_gpu_entry *entry)
{
    static const char *const contents[] = {"linear", "optimal", "unknown"};
    char site[256];
    print(out, ",\"asked\":%llu,\"content\":\"%s\",\"user\":\"%p\",\"name\":", (unsigned long long)entry->size_bytes,
          contents[entry->content], entry->user);
    print_string(out, entry->name == NULL ? "" : entry->name);
    (void)name_site(entry->site, site, sizeof site);
    print(out, ",\"site\":");
    print_string(out, site);
}

static void print_places(output *out, const acre_gpu_block *block)
{
    acre_offset_extent extent;
    const char *comma = "";
    for (uint32_t i = acre_offset_step(&block->offsets, 0, &extent); i != 0; i = acre_offset_step(&block->offsets, i, &extent)) {
        const acre_gpu_entry *const entry = acre_gpu_entry_of(&extent);
        const char *const state = !extent.is_out ? "free" : entry == NULL ? "held" : "used";
        print(out, "%s\n      {\"offset\":%llu,\"size\":%llu,\"state\":\"%s\"", comma, (unsigned long long)extent.offset,
              (unsigned long long)extent.size_bytes, state);
        if (entry != NULL) print_entry(out, entry);
        print(out, "}");
        comma = ",";
    }
}

static void print_entries(output *out, const acre_gpu_block *block)
{
    const char *comma = "";
    for (const acre_gpu_entry *entry = block->entries; entry != NULL; entry = entry->next) {
        const uint64_t size = block->is_dedicated ? block->size_bytes : block->pool->options.slot_bytes;
        print(out, "%s\n      {\"offset\":%llu,\"size\":%llu,\"state\":\"used\"", comma, (unsigned long long)entry->offset,
              (unsigned long long)size);
        print_entry(out, entry);
        print(out, "}");
        comma = ",";
    }
}

static void print_block(output *out, const acre_gpu_block *block, const char *comma)
{
    print(out, "%s\n    {\"size\":%llu,\"used\":%llu,\"allocations\":%u,\"dedicated\":%s,\"mapped\":%u,\"extents\":[", comma,
          (unsigned long long)block->size_bytes, (unsigned long long)block->used_bytes, block->entry_count,
          block->is_dedicated ? "true" : "false", block->map_count);
    if (block->offsets.nodes != NULL)
        print_places(out, block);
    else
        print_entries(out, block);
    print(out, "]}");
}

static void print_pool(output *out, acre_gpu_pool *pool, const char *comma)
{
    static const char *const kinds[] = {"general", "linear", "slabs"};
    print(out, "%s\n  {\"name\":", comma);
    print_string(out, pool->name);
    print(out, ",\"type\":%u,\"kind\":\"%s\",\"own\":%s,\"blocks\":[", pool->type, kinds[pool->options.kind],
          pool->is_own ? "true" : "false");
    const char *between = "";
    acre_lock_take(&pool->lock);
    for (const acre_gpu_block *block = pool->first; block != NULL; block = block->next) {
        print_block(out, block, between);
        between = ",";
    }
    acre_lock_drop(&pool->lock);
    print(out, "]}");
}

acre_status acre_gpu_write_json(acre_gpu *gpu, acre_gpu_writer *write, void *context)
{
    output out = {.write = write, .context = context};
    if (gpu == NULL || write == NULL) return acre_fail(ACRE_INVALID, "gpu: write JSON: a NULL");
    print(&out, "{\"driver\":");
    print_string(&out, gpu->driver->name);
    print(&out, ",\"device\":");
    print_string(&out, gpu->device.name);
    print(&out, ",\n\"granularity\":%llu,\"atom\":%llu,\"heaps\":[", (unsigned long long)gpu->device.granularity_bytes,
          (unsigned long long)gpu->device.atom_bytes);
    for (uint32_t heap = 0; heap < gpu->device.heap_count; heap++) {
        acre_gpu_figures figures = {0};
        (void)acre_gpu_read_figures(gpu, heap, &figures);
        print(&out,
              "%s\n  {\"size\":%llu,\"flags\":%u,\"reserved\":%llu,\"allocated\":%llu,\"allocations\":%llu,\"largest_free\":%llu,"
              "\"fragmentation_permille\":%u,\"used\":%llu,\"budget\":%llu}",
              heap == 0 ? "" : ",", (unsigned long long)gpu->device.heaps[heap].size_bytes, gpu->device.heaps[heap].flags,
              (unsigned long long)figures.block_bytes, (unsigned long long)figures.memory_bytes, (unsigned long long)figures.memory_count,
              (unsigned long long)figures.free_extent_largest_bytes, figures.fragmentation_permille, (unsigned long long)figures.used_bytes,
              (unsigned long long)figures.limit_bytes);
    }
    print(&out, "],\n\"types\":[");
    for (uint32_t type = 0; type < gpu->device.type_count; type++) {
        print(&out, "%s\n  {\"heap\":%u,\"flags\":%u}", type == 0 ? "" : ",", gpu->device.types[type].heap, gpu->device.types[type].flags);
    }
    print(&out, "],\n\"pools\":[");
    const char *comma = "";
    acre_lock_take(&gpu->opened_lock);
    for (acre_gpu_pool *pool = acre_gpu_next_pool(gpu, NULL); pool != NULL; pool = acre_gpu_next_pool(gpu, pool)) {
        print_pool(&out, pool, comma);
        comma = ",";
    }
    acre_lock_drop(&gpu->opened_lock);
    print(&out, "]}\n");
    return out.is_refused ? acre_fail(ACRE_IO, "gpu '%s': write JSON: the writer ended it", gpu->driver->name) : ACRE_OK;
}

/* ---- for people ---- */

/* Who holds most: by name, else by call site. The table keeps the largest as far as it has seen; a small owner may be left out. */
typedef struct owner {
    const char *name;
    const void *site;
    uint64_t bytes;
    uint64_t count;
} owner;

static bool is_owner(const owner *o, const acre_gpu_entry *entry)
{
    if (o->name != NULL || entry->name != NULL) return o->name != NULL && entry->name != NULL && strcmp(o->name, entry->name) == 0;
    return o->site == entry->site;
}

/* Space-saving counts (Metwally 2005): when all rows are taken the smallest is taken over. */
static void count_owner(owner *owners, const acre_gpu_entry *entry)
{
    owner *smallest = owners;
    for (unsigned i = 0; i < OWNERS_MAX; i++) {
        owner *const o = &owners[i];
        if (o->count > 0 && is_owner(o, entry)) {
            o->bytes += entry->size_bytes;
            o->count++;
            return;
        }
        if (o->bytes < smallest->bytes) smallest = o;
    }
    *smallest = (owner){.name = entry->name, .site = entry->site, .bytes = smallest->bytes + entry->size_bytes, .count = 1};
}

static void count_owners(acre_gpu_pool *pool, owner *owners)
{
    for (const acre_gpu_block *block = pool->first; block != NULL; block = block->next) {
        acre_offset_extent extent;
        for (const acre_gpu_entry *entry = block->entries; entry != NULL; entry = entry->next) count_owner(owners, entry);
        if (block->offsets.nodes == NULL) continue;
        for (uint32_t i = acre_offset_step(&block->offsets, 0, &extent); i != 0; i = acre_offset_step(&block->offsets, i, &extent)) {
            const acre_gpu_entry *const entry = acre_gpu_entry_of(&extent);
            if (entry != NULL) count_owner(owners, entry);
        }
    }
}

static void print_owners(output *out, owner *owners)
{
    for (unsigned printed = 0; printed < OWNERS_MAX; printed++) {
        char site[256];
        owner *largest = owners;
        for (unsigned i = 1; i < OWNERS_MAX; i++)
            if (owners[i].bytes > largest->bytes) largest = &owners[i];
        if (largest->bytes == 0) return;
        if (largest->name == NULL) (void)name_site(largest->site, site, sizeof site);
        print(out, "  %llu bytes in %llu allocations: %s\n", (unsigned long long)largest->bytes, (unsigned long long)largest->count,
              largest->name != NULL ? largest->name : site);
        largest->bytes = 0;
    }
}

acre_status acre_gpu_write_report(acre_gpu *gpu, acre_gpu_writer *write, void *context)
{
    output out = {.write = write, .context = context};
    owner owners[OWNERS_MAX] = {{0}};
    if (gpu == NULL || write == NULL) return acre_fail(ACRE_INVALID, "gpu: write report: a NULL");
    acre_lock_take(&gpu->lock);
    const uint32_t count = gpu->entries.used_count;
    acre_lock_drop(&gpu->lock);
    print(&out, "gpu '%s' (%s): %u allocations\n", gpu->driver->name, gpu->device.name, count);
    for (uint32_t heap = 0; heap < gpu->device.heap_count; heap++) {
        acre_gpu_figures figures = {0};
        (void)acre_gpu_read_figures(gpu, heap, &figures);
        print(&out,
              "heap %u of %llu bytes%s: %llu reserved in %llu blocks, %llu in use by %llu allocations, largest free extent %llu, "
              "fragmentation %u permille; used %llu of a budget of %llu\n",
              heap, (unsigned long long)gpu->device.heaps[heap].size_bytes,
              (gpu->device.heaps[heap].flags & ACRE_GPU_DEVICE_LOCAL) != 0 ? " (device)" : "", (unsigned long long)figures.block_bytes,
              (unsigned long long)figures.block_count, (unsigned long long)figures.memory_bytes, (unsigned long long)figures.memory_count,
              (unsigned long long)figures.free_extent_largest_bytes, figures.fragmentation_permille, (unsigned long long)figures.used_bytes,
              (unsigned long long)figures.limit_bytes);
    }
    acre_lock_take(&gpu->opened_lock);
    /* Names are shown as they are: all locks are held until then. Nobody else takes two. */
    for (acre_gpu_pool *pool = acre_gpu_next_pool(gpu, NULL); pool != NULL; pool = acre_gpu_next_pool(gpu, pool)) {
        acre_lock_take(&pool->lock);
        count_owners(pool, owners);
    }
    print_owners(&out, owners);
    for (acre_gpu_pool *pool = acre_gpu_next_pool(gpu, NULL); pool != NULL; pool = acre_gpu_next_pool(gpu, pool))
        acre_lock_drop(&pool->lock);
    acre_lock_drop(&gpu->opened_lock);
    return out.is_refused ? acre_fail(ACRE_IO, "gpu '%s': write report: the writer ended it", gpu->driver->name) : ACRE_OK;
}

/* ---- whether all is right ---- */

static const char *block_fault(const acre_gpu_block *block)
{
    uint32_t entries = 0;
    uint64_t asked = 0;
    uint64_t used = 0;
    acre_offset_extent extent;
    for (const acre_gpu_entry *entry = block->entries; entry != NULL; entry = entry->next) {
        if (entry->block != block || entry->place != 0) return "an entry of another block stands in its list";
        if (entry->size_bytes > block->size_bytes || entry->offset > block->size_bytes - entry->size_bytes) return "an entry lies outside";
        entries++;
        asked += entry->size_bytes;
        used += block->is_dedicated ? block->size_bytes : block->pool->options.slot_bytes;
    }
    if (block->offsets.nodes != NULL) {
        if (!acre_offset_allocator_is_valid(&block->offsets)) return "its offset allocator is not valid";
        for (uint32_t i = acre_offset_step(&block->offsets, 0, &extent); i != 0; i = acre_offset_step(&block->offsets, i, &extent)) {
            const acre_gpu_entry *const entry = acre_gpu_entry_of(&extent);
            if (extent.is_out) used += extent.size_bytes;
            if (entry == NULL) continue;
            if (entry->block != block || entry->offset != extent.offset || entry->size_bytes > extent.size_bytes)
                return "an entry is not where its place is";
            if ((entry->offset & (((uint64_t)1 << entry->alignment_shift) - 1)) != 0) return "an entry is not aligned";
            entries++;
            asked += entry->size_bytes;
        }
    }
    if (entries != block->entry_count) return "it has another number of entries than it says";
    if (asked != block->asked_bytes || used != block->used_bytes) return "it has other bytes in use than it says";
    if ((block->map_count > 0) != (block->pointer != NULL)) return "it is mapped and has no pointer, or the other way round";
    return NULL;
}

static const char *pool_fault(const acre_gpu_pool *pool, uint64_t *bytes, uint32_t *blocks)
{
    uint32_t count = 0;
    uint32_t dedicated = 0;
    uint32_t empty = 0;
    const acre_gpu_block *before = NULL;
    for (const acre_gpu_block *block = pool->first; block != NULL; block = block->next) {
        const char *const fault = block->pool != pool ? "a block of another pool stands in its list" : block_fault(block);
        if (fault != NULL) return fault;
        if (block->previous != before) return "its list is not linked back";
        before = block;
        if (block->is_dedicated)
            dedicated++;
        else
            count++;
        if (block->entry_count == 0) empty++;
        *bytes += block->size_bytes;
        ++*blocks;
    }
    if (pool->last != before) return "its list has another end";
    if (count != pool->block_count || dedicated != pool->dedicated_count || empty != pool->empty_count)
        return "it counts other blocks than it has";
    return NULL;
}

acre_status acre_gpu_check(acre_gpu *gpu)
{
    uint64_t bytes[ACRE_GPU_HEAPS_MAX] = {0};
    uint32_t blocks = 0;
    acre_status status = ACRE_OK;
    if (gpu == NULL) return acre_fail(ACRE_INVALID, "gpu: check: the manager is NULL");
    acre_lock_take(&gpu->opened_lock);
    /* All locks are held, so that no block comes or goes until the heaps are compared. */
    for (acre_gpu_pool *pool = acre_gpu_next_pool(gpu, NULL); pool != NULL; pool = acre_gpu_next_pool(gpu, pool)) {
        acre_lock_take(&pool->lock);
        const char *const fault = status != ACRE_OK ? NULL : pool_fault(pool, &bytes[acre_gpu_type_of(pool)->heap], &blocks);
        if (fault != NULL)
            status = acre_fail(ACRE_CORRUPT, "gpu '%s': pool '%s' of type %u: %s", gpu->driver->name, pool->name, pool->type, fault);
    }
    for (uint32_t heap = 0; heap < gpu->device.heap_count && status == ACRE_OK; heap++) {
        const uint64_t noted = __atomic_load_n(&gpu->heap_bytes[heap], __ATOMIC_RELAXED);
        if (bytes[heap] != noted) {
            status = acre_fail(ACRE_CORRUPT, "gpu '%s': heap %u: blocks of %llu bytes, %llu noted", gpu->driver->name, heap,
                               (unsigned long long)bytes[heap], (unsigned long long)noted);
        }
    }
    for (acre_gpu_pool *pool = acre_gpu_next_pool(gpu, NULL); pool != NULL; pool = acre_gpu_next_pool(gpu, pool))
        acre_lock_drop(&pool->lock);
    acre_lock_drop(&gpu->opened_lock);
    return status;
}
