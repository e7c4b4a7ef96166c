/* heap_tags.h - a heap for each tag, or for each thread: what belongs together lies together, is counted together, and goes together.
 *
 *     acre_heap_tags tags;
 *     acre_heap_tags_init(&tags, &(acre_heap_options){.name = "server"});
 *     char *text = acre_heap_alloc(acre_heap_for_tag(&tags, TAG_PARSER), 100);
 *     acre_heap_read_figures(acre_heap_for_tag(&tags, TAG_PARSER), &figures);       what the parser holds
 *     acre_heap_tags_clear(&tags, TAG_PARSER);                                      all of it is gone
 *     acre_heap_tags_destroy(&tags);
 *
 * A tag is a small number of the caller's: of a part of the program, of a customer, of a thread. Its heap is made when it is first asked
 * for, is called "server/3", and works as heap.h says; any thread may use any of them, and a block goes back to the heap that it came from.
 * All the heaps of a program together are at most ACRE_HEAP_COUNT_MAX.
 *
 * Costs. acre_heap_for_tag is inline: about 6 instructions, no lock, once the heap is there. A heap holds 16 KiB units of its own.
 *
 * Example: examples/tags.c.
 */
#ifndef ACRE_HEAP_TAGS_H
#define ACRE_HEAP_TAGS_H

#include <acre/heap.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ACRE_HEAP_TAG_COUNT 48 /* tags are below it */

/* Lives in memory of the caller and must not move. The fields are for the inline function and for implementations. */
typedef struct acre_heap_tags {
    acre_heap *heaps[ACRE_HEAP_TAG_COUNT]; /* NULL until the first use; stored with release */
    char names[ACRE_HEAP_TAG_COUNT][32];   /* cut where the caller's name is longer */
    acre_heap_options options;
    uint32_t lock; /* orders making and clearing */
} acre_heap_tags;

/* Takes no memory yet. `options` as for acre_heap_create: all heaps are over the same spaces; NULL means all defaults. ACRE_INVALID:
 * `tags` is NULL. */
ACRE_API acre_status acre_heap_tags_init(acre_heap_tags *tags, const acre_heap_options *options);

/* Destroys all heaps, blocks in use included. No thread may use them any more. NULL is ignored. */
ACRE_API void acre_heap_tags_destroy(acre_heap_tags *tags);

/* The part of acre_heap_for_tag that is not inline. */
ACRE_API ACRE_SELDOM acre_heap *acre_heap_for_tag_slowly(acre_heap_tags *tags, uint32_t tag);

/* The heap of a tag, made if there is none. NULL: the tag is not below ACRE_HEAP_TAG_COUNT (ACRE_INVALID), or what acre_heap_create says.
 * Thread safe. O(1). */
static inline acre_heap *acre_heap_for_tag(acre_heap_tags *tags, uint32_t tag)
{
    acre_heap *const heap = tag < ACRE_HEAP_TAG_COUNT ? __atomic_load_n(&tags->heaps[tag], __ATOMIC_ACQUIRE) : NULL;
    return heap != NULL ? heap : acre_heap_for_tag_slowly(tags, tag);
}

/* Destroys the heap of one tag, blocks in use included; the next acre_heap_for_tag makes another. No thread may use it meanwhile.
 * ACRE_INVALID: a NULL, or the tag is too large. A tag without a heap is ACRE_OK. */
ACRE_API acre_status acre_heap_tags_clear(acre_heap_tags *tags, uint32_t tag);

/* Calls `visit` with each tag that has a heap, from low to high, until it returns false: what reports are made of. ACRE_INVALID for a
 * NULL. */
typedef bool acre_heap_tag_visitor(void *context, uint32_t tag, const char *name, acre_heap *heap);
ACRE_API acre_status acre_heap_tags_walk(acre_heap_tags *tags, acre_heap_tag_visitor *visit, void *context);

#ifdef __cplusplus
}
#endif
#endif
