/* steps.h - a trace as a list of steps: allocations and frees of numbered objects, in the order of time, as they are given to allocators
 * again. */
#ifndef ACRE_TOOL_STEPS_H
#define ACRE_TOOL_STEPS_H

#include "trace_reader.h"

#include <stdio.h>

typedef struct replay_step {
    uint64_t size;
    uint32_t object;    /* FREE of an object that is not there does nothing */
    uint8_t op;         /* acre_event_op */
    uint8_t alignment_log2;
    uint16_t unused;
} replay_step;

typedef struct replay_header {
    uint64_t step_count;
    uint64_t object_count;
    uint64_t peak_live_bytes; /* of sizes as asked for */
} replay_header;

/* Writes a header and the steps of one process of the trace to `out`, which can be rewound, and closes it. What is freed and was never
 * allocated is left out, and counted. False with errno: it can't be written. */
bool steps_write(trace_reader *reader, uint32_t process, FILE *out, replay_header *header, uint64_t *skipped_count);

/* The steps of a file, to be freed: a trace, of which process 0 stands for the one with the most frames; text with lines `alloc ID
 * BYTES` and `free ID` ('#' begins a comment; an ID is any number); or a log of rmm's logging resource adaptor (CSV, heading first). NULL
 * after a message of `command_name`. `wants_device`: of a trace the steps of device memory, if there are any, instead of the heap's. */
replay_step *steps_of_file(const char *command_name, const char *path, uint64_t process_id, bool wants_device, replay_header *header);

/* The process with this id, or with id 0 the one with the most frames. False: there is none. */
bool steps_choose_process(const trace_reader *reader, uint64_t process_id, uint32_t *chosen);

#endif
