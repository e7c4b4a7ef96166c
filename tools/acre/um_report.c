/* um_report.c - see um_report.h. */
#include "um_report.h"

#include "command.h"

#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>

enum { TABLE_COLUMNS = 120, FIGURES = 7 };

static const char *const heads[1 + FIGURES] = {"RULES",      "FAULTS", "CAME",           "WENT FOR OTHERS",
                                               "CAME AGAIN", "UNUSED", "USED ELSEWHERE", "TIME"};

void um_result_free(um_result *result)
{
    for (unsigned i = 0; i < result->rule_count; i++) um_timeline_free(&result->timelines[i]);
}

char *um_room_text(const um_result *result)
{
    return must_print("room for %s, %s%llu%%", bytes_text(result->capacity_bytes), result->is_oversubscribed ? "oversubscribed " : "",
                      (unsigned long long)result->percent);
}

/* ---- tables ---- */

/* Into one of sixteen buffers. */
static const char *figure_text(const acre_um_figures *f, unsigned number)
{
    switch (number) {
    case 0:
        return count_text(f->fault_count);
    case 1:
        return bytes_text(f->in_bytes);
    case 2:
        return bytes_text(f->evicted_pages * ACRE_UM_PAGE_BYTES);
    case 3:
        return bytes_text(f->thrashed_pages * ACRE_UM_PAGE_BYTES);
    case 4:
        return bytes_text(f->wasted_pages * ACRE_UM_PAGE_BYTES);
    case 5:
        return count_text(f->remote_count);
    default:
        return duration_text(f->clock_ns);
    }
}

static struct libscols_table *new_table(const char *const *columns, size_t count)
{
    struct libscols_table *const table = scols_new_table();
    if (table == NULL) return NULL;
    (void)scols_table_set_termforce(table, SCOLS_TERMFORCE_ALWAYS);
    (void)scols_table_set_termwidth(table, TABLE_COLUMNS);
    for (size_t i = 0; i < count; i++) (void)scols_table_new_column(table, columns[i], 0, i == 0 ? SCOLS_FL_TRUNC : SCOLS_FL_RIGHT);
    return table;
}

static void print_table(struct libscols_table *table)
{
    if (table == NULL) return;
    (void)scols_print_table(table);
    scols_unref_table(table);
}

void um_print(const um_result *result, bool has_timelines)
{
    struct libscols_table *const table = new_table(heads, 1 + FIGURES);
    char *const room = um_room_text(result);
    printf("\n%s%s\n", room, result->is_least ? ": the least there can be" : "");
    free(room);
    for (unsigned i = 0; i < result->rule_count; i++) {
        struct libscols_line *const line = table == NULL ? NULL : scols_table_new_line(table, NULL);
        if (line == NULL) break;
        (void)scols_line_set_data(line, 0, result->rules[i]);
        for (unsigned k = 0; k < FIGURES; k++) (void)scols_line_set_data(line, 1 + k, figure_text(&result->figures[i], k));
    }
    print_table(table);
    for (unsigned i = 0; i < result->rule_count && has_timelines; i++) {
        printf("\n%s\n", result->rules[i]);
        um_timeline_print(&result->timelines[i]);
    }
}

void um_print_times(const um_result *results, size_t count)
{
    const char *columns[2 + UM_RULES_MAX] = {"TIME OF", "ROOM"};
    for (unsigned i = 0; i < results->rule_count; i++) columns[2 + i] = results->rules[i];
    struct libscols_table *const table = new_table(columns, 2 + results->rule_count);
    for (size_t r = 0; r < count; r++) {
        struct libscols_line *const line = table == NULL ? NULL : scols_table_new_line(table, NULL);
        if (line == NULL) break;
        (void)scols_line_set_data(line, 0, results[r].source);
        (void)scols_line_set_data(line, 1, bytes_text(results[r].capacity_bytes));
        for (unsigned i = 0; i < results[r].rule_count; i++)
            (void)scols_line_set_data(line, 2 + i, duration_text(results[r].figures[i].clock_ns));
    }
    putchar('\n');
    print_table(table);
}

/* ---- JSON ---- */

static json_t *figures_json(const char *rules, const acre_um_figures *f)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "rules", rules, "faults", (json_int_t)f->fault_count, "in_bytes",
                     (json_int_t)f->in_bytes, "out_bytes", (json_int_t)f->out_bytes, "evicted_pages", (json_int_t)f->evicted_pages,
                     "thrashed_pages", (json_int_t)f->thrashed_pages, "wasted_pages", (json_int_t)f->wasted_pages, "used_elsewhere",
                     (json_int_t)f->remote_count, "time_ns", (json_int_t)f->clock_ns);
}

json_t *um_json(const um_result *result)
{
    json_t *const rows = json_array();
    for (unsigned i = 0; i < result->rule_count; i++) json_array_append_new(rows, figures_json(result->rules[i], &result->figures[i]));
    return json_pack("{s:I, s:I, s:o}", result->is_oversubscribed ? "oversubscribed_per_cent" : "per_cent", (json_int_t)result->percent,
                     "capacity_bytes", (json_int_t)result->capacity_bytes, "rules", rows);
}

/* ---- the page ---- */

static json_t *bar_of(const char *name, const char *text, double first, double second)
{
    return json_pack("{s:s, s:s, s:[f, f]}", "name", name, "text", text, "parts", first, second);
}

/* A bar for each set of rules. */
static json_t *bars_of(const um_result *result)
{
    json_t *const times = json_array(), *const faults = json_array(), *const bytes = json_array();
    for (unsigned i = 0; i < result->rule_count; i++) {
        const acre_um_figures *const f = &result->figures[i];
        char *const moved = must_print("%s + %s", bytes_text(f->in_bytes), bytes_text(f->out_bytes));
        json_array_append_new(times, bar_of(result->rules[i], duration_text(f->clock_ns), (double)f->clock_ns, 0));
        json_array_append_new(faults, bar_of(result->rules[i], count_text(f->fault_count), (double)f->fault_count, 0));
        json_array_append_new(bytes, bar_of(result->rules[i], moved, (double)f->in_bytes, (double)f->out_bytes));
        free(moved);
    }
    return json_pack("[{s:s, s:o}, {s:s, s:o}, {s:s, s:[s, s], s:o}]", "title", "Modelled time", "bars", times, "title", "Faults", "bars",
                     faults, "title", "Copied", "keys", "to the place", "home", "bars", bytes);
}

static json_t *table_of(const um_result *result)
{
    static const char *const names[1 + FIGURES] = {"rules",      "faults",      "came",           "went for others",
                                                   "came again", "came unused", "used elsewhere", "time"};
    json_t *const columns = json_array(), *const rows = json_array();
    for (unsigned k = 0; k <= FIGURES; k++) json_array_append_new(columns, json_string(names[k]));
    for (unsigned i = 0; i < result->rule_count; i++) {
        json_t *const row = json_pack("[s]", result->rules[i]);
        for (unsigned k = 0; k < FIGURES; k++) json_array_append_new(row, json_string(figure_text(&result->figures[i], k)));
        json_array_append_new(rows, row);
    }
    return json_pack("{s:s, s:o, s:o}", "title", "Figures", "heads", columns, "rows", rows);
}

static json_t *timelines_of(const um_result *result)
{
    json_t *const timelines = json_array();
    for (unsigned i = 0; i < result->rule_count; i++) {
        char *const text = must_print("%s, %s", duration_text(result->figures[i].clock_ns),
                                      counted_text(result->figures[i].fault_count, "fault", "faults"));
        json_array_append_new(timelines, um_timeline_json(&result->timelines[i], result->rules[i], text));
        free(text);
    }
    return timelines;
}

static json_t *stop_of(const um_result *result)
{
    char *const room = um_room_text(result);
    char *const name = must_print("%s: %s", result->source, room);
    char *const title = must_print("%s are touched", bytes_text(result->bytes));
    json_t *const stop = json_pack("{s:s, s:s, s:o, s:[o], s:o}", "name", name, "title", title, "bars", bars_of(result), "tables",
                                   table_of(result), "timelines", timelines_of(result));
    free(title);
    free(name);
    free(room);
    return stop;
}

static json_t *times_of(const um_result *results, size_t count)
{
    json_t *const columns = json_pack("[s, s]", "", "room"), *const rows = json_array();
    for (unsigned i = 0; i < results->rule_count; i++) json_array_append_new(columns, json_string(results->rules[i]));
    for (size_t r = 0; r < count; r++) {
        json_t *const row = json_pack("[s]", results[r].source);
        json_array_append_new(row, json_string(bytes_text(results[r].capacity_bytes)));
        for (unsigned i = 0; i < results[r].rule_count; i++)
            json_array_append_new(row, json_string(duration_text(results[r].figures[i].clock_ns)));
        json_array_append_new(rows, row);
    }
    return json_pack("{s:s, s:s, s:[{s:s, s:o, s:o}]}", "name", "all", "title", "modelled times of all that follows", "tables", "title",
                     "Modelled time", "heads", columns, "rows", rows);
}

json_t *um_document(const um_result *results, size_t count)
{
    json_t *const stops = json_array();
    if (count > 1) json_array_append_new(stops, times_of(results, count));
    for (size_t i = 0; i < count; i++) json_array_append_new(stops, stop_of(&results[i]));
    return json_pack("{s:s, s:s, s:o}", "kind", "acre um replay", "version", ACRE_VERSION, "stops", stops);
}
