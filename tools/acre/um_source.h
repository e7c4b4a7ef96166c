/* um_source.h - what `acre um replay` gives to unified memory: a recorded trace laid out as pages, or a pattern; as often as it is wanted.
 */
#ifndef ACRE_TOOL_UM_SOURCE_H
#define ACRE_TOOL_UM_SOURCE_H

#include "cache_keys.h"
#include "um_patterns.h"

typedef struct um_source {
    const char *name;    /* path, or pattern */
    uint64_t bytes;      /* in which all touches lie */
    uint64_t used_bytes; /* of these, touched: whole pages */
    bool is_trace;
    unsigned pattern;
    cache_keys keys;
    uint8_t *writes;   /* of each request */
    uint32_t *page_of; /* of each object */
} um_source;

/* A trace; each key divided by 2^shift is a page, and neighbours are so as pages. False after a message. To be closed either way. */
bool um_source_open_trace(um_source *source, const char *path, const cache_trace_options *options, unsigned shift);

void um_source_open_pattern(um_source *source, unsigned pattern, uint64_t bytes);
void um_source_close(um_source *source);

/* Every touch, in order. False: `touch` said so, or there is no memory. */
bool um_source_run(const um_source *source, um_touch *touch, void *context);

#endif
