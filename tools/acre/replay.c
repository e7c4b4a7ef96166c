/* replay.c - `acre replay`: gives the allocations of a recorded trace to chosen allocators and compares them.
 *
 * The trace is turned into a list of steps (object numbers instead of addresses), which a fresh process of this tool works off
 * with the allocator preloaded. One thread does all steps in the order of time, also when the program had many: allocators are
 * compared by the same sequence, and contention is not part of it. Each page of a block is written once, outside of the
 * measured time, so that resident memory is what the program could have used.
 */
#include "command.h"
#include "device_replay.h"
#include "os/ticks.h"
#include "outputs.h"
#include "steps.h"
#include "strategies.h"

#include <acre/histogram.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <libsmartcols.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ENGINE_COUNT_MAX = 16, REPEAT_DEFAULT = 3, PAGE_BYTES = 4096 };

/* --- steps --- */

/* The steps of one process in a memory file that children inherit; -1 after a message. */
static int make_steps(trace_reader *reader, uint32_t process, replay_header *header, uint64_t *skipped_count)
{
    const int fd = memfd_create("acre-replay", 0);
    FILE *const out = fd >= 0 ? fdopen(dup(fd), "wb") : NULL;
    if (out == NULL) {
        complain("replay", "no memory file for the steps: %s", strerror(errno));
        return -1;
    }
    if (steps_write(reader, process, out, header, skipped_count)) return fd;
    complain("replay", "the steps can't be written: %s", strerror(errno));
    close(fd);
    return -1;
}

/* --- the worker: a process of its own --- */

typedef struct replay_result {
    uint64_t peak_rss_bytes; /* above what the process had before the first step */
    uint64_t instructions;   /* of all steps and of the loop around them; 0: the machine does not count them */
    uint64_t failed_count;
    uint64_t clock_ticks;    /* what an empty measurement takes; taken off below */
    uint64_t ticks_per_second;
    acre_histogram ticks[2]; /* [0] allocations, [1] frees */
} replay_result;

static uint64_t status_bytes(const char *name)
{
    char line[256];
    unsigned long long kib = 0;
    FILE *const file = fopen("/proc/self/status", "re");
    if (file == NULL) return 0;
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0) kib = strtoull(line + strlen(name), NULL, 10);
    fclose(file);
    return (uint64_t)kib * 1024;
}

static int open_instruction_counter(void)
{
    struct perf_event_attr attributes = {
        .type = PERF_TYPE_HARDWARE,
        .size = sizeof attributes,
        .config = PERF_COUNT_HW_INSTRUCTIONS,
        .exclude_kernel = 1,
        .exclude_hv = 1,
    };
    return (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static uint64_t least_clock_ticks(acre_clock clock)
{
    enum { TRIES = 1000 };
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < TRIES; i++) {
        const uint64_t begin = acre_ticks(clock), end = acre_ticks(clock);
        if (end - begin < least) least = end - begin;
    }
    return least;
}

static void *step_alloc(const replay_step *step, void *old)
{
    const size_t alignment = (size_t)1 << step->alignment_log2;
    switch (step->op) {
    case ACRE_EVENT_CALLOC: return calloc(1, step->size);
    case ACRE_EVENT_REALLOC: return realloc(old, step->size > 0 ? step->size : 1);
    case ACRE_EVENT_ALIGNED: {
        void *block = NULL;
        return posix_memalign(&block, alignment < sizeof(void *) ? sizeof(void *) : alignment, step->size) == 0 ? block : NULL;
    }
    default: return malloc(step->size);
    }
}

static void work(const replay_header *header, const replay_step *steps, char **objects, replay_result *result)
{
    const acre_clock clock = acre_clock_of_machine();
    for (uint64_t i = 0; i < header->step_count; i++) {
        const replay_step *const step = &steps[i];
        char **const object = &objects[step->object];
        const bool is_free = step->op == ACRE_EVENT_FREE;
        char *block = *object;

        const uint64_t begin = acre_ticks(clock);
        if (is_free) free(block);
        else block = step_alloc(step, block);
        const uint64_t spent = acre_ticks(clock) - begin;

        acre_histogram_add(&result->ticks[is_free], spent > result->clock_ticks ? spent - result->clock_ticks : 0);
        *object = is_free ? NULL : block;
        if (is_free) continue;
        if (block == NULL) result->failed_count++;
        for (uint64_t at = 0; block != NULL && at < step->size; at += PAGE_BYTES) block[at] = 1;
    }
}

/* `acre replay --worker FD`: FD holds the steps, the result goes to standard output. */
static int worker(int fd)
{
    struct stat facts;
    if (fstat(fd, &facts) != 0) return EXIT_TOOL;
    const replay_header *const header = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (header == MAP_FAILED) return EXIT_TOOL;
    const size_t objects_bytes = (header->object_count + 1) * sizeof(char *);
    char **const objects =
        mmap(NULL, objects_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    replay_result *const result =
        mmap(NULL, sizeof *result, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (objects == MAP_FAILED || result == MAP_FAILED) return EXIT_TOOL;

    enum { CALIBRATE_NS = 5 * 1000 * 1000 };
    const acre_clock clock = acre_clock_of_machine();
    result->clock_ticks = least_clock_ticks(clock);
    result->ticks_per_second = acre_ticks_per_second(clock, CALIBRATE_NS);
    const int counter = open_instruction_counter();
    const uint64_t rss_before = status_bytes("VmRSS:");
    work(header, (const replay_step *)(header + 1), objects, result);
    if (counter < 0 || read(counter, &result->instructions, sizeof result->instructions) != sizeof result->instructions)
        result->instructions = 0;
    const uint64_t rss_peak = status_bytes("VmHWM:");
    result->peak_rss_bytes = rss_peak > rss_before ? rss_peak - rss_before : 0;
    for (size_t at = 0; at < sizeof *result;) {
        const ssize_t put = write(STDOUT_FILENO, (const char *)result + at, sizeof *result - at);
        if (put <= 0) return EXIT_TOOL;
        at += (size_t)put;
    }
    return EXIT_SUCCESS;
}

/* --- engines --- */

typedef struct engine {
    const char *name;
    char *library; /* NULL: the C library's own malloc */
    replay_result best; /* of the repetition with the least mean */
    uint64_t run_count;
} engine;

static double ns_of(const replay_result *result, double ticks) { return ticks * 1e9 / (double)result->ticks_per_second; }

static double mean_ns(const replay_result *result)
{
    const uint64_t count = result->ticks[0].count + result->ticks[1].count;
    return count == 0 ? 0 : ns_of(result, (double)(result->ticks[0].sum + result->ticks[1].sum) / (double)count);
}

/* Runs the steps on an engine once; false after a message. */
static bool run_engine(engine *on, int steps_fd)
{
    int result_pipe[2];
    replay_result *const result = must_calloc(1, sizeof *result);
    if (pipe2(result_pipe, O_CLOEXEC) != 0) {
        complain("replay", "no pipe: %s", strerror(errno));
        free(result);
        return false;
    }
    const pid_t child = fork();
    if (child == 0) {
        char number[16];
        snprintf(number, sizeof number, "%d", steps_fd);
        (void)dup2(result_pipe[1], STDOUT_FILENO);
        (void)unsetenv("LD_PRELOAD");
        if (on->library != NULL) (void)setenv("LD_PRELOAD", on->library, 1);
        (void)execl("/proc/self/exe", "acre", "replay", "--worker", number, (char *)NULL);
        _exit(EXIT_NOT_FOUND);
    }
    close(result_pipe[1]);
    size_t got = 0;
    for (ssize_t length = 1; child > 0 && length > 0 && got < sizeof *result; got += (size_t)length) {
        length = read(result_pipe[0], (char *)result + got, sizeof *result - got);
        if (length < 0) length = 0;
    }
    close(result_pipe[0]);
    int status = -1;
    if (child > 0) (void)waitpid(child, &status, 0);
    const bool is_good = got == sizeof *result && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
    if (!is_good && WIFSIGNALED(status)) complain("replay", "on '%s': killed by signal %d", on->name, WTERMSIG(status));
    else if (!is_good) complain("replay", "on '%s': the replay ended without a result", on->name);
    if (is_good && (on->run_count == 0 || mean_ns(result) < mean_ns(&on->best))) on->best = *result;
    on->run_count += is_good;
    free(result);
    return is_good;
}

static bool name_engine(engine *out, const char *name)
{
    *out = (engine){.name = name};
    if (strcmp(name, "glibc") == 0) return true;
    if (strcmp(name, "acre") == 0) {
        out->library = find_malloc_library("replay", NULL);
        return out->library != NULL;
    }
    if (strchr(name, '/') == NULL && strstr(name, ".so") == NULL) {
        (void)complain_usage("replay", "--on '%s' is no engine: 'acre', 'glibc' or the path of a .so", name);
        return false;
    }
    if (is_malloc_library("replay", "--on", name)) out->library = realpath(name, NULL);
    return out->library != NULL;
}

/* --- the comparison --- */

static double wasted_share(const replay_header *header, const replay_result *result)
{
    if (result->peak_rss_bytes <= header->peak_live_bytes) return 0;
    return 1 - (double)header->peak_live_bytes / (double)result->peak_rss_bytes;
}

static double percentile_ns(const replay_result *result, int which, uint32_t per_million)
{
    return ns_of(result, (double)acre_histogram_percentile(&result->ticks[which], per_million));
}

static double instructions_per_step(const replay_header *header, const replay_result *result)
{
    return (double)result->instructions / (double)(header->step_count > 0 ? header->step_count : 1);
}

/* "libjemalloc.so.2" -> "jemalloc": the shorter, the more room for figures. */
static void name_of_engine(char *text, size_t size, const char *path)
{
    const char *const slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    const char *const end = strstr(name, ".so");
    if (strncmp(name, "lib", 3) == 0 && strncmp(name, "libc.", 5) != 0) name += 3;
    snprintf(text, size, "%.*s", end > name ? (int)(end - name) : (int)strlen(name), name);
}

/* At most 80 columns: what a name is longer than its column is cut. */
static void print_comparison(const replay_header *header, const engine *engines, size_t count)
{
    static const char *const names[] = {"ENGINE", "PEAK RSS", "WASTED", "MEAN", "P50", "P99", "P99.9", "MAX", "F50", "F99", "INSTR"};
    enum { COLUMN_COUNT = sizeof names / sizeof names[0], TABLE_COLUMNS = 80 };
    struct libscols_table *const table = scols_new_table();
    if (table == NULL) return;
    for (size_t i = 0; i < COLUMN_COUNT; i++) (void)scols_table_new_column(table, names[i], 0, i > 0 ? SCOLS_FL_RIGHT : SCOLS_FL_TRUNC);
    (void)scols_table_set_termforce(table, SCOLS_TERMFORCE_ALWAYS);
    (void)scols_table_set_termwidth(table, TABLE_COLUMNS);
    for (size_t i = 0; i < count; i++) {
        const replay_result *const best = &engines[i].best;
        char cells[COLUMN_COUNT][32];
        name_of_engine(cells[0], sizeof cells[0], engines[i].name);
        snprintf(cells[1], sizeof cells[1], "%s", bytes_text(best->peak_rss_bytes));
        snprintf(cells[2], sizeof cells[2], "%.1f%%", wasted_share(header, best) * 100);
        snprintf(cells[3], sizeof cells[3], "%.1f", mean_ns(best));
        snprintf(cells[4], sizeof cells[4], "%.0f", percentile_ns(best, 0, 500000));
        snprintf(cells[5], sizeof cells[5], "%.0f", percentile_ns(best, 0, 990000));
        snprintf(cells[6], sizeof cells[6], "%.0f", percentile_ns(best, 0, 999000));
        snprintf(cells[7], sizeof cells[7], "%s", duration_text((uint64_t)ns_of(best, (double)best->ticks[0].max)));
        snprintf(cells[8], sizeof cells[8], "%.0f", percentile_ns(best, 1, 500000));
        snprintf(cells[9], sizeof cells[9], "%.0f", percentile_ns(best, 1, 990000));
        if (best->instructions > 0) snprintf(cells[10], sizeof cells[10], "%.0f", instructions_per_step(header, best));
        else snprintf(cells[10], sizeof cells[10], "-");
        struct libscols_line *const line = scols_table_new_line(table, NULL);
        for (size_t c = 0; line != NULL && c < COLUMN_COUNT; c++) (void)scols_line_set_data(line, c, cells[c]);
    }
    scols_print_table(table);
    scols_unref_table(table);
    puts("\nPEAK RSS: above the empty process. WASTED: the part of it that is not live bytes\n"
         "of the trace's peak. MEAN of a step, P50 to MAX of malloc, F50 and F99 of free:\n"
         "nanoseconds without the clock's own. INSTR: instructions of a step, the replay's\n"
         "loop included ('-': not counted here).");
}

static json_t *comparison_json(const replay_header *header, const engine *engines, size_t count)
{
    json_t *const rows = json_array();
    for (size_t i = 0; i < count; i++) {
        const replay_result *const best = &engines[i].best;
        (void)json_array_append_new(
            rows, json_pack("{s:s, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:o}", "engine", engines[i].name, "peak_rss_bytes",
                            (json_int_t)best->peak_rss_bytes, "wasted", wasted_share(header, best), "ns_per_step", mean_ns(best),
                            "malloc_p50_ns", percentile_ns(best, 0, 500000), "malloc_p99_ns", percentile_ns(best, 0, 990000),
                            "malloc_p999_ns", percentile_ns(best, 0, 999000), "malloc_max_ns",
                            ns_of(best, (double)best->ticks[0].max), "free_p50_ns", percentile_ns(best, 1, 500000), "free_p99_ns",
                            percentile_ns(best, 1, 990000), "instructions",
                            best->instructions > 0 ? json_integer((json_int_t)best->instructions) : json_null()));
    }
    return json_pack("{s:I, s:I, s:o}", "steps", (json_int_t)header->step_count, "peak_live_bytes",
                     (json_int_t)header->peak_live_bytes, "engines", rows);
}

/* --- the command --- */

typedef struct replay_options {
    const char *trace_path;
    const char *json_path;
    char *engine_list;
    uint64_t process_id; /* 0: the one with most events */
    uint64_t repeat;
    bool is_of_strategies; /* then the trace, the process and what follows count */
    bool is_of_device;     /* the same, but for the page */
    uint64_t arena_bytes;
    const char *page_path;
    int worker_fd;
} replay_options;

static void print_help(void)
{
    printf("Usage: acre replay [OPTIONS] TRACE\n\n"
           "Gives the allocations of a trace ('acre run --record TRACE') to other\n"
           "allocators, and compares memory and time; or to the strategies of the real-time\n"
           "heaps, and compares fragmentation and failures.\n\n"
           "  --on ENGINE,...   'acre', 'glibc', or the path of a malloc replacement's .so\n"
           "                    (default: acre,glibc)\n"
           "  --process PID     which process of the trace (default: that with most events)\n"
           "  --repeat N        runs of each engine, in turn; the fastest counts (default %d)\n"
           "  --strategies      first, half, best and worst fit and buddies in one arena\n"
           "  --device          managers of device memory: how much of a device each takes;\n"
           "                    the trace may be a log of rmm (CSV)\n"
           "  --arena BYTES     of --strategies: how long it is (default: what first fit\n"
           "                    needs, and a tenth more); of --device: what the device has\n"
           "  --page FILE       of --strategies: a page with fragmentation over time\n"
           "  --json FILE       the figures as JSON ('-': standard output, without table)\n\n"
           "One thread replays all events in the order of time, also those of a program with\n"
           "many threads.\n",
           REPEAT_DEFAULT);
}

static int parse_options(replay_options *options, int argument_count, char **arguments)
{
    static const struct option names[] = {
        {"on", required_argument, NULL, 'o'},   {"process", required_argument, NULL, 'p'}, {"repeat", required_argument, NULL, 'r'},
        {"json", required_argument, NULL, 'j'}, {"worker", required_argument, NULL, 'w'},  {"help", no_argument, NULL, 'h'},
        {"device", no_argument, NULL, 'd'},     {"strategies", no_argument, NULL, 's'},    {"arena", required_argument, NULL, 'a'},
        {"page", required_argument, NULL, 'P'},
        {0},
    };
    uint64_t number;
    optind = 1;
    opterr = 0;
    for (int option; (option = getopt_long(argument_count, arguments, ":h", names, NULL)) != -1;) {
        switch (option) {
        case 'o':
            free(options->engine_list);
            options->engine_list = must_copy(optarg);
            break;
        case 'p':
            if (!parse_number(optarg, 1, UINT32_MAX, &options->process_id))
                return complain_usage("replay", "--process '%s' is no process number", optarg);
            break;
        case 'r':
            if (!parse_number(optarg, 1, 1000, &options->repeat))
                return complain_usage("replay", "--repeat '%s' is no number from 1 to 1000", optarg);
            break;
        case 'j': options->json_path = optarg; break;
        case 's': options->is_of_strategies = true; break;
        case 'd': options->is_of_device = true; break;
        case 'a':
            if (!parse_bytes(optarg, &options->arena_bytes) || options->arena_bytes == 0)
                return complain_usage("replay", "--arena '%s' is no size", optarg);
            break;
        case 'P': options->page_path = optarg; break;
        case 'w':
            if (!parse_number(optarg, 0, 1 << 20, &number)) return EXIT_USAGE;
            options->worker_fd = (int)number;
            return -1;
        case 'h': print_help(); return EXIT_SUCCESS;
        case ':': return complain_usage("replay", "option '%s' needs a value", arguments[optind - 1]);
        default: return complain_usage("replay", "unknown option '%s'", arguments[optind - 1]);
        }
    }
    if (argument_count - optind != 1) return complain_usage("replay", "one trace is needed, %d are given", argument_count - optind);
    if (options->is_of_strategies && options->is_of_device) return complain_usage("replay", "--strategies or --device, not both");
    if (!options->is_of_strategies && options->page_path != NULL) return complain_usage("replay", "--page is for --strategies");
    if (!options->is_of_strategies && !options->is_of_device && options->arena_bytes > 0)
        return complain_usage("replay", "--arena is for --strategies and --device");
    if ((options->is_of_strategies || options->is_of_device) && options->engine_list != NULL) {
        return complain_usage("replay", "--on names allocators, and %s compares no allocators",
                              options->is_of_device ? "--device" : "--strategies");
    }
    options->trace_path = arguments[optind];
    return -1;
}

static int compare(const replay_options *options, engine *engines, size_t engine_count)
{
    trace_reader *reader = NULL;
    uint32_t process = 0;
    replay_header header;
    uint64_t skipped_count = 0;
    int result = EXIT_FAILED, steps_fd = -1;
    if (trace_reader_open(&reader, options->trace_path) != ACRE_OK) {
        complain("replay", "%s", acre_last_error());
        return EXIT_FAILED;
    }
    if (trace_header_of(reader)->sample_bytes > 0) {
        complain("replay", "'%s' is sampled: only a trace of every event ('acre run --record') can be replayed", options->trace_path);
        goto out;
    }
    if (!steps_choose_process(reader, options->process_id, &process)) {
        complain("replay", "'%s' has no process %" PRIu64, options->trace_path, options->process_id);
        goto out;
    }
    steps_fd = make_steps(reader, process, &header, &skipped_count);
    if (steps_fd < 0) goto out;
    if (trace_damage(reader) != NULL) complain("replay", "%s: what stands before it is replayed", trace_damage(reader));
    if (skipped_count > 0) complain("replay", "%s frees of blocks that the trace does not know are left out", count_text(skipped_count));

    for (uint64_t round = 0; round < options->repeat; round++) {
        for (size_t i = 0; i < engine_count; i++) {
            if (isatty(STDERR_FILENO))
                fprintf(stderr, "\r\033[Kacre: round %" PRIu64 " of %" PRIu64 ", %s ...", round + 1, options->repeat, engines[i].name);
            if (!run_engine(&engines[i], steps_fd)) goto out;
        }
    }
    if (isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
    result = EXIT_SUCCESS;
    for (size_t i = 0; i < engine_count; i++) {
        if (engines[i].best.failed_count == 0) continue;
        complain("replay", "on '%s': %s allocations failed", engines[i].name, count_text(engines[i].best.failed_count));
        result = EXIT_FAILED;
    }
    const bool is_json_only = options->json_path != NULL && strcmp(options->json_path, "-") == 0;
    if (!is_json_only) {
        const trace_process_info *const info = trace_process_at(reader, process);
        printf("%s steps of %s (process %u), peak live %s,\nby one thread in the order of time\n\n", count_text(header.step_count),
               info->name, info->process.process_id, bytes_text(header.peak_live_bytes));
        print_comparison(&header, engines, engine_count);
    }
    if (options->json_path != NULL) {
        json_t *const document = comparison_json(&header, engines, engine_count);
        const int failed =
            is_json_only ? json_dumpf(document, stdout, JSON_INDENT(1)) : json_dump_file(document, options->json_path, JSON_INDENT(1));
        if (is_json_only) putchar('\n');
        json_decref(document);
        if (failed != 0) {
            complain("replay", "'%s' can't be written: %s", options->json_path, strerror(errno));
            result = EXIT_FAILED;
        }
    }
out:
    if (steps_fd >= 0) close(steps_fd);
    trace_reader_close(reader);
    return result;
}

int command_replay(int argument_count, char **arguments)
{
    replay_options options = {.repeat = REPEAT_DEFAULT, .worker_fd = -1};
    int result = parse_options(&options, argument_count, arguments);
    if (result >= 0 || options.worker_fd >= 0) {
        free(options.engine_list);
        return result >= 0 ? result : worker(options.worker_fd);
    }
    if (options.is_of_strategies) {
        return compare_strategies(&(strategies_options){.trace_path = options.trace_path,
                                                        .process_id = options.process_id,
                                                        .arena_bytes = options.arena_bytes,
                                                        .json_path = options.json_path,
                                                        .page_path = options.page_path});
    }
    if (options.is_of_device) {
        return compare_device_managers(&(device_replay_options){.trace_path = options.trace_path,
                                                                .process_id = options.process_id,
                                                                .device_bytes = options.arena_bytes,
                                                                .json_path = options.json_path});
    }
    if (options.engine_list == NULL) options.engine_list = must_copy("acre,glibc");

    engine *const engines = must_calloc(ENGINE_COUNT_MAX, sizeof *engines);
    size_t engine_count = 0;
    char *rest = options.engine_list;
    result = -1;
    for (char *name; result < 0 && (name = strsep(&rest, ",")) != NULL;) {
        if (engine_count == ENGINE_COUNT_MAX) result = complain_usage("replay", "--on names more than %d engines", ENGINE_COUNT_MAX);
        else if (!name_engine(&engines[engine_count++], name)) result = EXIT_USAGE;
    }
    if (result < 0) result = compare(&options, engines, engine_count);
    for (size_t i = 0; i < engine_count; i++) free(engines[i].library);
    free(engines);
    free(options.engine_list);
    return result;
}
