/* query_cache.c - see acre/query_cache.h.
 *
 * A word of versions has the epoch of its last change above the number of writers that are at it. Epochs come from one counter: a writer
 * takes the next one behind its change. A turn has the epoch at which it began; its value may be kept if no word of its objects has a later
 * one, and whoever changes an object after that makes the word another one than the entry has. So a value that is found to be current was
 * read behind every change whose invalidate has returned.
 *
 * An entry lies in the line of its hash. One without a value is a place for turns and waiters. Entries are never changed but for the fields
 * behind `hash`, under the shard's lock: a new value is a new entry. `pins` are answers, turns and waiters, and keep an entry's memory when
 * it is out of the index (`DETACHED`); whoever takes the last pin away frees it. The policy knows the entries with a value, by their slots.
 */
#include <acre/budget.h>
#include <acre/query_cache.h>

#include "base/bits.h"
#include "base/status.h"
#include "os/os.h"

#include <stdlib.h>
#include <string.h>

enum {
    SHARDS_DEFAULT = 16,
    VERSIONS_DEFAULT = 65536,
    BYTES_AN_ENTRY = 512,
    SHARD_BYTES_MIN = 4096,
    SHARD_ENTRIES_MAX = 1 << 20,
    WRITER_BITS = 16,
    CREDIT_MAX = 3,
    OFFERS_IN_MEAN = 64,
    REQUESTS_A_PASS = 1024, /* that the curve does not want are counted in lots */
    CURVE_SHARE = 100,
    WORTH_UNIT = 1024, /* costs are compared for so many bytes */
    EVICTIONS_A_RESIZE = 256,
    EVICT_ATTEMPTS = 4, /* each of which lowers the credit of 64 entries */
    LINE_BYTES = 64,
    PREFETCHED_BYTES = 320,
    WORDS_A_LINE = 8,
    TAG_SHIFT = 48,
};

#define DETACHED        0x80000000u
#define FILL_NS_DEFAULT UINT64_C(10000000000)
#define WRITERS         (((uint64_t)1 << WRITER_BITS) - 1)

typedef struct dependency {
    uint64_t version; /* the word as it was */
    uint32_t word;
    uint32_t unused;
} dependency;

/* What a hit needs stands in the first 64 bytes. */
typedef struct entry {
    struct entry *next; /* of the same word of the index */
    uint64_t hash;
    uint64_t expires_ns;    /* 0: never */
    uint64_t fill_until_ns; /* whose turn it is has it until then; 0: nobody's */
    uint32_t statement_bytes, parameter_bytes, value_bytes;
    uint32_t slot; /* ACRE_POLICY_NO_SLOT: no value */
    uint32_t pins; /* atomic */
    uint16_t object_count;
    uint8_t credit, credit_max;
    uint64_t bytes;
    uint64_t stale_since_ns; /* 0: nobody has found that it is old */
    uint64_t serial;         /* of the last turn */
    uint32_t wake;           /* changes when a turn ends: what waiters sleep on */
    uint32_t waiter_count;
    uint64_t unused;
} entry; /* then: dependencies, the value, the statement, the parameters */

/* A word has 16 bits of an entry's hash above its address, so that others are passed over without being looked at. Where a line is full, a
 * word has a list of entries, and 0 in the place of these bits. */
typedef struct index_line {
    uint64_t words[WORDS_A_LINE];
} index_line;

typedef struct __attribute__((aligned(128))) shard {
    acre_lock lock;
    uint32_t line_mask;
    index_line *lines; /* aligned to 64 */
    entry **entries;   /* [slot] */
    uint64_t *keys;    /* [slot]: hashes, for the policy */
    uint32_t *free_slots;
    uint32_t free_count, slot_count;
    acre_policy *policy;
    acre_policy_hits hits; /* that the policy has not heard of */
    void *policy_memory, *line_memory;
    uint64_t bytes; /* atomic: entries are freed without the lock */
    uint64_t bytes_max;
    uint64_t mean_worth;
    uint64_t serial;
    uint64_t request_count;             /* lookups */
    uint64_t offer_count, offered_cost; /* results that said what they cost, and the sum of that */
    acre_query_figures figures;
} shard;

struct acre_query_cache {
    uint64_t epoch; /* writers change it, and nobody reads the rest because of that */
    unsigned char gap[120];
    acre_query_cache_options options;
    uint64_t *versions;
    uint32_t version_mask;
    uint32_t shard_bits;
    shard *shards;
    void *raw;         /* as it was allocated */
    acre_curve *curve; /* NULL: none. Its lock is taken inside that of a shard */
    void *curve_memory;
    acre_lock curve_lock;
    uint64_t told_count, told_offers, told_cost; /* sums of the shards at the last acre_query_cache_read_costs */
};

/* --- hashes and versions --- */

static uint64_t mixed(uint64_t value)
{
    value = (value ^ value >> 32) * UINT64_C(0xd6e8feb86659fd93);
    value = (value ^ value >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return value ^ value >> 32;
}

static uint64_t hash_of_bytes(uint64_t hash, const void *data, size_t length)
{
    const unsigned char *at = data;
    uint64_t word;
    for (; length >= sizeof word; at += sizeof word, length -= sizeof word) {
        memcpy(&word, at, sizeof word);
        hash = (hash ^ word) * UINT64_C(0x9fb21c651e98df25);
        hash ^= hash >> 32;
    }
    word = length;
    for (size_t i = 0; i < length; i++) word = word << 8 | at[i];
    return mixed(hash ^ word);
}

static uint64_t hash_of(const acre_query *query)
{
    const uint64_t hash = hash_of_bytes(query->statement_bytes, query->statement, query->statement_bytes);
    return query->parameter_bytes == 0 ? hash : hash_of_bytes(hash, query->parameters, query->parameter_bytes);
}

static uint32_t word_of(const acre_query_cache *cache, uint64_t object) { return (uint32_t)mixed(object) & cache->version_mask; }

static void change(acre_query_cache *cache, uint64_t object, bool is_end)
{
    const uint64_t epoch = __atomic_add_fetch(&cache->epoch, 1, __ATOMIC_ACQ_REL);
    uint64_t *const word = &cache->versions[word_of(cache, object)];
    uint64_t seen = __atomic_load_n(word, __ATOMIC_RELAXED), next;
    do {
        const uint64_t writers = (seen & WRITERS) - (is_end && (seen & WRITERS) > 0);
        const uint64_t last = seen >> WRITER_BITS;
        next = (last > epoch ? last : epoch) << WRITER_BITS | writers;
    } while (!__atomic_compare_exchange_n(word, &seen, next, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
}

void acre_query_cache_invalidate(acre_query_cache *cache, uint64_t object)
{
    if (cache != NULL) change(cache, object, false);
}

void acre_query_cache_begin_write(acre_query_cache *cache, uint64_t object)
{
    if (cache != NULL) __atomic_fetch_add(&cache->versions[word_of(cache, object)], 1, __ATOMIC_ACQ_REL);
}

void acre_query_cache_end_write(acre_query_cache *cache, uint64_t object)
{
    if (cache != NULL) change(cache, object, true);
}

/* --- entries --- */

static dependency *dependencies_of(entry *self) { return (dependency *)(void *)(self + 1); }
static unsigned char *value_of(entry *self) { return (unsigned char *)(dependencies_of(self) + self->object_count); }
static unsigned char *key_of(entry *self) { return value_of(self) + self->value_bytes; }

static bool has_value(const entry *self) { return self->slot != ACRE_POLICY_NO_SLOT; }

/* Nothing that it was made from has changed. */
static bool is_current(const acre_query_cache *cache, entry *self)
{
    const dependency *const dependencies = dependencies_of(self);
    for (uint32_t i = 0; i < self->object_count; i++)
        if (__atomic_load_n(&cache->versions[dependencies[i].word], __ATOMIC_ACQUIRE) != dependencies[i].version) return false;
    return true;
}

static bool is_filling(const entry *self, uint64_t now_ns) { return self->fill_until_ns != 0 && now_ns < self->fill_until_ns; }

/* NULL: no memory. Out of every list; dependencies have no versions yet. */
static entry *make_entry(const acre_query_cache *cache, const void *statement, size_t statement_bytes, const void *parameters,
                         size_t parameter_bytes, const acre_query_result *result)
{
    const size_t object_count = result != NULL ? result->object_count : 0, value_bytes = result != NULL ? result->value_bytes : 0;
    const size_t bytes = sizeof(entry) + object_count * sizeof(dependency) + value_bytes + statement_bytes + parameter_bytes;
    entry *const self = cache->options.allocate(cache->options.context, bytes);
    if (self == NULL) return NULL;
    if ((uint64_t)(uintptr_t)self >> TAG_SHIFT != 0) { /* the index has no room for such an address */
        cache->options.deallocate(cache->options.context, self);
        return NULL;
    }
    *self = (entry){.bytes = bytes,
                    .statement_bytes = (uint32_t)statement_bytes,
                    .parameter_bytes = (uint32_t)parameter_bytes,
                    .value_bytes = (uint32_t)value_bytes,
                    .slot = ACRE_POLICY_NO_SLOT,
                    .object_count = (uint16_t)object_count};
    for (size_t i = 0; i < object_count; i++) dependencies_of(self)[i] = (dependency){.word = word_of(cache, result->objects[i])};
    if (value_bytes > 0) memcpy(value_of(self), result->value, value_bytes);
    memcpy(key_of(self), statement, statement_bytes);
    if (parameter_bytes > 0) memcpy(key_of(self) + statement_bytes, parameters, parameter_bytes);
    return self;
}

static void free_entry(acre_query_cache *cache, shard *in, entry *self)
{
    __atomic_fetch_sub(&in->bytes, self->bytes, __ATOMIC_RELAXED);
    cache->options.deallocate(cache->options.context, self);
}

static void pin(entry *self) { __atomic_fetch_add(&self->pins, 1, __ATOMIC_RELAXED); }

static void unpin(acre_query_cache *cache, shard *in, entry *self)
{
    if (__atomic_sub_fetch(&self->pins, 1, __ATOMIC_ACQ_REL) == DETACHED) free_entry(cache, in, self);
}

/* --- a shard, under its lock --- */

static uint64_t tag_of(uint64_t hash) { return (hash >> TAG_SHIFT & 0xffff) == 0 ? 1 : hash >> TAG_SHIFT & 0xffff; }
static entry *entry_at(uint64_t word) { return (entry *)(uintptr_t)(word & (((uint64_t)1 << TAG_SHIFT) - 1)); }
static index_line *line_of(const shard *in, uint64_t hash) { return &in->lines[hash & in->line_mask]; }

static bool is_the_one(entry *self, const acre_query *query, uint64_t hash)
{
    /* All of it is needed if it is; then these come at the same time. */
    for (size_t at = LINE_BYTES; at < PREFETCHED_BYTES; at += LINE_BYTES) __builtin_prefetch((const char *)self + at);
    if (self->hash != hash || self->statement_bytes != query->statement_bytes || self->parameter_bytes != query->parameter_bytes)
        return false;
    const unsigned char *const key = key_of(self);
    if (memcmp(key, query->statement, query->statement_bytes) != 0) return false;
    return query->parameter_bytes == 0 || memcmp(key + query->statement_bytes, query->parameters, query->parameter_bytes) == 0;
}

/* NULL: it is not there. */
static entry *find(const shard *in, const acre_query *query, uint64_t hash)
{
    const index_line *const line = line_of(in, hash);
    const uint64_t tag = tag_of(hash);
    for (unsigned i = 0; i < WORDS_A_LINE; i++) {
        const uint64_t word = line->words[i], its_tag = word >> TAG_SHIFT;
        if (word == 0 || (its_tag != tag && its_tag != 0)) continue;
        for (entry *self = entry_at(word); self != NULL; self = self->next)
            if (is_the_one(self, query, hash)) return self;
    }
    return NULL;
}

static uint64_t word_for(entry *first)
{
    if (first == NULL) return 0;
    return (first->next == NULL ? tag_of(first->hash) << TAG_SHIFT : 0) | (uint64_t)(uintptr_t)first;
}

static void link_entry(shard *in, entry *self, uint64_t hash)
{
    index_line *const line = line_of(in, hash);
    unsigned at = 0;
    while (at < WORDS_A_LINE && line->words[at] != 0) at++;
    if (at == WORDS_A_LINE) at = (unsigned)(hash >> 32) % WORDS_A_LINE;
    self->hash = hash;
    self->next = entry_at(line->words[at]);
    line->words[at] = word_for(self);
    __atomic_fetch_add(&in->bytes, self->bytes, __ATOMIC_RELAXED);
}

static void unlink_entry(shard *in, entry *self)
{
    index_line *const line = line_of(in, self->hash);
    for (unsigned i = 0; i < WORDS_A_LINE; i++) {
        const uint64_t tag = line->words[i] >> TAG_SHIFT;
        if (line->words[i] == 0 || (tag != 0 && entry_at(line->words[i]) != self)) continue;
        entry *first = entry_at(line->words[i]), **place = &first;
        while (*place != NULL && *place != self) place = &(*place)->next;
        if (*place == NULL) continue;
        *place = self->next;
        line->words[i] = word_for(first);
        return;
    }
    assert(false); /* it was linked */
}

/* Out of the index; freed when nobody has it. */
static void detach(acre_query_cache *cache, shard *in, entry *self)
{
    unlink_entry(in, self);
    if (__atomic_fetch_or(&self->pins, DETACHED, __ATOMIC_ACQ_REL) == 0) free_entry(cache, in, self);
}

static void give_slot(shard *in, entry *self, uint32_t slot)
{
    self->slot = slot;
    in->entries[slot] = self;
    in->keys[slot] = self->hash;
}

typedef struct looker {
    acre_query_cache *cache;
    shard *in;
} looker;

static acre_verdict look(void *context, acre_policy_slot slot)
{
    const looker *const self = context;
    entry *const seen = self->in->entries[slot];
    if (__atomic_load_n(&seen->pins, __ATOMIC_ACQUIRE) != 0) return ACRE_KEEP;
    if (seen->credit == 0 || !is_current(self->cache, seen)) return ACRE_EVICT;
    seen->credit--;
    return ACRE_KEEP;
}

/* Takes one entry out. False: all that were looked at are in use. */
static bool evict(acre_query_cache *cache, shard *in, acre_policy_origin origin)
{
    looker context = {cache, in};
    acre_policy_slot slot = ACRE_POLICY_NO_SLOT;
    for (int i = 0; i < EVICT_ATTEMPTS && slot == ACRE_POLICY_NO_SLOT; i++) slot = acre_policy_evict(in->policy, origin, look, &context);
    if (slot == ACRE_POLICY_NO_SLOT) return false;
    entry *const gone = in->entries[slot];
    gone->slot = ACRE_POLICY_NO_SLOT;
    in->entries[slot] = NULL;
    in->free_slots[in->free_count++] = slot;
    detach(cache, in, gone);
    if (in->figures.evictions++ % EVICTIONS_A_RESIZE != 0) return true;
    /* What the policy takes for its size is how many entries the budget has room for. */
    const uint32_t used = in->slot_count - in->free_count, wanted = used + used / 8 + 8;
    (void)acre_policy_resize(in->policy, wanted < in->slot_count ? wanted : in->slot_count);
    return true;
}

static uint64_t bytes_in(const shard *in) { return __atomic_load_n(&in->bytes, __ATOMIC_RELAXED); }

/* What it costs to make so many bytes of it again. */
static uint64_t worth_of(const shard *in, const entry *self, uint64_t cost_ns)
{
    if (cost_ns == 0) return in->mean_worth;
    const uint64_t cost = cost_ns < UINT64_MAX / WORTH_UNIT ? cost_ns : UINT64_MAX / WORTH_UNIT;
    return cost * WORTH_UNIT / self->bytes;
}

static uint8_t credit_of(uint64_t worth, uint64_t mean)
{
    uint8_t credit = 0;
    while (credit < CREDIT_MAX && mean > 0 && worth / 2 >> credit >= mean) credit++;
    return credit;
}

/* Room for a newcomer, or false. */
static bool make_room(acre_query_cache *cache, shard *in, const entry *newcomer, uint64_t worth, acre_policy_origin origin)
{
    const bool is_full = in->free_count == 0 || bytes_in(in) + newcomer->bytes > in->bytes_max;
    if (newcomer->bytes > in->bytes_max / 4) return false;
    if (is_full && origin == 0 && worth < in->mean_worth / 8) return false;
    while (in->free_count == 0 || bytes_in(in) + newcomer->bytes > in->bytes_max)
        if (!evict(cache, in, origin)) return false;
    return true;
}

/* `newcomer` in the place of `old`, which may have a value. */
static acre_status take_in(acre_query_cache *cache, shard *in, entry *old, entry *newcomer, const acre_query_result *result,
                           uint64_t now_ns)
{
    const uint64_t worth = worth_of(in, newcomer, result->cost_ns);
    const bool is_renewed = has_value(old);
    uint32_t slot = old->slot;
    acre_policy_origin origin = 0;
    acre_policy_deliver(in->policy, &in->hits);
    in->offer_count += result->cost_ns != 0;
    in->offered_cost += result->cost_ns;
    if (in->mean_worth == 0) in->mean_worth = worth;
    in->mean_worth = in->mean_worth - in->mean_worth / OFFERS_IN_MEAN + worth / OFFERS_IN_MEAN; /* of all that is offered */
    if (is_renewed) {
        if (newcomer->bytes > in->bytes_max / 4) return ACRE_DENIED;
        acre_policy_hit(in->policy, slot);
    } else {
        origin = acre_policy_miss(in->policy, old->hash);
        if (!make_room(cache, in, newcomer, worth, origin)) return ACRE_DENIED;
        slot = in->free_slots[--in->free_count];
    }
    newcomer->credit = newcomer->credit_max = credit_of(worth, in->mean_worth);
    newcomer->expires_ns = result->ttl_ns == 0 ? 0 : result->ttl_ns < UINT64_MAX - now_ns ? now_ns + result->ttl_ns : UINT64_MAX;
    link_entry(in, newcomer, old->hash);
    give_slot(in, newcomer, slot);
    if (!is_renewed) acre_policy_admit(in->policy, slot, origin);
    old->slot = ACRE_POLICY_NO_SLOT;
    while (is_renewed && bytes_in(in) - old->bytes > in->bytes_max && evict(cache, in, 0)) continue;
    return ACRE_OK;
}

/* --- looking up --- */

/* Under the shard's lock. */
static void note_request(acre_query_cache *cache, shard *in, uint64_t hash)
{
    const bool is_lot = ++in->request_count % REQUESTS_A_PASS == 0;
    if (cache->curve == NULL) return;
    const bool is_wanted = acre_curve_wants(cache->curve, hash);
    if (!is_wanted && !is_lot) return;
    acre_lock_take(&cache->curve_lock);
    if (is_lot) acre_curve_pass(cache->curve, REQUESTS_A_PASS); /* with those that were wanted, few as they are */
    if (is_wanted && acre_curve_wants(cache->curve, hash)) acre_curve_take(cache->curve, hash);
    acre_lock_drop(&cache->curve_lock);
}

static shard *shard_of(const acre_query_cache *cache, uint64_t hash, uint32_t *number)
{
    *number = cache->shard_bits == 0 ? 0 : (uint32_t)(hash >> (64 - cache->shard_bits));
    return &cache->shards[*number];
}

static void begin_turn(acre_query_cache *cache, shard *in, entry *self, uint64_t now_ns, acre_query_answer *answer)
{
    const uint64_t longest = cache->options.fill_ns_max;
    self->fill_until_ns = longest < UINT64_MAX - now_ns ? now_ns + longest : UINT64_MAX;
    self->serial = ++in->serial;
    pin(self);
    answer->has_turn = true;
    answer->turn = self;
    answer->serial = self->serial;
    answer->epoch = __atomic_load_n(&cache->epoch, __ATOMIC_ACQUIRE);
}

static void give(entry *self, acre_query_outcome outcome, acre_query_answer *answer)
{
    pin(self);
    answer->outcome = outcome;
    answer->entry = self;
    answer->value = value_of(self);
    answer->value_bytes = self->value_bytes;
}

static void note_hit(shard *in, const entry *self)
{
    if (acre_policy_note(in->policy, self->slot, &in->hits)) acre_policy_deliver(in->policy, &in->hits);
}

/* A value that is there: HIT, or STALE if that is wanted. False: it can't be given. */
static bool give_value(acre_query_cache *cache, shard *in, entry *self, uint64_t now_ns, uint64_t stale_ns, acre_query_answer *answer)
{
    const bool is_expired = self->expires_ns != 0 && now_ns >= self->expires_ns;
    __builtin_prefetch(in->policy->hits + self->slot); /* taking a pin lets nothing be read before it is taken */
    if (!is_expired && is_current(cache, self)) {
        give(self, ACRE_QUERY_HIT, answer);
        self->credit = self->credit_max;
        note_hit(in, self);
        in->figures.hits++;
        return true;
    }
    in->figures.outdated++;
    if (self->stale_since_ns == 0) self->stale_since_ns = is_expired ? self->expires_ns : now_ns == 0 ? 1 : now_ns;
    if (stale_ns == 0 || (now_ns > self->stale_since_ns && now_ns - self->stale_since_ns > stale_ns)) return false;
    give(self, ACRE_QUERY_STALE, answer);
    if (!is_filling(self, now_ns)) begin_turn(cache, in, self, now_ns, answer);
    note_hit(in, self);
    in->figures.stale_hits++;
    return true;
}

/* Waits for the end of a turn, at most until `until_ns` of the machine's clock. The lock is dropped meanwhile. False: that was too long. */
static bool wait_for_turn(acre_query_cache *cache, shard *in, entry *self, uint64_t until_ns)
{
    const uint64_t here_ns = acre_os_now_ns();
    if (here_ns >= until_ns) return false;
    const uint32_t seen = __atomic_load_n(&self->wake, __ATOMIC_RELAXED);
    pin(self);
    self->waiter_count++;
    acre_lock_drop(&in->lock);
    acre_os_wait(&self->wake, seen, until_ns - here_ns);
    acre_lock_take(&in->lock);
    self->waiter_count--;
    unpin(cache, in, self);
    return true;
}

/* A place for a key that is not there. NULL: no memory. */
static entry *make_place(acre_query_cache *cache, shard *in, const acre_query *query, uint64_t hash)
{
    entry *const self = make_entry(cache, query->statement, query->statement_bytes, query->parameters, query->parameter_bytes, NULL);
    if (self != NULL) link_entry(in, self, hash);
    return self;
}

acre_status acre_query_cache_get(acre_query_cache *cache, const acre_query *query, uint64_t now_ns, const acre_query_wishes *wishes,
                                 acre_query_answer *answer)
{
    static const acre_query_wishes none = {0};
    if (answer != NULL) *answer = (acre_query_answer){.outcome = ACRE_QUERY_MISS};
    if (cache == NULL || query == NULL || answer == NULL) return acre_fail(ACRE_INVALID, "query cache: a NULL");
    if (query->statement == NULL || query->statement_bytes == 0 || (query->parameters == NULL && query->parameter_bytes > 0) ||
        query->statement_bytes > ACRE_QUERY_KEY_BYTES_MAX || query->parameter_bytes > ACRE_QUERY_KEY_BYTES_MAX - query->statement_bytes)
        return acre_fail(ACRE_INVALID, "query cache: a statement of %zu bytes with parameters of %zu is not from 1 to %zu",
                         query->statement_bytes, query->parameter_bytes, ACRE_QUERY_KEY_BYTES_MAX);
    if (wishes == NULL) wishes = &none;

    const uint64_t hash = hash_of(query);
    shard *const in = shard_of(cache, hash, &answer->shard);
    uint64_t wait_until_ns = 0;
    __builtin_prefetch(line_of(in, hash)); /* the lock lets nothing be read before it is taken */
    acre_lock_take(&in->lock);
    note_request(cache, in, hash);
    for (;;) {
        entry *self = find(in, query, hash);
        if (self != NULL && has_value(self) && give_value(cache, in, self, now_ns, wishes->stale_ns, answer)) break;
        if (self == NULL || !is_filling(self, now_ns)) {
            if (self == NULL) self = make_place(cache, in, query, hash);
            if (self != NULL) begin_turn(cache, in, self, now_ns, answer);
            in->figures.misses++;
            break;
        }
        if (wishes->wait_ns > 0 && wait_until_ns == 0) {
            const uint64_t here_ns = acre_os_now_ns();
            wait_until_ns = wishes->wait_ns < UINT64_MAX - here_ns ? here_ns + wishes->wait_ns : UINT64_MAX;
        }
        if (wait_until_ns != 0 && wait_for_turn(cache, in, self, wait_until_ns)) continue;
        answer->outcome = ACRE_QUERY_BUSY;
        in->figures.busy++;
        break;
    }
    acre_lock_drop(&in->lock);
    return ACRE_OK;
}

void acre_query_cache_release(acre_query_cache *cache, acre_query_answer *answer)
{
    if (cache == NULL || answer == NULL || answer->entry == NULL) return;
    unpin(cache, &cache->shards[answer->shard], answer->entry);
    answer->entry = NULL;
    answer->value = NULL;
}

/* --- filling in --- */

/* Nothing has changed since the turn began. Gives the dependencies their versions. */
static bool is_as_at_the_beginning(const acre_query_cache *cache, entry *newcomer, uint64_t epoch)
{
    dependency *const dependencies = dependencies_of(newcomer);
    for (uint32_t i = 0; i < newcomer->object_count; i++) {
        const uint64_t word = __atomic_load_n(&cache->versions[dependencies[i].word], __ATOMIC_ACQUIRE);
        if ((word & WRITERS) != 0 || word >> WRITER_BITS > epoch) return false;
        dependencies[i].version = word;
    }
    return true;
}

/* Ends a turn, with a newcomer or without. */
static acre_status end_turn(acre_query_cache *cache, acre_query_answer *answer, entry *newcomer, const acre_query_result *result,
                            uint64_t now_ns)
{
    shard *const in = &cache->shards[answer->shard];
    entry *const self = answer->turn;
    acre_status status = newcomer == NULL ? ACRE_NO_MEMORY : ACRE_OK;
    acre_lock_take(&in->lock);
    const bool is_ours = self->serial == answer->serial && self->fill_until_ns != 0;
    if (!is_ours) {
        status = ACRE_BUSY;
    } else {
        self->fill_until_ns = 0;
        __atomic_fetch_add(&self->wake, 1, __ATOMIC_RELAXED);
        for (uint32_t i = 0; i < self->waiter_count; i++) acre_os_wake(&self->wake); /* one each */
        if (status == ACRE_OK && !is_as_at_the_beginning(cache, newcomer, answer->epoch)) status = ACRE_MOVED;
        if (status == ACRE_OK) status = take_in(cache, in, self, newcomer, result, now_ns);
        in->figures.fills += status == ACRE_OK;
        in->figures.refused_changed += status == ACRE_MOVED;
        in->figures.refused_policy += status == ACRE_DENIED;
        if (!has_value(self)) detach(cache, in, self); /* replaced, or a place that nobody needs */
    }
    acre_lock_drop(&in->lock);
    unpin(cache, in, self);
    answer->turn = NULL;
    answer->has_turn = false;
    return status;
}

void acre_query_cache_abandon(acre_query_cache *cache, acre_query_answer *answer)
{
    if (cache != NULL && answer != NULL && answer->turn != NULL) (void)end_turn(cache, answer, NULL, NULL, 0);
}

acre_status acre_query_cache_fill(acre_query_cache *cache, acre_query_answer *answer, const acre_query_result *result, uint64_t now_ns)
{
    if (cache == NULL || answer == NULL || answer->turn == NULL) return acre_fail(ACRE_INVALID, "query cache: a NULL, or no turn");
    if (result == NULL || result->object_count > ACRE_QUERY_OBJECTS_MAX || (result->objects == NULL && result->object_count > 0) ||
        result->value_bytes > ACRE_QUERY_VALUE_BYTES_MAX || (result->value == NULL && result->value_bytes > 0)) {
        acre_query_cache_abandon(cache, answer);
        return acre_fail(ACRE_INVALID, "query cache: a result that is NULL, of more than %zu bytes or of more than %u objects",
                         ACRE_QUERY_VALUE_BYTES_MAX, ACRE_QUERY_OBJECTS_MAX);
    }
    entry *const place = answer->turn;
    const unsigned char *const key = key_of(place);
    entry *const newcomer = make_entry(cache, key, place->statement_bytes, key + place->statement_bytes, place->parameter_bytes, result);
    const acre_status status = end_turn(cache, answer, newcomer, result, now_ns);
    if (status != ACRE_OK && newcomer != NULL) cache->options.deallocate(cache->options.context, newcomer);
    if (status == ACRE_NO_MEMORY) return acre_fail(ACRE_NO_MEMORY, "query cache: no memory for a value of %zu bytes", result->value_bytes);
    return status;
}

/* --- opening and closing --- */

static void *allocate_with_malloc(void *context, size_t bytes) { return malloc(bytes); }
static void deallocate_with_free(void *context, void *memory) { free(memory); }

static void *get_zeroed(const acre_query_cache_options *options, size_t bytes)
{
    void *const memory = options->allocate(options->context, bytes);
    if (memory != NULL) memset(memory, 0, bytes);
    return memory;
}

static void give_back(const acre_query_cache_options *options, void *memory)
{
    if (memory != NULL) options->deallocate(options->context, memory);
}

static acre_status set_defaults(acre_query_cache_options *options)
{
    if (options->shard_count == 0) options->shard_count = SHARDS_DEFAULT;
    if (options->version_count == 0) options->version_count = VERSIONS_DEFAULT;
    if (options->fill_ns_max == 0) options->fill_ns_max = FILL_NS_DEFAULT;
    if (options->allocate == NULL) {
        options->allocate = allocate_with_malloc;
        options->deallocate = deallocate_with_free;
    }
    if (!acre_is_power_of_two(options->shard_count) || options->shard_count > ACRE_QUERY_SHARDS_MAX)
        return acre_fail(ACRE_INVALID, "query cache: %u shards are no power of two up to %u", options->shard_count, ACRE_QUERY_SHARDS_MAX);
    if (!acre_is_power_of_two(options->version_count))
        return acre_fail(ACRE_INVALID, "query cache: %u versions are no power of two", options->version_count);
    if (options->bytes_max < (uint64_t)SHARD_BYTES_MIN * options->shard_count)
        return acre_fail(ACRE_INVALID, "query cache: %llu bytes are less than %d for each of %u shards",
                         (unsigned long long)options->bytes_max, SHARD_BYTES_MIN, options->shard_count);
    const uint64_t entries_max = (uint64_t)SHARD_ENTRIES_MAX * options->shard_count, by_bytes = options->bytes_max / BYTES_AN_ENTRY;
    if (options->entries_max == 0) options->entries_max = (uint32_t)(by_bytes < entries_max ? by_bytes : entries_max);
    if (options->entries_max > entries_max || options->entries_max < options->shard_count)
        return acre_fail(ACRE_INVALID, "query cache: %u entries are not from 1 to %d for each of %u shards", options->entries_max,
                         SHARD_ENTRIES_MAX, options->shard_count);
    return ACRE_OK;
}

static acre_status open_shard(const acre_query_cache_options *options, shard *in)
{
    in->slot_count = options->entries_max / options->shard_count;
    /* From half to three quarters of the words are in use when all slots are. */
    const uint32_t line_count = (uint32_t)1 << acre_log2_ceil(((uint64_t)in->slot_count * 4 / 3 + WORDS_A_LINE) / WORDS_A_LINE);
    in->line_mask = line_count - 1;
    in->bytes_max = options->bytes_max / options->shard_count;
    in->line_memory = get_zeroed(options, (line_count + 1) * sizeof *in->lines);
    in->lines = (index_line *)(uintptr_t)acre_align_up((uintptr_t)in->line_memory, sizeof *in->lines);
    in->entries = get_zeroed(options, in->slot_count * sizeof *in->entries);
    in->keys = get_zeroed(options, in->slot_count * sizeof *in->keys);
    in->free_slots = get_zeroed(options, in->slot_count * sizeof *in->free_slots);
    if (in->line_memory == NULL || in->entries == NULL || in->keys == NULL || in->free_slots == NULL)
        return acre_fail(ACRE_NO_MEMORY, "query cache: no memory for a shard of %u entries", in->slot_count);
    const acre_policy_options policy_options = {.kind = options->policy, .capacity = in->slot_count, .keys = in->keys};
    const size_t policy_bytes = acre_policy_bytes(&policy_options);
    if (policy_bytes == 0)
        return acre_fail(ACRE_INVALID, "query cache: there is no policy %d of %u entries", (int)options->policy, in->slot_count);
    in->policy_memory = get_zeroed(options, policy_bytes);
    if (in->policy_memory == NULL) return acre_fail(ACRE_NO_MEMORY, "query cache: no memory for a policy of %u entries", in->slot_count);
    for (uint32_t i = 0; i < in->slot_count; i++) in->free_slots[in->free_count++] = in->slot_count - 1 - i;
    return acre_policy_init(&in->policy, &policy_options, in->policy_memory, policy_bytes);
}

static acre_status open_curve(acre_query_cache *cache)
{
    const acre_curve_options options = {.keys_max = cache->options.curve_keys_max, .share = CURVE_SHARE};
    const size_t bytes = acre_curve_bytes(&options);
    if (bytes == 0) return acre_fail(ACRE_INVALID, "query cache: there is no curve of %u keys", options.keys_max);
    cache->curve_memory = get_zeroed(&cache->options, bytes);
    if (cache->curve_memory == NULL) return acre_fail(ACRE_NO_MEMORY, "query cache: no memory for a curve of %u keys", options.keys_max);
    return acre_curve_init(&cache->curve, &options, cache->curve_memory, bytes);
}

static void close_shard(acre_query_cache *cache, shard *in)
{
    for (uint32_t i = 0; in->line_memory != NULL && i <= in->line_mask; i++) {
        for (unsigned k = 0; k < WORDS_A_LINE; k++) {
            while (in->lines[i].words[k] != 0) {
                entry *const self = entry_at(in->lines[i].words[k]);
                assert(self->pins == 0);
                detach(cache, in, self);
            }
        }
    }
    assert(in->bytes == 0);
    give_back(&cache->options, in->line_memory);
    give_back(&cache->options, in->entries);
    give_back(&cache->options, in->keys);
    give_back(&cache->options, in->free_slots);
    give_back(&cache->options, in->policy_memory);
}

acre_status acre_query_cache_open(acre_query_cache **cache, const acre_query_cache_options *options)
{
    if (cache == NULL || options == NULL) return acre_fail(ACRE_INVALID, "query cache: a NULL");
    acre_query_cache_options with = *options;
    acre_status status = set_defaults(&with);
    if (status != ACRE_OK) return status;
    const size_t head_bytes = (size_t)acre_align_up(sizeof(acre_query_cache), 128), bytes = head_bytes + with.shard_count * sizeof(shard);
    void *const raw = get_zeroed(&with, bytes + 128);
    if (raw == NULL) return acre_fail(ACRE_NO_MEMORY, "query cache: no memory for %u shards", with.shard_count);
    acre_query_cache *const self = (acre_query_cache *)(uintptr_t)acre_align_up((uintptr_t)raw, 128);
    self->options = with;
    self->raw = raw;
    self->shards = (shard *)(void *)((unsigned char *)self + head_bytes);
    self->shard_bits = acre_log2_floor(with.shard_count);
    self->version_mask = with.version_count - 1;
    self->versions = get_zeroed(&with, with.version_count * sizeof *self->versions);
    if (self->versions == NULL) status = acre_fail(ACRE_NO_MEMORY, "query cache: no memory for %u versions", with.version_count);
    for (uint32_t i = 0; i < with.shard_count && status == ACRE_OK; i++) status = open_shard(&with, &self->shards[i]);
    if (status == ACRE_OK && with.curve_keys_max != 0) status = open_curve(self);
    if (status != ACRE_OK) {
        acre_query_cache_close(self);
        return status;
    }
    *cache = self;
    return ACRE_OK;
}

void acre_query_cache_close(acre_query_cache *cache)
{
    if (cache == NULL) return;
    for (uint32_t i = 0; i < cache->options.shard_count; i++) close_shard(cache, &cache->shards[i]);
    const acre_query_cache_options options = cache->options;
    give_back(&options, cache->versions);
    give_back(&options, cache->curve_memory);
    give_back(&options, cache->raw);
}

uint64_t acre_query_cache_resize(void *cache, uint64_t bytes)
{
    acre_query_cache *const self = cache;
    uint64_t kept = 0;
    if (self == NULL) return 0;
    const uint32_t count = self->options.shard_count;
    const uint64_t each = bytes / count < SHARD_BYTES_MIN ? SHARD_BYTES_MIN : bytes / count;
    for (uint32_t i = 0; i < count; i++) {
        shard *const in = &self->shards[i];
        acre_lock_take(&in->lock);
        in->bytes_max = each;
        while (bytes_in(in) > each && evict(self, in, 0)) continue;
        kept += bytes_in(in) > each ? bytes_in(in) : each;
        acre_lock_drop(&in->lock);
    }
    return kept < bytes ? bytes : kept;
}

void acre_query_cache_read_costs(void *cache, const uint64_t *sizes, uint64_t *costs, size_t count)
{
    acre_query_cache *const self = cache;
    uint64_t requests = 0, offers = 0, cost = 0, bytes = 0, entries = 0;
    if (costs == NULL) return;
    for (size_t i = 0; i < count; i++) costs[i] = 0;
    if (self == NULL || self->curve == NULL) return;
    for (uint32_t i = 0; i < self->options.shard_count; i++) {
        shard *const in = &self->shards[i];
        acre_lock_take(&in->lock);
        requests += in->request_count;
        offers += in->offer_count;
        cost += in->offered_cost;
        bytes += bytes_in(in);
        entries += in->slot_count - in->free_count;
        acre_lock_drop(&in->lock);
    }
    const uint64_t new_requests = requests - self->told_count, new_offers = offers - self->told_offers, new_cost = cost - self->told_cost;
    self->told_count = requests;
    self->told_offers = offers;
    self->told_cost = cost;
    /* Where nothing was made anew since, what all of it has cost so far. */
    const uint64_t mean_cost = new_offers > 0 ? new_cost / new_offers : offers > 0 ? cost / offers : 1;
    const uint64_t mean_bytes = entries > 0 ? bytes / entries : BYTES_AN_ENTRY;
    acre_lock_take(&self->curve_lock);
    (void)acre_budget_read_curve(self->curve, new_requests, mean_cost, mean_bytes, sizes, costs, count);
    acre_lock_drop(&self->curve_lock);
}

acre_status acre_query_cache_read_figures(acre_query_cache *cache, acre_query_figures *figures)
{
    if (cache == NULL || figures == NULL) return acre_fail(ACRE_INVALID, "query cache: a NULL");
    *figures = (acre_query_figures){0};
    for (uint32_t i = 0; i < cache->options.shard_count; i++) {
        shard *const in = &cache->shards[i];
        acre_lock_take(&in->lock);
        const acre_query_figures *const more = &in->figures;
        figures->bytes += bytes_in(in);
        figures->bytes_max += in->bytes_max;
        figures->entries += in->slot_count - in->free_count;
        figures->hits += more->hits;
        figures->stale_hits += more->stale_hits;
        figures->misses += more->misses;
        figures->busy += more->busy;
        figures->outdated += more->outdated;
        figures->fills += more->fills;
        figures->refused_changed += more->refused_changed;
        figures->refused_policy += more->refused_policy;
        figures->evictions += more->evictions;
        acre_lock_drop(&in->lock);
    }
    return ACRE_OK;
}

/* Every entry of a word of the index is where it is found. Adds up what has a value, and bytes. */
static bool is_valid_word(const shard *in, uint32_t line, uint64_t word, uint32_t *used, uint64_t *bytes)
{
    entry *const first = entry_at(word);
    if (word != word_for(first)) return false;
    for (entry *self = first; self != NULL; self = self->next) {
        const acre_query query = {key_of(self), self->statement_bytes, key_of(self) + self->statement_bytes, self->parameter_bytes};
        if (self->hash != hash_of(&query) || (self->hash & in->line_mask) != line || (self->pins & DETACHED) != 0) return false;
        if (find(in, &query, self->hash) != self) return false; /* twice */
        *bytes += self->bytes;
        if (!has_value(self)) continue;
        ++*used;
        if (in->entries[self->slot] != self || in->keys[self->slot] != self->hash || !acre_policy_holds(in->policy, self->slot))
            return false;
    }
    return true;
}

bool acre_query_cache_is_valid(acre_query_cache *cache)
{
    for (uint32_t i = 0; i < cache->options.shard_count; i++) {
        shard *const in = &cache->shards[i];
        uint32_t used = 0;
        uint64_t bytes = 0;
        for (uint32_t line = 0; line <= in->line_mask; line++)
            for (unsigned k = 0; k < WORDS_A_LINE; k++)
                if (!is_valid_word(in, line, in->lines[line].words[k], &used, &bytes)) return false;
        /* What is pinned and out of the index is counted, too. */
        if (used != in->slot_count - in->free_count || used != in->policy->count || bytes > bytes_in(in) ||
            !acre_policy_is_valid(in->policy))
            return false;
    }
    return true;
}
