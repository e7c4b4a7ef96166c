/* tags.c - a heap for each part of a program: what the parser holds is counted apart, and goes with one call. */
#include <acre/heap_tags.h>
#include <stdio.h>

enum { TAG_PARSER, TAG_NETWORK, TAG_COUNT };

static acre_heap_tags tags;

static unsigned long long bytes_of(uint32_t tag)
{
    acre_heap_figures figures;
    acre_heap_flush(acre_heap_for_tag(&tags, tag)); /* what this thread holds ready is no block in use */
    acre_heap_read_figures(acre_heap_for_tag(&tags, tag), &figures);
    return figures.block_bytes + figures.large_bytes;
}

int main(void)
{
    if (acre_heap_tags_init(&tags, &(acre_heap_options){.name = "server"}) != ACRE_OK) return 1;
    for (int i = 0; i < 1000; i++) {
        if (acre_heap_alloc(acre_heap_for_tag(&tags, TAG_PARSER), 100) == NULL) return 1;
    }
    if (acre_heap_alloc(acre_heap_for_tag(&tags, TAG_NETWORK), 1500) == NULL) return 1;
    printf("the parser has %llu bytes, the network %llu\n", bytes_of(TAG_PARSER), bytes_of(TAG_NETWORK));

    acre_heap_tags_clear(&tags, TAG_PARSER);
    const unsigned long long left = bytes_of(TAG_PARSER), others = bytes_of(TAG_NETWORK);
    printf("the parser is done: %llu bytes, the network %llu\n", left, others);
    acre_heap_tags_destroy(&tags);
    return left == 0 && others >= 1500 ? 0 : 1;
}
