/* trace_reader.h - reads a trace file, which may come from anywhere: every length, checksum and number is checked.
 *
 * Opening reads the headers of all frames and verifies their checksums. At the first damage reading stops: what stands
 * before it is used, and trace_damage tells where and what. Events are then given in the order of time, process by process.
 * Not thread safe. Memory: the file is mapped, an index of 40 bytes a frame, and one decompressed frame a thread.
 */
#ifndef ACRE_TOOL_TRACE_READER_H
#define ACRE_TOOL_TRACE_READER_H

#include "base/status.h"
#include "meter/event.h"
#include "trace_format.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct trace_reader trace_reader;

typedef struct trace_module {
    uint64_t begin, end, file_offset;
    char *path; /* "" for code without a file */
} trace_module;

typedef struct trace_stack {
    uint64_t *pcs; /* return addresses, innermost first; NULL: not defined (the event was lost) */
    uint32_t count;
} trace_stack;

typedef struct trace_process_info {
    trace_process process;
    trace_process_end end; /* when has_end */
    bool has_end;
    char *program;
    char *command;       /* arguments with blanks between */
    char *name;          /* what it was called as, without folders */
    uint64_t start_ns;   /* since the start of the trace */
    uint64_t end_ns;     /* time of the last event */
    uint64_t frame_count;
    trace_stack *stacks; /* index: stack id */
    uint32_t stack_count;
    trace_module *modules;
    uint32_t module_count;
} trace_process_info;

/* ACRE_IO: can't be read. ACRE_CORRUPT: not a trace at all, or its header is damaged. ACRE_UNSUPPORTED: a later version. A
 * trace that is sound only in part opens, and has a trace_damage. */
acre_status trace_reader_open(trace_reader **out, const char *path);

/* The same for bytes in memory, which must stay there. `name` stands in messages. */
acre_status trace_reader_open_memory(trace_reader **out, const char *name, const uint8_t *bytes, size_t length);
void trace_reader_close(trace_reader *reader);

const trace_header *trace_header_of(const trace_reader *reader);

/* NULL when all of the trace is sound and complete, else a sentence with the byte offset. */
const char *trace_damage(const trace_reader *reader);

uint32_t trace_process_count(const trace_reader *reader);
const trace_process_info *trace_process_at(const trace_reader *reader, uint32_t index);

/* Hands every event of a process to `take`, in the order of time; times are nanoseconds since the start of the trace.
 * STACK, MODULE and DEFINE events are not among them: they stand in trace_process_info. O(events * log threads). */
void trace_for_each_event(trace_reader *reader, uint32_t process, void (*take)(void *context, const acre_event *event),
                          void *context);

/* Nanoseconds since the trace's start. */
uint64_t trace_ns(const trace_reader *reader, uint64_t ticks);

#endif
