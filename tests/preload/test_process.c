/* test_process.c - what a process does around its heap: forks, threads that end, libraries that come and go, limits, and
 * pointers that are nobody's. In a program linked with acre. */
#include "support/test.h"

#include <acre/heap.h>
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void *(*volatile do_malloc)(size_t) = malloc;
static void (*volatile do_free)(void *) = free;

/* Runs `work` in a child; returns its wait status, and what it wrote to standard error in `text`. */
static int in_child(void (*work)(void), char *text, size_t size)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        const struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        work();
        _exit(0);
    }
    close(ends[1]);
    size_t length = 0;
    ssize_t got;
    while (length + 1 < size && (got = read(ends[0], text + length, size - 1 - length)) > 0) length += (size_t)got;
    text[length] = 0;
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void use_heap(unsigned seed)
{
    void *blocks[200] = {NULL};
    uint64_t random = seed + 1;
    for (int step = 0; step < 5000; step++) {
        const uint64_t number = next_random(&random);
        void **const block = &blocks[number % 200];
        free(*block);
        const size_t size = 1 + (size_t)(number >> 16) % (number % 100 == 0 ? 200000u : 2000u);
        *block = do_malloc(size);
        assert_non_null(*block);
        memset(*block, 1, size < 64 ? size : 64);
    }
    for (int i = 0; i < 200; i++) free(blocks[i]);
}

static volatile bool is_over;

static void *use_heap_until_over(void *argument)
{
    while (!is_over) use_heap((unsigned)(uintptr_t)argument);
    return NULL;
}

static void child_work(void) { use_heap(5); }

static void a_child_of_a_threaded_program_can_allocate(void **state)
{
    (void)state;
    pthread_t threads[3];
    is_over = false;
    for (uintptr_t i = 0; i < 3; i++) pthread_create(&threads[i], NULL, use_heap_until_over, (void *)i);
    char text[200];
    for (int round = 0; round < 100; round++) assert_int_equal(in_child(child_work, text, sizeof text), 0);
    is_over = true;
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    use_heap(6);
}

static void *allocate_and_leave(void *argument)
{
    void **const blocks = argument;
    for (int i = 0; i < 100; i++) blocks[i] = do_malloc(100);
    return NULL;
}

static void threads_that_end_leave_nothing_behind(void **state)
{
    (void)state;
    void *blocks[100];
    pthread_t thread;
    acre_heap_figures before;
    acre_heap_figures after;
    for (int round = 0; round < 2000; round++) {
        assert_int_equal(pthread_create(&thread, NULL, allocate_and_leave, blocks), 0);
        pthread_join(thread, NULL);
        for (int i = 0; i < 100; i++) free(blocks[i]);
        if (round == 100) acre_heap_read_figures(acre_heap_of_process(), &before);
    }
    acre_heap_read_figures(acre_heap_of_process(), &after);
    assert_true(after.thread_count <= 2);
    assert_true(after.run_bytes <= before.run_bytes + (256 << 10));
    assert_int_equal(after.meta_bytes, before.meta_bytes);
}

static pthread_key_t late_key;

static void allocate_late(void *argument)
{
    free(argument);
    static _Thread_local int round;
    if (++round < 3)
        pthread_setspecific(late_key, do_malloc(50));
    else
        free(do_malloc(3000));
}

static void *end_with_destructors(void *argument)
{
    (void)argument;
    pthread_setspecific(late_key, do_malloc(40));
    return NULL;
}

static void destructors_of_a_thread_may_allocate_and_free(void **state)
{
    (void)state;
    assert_int_equal(pthread_key_create(&late_key, allocate_late), 0);
    for (int round = 0; round < 50; round++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, end_with_destructors, NULL), 0);
        pthread_join(thread, NULL);
    }
    pthread_key_delete(late_key);
    acre_heap_figures figures;
    acre_heap_read_figures(acre_heap_of_process(), &figures);
    assert_true(figures.thread_count <= 2);
}

static void free_a_local(void)
{
    int local = 0;
    do_free(&local);
}

static void free_nonsense(void) { do_free((void *)0x123456789abc0); }

static void free_inside_a_large_block(void) { do_free((char *)do_malloc(100000) + 32); }

static void free_twice(void)
{
    void *const block = do_malloc(500);
    do_free(block);
    do_free(block);
    malloc_trim(0);
}

static void realloc_a_local(void)
{
    int local = 0;
    void *(*volatile do_realloc)(void *, size_t) = realloc;
    do_realloc(&local, 10);
}

static void wrong_pointers_abort_with_a_sentence_that_names_them(void **state)
{
    (void)state;
    static const struct {
        void (*work)(void);
        const char *sentence;
    } cases[] = {
        {free_a_local, "acre: heap 'malloc': free of 0x7ff"},
        {free_nonsense, "acre: heap 'malloc': free of 0x123456789abc0: the address belongs to no block"},
        {free_inside_a_large_block, "lies inside of a block"},
        {free_twice, "the block is free already"},
        {realloc_a_local, "realloc of 0x7ff"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[500];
        const int status = in_child(cases[i].work, text, sizeof text);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        if (strstr(text, cases[i].sentence) == NULL) assert_string_equal(text, cases[i].sentence);
    }
}

/* RLIMIT_AS counts address space; RLIMIT_DATA what could be written, as a kernel that does not overcommit does. */
static int limited_resource;

static void work_under_a_limit(void)
{
    const struct rlimit limit = {600 << 20, 600 << 20};
    if (setrlimit((unsigned)limited_resource, &limit) != 0) _exit(10);
    /* The program's own mappings still find what the limit leaves. */
    if (mmap(NULL, 20 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED) _exit(15);
    errno = 0;
    if (do_malloc(1 << 30) != NULL || errno != ENOMEM) _exit(11);
    size_t total = 0;
    static void *blocks[7000];
    int count = 0;
    while (count < 7000 && (blocks[count] = do_malloc(100000)) != NULL) {
        memset(blocks[count++], 1, 100000);
        total += 100000;
    }
    if (count == 7000 || errno != ENOMEM) _exit(12);
    if (total < (300u << 20)) _exit(13); /* most of what the limit leaves can be had */
    while (count > 0) free(blocks[--count]);
    use_heap(9);
    for (int i = 0; i < 300; i++) {
        if ((blocks[i] = do_malloc(100000)) == NULL) _exit(14);
    }
}

static void a_limit_on_the_address_space_ends_in_enomem_not_in_a_crash(void **state)
{
    (void)state;
    char text[500];
    limited_resource = RLIMIT_AS;
    assert_int_equal(in_child(work_under_a_limit, text, sizeof text), 0);
}

static void memory_that_is_not_overcommitted_ends_in_enomem_not_in_a_crash(void **state)
{
    (void)state;
    char text[500];
    limited_resource = RLIMIT_DATA;
    assert_int_equal(in_child(work_under_a_limit, text, sizeof text), 0);
}

static void libraries_may_come_and_go(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        void *const library = dlopen("libz.so.1", RTLD_NOW);
        void *const other = dlopen("libm.so.6", RTLD_NOW);
        use_heap((unsigned)round);
        if (library != NULL) dlclose(library);
        if (other != NULL) dlclose(other);
    }
    assert_null(dlopen("/no/such/library.so", RTLD_NOW));
    assert_non_null(dlerror());
}

static long number_in(const char *name)
{
    char line[200];
    long number = -1;
    FILE *const file = fopen("/proc/self/status", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) number = strtol(line + strlen(name), NULL, 10);
    }
    fclose(file);
    return number;
}

static void a_program_that_sleeps_gives_its_free_memory_back_by_a_thread_that_goes(void **state)
{
    (void)state;
    enum { COUNT = 100000, SIZE = 500 };
    static char *blocks[COUNT];
    const long before_kib = number_in("VmRSS:");
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = do_malloc(SIZE);
        memset(blocks[i], 1, SIZE);
    }
    assert_true(number_in("VmRSS:") > before_kib + 40000);
    for (int i = 0; i < COUNT; i++) free(blocks[i]);
    assert_int_equal(number_in("Threads:"), 2);
    for (int i = 0; i < 100 && (number_in("Threads:") > 1 || number_in("VmRSS:") > before_kib + 4000); i++) usleep(100000);
    assert_true(number_in("VmRSS:") <= before_kib + 4000);
    assert_int_equal(number_in("Threads:"), 1);
}

static void *at_exit_block;

static void free_at_exit(void)
{
    free(at_exit_block);
    free(do_malloc(100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_of_a_threaded_program_can_allocate),
        cmocka_unit_test(threads_that_end_leave_nothing_behind),
        cmocka_unit_test(destructors_of_a_thread_may_allocate_and_free),
        cmocka_unit_test(wrong_pointers_abort_with_a_sentence_that_names_them),
        cmocka_unit_test(a_limit_on_the_address_space_ends_in_enomem_not_in_a_crash),
        cmocka_unit_test(memory_that_is_not_overcommitted_ends_in_enomem_not_in_a_crash),
        cmocka_unit_test(libraries_may_come_and_go),
        cmocka_unit_test(a_program_that_sleeps_gives_its_free_memory_back_by_a_thread_that_goes),
    };
    at_exit_block = do_malloc(100);
    atexit(free_at_exit); /* and whatever static destructors do: a crash there fails the test */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
