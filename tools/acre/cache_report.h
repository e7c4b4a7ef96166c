/* cache_report.h - what `acre cache` found out of one trace, as a table, JSON and a page. */
#ifndef ACRE_TOOL_CACHE_REPORT_H
#define ACRE_TOOL_CACHE_REPORT_H

#include "cache_replay.h"

#include <jansson.h>

typedef struct cache_figure {
    bool is_known;       /* false: the policy does not take this size */
    uint64_t miss_count; /* of the whole trace; an estimate in a sample */
    uint64_t read_count; /* with what was read ahead */
    double miss_ratio;
    double error; /* standard error of the ratio; 0 when every request was replayed */
} cache_figure;

typedef struct cache_result {
    const char *path;
    const char *packing;
    cache_trace_info info;
    uint64_t object_count; /* an estimate in a sample */
    double rate;           /* of keys in the sample; 1: all */
    size_t sample_count;   /* requests in it */
    uint32_t *sizes;       /* ascending */
    bool reads_ahead;      /* there is a prefetcher */
    bool *is_asked;        /* size i was asked for, and is not only a point of the curve */
    size_t size_count;
    const unsigned *rules;
    size_t rule_count;
    cache_figure *figures; /* [rule][size] */
} cache_result;

static inline const cache_figure *cache_figure_of(const cache_result *result, size_t rule, size_t size)
{
    return &result->figures[rule * result->size_count + size];
}

/* At most 80 columns. */
void cache_print(const cache_result *result);

/* The document of all traces: what `--json` writes and the page shows. */
json_t *cache_document(const cache_result *results, size_t count);

#endif
