/* page_map.h - from any address to what is there: the class of its 16 KiB unit, and the descriptor of its span.
 *
 * A map for pointers of the host has a *window*, the range where nearly all regions lie (space/window.h), with the class bytes of
 * all its units in one array: a class is one load away. A map of one slot has it too: the class bytes of its leaf. For the rest, and
 * for everything but the class, there is
 * a two-level radix tree. The root has one pointer a *slot* (a power of two of units); a slot's leaf has a byte a unit for
 * the class, a byte a unit for its state, the descriptors and the occupancy words, in that order, so that a class is two
 * loads away and the bytes of a gigabyte fit the second-level cache. Leaves are reserved whole and touched where used.
 *
 * A map for pointers of the host covers all of the address space with 256 MiB slots; a map for a space of known size has
 * a single slot. Looking up is lock free and works for any number at all; covering new ranges takes the map's lock.
 */
#ifndef ACRE_ALLOC_PAGE_MAP_H
#define ACRE_ALLOC_PAGE_MAP_H

#include "alloc/meta.h"
#include "alloc/size_class.h"
#include "base/atomic.h"

enum {
    ACRE_HOST_SLOT_SHIFT = 28,
    ACRE_HOST_ADDRESS_BITS = 47,
    ACRE_BITS_PER_UNIT = ACRE_UNIT_BYTES / ACRE_BLOCK_BYTES_MIN,
    ACRE_WORDS_PER_UNIT = ACRE_BITS_PER_UNIT / (int)(sizeof(acre_word) * 8),
};

#define ACRE_HOST_SLOT_COUNT ((size_t)1 << (ACRE_HOST_ADDRESS_BITS - ACRE_HOST_SLOT_SHIFT))
#define ACRE_HOST_SLOT_UNITS ((size_t)1 << (ACRE_HOST_SLOT_SHIFT - ACRE_UNIT_SHIFT))

typedef struct acre_span acre_span;

typedef struct acre_page_map {
    uint8_t **root;      /* slot_count leaves, NULL where nothing is */
    size_t slot_count;
    size_t slot_units;   /* units a leaf describes */
    unsigned slot_shift; /* an address belongs to slot (address - base) >> slot_shift */
    acre_addr base;
    acre_meta *meta;     /* where leaves come from */
    acre_lock lock;
    acre_addr window_base;
    uint64_t window_units; /* 0: no window */
    uint8_t *window_classes;
} acre_page_map;

/* A map of all pointers. `root` is zeroed memory of the caller for ACRE_HOST_SLOT_COUNT pointers. */
void acre_page_map_init_host(acre_page_map *map, uint8_t **root, acre_meta *meta);

/* A map of one slot for the range [base, base + size); `root` is one zeroed pointer. */
void acre_page_map_init_range(acre_page_map *map, uint8_t **root, acre_meta *meta, acre_addr base, uint64_t size);

/* Makes descriptors for every unit of the range. ACRE_NO_MEMORY changes nothing but leaves that are there
 * already. ACRE_INVALID when the range lies outside of what the map can describe. O(slots of the range). */
acre_status acre_page_map_cover(acre_page_map *map, acre_addr address, uint64_t size);

/* Gives the map a window, before anything is covered. No memory for the class bytes: it goes without. */
void acre_page_map_open_window(acre_page_map *map, acre_addr base, uint64_t size);

/* The leaf for an address, NULL when nothing of ours is near. `*unit` is the unit's number in the leaf. */
static inline uint8_t *acre_page_map_leaf(const acre_page_map *map, acre_addr address, size_t *unit)
{
    const uint64_t offset = address - map->base;
    const uint64_t slot = offset >> map->slot_shift;
    if (slot >= map->slot_count) return NULL;
    *unit = (size_t)((offset >> ACRE_UNIT_SHIFT) - slot * map->slot_units);
    return *unit < map->slot_units ? acre_load_pointer(&map->root[slot]) : NULL;
}

/* The class at an address, if it lies in the window. */
static inline bool acre_window_class(const acre_page_map *map, acre_addr address, unsigned *class)
{
    const uint64_t unit = (address - map->window_base) >> ACRE_UNIT_SHIFT;
    if (acre_unlikely(unit >= map->window_units)) return false;
    *class = map->window_classes[unit];
    return true;
}

/* The class at an address; ACRE_CLASS_NONE when it is not ours. Any number is allowed. O(1). */
static inline unsigned acre_page_map_class(const acre_page_map *map, acre_addr address)
{
    unsigned class;
    if (acre_window_class(map, address, &class)) return class;
    size_t unit = 0;
    const uint8_t *const leaf = acre_page_map_leaf(map, address, &unit);
    return leaf == NULL ? (unsigned)ACRE_CLASS_NONE : leaf[unit];
}

/* The bytes of a leaf that describe its units: class (unused in the window), then state. */
static inline uint8_t *acre_leaf_states(const acre_page_map *map, uint8_t *leaf) { return leaf + map->slot_units; }

/* The descriptor and the first occupancy word of a unit that is covered. O(1). */
acre_span *acre_page_map_span(const acre_page_map *map, acre_addr address);
acre_word *acre_page_map_words(const acre_page_map *map, acre_addr address);

/* The first unit of the run in which an address lies, as far as classes tell. O(1) where the units of large blocks know how many are before
 * them (heaps that check), else O(units). */
acre_addr acre_page_map_first_unit(const acre_page_map *map, acre_addr address);

/* Sets the class byte of `unit_count` units from `address` on. All of them are covered, and in the window or none is. */
void acre_page_map_set_class(acre_page_map *map, acre_addr address, size_t unit_count, unsigned class);

/* The state byte of units: nothing but ACRE_UNIT_DIRTY. */
enum { ACRE_UNIT_DIRTY = 1 /* may hold something else than zeros, and may be backed by memory */ };

void acre_page_map_set_dirty(acre_page_map *map, acre_addr address, size_t unit_count, bool is_dirty);
size_t acre_page_map_count_dirty(const acre_page_map *map, acre_addr address, size_t unit_count);

#endif
