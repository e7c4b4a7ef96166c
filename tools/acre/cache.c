/* cache.c - `acre cache`: how often a cache of each policy and size misses on recorded traces.
 *
 * Of a sample of keys at rate R, a cache of c entries is stood for by one of R c entries that sees the sample alone, and M misses of it for
 * M / R (SHARDS for LRU; Waldspurger, Saemundson, Ahmad and Park 2017 for any policy). Divided by all requests, not by those in the
 * sample: what few hot keys a sample happens to have or not to have are hits (SHARDS-adj). The error that is stated has two parts: keys
 * are in the sample or not, each for itself, so the variance of the misses is (1 - R) / R^2 times the sum of the squares of each sampled
 * key's misses; and the number of sampled keys that would be in the cache has a deviation of sqrt((1 - R) / (R c)) of itself, which is what
 * the ratio changes by between that much smaller and larger caches.
 */
#include "cache_report.h"

#include "command.h"
#include "tour_page.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIZES_MAX = 64, CURVE_DEFAULT = 24, CURVE_MAX = 200, TRACES_MAX = 1000, BAR_COLUMNS = 30 };

typedef struct wanted_size {
    double share; /* of the objects; 0: `entries` */
    uint64_t entries;
} wanted_size;

typedef struct cache_options {
    cache_trace_options trace;
    unsigned rules[CACHE_RULE_COUNT];
    size_t rule_count;
    wanted_size sizes[SIZES_MAX];
    size_t size_count;
    uint64_t curve_points;
    double sample_rate;      /* 1: all */
    uint64_t sample_objects; /* 0: as many as there are */
    uint64_t thread_count;
    bool reads_ahead;
    const char *json_path, *html_path;
} cache_options;

static void print_help(void)
{
    printf("Usage: acre cache [OPTIONS] TRACE...\n\n"
           "Gives what a cache was asked for to replacement policies, and tells how often a\n"
           "cache of each policy and size would have missed. TRACE is a file of requests,\n"
           "also packed by gzip, xz or zstd.\n\n"
           "  --policy LIST     of adaptive, fifo, lru, clock, 2q, arc, car, lirs, s3-fifo,\n"
           "                    sieve, w-tinylfu, and opt, which knows the future; or all\n"
           "                    (default: all)\n"
           "  --size LIST       entries, or per cent of the trace's objects\n"
           "                    (default: 1%%,5%%,10%%,20%%)\n"
           "  --curve N         that many sizes more, evenly apart on a logarithmic scale up\n"
           "                    to all objects, for the page and JSON (default: %d with\n"
           "                    --html, else 0)\n"
           "  --sample WHAT     replay a sample of the keys in caches as much smaller, and\n"
           "                    state the error: a rate as 0.01 or 1%%, or as many keys at\n"
           "                    most as a number says\n"
           "  --prefetch        with what a buffer pool foresees and reads ahead; shows all\n"
           "                    reads. Not with --sample, which takes neighbours apart\n"
           "  --format NAME     numbers, csv, addresses, accesses, be32, be64,\n"
           "                    oracleGeneral, vscsi, acre (default: by name and contents)\n"
           "  --key COLUMN      of csv: name or number, from 1, of the column of keys\n"
           "  --process PID     of acre: which process (default: that with most events)\n"
           "  --threads N       replays at the same time (default: one a core)\n"
           "  --json FILE       the figures as JSON ('-': standard output, without table)\n"
           "  --html FILE       a page with miss-ratio curves\n",
           CURVE_DEFAULT);
}

/* --- options --- */

/* A number with decimals and perhaps '%' behind it. */
static bool parse_share(const char *text, double *share)
{
    char *end;
    if ((text[0] < '0' || text[0] > '9') && text[0] != '.') return false;
    const double value = strtod(text, &end);
    const bool is_percent = *end == '%';
    *share = is_percent ? value / 100 : value;
    return end[is_percent] == 0 && *share > 0 && *share <= 1;
}

static int take_policies(cache_options *options, const char *list)
{
    char *const copy = must_copy(list), *rest = copy;
    int result = -1;
    options->rule_count = 0;
    for (char *name; result < 0 && (name = strsep(&rest, ",")) != NULL;) {
        const bool is_all = strcmp(name, "all") == 0;
        unsigned rule = 0;
        if (!is_all && !cache_rule_named(name, &rule)) result = complain_usage("cache", "--policy: '%s' is no policy", name);
        for (unsigned i = is_all ? 0 : rule; result < 0 && i <= (is_all ? CACHE_RULE_COUNT - 1 : rule); i++) {
            bool is_there = false;
            for (size_t k = 0; k < options->rule_count; k++) is_there |= options->rules[k] == i;
            if (!is_there) options->rules[options->rule_count++] = i;
        }
    }
    free(copy);
    return result;
}

static int take_sizes(cache_options *options, const char *list)
{
    char *const copy = must_copy(list), *rest = copy;
    int result = -1;
    options->size_count = 0;
    for (char *word; result < 0 && (word = strsep(&rest, ",")) != NULL;) {
        wanted_size size = {0};
        const bool is_share = strchr(word, '%') != NULL;
        if (options->size_count == SIZES_MAX)
            result = complain_usage("cache", "--size names more than %d sizes", (int)SIZES_MAX);
        else if (is_share ? !parse_share(word, &size.share) : !parse_number(word, 1, ACRE_POLICY_CAPACITY_MAX, &size.entries))
            result = complain_usage("cache", "--size: '%s' is no number of entries, and no share above 0%% and up to 100%%", word);
        else
            options->sizes[options->size_count++] = size;
    }
    free(copy);
    return result;
}

static int take_sample(cache_options *options, const char *text)
{
    options->sample_rate = 1;
    options->sample_objects = 0;
    const bool is_rate = strpbrk(text, ".%") != NULL;
    if (is_rate ? parse_share(text, &options->sample_rate) : parse_number(text, 64, 1u << 30, &options->sample_objects)) return -1;
    return complain_usage("cache", "--sample '%s' is no rate above 0 and up to 1, and no number of keys from 64 on", text);
}

/* -1, or the exit code. */
static int parse_options(cache_options *options, int argument_count, char **arguments)
{
    static const struct option names[] = {
        {"policy", required_argument, NULL, 'p'},  {"size", required_argument, NULL, 's'},    {"curve", required_argument, NULL, 'c'},
        {"sample", required_argument, NULL, 'S'},  {"prefetch", no_argument, NULL, 'a'},      {"format", required_argument, NULL, 'f'},
        {"key", required_argument, NULL, 'k'},     {"process", required_argument, NULL, 'P'}, {"threads", required_argument, NULL, 't'},
        {"json", required_argument, NULL, 'j'},    {"html", required_argument, NULL, 'H'},    {"help", no_argument, NULL, 'h'},
        {0},
    };
    bool has_curve = false;
    int result = take_policies(options, "all");
    if (result < 0) result = take_sizes(options, "1%,5%,10%,20%");
    opterr = 0;
    for (int option; result < 0 && (option = getopt_long(argument_count, arguments, ":h", names, NULL)) != -1;) {
        switch (option) {
        case 'p':
            result = take_policies(options, optarg);
            break;
        case 's':
            result = take_sizes(options, optarg);
            break;
        case 'S':
            result = take_sample(options, optarg);
            break;
        case 'c':
            has_curve = true;
            if (!parse_number(optarg, 0, CURVE_MAX, &options->curve_points))
                return complain_usage("cache", "--curve '%s' is no number up to %d", optarg, (int)CURVE_MAX);
            break;
        case 'f':
            if (!cache_format_named(optarg, &options->trace.format)) return complain_usage("cache", "--format '%s' is no format", optarg);
            break;
        case 'k':
            options->trace.column = optarg;
            break;
        case 'P':
            if (!parse_number(optarg, 1, UINT32_MAX, &options->trace.process_id))
                return complain_usage("cache", "--process '%s' is no process number", optarg);
            break;
        case 't':
            if (!parse_number(optarg, 1, 256, &options->thread_count))
                return complain_usage("cache", "--threads '%s' is no number from 1 to 256", optarg);
            break;
        case 'a':
            options->reads_ahead = true;
            break;
        case 'j':
            options->json_path = optarg;
            break;
        case 'H':
            options->html_path = optarg;
            break;
        case 'h':
            print_help();
            return EXIT_SUCCESS;
        case ':':
            return complain_usage("cache", "option '%s' needs a value", arguments[optind - 1]);
        default:
            return complain_usage("cache", "unknown option '%s'", arguments[optind - 1]);
        }
    }
    if (result >= 0) return result;
    if (!has_curve && options->html_path != NULL) options->curve_points = CURVE_DEFAULT;
    if (options->reads_ahead && (options->sample_rate < 1 || options->sample_objects > 0))
        return complain_usage("cache", "--prefetch needs all keys, and --sample takes some");
    if (argument_count == optind) return complain_usage("cache", "a trace is needed");
    if (argument_count - optind > TRACES_MAX) return complain_usage("cache", "at most %d traces at once", (int)TRACES_MAX);
    return -1;
}

/* --- progress --- */

static void show_progress(void *context, double share, const cache_job *job)
{
    const cache_result *const result = context;
    char bar[BAR_COLUMNS + 1];
    const int filled = (int)(share * BAR_COLUMNS);
    for (int i = 0; i < BAR_COLUMNS; i++) bar[i] = i < filled ? '#' : '.';
    bar[BAR_COLUMNS] = 0;
    fprintf(stderr, "\r\033[K[%s] %3.0f%% ", bar, 100 * share);
    if (job != NULL)
        fprintf(stderr, "%s, %s", cache_rule_name(job->rule), counted_text(job->capacity, "entry", "entries"));
    else
        fprintf(stderr, "reading %.30s", result->path);
}

static void end_progress(void)
{
    if (isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
}

/* --- one trace --- */

typedef struct reading {
    cache_keys keys;
    cache_input *input;
    const cache_result *result;
    bool is_terminal;
} reading;

static bool take_key(void *context, uint64_t key)
{
    enum { REQUESTS_A_REPORT = 1 << 20 };
    reading *const self = context;
    if (self->is_terminal && self->keys.request_count % REQUESTS_A_REPORT == REQUESTS_A_REPORT - 1)
        show_progress((void *)(uintptr_t)self->result, cache_input_share(self->input), NULL);
    return cache_keys_take(&self->keys, key);
}

static bool read_trace(const cache_options *options, reading *self, cache_result *result)
{
    acre_status status = cache_input_open(&self->input, result->path);
    cache_keys_begin(&self->keys, options->sample_rate, (uint32_t)options->sample_objects);
    if (status == ACRE_OK) {
        status = cache_trace_read(self->input, &options->trace, take_key, self, &result->info);
        result->packing = cache_input_packing(self->input);
        cache_input_close(self->input);
        end_progress();
    }
    if (status != ACRE_OK) {
        complain("cache", "%s", acre_last_error());
        return false;
    }
    if (result->info.warning != NULL) complain("cache", "%s", result->info.warning);
    if (self->keys.is_too_long) {
        complain("cache", "'%s' has more than %s requests: a sample is needed (--sample 0.01)", result->path, count_text(CACHE_KEYS_MAX));
        return false;
    }
    if (self->keys.count == 0) {
        complain("cache", "'%s': no key is in the sample; a larger one is needed", result->path);
        return false;
    }
    result->rate = cache_keys_rate(&self->keys);
    result->sample_count = self->keys.count;
    result->object_count = (uint64_t)llround((double)self->keys.object_count / result->rate);
    return true;
}

static void add_size(cache_result *result, double entries, bool is_asked)
{
    const double most = (double)ACRE_POLICY_CAPACITY_MAX;
    const uint32_t size = entries < 1 ? 1 : entries > most ? ACRE_POLICY_CAPACITY_MAX : (uint32_t)llround(entries);
    size_t at = 0;
    while (at < result->size_count && result->sizes[at] < size) at++;
    if (at == result->size_count || result->sizes[at] != size) {
        memmove(result->sizes + at + 1, result->sizes + at, (result->size_count - at) * sizeof *result->sizes);
        memmove(result->is_asked + at + 1, result->is_asked + at, (result->size_count - at) * sizeof *result->is_asked);
        result->sizes[at] = size;
        result->is_asked[at] = false;
        result->size_count++;
    }
    result->is_asked[at] |= is_asked;
}

static void choose_sizes(const cache_options *options, cache_result *result)
{
    const double objects = (double)result->object_count;
    const size_t most = options->size_count + (size_t)options->curve_points;
    result->sizes = must_calloc(most + 1, sizeof *result->sizes);
    result->is_asked = must_calloc(most + 1, sizeof *result->is_asked);
    for (size_t i = 0; i < options->size_count; i++)
        add_size(result, options->sizes[i].share > 0 ? options->sizes[i].share * objects : (double)options->sizes[i].entries, true);
    for (uint64_t i = 0; i < options->curve_points; i++) /* from a thousandth of the objects, but at least 8 entries, to all of them */
        add_size(result, objects * pow(fmax(0.001, fmin(1, 8 / objects)), 1 - (double)(i + 1) / (double)options->curve_points), false);
}

/* The jobs of a size: the cache itself and, in a sample, a smaller and a larger one. */
enum { JOBS_A_SIZE = 3 };

static void make_jobs(cache_job *jobs, const cache_result *result, const cache_keys *keys, unsigned rule, const uint32_t *next_uses,
                      uint32_t size)
{
    const double scaled = fmax(1, round((double)size * result->rate));
    const double deviation = sqrt((1 - result->rate) * scaled);
    const double capacities[JOBS_A_SIZE] = {scaled, fmax(1, round(scaled - deviation)), round(scaled + deviation)};
    for (size_t i = 0; i < JOBS_A_SIZE; i++)
        jobs[i] = (cache_job){.keys = keys,
                              .next_uses = rule == CACHE_RULE_OPT ? next_uses : NULL,
                              .rule = rule,
                              .reads_ahead = result->reads_ahead && rule != CACHE_RULE_OPT,
                              .capacity = (uint32_t)capacities[i],
                              .counts_squares = i == 0 && result->rate < 1};
}

static cache_figure figure_of(const cache_job *jobs, const cache_result *result)
{
    if (jobs[0].failure != NULL) return (cache_figure){0};
    const double requests = (double)result->info.request_count, rate = result->rate;
    const double ratio = (double)jobs[0].miss_count / rate / requests;
    cache_figure figure = {
        .is_known = true, .miss_count = jobs[0].miss_count, .read_count = jobs[0].read_count, .miss_ratio = fmin(1, ratio)};
    if (rate == 1) return figure;
    const double spread = fabs((double)jobs[1].miss_count - (double)jobs[2].miss_count) / 2 / rate / requests;
    const double by_keys = sqrt((1 - rate) * jobs[0].square_sum) / rate / requests;
    figure.miss_count = (uint64_t)llround(fmin((double)jobs[0].miss_count / rate, requests));
    figure.error = hypot(spread, by_keys);
    return figure;
}

static void replay_all(const cache_options *options, const cache_keys *keys, cache_result *result)
{
    const size_t jobs_a_size = result->rate < 1 ? JOBS_A_SIZE : 1;
    const size_t figure_count = result->rule_count * result->size_count;
    cache_job *const jobs = must_calloc(figure_count * jobs_a_size + JOBS_A_SIZE, sizeof *jobs);
    bool needs_next_uses = false;
    for (size_t i = 0; i < result->rule_count; i++) needs_next_uses |= result->rules[i] == CACHE_RULE_OPT;
    uint32_t *const next_uses = needs_next_uses ? cache_next_uses(keys) : NULL;
    for (size_t i = 0; i < figure_count; i++)
        make_jobs(jobs + i * jobs_a_size, result, keys, result->rules[i / result->size_count], next_uses,
                  result->sizes[i % result->size_count]);
    cache_replay(jobs, figure_count * jobs_a_size, (unsigned)options->thread_count, isatty(STDERR_FILENO) ? show_progress : NULL, result);
    end_progress();
    result->figures = must_calloc(figure_count + 1, sizeof *result->figures);
    for (size_t i = 0; i < figure_count; i++) {
        result->figures[i] = figure_of(jobs + i * jobs_a_size, result);
        if (jobs[i * jobs_a_size].failure != NULL)
            complain("cache", "%s with %s: %s", cache_rule_name(jobs[i * jobs_a_size].rule),
                     counted_text(result->sizes[i % result->size_count], "entry", "entries"), jobs[i * jobs_a_size].failure);
    }
    free(next_uses);
    free(jobs);
}

static bool run_trace(const cache_options *options, const char *path, cache_result *result)
{
    *result = (cache_result){.path = path, .reads_ahead = options->reads_ahead, .rules = options->rules, .rule_count = options->rule_count};
    reading self = {.result = result, .is_terminal = isatty(STDERR_FILENO)};
    const bool is_read = read_trace(options, &self, result);
    if (is_read) {
        choose_sizes(options, result);
        replay_all(options, &self.keys, result);
    }
    cache_keys_end(&self.keys);
    return is_read;
}

static void free_result(cache_result *result)
{
    free(result->info.warning);
    free(result->sizes);
    free(result->is_asked);
    free(result->figures);
}

/* --- the command --- */

static bool write_document(const cache_options *options, const json_t *document)
{
    bool is_written = true;
    if (options->json_path != NULL && strcmp(options->json_path, "-") == 0) {
        is_written = json_dumpf(document, stdout, JSON_INDENT(1)) == 0 && putchar('\n') != EOF;
    } else if (options->json_path != NULL) {
        is_written = json_dump_file(document, options->json_path, JSON_INDENT(1)) == 0;
        if (!is_written) complain("cache", "'%s' can't be written: %s", options->json_path, strerror(errno));
    }
    if (options->html_path == NULL) return is_written;
    if (export_tour_page(document, options->html_path) == ACRE_OK) return is_written;
    complain("cache", "%s", acre_last_error());
    return false;
}

int command_cache(int argument_count, char **arguments)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    cache_options options = {.sample_rate = 1, .thread_count = cores > 0 ? (uint64_t)cores : 1};
    const int result = parse_options(&options, argument_count, arguments);
    if (result >= 0) return result;
    if (options.json_path != NULL && !can_write("cache", options.json_path)) return EXIT_FAILED;
    if (options.html_path != NULL && !can_write("cache", options.html_path)) return EXIT_FAILED;

    const bool has_table = options.json_path == NULL || strcmp(options.json_path, "-") != 0;
    const size_t trace_count = (size_t)(argument_count - optind);
    cache_result *const results = must_calloc(trace_count, sizeof *results);
    size_t count = 0; /* traces that could be read; what is wrong with the others has been said */
    for (size_t i = 0; i < trace_count; i++) {
        if (!run_trace(&options, arguments[(size_t)optind + i], &results[count])) {
            free_result(&results[count]);
            continue;
        }
        if (has_table && count > 0) putchar('\n');
        if (has_table) cache_print(&results[count]);
        count++;
    }
    bool is_good = count == trace_count;
    if (count > 0 && (options.json_path != NULL || options.html_path != NULL)) {
        json_t *const document = cache_document(results, count);
        is_good &= write_document(&options, document);
        json_decref(document);
    }
    for (size_t i = 0; i < count; i++) free_result(&results[i]);
    free(results);
    return is_good ? EXIT_SUCCESS : EXIT_FAILED;
}
