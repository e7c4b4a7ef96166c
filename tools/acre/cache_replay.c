/* cache_replay.c - see cache_replay.h. The table of a cache here is an array, since objects are numbered: so a replay measures the policy.
 */
#include "cache_replay.h"

#include "command.h"
#include "policy/belady.h"

#include <acre/prefetch.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REQUESTS_A_REPORT = 1 << 16, THREADS_MAX = 256 };

#define NOT_HELD UINT32_MAX

typedef struct replay_team {
    cache_job *jobs;
    size_t count;
    size_t next;            /* the job that is to be taken; atomic */
    uint64_t done_requests; /* atomic */
    size_t done_count;      /* jobs; atomic */
} replay_team;

const char *cache_rule_name(unsigned rule) { return rule == CACHE_RULE_OPT ? "opt" : acre_policy_name((acre_policy_kind)rule); }

bool cache_rule_named(const char *name, unsigned *rule)
{
    acre_policy_kind kind;
    *rule = CACHE_RULE_OPT;
    if (strcmp(name, "opt") == 0 || strcmp(name, "belady") == 0) return true;
    if (acre_policy_named(name, &kind) != ACRE_OK) return false;
    *rule = (unsigned)kind;
    return true;
}

/* What a replay counts. */
typedef struct misses {
    uint64_t count;
    uint32_t *of_objects; /* NULL: not wanted */
} misses;

static void count_miss(misses *counts, uint32_t object)
{
    counts->count++;
    if (counts->of_objects != NULL) counts->of_objects[object]++;
}

static void report(replay_team *team, size_t request)
{
    if (request % REQUESTS_A_REPORT == 0) __atomic_fetch_add(&team->done_requests, REQUESTS_A_REPORT, __ATOMIC_RELAXED);
}

/* A cache that is replayed. Objects have numbers; what is read ahead and is none of them is in a slot without object. */
typedef struct replay {
    acre_policy *policy;
    uint64_t *keys; /* of slots: object, or a number beyond all objects */
    uint32_t *slots;
    bool *are_ahead; /* slots that were read ahead, and not asked for yet */
    uint32_t used, capacity, object_count;
    uint64_t stranger_count;
} replay;

static void bring(replay *self, uint32_t object, bool is_ahead)
{
    const uint64_t key = object != NOT_HELD ? object : ((uint64_t)1 << 32) + self->stranger_count++;
    const acre_policy_origin origin = acre_policy_miss(self->policy, key);
    uint32_t slot = self->used;
    if (self->used < self->capacity) {
        self->used++;
    } else {
        slot = acre_policy_evict(self->policy, origin, NULL, NULL);
        if (self->keys[slot] < self->object_count) self->slots[self->keys[slot]] = NOT_HELD;
    }
    self->keys[slot] = key;
    if (object != NOT_HELD) self->slots[object] = slot;
    if (self->are_ahead != NULL) self->are_ahead[slot] = is_ahead;
    acre_policy_admit(self->policy, slot, origin);
}

static void *open_prefetcher(uint32_t capacity, acre_prefetcher **prefetcher)
{
    enum { OUTSTANDING_MIN = 4, OUTSTANDING_MAX = 4096 }; /* as a buffer pool has it, which reads ahead */
    uint32_t outstanding = capacity / 4;
    if (outstanding < OUTSTANDING_MIN) outstanding = OUTSTANDING_MIN;
    if (outstanding > OUTSTANDING_MAX) outstanding = OUTSTANDING_MAX;
    const uint32_t depth = outstanding / 4 < ACRE_PREFETCH_DEPTH_MAX ? outstanding / 4 : ACRE_PREFETCH_DEPTH_MAX;
    const acre_prefetch_options options = {.outstanding = outstanding, .depth_max = (uint8_t)depth};
    const size_t bytes = acre_prefetch_bytes(&options);
    void *const memory = must_alloc(bytes);
    if (acre_prefetch_init(prefetcher, &options, memory, bytes) != ACRE_OK) abort();
    return memory;
}

/* `object` was missing, or there because it had been read ahead: what comes next is brought. Returns how many objects. */
static uint64_t read_ahead(replay *self, const cache_keys *keys, acre_prefetcher *prefetcher, uint32_t object, bool was_missing)
{
    enum { AHEAD_MAX = 64 };
    uint64_t ahead[AHEAD_MAX], brought = 0;
    const size_t count = acre_prefetch_access(prefetcher, keys->keys[object], 0, was_missing, ahead, AHEAD_MAX);
    for (size_t i = 0; i < count; i++) {
        const uint32_t next = cache_keys_object(keys, ahead[i]);
        if (next != NOT_HELD && self->slots[next] != NOT_HELD) continue;
        bring(self, next, true);
        brought++;
    }
    return brought;
}

static void replay_policy(cache_job *job, misses *counts, replay_team *team)
{
    const uint32_t capacity = job->capacity, object_count = job->keys->object_count;
    replay self = {.keys = must_calloc(capacity, sizeof *self.keys),
                   .slots = must_alloc(((size_t)object_count + 1) * sizeof *self.slots),
                   .are_ahead = job->reads_ahead ? must_calloc(capacity, sizeof *self.are_ahead) : NULL,
                   .capacity = capacity,
                   .object_count = object_count};
    const acre_policy_options options = {.kind = (acre_policy_kind)job->rule, .capacity = capacity, .keys = self.keys};
    const size_t bytes = acre_policy_bytes(&options);
    void *const memory = bytes > 0 ? must_alloc(bytes) : NULL;
    acre_prefetcher *prefetcher = NULL;
    void *const prefetcher_memory = job->reads_ahead ? open_prefetcher(capacity, &prefetcher) : NULL;
    memset(self.slots, 0xff, ((size_t)object_count + 1) * sizeof *self.slots);
    if (bytes == 0 || acre_policy_init(&self.policy, &options, memory, bytes) != ACRE_OK) {
        job->failure = "the policy does not take this capacity";
        goto out;
    }
    for (size_t i = 0; i < job->keys->count; i++) {
        const uint32_t object = job->keys->objects[i], slot = self.slots[object];
        const bool is_missing = slot == NOT_HELD;
        report(team, i);
        if (!is_missing) {
            acre_policy_hit(self.policy, slot);
            if (prefetcher == NULL || !self.are_ahead[slot]) continue;
            self.are_ahead[slot] = false;
        } else {
            count_miss(counts, object);
            bring(&self, object, false);
        }
        if (prefetcher != NULL) job->read_count += read_ahead(&self, job->keys, prefetcher, object, is_missing);
    }
out:
    free(prefetcher_memory);
    free(memory);
    free(self.are_ahead);
    free(self.slots);
    free(self.keys);
}

static void replay_opt(cache_job *job, misses *counts, replay_team *team)
{
    const uint32_t count = (uint32_t)job->keys->count;
    acre_belady belady;
    void *const memory = must_alloc(acre_belady_bytes(count));
    acre_belady_init(&belady, count, job->capacity, memory);
    for (uint32_t i = 0; i < count; i++) {
        report(team, i);
        if (!acre_belady_access(&belady, i, job->next_uses[i])) count_miss(counts, job->keys->objects[i]);
    }
    free(memory);
}

static void run_job(cache_job *job, replay_team *team)
{
    misses counts = {0};
    if (job->counts_squares) counts.of_objects = must_calloc(job->keys->object_count, sizeof *counts.of_objects);
    if (job->rule == CACHE_RULE_OPT)
        replay_opt(job, &counts, team);
    else
        replay_policy(job, &counts, team);
    job->miss_count = counts.count;
    job->read_count += counts.count;
    for (uint32_t i = 0; counts.of_objects != NULL && i < job->keys->object_count; i++)
        job->square_sum += (double)counts.of_objects[i] * counts.of_objects[i];
    free(counts.of_objects);
    __atomic_fetch_add(&team->done_count, 1, __ATOMIC_RELEASE);
}

static void *work(void *context)
{
    replay_team *const team = context;
    for (size_t at; (at = __atomic_fetch_add(&team->next, 1, __ATOMIC_RELAXED)) < team->count;) run_job(&team->jobs[at], team);
    return NULL;
}

static void watch(replay_team *team, cache_progress *progress, void *context)
{
    const struct timespec tenth = {.tv_nsec = 100000000};
    double all = 1;
    for (size_t i = 0; i < team->count; i++) all += (double)team->jobs[i].keys->count + 1;
    while (__atomic_load_n(&team->done_count, __ATOMIC_ACQUIRE) < team->count) {
        const size_t next = __atomic_load_n(&team->next, __ATOMIC_RELAXED);
        const double share = (double)__atomic_load_n(&team->done_requests, __ATOMIC_RELAXED) / all;
        (void)nanosleep(&tenth, NULL);
        progress(context, share < 1 ? share : 1, &team->jobs[next < team->count ? next : team->count - 1]);
    }
}

void cache_replay(cache_job *jobs, size_t count, unsigned thread_count, cache_progress *progress, void *context)
{
    replay_team team = {.jobs = jobs, .count = count};
    pthread_t threads[THREADS_MAX];
    unsigned started = 0;
    if (thread_count > THREADS_MAX) thread_count = THREADS_MAX;
    while (started < thread_count && started < count && pthread_create(&threads[started], NULL, work, &team) == 0) started++;
    if (started == 0)
        (void)work(&team);
    else if (progress != NULL)
        watch(&team, progress, context);
    for (unsigned i = 0; i < started; i++) (void)pthread_join(threads[i], NULL);
}

uint32_t *cache_next_uses(const cache_keys *keys)
{
    uint32_t *const next = must_alloc((keys->count + 1) * sizeof *next);
    uint32_t *const last = must_alloc(((size_t)keys->object_count + 1) * sizeof *last);
    acre_belady_next_uses(next, keys->objects, (uint32_t)keys->count, last, keys->object_count);
    free(last);
    return next;
}
