/* report_json.c - the report as one JSON document: the page is made of it, and `--json` writes it. */
#include "command.h"
#include "exports.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    DETAILS_MAX = 24, /* processes; the others have totals only */
    SITES_MAX = 300,
    UNFREED_MAX = 300,
    FLAME_SHARE_MIN = 2000, /* nodes below 1/2000 of each measure are left out, which their parent's width shows */
};

static json_t *number(double value) { return json_integer((json_int_t)llround(value)); }
static json_t *text(const char *value)
{
    if (value == NULL) return json_null();
    json_t *const string = json_string(value);
    return string != NULL ? string : json_string("(not UTF-8)");
}

static void set(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) != 0) {
        complain("", "out of memory while making the report");
        exit(EXIT_TOOL);
    }
}

static void append(json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0) {
        complain("", "out of memory while making the report");
        exit(EXIT_TOOL);
    }
}

/* Seconds with microseconds. */
static json_t *seconds(uint64_t ns)
{
    const uint64_t us = ns / 1000;
    return json_real((double)us / 1e6);
}

static json_t *totals_of(const profile *self)
{
    const analysis *const figures = self->figures;
    const double fragmentation = profile_fragmentation_at_peak(self);
    json_t *const totals = json_object();
    set(totals, "peak_live_bytes", analysis_is_empty(figures) ? json_null() : number(analysis_peak_live(figures)));
    set(totals, "peak_at_s", seconds(figures->peak_ns));
    set(totals, "peak_committed_bytes", number((double)analysis_peak_of(figures, ACRE_GAUGE_COMMITTED_BYTES)));
    const bool has_device = figures->has_gauge[ACRE_GAUGE_DEVICE_TAKEN_PEAK_BYTES];
    set(totals, "peak_device_bytes", has_device ? number((double)figures->gauge_peaks[ACRE_GAUGE_DEVICE_PEAK_BYTES]) : json_null());
    set(totals, "peak_device_taken_bytes",
        has_device ? number((double)figures->gauge_peaks[ACRE_GAUGE_DEVICE_TAKEN_PEAK_BYTES]) : json_null());
    const uint64_t resident = analysis_peak_of(figures, ACRE_GAUGE_RSS_BYTES);
    set(totals, "peak_rss_bytes", resident > 0 ? number((double)resident) : json_null());
    set(totals, "fragmentation_at_peak", fragmentation < 0 ? json_null() : json_real(fragmentation));
    set(totals, "allocated_bytes", number(figures->allocated_bytes));
    set(totals, "allocated_bytes_error", number(sqrt(figures->variance_allocated)));
    set(totals, "allocated_count", number(figures->allocated_count));
    set(totals, "freed_count", number(figures->freed_count));
    set(totals, "unfreed_bytes", number(figures->live_bytes));
    set(totals, "unfreed_bytes_error", number(sqrt(figures->variance_live)));
    set(totals, "unfreed_count", number(figures->live_count));
    set(totals, "leaked_bytes", figures->has_scan ? number(figures->leaked_bytes) : json_null());
    set(totals, "leaked_bytes_error", figures->has_scan ? number(sqrt(figures->variance_leaked)) : json_null());
    set(totals, "leaked_count", figures->has_scan ? number(figures->leaked_count) : json_null());
    set(totals, "all_leaked_bytes", figures->knows_all_leaks ? number((double)figures->all_leaked_bytes) : json_null());
    set(totals, "all_leaked_count", figures->knows_all_leaks ? number((double)figures->all_leaked_count) : json_null());
    set(totals, "leak_stack_count", figures->has_scan ? number(self->leak_count) : json_null());
    set(totals, "no_leak_scan", figures->has_scan ? json_null() : text(profile_no_scan_reason(self)));
    set(totals, "suspect_count", number(self->suspect_count));
    set(totals, "event_count", number((double)figures->event_count));
    set(totals, "unknown_free_count", number((double)figures->unknown_free_count));
    set(totals, "doubled_address_count", number((double)figures->doubled_count));
    set(totals, "dropped_event_count", number((double)figures->info->end.dropped_count));
    set(totals, "stack_audit_count", number((double)figures->info->end.stack_audit_count));
    set(totals, "stack_wrong_count", number((double)figures->info->end.stack_wrong_count));
    json_t *const gauges = json_object();
    for (unsigned g = 0; g < ACRE_GAUGE_COUNT; g++) {
        if (!figures->has_gauge[g]) continue;
        json_t *const gauge = json_object();
        set(gauge, "peak", number((double)figures->gauge_peaks[g]));
        set(gauge, "last", number((double)figures->gauge_lasts[g]));
        set(gauges, acre_gauge_name(g), gauge);
    }
    set(totals, "gauges", gauges);
    return totals;
}

static json_t *time_of(const analysis *figures)
{
    static const acre_gauge shown[] = {ACRE_GAUGE_COMMITTED_BYTES, ACRE_GAUGE_RSS_BYTES, ACRE_GAUGE_DIRTY_BYTES,
                                       ACRE_GAUGE_METADATA_BYTES, ACRE_GAUGE_DEVICE_BYTES, ACRE_GAUGE_DEVICE_TAKEN_BYTES};
    json_t *const time = json_object(), *const axis = json_array(), *const live = json_array(), *const share = json_array();
    const double step_s = (double)(figures->end_ns - figures->begin_ns) / 1e9 / ANALYSIS_BIN_COUNT;
    for (size_t i = 0; i < ANALYSIS_BIN_COUNT; i++) {
        const time_bin *const bin = &figures->bins[i];
        const double fragmentation = analysis_fragmentation(figures, bin);
        append(axis, json_real((double)i * step_s));
        append(live, number(analysis_live_in(figures, bin)));
        append(share, fragmentation < 0 ? json_null() : json_real(round(fragmentation * 10000) / 10000));
    }
    set(time, "s", axis);
    set(time, "live_bytes", live);
    set(time, "fragmentation", share);
    for (size_t g = 0; g < sizeof shown / sizeof shown[0]; g++) {
        if (!figures->has_gauge[shown[g]]) continue;
        json_t *const values = json_array();
        bool is_measured = false; /* before the first sample nothing is known */
        for (size_t i = 0; i < ANALYSIS_BIN_COUNT; i++) {
            const uint64_t value = figures->bins[i].gauges[shown[g]];
            is_measured |= value > 0;
            append(values, is_measured ? number((double)value) : json_null());
        }
        set(time, acre_gauge_name(shown[g]), values);
    }
    return time;
}

static json_t *sizes_of(const analysis *figures)
{
    json_t *const sizes = json_array();
    for (unsigned i = 0; i < ANALYSIS_SIZE_BUCKETS; i++) {
        const size_bucket *const bucket = &figures->sizes[i];
        if (bucket->allocated_count <= 0) continue;
        json_t *const row = json_object();
        set(row, "up_to_bytes", number(ldexp(1, (int)i)));
        set(row, "count", number(bucket->allocated_count));
        set(row, "bytes", number(bucket->allocated_bytes));
        set(row, "unfreed_bytes", number(bucket->live_bytes));
        append(sizes, row);
    }
    return sizes;
}

static json_t *lives_of(const analysis *figures)
{
    json_t *const lives = json_array();
    for (unsigned i = 0; i < ANALYSIS_LIFE_BUCKETS; i++) {
        if (figures->lives[i].count <= 0) continue;
        json_t *const row = json_object();
        set(row, "from_ns", number(ldexp(1, (int)i)));
        set(row, "count", number(figures->lives[i].count));
        set(row, "bytes", number(figures->lives[i].bytes));
        append(lives, row);
    }
    return lives;
}

static void append_frame(void *context, const symbol_frame *frame)
{
    json_t *const row = json_object();
    set(row, "function", text(frame->function));
    if (frame->file != NULL) {
        set(row, "file", text(frame->file));
        set(row, "line", number(frame->line));
    }
    set(row, "module", text(frame->module));
    if (frame->is_inlined) set(row, "inlined", json_true());
    append(context, row);
}

static json_t *stack_of(const profile *self, uint32_t stack)
{
    json_t *const frames = json_array();
    profile_for_each_frame(self, stack, append_frame, frames);
    return frames;
}

static json_t *sites_of(const profile *self)
{
    json_t *const sites = json_array();
    for (uint32_t i = 0; i < self->site_count && i < SITES_MAX; i++) {
        const call_site *const site = &self->sites[i];
        json_t *const row = json_object();
        set(row, "function", text(site->function));
        set(row, "file", text(site->file));
        set(row, "line", number(site->line));
        set(row, "module", text(site->module));
        set(row, "allocated_bytes", number(site->bytes[MEASURE_ALLOCATED]));
        set(row, "allocated_bytes_error", number(sqrt(site->variance_allocated)));
        set(row, "allocated_count", number(site->allocated_count));
        set(row, "peak_bytes", number(site->bytes[MEASURE_PEAK]));
        set(row, "unfreed_bytes", number(site->bytes[MEASURE_END]));
        set(row, "unfreed_count", number(site->live_count));
        set(row, "mean_life_ns", site->freed_count > 0 ? number(site->life_sum_ns / site->freed_count) : json_null());
        set(row, "stack", stack_of(self, site->heaviest_stack));
        append(sites, row);
    }
    return sites;
}

static json_t *unfreed_of(const profile *self)
{
    json_t *const rows = json_array();
    for (uint32_t i = 0; i < self->unfreed_count && i < UNFREED_MAX; i++) {
        const unfreed *const leak = &self->unfreed[i];
        const call_site *const site = &self->sites[leak->site];
        json_t *const row = json_object();
        set(row, "bytes", number(leak->bytes));
        set(row, "bytes_error", number(leak->error_bytes));
        set(row, "count", number(leak->count));
        set(row, "leaked_bytes", number(leak->leaked_bytes));
        set(row, "leaked_count", number(leak->leaked_count));
        set(row, "allocated_count", number(leak->allocated_count));
        set(row, "growth", json_real(leak->growth));
        set(row, "suspect", json_boolean(leak->is_suspect));
        set(row, "function", text(site->function));
        set(row, "file", text(site->file));
        set(row, "line", number(site->line));
        set(row, "module", text(site->module));
        set(row, "stack", stack_of(self, leak->stack));
        append(rows, row);
    }
    return rows;
}

static bool is_wide_enough(const profile *self, const flame_node *node)
{
    for (int m = 0; m < MEASURE_COUNT; m++)
        if (node->bytes[m] > 0 && node->bytes[m] * FLAME_SHARE_MIN >= self->nodes[0].bytes[m]) return true;
    return false;
}

/* Depth is bounded by the frames of a stack (profile.c). */
static json_t *flame_of(const profile *self, uint32_t index)
{
    const flame_node *const node = &self->nodes[index];
    json_t *const out = json_object(), *const bytes = json_array(), *const children = json_array();
    set(out, "name", text(node->function));
    if (node->module[0] != 0) set(out, "module", text(node->module));
    for (int m = 0; m < MEASURE_COUNT; m++) append(bytes, number(node->bytes[m]));
    set(out, "bytes", bytes); /* allocated, live at the peak, live at the end */
    for (uint32_t at = node->first_child; at != 0; at = self->nodes[at].next_sibling)
        if (is_wide_enough(self, &self->nodes[at])) append(children, flame_of(self, at));
    set(out, "children", children);
    return out;
}

static json_t *marks_of(const analysis *figures)
{
    json_t *const marks = json_array();
    for (uint32_t i = 0; i < figures->mark_count; i++) {
        json_t *const row = json_object();
        set(row, "s", json_real((double)(figures->marks[i].ns - figures->begin_ns) / 1e9));
        set(row, "text", text(figures->marks[i].text));
        append(marks, row);
    }
    return marks;
}

static json_t *process_of(const profile *self, bool has_details)
{
    const trace_process_info *const info = self->figures->info;
    char *const ending = profile_ending_text(self);
    json_t *const process = json_object();
    set(process, "process_id", number(info->process.process_id));
    set(process, "parent_process_id", number(info->process.parent_process_id));
    set(process, "is_fork", json_boolean(info->process.is_fork));
    set(process, "name", text(info->name));
    set(process, "program", text(info->program));
    set(process, "command", text(info->command));
    set(process, "start_s", seconds(info->start_ns));
    set(process, "end_s", seconds(info->end_ns));
    set(process, "ending", text(ending));
    set(process, "totals", totals_of(self));
    free(ending);
    if (!has_details) return process;
    set(process, "time", time_of(self->figures));
    set(process, "sizes", sizes_of(self->figures));
    set(process, "lifetimes", lives_of(self->figures));
    set(process, "sites", sites_of(self));
    set(process, "unfreed", unfreed_of(self));
    set(process, "flame", flame_of(self, 0));
    set(process, "marks", marks_of(self->figures));
    return process;
}

json_t *report_to_json(const run_report *report)
{
    const trace_header *const header = trace_header_of(report->reader);
    json_t *const document = json_object(), *const processes = json_array();
    set(document, "acre", json_string(ACRE_VERSION));
    set(document, "sample_bytes", number((double)header->sample_bytes));
    set(document, "started_unix_ns", number((double)header->start_unix_ns));
    set(document, "damage", text(report->damage));
    for (uint32_t i = 0; i < report->count; i++) append(processes, process_of(report->profiles[i], i < DETAILS_MAX));
    set(document, "processes", processes);
    return document;
}

acre_status export_json(const json_t *document, const char *path)
{
    FILE *const out = open_output(path);
    if (out == NULL) return acre_fail(ACRE_IO, "'%s' can't be created: %s", path, strerror(errno));
    bool is_written = json_dumpf(document, out, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) == 0;
    is_written &= fputc('\n', out) != EOF;
    is_written &= fclose(out) == 0;
    if (is_written) return ACRE_OK;
    return acre_fail(ACRE_IO, "'%s' can't be written: %s", path, strerror(errno));
}
