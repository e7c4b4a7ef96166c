/* heap.c - the second stop: what the heap promises by itself. Memory that a program has freed is not held while the program is silent,
 * and a malloc and a free of 32 bytes take few instructions. The loads are those of bench/heap, `acre bench heap` has all the rest.
 *
 * Neither figure depends on who else uses the machine: so all allocators run side by side, once.
 */
#include "allocators.h"
#include "command.h"
#include "job.h"
#include "tour.h"

#include <stdlib.h>
#include <string.h>

enum { PAIR_STEP = 10240, OUTPUT_BYTES_MAX = 8192 };

/* ---- memory that was freed ---- */

static void visit_idle(tour_state *tour, const char *folder, const tour_allocator *allocators, int count, const char *pattern,
                       const char *what, double bar)
{
    char *const program = must_print("%s/idle", folder);
    const char *const words[] = {program, pattern, NULL};
    tour_job jobs[TOUR_ALLOCATOR_COUNT_MAX];
    char text[OUTPUT_BYTES_MAX];
    double held[TOUR_ALLOCATOR_COUNT_MAX] = {0}, peak_kib[TOUR_ALLOCATOR_COUNT_MAX] = {0};
    int best = TOUR_GLIBC;
    tour_progress(tour, "%s, three silent seconds", what);
    for (int i = 0; i < count; i++) jobs[i] = tour_job_start(words, allocators[i].path);
    for (int i = 0; i < count; i++) {
        if (tour_job_end(&jobs[i], text, sizeof text) != 0) continue;
        char *end = text;
        peak_kib[i] = strtod(text, &end);
        if (peak_kib[i] > 0) held[i] = strtod(end, NULL) / peak_kib[i];
    }
    free(program);
    if (held[TOUR_ACRE] <= 0 || held[TOUR_GLIBC] <= 0) {
        tour_say(tour, "%s: not measured, the load did not run", what);
        return;
    }
    json_t *const figures = json_object();
    for (int i = 0; i < count; i++) {
        if (held[i] <= 0) continue;
        json_object_set_new(figures, allocators[i].name, json_real(held[i]));
        if (i != TOUR_ACRE && held[i] < held[best]) best = i;
    }
    tour_detail(tour, pattern, figures);
    char *const title = must_print("held after 3 s, %s", what);
    char *const others = must_print("best peer %s: %.2f", allocators[best].name, held[best]);
    tour_promise(tour, title, held[TOUR_ACRE], bar, "of the peak");
    tour_say(tour, "%s: %.0f MiB of %.0f MiB are held; %s", what, held[TOUR_ACRE] * peak_kib[TOUR_ACRE] / 1024, peak_kib[TOUR_ACRE] / 1024,
             others);
    free(title);
    free(others);
}

/* The same as no malloc can, since pointers stay where they are: over shared memory, when the program asks. */
static void visit_mesh(tour_state *tour, const char *folder)
{
    char *const program = must_print("%s/mesh", folder);
    const char *const words[] = {program, NULL};
    char text[OUTPUT_BYTES_MAX];
    tour_job started = tour_job_start(words, "");
    const bool has_run = tour_job_end(&started, text, sizeof text) == 0;
    free(program);
    const char *const line = has_run ? strstr(text, "after acre_heap_mesh: ") : NULL;
    const char *const share = line != NULL ? strchr(line, '(') : NULL;
    if (share == NULL) {
        tour_say(tour, "acre_heap_mesh: not measured, the load did not run");
        return;
    }
    const double held = strtod(share + 1, NULL) / 100;
    tour_promise(tour, "held of nine tenths freed at random, meshed", held, 0.5, "of the peak");
    tour_say(tour, "nine tenths of a million freed at random: every malloc holds all of it, acre_heap_mesh leaves %.2f", held);
    tour_detail(tour, "meshed", json_real(held));
}

/* ---- instructions ---- */

/* What callgrind says it has counted; 0: nothing. */
static double counted(const char *text)
{
    const char *const at = strstr(text, "Collected : ");
    return at == NULL ? 0 : strtod(at + strlen("Collected : "), NULL);
}

static void visit_pair(tour_state *tour, const char *folder, const tour_allocator *allocators, int count)
{
    char *const program = must_print("%s/workload", folder);
    tour_job jobs[TOUR_ALLOCATOR_COUNT_MAX][2];
    double pair[TOUR_ALLOCATOR_COUNT_MAX] = {0};
    char text[OUTPUT_BYTES_MAX];
    int best = TOUR_GLIBC;
    tour_progress(tour, "instructions of malloc and free");
    for (int i = 0; i < count; i++) {
        for (int step = 0; step < 2; step++) {
            char *const operations = must_print("%d", PAIR_STEP * (step + 1));
            const char *const words[] = {"valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, "pair_32", operations,
                                         NULL};
            jobs[i][step] = tour_job_start(words, allocators[i].path);
            free(operations);
        }
    }
    for (int i = 0; i < count; i++) {
        double counts[2] = {0};
        for (int step = 0; step < 2; step++)
            if (tour_job_end(&jobs[i][step], text, sizeof text) == 0) counts[step] = counted(text);
        if (counts[0] > 0 && counts[1] > counts[0]) pair[i] = (counts[1] - counts[0]) / PAIR_STEP;
        if (i > TOUR_GLIBC && pair[i] > 0 && pair[i] < pair[best]) best = i;
    }
    free(program);
    if (pair[TOUR_ACRE] <= 0 || pair[TOUR_GLIBC] <= 0) {
        tour_say(tour, "instructions are not counted: that takes the package valgrind");
        return;
    }
    tour_promise(tour, "malloc and free of 32 bytes, with the loop around them", pair[TOUR_ACRE], 50, "instructions");
    tour_say(tour, "malloc and free of 32 bytes: glibc %.0f instructions, best peer %s %.0f", pair[TOUR_GLIBC], allocators[best].name,
             pair[best]);
    json_t *const figures = json_object();
    for (int i = 0; i < count; i++)
        if (pair[i] > 0) json_object_set_new(figures, allocators[i].name, json_real(pair[i]));
    tour_detail(tour, "instructions", figures);
}

static void visit(tour_state *tour)
{
    tour_allocator allocators[TOUR_ALLOCATOR_COUNT_MAX];
    char *const folder = find_bench_programs();
    if (folder == NULL) {
        tour_skip(tour, "its loads are only in a build folder: build/tools/acre/acre has them");
        return;
    }
    const int count = tour_find_allocators(tour, allocators);
    if (count == 0) {
        tour_skip(tour, "libacre-malloc.so is not found");
    } else {
        visit_idle(tour, folder, allocators, count, "all", "a million blocks freed", 0.05);
        visit_idle(tour, folder, allocators, count, "runs", "nine tenths of them freed in runs", 0.23);
        visit_mesh(tour, folder);
        visit_pair(tour, folder, allocators, count);
    }
    tour_free_allocators(allocators, count);
    free(folder);
}

TOUR_STOP("heap", "freed memory that the heap holds; instructions of malloc and free", 20, visit)
