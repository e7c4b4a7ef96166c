/* trace_format.h - the layout of a trace file; docs/trace-format.md explains it. Little endian, version 2. */
#ifndef ACRE_TOOL_TRACE_FORMAT_H
#define ACRE_TOOL_TRACE_FORMAT_H

#include <assert.h>
#include <stdint.h>

#define TRACE_MAGIC UINT64_C(0x4543415254524341) /* "ACRTRACE" */
#define TRACE_FRAME_MAGIC UINT32_C(0x46524341)    /* "ACRF" */

enum {
    TRACE_VERSION = 2,
    TRACE_VERSION_OLDEST = 1, /* has no short forms of events, and is read all the same */
    TRACE_FRAME_RAW_BYTES_MAX = 1024 * 1024,
    TRACE_GAUGE_THREAD = 0xFFFFFFF, /* the stream of the observer's gauge events */
};

typedef enum trace_frame_kind {
    TRACE_PROCESS = 1,     /* trace_process and two texts: a process appears */
    TRACE_EVENTS = 2,      /* encoded events of one thread (src/meter/event.h) */
    TRACE_PROCESS_END = 3, /* trace_process_end: its last word */
    TRACE_END = 4,         /* no payload: the trace is complete */
} trace_frame_kind;

typedef struct trace_header {
    uint64_t magic;
    uint32_t version;
    uint32_t header_bytes; /* frames begin here */
    uint64_t ticks_per_second;
    uint64_t start_ticks;
    uint64_t start_unix_ns;
    uint64_t sample_bytes; /* 0: every event was recorded */
    uint64_t reserved;
    uint32_t reserved_too;
    uint32_t check; /* CRC-32 of the bytes before it */
} trace_header;

typedef struct trace_frame {
    uint32_t magic;
    uint16_t kind;    /* trace_frame_kind; unknown kinds are skipped */
    uint16_t reserved;
    uint32_t process; /* number of the process in this trace, from 0 */
    uint32_t thread;  /* its thread; 0: the recorder's own events (stacks, modules) */
    uint32_t raw_bytes;
    uint32_t stored_bytes; /* of the zstd frame that follows */
    uint64_t start_ticks;  /* what the first event's time refers to */
    uint64_t end_ticks;    /* of the last event */
    uint32_t stored_check; /* CRC-32 of the stored bytes */
    uint32_t check;        /* CRC-32 of the header's bytes before it */
} trace_frame;

typedef struct trace_process {
    uint32_t process_id;
    uint32_t parent_process_id;
    uint32_t is_fork;
    uint32_t program_bytes; /* the executable's path follows ... */
    uint32_t command_bytes; /* ... and then its arguments, each ending in 0 */
    uint32_t reserved;
    uint64_t start_ticks;
} trace_process;

typedef struct trace_process_end {
    uint64_t dropped_count;
    uint64_t stack_audit_count;
    uint64_t stack_wrong_count;
    uint64_t end_ticks;
    uint32_t is_finished; /* 0: it was killed, or lives on */
    int32_t wait_status;  /* as wait(2) gives it; -1: not known */
    uint64_t gauges[16];  /* last values, index: acre_gauge */
} trace_process_end;

static_assert(sizeof(trace_header) == 64 && sizeof(trace_frame) == 48, "the layout has no hidden padding");
static_assert(sizeof(trace_process) == 32 && sizeof(trace_process_end) == 168, "the layout has no hidden padding");

#endif
