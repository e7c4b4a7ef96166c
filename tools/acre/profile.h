/* profile.h - the figures of one process with names: call sites, flame tree, blocks that were not freed, leaks among them.
 *
 * This is what every output shows; the outputs only differ in form.
 */
#ifndef ACRE_TOOL_PROFILE_H
#define ACRE_TOOL_PROFILE_H

#include "analysis.h"
#include "symbols.h"

typedef enum profile_measure {
    MEASURE_ALLOCATED, /* bytes allocated over the whole run */
    MEASURE_PEAK,      /* bytes live at the process's peak */
    MEASURE_END,       /* bytes live at the end */
    MEASURE_COUNT,
} profile_measure;

/* A place in the program's own code that asks for memory: the innermost frame that is not a wrapper around malloc. */
typedef struct call_site {
    const char *function, *file, *module;
    uint32_t line;
    double bytes[MEASURE_COUNT];
    double allocated_count, live_count, freed_count, life_sum_ns, variance_allocated;
    uint32_t heaviest_stack; /* of its stacks, the one with most allocated bytes */
} call_site;

/* A stack whose blocks are live at the end. */
typedef struct unfreed {
    uint32_t stack;
    uint32_t site;            /* index in profile.sites */
    double count, bytes, error_bytes;
    double leaked_count, leaked_bytes; /* of these: nothing pointed to them at the end. 0 when the process did not look */
    double allocated_count;   /* by this stack over the whole run */
    double growth;            /* share of the bytes that is from the later half of the time since its first allocation, 0 to 1 */
    bool is_suspect;          /* it goes on growing and hardly frees: what a leak looks like */
} unfreed;

typedef struct flame_node {
    const char *function, *module;
    double bytes[MEASURE_COUNT];
    uint32_t first_child, next_sibling; /* 0: none; node 0 is the root */
} flame_node;

typedef struct profile {
    analysis *figures;
    symbols *names;
    uint32_t index; /* of the process in the trace */
    call_site *sites; /* most allocated bytes first */
    uint32_t site_count;
    unfreed *unfreed;      /* most leaked bytes first, then suspects, then most bytes */
    uint32_t unfreed_count;
    uint32_t leak_count;   /* of them: with leaked bytes */
    uint32_t suspect_count; /* of the others */
    flame_node *nodes;
    uint32_t node_count;
} profile;

profile *profile_of_process(trace_reader *reader, uint32_t index);
void profile_free(profile *self);

/* A frame of a stack after inlined functions are unfolded. */
typedef void profile_take_frame(void *context, const symbol_frame *frame);

/* The frames of a stack, innermost first. Nothing for a stack that the trace does not define. */
void profile_for_each_frame(const profile *self, uint32_t stack, profile_take_frame *take, void *context);

/* "function (file.c:12)" or "function [module]"; to be freed. */
char *profile_frame_text(const symbol_frame *frame);

/* "exit code 3", "killed by signal 9 (Killed)", ...; to be freed. */
char *profile_ending_text(const profile *self);

/* Why the process did not look which blocks are still pointed to. The text lives as long as the profile. */
const char *profile_no_scan_reason(const profile *self);

/* The share of the most memory that the heap ever held that the most live bytes did not need; negative: not known. */
double profile_fragmentation_at_peak(const profile *self);

#endif
