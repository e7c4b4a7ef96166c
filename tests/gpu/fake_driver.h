/* fake_driver.h - a device of any heaps and types in the host's memory, which notices what a driver would not forgive, and fails when told
 * to. */
#ifndef ACRE_TESTS_GPU_FAKE_DRIVER_H
#define ACRE_TESTS_GPU_FAKE_DRIVER_H

#include <acre/gpu.h>
#include <pthread.h>

enum { FAKE_BLOCKS_MAX = 512 };

typedef struct fake_block {
    unsigned char *bytes; /* NULL: not in use. Where has_bytes is false one byte */
    uint64_t size_bytes;
    uint32_t type;
    bool is_mapped;
    acre_gpu_block_request request;
} fake_block;

typedef struct fake_driver {
    acre_gpu_driver driver;
    acre_gpu_device device;
    bool has_bytes;
    bool has_budget;
    uint64_t used_by_others[ACRE_GPU_HEAPS_MAX];
    uint64_t size_bytes_max; /* allocate refuses more; 0: no limit */
    uint64_t calls;          /* that may fail: allocate and map */
    uint64_t failing_call;   /* this one does, counted from 1; 0: none */
    uint64_t mistakes;       /* of the caller */
    uint64_t taken_bytes[ACRE_GPU_HEAPS_MAX];
    uint64_t flush_count, invalidate_count;
    uint64_t flush_offset, flush_size; /* of the last one */
    fake_block blocks[FAKE_BLOCKS_MAX];
    pthread_mutex_t lock;
} fake_driver;

/* One heap of `size_bytes` of the device with one type that the host sees, and all else zero: to be changed before use. */
void fake_driver_init(fake_driver *fake, uint64_t size_bytes);

/* How many blocks are out. */
uint32_t fake_driver_block_count(const fake_driver *fake);

unsigned char *fake_driver_bytes(fake_driver *fake, acre_gpu_handle handle, uint64_t offset);

#endif
