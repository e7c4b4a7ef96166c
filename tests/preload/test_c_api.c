/* test_c_api.c - the C allocation functions as the standards and glibc's manual describe them, in a program linked with acre. */
#include "support/test.h"

#include <errno.h>
#include <malloc.h>
#include <unistd.h>

void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t alignment, size_t size);
/* The compiler may not reason about what it knows of malloc. */
static void *(*volatile do_malloc)(size_t) = malloc;
static void *(*volatile do_calloc)(size_t, size_t) = calloc;
static void *(*volatile do_realloc)(void *, size_t) = realloc;

static bool is_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) return false;
    }
    return true;
}

static void malloc_gives_aligned_blocks_of_every_size(void **state)
{
    (void)state;
    for (size_t size = 0; size < 70000; size += 1 + size / 40) {
        uint8_t *const block = do_malloc(size);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 16, 0);
        assert_true(malloc_usable_size(block) >= size);
        memset(block, 0xa5, malloc_usable_size(block));
        free(block);
    }
    assert_int_equal(malloc_usable_size(NULL), 0);
}

static void sizes_that_overflow_give_null_and_enomem(void **state)
{
    (void)state;
    const volatile size_t half = SIZE_MAX / 2;
    errno = 0;
    assert_null(do_malloc(SIZE_MAX));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(do_malloc((size_t)PTRDIFF_MAX + 1));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(do_calloc(SIZE_MAX / 2, 3));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(reallocarray(NULL, half, 3));
    assert_int_equal(errno, ENOMEM);
    void *const block = do_malloc(10);
    errno = 0;
    assert_null(do_realloc(block, SIZE_MAX - 100));
    assert_int_equal(errno, ENOMEM);
    free(block); /* a realloc that fails leaves it */
    errno = 0;
    assert_null(pvalloc(SIZE_MAX));
    assert_int_equal(errno, ENOMEM);
}

static void calloc_clears_blocks_that_were_used_before(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 100, 5000, 30000, 50000, 400000, 3000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int round = 0; round < 70; round++) {
            uint8_t *const block = do_calloc(1, sizes[i]);
            assert_true(is_zero(block, sizes[i]));
            memset(block, 0xff, sizes[i]);
            free(block);
        }
    }
}

static void realloc_keeps_what_fits(void **state)
{
    (void)state;
    uint8_t *block = do_realloc(NULL, 1);
    block[0] = 0;
    size_t before = 1;
    uint64_t random = 99;
    for (int step = 0; step < 500; step++) {
        const uint64_t number = next_random(&random);
        const size_t size = 1 + (size_t)(number >> 8) % (number % 4 == 0 ? 4000000u : 3000u);
        block = do_realloc(block, size);
        assert_non_null(block);
        for (size_t i = 0; i < (size < before ? size : before); i++) {
            if (block[i] != (uint8_t)(i * 3)) assert_int_equal(block[i], (uint8_t)(i * 3));
        }
        for (size_t i = 0; i < size; i++) block[i] = (uint8_t)(i * 3);
        before = size;
    }
    assert_null(do_realloc(block, 0)); /* as glibc: it is freed */
}

static void the_aligned_family_aligns(void **state)
{
    (void)state;
    for (size_t alignment = sizeof(void *); alignment <= (size_t)64 << 20; alignment *= 2) {
        static const size_t sizes[] = {0, 1, 100, 5000, 100000};
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            void *block = NULL;
            assert_int_equal(posix_memalign(&block, alignment, sizes[i]), 0);
            assert_int_equal((uintptr_t)block % alignment, 0);
            memset(block, 1, sizes[i]);
            free(block);
            block = aligned_alloc(alignment, sizes[i]);
            assert_true(block != NULL && (uintptr_t)block % alignment == 0);
            free_aligned_sized(block, alignment, sizes[i]);
            block = memalign(alignment, sizes[i]);
            assert_true(block != NULL && (uintptr_t)block % alignment == 0);
            free_sized(block, sizes[i]);
        }
    }
    void *untouched = (void *)1;
    assert_int_equal(posix_memalign(&untouched, 3, 10), EINVAL);
    assert_int_equal(posix_memalign(&untouched, 4, 10), EINVAL);
    assert_ptr_equal(untouched, (void *)1);
    errno = 0;
    volatile size_t no_power = 24; /* volatile: clang warns about such alignments where it sees them */
    assert_null(aligned_alloc(no_power, 100));
    assert_int_equal(errno, EINVAL);
    no_power = 100;
    void *const rounded = memalign(no_power, 10);
    assert_int_equal((uintptr_t)rounded % 128, 0);
    free(rounded);
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *const page_block = valloc(10);
    void *const pages = pvalloc(page + 1);
    assert_true((uintptr_t)page_block % page == 0 && (uintptr_t)pages % page == 0);
    assert_true(malloc_usable_size(pages) >= 2 * page);
    free(page_block);
    free(pages);
}

static void free_leaves_errno_alone(void **state)
{
    (void)state;
    void *const blocks[] = {do_malloc(10), do_malloc(100000), do_malloc(100 << 20), NULL};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        errno = EDOM;
        free(blocks[i]);
        assert_int_equal(errno, EDOM);
    }
}

static void mallinfo2_and_trim_tell_what_is_there(void **state)
{
    (void)state;
    const struct mallinfo2 before = mallinfo2();
    void *const block = do_malloc(8 << 20);
    memset(block, 1, 8 << 20);
    const struct mallinfo2 during = mallinfo2();
    assert_true(during.uordblks >= before.uordblks + (8 << 20));
    free(block);
    (void)malloc_trim(0);
    const struct mallinfo2 after = mallinfo2();
    assert_true(after.uordblks < during.uordblks);
    assert_int_equal(after.keepcost, 0);
    assert_int_equal(malloc_trim(0), 0); /* nothing is left to give back */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malloc_gives_aligned_blocks_of_every_size),
        cmocka_unit_test(sizes_that_overflow_give_null_and_enomem),
        cmocka_unit_test(calloc_clears_blocks_that_were_used_before),
        cmocka_unit_test(realloc_keeps_what_fits),
        cmocka_unit_test(the_aligned_family_aligns),
        cmocka_unit_test(free_leaves_errno_alone),
        cmocka_unit_test(mallinfo2_and_trim_tell_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
