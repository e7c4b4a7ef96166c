/* Pages that come by the processor's own faults: contents are right whatever came and went, and nobody waits for ever. */
#include "fake_device.h"
#include "os/page_faults.h"
#include "support/test.h"

#include <acre/um.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = ACRE_UM_PAGE_BYTES };
#define MIB ((uint64_t)1 << 20)

typedef struct scene {
    acre_space home;
    acre_um *um;
    unsigned near;
    uint64_t at;
    unsigned char *bytes;
} scene;

static acre_um_failure failure;
static void *failure_context;
static acre_um_fault_source source = ACRE_UM_USERFAULTFD;
static bool ignores_thrashing;
static uint64_t lapse_ns;

static void on_segv(int number);

/* cmocka catches signals by itself in each test; ours, and what the library puts before it, have to be set again. */
static void catch_signals(bool has_window)
{
    static struct sigaction served[2];
    const int numbers[] = {SIGSEGV, SIGBUS};
    for (unsigned i = 0; i < 2; i++) {
        const struct sigaction ours = {.sa_handler = on_segv};
        if (!has_window || source == ACRE_UM_USERFAULTFD) {
            (void)sigaction(numbers[i], served[i].sa_sigaction == NULL ? &ours : &served[i], NULL);
        } else if (served[i].sa_sigaction == NULL) {
            (void)sigaction(numbers[i], NULL, &served[i]);
        }
    }
}

static void open_scene(scene *s, const char *rules, uint64_t bytes, uint64_t capacity)
{
    acre_um_options options = {.bytes_max = bytes, .home = &s->home, .on_failure = failure, .failure_context = failure_context};
    assert_int_equal(acre_space_open_pages(&s->home, NULL), ACRE_OK);
    assert_int_equal(acre_um_rules_named(rules, &options.rules), ACRE_OK);
    options.rules.ignores_thrashing = ignores_thrashing;
    options.rules.lapse_ns = lapse_ns;
    assert_int_equal(acre_um_open(&options, &s->um), ACRE_OK);
    const acre_um_place place = {.name = "near", .capacity_bytes = capacity, .faults = source};
    catch_signals(false);
    assert_int_equal(acre_um_add_place(s->um, &place, &s->near), ACRE_OK);
    catch_signals(true);
    assert_int_equal(acre_um_allocate(s->um, bytes, &s->at), ACRE_OK);
    s->bytes = acre_um_pointer(s->um, s->near, s->at);
    assert_non_null(s->bytes);
}

static void close_scene(scene *s)
{
    assert_true(acre_um_is_valid(s->um));
    acre_um_close(s->um);
    acre_space_close(&s->home);
}

static acre_um_figures figures_of(const scene *s)
{
    acre_um_figures figures;
    assert_int_equal(acre_um_read_figures(s->um, s->near, &figures), ACRE_OK);
    return figures;
}

/* What is at home before anybody faults. */
static void fill_home(const scene *s, uint64_t bytes)
{
    for (uint64_t i = 0; i < bytes; i += PAGE) {
        assert_int_equal(acre_um_touch(s->um, ACRE_UM_HOME, s->at + i, PAGE, true), ACRE_OK);
        *(uint64_t *)acre_um_pointer(s->um, ACRE_UM_HOME, s->at + i) = i + 1;
    }
}

static uint64_t word_at(const scene *s, uint64_t offset) { return *(volatile uint64_t *)(void *)(s->bytes + offset); }
static void set_word(const scene *s, uint64_t offset, uint64_t value) { *(volatile uint64_t *)(void *)(s->bytes + offset) = value; }

/* ---- contents ---- */

static void pages_come_in_order(void **state)
{
    static const struct {
        const char *rules;
        uint64_t faults;
    } rows[] = {{"demand", 4096}, {"64k", 256}, {"nvidia", 48}};
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        scene s;
        open_scene(&s, rows[i].rules, 16 * MIB, 0);
        fill_home(&s, 16 * MIB);
        for (uint64_t at = 0; at < 16 * MIB; at += PAGE) assert_int_equal(word_at(&s, at), at + 1);
        const acre_um_figures figures = figures_of(&s);
        assert_int_equal(figures.fault_count, rows[i].faults);
        assert_int_equal(figures.write_fault_count, 0);
        assert_int_equal(figures.in_bytes, 16 * MIB);
        assert_true(figures.stall_ns > 0);
        close_scene(&s);
    }
}

/* What is only read goes for nothing; what is written comes home, by pages or by groups that the rule makes of them. */
static void only_what_is_written_comes_home(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, "demand", 16 * MIB, 4 * MIB);
    fill_home(&s, 16 * MIB);
    for (uint64_t at = 0; at < 16 * MIB; at += PAGE) assert_int_equal(word_at(&s, at), at + 1);
    assert_int_equal(figures_of(&s).out_bytes, 0);
    for (uint64_t at = 0; at < 16 * MIB; at += 8 * PAGE) set_word(&s, at, at + 2);
    assert_int_equal(acre_um_touch(s.um, ACRE_UM_HOME, s.at, 16 * MIB, false), ACRE_OK);
    assert_int_equal(figures_of(&s).out_bytes, 2 * MIB);
    for (uint64_t at = 0; at < 16 * MIB; at += PAGE) assert_int_equal(word_at(&s, at), at % (8 * PAGE) == 0 ? at + 2 : at + 1);
    close_scene(&s);
}

/* Reads and then writes each page: after the first of a block, what comes is open for writing. */
static void who_reads_will_write(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, "nvidia", 16 * MIB, 0);
    fill_home(&s, 16 * MIB);
    for (uint64_t at = 0; at < 16 * MIB; at += PAGE) set_word(&s, at, word_at(&s, at) + 1);
    const acre_um_figures figures = figures_of(&s);
    assert_int_equal(figures.fault_count, 48);
    if (source == ACRE_UM_USERFAULTFD) assert_int_equal(figures.write_fault_count, 8);
    assert_int_equal(acre_um_touch(s.um, ACRE_UM_HOME, s.at, 16 * MIB, false), ACRE_OK);
    for (uint64_t at = 0; at < 16 * MIB; at += PAGE) assert_int_equal(*(uint64_t *)acre_um_pointer(s.um, ACRE_UM_HOME, s.at + at), at + 2);
    close_scene(&s);
}

/* Pages go to and fro between a window and a device that the host has no addresses of. */
static void a_device_takes_pages_from_a_window(void **state)
{
    (void)state;
    scene s;
    fake_device device;
    unsigned far;
    uint64_t call_count = 0;
    acre_addr frame;
    open_scene(&s, "nvidia", 16 * MIB, 0);
    fill_home(&s, 16 * MIB);
    fake_device_open(&device, true, &call_count, 0);
    assert_int_equal(acre_um_add_place(s.um, &(acre_um_place){.name = "far", .capacity_bytes = 4 * MIB, .space = &device.space}, &far),
                     ACRE_OK);
    for (unsigned pass = 0; pass < 3; pass++) {
        for (uint64_t at = 0; at < 16 * MIB; at += 64 * PAGE) {
            set_word(&s, at, word_at(&s, at) * 3);
            assert_int_equal(acre_um_touch(s.um, far, s.at + at, 8, true), ACRE_OK);
            assert_int_equal(acre_um_frame(s.um, far, s.at + at, &frame), ACRE_OK);
            uint64_t *const word = (uint64_t *)(void *)fake_device_bytes(&device, frame);
            *word += 1;
        }
    }
    for (uint64_t at = 0; at < 16 * MIB; at += PAGE) {
        uint64_t expected = at + 1;
        for (unsigned pass = 0; pass < 3 && at % (64 * PAGE) == 0; pass++) expected = expected * 3 + 1;
        assert_int_equal(word_at(&s, at), expected);
    }
    close_scene(&s);
    fake_device_close(&device);
}

enum { RANDOM_PAGES = 16 * 512, RANDOM_STEPS = 1200 };

static uint64_t values[RANDOM_PAGES];

static void use_at_random(const char *rules, uint64_t seed)
{
    scene s;
    uint64_t random = seed;
    open_scene(&s, rules, (uint64_t)RANDOM_PAGES * PAGE, 4 * MIB);
    memset(values, 0, sizeof values);
    for (uint64_t i = 1; i <= RANDOM_STEPS; i++) {
        const uint64_t number = next_random(&random);
        const uint64_t page = i % 3 == 0 ? i * 7 % RANDOM_PAGES : (number >> 20) % RANDOM_PAGES, at = page * PAGE + 8 * (page % 500);
        switch (number % 8) {
        case 0: /* whoever works at home wants it, too */
            assert_int_equal(acre_um_touch(s.um, ACRE_UM_HOME, s.at + at, 8, true), ACRE_OK);
            *(uint64_t *)acre_um_pointer(s.um, ACRE_UM_HOME, s.at + at) = values[page] = i;
            break;
        case 1:
        case 2:
            set_word(&s, at, values[page] = i);
            break;
        case 3:
            assert_int_not_equal(acre_um_prefetch_to(s.um, s.near, s.at + page / 64 * 64 * PAGE, 64 * PAGE), ACRE_INVALID);
            break;
        default:
            assert_int_equal(word_at(&s, at), values[page]);
        }
    }
    for (uint64_t page = 0; page < RANDOM_PAGES; page++) assert_int_equal(word_at(&s, page * PAGE + 8 * (page % 500)), values[page]);
    assert_true(figures_of(&s).used_bytes_max <= 4 * MIB);
    close_scene(&s);
}

static void contents_are_right_at_eight_times_the_room(void **state)
{
    (void)state;
    for (unsigned i = 0; acre_um_rules_name(i) != NULL; i++) use_at_random(acre_um_rules_name(i), i + 1);
}

/* ---- threads ---- */

enum { THREADS = 8, THREAD_STEPS = 400 };

typedef struct worker {
    const scene *s;
    unsigned number;
    uint64_t wrong_count;
} worker;

/* Pages of all threads lie side by side; each thread knows what it wrote to its own. */
static void *work(void *argument)
{
    worker *const w = argument;
    uint64_t random = w->number + 1;
    uint64_t mine[RANDOM_PAGES / THREADS] = {0};
    for (uint64_t i = 1; i <= THREAD_STEPS; i++) {
        const uint64_t slot = next_random(&random) % (RANDOM_PAGES / THREADS), at = (slot * THREADS + w->number) * PAGE;
        if (i % 2 == 0) {
            set_word(w->s, at, mine[slot] = i);
        } else if (word_at(w->s, at) != mine[slot]) {
            w->wrong_count++;
        }
    }
    return NULL;
}

static void threads_fault_side_by_side(void **state)
{
    static const char *const rules[] = {"acre", "demand", "tree"};
    (void)state;
    for (unsigned r = 0; r < 3; r++) {
        scene s;
        pthread_t threads[THREADS];
        worker workers[THREADS];
        open_scene(&s, rules[r], (uint64_t)RANDOM_PAGES * PAGE, 8 * MIB);
        for (unsigned i = 0; i < THREADS; i++) {
            workers[i] = (worker){.s = &s, .number = i};
            assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
        }
        for (unsigned i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
            assert_int_equal(workers[i].wrong_count, 0);
        }
        close_scene(&s);
    }
}

/* The kernel's own accesses are served, too. */
static void files_are_read_into_it(void **state)
{
    (void)state;
    scene s;
    if (source != ACRE_UM_USERFAULTFD) return;
    open_scene(&s, "64k", 4 * MIB, 0);
    const int zero = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_WRONLY);
    set_word(&s, 3 * PAGE, 7);
    assert_int_equal(read(zero, s.bytes, MIB), (ssize_t)MIB);
    assert_int_equal(word_at(&s, 3 * PAGE), 0);
    assert_int_equal(write(null, s.bytes + MIB, MIB), (ssize_t)MIB);
    assert_int_equal(close(zero) | close(null), 0);
    close_scene(&s);
}

/* ---- accesses that end with a signal ---- */

static sigjmp_buf ending;
static volatile sig_atomic_t catches;

static void on_segv(int number)
{
    if (!catches) {
        (void)signal(number, SIG_DFL);
        return;
    }
    siglongjmp(ending, number);
}

/* True: the access ended with a signal. Messages are not to be seen in the test's output. */
static bool access_ends(const scene *s, uint64_t at)
{
    volatile bool has_ended = false;
    const int out = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
    (void)dup2(null, STDERR_FILENO);
    catches = 1;
    if (sigsetjmp(ending, 1) == 0) {
        (void)word_at(s, at);
    } else {
        has_ended = true;
    }
    catches = 0;
    (void)dup2(out, STDERR_FILENO);
    (void)close(out);
    (void)close(null);
    return has_ended;
}

static void what_is_not_allocated_ends_the_access(void **state)
{
    (void)state;
    scene s;
    uint64_t at;
    open_scene(&s, "demand", 8 * MIB, 0);
    set_word(&s, 0, 1);
    assert_int_equal(acre_um_free(s.um, s.at), ACRE_OK);
    assert_true(access_ends(&s, 0)); /* after the free */
    assert_true(access_ends(&s, 4 * MIB));
    assert_int_equal(acre_um_allocate(s.um, 3 * PAGE, &at), ACRE_OK);
    assert_int_equal(at, s.at);
    assert_int_equal(word_at(&s, 0), 0);
    set_word(&s, 2 * PAGE, 5);
    assert_int_equal(word_at(&s, 2 * PAGE), 5);
    assert_true(access_ends(&s, 3 * PAGE)); /* beyond its end */
    assert_int_equal(word_at(&s, 2 * PAGE), 5);
    close_scene(&s);
}

/* Home that takes nothing while it is told to. */
static volatile int is_failing;
static acre_space below;

static acre_status query_below(acre_space *space, acre_space_info *info) { return acre_space_query(space->implementation, info); }
static acre_status reserve_below(acre_space *space, uint64_t size, uint64_t alignment, const acre_hints *hints, acre_addr *address)
{
    return acre_space_reserve(space->implementation, size, alignment, hints, address);
}
static acre_status release_below(acre_space *space, acre_addr address, uint64_t size)
{
    return acre_space_release(space->implementation, address, size);
}
static acre_status commit_below(acre_space *space, acre_addr address, uint64_t size)
{
    if (is_failing) return acre_fail(ACRE_NO_MEMORY, "the test refuses this commit");
    return acre_space_commit(space->implementation, address, size);
}
static const acre_space_ops failing_ops = {
    .size_bytes = sizeof failing_ops, .query = query_below, .reserve = reserve_below, .release = release_below, .commit = commit_below};

static void open_failing_scene(scene *s)
{
    open_scene(s, "demand", 16 * MIB, 4 * MIB);
    acre_um_close(s->um);
    below = s->home;
    s->home.ops = &failing_ops;
    s->home.implementation = &below;
    acre_um_options options = {
        .bytes_max = 16 * MIB, .home = &s->home, .on_failure = failure, .failure_context = failure_context, .rules = {.unit_pages = 1}};
    assert_int_equal(acre_um_open(&options, &s->um), ACRE_OK);
    const acre_um_place place = {.name = "near", .capacity_bytes = 4 * MIB, .faults = source};
    assert_int_equal(acre_um_add_place(s->um, &place, &s->near), ACRE_OK);
    assert_int_equal(acre_um_allocate(s->um, 16 * MIB, &s->at), ACRE_OK);
    s->bytes = acre_um_pointer(s->um, s->near, s->at);
}

static void close_failing_scene(scene *s)
{
    assert_true(acre_um_is_valid(s->um));
    acre_um_close(s->um);
    acre_space_close(&below);
}

static unsigned told_count;

static bool mend(void *context, unsigned place, uint64_t at, acre_status status, const char *why)
{
    (void)context;
    (void)at;
    told_count++;
    if (place != 1 || status != ACRE_NO_MEMORY || strstr(why, "the test refuses") == NULL) return false;
    is_failing = told_count < 3;
    return true;
}

static bool give_up(void *context, unsigned place, uint64_t at, acre_status status, const char *why)
{
    (void)context;
    (void)place;
    (void)at;
    (void)status;
    (void)why;
    told_count++;
    return false;
}

static void fill_near(const scene *s)
{
    for (uint64_t at = 0; at < 4 * MIB; at += PAGE) set_word(s, at, at + 3);
}

static void copies_that_fail_lose_nothing(void **state)
{
    (void)state;
    scene s;
    failure = mend;
    told_count = 0;
    open_failing_scene(&s);
    fill_near(&s);
    is_failing = 1;
    assert_int_equal(word_at(&s, 4 * MIB), 0); /* somebody has to go for it */
    assert_int_equal(told_count, 3);
    for (uint64_t at = 0; at < 4 * MIB; at += PAGE) assert_int_equal(word_at(&s, at), at + 3);
    close_failing_scene(&s);

    failure = give_up;
    told_count = 0;
    open_failing_scene(&s);
    fill_near(&s);
    is_failing = 1;
    assert_true(access_ends(&s, 4 * MIB));
    assert_int_equal(told_count, 1);
    assert_int_equal(figures_of(&s).failure_count, 1);
    is_failing = 0;
    assert_int_equal(acre_um_touch(s.um, s.near, s.at + 4 * MIB, 1, false), ACRE_OK); /* which mends it */
    for (uint64_t at = 0; at < 4 * MIB; at += PAGE) assert_int_equal(word_at(&s, at), at + 3);
    assert_int_equal(word_at(&s, 4 * MIB), 0);
    close_failing_scene(&s);
    failure = NULL;
}

/* ---- the thread ends ---- */

static bool end_thread(void *context, unsigned place, uint64_t at, acre_status status, const char *why)
{
    (void)give_up(context, place, at, status, why);
    is_failing = 0;
    pthread_exit(NULL);
}

static void another_thread_goes_on(void **state)
{
    (void)state;
    scene s;
    if (source != ACRE_UM_USERFAULTFD) return;
    failure = end_thread;
    told_count = 0;
    open_failing_scene(&s);
    fill_near(&s);
    is_failing = 1;
    assert_int_equal(word_at(&s, 4 * MIB), 0);
    assert_int_equal(told_count, 1);
    for (uint64_t at = 0; at < 4 * MIB; at += PAGE) assert_int_equal(word_at(&s, at), at + 3);
    close_failing_scene(&s);
    failure = NULL;
}

/* Instead of pthread_create (meson.build). */
static volatile int lacks_threads;
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*begin)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*begin)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*begin)(void *), void *argument)
{
    return lacks_threads ? EAGAIN : __real_pthread_create(thread, attributes, begin, argument);
}

static bool end_all_threads(void *context, unsigned place, uint64_t at, acre_status status, const char *why)
{
    (void)give_up(context, place, at, status, why);
    is_failing = 0;
    lacks_threads = 1;
    pthread_exit(NULL);
}

static void without_any_thread_nobody_hangs(void **state)
{
    (void)state;
    scene s;
    if (source != ACRE_UM_USERFAULTFD) return;
    failure = end_all_threads;
    open_failing_scene(&s);
    fill_near(&s);
    is_failing = 1;
    assert_true(access_ends(&s, 4 * MIB));
    lacks_threads = 0;
    assert_true(access_ends(&s, 0));
    assert_int_equal(acre_um_touch(s.um, ACRE_UM_HOME, s.at, 4 * MIB, false), ACRE_OK);
    for (uint64_t at = 0; at < 4 * MIB; at += PAGE) assert_int_equal(*(uint64_t *)acre_um_pointer(s.um, ACRE_UM_HOME, s.at + at), at + 3);
    close_failing_scene(&s);
    failure = NULL;
}

/* ---- what the program does with its addresses ---- */

static void children_have_their_own(void **state)
{
    (void)state;
    scene s;
    int status;
    open_scene(&s, "64k", 16 * MIB, 4 * MIB);
    fill_home(&s, 16 * MIB);
    for (uint64_t at = 0; at < 8 * MIB; at += PAGE) set_word(&s, at, at + 9);
    const pid_t child = fork();
    if (child == 0) {
        for (uint64_t at = 0; at < 16 * MIB; at += PAGE)
            if (word_at(&s, at) != (at < 8 * MIB ? at + 9 : at + 1)) _exit(1);
        for (uint64_t at = 0; at < 16 * MIB; at += PAGE) set_word(&s, at, at + 20);
        for (uint64_t at = 0; at < 16 * MIB; at += PAGE)
            if (word_at(&s, at) != at + 20) _exit(2);
        const bool is_valid = acre_um_is_valid(s.um);
        acre_um_close(s.um);
        _exit(is_valid ? 0 : 3);
    }
    for (uint64_t at = 0; at < 16 * MIB; at += PAGE) set_word(&s, at, at + 30);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    for (uint64_t at = 0; at < 16 * MIB; at += PAGE) assert_int_equal(word_at(&s, at), at + 30);
    close_scene(&s);
}

/* No descriptor is left to wait for the child with: it does without rather than to copy what the parent writes meanwhile. */
static void children_for_whom_nobody_waits_have_none(void **state)
{
    (void)state;
    scene s;
    int status;
    struct rlimit before;
    open_scene(&s, "64k", 8 * MIB, 4 * MIB);
    for (uint64_t at = 0; at < 8 * MIB; at += PAGE) set_word(&s, at, at + 2);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    const pid_t child = fork();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    if (child == 0) {
        const bool is_refused = acre_um_touch(s.um, s.near, s.at, 1, true) == ACRE_UNSUPPORTED;
        _exit(!is_refused ? 1 : access_ends(&s, 0) ? 0 : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    for (uint64_t at = 0; at < 8 * MIB; at += PAGE) assert_int_equal(word_at(&s, at), at + 2);
    close_scene(&s);
}

/* Its home is a file, which the parent goes on to use: what the child does is without effect. */
static void children_leave_a_file_alone(void **state)
{
    (void)state;
    scene s = {0};
    int status;
    char path[] = "/tmp/acre-um-XXXXXX";
    const int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(close(file), 0);
    acre_um_options options = {.bytes_max = 8 * MIB, .home = &s.home};
    assert_int_equal(acre_space_open_file(&s.home, path, 12 * MIB), ACRE_OK);
    assert_int_equal(acre_um_open(&options, &s.um), ACRE_OK);
    const acre_um_place place = {.name = "near", .capacity_bytes = 4 * MIB, .faults = source};
    catch_signals(false);
    assert_int_equal(acre_um_add_place(s.um, &place, &s.near), ACRE_OK);
    catch_signals(true);
    assert_int_equal(acre_um_allocate(s.um, 8 * MIB, &s.at), ACRE_OK);
    s.bytes = acre_um_pointer(s.um, s.near, s.at);
    for (uint64_t at = 0; at < 8 * MIB; at += PAGE) set_word(&s, at, at + 4);
    const pid_t child = fork();
    if (child == 0) {
        uint64_t other;
        const bool is_refused = acre_um_touch(s.um, s.near, s.at, 1, true) == ACRE_UNSUPPORTED &&
                                acre_um_allocate(s.um, PAGE, &other) == ACRE_UNSUPPORTED && access_ends(&s, 0);
        const bool is_freed = acre_um_free(s.um, s.at) == ACRE_OK;
        acre_um_close(s.um);
        _exit(is_refused && is_freed ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    for (uint64_t at = 0; at < 8 * MIB; at += PAGE) assert_int_equal(word_at(&s, at), at + 4);
    assert_true(acre_um_is_valid(s.um));
    acre_um_close(s.um);
    acre_space_close(&s.home);
    assert_int_equal(unlink(path), 0);
}

static void addresses_may_be_unmapped_moved_and_advised(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, "demand", 16 * MIB, 4 * MIB);
    fill_home(&s, 16 * MIB);
    /* What is dropped from the page table is still there. */
    for (uint64_t at = 0; at < 2 * MIB; at += PAGE) set_word(&s, at, at + 5);
    assert_int_equal(madvise(s.bytes, 2 * MIB, MADV_DONTNEED), 0);
    for (uint64_t at = 0; at < 2 * MIB; at += PAGE) assert_int_equal(word_at(&s, at), at + 5);
    if (source == ACRE_UM_USERFAULTFD) {
        /* What is removed is zeros while it is here. */
        assert_int_equal(madvise(s.bytes, 16 * PAGE, MADV_REMOVE), 0);
        assert_int_equal(word_at(&s, 0), 0);
        set_word(&s, 0, 5);
        /* What is moved goes on elsewhere. */
        unsigned char *const to = mmap(NULL, 4 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(to, MAP_FAILED);
        assert_ptr_equal(mremap(s.bytes + 8 * MIB, 4 * MIB, 4 * MIB, MREMAP_MAYMOVE | MREMAP_FIXED, to), to);
        for (uint64_t at = 0; at < 4 * MIB; at += PAGE) assert_int_equal(*(volatile uint64_t *)(void *)(to + at), 8 * MIB + at + 1);
        for (uint64_t at = 0; at < 4 * MIB; at += PAGE) *(volatile uint64_t *)(void *)(to + at) = at + 6;
        for (uint64_t at = 0; at < 8 * MIB; at += PAGE) (void)word_at(&s, at); /* they have to go */
        for (uint64_t at = 0; at < 4 * MIB; at += PAGE) assert_int_equal(*(volatile uint64_t *)(void *)(to + at), at + 6);
        assert_int_equal(acre_um_touch(s.um, ACRE_UM_HOME, s.at + 8 * MIB, 4 * MIB, false), ACRE_OK);
        assert_int_equal(*(uint64_t *)acre_um_pointer(s.um, ACRE_UM_HOME, s.at + 10 * MIB), 2 * MIB + 6);
    }
    /* What is unmapped is gone for the program, and for nobody else; free and allocate mend it. */
    set_word(&s, 12 * MIB, 77);
    assert_int_equal(munmap(s.bytes + 12 * MIB, 2 * MIB), 0);
    for (uint64_t at = 0; at < 8 * MIB; at += PAGE) (void)word_at(&s, at);
    assert_true(access_ends(&s, 12 * MIB));
    assert_int_equal(acre_um_touch(s.um, ACRE_UM_HOME, s.at + 12 * MIB, 1, false), ACRE_OK);
    assert_int_equal(*(uint64_t *)acre_um_pointer(s.um, ACRE_UM_HOME, s.at + 12 * MIB), 77);
    assert_int_equal(acre_um_free(s.um, s.at), ACRE_OK);
    assert_int_equal(acre_um_allocate(s.um, 16 * MIB, &s.at), ACRE_OK);
    for (uint64_t at = 0; at < 16 * MIB; at += PAGE) assert_int_equal(word_at(&s, at), 0);
    close_scene(&s);
}

/* ---- two windows ---- */

static void pages_go_between_two_windows(void **state)
{
    (void)state;
    scene s;
    unsigned far;
    open_scene(&s, "64k", 8 * MIB, 0);
    const acre_um_place place = {.name = "far", .faults = source};
    assert_int_equal(acre_um_add_place(s.um, &place, &far), ACRE_OK);
    volatile uint64_t *const there = acre_um_pointer(s.um, far, s.at);
    volatile uint64_t *const here = (volatile uint64_t *)(void *)s.bytes;
    for (uint64_t i = 1; i < 40; i++) {
        const uint64_t at = (i < 20 ? i % 10 : 0) * PAGE / 8;
        here[at] = i;
        assert_int_equal(there[at], i);
        there[at] = i + 100;
        assert_int_equal(here[at], i + 100);
    }
    assert_true(figures_of(&s).throttle_count > 0);
    close_scene(&s);
}

/* Of a page that is read mostly both windows have a copy, also of one that is newer than home's; who writes it takes the other away. */
static void copies_go_when_one_is_written(void **state)
{
    (void)state;
    scene s;
    unsigned far;
    open_scene(&s, "demand", 8 * MIB, 0);
    const acre_um_place place = {.name = "far", .faults = source};
    assert_int_equal(acre_um_add_place(s.um, &place, &far), ACRE_OK);
    volatile uint64_t *const there = acre_um_pointer(s.um, far, s.at);
    set_word(&s, 0, 1);
    assert_int_equal(acre_um_advise(s.um, s.at, 8 * MIB, ACRE_UM_READ_MOSTLY, ACRE_UM_HOME), ACRE_OK);
    for (uint64_t i = 1; i < 6; i++) {
        assert_int_equal(*there, i * 2 - 1);
        assert_int_equal(word_at(&s, 0), i * 2 - 1);
        set_word(&s, 0, i * 2);
        assert_int_equal(*there, i * 2);
        *there = i * 2 + 1;
        assert_int_equal(word_at(&s, 0), i * 2 + 1);
    }
    close_scene(&s);
}

typedef struct taker {
    volatile uint64_t *word;
    bool is_odd;
} taker;

enum { TURNS = 3000 };

static void *take_turns(void *argument)
{
    const taker *const t = argument;
    for (uint64_t i = 0; i < TURNS; i++) {
        while (__atomic_load_n(t->word, __ATOMIC_ACQUIRE) % 2 != t->is_odd) sched_yield();
        __atomic_fetch_add(t->word, 1, __ATOMIC_ACQ_REL);
    }
    return NULL;
}

/* Two threads take turns at a word, each through its own window. Left to itself the page goes to and fro with every turn. */
static void a_page_that_goes_to_and_fro_is_pinned(void **state)
{
    (void)state;
    uint64_t bytes[2];
    lapse_ns = 20000000; /* also on a machine that has other work */
    for (unsigned ignores = 0; ignores < 2; ignores++) {
        scene s;
        unsigned far;
        pthread_t thread;
        ignores_thrashing = ignores;
        open_scene(&s, "demand", 8 * MIB, 0);
        const acre_um_place place = {.name = "far", .faults = source};
        assert_int_equal(acre_um_add_place(s.um, &place, &far), ACRE_OK);
        taker even = {.word = (volatile uint64_t *)(void *)s.bytes}, odd = {.word = acre_um_pointer(s.um, far, s.at), .is_odd = true};
        assert_int_equal(pthread_create(&thread, NULL, take_turns, &odd), 0);
        (void)take_turns(&even);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(*even.word, 2 * TURNS);
        assert_int_equal(*odd.word, 2 * TURNS);
        acre_um_figures there;
        assert_int_equal(acre_um_read_figures(s.um, far, &there), ACRE_OK);
        bytes[ignores] = there.in_bytes + figures_of(&s).in_bytes;
        if (!ignores) assert_true(there.pin_count + figures_of(&s).pin_count > 0);
        close_scene(&s);
    }
    assert_true(bytes[0] * 10 < bytes[1]);
    ignores_thrashing = false;
    lapse_ns = 0;
}

/* ---- arguments ---- */

static void arguments_are_looked_at(void **state)
{
    (void)state;
    scene s;
    unsigned number;
    open_scene(&s, "acre", 4 * MIB, 0);
    acre_um_place place = {.name = "odd", .faults = (acre_um_fault_source)9};
    assert_int_equal(acre_um_add_place(s.um, &place, &number), ACRE_INVALID);
    place.faults = ACRE_UM_PAGE_FAULTS;
    place.space = &s.home;
    assert_int_equal(acre_um_add_place(s.um, &place, &number), ACRE_INVALID);
    close_scene(&s);

    acre_um *um;
    const acre_um_options modelled = {.bytes_max = 4 * MIB, .is_modelled = true};
    assert_int_equal(acre_um_open(&modelled, &um), ACRE_OK);
    place.space = NULL;
    assert_int_equal(acre_um_add_place(um, &place, &number), ACRE_INVALID);
    acre_um_close(um);
}

static int choose_signals(void **state)
{
    (void)state;
    source = ACRE_UM_SIGNALS;
    return 0;
}

#define ALL_TESTS                                                                                                                          \
    cmocka_unit_test(pages_come_in_order), cmocka_unit_test(only_what_is_written_comes_home), cmocka_unit_test(who_reads_will_write),      \
        cmocka_unit_test(a_device_takes_pages_from_a_window), cmocka_unit_test(contents_are_right_at_eight_times_the_room),                \
        cmocka_unit_test(threads_fault_side_by_side), cmocka_unit_test(files_are_read_into_it),                                            \
        cmocka_unit_test(what_is_not_allocated_ends_the_access), cmocka_unit_test(copies_that_fail_lose_nothing),                          \
        cmocka_unit_test(another_thread_goes_on), cmocka_unit_test(without_any_thread_nobody_hangs),                                       \
        cmocka_unit_test(addresses_may_be_unmapped_moved_and_advised), cmocka_unit_test(pages_go_between_two_windows),                     \
        cmocka_unit_test(copies_go_when_one_is_written), cmocka_unit_test(a_page_that_goes_to_and_fro_is_pinned),                          \
        cmocka_unit_test(arguments_are_looked_at)

/* `fork`: the test of a child alone. */
int main(int count, char **arguments)
{
    const struct CMUnitTest by_userfaultfd[] = {ALL_TESTS}, by_signal[] = {ALL_TESTS},
                            of_fork[] = {cmocka_unit_test(children_have_their_own), cmocka_unit_test(children_leave_a_file_alone),
                                         cmocka_unit_test(children_for_whom_nobody_waits_have_none)};
    const bool is_fork = count > 1 && strcmp(arguments[1], "fork") == 0;
    int failed = 0;
    acre_page_faults probe;
#if defined(__SANITIZE_THREAD__) /* to it, who waits for a page is not ordered behind who brings it */
    cmocka_set_test_filter("threads_*");
#endif
    if (acre_page_faults_open(&probe) == ACRE_OK && probe.serves_kernel) {
        acre_page_faults_close(&probe);
        failed = is_fork ? cmocka_run_group_tests_name("userfaultfd", of_fork, NULL, NULL)
                         : cmocka_run_group_tests_name("userfaultfd", by_userfaultfd, NULL, NULL);
    } else {
        printf("skip userfaultfd - %s\n", acre_last_error());
    }
    return failed + (is_fork ? cmocka_run_group_tests_name("signals", of_fork, choose_signals, NULL)
                             : cmocka_run_group_tests_name("signals", by_signal, choose_signals, NULL));
}
