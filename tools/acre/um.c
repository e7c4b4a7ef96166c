/* um.c - `acre um replay`: what sets of rules of unified memory (acre/um.h) would do on a recorded trace or a pattern, in a modelled place.
 */
#include "command.h"
#include "tour_page.h"
#include "um_report.h"
#include "um_run.h"
#include "um_source.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { SIZES_MAX = 16, SHIFT_MAX = 40, TIMELINE_NS_MIN = 1000 };
#define CAPACITY_BYTES_MIN ((uint64_t)2 * ACRE_UM_BLOCK_BYTES)
#define PATTERN_BYTES      ((uint64_t)48 << 20)
#define PATTERN_BYTES_MIN  ((uint64_t)4 << 20)
#define PATTERN_BYTES_MAX  ((uint64_t)4 << 30)

typedef struct um_options {
    cache_trace_options trace;
    const char *pattern; /* NULL: a trace; "all" */
    uint64_t pattern_bytes;
    const char *rules[UM_RULES_MAX];
    unsigned rule_count;
    uint64_t percents[SIZES_MAX];
    unsigned size_count;
    bool is_oversubscribed; /* percents: of the place, what is touched; else of that, what the place has room for */
    uint64_t shift;
    unsigned costs;
    uint64_t fault_ns, remote_ns, bytes_per_s; /* UINT64_MAX, a rate of 0: those of `costs` */
    const char *json_path, *page_path;
    bool has_timelines;
} um_options;

/* What a fault and a byte cost. Sources: GPGPU-Sim UVMSmart's logs, from which they follow; one thread of a kernel that touches managed
 * memory on an NVIDIA H100 80GB HBM3, driver 580.159.04 (`bench/gpu/cuda faults`). docs/um.md has both. */
static const struct {
    const char *name;
    uint64_t fault_ns, remote_ns, bytes_per_s;
} costs[] = {{"uvmsmart", 46389, 1000, 7430000000}, {"h100", 25000, 1900, 24000000000}};

enum { COSTS_COUNT = sizeof costs / sizeof *costs };

static bool has_tables(const um_options *options) { return options->json_path == NULL || strcmp(options->json_path, "-") != 0; }

static void print_help(void)
{
    printf("Usage: acre um replay [OPTIONS] TRACE\n"
           "       acre um replay [OPTIONS] --pattern NAME\n"
           "       acre um run [OPTIONS] PROGRAM          'acre um run --help' says more\n\n"
           "Gives what a trace asked for to unified memory with each set of rules, in a\n"
           "place that has room for a part of it, and tells how many faults there would have\n"
           "been, what would have moved, and how long that takes by the costs below. TRACE\n"
           "is of any format that acre cache reads; each key is a page of 4 KiB, and is\n"
           "read, or written where the format says so: 'accesses' is text, a number and r or\n"
           "w a line.\n\n"
           "  --pattern NAME    instead of a trace what a device does in programs of a kind:\n"
           "                    bfs, stencil, layers, chase, triad, sparse; or all\n"
           "  --bytes N         that a pattern works in: 4M to 4G (default: 48M)\n"
           "  --rules LIST      of acre, nvidia, lru, tree, 64k, demand, random, delayed; or\n"
           "                    all (default: all). docs/um.md says what each does\n"
           "  --size LIST       per cent of the touched pages that the place has room for\n"
           "                    (default of traces: 100,90,80,67)\n"
           "  --oversubscribe LIST\n"
           "                    the same by what is touched, in per cent of the place's room\n"
           "                    (default of patterns: 100,110,125,150)\n"
           "  --shift N         a page is the key divided by 2^N: 12 for addresses of bytes\n"
           "  --costs NAME      of uvmsmart, published of a simulator, or h100, measured on\n"
           "                    that card (default: uvmsmart); the next three change one\n"
           "  --fault NS        from a fault to its transfer (46389, 25000)\n"
           "  --remote NS       a touch of a page that is used where it is (1000, 1900)\n"
           "  --rate BYTES      a second, each way (7430000000, 24000000000)\n"
           "  --format NAME, --key COLUMN, --process PID    as acre cache has them\n"
           "  --timeline        what is where and when, with each set of rules\n"
           "  --html FILE       a page with bars and with these timelines as pictures\n"
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
        for (unsigned i = 0; acre_um_rules_name(i) != NULL && options->rule_count < UM_RULES_MAX; i++) {
            if (!is_all && strcmp(acre_um_rules_name(i), name) != 0) continue;
            options->rules[options->rule_count++] = acre_um_rules_name(i);
            found++;
        }
        if (found == 0) result = complain_usage("um", "--rules: '%s' are no rules: --help has their names", name);
    }
    free(copy);
    return result;
}

/* Numbers, each with or without '%'. */
static int take_percents(um_options *options, const char *list, bool is_oversubscribed)
{
    const char *const option = is_oversubscribed ? "--oversubscribe" : "--size";
    const uint64_t least = is_oversubscribed ? 100 : 1, most = is_oversubscribed ? 10000 : 100;
    char *const copy = must_copy(list), *rest = copy;
    int result = -1;
    options->size_count = 0;
    options->is_oversubscribed = is_oversubscribed;
    for (char *word; result < 0 && (word = strsep(&rest, ",")) != NULL;) {
        const size_t length = strlen(word);
        if (length > 1 && word[length - 1] == '%') word[length - 1] = 0;
        if (options->size_count == SIZES_MAX)
            result = complain_usage("um", "%s names more than %d sizes", option, (int)SIZES_MAX);
        else if (!parse_number(word, least, most, &options->percents[options->size_count++]))
            result = complain_usage("um", "%s: '%s' is no number of per cent from %llu to %llu", option, word, (unsigned long long)least,
                                    (unsigned long long)most);
    }
    free(copy);
    return result;
}

static int take_pattern(um_options *options, const char *name)
{
    unsigned number = 0;
    while (um_pattern_name(number) != NULL && strcmp(um_pattern_name(number), name) != 0) number++;
    options->pattern = name;
    if (um_pattern_name(number) != NULL || strcmp(name, "all") == 0) return -1;
    return complain_usage("um", "--pattern: '%s' is none: --help has their names", name);
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

/* -1, or the exit code. Long: each option has its lines, and nothing else is here. */
static int parse_options(um_options *options, int argument_count, char **arguments)
{
    static const struct option names[] = {
        {"rules", required_argument, NULL, 'r'},
        {"size", required_argument, NULL, 's'},
        {"oversubscribe", required_argument, NULL, 'o'},
        {"pattern", required_argument, NULL, 'p'},
        {"bytes", required_argument, NULL, 'b'},
        {"shift", required_argument, NULL, 'S'},
        {"fault", required_argument, NULL, 'F'},
        {"costs", required_argument, NULL, 'C'},
        {"remote", required_argument, NULL, 'R'},
        {"rate", required_argument, NULL, 'B'},
        {"format", required_argument, NULL, 'f'},
        {"key", required_argument, NULL, 'k'},
        {"process", required_argument, NULL, 'P'},
        {"json", required_argument, NULL, 'j'},
        {"html", required_argument, NULL, 'H'},
        {"timeline", no_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int result = take_rules(options, "all");
    opterr = 0;
    for (int option; result < 0 && (option = getopt_long(argument_count, arguments, ":h", names, NULL)) != -1;) {
        bool is_number = true;
        switch (option) {
        case 'r':
            result = take_rules(options, optarg);
            break;
        case 's':
        case 'o':
            result = take_percents(options, optarg, option == 'o');
            break;
        case 'p':
            result = take_pattern(options, optarg);
            break;
        case 'b':
            is_number = parse_bytes(optarg, &options->pattern_bytes) && options->pattern_bytes >= PATTERN_BYTES_MIN &&
                        options->pattern_bytes <= PATTERN_BYTES_MAX;
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
        case 'H':
            options->page_path = optarg;
            break;
        case 't':
            options->has_timelines = true;
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
    if (optind == argument_count || strcmp(arguments[optind], "replay") != 0)
        return complain_usage("um", "it is 'acre um replay' and one trace");
    if (argument_count - optind != (options->pattern == NULL ? 2 : 1))
        return complain_usage("um", "it is 'acre um replay' and one trace, or --pattern and none");
    if (options->size_count > 0) return -1;
    return options->pattern == NULL ? take_percents(options, "100,90,80,67", false) : take_percents(options, "100,110,125,150", true);
}

/* ---- replaying ---- */

typedef struct replaying {
    acre_um *um;
    unsigned place;
    uint64_t at;
    um_timeline *timeline; /* NULL: none is wanted */
} replaying;

static bool touch(void *context, uint64_t at, uint64_t bytes, bool is_write)
{
    const replaying *const self = context;
    if (acre_um_touch(self->um, self->place, self->at + at, bytes, is_write) != ACRE_OK) return false;
    if (self->timeline != NULL) um_timeline_note(self->timeline);
    return true;
}

/* Of one set of rules. */
static bool replay(const um_options *options, const um_source *source, um_result *result, unsigned number)
{
    replaying self = {.timeline = options->has_timelines || options->page_path != NULL ? &result->timelines[number] : NULL};
    acre_um_figures before = {0}, *const figures = &result->figures[number];
    const uint64_t blocks = (source->bytes + ACRE_UM_BLOCK_BYTES - 1) / ACRE_UM_BLOCK_BYTES;
    acre_um_options open = {.bytes_max = blocks * ACRE_UM_BLOCK_BYTES, .is_modelled = true};
    const acre_um_place near_place = {.name = "place",
                                      .capacity_bytes = result->capacity_bytes,
                                      .costs = {.fault_ns = options->fault_ns,
                                                .remote_ns = options->remote_ns,
                                                .in_bytes_per_s = options->bytes_per_s,
                                                .out_bytes_per_s = options->bytes_per_s}};
    bool is_done = acre_um_rules_named(result->rules[number], &open.rules) == ACRE_OK && acre_um_open(&open, &self.um) == ACRE_OK &&
                   acre_um_add_place(self.um, &near_place, &self.place) == ACRE_OK &&
                   acre_um_allocate(self.um, source->bytes, &self.at) == ACRE_OK &&
                   acre_um_touch(self.um, ACRE_UM_HOME, self.at, source->bytes, true) == ACRE_OK &&
                   acre_um_read_figures(self.um, self.place, &before) == ACRE_OK;
    if (is_done && self.timeline != NULL) um_timeline_begin(self.timeline, self.um, self.place, self.at, source->bytes, TIMELINE_NS_MIN);
    is_done = is_done && um_source_run(source, touch, &self) && acre_um_read_figures(self.um, self.place, figures) == ACRE_OK;
    if (is_done && self.timeline != NULL) um_timeline_end(self.timeline);
    if (!is_done) complain("um", "%s", acre_last_error());
    figures->clock_ns -= before.clock_ns;
    acre_um_close(self.um);
    return is_done;
}

/* The place's room, whole blocks of a pattern's and whole pages of a trace's. */
static uint64_t capacity_of(const um_options *options, const um_source *source, uint64_t percent)
{
    if (!options->is_oversubscribed) return source->used_bytes / ACRE_UM_PAGE_BYTES * percent / 100 * ACRE_UM_PAGE_BYTES;
    return source->used_bytes * 100 / percent / ACRE_UM_BLOCK_BYTES * ACRE_UM_BLOCK_BYTES;
}

/* All sizes of one source, into results that are zeros. */
static bool replay_all(const um_options *options, const um_source *source, um_result *results)
{
    if (has_tables(options) && source->is_trace)
        printf("%s, %s of %s\n", source->name, counted_text(source->keys.count, "touch", "touches"), bytes_text(source->used_bytes));
    else if (has_tables(options))
        printf("%s, %s\n", source->name, bytes_text(source->used_bytes));
    for (unsigned s = 0; s < options->size_count; s++) {
        const uint64_t wanted = capacity_of(options, source, options->percents[s]);
        um_result *const result = &results[s];
        *result = (um_result){.source = source->name,
                              .bytes = source->used_bytes,
                              .percent = options->percents[s],
                              .is_oversubscribed = options->is_oversubscribed,
                              .is_least = wanted < CAPACITY_BYTES_MIN,
                              .capacity_bytes = wanted < CAPACITY_BYTES_MIN ? CAPACITY_BYTES_MIN : wanted,
                              .rule_count = options->rule_count};
        memcpy(result->rules, options->rules, sizeof result->rules);
        for (unsigned i = 0; i < options->rule_count; i++)
            if (!replay(options, source, result, i)) return false;
        if (has_tables(options)) um_print(result, options->has_timelines);
    }
    return true;
}

static bool write_json(const um_options *options, json_t *document)
{
    FILE *const out = open_output(options->json_path);
    bool is_done = out != NULL && json_dumpf(document, out, JSON_INDENT(1)) == 0 && fputc('\n', out) != EOF;
    if (out != NULL && fclose(out) != 0) is_done = false;
    if (!is_done) complain("um", "'%s' could not be written", options->json_path);
    json_decref(document);
    return is_done;
}

static json_t *json_of(const um_options *options, const um_source *source, const um_result *results)
{
    json_t *const sizes = json_array();
    for (unsigned i = 0; i < options->size_count; i++) json_array_append_new(sizes, um_json(&results[i]));
    if (source->is_trace)
        return json_pack("{s:s, s:I, s:I, s:o}", "trace", source->name, "touches", (json_int_t)source->keys.count, "bytes",
                         (json_int_t)source->used_bytes, "sizes", sizes);
    return json_pack("{s:s, s:I, s:o}", "pattern", source->name, "bytes", (json_int_t)source->used_bytes, "sizes", sizes);
}

static bool write_page(const char *path, const um_result *results, size_t count)
{
    json_t *const document = um_document(results, count);
    const bool is_done = export_tour_page(document, path) == ACRE_OK;
    if (!is_done) complain("um", "%s", acre_last_error());
    json_decref(document);
    return is_done;
}

static bool replay_trace(const um_options *options, const char *path, um_result *results)
{
    um_source source;
    bool is_done = um_source_open_trace(&source, path, &options->trace, (unsigned)options->shift) && replay_all(options, &source, results);
    if (is_done && options->json_path != NULL) is_done = write_json(options, json_of(options, &source, results));
    um_source_close(&source);
    return is_done;
}

/* `*count`: of the results that are filled. */
static bool replay_patterns(const um_options *options, um_result *results, size_t *count)
{
    json_t *const patterns = json_array();
    bool is_done = true;
    *count = 0;
    for (unsigned i = 0; um_pattern_name(i) != NULL && is_done; i++) {
        um_source source;
        if (strcmp(options->pattern, "all") != 0 && strcmp(options->pattern, um_pattern_name(i)) != 0) continue;
        if (*count > 0 && has_tables(options)) putchar('\n');
        um_source_open_pattern(&source, i, options->pattern_bytes);
        is_done = replay_all(options, &source, results + *count);
        if (is_done) json_array_append_new(patterns, json_of(options, &source, results + *count));
        *count += options->size_count;
        um_source_close(&source);
    }
    if (is_done && options->json_path != NULL) return write_json(options, json_pack("{s:o}", "patterns", patterns));
    json_decref(patterns);
    return is_done;
}

int command_um(int argument_count, char **arguments)
{
    if (argument_count > 1 && strcmp(arguments[1], "run") == 0) return um_run(argument_count - 1, arguments + 1);
    um_options options = {.fault_ns = UINT64_MAX, .remote_ns = UINT64_MAX, .pattern_bytes = PATTERN_BYTES};
    const int parsed = parse_options(&options, argument_count, arguments);
    if (parsed >= 0) return parsed;
    fill_costs(&options);
    if (options.json_path != NULL && !can_write("um", options.json_path)) return EXIT_FAILED;
    if (options.page_path != NULL && !can_write("um", options.page_path)) return EXIT_FAILED;
    size_t count = options.size_count, pattern_count = 0;
    while (um_pattern_name((unsigned)pattern_count) != NULL) pattern_count++;
    um_result *const results = must_calloc(options.size_count * pattern_count, sizeof *results);
    bool is_done =
        options.pattern == NULL ? replay_trace(&options, arguments[optind + 1], results) : replay_patterns(&options, results, &count);
    if (is_done && has_tables(&options) && count > 1) um_print_times(results, count);
    if (is_done && options.page_path != NULL) is_done = write_page(options.page_path, results, count);
    for (size_t i = 0; i < count; i++) um_result_free(&results[i]);
    free(results);
    return is_done ? EXIT_SUCCESS : EXIT_FAILED;
}
