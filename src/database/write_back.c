/* write_back.c - pages are copied with their checksums, and the copies are written: in order of ids, neighbours in one request.
 *
 * A page is latched for the copy alone, so nobody waits for a device. From the copy until the device is done its frame is WRITING: it can
 * be read and changed, and not given up, since what is on the device may still be old. Two batches take turns: while one is on its way the
 * other is filled.
 *
 * submit_batch is the only place where pages of files are written, and holds the rule of the log: no page goes out whose LSN is not
 * durable.
 */
#include "base/status.h"
#include "database/pool.h"
#include "os/crc32c.h"

#include <string.h>

enum {
    WAIT_NS = 10000000,
    LATCH_TRIES_MAX = 8,
    RUNS_MAX = 32
}; /* two batches: so deep is the queue of a device, and others wait behind it */

/* ---- checksums ---- */

uint32_t acre_pool_checksum(const acre_buffer_pool *pool, acre_page_id id, const unsigned char *page)
{
    static const unsigned char in_place_of_itself[4];
    const uint32_t at = pool->options.checksum_offset;
    uint32_t sum = acre_crc32c(0, &id, sizeof id);
    sum = acre_crc32c(sum, page, at);
    sum = acre_crc32c(sum, in_place_of_itself, sizeof in_place_of_itself);
    return acre_crc32c(sum, page + at + 4, pool->page_bytes - at - 4);
}

static bool is_zero(const unsigned char *page, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (page[i] != 0) return false;
    return true;
}

bool acre_pool_is_intact(const acre_buffer_pool *pool, acre_page_id id, const unsigned char *page)
{
    if (!pool->options.has_checksum) return true;
    uint32_t stored;
    memcpy(&stored, page + pool->options.checksum_offset, sizeof stored);
    return stored == acre_pool_checksum(pool, id, page) || is_zero(page, pool->page_bytes);
}

static void stamp(const acre_buffer_pool *pool, acre_page_id id, unsigned char *page)
{
    if (!pool->options.has_checksum) return;
    const uint32_t sum = acre_pool_checksum(pool, id, page);
    memcpy(page + pool->options.checksum_offset, &sum, sizeof sum);
}

/* ---- order: heap sort, O(n log n) and no memory ---- */

static void sift_down(acre_page_id *ids, size_t at, size_t count)
{
    const acre_page_id moved = ids[at];
    for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && ids[child + 1] > ids[child]) child++;
        if (ids[child] <= moved) break;
        ids[at] = ids[child];
        at = child;
    }
    ids[at] = moved;
}

void acre_pool_sort(acre_page_id *ids, size_t count)
{
    for (size_t i = count / 2; i-- > 0;) sift_down(ids, i, count);
    for (size_t last = count; last-- > 1;) {
        const acre_page_id greatest = ids[0];
        ids[0] = ids[last];
        ids[last] = greatest;
        sift_down(ids, 0, last);
    }
}

/* ---- copying ---- */

typedef enum stage_result { STAGED, STAGE_CLEAN, STAGE_LATCHED } stage_result;

/* Shares the latch for a moment. 0: it is held exclusively, or the page is not in memory. */
static uint64_t share(uint64_t *word)
{
    for (unsigned i = 0; i < LATCH_TRIES_MAX; i++) {
        const uint64_t seen = word_load(word);
        if (!word_is_resident(seen) || word_latch(seen) >= LATCH_SHARED_MAX) return 0;
        if (word_change(word, seen, seen + 1)) return seen + 1;
    }
    return 0;
}

static void unshare(acre_buffer_pool *pool, uint64_t *word)
{
    (void)__atomic_fetch_sub(word, 1, __ATOMIC_SEQ_CST);
    wake_waiters(pool);
}

static stage_result stage(acre_buffer_pool *pool, pool_batch *batch, acre_page_id id, bool takes_clean)
{
    uint64_t *const word = word_of(pool, id);
    if (word == NULL || !word_is_resident(word_load(word))) return STAGE_CLEAN; /* what is on its way in is clean */
    const uint64_t seen = share(word);
    if (seen == 0) return STAGE_LATCHED;
    const uint32_t frame = word_frame(seen);
    const uint8_t flags = frame_flags(pool, frame);
    if ((flags & FLAG_WRITING) || (!takes_clean && !(flags & FLAG_DIRTY))) {
        unshare(pool, word);
        return (flags & FLAG_WRITING) && (flags & FLAG_DIRTY) ? STAGE_LATCHED : STAGE_CLEAN;
    }
    /* WRITING before not DIRTY: there is no moment at which the frame looks as if it could be given up. */
    (void)__atomic_fetch_or(&pool->flags[frame], FLAG_WRITING, __ATOMIC_ACQ_REL);
    if (flags & FLAG_DIRTY) {
        (void)__atomic_fetch_and(&pool->flags[frame], (uint8_t)~FLAG_DIRTY, __ATOMIC_ACQ_REL);
        (void)__atomic_fetch_sub(&pool->dirty_count, 1, __ATOMIC_RELAXED);
    }
    batch->pages[batch->count] = (staged_page){.id = id, .lsn = flags & FLAG_DIRTY ? pool->lsns[frame] : 0, .frame = frame};
    unsigned char *const copy = batch->bytes + ((size_t)batch->count << pool->page_shift);
    memcpy(copy, page_at(pool, id, frame), pool->page_bytes);
    unshare(pool, word);
    stamp(pool, id, copy);
    batch->count++;
    return STAGED;
}

static uint32_t batch_pages_max(const acre_buffer_pool *pool)
{
    return (uint32_t)acre_min_size(STAGED_PAGES_MAX, STAGED_BYTES_MAX >> pool->page_shift);
}

/* Copies the clean pages between the batch's last one and `id` if all are in memory, so that the two are one run; else leaves none. */
static void fill_gap(acre_buffer_pool *pool, pool_batch *batch, acre_page_id id)
{
    if (batch->count == 0) return;
    const acre_page_id last = batch->pages[batch->count - 1].id;
    if (id - last <= 1 || id - last > 1 + (uint64_t)pool->options.gap_pages || batch->count + (id - last) > batch_pages_max(pool)) return;
    for (acre_page_id between = last + 1; between < id; between++)
        if (!word_is_resident(word_load(word_of(pool, between)))) return;
    for (acre_page_id between = last + 1; between < id; between++)
        if (stage(pool, batch, between, true) != STAGED) return;
}

/* ---- a batch on its way ---- */

/* The page was not written: it is as dirty as before. */
static void give_back(acre_buffer_pool *pool, const staged_page *page)
{
    acre_pool_mark_dirty(pool, page->frame);
    (void)__atomic_fetch_and(&pool->flags[page->frame], (uint8_t)~FLAG_WRITING, __ATOMIC_ACQ_REL);
}

static void run_done(acre_device_request *request)
{
    const pool_run *const run = request->context;
    /* Not before the write has ended: a flush that another thread began meanwhile does not cover it. */
    __atomic_store_n(&run->file->is_unflushed, true, __ATOMIC_RELEASE);
    (void)__atomic_fetch_sub(&run->batch->in_flight, 1, __ATOMIC_RELEASE);
}

/* Neighbours of the batch become runs. */
static void make_runs(acre_buffer_pool *pool, pool_batch *batch)
{
    const uint32_t run_pages_max = (uint32_t)RUN_BYTES_MAX >> pool->page_shift;
    batch->run_count = 0;
    for (uint32_t i = 0; i < batch->count;) {
        pool_run *const run = &batch->runs[batch->run_count++];
        run->batch = batch;
        run->file = &pool->files[batch->pages[i].id >> 32];
        run->first = i++;
        while (i < batch->count && i - run->first < run_pages_max && batch->pages[i].id == batch->pages[i - 1].id + 1) i++;
        run->count = i - run->first;
        run->part = (acre_device_part){.bytes = batch->bytes + ((size_t)run->first << pool->page_shift),
                                       .size_bytes = (size_t)run->count << pool->page_shift};
        run->request = (acre_device_request){.verb = ACRE_DEVICE_WRITE,
                                             .part_count = 1,
                                             .parts = &run->part,
                                             .offset = (uint64_t)(uint32_t)batch->pages[run->first].id << pool->page_shift,
                                             .done = run_done,
                                             .context = run};
    }
}

/* Takes out of the batch what may not be written; copies move down with their pages. */
static void keep_durable(acre_buffer_pool *pool, pool_batch *batch, uint64_t durable_lsn)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < batch->count; i++) {
        if (batch->pages[i].lsn > durable_lsn) {
            give_back(pool, &batch->pages[i]);
            continue;
        }
        if (kept != i) {
            batch->pages[kept] = batch->pages[i];
            memcpy(batch->bytes + ((size_t)kept << pool->page_shift), batch->bytes + ((size_t)i << pool->page_shift), pool->page_bytes);
        }
        kept++;
    }
    batch->count = kept;
}

static acre_status flush_log(acre_buffer_pool *pool, pool_batch *batch)
{
    const acre_log_ops *const log = pool->options.log;
    if (log == NULL) return ACRE_OK;
    uint64_t highest_lsn = 0;
    for (uint32_t i = 0; i < batch->count; i++)
        if (batch->pages[i].lsn > highest_lsn) highest_lsn = batch->pages[i].lsn;
    acre_status status = ACRE_OK;
    if (highest_lsn > log->durable_lsn(pool->options.log_context)) {
        const uint64_t last_lsn = log->last_lsn(pool->options.log_context); /* for the batches that follow, too */
        status = log->flush(pool->options.log_context, last_lsn > highest_lsn ? last_lsn : highest_lsn);
        count_up(&pool->counts.log_flush, 1);
    }
    keep_durable(pool, batch, log->durable_lsn(pool->options.log_context));
    return status;
}

static acre_status submit_batch(acre_buffer_pool *pool, pool_batch *batch)
{
    acre_status status = flush_log(pool, batch);
    if (batch->count > 0 && pool->options.torn_pages == ACRE_TORN_DOUBLE_WRITE) {
        const acre_status twice = acre_pool_write_twice(pool, batch);
        if (twice != ACRE_OK) {
            for (uint32_t i = 0; i < batch->count; i++) give_back(pool, &batch->pages[i]);
            batch->count = 0;
            status = twice;
        }
    }
    make_runs(pool, batch);
    batch->in_flight = batch->run_count;
    count_up(&pool->counts.write_request, batch->run_count);
    count_up(&pool->counts.write, batch->count);
    for (uint32_t i = 0; i < batch->run_count;) { /* those of one file together */
        acre_device_request *requests[STAGED_PAGES_MAX];
        const uint32_t file = (uint32_t)(batch->pages[batch->runs[i].first].id >> 32);
        uint32_t count = 0;
        while (i < batch->run_count && batch->pages[batch->runs[i].first].id >> 32 == file) requests[count++] = &batch->runs[i++].request;
        const acre_status submitted = acre_device_submit(pool->files[file].device, requests, count);
        assert(submitted == ACRE_OK);
        (void)submitted;
    }
    return status;
}

static acre_status finish_batch(acre_buffer_pool *pool, pool_batch *batch)
{
    acre_status status = ACRE_OK;
    uint32_t at = 0; /* a run that may still be in flight: its device is asked */
    while (__atomic_load_n(&batch->in_flight, __ATOMIC_ACQUIRE) > 0) {
        const uint32_t file = (uint32_t)(batch->pages[batch->runs[at % batch->run_count].first].id >> 32);
        (void)acre_device_poll(pool->files[file].device, WAIT_NS / 10);
        at++;
    }
    for (uint32_t i = 0; i < batch->run_count; i++) {
        const pool_run *const run = &batch->runs[i];
        const bool is_written = run->request.status == ACRE_OK;
        for (uint32_t k = run->first; k < run->first + run->count; k++) {
            const staged_page *const page = &batch->pages[k];
            if (is_written)
                (void)__atomic_fetch_and(&pool->flags[page->frame], (uint8_t)~FLAG_WRITING, __ATOMIC_ACQ_REL);
            else
                give_back(pool, page);
        }
        if (is_written) continue;
        const acre_page_id id = batch->pages[run->first].id;
        count_up(&pool->counts.error, 1);
        status = acre_fail(run->request.status, "buffer pool: %u pages from %u on of file %u cannot be written (errno %d)", run->count,
                           (unsigned)(uint32_t)id, (unsigned)(id >> 32), run->request.system_error);
    }
    batch->count = batch->run_count = 0;
    return status;
}

acre_status acre_pool_write_back(acre_buffer_pool *pool, acre_page_id *ids, size_t count, size_t *left)
{
    acre_status status = ACRE_OK;
    acre_status other;
    size_t latched_count = 0;
    unsigned turn = 0;
    for (size_t i = 0; i < count;) {
        pool_batch *const batch = pool->batches[turn];
        turn ^= 1;
        other = finish_batch(pool, batch);
        if (status == ACRE_OK) status = other;
        uint32_t break_count = 0;
        while (i < count && batch->count < batch_pages_max(pool)) {
            fill_gap(pool, batch, ids[i]);
            if (batch->count == batch_pages_max(pool)) break;
            if (batch->count > 0 && batch->pages[batch->count - 1].id + 1 != ids[i] && ++break_count == RUNS_MAX) break;
            if (stage(pool, batch, ids[i], false) == STAGE_LATCHED) ids[latched_count++] = ids[i];
            i++;
        }
        other = submit_batch(pool, batch);
        if (status == ACRE_OK) status = other;
    }
    for (unsigned i = 0; i < 2; i++) {
        other = finish_batch(pool, pool->batches[turn ^ i]);
        if (status == ACRE_OK) status = other;
    }
    *left = latched_count;
    return status;
}

/* ---- durable ---- */

static acre_status flush_device(acre_buffer_pool *pool, uint32_t number)
{
    pool_file *const file = &pool->files[number];
    if (__atomic_load_n(&file->is_doubtful, __ATOMIC_RELAXED))
        return acre_fail(ACRE_IO, "buffer pool: a flush of file %u has failed before: it is to be recovered from the log", number);
    if (!__atomic_exchange_n(&file->is_unflushed, false, __ATOMIC_ACQ_REL)) return ACRE_OK;
    count_up(&pool->counts.flush, 1);
    const acre_status status = acre_device_flush(file->device);
    if (status != ACRE_OK) {
        __atomic_store_n(&file->is_doubtful, true, __ATOMIC_RELAXED);
        count_up(&pool->counts.error, 1);
    }
    return status;
}

acre_status acre_pool_flush_file(acre_buffer_pool *pool, uint32_t number)
{
    if (__atomic_load_n(&pool->files[number].words, __ATOMIC_ACQUIRE) == NULL) return ACRE_OK;
    acre_lock_take(&pool->flushing);
    const acre_status status = flush_device(pool, number);
    acre_lock_drop(&pool->flushing);
    return status;
}

acre_status acre_pool_flush_files(acre_buffer_pool *pool)
{
    acre_status status = ACRE_OK;
    for (uint32_t i = 0; i < ACRE_BUFFER_POOL_FILES_MAX; i++) {
        const acre_status other = acre_pool_flush_file(pool, i);
        if (status == ACRE_OK) status = other;
    }
    return status;
}
