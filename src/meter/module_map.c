/* module_map.c - see module_map.h. */
#include "meter/module_map.h"
#include "os/shared_file.h"

typedef struct refresh {
    module_map *map;
    module_found *found;
    void *context;
    uint32_t found_count;
} refresh;

static const char *skip_spaces(const char *at, const char *end)
{
    while (at < end && *at == ' ') at++;
    return at;
}

static const char *skip_word(const char *at, const char *end)
{
    while (at < end && *at != ' ') at++;
    return skip_spaces(at, end);
}

static const char *take_hex(const char *at, const char *end, uint64_t *value)
{
    *value = 0;
    for (; at < end; at++) {
        const char c = *at;
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) break;
        *value = *value << 4 | (uint64_t)digit;
    }
    return at;
}

static uint64_t hash_text(const char *text, size_t length)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325); /* FNV-1a */
    for (size_t i = 0; i < length; i++) hash = (hash ^ (uint8_t)text[i]) * UINT64_C(0x100000001B3);
    return hash;
}

static bool overlap(const module_range *a, const module_range *b) { return a->begin < b->end && b->begin < a->end; }

static bool is_same(const module_range *a, const module_range *b)
{
    return a->begin == b->begin && a->end == b->end && a->file_offset == b->file_offset && a->path_hash == b->path_hash;
}

/* A line is "begin-end rwxp offset device inode    path". */
static void take_line(void *context, const char *line, size_t length)
{
    refresh *const run = context;
    module_map *const map = run->map;
    const char *const end = line + length;
    module_range range;

    const char *at = take_hex(line, end, &range.begin);
    if (at == end || *at != '-') return; /* the rest of a line that was too long */
    at = skip_spaces(take_hex(at + 1, end, &range.end), end);
    if (end - at < 4 || at[2] != 'x') return;
    at = take_hex(skip_word(at, end), end, &range.file_offset);
    at = skip_word(skip_word(skip_spaces(at, end), end), end);
    size_t path_length = (size_t)(end - at);
    if (path_length > MODULE_PATH_BYTES) path_length = MODULE_PATH_BYTES;
    range.path_hash = hash_text(at, path_length);

    uint32_t free_index = map->count;
    for (uint32_t i = 0; i < map->count; i++) {
        if (is_same(&map->ranges[i], &range)) return;
        if (overlap(&map->ranges[i], &range)) free_index = i;
    }
    if (free_index == MODULE_COUNT_MAX) return;
    map->ranges[free_index] = range;
    if (free_index == map->count) map->count++;
    run->found_count++;
    run->found(run->context, &range, at, path_length);
}

uint32_t module_map_refresh(module_map *map, module_found *found, void *context)
{
    refresh run = {.map = map, .found = found, .context = context};
    if (acre_read_lines("/proc/self/maps", take_line, &run) != ACRE_OK) return 0;
    return run.found_count;
}

bool module_map_knows(module_map *map, uint64_t pc)
{
    for (uint32_t i = 0; i < map->count; i++) {
        const uint32_t index = (map->last_hit + i) % map->count;
        if (pc >= map->ranges[index].begin && pc < map->ranges[index].end) {
            map->last_hit = index;
            return true;
        }
    }
    return false;
}
