/* reachability.c - a program whose blocks are held in every way that counts, and lost in every way that is easy to miss.
 *
 * usage: reachability [keep | kill | quick | protect | churn | keep-churn]
 */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BLOCK_COUNT = 20, BLOCK_BYTES = 96, LARGE_BYTES = 3 << 20, DEAD_WORDS = 8192, PAGE_BYTES = 4096 };

/* Of different lengths, or a compiler makes one function of them. */
#define MAKER(name)                                                  \
    __attribute__((noinline)) static void *name(void)                \
    {                                                                \
        void *const block = malloc(BLOCK_BYTES + __LINE__ % 16);     \
        if (block != NULL) memset(block, 0, BLOCK_BYTES);            \
        return block;                                                \
    }

MAKER(lost)
MAKER(lost_below_the_stack)
MAKER(lost_below_a_threads_stack)
MAKER(lost_in_a_freed_block)
MAKER(lost_last_of_all)
MAKER(held_by_a_global)
MAKER(held_at_its_middle)
MAKER(held_by_a_block)
MAKER(held_by_a_large_block)
MAKER(held_by_a_mapping)
MAKER(held_by_a_threads_stack)
MAKER(held_by_thread_local_data)
MAKER(held_by_a_register)

/* Volatile, so that what is stored and never read is stored all the same. */
static void *volatile global_holder;
static char *volatile middle_holder;
static void **volatile block_holder, **volatile large_holder, **volatile freed_holder;
static _Thread_local void *volatile thread_holder;
static volatile int is_ready, is_churning;

/* Leaves pointers below the stack, half of them where later calls do not reach. */
__attribute__((noinline)) static uintptr_t lose_below(void *(*make)(void))
{
    void *volatile copies[DEAD_WORDS];
    uintptr_t sum = 0;
    for (int block = 0; block < BLOCK_COUNT; block++) {
        void *const made = make();
        for (int i = block; i < DEAD_WORDS / 2; i += BLOCK_COUNT) copies[i] = made;
    }
    for (int i = 0; i < DEAD_WORDS / 2; i++) sum += (uintptr_t)copies[i] % 3;
    return sum;
}

static void *hold_in_thread(void *argument)
{
    void *volatile mine = held_by_a_threads_stack();
    thread_holder = held_by_thread_local_data();
    if (argument != NULL) (void)lose_below(lost_below_a_threads_stack);
    is_ready = 1;
    for (;;) pause();
    return mine;
}

static void *churn(void *argument)
{
    void *blocks[64] = {argument};
    for (unsigned i = 0;; i++) {
        free(blocks[i % 64]);
        blocks[i % 64] = malloc(i % 100 == 0 ? 1 << 21 : (size_t)i % 5000);
        is_churning = 1;
    }
    return NULL;
}

static void *holding_page(void)
{
    void *const page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? NULL : page;
}

_Noreturn static void end_holding(void *block)
{
#if defined(__x86_64__)
    /* rbx belongs to the caller: exit keeps it. */
    __asm__ volatile("and $-16, %%rsp\n\tcall exit@plt" : : "b"(block), "D"(0));
    __builtin_unreachable();
#else
    global_holder = block;
    exit(0);
#endif
}

__attribute__((noinline)) static void lose(void)
{
    for (int i = 0; i < BLOCK_COUNT; i++) memset(lost(), 1, BLOCK_BYTES);
    (void)lose_below(lost_below_the_stack);
    freed_holder = malloc(BLOCK_BYTES);
    freed_holder[5] = lost_in_a_freed_block();
    free((void *)(uintptr_t)freed_holder);
}

__attribute__((noinline)) static void hold(void)
{
    global_holder = held_by_a_global();
    middle_holder = (char *)held_at_its_middle() + BLOCK_BYTES / 2;
    block_holder = malloc(BLOCK_BYTES);
    block_holder[5] = held_by_a_block();
    large_holder = malloc(LARGE_BYTES);
    large_holder[LARGE_BYTES / sizeof(void *) - 1] = held_by_a_large_block();
    void **const page = holding_page();
    if (page != NULL) page[7] = held_by_a_mapping();
}

int main(int argument_count, char **arguments)
{
    const char *const what = argument_count > 1 ? arguments[1] : "";
    const int loses = strncmp(what, "keep", 4) != 0;
    pthread_t thread;
    if (pthread_create(&thread, NULL, hold_in_thread, loses ? arguments : NULL) != 0) return 1;
    while (!is_ready) usleep(1000);
    usleep(20000); /* until it waits */
    if (loses) lose();
    hold();
    if (strcmp(what, "kill") == 0) (void)raise(SIGKILL);
    if (strcmp(what, "quick") == 0) _exit(0);
    if (strcmp(what, "protect") == 0) {
        void *page = NULL;
        if (posix_memalign(&page, PAGE_BYTES, PAGE_BYTES) != 0 || mprotect(page, PAGE_BYTES, PROT_NONE) != 0) return 1;
        block_holder[6] = page;
    }
    if (strstr(what, "churn") != NULL) {
        for (int i = 0; i < 3; i++)
            if (pthread_create(&thread, NULL, churn, NULL) != 0) return 1;
        while (!is_churning) usleep(1000);
    }
    void *const block = held_by_a_register();
    if (loses) memset(lost_last_of_all(), 1, 1);
    end_holding(block);
}
