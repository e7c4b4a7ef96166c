/* page_pool.c - see page_pool.h. */
#include "guard/page_pool.h"
#include "base/bits.h"

#include <assert.h>

static void *pointer_of(acre_addr address) { return (void *)(uintptr_t)address; }

acre_status acre_page_pool_open(acre_page_pool *pool, acre_page_slot *slots)
{
    void *base;
    *pool = (acre_page_pool){.slots = slots};
    const acre_status status = acre_os_reserve((size_t)ACRE_SLOT_BYTES * ACRE_SLOT_COUNT, ACRE_SLOT_BYTES, &base);
    if (status == ACRE_OK) pool->base = (uintptr_t)base;
    return status;
}

void acre_page_pool_close(acre_page_pool *pool)
{
    if (pool->base != 0) (void)acre_os_release(pointer_of(pool->base), (size_t)ACRE_SLOT_BYTES * ACRE_SLOT_COUNT);
    pool->base = 0;
}

static acre_addr base_of(const acre_page_pool *pool, const acre_page_slot *slot)
{
    return pool->base + ((acre_addr)(slot - pool->slots) << ACRE_SLOT_SHIFT);
}

static acre_page_slot *take_slot(acre_page_pool *pool)
{
    const bool may_be_fresh = pool->used_count < ACRE_SLOT_COUNT;
    if (pool->freed_count > 0 && (pool->used_count >= ACRE_SLOT_FRESH_COUNT || !may_be_fresh)) {
        acre_page_slot *const slot = &pool->slots[pool->first_freed];
        pool->first_freed = slot->next;
        pool->freed_count--;
        return slot;
    }
    return may_be_fresh ? &pool->slots[pool->used_count++] : NULL;
}

static void put_slot(acre_page_pool *pool, acre_page_slot *slot)
{
    const uint32_t index = (uint32_t)(slot - pool->slots);
    if (pool->freed_count++ == 0)
        pool->first_freed = index;
    else
        pool->slots[pool->last_freed].next = index;
    pool->last_freed = index;
}

acre_page_slot *acre_page_pool_alloc(acre_page_pool *pool, uint64_t size, uint64_t alignment)
{
    const size_t page = acre_os_page_size();
    if (pool->base == 0 || alignment > page || size > ACRE_SLOT_BLOCK_BYTES_MAX || ACRE_SLOT_BYTES < 2 * page) return NULL;
    acre_lock_take(&pool->lock);
    acre_page_slot *const slot = take_slot(pool);
    acre_lock_drop(&pool->lock);
    if (slot == NULL) return NULL;
    const acre_addr base = base_of(pool, slot);
    const acre_addr end = base + ACRE_SLOT_BYTES - page;
    const acre_addr block = acre_align_down(end - acre_max_size((size_t)size, 1), alignment);
    const acre_addr begin = acre_align_down(block, page);
    if (acre_os_open_guarded(pointer_of(base), ACRE_SLOT_BYTES, pointer_of(begin), (size_t)(end - begin),
                             slot->state == ACRE_SLOT_UNUSED) != ACRE_OK) {
        slot->state = ACRE_SLOT_FREED;
        acre_lock_take(&pool->lock);
        put_slot(pool, slot);
        acre_lock_drop(&pool->lock);
        return NULL;
    }
    slot->block = block;
    slot->asked_bytes = (uint32_t)size;
    __atomic_store_n(&slot->state, ACRE_SLOT_LIVE, __ATOMIC_RELEASE);
    return slot;
}

void acre_page_pool_free(acre_page_pool *pool, acre_page_slot *slot)
{
    assert(slot->state == ACRE_SLOT_FREED);
    (void)acre_os_close_guarded(pointer_of(base_of(pool, slot)), ACRE_SLOT_BYTES);
    acre_lock_take(&pool->lock);
    put_slot(pool, slot);
    acre_lock_drop(&pool->lock);
}
