/* strategies.c - see strategies.h. Each engine of acre/realtime.h replays the trace in an arena of the same length; a request that fails is
 * counted, and the program goes on without that block. Fragmentation, 1 - largest / free, is exact after every step: the mean is over all
 * steps, the plot has the mean of each of POINT_COUNT parts of the trace. */
#include "strategies.h"

#include "arenas.h"
#include "command.h"
#include "outputs.h"
#include "tour_page.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { POINT_COUNT = 400, HEAD_COUNT = 6 };

typedef struct strategy {
    const char *name;
    acre_realtime_engine engine;
    bool is_run; /* its control data has room */
    arena_run run;
    size_t largest_bytes_min; /* of the largest free block, after any step */
    double fragmentation_sum; /* per mille, over all steps */
    double fragmentation_max;
    uint64_t steps_per_point;
    size_t point_count;
    double points[POINT_COUNT];
} strategy;

static const char *const heads[HEAD_COUNT] = {"STRATEGY", "USED UP TO", "FAILURES", "MEAN FRAG", "MAX FRAG", "LEAST LARGEST"};

static void observe(void *context, uint64_t step, const acre_realtime *heap)
{
    strategy *const self = context;
    acre_realtime_figures figures;
    if (acre_realtime_read_figures(heap, &figures) != ACRE_OK) abort();
    const double fragmentation = (double)figures.fragmentation_per_mille;
    const size_t point = (size_t)(step / self->steps_per_point);
    self->fragmentation_sum += fragmentation;
    if (fragmentation > self->fragmentation_max) self->fragmentation_max = fragmentation;
    if (figures.largest_bytes < self->largest_bytes_min) self->largest_bytes_min = figures.largest_bytes;
    self->points[point] += fragmentation;
    self->point_count = point + 1;
}

static void run_strategy(strategy *self, arena_trace *trace, size_t arena_bytes)
{
    const uint64_t step_count = trace->header.step_count;
    self->largest_bytes_min = arena_bytes;
    self->steps_per_point = (step_count + POINT_COUNT - 1) / POINT_COUNT;
    self->is_run = arena_replay(trace, self->engine, arena_bytes, observe, self, &self->run);
    if (!self->is_run) return;
    for (size_t i = 0; i < self->point_count; i++) {
        const uint64_t begin = i * self->steps_per_point;
        const uint64_t count = step_count - begin < self->steps_per_point ? step_count - begin : self->steps_per_point;
        self->points[i] /= (double)count * ACRE_REALTIME_PER_MILLE;
    }
}

static double mean_percent(const strategy *self, const replay_header *header)
{
    return self->fragmentation_sum / (double)header->step_count / 10;
}

/* The cells of a row of the table, to be freed. */
static void make_cells(const strategy *self, const replay_header *header, char *cells[HEAD_COUNT])
{
    cells[0] = must_copy(self->name);
    for (size_t i = 1; i < HEAD_COUNT && !self->is_run; i++) cells[i] = must_copy("-");
    if (!self->is_run) return;
    cells[1] = must_copy(bytes_text(self->run.top_bytes));
    cells[2] = must_copy(count_text(self->run.failure_count));
    cells[3] = must_print("%.1f%%", mean_percent(self, header));
    cells[4] = must_print("%.1f%%", self->fragmentation_max / 10);
    cells[5] = must_copy(bytes_text(self->largest_bytes_min));
}

static void free_cells(char *cells[HEAD_COUNT])
{
    for (size_t i = 0; i < HEAD_COUNT; i++) free(cells[i]);
}

static void print_table(const strategies_options *options, const strategy *strategies, const replay_header *header, size_t arena_bytes)
{
    static const char row[] = "%-11s %11s %9s %10s %9s %14s\n";
    printf("%s: %s steps, peak live %s, in an arena of %zu bytes\n\n", options->trace_path, count_text(header->step_count),
           bytes_text(header->peak_live_bytes), arena_bytes);
    printf(row, heads[0], heads[1], heads[2], heads[3], heads[4], heads[5]);
    for (size_t i = 0; i < ACRE_REALTIME_ENGINE_COUNT; i++) {
        char *cells[HEAD_COUNT];
        make_cells(&strategies[i], header, cells);
        printf(row, cells[0], cells[1], cells[2], cells[3], cells[4], cells[5]);
        free_cells(cells);
    }
    puts("\nUSED UP TO: where the highest block ended. FAILURES: requests without room.\n"
         "FRAG: 1 - largest / free, after every step. LEAST LARGEST: the largest free\n"
         "block after the step where it was shortest.");
}

static json_t *figures_of(const strategy *self, const replay_header *header)
{
    if (!self->is_run) return json_pack("{s:s, s:n}", "strategy", self->name, "failures");
    return json_pack("{s:s, s:I, s:I, s:f, s:f, s:I}", "strategy", self->name, "used_up_to_bytes", (json_int_t)self->run.top_bytes,
                     "failures", (json_int_t)self->run.failure_count, "fragmentation_mean", mean_percent(self, header) / 100,
                     "fragmentation_max", self->fragmentation_max / ACRE_REALTIME_PER_MILLE, "largest_free_bytes_min",
                     (json_int_t)self->largest_bytes_min);
}

/* Lines of the plot: a share for each point, and where the point lies in steps. */
static json_t *plot_of(const strategy *strategies, const replay_header *header)
{
    json_t *const places = json_array();
    json_t *const series = json_array();
    for (size_t i = 0; i < strategies[0].point_count; i++) {
        const uint64_t step = (i + 1) * strategies[0].steps_per_point;
        json_array_append_new(places, json_integer((json_int_t)(step < header->step_count ? step : header->step_count)));
    }
    for (size_t i = 0; i < ACRE_REALTIME_ENGINE_COUNT; i++) {
        if (!strategies[i].is_run) continue;
        json_t *const values = json_array();
        for (size_t k = 0; k < strategies[i].point_count; k++) json_array_append_new(values, json_real(strategies[i].points[k]));
        json_array_append_new(series, json_pack("{s:s, s:o}", "name", strategies[i].name, "values", values));
    }
    return json_pack("{s:s, s:s, s:o, s:o}", "title", "Fragmentation over time: 1 - largest / free", "x", "steps", "places", places,
                     "series", series);
}

/* What `--json` writes and the page shows. */
static json_t *document_of(const strategies_options *options, const strategy *strategies, const replay_header *header, size_t arena_bytes)
{
    json_t *const figures = json_array();
    json_t *const rows = json_array();
    json_t *const names = json_array();
    for (size_t i = 0; i < HEAD_COUNT; i++) json_array_append_new(names, json_string(heads[i]));
    for (size_t i = 0; i < ACRE_REALTIME_ENGINE_COUNT; i++) {
        char *cells[HEAD_COUNT];
        json_t *const row = json_array();
        make_cells(&strategies[i], header, cells);
        for (size_t k = 0; k < HEAD_COUNT; k++) json_array_append_new(row, json_string(cells[k]));
        free_cells(cells);
        json_array_append_new(rows, row);
        json_array_append_new(figures, figures_of(&strategies[i], header));
    }
    char *const title = must_print("%s steps, peak live %s, in an arena of %s", count_text(header->step_count),
                                   bytes_text(header->peak_live_bytes), bytes_text(arena_bytes));
    json_t *const document =
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:o, s:[{s:s, s:s, s:[o], s:[{s:s, s:o, s:o}]}]}", "kind", "acre replay --strategies",
                  "version", ACRE_VERSION, "arena_bytes", (json_int_t)arena_bytes, "steps", (json_int_t)header->step_count,
                  "peak_live_bytes", (json_int_t)header->peak_live_bytes, "strategies", figures, "stops", "name", options->trace_path,
                  "title", title, "lines", plot_of(strategies, header), "tables", "title", "Every step", "heads", names, "rows", rows);
    free(title);
    return document;
}

static bool write_outputs(const strategies_options *options, const json_t *document)
{
    bool is_written = true;
    if (options->json_path != NULL && strcmp(options->json_path, "-") == 0) {
        is_written = json_dumpf(document, stdout, JSON_INDENT(1)) == 0 && putchar('\n') != EOF;
    } else if (options->json_path != NULL) {
        is_written = json_dump_file(document, options->json_path, JSON_INDENT(1)) == 0;
        if (!is_written) complain("replay", "'%s' can't be written: %s", options->json_path, strerror(errno));
    }
    if (options->page_path == NULL) return is_written;
    if (export_tour_page(document, options->page_path) == ACRE_OK) return is_written;
    complain("replay", "%s", acre_last_error());
    return false;
}

/* What first fit needs, and a tenth more; 0 after a message. */
static size_t default_arena(arena_trace *trace)
{
    arena_run run;
    const size_t least = arena_smallest(trace, ACRE_REALTIME_FIRST, &run);
    const size_t bytes = least + least / 10;
    if (least == 0) complain("replay", "first fit does not complete the trace in an arena of %s either", bytes_text(arena_bytes_max()));
    return bytes < arena_bytes_max() ? bytes : arena_bytes_max();
}

int compare_strategies(const strategies_options *options)
{
    static const char *const names[ACRE_REALTIME_ENGINE_COUNT] = {"first fit", "half fit", "best fit", "worst fit", "buddy"};
    arena_trace trace;
    if (options->arena_bytes > arena_bytes_max() || (options->arena_bytes > 0 && options->arena_bytes < ACRE_REALTIME_BYTES_MIN))
        return complain_usage("replay", "--arena: an arena has from %zu bytes to %s", ACRE_REALTIME_BYTES_MIN,
                              bytes_text(arena_bytes_max()));
    if (!arena_trace_open(&trace, "replay", options->trace_path, options->process_id)) return EXIT_FAILED;

    int result = EXIT_FAILED;
    const size_t arena_bytes = options->arena_bytes > 0 ? (size_t)options->arena_bytes : default_arena(&trace);
    strategy *const strategies = must_calloc(ACRE_REALTIME_ENGINE_COUNT, sizeof *strategies);
    if (arena_bytes > 0) {
        for (size_t i = 0; i < ACRE_REALTIME_ENGINE_COUNT; i++) {
            strategies[i].name = names[i];
            strategies[i].engine = (acre_realtime_engine)i;
            run_strategy(&strategies[i], &trace, arena_bytes);
        }
        json_t *const document = document_of(options, strategies, &trace.header, arena_bytes);
        if (options->json_path == NULL || strcmp(options->json_path, "-") != 0)
            print_table(options, strategies, &trace.header, arena_bytes);
        if (write_outputs(options, document)) result = EXIT_SUCCESS;
        json_decref(document);
    }
    free(strategies);
    arena_trace_close(&trace);
    return result;
}
