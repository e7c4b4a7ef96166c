/* module_map.h - the code that is mapped into this process, read from /proc/self/maps.
 *
 * Not thread safe. A refresh costs one read of the file (some 50 us); is_known is O(modules).
 */
#ifndef ACRE_METER_MODULE_MAP_H
#define ACRE_METER_MODULE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MODULE_COUNT_MAX = 1024, MODULE_PATH_BYTES = 512 };

typedef struct module_range {
    uint64_t begin, end, file_offset;
    uint64_t path_hash;
} module_range;

typedef struct module_map {
    uint32_t count;
    uint32_t last_hit;
    module_range ranges[MODULE_COUNT_MAX]; /* later ones replace earlier ones that they overlap */
} module_map;

/* `path` has `length` bytes and no ending 0; "" for code without a file. */
typedef void module_found(void *context, const module_range *range, const char *path, size_t length);

/* Reads the map; calls `found` for each range of code that was not known. Returns how many. */
uint32_t module_map_refresh(module_map *map, module_found *found, void *context);

bool module_map_knows(module_map *map, uint64_t pc);

#endif
