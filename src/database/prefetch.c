/* prefetch.c - reading ahead: pages are claimed, and published by whichever thread sees that they have come. */
#include "base/status.h"
#include "database/pool.h"

#include <string.h>

enum { LOCKED_PAGES_MAX = 64, WAIT_NS = 100000 };

static void publish_pages(acre_buffer_pool *pool, pool_read *read)
{
    for (uint32_t i = 0; i < read->request.part_count; i++) {
        const acre_page_id id = read->first + i;
        uint64_t *const word = word_of(pool, id);
        const uint64_t seen = word_load(word);
        assert(!word_is_resident(seen) && word_latch(seen) == LATCH_EXCLUSIVE);
        if (read->request.status == ACRE_OK && acre_pool_is_intact(pool, id, page_at(pool, id, read->frames[i]))) {
            word_publish(pool, word, word_next(seen, read->frames[i] + 1, 0));
        } else { /* who fixes it reads it again, and hears of it */
            acre_pool_drop_frame(pool, read->frames[i]);
            word_publish(pool, word, word_next(seen, 0, 0));
        }
    }
}

static void read_done(acre_device_request *request)
{
    pool_read *const read = request->context;
    acre_buffer_pool *const pool = read->pool;
    publish_pages(pool, read);
    acre_lock_take(&pool->lock);
    read->next = pool->free_reads;
    pool->free_reads = read;
    (void)__atomic_fetch_sub(&pool->read_count, 1, __ATOMIC_RELEASE);
    acre_lock_drop(&pool->lock);
}

/* Under `lock`. */
static pool_read *begin_read(acre_buffer_pool *pool, acre_page_id id)
{
    pool_read *const read = pool->free_reads;
    if (read == NULL) return NULL;
    pool->free_reads = read->next;
    (void)__atomic_fetch_add(&pool->read_count, 1, __ATOMIC_RELAXED);
    read->first = id;
    read->request = (acre_device_request){.verb = ACRE_DEVICE_READ,
                                          .parts = read->parts,
                                          .offset = (uint64_t)(uint32_t)id << pool->page_shift,
                                          .done = read_done,
                                          .context = read};
    return read;
}

static bool follows(const acre_buffer_pool *pool, const pool_read *read, acre_page_id id)
{
    return id == read->first + read->request.part_count && id >> 32 == read->first >> 32 &&
           read->request.part_count < (uint32_t)RUN_BYTES_MAX >> pool->page_shift;
}

/* Under `lock`. Takes pages until a limit is met; returns how many are looked after. */
static size_t claim_pages(acre_buffer_pool *pool, const acre_page_id *ids, size_t count, acre_device_request **requests,
                          size_t *request_count, uint8_t flag)
{
    pool_read *read = NULL;
    size_t at = 0;
    *request_count = 0;
    for (; at < count && at < LOCKED_PAGES_MAX; at++) {
        const acre_page_id id = ids[at];
        uint64_t *const word = word_of(pool, id);
        if (word == NULL) break;
        const uint64_t seen = word_load(word);
        if (word_is_resident(seen) || word_latch(seen) != 0) continue;
        if ((read == NULL || !follows(pool, read, id)) && pool->free_reads == NULL) break;
        if (!word_change(word, seen, seen | LATCH_EXCLUSIVE)) continue;
        const uint32_t frame = acre_pool_take_frame(pool, id);
        if (frame == NO_FRAME) {
            word_publish(pool, word, seen);
            break;
        }
        __atomic_store_n(&pool->flags[frame], flag, __ATOMIC_RELAXED);
        if (read == NULL || !follows(pool, read, id)) {
            read = begin_read(pool, id);
            requests[(*request_count)++] = &read->request;
        }
        const uint32_t part = read->request.part_count++;
        read->frames[part] = frame;
        read->parts[part] = (acre_device_part){.bytes = page_at(pool, id, frame), .size_bytes = pool->page_bytes};
    }
    return at;
}

/* Those for one device together. */
static void submit_all(acre_buffer_pool *pool, acre_device_request **requests, size_t count)
{
    for (size_t i = 0; i < count;) {
        const uint64_t file = ((const pool_read *)requests[i]->context)->first >> 32;
        const size_t first = i;
        for (; i < count && ((const pool_read *)requests[i]->context)->first >> 32 == file; i++) {
            count_up(&pool->counts.read, requests[i]->part_count);
            count_up(&pool->counts.prefetch, requests[i]->part_count);
        }
        count_up(&pool->counts.read_request, i - first);
        const acre_status status = acre_device_submit(pool->files[file].device, requests + first, i - first);
        assert(status == ACRE_OK);
        (void)status;
    }
}

size_t acre_pool_read_ahead(acre_buffer_pool *pool, const acre_page_id *ids, size_t count, uint8_t flag)
{
    size_t done = 0;
    while (done < count) {
        acre_device_request *requests[LOCKED_PAGES_MAX];
        size_t request_count = 0;
        acre_lock_take(&pool->lock);
        pool->victim_count = 0;
        const size_t taken = claim_pages(pool, ids + done, count - done, requests, &request_count, flag);
        acre_lock_drop(&pool->lock);
        submit_all(pool, requests, request_count);
        done += taken;
        if (taken == 0) break;
    }
    return done;
}

size_t acre_buffer_pool_prefetch(acre_buffer_pool *pool, const acre_page_id *ids, size_t count)
{
    return pool == NULL || ids == NULL ? 0 : acre_pool_read_ahead(pool, ids, count, 0);
}

/* A poller is counted before it looks whether the file is there, and acre_buffer_pool_remove_file takes the file away before it looks at
 * the count: one of the two sees the other. */
size_t acre_pool_poll(acre_buffer_pool *pool, uint64_t wait_ns)
{
    size_t count = 0;
    for (uint32_t i = 0; i < ACRE_BUFFER_POOL_FILES_MAX; i++) {
        if (__atomic_load_n(&pool->files[i].words, __ATOMIC_RELAXED) == NULL) continue;
        (void)__atomic_fetch_add(&pool->poller_counts[i], 1, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&pool->files[i].words, __ATOMIC_SEQ_CST) != NULL) count += acre_device_poll(pool->files[i].device, wait_ns);
        (void)__atomic_fetch_sub(&pool->poller_counts[i], 1, __ATOMIC_SEQ_CST);
    }
    return count;
}

size_t acre_buffer_pool_poll(acre_buffer_pool *pool) { return pool == NULL ? 0 : acre_pool_poll(pool, 0); }

void acre_pool_finish_reads(acre_buffer_pool *pool, uint64_t limit_ns)
{
    const uint64_t begin_ns = acre_os_now_ns();
    while (__atomic_load_n(&pool->read_count, __ATOMIC_ACQUIRE) > 0 && acre_os_now_ns() - begin_ns < limit_ns)
        (void)acre_pool_poll(pool, WAIT_NS);
    /* Whoever took the last one's result has dropped the lock. */
    acre_lock_take(&pool->lock);
    acre_lock_drop(&pool->lock);
}
