/* test_query_races.c - ten million queries and writes of four threads: no answer is older than the last write that was done before it was
 * asked for.
 *
 * The database is an array of numbers that only grow. A query reads three of them. Before it asks, a thread notes how far each number is
 * for certain; what it gets, from the cache or not, must not be behind that. `--must-fail`: over a cache with a planted bug, which has to
 * be found.
 */
#include <acre/query_cache.h>

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __SANITIZE_THREAD__
enum { OPERATIONS = 2000000 };
#else
enum { OPERATIONS = 10000000 };
#endif
enum { THREADS = 4, OBJECTS = 97, KEYS = 3000, READ = 3, STALE_NS = 50 };

typedef struct answer_value {
    uint64_t key, numbers[READ];
} answer_value;

static struct {
    uint64_t number; /* atomic */
    uint64_t done;   /* atomic: this far every write has returned */
    pthread_mutex_t lock;
} database[OBJECTS];

static acre_query_cache *cache;
static uint64_t operation_count; /* atomic */
static uint64_t stale_count, wrong_count, hit_count;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void write_number(uint64_t object, bool is_announced)
{
    pthread_mutex_lock(&database[object].lock);
    const uint64_t next = __atomic_load_n(&database[object].number, __ATOMIC_RELAXED) + 1;
    if (is_announced) acre_query_cache_begin_write(cache, object);
    __atomic_store_n(&database[object].number, next, __ATOMIC_RELEASE);
    if (is_announced)
        acre_query_cache_end_write(cache, object);
    else
        acre_query_cache_invalidate(cache, object);
    __atomic_store_n(&database[object].done, next, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&database[object].lock);
}

static void objects_of(uint64_t key, uint64_t objects[READ])
{
    for (uint64_t i = 0; i < READ; i++) objects[i] = (key * 31 + i * 17 + key / 7) % OBJECTS;
}

static void run_query(uint64_t key, uint64_t random)
{
    static const char statement[] = "SELECT a, b, c FROM numbers WHERE key = ?";
    const acre_query query = {statement, sizeof statement, &key, sizeof key};
    const acre_query_wishes wishes = {.stale_ns = random % 16 == 0 ? STALE_NS : 0, .wait_ns = random % 4 == 0 ? 1000000 : 0};
    const uint64_t now_ns = __atomic_load_n(&operation_count, __ATOMIC_RELAXED);
    uint64_t objects[READ], least[READ];
    answer_value value = {.key = key};
    acre_query_answer answer;
    objects_of(key, objects);
    for (int i = 0; i < READ; i++) least[i] = __atomic_load_n(&database[objects[i]].done, __ATOMIC_ACQUIRE);
    if (acre_query_cache_get(cache, &query, now_ns, &wishes, &answer) != ACRE_OK) abort();
    const bool is_given = answer.outcome == ACRE_QUERY_HIT || answer.outcome == ACRE_QUERY_STALE;
    if (is_given) {
        if (answer.value_bytes != sizeof value) abort();
        memcpy(&value, answer.value, sizeof value);
        acre_query_cache_release(cache, &answer);
        if (value.key != key) __atomic_fetch_add(&wrong_count, 1, __ATOMIC_RELAXED);
        if (answer.outcome == ACRE_QUERY_HIT) __atomic_fetch_add(&hit_count, 1, __ATOMIC_RELAXED);
    }
    if (!is_given || answer.has_turn) {
        answer_value made = {.key = key};
        for (int i = 0; i < READ; i++) made.numbers[i] = __atomic_load_n(&database[objects[i]].number, __ATOMIC_ACQUIRE);
        const acre_query_result result = {&made, sizeof made, objects, READ, 1000 + random % 5000, random % 64 == 0 ? 2000 : 0};
        if (random % 8 == 3) (void)sched_yield(); /* a query that takes its time, so that others write meanwhile */
        if (answer.has_turn && random % 50 == 1)
            acre_query_cache_abandon(cache, &answer);
        else if (answer.has_turn)
            (void)acre_query_cache_fill(cache, &answer, &result, now_ns);
        if (!is_given) value = made;
    }
    if (answer.outcome == ACRE_QUERY_STALE) return;
    for (int i = 0; i < READ; i++)
        if (value.numbers[i] < least[i]) __atomic_fetch_add(&stale_count, 1, __ATOMIC_RELAXED);
}

static void *work(void *context)
{
    uint64_t seed = 88172645463325252u + (uintptr_t)context * 7919;
    while (__atomic_fetch_add(&operation_count, 1, __ATOMIC_RELAXED) < OPERATIONS) {
        const uint64_t random = next_random(&seed), a = next_random(&seed) % KEYS, b = next_random(&seed) % KEYS;
        if (random % 64 == 0)
            write_number(random / 256 % OBJECTS, random / 65536 % 2 == 0);
        else
            run_query(a < b ? a : b, random / 256);
        if (random % 1000000 == 7) (void)acre_query_cache_resize(cache, 200000 + random / 1000000 % 400000);
    }
    return NULL;
}

int main(int argument_count, char **arguments)
{
    const bool must_fail = argument_count > 1 && strcmp(arguments[1], "--must-fail") == 0;
    const acre_query_cache_options options = {.bytes_max = 400000, .version_count = 1024, .shard_count = 4, .fill_ns_max = 1000};
    pthread_t threads[THREADS];
    acre_query_figures figures;
    if (acre_query_cache_open(&cache, &options) != ACRE_OK) abort();
    for (int i = 0; i < OBJECTS; i++)
        if (pthread_mutex_init(&database[i].lock, NULL) != 0) abort();
    for (uintptr_t i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, (void *)i) != 0) abort();
    for (int i = 0; i < THREADS; i++) (void)pthread_join(threads[i], NULL);
    if (acre_query_cache_read_figures(cache, &figures) != ACRE_OK) abort();
    const bool is_valid = acre_query_cache_is_valid(cache);
    printf("%llu operations: %llu hits, %llu stale ones that were asked for, %llu misses, %llu busy, %llu outdated; %llu filled in, %llu "
           "refused as "
           "changed, %llu by the policy, %llu evicted\n",
           (unsigned long long)OPERATIONS, (unsigned long long)figures.hits, (unsigned long long)figures.stale_hits,
           (unsigned long long)figures.misses, (unsigned long long)figures.busy, (unsigned long long)figures.outdated,
           (unsigned long long)figures.fills, (unsigned long long)figures.refused_changed, (unsigned long long)figures.refused_policy,
           (unsigned long long)figures.evictions);
    printf("%llu answers were older than what was done before they were asked for, %llu belong to other keys%s\n",
           (unsigned long long)stale_count, (unsigned long long)wrong_count, is_valid ? "" : "; the cache is damaged");
    acre_query_cache_close(cache);
    if (must_fail) return stale_count > 0 ? 0 : 1;
    const bool is_used = hit_count > OPERATIONS / 10 && figures.evictions > 1000 && figures.outdated > 1000 && figures.refused_changed > 0;
    if (!is_used) puts("the cache was hardly used: the test says nothing");
    return stale_count == 0 && wrong_count == 0 && is_valid && is_used ? 0 : 1;
}
