/* ahead.c - pages come before they are asked for, as acre/prefetch.h foresees it. It learns from those that were missing, and from those
 * that it had brought, when somebody asks for them; what is in memory anyway tells it nothing. */
#include "database/pool.h"

enum { AHEAD_MAX = RUN_PAGES_MAX };

/* A file may be thought of as longer than it is, and grow. */
static bool is_on_device(acre_buffer_pool *pool, acre_page_id id)
{
    pool_file *const file = &pool->files[id >> 32];
    uint64_t bytes = 0;
    if ((uint32_t)id < __atomic_load_n(&file->device_count, __ATOMIC_RELAXED)) return true;
    if (acre_device_size(file->device, &bytes) != ACRE_OK) return false;
    __atomic_store_n(&file->device_count, bytes >> pool->page_shift, __ATOMIC_RELAXED);
    return (uint32_t)id < bytes >> pool->page_shift;
}

void acre_pool_foresee(acre_buffer_pool *pool, const pool_stripe *stripe, acre_page_id id, bool was_missing)
{
    const uint32_t context = (uint32_t)(stripe - pool->stripes) * ACRE_BUFFER_POOL_FILES_MAX + (uint32_t)(id >> 32);
    acre_page_id ids[AHEAD_MAX];
    acre_lock_take(&pool->foreseeing);
    const size_t count = acre_prefetch_access(pool->prefetcher, id, context, was_missing, ids, AHEAD_MAX);
    acre_lock_drop(&pool->foreseeing);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (word_of(pool, ids[i]) != NULL && is_on_device(pool, ids[i])) ids[kept++] = ids[i];
    if (kept > 0) (void)acre_pool_read_ahead(pool, ids, kept, FLAG_AHEAD);
}

ACRE_SELDOM void acre_pool_meet(acre_buffer_pool *pool, const pool_stripe *stripe, acre_page_id id, uint32_t frame)
{
    if (__atomic_fetch_and(&pool->flags[frame], (uint8_t)~FLAG_AHEAD, __ATOMIC_ACQ_REL) & FLAG_AHEAD)
        acre_pool_foresee(pool, stripe, id, false);
}
