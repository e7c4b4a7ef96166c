/* arenas.c - see arenas.h. */
#include "arenas.h"
#include "command.h"

#include "alloc/block.h"

#include <stdlib.h>
#include <string.h>

enum { GRAIN_BYTES = 64, MEMORY_ALIGNMENT = 4096 };

const char *const arena_engine_names[] = {"tight", "fast", "best", "worst", "buddy"};
const char *const arena_engine_constants[] = {"ACRE_REALTIME_TIGHT", "ACRE_REALTIME_FAST", "ACRE_REALTIME_BEST", "ACRE_REALTIME_WORST",
                                              "ACRE_REALTIME_BUDDY"};

size_t arena_bytes_max(void) { return ACRE_REALTIME_REGION_BYTES_MAX; }

bool arena_trace_open(arena_trace *trace, const char *command_name, const char *path, uint64_t process_id)
{
    *trace = (arena_trace){.steps = NULL};
    trace->steps = steps_of_file(command_name, path, process_id, false, &trace->header);
    if (trace->steps == NULL) return false;
    if (trace->header.peak_live_bytes == 0) {
        complain(command_name, "'%s' has no allocations", path);
        arena_trace_close(trace);
        return false;
    }
    trace->objects = must_calloc(trace->header.object_count + 1, sizeof *trace->objects);
    trace->memory = aligned_alloc(MEMORY_ALIGNMENT, arena_bytes_max());
    if (trace->memory != NULL) return true;
    complain(command_name, "no memory for an arena of %s", bytes_text(arena_bytes_max()));
    arena_trace_close(trace);
    return false;
}

void arena_trace_close(arena_trace *trace)
{
    free(trace->memory);
    free(trace->objects);
    free(trace->steps);
}

static void *step_alloc(acre_realtime *heap, const replay_step *step, void *old)
{
    if (step->op == ACRE_EVENT_REALLOC) return acre_realtime_realloc(heap, old, step->size);
    if (step->op == ACRE_EVENT_ALIGNED) return acre_realtime_alloc_aligned(heap, step->size, (size_t)1 << step->alignment_log2);
    return acre_realtime_alloc(heap, step->size);
}

/* False when the step failed. */
static bool take_step(arena_trace *trace, const replay_step *step, arena_run *run)
{
    void **const object = &trace->objects[step->object];
    if (step->op == ACRE_EVENT_FREE) {
        if (*object != NULL && acre_realtime_free(&run->heap, *object) != ACRE_OK) abort();
        *object = NULL;
        return true;
    }
    void *const block = step_alloc(&run->heap, step, *object);
    if (block == NULL) return false; /* of a realloc: the block is as it was */
    *object = block;
    const size_t end = (size_t)((unsigned char *)block - trace->memory) + acre_realtime_usable_size(&run->heap, block);
    if (end > run->top_bytes) run->top_bytes = end;
    return true;
}

static bool begin(arena_trace *trace, acre_realtime_engine engine, size_t bytes, arena_run *run)
{
    *run = (arena_run){.top_bytes = 0};
    memset(trace->objects, 0, (size_t)trace->header.object_count * sizeof *trace->objects);
    return acre_realtime_init(&run->heap, &(acre_realtime_options){.engine = engine}, trace->memory, bytes) == ACRE_OK;
}

bool arena_replay(arena_trace *trace, acre_realtime_engine engine, size_t bytes, arena_observer *observe, void *context, arena_run *run)
{
    if (!begin(trace, engine, bytes, run)) return false;
    for (uint64_t i = 0; i < trace->header.step_count; i++) {
        run->failure_count += !take_step(trace, &trace->steps[i], run);
        if (observe != NULL) observe(context, i, &run->heap);
    }
    return true;
}

static bool completes(arena_trace *trace, acre_realtime_engine engine, size_t bytes, arena_run *run)
{
    bool is_good = begin(trace, engine, bytes, run);
    for (uint64_t i = 0; is_good && i < trace->header.step_count; i++) is_good = take_step(trace, &trace->steps[i], run);
    return is_good;
}

size_t arena_smallest(arena_trace *trace, acre_realtime_engine engine, arena_run *run)
{
    const size_t bytes_max = arena_bytes_max();
    const uint64_t peak_bytes = trace->header.peak_live_bytes;
    arena_run tried;
    size_t low =
        peak_bytes < ACRE_REALTIME_BYTES_MIN ? ACRE_REALTIME_BYTES_MIN - GRAIN_BYTES : (size_t)peak_bytes / GRAIN_BYTES * GRAIN_BYTES;
    size_t high = low + GRAIN_BYTES;
    if (peak_bytes >= bytes_max) return 0;
    while (!completes(trace, engine, high, run)) {
        if (high == bytes_max) return 0;
        low = high;
        high = high > bytes_max - high / 4 - GRAIN_BYTES ? bytes_max : high + (high / 4 + GRAIN_BYTES) / GRAIN_BYTES * GRAIN_BYTES;
    }
    while (high - low > GRAIN_BYTES) {
        const size_t middle = low + (high - low) / 2 / GRAIN_BYTES * GRAIN_BYTES;
        if (completes(trace, engine, middle, &tried)) {
            high = middle;
            *run = tried;
        } else {
            low = middle;
        }
    }
    return high;
}
