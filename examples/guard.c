/* guard.c - a block is freed twice, and a handler hears of it. */
#include <acre/guard.h>
#include <acre/heap.h>
#include <stdio.h>

static bool tell(void *context, const acre_fault *fault)
{
    char text[300];
    acre_fault_text(fault, text, sizeof text);
    puts(text);
    ++*(int *)context;
    return true; /* the second free has no effect, and the program goes on */
}

int main(void)
{
    int faults = 0;
    acre_heap *heap;
    if (acre_heap_create(&(acre_heap_options){.name = "careless"}, &heap) != ACRE_OK) return 1;
    acre_guard_set_handler(tell, &faults);
    const acre_addr block = acre_heap_alloc_address(heap, 100, 16, NULL);
    acre_heap_free_address(heap, block);
    acre_heap_free_address(heap, block);
    acre_heap_flush(heap); /* at the latest here */
    acre_guard_set_handler(NULL, NULL);
    acre_heap_destroy(heap);
    return faults == 1 ? 0 : 1;
}
