/* tour.c - acre tour: visits the stops, prints their rows and promises, writes the JSON and the page. */
#include "tour.h"
#include "command.h"
#include "tour_page.h"

#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <libsmartcols/libsmartcols.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct tour_state {
    json_t *document;
    json_t *stop; /* of the stop being visited */
    struct libscols_table *table;
    char *scratch;
    int rounds;
    int kept_count, broken_count, skipped_count;
    bool is_json, has_progress;
};

static tour_stop *stops;

void tour_register(tour_stop *stop)
{
    tour_stop **place = &stops;
    while (*place != NULL && (*place)->order <= stop->order) place = &(*place)->next;
    stop->next = *place;
    *place = stop;
}

/* ---- what stops call ---- */

static void clear_progress(const tour_state *tour)
{
    if (tour->has_progress) fputs("\r\033[K", stderr);
}

void tour_progress(tour_state *tour, const char *format, ...)
{
    if (!tour->has_progress) return;
    va_list arguments;
    va_start(arguments, format);
    fputs("\r\033[K  ", stderr);
    vfprintf(stderr, format, arguments);
    fflush(stderr);
    va_end(arguments);
}

static void append(tour_state *tour, const char *key, json_t *value)
{
    json_t *list = json_object_get(tour->stop, key);
    if (list == NULL) {
        list = json_array();
        json_object_set_new(tour->stop, key, list);
    }
    json_array_append_new(list, value);
}

static const char *verdict(tour_state *tour, bool is_kept)
{
    if (is_kept)
        tour->kept_count++;
    else
        tour->broken_count++;
    return is_kept ? "kept" : "broken";
}

void tour_add_row(tour_state *tour, const tour_row *row)
{
    const char *const result = verdict(tour, row->is_kept);
    append(tour, "rows",
           json_pack("{s:s, s:I, s:f, s:s, s:s, s:s, s:s}", "what", row->what, "bytes", (json_int_t)row->bytes, "seconds", row->seconds,
                     "peer", row->peer, "peer_figure", row->peer_figure, "promise", row->promise, "result", result));
    struct libscols_line *const line = scols_table_new_line(tour->table, NULL);
    char *const time = must_print("%.2f s", row->seconds);
    char *const peer = must_print("%s: %s", row->peer, row->peer_figure);
    char *const promise = must_print("%s: %s", row->promise, result);
    scols_line_set_data(line, 0, row->what);
    scols_line_set_data(line, 1, bytes_text(row->bytes));
    scols_line_set_data(line, 2, time);
    scols_line_set_data(line, 3, peer);
    scols_line_set_data(line, 4, promise);
    free(time);
    free(peer);
    free(promise);
}

void tour_say(tour_state *tour, const char *format, ...)
{
    va_list arguments;
    char *text = NULL;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0) text = must_copy("");
    va_end(arguments);
    append(tour, "notes", json_string(text));
    free(text);
}

void tour_promise(tour_state *tour, const char *what, double figure, double bar, const char *unit)
{
    append(tour, "promises",
           json_pack("{s:s, s:f, s:f, s:s, s:s}", "what", what, "figure", figure, "bar", bar, "unit", unit, "result",
                     verdict(tour, figure <= bar)));
}

void tour_skip(tour_state *tour, const char *reason)
{
    tour->skipped_count++;
    json_object_set_new(tour->stop, "skipped", json_string(reason));
}

void tour_detail(tour_state *tour, const char *key, json_t *value) { json_object_set_new(tour->stop, key, value); }

const char *tour_scratch(tour_state *tour) { return tour->scratch; }

int tour_rounds(const tour_state *tour) { return tour->rounds; }

/* ---- output ---- */

static void start_table(tour_state *tour)
{
    static const char *const names[] = {"WHAT RAN", "PEAK MEMORY", "CPU TIME", "PEER", "PROMISE"};
    tour->table = scols_new_table();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        scols_table_new_column(tour->table, names[i], 0, i == 1 || i == 2 ? SCOLS_FL_RIGHT : 0);
    }
}

static void print_stop(tour_state *tour)
{
    size_t index;
    json_t *value;
    clear_progress(tour);
    if (tour->is_json) return;
    if (json_object_get(tour->stop, "rows") != NULL) scols_print_table(tour->table);
    json_array_foreach(json_object_get(tour->stop, "notes"), index, value) print_words("  ", "    ", json_string_value(value));
    json_array_foreach(json_object_get(tour->stop, "promises"), index, value)
    {
        char *const text = must_print("%s: %.3f %s, at most %.2f: %s", json_string_value(json_object_get(value, "what")),
                                      json_real_value(json_object_get(value, "figure")), json_string_value(json_object_get(value, "unit")),
                                      json_real_value(json_object_get(value, "bar")), json_string_value(json_object_get(value, "result")));
        print_words("  ", "    ", text);
        free(text);
    }
    const json_t *const reason = json_object_get(tour->stop, "skipped");
    if (reason != NULL) print_words("  skipped: ", "    ", json_string_value(reason));
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

static void visit_stop(tour_state *tour, const tour_stop *stop)
{
    char folder[] = "/tmp/acre-tour-XXXXXX";
    tour->stop = json_pack("{s:s, s:s}", "name", stop->name, "title", stop->title);
    json_array_append_new(json_object_get(tour->document, "stops"), tour->stop);
    if (!tour->is_json) printf("\n%s: %s\n", stop->name, stop->title);
    fflush(stdout);
    start_table(tour);
    if (mkdtemp(folder) == NULL) {
        tour_skip(tour, "no folder for its files can be made in /tmp");
    } else {
        tour->scratch = folder;
        stop->visit(tour);
        (void)nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        tour->scratch = NULL;
    }
    print_stop(tour);
    scols_unref_table(tour->table);
}

static void print_help(void)
{
    puts("Usage: acre tour [OPTIONS] [STOP...]\n\n"
         "Every memory system does its real job on real input, beside the best peer there\n"
         "is, and tells which of its promises it kept. Ends with status 1 when one was\n"
         "broken.\n\n"
         "  --list          the stops there are\n"
         "  --json          every figure as JSON, instead of the tables\n"
         "  --rounds N      how often each is measured; medians count (default 5)\n"
         "  --page FILE     where the page with the plots goes (default acre-tour.html; ''\n"
         "                  for none)");
}

static const tour_stop *find_stop(const char *name)
{
    for (const tour_stop *stop = stops; stop != NULL; stop = stop->next) {
        if (strcmp(stop->name, name) == 0) return stop;
    }
    return NULL;
}

int command_tour(int argument_count, char **arguments)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'},       {"list", no_argument, NULL, 'l'},
                                            {"json", no_argument, NULL, 'j'},       {"rounds", required_argument, NULL, 'r'},
                                            {"page", required_argument, NULL, 'p'}, {NULL, 0, NULL, 0}};
    tour_state tour = {.rounds = 5};
    const char *page = "acre-tour.html";
    uint64_t number = 0;
    for (int option; (option = getopt_long(argument_count, arguments, "h", options, NULL)) != -1;) {
        switch (option) {
        case 'h':
            print_help();
            return EXIT_SUCCESS;
        case 'l':
            for (const tour_stop *stop = stops; stop != NULL; stop = stop->next) printf("%-12s %s\n", stop->name, stop->title);
            return EXIT_SUCCESS;
        case 'j':
            tour.is_json = true;
            break;
        case 'r':
            if (!parse_number(optarg, 1, 25, &number)) return complain_usage("tour", "--rounds '%s' is no number from 1 to 25", optarg);
            tour.rounds = (int)number;
            break;
        case 'p':
            page = optarg;
            break;
        default:
            return complain_usage("tour", "see the message above");
        }
    }
    for (int i = optind; i < argument_count; i++) {
        if (find_stop(arguments[i]) == NULL) return complain_usage("tour", "'%s' is no stop; --list shows them", arguments[i]);
    }
    if (*page != 0 && !can_write("tour", page)) return EXIT_TOOL; /* rather than after some minutes */
    tour.has_progress = isatty(STDERR_FILENO) != 0;
    tour.document = json_pack("{s:s, s:s, s:[]}", "kind", "acre tour", "version", ACRE_VERSION, "stops");
    if (optind == argument_count) {
        for (const tour_stop *stop = stops; stop != NULL; stop = stop->next) visit_stop(&tour, stop);
    }
    for (int i = optind; i < argument_count; i++) {
        const tour_stop *const stop = find_stop(arguments[i]);
        if (stop != NULL) visit_stop(&tour, stop);
    }
    json_object_set_new(tour.document, "kept", json_integer(tour.kept_count));
    json_object_set_new(tour.document, "broken", json_integer(tour.broken_count));
    json_object_set_new(tour.document, "skipped", json_integer(tour.skipped_count));

    if (tour.is_json) {
        json_dumpf(tour.document, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
        putchar('\n');
    } else {
        printf("\n%d promises kept, %d broken, %d stops skipped\n", tour.kept_count, tour.broken_count, tour.skipped_count);
    }
    int code = tour.broken_count > 0 ? EXIT_FAILED : EXIT_SUCCESS;
    if (*page != 0) {
        if (export_tour_page(tour.document, page) != ACRE_OK) {
            complain("tour", "%s", acre_last_error());
            code = EXIT_TOOL;
        } else if (!tour.is_json && strcmp(page, "-") != 0) {
            char *const path = realpath(page, NULL);
            printf("The page with the plots: %s\n", path != NULL ? path : page);
            free(path);
        }
    }
    json_decref(tour.document);
    return code;
}
