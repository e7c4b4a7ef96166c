/* gauges.h - plain 64-bit values that a heap keeps up to date and an observer in another process reads.
 *
 * Each is one aligned word, written by its owner and read by anyone: a reader sees some value that it had, and values of
 * one moment only roughly belong together.
 */
#ifndef ACRE_METER_GAUGES_H
#define ACRE_METER_GAUGES_H

#include <stdint.h>

/* The number is what a GAUGE event carries as its kind, so a gauge keeps it for ever. */
typedef enum acre_gauge {
    ACRE_GAUGE_LIVE_BYTES = 0, /* usable bytes of blocks that the program holds */
    ACRE_GAUGE_USED_BYTES = 1, /* blocks out of spans, those in magazines included */
    ACRE_GAUGE_COMMITTED_BYTES = 2,
    ACRE_GAUGE_DIRTY_BYTES = 3,    /* free, and still backed by memory */
    ACRE_GAUGE_RESERVED_BYTES = 4, /* address space */
    ACRE_GAUGE_METADATA_BYTES = 5,
    ACRE_GAUGE_LIVE_PEAK_BYTES = 6,
    ACRE_GAUGE_COMMITTED_PEAK_BYTES = 7,
    ACRE_GAUGE_RSS_BYTES = 8, /* written by the observer: resident memory, without the recording's own pages */
    ACRE_GAUGE_RSS_PEAK_BYTES = 9,
    ACRE_GAUGE_DEVICE_BYTES = 10,       /* allocations of device memory, as asked for */
    ACRE_GAUGE_DEVICE_TAKEN_BYTES = 11, /* of drivers, for them */
    ACRE_GAUGE_DEVICE_PEAK_BYTES = 12,
    ACRE_GAUGE_DEVICE_TAKEN_PEAK_BYTES = 13,
    ACRE_GAUGE_COUNT = 14,
} acre_gauge;

typedef struct acre_recorder_gauges {
    uint64_t values[ACRE_GAUGE_COUNT]; /* index: acre_gauge */
} acre_recorder_gauges;

static inline void acre_gauge_set(acre_recorder_gauges *gauges, acre_gauge gauge, uint64_t value)
{
    __atomic_store_n(&gauges->values[gauge], value, __ATOMIC_RELAXED);
}

static inline uint64_t acre_gauge_get(const acre_recorder_gauges *gauges, acre_gauge gauge)
{
    return __atomic_load_n(&gauges->values[gauge], __ATOMIC_RELAXED);
}

/* "live_bytes" for ACRE_GAUGE_LIVE_BYTES, ...; NULL for a number of a later version. */
const char *acre_gauge_name(unsigned gauge);

#endif
