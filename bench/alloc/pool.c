/* pool.c - acre's pool beside a pool with a mutex and a list of free slots: threads take up to 8 slots of 64 bytes and give them back.
 *
 *     pool             the table: medians of the rounds, nanoseconds of elapsed time for one alloc or free of all threads together
 *
 * ACRE_BENCH_QUICK=1: one short round.
 */
#include <acre/pool.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { THREAD_COUNT_MAX = 8, HELD_COUNT = 8, ROUND_COUNT = 9, SLOT_COUNT = THREAD_COUNT_MAX * HELD_COUNT, FAR_SLOT_COUNT = 1000 };

typedef struct slot {
    _Alignas(64) char bytes[64];
} slot;

ACRE_POOL_DEFINE(near_pool, slot, SLOT_COUNT);
ACRE_POOL_DEFINE(far_pool, slot, FAR_SLOT_COUNT);

/* The peer: what most programs have. */
static union entry {
    union entry *next;
    slot content;
} entries[SLOT_COUNT];
static union entry *free_list;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *mutex_alloc(void)
{
    (void)pthread_mutex_lock(&lock);
    union entry *const found = free_list;
    if (found != NULL) free_list = found->next;
    (void)pthread_mutex_unlock(&lock);
    return found;
}

static void mutex_free(void *gone)
{
    union entry *const entry = gone;
    (void)pthread_mutex_lock(&lock);
    entry->next = free_list;
    free_list = entry;
    (void)pthread_mutex_unlock(&lock);
}

static void *near_alloc(void) { return acre_pool_alloc(&near_pool); }
static void *far_alloc(void) { return acre_pool_alloc(&far_pool); }
static void must_be_ok(acre_status status)
{
    if (status != ACRE_OK) abort();
}
static void near_free(void *gone) { must_be_ok(acre_pool_free(&near_pool, gone)); }
static void far_free(void *gone) { must_be_ok(acre_pool_free(&far_pool, gone)); }

static const struct peer {
    const char *name;
    void *(*alloc)(void);
    void (*free)(void *);
} peers[] = {{"acre", near_alloc, near_free}, {"acre, far slots", far_alloc, far_free}, {"mutex", mutex_alloc, mutex_free}};
enum { PEER_COUNT = sizeof peers / sizeof *peers };

typedef struct work {
    const struct peer *peer;
    size_t turn_count;
} work;

static void *run(void *argument)
{
    const work *const w = argument;
    void *held[HELD_COUNT];
    for (size_t turn = 0; turn < w->turn_count; turn++) {
        for (int i = 0; i < HELD_COUNT; i++) {
            held[i] = w->peer->alloc();
            if (held[i] == NULL) abort();
            *(volatile char *)held[i] = (char)turn;
        }
        for (int i = 0; i < HELD_COUNT; i++) w->peer->free(held[i]);
    }
    return NULL;
}

static double measure(const struct peer *peer, unsigned thread_count, size_t operation_count)
{
    pthread_t threads[THREAD_COUNT_MAX];
    work w = {.peer = peer, .turn_count = operation_count / thread_count / (2 * HELD_COUNT)};
    struct timespec start;
    struct timespec end;
    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    for (unsigned i = 0; i < thread_count; i++) {
        if (pthread_create(&threads[i], NULL, run, &w) != 0) abort();
    }
    for (unsigned i = 0; i < thread_count; i++) (void)pthread_join(threads[i], NULL);
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    const double ns = (double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec);
    return ns / (double)(w.turn_count * thread_count * 2 * HELD_COUNT);
}

static int by_value(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return a < b ? -1 : a > b;
}

int main(void)
{
    const char *const quick = getenv("ACRE_BENCH_QUICK");
    const bool is_quick = quick != NULL && quick[0] != 0 && strcmp(quick, "0") != 0;
    const int round_count = is_quick ? 1 : ROUND_COUNT;
    static const unsigned thread_counts[] = {1, 2, 8};
    void *near_slots[FAR_SLOT_COUNT];
    for (int i = 0; i < SLOT_COUNT; i++) mutex_free(&entries[i]);
    /* All near slots of the second pool stay out. */
    for (unsigned i = 0; i < ACRE_POOL_WORD_BITS; i++) near_slots[i] = far_alloc();
    printf("ns an operation, medians of %d rounds\nthreads", round_count);
    for (int p = 0; p < PEER_COUNT; p++) printf(" %16s", peers[p].name);
    printf("       mutex/acre\n");
    for (size_t t = 0; t < sizeof thread_counts / sizeof *thread_counts; t++) {
        double ns[PEER_COUNT][ROUND_COUNT];
        for (int round = 0; round < round_count; round++) {
            for (int p = 0; p < PEER_COUNT; p++) ns[p][round] = measure(&peers[p], thread_counts[t], is_quick ? 100000 : 8000000);
        }
        printf("%7u", thread_counts[t]);
        for (int p = 0; p < PEER_COUNT; p++) {
            qsort(ns[p], (size_t)round_count, sizeof ns[p][0], by_value);
            printf(" %16.1f", ns[p][round_count / 2]);
        }
        printf(" %16.2f\n", ns[PEER_COUNT - 1][round_count / 2] / ns[0][round_count / 2]);
    }
    for (unsigned i = 0; i < ACRE_POOL_WORD_BITS; i++) far_free(near_slots[i]);
    return 0;
}
