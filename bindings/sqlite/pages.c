/* pages.c - SQLite's page cache (pcache2) over a replacement policy.
 *
 * A cache finds its pages by a table of chains. What may be evicted is in a group: of one cache, as long as that may be, or of all caches,
 * when there is a budget. A group has the policy, whose slots are numbers of pages, and grows with what is in it; a page that SQLite uses
 * is in its slot still, and is kept when the policy comes to it. Pages of caches that cannot be read again (not purgeable) are in no group.
 *
 * A group has no policy before the first page has to go: until then a use is a time in the page, and the policy is told of all pages in the
 * order of these times. Most databases fit, and never pay for one.
 *
 * The buffer of a page is a block of its own, so that it is as long as a page and no more; struct and extra bytes are another one. SQLite
 * takes a cell that begins exactly where a page ends for one that runs over the page's end, and calls the database malformed; such a cell
 * may be the first byte of any block of its malloc. No block of this malloc begins at a multiple of 16, where all pages end; another
 * malloc's memory can only be next to the end of a region, and no buffer ends there. */
#include "pages.h"

#include <acre/heap.h>

#include "base/bits.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct cache cache;

typedef struct page {
    sqlite3_pcache_page handed_out; /* first: SQLite has a pointer to this */
    struct page *next;              /* of its chain */
    cache *owner;
    unsigned key;
    acre_policy_slot slot; /* ACRE_POLICY_NO_SLOT: it is in no group */
    uint32_t last_use;     /* before its group has a policy */
    bool is_pinned, is_used_again;
} page;

typedef struct group {
    pthread_mutex_t lock; /* of the one that is shared */
    bool is_shared;
    uint64_t limit_bytes, used_bytes;
    uint64_t pinned_bytes; /* of the one that is shared */
    uint32_t time;         /* uses, before there is a policy; once in 2^32 of them their order is lost */
    acre_policy *policy;   /* NULL before a page has to go */
    page **pages;          /* by slot; NULL: it is free */
    uint64_t *keys;
    acre_policy_slot *free_slots, free_count, slot_count;
    uint64_t evict_count;
    acre_policy_hits hits; /* that the policy has not heard of */
} group;

struct cache {
    page **chains;
    unsigned chain_mask, pinned_count;
    uint64_t hit_count;
    group *group; /* NULL: not purgeable */
    bool is_shared, is_recorded;
    unsigned key_max, count;
    uint64_t miss_count;
    size_t page_bytes, extra_bytes;
    uint64_t bytes_each; /* of a page, with what stands beside it */
    uint64_t number;     /* in keys of a group */
    group own;
    cache *next, *previous; /* of all caches */
};

enum { CHAINS_MIN = 64, SLOTS_MIN = 64 };

#define REGION_BYTES ((uintptr_t)1 << 20) /* regions begin and end at multiples of this */

static struct {
    acre_heap *heap;
    acre_policy_kind kind;
    group shared;
    pthread_mutex_t lock; /* of what follows */
    cache *caches;
    uint64_t number_last, closed_hits, closed_misses, closed_evictions;
    FILE *record; /* NULL: nobody wants to know which pages are asked for */
} all = {.lock = PTHREAD_MUTEX_INITIALIZER, .shared = {.lock = PTHREAD_MUTEX_INITIALIZER}};

/* A number of pages that others look at while one thread changes it. */
static unsigned add(unsigned *figure, unsigned by)
{
    const unsigned sum = *figure + by;
    __atomic_store_n(figure, sum, __ATOMIC_RELAXED);
    return sum;
}

/* Figures that others look at while one thread counts. */
static void count(uint64_t *figure) { __atomic_store_n(figure, __atomic_load_n(figure, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED); }

static void *take(size_t bytes) { return acre_heap_alloc(all.heap, bytes); }

static void give(void *block)
{
    if (block != NULL) acre_heap_free(all.heap, block);
}

static void *take_buffer(size_t bytes)
{
    void *buffer = acre_heap_alloc(all.heap, bytes);
    while (((uintptr_t)buffer + bytes) % REGION_BYTES == 0 && buffer != NULL)
        buffer = acre_heap_alloc(all.heap, bytes); /* that one stays unused */
    return buffer;
}

static void enter(const cache *c)
{
    if (acre_unlikely(c->is_shared)) pthread_mutex_lock(&c->group->lock);
}

static void leave(const cache *c)
{
    if (acre_unlikely(c->is_shared)) pthread_mutex_unlock(&c->group->lock);
}

/* ---- chains ---- */

static page **chain_of(const cache *c, unsigned key) { return c->chains + (key & c->chain_mask); }

static page *find(const cache *c, unsigned key)
{
    page *p = *chain_of(c, key);
    while (p != NULL && p->key != key) p = p->next;
    return p;
}

static void chain(cache *c, page *p)
{
    page **head = chain_of(c, p->key);
    p->next = *head;
    *head = p;
    if (p->key > c->key_max) c->key_max = p->key;
}

static void unchain(const cache *c, const page *p)
{
    page **place = chain_of(c, p->key);
    while (*place != p) place = &(*place)->next;
    *place = p->next;
}

/* Twice as many chains as before; if there is no memory for them, they are longer. */
static void spread(cache *c)
{
    const unsigned mask = c->chain_mask * 2 + 1;
    page **chains = take(((size_t)mask + 1) * sizeof(page *));
    if (chains == NULL) return;
    memset(chains, 0, ((size_t)mask + 1) * sizeof(page *));
    page **old = c->chains;
    for (unsigned i = 0; i <= c->chain_mask; i++) {
        for (page *p = old[i], *next; p != NULL; p = next) {
            next = p->next;
            p->next = chains[p->key & mask];
            chains[p->key & mask] = p;
        }
    }
    c->chains = chains;
    c->chain_mask = mask;
    give(old);
}

/* ---- groups ---- */

/* What the policy may hold: as many pages of this length as there may be, but no more than it has slots. */
static acre_policy_slot capacity_of(const group *g, uint64_t bytes_each, acre_policy_slot slot_count)
{
    const uint64_t capacity = g->limit_bytes / bytes_each;
    return (acre_policy_slot)(capacity == 0 ? 1 : capacity > slot_count ? slot_count : capacity);
}

/* NULL: there is no memory. */
static acre_policy *new_policy(const group *g, uint64_t bytes_each, acre_policy_slot slot_count, const uint64_t *keys)
{
    const acre_policy_options options = {
        .kind = all.kind, .capacity = capacity_of(g, bytes_each, slot_count), .capacity_max = slot_count, .keys = keys};
    const size_t policy_bytes = acre_policy_bytes(&options);
    void *memory = policy_bytes == 0 ? NULL : take(policy_bytes);
    acre_policy *policy;
    if (memory == NULL) return NULL;
    if (acre_policy_init(&policy, &options, memory, policy_bytes) == ACRE_OK) return policy;
    give(memory);
    return NULL;
}

/* Twice as many slots. A policy is made anew, and has the pages in the order of the one before. */
static bool grow(group *g, uint64_t bytes_each)
{
    const acre_policy_slot slot_count = g->slot_count == 0 ? SLOTS_MIN : g->slot_count * 2;
    if (slot_count > ACRE_POLICY_CAPACITY_MAX) return false;
    uint64_t *keys = take(slot_count * sizeof *keys);
    page **pages = take(slot_count * sizeof(page *));
    acre_policy_slot *free_slots = take(slot_count * sizeof *free_slots);
    acre_policy *policy = NULL;
    if (keys == NULL || pages == NULL || free_slots == NULL ||
        (g->policy != NULL && (policy = new_policy(g, bytes_each, slot_count, keys)) == NULL)) {
        give(keys);
        give(pages);
        give(free_slots);
        return false;
    }
    memset(pages, 0, slot_count * sizeof(page *));
    for (acre_policy_slot slot = 0; slot < g->slot_count; slot++) {
        keys[slot] = g->keys[slot];
        pages[slot] = g->pages[slot];
    }
    for (acre_policy_slot slot; g->policy != NULL && (slot = acre_policy_evict(g->policy, 0, NULL, NULL)) != ACRE_POLICY_NO_SLOT;)
        acre_policy_admit(policy, slot, 0);
    g->free_count = 0;
    for (acre_policy_slot slot = slot_count; slot-- > 0;)
        if (pages[slot] == NULL) free_slots[g->free_count++] = slot;
    give(g->keys);
    give(g->pages);
    give(g->free_slots);
    give(g->policy);
    g->keys = keys;
    g->pages = pages;
    g->free_slots = free_slots;
    g->policy = policy;
    g->slot_count = slot_count;
    return true;
}

static int compare_last_use(const void *a, const void *b)
{
    const page *const x = *(page *const *)a, *const y = *(page *const *)b;
    return (x->last_use > y->last_use) - (x->last_use < y->last_use);
}

/* A page has to go: now there is a policy, which is told of those that are there. False: there is no memory for one. */
static bool judge(group *g)
{
    const acre_policy_slot count = g->slot_count - g->free_count;
    if (g->policy != NULL || count == 0) return true;
    page **pages = take(count * sizeof(page *));
    acre_policy *policy = pages == NULL ? NULL : new_policy(g, g->used_bytes / count, g->slot_count, g->keys);
    if (policy != NULL) {
        acre_policy_slot found = 0;
        for (acre_policy_slot slot = 0; slot < g->slot_count; slot++)
            if (g->pages[slot] != NULL) pages[found++] = g->pages[slot];
        assert(found == count);
        qsort(pages, count, sizeof(page *), compare_last_use);
        for (acre_policy_slot i = 0; i < count; i++) {
            const acre_policy_slot slot = pages[i]->slot;
            acre_policy_admit(policy, slot, acre_policy_miss(policy, g->keys[slot]));
            if (pages[i]->is_used_again) acre_policy_hit(policy, slot);
        }
        g->policy = policy;
    }
    give(pages);
    return policy != NULL;
}

static void free_slot(group *g, page *p)
{
    g->pages[p->slot] = NULL;
    g->free_slots[g->free_count++] = p->slot;
    p->slot = ACRE_POLICY_NO_SLOT;
    g->used_bytes -= p->owner->bytes_each;
}

static void set_pinned(page *p, bool is_pinned)
{
    cache *c = p->owner;
    assert(p->is_pinned != is_pinned);
    p->is_pinned = is_pinned;
    (void)add(&c->pinned_count, is_pinned ? 1u : UINT32_MAX);
    if (acre_unlikely(c->is_shared)) c->group->pinned_bytes += is_pinned ? c->bytes_each : 0 - c->bytes_each;
}

static uint64_t pinned_bytes_of(const cache *c) { return c->is_shared ? c->group->pinned_bytes : c->pinned_count * c->bytes_each; }

static acre_verdict look(void *context, acre_policy_slot slot)
{
    const group *g = context;
    return g->pages[slot]->is_pinned ? ACRE_KEEP : ACRE_EVICT;
}

/* Takes a page out of its cache and of the policy's slots; the policy does not have it any more. Its memory is the caller's. */
static void detach(page *p)
{
    cache *c = p->owner;
    unchain(c, p);
    if (p->is_pinned) set_pinned(p, false);
    (void)add(&c->count, UINT32_MAX);
    if (p->slot != ACRE_POLICY_NO_SLOT) free_slot(c->group, p);
}

static __attribute__((noinline)) void tell_hits(group *g)
{
    if (g->policy != NULL) acre_policy_deliver(g->policy, &g->hits);
}

/* A page that the policy can spare, detached; NULL: there is none. */
static page *evict(group *g, acre_policy_origin origin)
{
    const acre_policy_slot slot = g->policy == NULL ? ACRE_POLICY_NO_SLOT : acre_policy_evict(g->policy, origin, look, g);
    if (slot == ACRE_POLICY_NO_SLOT) return NULL;
    page *p = g->pages[slot];
    detach(p);
    count(&g->evict_count);
    return p;
}

static void free_page(page *p)
{
    give(p->handed_out.pBuf);
    give(p);
}

static void discard(page *p)
{
    if (p->slot != ACRE_POLICY_NO_SLOT && p->owner->group->policy != NULL) acre_policy_forget(p->owner->group->policy, p->slot);
    detach(p);
    free_page(p);
}

static void keep_limit(group *g)
{
    page *p;
    tell_hits(g);
    if (g->used_bytes > g->limit_bytes && !judge(g)) return;
    while (g->used_bytes > g->limit_bytes && (p = evict(g, 0)) != NULL) free_page(p);
}

/* ---- pages ---- */

static page *new_page(const cache *c)
{
    page *p = take(sizeof *p + c->extra_bytes);
    void *buffer = take_buffer(c->page_bytes);
    if (p == NULL || buffer == NULL) {
        give(p);
        give(buffer);
        return NULL;
    }
    p->handed_out = (sqlite3_pcache_page){buffer, p + 1};
    return p;
}

/* Memory for one more page of a group, from its victims as long as it is at its limit. */
static page *room_for_page(cache *c, acre_policy_origin origin)
{
    group *g = c->group;
    page *found = NULL, *p;
    while (g->used_bytes + c->bytes_each > g->limit_bytes && (p = evict(g, origin)) != NULL) {
        const cache *owner = p->owner;
        if (found == NULL && owner->page_bytes == c->page_bytes && owner->extra_bytes == c->extra_bytes)
            found = p;
        else
            free_page(p);
        origin = 0;
    }
    return found != NULL ? found : new_page(c);
}

static void set_up(cache *c, page *p, unsigned key)
{
    p->owner = c;
    p->key = key;
    p->slot = ACRE_POLICY_NO_SLOT;
    p->is_pinned = p->is_used_again = false;
    memset(p->handed_out.pExtra, 0, c->extra_bytes);
    chain(c, p);
    if (add(&c->count, 1) > c->chain_mask) spread(c);
    set_pinned(p, true);
}

static uint64_t policy_key(const cache *c, unsigned key) { return c->number << 32 | key; }

static page *create(cache *c, unsigned key, bool must)
{
    group *g = c->group;
    page *p = NULL;
    if (g == NULL) {
        p = new_page(c);
        if (p != NULL) set_up(c, p, key);
        return p;
    }
    /* SQLite writes changed pages back when it is told that there is no room, so that they can be taken. */
    tell_hits(g);
    if (!must && pinned_bytes_of(c) >= g->limit_bytes / 10 * 9) return NULL;
    if (g->used_bytes + c->bytes_each <= g->limit_bytes)
        (void)(g->free_count == 0 && grow(g, c->bytes_each));
    else if (!judge(g))
        return NULL;
    const acre_policy_origin origin = g->policy == NULL ? 0 : acre_policy_miss(g->policy, policy_key(c, key));
    p = room_for_page(c, origin);
    if (p == NULL) return NULL;
    if (g->free_count == 0 && !grow(g, c->bytes_each)) {
        free_page(p);
        return NULL;
    }
    set_up(c, p, key);
    p->slot = g->free_slots[--g->free_count];
    g->pages[p->slot] = p;
    g->keys[p->slot] = policy_key(c, key);
    g->used_bytes += c->bytes_each;
    if (g->policy != NULL)
        acre_policy_admit(g->policy, p->slot, origin);
    else
        p->last_use = ++g->time;
    return p;
}

/* Discards pages from a key on: by their keys if these are fewer than the chains, else all chains are looked at. */
static void discard_from(cache *c, unsigned limit)
{
    if (c->count == 0 || limit > c->key_max) return;
    if (c->key_max - limit < c->chain_mask) {
        for (unsigned key = limit;; key++) {
            page *p = find(c, key);
            if (p != NULL) discard(p);
            if (key == c->key_max) break;
        }
    } else {
        for (unsigned i = 0; i <= c->chain_mask; i++) {
            for (page *p = c->chains[i], *next; p != NULL; p = next) {
                next = p->next;
                if (p->key >= limit) discard(p);
            }
        }
    }
    c->key_max = limit == 0 ? 0 : limit - 1;
}

/* ---- the interface ---- */

static int begin(void *argument)
{
    (void)argument;
    return SQLITE_OK;
}

static void end(void *argument) { (void)argument; }

static sqlite3_pcache *open_cache(int page_bytes, int extra_bytes, int is_purgeable)
{
    cache *c = take(sizeof *c);
    page **chains = take(CHAINS_MIN * sizeof(page *));
    if (c == NULL || chains == NULL) {
        give(c);
        give(chains);
        return NULL;
    }
    memset(c, 0, sizeof *c);
    memset(chains, 0, CHAINS_MIN * sizeof(page *));
    c->page_bytes = (size_t)page_bytes;
    c->extra_bytes = (size_t)extra_bytes;
    c->bytes_each = ((uint64_t)page_bytes + (uint64_t)extra_bytes + sizeof(page) + 15) & ~(uint64_t)15;
    c->chains = chains;
    c->chain_mask = CHAINS_MIN - 1;
    if (is_purgeable) c->group = all.shared.is_shared ? &all.shared : &c->own;
    c->is_shared = c->group == &all.shared;
    c->is_recorded = c->group != NULL && all.record != NULL;
    pthread_mutex_lock(&all.lock);
    c->number = ++all.number_last;
    c->next = all.caches;
    if (all.caches != NULL) all.caches->previous = c;
    all.caches = c;
    pthread_mutex_unlock(&all.lock);
    return (sqlite3_pcache *)c;
}

/* `length`: PRAGMA cache_size, in pages. */
static void set_length(sqlite3_pcache *pcache, int length)
{
    cache *c = (cache *)pcache;
    group *g = c->group;
    if (g == NULL || g->is_shared) return;
    g->limit_bytes = length < 0 ? 0 : (unsigned)length * c->bytes_each;
    if (g->policy != NULL) (void)acre_policy_resize(g->policy, capacity_of(g, c->bytes_each, g->slot_count));
    keep_limit(g);
}

static int page_count(sqlite3_pcache *pcache)
{
    cache *c = (cache *)pcache;
    enter(c);
    const unsigned pages = c->count;
    leave(c);
    return (int)pages;
}

/* The key of a page that SQLite got, most significant byte first. */
static void record(const cache *c, unsigned key)
{
    unsigned char bytes[8];
    for (unsigned i = 0; i < 8; i++) bytes[i] = (unsigned char)(policy_key(c, key) >> (56 - 8 * i));
    (void)fwrite(bytes, sizeof bytes, 1, all.record); /* one that is lost is not missed */
}

/* SQLite asks for a page that is there. */
static inline void use(cache *c, page *p)
{
    group *g = c->group;
    if (!p->is_pinned) set_pinned(p, true);
    count(&c->hit_count);
    if (p->slot == ACRE_POLICY_NO_SLOT) return;
    if (g->policy == NULL) {
        p->last_use = ++g->time;
        p->is_used_again = true;
    } else if (acre_policy_note(g->policy, p->slot, &g->hits)) {
        tell_hits(g);
    }
}

static __attribute__((noinline)) sqlite3_pcache_page *bring(cache *c, unsigned key, int create_flag)
{
    page *p = create_flag == 0 ? NULL : create(c, key, create_flag == 2);
    if (p == NULL) return NULL;
    count(&c->miss_count);
    return &p->handed_out;
}

static inline sqlite3_pcache_page *find_or_bring(cache *c, unsigned key, int create_flag)
{
    page *p = find(c, key);
    if (acre_unlikely(p == NULL)) return bring(c, key, create_flag);
    use(c, p);
    return &p->handed_out;
}

/* Where others are at work, too, or somebody wants to know. */
static __attribute__((noinline)) sqlite3_pcache_page *fetch_carefully(cache *c, unsigned key, int create_flag)
{
    enter(c);
    sqlite3_pcache_page *handed_out = find_or_bring(c, key, create_flag);
    if (handed_out != NULL && c->is_recorded) record(c, key);
    leave(c);
    return handed_out;
}

static sqlite3_pcache_page *fetch(sqlite3_pcache *pcache, unsigned key, int create_flag)
{
    cache *c = (cache *)pcache;
    return acre_unlikely(c->is_shared || c->is_recorded) ? fetch_carefully(c, key, create_flag) : find_or_bring(c, key, create_flag);
}

static void unpin(sqlite3_pcache *pcache, sqlite3_pcache_page *handed_out, int is_to_go)
{
    cache *c = (cache *)pcache;
    page *p = (page *)(void *)handed_out; /* it is the first thing in a page */
    assert(p->owner == c && p->is_pinned);
    enter(c);
    if (is_to_go) {
        discard(p);
    } else {
        set_pinned(p, false);
        if (c->group != NULL && c->group->used_bytes > c->group->limit_bytes) keep_limit(c->group);
    }
    leave(c);
}

static void rekey(sqlite3_pcache *pcache, sqlite3_pcache_page *handed_out, unsigned old_key, unsigned new_key)
{
    cache *c = (cache *)pcache;
    page *p = (page *)(void *)handed_out;
    assert(p->owner == c && p->key == old_key);
    (void)old_key;
    enter(c);
    page *there = find(c, new_key);
    if (there != NULL && there != p) discard(there);
    unchain(c, p);
    p->key = new_key;
    chain(c, p);
    if (p->slot != ACRE_POLICY_NO_SLOT) c->group->keys[p->slot] = policy_key(c, new_key);
    leave(c);
}

static void truncate_from(sqlite3_pcache *pcache, unsigned limit)
{
    cache *c = (cache *)pcache;
    enter(c);
    discard_from(c, limit);
    leave(c);
}

static void close_cache(sqlite3_pcache *pcache)
{
    cache *c = (cache *)pcache;
    enter(c);
    discard_from(c, 0);
    leave(c);
    pthread_mutex_lock(&all.lock);
    if (c->previous == NULL)
        all.caches = c->next;
    else
        c->previous->next = c->next;
    if (c->next != NULL) c->next->previous = c->previous;
    all.closed_hits += c->hit_count;
    all.closed_misses += c->miss_count;
    all.closed_evictions += c->own.evict_count;
    if (all.record != NULL) (void)fflush(all.record);
    pthread_mutex_unlock(&all.lock);
    give(c->own.keys);
    give(c->own.pages);
    give(c->own.free_slots);
    give(c->own.policy);
    give(c->chains);
    give(c);
}

static void shrink(sqlite3_pcache *pcache)
{
    cache *c = (cache *)pcache;
    enter(c);
    for (unsigned i = 0; i <= c->chain_mask; i++) {
        for (page *p = c->chains[i], *next; p != NULL; p = next) {
            next = p->next;
            if (!p->is_pinned && p->slot != ACRE_POLICY_NO_SLOT) discard(p);
        }
    }
    leave(c);
}

const sqlite3_pcache_methods2 acre_sqlite_pages = {
    .iVersion = 1,
    .xInit = begin,
    .xShutdown = end,
    .xCreate = open_cache,
    .xCachesize = set_length,
    .xPagecount = page_count,
    .xFetch = fetch,
    .xUnpin = unpin,
    .xRekey = rekey,
    .xTruncate = truncate_from,
    .xDestroy = close_cache,
    .xShrink = shrink,
};

void acre_sqlite_set_up_pages(acre_heap *heap, acre_policy_kind kind, uint64_t budget_bytes, FILE *record_file)
{
    group *g = &all.shared;
    if (all.record != NULL) (void)fclose(all.record);
    all.record = record_file;
    if (all.heap != NULL) { /* of an earlier time, and empty */
        give(g->keys);
        give(g->pages);
        give(g->free_slots);
        give(g->policy);
        g->keys = NULL;
        g->pages = NULL;
        g->free_slots = NULL;
        g->policy = NULL;
        g->slot_count = g->free_count = 0;
    }
    all.heap = heap;
    all.kind = kind;
    all.shared.is_shared = budget_bytes != 0;
    all.shared.limit_bytes = budget_bytes;
}

acre_status acre_sqlite_set_pages_budget(uint64_t budget_bytes)
{
    group *g = &all.shared;
    pthread_mutex_lock(&g->lock);
    const bool is_shared = g->is_shared;
    if (is_shared) {
        const acre_policy_slot count = g->policy == NULL ? 0 : g->policy->count;
        const uint64_t bytes_each = count == 0 ? 0 : g->used_bytes / count; /* 0: no policy, or nothing in it */
        __atomic_store_n(&g->limit_bytes, budget_bytes, __ATOMIC_RELAXED);
        if (bytes_each != 0) (void)acre_policy_resize(g->policy, capacity_of(g, bytes_each, g->slot_count));
        keep_limit(g);
    }
    pthread_mutex_unlock(&g->lock);
    return is_shared ? ACRE_OK : ACRE_UNSUPPORTED;
}

void acre_sqlite_read_figures(acre_sqlite_figures *figures)
{
    pthread_mutex_lock(&all.lock);
    *figures = (acre_sqlite_figures){.hit_count = all.closed_hits,
                                     .miss_count = all.closed_misses,
                                     .evict_count = all.closed_evictions + __atomic_load_n(&all.shared.evict_count, __ATOMIC_RELAXED),
                                     .budget_bytes = __atomic_load_n(&all.shared.limit_bytes, __ATOMIC_RELAXED)};
    for (const cache *c = all.caches; c != NULL; c = c->next) {
        const unsigned pages = __atomic_load_n(&c->count, __ATOMIC_RELAXED);
        figures->cache_count++;
        figures->page_count += pages;
        figures->page_bytes += pages * c->bytes_each;
        figures->pinned_count += __atomic_load_n(&c->pinned_count, __ATOMIC_RELAXED);
        figures->hit_count += __atomic_load_n(&c->hit_count, __ATOMIC_RELAXED);
        figures->miss_count += __atomic_load_n(&c->miss_count, __ATOMIC_RELAXED);
        figures->evict_count += __atomic_load_n(&c->own.evict_count, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&all.lock);
}
