/* arenas.h - a trace on the real-time heaps of acre/realtime.h: how it ends in an arena of so many bytes, and the smallest one in which it
 * completes. */
#ifndef ACRE_TOOL_ARENAS_H
#define ACRE_TOOL_ARENAS_H

#include "steps.h"

#include <acre/realtime.h>

/* In the order of acre_realtime_engine. */
extern const char *const arena_engine_names[ACRE_REALTIME_ENGINE_COUNT];     /* "tight" */
extern const char *const arena_engine_constants[ACRE_REALTIME_ENGINE_COUNT]; /* "ACRE_REALTIME_TIGHT" */

/* Hears of the heap after a step. */
typedef void arena_observer(void *context, uint64_t step, const acre_realtime *heap);

typedef struct arena_trace {
    replay_header header;
    replay_step *steps;
    void **objects;        /* of header.object_count */
    unsigned char *memory; /* arena_bytes_max() bytes */
} arena_trace;

typedef struct arena_run {
    acre_realtime heap; /* as it is at the end */
    uint64_t failure_count;
    size_t top_bytes; /* where the highest block ended */
} arena_run;

size_t arena_bytes_max(void);

/* Reads the steps, as steps_of_file. False after a message: that, or there is no allocation. */
bool arena_trace_open(arena_trace *trace, const char *command_name, const char *path, uint64_t process_id);
void arena_trace_close(arena_trace *trace);

/* All steps in a fresh arena. False: the engine does not work in so few bytes. `observe` may be NULL. */
bool arena_replay(arena_trace *trace, acre_realtime_engine engine, size_t bytes, arena_observer *observe, void *context, arena_run *run);

/* The smallest arena, to 64 bytes, found by bisection; `run` is how it ended there. 0: not with arena_bytes_max() bytes either. */
size_t arena_smallest(arena_trace *trace, acre_realtime_engine engine, arena_run *run);

#endif
