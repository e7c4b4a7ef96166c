/* stats.c - `acre stats PID`: what the heaps of a running process are now, as text, JSON or for Prometheus.
 *
 * Calls of malloc are not counted by anybody, since that would cost every call; what changes by the second is told from two readings.
 */
#include "command.h"
#include "live.h"

#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <libsmartcols/libsmartcols.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef enum stats_form { FORM_TEXT, FORM_JSON, FORM_PROMETHEUS } stats_form;

static const char help[] = "Usage: acre stats [OPTIONS] PID\n"
                           "\n"
                           "What the heaps of a running process are now, by size of block, when it runs on acre: under 'acre run', with\n"
                           "libacre-malloc.so preloaded, or linked. The process is read from outside: it does nothing for it, may sleep\n"
                           "or be stopped, and must be this user's.\n"
                           "\n"
                           "  --over SECONDS   read twice so far apart, and tell what changes in a second (text: 0.5, others: 0)\n"
                           "  --json           print JSON\n"
                           "  --prometheus     print the text format that Prometheus reads\n"
                           "  -h, --help       print this\n";

/* ---- text ---- */

static void add_cell(struct libscols_line *line, size_t column, char *text)
{
    scols_line_set_data(line, column, text);
    free(text);
}

static void print_classes(const live_heap *heap)
{
    static const char *const names[] = {"BLOCK", "LIVE BLOCKS", "LIVE BYTES", "READY", "FREE", "SPANS"};
    struct libscols_table *const table = scols_new_table();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) scols_table_new_column(table, names[i], 0, SCOLS_FL_RIGHT);
    for (unsigned class = ACRE_CLASS_FIRST; class <= ACRE_CLASS_COUNT; class ++) {
        const live_class *const one = &heap->classes[class];
        if (one->span_count == 0) continue;
        struct libscols_line *const line = scols_table_new_line(table, NULL);
        add_cell(line, 0, must_print("%" PRIu64, one->block_bytes));
        scols_line_set_data(line, 1, count_text(one->live_count));
        scols_line_set_data(line, 2, bytes_text(one->live_count * one->block_bytes));
        scols_line_set_data(line, 3, count_text(one->ready_count));
        scols_line_set_data(line, 4, count_text(one->free_count));
        scols_line_set_data(line, 5, count_text(one->span_count));
    }
    scols_print_table(table);
    scols_unref_table(table);
}

static const char *change_text(double bytes)
{
    static char texts[4][48];
    static unsigned turn;
    char *const text = texts[turn++ % 4];
    snprintf(text, sizeof texts[0], "%c%s", bytes < 0 ? '-' : '+', bytes_text((uint64_t)fabs(bytes)));
    return text;
}

static void print_text(const live_process *process, const live_figures *before, const live_figures *now)
{
    printf("process %" PRIu64 " (%s): %s resident, %zu heap%s, page map of %s\n", live_id(process), live_name(process),
           bytes_text(now->resident_bytes), now->heap_count, now->heap_count == 1 ? "" : "s", bytes_text(now->map_bytes));
    for (size_t i = 0; i < now->heap_count; i++) {
        const live_heap *const heap = &now->heaps[i];
        printf("\nheap '%s', %" PRIu64 " thread%s\n", heap->name, heap->thread_count, heap->thread_count == 1 ? "" : "s");
        printf("  live       %-10s that the program has, %s of it in %s large blocks\n", bytes_text(heap->live_bytes),
               bytes_text(heap->large_bytes), count_text(heap->large_count));
        printf("  ready      %-10s that threads hold ready\n", bytes_text(heap->ready_bytes));
        printf("  used       %-10s in spans and large blocks\n", bytes_text(heap->used_bytes));
        printf("  dirty      %-10s free, and not given back to the system\n", bytes_text(heap->dirty_bytes));
        printf("  committed  %-10s of %s reserved\n", bytes_text(heap->committed_bytes), bytes_text(heap->reserved_bytes));
        printf("  purged     %-10s given back since the beginning\n", bytes_text(heap->purged_bytes_total));
        printf("  metadata   %-10s reserved\n", bytes_text(heap->metadata_bytes));
        if (before != NULL) {
            const live_rates rates = live_rates_of(before, now, heap);
            printf("  a second   live %s, committed %s, purged %s, %.0f spans and large blocks taken\n", change_text(rates.live_bytes),
                   change_text(rates.committed_bytes), bytes_text((uint64_t)rates.purged_bytes), rates.run_count);
        }
        putchar('\n');
        print_classes(heap);
    }
}

/* ---- JSON ---- */

static json_t *classes_json(const live_heap *heap)
{
    json_t *const list = json_array();
    for (unsigned class = ACRE_CLASS_FIRST; class <= ACRE_CLASS_COUNT; class ++) {
        const live_class *const one = &heap->classes[class];
        if (one->span_count == 0) continue;
        json_array_append_new(list, json_pack("{s:I, s:I, s:I, s:I, s:I}", "block_bytes", (json_int_t)one->block_bytes, "live_count",
                                              (json_int_t)one->live_count, "ready_count", (json_int_t)one->ready_count, "free_count",
                                              (json_int_t)one->free_count, "span_count", (json_int_t)one->span_count));
    }
    return list;
}

/* The figures of a heap, for JSON and Prometheus alike. */
typedef struct named_figure {
    const char *name;
    const char *help;
    size_t offset; /* in live_heap */
} named_figure;

static const named_figure heap_figures[] = {
    {"live_bytes", "Bytes in blocks that the program has.", offsetof(live_heap, live_bytes)},
    {"ready_bytes", "Bytes in blocks that threads hold ready.", offsetof(live_heap, ready_bytes)},
    {"used_bytes", "Bytes in spans and large blocks.", offsetof(live_heap, used_bytes)},
    {"dirty_bytes", "Bytes that are free and not given back to the system.", offsetof(live_heap, dirty_bytes)},
    {"committed_bytes", "Bytes of address space that may be used.", offsetof(live_heap, committed_bytes)},
    {"reserved_bytes", "Bytes of address space.", offsetof(live_heap, reserved_bytes)},
    {"metadata_bytes", "Bytes reserved for what the heap knows of its blocks.", offsetof(live_heap, metadata_bytes)},
    {"large_bytes", "Bytes in large blocks.", offsetof(live_heap, large_bytes)},
    {"large_count", "Large blocks.", offsetof(live_heap, large_count)},
    {"thread_count", "Threads that have used the heap and have not ended.", offsetof(live_heap, thread_count)},
    {"purged_bytes_total", "Bytes given back to the system.", offsetof(live_heap, purged_bytes_total)},
    {"run_count_total", "Spans and large blocks taken.", offsetof(live_heap, run_count_total)},
};

enum { HEAP_FIGURE_COUNT = sizeof heap_figures / sizeof heap_figures[0] };

static uint64_t figure_of(const live_heap *heap, const named_figure *figure)
{
    uint64_t value;
    memcpy(&value, (const char *)heap + figure->offset, sizeof value);
    return value;
}

static void print_json(const live_process *process, const live_figures *before, const live_figures *now)
{
    json_t *const heaps = json_array();
    for (size_t i = 0; i < now->heap_count; i++) {
        const live_heap *const heap = &now->heaps[i];
        json_t *const one = json_pack("{s:s, s:i}", "name", heap->name, "index", (int)heap->index);
        /* A name may be no UTF-8; then it is left out. */
        json_t *const made = one != NULL ? one : json_pack("{s:i}", "index", (int)heap->index);
        for (size_t f = 0; f < HEAP_FIGURE_COUNT; f++)
            json_object_set_new(made, heap_figures[f].name, json_integer((json_int_t)figure_of(heap, &heap_figures[f])));
        if (before != NULL) {
            const live_rates rates = live_rates_of(before, now, heap);
            json_object_set_new(made, "a_second",
                                json_pack("{s:f, s:f, s:f, s:f}", "live_bytes", rates.live_bytes, "committed_bytes", rates.committed_bytes,
                                          "purged_bytes", rates.purged_bytes, "run_count", rates.run_count));
        }
        json_object_set_new(made, "classes", classes_json(heap));
        json_array_append_new(heaps, made);
    }
    json_t *const document =
        json_pack("{s:I, s:s?, s:I, s:I, s:o}", "pid", (json_int_t)live_id(process), "program", live_name(process), "resident_bytes",
                  (json_int_t)now->resident_bytes, "map_bytes", (json_int_t)now->map_bytes, "heaps", heaps);
    json_dumpf(document, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(document);
}

/* ---- Prometheus: https://prometheus.io/docs/instrumenting/exposition_formats/ ---- */

static void print_label(const char *text)
{
    for (const char *c = text; *c != 0; c++) {
        if (*c == '\\' || *c == '"') putchar('\\');
        putchar(*c);
    }
}

static void print_labels(const live_process *process, const live_heap *heap)
{
    printf("{pid=\"%" PRIu64 "\",program=\"", live_id(process));
    print_label(live_name(process));
    printf("\",heap=\"");
    print_label(heap->name);
    printf("\",index=\"%u\"", heap->index);
}

static bool is_total(const char *name)
{
    const size_t length = strlen(name);
    return length > 6 && strcmp(name + length - 6, "_total") == 0;
}

static void print_class_family(const live_process *process, const live_figures *now, const char *name, const char *what, bool is_spans)
{
    static const struct {
        const char *state;
        size_t offset;
    } states[] = {{"live", offsetof(live_class, live_count)},
                  {"ready", offsetof(live_class, ready_count)},
                  {"free", offsetof(live_class, free_count)}};
    printf("# HELP %s %s\n# TYPE %s gauge\n", name, what, name);
    for (size_t i = 0; i < now->heap_count; i++) {
        for (unsigned class = ACRE_CLASS_FIRST; class <= ACRE_CLASS_COUNT; class ++) {
            const live_class *const one = &now->heaps[i].classes[class];
            if (one->span_count == 0) continue;
            for (size_t s = 0; s < (is_spans ? 1 : sizeof states / sizeof states[0]); s++) {
                uint64_t value = one->span_count;
                if (!is_spans) memcpy(&value, (const char *)one + states[s].offset, sizeof value);
                fputs(name, stdout);
                print_labels(process, &now->heaps[i]);
                printf(",block_bytes=\"%" PRIu64 "\"", one->block_bytes);
                if (!is_spans) printf(",state=\"%s\"", states[s].state);
                printf("} %" PRIu64 "\n", value);
            }
        }
    }
}

static void print_prometheus(const live_process *process, const live_figures *now)
{
    for (size_t f = 0; f < HEAP_FIGURE_COUNT; f++) {
        printf("# HELP acre_heap_%s %s\n# TYPE acre_heap_%s %s\n", heap_figures[f].name, heap_figures[f].help, heap_figures[f].name,
               is_total(heap_figures[f].name) ? "counter" : "gauge");
        for (size_t i = 0; i < now->heap_count; i++) {
            printf("acre_heap_%s", heap_figures[f].name);
            print_labels(process, &now->heaps[i]);
            printf("} %" PRIu64 "\n", figure_of(&now->heaps[i], &heap_figures[f]));
        }
    }
    print_class_family(process, now, "acre_class_blocks",
                       "Small blocks by size: the program has them, threads hold them ready, or they are free.", false);
    print_class_family(process, now, "acre_class_spans", "Spans of small blocks by size.", true);
}

/* ---- the command ---- */

static void sleep_seconds(double seconds)
{
    const time_t whole = (time_t)seconds;
    struct timespec left = {.tv_sec = whole, .tv_nsec = (long)((seconds - (double)whole) * 1e9)};
    while (nanosleep(&left, &left) != 0) continue;
}

static int show(live_process *process, stats_form form, double over_seconds)
{
    live_figures before = {.heaps = NULL}, now;
    const bool has_before = over_seconds > 0;
    acre_status status = has_before ? live_read(process, &before) : ACRE_OK;
    if (status == ACRE_OK && has_before) sleep_seconds(over_seconds);
    if (status == ACRE_OK) status = live_read(process, &now);
    if (status != ACRE_OK) {
        complain("stats", "%s", acre_last_error());
    } else {
        if (form == FORM_TEXT) print_text(process, has_before ? &before : NULL, &now);
        if (form == FORM_JSON) print_json(process, has_before ? &before : NULL, &now);
        if (form == FORM_PROMETHEUS) print_prometheus(process, &now);
        live_free(&now);
    }
    live_free(&before);
    return status == ACRE_OK ? EXIT_SUCCESS : EXIT_FAILED;
}

int command_stats(int argument_count, char **arguments)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"prometheus", no_argument, NULL, 'p'},
                                            {"over", required_argument, NULL, 'o'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    stats_form form = FORM_TEXT;
    double over_seconds = -1;
    uint64_t pid = 0;
    optind = 1;
    opterr = 0;
    for (int option; (option = getopt_long(argument_count, arguments, ":h", options, NULL)) != -1;) {
        switch (option) {
        case 'j':
        case 'p':
            if (form != FORM_TEXT) return complain_usage("stats", "--json and --prometheus exclude each other");
            form = option == 'j' ? FORM_JSON : FORM_PROMETHEUS;
            break;
        case 'o':
            if (!parse_seconds(optarg, 0, &over_seconds)) return complain_usage("stats", "--over '%s' is no number of seconds", optarg);
            break;
        case 'h':
            fputs(help, stdout);
            return EXIT_SUCCESS;
        case ':':
            return complain_usage("stats", "option '%s' needs a value", arguments[optind - 1]);
        default:
            return complain_usage("stats", "unknown option '%s'", arguments[optind - 1]);
        }
    }
    if (argument_count - optind != 1) return complain_usage("stats", "which process? Its number is needed");
    if (!parse_number(arguments[optind], 1, INT32_MAX, &pid))
        return complain_usage("stats", "'%s' is no number of a process", arguments[optind]);
    if (over_seconds < 0) over_seconds = form == FORM_TEXT ? 0.5 : 0;

    live_process *process;
    if (live_open(&process, pid) != ACRE_OK) {
        complain("stats", "%s", acre_last_error());
        return EXIT_FAILED;
    }
    const int result = show(process, form, over_seconds);
    live_close(process);
    return result;
}
