/* page_map.c - see page_map.h. A range may cross slots, so whatever writes a range goes slot by slot through `next_part`. */
#include "alloc/page_map.h"
#include "alloc/span.h"

#include <string.h>

static size_t leaf_spans_offset(const acre_page_map *map) { return (size_t)acre_align_up(map->slot_units * 2, 64); }

static size_t leaf_words_offset(const acre_page_map *map) { return leaf_spans_offset(map) + map->slot_units * sizeof(acre_span); }

static size_t leaf_size(const acre_page_map *map)
{
    return leaf_words_offset(map) + map->slot_units * ACRE_WORDS_PER_UNIT * sizeof(acre_word);
}

void acre_page_map_init_host(acre_page_map *map, uint8_t **root, acre_meta *meta)
{
    *map = (acre_page_map){.root = root,
                           .slot_count = ACRE_HOST_SLOT_COUNT,
                           .slot_units = ACRE_HOST_SLOT_UNITS,
                           .slot_shift = ACRE_HOST_SLOT_SHIFT,
                           .meta = meta};
}

void acre_page_map_init_range(acre_page_map *map, uint8_t **root, acre_meta *meta, acre_addr base, uint64_t size)
{
    assert(base % ACRE_UNIT_BYTES == 0 && size >= ACRE_UNIT_BYTES);
    *map = (acre_page_map){.root = root,
                           .slot_count = 1,
                           .slot_units = (size_t)(size >> ACRE_UNIT_SHIFT),
                           .slot_shift = (unsigned)acre_max_size(acre_log2_ceil(size), ACRE_UNIT_SHIFT),
                           .base = base,
                           .meta = meta};
}

static void set_window(acre_page_map *map, acre_addr base, uint64_t unit_count, uint8_t *classes)
{
    map->window_base = base;
    map->window_classes = classes;
    map->window_units = unit_count;
}

void acre_page_map_open_window(acre_page_map *map, acre_addr base, uint64_t size)
{
    assert(base % ACRE_UNIT_BYTES == 0 && size % ACRE_UNIT_BYTES == 0 && map->window_units == 0);
    if (size == 0) return;
    uint8_t *const classes = acre_meta_alloc(map->meta, (size_t)(size >> ACRE_UNIT_SHIFT));
    if (classes != NULL) set_window(map, base, size >> ACRE_UNIT_SHIFT, classes);
}

acre_status acre_page_map_cover(acre_page_map *map, acre_addr address, uint64_t size)
{
    const uint64_t first = (address - map->base) >> map->slot_shift;
    const uint64_t last = (address - map->base + size - 1) >> map->slot_shift;
    if (last >= map->slot_count || last < first) {
        return acre_fail(ACRE_INVALID, "page map: 0x%llx + %llu bytes lies outside of it", (unsigned long long)address,
                         (unsigned long long)size);
    }
    acre_lock_take(&map->lock);
    acre_status status = ACRE_OK;
    for (uint64_t slot = first; slot <= last && status == ACRE_OK; slot++) {
        if (map->root[slot] != NULL) continue;
        uint8_t *const leaf = acre_meta_alloc(map->meta, leaf_size(map));
        if (leaf == NULL)
            status = ACRE_NO_MEMORY;
        else
            acre_store_pointer(&map->root[slot], leaf);
        if (leaf != NULL && map->slot_count == 1) set_window(map, map->base, map->slot_units, leaf);
    }
    acre_lock_drop(&map->lock);
    return status;
}

acre_span *acre_page_map_span(const acre_page_map *map, acre_addr address)
{
    size_t unit = 0;
    uint8_t *const leaf = acre_page_map_leaf(map, address, &unit);
    assert(leaf != NULL);
    return (acre_span *)(void *)(leaf + leaf_spans_offset(map)) + unit;
}

acre_addr acre_page_map_first_unit(const acre_page_map *map, acre_addr address)
{
    acre_addr unit = acre_align_down(address, ACRE_UNIT_BYTES);
    if (acre_page_map_class(map, unit) != ACRE_CLASS_LARGE_REST) return unit;
    const uint32_t before = __atomic_load_n(&acre_page_map_span(map, unit)->units_before, __ATOMIC_RELAXED);
    const acre_addr first = unit - ((acre_addr)before << ACRE_UNIT_SHIFT);
    if (before != 0 && first < unit && acre_page_map_class(map, first) == ACRE_CLASS_LARGE &&
        __atomic_load_n(&acre_page_map_span(map, first)->unit_count, __ATOMIC_RELAXED) > before) {
        return first;
    }
    while (acre_page_map_class(map, unit) == ACRE_CLASS_LARGE_REST) unit -= ACRE_UNIT_BYTES;
    return unit;
}

acre_word *acre_page_map_words(const acre_page_map *map, acre_addr address)
{
    size_t unit = 0;
    uint8_t *const leaf = acre_page_map_leaf(map, address, &unit);
    assert(leaf != NULL);
    return (acre_word *)(void *)(leaf + leaf_words_offset(map)) + unit * ACRE_WORDS_PER_UNIT;
}

/* The part of [address, address + unit_count units) that lies in the first address's slot. */
static size_t next_part(const acre_page_map *map, acre_addr address, size_t unit_count, uint8_t **leaf, size_t *unit)
{
    *leaf = acre_page_map_leaf(map, address, unit);
    assert(*leaf != NULL);
    return acre_min_size(unit_count, map->slot_units - *unit);
}

void acre_page_map_set_class(acre_page_map *map, acre_addr address, size_t unit_count, unsigned class)
{
    const uint64_t window_unit = (address - map->window_base) >> ACRE_UNIT_SHIFT;
    if (acre_likely(window_unit < map->window_units)) {
        assert(unit_count <= map->window_units - window_unit);
        memset(map->window_classes + window_unit, (int)class, unit_count);
        return;
    }
    while (unit_count > 0) {
        uint8_t *leaf = NULL;
        size_t unit = 0;
        const size_t part = next_part(map, address, unit_count, &leaf, &unit);
        memset(leaf + unit, (int)class, part);
        unit_count -= part;
        address += (acre_addr)part << ACRE_UNIT_SHIFT;
    }
}

void acre_page_map_set_dirty(acre_page_map *map, acre_addr address, size_t unit_count, bool is_dirty)
{
    while (unit_count > 0) {
        uint8_t *leaf = NULL;
        size_t unit = 0;
        const size_t part = next_part(map, address, unit_count, &leaf, &unit);
        memset(acre_leaf_states(map, leaf) + unit, is_dirty ? ACRE_UNIT_DIRTY : 0, part);
        unit_count -= part;
        address += (acre_addr)part << ACRE_UNIT_SHIFT;
    }
}

size_t acre_page_map_count_dirty(const acre_page_map *map, acre_addr address, size_t unit_count)
{
    size_t count = 0;
    while (unit_count > 0) {
        uint8_t *leaf = NULL;
        size_t unit = 0;
        const size_t part = next_part(map, address, unit_count, &leaf, &unit);
        const uint8_t *const states = acre_leaf_states(map, leaf) + unit;
        for (size_t i = 0; i < part; i++) count += states[i]; /* DIRTY is 1 */
        unit_count -= part;
        address += (acre_addr)part << ACRE_UNIT_SHIFT;
    }
    return count;
}
