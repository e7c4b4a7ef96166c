/* opencl_kernel.h - a device of OpenCL that runs `a[i] = a[i] * 3 + 1` on memory of the host, whatever serves the faults that it takes. */
#ifndef ACRE_TESTS_MIGRATION_OPENCL_KERNEL_H
#define ACRE_TESTS_MIGRATION_OPENCL_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kernel_binding { BOUND_AS_HOST_PTR, BOUND_AS_SVM, BINDING_COUNT };

/* False: there is no OpenCL here, or none whose device is the processor. */
bool kernel_find(void);
bool kernel_open(void);
void kernel_close(void);

/* Of the device: none of them is at more than one page at a time. */
unsigned kernel_threads(void);
const char *kernel_device_name(void);

/* From now on the kernel works on `count` numbers. False: the device refuses. */
bool kernel_bind(enum kernel_binding binding, uint32_t *numbers, size_t count);
void kernel_unbind(void);

/* Returns when it has ended: nanoseconds; 0: it failed. */
uint64_t kernel_run(void);

#endif
