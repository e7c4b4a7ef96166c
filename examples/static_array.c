/* static_array.c - a heap in an array: no memory of the operating system is used at all. */
#include <acre/heap.h>
#include <stdio.h>

static char bytes[1 << 20];
static char descriptors[256 << 10];

int main(void)
{
    acre_space space;
    acre_space meta;
    acre_heap *heap;
    if (acre_space_open_static(&space, bytes, sizeof bytes) != ACRE_OK) return 1;
    if (acre_space_open_static(&meta, descriptors, sizeof descriptors) != ACRE_OK) return 1;
    if (acre_heap_create(&(acre_heap_options){.name = "array", .space = &space, .meta_space = &meta}, &heap) != ACRE_OK) {
        puts(acre_last_error());
        return 1;
    }
    int count = 0;
    while (acre_heap_alloc(heap, 1000) != NULL) count++;
    printf("%d blocks of 1000 bytes fit into an array of %zu; then: %s\n", count, sizeof bytes, acre_last_error());
    acre_heap_destroy(heap);
    return count > 900 ? 0 : 1;
}
