/* domain_host.c - domains in a process: pages whose access the operating system changes. */
#include "base/status.h"
#include "os/os.h"

#include <acre/domain.h>

static const acre_wish *same_in(const acre_wish *wish, const acre_wish *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].base == wish->base && list[i].size_bytes == wish->size_bytes && list[i].user == wish->user) return &list[i];
    return NULL;
}

static acre_os_access access_of(unsigned rights)
{
    if ((rights & ACRE_RIGHT_READ) == 0) return ACRE_OS_NONE;
    if ((rights & ACRE_RIGHT_EXECUTE) != 0) return (rights & ACRE_RIGHT_WRITE) != 0 ? ACRE_OS_ALL : ACRE_OS_READ_EXECUTE;
    return (rights & ACRE_RIGHT_WRITE) != 0 ? ACRE_OS_READ_WRITE : ACRE_OS_READ;
}

static acre_status protect(const acre_wish *wish, acre_os_access access)
{
    const size_t page = acre_os_page_size();
    if (wish->base == 0 || wish->base % page != 0 || wish->size_bytes == 0 || wish->size_bytes % page != 0) {
        return acre_fail(ACRE_INVALID, "wish '%s': %llu bytes at 0x%llx do not end at pages of %zu bytes",
                         wish->name != NULL ? wish->name : "?", (unsigned long long)wish->size_bytes, (unsigned long long)wish->base, page);
    }
    return acre_os_protect((void *)(uintptr_t)wish->base, (size_t)wish->size_bytes, access);
}

acre_status acre_domain_switch_host(const acre_wish *from, size_t from_count, const acre_wish *to, size_t to_count)
{
    if ((from == NULL && from_count > 0) || (to == NULL && to_count > 0)) return acre_fail(ACRE_INVALID, "a switch of domains: no wishes");
    acre_status status = ACRE_OK;
    for (size_t i = 0; i < from_count && status == ACRE_OK; i++)
        if (same_in(&from[i], to, to_count) == NULL) status = protect(&from[i], ACRE_OS_NONE);
    for (size_t i = 0; i < to_count && status == ACRE_OK; i++)
        if (same_in(&to[i], from, from_count) == NULL) status = protect(&to[i], access_of(to[i].user));
    return status;
}

bool acre_trap_of_signal(const void *info, const void *context, acre_trap *trap)
{
    uintptr_t address, pc;
    char access;
    if (info == NULL || context == NULL || trap == NULL || !acre_os_read_trap(info, context, &address, &pc, &access)) return false;
    *trap = (acre_trap){.has_address = true, .address = address, .pc = pc};
    trap->touch = access == 'r'   ? ACRE_TOUCH_READ
                  : access == 'w' ? ACRE_TOUCH_WRITE
                  : access == 'x' ? ACRE_TOUCH_EXECUTE
                                  : ACRE_TOUCH_UNKNOWN;
    return true;
}
