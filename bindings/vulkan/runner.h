/* runner.h - commands of the library's own on the queue that the program gave. */
#ifndef ACRE_VULKAN_RUNNER_H
#define ACRE_VULKAN_RUNNER_H

#include "functions.h"

/* One command buffer, again and again. One thread at a time. */
typedef struct acre_vulkan_runner {
    VkCommandPool pool;
    VkCommandBuffer commands;
    VkFence fence; /* of what was submitted last */
} acre_vulkan_runner;

acre_status acre_vulkan_open_runner(acre_vulkan *v, acre_vulkan_runner *runner);
void acre_vulkan_close_runner(acre_vulkan *v, acre_vulkan_runner *runner); /* what it submitted is done */

/* Ready for commands. */
acre_status acre_vulkan_begin_commands(acre_vulkan *v, acre_vulkan_runner *runner);
/* Thread safe among runners. On failure nothing was submitted. */
acre_status acre_vulkan_submit_commands(acre_vulkan *v, acre_vulkan_runner *runner);
/* ACRE_BUSY: not yet, after `timeout_ns`. */
acre_status acre_vulkan_wait_for_commands(acre_vulkan *v, acre_vulkan_runner *runner, uint64_t timeout_ns);

/* The copy of the driver's table: acre_vulkan_prepare_copies comes before. */
acre_status acre_vulkan_prepare_copies(acre_vulkan *v);
void acre_vulkan_end_copies(acre_vulkan *v);
acre_status acre_vulkan_copy(acre_gpu_driver *driver, acre_gpu_handle to, uint64_t to_offset, acre_gpu_handle from, uint64_t from_offset,
                             uint64_t size_bytes);

#endif
