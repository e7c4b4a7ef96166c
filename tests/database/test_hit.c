/* test_hit.c - a page that is in memory is fixed and unfixed without the system: no call, so no futex either. */
#include "database/devices.h"

#include <acre/buffer_pool.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { PAGE_COUNT = 64, HIT_COUNT = 100000, REFUSED = 2, NO_SECCOMP = 3 };

/* The kernel ends the process at its first system call other than read, write and exit. */
static void hit_or_die(acre_buffer_pool *pool, uint32_t file)
{
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0) _exit(NO_SECCOMP);
    for (uint32_t i = 0; i < HIT_COUNT; i++) {
        acre_page_ref ref;
        if (acre_buffer_pool_fix(pool, acre_page(file, i % PAGE_COUNT), i % 4, &ref) != ACRE_OK) (void)syscall(SYS_exit, REFUSED);
        (void)acre_buffer_pool_unfix(&ref, i % 4 == ACRE_FIX_EXCLUSIVE);
    }
    (void)syscall(SYS_exit, 0);
}

static void a_hit_makes_no_system_call(void **state)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* their runtimes make some */
#endif
    for (acre_policy_kind kind = 0; kind < ACRE_POLICY_KIND_COUNT; kind++) {
        test_device device;
        acre_buffer_pool *pool;
        uint32_t file;
        assert_true(test_device_open(&device, DEVICE_SIMULATED, PAGE_COUNT * 4096));
        assert_int_equal(acre_buffer_pool_open(&(acre_buffer_pool_options){.frame_count = PAGE_COUNT, .policy = kind}, &pool), ACRE_OK);
        assert_int_equal(acre_buffer_pool_add_file(pool, device.device, PAGE_COUNT, &file), ACRE_OK);
        for (uint32_t page = 0; page < PAGE_COUNT; page++) {
            acre_page_ref ref;
            assert_int_equal(acre_buffer_pool_fix(pool, acre_page(file, page), ACRE_FIX_SHARED, &ref), ACRE_OK);
            assert_int_equal(acre_buffer_pool_unfix(&ref, 0), ACRE_OK);
        }
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) hit_or_die(pool, file);
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_int_equal(acre_buffer_pool_close(pool), ACRE_OK);
        test_device_close(&device);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_hit_makes_no_system_call)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
