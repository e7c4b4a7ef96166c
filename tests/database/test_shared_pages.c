/* test_shared_pages.c - pages that processes share: a model, threads, processes that are killed anywhere, the lock's death and its being
 * held, marks, and bad input. */
#include "os/segment.h"
#include "support/segments.h"
#include "support/test.h"

#include <acre/shared_pages.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE_BYTES = 512, PAGE_COUNT = 64, KEY_COUNT = 200 };
#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define HAS_THREAD_SANITIZER
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define HAS_THREAD_SANITIZER
#endif
#if defined(HAS_THREAD_SANITIZER) || defined(__SANITIZE_ADDRESS__)
enum { STEP_COUNT = 30000, KILL_COUNT = 60 };
#else
enum { STEP_COUNT = 200000, KILL_COUNT = 300 };
#endif

static char name[40];
static const uint64_t one[2] = {1, 10}, two[2] = {2, 20};

static acre_shared_pages *open_pages(acre_policy_kind policy)
{
    acre_shared_pages *pages;
    const acre_shared_pages_options options = {.name = name, .bytes = PAGE_COUNT * PAGE_BYTES, .page_bytes = PAGE_BYTES, .policy = policy};
    if (acre_shared_pages_open(&options, &pages) != ACRE_OK) fail_msg("%s", acre_last_error());
    return pages;
}

static uint32_t join(acre_shared_pages *pages, const uint64_t *identity)
{
    uint32_t set;
    assert_int_equal(acre_shared_pages_join(pages, identity, &set), ACRE_OK);
    return set;
}

static void close_pages(acre_shared_pages *pages) { assert_int_equal(acre_shared_pages_close(pages), ACRE_OK); }

static acre_shared_pages_figures figures_of(acre_shared_pages *pages)
{
    acre_shared_pages_figures figures;
    assert_int_equal(acre_shared_pages_read_figures(pages, &figures), ACRE_OK);
    return figures;
}

/* A page says in each word which version of which page it is. */
static void fill(uint64_t *page, uint32_t number, uint64_t version)
{
    for (size_t i = 0; i < PAGE_BYTES / sizeof *page; i++) page[i] = (uint64_t)number << 40 | version;
}

static bool put(acre_shared_pages *pages, uint32_t set, uint32_t number, uint64_t version)
{
    uint64_t page[PAGE_BYTES / sizeof(uint64_t)];
    const acre_shared_ticket ticket = acre_shared_pages_begin(pages, set);
    fill(page, number, version);
    return acre_shared_pages_put(pages, set, number, page, &ticket, false);
}

/* The version of a page that is there, all of it the same; 0: it is not. */
static uint64_t version_of(acre_shared_pages *pages, uint32_t set, uint32_t number)
{
    uint64_t page[PAGE_BYTES / sizeof(uint64_t)];
    if (!acre_shared_pages_read(pages, set, number, 0, page, sizeof page, NULL)) return 0;
    for (size_t i = 0; i < PAGE_BYTES / sizeof *page; i++) {
        if (page[i] != page[0] || page[i] >> 40 != number) fail_msg("page %u has %llx at %zu", number, (unsigned long long)page[i], i);
    }
    return page[0] & (((uint64_t)1 << 40) - 1);
}

/* ---- one process ---- */

/* Two of one process are as good as two processes, but for what is known of their lives. */
static void what_is_there_is_what_was_put_last(void **state)
{
    static const acre_policy_kind policies[] = {ACRE_POLICY_ADAPTIVE, ACRE_POLICY_FIFO, ACRE_POLICY_CLOCK, ACRE_POLICY_SIEVE};
    (void)state;
    for (unsigned k = 0; k < 4; k++) {
        acre_shared_pages *const pages[2] = {open_pages(policies[k]), open_pages(policies[k])};
        const uint32_t sets[2] = {join(pages[0], one), join(pages[0], two)};
        assert_int_equal(join(pages[1], two), sets[1]);
        assert_int_equal(join(pages[1], one), sets[0]);
        uint64_t versions[2][KEY_COUNT] = {{0}}, random = 5 + k, last = 0, hits = 0;
        for (unsigned step = 0; step < STEP_COUNT; step++) {
            acre_shared_pages *const by = pages[next_random(&random) % 2];
            const unsigned i = (unsigned)(next_random(&random) % 2);
            const uint32_t number = (uint32_t)(next_random(&random) % KEY_COUNT * (next_random(&random) % 4 != 0));
            uint64_t page[PAGE_BYTES / sizeof(uint64_t)];
            switch (next_random(&random) % 8) {
            case 0: /* a change where it is kept, told with its bytes or without */
                versions[i][number] = ++last;
                fill(page, number, last);
                acre_shared_pages_change(by, sets[i], number, 0, next_random(&random) % 2 == 0 ? page : NULL, sizeof page);
                break;
            case 1:
                if (step % 97 == 0) {
                    acre_shared_pages_drop(by, sets[i]);
                    for (uint32_t n = 0; n < KEY_COUNT; n++) versions[i][n] = ++last;
                }
                break;
            default: {
                const uint64_t version = version_of(by, sets[i], number);
                assert_int_equal(version != 0, acre_shared_pages_has(by, sets[i], number));
                if (version != 0 && version != versions[i][number])
                    fail_msg("page %u of %u: version %llu, not %llu", number, i, (unsigned long long)version,
                             (unsigned long long)versions[i][number]);
                hits += version != 0;
                if (versions[i][number] == 0) versions[i][number] = ++last;
                if (version == 0) assert_true(put(by, sets[i], number, versions[i][number]));
            }
            }
            if (step % 5000 == 0) assert_true(acre_shared_pages_is_valid(by));
        }
        assert_true(hits > STEP_COUNT / 8);
        const acre_shared_pages_figures figures = figures_of(pages[0]);
        assert_int_equal(figures.page_count, PAGE_COUNT);
        assert_int_equal(figures.process_count, 2);
        assert_int_equal(figures.set_count, 2);
        assert_true(figures.evict_count > 0);
        assert_int_equal(figures.hit_count + figures_of(pages[1]).hit_count, hits);
        assert_true(acre_shared_pages_is_valid(pages[1]));
        close_pages(pages[0]);
        close_pages(pages[1]);
    }
}

static void what_was_read_before_a_change_does_not_count(void **state)
{
    uint64_t page[PAGE_BYTES / sizeof(uint64_t)];
    (void)state;
    acre_shared_pages *const pages = open_pages(ACRE_POLICY_S3_FIFO);
    const uint32_t set = join(pages, one), other = join(pages, two);
    fill(page, 3, 1);
    acre_shared_ticket ticket = acre_shared_pages_begin(pages, set);
    acre_shared_pages_change(pages, set, 9, 0, page, 8); /* any page of the set */
    assert_false(acre_shared_pages_put(pages, set, 3, page, &ticket, false));
    ticket = acre_shared_pages_begin(pages, set);
    acre_shared_pages_drop(pages, set);
    assert_false(acre_shared_pages_put(pages, set, 3, page, &ticket, false));
    ticket = acre_shared_pages_begin(pages, set);
    acre_shared_pages_change(pages, other, 3, 0, page, 8);
    assert_true(acre_shared_pages_put(pages, set, 3, page, &ticket, true));
    assert_int_equal(figures_of(pages).refuse_count, 2);
    bool was_ahead = false;
    assert_true(acre_shared_pages_read(pages, set, 3, 8, page, 16, &was_ahead));
    assert_true(was_ahead);
    assert_true(acre_shared_pages_read(pages, set, 3, 8, page, 16, &was_ahead));
    assert_false(was_ahead);
    assert_false(acre_shared_pages_read(pages, other, 3, 8, page, 16, &was_ahead));
    const uint64_t changed = 77;
    acre_shared_pages_change(pages, set, 3, 504, &changed, sizeof changed);
    assert_true(acre_shared_pages_read(pages, set, 3, 496, page, 16, NULL));
    assert_int_equal(page[0], (uint64_t)3 << 40 | 1);
    assert_int_equal(page[1], 77);
    close_pages(pages);
}

static void facts_and_marks_are_of_those_who_have_joined(void **state)
{
    (void)state;
    acre_shared_pages *const a = open_pages(ACRE_POLICY_S3_FIFO), *const b = open_pages(ACRE_POLICY_S3_FIFO);
    const uint32_t set = join(a, one);
    unsigned char *facts = acre_shared_pages_lock(a, set);
    for (unsigned i = 0; i < ACRE_SHARED_FACTS_BYTES; i++) assert_int_equal(facts[i], 0);
    memset(facts, 7, ACRE_SHARED_FACTS_BYTES);
    acre_shared_pages_mark(a, set, 2, true);
    assert_true(acre_shared_pages_is_marked(a, set, 2));
    assert_false(acre_shared_pages_others(a, set, 2));
    acre_shared_pages_unlock(a);
    assert_int_equal(join(b, one), set);
    facts = acre_shared_pages_lock(b, set);
    assert_int_equal(facts[ACRE_SHARED_FACTS_BYTES - 1], 7);
    assert_true(acre_shared_pages_others(b, set, 2));
    assert_false(acre_shared_pages_others(b, set, 1));
    assert_false(acre_shared_pages_is_marked(b, set, 2));
    acre_shared_pages_unlock(b);
    assert_true(put(a, set, 1, 5));
    acre_shared_pages_leave(a, set);
    assert_non_null(acre_shared_pages_lock(b, set));
    assert_false(acre_shared_pages_others(b, set, 2));
    acre_shared_pages_unlock(b);
    assert_int_equal(version_of(b, set, 1), 5);
    acre_shared_pages_leave(b, set);
    /* Nobody had it: it begins anew. */
    assert_int_equal(join(b, one), set);
    assert_int_equal(version_of(b, set, 1), 0);
    facts = acre_shared_pages_lock(b, set);
    assert_int_equal(facts[0], 0);
    acre_shared_pages_unlock(b);
    /* No more sets than there are. */
    uint32_t sets[ACRE_SHARED_SETS_MAX + 1];
    acre_status status = ACRE_OK;
    for (uint64_t i = 0; i < ACRE_SHARED_SETS_MAX; i++) status = acre_shared_pages_join(a, (uint64_t[]){100, i}, &sets[i]);
    assert_int_equal(status, ACRE_NO_MEMORY);
    for (uint32_t i = 0; i + 1 < ACRE_SHARED_SETS_MAX; i++) acre_shared_pages_leave(a, sets[i]);
    assert_int_equal(figures_of(a).set_count, 1);
    close_pages(a);
    close_pages(b);
}

static void bad_input_is_refused(void **state)
{
    acre_shared_pages *pages = NULL, *again;
    uint32_t set;
    char path[sizeof(((acre_segment *)0)->path)];
    (void)state;
    acre_shared_pages_options options = {.name = name};
    assert_int_equal(acre_shared_pages_open(NULL, &pages), ACRE_INVALID);
    assert_int_equal(acre_shared_pages_open(&options, NULL), ACRE_INVALID);
    static const char *const names[] = {NULL, "", "a/b", "with blank",
                                        "0123456789012345678901234567890123456789012345678901234567890123456789"};
    for (unsigned i = 0; i < 5; i++) {
        options.name = names[i];
        assert_int_equal(acre_shared_pages_open(&options, &pages), ACRE_INVALID);
    }
    options = (acre_shared_pages_options){.name = name, .page_bytes = 600};
    assert_int_equal(acre_shared_pages_open(&options, &pages), ACRE_INVALID);
    options = (acre_shared_pages_options){.name = name, .page_bytes = 4096, .bytes = 15 * 4096};
    assert_int_equal(acre_shared_pages_open(&options, &pages), ACRE_INVALID);
    options = (acre_shared_pages_options){.name = name, .page_bytes = 512, .bytes = UINT64_MAX};
    assert_int_equal(acre_shared_pages_open(&options, &pages), ACRE_INVALID);
    options = (acre_shared_pages_options){.name = name, .policy = ACRE_POLICY_ARC};
    assert_int_equal(acre_shared_pages_open(&options, &pages), ACRE_INVALID);
    options = (acre_shared_pages_options){.name = name, .page_bytes = 65536, .bytes = (uint64_t)1 << 40};
    assert_int_equal(acre_shared_pages_open(&options, &pages), ACRE_NO_MEMORY);
    assert_non_null(strstr(acre_last_error(), name));
    options = (acre_shared_pages_options){.name = name};
    assert_int_equal(acre_shared_pages_open(&options, &pages), ACRE_OK);
    options.page_bytes = 8192;
    assert_int_equal(acre_shared_pages_open(&options, &again), ACRE_INVALID);
    assert_non_null(strstr(acre_last_error(), "4096"));
    assert_int_equal(acre_shared_pages_join(NULL, one, &set), ACRE_INVALID);
    assert_int_equal(acre_shared_pages_join(pages, NULL, &set), ACRE_INVALID);
    assert_int_equal(acre_shared_pages_join(pages, one, NULL), ACRE_INVALID);
    assert_int_equal(acre_shared_pages_read_figures(pages, NULL), ACRE_INVALID);
    assert_int_equal(acre_shared_pages_read_figures(NULL, NULL), ACRE_INVALID);
    assert_int_equal(acre_shared_pages_close(NULL), ACRE_INVALID);
    const pid_t child = fork();
    if (child == 0) _exit(acre_shared_pages_close(pages) == ACRE_INVALID ? 0 : 1);
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close_pages(pages);
    /* What others may write to is not taken. */
    acre_segment segment;
    assert_int_equal(acre_segment_open(&segment, name), ACRE_OK);
    (void)snprintf(path, sizeof path, "%s", segment.path);
    assert_int_equal(chmod(path, 0666), 0);
    acre_segment_unlock(&segment);
    acre_segment second;
    assert_int_equal(acre_segment_open(&second, name), ACRE_INVALID);
    acre_segment_lock(&segment);
    acre_segment_close(&segment, true);
    assert_int_not_equal(access(path, F_OK), 0);
}

/* ---- threads ---- */

typedef struct worker {
    acre_shared_pages *pages;
    uint32_t set;
    uint64_t seed;
} worker;

static void *work(void *context)
{
    const worker *const self = context;
    uint64_t random = self->seed;
    for (unsigned step = 0; step < STEP_COUNT / 4; step++) {
        const uint32_t number = (uint32_t)(next_random(&random) % KEY_COUNT);
        uint64_t page[PAGE_BYTES / sizeof(uint64_t)];
        if (version_of(self->pages, self->set, number) == 0) (void)put(self->pages, self->set, number, 1 + next_random(&random) % 1000);
        if (step % 16 == 0) {
            fill(page, number, 1 + next_random(&random) % 1000);
            acre_shared_pages_change(self->pages, self->set, number, 0, page, sizeof page);
        }
        if (step % 1024 == 0) acre_shared_pages_drop(self->pages, self->set);
    }
    return NULL;
}

static void threads_see_whole_pages(void **state)
{
    worker workers[4];
    pthread_t threads[4];
    (void)state;
    acre_shared_pages *const pages[2] = {open_pages(ACRE_POLICY_S3_FIFO), open_pages(ACRE_POLICY_S3_FIFO)};
    for (unsigned i = 0; i < 4; i++) {
        workers[i] = (worker){pages[i % 2], join(pages[i % 2], one), i + 1};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(acre_shared_pages_is_valid(pages[0]));
    assert_true(figures_of(pages[0]).hit_count > 0);
    close_pages(pages[0]);
    close_pages(pages[1]);
}

/* ---- processes ---- */

static pid_t begin_process(void)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    return child;
}

static void end_process(pid_t child)
{
    int status = 0;
    (void)kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status)) fail_msg("a process ended by itself: %d", WEXITSTATUS(status));
}

/* What a process says to another one by memory. */
typedef struct signs {
    uint32_t is_there;
} signs;

static signs *both;

static void wait_for(const uint32_t *sign)
{
    while (__atomic_load_n(sign, __ATOMIC_ACQUIRE) == 0) (void)usleep(200);
}

/* At random moments, most of them with the lock: what it does is done in a loop. */
static void killed_processes_leave_nothing_half_done(void **state)
{
    uint64_t random = 9;
    (void)state;
    acre_shared_pages *const pages = open_pages(ACRE_POLICY_S3_FIFO);
    const uint32_t set = join(pages, one);
    for (unsigned i = 0; i < KILL_COUNT; i++) {
        const uint64_t seed = next_random(&random) | 1;
        both->is_there = 0;
        const pid_t child = begin_process();
        if (child == 0) {
            acre_shared_pages *const own = open_pages(ACRE_POLICY_S3_FIFO);
            worker self = {own, join(own, one), seed};
            __atomic_store_n(&both->is_there, 1, __ATOMIC_RELEASE);
            for (;;) (void)work(&self);
        }
        wait_for(&both->is_there);
        /* With one processor for both the child is in the midst of something when this one has slept, not when it has worked. */
        const uint64_t end = next_random(&random) % 2 * (next_random(&random) % 2000);
        if (end == 0) (void)usleep((unsigned)(next_random(&random) % 500));
        for (uint64_t step = 0; step < end; step++) {
            const uint32_t number = (uint32_t)(next_random(&random) % KEY_COUNT);
            if (version_of(pages, set, number) == 0) (void)put(pages, set, number, 1);
        }
        end_process(child);
        if (!acre_shared_pages_is_valid(pages)) fail_msg("after %u processes something is half done", i);
    }
    const acre_shared_pages_figures figures = figures_of(pages);
    print_message("%llu times void in %d deaths, %llu late\n", (unsigned long long)figures.void_count, (int)KILL_COUNT,
                  (unsigned long long)figures.late_count);
    assert_int_equal(figures.process_count, 1);
    assert_true(figures.void_count > 0 && figures.void_count < KILL_COUNT);
    close_pages(pages);
}

/* A process that has the lock, has a mark, and goes no further. */
static pid_t hold(bool has_lock)
{
    both->is_there = 0;
    const pid_t child = begin_process();
    if (child != 0) {
        wait_for(&both->is_there);
        return child;
    }
    acre_shared_pages *const own = open_pages(ACRE_POLICY_S3_FIFO);
    const uint32_t set = join(own, one);
    unsigned char *const facts = acre_shared_pages_lock(own, set);
    memset(facts, 9, ACRE_SHARED_FACTS_BYTES);
    acre_shared_pages_mark(own, set, 1, true);
    if (!has_lock) acre_shared_pages_unlock(own);
    __atomic_store_n(&both->is_there, 1, __ATOMIC_RELEASE);
    for (;;) (void)pause();
}

static void a_lock_that_is_not_given_back_is_done_without(void **state)
{
    uint64_t page[PAGE_BYTES / sizeof(uint64_t)];
    (void)state;
    acre_shared_pages *const pages = open_pages(ACRE_POLICY_S3_FIFO);
    const uint32_t set = join(pages, one);
    assert_true(put(pages, set, 1, 5));
    assert_true(put(pages, set, 2, 6));
    const pid_t child = hold(true);
#ifndef HAS_THREAD_SANITIZER /* where readers take the lock */
    assert_int_equal(version_of(pages, set, 1), 5);
#endif
    assert_false(put(pages, set, 3, 7));
    assert_null(acre_shared_pages_lock(pages, set));
    acre_shared_pages_figures figures;
    assert_int_equal(acre_shared_pages_read_figures(pages, &figures), ACRE_BUSY);
    fill(page, 1, 8);
    acre_shared_pages_change(pages, set, 1, 0, page, sizeof page);
    assert_int_equal(version_of(pages, set, 1), 0); /* rather than what it was */
    assert_int_equal(version_of(pages, set, 2), 0);
    end_process(child);
    const unsigned char *const facts = acre_shared_pages_lock(pages, set);
    assert_non_null(facts);
    assert_int_equal(facts[0], 0);
    assert_false(acre_shared_pages_others(pages, set, 1));
    acre_shared_pages_unlock(pages);
    figures = figures_of(pages);
    assert_int_equal(figures.void_count, 1);
    assert_true(figures.late_count >= 4);
    assert_int_equal(figures.page_count, 0);
    assert_true(put(pages, set, 3, 7));
    assert_int_equal(version_of(pages, set, 3), 7);
    assert_true(acre_shared_pages_is_valid(pages));
    close_pages(pages);
}

static void marks_are_of_those_who_surely_run(void **state)
{
    (void)state;
    acre_shared_pages *const pages = open_pages(ACRE_POLICY_S3_FIFO);
    const uint32_t set = join(pages, one);
    const pid_t child = hold(false);
    unsigned char *facts = acre_shared_pages_lock(pages, set);
    assert_true(acre_shared_pages_others(pages, set, 1));
    assert_int_equal(facts[0], 9);
    acre_shared_pages_unlock(pages);
    assert_int_equal(figures_of(pages).process_count, 2);
    assert_int_equal(kill(child, SIGSTOP), 0);
    assert_non_null(acre_shared_pages_lock(pages, set));
    assert_true(acre_shared_pages_others(pages, set, 1));
    acre_shared_pages_unlock(pages);
    assert_int_equal(kill(child, SIGKILL), 0);
    siginfo_t information;
    assert_int_equal(waitid(P_PID, (id_t)child, &information, WEXITED | WNOWAIT), 0); /* dead, and nobody has asked how */
    facts = acre_shared_pages_lock(pages, set);
    assert_false(acre_shared_pages_others(pages, set, 1));
    assert_int_equal(facts[0], 9); /* nothing was half done */
    acre_shared_pages_unlock(pages);
    assert_int_equal(figures_of(pages).process_count, 1);
    assert_int_equal(waitpid(child, NULL, 0), child);
    close_pages(pages);
}

/* By exec a process is another program, which has nothing of all that, under the same number. */
static void another_program_in_the_same_process_does_not_run(void **state)
{
    acre_process process;
    (void)state;
    const pid_t child = begin_process();
    if (child == 0) {
        for (;;) (void)pause();
    }
    end_process(child);
    assert_true(acre_process_self(&process));
    assert_int_equal(acre_process_look(&process), ACRE_PROCESS_RUNNING);
    acre_process other = process;
    other.stack += 4096;
    assert_int_equal(acre_process_look(&other), ACRE_PROCESS_ENDED);
    other = process;
    other.start_time--;
    assert_int_equal(acre_process_look(&other), ACRE_PROCESS_ENDED);
    other = process;
    other.id = 0;
    assert_int_equal(acre_process_look(&other), ACRE_PROCESS_ENDED);
    other.id = (uint64_t)child;
    assert_int_equal(acre_process_look(&other), ACRE_PROCESS_ENDED);
}

/* With --must-fail, a build with a planted bug, the test is passed when something wrong was seen; with --must-fail-alone by one process. */
int main(int count, char **words)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_there_is_what_was_put_last),
                                       cmocka_unit_test(what_was_read_before_a_change_does_not_count),
                                       cmocka_unit_test(facts_and_marks_are_of_those_who_have_joined),
                                       cmocka_unit_test(bad_input_is_refused),
                                       cmocka_unit_test(threads_see_whole_pages),
                                       cmocka_unit_test(killed_processes_leave_nothing_half_done),
                                       cmocka_unit_test(a_lock_that_is_not_given_back_is_done_without),
                                       cmocka_unit_test(marks_are_of_those_who_surely_run),
                                       cmocka_unit_test(another_program_in_the_same_process_does_not_run)};
    (void)snprintf(name, sizeof name, "test-%d", (int)getpid());
    both = mmap(NULL, sizeof *both, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (both == MAP_FAILED) return 1;
    const struct CMUnitTest alone[] = {cmocka_unit_test(what_is_there_is_what_was_put_last)};
    const bool must_fail_alone = count > 1 && strcmp(words[1], "--must-fail-alone") == 0;
    const bool must_fail = must_fail_alone || (count > 1 && strcmp(words[1], "--must-fail") == 0);
    if (must_fail && (freopen("/dev/null", "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL))
        return 2; /* a failure is no news */
    const int failures = must_fail_alone ? cmocka_run_group_tests(alone, NULL, NULL) : cmocka_run_group_tests(tests, NULL, NULL);
    remove_segments(name);
    if (must_fail) _exit(failures == 0); /* a test that fails leaves memory, which is no news either */
    return failures;
}
