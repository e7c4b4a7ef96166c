/* cuda_check.h - every call of acre/cuda.h on the device that is there, its memory used by kernels and every word of it compared. */
#ifndef ACRE_BENCH_GPU_CUDA_CHECK_H
#define ACRE_BENCH_GPU_CUDA_CHECK_H

#include <acre/cuda.h>
#include <stdbool.h>

/* With `is_one_process` memory is exported to this process, which only a driver of a test allows; else to a child, which is this program
 * with --import. `scale` divides what there is much of. */
typedef struct check_options {
    bool is_one_process;
    unsigned scale;
} check_options;

/* Prints a line for each group of calls. False: what is wrong was said. */
bool check_all(acre_cuda *cuda, const check_options *options);

/* The child: memory by its bytes in hexadecimal, with the count of words in it, from 7 on; makes a step of each. */
bool check_import(acre_cuda *cuda, const char *hex, uint64_t count);

#endif
