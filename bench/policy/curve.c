/* curve.c - what a live miss-ratio curve costs a running cache: the same requests on the same cache (acre's LRU over a hash table) without
 * and with one, in turns, each time the other way round; CPU time, median of the differences within a round. First the bare table and
 * policy, then a cache that copies a page of 4 KiB on each miss, as the least that a cache of pages does for it. Keys are skewed: object
 * n * u^3 of n, u even between 0 and 1. And what a request costs by itself that is looked at, or not, between nothing but the hashes of
 * keys.
 *
 * usage: curve [ROUNDS]
 *
 * ACRE_BENCH_QUICK=1: one round.
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
    REQUESTS = 1000000,
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

/* The same code, whoever calls it. */
__attribute__((noinline)) static void ask(cache *self, uint64_t key)
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
    if (how == NONE) {
        for (size_t i = 0; i < REQUESTS; i++) ask(&self, requests[i]);
    } else if (how == EACH) {
        for (size_t i = 0; i < REQUESTS; i++) {
            ask(&self, requests[i]);
            acre_curve_access(curve, requests[i]);
        }
    } else { /* the cache counts its requests anyway */
        for (size_t i = 0; i < REQUESTS; i++) {
            ask(&self, requests[i]);
            if (__builtin_expect(acre_curve_wants(curve, requests[i]), 0)) acre_curve_access(curve, requests[i]);
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

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare);
    return values[count / 2];
}

static acre_curve *open_curve(void **memory, uint32_t share)
{
    const acre_curve_options options = {.keys_max = KEYS_MAX, .share = share};
    acre_curve *curve;
    *memory = get(acre_curve_bytes(&options));
    if (acre_curve_init(&curve, &options, *memory, acre_curve_bytes(&options)) != ACRE_OK) abort();
    return curve;
}

static void compare_usages(const char *what, const uint32_t *requests, int rounds, uint8_t *frames, const uint8_t *source)
{
    static double without[ROUNDS_MAX], more[USAGES][ROUNDS_MAX];
    void *memory;
    acre_curve *const curve = open_curve(&memory, 1000);
    while (curve->limit != 0) (void)run(requests, curve, EACH, frames, source); /* until the first look is over */
    for (int round = 0; round < rounds; round++) {
        double ns[USAGES];
        for (int i = 0; i < USAGES; i++) {
            const int how = round % 2 == 0 ? i : USAGES - 1 - i;
            ns[how] = run(requests, curve, (usage)how, frames, source);
        }
        without[round] = ns[NONE];
        for (int how = EACH; how < USAGES; how++) more[how][round] = ns[how] - ns[NONE];
    }
    const double base = median(without, rounds), each = median(more[EACH], rounds), wanted = median(more[WANTED], rounds);
    printf("%s: a request without a curve %.2f ns; given each %+.2f ns (%+.2f%%), given those that it wants %+.2f ns (%+.2f%%)\n", what,
           base, each, each / base * 100, wanted, wanted / base * 100);
    free(memory);
}

/* The hash of a key, which stays in a register. */
static inline uint64_t hash_of(uint32_t key)
{
    uint64_t hash = key * UINT64_C(0xd6e8feb86659fd93);
    __asm__ volatile("" : "+r"(hash));
    return hash;
}

/* Requests one after the other with nothing between them. */
static double run_bare(const uint32_t *requests, acre_curve *curve, usage how)
{
    const double begin = cpu_ns();
    if (how == NONE) {
        for (size_t i = 0; i < REQUESTS; i++) (void)hash_of(requests[i]);
    } else if (how == EACH) {
        for (size_t i = 0; i < REQUESTS; i++) acre_curve_access(curve, hash_of(requests[i]));
    } else {
        for (size_t i = 0; i < REQUESTS; i++) {
            const uint64_t hash = hash_of(requests[i]);
            if (__builtin_expect(acre_curve_wants(curve, hash), 0)) acre_curve_access(curve, hash);
        }
        acre_curve_pass(curve, REQUESTS);
    }
    return (cpu_ns() - begin) / REQUESTS;
}

static void compare_bare(const uint32_t *requests, int rounds)
{
    static double ns[USAGES][ROUNDS_MAX], look[ROUNDS_MAX];
    void *memory, *always_memory;
    acre_curve *const curve = open_curve(&memory, 1000), *const always = open_curve(&always_memory, 0);
    while (curve->limit != 0) (void)run_bare(requests, curve, EACH);
    for (int i = 0; i < 4; i++) (void)run_bare(requests, always, EACH);
    uint64_t wanted_count = 0;
    for (size_t i = 0; i < REQUESTS; i++) wanted_count += acre_curve_wants(always, hash_of(requests[i]));
    for (int round = 0; round < rounds; round++) {
        for (int how = 0; how < USAGES; how++) ns[how][round] = run_bare(requests, curve, (usage)how);
        look[round] = run_bare(requests, always, WANTED);
    }
    const double none = median(ns[NONE], rounds), share = (double)wanted_count / REQUESTS;
    const double looked_at = (median(look, rounds) - none) / share;
    printf("by itself: a request that is not looked at, given each %.2f ns, asked whether it is wanted %.2f ns; one that is looked at %.0f "
           "ns, "
           "which one in 1,000 is: %.2f ns\n",
           median(ns[EACH], rounds) - none, median(ns[WANTED], rounds) - none, looked_at, looked_at / 1000);
    free(memory);
    free(always_memory);
}

int main(int argument_count, char **arguments)
{
    const char *const quick = getenv("ACRE_BENCH_QUICK");
    const long asked = argument_count > 1                                          ? strtol(arguments[1], NULL, 10)
                       : quick != NULL && quick[0] != 0 && strcmp(quick, "0") != 0 ? 1
                                                                                   : 21;
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
    compare_bare(requests, rounds);
    compare_usages("table and policy", requests, rounds, NULL, NULL);
    compare_usages("pages of 4 KiB", requests, rounds, frames, source);
    free(source);
    free(frames);
    free(requests);
    return 0;
}
