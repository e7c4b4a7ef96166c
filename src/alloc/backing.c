/* backing.c - see backing.h. */
#include "alloc/backing.h"
#include "base/bits.h"
#include "base/status.h"

static uint64_t grain_of(const acre_space *space)
{
    return space->info.grain_bytes > ACRE_BLOCK_GRAIN_BYTES ? space->info.grain_bytes : ACRE_BLOCK_GRAIN_BYTES;
}

uint64_t acre_backing_round(const acre_space *space, uint64_t size)
{
    assert(size > 0 && size <= ACRE_BACKING_BYTES_MAX);
    return acre_align_up(size, grain_of(space));
}

acre_status acre_backing_take(acre_space *space, uint64_t size, acre_addr *base)
{
    acre_addr address = 0;
    acre_status status = acre_space_reserve(space, size, grain_of(space), NULL, &address);
    if (status != ACRE_OK) return status;
    status = acre_space_commit(space, address, size);
    if (status != ACRE_OK) {
        (void)acre_space_release(space, address, size);
        return status;
    }
    *base = address;
    return ACRE_OK;
}

void acre_backing_give(acre_space *space, acre_addr base, uint64_t size)
{
    const acre_status status = acre_space_release(space, base, size);
    assert(status == ACRE_OK); /* it was reserved exactly like this */
    (void)status;
}

/* ---- two of them ---- */

enum { BYTES_PER_RECORD = 64, RECORD_COUNT_MIN = 16 };

static acre_status refuse(const acre_ranges_wish *wish, const char *what, uint64_t value, uint64_t max)
{
    return acre_fail(ACRE_INVALID, "%s '%s': %s %llu: at most %llu", wish->kind, wish->name, what, (unsigned long long)value,
                     (unsigned long long)max);
}

/* What a space of fixed size has left, rounded down to what it takes. */
static acre_status read_left(const acre_ranges_wish *wish, uint64_t *size)
{
    acre_space *const space = wish->space;
    uint64_t used = 0;
    uint64_t limit = 0;
    if ((space->info.capabilities & ACRE_CAP_FIXED) == 0) {
        return acre_fail(ACRE_INVALID, "%s '%s': the space '%s' has no fixed size, so a size must be given", wish->kind, wish->name,
                         space->name);
    }
    const acre_status status = acre_space_budget(space, &used, &limit);
    if (status != ACRE_OK) return status;
    /* A range begins at a multiple of the grain; what is taken need not end at one. */
    const uint64_t grain = grain_of(space);
    const uint64_t lost = (0 - (space->base + used)) & (grain - 1);
    const uint64_t left = limit - used > lost ? acre_align_down(limit - used - lost, grain) : 0;
    if (left == 0) {
        return acre_fail(ACRE_NO_MEMORY, "%s '%s': the space '%s' of %llu bytes has nothing left", wish->kind, wish->name, space->name,
                         (unsigned long long)limit);
    }
    *size = left <= wish->size_bytes_max ? left : acre_align_down(wish->size_bytes_max, grain);
    return ACRE_OK;
}

static uint64_t count_records(const acre_ranges_wish *wish, uint64_t size)
{
    uint64_t count = wish->record_count != 0 ? wish->record_count : size / BYTES_PER_RECORD;
    if (wish->record_count == 0 && count < RECORD_COUNT_MIN) count = RECORD_COUNT_MIN;
    if (wish->record_count == 0 && count > wish->record_count_max) count = wish->record_count_max;
    return wish->is_power ? (uint64_t)1 << acre_log2_ceil(count) : count;
}

static acre_status take_both(const acre_ranges_wish *wish, uint64_t size, uint64_t count, acre_ranges *ranges)
{
    const uint64_t record_bytes = acre_backing_round(ranges->meta_space, count * wish->record_bytes);
    acre_status status = acre_backing_take(ranges->meta_space, record_bytes, &ranges->record_base);
    if (status != ACRE_OK) return status;
    ranges->record_bytes = record_bytes;
    if (wish->size_bytes == 0) status = read_left(wish, &size); /* less than before, where the records lie in the same space */
    if (status == ACRE_OK) status = acre_backing_take(ranges->space, size, &ranges->base);
    if (status != ACRE_OK) {
        acre_backing_give(ranges->meta_space, ranges->record_base, record_bytes);
        return status;
    }
    ranges->size_bytes = size;
    return ACRE_OK;
}

acre_status acre_ranges_take(const acre_ranges_wish *wish, acre_ranges *ranges, uint64_t *record_count)
{
    acre_space *const space = wish->space;
    acre_space *const meta_space = wish->meta_space != NULL ? wish->meta_space : space;
    if (space == NULL || space->ops == NULL || meta_space->ops == NULL) {
        return acre_fail(ACRE_INVALID, "%s '%s': its space is NULL or not open", wish->kind, wish->name);
    }
    if ((meta_space->info.capabilities & ACRE_CAP_HOST_ACCESS) == 0) {
        return acre_fail(ACRE_INVALID, "%s '%s': meta space '%s': records must lie where the host can reach them", wish->kind, wish->name,
                         meta_space->name);
    }
    if (wish->size_bytes > wish->size_bytes_max) return refuse(wish, "size in bytes", wish->size_bytes, wish->size_bytes_max);
    if (wish->record_count > wish->record_count_max) return refuse(wish, "blocks", wish->record_count, wish->record_count_max);

    uint64_t size = 0;
    if (wish->size_bytes != 0) {
        size = acre_backing_round(space, wish->size_bytes);
        if (size > wish->size_bytes_max) return refuse(wish, "size in bytes, rounded up,", size, wish->size_bytes_max);
    } else {
        const acre_status status = read_left(wish, &size);
        if (status != ACRE_OK) return status;
    }
    const uint64_t count = count_records(wish, size);
    *ranges = (acre_ranges){.space = space, .meta_space = meta_space};
    const acre_status status = take_both(wish, size, count, ranges);
    if (status == ACRE_OK) *record_count = count;
    return status;
}

void acre_ranges_give(const acre_ranges *ranges)
{
    acre_backing_give(ranges->space, ranges->base, ranges->size_bytes);
    acre_backing_give(ranges->meta_space, ranges->record_base, ranges->record_bytes);
}
