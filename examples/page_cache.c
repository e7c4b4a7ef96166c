/* page_cache.c - a log of temperatures on a flash chip of 64 KiB, of which 2 KiB are in memory at a time. */
#include <acre/page_cache.h>
#include <stdio.h>
#include <string.h>

enum { PAGE_BYTES = 256, PAGES = 256, FRAMES = 8, PER_PAGE = PAGE_BYTES / sizeof(int16_t) };

static unsigned char chip[PAGES][PAGE_BYTES];

static acre_status read_chip(void *device, uint32_t page, void *bytes)
{
    (void)device;
    memcpy(bytes, chip[page], PAGE_BYTES);
    return ACRE_OK;
}

static acre_status write_chip(void *device, uint32_t page, const void *bytes)
{
    (void)device;
    memcpy(chip[page], bytes, PAGE_BYTES);
    return ACRE_OK;
}

int main(void)
{
    static _Alignas(8) unsigned char frames[FRAMES][PAGE_BYTES], memory[1024];
    const acre_page_cache_options options = {.policy = ACRE_POLICY_S3_FIFO,
                                             .frame_count = FRAMES,
                                             .page_bytes = PAGE_BYTES,
                                             .page_count = PAGES,
                                             .frames = frames,
                                             .read = read_chip,
                                             .write = write_chip};
    acre_page_cache *cache;
    if (acre_page_cache_init(&cache, &options, memory, sizeof memory) != ACRE_OK) {
        printf("%s\n", acre_last_error());
        return 1;
    }
    for (uint32_t i = 0; i < 5000; i++) {
        void *page;
        if (acre_page_cache_fix(cache, i / PER_PAGE, ACRE_PAGE_READ, &page) != ACRE_OK) return 1;
        ((int16_t *)page)[i % PER_PAGE] = (int16_t)(200 + i % 50);
        if (acre_page_cache_unfix(cache, page, true) != ACRE_OK) return 1;
    }
    if (acre_page_cache_flush(cache) != ACRE_OK) return 1;

    acre_page_cache_figures figures;
    if (acre_page_cache_read_figures(cache, &figures) != ACRE_OK) return 1;
    printf("5000 values: %u hits, %u pages read, %u written\n", (unsigned)figures.hit_count, (unsigned)figures.read_count,
           (unsigned)figures.write_count);
    return figures.write_count == (5000 + PER_PAGE - 1) / PER_PAGE ? 0 : 1;
}
