/* query_cache.c - what a hit, a miss with its fill, and an invalidation of the query cache cost.
 *
 * A million entries are made from one table and two more each. Then the table is invalidated, again and again; all entries are filled in
 * anew, and hits are timed: of 16 hot keys and of all keys in random order, with 1 and with 2 threads. Median of the rounds, nanoseconds of
 * CPU time a call and thread. The policy is adaptive unless another is named.
 *
 * usage: query_cache [POLICY [ENTRIES [huge]]]                                 huge: in a heap of acre over pages of 2 MiB
 */
#include <acre/heap.h>
#include <acre/query_cache.h>
#include <acre/space.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 9, CALLS = 1000000, HOT = 16, THREADS_MAX = 2, TABLE = 1 };

static acre_query_cache *cache;
static uint32_t entry_count = 1000000;
static const char statement[] = "SELECT name, price FROM items JOIN prices USING (item) WHERE item = ? AND shop = ?";

static double thread_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static acre_query query_of(uint64_t *key) { return (acre_query){statement, sizeof statement - 1, key, sizeof *key}; }

static void ask(uint64_t key, bool must_hit)
{
    static const char value[64] = "a row";
    const acre_query query = query_of(&key);
    const uint64_t objects[] = {TABLE, 100 + key % 1000, 2000 + key % 777};
    acre_query_answer answer;
    if (acre_query_cache_get(cache, &query, 0, NULL, &answer) != ACRE_OK) abort();
    if (answer.outcome == ACRE_QUERY_HIT) {
        acre_query_cache_release(cache, &answer);
        return;
    }
    if (must_hit || !answer.has_turn) abort();
    const acre_query_result result = {value, sizeof value, objects, 3, 100000, 0};
    if (acre_query_cache_fill(cache, &answer, &result, 0) != ACRE_OK) abort();
}

typedef struct hitter {
    uint64_t key_count;
    double ns;
    uint64_t seed;
} hitter;

static void *hit(void *context)
{
    hitter *const self = context;
    uint64_t random = self->seed;
    const double begin = thread_ns();
    for (int i = 0; i < CALLS; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        ask((random >> 33) * self->key_count >> 31, true);
    }
    self->ns = (thread_ns() - begin) / CALLS;
    return NULL;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double hits_ns(uint64_t key_count, int thread_count)
{
    double rounds[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[THREADS_MAX];
        hitter hitters[THREADS_MAX];
        rounds[round] = 0;
        for (int i = 0; i < thread_count; i++) {
            hitters[i] = (hitter){.key_count = key_count, .seed = (uint64_t)(i + 1) * 77 + (uint64_t)round};
            if (pthread_create(&threads[i], NULL, hit, &hitters[i]) != 0) abort();
        }
        for (int i = 0; i < thread_count; i++) {
            (void)pthread_join(threads[i], NULL);
            rounds[round] += hitters[i].ns / thread_count;
        }
    }
    qsort(rounds, ROUNDS, sizeof rounds[0], compare);
    return rounds[ROUNDS / 2];
}

static double fill_all(void)
{
    const double begin = thread_ns();
    for (uint64_t key = 0; key < entry_count; key++) ask(key, false);
    return (thread_ns() - begin) / entry_count;
}

static void *take(void *heap, size_t bytes) { return acre_heap_alloc(heap, bytes); }
static void give(void *heap, void *block) { acre_heap_free(heap, block); }

static acre_heap *open_huge_heap(void)
{
    static acre_space space;
    acre_heap *heap;
    if (acre_space_open_pages(&space, &(acre_pages_options){.huge_pages = ACRE_HUGE_PREFER, .numa_node = -1}) != ACRE_OK ||
        acre_heap_create(&(acre_heap_options){.name = "query cache", .space = &space}, &heap) != ACRE_OK) {
        puts(acre_last_error());
        exit(1);
    }
    return heap;
}

int main(int argument_count, char **arguments)
{
    acre_query_cache_options options = {.bytes_max = (uint64_t)1 << 30};
    if (argument_count > 1 && acre_policy_named(arguments[1], &options.policy) != ACRE_OK) return 2;
    if (argument_count > 2) entry_count = (uint32_t)strtoul(arguments[2], NULL, 10);
    if (argument_count > 3 && strcmp(arguments[3], "huge") == 0) {
        options.context = open_huge_heap();
        options.allocate = take;
        options.deallocate = give;
    }
    options.entries_max = entry_count + entry_count / 8 + 1024;
    if (acre_query_cache_open(&cache, &options) != ACRE_OK) {
        puts(acre_last_error());
        return 1;
    }
    const double first_ns = fill_all();
    acre_query_figures figures;
    if (acre_query_cache_read_figures(cache, &figures) != ACRE_OK) abort();
    printf("%s, %llu entries in %llu MiB: a miss with its fill %.0f ns\n", acre_policy_name(options.policy),
           (unsigned long long)figures.entries, (unsigned long long)(figures.bytes >> 20), first_ns);

    double rounds[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        const double begin = thread_ns();
        for (int i = 0; i < CALLS; i++) acre_query_cache_invalidate(cache, TABLE);
        rounds[round] = (thread_ns() - begin) / CALLS;
    }
    qsort(rounds, ROUNDS, sizeof rounds[0], compare);
    printf("invalidating the table of all of them: %.1f ns\n", rounds[ROUNDS / 2]);
    printf("all entries filled in anew: %.0f ns each\n", fill_all());
    for (int threads = 1; threads <= THREADS_MAX; threads++)
        printf("a hit with 3 objects, %d thread%s: %.0f ns of %d hot keys, %.0f ns of all keys\n", threads, threads == 1 ? "" : "s",
               hits_ns(HOT, threads), (int)HOT, hits_ns(entry_count, threads));
    acre_query_cache_close(cache);
    return 0;
}
