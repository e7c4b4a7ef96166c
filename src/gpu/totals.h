/* totals.h - what all managers of device memory of this process have, and who is told of each allocation: for what observes a process. */
#ifndef ACRE_GPU_TOTALS_H
#define ACRE_GPU_TOTALS_H

#include <stdint.h>

typedef struct acre_gpu_totals {
    uint64_t memory_bytes; /* in allocations, as asked for */
    uint64_t memory_bytes_peak;
    uint64_t block_bytes; /* taken from drivers */
    uint64_t block_bytes_peak;
} acre_gpu_totals;

/* Each figure is one that it had; they belong together only roughly. Thread safe. */
void acre_gpu_read_totals(acre_gpu_totals *totals);

/* Hears of each allocation (`size_bytes` > 0) and free (0) by the address of its record, which is used again. A lock of the manager may be
 * held: it does not call it. `frame` is that of the public function that was called. Set before threads start; NULL: nobody. */
typedef void acre_gpu_observer(uint64_t record, uint64_t size_bytes, const void *frame);
void acre_gpu_observe(acre_gpu_observer *observer);

/* For the manager: */
void acre_gpu_count_memory(int64_t bytes);
void acre_gpu_count_block(int64_t bytes);
extern acre_gpu_observer *acre_gpu_observer_of_process;

#endif
