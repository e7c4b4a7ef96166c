/* space.c - the gate of every space: arguments are checked here once, so that a kind sees only sound ones. */
#include "space/space.h"
#include "base/bits.h"
#include "base/status.h"
#include "os/os.h"

#include <string.h>

/* An operation of the table, NULL when the table is too old to have it. */
#define OPERATION(space, name)                                                                                                             \
    ((space)->ops->size_bytes >= offsetof(acre_space_ops, name) + sizeof((space)->ops->name) ? (space)->ops->name : NULL)

static const char *const kind_texts[ACRE_SPACE_KIND_COUNT] = {
    [ACRE_SPACE_PAGES] = "pages",   [ACRE_SPACE_STATIC] = "static",     [ACRE_SPACE_FILE] = "file",      [ACRE_SPACE_SHARED] = "shared",
    [ACRE_SPACE_SECRET] = "secret", [ACRE_SPACE_RESERVED] = "reserved", [ACRE_SPACE_HANDLE] = "handles",
};

const char *acre_space_kind_text(acre_space_kind kind) { return (unsigned)kind < ACRE_SPACE_KIND_COUNT ? kind_texts[kind] : "unknown"; }

acre_status acre_space_init(acre_space *space, const acre_space_ops *ops, const char *name, const acre_space_info *info)
{
    assert(ops->query != NULL && ops->reserve != NULL && ops->release != NULL);
    assert(((info->capabilities & ACRE_CAP_PURGE) != 0) == (ops->purge != NULL));
    assert(((info->capabilities & ACRE_CAP_PROTECT) != 0) == (ops->protect != NULL));
    assert(((info->capabilities & ACRE_CAP_ADVISE) != 0) == (ops->advise != NULL));
    assert(((info->capabilities & ACRE_CAP_MOVE) != 0) == (ops->move != NULL));
    assert(((info->capabilities & ACRE_CAP_ALIAS) != 0) == (ops->alias != NULL));
    assert(acre_is_power_of_two(info->grain_bytes) && acre_is_power_of_two(info->page_bytes));

    memset(space, 0, sizeof *space);
    space->ops = ops;
    space->name = name;
    space->info = *info;
    space->descriptor = -1;
    return ACRE_OK;
}

/* ---- one fixed range ---- */

acre_status acre_range_reserve(acre_space *space, uint64_t size, uint64_t alignment, const acre_hints *hints, acre_addr *address)
{
    (void)hints;
    acre_lock *const lock = (acre_lock *)&space->lock;
    acre_lock_take(lock);
    acre_status status = ACRE_NO_MEMORY;
    const uint64_t end = space->base + space->size_bytes;
    const uint64_t taken = space->base + space->reserved_bytes;
    if (taken <= UINT64_MAX - (alignment - 1)) {
        const uint64_t start = acre_align_up(taken, alignment);
        if (start <= end && end - start >= size) {
            space->reserved_bytes = start + size - space->base;
            *address = start;
            status = ACRE_OK;
        }
    }
    const uint64_t left = end - taken;
    acre_lock_drop(lock);
    if (status != ACRE_OK) {
        acre_fail(status, "space '%s': reserve of %llu bytes aligned to %llu: %llu bytes are left", space->name, (unsigned long long)size,
                  (unsigned long long)alignment, (unsigned long long)left);
    }
    return status;
}

acre_status acre_range_release(acre_space *space, acre_addr address, uint64_t size)
{
    acre_lock *const lock = (acre_lock *)&space->lock;
    acre_lock_take(lock);
    const uint64_t taken = space->base + space->reserved_bytes;
    const bool is_ours = address >= space->base && address <= taken && size <= taken - address;
    if (is_ours && address + size == taken) space->reserved_bytes = address - space->base;
    acre_lock_drop(lock);
    if (is_ours) return ACRE_OK;
    return acre_fail(ACRE_BAD_POINTER, "space '%s': release of %llu bytes at 0x%llx, which is not reserved", space->name,
                     (unsigned long long)size, (unsigned long long)address);
}

acre_status acre_range_query(acre_space *space, acre_space_info *info)
{
    *info = space->info;
    return ACRE_OK;
}

/* ---- the gate ---- */

static acre_status bad_argument(const acre_space *space, const char *operation, acre_addr address, uint64_t size, uint64_t grain)
{
    return acre_fail(ACRE_INVALID,
                     "space '%s': %s of %llu bytes at 0x%llx: address and size must be multiples of %llu, "
                     "size not 0, and the range may not wrap",
                     space->name, operation, (unsigned long long)size, (unsigned long long)address, (unsigned long long)grain);
}

static acre_status unsupported(const acre_space *space, const char *operation)
{
    return acre_fail(ACRE_UNSUPPORTED, "space '%s' of kind %s: no %s", space->name, acre_space_kind_text(space->info.kind), operation);
}

static bool is_range(acre_addr address, uint64_t size, uint64_t grain)
{
    return size > 0 && size % grain == 0 && address % grain == 0 && address <= UINT64_MAX - size;
}

#define REQUIRE_OPEN(space)                                                                                                                \
    do {                                                                                                                                   \
        if ((space) == NULL || (space)->ops == NULL) {                                                                                     \
            return acre_fail(ACRE_INVALID, "%s: the space is NULL or not open", __func__);                                                 \
        }                                                                                                                                  \
    } while (0)

acre_status acre_space_query(acre_space *space, acre_space_info *info)
{
    REQUIRE_OPEN(space);
    if (info == NULL) return acre_fail(ACRE_INVALID, "space '%s': query into NULL", space->name);
    return space->ops->query(space, info);
}

acre_status acre_space_reserve(acre_space *space, uint64_t size, uint64_t alignment, const acre_hints *hints, acre_addr *address)
{
    REQUIRE_OPEN(space);
    if (address == NULL) return acre_fail(ACRE_INVALID, "space '%s': reserve into NULL", space->name);
    if (!acre_is_power_of_two(alignment)) {
        return acre_fail(ACRE_INVALID, "space '%s': reserve with alignment %llu, which is no power of two", space->name,
                         (unsigned long long)alignment);
    }
    if (!is_range(0, size, space->info.grain_bytes)) {
        return bad_argument(space, "reserve", 0, size, space->info.grain_bytes);
    }
    return space->ops->reserve(space, size, alignment, hints, address);
}

acre_status acre_space_release(acre_space *space, acre_addr address, uint64_t size)
{
    REQUIRE_OPEN(space);
    if (!is_range(address, size, space->info.grain_bytes)) {
        return bad_argument(space, "release", address, size, space->info.grain_bytes);
    }
    return space->ops->release(space, address, size);
}

acre_status acre_space_commit(acre_space *space, acre_addr address, uint64_t size)
{
    REQUIRE_OPEN(space);
    if (!is_range(address, size, space->info.grain_bytes)) {
        return bad_argument(space, "commit", address, size, space->info.grain_bytes);
    }
    return OPERATION(space, commit) == NULL ? ACRE_OK : space->ops->commit(space, address, size);
}

acre_status acre_space_purge(acre_space *space, acre_addr address, uint64_t size)
{
    REQUIRE_OPEN(space);
    if (OPERATION(space, purge) == NULL) return unsupported(space, "purge");
    if (!is_range(address, size, space->info.page_bytes)) {
        return bad_argument(space, "purge", address, size, space->info.page_bytes);
    }
    return space->ops->purge(space, address, size);
}

acre_status acre_space_protect(acre_space *space, acre_addr address, uint64_t size, acre_protection protection)
{
    REQUIRE_OPEN(space);
    if (OPERATION(space, protect) == NULL) return unsupported(space, "protect");
    if ((unsigned)protection > ACRE_PROTECT_READ_WRITE) {
        return acre_fail(ACRE_INVALID, "space '%s': protection %u is unknown", space->name, (unsigned)protection);
    }
    if (!is_range(address, size, space->info.page_bytes)) {
        return bad_argument(space, "protect", address, size, space->info.page_bytes);
    }
    return space->ops->protect(space, address, size, protection);
}

acre_status acre_space_map(acre_space *space, acre_addr address, uint64_t size, void **pointer)
{
    REQUIRE_OPEN(space);
    if (pointer == NULL) return acre_fail(ACRE_INVALID, "space '%s': map into NULL", space->name);
    if ((space->info.capabilities & ACRE_CAP_HOST_ACCESS) != 0) {
        *pointer = acre_space_pointer(space, address);
        return ACRE_OK;
    }
    if (OPERATION(space, map) == NULL) return unsupported(space, "map");
    if (!is_range(address, size, space->info.page_bytes)) {
        return bad_argument(space, "map", address, size, space->info.page_bytes);
    }
    return space->ops->map(space, address, size, pointer);
}

acre_status acre_space_unmap(acre_space *space, void *pointer, uint64_t size)
{
    REQUIRE_OPEN(space);
    if ((space->info.capabilities & ACRE_CAP_HOST_ACCESS) != 0) return ACRE_OK;
    if (OPERATION(space, unmap) == NULL) return unsupported(space, "unmap");
    return space->ops->unmap(space, pointer, size);
}

acre_status acre_space_copy(acre_space *space, acre_addr to, acre_addr from, uint64_t size)
{
    REQUIRE_OPEN(space);
    const bool is_disjoint = to <= from ? from - to >= size : to - from >= size;
    if (!is_disjoint) {
        return acre_fail(ACRE_INVALID, "space '%s': copy of %llu bytes from 0x%llx to 0x%llx: the ranges overlap", space->name,
                         (unsigned long long)size, (unsigned long long)from, (unsigned long long)to);
    }
    void *const target = acre_space_pointer(space, to); /* NULL: no host access */
    const void *const source = acre_space_pointer(space, from);
    if (target != NULL && source != NULL) {
        memcpy(target, source, (size_t)size);
        return ACRE_OK;
    }
    return OPERATION(space, copy) == NULL ? unsupported(space, "copy") : space->ops->copy(space, to, from, size);
}

acre_status acre_space_fill(acre_space *space, acre_addr address, uint64_t size, uint8_t value)
{
    REQUIRE_OPEN(space);
    void *const target = acre_space_pointer(space, address); /* NULL: no host access */
    if (target != NULL) {
        memset(target, value, (size_t)size);
        return ACRE_OK;
    }
    return OPERATION(space, fill) == NULL ? unsupported(space, "fill") : space->ops->fill(space, address, size, value);
}

acre_status acre_space_flush(acre_space *space, acre_addr address, uint64_t size, acre_domain domain)
{
    REQUIRE_OPEN(space);
    if (OPERATION(space, flush) == NULL) return unsupported(space, "flush");
    if (!is_range(address, size, space->info.page_bytes)) {
        return bad_argument(space, "flush", address, size, space->info.page_bytes);
    }
    return space->ops->flush(space, address, size, domain);
}

acre_status acre_space_advise(acre_space *space, acre_addr address, uint64_t size, acre_advice advice)
{
    REQUIRE_OPEN(space);
    if (OPERATION(space, advise) == NULL) return unsupported(space, "advise");
    if ((unsigned)advice > ACRE_ADVISE_PAGE_OUT) {
        return acre_fail(ACRE_INVALID, "space '%s': advice %u is unknown", space->name, (unsigned)advice);
    }
    if (!is_range(address, size, space->info.page_bytes)) {
        return bad_argument(space, "advise", address, size, space->info.page_bytes);
    }
    return space->ops->advise(space, address, size, advice);
}

acre_status acre_space_budget(acre_space *space, uint64_t *used_bytes, uint64_t *limit_bytes)
{
    REQUIRE_OPEN(space);
    if (used_bytes == NULL || limit_bytes == NULL) {
        return acre_fail(ACRE_INVALID, "space '%s': budget into NULL", space->name);
    }
    if (OPERATION(space, budget) != NULL) return space->ops->budget(space, used_bytes, limit_bytes);
    if ((space->info.capabilities & ACRE_CAP_FIXED) == 0) return unsupported(space, "budget");
    *used_bytes = space->reserved_bytes;
    *limit_bytes = space->size_bytes;
    return ACRE_OK;
}

acre_status acre_space_move(acre_space *space, acre_addr to, acre_addr from, uint64_t size)
{
    REQUIRE_OPEN(space);
    if (OPERATION(space, move) == NULL) return unsupported(space, "move");
    if (!is_range(from, size, space->info.page_bytes)) {
        return bad_argument(space, "move", from, size, space->info.page_bytes);
    }
    if (!is_range(to, size, space->info.page_bytes)) {
        return bad_argument(space, "move to", to, size, space->info.page_bytes);
    }
    return space->ops->move(space, to, from, size);
}

acre_status acre_space_alias(acre_space *space, acre_addr address, acre_addr target, uint64_t size)
{
    REQUIRE_OPEN(space);
    if (OPERATION(space, alias) == NULL) return unsupported(space, "alias");
    if (!is_range(address, size, space->info.page_bytes)) {
        return bad_argument(space, "alias", address, size, space->info.page_bytes);
    }
    if (!is_range(target, size, space->info.page_bytes)) {
        return bad_argument(space, "alias of", target, size, space->info.page_bytes);
    }
    const uint64_t distance = address > target ? address - target : target - address;
    if (distance != 0 && distance < size) {
        return acre_fail(ACRE_INVALID, "space '%s': alias of %llu bytes at 0x%llx to 0x%llx: the ranges overlap", space->name,
                         (unsigned long long)size, (unsigned long long)address, (unsigned long long)target);
    }
    return space->ops->alias(space, address, target, size);
}

void acre_space_close(acre_space *space)
{
    if (space == NULL || space->ops == NULL) return;
    if (OPERATION(space, close) != NULL) space->ops->close(space);
    space->ops = NULL;
}

void *acre_space_pointer(const acre_space *space, acre_addr address)
{
    if (space == NULL || (space->info.capabilities & ACRE_CAP_HOST_ACCESS) == 0) return NULL;
    return (void *)(uintptr_t)address;
}
