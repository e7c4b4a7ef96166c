/* curve.c - what a live miss-ratio curve costs a running cache: the same requests on the same cache (acre's LRU over a hash table) without
 * and with one, in turns; CPU time, median of the rounds. First the bare table and policy, then a cache that copies a page of 4 KiB on each
 * miss, as the least that a cache of pages does for it. Keys are skewed: object n * u^3 of n, u even between 0 and 1.
 *
 * usage: curve [ROUNDS]
 */
#include <acre/curve.h>
#include <acre/policy.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    OBJECTS = 1 << 18,
    CAPACITY = OBJECTS / 4,
    TABLE = 1 << 16,
    REQUESTS = 10000000,
    REQUESTS_A_PASS = 4096,
    KEYS_MAX = 16384,
    ROUNDS_MAX = 101,
    PAGE = 4096,
    SOURCE_PAGES = 4096
};

typedef struct cache {
    uint64_t *keys;
    uint32_t *table, *next; /* chains of slot + 1 */
    acre_policy *policy;
    void *memory;
    uint32_t used;
    uint64_t miss_count;
    uint8_t *frames; /* NULL: no pages */
    const uint8_t *source;
} cache;

static void *get(size_t bytes)
{
    void *const memory = calloc(1, bytes);
    if (memory == NULL) abort();
    return memory;
}

static uint32_t home_of(uint64_t key) { return (uint32_t)(key * UINT64_C(0xd6e8feb86659fd93) >> 48); }

static void ask(cache *self, uint64_t key)
{
    uint32_t *place = &self->table[home_of(key)];
    while (*place != 0 && self->keys[*place - 1] != key) place = &self->next[*place - 1];
    if (*place != 0) {
        acre_policy_hit(self->policy, *place - 1);
        return;
    }
    self->miss_count++;
    const acre_policy_origin origin = acre_policy_miss(self->policy, key);
    uint32_t slot = self->used;
    if (self->used < CAPACITY) {
        self->used++;
    } else {
        slot = acre_policy_evict(self->policy, origin, NULL, NULL);
        uint32_t *old = &self->table[home_of(self->keys[slot])];
        while (*old != slot + 1) old = &self->next[*old - 1];
        *old = self->next[slot];
    }
    if (self->frames != NULL) memcpy(self->frames + (size_t)slot * PAGE, self->source + key % SOURCE_PAGES * PAGE, PAGE);
    self->keys[slot] = key;
    self->next[slot] = self->table[home_of(key)];
    self->table[home_of(key)] = slot + 1;
    acre_policy_admit(self->policy, slot, origin);
}

static cache open_cache(void)
{
    cache self = {.keys = get(CAPACITY * 8), .table = get(TABLE * 4), .next = get(CAPACITY * 4)};
    const acre_policy_options options = {.kind = ACRE_POLICY_LRU, .capacity = CAPACITY, .keys = self.keys};
    self.memory = get(acre_policy_bytes(&options));
    if (acre_policy_init(&self.policy, &options, self.memory, acre_policy_bytes(&options)) != ACRE_OK) abort();
    return self;
}

static void close_cache(cache *self)
{
    free(self->memory);
    free(self->keys);
    free(self->table);
    free(self->next);
}

static double cpu_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

typedef enum usage { NONE, EACH, WANTED, USAGES } usage;

static double run(const uint32_t *requests, acre_curve *curve, usage how, uint8_t *frames, const uint8_t *source)
{
    cache self = open_cache();
    self.frames = frames;
    self.source = source;
    const double begin = cpu_ns();
    for (size_t i = 0; i < REQUESTS; i++) {
        ask(&self, requests[i]);
        if (how == EACH) {
            acre_curve_access(curve, requests[i]);
        } else if (how == WANTED) { /* the cache counts its requests anyway */
            if (acre_curve_wants(curve, requests[i])) acre_curve_access(curve, requests[i]);
            if (i % REQUESTS_A_PASS == REQUESTS_A_PASS - 1) acre_curve_pass(curve, REQUESTS_A_PASS);
        }
    }
    const double ns = (cpu_ns() - begin) / REQUESTS;
    close_cache(&self);
    return ns;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void compare_usages(const char *what, const uint32_t *requests, int rounds, uint8_t *frames, const uint8_t *source)
{
    static double ns[USAGES][ROUNDS_MAX];
    const acre_curve_options options = {.keys_max = KEYS_MAX, .share = 1000};
    acre_curve *curve;
    void *const memory = get(acre_curve_bytes(&options));
    if (acre_curve_init(&curve, &options, memory, acre_curve_bytes(&options)) != ACRE_OK) abort();
    const double first = run(requests, curve, EACH, frames, source); /* the first look is in it */
    for (int round = 0; round < rounds; round++)
        for (int how = 0; how < USAGES; how++) ns[how][round] = run(requests, curve, (usage)how, frames, source);
    for (int how = 0; how < USAGES; how++) qsort(ns[how], (size_t)rounds, sizeof ns[how][0], compare);
    const double without = ns[NONE][rounds / 2], each = ns[EACH][rounds / 2], wanted = ns[WANTED][rounds / 2];
    printf("%s: a request without a curve %.2f ns, given each %.2f ns (%+.2f%%), given those that it wants %.2f ns (%+.2f%%); with the "
           "first look "
           "%.2f ns\n",
           what, without, each, (each / without - 1) * 100, wanted, (wanted / without - 1) * 100, first);
    const uint64_t size = CAPACITY;
    uint32_t misses;
    if (acre_curve_read(curve, &size, &misses, 1) != ACRE_OK) abort();
    printf("  %llu looks, %.4f of the keys; misses at %d entries by the curve %.4f\n", (unsigned long long)curve->look_count,
           (double)acre_curve_rate(curve) / ACRE_CURVE_MILLION, (int)CAPACITY, (double)misses / ACRE_CURVE_MILLION);
    free(memory);
}

int main(int argument_count, char **arguments)
{
    const long asked = argument_count > 1 ? strtol(arguments[1], NULL, 10) : 5;
    const int rounds = asked < 1 ? 1 : asked > ROUNDS_MAX ? ROUNDS_MAX : (int)asked;
    uint32_t *const requests = get((size_t)REQUESTS * 4);
    uint8_t *const frames = get((size_t)CAPACITY * PAGE), *const source = get((size_t)SOURCE_PAGES * PAGE);
    uint64_t random = 88172645463325252u;
    for (size_t i = 0; i < REQUESTS; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        const double u = (double)(random >> 11) / 9007199254740992.0;
        requests[i] = (uint32_t)(u * u * u * OBJECTS);
    }
    memset(frames, 1, (size_t)CAPACITY * PAGE);
    memset(source, 2, (size_t)SOURCE_PAGES * PAGE);
    compare_usages("table and policy", requests, rounds, NULL, NULL);
    compare_usages("pages of 4 KiB", requests, rounds, frames, source);
    free(source);
    free(frames);
    free(requests);
    return 0;
}
