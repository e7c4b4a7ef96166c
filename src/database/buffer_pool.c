/* buffer_pool.c - opening and closing, files, and the ways of a page: hit, miss, unfix. */
#include "base/status.h"
#include "database/pool.h"

#include <string.h>

enum {
    HUGE_BYTES = 2 << 20,
    KEEP_APART_BYTES = 4096,
    DIRTY_ROUNDS_MAX = 16,
    HIT_TURNS_MAX = 16,
    WAIT_NS = 1000000,
    OUTSTANDING_MAX = 4096, /* pages that were foreseen */
    CURVE_SHARE = 100,      /* of requests that the curve looks at: one in so many */
};

/* ---- what a thread keeps to itself ---- */

/* The stripe of a thread: a number that no other living thread has, or STRIPE_COUNT, plus 1; 0 before it is known. */
static _Thread_local uint32_t my_number __attribute__((tls_model("initial-exec")));
static uint64_t numbers_in_use;

static void give_number_back(void *number)
{
    my_number = STRIPE_COUNT + 1; /* for what the thread still does at its end */
    (void)__atomic_fetch_and(&numbers_in_use, ~((uint64_t)1 << ((uintptr_t)number - 1)), __ATOMIC_RELEASE);
}

ACRE_SELDOM static uint32_t take_number(void)
{
    static acre_os_thread_key key;
    static bool has_key;
    static acre_lock lock;
    acre_lock_take(&lock);
    if (!has_key) has_key = acre_os_thread_key_create(&key, give_number_back) == ACRE_OK;
    my_number = STRIPE_COUNT + 1;
    const uint64_t free = ~__atomic_load_n(&numbers_in_use, __ATOMIC_ACQUIRE);
    if (has_key && free != 0) {
        const unsigned number = acre_word_lowest(free);
        if (acre_os_thread_key_set(key, (void *)(uintptr_t)(number + 1)) == ACRE_OK) {
            (void)__atomic_fetch_or(&numbers_in_use, (uint64_t)1 << number, __ATOMIC_ACQUIRE);
            my_number = number + 1;
        }
    }
    acre_lock_drop(&lock);
    return my_number;
}

static inline pool_stripe *my_stripe(acre_buffer_pool *pool)
{
    uint32_t number = my_number;
    if (acre_unlikely(number == 0)) number = take_number();
    return &pool->stripes[number - 1];
}

void acre_pool_deliver_hits(acre_buffer_pool *pool)
{
    pool_stripe *const mine = my_stripe(pool);
    if (mine->hits.count > 0 && mine != &pool->stripes[STRIPE_COUNT]) acre_policy_deliver(pool->policy, &mine->hits);
}

/* Many policies want to hear of each hit: they are kept until there are some. Nobody waits for the lock: while it is taken, hits are not
 * noted. What is not replaced needs no order: after so many hits without a miss in the pool no more are noted until there is one. */
static inline void note_in_buffer(acre_buffer_pool *pool, pool_stripe *mine, uint32_t frame)
{
    if (mine->turn_count == 0) {
        const uint64_t miss_count = acre_load_figure(&pool->counts.miss);
        if (mine->seen_miss_count == miss_count) return;
        mine->seen_miss_count = miss_count;
        mine->turn_count = HIT_TURNS_MAX;
    }
    if (acre_unlikely(mine->hits.count == ACRE_POLICY_HITS_MAX)) {
        if (!acre_lock_try(&pool->lock)) return;
        acre_policy_deliver(pool->policy, &mine->hits);
        acre_lock_drop(&pool->lock);
        mine->turn_count--;
    }
    (void)acre_policy_note(pool->policy, frame, &mine->hits);
}

/* A request of this thread is counted for the curve, when there is one. */
static inline void note_request(acre_buffer_pool *pool, pool_stripe *mine, acre_page_id id)
{
    if (acre_likely(pool->curve == NULL)) return;
    if (mine == &pool->stripes[STRIPE_COUNT])
        tell_curve(pool, id, __atomic_add_fetch(&mine->request_count, 1, __ATOMIC_RELAXED));
    else
        tell_curve(pool, id, ++mine->request_count);
}

static inline void note_hit(acre_buffer_pool *pool, acre_page_id id, uint32_t frame)
{
    pool_stripe *const mine = my_stripe(pool);
    note_request(pool, mine, id);
    if (acre_unlikely(pool->prefetcher != NULL) && (frame_flags(pool, frame) & FLAG_AHEAD)) acre_pool_meet(pool, mine, id, frame);
    if (acre_unlikely(mine == &pool->stripes[STRIPE_COUNT])) { /* not this thread's alone: it has no buffer */
        count_up(&mine->hit_count, 1);
        if (!pool->has_hit_buffers) (void)acre_policy_note(pool->policy, frame, &mine->hits);
        return;
    }
    __atomic_store_n(&mine->hit_count, mine->hit_count + 1, __ATOMIC_RELAXED);
    if (pool->has_hit_buffers)
        note_in_buffer(pool, mine, frame);
    else
        (void)acre_policy_note(pool->policy, frame, &mine->hits);
}

/* ---- opening ---- */

static acre_curve_options curve_options(const acre_buffer_pool_options *o) { return (acre_curve_options){o->curve_keys_max, CURVE_SHARE}; }

static size_t prefetcher_bytes(const acre_buffer_pool_options *o) { return o->reads_ahead ? acre_prefetch_bytes(&o->ahead) : 0; }

static size_t curve_bytes(const acre_buffer_pool_options *o)
{
    const acre_curve_options options = curve_options(o);
    return o->curve_keys_max == 0 ? 0 : acre_curve_bytes(&options);
}

static acre_status check_options(acre_buffer_pool_options *o)
{
    if (o->page_bytes == 0) o->page_bytes = 4096;
    if (!acre_is_power_of_two(o->page_bytes) || o->page_bytes < 4096 || o->page_bytes > 65536)
        return acre_fail(ACRE_INVALID, "buffer pool: pages of %u bytes: a power of two from 4096 to 65536", o->page_bytes);
    if (o->frame_count_max == 0) o->frame_count_max = o->frame_count;
    if (o->frame_count < 16 || o->frame_count > o->frame_count_max || o->frame_count_max > ACRE_BUFFER_POOL_FRAMES_MAX)
        return acre_fail(ACRE_INVALID, "buffer pool: %u of up to %u frames: from 16 to %u", o->frame_count, o->frame_count_max,
                         ACRE_BUFFER_POOL_FRAMES_MAX);
    if (acre_policy_name(o->policy) == NULL) return acre_fail(ACRE_INVALID, "buffer pool: no policy %u", (unsigned)o->policy);
    if (o->free_low == 0 && o->free_high == 0) {
        o->free_low = (uint32_t)acre_max_size(o->frame_count / 64, 1);
        o->free_high = (uint32_t)acre_max_size(o->frame_count / 32, 2);
    }
    if (o->free_low == 0 || o->free_low >= o->free_high || o->free_high > o->frame_count / 2)
        return acre_fail(ACRE_INVALID, "buffer pool: watermarks %u and %u: 0 < low < high <= half of %u frames", o->free_low, o->free_high,
                         o->frame_count);
    if (!o->has_checksum) o->checksum_offset = ACRE_BUFFER_POOL_NO_CHECKSUM;
    if (o->has_checksum && (o->checksum_offset % 4 != 0 || o->checksum_offset > o->page_bytes - 4))
        return acre_fail(ACRE_INVALID, "buffer pool: checksum at byte %u: a multiple of 4 in %u bytes", o->checksum_offset, o->page_bytes);
    const acre_log_ops *const log = o->log;
    if (log != NULL && (log->size_bytes < sizeof *log || log->durable_lsn == NULL || log->flush == NULL || log->last_lsn == NULL))
        return acre_fail(ACRE_INVALID, "buffer pool: an operation of the log is missing");
    if (log == NULL && o->log_distance_max != 0) return acre_fail(ACRE_INVALID, "buffer pool: a distance in a log that there is not");
    if ((unsigned)o->torn_pages > ACRE_TORN_IMAGES) return acre_fail(ACRE_INVALID, "buffer pool: torn pages %u", (unsigned)o->torn_pages);
    if (o->torn_pages == ACRE_TORN_IMAGES && (log == NULL || log->append_image == NULL))
        return acre_fail(ACRE_INVALID, "buffer pool: images of pages need a log that takes them");
    if (o->torn_pages == ACRE_TORN_DOUBLE_WRITE && (o->double_write == NULL || o->page_bytes % o->double_write->alignment_bytes != 0))
        return acre_fail(ACRE_INVALID, "buffer pool: double write needs a device with an alignment that divides %u", o->page_bytes);
    if (o->reads_ahead) {
        acre_prefetch_options *const ahead = &o->ahead;
        if (ahead->outstanding == 0) ahead->outstanding = (uint32_t)acre_max_size(acre_min_size(o->frame_count / 4, OUTSTANDING_MAX), 4);
        if (ahead->depth_max == 0) ahead->depth_max = (uint8_t)acre_min_size(ahead->outstanding / 4, ACRE_PREFETCH_DEPTH_MAX);
        if (acre_prefetch_bytes(ahead) == 0) return acre_fail(ACRE_INVALID, "buffer pool: what is read ahead: a count out of its range");
    }
    if (o->curve_keys_max != 0 && curve_bytes(o) == 0)
        return acre_fail(ACRE_INVALID, "buffer pool: there is no curve of %u keys", o->curve_keys_max);
    if (o->gap_pages == 0) o->gap_pages = 2;
    if (o->gap_pages == UINT32_MAX || o->torn_pages == ACRE_TORN_IMAGES) o->gap_pages = 0;
    if (o->gap_pages > 16) return acre_fail(ACRE_INVALID, "buffer pool: gaps of %u pages: at most 16", o->gap_pages);
    if (o->is_mapped && o->space != NULL) return acre_fail(ACRE_INVALID, "buffer pool: mapped pages lie in no space but their own");
    if (o->space != NULL && !(o->space->info.capabilities & ACRE_CAP_HOST_ACCESS))
        return acre_fail(ACRE_INVALID, "buffer pool: frames in a space that the host cannot touch");
    return ACRE_OK;
}

static acre_policy_options policy_options(const acre_buffer_pool_options *o, const uint32_t *fingerprints)
{
    return (acre_policy_options){
        .kind = o->policy, .capacity = o->frame_count, .capacity_max = o->frame_count_max, .keys = fingerprints, .has_fingerprints = true};
}

/* Takes the next `bytes` of the metadata, at `memory` or, to find out how many there are, at NULL. */
static void *carve(char *memory, uint64_t *used_bytes, uint64_t bytes)
{
    char *const piece = memory == NULL ? NULL : memory + *used_bytes;
    *used_bytes += acre_align_up(bytes, KEEP_APART_BYTES);
    return piece;
}

/* What has memory of its own within the pool's. */
typedef struct pool_parts {
    void *policy, *prefetcher, *curve;
} pool_parts;

/* Where everything lies in the metadata; returns its size. `pool` is a scratch one when memory is NULL. */
static uint64_t lay_out(acre_buffer_pool *pool, char *memory, pool_parts *parts)
{
    const acre_buffer_pool_options *const o = &pool->options;
    const uint64_t count = o->frame_count_max;
    uint64_t used_bytes = 0;
    (void)carve(memory, &used_bytes, sizeof *pool);
    pool->flags = carve(memory, &used_bytes, count);
    pool->lsns = carve(memory, &used_bytes, count * sizeof(uint64_t));
    pool->fingerprints = carve(memory, &used_bytes, count * sizeof(uint32_t));
    pool->file_numbers = carve(memory, &used_bytes, count);
    parts->policy = carve(memory, &used_bytes, pool->policy_bytes);
    parts->prefetcher = carve(memory, &used_bytes, prefetcher_bytes(o));
    parts->curve = carve(memory, &used_bytes, curve_bytes(o));
    pool->round_ids = carve(memory, &used_bytes, count * sizeof(acre_page_id));
    pool->reads = carve(memory, &used_bytes, READ_COUNT_MAX * sizeof(pool_read));
    for (unsigned i = 0; i < 2; i++) pool->batches[i] = carve(memory, &used_bytes, sizeof(pool_batch));
    return used_bytes;
}

static acre_status take_metadata(const acre_buffer_pool_options *options, acre_buffer_pool **opened)
{
    acre_policy_options policy = policy_options(options, (const uint32_t *)(uintptr_t)8);
    acre_buffer_pool *scratch = NULL;
    acre_space meta;
    acre_status status = acre_space_open_pages(&meta, NULL);
    if (status != ACRE_OK) return status;
    /* The structure is too large for a stack of small programs: only its beginning is looked at. */
    pool_parts parts = {NULL, NULL, NULL};
    const size_t policy_bytes = acre_policy_bytes(&policy);
    if (policy_bytes == 0) return acre_fail(ACRE_INVALID, "buffer pool: no such policy of %u frames", options->frame_count);
    acre_addr at = 0;
    const uint64_t grain = meta.info.grain_bytes;
    const uint64_t first_bytes = acre_align_up(sizeof *scratch, grain);
    status = acre_space_reserve(&meta, first_bytes, grain, NULL, &at);
    if (status != ACRE_OK) return status;
    status = acre_space_commit(&meta, at, first_bytes);
    uint64_t bytes = 0;
    if (status == ACRE_OK) {
        scratch = acre_space_pointer(&meta, at);
        scratch->options = *options;
        scratch->policy_bytes = policy_bytes;
        bytes = acre_align_up(lay_out(scratch, NULL, &parts) + 2 * STAGED_BYTES_MAX, grain);
    }
    (void)acre_space_release(&meta, at, first_bytes);
    if (status != ACRE_OK) return status;

    status = acre_space_reserve(&meta, bytes, grain, NULL, &at);
    if (status != ACRE_OK) return status;
    status = acre_space_commit(&meta, at, bytes);
    if (status != ACRE_OK) {
        (void)acre_space_release(&meta, at, bytes);
        return status;
    }
    acre_buffer_pool *const pool = acre_space_pointer(&meta, at);
    pool->options = *options;
    pool->policy_bytes = policy_bytes;
    pool->meta = meta;
    pool->metadata = pool;
    pool->metadata_bytes = bytes;
    const uint64_t used_bytes = lay_out(pool, (char *)pool, &parts);
    for (unsigned i = 0; i < 2; i++) pool->batches[i]->bytes = (unsigned char *)pool + used_bytes + (size_t)i * STAGED_BYTES_MAX;
    policy.keys = pool->fingerprints;
    status = acre_policy_init(&pool->policy, &policy, parts.policy, policy_bytes);
    assert(status == ACRE_OK);
    if (options->reads_ahead) {
        status = acre_prefetch_init(&pool->prefetcher, &pool->options.ahead, parts.prefetcher, prefetcher_bytes(options));
        assert(status == ACRE_OK);
    }
    if (options->curve_keys_max != 0) {
        const acre_curve_options of_curve = curve_options(options);
        status = acre_curve_init(&pool->curve, &of_curve, parts.curve, curve_bytes(options));
        assert(status == ACRE_OK);
    }
    *opened = pool;
    return status;
}

static acre_status take_frames(acre_buffer_pool *pool)
{
    acre_status status = ACRE_OK;
    if (pool->options.space == NULL) {
        const acre_pages_options pages = {.huge_pages = pool->is_mapped ? ACRE_HUGE_NEVER : ACRE_HUGE_PREFER, .numa_node = -1};
        status = acre_space_open_pages(&pool->own_space, &pages);
        if (status != ACRE_OK) return status;
        pool->space = &pool->own_space;
    } else {
        pool->space = pool->options.space;
    }
    if (pool->is_mapped) return ACRE_OK;
    const uint64_t grain = acre_max_size(pool->space->info.grain_bytes, pool->page_bytes);
    const uint64_t wanted = (uint64_t)pool->options.frame_count_max << pool->page_shift;
    const uint64_t alignment = pool->options.space == NULL && wanted >= HUGE_BYTES ? HUGE_BYTES : grain;
    pool->frames_bytes = acre_align_up(wanted, alignment);
    acre_addr at = 0;
    status = acre_space_reserve(pool->space, pool->frames_bytes, alignment, NULL, &at);
    if (status != ACRE_OK) return status;
    pool->frames = acre_space_pointer(pool->space, at);
    const uint64_t first_bytes = acre_align_up((uint64_t)pool->options.frame_count << pool->page_shift, pool->space->info.grain_bytes);
    status = acre_space_commit(pool->space, at, first_bytes);
    if (status != ACRE_OK) (void)acre_space_release(pool->space, at, pool->frames_bytes);
    return status;
}

acre_status acre_buffer_pool_open(const acre_buffer_pool_options *options, acre_buffer_pool **opened)
{
    if (options == NULL || opened == NULL) return acre_fail(ACRE_INVALID, "buffer pool: a NULL");
    acre_buffer_pool_options o = *options;
    acre_status status = check_options(&o);
    if (status != ACRE_OK) return status;
    acre_buffer_pool *pool = NULL;
    status = take_metadata(&o, &pool);
    if (pool == NULL) return status;
    pool->page_bytes = o.page_bytes;
    pool->page_shift = acre_log2_floor(o.page_bytes);
    pool->is_mapped = o.is_mapped;
    pool->has_hit_buffers = pool->policy->hit_limit == 0;
    status = take_frames(pool);
    if (status != ACRE_OK) {
        acre_space meta = pool->meta;
        (void)acre_space_release(&meta, (uintptr_t)pool->metadata, pool->metadata_bytes);
        return status;
    }
    pool->frame_count = pool->frame_end = o.frame_count;
    pool->free_head = NO_FRAME;
    for (uint32_t frame = o.frame_count; frame-- > 0;) acre_pool_put_free(pool, frame);
    for (uint32_t i = READ_COUNT_MAX; i-- > 0;) {
        pool->reads[i].pool = pool;
        pool->reads[i].next = pool->free_reads;
        pool->free_reads = &pool->reads[i];
    }
    if (o.log != NULL) pool->round_seen_lsn = pool->checkpoint_lsn = o.log->last_lsn(o.log_context);
    *opened = pool;
    return ACRE_OK;
}

/* Some page of the file, or of any if it is FILES_MAX, is fixed. Under `lock`, or nobody else uses the pool. */
static bool has_fixed(const acre_buffer_pool *pool, uint32_t file)
{
    for (uint32_t frame = 0; frame < pool->frame_end; frame++) {
        if (!acre_policy_holds(pool->policy, frame)) continue;
        const acre_page_id id = frame_id(pool, frame);
        if (file != ACRE_BUFFER_POOL_FILES_MAX && id >> 32 != file) continue;
        if (word_latch(word_load(word_of(pool, id))) != 0) return true;
    }
    return false;
}

static uint64_t mapped_bytes(const acre_buffer_pool *pool, uint64_t page_count)
{
    return acre_align_up(page_count << pool->page_shift, acre_max_size(pool->space->info.grain_bytes, pool->page_bytes));
}

/* The file is no more; what is left of it goes when nobody looks at its device. */
static void release_file(acre_buffer_pool *pool, uint32_t number)
{
    pool_file *const file = &pool->files[number];
    uint64_t *const words = file->words;
    __atomic_store_n(&file->words, NULL, __ATOMIC_SEQ_CST);
    for (uint32_t count; (count = __atomic_load_n(&pool->poller_counts[number], __ATOMIC_SEQ_CST)) > 0;)
        acre_os_wait(&pool->poller_counts[number], count, WAIT_NS);
    (void)acre_device_use_memory(file->device, NULL, 0);
    if (file->pages != NULL) (void)acre_space_release(pool->space, (uintptr_t)file->pages, mapped_bytes(pool, file->page_count));
    (void)acre_space_release(&pool->meta, (uintptr_t)words, file->words_bytes);
    file->pages = NULL;
    file->page_count = 0; /* so no page of it is one */
    file->device = NULL;
}

acre_status acre_buffer_pool_close(acre_buffer_pool *pool)
{
    if (pool == NULL) return acre_fail(ACRE_INVALID, "buffer pool: a NULL");
    acre_pool_finish_reads(pool, UINT64_MAX);
    if (has_fixed(pool, ACRE_BUFFER_POOL_FILES_MAX)) return acre_fail(ACRE_BUSY, "buffer pool: a page is fixed");
    for (uint32_t i = 0; i < ACRE_BUFFER_POOL_FILES_MAX; i++)
        if (pool->files[i].words != NULL) release_file(pool, i);
    if (!pool->is_mapped) (void)acre_space_release(pool->space, (uintptr_t)pool->frames, pool->frames_bytes);
    acre_space meta = pool->meta;
    return acre_space_release(&meta, (uintptr_t)pool->metadata, pool->metadata_bytes);
}

/* ---- files ---- */

void acre_pool_tell_device(acre_buffer_pool *pool, acre_device *device)
{
    const uint64_t piece_bytes_max = (uint64_t)1 << 30; /* of io_uring */
    const uint64_t bytes = (uint64_t)pool->frame_count << pool->page_shift;
    (void)acre_device_use_memory(device, pool->batches[0]->bytes, 2 * STAGED_BYTES_MAX);
    for (uint64_t at = 0; at < bytes && !pool->is_mapped; at += piece_bytes_max)
        if (acre_device_use_memory(device, pool->frames + at, acre_min_size(bytes - at, piece_bytes_max)) != ACRE_OK) break;
}

static acre_status no_addresses(uint64_t page_count)
{
    return acre_fail(ACRE_NO_MEMORY, "buffer pool: there are no addresses for %llu pages", (unsigned long long)page_count);
}

/* Addresses for pages: memory comes to be behind them when they are read, and goes when they are replaced. */
static acre_status map_pages(acre_buffer_pool *pool, uint64_t page_count, unsigned char **pages)
{
    const uint64_t bytes = mapped_bytes(pool, page_count);
    acre_addr at = 0;
    acre_status status = acre_space_reserve(pool->space, bytes, acre_max_size(pool->space->info.grain_bytes, pool->page_bytes), NULL, &at);
    if (status != ACRE_OK) return no_addresses(page_count);
    status = acre_space_commit(pool->space, at, bytes);
    if (status != ACRE_OK) (void)acre_space_release(pool->space, at, bytes);
    *pages = acre_space_pointer(pool->space, at);
    return status == ACRE_OK ? ACRE_OK : no_addresses(page_count);
}

acre_status acre_buffer_pool_add_file(acre_buffer_pool *pool, acre_device *device, uint64_t page_count, uint32_t *number)
{
    if (pool == NULL || device == NULL || device->ops == NULL || number == NULL) return acre_fail(ACRE_INVALID, "buffer pool: a NULL");
    if (page_count == 0 || page_count > UINT32_MAX || pool->page_bytes % device->alignment_bytes != 0)
        return acre_fail(ACRE_INVALID, "buffer pool: device '%s' of %llu pages: 1 to 2^32 - 1, and its alignment %u divides %u",
                         device->name, (unsigned long long)page_count, device->alignment_bytes, pool->page_bytes);
    uint32_t free = 0;
    while (free < ACRE_BUFFER_POOL_FILES_MAX && pool->files[free].words != NULL) free++;
    if (free == ACRE_BUFFER_POOL_FILES_MAX) return acre_fail(ACRE_NO_MEMORY, "buffer pool: it has %u files", ACRE_BUFFER_POOL_FILES_MAX);
    /* Never touched is never there: a word costs memory when a page near it comes in. */
    const uint64_t words_bytes = page_count * sizeof(uint64_t);
    const bool is_small = words_bytes <= ((uint64_t)pool->options.frame_count_max << pool->page_shift) / 32;
    const uint64_t grain = is_small && words_bytes >= HUGE_BYTES ? HUGE_BYTES : pool->meta.info.grain_bytes;
    const uint64_t bytes = acre_align_up(words_bytes, grain);
    acre_addr at = 0;
    acre_status status = acre_space_reserve(&pool->meta, bytes, grain, NULL, &at);
    if (status != ACRE_OK) return status;
    if (grain == HUGE_BYTES) (void)acre_space_advise(&pool->meta, at, bytes, ACRE_ADVISE_HUGE_PAGES);
    status = acre_space_commit(&pool->meta, at, bytes);
    if (status != ACRE_OK) {
        (void)acre_space_release(&pool->meta, at, bytes);
        return status;
    }
    unsigned char *pages = NULL;
    if (pool->is_mapped) status = map_pages(pool, page_count, &pages);
    if (status != ACRE_OK) {
        (void)acre_space_release(&pool->meta, at, bytes);
        return status;
    }
    pool_file *const file = &pool->files[free];
    file->pages = pages;
    file->page_count = page_count;
    file->device = device;
    file->words_bytes = (size_t)bytes;
    file->device_count = 0;
    file->is_unflushed = file->is_doubtful = false;
    acre_pool_tell_device(pool, device);
    __atomic_store_n(&file->words, acre_space_pointer(&pool->meta, at), __ATOMIC_RELEASE);
    *number = free;
    return ACRE_OK;
}

acre_status acre_buffer_pool_remove_file(acre_buffer_pool *pool, uint32_t number)
{
    if (pool == NULL || number >= ACRE_BUFFER_POOL_FILES_MAX || pool->files[number].words == NULL)
        return acre_fail(ACRE_INVALID, "buffer pool: no file %u", number);
    acre_pool_finish_reads(pool, UINT64_MAX);
    acre_lock_take(&pool->round);
    acre_lock_take(&pool->writing);
    acre_status status = ACRE_OK;
    acre_lock_take(&pool->lock); /* pages of other files come and go meanwhile */
    if (has_fixed(pool, number)) status = acre_fail(ACRE_BUSY, "buffer pool: a page of file %u is fixed", number);
    for (uint32_t frame = 0; status == ACRE_OK && frame < pool->frame_end; frame++) {
        if (!acre_policy_holds(pool->policy, frame) || frame_id(pool, frame) >> 32 != number) continue;
        if (frame_flags(pool, frame) & FLAG_DIRTY) (void)__atomic_fetch_sub(&pool->dirty_count, 1, __ATOMIC_RELAXED);
        acre_policy_forget(pool->policy, frame);
        acre_pool_put_free(pool, frame);
    }
    acre_lock_drop(&pool->lock);
    pool->has_round = false;
    if (status == ACRE_OK) release_file(pool, number);
    acre_lock_drop(&pool->writing);
    acre_lock_drop(&pool->round);
    return status;
}

/* ---- fixing ---- */

static void fill_ref(acre_page_ref *ref, acre_buffer_pool *pool, acre_page_id id, uint64_t *word, uint64_t seen, unsigned mode)
{
    *ref = (acre_page_ref){.page = page_at(pool, id, word_frame(seen)), .pool = pool, .word = word, .seen = seen, .id = id, .mode = mode};
}

void acre_pool_wait_for(acre_buffer_pool *pool, acre_page_id id, const uint64_t *word, uint64_t seen)
{
    if (!word_is_resident(seen) && acre_device_poll(pool->files[id >> 32].device, WAIT_NS) > 0) return;
    (void)__atomic_fetch_add(&pool->waiter_count, 1, __ATOMIC_SEQ_CST);
    const uint32_t token = __atomic_load_n(&pool->wake_count, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(word, __ATOMIC_SEQ_CST) == seen) acre_os_wait(&pool->wake_count, token, WAIT_NS);
    (void)__atomic_fetch_sub(&pool->waiter_count, 1, __ATOMIC_RELAXED);
}

static acre_status read_page(acre_buffer_pool *pool, acre_page_id id, uint32_t frame)
{
    const acre_device_part part = {.bytes = page_at(pool, id, frame), .size_bytes = pool->page_bytes};
    acre_device_request read = {
        .verb = ACRE_DEVICE_READ, .parts = &part, .part_count = 1, .offset = (uint64_t)(uint32_t)id << pool->page_shift};
    count_up(&pool->counts.read, 1);
    count_up(&pool->counts.read_request, 1);
    const uint64_t begin_ns = pool->curve == NULL ? 0 : acre_os_now_ns();
    const acre_status status = acre_device_do(pool->files[id >> 32].device, &read);
    if (pool->curve != NULL) count_up(&pool->counts.read_ns, acre_os_now_ns() - begin_ns);
    if (status != ACRE_OK) {
        count_up(&pool->counts.error, 1);
        return acre_fail(status, "buffer pool: page %u of file %u cannot be read (errno %d)", (unsigned)(uint32_t)id, (unsigned)(id >> 32),
                         read.system_error);
    }
    if (!acre_pool_is_intact(pool, id, part.bytes)) {
        count_up(&pool->counts.corrupt, 1);
        return acre_fail(ACRE_CORRUPT, "buffer pool: page %u of file %u is not what was written there", (unsigned)(uint32_t)id,
                         (unsigned)(id >> 32));
    }
    return ACRE_OK;
}

/* A frame for a page that is claimed, even if a dirty page has to be written for it. */
static acre_status find_frame(acre_buffer_pool *pool, acre_page_id id, uint32_t *frame)
{
    acre_status status = ACRE_OK;
    for (unsigned round = 0; round < DIRTY_ROUNDS_MAX; round++) {
        acre_page_id victims[VICTIM_COUNT_MAX];
        acre_lock_take(&pool->lock);
        acre_pool_deliver_hits(pool);
        pool->victim_count = 0;
        *frame = acre_pool_take_frame(pool, id);
        const uint32_t victim_count = *frame == NO_FRAME ? pool->victim_count : 0;
        for (uint32_t i = 0; i < victim_count; i++) victims[i] = pool->victims[i];
        acre_lock_drop(&pool->lock);
        if (*frame != NO_FRAME) return ACRE_OK;
        if (victim_count == 0 || status != ACRE_OK) break;
        uint32_t freed = 0;
        status = acre_pool_write_and_free(pool, victims, victim_count, &freed);
        count_up(&pool->counts.foreground, freed);
    }
    count_up(&pool->counts.busy, 1);
    return status != ACRE_OK ? status : acre_fail(ACRE_BUSY, "buffer pool: no frame is free, pages are fixed");
}

/* Brings in a page whose word is claimed and was `seen` before. */
static acre_status load(acre_buffer_pool *pool, acre_page_id id, uint64_t *word, uint64_t seen, unsigned mode, acre_page_ref *ref)
{
    pool_stripe *const mine = my_stripe(pool);
    uint32_t frame = NO_FRAME;
    acre_status status = find_frame(pool, id, &frame);
    if (status != ACRE_OK) {
        word_publish(pool, word, seen);
        return status;
    }
    count_up(&pool->counts.miss, 1);
    note_request(pool, mine, id);
    if (pool->prefetcher != NULL && mode != ACRE_FIX_NEW) acre_pool_foresee(pool, mine, id, true);
    if (mode == ACRE_FIX_NEW)
        memset(page_at(pool, id, frame), 0, pool->page_bytes);
    else
        status = read_page(pool, id, frame);
    if (status != ACRE_OK) {
        acre_pool_drop_frame(pool, frame);
        word_publish(pool, word, word_next(seen, 0, 0));
        return status;
    }
    const uint32_t latch = mode == ACRE_FIX_SHARED ? 1 : mode == ACRE_FIX_OPTIMISTIC ? 0 : LATCH_EXCLUSIVE;
    const uint64_t next = word_next(seen, frame + 1, latch);
    word_publish(pool, word, next);
    fill_ref(ref, pool, id, word, next, mode == ACRE_FIX_NEW ? ACRE_FIX_EXCLUSIVE : mode);
    return ACRE_OK;
}

/* What the word has to become for the mode: `seen` itself when it cannot be had. */
static uint64_t latched(uint64_t seen, unsigned mode)
{
    const uint32_t latch = word_latch(seen);
    if (mode == ACRE_FIX_SHARED) return latch < LATCH_SHARED_MAX ? seen + 1 : seen;
    return latch == 0 ? seen | LATCH_EXCLUSIVE : seen;
}

ACRE_SELDOM static acre_status fix_slowly(acre_buffer_pool *pool, acre_page_id id, uint64_t *word, unsigned mode, bool is_try,
                                          acre_page_ref *ref)
{
    for (;;) {
        const uint64_t seen = word_load(word);
        if (!word_is_resident(seen) && word_latch(seen) == 0) {
            if (word_change(word, seen, seen | LATCH_EXCLUSIVE)) return load(pool, id, word, seen, mode, ref);
            continue;
        }
        if (word_is_resident(seen)) {
            if (mode == ACRE_FIX_OPTIMISTIC && word_latch(seen) != LATCH_EXCLUSIVE) {
                fill_ref(ref, pool, id, word, seen, mode);
                break;
            }
            const uint64_t next = mode == ACRE_FIX_OPTIMISTIC ? seen : latched(seen, mode);
            if (next != seen) {
                if (!word_change(word, seen, next)) continue;
                fill_ref(ref, pool, id, word, next, mode == ACRE_FIX_NEW ? ACRE_FIX_EXCLUSIVE : mode);
                break;
            }
        }
        const bool is_full = mode == ACRE_FIX_SHARED && word_is_resident(seen) && word_latch(seen) == LATCH_SHARED_MAX;
        if (is_try || is_full) {
            count_up(&pool->counts.busy, 1);
            return acre_fail(ACRE_BUSY, "buffer pool: page %u of file %u is in use", (unsigned)(uint32_t)id, (unsigned)(id >> 32));
        }
        acre_pool_wait_for(pool, id, word, seen);
    }
    note_hit(pool, id, word_frame(ref->seen));
    return ACRE_OK;
}

ACRE_SELDOM static acre_status refuse_fix(const acre_buffer_pool *pool, acre_page_id id, unsigned mode)
{
    if (pool == NULL)
        (void)acre_fail(ACRE_INVALID, "buffer pool: a NULL");
    else
        (void)acre_fail(ACRE_INVALID, "buffer pool: page %u of file %u, mode %u: there is none, or a NULL", (unsigned)(uint32_t)id,
                        (unsigned)(id >> 32), mode);
    return ACRE_INVALID; /* which gcc's analyzer follows, as it cannot follow acre_fail */
}

static inline acre_status fix(acre_buffer_pool *pool, acre_page_id id, unsigned mode, acre_page_ref *ref)
{
    if (acre_unlikely(ref == NULL)) return refuse_fix(pool, id, mode);
    ref->page = NULL;
    const unsigned plain = mode & ~ACRE_FIX_TRY;
    uint64_t *const word = pool == NULL ? NULL : word_of(pool, id);
    if (acre_unlikely(word == NULL) || acre_unlikely(plain > ACRE_FIX_NEW)) return refuse_fix(pool, id, mode);
    const uint64_t seen = word_load(word);
    if (acre_likely(word_is_resident(seen))) {
        if (plain == ACRE_FIX_OPTIMISTIC) {
            if (acre_likely(word_latch(seen) != LATCH_EXCLUSIVE)) {
                fill_ref(ref, pool, id, word, seen, plain);
                note_hit(pool, id, word_frame(seen));
                return ACRE_OK;
            }
        } else {
            const uint64_t next = latched(seen, plain);
            if (acre_likely(next != seen) && acre_likely(word_change(word, seen, next))) {
                fill_ref(ref, pool, id, word, next, plain == ACRE_FIX_NEW ? ACRE_FIX_EXCLUSIVE : plain);
                note_hit(pool, id, word_frame(seen));
                return ACRE_OK;
            }
        }
    }
    return fix_slowly(pool, id, word, plain, (mode & ACRE_FIX_TRY) != 0, ref);
}

/* The page that is fixed exclusively has an image in the log from before the record of its change: a record that is there without one, when
 * the power fails, would leave a page that is torn while the log is replayed. Said before it is so: if a checkpoint begins between the two,
 * it takes the flag away, and the next one has an image again. The other way round the flag would stand for an image that is before the
 * checkpoint. */
ACRE_SELDOM static acre_status take_image(acre_buffer_pool *pool, const acre_page_ref *ref)
{
    const uint32_t frame = word_frame(ref->seen);
    uint64_t lsn = 0;
    if (frame_flags(pool, frame) & FLAG_IMAGED) return ACRE_OK;
    (void)__atomic_fetch_or(&pool->flags[frame], FLAG_IMAGED, __ATOMIC_SEQ_CST);
    const acre_status status = pool->options.log->append_image(pool->options.log_context, ref->id, ref->page, pool->page_bytes, &lsn);
    if (status != ACRE_OK)
        (void)__atomic_fetch_and(&pool->flags[frame], (uint8_t)~FLAG_IMAGED, __ATOMIC_SEQ_CST);
    else if (lsn > pool->lsns[frame])
        pool->lsns[frame] = lsn;
    return status;
}

static bool needs_image(const acre_buffer_pool *pool) { return acre_unlikely(pool->options.torn_pages == ACRE_TORN_IMAGES); }

acre_status acre_buffer_pool_fix(acre_buffer_pool *pool, acre_page_id id, unsigned mode, acre_page_ref *ref)
{
    acre_status status = fix(pool, id, mode, ref);
    if (status != ACRE_OK || ref->mode != ACRE_FIX_EXCLUSIVE || !needs_image(pool)) return status;
    status = take_image(pool, ref);
    if (status != ACRE_OK) (void)acre_buffer_pool_unfix(ref, 0);
    return status;
}

acre_status acre_buffer_pool_upgrade(acre_page_ref *ref)
{
    if (ref == NULL || ref->page == NULL) return acre_fail(ACRE_INVALID, "buffer pool: a ref of no page");
    if (ref->mode == ACRE_FIX_EXCLUSIVE) return ACRE_OK;
    const uint32_t latch = ref->mode == ACRE_FIX_SHARED ? 1 : 0;
    const uint64_t from = (ref->seen & ~(uint64_t)LATCH_MASK) | latch;
    const uint64_t to = from | LATCH_EXCLUSIVE;
    if (!word_change(ref->word, from, to)) return ACRE_BUSY;
    const acre_page_ref before = *ref;
    ref->seen = to;
    ref->mode = ACRE_FIX_EXCLUSIVE;
    const acre_status status = needs_image(ref->pool) ? take_image(ref->pool, ref) : ACRE_OK;
    if (status != ACRE_OK) {
        *ref = before;
        word_publish(ref->pool, ref->word, from);
    }
    return status;
}

/* ---- unfixing ---- */

void acre_pool_mark_dirty(acre_buffer_pool *pool, uint32_t frame)
{
    if ((__atomic_fetch_or(&pool->flags[frame], FLAG_DIRTY, __ATOMIC_ACQ_REL) & FLAG_DIRTY) == 0)
        (void)__atomic_fetch_add(&pool->dirty_count, 1, __ATOMIC_RELAXED);
}

static void note_change(acre_buffer_pool *pool, uint32_t frame, uint64_t lsn)
{
    if (lsn > pool->lsns[frame]) pool->lsns[frame] = lsn;
    acre_pool_mark_dirty(pool, frame);
}

acre_status acre_buffer_pool_unfix(acre_page_ref *ref, uint64_t lsn)
{
    if (acre_unlikely(ref == NULL) || acre_unlikely(ref->page == NULL) || acre_unlikely(lsn != 0 && ref->mode != ACRE_FIX_EXCLUSIVE))
        return acre_fail(ACRE_INVALID, "buffer pool: a ref of no page, or an LSN with a page that is not exclusive");
    acre_buffer_pool *const pool = ref->pool;
    ref->page = NULL;
    if (ref->mode == ACRE_FIX_SHARED) {
        (void)__atomic_fetch_sub(ref->word, 1, __ATOMIC_SEQ_CST);
        wake_waiters(pool);
    } else if (ref->mode == ACRE_FIX_EXCLUSIVE) {
        const uint32_t frame = word_frame(ref->seen);
        if (lsn != 0) note_change(pool, frame, lsn);
        word_publish(pool, ref->word, word_next(ref->seen, frame + 1, 0));
    }
    return ACRE_OK;
}

/* ---- figures ---- */

acre_status acre_buffer_pool_read_figures(acre_buffer_pool *pool, acre_buffer_pool_figures *figures)
{
    if (pool == NULL || figures == NULL) return acre_fail(ACRE_INVALID, "buffer pool: a NULL");
    uint64_t hit_count = 0;
    for (unsigned i = 0; i <= STRIPE_COUNT; i++) hit_count += __atomic_load_n(&pool->stripes[i].hit_count, __ATOMIC_RELAXED);
    const uint64_t frame_bytes_each =
        sizeof *pool->files[0].words + sizeof *pool->flags + sizeof *pool->fingerprints + sizeof *pool->file_numbers;
    acre_prefetch_figures foreseen = {0};
    for (unsigned i = 0; pool->prefetcher != NULL && i < ACRE_PREFETCH_SOURCE_COUNT; i++) {
        acre_prefetch_figures one;
        acre_lock_take(&pool->foreseeing);
        (void)acre_prefetch_read_figures(pool->prefetcher, (acre_prefetch_source)i, &one);
        acre_lock_drop(&pool->foreseeing);
        foreseen.issued_count += one.issued_count;
        foreseen.useful_count += one.useful_count;
        foreseen.polluting_count += one.polluting_count;
    }
    acre_lock_take(&pool->lock);
    const pool_counts *const c = &pool->counts;
    *figures = (acre_buffer_pool_figures){
        .frame_count = pool->frame_count,
        .free_count = pool->free_count,
        .dirty_count = __atomic_load_n(&pool->dirty_count, __ATOMIC_RELAXED),
        .hit_count = hit_count,
        .miss_count = acre_load_figure(&c->miss),
        .evict_count = c->evict,
        .read_count = acre_load_figure(&c->read),
        .write_count = acre_load_figure(&c->write),
        .read_request_count = acre_load_figure(&c->read_request),
        .write_request_count = acre_load_figure(&c->write_request),
        .flush_count = acre_load_figure(&c->flush),
        .log_flush_count = acre_load_figure(&c->log_flush),
        .prefetch_count = acre_load_figure(&c->prefetch),
        .foreseen_count = foreseen.issued_count,
        .useful_count = foreseen.useful_count,
        .polluting_count = foreseen.polluting_count,
        .foreground_write_count = acre_load_figure(&c->foreground),
        .busy_count = acre_load_figure(&c->busy),
        .corrupt_count = acre_load_figure(&c->corrupt),
        .error_count = acre_load_figure(&c->error),
        .checkpoint_count = acre_load_figure(&c->checkpoint),
        .checkpoint_lsn = acre_load_figure(&pool->checkpoint_lsn),
        .bookkeeping_bytes = pool->policy_bytes + frame_bytes_each * pool->frame_count,
        .rule = acre_policy_rule(pool->policy),
    };
    acre_lock_drop(&pool->lock);
    return ACRE_OK;
}

bool acre_buffer_pool_is_valid(acre_buffer_pool *pool)
{
    uint32_t used_count = 0;
    uint32_t dirty_count = 0;
    for (uint32_t frame = 0; frame < pool->options.frame_count_max; frame++) {
        if (!acre_policy_holds(pool->policy, frame)) continue;
        used_count++;
        if (frame_flags(pool, frame) & FLAG_DIRTY) dirty_count++;
        const uint64_t *const word = word_of(pool, frame_id(pool, frame));
        if (frame >= pool->frame_end || word == NULL) return false;
        if (word_is_resident(*word) ? word_frame(*word) != frame : word_latch(*word) != LATCH_EXCLUSIVE) return false;
    }
    uint32_t free_count = 0;
    for (uint32_t frame = pool->free_head; frame != NO_FRAME; free_count++) {
        if (frame >= pool->frame_count || acre_policy_holds(pool->policy, frame) || free_count > pool->frame_count) return false;
        frame = pool->fingerprints[frame];
    }
    uint32_t resident_count = 0;
    for (uint32_t i = 0; i < ACRE_BUFFER_POOL_FILES_MAX; i++) {
        for (uint64_t page = 0; page < pool->files[i].page_count; page++) {
            const uint64_t word = pool->files[i].words[page];
            if (!word_is_resident(word)) continue;
            resident_count++;
            if (!acre_policy_holds(pool->policy, word_frame(word))) return false;
        }
    }
    return resident_count <= used_count && dirty_count == pool->dirty_count && free_count == pool->free_count &&
           used_count + free_count <= pool->frame_end && acre_policy_is_valid(pool->policy);
}
