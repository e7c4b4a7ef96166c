/* pages.c - anonymous pages of the host, and address space that is never backed.
 *
 * A reserved range has no access rights and costs nothing; commit gives it rights, and the kernel backs a page when it is
 * first touched. Where the kernel does not overcommit, commit is the call that fails, never a touch. */
#include "space/space.h"
#include "base/bits.h"
#include "base/status.h"
#include "os/os.h"
#include "space/window.h"

static void *pointer_of(acre_addr address) { return (void *)(uintptr_t)address; }

static acre_status pages_query(acre_space *space, acre_space_info *info)
{
    *info = space->info;
    uint64_t used = 0;
    if (acre_os_memory_budget(&used, &info->capacity_bytes.value) == ACRE_OK) {
        info->capacity_bytes.source = ACRE_SOURCE_REPORTED;
    }
    return ACRE_OK;
}

static acre_status pages_reserve(acre_space *space, uint64_t size, uint64_t alignment, const acre_hints *hints, acre_addr *address)
{
    if (size > SIZE_MAX || alignment > SIZE_MAX / 2) {
        return acre_fail(ACRE_NO_MEMORY, "space '%s': %llu bytes aligned to %llu do not fit the address space", space->name,
                         (unsigned long long)size, (unsigned long long)alignment);
    }
    acre_window *const window = acre_window_of_process();
    void *base = NULL;
    acre_addr in_window = 0;
    acre_status status = ACRE_OK;
    if (size % window->grain_bytes == 0 && acre_window_take(window, size, alignment, &in_window))
        base = pointer_of(in_window);
    else
        status = acre_os_reserve((size_t)size, acre_max_size((size_t)alignment, acre_os_page_size()), &base);
    if (status != ACRE_OK) return status;
    if (hints != NULL && hints->huge_pages == ACRE_HUGE_PREFER) (void)acre_os_advise(base, (size_t)size, ACRE_OS_HUGE);
    if (hints != NULL && hints->huge_pages == ACRE_HUGE_NEVER) {
        (void)acre_os_advise(base, (size_t)size, ACRE_OS_NO_HUGE);
    }
    *address = (uintptr_t)base;
    return ACRE_OK;
}

static acre_status pages_release(acre_space *space, acre_addr address, uint64_t size)
{
    acre_window *const window = acre_window_of_process();
    if (acre_window_has(window, address)) return acre_window_give(window, address, size);
    return acre_os_release(pointer_of(address), (size_t)size);
}

static acre_status pages_commit(acre_space *space, acre_addr address, uint64_t size)
{
    return acre_os_protect(pointer_of(address), (size_t)size, ACRE_OS_READ_WRITE);
}

/* The variant with options: huge pages are asked for and the node is bound before the first touch. */
static acre_status pages_commit_placed(acre_space *space, acre_addr address, uint64_t size)
{
    const acre_pages_options *const options = &space->pages;
    if (options->numa_node >= 0) {
        const acre_status status = acre_os_bind_node(pointer_of(address), (size_t)size, (unsigned)options->numa_node);
        if (status != ACRE_OK) return status;
    }
    if (options->huge_pages != ACRE_HUGE_DEFAULT) {
        const acre_os_advice advice = options->huge_pages == ACRE_HUGE_PREFER ? ACRE_OS_HUGE : ACRE_OS_NO_HUGE;
        (void)acre_os_advise(pointer_of(address), (size_t)size, advice); /* a kernel without them is no failure */
    }
    return pages_commit(space, address, size);
}

static acre_status pages_purge(acre_space *space, acre_addr address, uint64_t size)
{
    return acre_os_purge(pointer_of(address), (size_t)size);
}

static acre_status pages_protect(acre_space *space, acre_addr address, uint64_t size, acre_protection protection)
{
    static const acre_os_access accesses[] = {
        [ACRE_PROTECT_NONE] = ACRE_OS_NONE, [ACRE_PROTECT_READ] = ACRE_OS_READ, [ACRE_PROTECT_READ_WRITE] = ACRE_OS_READ_WRITE};
    return acre_os_protect(pointer_of(address), (size_t)size, accesses[protection]);
}

static acre_status pages_advise(acre_space *space, acre_addr address, uint64_t size, acre_advice advice)
{
    static const acre_os_advice advices[] = {
        [ACRE_ADVISE_HUGE_PAGES] = ACRE_OS_HUGE,       [ACRE_ADVISE_NO_HUGE_PAGES] = ACRE_OS_NO_HUGE,
        [ACRE_ADVISE_SEQUENTIAL] = ACRE_OS_SEQUENTIAL, [ACRE_ADVISE_RANDOM] = ACRE_OS_RANDOM,
        [ACRE_ADVISE_WILL_NEED] = ACRE_OS_WILL_NEED,   [ACRE_ADVISE_COLD] = ACRE_OS_COLD,
        [ACRE_ADVISE_PAGE_OUT] = ACRE_OS_PAGE_OUT,
    };
    return acre_os_advise(pointer_of(address), (size_t)size, advices[advice]);
}

static acre_status pages_budget(acre_space *space, uint64_t *used_bytes, uint64_t *limit_bytes)
{
    return acre_os_memory_budget(used_bytes, limit_bytes);
}

static acre_status pages_move(acre_space *space, acre_addr to, acre_addr from, uint64_t size)
{
    return acre_os_move_pages(pointer_of(from), pointer_of(to), (size_t)size);
}

#define PAGES_OPS(commit_operation)                                                                                                        \
    {                                                                                                                                      \
        .size_bytes = sizeof(acre_space_ops), .query = pages_query, .reserve = pages_reserve, .release = pages_release,                    \
        .commit = (commit_operation), .purge = pages_purge, .protect = pages_protect, .advise = pages_advise, .budget = pages_budget,      \
        .move = pages_move,                                                                                                                \
    }

static const acre_space_ops pages_ops = PAGES_OPS(pages_commit);
static const acre_space_ops placed_ops = PAGES_OPS(pages_commit_placed);

acre_status acre_space_open_pages(acre_space *space, const acre_pages_options *options)
{
    if (space == NULL) return acre_fail(ACRE_INVALID, "pages: the space is NULL");
    if (options != NULL && ((unsigned)options->huge_pages > ACRE_HUGE_NEVER || options->numa_node < -1)) {
        return acre_fail(ACRE_INVALID, "pages: huge pages %u, NUMA node %d: at most %u, at least -1", (unsigned)options->huge_pages,
                         options->numa_node, (unsigned)ACRE_HUGE_NEVER);
    }
    const bool is_placed = options != NULL && (options->huge_pages != ACRE_HUGE_DEFAULT || options->numa_node >= 0);
    const acre_space_info info = {
        .kind = ACRE_SPACE_PAGES,
        .capabilities = ACRE_CAP_HOST_ACCESS | ACRE_CAP_COHERENT | ACRE_CAP_ZEROED | ACRE_CAP_COMMIT | ACRE_CAP_PURGE | ACRE_CAP_PROTECT |
                        ACRE_CAP_ADVISE | ACRE_CAP_BUDGET | ACRE_CAP_MOVE,
        .page_bytes = acre_os_page_size(),
        .grain_bytes = acre_os_page_size(),
    };
    const acre_status status = acre_space_init(space, is_placed ? &placed_ops : &pages_ops, "pages", &info);
    if (is_placed) space->pages = *options;
    return status;
}

/* ---- address space that is never backed ---- */

static void reserved_close(acre_space *space) { (void)acre_os_release(pointer_of(space->base), (size_t)space->size_bytes); }

static const acre_space_ops reserved_ops = {
    .size_bytes = sizeof(acre_space_ops),
    .query = acre_range_query,
    .reserve = acre_range_reserve,
    .release = acre_range_release,
    .close = reserved_close,
};

acre_status acre_space_open_reserved(acre_space *space, uint64_t size)
{
    const size_t page = acre_os_page_size();
    if (space == NULL || size == 0 || size > SIZE_MAX - page) {
        return acre_fail(ACRE_INVALID, "reserved space of %llu bytes: not 0, and no more than the address space", (unsigned long long)size);
    }
    const size_t whole = (size_t)acre_align_up(size, page);
    void *base = NULL;
    acre_status status = acre_os_reserve(whole, page, &base);
    if (status != ACRE_OK) return status;
    const acre_space_info info = {
        .kind = ACRE_SPACE_RESERVED,
        .capabilities = ACRE_CAP_FIXED,
        .page_bytes = page,
        .grain_bytes = page,
        .capacity_bytes = {.value = whole, .source = ACRE_SOURCE_REPORTED},
    };
    status = acre_space_init(space, &reserved_ops, "reserved", &info);
    space->base = (uintptr_t)base;
    space->size_bytes = whole;
    return status;
}
