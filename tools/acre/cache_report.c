/* cache_report.c - see cache_report.h. */
#include "cache_report.h"

#include "command.h"

#include <libsmartcols/libsmartcols.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_COLUMNS = 80, SIZES_ABREAST = 4, SAMPLED_SIZES_ABREAST = 3, READ_SIZES_ABREAST = 2 };

static bool is_sampled(const cache_result *result) { return result->rate < 1; }

/* Up to `room` of the sizes that were asked for, from `*at` on; returns how many. */
static size_t take_sizes(const cache_result *result, size_t *at, size_t *sizes, size_t room)
{
    size_t count = 0;
    for (; *at < result->size_count && count < room; ++*at)
        if (result->is_asked[*at]) sizes[count++] = *at;
    return count;
}

static char *ratio_text(const cache_result *result, const cache_figure *figure)
{
    if (!figure->is_known) return must_copy("-");
    if (!is_sampled(result)) return must_print("%.4f", figure->miss_ratio);
    return must_print("%.3f+-%.3f", figure->miss_ratio, 2 * figure->error);
}

static void print_sizes(const cache_result *result, const size_t *sizes, size_t count)
{
    struct libscols_table *const table = scols_new_table();
    if (table == NULL) return;
    (void)scols_table_set_termforce(table, SCOLS_TERMFORCE_ALWAYS);
    (void)scols_table_set_termwidth(table, TABLE_COLUMNS);
    (void)scols_table_new_column(table, "POLICY", 0, SCOLS_FL_TRUNC);
    for (size_t i = 0; i < count; i++) {
        (void)scols_table_new_column(table, count_text(result->sizes[sizes[i]]), 0, SCOLS_FL_RIGHT);
        (void)scols_table_new_column(table, "RATIO", 0, SCOLS_FL_RIGHT);
        if (result->reads_ahead) (void)scols_table_new_column(table, "READS", 0, SCOLS_FL_RIGHT);
    }
    for (size_t rule = 0; rule < result->rule_count; rule++) {
        struct libscols_line *const line = scols_table_new_line(table, NULL);
        if (line == NULL) break;
        (void)scols_line_set_data(line, 0, cache_rule_name(result->rules[rule]));
        for (size_t i = 0; i < count; i++) {
            const cache_figure *const figure = cache_figure_of(result, rule, sizes[i]);
            char *const ratio = ratio_text(result, figure);
            const size_t column = 1 + i * (result->reads_ahead ? 3 : 2);
            (void)scols_line_set_data(line, column, figure->is_known ? count_text(figure->miss_count) : "-");
            (void)scols_line_set_data(line, column + 1, ratio);
            if (result->reads_ahead) (void)scols_line_set_data(line, column + 2, figure->is_known ? count_text(figure->read_count) : "-");
            free(ratio);
        }
    }
    scols_print_table(table);
    scols_unref_table(table);
}

static char *title_of(const cache_result *result)
{
    const char *const blank = result->packing[0] != 0 ? ", " : "";
    char *const what =
        must_print("%s requests, %s%s objects (%s%s%s)", count_text(result->info.request_count), is_sampled(result) ? "about " : "",
                   count_text(result->object_count), cache_format_name(result->info.format), blank, result->packing);
    if (!is_sampled(result)) return what;
    char *const title =
        must_print("%s; a sample of %.3g%% of the keys, %s requests", what, 100 * result->rate, count_text(result->sample_count));
    free(what);
    return title;
}

void cache_print(const cache_result *result)
{
    size_t sizes[SIZES_ABREAST], at = 0, count;
    char *const title = title_of(result);
    printf("%s:\n", result->path);
    print_words("", "", title);
    free(title);
    const size_t abreast = result->reads_ahead ? READ_SIZES_ABREAST : is_sampled(result) ? SAMPLED_SIZES_ABREAST : SIZES_ABREAST;
    while ((count = take_sizes(result, &at, sizes, abreast)) > 0) {
        putchar('\n');
        print_sizes(result, sizes, count);
    }
    puts(is_sampled(result) ? "\nUnder each size: misses, estimated, and RATIO: misses by requests, +- twice the\nstandard error."
         : result->reads_ahead
             ? "\nUnder each size, in entries: misses, RATIO: misses by requests, and READS:\nmisses and what was read ahead."
             : "\nUnder each size, in entries: misses, and RATIO: misses by requests.");
}

static double rounded(double ratio) { return round(ratio * 1e7) / 1e7; }

static json_t *figures_json(const cache_result *result, size_t rule)
{
    json_t *const misses = json_array(), *const reads = json_array(), *const ratios = json_array(), *const errors = json_array();
    for (size_t i = 0; i < result->size_count; i++) {
        const cache_figure *const figure = cache_figure_of(result, rule, i);
        json_array_append_new(misses, figure->is_known ? json_integer((json_int_t)figure->miss_count) : json_null());
        json_array_append_new(reads, figure->is_known ? json_integer((json_int_t)figure->read_count) : json_null());
        json_array_append_new(ratios, figure->is_known ? json_real(rounded(figure->miss_ratio)) : json_null());
        json_array_append_new(errors, figure->is_known ? json_real(rounded(figure->error)) : json_null());
    }
    return json_pack("{s:s, s:o, s:o, s:o, s:o}", "policy", cache_rule_name(result->rules[rule]), "misses", misses, "reads", reads,
                     "miss_ratio", ratios, "standard_error", errors);
}

static json_t *trace_json(const cache_result *result)
{
    json_t *const sizes = json_array(), *const policies = json_array();
    for (size_t i = 0; i < result->size_count; i++) json_array_append_new(sizes, json_integer(result->sizes[i]));
    for (size_t rule = 0; rule < result->rule_count; rule++) json_array_append_new(policies, figures_json(result, rule));
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:f, s:I, s:o, s:o}", "path", result->path, "format",
                     cache_format_name(result->info.format), "packing", result->packing, "requests", (json_int_t)result->info.request_count,
                     "objects", (json_int_t)result->object_count, "sample_rate", result->rate, "sample_requests",
                     (json_int_t)result->sample_count, "sizes", sizes, "policies", policies);
}

/* A line for each policy over the sizes. */
static json_t *curves_of(const cache_result *result)
{
    json_t *const places = json_array(), *const series = json_array();
    for (size_t i = 0; i < result->size_count; i++) json_array_append_new(places, json_integer(result->sizes[i]));
    for (size_t rule = 0; rule < result->rule_count; rule++) {
        json_t *const values = json_array();
        for (size_t i = 0; i < result->size_count; i++) {
            const cache_figure *const figure = cache_figure_of(result, rule, i);
            json_array_append_new(values, figure->is_known ? json_real(rounded(figure->miss_ratio)) : json_null());
        }
        json_array_append_new(series, json_pack("{s:s, s:o}", "name", cache_rule_name(result->rules[rule]), "values", values));
    }
    return json_pack("{s:s, s:s, s:b, s:o, s:o}", "title", "Miss ratio over size in entries", "x", "entries", "is_log", 1, "places", places,
                     "series", series);
}

static json_t *table_of(const cache_result *result)
{
    json_t *const heads = json_array(), *const rows = json_array();
    json_array_append_new(heads, json_string("policy"));
    for (size_t i = 0; i < result->size_count; i++)
        if (result->is_asked[i]) json_array_append_new(heads, json_string(counted_text(result->sizes[i], "entry", "entries")));
    for (size_t rule = 0; rule < result->rule_count; rule++) {
        json_t *const row = json_array();
        json_array_append_new(row, json_string(cache_rule_name(result->rules[rule])));
        for (size_t i = 0; i < result->size_count; i++) {
            if (!result->is_asked[i]) continue;
            const cache_figure *const figure = cache_figure_of(result, rule, i);
            char *const ratio = ratio_text(result, figure);
            char *const cell = must_print("%s (%s)", figure->is_known ? count_text(figure->miss_count) : "-", ratio);
            json_array_append_new(row, json_string(cell));
            free(cell);
            free(ratio);
        }
        json_array_append_new(rows, row);
    }
    return json_pack("{s:s, s:o, s:o}", "title", "Misses, and by requests", "heads", heads, "rows", rows);
}

static json_t *stop_of(const cache_result *result)
{
    char *const title = title_of(result);
    json_t *const lines = json_array();
    if (result->size_count > 1) json_array_append_new(lines, curves_of(result));
    json_t *const stop =
        json_pack("{s:s, s:s, s:o, s:[o]}", "name", result->path, "title", title, "lines", lines, "tables", table_of(result));
    free(title);
    return stop;
}

json_t *cache_document(const cache_result *results, size_t count)
{
    json_t *const traces = json_array(), *const stops = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(traces, trace_json(&results[i]));
        json_array_append_new(stops, stop_of(&results[i]));
    }
    return json_pack("{s:s, s:s, s:o, s:o}", "kind", "acre cache", "version", ACRE_VERSION, "traces", traces, "stops", stops);
}
