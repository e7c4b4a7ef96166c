/* static.c - a space over an array of the caller. No operating system is involved; nothing is ever given back to one. */
#include "space/space.h"
#include "base/bits.h"
#include "base/status.h"

enum { ALIGNMENT_BYTES = 16, SIZE_BYTES_MIN = 64 };

static const acre_space_ops ops = {
    .size_bytes = sizeof(acre_space_ops),
    .query = acre_range_query,
    .reserve = acre_range_reserve,
    .release = acre_range_release,
};

acre_status acre_space_open_static(acre_space *space, void *bytes, size_t size)
{
    if (space == NULL || bytes == NULL) return acre_fail(ACRE_INVALID, "static space: the space or its array is NULL");
    if (size < SIZE_BYTES_MIN) {
        return acre_fail(ACRE_INVALID, "static space of %zu bytes: at least %d are needed", size, SIZE_BYTES_MIN);
    }
    const uint64_t start = acre_align_up((uintptr_t)bytes, ALIGNMENT_BYTES);
    const uint64_t end = acre_align_down((uintptr_t)bytes + size, ALIGNMENT_BYTES);
    const acre_space_info info = {
        .kind = ACRE_SPACE_STATIC,
        .capabilities = ACRE_CAP_HOST_ACCESS | ACRE_CAP_COHERENT | ACRE_CAP_FIXED,
        .page_bytes = ALIGNMENT_BYTES,
        .grain_bytes = ALIGNMENT_BYTES,
        .capacity_bytes = {.value = end - start, .source = ACRE_SOURCE_REPORTED},
    };
    const acre_status status = acre_space_init(space, &ops, "static", &info);
    space->base = start;
    space->size_bytes = end - start;
    return status;
}
