/* device.h - what the files of libacre-cuda share: an open device, and how its driver is called. */
#ifndef ACRE_BINDINGS_CUDA_DEVICE_H
#define ACRE_BINDINGS_CUDA_DEVICE_H

#include "cuda/driver.h"
#include "gpu/block_table.h"

#include <acre/cuda.h>
#include <pthread.h>
#include <stddef.h>

struct acre_cuda {
    cu_driver driver;
    void *library;
    cu_device device;
    cu_context context;
    acre_cuda_facts facts;
    pthread_mutex_t lock;                        /* of what follows */
    acre_block_table device_blocks, host_blocks; /* memory in use, by address of the device; pinned memory by address of the host */
    unsigned pool_count, growth_count;
    acre_gpu_driver gpu_driver;
    acre_cuda_kind kind_of_type[3]; /* types of gpu_driver */
};

/* The device's context becomes current. Each success is followed by acre_cuda_leave. */
acre_status acre_cuda_enter(acre_cuda *cuda);
void acre_cuda_leave(acre_cuda *cuda);

/* What a result of a call means, with a sentence about it; CU_OK is ACRE_OK. */
acre_status acre_cuda_status(const acre_cuda *cuda, const char *call, cu_result result);

/* A pool or a growth begins or ends. */
void acre_cuda_count(acre_cuda *cuda, unsigned *count, int by);

#endif
