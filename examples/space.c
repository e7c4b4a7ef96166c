/* space.c - a range of pages: reserved, committed, written, purged, released; then the same calls where there is no memory. */
#include <acre/space.h>
#include <acre/status.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    acre_space pages;
    acre_addr at;
    if (acre_space_open_pages(&pages, NULL) != ACRE_OK) return 1;
    if (acre_space_reserve(&pages, 1 << 20, 1 << 16, NULL, &at) != ACRE_OK || acre_space_commit(&pages, at, 1 << 20) != ACRE_OK) {
        puts(acre_last_error());
        return 1;
    }
    char *const text = acre_space_pointer(&pages, at);
    memcpy(text, "hello", sizeof "hello");
    acre_space_purge(&pages, at, 1 << 20);
    printf("after a purge: '%s'\n", text); /* ACRE_CAP_ZEROED: it reads as zero */
    acre_space_release(&pages, at, 1 << 20);
    acre_space_close(&pages);

    acre_space device;
    if (acre_space_open_handles(&device, (acre_addr)1 << 40, 1 << 30) != ACRE_OK) return 1;
    if (acre_space_purge(&device, (acre_addr)1 << 40, 4096) == ACRE_UNSUPPORTED) puts(acre_last_error());
    acre_space_close(&device);
    return 0;
}
