/* failing_opencl.h - what a test says to tests/gpu/failing_opencl.c. */
#ifndef ACRE_TESTS_GPU_FAILING_OPENCL_H
#define ACRE_TESTS_GPU_FAILING_OPENCL_H

#include <stdbool.h>

#define FAILING __attribute__((visibility("default")))

/* The library is loaded by its path, apart from the real one's names; a test finds these three in it.
 *
 * The k-th call from here on (from 1) that can fail, and no other, fails; 0: none. */
FAILING void failing_opencl_at(unsigned long call, int error);
FAILING unsigned long failing_opencl_calls(void);

/* Buffers, events, retained contexts and shared memory that libacre-opencl has taken and not given back. */
FAILING int failing_opencl_live(void);

#endif
