/* unwind.h - return addresses of the calling stack, by libunwind. */
#ifndef ACRE_PRELOAD_UNWIND_H
#define ACRE_PRELOAD_UNWIND_H

#include <stdbool.h>
#include <stddef.h>

/* Loads libunwind; false when it is not there: then acre_unwind must not be called. Allocates. Not thread safe. */
bool acre_unwind_load(void);

/* An acre_unwind_function (meter/recorder.h). About 11 ns a frame once libunwind's cache of the thread knows the code, some
 * 50 us the first time. It may allocate on a thread's first call: the caller keeps that from being recorded. */
size_t acre_unwind(void **pcs, size_t count_max);

#endif
