/* guarded_block.h - a block as a heap that checks knows it, and what is said when it is damaged. For heap/guarded*.c. */
#ifndef ACRE_HEAP_GUARDED_BLOCK_H
#define ACRE_HEAP_GUARDED_BLOCK_H

#include "guard/block_state.h"
#include "heap/guarded.h"

enum {
    ACRE_GUARD_PAD_BYTES = 16,               /* at L2 each block is this much larger, so that each has a canary */
    ACRE_GUARD_POISON_BYTES_MAX = 64 * 1024, /* of one block */
    ACRE_GUARD_CANARY_PAGE_BYTES = 4096,
    ACRE_GRANULES_PER_UNIT = ACRE_UNIT_BYTES / ACRE_GRANULE_BYTES,
};

static inline char *acre_block_pointer(acre_addr address) { return (char *)(uintptr_t)address; }

/* ---- what is kept of a block ---- */

/* The place of a granule in its leaf. O(1). */
static inline size_t acre_granule_of(const acre_page_map *map, acre_addr address, uint64_t *slot)
{
    const uint64_t offset = address - map->base;
    *slot = offset >> map->slot_shift;
    return (size_t)((offset - (*slot << map->slot_shift)) >> ACRE_GRANULE_SHIFT);
}

/* A leaf of `bytes` a granule; NULL when there is no memory. */
void *acre_guard_make_leaf(acre_heap *heap, void **place, size_t bytes);

/* The bytes of a block; NULL when there is no leaf and none may be made. */
static inline uint8_t *acre_states_at(const acre_heap *heap, acre_addr block)
{
    uint64_t slot;
    const size_t granule = acre_granule_of(heap->map, block, &slot);
    uint8_t *const leaf = acre_load_pointer(&heap->guard->states[slot]);
    return leaf == NULL ? NULL : leaf + granule;
}

/* The same, and makes the leaf; NULL when there is no memory. */
static inline uint8_t *acre_states_made(acre_heap *heap, acre_addr block)
{
    uint64_t slot;
    const size_t granule = acre_granule_of(heap->map, block, &slot);
    uint8_t *leaf = acre_load_pointer(&heap->guard->states[slot]);
    if (acre_unlikely(leaf == NULL)) leaf = acre_guard_make_leaf(heap, (void **)&heap->guard->states[slot], sizeof(uint8_t));
    return leaf == NULL ? NULL : leaf + granule;
}

/* The two numbers of a block; NULL where none are kept. The smallest blocks have one only. */
uint32_t *acre_sites_at(acre_heap *heap, acre_addr block, bool may_make);

/* A block of the heap's own memory as it stands in the map. */
typedef struct acre_known_block {
    acre_addr base;
    acre_span *span;
    uint64_t room;
    uint8_t *states;
    bool is_large;
} acre_known_block;

static inline uint64_t acre_asked_of(const acre_known_block *block, uint8_t first)
{
    return block->is_large ? block->span->size_bytes : block->room - acre_slack_decode(block->states, block->room, first);
}

/* Where the canary ends: behind a large block it takes a page of its own only at L2. */
static inline uint64_t acre_canary_end(const acre_heap_guard *guard, const acre_known_block *block, uint64_t asked)
{
    if (!block->is_large) return block->room;
    const uint64_t end = acre_align_up(asked, ACRE_GUARD_CANARY_PAGE_BYTES);
    return acre_min_size(block->room, acre_max_size(end, guard->has_quarantine ? asked + ACRE_GUARD_PAD_BYTES : 0));
}

static inline acre_known_block acre_known_of(const acre_heap *heap, acre_span *span, acre_addr base)
{
    return (acre_known_block){.base = base,
                              .span = span,
                              .room = acre_room_of(span),
                              .states = acre_states_at(heap, base),
                              .is_large = span->kind == ACRE_SPAN_LARGE};
}

static inline size_t acre_poison_bytes(const acre_known_block *block)
{
    return acre_min_size((size_t)block->room, ACRE_GUARD_POISON_BYTES_MAX);
}

/* ---- faults ---- */

/* A fault of a block, with what is known of it. */
acre_fault acre_fault_of_block(acre_heap *heap, const acre_known_block *block, acre_fault_kind kind, const char *operation);

/* Reports one that concerns the byte at `offset`; and one of an address where no block begins. */
void acre_report_at_block(acre_heap *heap, const acre_known_block *block, acre_fault_kind kind, const char *operation, uint64_t offset,
                          acre_touch touch);
void acre_report_no_block(acre_heap *heap, acre_fault_kind kind, acre_addr address, const char *operation);

/* Look at canary and poison, and report damage: then true. */
bool acre_check_canary(acre_heap *heap, const acre_known_block *block, uint64_t asked, const char *operation);
bool acre_check_poison(acre_heap *heap, const acre_known_block *block, const char *operation);

/* "operator delete". */
static inline bool acre_is_delete(const char *operation) { return operation[0] == 'o'; }

/* Reports what a caller of free says that does not fit the block; `fault` is filled in but for its kind. */
void acre_check_claim(acre_fault *fault, const char *operation, bool is_new, const acre_free_claim *claim);

/* Tells the heap's observer. Inlined, so that the frame is that of a function which the call leads through. */
__attribute__((always_inline)) static inline void acre_guard_tell(acre_heap *heap, acre_heap_op op, acre_addr address, uint64_t size)
{
    heap->observer(&(acre_heap_event){.op = op, .address = address, .size_bytes = size, .frame = __builtin_frame_address(0)});
}

#endif
