/* plan.h - what the parts of `acre plan` share. */
#ifndef ACRE_TOOL_PLAN_H
#define ACRE_TOOL_PLAN_H

#include <stdbool.h>
#include <stdint.h>

typedef struct plan_options {
    const char *path;         /* a trace, or the file of domains */
    uint64_t process_id;      /* 0: the one with the most frames */
    uint64_t pool_count;      /* pools: at most so many */
    uint64_t grain_bytes;     /* pools: sizes are rounded up to it */
    const char *engines;      /* arena: a list, or "all" */
    uint64_t reserve_percent; /* arena: what is planned beyond the smallest */
    const char *unit;         /* domains: as acre_mpu_named */
    uint64_t expose_bytes;    /* domains: so many may be opened beside the wishes */
    bool is_json;
} plan_options;

/* Each returns the tool's exit code. */
int plan_pools(const plan_options *options);
int plan_arena(const plan_options *options);
int plan_domains(const plan_options *options);

#endif
