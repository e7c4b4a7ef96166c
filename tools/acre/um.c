/* um.c - `acre um replay`: what sets of rules of unified memory (acre/um.h) would do on a recorded trace, in a modelled place. */
#include "cache_keys.h"

#include "command.h"

#include <acre/um.h>
#include <getopt.h>
#include <jansson.h>
#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>
#include <string.h>

enum { RULES_MAX = 32, SIZES_MAX = 16, TABLE_COLUMNS = 120, BLOCK_PAGES = ACRE_UM_BLOCK_BYTES / ACRE_UM_PAGE_BYTES, SHIFT_MAX = 40 };
#define PAGES_MAX          ((uint64_t)1 << 28) /* 1 TiB */
#define CAPACITY_BYTES_MIN ((uint64_t)2 * ACRE_UM_BLOCK_BYTES)

typedef struct um_options {
    cache_trace_options trace;
    const char *rules[RULES_MAX];
    unsigned rule_count;
    uint64_t percents[SIZES_MAX]; /* of the trace's pages that the place has room for */
    unsigned size_count;
    uint64_t shift;
    unsigned costs;
    uint64_t fault_ns, remote_ns, bytes_per_s; /* UINT64_MAX, a rate of 0: those of `costs` */
    const char *json_path;
} um_options;

/* What a fault and a byte cost. Sources: GPGPU-Sim UVMSmart's logs, from which they follow; one thread of a kernel that touches managed
 * memory on an NVIDIA H100 80GB HBM3, driver 580.159.04 (`bench/gpu/cuda faults`). docs/um.md has both. */
static const struct {
    const char *name;
    uint64_t fault_ns, remote_ns, bytes_per_s;
} costs[] = {{"uvmsmart", 46389, 1000, 7430000000}, {"h100", 25000, 1900, 24000000000}};

enum { COSTS_COUNT = sizeof costs / sizeof *costs };

static void print_help(void)
{
    printf("Usage: acre um replay [OPTIONS] TRACE\n\n"
           "Gives what a trace asked for to unified memory with each set of rules, in a place\n"
           "that has room for a part of it, and tells how many faults there would have been,\n"
           "what would have moved, and how long that takes by the costs below. TRACE is of any\n"
           "format that acre cache reads; each key is a page of 4 KiB, and is read.\n\n"
           "  --rules LIST      of acre, nvidia, lru, tree, 64k, demand, random, delayed; or\n"
           "                    all (default: all). docs/um.md says what each does\n"
           "  --size LIST       per cent of the trace's pages that the place has room for\n"
           "                    (default: 100,90,80,67)\n"
           "  --shift N         the page is the key divided by 2^N: 12 for addresses of bytes\n"
           "  --costs NAME      of uvmsmart, published of a simulator, or h100, measured on that\n"
           "                    card (default: uvmsmart); the next three change single ones\n"
           "  --fault NS        from a fault to its transfer (46389, 25000)\n"
           "  --remote NS       a touch of a page that is used where it is (1000, 1900)\n"
           "  --rate BYTES      a second, each way (7430000000, 24000000000)\n"
           "  --format NAME, --key COLUMN, --process PID    as acre cache has them\n"
           "  --json FILE       the figures as JSON ('-': standard output, without table)\n");
}

/* ---- options ---- */

static int take_rules(um_options *options, const char *list)
{
    char *const copy = must_copy(list), *rest = copy;
    int result = -1;
    options->rule_count = 0;
    for (char *name; result < 0 && (name = strsep(&rest, ",")) != NULL;) {
        const bool is_all = strcmp(name, "all") == 0;
        unsigned found = 0;
        for (unsigned i = 0; acre_um_rules_name(i) != NULL && options->rule_count < RULES_MAX; i++) {
            if (!is_all && strcmp(acre_um_rules_name(i), name) != 0) continue;
            options->rules[options->rule_count++] = acre_um_rules_name(i);
            found++;
        }
        if (found == 0) result = complain_usage("um", "--rules: '%s' are no rules: --help has their names", name);
    }
    free(copy);
    return result;
}

static int take_sizes(um_options *options, const char *list)
{
    char *const copy = must_copy(list), *rest = copy;
    int result = -1;
    options->size_count = 0;
    for (char *word; result < 0 && (word = strsep(&rest, ",")) != NULL;) {
        if (options->size_count == SIZES_MAX)
            result = complain_usage("um", "--size names more than %d sizes", (int)SIZES_MAX);
        else if (!parse_number(word, 1, 100, &options->percents[options->size_count++]))
            result = complain_usage("um", "--size: '%s' is no number of per cent from 1 to 100", word);
    }
    free(copy);
    return result;
}

/* What single options said before stays. */
static int take_costs(um_options *options, const char *name)
{
    for (unsigned i = 0; i < COSTS_COUNT; i++) {
        if (strcmp(costs[i].name, name) != 0) continue;
        options->costs = i;
        return -1;
    }
    return complain_usage("um", "--costs: '%s' are none: there are %s and %s", name, costs[0].name, costs[1].name);
}

static void fill_costs(um_options *options)
{
    if (options->fault_ns == UINT64_MAX) options->fault_ns = costs[options->costs].fault_ns;
    if (options->remote_ns == UINT64_MAX) options->remote_ns = costs[options->costs].remote_ns;
    if (options->bytes_per_s == 0) options->bytes_per_s = costs[options->costs].bytes_per_s;
}

/* -1, or the exit code. */
static int parse_options(um_options *options, int argument_count, char **arguments)
{
    static const struct option names[] = {
        {"rules", required_argument, NULL, 'r'},  {"size", required_argument, NULL, 's'},   {"shift", required_argument, NULL, 'S'},
        {"costs", required_argument, NULL, 'C'},
        {"fault", required_argument, NULL, 'F'},  {"remote", required_argument, NULL, 'R'}, {"rate", required_argument, NULL, 'B'},
        {"format", required_argument, NULL, 'f'}, {"key", required_argument, NULL, 'k'},    {"process", required_argument, NULL, 'P'},
        {"json", required_argument, NULL, 'j'},   {"help", no_argument, NULL, 'h'},         {0},
    };
    int result = take_rules(options, "all");
    if (result < 0) result = take_sizes(options, "100,90,80,67");
    opterr = 0;
    for (int option; result < 0 && (option = getopt_long(argument_count, arguments, ":h", names, NULL)) != -1;) {
        bool is_number = true;
        switch (option) {
        case 'r':
            result = take_rules(options, optarg);
            break;
        case 's':
            result = take_sizes(options, optarg);
            break;
        case 'S':
            is_number = parse_number(optarg, 0, SHIFT_MAX, &options->shift);
            break;
        case 'C':
            result = take_costs(options, optarg);
            break;
        case 'F':
            is_number = parse_number(optarg, 0, 1000000000, &options->fault_ns);
            break;
        case 'R':
            is_number = parse_number(optarg, 0, 1000000000, &options->remote_ns);
            break;
        case 'B':
            is_number = parse_number(optarg, 1, (uint64_t)1 << 50, &options->bytes_per_s);
            break;
        case 'f':
            if (!cache_format_named(optarg, &options->trace.format)) return complain_usage("um", "--format '%s' is no format", optarg);
            break;
        case 'k':
            options->trace.column = optarg;
            break;
        case 'P':
            is_number = parse_number(optarg, 1, UINT32_MAX, &options->trace.process_id);
            break;
        case 'j':
            options->json_path = optarg;
            break;
        case 'h':
            print_help();
            return EXIT_SUCCESS;
        case ':':
            return complain_usage("um", "option '%s' needs a value", arguments[optind - 1]);
        default:
            return complain_usage("um", "unknown option '%s'", arguments[optind - 1]);
        }
        if (!is_number) return complain_usage("um", "'%s' is no number in the range of its option", optarg);
    }
    if (result >= 0) return result;
    if (argument_count - optind != 2 || strcmp(arguments[optind], "replay") != 0)
        return complain_usage("um", "it is 'acre um replay' and one trace");
    return -1;
}

/* ---- the trace ---- */

static int compare_numbers(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

typedef struct layout {
    uint32_t *page_of; /* each object */
    uint64_t end;      /* of the pages */
    uint64_t used;     /* pages that are touched */
} layout;

/* The page of each object. Keys that are neighbours are so as pages; where nothing was asked for in more than a block, a new block begins.
 * False: they spread too far. */
static bool lay_out(const cache_keys *keys, unsigned shift, layout *out)
{
    uint64_t *const sorted = must_calloc(keys->object_count + 1u, sizeof *sorted);
    uint64_t *const pages = must_calloc(keys->object_count + 1u, sizeof *pages);
    uint64_t end = 0;
    for (uint32_t i = 0; i < keys->object_count; i++) sorted[i] = keys->keys[i] >> shift;
    qsort(sorted, keys->object_count, sizeof *sorted, compare_numbers);
    for (uint32_t i = 0; i < keys->object_count && end < PAGES_MAX; i++) {
        const uint64_t gap = i == 0 ? 0 : sorted[i] - sorted[i - 1];
        if (i > 0) end = gap == 0 ? end - 1 : gap < BLOCK_PAGES ? end + gap - 1 : (end + BLOCK_PAGES - 1) / BLOCK_PAGES * BLOCK_PAGES;
        out->used += i == 0 || gap > 0;
        pages[i] = end++;
    }
    for (uint32_t i = 0; i < keys->object_count && end < PAGES_MAX; i++) {
        const uint64_t key = keys->keys[i] >> shift;
        const uint64_t *const found = bsearch(&key, sorted, keys->object_count, sizeof *sorted, compare_numbers);
        out->page_of[i] = (uint32_t)pages[found - sorted];
    }
    free(sorted);
    free(pages);
    out->end = end;
    return end > 0 && end < PAGES_MAX;
}

static bool read_trace(const um_options *options, const char *path, cache_keys *keys)
{
    cache_input *input;
    cache_trace_info info = {0};
    acre_status status = cache_input_open(&input, path);
    cache_keys_begin(keys, 1, 0);
    if (status == ACRE_OK) {
        status = cache_trace_read(input, &options->trace, cache_keys_take, keys, &info);
        cache_input_close(input);
    }
    if (status != ACRE_OK) complain("um", "%s", acre_last_error());
    if (info.warning != NULL) complain("um", "%s", info.warning);
    free(info.warning);
    return status == ACRE_OK;
}

/* ---- replaying ---- */

static bool replay(const um_options *options, const char *rules, const cache_keys *keys, const layout *pages, uint64_t capacity_bytes,
                   acre_um_figures *figures)
{
    acre_um *um = NULL;
    unsigned place;
    uint64_t at;
    acre_um_figures before = {0};
    const uint64_t bytes = pages->end * ACRE_UM_PAGE_BYTES;
    acre_um_options open = {.bytes_max = (bytes + ACRE_UM_BLOCK_BYTES - 1) / ACRE_UM_BLOCK_BYTES * ACRE_UM_BLOCK_BYTES,
                            .is_modelled = true};
    const acre_um_place near_place = {.name = "place",
                                      .capacity_bytes = capacity_bytes,
                                      .costs = {.fault_ns = options->fault_ns,
                                                .remote_ns = options->remote_ns,
                                                .in_bytes_per_s = options->bytes_per_s,
                                                .out_bytes_per_s = options->bytes_per_s}};
    bool is_done = acre_um_rules_named(rules, &open.rules) == ACRE_OK && acre_um_open(&open, &um) == ACRE_OK &&
                   acre_um_add_place(um, &near_place, &place) == ACRE_OK && acre_um_allocate(um, bytes, &at) == ACRE_OK &&
                   acre_um_touch(um, ACRE_UM_HOME, at, bytes, true) == ACRE_OK && acre_um_read_figures(um, place, &before) == ACRE_OK;
    for (size_t i = 0; i < keys->count && is_done; i++)
        is_done = acre_um_touch(um, place, at + (uint64_t)pages->page_of[keys->objects[i]] * ACRE_UM_PAGE_BYTES, ACRE_UM_PAGE_BYTES,
                                false) == ACRE_OK;
    is_done = is_done && acre_um_read_figures(um, place, figures) == ACRE_OK;
    if (!is_done) complain("um", "%s", acre_last_error());
    figures->clock_ns -= before.clock_ns;
    acre_um_close(um);
    return is_done;
}

static json_t *json_of(const char *rules, const acre_um_figures *f)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "rules", rules, "faults", (json_int_t)f->fault_count, "in_bytes",
                     (json_int_t)f->in_bytes, "out_bytes", (json_int_t)f->out_bytes, "evicted_pages", (json_int_t)f->evicted_pages,
                     "thrashed_pages", (json_int_t)f->thrashed_pages, "wasted_pages", (json_int_t)f->wasted_pages, "used_elsewhere",
                     (json_int_t)f->remote_count, "time_ns", (json_int_t)f->clock_ns);
}

static struct libscols_table *new_table(void)
{
    static const char *const columns[] = {"RULES", "FAULTS", "CAME", "WENT FOR OTHERS", "CAME AGAIN", "UNUSED", "USED ELSEWHERE", "TIME"};
    struct libscols_table *const table = scols_new_table();
    if (table == NULL) return NULL;
    (void)scols_table_set_termforce(table, SCOLS_TERMFORCE_ALWAYS);
    (void)scols_table_set_termwidth(table, TABLE_COLUMNS);
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        (void)scols_table_new_column(table, columns[i], 0, i == 0 ? SCOLS_FL_TRUNC : SCOLS_FL_RIGHT);
    return table;
}

static void add_line(struct libscols_table *table, const char *rules, const acre_um_figures *f)
{
    struct libscols_line *const line = table == NULL ? NULL : scols_table_new_line(table, NULL);
    if (line == NULL) return;
    (void)scols_line_set_data(line, 0, rules);
    (void)scols_line_set_data(line, 1, count_text(f->fault_count));
    (void)scols_line_set_data(line, 2, bytes_text(f->in_bytes));
    (void)scols_line_set_data(line, 3, bytes_text(f->evicted_pages * ACRE_UM_PAGE_BYTES));
    (void)scols_line_set_data(line, 4, bytes_text(f->thrashed_pages * ACRE_UM_PAGE_BYTES));
    (void)scols_line_set_data(line, 5, bytes_text(f->wasted_pages * ACRE_UM_PAGE_BYTES));
    (void)scols_line_set_data(line, 6, count_text(f->remote_count));
    (void)scols_line_set_data(line, 7, duration_text(f->clock_ns));
}

static bool replay_all(const um_options *options, const cache_keys *keys, const layout *pages, json_t *sizes)
{
    const bool has_table = options->json_path == NULL || strcmp(options->json_path, "-") != 0;
    for (unsigned s = 0; s < options->size_count; s++) {
        const uint64_t part = pages->used * options->percents[s] / 100 * ACRE_UM_PAGE_BYTES;
        const uint64_t capacity_bytes = part < CAPACITY_BYTES_MIN ? CAPACITY_BYTES_MIN : part;
        struct libscols_table *const table = has_table ? new_table() : NULL;
        json_t *const rows = json_array();
        for (unsigned r = 0; r < options->rule_count; r++) {
            acre_um_figures figures = {0};
            if (!replay(options, options->rules[r], keys, pages, capacity_bytes, &figures)) {
                scols_unref_table(table);
                json_decref(rows);
                return false;
            }
            add_line(table, options->rules[r], &figures);
            json_array_append_new(rows, json_of(options->rules[r], &figures));
        }
        json_array_append_new(sizes, json_pack("{s:I, s:I, s:o}", "per_cent", (json_int_t)options->percents[s], "capacity_bytes",
                                               (json_int_t)capacity_bytes, "rules", rows));
        if (table != NULL) {
            printf("%sroom for %s%s\n", s == 0 ? "" : "\n", bytes_text(capacity_bytes),
                   part < CAPACITY_BYTES_MIN ? ", the least there can be" : "");
            (void)scols_print_table(table);
            scols_unref_table(table);
        }
    }
    return true;
}

int command_um(int argument_count, char **arguments)
{
    um_options options = {.fault_ns = UINT64_MAX, .remote_ns = UINT64_MAX};
    const int parsed = parse_options(&options, argument_count, arguments);
    if (parsed >= 0) return parsed;
    fill_costs(&options);
    const char *const path = arguments[optind + 1];
    if (options.json_path != NULL && !can_write("um", options.json_path)) return EXIT_FAILED;
    cache_keys keys;
    bool is_done = read_trace(&options, path, &keys);
    layout pages = {.page_of = must_calloc(keys.object_count + 1u, sizeof *pages.page_of)};
    if (is_done && !lay_out(&keys, (unsigned)options.shift, &pages)) {
        complain("um", "'%s': its keys spread over more than 1 TiB of pages: try --shift", path);
        is_done = false;
    }
    const uint64_t used_bytes = pages.used * ACRE_UM_PAGE_BYTES;
    json_t *const sizes = json_array();
    if (is_done && (options.json_path == NULL || strcmp(options.json_path, "-") != 0))
        printf("%s, %s of %s\n\n", path, counted_text(keys.count, "touch", "touches"), bytes_text(used_bytes));
    is_done = is_done && replay_all(&options, &keys, &pages, sizes);
    if (is_done && options.json_path != NULL) {
        json_t *const document = json_pack("{s:s, s:I, s:I, s:O}", "trace", path, "touches", (json_int_t)keys.count, "bytes",
                                           (json_int_t)used_bytes, "sizes", sizes);
        FILE *const out = open_output(options.json_path);
        is_done = out != NULL && json_dumpf(document, out, JSON_INDENT(1)) == 0 && fputc('\n', out) != EOF;
        if (out != NULL && fclose(out) != 0) is_done = false;
        if (!is_done) complain("um", "'%s' could not be written", options.json_path);
        json_decref(document);
    }
    json_decref(sizes);
    free(pages.page_of);
    cache_keys_end(&keys);
    return is_done ? EXIT_SUCCESS : EXIT_FAILED;
}
