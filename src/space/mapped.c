/* mapped.c - spaces that are one shared mapping of a descriptor: a file, shared memory, secret memory. */
#include "space/space.h"
#include "base/bits.h"
#include "base/status.h"
#include "os/os.h"

static void *pointer_of(acre_addr address) { return (void *)(uintptr_t)address; }

/* A file may lie on a full disk: its blocks are taken at commit, so that a touch never fails. */
static acre_status file_commit(acre_space *space, acre_addr address, uint64_t size)
{
    return acre_os_fill_hole(space->descriptor, address - space->base, size);
}

static acre_status mapped_purge(acre_space *space, acre_addr address, uint64_t size)
{
    return acre_os_punch_hole(space->descriptor, address - space->base, size);
}

static acre_status shared_alias(acre_space *space, acre_addr address, acre_addr target, uint64_t size)
{
    const acre_status status = acre_os_map_shared_at(space->descriptor, target - space->base, size, pointer_of(address));
    if (status != ACRE_OK || address == target) return status;
    const acre_status purged = mapped_purge(space, address, size);
    if (purged == ACRE_OK) return ACRE_OK;
    /* All is to be as it was. Where that is refused as well, the alias holds, and only its memory is lost. */
    const acre_status undone = acre_os_map_shared_at(space->descriptor, address - space->base, size, pointer_of(address));
    return undone == ACRE_OK ? purged : ACRE_OK;
}

static acre_status file_flush(acre_space *space, acre_addr address, uint64_t size, acre_domain domain)
{
    return domain == ACRE_DOMAIN_PERSISTENT ? acre_os_flush(pointer_of(address), (size_t)size) : ACRE_OK;
}

static void mapped_close(acre_space *space)
{
    (void)acre_os_release(pointer_of(space->base), (size_t)space->size_bytes);
    acre_os_close(space->descriptor);
}

static const acre_space_ops file_ops = {
    .size_bytes = sizeof(acre_space_ops),
    .query = acre_range_query,
    .reserve = acre_range_reserve,
    .release = acre_range_release,
    .commit = file_commit,
    .purge = mapped_purge,
    .flush = file_flush,
    .close = mapped_close,
};

static const acre_space_ops shared_ops = {
    .size_bytes = sizeof(acre_space_ops),
    .query = acre_range_query,
    .reserve = acre_range_reserve,
    .release = acre_range_release,
    .purge = mapped_purge,
    .close = mapped_close,
    .alias = shared_alias,
};

static const acre_space_ops secret_ops = {
    .size_bytes = sizeof(acre_space_ops),
    .query = acre_range_query,
    .reserve = acre_range_reserve,
    .release = acre_range_release,
    .close = mapped_close,
};

/* Maps the whole descriptor and takes it over: on failure it is closed. */
static acre_status open_mapped(acre_space *space, const acre_space_ops *ops, acre_space_kind kind, uint32_t capabilities, int descriptor,
                               uint64_t size)
{
    void *base = NULL;
    acre_status status = acre_os_map_shared(descriptor, size, &base);
    if (status != ACRE_OK) {
        acre_os_close(descriptor);
        return status;
    }
    const acre_space_info info = {
        .kind = kind,
        .capabilities = capabilities | ACRE_CAP_HOST_ACCESS | ACRE_CAP_COHERENT | ACRE_CAP_FIXED,
        .page_bytes = acre_os_page_size(),
        .grain_bytes = acre_os_page_size(),
        .capacity_bytes = {.value = size, .source = ACRE_SOURCE_REPORTED},
    };
    status = acre_space_init(space, ops, acre_space_kind_text(kind), &info);
    space->base = (uintptr_t)base;
    space->size_bytes = size;
    space->descriptor = descriptor;
    return status;
}

/* Sizes are whole pages; the checks are the same for the three kinds. */
static acre_status whole_pages(const acre_space *space, const char *kind, uint64_t *size)
{
    const size_t page = acre_os_page_size();
    if (space == NULL || *size == 0 || *size > INT64_MAX - page) {
        return acre_fail(ACRE_INVALID, "%s space of %llu bytes: not 0, below 2^63, and the space not NULL", kind,
                         (unsigned long long)*size);
    }
    *size = acre_align_up(*size, page);
    return ACRE_OK;
}

acre_status acre_space_open_file(acre_space *space, const char *path, uint64_t size)
{
    if (path == NULL) return acre_fail(ACRE_INVALID, "file space: the path is NULL");
    int descriptor = -1;
    acre_status status = whole_pages(space, "file", &size);
    if (status == ACRE_OK) status = acre_os_open_file(path, size, &descriptor);
    if (status != ACRE_OK) return status;
    return open_mapped(space, &file_ops, ACRE_SPACE_FILE,
                       ACRE_CAP_PERSISTENT | ACRE_CAP_SHARED | ACRE_CAP_COMMIT | ACRE_CAP_PURGE | ACRE_CAP_FLUSH, descriptor, size);
}

acre_status acre_space_open_shared(acre_space *space, const char *name, uint64_t size)
{
    if (name == NULL) return acre_fail(ACRE_INVALID, "shared space: the name is NULL");
    int descriptor = -1;
    acre_status status = whole_pages(space, "shared", &size);
    if (status == ACRE_OK) status = acre_os_open_shared(name, size, &descriptor);
    if (status != ACRE_OK) return status;
    return open_mapped(space, &shared_ops, ACRE_SPACE_SHARED,
                       ACRE_CAP_SHARED | ACRE_CAP_ZEROED | ACRE_CAP_PURGE | ACRE_CAP_ALIAS, descriptor, size);
}

acre_status acre_space_open_secret(acre_space *space, uint64_t size)
{
    int descriptor = -1;
    acre_status status = whole_pages(space, "secret", &size);
    if (status == ACRE_OK) status = acre_os_open_secret(size, &descriptor);
    if (status != ACRE_OK) return status;
    return open_mapped(space, &secret_ops, ACRE_SPACE_SECRET, ACRE_CAP_SECRET | ACRE_CAP_ZEROED, descriptor, size);
}
