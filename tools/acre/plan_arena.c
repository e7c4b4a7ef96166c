/* plan_arena.c - `acre plan arena`: the smallest arena with which each engine of acre/realtime.h completes a trace, found by replay, beside
 * the one that is proved to be enough for every program with the same M and n. */
#include "arenas.h"
#include "command.h"
#include "plan.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

typedef struct arena_plan {
    size_t arena_bytes; /* 0: none is large enough, or it can't be aligned so */
    size_t live_bytes_max;
    size_t request_bytes_max;
    size_t bound_bytes; /* 0: more than an arena can have */
    size_t planned_bytes;
    acre_realtime_engine engine;
    bool has_odd_edges; /* blocks were changed where they are: the bound is that for any order */
} arena_plan;

static arena_plan plan_of(arena_trace *trace, acre_realtime_engine engine, uint64_t reserve_percent)
{
    arena_run run;
    arena_plan plan = {.engine = engine, .arena_bytes = arena_smallest(trace, engine, &run)};
    if (plan.arena_bytes == 0) return plan;
    plan.live_bytes_max = run.heap.live_bytes_peak;
    plan.request_bytes_max = run.heap.request_bytes_max;
    plan.has_odd_edges = run.heap.has_odd_edges;
    plan.planned_bytes = (size_t)(plan.arena_bytes + plan.arena_bytes * reserve_percent / 100 + 7) / 8 * 8;
    if (!plan.has_odd_edges)
        plan.bound_bytes = acre_realtime_bound(engine, plan.live_bytes_max, plan.request_bytes_max);
    else if (engine != ACRE_REALTIME_BUDDY) /* best has the bound that holds for all orders, and no less control data than others */
        plan.bound_bytes = acre_realtime_bound(ACRE_REALTIME_BEST, plan.live_bytes_max, plan.request_bytes_max);
    return plan;
}

/* How much longer the proved arena is than the smallest one. */
static double headroom_percent(const arena_plan *plan) { return 100.0 * ((double)plan->bound_bytes / (double)plan->arena_bytes - 1); }

static const arena_plan *smallest_of(const arena_plan *plans, size_t count)
{
    const arena_plan *best = NULL;
    for (size_t i = 0; i < count; i++) {
        if (plans[i].arena_bytes == 0) continue;
        if (best == NULL || plans[i].arena_bytes < best->arena_bytes) best = &plans[i];
    }
    return best;
}

static void print_plans(const plan_options *options, const replay_header *header, const arena_plan *plans, size_t count)
{
    bool has_odd_edges = false;
    printf("%s: %s steps, %s are live at the peak\n\n", options->path, count_text(header->step_count), bytes_text(header->peak_live_bytes));
    printf("engine  smallest  of peak         M         n    proved  headroom\n");
    for (size_t i = 0; i < count; i++) {
        const arena_plan *const plan = &plans[i];
        const char *const name = arena_engine_names[plan->engine];
        if (plan->arena_bytes == 0) {
            printf("%-6s  none up to %s%s\n", name, bytes_text(arena_bytes_max()),
                   plan->engine == ACRE_REALTIME_BUDDY ? ", or an alignment beyond 32" : "");
            continue;
        }
        printf("%-6s  %8zu  %7.3f  %8zu  %8zu", name, plan->arena_bytes, (double)plan->arena_bytes / (double)header->peak_live_bytes,
               plan->live_bytes_max, plan->request_bytes_max);
        if (plan->bound_bytes == 0)
            printf("  above %s\n", bytes_text(arena_bytes_max()));
        else
            printf("  %8zu  %+7.0f%%\n", plan->bound_bytes, headroom_percent(plan));
        has_odd_edges |= plan->has_odd_edges;
    }
    puts("\nsmallest: bytes of the arena with which all steps succeed, to 64 bytes, control\n"
         "data included; proved: enough for any order of allocs and frees with that M, n.");
    if (has_odd_edges) puts("The trace resizes or aligns blocks: then only the larger bound is proved.");
    printf("Sizes are those of this machine, where addresses have %zu bits.\n", sizeof(void *) * 8);
    const arena_plan *const best = smallest_of(plans, count);
    if (best == NULL) return;
    printf(
        "\n/* %s: %zu bytes are enough for this trace; %llu %% are added. */\n#include <acre/realtime.h>\n\nACRE_STATIC_ARENA(arena, %zu, "
        "%s);\n",
        arena_engine_names[best->engine], best->arena_bytes, (unsigned long long)options->reserve_percent, best->planned_bytes,
        arena_engine_constants[best->engine]);
}

static bool print_plans_json(const replay_header *header, const arena_plan *plans, size_t count)
{
    json_t *const rows = json_array();
    for (size_t i = 0; i < count; i++) {
        const arena_plan *const plan = &plans[i];
        const bool is_found = plan->arena_bytes > 0;
        const bool is_bound = plan->bound_bytes > 0;
        json_array_append_new(
            rows, json_pack("{s:s, s:o, s:o, s:I, s:I, s:o, s:o, s:b, s:I}", "engine", arena_engine_names[plan->engine], "arena_bytes",
                            is_found ? json_integer((json_int_t)plan->arena_bytes) : json_null(), "of_peak",
                            is_found ? json_real((double)plan->arena_bytes / (double)header->peak_live_bytes) : json_null(),
                            "live_bytes_max", (json_int_t)plan->live_bytes_max, "request_bytes_max", (json_int_t)plan->request_bytes_max,
                            "bound_bytes", is_bound ? json_integer((json_int_t)plan->bound_bytes) : json_null(), "headroom_percent",
                            is_bound ? json_real(headroom_percent(plan)) : json_null(), "resizes_or_aligns", (int)plan->has_odd_edges,
                            "planned_bytes", (json_int_t)plan->planned_bytes));
    }
    json_t *const document =
        json_pack("{s:I, s:I, s:I, s:o}", "steps", (json_int_t)header->step_count, "peak_live_bytes", (json_int_t)header->peak_live_bytes,
                  "address_bits", (json_int_t)sizeof(void *) * 8, "engines", rows);
    const bool is_written = document != NULL && json_dumpf(document, stdout, JSON_INDENT(2)) == 0 && putchar('\n') != EOF;
    json_decref(document);
    return is_written;
}

/* The engines of a list `tight,fast` or of "all", in the order given. False: a name is none. */
static bool choose_engines(const char *list, acre_realtime_engine *engines, size_t *count)
{
    *count = 0;
    if (strcmp(list, "all") == 0) {
        for (; *count < ACRE_REALTIME_ENGINE_COUNT; ++*count) engines[*count] = (acre_realtime_engine)*count;
        return true;
    }
    for (const char *at = list;; at++) {
        const size_t length = strcspn(at, ",");
        size_t i = 0;
        while (i < ACRE_REALTIME_ENGINE_COUNT &&
               (strlen(arena_engine_names[i]) != length || strncmp(arena_engine_names[i], at, length) != 0))
            i++;
        if (i == ACRE_REALTIME_ENGINE_COUNT || *count == ACRE_REALTIME_ENGINE_COUNT) return false;
        engines[(*count)++] = (acre_realtime_engine)i;
        at += length;
        if (*at == 0) return true;
    }
}

int plan_arena(const plan_options *options)
{
    acre_realtime_engine engines[ACRE_REALTIME_ENGINE_COUNT];
    arena_plan plans[ACRE_REALTIME_ENGINE_COUNT] = {0};
    arena_trace trace;
    size_t count;
    if (!choose_engines(options->engines, engines, &count))
        return complain_usage("plan", "--engine '%s' is no list of tight, fast, best, worst, buddy, and not 'all'", options->engines);
    if (!arena_trace_open(&trace, "plan", options->path, options->process_id)) return EXIT_FAILED;
    for (size_t i = 0; i < count; i++) plans[i] = plan_of(&trace, engines[i], options->reserve_percent);
    int result = smallest_of(plans, count) != NULL ? EXIT_SUCCESS : EXIT_FAILED;
    if (!options->is_json)
        print_plans(options, &trace.header, plans, count);
    else if (!print_plans_json(&trace.header, plans, count))
        result = EXIT_FAILED;
    arena_trace_close(&trace);
    return result;
}
