/* growth.c - a range of device addresses with memory behind its beginning, in steps of one length.
 *
 * Each step is an allocation of its own (cuMemCreate), mapped behind the last one: the device needs no free range of the whole length, and
 * nothing moves when it grows. The handle is released once it is mapped: the memory goes when it is unmapped. Invariant: steps below
 * step_count are mapped and accessible, none above is. */
#include "cuda/device.h"

#include <stdlib.h>

struct acre_cuda_growth {
    acre_cuda *cuda;
    uint64_t address, reserved_bytes, size_bytes_max, step_bytes;
    size_t step_count;
};

static acre_status unmap_last(acre_cuda_growth *growth)
{
    const cu_driver *const d = &growth->cuda->driver;
    const uint64_t at = growth->address + (growth->step_count - 1) * growth->step_bytes;
    const acre_status status = acre_cuda_status(growth->cuda, "cuMemUnmap", d->unmap(at, growth->step_bytes));
    growth->step_count -= status == ACRE_OK;
    return status;
}

static acre_status map_one(acre_cuda_growth *growth)
{
    acre_cuda *const cuda = growth->cuda;
    const cu_driver *const d = &cuda->driver;
    const uint64_t at = growth->address + growth->step_count * growth->step_bytes;
    const cu_allocation_prop prop = {.type = CU_ALLOCATION_PINNED, .location = {CU_LOCATION_DEVICE, cuda->device}};
    const cu_access_desc access = {.location = prop.location, .flags = CU_ACCESS_READ_WRITE};
    cu_handle handle;
    acre_status status = acre_cuda_status(cuda, "cuMemCreate", d->handle_create(&handle, growth->step_bytes, &prop, 0));
    if (status != ACRE_OK) return status;
    status = acre_cuda_status(cuda, "cuMemMap", d->map(at, growth->step_bytes, 0, handle, 0));
    if (status != ACRE_OK) goto out_release;
    status = acre_cuda_status(cuda, "cuMemSetAccess", d->set_access(at, growth->step_bytes, &access, 1));
    if (status != ACRE_OK) goto out_unmap;
    status = acre_cuda_status(cuda, "cuMemRelease", d->handle_release(handle));
    if (status != ACRE_OK) goto out_unmap;
    growth->step_count++;
    return ACRE_OK;
out_unmap:
    (void)d->unmap(at, growth->step_bytes);
out_release:
    (void)d->handle_release(handle);
    return status;
}

/* All of it, or none. */
static acre_status grow_to(acre_cuda_growth *growth, size_t step_count)
{
    const size_t before = growth->step_count;
    acre_status status = ACRE_OK;
    while (growth->step_count < step_count && status == ACRE_OK) status = map_one(growth);
    while (status != ACRE_OK && growth->step_count > before && unmap_last(growth) == ACRE_OK) continue;
    return status;
}

static acre_status shrink_to(acre_cuda_growth *growth, size_t step_count)
{
    acre_status status = ACRE_OK;
    while (growth->step_count > step_count && status == ACRE_OK) status = unmap_last(growth);
    return status;
}

acre_status acre_cuda_growth_resize(acre_cuda_growth *growth, uint64_t size_bytes)
{
    if (growth == NULL) return acre_fail(ACRE_INVALID, "cuda: growth: NULL");
    if (size_bytes > growth->size_bytes_max)
        return acre_fail(ACRE_INVALID, "cuda: growth to %llu bytes: %llu are reserved", (unsigned long long)size_bytes,
                         (unsigned long long)growth->size_bytes_max);
    const size_t step_count = (size_t)((size_bytes + growth->step_bytes - 1) / growth->step_bytes);
    acre_status status = acre_cuda_enter(growth->cuda);
    if (status != ACRE_OK) return status;
    status = step_count > growth->step_count ? grow_to(growth, step_count) : shrink_to(growth, step_count);
    acre_cuda_leave(growth->cuda);
    return status;
}

uint64_t acre_cuda_growth_address(const acre_cuda_growth *growth) { return growth->address; }
uint64_t acre_cuda_growth_size(const acre_cuda_growth *growth) { return growth->step_count * growth->step_bytes; }

static acre_status check_growth(acre_cuda *cuda, uint64_t size_bytes_max, uint64_t step_bytes, acre_cuda_growth *const *out)
{
    if (cuda == NULL || out == NULL) return acre_fail(ACRE_INVALID, "cuda: growth: NULL");
    if (!cuda->facts.has_growth) return acre_fail(ACRE_UNSUPPORTED, "cuda: device '%s' has no virtual memory management", cuda->facts.name);
    if (size_bytes_max == 0 || size_bytes_max > SIZE_MAX / 2)
        return acre_fail(ACRE_INVALID, "cuda: growth up to %llu bytes", (unsigned long long)size_bytes_max);
    if (step_bytes % cuda->facts.granule_bytes != 0 || step_bytes > SIZE_MAX / 4)
        return acre_fail(ACRE_INVALID, "cuda: growth in steps of %llu bytes: no multiple of %llu", (unsigned long long)step_bytes,
                         (unsigned long long)cuda->facts.granule_bytes);
    return ACRE_OK;
}

acre_status acre_cuda_growth_open(acre_cuda *cuda, uint64_t size_bytes_max, uint64_t step_bytes, acre_cuda_growth **out)
{
    acre_status status = check_growth(cuda, size_bytes_max, step_bytes, out);
    if (status != ACRE_OK) return status;
    if (step_bytes == 0) step_bytes = cuda->facts.granule_bytes;
    const uint64_t step_count_max = (size_bytes_max + step_bytes - 1) / step_bytes;
    acre_cuda_growth *const growth = malloc(sizeof *growth);
    if (growth == NULL) return acre_fail(ACRE_NO_MEMORY, "cuda: no host memory for a growth");
    *growth = (acre_cuda_growth){
        .cuda = cuda, .reserved_bytes = step_count_max * step_bytes, .size_bytes_max = size_bytes_max, .step_bytes = step_bytes};
    status = acre_cuda_enter(cuda);
    if (status != ACRE_OK) goto out_free;
    cu_pointer pointer = 0;
    status = acre_cuda_status(cuda, "cuMemAddressReserve", cuda->driver.address_reserve(&pointer, growth->reserved_bytes, 0, 0, 0));
    acre_cuda_leave(cuda);
    if (status != ACRE_OK) goto out_free;
    growth->address = pointer;
    acre_cuda_count(cuda, &cuda->growth_count, 1);
    *out = growth;
    return ACRE_OK;
out_free:
    free(growth);
    return status;
}

acre_status acre_cuda_growth_close(acre_cuda_growth *growth)
{
    if (growth == NULL) return acre_fail(ACRE_INVALID, "cuda: growth: NULL");
    acre_cuda *const cuda = growth->cuda;
    acre_status status = acre_cuda_growth_resize(growth, 0);
    if (status == ACRE_OK) status = acre_cuda_enter(cuda);
    if (status != ACRE_OK) return status;
    status = acre_cuda_status(cuda, "cuMemAddressFree", cuda->driver.address_free(growth->address, growth->reserved_bytes));
    acre_cuda_leave(cuda);
    if (status != ACRE_OK) return status;
    acre_cuda_count(cuda, &cuda->growth_count, -1);
    free(growth);
    return ACRE_OK;
}
