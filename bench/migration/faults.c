/* faults.c - what a page fault costs that the program serves itself, beside the shortest loop that serves one: read a message, UFFDIO_COPY.
 *
 *     faults [--small]
 *
 * Both sides bring the same bytes from the same memory, in the same run, one after the other, five times; the figures are medians. With
 * eight threads, which touch pages in turn, the loop serves each message by a call of its own, as it must who keeps no books.
 */
#include <acre/um.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = ACRE_UM_PAGE_BYTES, ROUNDS = 5, THREADS_MAX = 8, TURNS = 3000 };

static uint64_t bytes = (uint64_t)64 << 20;

static _Noreturn void fail(const char *what)
{
    (void)fprintf(stderr, "faults: %s: %s\n", what, acre_last_error());
    exit(1);
}

static double now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* ---- touching ---- */

typedef struct toucher {
    const volatile unsigned char *memory;
    uint64_t first, step;
    uint64_t sum;
} toucher;

static pthread_barrier_t start;

static void *touch_pages(void *argument)
{
    toucher *const t = argument;
    (void)pthread_barrier_wait(&start);
    for (uint64_t i = t->first; i < bytes / PAGE; i += t->step) t->sum += t->memory[i * PAGE];
    return NULL;
}

/* Microseconds. */
static double touch(const volatile unsigned char *memory, unsigned thread_count)
{
    pthread_t threads[THREADS_MAX];
    toucher touchers[THREADS_MAX];
    uint64_t sum = 0;
    if (pthread_barrier_init(&start, NULL, thread_count + 1) != 0) fail("barrier");
    for (unsigned i = 0; i < thread_count; i++) {
        touchers[i] = (toucher){.memory = memory, .first = i, .step = thread_count};
        if (pthread_create(&threads[i], NULL, touch_pages, &touchers[i]) != 0) fail("threads");
    }
    const double start_us = now_us();
    (void)pthread_barrier_wait(&start);
    for (unsigned i = 0; i < thread_count; i++) {
        (void)pthread_join(threads[i], NULL);
        sum += touchers[i].sum;
    }
    const double us = now_us() - start_us;
    (void)pthread_barrier_destroy(&start);
    if (sum != bytes / PAGE) fail("contents are wrong");
    return us;
}

/* ---- the loop ---- */

typedef struct loop {
    int descriptor;
    unsigned char *memory, *home;
    uint64_t unit, call_count, message_count;
} loop;

static void *serve(void *argument)
{
    loop *const l = argument;
    struct uffd_msg message;
    while (read(l->descriptor, &message, sizeof message) == (ssize_t)sizeof message) {
        const uint64_t at = (message.arg.pagefault.address - (uintptr_t)l->memory) / l->unit * l->unit;
        struct uffdio_copy copy = {.dst = (uintptr_t)l->memory + at, .src = (uintptr_t)l->home + at, .len = l->unit};
        l->message_count++;
        l->call_count++;
        if (ioctl(l->descriptor, UFFDIO_COPY, &copy) == 0) continue;
        struct uffdio_range range = {copy.dst, l->unit}; /* another was first */
        l->call_count++;
        (void)ioctl(l->descriptor, UFFDIO_WAKE, &range);
    }
    return NULL;
}

static double run_loop(unsigned char *home, uint64_t unit, unsigned thread_count, uint64_t *calls, uint64_t *messages)
{
    loop l = {.descriptor = (int)syscall(SYS_userfaultfd, O_CLOEXEC), .home = home, .unit = unit};
    struct uffdio_api api = {.api = UFFD_API};
    if (l.descriptor < 0 || ioctl(l.descriptor, UFFDIO_API, &api) != 0) fail("userfaultfd");
    unsigned char *const all = mmap(NULL, bytes + (2 << 20), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED) fail("mmap");
    l.memory = all + (2 << 20) - (uintptr_t)all % (2 << 20);
    struct uffdio_register range = {.range = {(uintptr_t)l.memory, bytes}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    if (ioctl(l.descriptor, UFFDIO_REGISTER, &range) != 0) fail("UFFDIO_REGISTER");
    pthread_t server;
    if (pthread_create(&server, NULL, serve, &l) != 0) fail("threads");
    const double us = touch(l.memory, thread_count);
    (void)pthread_cancel(server);
    (void)pthread_join(server, NULL);
    (void)close(l.descriptor);
    (void)munmap(all, bytes + (2 << 20));
    *calls = l.call_count;
    *messages = l.message_count;
    return us;
}

/* ---- acre ---- */

static acre_space home_space;

static acre_um *open_um(const char *rules_name, bool ignores_thrashing)
{
    acre_um_options options = {.bytes_max = bytes, .home = &home_space};
    acre_um *um;
    if (acre_um_rules_named(rules_name, &options.rules) != ACRE_OK) fail("rules");
    options.rules.ignores_thrashing = ignores_thrashing;
    if (acre_space_open_pages(&home_space, NULL) != ACRE_OK || acre_um_open(&options, &um) != ACRE_OK) fail("open");
    return um;
}

static unsigned add_window(acre_um *um, const char *name)
{
    unsigned place;
    const acre_um_place window = {.name = name, .faults = ACRE_UM_USERFAULTFD};
    if (acre_um_add_place(um, &window, &place) != ACRE_OK) fail("add_place");
    return place;
}

static void close_um(acre_um *um)
{
    acre_um_close(um);
    acre_space_close(&home_space);
}

static double run_acre(const char *rules, unsigned thread_count, acre_um_figures *figures)
{
    acre_um *const um = open_um(rules, false);
    const unsigned place = add_window(um, "window");
    uint64_t at;
    if (acre_um_allocate(um, bytes, &at) != ACRE_OK) fail("allocate");
    for (uint64_t i = 0; i < bytes; i += PAGE) {
        if (acre_um_touch(um, ACRE_UM_HOME, at + i, PAGE, true) != ACRE_OK) fail("touch");
        memset(acre_um_pointer(um, ACRE_UM_HOME, at + i), 1, PAGE);
    }
    const double us = touch(acre_um_pointer(um, place, at), thread_count);
    if (acre_um_read_figures(um, place, figures) != ACRE_OK) fail("figures");
    close_um(um);
    return us;
}

/* ---- both ---- */

static void compare_costs(unsigned char *home, unsigned thread_count)
{
    static const struct {
        const char *rules;
        uint64_t unit;
    } rows[] = {{"demand", PAGE}, {"64k", 65536}, {"lru", 0}};
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        double loop_us[ROUNDS] = {0}, acre_us[ROUNDS];
        uint64_t calls = 0, messages = 0;
        acre_um_figures figures;
        for (unsigned round = 0; round < ROUNDS; round++) {
            if (rows[i].unit != 0) loop_us[round] = run_loop(home, rows[i].unit, thread_count, &calls, &messages);
            acre_us[round] = run_acre(rows[i].rules, thread_count, &figures);
        }
        qsort(loop_us, ROUNDS, sizeof *loop_us, compare);
        qsort(acre_us, ROUNDS, sizeof *acre_us, compare);
        const double faults = (double)figures.batch_count;
        printf("%7u  %-7s  %7llu  %8.2f  %9.2f  ", thread_count, rows[i].rules, (unsigned long long)figures.batch_count,
               acre_us[ROUNDS / 2] / 1e3, acre_us[ROUNDS / 2] / faults);
        if (rows[i].unit == 0) {
            printf("%9s  %9s  %6s  %7llu  %7s  %5s\n", "", "", "", (unsigned long long)figures.call_count, "", "");
            continue;
        }
        printf("%9.2f  %9.2f  %6.2f  %7llu  %7llu  %5.1f\n", loop_us[ROUNDS / 2] / 1e3,
               loop_us[ROUNDS / 2] / ((double)bytes / (double)rows[i].unit), acre_us[ROUNDS / 2] / loop_us[ROUNDS / 2],
               (unsigned long long)figures.call_count, (unsigned long long)calls, (double)calls / (double)figures.call_count);
    }
}

/* ---- to and fro ---- */

typedef struct taker {
    volatile uint64_t *word;
    bool is_odd;
} taker;

static void *take_turns(void *argument)
{
    const taker *const t = argument;
    for (uint64_t i = 0; i < TURNS; i++) {
        while (__atomic_load_n(t->word, __ATOMIC_ACQUIRE) % 2 != t->is_odd) sched_yield();
        __atomic_fetch_add(t->word, 1, __ATOMIC_ACQ_REL);
    }
    return NULL;
}

static uint64_t go_to_and_fro(bool ignores_thrashing, double *us)
{
    acre_um *const um = open_um("demand", ignores_thrashing);
    const unsigned here = add_window(um, "here"), there = add_window(um, "there");
    uint64_t at;
    pthread_t thread;
    if (acre_um_allocate(um, PAGE, &at) != ACRE_OK) fail("allocate");
    taker even = {.word = acre_um_pointer(um, here, at)}, odd = {.word = acre_um_pointer(um, there, at), .is_odd = true};
    const double start_us = now_us();
    if (pthread_create(&thread, NULL, take_turns, &odd) != 0) fail("threads");
    (void)take_turns(&even);
    (void)pthread_join(thread, NULL);
    *us = now_us() - start_us;
    acre_um_figures figures[2];
    if (*even.word != 2 * TURNS) fail("turns are lost");
    if (acre_um_read_figures(um, here, &figures[0]) != ACRE_OK || acre_um_read_figures(um, there, &figures[1]) != ACRE_OK) fail("figures");
    close_um(um);
    return (figures[0].in_bytes + figures[1].in_bytes) / PAGE;
}

int main(int count, char **arguments)
{
    if (count > 1 && strcmp(arguments[1], "--small") == 0) bytes = (uint64_t)8 << 20;
    const int probe = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    if (probe < 0) {
        printf("skip: this process may not use userfaultfd\n");
        return 0;
    }
    (void)close(probe);
    unsigned char *const home = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (home == MAP_FAILED) fail("mmap");
    memset(home, 1, bytes);
    printf("%llu MiB, each page read once\n\n", (unsigned long long)(bytes >> 20));
    printf("                            acre      acre       loop       loop                     calls of the system\n");
    printf("threads  rules    batches        ms   us/batch         ms   us/fault   ratio     acre     loop  ratio\n");
    compare_costs(home, 1);
    compare_costs(home, THREADS_MAX);
    double us[2];
    const uint64_t kept = go_to_and_fro(false, &us[0]), moved = go_to_and_fro(true, &us[1]);
    printf(
        "\na page that two threads change in turn, %u times each, by two windows: %llu copies in %.1f ms; without the rule for thrashing\n"
        "%llu copies in %.1f ms: %.0f times as many\n",
        (unsigned)TURNS, (unsigned long long)kept, us[0] / 1e3, (unsigned long long)moved, us[1] / 1e3, (double)moved / (double)kept);
    return 0;
}
