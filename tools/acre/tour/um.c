/* um.c - unified memory: the research's kernel, a[i] = 3 a[i] + 1, twice over a file with room for a quarter of it in memory, and what the
 * rules would do on a device: modelled, by the costs of a published log (docs/um.md). */
#include "command.h"
#include "tour.h"
#include "um_timeline.h"

#include <acre/um.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MIB ((uint64_t)1 << 20)
enum { PASSES = 2, PAGE_WORDS = ACRE_UM_PAGE_BYTES / 8 };
#define DATA_BYTES (64 * MIB)

static double cpu_seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

static uint64_t start_of(uint64_t i) { return i * 0x9e3779b97f4a7c15u; }

static void fill(uint64_t *words, uint64_t first)
{
    for (uint64_t i = 0; i < PAGE_WORDS; i++) words[i] = start_of(first + i);
}

static void compute(uint64_t *words)
{
    for (uint64_t i = 0; i < PAGE_WORDS; i++) words[i] = words[i] * 3 + 1;
}

static uint64_t wrong_in(const uint64_t *words, uint64_t first)
{
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < PAGE_WORDS; i++) {
        uint64_t value = start_of(first + i);
        for (unsigned pass = 0; pass < PASSES; pass++) value = value * 3 + 1;
        wrong += words[i] != value;
    }
    return wrong;
}

/* Fills, computes, checks. UINT64_MAX: it could not be done; acre_last_error tells why. */
static uint64_t work(acre_um *um, unsigned place, uint64_t at, bool by_faults)
{
    uint64_t wrong = 0;
    uint64_t *const window = by_faults ? acre_um_pointer(um, place, at) : NULL;
    for (unsigned pass = 0; pass < PASSES + 2; pass++) {
        for (uint64_t i = 0; i < DATA_BYTES; i += ACRE_UM_PAGE_BYTES) {
            if (!by_faults && acre_um_touch(um, place, at + i, ACRE_UM_PAGE_BYTES, pass < PASSES + 1) != ACRE_OK) return UINT64_MAX;
            uint64_t *const words = by_faults ? window + i / 8 : acre_um_pointer(um, place, at + i);
            if (pass == 0) fill(words, i / 8);
            if (pass > 0 && pass <= PASSES) compute(words);
            if (pass > PASSES) wrong += wrong_in(words, i / 8);
        }
    }
    return wrong;
}

/* The same with the kernel's pages of a mapped file, which may have all of memory. Seconds; below 0: it could not be done. */
static double time_of_mapped_file(const char *path)
{
    const int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    void *const bytes = file < 0 || ftruncate(file, (off_t)DATA_BYTES) != 0
                            ? MAP_FAILED
                            : mmap(NULL, DATA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    uint64_t wrong = 0;
    const double begin = cpu_seconds();
    for (unsigned pass = 0; pass < PASSES + 2 && bytes != MAP_FAILED; pass++) {
        for (uint64_t i = 0; i < DATA_BYTES; i += ACRE_UM_PAGE_BYTES) {
            uint64_t *const words = (uint64_t *)bytes + i / 8;
            if (pass == 0) fill(words, i / 8);
            if (pass > 0 && pass <= PASSES) compute(words);
            if (pass > PASSES) wrong += wrong_in(words, i / 8);
        }
    }
    const double seconds = cpu_seconds() - begin;
    if (bytes != MAP_FAILED) (void)munmap(bytes, DATA_BYTES);
    if (file >= 0) (void)close(file);
    return bytes == MAP_FAILED || wrong > 0 ? -1 : seconds;
}

static void compute_with_a_quarter(tour_state *tour, bool by_faults)
{
    acre_space home, pages;
    acre_um *um = NULL;
    unsigned place;
    uint64_t at, wrong = UINT64_MAX;
    acre_um_figures figures = {0};
    acre_um_options options = {.bytes_max = DATA_BYTES, .home = &home};
    char *const path = must_print("%s/um-home", tour_scratch(tour)), *const mapped_path = must_print("%s/um-mapped", tour_scratch(tour));
    const acre_um_place quarter = {.name = "quarter",
                                   .capacity_bytes = DATA_BYTES / 4,
                                   .space = by_faults ? NULL : &pages,
                                   .faults = by_faults ? ACRE_UM_PAGE_FAULTS : ACRE_UM_TOUCHES};
    const bool has_home = acre_space_open_file(&home, path, DATA_BYTES + ACRE_UM_BLOCK_BYTES) == ACRE_OK;
    const bool has_pages = acre_space_open_pages(&pages, NULL) == ACRE_OK;
    const double begin = cpu_seconds();
    if (has_home && has_pages && acre_um_rules_named("lru", &options.rules) == ACRE_OK && acre_um_open(&options, &um) == ACRE_OK &&
        acre_um_add_place(um, &quarter, &place) == ACRE_OK && acre_um_allocate(um, DATA_BYTES, &at) == ACRE_OK) {
        wrong = work(um, place, at, by_faults);
        (void)acre_um_read_figures(um, place, &figures);
    }
    const double seconds = cpu_seconds() - begin;
    if (wrong == UINT64_MAX) {
        tour_skip(tour, acre_last_error());
    } else {
        const double peer = time_of_mapped_file(mapped_path);
        char *const peer_figure = peer < 0 ? must_copy("could not be done") : must_print("%.2f s, with room for all", peer);
        tour_add_row(tour, &(tour_row){.what = by_faults ? "the same, by page faults of the program"
                                                         : "3 a[i] + 1 over a file, with room for a quarter",
                                       .bytes = figures.used_bytes_max,
                                       .seconds = seconds,
                                       .peer = "mapped file",
                                       .peer_figure = peer_figure,
                                       .is_kept = wrong == 0,
                                       .promise = "each number is right"});
        free(peer_figure);
        tour_say(tour, "%llu faults, %llu MiB came and %llu went", (unsigned long long)figures.fault_count,
                 (unsigned long long)(figures.in_bytes >> 20), (unsigned long long)(figures.out_bytes >> 20));
    }
    acre_um_close(um);
    if (has_pages) acre_space_close(&pages);
    if (has_home) acre_space_close(&home);
    free(path);
    free(mapped_path);
}

/* `passes` over 12 MiB on a device with room for `capacity_bytes` (0: all). Adds a picture to `timelines` if that is not NULL. */
static acre_um_figures model(const char *rules, uint64_t capacity_bytes, unsigned passes, json_t *timelines)
{
    um_timeline timeline = {0};
    acre_um *um = NULL;
    unsigned place;
    uint64_t at;
    acre_um_figures figures = {0}, before = {0};
    acre_um_options options = {.bytes_max = 12 * MIB, .is_modelled = true};
    const acre_um_place device = {
        .name = "device",
        .capacity_bytes = capacity_bytes,
        .costs = {.fault_ns = 46389, .in_bytes_per_s = 7430000000, .out_bytes_per_s = 7430000000, .remote_ns = 1000}};
    if (acre_um_rules_named(rules, &options.rules) == ACRE_OK && acre_um_open(&options, &um) == ACRE_OK &&
        acre_um_add_place(um, &device, &place) == ACRE_OK && acre_um_allocate(um, 12 * MIB, &at) == ACRE_OK &&
        acre_um_touch(um, ACRE_UM_HOME, at, 12 * MIB, true) == ACRE_OK && acre_um_read_figures(um, place, &before) == ACRE_OK) {
        um_timeline_begin(&timeline, um, place, at, 12 * MIB, 1000);
        for (uint64_t i = 0; i < passes * 12 * MIB; i += ACRE_UM_PAGE_BYTES) {
            if (acre_um_touch(um, place, at + i % (12 * MIB), ACRE_UM_PAGE_BYTES, false) != ACRE_OK) break;
            um_timeline_note(&timeline);
        }
        um_timeline_end(&timeline);
        (void)acre_um_read_figures(um, place, &figures);
        figures.clock_ns -= before.clock_ns;
        if (timelines != NULL) {
            char *const text = must_print("%u passes with room for 10 of 12 MiB: %s, %s", passes, duration_text(figures.clock_ns),
                                          counted_text(figures.fault_count, "fault", "faults"));
            json_array_append_new(timelines, um_timeline_json(&timeline, rules, text));
            free(text);
        }
    }
    um_timeline_free(&timeline);
    acre_um_close(um);
    return figures;
}

static void visit(tour_state *tour)
{
    json_t *const timelines = json_array();
    compute_with_a_quarter(tour, false);
    compute_with_a_quarter(tour, true);
    const acre_um_figures whole = model("lru", 0, 1, NULL), two_passes = model("lru", 10 * MIB, 2, NULL);
    tour_promise(tour, "faults of 12 MiB in order, off the published 36", fabs((double)whole.fault_count - 36), 0, "");
    tour_promise(tour, "faults of two passes with room for 10 of 12 MiB, off the published 72", fabs((double)two_passes.fault_count - 72),
                 0, "");
    const double ours = (double)model("acre", 10 * MIB, 6, timelines).clock_ns;
    const double tree = (double)model("tree", 10 * MIB, 6, timelines).clock_ns;
    tour_promise(tour, "modelled time of six such passes beside tree prefetch and eviction", ours > 0 && tree > 0 ? ours / tree : 9, 1,
                 "x");
    tour_detail(tour, "timelines", timelines);
}

TOUR_STOP("um", "unified memory: a file with room for a quarter, and models", 65, visit)
