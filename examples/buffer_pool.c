/* buffer_pool.c - a table of counters in a file: pages in a buffer pool, read without a latch, changed under one, made durable by a
 * checkpoint. */
#include <acre/buffer_pool.h>
#include <acre/device.h>
#include <stdio.h>
#include <string.h>

enum { PAGE_BYTES = 4096, PAGE_COUNT = 1000, FRAME_COUNT = 100 };

/* Bytes 0 to 3 of a page are the pool's checksum. */
static uint64_t counter_of(const unsigned char *page)
{
    uint64_t value;
    memcpy(&value, page + 8, sizeof value);
    return value;
}

static acre_status add_to(acre_buffer_pool *pool, acre_page_id id, uint64_t amount)
{
    acre_page_ref ref;
    const acre_status status = acre_buffer_pool_fix(pool, id, ACRE_FIX_EXCLUSIVE, &ref);
    if (status != ACRE_OK) return status;
    const uint64_t value = counter_of(ref.page) + amount;
    memcpy(ref.page + 8, &value, sizeof value);
    return acre_buffer_pool_unfix(&ref, 1); /* without a log any LSN means: changed */
}

/* Reads without keeping anybody from writing; what was read counts only if the page was at rest. */
static acre_status read_counter(acre_buffer_pool *pool, acre_page_id id, uint64_t *value)
{
    for (;;) {
        acre_page_ref ref;
        const acre_status status = acre_buffer_pool_fix(pool, id, ACRE_FIX_OPTIMISTIC, &ref);
        if (status != ACRE_OK) return status;
        *value = counter_of(ref.page);
        if (acre_buffer_pool_validate(&ref)) return acre_buffer_pool_unfix(&ref, 0);
    }
}

int main(void)
{
    const char *const path = "acre-example-pages";
    acre_device device;
    if (acre_device_open_file(&device, path, NULL) != ACRE_OK) return 1;
    const acre_buffer_pool_options options = {.page_bytes = PAGE_BYTES, .frame_count = FRAME_COUNT, .has_checksum = true};
    acre_buffer_pool *pool;
    uint32_t file;
    if (acre_buffer_pool_open(&options, &pool) != ACRE_OK || acre_buffer_pool_add_file(pool, &device, PAGE_COUNT, &file) != ACRE_OK)
        return 1;

    for (uint32_t i = 0; i < 3 * PAGE_COUNT; i++)
        if (add_to(pool, acre_page(file, i % PAGE_COUNT), i) != ACRE_OK) return 1;
    if (acre_buffer_pool_checkpoint(pool, NULL) != ACRE_OK) return 1;

    /* Pages that will be wanted are on their way while others are worked on. */
    acre_page_id ids[32];
    for (uint32_t i = 0; i < 32; i++) ids[i] = acre_page(file, i * 20);
    size_t ahead = acre_buffer_pool_prefetch(pool, ids, 32);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < 32; i++) {
        uint64_t value;
        if (read_counter(pool, ids[i], &value) != ACRE_OK) return 1;
        sum += value;
    }

    acre_buffer_pool_figures figures;
    if (acre_buffer_pool_read_figures(pool, &figures) != ACRE_OK) return 1;
    printf("%zu pages read ahead, their sum is %llu; %llu hits, %llu misses, %llu pages written in %llu requests\n", ahead,
           (unsigned long long)sum, (unsigned long long)figures.hit_count, (unsigned long long)figures.miss_count,
           (unsigned long long)figures.write_count, (unsigned long long)figures.write_request_count);
    if (acre_buffer_pool_close(pool) != ACRE_OK) return 1;
    acre_device_close(&device);
    remove(path);
    return sum == 32 * 3000 + 3 * 20 * (31 * 32 / 2) ? 0 : 1; /* i + (i + 1000) + (i + 2000) for i = 0, 20, ... */
}
