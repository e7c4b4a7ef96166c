/* allocator.c - one heap over memory, one over addresses that are no pointers, through the same interface, with a hint. */
#include <acre/allocator.h>
#include <acre/heap.h>
#include <stdio.h>

static void use(acre_allocator *allocator)
{
    const acre_hints hints = {.lifetime = ACRE_LIFETIME_LONG, .huge_pages = ACRE_HUGE_PREFER};
    const acre_addr block = acre_allocator_alloc(allocator, 3 << 20, 4096, &hints);
    acre_block found;
    if (block == 0 || acre_allocator_where(allocator, block + 12345, &found) != ACRE_OK) {
        puts(acre_last_error());
        return;
    }
    printf("%s: the byte at 0x%llx lies in a block of %llu bytes\n", allocator->name, (unsigned long long)block + 12345,
           (unsigned long long)found.size_bytes);
    acre_allocator_free(allocator, block);
}

int main(void)
{
    acre_heap *heaps[2];
    acre_space device;
    acre_allocator allocator;
    if (acre_space_open_handles(&device, (acre_addr)1 << 40, 1 << 30) != ACRE_OK) return 1;
    if (acre_heap_create(&(acre_heap_options){.name = "memory"}, &heaps[0]) != ACRE_OK) return 1;
    if (acre_heap_create(&(acre_heap_options){.name = "device", .space = &device}, &heaps[1]) != ACRE_OK) return 1;
    for (int i = 0; i < 2; i++) {
        acre_heap_allocator(heaps[i], &allocator);
        use(&allocator);
        acre_heap_destroy(heaps[i]);
    }
    acre_space_close(&device);
    return 0;
}
