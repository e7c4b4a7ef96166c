/* live.h - what another process needs to know to read this one's heaps while they work: `acre stats` and `acre top` do.
 *
 * It costs the process nothing, neither a thread nor a store: the reader finds the descriptor through an ELF note (os/note.h), reads the
 * heaps' own structures from outside, and so works on a process that sleeps, is stopped or hangs. It takes no lock and sees each
 * word as it is at some moment, so what it reads must be checked before it is used; figures are as old as the reading, and exact
 * while the process does nothing.
 *
 * Reader and process agree on `layout`, which is made from the structures themselves.
 */
#ifndef ACRE_HEAP_LIVE_H
#define ACRE_HEAP_LIVE_H

#include "heap/heap.h"

#include <stddef.h>

#define ACRE_LIVE_MAGIC "acrelive"

/* What the reader looks at. Another order or size of any of it is another layout. */
#define ACRE_LIVE_LAYOUT                                                                                                                   \
    {                                                                                                                                      \
        sizeof(acre_heap), offsetof(acre_heap, meta), offsetof(acre_heap, map), offsetof(acre_heap, arena), offsetof(acre_heap, caches),   \
            offsetof(acre_heap, name), offsetof(acre_heap, large_bytes), sizeof(acre_cache), offsetof(acre_cache, next),                   \
            offsetof(acre_cache, is_used), sizeof(acre_magazine), offsetof(acre_magazine, put), offsetof(acre_magazine, end),              \
            offsetof(acre_magazine, bottom), sizeof(acre_span), offsetof(acre_span, unit_count), offsetof(acre_span, kind),                \
            offsetof(acre_span, class), sizeof(acre_region), offsetof(acre_region, base), offsetof(acre_region, used_count),               \
            offsetof(acre_arena, regions), offsetof(acre_arena, figures), offsetof(acre_arena, take_count), sizeof(acre_page_map),         \
            offsetof(acre_page_map, slot_units), offsetof(acre_page_map, slot_shift), offsetof(acre_page_map, base),                       \
            offsetof(acre_page_map, meta), offsetof(acre_meta, reserved_bytes), sizeof(acre_size_class), ACRE_CLASS_COUNT,                 \
            ACRE_CLASS_WATCHED, ACRE_UNIT_SHIFT, ACRE_SPAN_COUNT_MASK, ACRE_SPAN_COUNT_BIAS, ACRE_MAGAZINE_BLOCKS_MAX,                     \
            ACRE_MAGAZINE_BYTES_MAX, ACRE_MAGAZINE_BYTES_MAX_BEYOND                                                                        \
    }

enum { ACRE_LIVE_VERSION = 1, ACRE_LIVE_LAYOUT_COUNT = 39 };

typedef struct acre_live {
    char magic[8];
    uint32_t version; /* of this struct */
    uint32_t layout_count;
    uint32_t layout[ACRE_LIVE_LAYOUT_COUNT];
    uint32_t heap_count_max;
    acre_heap *const *heaps; /* heap_count_max of them, NULL where there is none */
    const acre_page_map *host_map;
    const acre_size_class *classes;
} acre_live;

_Static_assert(sizeof((uint32_t[])ACRE_LIVE_LAYOUT) == ACRE_LIVE_LAYOUT_COUNT * sizeof(uint32_t), "ACRE_LIVE_LAYOUT_COUNT counts them");

extern const acre_live acre_live_of_process;

#endif
