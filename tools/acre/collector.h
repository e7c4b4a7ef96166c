/* collector.h - takes the events of the programs under observation out of their record files and writes them to a trace.
 *
 * Processes appear by themselves: each makes a file in the directory (src/meter/record_file.h). Not thread safe.
 */
#ifndef ACRE_TOOL_COLLECTOR_H
#define ACRE_TOOL_COLLECTOR_H

#include "trace_writer.h"

#include <stdbool.h>

typedef struct collector collector;

/* `writer` and `directory` must outlive the collector. */
collector *collector_open(const char *directory, trace_writer *writer);

/* Names the process whose end the caller waits for: it is not said goodbye to before collector_finish, which knows how it
 * ended. */
void collector_expect(collector *collector, uint32_t process_id);

/* One round: finds new processes, drains full chunks, samples gauges and resident memory where it is time, and says goodbye
 * to processes that have ended. Returns true when there was something to drain, so that the next round should be soon. */
bool collector_round(collector *collector);

/* The last round: takes everything that has been written, also by processes that live on. The process that
 * was expected ended with `wait_status`, and had at most so many bytes resident (0: not known), which the trace keeps. */
void collector_finish(collector *collector, int wait_status, uint64_t resident_peak_bytes);
void collector_close(collector *collector);

#endif
