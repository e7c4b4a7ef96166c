/* regions.c - a region for a request, a stack with scopes, a ring of log records that forgets the oldest ones. */
#include <acre/region.h>
#include <acre/ring.h>
#include <acre/stack.h>
#include <stdio.h>
#include <string.h>

static char bytes[4096];

static char *repeat(acre_region *region, const char *word, size_t count)
{
    const size_t length = strlen(word);
    char *const text = acre_region_alloc(region, count * length + 1);
    if (text == NULL) return NULL;
    for (size_t i = 0; i < count; i++) memcpy(text + i * length, word, length);
    text[count * length] = 0;
    return text;
}

static size_t longest_line(acre_stack *stack, size_t width)
{
    ACRE_SCOPE(stack) {
        char *const line = acre_stack_alloc(stack, width);
        if (line == NULL) return 0; /* the scope ends here too */
        memset(line, '-', width - 1);
        line[width - 1] = 0;
        return strlen(line);
    }
    return 0;
}

int main(void)
{
    acre_space pages;
    acre_space array;
    acre_region region;
    acre_stack stack;
    acre_ring ring;
    if (acre_space_open_pages(&pages, NULL) != ACRE_OK || acre_space_open_static(&array, bytes, sizeof bytes) != ACRE_OK) return 1;

    /* Three requests: what each made goes with one call, and the next one finds the memory again. */
    if (acre_region_create(&(acre_region_options){.space = &pages, .name = "request"}, &region) != ACRE_OK) return 1;
    for (size_t request = 1; request <= 3; request++) {
        const char *const text = repeat(&region, "acre ", request * 10000);
        printf("request %zu: %zu characters\n", request, text != NULL ? strlen(text) : 0);
        acre_region_reset(&region);
    }
    acre_region_destroy(&region);

    /* A stack in an array: no memory of the operating system. */
    if (acre_stack_create(&(acre_stack_options){.space = &array, .size_bytes = 1024, .name = "lines"}, &stack) != ACRE_OK) return 1;
    printf("a line of %zu characters\n", longest_line(&stack, 80));
    if (longest_line(&stack, 2000) == 0) puts(acre_last_error());
    acre_stack_destroy(&stack);

    /* The last records of a log: when the ring is full, the oldest record goes. */
    if (acre_ring_create(&(acre_ring_options){.space = &array, .name = "log"}, &ring) != ACRE_OK) return 1;
    acre_block oldest;
    for (int number = 0; number < 1000; number++) {
        char *record;
        while ((record = acre_ring_alloc(&ring, 40)) == NULL) {
            if (!acre_ring_peek(&ring, 0, &oldest) || acre_ring_free(&ring, oldest.base) != ACRE_OK) return 1;
        }
        snprintf(record, 40, "record %d", number);
        acre_ring_publish(&ring);
    }
    size_t count = 0;
    while (acre_ring_peek(&ring, count, &oldest)) count++;
    if (!acre_ring_peek(&ring, 0, &oldest)) return 1;
    printf("%zu records are left, the oldest is '%s'\n", count, (const char *)acre_space_pointer(&array, oldest.base));
    acre_ring_destroy(&ring);
    acre_space_close(&pages);
    return 0;
}
