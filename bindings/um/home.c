/* home.c - see home.h. One process has one home of each kind. */
#include "home.h"

#include "os/file_io.h"
#include "os/page_faults.h"

#include <acre/heap.h>
#include <lz4.h>
#include <string.h>

enum { PAGE = ACRE_UM_PAGE_BYTES, SHORTER_BY = PAGE / 16 };

static um_home_figures figures;

static void count_pages(int64_t pages, int64_t bytes)
{
    figures.page_count += (uint64_t)pages;
    figures.bytes += (uint64_t)bytes;
    if (figures.page_count > figures.page_count_max) figures.page_count_max = figures.page_count;
    if (figures.bytes > figures.bytes_max) figures.bytes_max = figures.bytes;
}

void um_home_read_figures(um_home_figures *read) { *read = figures; }

/* What is known of a page. length 0: nothing is here. */
typedef struct kept_page {
    uint64_t address : 48, length : 16;
} kept_page;

static acre_space pages_space;
static kept_page *kept;

static acre_status open_pages(uint64_t bytes_max)
{
    acre_addr at;
    const uint64_t bytes = bytes_max / PAGE * sizeof *kept;
    acre_status status = acre_space_open_pages(&pages_space, NULL);
    if (status == ACRE_OK) status = acre_space_reserve(&pages_space, bytes, PAGE, NULL, &at);
    if (status == ACRE_OK) status = acre_space_commit(&pages_space, at, bytes);
    if (status == ACRE_OK) kept = acre_space_pointer(&pages_space, at);
    return status;
}

/* ---- a file ---- */

static int file = -1;

static acre_status write_file(void *context, uint64_t at, const void *bytes, uint64_t size)
{
    (void)context;
    const acre_status status = acre_page_contents_write(file, at, bytes, size);
    for (uint64_t i = at / PAGE; status == ACRE_OK && i < (at + size) / PAGE; i++) {
        if (kept[i].length == 0) count_pages(1, PAGE);
        kept[i].length = PAGE;
    }
    return status;
}

static acre_status read_file(void *context, uint64_t at, void *bytes, uint64_t size)
{
    (void)context;
    return acre_page_contents_read(file, at, bytes, size);
}

static void discard_in_file(void *context, uint64_t at, uint64_t size)
{
    (void)context;
    (void)acre_os_punch_hole(file, at, size); /* what is left there harms nobody */
    for (uint64_t i = at / PAGE; i < (at + size) / PAGE; i++) {
        if (kept[i].length != 0) count_pages(-1, -(int64_t)PAGE);
        kept[i].length = 0;
    }
}

acre_status um_home_open_file(const char *folder, uint64_t bytes_max, acre_um_contents *home)
{
    const acre_um_contents contents = {.write = write_file, .read = read_file, .discard = discard_in_file, .is_shared = true};
    acre_status status = acre_file_open_unnamed(folder, bytes_max, &file);
    if (status == ACRE_OK) status = open_pages(bytes_max);
    if (status == ACRE_OK) *home = contents;
    return status;
}

/* ---- compressed ---- */

static acre_heap *heap;

enum { ZEROS = 1 };

static acre_space pages_space;
static acre_heap *heap;
static kept_page *kept;

static bool is_zeros(const unsigned char *bytes) { return bytes[0] == 0 && memcmp(bytes, bytes + 1, PAGE - 1) == 0; }

static void drop_page(kept_page *page)
{
    if (page->length == 0) return;
    if (page->length == ZEROS) {
        figures.zero_count--;
    } else {
        acre_heap_free(heap, (void *)(uintptr_t)page->address);
    }
    count_pages(-1, page->length == ZEROS ? 0 : -(int64_t)page->length);
    *page = (kept_page){.length = 0};
}

static acre_status keep_page(kept_page *page, const unsigned char *bytes)
{
    static LZ4_stream_t state; /* the lock of who calls guards it */
    static char shorter[PAGE];
    if (bytes == NULL || is_zeros(bytes)) {
        drop_page(page);
        page->length = ZEROS;
        figures.zero_count++;
        count_pages(1, 0);
        return ACRE_OK;
    }
    const int compressed = LZ4_compress_fast_extState(&state, (const char *)bytes, shorter, PAGE, PAGE - SHORTER_BY, 1);
    const size_t length = compressed > 0 ? (size_t)compressed : PAGE;
    void *const block = acre_heap_alloc(heap, length);
    if (block == NULL) return acre_fail(ACRE_NO_MEMORY, "no memory for a page that is compressed to %zu bytes", length);
    memcpy(block, compressed > 0 ? (const void *)shorter : bytes, length);
    drop_page(page);
    page->address = (uintptr_t)block & 0xffffffffffffu;
    page->length = length & 0xffffu;
    count_pages(1, (int64_t)length);
    return ACRE_OK;
}

static acre_status write_compressed(void *context, uint64_t at, const void *bytes, uint64_t size)
{
    (void)context;
    for (uint64_t i = 0; i < size; i += PAGE) {
        const acre_status status = keep_page(&kept[(at + i) / PAGE], bytes == NULL ? NULL : (const unsigned char *)bytes + i);
        if (status != ACRE_OK) return status;
    }
    return ACRE_OK;
}

static acre_status read_compressed(void *context, uint64_t at, void *bytes, uint64_t size)
{
    (void)context;
    for (uint64_t i = 0; i < size; i += PAGE) {
        const kept_page *const page = &kept[(at + i) / PAGE];
        char *const into = (char *)bytes + i;
        const char *const block = (const char *)(uintptr_t)page->address;
        if (page->length <= ZEROS) {
            memset(into, 0, PAGE);
        } else if (page->length == PAGE) {
            memcpy(into, block, PAGE);
        } else if (LZ4_decompress_safe(block, into, (int)page->length, PAGE) != PAGE) {
            return acre_fail(ACRE_CORRUPT, "a page of %u compressed bytes is damaged", (unsigned)page->length);
        }
    }
    return ACRE_OK;
}

static void discard_compressed(void *context, uint64_t at, uint64_t size)
{
    (void)context;
    for (uint64_t i = 0; i < size; i += PAGE) drop_page(&kept[(at + i) / PAGE]);
}

acre_status um_home_open_compressed(uint64_t bytes_max, acre_um_contents *home)
{
    const acre_um_contents contents = {.write = write_compressed, .read = read_compressed, .discard = discard_compressed};
    acre_status status = open_pages(bytes_max);
    if (status == ACRE_OK) status = acre_heap_create(&(acre_heap_options){.name = "compressed pages"}, &heap);
    if (status == ACRE_OK) *home = contents;
    return status;
}
