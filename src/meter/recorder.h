/* recorder.h - carries events out of the running program: the part of the meter that lives inside it.
 *
 * A process has one recorder, a thread one stream. A stream encodes its events into a 64 KiB chunk of a file that is mapped
 * shared (record_file.h); the collector in another process takes full chunks away. Nothing is lost when the program is
 * killed, and no descriptor stays open that the program could close.
 *
 * Bounded: at most 64 MiB wait for the collector. When they are full, a thread waits up to a second for a collector that
 * lives, and not at all for one that is gone; then events are dropped and counted.
 *
 * No malloc, no stdio. A stream must not be used again while one of its calls runs (in a signal handler, or from an
 * allocation that the unwinder makes): the caller guards that.
 */
#ifndef ACRE_METER_RECORDER_H
#define ACRE_METER_RECORDER_H

#include "base/status.h"
#include "meter/event.h"
#include "meter/gauges.h"

#include <stddef.h>
#include <stdint.h>

typedef struct acre_recorder acre_recorder;
typedef struct acre_recorder_stream acre_recorder_stream;

/* Writes the return addresses of the calling stack to pcs[0 ... count_max), innermost first, and returns how many. The
 * unwinder's own frames may be among them. */
typedef size_t acre_unwind_function(void **pcs, size_t count_max);

enum { ACRE_STACK_FRAMES_MAX = 64 }; /* deeper stacks lose their outermost frames */

/* Starts recording into a new file in `directory`. `unwind` may be NULL: then every stack is unknown (0).
 * ACRE_INVALID: no directory, or its path is longer than 200 bytes. ACRE_NO_MEMORY, ACRE_IO: the file can't be made.
 * About 100 us. Not thread safe: call it once, before other threads record. */
acre_status acre_recorder_open(acre_recorder **out, const char *directory, acre_unwind_function *unwind);

/* In the child after fork: leaves the parent's file alone and starts one of its own; `mine` is the stream of the thread
 * that forked, which goes on (NULL if it had none); all others are closed. Stack ids begin anew: an id from before the
 * fork has no meaning. On an error the recorder drops everything from then on. Call it with one thread running. */
acre_status acre_recorder_after_fork(acre_recorder *recorder, acre_recorder_stream *mine);

/* At exit of the process: records the modules loaded by then and the peak RSS. Events may still follow. Thread safe. */
void acre_recorder_finish(acre_recorder *recorder);

/* A stream for the calling thread, NULL when there is no memory. Thread safe. O(1) but for the first touch of its pages. */
acre_recorder_stream *acre_recorder_stream_open(acre_recorder *recorder);

/* Seals what the stream has written and gives its memory back. At thread exit. Thread safe. O(1). */
void acre_recorder_stream_close(acre_recorder_stream *stream);

/* Records `event`; `time` 0 means now, `thread` is ignored. An allocation is put after it has happened, a free before it
 * happens: then events of one address are in order when merged by time, which is told in steps of ACRE_EVENT_TIME_STEP ticks. O(1),
 * about 20 ns, 10 of them the clock; once in some 10000 events it takes another chunk. */
void acre_recorder_put(acre_recorder_stream *stream, const acre_event *event);

/* The same for the two most frequent events, in some 5 ns and the clock: an allocation by `op` (ALLOC, CALLOC, NEW), and a free. They
 * return the time of the event. */
uint64_t acre_recorder_put_alloc(acre_recorder_stream *stream, unsigned op, uint64_t address, uint64_t size, uint32_t stack);
uint64_t acre_recorder_put_free(acre_recorder_stream *stream, uint64_t address);

/* The id of the stack from the function on whose __builtin_frame_address(0) is `frame`, one of the callers (NULL: the caller of this one),
 * without its innermost frames that lie in the module of the recorder itself (the malloc replacement). 0: unknown. Some 12 ns and
 * 0.5 ns a frame when the thread has seen the stack before (stack_cache.h), 5 ns a frame when it knows the frames, 15 ns a frame
 * when not, and more for a stack that is new. Some are unwound again for a check: every 1024th at first, every 16384th when all were
 * right; the counts stand in the report. */
uint32_t acre_recorder_stack(acre_recorder_stream *stream, const void *frame);

/* Hands the recorder's own memory, in which addresses of blocks stand that are no pointers to them, to `take`. Thread safe. */
void acre_recorder_each_memory(acre_recorder *recorder, void (*take)(void *taker, const void *begin, size_t bytes), void *taker);

/* The gauges of this process, in the shared file. After a fork ask again. O(1). */
acre_recorder_gauges *acre_recorder_gauges_of(acre_recorder *recorder);

#endif
