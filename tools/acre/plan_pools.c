/* plan_pools.c - `acre plan pools`: where the borders between slot sizes lie best.
 *
 * A pool for the sizes from a to b needs slots of b bytes, as many as blocks of these sizes were ever live at one time. This peak is
 * counted for every pair of sizes in one pass for each lower border; then the cheapest row of pools is found size by size (dynamic
 * programming): exact, for as many sizes as SIZES_MAX. Where a trace has more, sizes are rounded up to ever coarser steps, at most a
 * sixteenth, until it has not.
 */
#include "command.h"
#include "plan.h"
#include "steps.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum {
    SIZES_MAX = 192,
    POOL_BYTES = 15 * 4,   /* an acre_pool of a 32-bit machine, */
    WORD_SLOTS = 32,       /* of whose words each has so many slots, */
    POOL_SLOTS_MAX = 1056, /* and which has so many altogether: ACRE_POOL_COUNT_MAX there */
};

/* What pools with so many slots cost beside the slots. */
static uint64_t control_bytes(uint64_t slot_count)
{
    const uint64_t pools = (slot_count + POOL_SLOTS_MAX - 1) / POOL_SLOTS_MAX;
    return pools * (POOL_BYTES + 4) + (slot_count > WORD_SLOTS ? 4 * ((slot_count - 1) / WORD_SLOTS - 1) : 0);
}

typedef struct sizes {
    uint64_t list[SIZES_MAX];
    size_t count;
    uint64_t grain;
    unsigned coarse; /* sizes above 2^coarse grains keep only their upper bits */
} sizes;

static uint64_t rounded(const sizes *by, uint64_t size)
{
    uint64_t grains = (size + by->grain - 1) / by->grain;
    if (grains == 0) grains = 1;
    const unsigned bits = 64 - (unsigned)__builtin_clzll(grains);
    const unsigned drop = bits > by->coarse ? bits - by->coarse : 0;
    grains = (grains + (((uint64_t)1 << drop) - 1)) >> drop << drop;
    return grains * by->grain;
}

static int compare_sizes(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* The distinct sizes, ascending; as fine as SIZES_MAX allows. */
static void collect(sizes *into, const replay_step *steps, uint64_t step_count)
{
    uint64_t *const all = must_calloc(step_count + 1, sizeof *all);
    for (into->coarse = 40;; into->coarse--) {
        size_t count = 0, distinct = 0;
        for (uint64_t i = 0; i < step_count; i++)
            if (steps[i].op != ACRE_EVENT_FREE) all[count++] = rounded(into, steps[i].size);
        qsort(all, count, sizeof *all, compare_sizes);
        for (size_t i = 0; i < count; i++)
            if (i == 0 || all[i] != all[distinct - 1]) all[distinct++] = all[i];
        if (distinct > SIZES_MAX) continue;
        memcpy(into->list, all, distinct * sizeof *all);
        into->count = distinct;
        free(all);
        return;
    }
}

static uint32_t index_of(const sizes *in, uint64_t size)
{
    const uint64_t wanted = rounded(in, size);
    const uint64_t *const found = bsearch(&wanted, in->list, in->count, sizeof wanted, compare_sizes);
    return (uint32_t)(found - in->list);
}

/* Each allocation or free as the index of its size, and whether it adds or takes away. */
typedef struct change {
    uint32_t size;
    int32_t by;
} change;

static change *make_changes(const sizes *in, const replay_step *steps, const replay_header *header, size_t *change_count)
{
    change *const changes = must_calloc(2 * header->step_count + 1, sizeof *changes);
    uint32_t *const of_object = must_calloc(header->object_count + 1, sizeof *of_object); /* size + 1 of what is live */
    size_t count = 0;
    for (uint64_t i = 0; i < header->step_count; i++) {
        uint32_t *const live = &of_object[steps[i].object];
        const bool is_free = steps[i].op == ACRE_EVENT_FREE;
        const uint32_t size = is_free ? 0 : index_of(in, steps[i].size);
        /* A block that is resized is made anew before the old one goes, as a program with pools would. */
        if (!is_free) changes[count++] = (change){size, 1};
        if (*live != 0) changes[count++] = (change){*live - 1, -1};
        *live = is_free ? 0 : size + 1;
    }
    free(of_object);
    *change_count = count;
    return changes;
}

/* peaks[b]: the most blocks of the sizes from `a` to b that were live at one time. */
static void count_peaks(const sizes *in, const change *changes, size_t change_count, uint32_t a, int32_t *peaks)
{
    int32_t live[SIZES_MAX] = {0};
    memset(peaks, 0, SIZES_MAX * sizeof *peaks);
    for (size_t i = 0; i < change_count; i++) {
        if (changes[i].size < a) continue;
        const int32_t by = changes[i].by;
        for (uint32_t b = changes[i].size; b < in->count; b++) {
            live[b] += by;
            peaks[b] = live[b] > peaks[b] ? live[b] : peaks[b];
        }
    }
}

typedef struct pool_plan {
    uint32_t first, last; /* sizes */
    uint64_t slot_count;
} pool_plan;

/* The cheapest pools; returns how many. */
static size_t choose_pools(const sizes *in, const change *changes, size_t change_count, size_t pool_max, pool_plan *pools, uint64_t *total)
{
    int32_t(*const peaks)[SIZES_MAX] = must_calloc(SIZES_MAX, sizeof *peaks);
    uint64_t(*const best)[SIZES_MAX + 1] = must_calloc(pool_max + 1, sizeof *best); /* [pools][sizes served] */
    uint8_t(*const from)[SIZES_MAX + 1] = must_calloc(pool_max + 1, sizeof *from);
    for (uint32_t a = 0; a < in->count; a++) count_peaks(in, changes, change_count, a, peaks[a]);
    for (size_t n = 0; n <= pool_max; n++) {
        for (size_t served = 0; served <= in->count; served++) best[n][served] = served == 0 ? 0 : UINT64_MAX;
        for (size_t served = 1; n > 0 && served <= in->count; served++) {
            for (size_t a = 0; a < served; a++) {
                if (best[n - 1][a] == UINT64_MAX) continue;
                const uint64_t slots = (uint64_t)peaks[a][served - 1];
                const uint64_t cost = best[n - 1][a] + slots * in->list[served - 1] + control_bytes(slots);
                if (cost >= best[n][served]) continue;
                best[n][served] = cost;
                from[n][served] = (uint8_t)a;
            }
        }
    }
    size_t count = 0;
    *total = UINT64_MAX;
    for (size_t n = 1; n <= pool_max; n++) {
        if (best[n][in->count] >= *total) continue;
        *total = best[n][in->count];
        count = n;
    }
    for (size_t n = count, served = in->count; n > 0; n--) {
        const uint32_t a = from[n][served];
        pools[n - 1] = (pool_plan){.first = a, .last = (uint32_t)served - 1, .slot_count = (uint64_t)peaks[a][served - 1]};
        served = a;
    }
    free(peaks);
    free(best);
    free(from);
    return count;
}

static void print_pools(const plan_options *options, const sizes *in, const pool_plan *pools, size_t count, uint64_t total,
                        uint64_t peak_live)
{
    printf("%s: %zu pools, %s; %s are live at the peak (%.2f times)\n\n", options->path, count, bytes_text(total), bytes_text(peak_live),
           peak_live == 0 ? 0 : (double)total / (double)peak_live);
    printf("      sizes          slot  slots     bytes\n");
    for (size_t i = 0; i < count; i++) {
        const unsigned long long slot = in->list[pools[i].last], slots = pools[i].slot_count;
        const unsigned long long least = pools[i].first == 0 ? 1 : in->list[pools[i].first - 1] + 1;
        const unsigned long long bytes = slots * slot + control_bytes(slots);
        printf("  %6llu to %6llu  %8llu  %5llu  %8llu\n", least, slot, slot, slots, bytes);
    }
    printf("\n/* Any program whose blocks of each row are never more than that is served by them. */\n#include <acre/pool.h>\n\n");
    for (size_t i = 0; i < count; i++) {
        const unsigned long long slot = in->list[pools[i].last];
        printf("typedef union block_%llu { uint8_t bytes[%llu]; uint64_t alignment; } block_%llu;\n", slot, slot, slot);
        unsigned part = 0;
        for (uint64_t left = pools[i].slot_count; left > 0 && pools[i].slot_count > POOL_SLOTS_MAX; part++) {
            const uint64_t here = left < POOL_SLOTS_MAX ? left : POOL_SLOTS_MAX;
            printf("ACRE_POOL_DEFINE(pool_%llu_%u, block_%llu, %llu);\n", slot, part + 1, slot, (unsigned long long)here);
            left -= here;
        }
        if (part == 0) printf("ACRE_POOL_DEFINE(pool_%llu, block_%llu, %llu);\n", slot, slot, (unsigned long long)pools[i].slot_count);
    }
}

static bool print_pools_json(const sizes *in, const pool_plan *pools, size_t count, uint64_t total, uint64_t peak_live)
{
    json_t *const rows = json_array();
    for (size_t i = 0; i < count; i++) {
        const json_int_t least = pools[i].first == 0 ? 1 : (json_int_t)in->list[pools[i].first - 1] + 1;
        json_array_append_new(rows, json_pack("{s:I, s:I, s:I}", "size_min", least, "slot_bytes",
                                              (json_int_t)in->list[pools[i].last], "slots", (json_int_t)pools[i].slot_count));
    }
    json_t *const plan =
        json_pack("{s:o, s:I, s:I}", "pools", rows, "total_bytes", (json_int_t)total, "peak_live_bytes", (json_int_t)peak_live);
    const bool is_written = plan != NULL && json_dumpf(plan, stdout, JSON_INDENT(2)) == 0 && putchar('\n') != EOF;
    json_decref(plan);
    return is_written;
}

int plan_pools(const plan_options *options)
{
    replay_header header;
    replay_step *const steps = steps_of_file("plan", options->path, options->process_id, false, &header);
    if (steps == NULL) return EXIT_FAILED;
    sizes *const in = must_calloc(1, sizeof *in);
    in->grain = options->grain_bytes;
    collect(in, steps, header.step_count);
    int result = EXIT_SUCCESS;
    if (in->count == 0) {
        complain("plan", "'%s' has no allocations", options->path);
        result = EXIT_FAILED;
    } else {
        size_t change_count = 0;
        change *const changes = make_changes(in, steps, &header, &change_count);
        pool_plan *const pools = must_calloc(options->pool_count, sizeof *pools);
        uint64_t total = 0;
        const size_t count = choose_pools(in, changes, change_count, options->pool_count, pools, &total);
        if (!options->is_json)
            print_pools(options, in, pools, count, total, header.peak_live_bytes);
        else if (!print_pools_json(in, pools, count, total, header.peak_live_bytes))
            result = EXIT_FAILED;
        free(pools);
        free(changes);
    }
    free(in);
    free(steps);
    return result;
}
