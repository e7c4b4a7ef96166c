/* tags.c - see acre/heap_tags.h: a table of heaps, each of which is stored once, when it is made. */
#include <acre/heap_tags.h>

#include "base/atomic.h"
#include "base/format.h"
#include "base/status.h"
#include "os/os.h"

static acre_lock *lock_of(acre_heap_tags *tags) { return (acre_lock *)&tags->lock; }

acre_status acre_heap_tags_init(acre_heap_tags *tags, const acre_heap_options *options)
{
    if (tags == NULL) return acre_fail(ACRE_INVALID, "heap tags: init of NULL");
    *tags = (acre_heap_tags){.options = {.name = NULL}};
    if (options != NULL) tags->options = *options;
    if (tags->options.name == NULL) tags->options.name = "heap";
    return ACRE_OK;
}

static bool is_tag(const acre_heap_tags *tags, uint32_t tag, const char *operation)
{
    if (tags != NULL && tag < ACRE_HEAP_TAG_COUNT) return true;
    (void)acre_fail(ACRE_INVALID, "heap tags: %s: the tags are NULL, or tag %u is not below %d", operation, (unsigned)tag,
                    ACRE_HEAP_TAG_COUNT);
    return false;
}

acre_heap *acre_heap_for_tag_slowly(acre_heap_tags *tags, uint32_t tag)
{
    if (!is_tag(tags, tag, "heap for a tag")) return NULL;
    acre_lock_take(lock_of(tags));
    acre_heap *heap = tags->heaps[tag]; /* another thread may have made it meanwhile */
    if (heap == NULL) {
        acre_heap_options options = tags->options;
        char *const name = tags->names[tag];
        (void)acre_format(name, sizeof tags->names[tag], "%s/%u", tags->options.name, (unsigned)tag);
        options.name = name;
        if (acre_heap_create(&options, &heap) == ACRE_OK)
            acre_store_pointer(&tags->heaps[tag], heap);
        else
            heap = NULL;
    }
    acre_lock_drop(lock_of(tags));
    return heap;
}

static void clear(acre_heap_tags *tags, uint32_t tag)
{
    acre_lock_take(lock_of(tags));
    acre_heap *const heap = tags->heaps[tag];
    acre_store_pointer(&tags->heaps[tag], NULL);
    acre_lock_drop(lock_of(tags));
    acre_heap_destroy(heap);
}

acre_status acre_heap_tags_clear(acre_heap_tags *tags, uint32_t tag)
{
    if (!is_tag(tags, tag, "clear")) return ACRE_INVALID;
    clear(tags, tag);
    return ACRE_OK;
}

void acre_heap_tags_destroy(acre_heap_tags *tags)
{
    /* The last one first: a space of fixed size takes back only from its end. */
    for (uint32_t tag = ACRE_HEAP_TAG_COUNT; tags != NULL && tag-- > 0;) clear(tags, tag);
}

acre_status acre_heap_tags_walk(acre_heap_tags *tags, acre_heap_tag_visitor *visit, void *context)
{
    if (tags == NULL || visit == NULL) return acre_fail(ACRE_INVALID, "heap tags: walk of NULL, or without a visitor");
    for (uint32_t tag = 0; tag < ACRE_HEAP_TAG_COUNT; tag++) {
        acre_heap *const heap = acre_load_pointer(&tags->heaps[tag]);
        if (heap != NULL && !visit(context, tag, tags->names[tag], heap)) break;
    }
    return ACRE_OK;
}
