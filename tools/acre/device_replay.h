/* device_replay.h - `acre replay --device`: one trace on managers of device memory. */
#ifndef ACRE_TOOL_DEVICE_REPLAY_H
#define ACRE_TOOL_DEVICE_REPLAY_H

#include <stdint.h>

typedef struct device_replay_options {
    const char *trace_path;
    uint64_t process_id;   /* 0: the one with the most events */
    uint64_t device_bytes; /* what the device has; 0: more than is asked for */
    const char *json_path; /* may be NULL; "-": standard output, without table */
} device_replay_options;

/* Returns the tool's exit code. */
int compare_device_managers(const device_replay_options *options);

#endif
