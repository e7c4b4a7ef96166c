/* test_same_addresses.c - blocks lie at the same addresses as on microcontrollers (board_same_addresses.c). */
#include "same_addresses.h"
#include "support/test.h"

static void blocks_lie_where_they_do_on_microcontrollers(void **state)
{
    (void)state;
    const uint32_t hash = same_addresses();
    print_message("addresses: %lu\n", (unsigned long)hash);
    assert_int_equal(hash, SAME_ADDRESSES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(blocks_lie_where_they_do_on_microcontrollers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
