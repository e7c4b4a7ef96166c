/* guarded_block.c - see guarded_block.h. */
#include "heap/guarded_block.h"
#include "guard/canary.h"
#include "guard/fault.h"

#include <string.h>

void *acre_guard_make_leaf(acre_heap *heap, void **place, size_t bytes)
{
    acre_heap_guard *const guard = heap->guard;
    acre_lock_take(&guard->lock);
    if (*place == NULL) {
        void *const leaf = acre_meta_alloc(&heap->meta, heap->map->slot_units * ACRE_GRANULES_PER_UNIT * bytes);
        if (leaf != NULL) acre_store_pointer(place, leaf);
    }
    acre_lock_drop(&guard->lock);
    return *place;
}

uint32_t *acre_sites_at(acre_heap *heap, acre_addr block, bool may_make)
{
    acre_heap_guard *const guard = heap->guard;
    if (guard->sites == NULL || guard->site_table == NULL) return NULL;
    uint64_t slot;
    const size_t granule = acre_granule_of(heap->map, block, &slot);
    uint32_t *leaf = acre_load_pointer(&guard->sites[slot]);
    if (leaf == NULL && may_make) leaf = acre_guard_make_leaf(heap, (void **)&guard->sites[slot], sizeof *leaf);
    return leaf == NULL ? NULL : leaf + granule;
}

acre_fault acre_fault_of_block(acre_heap *heap, const acre_known_block *block, acre_fault_kind kind, const char *operation)
{
    acre_fault fault = {.kind = kind,
                        .heap_name = heap->name,
                        .address = block->base,
                        .block = block->base,
                        .size_bytes = block->room,
                        .operation = operation};
    const uint8_t first = block->states == NULL ? 0 : __atomic_load_n(block->states, __ATOMIC_ACQUIRE);
    if (acre_state_of(first) != ACRE_BLOCK_UNKNOWN) {
        fault.has_asked = true;
        fault.asked_bytes = acre_asked_of(block, first);
    }
    const uint32_t *const sites = acre_sites_at(heap, block->base, false);
    if (sites != NULL) {
        fault.alloc_site = acre_site_get(heap->guard->site_table, sites[0]);
        if (block->room > ACRE_GRANULE_BYTES && !acre_state_is_out(acre_state_of(first)))
            fault.free_site = acre_site_get(heap->guard->site_table, sites[1]);
    }
    return fault;
}

void acre_report_at_block(acre_heap *heap, const acre_known_block *block, acre_fault_kind kind, const char *operation, uint64_t offset,
                          acre_touch touch)
{
    acre_fault fault = acre_fault_of_block(heap, block, kind, operation);
    fault.address = block->base + offset;
    fault.offset = (int64_t)offset;
    fault.touch = touch;
    acre_fault_report(&fault);
}

/* What free got is no block. */
void acre_report_no_block(acre_heap *heap, acre_fault_kind kind, acre_addr address, const char *operation)
{
    acre_fault fault = {.kind = kind, .heap_name = heap->name, .address = address, .operation = operation};
    acre_block block;
    if (kind == ACRE_FAULT_INTERIOR_FREE && acre_heap_block_of(heap, address, &block, NULL)) {
        acre_span *const span = acre_page_map_span(heap->map, block.base);
        acre_known_block known = {.base = block.base,
                                  .span = span,
                                  .room = block.size_bytes,
                                  .states = acre_states_at(heap, block.base),
                                  .is_large = span->kind == ACRE_SPAN_LARGE};
        fault = acre_fault_of_block(heap, &known, kind, operation);
        fault.address = address;
        fault.offset = (int64_t)(address - block.base);
    }
    acre_fault_report(&fault);
}

/* Damage that begins behind intact bytes and reaches the end came from the next block, which begins there. */
static acre_fault_kind kind_of_damage(uint64_t size, size_t first, size_t last)
{
    return first >= 4 && last == size - 1 ? ACRE_FAULT_UNDERFLOW : ACRE_FAULT_OVERFLOW;
}

/* Returns true when the canary was damaged. */
bool acre_check_canary(acre_heap *heap, const acre_known_block *block, uint64_t asked, const char *operation)
{
    if (!heap->guard->is_host) return false;
    const uint64_t size = acre_canary_end(heap->guard, block, asked) - asked;
    if (acre_likely(acre_run_is_whole(acre_block_pointer(block->base + asked), (size_t)size, ACRE_CANARY_BYTE))) return false;
    size_t first, last;
    if (!acre_run_damage(acre_block_pointer(block->base + asked), (size_t)size, ACRE_CANARY_BYTE, &first, &last)) return false;
    const acre_fault_kind kind = kind_of_damage(size, first, last);
    acre_report_at_block(heap, block, kind, operation, asked + (kind == ACRE_FAULT_UNDERFLOW ? last : first), ACRE_TOUCH_WRITE);
    return true;
}

bool acre_check_poison(acre_heap *heap, const acre_known_block *block, const char *operation)
{
    size_t first, last;
    if (!heap->guard->is_host || acre_run_is_whole(acre_block_pointer(block->base), acre_poison_bytes(block), ACRE_FREED_BYTE))
        return false;
    if (!acre_run_damage(acre_block_pointer(block->base), acre_poison_bytes(block), ACRE_FREED_BYTE, &first, &last)) return false;
    acre_report_at_block(heap, block, ACRE_FAULT_USE_AFTER_FREE, operation, first, ACRE_TOUCH_WRITE);
    return true;
}

void acre_check_claim(acre_fault *fault, const char *operation, bool is_new, const acre_free_claim *claim)
{
    if (is_new != acre_is_delete(operation)) {
        fault->kind = ACRE_FAULT_KIND_MISMATCH;
        acre_fault_report(fault);
    } else if (claim != NULL && claim->size_bytes != 0 && claim->size_bytes != fault->asked_bytes) {
        fault->kind = ACRE_FAULT_SIZE_MISMATCH;
        fault->told_bytes = claim->size_bytes;
        acre_fault_report(fault);
    } else if (claim != NULL && claim->alignment > 1 && fault->block % claim->alignment != 0) {
        fault->kind = ACRE_FAULT_SIZE_MISMATCH;
        fault->told_bytes = claim->alignment;
        acre_fault_report(fault);
    }
}
