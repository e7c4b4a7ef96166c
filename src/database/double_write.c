/* double_write.c - each batch of pages is durable in an area of its own before the first of them is written to its place: so a page that a
 * power failure leaves torn is whole here.
 *
 * The area has a page of heads, which tell the ids and checksums of the copies behind it and end in a checksum of their own. It is written
 * again only when what it had before is durable in its place. */
#include "base/status.h"
#include "database/pool.h"
#include "os/crc32c.h"

#include <string.h>

#define AREA_MAGIC 0x6163726564626c77u /* "acredblw" */

typedef struct area_head {
    uint64_t magic;
    uint32_t count, page_bytes;
    struct {
        acre_page_id id;
        uint32_t checksum, unused;
    } pages[STAGED_PAGES_MAX];
    uint32_t unused, checksum; /* of what is before it */
} area_head;

_Static_assert(sizeof(area_head) <= 4096, "heads fit a page");

static uint32_t head_checksum(const area_head *head) { return acre_crc32c(0, head, offsetof(area_head, checksum)); }

/* One page of the area, aligned, for the time of a call. */
static acre_status take_page(acre_buffer_pool *pool, void **page, uint64_t *bytes)
{
    acre_addr at = 0;
    const uint64_t grain = pool->meta.info.grain_bytes;
    *bytes = acre_align_up(pool->page_bytes, grain);
    acre_status status = acre_space_reserve(&pool->meta, *bytes, grain, NULL, &at);
    if (status != ACRE_OK) return status;
    status = acre_space_commit(&pool->meta, at, *bytes);
    if (status != ACRE_OK) {
        (void)acre_space_release(&pool->meta, at, *bytes);
        return status;
    }
    *page = acre_space_pointer(&pool->meta, at);
    return ACRE_OK;
}

static void release_page(acre_buffer_pool *pool, void *page, uint64_t bytes)
{
    (void)acre_space_release(&pool->meta, (uintptr_t)page, bytes);
}

static acre_status move(acre_device *device, acre_device_verb verb, const acre_device_part *parts, uint32_t part_count, uint64_t offset)
{
    acre_device_request request = {.verb = verb, .parts = parts, .part_count = part_count, .offset = offset};
    return acre_device_do(device, &request);
}

acre_status acre_pool_write_twice(acre_buffer_pool *pool, pool_batch *batch)
{
    acre_device *const area = pool->options.double_write;
    void *page = NULL;
    uint64_t bytes = 0;
    /* The other batch may be on its way to its places: it is waited for by flushing after it is done. */
    const pool_batch *const other = pool->batches[batch == pool->batches[0] ? 1 : 0];
    while (__atomic_load_n(&other->in_flight, __ATOMIC_ACQUIRE) > 0) (void)acre_pool_poll(pool, 100000);
    acre_status status = acre_pool_flush_files(pool);
    if (status == ACRE_OK) status = take_page(pool, &page, &bytes);
    if (status != ACRE_OK) return status;
    area_head *const head = page;
    *head = (area_head){.magic = AREA_MAGIC, .count = batch->count, .page_bytes = pool->page_bytes};
    for (uint32_t i = 0; i < batch->count; i++) {
        head->pages[i].id = batch->pages[i].id;
        head->pages[i].checksum = acre_crc32c(0, batch->bytes + ((size_t)i << pool->page_shift), pool->page_bytes);
    }
    head->checksum = head_checksum(head);
    const acre_device_part parts[2] = {{.bytes = page, .size_bytes = pool->page_bytes},
                                       {.bytes = batch->bytes, .size_bytes = (size_t)batch->count << pool->page_shift}};
    status = move(area, ACRE_DEVICE_WRITE, parts, 2, 0);
    if (status == ACRE_OK) status = acre_device_flush(area);
    release_page(pool, page, bytes);
    return status;
}

/* Writes one copy to its place if that has something else. */
static acre_status repair_page(acre_buffer_pool *pool, acre_page_id id, const unsigned char *copy, unsigned char *scratch, uint32_t *count)
{
    const acre_device_part part = {.bytes = scratch, .size_bytes = pool->page_bytes};
    acre_device *const device = pool->files[id >> 32].device;
    const uint64_t offset = (uint64_t)(uint32_t)id << pool->page_shift;
    acre_status status = move(device, ACRE_DEVICE_READ, &part, 1, offset);
    if (status != ACRE_OK || memcmp(scratch, copy, pool->page_bytes) == 0) return status;
    memcpy(scratch, copy, pool->page_bytes);
    status = move(device, ACRE_DEVICE_WRITE, &part, 1, offset);
    __atomic_store_n(&pool->files[id >> 32].is_unflushed, true, __ATOMIC_RELAXED);
    if (status == ACRE_OK) (*count)++;
    return status;
}

static acre_status repair_all(acre_buffer_pool *pool, area_head *head, uint32_t *count)
{
    acre_device *const area = pool->options.double_write;
    unsigned char *const copy = pool->batches[0]->bytes; /* nothing is being written */
    unsigned char *const scratch = pool->batches[1]->bytes;
    const acre_device_part part = {.bytes = head, .size_bytes = pool->page_bytes};
    acre_status status = move(area, ACRE_DEVICE_READ, &part, 1, 0);
    if (status != ACRE_OK) return status;
    if (head->magic != AREA_MAGIC || head->checksum != head_checksum(head) || head->page_bytes != pool->page_bytes ||
        head->count > STAGED_PAGES_MAX) {
        return ACRE_OK; /* never written, or torn itself: then nothing of its batch has gone to its place */
    }
    for (uint32_t i = 0; i < head->count; i++) {
        const acre_device_part page = {.bytes = copy, .size_bytes = pool->page_bytes};
        status = move(area, ACRE_DEVICE_READ, &page, 1, (uint64_t)(i + 1) << pool->page_shift);
        if (status != ACRE_OK) return status;
        if (word_of(pool, head->pages[i].id) == NULL || head->pages[i].checksum != acre_crc32c(0, copy, pool->page_bytes)) continue;
        status = repair_page(pool, head->pages[i].id, copy, scratch, count);
        if (status != ACRE_OK) return status;
    }
    status = acre_pool_flush_files(pool);
    if (status != ACRE_OK) return status;
    memset(head, 0, pool->page_bytes);
    status = move(area, ACRE_DEVICE_WRITE, &part, 1, 0);
    return status == ACRE_OK ? acre_device_flush(area) : status;
}

acre_status acre_buffer_pool_repair(acre_buffer_pool *pool, uint32_t *count)
{
    if (pool == NULL) return acre_fail(ACRE_INVALID, "buffer pool: a NULL");
    if (pool->options.torn_pages != ACRE_TORN_DOUBLE_WRITE) return acre_fail(ACRE_UNSUPPORTED, "buffer pool: it has no double-write area");
    void *head = NULL;
    uint64_t bytes = 0;
    uint32_t repaired_count = 0;
    acre_lock_take(&pool->writing);
    acre_status status = take_page(pool, &head, &bytes);
    if (status == ACRE_OK) {
        status = repair_all(pool, head, &repaired_count);
        release_page(pool, head, bytes);
    }
    acre_lock_drop(&pool->writing);
    if (count != NULL) *count = repaired_count;
    return status;
}
