/* um_patterns.c - see um_patterns.h. */
#include "um_patterns.h"

#include <acre/um.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = ACRE_UM_PAGE_BYTES };

typedef struct pattern {
    um_touch *touch;
    void *context;
    uint64_t bytes;
    uint64_t random;
    bool is_over;
} pattern;

static uint64_t next_random(pattern *p)
{
    p->random ^= p->random << 13;
    p->random ^= p->random >> 7;
    p->random ^= p->random << 17;
    return p->random >> 16;
}

static void use(pattern *p, uint64_t at, uint64_t bytes, bool is_write)
{
    if (!p->is_over && !p->touch(p->context, at, bytes, is_write)) p->is_over = true;
}

static void use_pages(pattern *p, uint64_t first, uint64_t bytes, bool is_write)
{
    for (uint64_t i = 0; i < bytes; i += PAGE) use(p, first + i, PAGE, is_write);
}

/* ---- the patterns; each uses all of the bytes ---- */

static void search_breadth_first(pattern *p)
{
    enum { DEGREE = 8 };
    /* Arrays: offsets (4), edges (4 x DEGREE), levels (4) for each vertex. */
    const uint32_t count = (uint32_t)(p->bytes / (4 + 4 * DEGREE + 4) / 1024 * 1024);
    const uint64_t offsets = 0, edges = (uint64_t)count * 4, levels = edges + (uint64_t)count * 4 * DEGREE;
    uint32_t *const to = calloc((size_t)count * DEGREE, sizeof *to);
    int8_t *const level_of = malloc(count);
    bool goes_on = to != NULL && level_of != NULL;
    p->is_over = !goes_on;
    for (size_t i = 0; goes_on && i < (size_t)count * DEGREE; i++) to[i] = (uint32_t)(next_random(p) % count);
    if (goes_on) {
        memset(level_of, -1, count);
        level_of[0] = 0;
    }
    for (int8_t level = 0; goes_on && !p->is_over; level++) {
        goes_on = false;
        for (uint32_t v = 0; v < count; v++) {
            if (v % (PAGE / 4) == 0) use(p, levels + (uint64_t)v * 4, PAGE, false);
            if (level_of[v] != level) continue;
            use(p, offsets + (uint64_t)v * 4, 8, false);
            use(p, edges + (uint64_t)v * 4 * DEGREE, 4 * DEGREE, false);
            for (unsigned i = 0; i < DEGREE; i++) {
                const uint32_t next = to[(size_t)v * DEGREE + i];
                use(p, levels + (uint64_t)next * 4, 4, level_of[next] < 0);
                if (level_of[next] >= 0) continue;
                level_of[next] = (int8_t)(level + 1);
                goes_on = true;
            }
        }
    }
    free(to);
    free(level_of);
}

static void step_stencil(pattern *p)
{
    const uint64_t grid = p->bytes / 3 / PAGE * PAGE, row = 2 * PAGE;
    for (unsigned step = 0; step < 6; step++) {
        const uint64_t from = step % 2 * grid, to = grid - from;
        for (uint64_t at = 0; at + row <= grid; at += row) {
            if (at >= row) use_pages(p, from + at - row, row, false);
            use_pages(p, from + at, row, false);
            if (at + 2 * row <= grid) use_pages(p, from + at + row, row, false);
            use_pages(p, 2 * grid + at, row, false);
            use_pages(p, to + at, row, true);
        }
    }
}

static void train_layers(pattern *p)
{
    enum { LAYERS = 6 };
    const uint64_t layer = p->bytes / LAYERS / PAGE * PAGE;
    for (unsigned epoch = 0; epoch < 3; epoch++) {
        for (unsigned i = 0; i < LAYERS; i++) use_pages(p, i * layer, layer, false);
        for (unsigned i = LAYERS; i-- > 0;) use_pages(p, i * layer, layer, true);
    }
}

static void chase_pointers(pattern *p)
{
    enum { NODE = 256 };
    const uint32_t count = (uint32_t)(p->bytes / NODE);
    uint32_t *const order = malloc((size_t)count * sizeof *order);
    p->is_over = order == NULL;
    if (p->is_over) return;
    for (uint32_t i = 0; i < count; i++) order[i] = i;
    for (uint32_t i = count - 1; i > 0; i--) {
        const uint32_t j = (uint32_t)(next_random(p) % (i + 1)), other = order[j];
        order[j] = order[i];
        order[i] = other;
    }
    for (uint32_t i = 0; i < count; i++) use(p, (uint64_t)order[i] * NODE, 64, false);
    free(order);
}

static void stream_triad(pattern *p)
{
    const uint64_t array = p->bytes / 3 / PAGE * PAGE;
    for (unsigned pass = 0; pass < 5; pass++) {
        for (uint64_t at = 0; at < array; at += PAGE) {
            use(p, array + at, PAGE, false);
            use(p, 2 * array + at, PAGE, false);
            use(p, at, PAGE, true);
        }
    }
}

static void change_at_random(pattern *p)
{
    for (uint64_t i = 0; i < p->bytes / 256 && !p->is_over; i++) use(p, next_random(p) % (p->bytes / 8) * 8, 8, true);
}

static const struct {
    const char *name;
    void (*run)(pattern *pattern);
} patterns[] = {{"bfs", search_breadth_first}, {"stencil", step_stencil}, {"layers", train_layers},
                {"chase", chase_pointers},     {"triad", stream_triad},   {"sparse", change_at_random}};

const char *um_pattern_name(unsigned number) { return number < sizeof patterns / sizeof *patterns ? patterns[number].name : NULL; }

bool um_pattern_run(unsigned number, uint64_t bytes, um_touch *touch, void *context)
{
    pattern p = {.touch = touch, .context = context, .bytes = bytes, .random = 88172645463325252u};
    patterns[number].run(&p);
    return !p.is_over;
}
