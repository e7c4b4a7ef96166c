/* spaces.c - see spaces.h. */
#include "support/spaces.h"
#include "space/space.h"
#include "support/test.h"

#include <stdio.h>
#include <unistd.h>

static void *static_bytes;

acre_status test_space_open(acre_space *space, acre_space_kind kind, uint64_t size)
{
    char path[] = "/tmp/acre-test-XXXXXX";
    acre_status status = ACRE_UNSUPPORTED;
    switch (kind) {
    case ACRE_SPACE_PAGES:
        return acre_space_open_pages(space, NULL);
    case ACRE_SPACE_STATIC:
        static_bytes = malloc((size_t)size);
        assert_non_null(static_bytes);
        return acre_space_open_static(space, static_bytes, (size_t)size);
    case ACRE_SPACE_FILE: {
        const int file = mkstemp(path);
        assert_true(file >= 0);
        status = acre_space_open_file(space, path, size);
        unlink(path);
        close(file);
        return status;
    }
    case ACRE_SPACE_SHARED:
        return acre_space_open_shared(space, "acre-test", size);
    case ACRE_SPACE_SECRET:
        return acre_space_open_secret(space, size);
    case ACRE_SPACE_RESERVED:
        return acre_space_open_reserved(space, size);
    case ACRE_SPACE_HANDLE:
        return acre_space_open_handles(space, (acre_addr)0xface << 44, size);
    }
    return status;
}

void test_space_close(acre_space *space)
{
    const bool is_static = space->info.kind == ACRE_SPACE_STATIC;
    acre_space_close(space);
    if (is_static) {
        free(static_bytes);
        static_bytes = NULL;
    }
}

/* ---- the one that fails ---- */

static bool fails_now(acre_space *space)
{
    failing_space *const failing = space->implementation;
    return ++failing->calls == failing->failing_call;
}

static acre_status failing_reserve(acre_space *space, uint64_t size, uint64_t alignment, const acre_hints *hints, acre_addr *address)
{
    if (fails_now(space)) return ACRE_NO_MEMORY;
    const acre_status status = acre_range_reserve(space, size, alignment, hints, address);
    if (status == ACRE_OK) ((failing_space *)space->implementation)->reserved += size;
    return status;
}

static acre_status failing_release(acre_space *space, acre_addr address, uint64_t size)
{
    ((failing_space *)space->implementation)->reserved -= size;
    return acre_range_release(space, address, size);
}

static acre_status failing_commit(acre_space *space, acre_addr address, uint64_t size)
{
    (void)address;
    (void)size;
    return fails_now(space) ? ACRE_NO_MEMORY : ACRE_OK;
}

static const acre_space_ops failing_ops = {
    .size_bytes = sizeof(acre_space_ops),
    .query = acre_range_query,
    .reserve = failing_reserve,
    .release = failing_release,
    .commit = failing_commit,
};

void failing_space_open(failing_space *failing, uint64_t size)
{
    memset(failing, 0, sizeof *failing);
    failing->bytes = aligned_alloc(65536, (size_t)size);
    assert_non_null(failing->bytes);
    const acre_space_info info = {
        .kind = ACRE_SPACE_STATIC,
        .capabilities = ACRE_CAP_HOST_ACCESS | ACRE_CAP_COHERENT | ACRE_CAP_FIXED | ACRE_CAP_COMMIT,
        .page_bytes = 4096,
        .grain_bytes = 4096,
    };
    assert_int_equal(acre_space_init(&failing->space, &failing_ops, "failing", &info), ACRE_OK);
    failing->space.base = (uintptr_t)failing->bytes;
    failing->space.size_bytes = size;
    failing->space.implementation = failing;
}

void failing_space_close(failing_space *failing)
{
    acre_space_close(&failing->space);
    free(failing->bytes);
}
