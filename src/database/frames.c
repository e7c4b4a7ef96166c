/* frames.c - which frame a page gets: a free one, or that of the page which the policy can spare. */
#include "base/status.h"
#include "database/pool.h"

#include <string.h>

enum {
    PATIENCE_NS = 100000000, /* with reads that are on their way */
    BATCH_MAX = VICTIM_COUNT_MAX,
};

/* ---- free frames: a list through their ids ---- */

static void set_next_free(acre_buffer_pool *pool, uint32_t frame, uint32_t next)
{
    __atomic_store_n(&pool->fingerprints[frame], next, __ATOMIC_RELAXED);
    __atomic_store_n(&pool->file_numbers[frame], UINT8_MAX, __ATOMIC_RELAXED); /* no file has such a number */
}

void acre_pool_put_free(acre_buffer_pool *pool, uint32_t frame)
{
    __atomic_store_n(&pool->flags[frame], 0, __ATOMIC_RELAXED);
    if (frame >= pool->frame_count) { /* retired */
        set_next_free(pool, frame, NO_FRAME);
        return;
    }
    set_next_free(pool, frame, pool->free_head);
    pool->free_head = frame;
    pool->free_count++;
}

static uint32_t take_free(acre_buffer_pool *pool)
{
    const uint32_t frame = pool->free_head;
    if (frame == NO_FRAME) return NO_FRAME;
    assert(pool->free_count > 0 && !acre_policy_holds(pool->policy, frame));
    pool->free_head = pool->fingerprints[frame];
    pool->free_count--;
    return frame;
}

/* ---- eviction ---- */

/* Claims the page of a frame that nobody has latched, so that it can go. */
static acre_verdict look(void *context, acre_policy_slot frame)
{
    acre_buffer_pool *const pool = context;
    const acre_page_id id = frame_id(pool, frame);
    uint64_t *const word = word_of(pool, id);
    const uint64_t seen = word_load(word);
    const uint8_t flags = frame_flags(pool, frame); /* after the word: a page that becomes dirty later has another version */
    if (word_latch(seen) != 0 || (flags & FLAG_WRITING)) return ACRE_KEEP;
    assert(word_frame(seen) == frame);
    if (flags & FLAG_DIRTY) {
        if (pool->victim_count < VICTIM_COUNT_MAX) pool->victims[pool->victim_count++] = id;
        return ACRE_WRITE_FIRST;
    }
    return word_change(word, seen, seen | LATCH_EXCLUSIVE) ? ACRE_EVICT : ACRE_KEEP;
}

/* Under `lock`. The pages of these frames, which are claimed, are not in memory any more; mapped ones give it back. */
static void let_go(acre_buffer_pool *pool, const uint32_t *frames, uint32_t count)
{
    if (pool->is_mapped && count > 0) {
        void *pages[BATCH_MAX];
        assert(count <= BATCH_MAX);
        for (uint32_t i = 0; i < count; i++) pages[i] = page_at(pool, frame_id(pool, frames[i]), frames[i]);
        (void)acre_os_purge_pieces(pages, count, pool->page_bytes); /* what stays is overwritten when the page comes again */
    }
    for (uint32_t i = 0; i < count; i++) {
        uint64_t *const word = word_of(pool, frame_id(pool, frames[i]));
        const uint64_t seen = word_load(word);
        assert(word_latch(seen) == LATCH_EXCLUSIVE && word_frame(seen) == frames[i]);
        word_publish(pool, word, word_next(seen, 0, 0));
    }
    pool->counts.evict += count;
}

/* Under `lock`. Frees up to `count` frames, at most BATCH_MAX; returns how many. */
static uint32_t evict_some(acre_buffer_pool *pool, acre_policy_origin origin, uint32_t count)
{
    uint32_t frames[BATCH_MAX];
    uint32_t evicted = 0;
    while (evicted < count) {
        const acre_policy_slot frame = acre_policy_evict(pool->policy, evicted == 0 ? origin : 0, look, pool);
        if (frame == ACRE_POLICY_NO_SLOT) break;
        frames[evicted++] = frame;
    }
    if (evicted == 0) return 0;
    let_go(pool, frames, evicted);
    for (uint32_t i = 0; i < evicted; i++) acre_pool_put_free(pool, frames[i]);
    return evicted;
}

/* How many frames a thread frees that needs one: more at a time where they cost a call of the system. */
static uint32_t batch_of(const acre_buffer_pool *pool)
{
    return pool->is_mapped ? (uint32_t)acre_max_size(acre_min_size(pool->frame_count / 16, BATCH_MAX), 1) : 1;
}

uint32_t acre_pool_take_frame(acre_buffer_pool *pool, acre_page_id id)
{
    const acre_policy_origin origin = acre_policy_miss(pool->policy, id);
    uint32_t frame;
    while ((frame = take_free(pool)) == NO_FRAME) /* not at once when resize is at work: frames that go are not free */
        if (evict_some(pool, origin, batch_of(pool)) == 0) return NO_FRAME;
    set_frame_id(pool, frame, id);
    __atomic_store_n(&pool->flags[frame], 0, __ATOMIC_RELAXED);
    acre_policy_admit(pool->policy, frame, origin);
    return frame;
}

void acre_pool_drop_frame(acre_buffer_pool *pool, uint32_t frame)
{
    acre_lock_take(&pool->lock);
    if (pool->is_mapped) (void)acre_os_purge(page_at(pool, frame_id(pool, frame), frame), pool->page_bytes);
    acre_policy_forget(pool->policy, frame);
    acre_pool_put_free(pool, frame);
    acre_lock_drop(&pool->lock);
}

uint32_t acre_pool_evict(acre_buffer_pool *pool, uint32_t count, acre_page_id *victims, uint32_t *victim_count)
{
    uint32_t evicted = 0;
    acre_lock_take(&pool->lock);
    pool->victim_count = 0;
    for (uint32_t some = 1; evicted < count && some > 0; evicted += some)
        some = evict_some(pool, 0, (uint32_t)acre_min_size(count - evicted, BATCH_MAX));
    *victim_count = pool->victim_count;
    for (uint32_t i = 0; i < pool->victim_count; i++) victims[i] = pool->victims[i];
    acre_lock_drop(&pool->lock);
    return evicted;
}

/* Under `lock`. Claims a page that nobody has latched and that is clean, to let it go. */
static bool claim_clean(acre_buffer_pool *pool, acre_page_id id, uint32_t *frame)
{
    uint64_t *const word = word_of(pool, id);
    const uint64_t seen = word_load(word);
    if (!word_is_resident(seen) || word_latch(seen) != 0) return false;
    *frame = word_frame(seen);
    if ((frame_flags(pool, *frame) & (FLAG_DIRTY | FLAG_WRITING)) || !word_change(word, seen, seen | LATCH_EXCLUSIVE)) return false;
    acre_policy_forget(pool->policy, *frame);
    return true;
}

acre_status acre_pool_write_and_free(acre_buffer_pool *pool, acre_page_id *victims, uint32_t victim_count, uint32_t *freed)
{
    acre_page_id written[VICTIM_COUNT_MAX];
    uint32_t frames[VICTIM_COUNT_MAX];
    size_t left = 0;
    *freed = 0;
    acre_pool_sort(victims, victim_count);
    memcpy(written, victims, victim_count * sizeof *victims);
    acre_lock_take(&pool->writing);
    const acre_status status = acre_pool_write_back(pool, victims, victim_count, &left);
    acre_lock_drop(&pool->writing);
    acre_lock_take(&pool->lock);
    for (uint32_t i = 0; i < victim_count; i++)
        if (claim_clean(pool, written[i], &frames[*freed])) ++*freed;
    let_go(pool, frames, *freed);
    for (uint32_t i = 0; i < *freed; i++) acre_pool_put_free(pool, frames[i]);
    acre_lock_drop(&pool->lock);
    return status;
}

/* ---- another number of frames ---- */

static acre_status grow(acre_buffer_pool *pool, uint32_t frame_count)
{
    if (frame_count > pool->frame_end && pool->is_mapped) {
        pool->frame_end = frame_count;
    } else if (frame_count > pool->frame_end) {
        const uint64_t from = acre_align_up((uint64_t)pool->frame_end << pool->page_shift, pool->space->info.grain_bytes);
        const uint64_t to = acre_align_up((uint64_t)frame_count << pool->page_shift, pool->space->info.grain_bytes);
        if (to > from) {
            const acre_status status = acre_space_commit(pool->space, (uintptr_t)pool->frames + from, to - from);
            if (status != ACRE_OK) return status;
        }
        pool->frame_end = frame_count;
    }
    acre_lock_take(&pool->lock);
    const acre_status status = acre_policy_resize(pool->policy, frame_count);
    const uint32_t before = pool->frame_count;
    pool->frame_count = frame_count;
    for (uint32_t frame = frame_count; frame-- > before;)
        if (!acre_policy_holds(pool->policy, frame)) acre_pool_put_free(pool, frame);
    acre_lock_drop(&pool->lock);
    return status;
}

/* Under `lock`: no frame beyond the new end is in the list. */
static void retire_free(acre_buffer_pool *pool)
{
    uint32_t frame = pool->free_head;
    pool->free_head = NO_FRAME;
    pool->free_count = 0;
    while (frame != NO_FRAME) {
        const uint32_t next = pool->fingerprints[frame];
        acre_pool_put_free(pool, frame);
        frame = next;
    }
}

/* Under `lock` and `writing`: a page moves to a lower frame. False: it is latched, or there is no lower one. */
static bool move_down(acre_buffer_pool *pool, uint32_t from)
{
    const acre_page_id id = frame_id(pool, from);
    uint64_t *const word = word_of(pool, id);
    const uint64_t seen = word_load(word);
    if (word_latch(seen) != 0) return false;
    const uint32_t to = take_free(pool);
    if (to == NO_FRAME) return false;
    if (!word_change(word, seen, seen | LATCH_EXCLUSIVE)) {
        acre_pool_put_free(pool, to);
        return false;
    }
    const uint8_t flags = frame_flags(pool, from);
    assert(to < pool->frame_count && !(flags & FLAG_WRITING));
    if (!pool->is_mapped) memcpy(page_at(pool, id, to), page_at(pool, id, from), pool->page_bytes);
    set_frame_id(pool, to, id);
    if (flags & FLAG_DIRTY) pool->lsns[to] = pool->lsns[from];
    __atomic_store_n(&pool->flags[to], flags, __ATOMIC_RELEASE);
    acre_policy_forget(pool->policy, from);
    acre_policy_admit(pool->policy, to, 0);
    acre_pool_put_free(pool, from);
    word_publish(pool, word, word_next(seen, to + 1, 0));
    return true;
}

/* Devices that know the frames are told which there are. */
static void tell_devices(acre_buffer_pool *pool, bool is_known)
{
    for (uint32_t i = 0; i < ACRE_BUFFER_POOL_FILES_MAX; i++) {
        if (pool->files[i].words == NULL) continue;
        (void)acre_device_use_memory(pool->files[i].device, NULL, 0);
        if (is_known) acre_pool_tell_device(pool, pool->files[i].device);
    }
}

static acre_status shrink(acre_buffer_pool *pool, uint32_t frame_count)
{
    acre_pool_finish_reads(pool, PATIENCE_NS);
    acre_lock_take(&pool->lock);
    acre_status status = acre_policy_resize(pool->policy, frame_count);
    pool->frame_count = frame_count;
    retire_free(pool);
    uint32_t used_count = pool->policy->count;
    acre_lock_drop(&pool->lock);

    enum { ROUND_COUNT_MAX = 64 };
    for (unsigned round = 0; status == ACRE_OK && used_count > frame_count && round < ROUND_COUNT_MAX; round++) {
        acre_page_id victims[VICTIM_COUNT_MAX];
        uint32_t victim_count = 0;
        uint32_t freed = 0;
        if (acre_pool_evict(pool, used_count - frame_count, victims, &victim_count) > 0) round = 0;
        victim_count = (uint32_t)acre_min_size(victim_count, used_count - frame_count);
        if (victim_count > 0) status = acre_pool_write_and_free(pool, victims, victim_count, &freed);
        if (freed > 0) round = 0;
        acre_lock_take(&pool->lock);
        used_count = pool->policy->count;
        acre_lock_drop(&pool->lock);
    }
    if (status != ACRE_OK) return status;

    uint32_t stuck_count = 0;
    acre_lock_take(&pool->writing);
    for (uint32_t frame = frame_count; frame < pool->frame_end; frame++) {
        acre_lock_take(&pool->lock);
        if (acre_policy_holds(pool->policy, frame) && !move_down(pool, frame)) stuck_count++;
        acre_lock_drop(&pool->lock);
    }
    acre_lock_drop(&pool->writing);
    if (stuck_count > 0) return acre_fail(ACRE_BUSY, "buffer pool: %u pages are fixed in frames that are to go: call again", stuck_count);

    if (pool->is_mapped) return ACRE_OK;
    tell_devices(pool, false);
    const uint64_t grain = pool->space->info.page_bytes;
    const uint64_t from = acre_align_up((uint64_t)frame_count << pool->page_shift, grain);
    const uint64_t to = acre_align_up((uint64_t)pool->frame_end << pool->page_shift, grain);
    if (to > from && (pool->space->info.capabilities & ACRE_CAP_PURGE))
        status = acre_space_purge(pool->space, (uintptr_t)pool->frames + from, to - from);
    return status;
}

acre_status acre_buffer_pool_resize(acre_buffer_pool *pool, uint32_t frame_count)
{
    if (pool == NULL) return acre_fail(ACRE_INVALID, "buffer pool: a NULL");
    if (frame_count < 16 || frame_count > pool->options.frame_count_max) {
        return acre_fail(ACRE_INVALID, "buffer pool: %u frames: at least 16, at most %u", frame_count, pool->options.frame_count_max);
    }
    acre_lock_take(&pool->round);
    const acre_status status = frame_count >= pool->frame_count ? grow(pool, frame_count) : shrink(pool, frame_count);
    if (status == ACRE_OK) tell_devices(pool, true);
    acre_lock_drop(&pool->round);
    return status;
}
