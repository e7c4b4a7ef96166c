/* heaps.h - what is compared: the engines of acre/realtime.h, and models of others, behind three functions. */
#ifndef ACRE_BENCH_HEAPS_H
#define ACRE_BENCH_HEAPS_H

#include "models/model.h"

#include <acre/realtime.h>
#include <stdlib.h>
#include <string.h>

typedef struct any_heap {
    const char *name;
    int engine; /* of acre, or -1 */
    void (*describe)(model *m);
    size_t header_bytes;
    acre_realtime heap;
    unsigned char *memory;
    model m;
} any_heap;

/* In the order in which they are printed. */
static any_heap heaps[] = {
    {.name = "acre tight", .engine = ACRE_REALTIME_TIGHT, .header_bytes = 4},
    {.name = "acre best", .engine = ACRE_REALTIME_BEST, .header_bytes = 4},
    {.name = "acre worst", .engine = ACRE_REALTIME_WORST, .header_bytes = 4},
    {.name = "acre fast", .engine = ACRE_REALTIME_FAST, .header_bytes = 4},
    {.name = "acre buddy", .engine = ACRE_REALTIME_BUDDY, .header_bytes = 0},
    {.name = "TLSF model", .engine = -1, .describe = model_tlsf, .header_bytes = 4},
    {.name = "o1heap model", .engine = -1, .describe = model_o1heap, .header_bytes = 8},
    {.name = "heap_4 model", .engine = -1, .describe = model_heap_4, .header_bytes = 8},
};
enum { HEAP_COUNT = sizeof heaps / sizeof *heaps };

/* An empty heap in so many bytes, the struct of acre's manager included. */
static bool heap_open(any_heap *h, size_t bytes)
{
    if (h->engine < 0) {
        h->describe(&h->m);
        return model_open(&h->m, bytes);
    }
    const acre_realtime_options options = {.engine = (acre_realtime_engine)h->engine};
    if (bytes < sizeof h->heap + ACRE_REALTIME_BYTES_MIN) return false;
    h->memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (h->memory == NULL) abort();
    if (acre_realtime_init(&h->heap, &options, h->memory, bytes - sizeof h->heap) == ACRE_OK) return true;
    free(h->memory);
    return false;
}

static void heap_close(any_heap *h)
{
    if (h->engine < 0)
        model_close(&h->m);
    else
        free(h->memory);
}

static void *heap_alloc(void *context, size_t size)
{
    any_heap *const h = context;
    return h->engine < 0 ? model_alloc(&h->m, size) : acre_realtime_alloc(&h->heap, size);
}

static void heap_free(void *context, void *block)
{
    any_heap *const h = context;
    if (h->engine < 0)
        model_free(&h->m, block);
    else if (acre_realtime_free(&h->heap, block) != ACRE_OK)
        abort();
}

#endif
