/* devices.h - every kind of device, opened for a test. */
#ifndef ACRE_TESTS_DATABASE_DEVICES_H
#define ACRE_TESTS_DATABASE_DEVICES_H

#include "support/simulated.h"
#include "support/test.h"

#include <stdio.h>
#include <unistd.h>

typedef enum test_device_kind { DEVICE_SIMULATED, DEVICE_CALLS, DEVICE_CACHED, DEVICE_RING, DEVICE_KIND_COUNT } test_device_kind;

typedef struct test_device {
    acre_device *device;
    acre_device file;
    simulated_device simulated;
    simulated_world world;
    char path[40];
} test_device;

/* False: there is no such device here (no io_uring). In the current folder, where O_DIRECT is likelier than in /tmp. */
static inline bool test_device_open(test_device *d, test_device_kind kind, uint64_t capacity_bytes)
{
    memset(d, 0, sizeof *d);
    if (kind == DEVICE_SIMULATED) {
        simulated_world_init(&d->world, 1);
        simulated_open(&d->simulated, &d->world, capacity_bytes);
        d->device = &d->simulated.device;
        return true;
    }
    (void)snprintf(d->path, sizeof d->path, "acre-device-XXXXXX");
    const int file = mkstemp(d->path);
    assert_true(file >= 0);
    close(file);
    const acre_device_file_options options = {.way = kind == DEVICE_RING ? ACRE_DEVICE_RING : ACRE_DEVICE_CALLS,
                                              .is_cached = kind == DEVICE_CACHED};
    const acre_status status = acre_device_open_file(&d->file, d->path, &options);
    if (status == ACRE_UNSUPPORTED) {
        print_message("no io_uring here: %s\n", acre_last_error());
        unlink(d->path);
        return false;
    }
    assert_int_equal(status, ACRE_OK);
    assert_int_equal(acre_device_has_ring(&d->file), kind == DEVICE_RING);
    d->device = &d->file;
    return true;
}

static inline void test_device_close(test_device *d)
{
    if (d->path[0] == 0) {
        simulated_close(&d->simulated);
    } else {
        acre_device_close(&d->file);
        unlink(d->path);
    }
}

#endif
