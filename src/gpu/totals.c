/* totals.c - see gpu/totals.h. */
#include "gpu/totals.h"

#include <stdbool.h>

static acre_gpu_totals totals_of_process;
acre_gpu_observer *acre_gpu_observer_of_process;

static void count(uint64_t *value, uint64_t *peak, int64_t bytes)
{
    const uint64_t now = __atomic_add_fetch(value, (uint64_t)bytes, __ATOMIC_RELAXED);
    uint64_t seen = __atomic_load_n(peak, __ATOMIC_RELAXED);
    while (bytes > 0 && now > seen && !__atomic_compare_exchange_n(peak, &seen, now, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
}

void acre_gpu_count_memory(int64_t bytes) { count(&totals_of_process.memory_bytes, &totals_of_process.memory_bytes_peak, bytes); }
void acre_gpu_count_block(int64_t bytes) { count(&totals_of_process.block_bytes, &totals_of_process.block_bytes_peak, bytes); }

void acre_gpu_read_totals(acre_gpu_totals *totals)
{
    totals->memory_bytes = __atomic_load_n(&totals_of_process.memory_bytes, __ATOMIC_RELAXED);
    totals->memory_bytes_peak = __atomic_load_n(&totals_of_process.memory_bytes_peak, __ATOMIC_RELAXED);
    totals->block_bytes = __atomic_load_n(&totals_of_process.block_bytes, __ATOMIC_RELAXED);
    totals->block_bytes_peak = __atomic_load_n(&totals_of_process.block_bytes_peak, __ATOMIC_RELAXED);
}

void acre_gpu_observe(acre_gpu_observer *observer) { acre_gpu_observer_of_process = observer; }
