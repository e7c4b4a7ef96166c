/* strategies.h - `acre replay --strategies`: one trace on every strategy of the real-time heaps. */
#ifndef ACRE_TOOL_STRATEGIES_H
#define ACRE_TOOL_STRATEGIES_H

#include <stdint.h>

typedef struct strategies_options {
    const char *trace_path;
    uint64_t process_id;   /* 0: the one with the most events */
    uint64_t arena_bytes;  /* 0: what first fit needs, and a tenth more */
    const char *json_path; /* may be NULL; "-": standard output, without table */
    const char *page_path; /* may be NULL */
} strategies_options;

/* Returns the tool's exit code. */
int compare_strategies(const strategies_options *options);

#endif
