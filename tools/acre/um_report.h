/* um_report.h - what `acre um replay` found out, as tables, JSON and a page. */
#ifndef ACRE_TOOL_UM_REPORT_H
#define ACRE_TOOL_UM_REPORT_H

#include "um_timeline.h"

enum { UM_RULES_MAX = 32 };

/* One source in a place of one size, with each set of rules. */
typedef struct um_result {
    const char *source;
    uint64_t bytes; /* that are touched */
    uint64_t percent;
    bool is_oversubscribed; /* percent is the bytes of the place's capacity; else the capacity of the bytes */
    bool is_least;          /* there can be no smaller place */
    uint64_t capacity_bytes;
    unsigned rule_count;
    const char *rules[UM_RULES_MAX];
    acre_um_figures figures[UM_RULES_MAX];
    um_timeline timelines[UM_RULES_MAX]; /* where they are wanted; else zeros */
} um_result;

void um_result_free(um_result *result);

/* "room for 42.0 MiB, oversubscribed 110%"; to be freed. */
char *um_room_text(const um_result *result);

/* At most 120 columns, timelines 80. */
void um_print(const um_result *result, bool has_timelines);

/* The times of several results side by side. */
void um_print_times(const um_result *results, size_t count);

/* {per_cent or oversubscribed_per_cent, capacity_bytes, rules: [...]} */
json_t *um_json(const um_result *result);

/* What the page draws. */
json_t *um_document(const um_result *results, size_t count);

#endif
