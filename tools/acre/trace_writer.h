/* trace_writer.h - writes a trace file frame by frame. Not thread safe. */
#ifndef ACRE_TOOL_TRACE_WRITER_H
#define ACRE_TOOL_TRACE_WRITER_H

#include "base/status.h"
#include "trace_format.h"

#include <stddef.h>
#include <stdint.h>

typedef struct trace_writer trace_writer;

/* Creates (or empties) `path`. `header` gives the clock and the sampling; its other fields are filled in here. */
acre_status trace_writer_open(trace_writer **out, const char *path, const trace_header *header);

/* Appends a frame: `frame` gives kind, process, thread and times. raw_bytes is 0 ... TRACE_FRAME_RAW_BYTES_MAX. ACRE_IO when
 * the disk is full; then and from then on nothing more is written. */
acre_status trace_writer_put(trace_writer *writer, const trace_frame *frame, const void *raw, size_t raw_bytes);

/* Appends the end frame and closes. Tells of an error that has happened at any time. */
acre_status trace_writer_close(trace_writer *writer);

#endif
