/* analysis.h - from the events of one process to figures: what was live when, from where, how large, for how long.
 *
 * One pass in the order of time; memory grows with the live blocks and the number of stacks, not with the trace.
 *
 * In a sampled trace an event stands for weight_bytes / size allocations; then all figures are estimates, and each sum of
 * bytes has a standard error: a block of `size` bytes was taken with probability p = size / weight, which gives the
 * (Horvitz-Thompson) variance of sum(weight) as sum(weight * (weight - size)).
 */
#ifndef ACRE_TOOL_ANALYSIS_H
#define ACRE_TOOL_ANALYSIS_H

#include "meter/gauges.h"
#include "trace_reader.h"

enum {
    ANALYSIS_BIN_COUNT = 600,    /* of the time axis */
    ANALYSIS_SIZE_BUCKETS = 48,  /* bucket i: sizes in (2^(i-1), 2^i] bytes, bucket 0: 0 and 1 */
    ANALYSIS_LIFE_BUCKETS = 48,  /* bucket i: lifetimes in [2^i, 2^(i+1)) ns */
};

typedef struct stack_figures {
    double allocated_count, allocated_bytes;
    double live_count, live_bytes; /* at the end of the trace */
    double leaked_count, leaked_bytes; /* of these: of blocks that nothing pointed to at the end */
    double peak_bytes;             /* live when the whole process was at its peak */
    double late_live_bytes;        /* of live_bytes: from the later half of the time from first_ns to the end */
    uint64_t first_ns;             /* of the first allocation */
    double freed_count, life_sum_ns;
    double variance_allocated, variance_live, variance_leaked; /* of the bytes; 0 in an exact trace */
    uint64_t peak_epoch;           /* internal */
} stack_figures;

typedef struct time_bin {
    double live_bytes;                  /* highest in the bin, from the events */
    uint64_t gauges[ACRE_GAUGE_COUNT];  /* highest in the bin */
} time_bin;

typedef struct size_bucket {
    double allocated_count, allocated_bytes, live_bytes;
} size_bucket;

typedef struct life_bucket {
    double count, bytes;
} life_bucket;

typedef struct analysis {
    const trace_process_info *info;
    bool is_sampled;
    bool has_gauge[ACRE_GAUGE_COUNT];  /* it was ever above 0 */
    uint64_t gauge_peaks[ACRE_GAUGE_COUNT];
    uint64_t gauge_lasts[ACRE_GAUGE_COUNT];
    uint64_t event_count;
    double allocated_count, allocated_bytes, variance_allocated;
    double freed_count;
    double live_count, live_bytes, variance_live; /* at the end */
    bool has_scan;                 /* the process looked at its end which blocks are still pointed to */
    char *scan_failure;            /* why it could not, NULL when it did not try */
    uint64_t scan_root_bytes;
    double leaked_count, leaked_bytes, variance_leaked; /* of the live ones, when has_scan: nothing pointed to them */
    bool knows_all_leaks;          /* and all blocks were looked at, also those that no event tells of */
    uint64_t all_leaked_count, all_leaked_bytes; /* of all blocks then; in a sampled trace with the bytes that the heap rounded up */
    double peak_live_bytes;
    uint64_t peak_ns; /* of what analysis_peak_live gives */
    uint64_t unknown_free_count; /* of blocks that the trace does not know: from before a fork, or lost events */
    uint64_t doubled_count;      /* an address was handed out while it was live: a lost event */
    uint64_t begin_ns, end_ns;   /* of the time axis */
    time_bin bins[ANALYSIS_BIN_COUNT];
    size_bucket sizes[ANALYSIS_SIZE_BUCKETS];
    life_bucket lives[ANALYSIS_LIFE_BUCKETS];
    double never_freed_count, never_freed_bytes;
    stack_figures *stacks; /* index: stack id, 0 for unknown */
    uint32_t stack_count;
    struct mark { uint64_t ns; char *text; } *marks; /* moments that the program named */
    uint32_t mark_count;
} analysis;

/* Reads all events of process `index`. To be released with analysis_free. */
analysis *analysis_of_process(trace_reader *reader, uint32_t index);
void analysis_free(analysis *result);

/* No allocation was sampled, so nothing is known of what was live: the heap tells its own counts when a sample is taken. */
bool analysis_is_empty(const analysis *figures);

/* Highest live bytes: of the events when all are recorded, else of the heap's own gauge where there is one. */
double analysis_peak_live(const analysis *figures);

/* Highest value of the gauge at any time, 0 when it was not measured. */
uint64_t analysis_peak_of(const analysis *figures, acre_gauge gauge);

/* Share of the committed memory that no live block uses, in the bin; negative when it isn't known. */
double analysis_fragmentation(const analysis *figures, const time_bin *bin);

/* Live bytes in the bin, from the better of the two sources. */
double analysis_live_in(const analysis *figures, const time_bin *bin);

#endif
