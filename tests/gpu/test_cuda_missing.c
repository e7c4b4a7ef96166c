/* test_cuda_missing.c - libacre-cuda where there is no driver, or no driver of CUDA by that name. */
#include "support/test.h"

#include <acre/cuda.h>

static void a_missing_driver_is_not_supported_and_the_reason_is_told(void **state)
{
    (void)state;
    acre_cuda *cuda = NULL;
    assert_int_equal(acre_cuda_open(&(acre_cuda_options){.library_path = "libcuda-that-is-nowhere.so.1"}, &cuda), ACRE_UNSUPPORTED);
    assert_null(cuda);
    assert_non_null(strstr(acre_last_error(), "libcuda-that-is-nowhere.so.1"));
}

static void a_library_that_is_no_driver_is_not_supported_and_the_call_is_named(void **state)
{
    (void)state;
    acre_cuda *cuda = NULL;
    assert_int_equal(acre_cuda_open(&(acre_cuda_options){.library_path = "libm.so.6"}, &cuda), ACRE_UNSUPPORTED);
    assert_null(cuda);
    assert_non_null(strstr(acre_last_error(), "cuInit"));
}

static void a_place_for_the_device_is_needed(void **state)
{
    (void)state;
    assert_int_equal(acre_cuda_open(NULL, NULL), ACRE_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_driver_is_not_supported_and_the_reason_is_told),
        cmocka_unit_test(a_library_that_is_no_driver_is_not_supported_and_the_call_is_named),
        cmocka_unit_test(a_place_for_the_device_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
