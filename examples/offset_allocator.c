/* offset_allocator.c - records of different sizes in a file of 1 MiB: where each lies is decided without reading the file. */
#include <acre/offset_allocator.h>
#include <inttypes.h>
#include <stdio.h>

static bool print(void *context, const acre_offset_extent *extent)
{
    (void)context;
    printf("%8" PRIu64 " %7" PRIu64 " %s\n", extent->offset, extent->size_bytes, extent->is_out ? "record" : "free");
    return true;
}

int main(void)
{
    acre_space pages;
    acre_offset_allocator file;
    const acre_offset_options options = {.space = &pages, .size_bytes = 1 << 20, .granule_bytes = 64, .name = "records"};
    if (acre_space_open_pages(&pages, NULL) != ACRE_OK || acre_offset_allocator_open(&file, &options) != ACRE_OK) {
        printf("%s\n", acre_last_error());
        return 1;
    }
    acre_offset_block records[4];
    for (uint64_t i = 0; i < 4; i++) {
        uint64_t offset;
        if (acre_offset_alloc(&file, 1000 * (i + 1), 512, ACRE_OFFSET_GOOD_FIT, &records[i], &offset) != ACRE_OK) return 1;
    }
    if (acre_offset_free(&file, records[1]) != ACRE_OK) return 1;
    if (acre_offset_free(&file, records[1]) != ACRE_BAD_POINTER) return 1; /* freed twice: refused */
    if (acre_offset_walk(&file, print, NULL) != ACRE_OK) return 1;

    acre_offset_figures figures;
    if (acre_offset_read_figures(&file, &figures) != ACRE_OK) return 1;
    printf("%u records, %" PRIu64 " bytes; largest free extent %" PRIu64 "\n", (unsigned)figures.block_count, figures.block_bytes,
           figures.largest_free_bytes);
    acre_offset_allocator_close(&file);
    acre_space_close(&pages);
    return figures.block_count == 3 ? 0 : 1;
}
