/* patterns.c - access patterns of programs on a device whose memory is too small for them: the modelled time of each set of rules.
 *
 *     patterns [--small]
 *
 * The costs of a fault and of a byte are those that follow from GPGPU-Sim UVMSmart's log of hotspot (docs/um.md); a touch of memory that is
 * used where it is costs 1 us and its bytes, an assumption. The host has written everything before. Patterns, each by its usual
 * algorithm:
 *
 *     bfs       breadth-first search of a random graph, as Rodinia's: each level goes over all vertices and follows the edges of some
 *     stencil   a grid in time steps: two grids change places, a third is only read
 *     layers    a network's weights forward and backward, three times
 *     chase     a list through all memory, its nodes in random order
 *     triad     a = b + s c, five times
 *     sparse    words at random, changed
 */
#include <acre/um.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = ACRE_UM_PAGE_BYTES, PATTERN_COUNT = 6, RULES_MAX = 16 };

typedef struct device {
    acre_um *um;
    unsigned place;
    uint64_t at, bytes;
    uint64_t random;
} device;

static void fail(void)
{
    (void)fprintf(stderr, "patterns: %s\n", acre_last_error());
    exit(1);
}

static uint64_t next_random(device *d)
{
    d->random ^= d->random << 13;
    d->random ^= d->random >> 7;
    d->random ^= d->random << 17;
    return d->random >> 16;
}

static void use(device *d, uint64_t at, uint64_t bytes, bool is_write)
{
    if (acre_um_touch(d->um, d->place, d->at + at, bytes, is_write) != ACRE_OK) fail();
}

static void use_pages(device *d, uint64_t first, uint64_t bytes, bool is_write)
{
    for (uint64_t i = 0; i < bytes; i += PAGE) use(d, first + i, PAGE, is_write);
}

/* ---- the patterns; each uses all of d->bytes ---- */

static void search_breadth_first(device *d)
{
    enum { DEGREE = 8 };
    /* Arrays: offsets (4), edges (4 x DEGREE), levels (4) for each vertex. */
    const uint32_t count = (uint32_t)(d->bytes / (4 + 4 * DEGREE + 4) / 1024 * 1024);
    const uint64_t offsets = 0, edges = (uint64_t)count * 4, levels = edges + (uint64_t)count * 4 * DEGREE;
    uint32_t *const to = calloc((size_t)count * DEGREE, sizeof *to);
    int8_t *const level_of = malloc(count);
    if (to == NULL || level_of == NULL) exit(1);
    for (size_t i = 0; i < (size_t)count * DEGREE; i++) to[i] = (uint32_t)(next_random(d) % count);
    memset(level_of, -1, count);
    level_of[0] = 0;
    bool goes_on = true;
    for (int8_t level = 0; goes_on; level++) {
        goes_on = false;
        for (uint32_t v = 0; v < count; v++) {
            if (v % (PAGE / 4) == 0) use(d, levels + (uint64_t)v * 4, PAGE, false);
            if (level_of[v] != level) continue;
            use(d, offsets + (uint64_t)v * 4, 8, false);
            use(d, edges + (uint64_t)v * 4 * DEGREE, 4 * DEGREE, false);
            for (unsigned i = 0; i < DEGREE; i++) {
                const uint32_t next = to[(size_t)v * DEGREE + i];
                use(d, levels + (uint64_t)next * 4, 4, level_of[next] < 0);
                if (level_of[next] >= 0) continue;
                level_of[next] = (int8_t)(level + 1);
                goes_on = true;
            }
        }
    }
    free(to);
    free(level_of);
}

static void step_stencil(device *d)
{
    const uint64_t grid = d->bytes / 3 / PAGE * PAGE, row = 2 * PAGE;
    for (unsigned step = 0; step < 6; step++) {
        const uint64_t from = step % 2 * grid, to = grid - from;
        for (uint64_t at = 0; at + row <= grid; at += row) {
            if (at >= row) use_pages(d, from + at - row, row, false);
            use_pages(d, from + at, row, false);
            if (at + 2 * row <= grid) use_pages(d, from + at + row, row, false);
            use_pages(d, 2 * grid + at, row, false);
            use_pages(d, to + at, row, true);
        }
    }
}

static void train_layers(device *d)
{
    enum { LAYERS = 6 };
    const uint64_t layer = d->bytes / LAYERS / PAGE * PAGE;
    for (unsigned epoch = 0; epoch < 3; epoch++) {
        for (unsigned i = 0; i < LAYERS; i++) use_pages(d, i * layer, layer, false);
        for (unsigned i = LAYERS; i-- > 0;) use_pages(d, i * layer, layer, true);
    }
}

static void chase_pointers(device *d)
{
    enum { NODE = 256 };
    const uint32_t count = (uint32_t)(d->bytes / NODE);
    uint32_t *const order = malloc((size_t)count * sizeof *order);
    if (order == NULL) exit(1);
    for (uint32_t i = 0; i < count; i++) order[i] = i;
    for (uint32_t i = count - 1; i > 0; i--) {
        const uint32_t j = (uint32_t)(next_random(d) % (i + 1)), other = order[j];
        order[j] = order[i];
        order[i] = other;
    }
    for (uint32_t i = 0; i < count; i++) use(d, (uint64_t)order[i] * NODE, 64, false);
    free(order);
}

static void stream_triad(device *d)
{
    const uint64_t array = d->bytes / 3 / PAGE * PAGE;
    for (unsigned pass = 0; pass < 5; pass++) {
        for (uint64_t at = 0; at < array; at += PAGE) {
            use(d, array + at, PAGE, false);
            use(d, 2 * array + at, PAGE, false);
            use(d, at, PAGE, true);
        }
    }
}

static void change_at_random(device *d)
{
    for (uint64_t i = 0; i < d->bytes / 256; i++) use(d, next_random(d) % (d->bytes / 8) * 8, 8, true);
}

static const struct {
    const char *name;
    void (*run)(device *device);
} patterns[PATTERN_COUNT] = {{"bfs", search_breadth_first}, {"stencil", step_stencil}, {"layers", train_layers},
                             {"chase", chase_pointers},     {"triad", stream_triad},   {"sparse", change_at_random}};

/* ---- running them ---- */

static acre_um_figures run(unsigned pattern, const char *rules, uint64_t bytes, unsigned percent)
{
    device d = {.bytes = bytes, .random = 88172645463325252u};
    acre_um_options options = {.bytes_max = bytes, .is_modelled = true};
    const acre_um_place place = {
        .name = "device",
        .capacity_bytes = bytes / percent * 100 / ACRE_UM_BLOCK_BYTES * ACRE_UM_BLOCK_BYTES,
        .costs = {.fault_ns = 46389, .in_bytes_per_s = 7430000000, .out_bytes_per_s = 7430000000, .remote_ns = 1000}};
    acre_um_figures before, figures;
    if (acre_um_rules_named(rules, &options.rules) != ACRE_OK || acre_um_open(&options, &d.um) != ACRE_OK ||
        acre_um_add_place(d.um, &place, &d.place) != ACRE_OK || acre_um_allocate(d.um, bytes, &d.at) != ACRE_OK ||
        acre_um_touch(d.um, ACRE_UM_HOME, d.at, bytes, true) != ACRE_OK || acre_um_read_figures(d.um, d.place, &before) != ACRE_OK)
        fail();
    patterns[pattern].run(&d);
    if (acre_um_read_figures(d.um, d.place, &figures) != ACRE_OK) fail();
    figures.clock_ns -= before.clock_ns;
    acre_um_close(d.um);
    return figures;
}

int main(int argc, char **argv)
{
    static const unsigned percents[] = {100, 110, 125, 150};
    const bool is_small = argc > 1 && strcmp(argv[1], "--small") == 0;
    const uint64_t bytes = (uint64_t)(is_small ? 12 : 48) << 20;
    unsigned better = 0, worse = 0, rows = 0;
    double product = 0;
    printf("%u MiB; modelled ms, and of acre: faults, MiB in and out, touches used elsewhere, of tree's time\n%-8s %5s",
           (unsigned)(bytes >> 20), "pattern", "size");
    for (unsigned r = 0; acre_um_rules_name(r) != NULL; r++) printf(" %9s", acre_um_rules_name(r));
    printf("\n");
    for (unsigned pattern = 0; pattern < PATTERN_COUNT; pattern++) {
        for (unsigned i = 0; i < 4; i++) {
            double ours = 0, tree = 0;
            acre_um_figures figures = {0};
            printf("%-8s %4u%%", patterns[pattern].name, percents[i]);
            for (unsigned r = 0; acre_um_rules_name(r) != NULL; r++) {
                const acre_um_figures f = run(pattern, acre_um_rules_name(r), bytes, percents[i]);
                const double ms = (double)f.clock_ns / 1e6;
                printf(" %9.2f", ms);
                (void)fflush(stdout);
                if (strcmp(acre_um_rules_name(r), "tree") == 0) tree = ms;
                if (strcmp(acre_um_rules_name(r), "acre") != 0) continue;
                ours = ms;
                figures = f;
            }
            printf("   %7llu %6llu %6llu %8llu %6.3f\n", (unsigned long long)figures.fault_count,
                   (unsigned long long)figures.in_bytes >> 20, (unsigned long long)figures.out_bytes >> 20,
                   (unsigned long long)figures.remote_count, ours / tree);
            if (percents[i] == 100) continue;
            rows++;
            better += ours < tree;
            worse += ours > tree * 1.05;
            product += log(ours / tree);
        }
    }
    printf("acre is faster than tree in %u of %u rows, and more than 5 %% slower in %u; geometric mean %.3f\n", better, rows, worse,
           exp(product / rows));
    return 0;
}
