/* fake_cuda_device.c - makes of tests/gpu/fake_cuda.c a libcuda.so.1 with one device, for programs that only load it. Its name and memory
 * are FAKE_CUDA_NAME and FAKE_CUDA_BYTES of the environment. */
#include "../gpu/fake_cuda.h"

#include <stdlib.h>

__attribute__((constructor)) static void start(void)
{
    const char *const bytes = getenv("FAKE_CUDA_BYTES");
    fake_reset(&(fake_options){.device_count = 1,
                               .driver_version = 12020,
                               .memory_bytes = bytes == NULL ? (uint64_t)8 << 30 : strtoull(bytes, NULL, 10),
                               .name = getenv("FAKE_CUDA_NAME")});
}
