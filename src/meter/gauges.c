/* gauges.c - see gauges.h. */
#include "meter/gauges.h"

#include <stddef.h>

const char *acre_gauge_name(unsigned gauge)
{
    static const char *const names[ACRE_GAUGE_COUNT] = {
        [ACRE_GAUGE_LIVE_BYTES] = "live_bytes",
        [ACRE_GAUGE_USED_BYTES] = "used_bytes",
        [ACRE_GAUGE_COMMITTED_BYTES] = "committed_bytes",
        [ACRE_GAUGE_DIRTY_BYTES] = "dirty_bytes",
        [ACRE_GAUGE_RESERVED_BYTES] = "reserved_bytes",
        [ACRE_GAUGE_METADATA_BYTES] = "metadata_bytes",
        [ACRE_GAUGE_LIVE_PEAK_BYTES] = "live_peak_bytes",
        [ACRE_GAUGE_COMMITTED_PEAK_BYTES] = "committed_peak_bytes",
        [ACRE_GAUGE_RSS_BYTES] = "rss_bytes",
        [ACRE_GAUGE_RSS_PEAK_BYTES] = "rss_peak_bytes",
        [ACRE_GAUGE_DEVICE_BYTES] = "device_bytes",
        [ACRE_GAUGE_DEVICE_TAKEN_BYTES] = "device_taken_bytes",
        [ACRE_GAUGE_DEVICE_PEAK_BYTES] = "device_peak_bytes",
        [ACRE_GAUGE_DEVICE_TAKEN_PEAK_BYTES] = "device_taken_peak_bytes",
    };
    return gauge < ACRE_GAUGE_COUNT ? names[gauge] : NULL;
}
