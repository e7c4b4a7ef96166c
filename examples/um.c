/* um.c - 64 MiB of memory in a place of 8 MiB: what does not fit is kept at home, here a file, and comes when it is touched. */
#include <acre/um.h>
#include <stdio.h>

int main(void)
{
    acre_space file, pages;
    acre_um *um;
    unsigned near_place;
    uint64_t at, sum = 0;
    acre_um_figures figures;
    const uint64_t bytes = 64 << 20;
    acre_um_options options = {.bytes_max = bytes, .home = &file};
    const acre_um_place place = {.name = "near", .capacity_bytes = 8 << 20, .space = &pages};
    if (acre_space_open_file(&file, "um-home", bytes + ACRE_UM_BLOCK_BYTES) != ACRE_OK || acre_space_open_pages(&pages, NULL) != ACRE_OK ||
        acre_um_rules_named("acre", &options.rules) != ACRE_OK || acre_um_open(&options, &um) != ACRE_OK ||
        acre_um_add_place(um, &place, &near_place) != ACRE_OK || acre_um_allocate(um, bytes, &at) != ACRE_OK) {
        (void)fprintf(stderr, "%s\n", acre_last_error());
        return 1;
    }
    for (unsigned pass = 0; pass < 2; pass++) {
        for (uint64_t i = 0; i < bytes; i += ACRE_UM_PAGE_BYTES) {
            if (acre_um_touch(um, near_place, at + i, ACRE_UM_PAGE_BYTES, pass == 0) != ACRE_OK) return 1;
            uint64_t *const words = acre_um_pointer(um, near_place, at + i);
            if (pass == 0) {
                words[0] = i;
            } else {
                sum += words[0] == i;
            }
        }
    }
    if (acre_um_read_figures(um, near_place, &figures) != ACRE_OK) return 1;
    printf("%llu of %llu pages are right; %llu faults, %llu MiB came, %llu MiB went\n", (unsigned long long)sum,
           (unsigned long long)(bytes / ACRE_UM_PAGE_BYTES), (unsigned long long)figures.fault_count,
           (unsigned long long)(figures.in_bytes >> 20), (unsigned long long)(figures.out_bytes >> 20));
    acre_um_close(um);
    acre_space_close(&pages);
    acre_space_close(&file);
    (void)remove("um-home");
    return sum == bytes / ACRE_UM_PAGE_BYTES ? 0 : 1;
}
