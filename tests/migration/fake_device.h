/* fake_device.h - a space that the host has no addresses of. What is mapped is a copy, of which only flush tells the device: as memory that
 * is not coherent may behave. */
#ifndef ACRE_TESTS_MIGRATION_FAKE_DEVICE_H
#define ACRE_TESTS_MIGRATION_FAKE_DEVICE_H

#include <acre/um.h>

enum { FAKE_FRAMES_MAX = 16 };

typedef struct fake_device {
    acre_space space;
    unsigned char *frames[FAKE_FRAMES_MAX]; /* the device's own memory; NULL: not reserved */
    unsigned char *mapped;                  /* the copy */
    acre_addr mapped_at;
    uint64_t mistakes;    /* of the caller */
    uint64_t *call_count; /* of those that may fail: all but unmap and release */
    uint64_t fail_at;     /* this one does, counted from 1; 0: none */
    uint32_t frame_count, frame_count_max;
} fake_device;

/* `can_map`: else contents go by fake_device_contents alone. */
void fake_device_open(fake_device *device, bool can_map, uint64_t *call_count, uint64_t fail_at);
void fake_device_close(fake_device *device); /* abort: something is reserved still, or mapped */

acre_um_contents fake_device_contents(fake_device *device);

/* What the device itself sees there. */
unsigned char *fake_device_bytes(const fake_device *device, acre_addr address);

#endif
