/* test_window.c - the range of addresses where regions lie. */
#include "support/test.h"

#include "space/window.h"

#include <sys/wait.h>
#include <sys/resource.h>
#include <unistd.h>

static acre_window *window(void)
{
    acre_window *const found = acre_window_of_process();
    assert_true(found->size_bytes >= 8 * found->grain_bytes && found->base % found->grain_bytes == 0);
    return found;
}

static void ranges_are_taken_lowest_first_and_never_twice(void **state)
{
    (void)state;
    acre_window *const w = window();
    acre_addr at[4];
    for (int i = 0; i < 4; i++) assert_true(acre_window_take(w, w->grain_bytes, 1, &at[i]));
    for (int i = 1; i < 4; i++) assert_true(at[i] == at[i - 1] + w->grain_bytes && acre_window_has(w, at[i]));
    assert_int_equal(acre_window_give(w, at[1], w->grain_bytes), ACRE_OK);
    assert_int_equal(acre_window_give(w, at[2], w->grain_bytes), ACRE_OK);
    acre_addr two = 0;
    acre_addr one = 0;
    assert_true(acre_window_take(w, 2 * w->grain_bytes, 1, &two));
    assert_true(two == at[1]);
    assert_true(acre_window_take(w, w->grain_bytes, 1, &one));
    assert_true(one == at[3] + w->grain_bytes);
    acre_window_give(w, one, w->grain_bytes);
    acre_window_give(w, two, 2 * w->grain_bytes);
    acre_window_give(w, at[0], w->grain_bytes);
    acre_window_give(w, at[3], w->grain_bytes);
}

static void alignment_beyond_a_grain_is_kept(void **state)
{
    (void)state;
    acre_window *const w = window();
    acre_addr first;
    acre_addr aligned;
    assert_true(acre_window_take(w, w->grain_bytes, 1, &first));
    assert_true(acre_window_take(w, w->grain_bytes, 4 * w->grain_bytes, &aligned));
    assert_true(aligned % (4 * w->grain_bytes) == 0 && aligned != first);
    acre_window_give(w, aligned, w->grain_bytes);
    acre_window_give(w, first, w->grain_bytes);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    acre_window *const w = window();
    acre_addr at;
    assert_false(acre_window_take(w, w->size_bytes + w->grain_bytes, 1, &at));
    assert_false(acre_window_has(w, w->base - 1));
    assert_false(acre_window_has(w, w->base + w->size_bytes));
    assert_true(acre_window_take(w, w->size_bytes, 1, &at));
    acre_addr none;
    assert_false(acre_window_take(w, w->grain_bytes, 1, &none));
    assert_int_equal(acre_window_give(w, at, w->size_bytes), ACRE_OK);
}

static void in_child_the_window_shrinks_to_what_is_taken(void **state)
{
    (void)state;
    acre_window *const w = window();
    acre_addr first;
    acre_addr second;
    assert_true(acre_window_take(w, w->grain_bytes, 1, &first));
    assert_true(acre_window_take(w, w->grain_bytes, 1, &second));
    acre_window_give(w, first, w->grain_bytes);
    const pid_t child = fork();
    if (child == 0) {
        acre_window_shrink(w);
        const bool is_short = w->size_bytes == second + w->grain_bytes - w->base;
        acre_addr again;
        const bool has_hole = acre_window_take(w, w->grain_bytes, 1, &again) && again == first;
        _exit(is_short && has_hole && !acre_window_take(w, w->grain_bytes, 1, &again) ? 0 : 1);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    acre_window_give(w, second, w->grain_bytes);
}

static void what_comes_back_is_zero_and_out_of_reach(void **state)
{
    (void)state;
    acre_window *const w = window();
    acre_space space;
    acre_addr at;
    acre_space_open_pages(&space, NULL);
    assert_int_equal(acre_space_reserve(&space, w->grain_bytes, 1, NULL, &at), ACRE_OK);
    assert_true(acre_window_has(w, at));
    assert_int_equal(acre_space_commit(&space, at, 4096), ACRE_OK);
    memset(acre_space_pointer(&space, at), 7, 4096);
    assert_int_equal(acre_space_release(&space, at, w->grain_bytes), ACRE_OK);

    acre_addr again;
    assert_int_equal(acre_space_reserve(&space, w->grain_bytes, 1, NULL, &again), ACRE_OK);
    assert_true(again == at);
    const pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        *(volatile char *)acre_space_pointer(&space, at) = 1;
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(acre_space_commit(&space, at, 4096), ACRE_OK);
    assert_int_equal(*(char *)acre_space_pointer(&space, at), 0);
    assert_int_equal(acre_space_release(&space, again, w->grain_bytes), ACRE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_taken_lowest_first_and_never_twice),
        cmocka_unit_test(alignment_beyond_a_grain_is_kept),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(in_child_the_window_shrinks_to_what_is_taken),
        cmocka_unit_test(what_comes_back_is_zero_and_out_of_reach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
