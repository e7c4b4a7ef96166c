/* programs.c - the first stop: real programs on acre, beside the C library's malloc and the malloc replacements that Debian
 * has, in one interleaved run. CPU time and peak resident memory are the system's own account of each run; the output must
 * be the same, byte for byte.
 *
 * A program is a script in programs/: `needs` tells whether it can run, `prepare` makes its input, `run` runs it with what
 * $ALLOCATOR names preloaded.
 */
#include "allocators.h"
#include "command.h"
#include "tour.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROGRAM_COUNT = 5, ROUND_COUNT_MAX = 25 };

/* Those of programs/ that the stop shows; tests run all of them. */
static const char *const programs[PROGRAM_COUNT] = {"sqlite", "redis", "python", "gcc", "perl"};

typedef struct measure {
    double seconds[ROUND_COUNT_MAX];
    double bytes[ROUND_COUNT_MAX];
} measure;

/* ---- finding things ---- */

static char *find_programs(void)
{
    static const char *const places[] = {"tour/programs", "../share/acre/programs"};
    char folder[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", folder, sizeof folder - 1);
    if (length <= 0) return NULL;
    folder[length] = 0;
    *strrchr(folder, '/') = 0;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char *const path = must_print("%s/%s", folder, places[i]);
        if (access(path, X_OK) == 0) return path;
        free(path);
    }
    return NULL;
}

/* ---- running ---- */

static double seconds_of(struct timeval time) { return (double)time.tv_sec + (double)time.tv_usec * 1e-6; }

/* Runs `script verb` in `folder`, its output into `output` (NULL: nowhere). Returns the exit code, -1 when it was killed. Spawned
 * rather than forked: after a fork this tool's own memory would count as the child's peak. */
static int run_script(const char *script, const char *verb, const char *folder, const char *library, const char *output,
                      struct rusage *usage)
{
    char *const words[] = {must_copy(script), must_copy(verb), NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, folder);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output != NULL ? output : "/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    setenv("ALLOCATOR", library, 1);
    unsetenv("LD_PRELOAD");
    pid_t child = 0;
    const int code = posix_spawn(&child, script, &actions, NULL, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    free(words[0]);
    free(words[1]);
    int status = -1;
    if (code != 0 || wait4(child, &status, 0, usage) != child) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool are_same_files(const char *a, const char *b)
{
    FILE *const first = fopen(a, "re");
    FILE *const second = fopen(b, "re");
    bool is_same = first != NULL && second != NULL;
    bool has_bytes = false;
    while (is_same) {
        const int c = getc_unlocked(first);
        is_same = c == getc_unlocked(second);
        if (c == EOF) break;
        has_bytes = true;
    }
    if (first != NULL) fclose(first);
    if (second != NULL) fclose(second);
    return is_same && has_bytes; /* a program that printed nothing has shown nothing */
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *values, int count)
{
    double sorted[ROUND_COUNT_MAX];
    memcpy(sorted, values, (size_t)count * sizeof *sorted);
    qsort(sorted, (size_t)count, sizeof *sorted, compare_doubles);
    return count % 2 != 0 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

/* Measures one program on all allocators in turn, so that what disturbs the machine disturbs all alike. The scratch folder
 * gets one output a allocator. Returns a mask of the allocators whose output was glibc's (index 1) in every round. */
static unsigned measure_program(tour_state *tour, const char *script, const char *name, const char *folder,
                                const tour_allocator *allocators, int allocator_count, measure *measures)
{
    unsigned same = (1u << allocator_count) - 1;
    char *const reference = must_print("%s/expected", folder);
    struct rusage usage = {.ru_maxrss = 0};
    if (run_script(script, "run", folder, "", reference, &usage) != 0) same = 0; /* also warms the files up */
    for (int round = 0; round < tour_rounds(tour); round++) {
        for (int turn = 0; turn < allocator_count; turn++) {
            const int i = (turn + round) % allocator_count;
            tour_progress(tour, "%s on %s, round %d of %d", name, allocators[i].name, round + 1, tour_rounds(tour));
            char *const output = must_print("%s/output-%s", folder, allocators[i].name);
            const int code = run_script(script, "run", folder, allocators[i].path, output, &usage);
            if (code != 0 || !are_same_files(reference, output)) same &= ~(1u << i);
            measures[i].seconds[round] = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
            measures[i].bytes[round] = (double)usage.ru_maxrss * 1024;
            free(output);
        }
    }
    free(reference);
    return same;
}

/* ---- the stop ---- */

typedef struct sums {
    double log_time, log_bytes;
    int count;
} sums;

static void visit(tour_state *tour)
{
    tour_allocator allocators[TOUR_ALLOCATOR_COUNT_MAX];
    char *const folder = find_programs();
    if (folder == NULL) {
        tour_skip(tour, "the programs' scripts are not found beside the tool");
        return;
    }
    const int allocator_count = tour_find_allocators(tour, allocators);
    if (allocator_count == 0) {
        tour_skip(tour, "libacre-malloc.so is not found");
        return;
    }
    sums all[TOUR_ALLOCATOR_COUNT_MAX] = {{0, 0, 0}};
    json_t *const rows = json_array();
    for (int p = 0; p < PROGRAM_COUNT; p++) {
        char *const script = must_print("%s/%s", folder, programs[p]);
        char *const scratch = must_print("%s/%s", tour_scratch(tour), programs[p]);
        struct rusage usage;
        if (mkdir(scratch, 0700) != 0 || run_script(script, "needs", scratch, "", NULL, &usage) != 0 ||
            run_script(script, "prepare", scratch, "", NULL, &usage) != 0) {
            tour_say(tour, "%s is not shown: it is not installed", programs[p]);
            free(script);
            free(scratch);
            continue;
        }
        measure measures[TOUR_ALLOCATOR_COUNT_MAX];
        const unsigned same = measure_program(tour, script, programs[p], scratch, allocators, allocator_count, measures);
        json_t *const figures = json_object();
        double time[TOUR_ALLOCATOR_COUNT_MAX] = {0};
        double bytes[TOUR_ALLOCATOR_COUNT_MAX] = {0};
        for (int i = 0; i < allocator_count; i++) {
            time[i] = median(measures[i].seconds, tour_rounds(tour));
            bytes[i] = median(measures[i].bytes, tour_rounds(tour));
        }
        for (int i = 0; i < allocator_count; i++) {
            all[i].log_time += log(time[i] / time[1]);
            all[i].log_bytes += log(bytes[i] / bytes[1]);
            all[i].count++;
            json_object_set_new(figures, allocators[i].name,
                                json_pack("{s:f, s:f, s:b}", "cpu_seconds", time[i], "peak_rss_bytes", bytes[i], "output_is_identical",
                                          (int)(same >> i & 1)));
        }
        json_array_append_new(rows, json_pack("{s:s, s:o}", "program", programs[p], "allocators", figures));

        char *const peer = must_print("%.2f s, %s", time[1], bytes_text((uint64_t)bytes[1]));
        tour_add_row(tour, &(tour_row){.what = programs[p],
                                       .bytes = (uint64_t)bytes[0],
                                       .seconds = time[0],
                                       .peer = "glibc",
                                       .peer_figure = peer,
                                       .is_kept = (same & 1) != 0,
                                       .promise = "output as with glibc"});
        free(peer);
        free(script);
        free(scratch);
    }
    tour_detail(tour, "programs", rows);
    if (all[0].count == 0) {
        tour_skip(tour, "none of the programs is installed");
        return;
    }
    json_t *const means = json_object();
    tour_say(tour, "geometric means of %d programs:", all[0].count);
    for (int i = 0; i < allocator_count; i++) {
        const double time = exp(all[i].log_time / all[i].count);
        const double bytes = exp(all[i].log_bytes / all[i].count);
        json_object_set_new(means, allocators[i].name, json_pack("{s:f, s:f}", "time_ratio", time, "rss_ratio", bytes));
        tour_say(tour, "%-9s %.2f of glibc's CPU time, %.2f of its peak memory", allocators[i].name, time, bytes);
    }
    tour_detail(tour, "geometric_means_to_glibc", means);
    tour_promise(tour, "CPU time against glibc", exp(all[0].log_time / all[0].count), 1.00, "x");
    tour_promise(tour, "peak memory against glibc", exp(all[0].log_bytes / all[0].count), 1.00, "x");
    tour_free_allocators(allocators, allocator_count);
    free(folder);
}

TOUR_STOP("programs", "real programs on acre and on glibc, mimalloc, jemalloc, tcmalloc", 10, visit)
