/* guard.c - the third stop: the planted bugs of tests/guard run, each a program of its own, and are noticed or not.
 *
 * A bug counts as noticed when the program ends otherwise than well. `meson test --benchmark guard/table` has more peers and levels.
 */
#include "command.h"
#include "job.h"
#include "tour.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { LIST_BYTES = 16 * 1024, NOT_HERE = 77, GLIBC = 0, L0, L1, L2, SETTING_COUNT };

typedef struct setting {
    const char *name, *level; /* level NULL: the C library's malloc */
    int noticed, temporal_noticed;
} setting;

/* How many bugs ran, and of these how many free twice or write after free: L2 promises every one of them. */
typedef struct counts {
    int all, temporal;
} counts;

/* `checked`: what to preload at a level that checks; the copies of memory that it watches over stand before the malloc library in it. */
static bool is_noticed(const char *faults, const char *bug, const setting *on, const char *checked, bool *is_here)
{
    const char *const words[] = {faults, bug, NULL};
    if (on->level != NULL) setenv("ACRE_GUARD", on->level, 1);
    const char *const preload = on->level == NULL ? "" : strcmp(on->level, "L0") == 0 ? strchr(checked, ':') + 1 : checked;
    tour_job started = tour_job_start(words, preload);
    unsetenv("ACRE_GUARD");
    const int status = tour_job_end(&started, NULL, 0);
    const bool has_exited = status != -1 && WIFEXITED(status);
    *is_here = !has_exited || WEXITSTATUS(status) != NOT_HERE;
    return status != -1 && (!has_exited || (WEXITSTATUS(status) != 0 && *is_here));
}

/* `line` is NAME,FAMILY,...; it is cut. */
static void try_bug(const char *faults, char *line, setting *settings, const char *checked, counts *of)
{
    char *rest = line;
    const char *const bug = strsep(&rest, ","), *const family = strsep(&rest, ",");
    if (family == NULL) return;
    const bool is_temporal = strcmp(family, "double free") == 0 || strcmp(family, "write after free") == 0;
    bool is_here = false;
    for (int i = 0; i < SETTING_COUNT; i++) {
        if (!is_noticed(faults, bug, &settings[i], checked, &is_here)) continue;
        settings[i].noticed++;
        settings[i].temporal_noticed += is_temporal;
    }
    if (!is_here) return;
    of->all++;
    of->temporal += is_temporal;
}

static void tell(tour_state *tour, const setting *settings, const counts *of)
{
    json_t *const figures = json_object();
    for (int i = 0; i < SETTING_COUNT; i++) json_object_set_new(figures, settings[i].name, json_real((double)settings[i].noticed));
    tour_detail(tour, "noticed", figures);
    const int temporal_missed = of->temporal - settings[L2].temporal_noticed, missed = of->all - settings[L1].noticed;
    tour_promise(tour, "double frees and writes after free that L2 misses", temporal_missed, 0, "bugs");
    tour_promise(tour, "planted bugs of all families that L1 misses", (double)missed / of->all, 0.31, "of them");
    tour_say(tour, "of %d planted bugs glibc notices %d, acre %d without a level, %d at L1, %d at L2", of->all, settings[GLIBC].noticed,
             settings[L0].noticed, settings[L1].noticed, settings[L2].noticed);
}

static void visit(tour_state *tour)
{
    setting settings[SETTING_COUNT] = {[GLIBC] = {.name = "glibc"},
                                       [L0] = {.name = "L0", .level = "L0"},
                                       [L1] = {.name = "L1", .level = "L1"},
                                       [L2] = {.name = "L2", .level = "L2"}};
    char *const folder = find_bench_programs(), *const library = find_malloc_library("tour", NULL);
    if (folder == NULL || library == NULL) {
        tour_skip(tour, "its planted bugs are only in a build folder: build/tools/acre/acre has them");
    } else {
        char *const faults = must_print("%s/../../tests/guard/faults", folder);
        char *const checked = must_print("%s/../../bindings/checked/libacre-checked.so:%s", folder, library);
        const char *const words[] = {faults, "--list", NULL};
        static char list[LIST_BYTES];
        tour_job started = tour_job_start(words, "");
        counts of = {0};
        if (tour_job_end(&started, list, sizeof list) == 0) {
            tour_progress(tour, "planted bugs");
            for (char *rest = list, *line; (line = strsep(&rest, "\n")) != NULL;) try_bug(faults, line, settings, checked, &of);
        }
        if (of.all > 0)
            tell(tour, settings, &of);
        else
            tour_skip(tour, "its planted bugs are not built here");
        free(faults);
        free(checked);
    }
    free(folder);
    free(library);
}

TOUR_STOP("guard", "planted bugs that the safety levels notice", 30, visit)
