/* exports.h - the forms in which a report leaves the tool. Each returns ACRE_OK, or ACRE_IO with a sentence. */
#ifndef ACRE_TOOL_EXPORTS_H
#define ACRE_TOOL_EXPORTS_H

#include "profile.h"

#include <jansson.h>

/* One run: the processes that did something, the one with the highest peak first. */
typedef struct run_report {
    trace_reader *reader;
    profile **profiles;
    uint32_t count;
    const char *damage; /* NULL, or what is wrong with the trace */
} run_report;

/* Everything that the page shows. The caller owns the reference. */
json_t *report_to_json(const run_report *report);

acre_status export_json(const json_t *document, const char *path);
acre_status export_page(const json_t *document, const char *path);
acre_status export_csv(const run_report *report, const char *path);
acre_status export_collapsed(const run_report *report, const char *path);
acre_status export_pprof(const run_report *report, const char *path);

/* The summary for a terminal. */
void print_summary(const run_report *report, FILE *out);

#endif
