/* synthetic_trace.h - a small trace whose every figure is known, for the tests of the reader and of the reports. */
#ifndef ACRE_TEST_SYNTHETIC_TRACE_H
#define ACRE_TEST_SYNTHETIC_TRACE_H

/* Two processes. In the first, threads 11 and 12 each allocate and free LOOP_COUNT blocks of LOOP_BYTES one after the other
 * (stack 1), and thread 11 leaves LEAK_COUNT blocks of LEAK_BYTES over the run (stack 2); gauges rise with it. The second
 * allocates one block of OTHER_BYTES and frees a block that it does not know. One event of the first process is of an
 * operation that no reader knows. */
enum {
    LOOP_COUNT = 3000,
    LOOP_BYTES = 100,
    LEAK_COUNT = 50,
    LEAK_BYTES = 1000,
    LOST_COUNT = 20, /* of the leaked blocks: nothing points to them at the end, of process 0 alone is it known */
    OTHER_BYTES = 64,
    UNKNOWN_OP = 30,
    STEP_NS = 1000, /* between two events of a thread */
};

/* Asserts (cmocka) that it can be written. */
void write_synthetic_trace(const char *path);

#endif
