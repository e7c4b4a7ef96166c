/* worth.c - what another number of frames would be worth, by a live miss-ratio curve, and a size in bytes: what acre/budget.h asks for. */
#include "base/status.h"
#include "database/pool.h"

#include <acre/budget.h>

enum { FRAMES_MIN = 16 };

void acre_pool_tell_curve(acre_buffer_pool *pool, acre_page_id id, bool is_lot)
{
    acre_lock_take(&pool->curve_lock);
    if (is_lot) acre_curve_pass(pool->curve, REQUESTS_A_LOT); /* with those that were wanted, few as they are */
    if (acre_curve_wants(pool->curve, id)) acre_curve_take(pool->curve, id);
    acre_lock_drop(&pool->curve_lock);
}

acre_status acre_buffer_pool_read_curve(acre_buffer_pool *pool, const uint64_t *frame_counts, uint32_t *misses, size_t count)
{
    if (pool == NULL || frame_counts == NULL || misses == NULL) return acre_fail(ACRE_INVALID, "buffer pool: a NULL");
    if (pool->curve == NULL) return acre_fail(ACRE_UNSUPPORTED, "buffer pool: it was opened without a curve");
    acre_lock_take(&pool->curve_lock);
    const acre_status status = acre_curve_read(pool->curve, frame_counts, misses, count);
    acre_lock_drop(&pool->curve_lock);
    return status;
}

void acre_buffer_pool_read_costs(void *context, const uint64_t *sizes, uint64_t *costs, size_t count)
{
    acre_buffer_pool *const pool = context;
    if (costs == NULL) return;
    for (size_t i = 0; i < count; i++) costs[i] = 0;
    if (pool == NULL || pool->curve == NULL || sizes == NULL) return;
    uint64_t requests = acre_load_figure(&pool->counts.miss);
    for (unsigned i = 0; i <= STRIPE_COUNT; i++) requests += acre_load_figure(&pool->stripes[i].hit_count);
    const uint64_t reads = acre_load_figure(&pool->counts.miss), read_ns = acre_load_figure(&pool->counts.read_ns);
    const uint64_t new_requests = requests - pool->told_requests, new_reads = reads - pool->told_misses;
    const uint64_t new_read_ns = read_ns - pool->told_read_ns;
    pool->told_requests = requests;
    pool->told_misses = reads;
    pool->told_read_ns = read_ns;
    /* Where nothing was read since, what all reads have cost so far. */
    const uint64_t cost_ns = new_reads > 0 ? new_read_ns / new_reads : reads > 0 ? read_ns / reads : 1;
    acre_lock_take(&pool->curve_lock);
    (void)acre_budget_read_curve(pool->curve, new_requests, cost_ns, pool->page_bytes, sizes, costs, count);
    acre_lock_drop(&pool->curve_lock);
}

uint64_t acre_buffer_pool_resize_bytes(void *context, uint64_t bytes)
{
    acre_buffer_pool *const pool = context;
    if (pool == NULL) return 0;
    uint64_t frames = bytes >> pool->page_shift;
    if (frames < FRAMES_MIN) frames = FRAMES_MIN;
    if (frames > pool->options.frame_count_max) frames = pool->options.frame_count_max;
    acre_lock_take(&pool->lock);
    const uint64_t before = pool->frame_count;
    acre_lock_drop(&pool->lock);
    const acre_status status = acre_buffer_pool_resize(pool, (uint32_t)frames);
    const uint64_t kept = (status == ACRE_OK ? frames : acre_max_size(before, frames)) << pool->page_shift;
    return kept < bytes ? bytes : kept;
}
