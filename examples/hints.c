/* hints.c - what a caller knows of its blocks, said to a heap and to a space. A hint never decides whether there is memory. */
#include <acre/heap.h>
#include <acre/hints.h>
#include <acre/space.h>
#include <stdio.h>

enum { TAG_INDEX = 7 };

int main(void)
{
    acre_heap *heap;
    if (acre_heap_create(&(acre_heap_options){.name = "store"}, &heap) != ACRE_OK) return 1;

    /* A table that stays, is read at random, and is worth huge pages. */
    const acre_hints table_hints = {
        .lifetime = ACRE_LIFETIME_LONG,
        .hotness = ACRE_HOT,
        .access = ACRE_ACCESS_RANDOM,
        .huge_pages = ACRE_HUGE_PREFER,
        .tag = TAG_INDEX,
    };
    /* A key that shares its page with nothing else, and a buffer of which nothing is known: NULL says the same. */
    const acre_hints key_hints = {.lifetime = ACRE_LIFETIME_LONG, .isolation = 1};
    const acre_hints nothing = {0};
    const acre_addr table = acre_heap_alloc_address(heap, 4 << 20, 64, &table_hints);
    const acre_addr key = acre_heap_alloc_address(heap, 32, 16, &key_hints);
    const acre_addr buffer = acre_heap_alloc_address(heap, 1000, 16, &nothing);
    if (table == 0 || key == 0 || buffer == 0) puts(acre_last_error());
    acre_heap_free_address(heap, buffer);
    acre_heap_free_address(heap, key);
    acre_heap_free_address(heap, table);
    acre_heap_destroy(heap);

    /* The same words where a range is reserved. */
    acre_space pages;
    acre_addr at;
    if (acre_space_open_pages(&pages, NULL) != ACRE_OK) return 1;
    if (acre_space_reserve(&pages, 4 << 20, 2 << 20, &table_hints, &at) != ACRE_OK) {
        puts(acre_last_error());
        return 1;
    }
    acre_space_release(&pages, at, 4 << 20);
    acre_space_close(&pages);
    return table != 0 && key != 0 && buffer != 0 ? 0 : 1;
}
