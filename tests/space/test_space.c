/* test_space.c - what every kind of space promises by its capabilities, and what it refuses. */
#include "support/spaces.h"
#include "support/test.h"

#include "base/bits.h"

#define SIZE ((uint64_t)1 << 20)

static bool has(const acre_space *space, uint32_t capability) { return (space->info.capabilities & capability) != 0; }

/* At three pages from `at` on; what they hold is lost. */
static void aliases_show_the_same_memory(acre_space *space, acre_addr at, uint64_t page)
{
    uint8_t *const bytes = acre_space_pointer(space, at), *const other = bytes + page;
    bytes[5] = 11;
    other[5] = 12;
    assert_int_equal(acre_space_alias(space, at + page, at, page), ACRE_OK);
    assert_int_equal(other[5], 11);
    other[6] = 13;
    assert_int_equal(bytes[6], 13);
    assert_int_equal(acre_space_alias(space, at + page, at, 2 * page), ACRE_INVALID);
    assert_non_null(strstr(acre_last_error(), "overlap"));
    assert_int_equal(acre_space_alias(space, at + page, at + page, page), ACRE_OK);
    assert_int_equal(other[5], 0);
    assert_int_equal(bytes[5], 11);
}

static void promises_of(acre_space_kind kind)
{
    acre_space space;
    const acre_status opened = test_space_open(&space, kind, SIZE);
    if (kind == ACRE_SPACE_SECRET && opened == ACRE_UNSUPPORTED) return; /* this kernel lacks it */
    assert_int_equal(opened, ACRE_OK);
    acre_space_info info;
    assert_int_equal(acre_space_query(&space, &info), ACRE_OK);
    assert_int_equal(info.kind, kind);
    assert_true(acre_is_power_of_two(info.grain_bytes) && acre_is_power_of_two(info.page_bytes));
    assert_int_equal(info.capacity_bytes.source, ACRE_SOURCE_REPORTED);
    if (has(&space, ACRE_CAP_FIXED)) assert_true(info.capacity_bytes.value >= SIZE - 16);

    const uint64_t size = acre_align_up(10000, info.grain_bytes);
    acre_addr at = 0;
    assert_int_equal(acre_space_reserve(&space, size, 16384, NULL, &at), ACRE_OK);
    assert_int_equal(at % 16384, 0);
    assert_int_equal(acre_space_commit(&space, at, size), ACRE_OK);
    assert_int_equal(acre_space_commit(&space, at, size), ACRE_OK); /* twice is as good as once */

    uint8_t *const bytes = acre_space_pointer(&space, at);
    assert_true((bytes != NULL) == has(&space, ACRE_CAP_HOST_ACCESS));
    if (bytes != NULL) {
        if (has(&space, ACRE_CAP_ZEROED)) assert_true(bytes[0] == 0 && bytes[size - 1] == 0);
        assert_int_equal(acre_space_fill(&space, at, 100, 7), ACRE_OK);
        assert_int_equal(acre_space_copy(&space, at + 200, at, 100), ACRE_OK);
        assert_int_equal(bytes[299], 7);
        assert_int_equal(acre_space_copy(&space, at + 50, at, 100), ACRE_INVALID);
        void *mapped = NULL;
        assert_int_equal(acre_space_map(&space, at, size, &mapped), ACRE_OK);
        assert_ptr_equal(mapped, bytes);
        assert_int_equal(acre_space_unmap(&space, mapped, size), ACRE_OK);
    } else {
        assert_int_equal(acre_space_fill(&space, at, 100, 7), ACRE_UNSUPPORTED);
    }
    const uint64_t page = info.page_bytes;
    assert_int_equal(acre_space_alias(&space, at + 1, at, page), has(&space, ACRE_CAP_ALIAS) ? ACRE_INVALID : ACRE_UNSUPPORTED);
    if (has(&space, ACRE_CAP_ALIAS)) aliases_show_the_same_memory(&space, at, page);
    const acre_status purged = acre_space_purge(&space, at, page);
    if (has(&space, ACRE_CAP_PURGE)) {
        assert_int_equal(purged, ACRE_OK);
        if (bytes != NULL) assert_int_equal(bytes[0], 0);
    } else {
        assert_int_equal(purged, ACRE_UNSUPPORTED);
        assert_non_null(strstr(acre_last_error(), "no purge"));
    }
    assert_int_equal(acre_space_flush(&space, at, page, ACRE_DOMAIN_PERSISTENT), has(&space, ACRE_CAP_FLUSH) ? ACRE_OK : ACRE_UNSUPPORTED);
    assert_int_equal(acre_space_advise(&space, at, page, ACRE_ADVISE_WILL_NEED), has(&space, ACRE_CAP_ADVISE) ? ACRE_OK : ACRE_UNSUPPORTED);
    uint64_t used = 0;
    uint64_t limit = 0;
    assert_int_equal(acre_space_budget(&space, &used, &limit), ACRE_OK);
    assert_true(used > 0 && used <= limit);
    assert_int_equal(acre_space_release(&space, at, size), ACRE_OK);
    test_space_close(&space);
}

static void every_kind_does_what_its_capabilities_say(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < ACRE_SPACE_KIND_COUNT; kind++) promises_of((acre_space_kind)kind);
}

static void ranges_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    acre_space space;
    acre_addr at = 0;
    assert_int_equal(acre_space_open_handles(&space, 65536, SIZE), ACRE_OK);
    assert_int_equal(acre_space_reserve(&space, 0, 1, NULL, &at), ACRE_INVALID);
    assert_int_equal(acre_space_reserve(&space, 100, 1, NULL, &at), ACRE_INVALID);
    assert_int_equal(acre_space_reserve(&space, 4096, 3, NULL, &at), ACRE_INVALID);
    assert_int_equal(acre_space_reserve(&space, 4096, 1, NULL, NULL), ACRE_INVALID);
    assert_int_equal(acre_space_reserve(NULL, 4096, 1, NULL, &at), ACRE_INVALID);
    assert_int_equal(acre_space_commit(&space, 1, 4096), ACRE_INVALID);
    assert_int_equal(acre_space_commit(&space, UINT64_MAX - 4095, 8192), ACRE_INVALID);
    assert_int_equal(acre_space_reserve(&space, 2 * SIZE, 1, NULL, &at), ACRE_NO_MEMORY);
    assert_non_null(strstr(acre_last_error(), "1048576 bytes are left"));
    assert_int_equal(acre_space_reserve(&space, 4096, (uint64_t)1 << 63, NULL, &at), ACRE_NO_MEMORY);
    assert_int_equal(acre_space_release(&space, 1 << 30, 4096), ACRE_BAD_POINTER);
    assert_int_equal(acre_space_query(&space, NULL), ACRE_INVALID);
    assert_int_equal(acre_space_budget(&space, NULL, NULL), ACRE_INVALID);
    assert_int_equal(acre_space_protect(&space, 65536, 4096, (acre_protection)9), ACRE_UNSUPPORTED);
    acre_space_close(&space);
    assert_int_equal(acre_space_reserve(&space, 4096, 1, NULL, &at), ACRE_INVALID); /* closed */
    acre_space_close(&space);
    acre_space_close(NULL);
}

static void opening_with_bad_arguments_is_refused(void **state)
{
    (void)state;
    acre_space space;
    char bytes[100];
    assert_int_equal(acre_space_open_static(&space, NULL, 100), ACRE_INVALID);
    assert_int_equal(acre_space_open_static(&space, bytes, 10), ACRE_INVALID);
    assert_int_equal(acre_space_open_handles(&space, 1, SIZE), ACRE_INVALID);
    assert_int_equal(acre_space_open_handles(&space, 65536, UINT64_MAX), ACRE_INVALID);
    assert_int_equal(acre_space_open_file(&space, NULL, SIZE), ACRE_INVALID);
    assert_int_equal(acre_space_open_file(&space, "/no/such/folder/file", SIZE), ACRE_IO);
    assert_non_null(strstr(acre_last_error(), "/no/such/folder/file"));
    assert_int_equal(acre_space_open_shared(&space, "x", 0), ACRE_INVALID);
    assert_int_equal(acre_space_open_secret(&space, 0), ACRE_INVALID);
    assert_int_equal(acre_space_open_reserved(&space, 0), ACRE_INVALID);
    assert_int_equal(acre_space_open_pages(NULL, NULL), ACRE_INVALID);
    assert_int_equal(acre_space_open_pages(&space, &(acre_pages_options){.numa_node = -2}), ACRE_INVALID);
}

static void pages_can_move_without_copying(void **state)
{
    (void)state;
    acre_space space;
    assert_int_equal(acre_space_open_pages(&space, NULL), ACRE_OK);
    acre_addr from;
    acre_addr to;
    assert_int_equal(acre_space_reserve(&space, SIZE, 4096, NULL, &from), ACRE_OK);
    assert_int_equal(acre_space_reserve(&space, SIZE, 4096, NULL, &to), ACRE_OK);
    acre_space_commit(&space, from, SIZE);
    acre_space_commit(&space, to, SIZE);
    memset(acre_space_pointer(&space, from), 9, SIZE);
    const acre_status moved = acre_space_move(&space, to, from, SIZE);
    const bool is_old_kernel = moved == ACRE_UNSUPPORTED; /* or valgrind, which is one: then nothing has changed */
    assert_true(moved == ACRE_OK || is_old_kernel);
    assert_int_equal(((uint8_t *)acre_space_pointer(&space, to))[SIZE - 1], is_old_kernel ? 0 : 9);
    assert_int_equal(((uint8_t *)acre_space_pointer(&space, from))[SIZE - 1], is_old_kernel ? 9 : 0);
    assert_int_equal(acre_space_protect(&space, to, 4096, ACRE_PROTECT_READ), ACRE_OK);
    acre_space_release(&space, from, SIZE);
    acre_space_release(&space, to, SIZE);
    acre_space_close(&space);
}

static void a_node_that_does_not_exist_is_refused_at_commit(void **state)
{
    (void)state;
    acre_space space;
    acre_addr at;
    assert_int_equal(acre_space_open_pages(&space, &(acre_pages_options){.numa_node = 61}), ACRE_OK);
    assert_int_equal(acre_space_reserve(&space, SIZE, 4096, NULL, &at), ACRE_OK);
    assert_int_not_equal(acre_space_commit(&space, at, SIZE), ACRE_OK);
    acre_space_release(&space, at, SIZE);
    assert_int_equal(acre_space_open_pages(&space, &(acre_pages_options){.numa_node = 0, .huge_pages = ACRE_HUGE_PREFER}), ACRE_OK);
    assert_int_equal(acre_space_reserve(&space, 4 * SIZE, 2 * SIZE, NULL, &at), ACRE_OK);
    const acre_status status = acre_space_commit(&space, at, 4 * SIZE);
    assert_true(status == ACRE_OK || status == ACRE_UNSUPPORTED); /* a kernel without NUMA says so */
    acre_space_release(&space, at, 4 * SIZE);
}

/* A space compiled against an older header: its table ends before `advise`. */
static acre_status old_query(acre_space *space, acre_space_info *info)
{
    *info = space->info;
    return ACRE_OK;
}

static void a_table_from_an_older_version_still_works(void **state)
{
    (void)state;
    acre_space space;
    assert_int_equal(acre_space_open_handles(&space, 65536, SIZE), ACRE_OK);
    static acre_space_ops old;
    old = *space.ops;
    old.size_bytes = offsetof(acre_space_ops, copy);
    old.query = old_query;
    memset((char *)&old + old.size_bytes, 0xee, sizeof old - old.size_bytes); /* what lies past its end is not looked at */
    space.ops = &old;
    acre_space_info info;
    acre_addr at;
    assert_int_equal(acre_space_query(&space, &info), ACRE_OK);
    assert_int_equal(acre_space_reserve(&space, 4096, 1, NULL, &at), ACRE_OK);
    assert_int_equal(acre_space_advise(&space, at, 4096, ACRE_ADVISE_COLD), ACRE_UNSUPPORTED);
    assert_int_equal(acre_space_copy(&space, at, at + 4096, 10), ACRE_UNSUPPORTED);
    acre_space_close(&space);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_does_what_its_capabilities_say),       cmocka_unit_test(ranges_that_make_no_sense_are_refused),
        cmocka_unit_test(opening_with_bad_arguments_is_refused),           cmocka_unit_test(pages_can_move_without_copying),
        cmocka_unit_test(a_node_that_does_not_exist_is_refused_at_commit), cmocka_unit_test(a_table_from_an_older_version_still_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
