/* cleaner.c - what is written when: frames are freed ahead of time, and checkpoints go on at the rate at which the log grows.
 *
 * A checkpoint is a round over the pages that were dirty, or held exclusively, when it began. Its LSN is that of the log's last record
 * then: each change up to it was made by somebody who held its page at that moment or had made it dirty before. So once all of these pages
 * have been written, and the devices flushed, nothing up to that LSN has to be replayed.
 *
 * The pages of a round are found by their frames without a lock. A page that is dirty cannot leave its frame while `writing` is held, which
 * it is then, and one that is held exclusively cannot at all; what is seen of other frames does not matter, and may be wrong.
 */
#include "base/status.h"
#include "database/pool.h"

enum {
    EVICT_COUNT = 32,
    STEP_PAGES_MAX = 4 * STAGED_PAGES_MAX, /* that the lock `writing` is held for */
    PATIENCE_NS = 1000000000,              /* with a page that stays latched */
    PAUSE_NS = 100000,
};

/* ---- a round ---- */

/* Under `round`. */
static void begin_round(acre_buffer_pool *pool)
{
    const acre_buffer_pool_options *const o = &pool->options;
    pool->round_count = pool->round_at = pool->round_left = 0;
    pool->round_has_failed = false;
    acre_lock_take(&pool->writing);
    pool->round_lsn = o->log == NULL ? 0 : o->log->last_lsn(o->log_context);
    pool->round_seen_lsn = pool->round_lsn;
    for (uint32_t frame = 0; frame < pool->frame_end; frame++) {
        /* Images are wanted again, first: a page that is changed after it was looked at here gets one. */
        uint8_t flags = frame_flags(pool, frame);
        if (flags & FLAG_IMAGED) flags = __atomic_and_fetch(&pool->flags[frame], (uint8_t)~FLAG_IMAGED, __ATOMIC_SEQ_CST);
        const acre_page_id id = frame_id(pool, frame);
        if (!(flags & FLAG_DIRTY)) {
            const uint64_t *const word = word_of(pool, id);
            if (word == NULL) continue;
            const uint64_t seen = __atomic_load_n(word, __ATOMIC_SEQ_CST);
            const bool is_held = word_latch(seen) == LATCH_EXCLUSIVE;
            /* He may have let go of it just before. */
            if (!is_held && !(__atomic_load_n(&pool->flags[frame], __ATOMIC_SEQ_CST) & FLAG_DIRTY)) continue;
        }
        pool->round_ids[pool->round_count++] = id;
    }
    acre_lock_drop(&pool->writing);
    acre_pool_sort(pool->round_ids, pool->round_count);
    pool->has_round = true;
}

/* Under `round`. Writes about `count` pages of it. Those that were latched are put behind, for another time. */
static acre_status continue_round(acre_buffer_pool *pool, size_t count)
{
    acre_page_id *const ids = pool->round_ids + pool->round_at;
    size_t left = 0;
    count = acre_min_size(count, pool->round_count - pool->round_at);
    acre_lock_take(&pool->writing);
    const acre_status status = acre_pool_write_back(pool, ids, count, &left);
    acre_lock_drop(&pool->writing);
    for (size_t i = 0; i < left; i++) pool->round_ids[pool->round_left + i] = ids[i];
    pool->round_left += left;
    pool->round_at += count;
    if (status != ACRE_OK) pool->round_has_failed = true;
    if (pool->round_at == pool->round_count) {
        pool->round_count = pool->round_left;
        pool->round_at = pool->round_left = 0;
    }
    return status;
}

static bool round_is_through(const acre_buffer_pool *pool) { return pool->round_count == 0; }

/* Under `round`. All of its pages are written. */
static acre_status end_round(acre_buffer_pool *pool)
{
    pool->has_round = false;
    const acre_status status = acre_pool_flush_files(pool);
    if (status != ACRE_OK || pool->round_has_failed) return status;
    acre_store_figure(&pool->checkpoint_lsn, pool->round_lsn);
    count_up(&pool->counts.checkpoint, 1);
    return status;
}

acre_status acre_buffer_pool_checkpoint(acre_buffer_pool *pool, uint64_t *lsn)
{
    if (pool == NULL) return acre_fail(ACRE_INVALID, "buffer pool: a NULL");
    acre_status status = ACRE_OK;
    acre_lock_take(&pool->round);
    begin_round(pool);
    uint64_t since_ns = acre_os_now_ns();
    while (!round_is_through(pool) && status == ACRE_OK) {
        const size_t before = pool->round_count;
        const bool is_again = pool->round_at == 0 && pool->round_left == 0;
        status = continue_round(pool, STEP_PAGES_MAX);
        if (!is_again || pool->round_count != before || pool->round_at != 0) {
            since_ns = acre_os_now_ns();
        } else if (acre_os_now_ns() - since_ns > PATIENCE_NS) {
            status = acre_fail(ACRE_BUSY, "buffer pool: %zu pages stayed fixed exclusively", pool->round_count);
        } else if (status == ACRE_OK) {
            acre_os_sleep_ns(PAUSE_NS);
        }
    }
    if (status == ACRE_OK) status = end_round(pool);
    pool->has_round = false;
    if (status == ACRE_OK && lsn != NULL) *lsn = pool->round_lsn;
    acre_lock_drop(&pool->round);
    return status;
}

acre_status acre_buffer_pool_flush(acre_buffer_pool *pool, acre_page_id id)
{
    if (pool == NULL || word_of(pool, id) == NULL) return acre_fail(ACRE_INVALID, "buffer pool: a NULL, or no such page");
    const uint64_t begin_ns = acre_os_now_ns();
    for (;;) {
        acre_page_id one = id;
        size_t left = 0;
        acre_lock_take(&pool->writing);
        acre_status status = acre_pool_write_back(pool, &one, 1, &left);
        if (status == ACRE_OK && left == 0) status = acre_pool_flush_file(pool, (uint32_t)(id >> 32));
        acre_lock_drop(&pool->writing);
        if (status != ACRE_OK || left == 0) return status;
        if (acre_os_now_ns() - begin_ns > PATIENCE_NS)
            return acre_fail(ACRE_BUSY, "buffer pool: page %u of file %u stayed fixed exclusively", (unsigned)(uint32_t)id,
                             (unsigned)(id >> 32));
        acre_os_sleep_ns(PAUSE_NS);
    }
}

/* ---- the cleaner ---- */

/* The watermarks are for the number of frames that the pool was opened with: with fewer they are never above half of these. */
static bool wants_frames(acre_buffer_pool *pool)
{
    acre_lock_take(&pool->lock);
    const uint32_t high = (uint32_t)acre_min_size(pool->options.free_high, pool->frame_count / 2);
    const uint32_t low = (uint32_t)acre_min_size(pool->options.free_low, high - 1);
    if (pool->free_count < low) pool->is_filling = true;
    if (pool->free_count >= high) pool->is_filling = false;
    const bool wants = pool->is_filling;
    acre_lock_drop(&pool->lock);
    return wants;
}

/* True: some frames are free that were not, or can be after what was written. */
static bool free_some(acre_buffer_pool *pool)
{
    acre_page_id victims[VICTIM_COUNT_MAX];
    uint32_t victim_count = 0;
    const uint32_t evicted = acre_pool_evict(pool, EVICT_COUNT, victims, &victim_count);
    uint32_t freed = 0;
    if (victim_count > 0) (void)acre_pool_write_and_free(pool, victims, victim_count, &freed);
    return evicted + freed > 0;
}

/* What is due of the checkpoint, in pages: what is left of it goes with the log that is left. It begins when half of the distance is used.
 */
static size_t pages_due(acre_buffer_pool *pool)
{
    const acre_buffer_pool_options *const o = &pool->options;
    if (o->log == NULL || o->log_distance_max == 0) return 0;
    const uint64_t now_lsn = o->log->last_lsn(o->log_context);
    const uint64_t distance = now_lsn - pool->checkpoint_lsn;
    if (!pool->has_round) {
        if (distance < o->log_distance_max / 2) return 0;
        begin_round(pool);
        return 1;
    }
    const uint64_t grown = now_lsn - pool->round_seen_lsn;
    const uint64_t until = pool->checkpoint_lsn + o->log_distance_max;
    const uint64_t room = until > pool->round_seen_lsn ? until - pool->round_seen_lsn : 1;
    const size_t left = pool->round_count - pool->round_at + pool->round_left;
    if (grown >= room) return left;
    const uint64_t due = (uint64_t)left * grown / room;
    if (due == 0 && left > 0 && grown < room / 16) return 0;
    pool->round_seen_lsn = now_lsn;
    return acre_max_size((size_t)due, 1);
}

/* True: something was done for the checkpoint. */
static bool checkpoint_some(acre_buffer_pool *pool)
{
    if (!acre_lock_try(&pool->round)) return false;
    size_t due = pages_due(pool);
    bool has_worked = due > 0;
    if (pool->has_round && round_is_through(pool)) {
        has_worked = true;
        (void)end_round(pool);
    } else if (due > 0) {
        (void)continue_round(pool, acre_min_size(due, STEP_PAGES_MAX));
        if (round_is_through(pool)) (void)end_round(pool);
    }
    acre_lock_drop(&pool->round);
    return has_worked;
}

acre_job_result acre_buffer_pool_clean(void *context, uint64_t budget_ns)
{
    acre_buffer_pool *const pool = context;
    if (pool == NULL) return ACRE_JOB_DONE;
    const uint64_t begin_ns = acre_os_now_ns();
    for (;;) {
        bool has_worked = wants_frames(pool) && free_some(pool);
        has_worked = checkpoint_some(pool) || has_worked;
        if (!has_worked) return ACRE_JOB_IDLE;
        if (acre_os_now_ns() - begin_ns >= budget_ns) return ACRE_JOB_MORE;
    }
}
