/* handles.c - a space whose addresses are numbers, not pointers: what a device's or another node's memory looks like to
 * an engine. There is no memory behind it; an engine that works here touches nothing that it manages. */
#include "space/space.h"
#include "base/bits.h"
#include "base/status.h"

enum { GRAIN_BYTES = 4096, BASE_ALIGNMENT_BYTES = 65536 };

static const acre_space_ops ops = {
    .size_bytes = sizeof(acre_space_ops),
    .query = acre_range_query,
    .reserve = acre_range_reserve,
    .release = acre_range_release,
};

acre_status acre_space_open_handles(acre_space *space, acre_addr base, uint64_t size)
{
    if (space == NULL) return acre_fail(ACRE_INVALID, "handle space: the space is NULL");
    if (base % BASE_ALIGNMENT_BYTES != 0 || size < GRAIN_BYTES || base > UINT64_MAX - size) {
        return acre_fail(ACRE_INVALID,
                         "handle space of %llu bytes from 0x%llx: the base must be a multiple of %d, the size at least "
                         "%d, and the range may not wrap",
                         (unsigned long long)size, (unsigned long long)base, BASE_ALIGNMENT_BYTES, GRAIN_BYTES);
    }
    const acre_space_info info = {
        .kind = ACRE_SPACE_HANDLE,
        .capabilities = ACRE_CAP_DEVICE_ACCESS | ACRE_CAP_FIXED,
        .page_bytes = GRAIN_BYTES,
        .grain_bytes = GRAIN_BYTES,
        .capacity_bytes = {.value = acre_align_down(size, GRAIN_BYTES), .source = ACRE_SOURCE_REPORTED},
    };
    const acre_status status = acre_space_init(space, &ops, "handles", &info);
    space->base = base;
    space->size_bytes = info.capacity_bytes.value;
    return status;
}
