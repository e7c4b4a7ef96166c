/* guarded_pages.c - blocks of a heap that end at a page without access: see guarded.h and guard/page_pool.h. */
#include "base/status.h"
#include "guard/canary.h"
#include "guard/fault.h"
#include "heap/guarded_block.h"

#include <string.h>

enum {
    PAGES_ONE_IN_LIMITED = 100,     /* from here on ... */
    PAGES_PERIOD_NS = 10 * 1000000, /* ... at most 1000 a second */
    PAGES_PER_PERIOD = 10,
};

/* The canary between the block's end and the page without access, which alignment leaves. */
static size_t page_gap(const acre_page_slot *slot)
{
    const acre_addr end = slot->block + slot->asked_bytes;
    return (size_t)(acre_align_up(acre_max_size((size_t)end, (size_t)slot->block + 1), acre_os_page_size()) - end);
}

/* A block in guard pages costs some 10 us, so a program that allocates millions a second gets fewer than one in so many. */
static bool may_choose(acre_heap_guard *guard)
{
    if (guard->pages_one_in < PAGES_ONE_IN_LIMITED) return true;
    const uint64_t period = acre_os_now_ns() / PAGES_PERIOD_NS;
    acre_lock_take(&guard->lock);
    if (guard->pages_period != period) guard->pages_in_period = 0;
    guard->pages_period = period;
    const bool may = guard->pages_in_period < PAGES_PER_PERIOD;
    guard->pages_in_period += may;
    acre_lock_drop(&guard->lock);
    return may;
}

acre_addr acre_guard_page_alloc(acre_heap *heap, uint64_t size, uint64_t alignment, acre_heap_op op)
{
    if (!may_choose(heap->guard)) return 0;
    acre_page_slot *const slot = acre_page_pool_alloc(&heap->guard->pool, size, acre_max_size(alignment, ACRE_BLOCK_BYTES_MIN));
    if (slot == NULL) return 0;
    slot->is_new = op == ACRE_HEAP_OP_NEW;
    slot->free_site.count = 0;
    acre_site_capture(&slot->alloc_site);
    if (heap->guard->has_quarantine && op != ACRE_HEAP_OP_CALLOC)
        (void)memset(acre_block_pointer(slot->block), ACRE_FRESH_BYTE, (size_t)size);
    acre_canary_put(acre_block_pointer(slot->block + size), page_gap(slot));
    return slot->block;
}

bool acre_guard_is_page_due(const acre_heap *heap, acre_cache *cache)
{
    const uint32_t one_in = heap->guard->pages_one_in;
    if (one_in == 0 || cache == NULL) return false;
    cache->random ^= cache->random << 13;
    cache->random ^= cache->random >> 7;
    cache->random ^= cache->random << 17;
    return cache->random % one_in == 0;
}

static acre_fault fault_of_slot(const acre_heap *heap, const acre_page_slot *slot, acre_fault_kind kind, acre_addr address,
                                const char *operation)
{
    return (acre_fault){.kind = kind,
                        .heap_name = heap->name,
                        .address = address,
                        .block = slot->block,
                        .size_bytes = slot->asked_bytes,
                        .operation = operation,
                        .has_asked = true,
                        .asked_bytes = slot->asked_bytes,
                        .offset = (int64_t)(address - slot->block),
                        .alloc_site = slot->alloc_site,
                        .free_site = slot->free_site};
}

void acre_guard_page_free(acre_heap *heap, acre_addr address, const char *operation, const acre_free_claim *claim)
{
    acre_page_slot *const slot = acre_page_pool_slot(&heap->guard->pool, address);
    uint32_t state = ACRE_SLOT_LIVE;
    if (address != slot->block || __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) == ACRE_SLOT_UNUSED) {
        const bool is_inside = address - slot->block < slot->asked_bytes;
        const acre_fault fault =
            fault_of_slot(heap, slot, is_inside ? ACRE_FAULT_INTERIOR_FREE : ACRE_FAULT_FOREIGN_FREE, address, operation);
        acre_fault_report(&fault);
        return;
    }
    if (!__atomic_compare_exchange_n(&slot->state, &state, ACRE_SLOT_FREED, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        const acre_fault fault = fault_of_slot(heap, slot, ACRE_FAULT_DOUBLE_FREE, address, operation);
        acre_fault_report(&fault);
        return;
    }
    size_t first, last;
    if (acre_run_damage(acre_block_pointer(slot->block + slot->asked_bytes), page_gap(slot), ACRE_CANARY_BYTE, &first, &last)) {
        acre_fault fault = fault_of_slot(heap, slot, ACRE_FAULT_OVERFLOW, slot->block + slot->asked_bytes + first, operation);
        fault.touch = ACRE_TOUCH_WRITE;
        acre_fault_report(&fault);
    }
    if (heap->index == 0) {
        acre_fault fault = fault_of_slot(heap, slot, ACRE_FAULT_KIND_MISMATCH, address, operation);
        acre_check_claim(&fault, operation, slot->is_new, claim);
    }
    acre_site_capture(&slot->free_site);
    if (heap->observer != NULL && heap->is_recording) acre_guard_tell(heap, ACRE_HEAP_OP_FREE, address, 0);
    acre_page_pool_free(&heap->guard->pool, slot);
}

bool acre_guard_page_block(const acre_heap *heap, acre_addr address, acre_block *block)
{
    if (!acre_guard_has_page(heap, address)) return false;
    const acre_page_slot *const slot = acre_page_pool_slot(&heap->guard->pool, address);
    const bool is_live = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) == ACRE_SLOT_LIVE;
    if (!is_live || address - slot->block >= acre_max_size(slot->asked_bytes, 1)) return false;
    *block = (acre_block){.base = slot->block, .size_bytes = slot->asked_bytes, .is_out = true};
    return true;
}

/* Whose pages a refused access may lie in. */
static acre_heap *paged_heaps[ACRE_HEAP_COUNT_MAX];

static void on_fault(uintptr_t address, char access)
{
    for (unsigned i = 0; i < ACRE_HEAP_COUNT_MAX; i++) {
        const acre_heap *const heap = acre_load_pointer(&paged_heaps[i]);
        if (heap == NULL || !acre_guard_has_page(heap, address)) continue;
        const acre_page_slot *const slot = acre_page_pool_slot(&heap->guard->pool, address);
        if (slot->state == ACRE_SLOT_UNUSED) return;
        const acre_fault_kind kind = slot->state == ACRE_SLOT_FREED ? ACRE_FAULT_USE_AFTER_FREE
                                     : address < slot->block        ? ACRE_FAULT_UNDERFLOW
                                                                    : ACRE_FAULT_OVERFLOW;
        acre_fault fault = fault_of_slot(heap, slot, kind, address, access == 'w' ? "write" : access == 'r' ? "read" : "access");
        fault.touch = access == 'w' ? ACRE_TOUCH_WRITE : access == 'r' ? ACRE_TOUCH_READ : ACRE_TOUCH_UNKNOWN;
        acre_fault_announce(&fault);
        return;
    }
}

/* ---- opening and closing ---- */

static void list_paged(acre_heap *heap, const acre_heap *in_place_of)
{
    for (unsigned i = 0; i < ACRE_HEAP_COUNT_MAX; i++) {
        acre_heap *expected = (acre_heap *)(uintptr_t)in_place_of;
        if (__atomic_compare_exchange_n(&paged_heaps[i], &expected, heap, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) return;
    }
}

acre_status acre_guard_pages_open(acre_heap *heap, acre_heap_guard *guard)
{
    if (heap->space->info.kind != ACRE_SPACE_PAGES) {
        return acre_fail(ACRE_UNSUPPORTED, "heap '%s': guard pages are there over pages only", heap->name);
    }
    acre_page_slot *const slots = acre_meta_alloc(&heap->meta, ACRE_SLOT_COUNT * sizeof *slots);
    if (slots == NULL) return ACRE_NO_MEMORY;
    acre_status status = acre_page_pool_open(&guard->pool, slots);
    if (status == ACRE_OK) status = acre_os_on_fault(on_fault);
    if (status != ACRE_OK) {
        acre_page_pool_close(&guard->pool);
        return status;
    }
    list_paged(heap, NULL);
    return ACRE_OK;
}

void acre_guard_pages_close(acre_heap *heap)
{
    list_paged(NULL, heap);
    acre_page_pool_close(&heap->guard->pool);
}
