/* replay.c - how fast policies are: traces replayed with each, beside RocksDB's LRUCache and HyperClockCache of as many entries.
 *
 *     replay [--size ENTRIES|PERCENT%] [--policy NAME] [--rounds N] [--once numbered|hashed] [TRACE...]
 *
 * A trace is anything that `acre cache` reads; without one a synthetic trace is made: skewed keys, loops, and keys that come once. A cache
 * begins empty and has a tenth of the trace's objects as entries, or as said. Finding a key is part of a request, in two ways: numbered, as
 * `acre cache` does it, by an array with a place for each object, so that it is the policy that is measured; and hashed, by a table with
 * chains, over the keys as they are in the trace. The peers look a key up, let go of it, and insert it when it is missing. CPU time of one
 * thread, median of the rounds, in which all take turns.
 *
 * --once replays each trace with the one policy and prints how many requests that was: for an instrument that counts, see `instructions`.
 *
 * ACRE_BENCH_QUICK=1: one round, of little. */
#include "../database/measure.h"
#include "cache_keys.h"
#include "cache_trace.h"
#ifdef WITH_ROCKSDB
#include "rocks_cache.h"
#endif

#include <acre/policy.h>

enum { ROUNDS = 9, ROUNDS_MAX = 99, SYNTHETIC_OBJECTS = 200000, SYNTHETIC_REQUESTS = 2000000, QUICK_PART = 20, PEERS_MAX = 2 };

#define NOWHERE UINT32_MAX

/* What finds the slot of an object. */
typedef enum way { NUMBERED, HASHED, WAYS } way;

static const char *const way_names[WAYS] = {"numbered", "hashed"};

typedef struct cache {
    acre_policy *policy;
    void *memory;
    uint64_t *keys;   /* [slot] */
    uint32_t *places; /* numbered: [object] its slot, or NOWHERE. Hashed: [hash] the first slot of a chain + 1 */
    uint32_t *next;   /* hashed: [slot] the next of its chain + 1 */
    unsigned shift;
    uint32_t capacity, used;
    uint64_t miss_count;
} cache;

static void *get(size_t count, size_t bytes)
{
    void *const memory = malloc(count * bytes + 1);
    if (memory == NULL) abort();
    memset(memory, 0, count * bytes); /* so that nothing is touched for the first time while time is taken */
    return memory;
}

static cache open_cache(acre_policy_kind kind, uint32_t capacity, uint32_t object_count, way how)
{
    cache self = {.keys = get(capacity, sizeof *self.keys), .capacity = capacity, .shift = 63};
    while ((uint64_t)1 << (64 - self.shift) < capacity) self.shift--;
    const size_t place_count = how == NUMBERED ? object_count : (size_t)1 << (64 - self.shift);
    self.places = get(place_count, sizeof *self.places);
    if (how == NUMBERED) memset(self.places, 0xff, place_count * sizeof *self.places);
    self.next = get(capacity, sizeof *self.next);
    const acre_policy_options options = {.kind = kind, .capacity = capacity, .keys = self.keys};
    const size_t bytes = acre_policy_bytes(&options);
    self.memory = get(bytes, 1);
    must(acre_policy_init(&self.policy, &options, self.memory, bytes));
    return self;
}

static void close_cache(cache *self)
{
    free(self->memory);
    free(self->next);
    free(self->places);
    free(self->keys);
}

static inline uint32_t *chain_of(const cache *self, uint64_t key)
{
    return &self->places[key * UINT64_C(0xd6e8feb86659fd93) >> self->shift];
}

/* A slot for a key that is missing; *old is what was in it, if it was in use. */
static inline uint32_t make_room(cache *self, uint64_t key, acre_policy_origin *origin, bool *was_used)
{
    *origin = acre_policy_miss(self->policy, key);
    *was_used = self->used == self->capacity;
    self->miss_count++;
    return *was_used ? acre_policy_evict(self->policy, *origin, NULL, NULL) : self->used++;
}

__attribute__((noinline)) static void replay_numbered(cache *self, const cache_keys *trace)
{
    for (size_t i = 0; i < trace->count; i++) {
        const uint32_t object = trace->objects[i], found = self->places[object];
        acre_policy_origin origin;
        bool was_used;
        if (found != NOWHERE) {
            acre_policy_hit(self->policy, found);
            continue;
        }
        const uint32_t slot = make_room(self, object, &origin, &was_used);
        if (was_used) self->places[self->keys[slot]] = NOWHERE;
        self->keys[slot] = object;
        self->places[object] = slot;
        acre_policy_admit(self->policy, slot, origin);
    }
}

__attribute__((noinline)) static void replay_hashed(cache *self, const uint64_t *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint64_t key = keys[i];
        acre_policy_origin origin;
        bool was_used;
        uint32_t found = *chain_of(self, key);
        while (found != 0 && self->keys[found - 1] != key) found = self->next[found - 1];
        if (found != 0) {
            acre_policy_hit(self->policy, found - 1);
            continue;
        }
        const uint32_t slot = make_room(self, key, &origin, &was_used);
        if (was_used) {
            uint32_t *old = chain_of(self, self->keys[slot]);
            while (*old != slot + 1) old = &self->next[*old - 1];
            *old = self->next[slot];
        }
        uint32_t *const chain = chain_of(self, key);
        self->keys[slot] = key;
        self->next[slot] = *chain;
        *chain = slot + 1;
        acre_policy_admit(self->policy, slot, origin);
    }
}

/* A trace, and the keys of its requests one after the other. */
typedef struct work {
    const char *name;
    cache_keys trace;
    uint64_t *keys;
} work;

/* Nanoseconds a request. */
static double replay(const work *w, acre_policy_kind kind, uint32_t capacity, way how, uint64_t *miss_count)
{
    cache self = open_cache(kind, capacity, w->trace.object_count, how);
    const uint64_t begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    if (how == NUMBERED)
        replay_numbered(&self, &w->trace);
    else
        replay_hashed(&self, w->keys, w->trace.count);
    const double ns = (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin) / (double)w->trace.count;
    *miss_count = self.miss_count;
    close_cache(&self);
    return ns;
}

#ifdef WITH_ROCKSDB
static const char *const peer_names[PEERS_MAX] = {"RocksDB LRUCache", "RocksDB HyperClockCache"};

static double replay_peer(const work *w, unsigned peer, uint32_t capacity, uint64_t *miss_count)
{
    rocks_cache *const peer_cache = rocks_cache_open(peer == 1, capacity);
    if (peer_cache == NULL) abort();
    *miss_count = 0;
    const uint64_t begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    for (size_t i = 0; i < w->trace.count; i++) *miss_count += !rocks_cache_ask(peer_cache, w->keys[i]);
    const double ns = (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin) / (double)w->trace.count;
    rocks_cache_close(peer_cache);
    return ns;
}
#endif

typedef struct settings {
    uint64_t size; /* entries, or percent */
    bool is_percent, is_once;
    way once;
    int policy; /* -1: all */
    unsigned rounds;
} settings;

static uint32_t capacity_for(const work *w, const settings *s)
{
    const uint64_t entries = s->is_percent ? w->trace.object_count * s->size / 100 : s->size;
    return (uint32_t)(entries == 0 ? 1 : entries);
}

static void compare(const work *w, const settings *s)
{
    static double ns[ACRE_POLICY_KIND_COUNT + PEERS_MAX][WAYS][ROUNDS_MAX];
    uint64_t misses[ACRE_POLICY_KIND_COUNT + PEERS_MAX] = {0};
    const uint32_t capacity = capacity_for(w, s);
    unsigned peer_count = 0;
#ifdef WITH_ROCKSDB
    if (s->policy < 0) peer_count = PEERS_MAX;
#endif
    for (unsigned round = 0; round < s->rounds; round++) {
        for (unsigned kind = 0; kind < ACRE_POLICY_KIND_COUNT; kind++) {
            if (s->policy >= 0 && (unsigned)s->policy != kind) continue;
            for (unsigned how = 0; how < WAYS; how++)
                ns[kind][how][round] = replay(w, (acre_policy_kind)kind, capacity, (way)how, &misses[kind]);
        }
#ifdef WITH_ROCKSDB
        for (unsigned peer = 0; peer < peer_count; peer++)
            ns[ACRE_POLICY_KIND_COUNT + peer][HASHED][round] = replay_peer(w, peer, capacity, &misses[ACRE_POLICY_KIND_COUNT + peer]);
#endif
    }
    printf("%s: %zu requests of %u objects, %u entries\n", w->name, w->trace.count, w->trace.object_count, capacity);
    printf("  %-24s %10s %22s %22s\n", "million requests a second", "numbered", "hashed", "misses a request");
    for (unsigned kind = 0; kind < ACRE_POLICY_KIND_COUNT + peer_count; kind++) {
        const bool is_peer = kind >= ACRE_POLICY_KIND_COUNT;
        if (s->policy >= 0 && (unsigned)s->policy != kind) continue;
        const double ratio = (double)misses[kind] / (double)w->trace.count, hashed = 1e3 / median(ns[kind][HASHED], s->rounds);
        if (!is_peer) {
            const double numbered = 1e3 / median(ns[kind][NUMBERED], s->rounds);
            printf("  %-25s %10.1f %22.1f %22.4f\n", acre_policy_name((acre_policy_kind)kind), numbered, hashed, ratio);
        }
#ifdef WITH_ROCKSDB
        if (is_peer) printf("  %-25s %10s %22.1f %22.4f\n", peer_names[kind - ACRE_POLICY_KIND_COUNT], "", hashed, ratio);
#endif
    }
}

static void run(work *w, const settings *s)
{
    w->keys = get(w->trace.count, sizeof *w->keys);
    for (size_t i = 0; i < w->trace.count; i++) w->keys[i] = w->trace.keys[w->trace.objects[i]];
    if (s->is_once) {
        uint64_t miss_count;
        (void)replay(w, s->policy < 0 ? ACRE_POLICY_ADAPTIVE : (acre_policy_kind)s->policy, capacity_for(w, s), s->once, &miss_count);
        printf("%zu requests, %llu misses\n", w->trace.count, (unsigned long long)miss_count);
    } else {
        compare(w, s);
    }
    free(w->keys);
    cache_keys_end(&w->trace);
}

static void read_trace(work *w, const char *path)
{
    cache_input *input = NULL;
    cache_trace_info info;
    const cache_trace_options options = {0};
    const char *const slash = strrchr(path, '/');
    w->name = slash == NULL ? path : slash + 1;
    cache_keys_begin(&w->trace, 1, 0);
    must(cache_input_open(&input, path));
    must(cache_trace_read(input, &options, cache_keys_take, &w->trace, &info));
    cache_input_close(input);
}

/* Half of the requests are skewed, object n * u^3 of n; a quarter goes round a loop of a third as many; a quarter comes once. */
static void make_trace(work *w, uint32_t part)
{
    const uint64_t objects = SYNTHETIC_OBJECTS / part;
    uint64_t random = 88172645463325252u, once = objects;
    w->name = "synthetic";
    cache_keys_begin(&w->trace, 1, 0);
    for (uint64_t i = 0; i < SYNTHETIC_REQUESTS / part; i++) {
        const uint64_t r = next_random(&random), u = r >> 44;
        const uint64_t skewed = (((u * u >> 20) * u >> 20) * (objects / 2)) >> 20;
        const uint64_t key = (r & 2) != 0 ? skewed : (r & 1) != 0 ? objects / 2 + i % (objects / 3) : once++;
        if (!cache_keys_take(&w->trace, key << 12)) abort();
    }
}

static bool take_option(settings *s, const char *name, const char *value)
{
    char *end;
    if (strcmp(name, "--policy") == 0) {
        acre_policy_kind kind;
        must(acre_policy_named(value, &kind));
        s->policy = (int)kind;
        return true;
    }
    if (strcmp(name, "--once") == 0) {
        s->is_once = true;
        s->once = strcmp(value, way_names[HASHED]) == 0 ? HASHED : NUMBERED;
        return strcmp(value, way_names[s->once]) == 0;
    }
    const unsigned long long number = strtoull(value, &end, 10);
    if (end == value) return false;
    if (strcmp(name, "--size") == 0) {
        s->is_percent = *end == '%';
        s->size = number;
        return *end == 0 || strcmp(end, "%") == 0;
    }
    s->rounds = number > ROUNDS_MAX ? ROUNDS_MAX : number == 0 ? 1 : (unsigned)number;
    return strcmp(name, "--rounds") == 0 && *end == 0;
}

int main(int argument_count, char **arguments)
{
    settings s = {.size = 10, .is_percent = true, .policy = -1, .rounds = is_quick() ? 1 : ROUNDS};
    int at = 1;
    for (; at < argument_count && strncmp(arguments[at], "--", 2) == 0; at += 2) {
        if (at + 1 < argument_count && take_option(&s, arguments[at], arguments[at + 1])) continue;
        fprintf(stderr, "usage: replay [--size ENTRIES|PERCENT%%] [--policy NAME] [--rounds N] [--once numbered|hashed] [TRACE...]\n");
        return 2;
    }
    work w;
    if (at == argument_count) {
        make_trace(&w, is_quick() ? QUICK_PART : 1);
        run(&w, &s);
    }
    for (; at < argument_count; at++) {
        read_trace(&w, arguments[at]);
        run(&w, &s);
    }
    return 0;
}
