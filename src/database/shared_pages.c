/* shared_pages.c - pages that processes share: a segment with a table from pages to slots, and a lock for whoever changes it.
 *
 * What a slot has is changed under the lock only, between two steps of the slot's sequence: odd while it changes. A reader takes no lock:
 * it finds the slot by a walk along its chain, which may mislead it while others change the chain (then the page is not there, for once),
 * and believes what it has copied if the sequence was even and is the same afterwards. So a process that ends at any moment leaves either
 * nothing half done or the lock without an owner, and whoever gets that makes everything void.
 *
 * The segment lies at another address in each process, so nothing in it is a pointer but those of the policy, which the holder of the lock
 * makes its own first. */
#include "base/bits.h"
#include "base/status.h"
#include "os/segment.h"
#include "policy/index.h"
#include "policy/policy.h"

#include <acre/shared_pages.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGES_MIN = 16, PAGE_BYTES_DEFAULT = 4096, PAGE_BYTES_MIN = 512, PAGE_BYTES_MAX = 65536, LINE_BYTES = 64, LAYOUT_VERSION = 1 };
enum { LOCK_WAIT_MS = 100, WALK_MAX = 64, NO_PROCESS = 0 };
#define BYTES_DEFAULT ((uint64_t)64 << 20)
#define MAGIC         UINT64_C(0x6163726573686172)
#define NO_SLOT       UINT32_MAX
#define TAG_AHEAD     ((uint64_t)1) /* in a tag, which is the epoch shifted by one: nobody has read it yet, it was read ahead */

typedef struct shared_set {
    uint64_t identity[2];
    uint64_t joined; /* a bit a process */
    uint64_t epoch;
    uint64_t change_count;
    uint64_t marks[ACRE_SHARED_MARK_COUNT];
    uint64_t facts[ACRE_SHARED_FACTS_BYTES / sizeof(uint64_t)];
} shared_set;

typedef struct segment_header {
    uint64_t magic; /* written last */
    uint32_t page_bytes, page_count, kind;
    uint64_t policy_bytes;
    pthread_mutex_t lock;
    uint32_t policy_owner; /* process + 1 that the policy's pointers are of */
    uint32_t free_head, count;
    uint64_t last_number; /* of epochs, in all sets */
    uint64_t evict_count, void_count;
    acre_process processes[ACRE_SHARED_PROCESSES_MAX];
    shared_set sets[ACRE_SHARED_SETS_MAX];
} segment_header;

struct acre_shared_pages {
    acre_segment segment;
    segment_header *header;
    uint32_t *heads; /* of chains: slots; NO_SLOT: it is empty */
    uint32_t *nexts; /* in the chain, or in the list of free slots */
    uint64_t *keys;  /* 0: the slot is free */
    uint64_t *tags;
    uint32_t *sequences;
    void *policy_memory;
    unsigned char *frames;
    uint8_t *hits; /* the policy's, at this process's address */
    uint8_t hit_limit;
    uint32_t page_bytes, page_count, head_mask;
    acre_policy_options policy_options;
    uint32_t process; /* its number */
    acre_process self;
    uint32_t join_counts[ACRE_SHARED_SETS_MAX];                          /* under the lock */
    uint64_t hit_count, miss_count, put_count, refuse_count, late_count; /* by atomic instructions */
};

static void count_up(uint64_t *count) { (void)__atomic_fetch_add(count, 1, __ATOMIC_RELAXED); }
static uint64_t load(const uint64_t *number) { return __atomic_load_n(number, __ATOMIC_ACQUIRE); }
static uint64_t bit_of(const acre_shared_pages *pages) { return (uint64_t)1 << pages->process; }
static uint64_t key_of(uint32_t set, uint32_t number) { return (uint64_t)(set + 1) << 32 | number; }
static uint32_t *head_of(const acre_shared_pages *pages, uint64_t key) { return pages->heads + (acre_fingerprint(key) & pages->head_mask); }
static unsigned char *frame_of(const acre_shared_pages *pages, uint32_t slot) { return pages->frames + (size_t)slot * pages->page_bytes; }

/* ---- the segment ---- */

static uint64_t rounded(uint64_t bytes, uint64_t to) { return (bytes + to - 1) / to * to; }

static uint32_t head_count_of(uint32_t page_count)
{
    uint32_t count = 1;
    while (count < page_count) count *= 2;
    return count;
}

/* Where the arrays lie, of a segment for page_count pages at `memory`. Returns its bytes. */
static uint64_t lay_out(acre_shared_pages *pages, unsigned char *memory, uint32_t page_count)
{
    const uint32_t head_count = head_count_of(page_count);
    uint64_t at = rounded(sizeof(segment_header), LINE_BYTES);
    const uint64_t heads_at = at, nexts_at = heads_at + rounded((uint64_t)head_count * sizeof(uint32_t), LINE_BYTES);
    const uint64_t keys_at = nexts_at + rounded((uint64_t)page_count * sizeof(uint32_t), LINE_BYTES);
    const uint64_t tags_at = keys_at + rounded((uint64_t)page_count * sizeof(uint64_t), LINE_BYTES);
    const uint64_t sequences_at = tags_at + rounded((uint64_t)page_count * sizeof(uint64_t), LINE_BYTES);
    const uint64_t policy_at = sequences_at + rounded((uint64_t)page_count * sizeof(uint32_t), LINE_BYTES);
    pages->page_count = page_count;
    pages->head_mask = head_count - 1;
    pages->policy_options.capacity = page_count;
    pages->policy_options.keys = memory == NULL ? (const void *)sizeof(uint64_t) : memory + keys_at; /* NULL is no place for keys */
    at = rounded(policy_at + acre_policy_bytes(&pages->policy_options), PAGE_BYTES_MAX);
    if (memory != NULL) {
        pages->header = (segment_header *)(void *)memory;
        pages->heads = (uint32_t *)(void *)(memory + heads_at);
        pages->nexts = (uint32_t *)(void *)(memory + nexts_at);
        pages->keys = (uint64_t *)(void *)(memory + keys_at);
        pages->tags = (uint64_t *)(void *)(memory + tags_at);
        pages->sequences = (uint32_t *)(void *)(memory + sequences_at);
        pages->policy_memory = memory + policy_at;
        pages->frames = memory + at;
    }
    return at + (uint64_t)page_count * pages->page_bytes;
}

static void new_epoch(segment_header *header, shared_set *set)
{
    __atomic_store_n(&set->epoch, __atomic_add_fetch(&header->last_number, 1, __ATOMIC_ACQ_REL), __ATOMIC_RELEASE);
    (void)__atomic_add_fetch(&set->change_count, 1, __ATOMIC_ACQ_REL);
}

/* No page, no fact and no mark is left. Who has joined which set, and what sets are of, is always in order. */
static void make_void(acre_shared_pages *pages)
{
    segment_header *const header = pages->header;
    acre_policy *policy;
    for (uint32_t i = 0; i < ACRE_SHARED_SETS_MAX; i++) {
        new_epoch(header, &header->sets[i]);
        memset(header->sets[i].marks, 0, sizeof header->sets[i].marks);
        memset(header->sets[i].facts, 0, sizeof header->sets[i].facts);
    }
    for (uint32_t i = 0; i <= pages->head_mask; i++) __atomic_store_n(&pages->heads[i], NO_SLOT, __ATOMIC_RELAXED);
    for (uint32_t slot = 0; slot < pages->page_count; slot++) {
        __atomic_store_n(&pages->sequences[slot], (pages->sequences[slot] | 1) + 1, __ATOMIC_RELEASE);
        __atomic_store_n(&pages->keys[slot], 0, __ATOMIC_RELAXED);
        __atomic_store_n(&pages->tags[slot], 0, __ATOMIC_RELAXED);
        __atomic_store_n(&pages->nexts[slot], slot + 1 < pages->page_count ? slot + 1 : NO_SLOT, __ATOMIC_RELAXED);
    }
    header->free_head = 0;
    header->count = 0;
    header->policy_owner = pages->process + 1;
    (void)acre_policy_init(&policy, &pages->policy_options, pages->policy_memory, (size_t)header->policy_bytes);
}

static void give_lock(acre_shared_pages *pages) { acre_shared_lock_give(&pages->header->lock); }

static bool take_lock(acre_shared_pages *pages)
{
    segment_header *const header = pages->header;
    const acre_shared_lock_result result = acre_shared_lock_take(&header->lock, LOCK_WAIT_MS);
    if (result == ACRE_SHARED_LOCK_LATE) {
        count_up(&pages->late_count);
        return false;
    }
    if (result == ACRE_SHARED_LOCK_ORPHANED) {
        make_void(pages);
        header->void_count++;
        acre_shared_lock_mend(&header->lock);
    }
    if (header->policy_owner != pages->process + 1) {
        (void)acre_policy_at(&pages->policy_options, pages->policy_memory);
        header->policy_owner = pages->process + 1;
    }
    return true;
}

/* ---- opening ---- */

static bool is_name(const char *name)
{
    const size_t length = name == NULL ? 0 : strlen(name);
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    return length > 0 && length <= ACRE_SHARED_NAME_MAX && strspn(name, good) == length;
}

static bool notes_by_a_byte(acre_policy_kind kind)
{
    return kind == ACRE_POLICY_FIFO || kind == ACRE_POLICY_CLOCK || kind == ACRE_POLICY_SIEVE || kind == ACRE_POLICY_S3_FIFO;
}

static acre_status check_options(acre_shared_pages_options *o)
{
    if (!is_name(o->name))
        return acre_fail(ACRE_INVALID, "shared pages: a name has 1 to %u letters, digits, '-', '_', '.'", ACRE_SHARED_NAME_MAX);
    if (o->bytes == 0) o->bytes = BYTES_DEFAULT;
    if (o->page_bytes == 0) o->page_bytes = PAGE_BYTES_DEFAULT;
    if (o->policy == ACRE_POLICY_ADAPTIVE) o->policy = ACRE_POLICY_S3_FIFO;
    if (o->page_bytes < PAGE_BYTES_MIN || o->page_bytes > PAGE_BYTES_MAX || (o->page_bytes & (o->page_bytes - 1)) != 0)
        return acre_fail(ACRE_INVALID, "shared pages '%s': pages of %u bytes: a power of two from 512 to 65536", o->name, o->page_bytes);
    if (o->bytes / o->page_bytes < PAGES_MIN || o->bytes / o->page_bytes > ACRE_SHARED_PAGES_MAX)
        return acre_fail(ACRE_INVALID, "shared pages '%s': %llu bytes: %u to %u pages of %u", o->name, (unsigned long long)o->bytes,
                         (unsigned)PAGES_MIN, ACRE_SHARED_PAGES_MAX, o->page_bytes);
    if (!notes_by_a_byte(o->policy))
        return acre_fail(ACRE_INVALID, "shared pages '%s': policy %u is not fifo, clock, sieve or s3-fifo", o->name, (unsigned)o->policy);
    return ACRE_OK;
}

/* Is anybody there, or may be, beside the process with that number? */
static bool has_others(const segment_header *header, uint32_t self)
{
    for (uint32_t i = 0; i < ACRE_SHARED_PROCESSES_MAX; i++)
        if (i != self && acre_process_look(&header->processes[i]) != ACRE_PROCESS_ENDED) return true;
    return false;
}

static bool is_laid_out(const acre_segment *segment)
{
    const segment_header *const header = segment->memory;
    return segment->bytes >= sizeof *header && load(&header->magic) == MAGIC;
}

/* Nobody else has it. */
static acre_status make(acre_shared_pages *pages, const acre_shared_pages_options *o)
{
    const uint32_t page_count = (uint32_t)(o->bytes / o->page_bytes);
    const acre_status status = acre_segment_lay_out(&pages->segment, (size_t)lay_out(pages, NULL, page_count));
    if (status != ACRE_OK) return status;
    (void)lay_out(pages, pages->segment.memory, page_count);
    segment_header *const header = pages->header;
    header->page_bytes = o->page_bytes;
    header->page_count = page_count;
    header->kind = o->policy;
    header->policy_bytes = acre_policy_bytes(&pages->policy_options);
    if (!acre_shared_lock_init(&header->lock)) return acre_fail(ACRE_UNSUPPORTED, "shared pages '%s': no lock for processes", o->name);
    make_void(pages);
    __atomic_store_n(&header->magic, MAGIC, __ATOMIC_RELEASE);
    return ACRE_OK;
}

/* Somebody else may have it. */
static acre_status find(acre_shared_pages *pages, const acre_shared_pages_options *o)
{
    const segment_header *const header = pages->segment.memory;
    if (header->page_bytes != o->page_bytes || header->kind != (uint32_t)o->policy)
        return acre_fail(ACRE_INVALID, "shared pages '%s': they are of %u bytes with %s, not of %u with %s", o->name, header->page_bytes,
                         acre_policy_name((acre_policy_kind)header->kind), o->page_bytes, acre_policy_name(o->policy));
    if (header->page_count < PAGES_MIN || header->page_count > ACRE_SHARED_PAGES_MAX ||
        lay_out(pages, pages->segment.memory, header->page_count) != pages->segment.bytes ||
        header->policy_bytes != acre_policy_bytes(&pages->policy_options))
        return acre_fail(ACRE_UNSUPPORTED, "shared pages '%s': another version of acre has them", o->name);
    return ACRE_OK;
}

/* Under the lock: this process, or one before with its number, has joined the set no more. */
static void take_back(acre_shared_pages *pages, shared_set *set)
{
    for (uint32_t mark = 0; mark < ACRE_SHARED_MARK_COUNT; mark++)
        (void)__atomic_fetch_and(&set->marks[mark], ~bit_of(pages), __ATOMIC_ACQ_REL);
    set->joined &= ~bit_of(pages);
}

/* The process gets a number, and what one before has left under it goes. */
static acre_status enter(acre_shared_pages *pages, const char *name)
{
    segment_header *const header = pages->header;
    uint32_t number = 0;
    while (number < ACRE_SHARED_PROCESSES_MAX && acre_process_look(&header->processes[number]) != ACRE_PROCESS_ENDED) number++;
    if (number == ACRE_SHARED_PROCESSES_MAX)
        return acre_fail(ACRE_NO_MEMORY, "shared pages '%s': %u processes have them", name, ACRE_SHARED_PROCESSES_MAX);
    pages->process = number;
    if (!take_lock(pages)) return acre_fail(ACRE_BUSY, "shared pages '%s': a process that does not go on has the lock", name);
    for (uint32_t i = 0; i < ACRE_SHARED_SETS_MAX; i++) take_back(pages, &header->sets[i]);
    header->processes[number] = pages->self;
    (void)acre_policy_at(&pages->policy_options, pages->policy_memory); /* the number may have been another's */
    header->policy_owner = number + 1;
    const acre_policy *const policy = pages->policy_memory;
    pages->hits = policy->hits;
    pages->hit_limit = policy->hit_limit;
    give_lock(pages);
    return ACRE_OK;
}

acre_status acre_shared_pages_open(const acre_shared_pages_options *options, acre_shared_pages **pages)
{
    if (options == NULL || pages == NULL) return acre_fail(ACRE_INVALID, "shared pages: a NULL");
    acre_shared_pages_options o = *options;
    acre_status status = check_options(&o);
    if (status != ACRE_OK) return status;
    acre_shared_pages *const made = calloc(1, sizeof *made);
    if (made == NULL) return acre_fail(ACRE_NO_MEMORY, "shared pages '%s': %zu bytes", o.name, sizeof *made);
    made->page_bytes = o.page_bytes;
    made->policy_options.kind = o.policy;
    if (!acre_process_self(&made->self)) {
        status = acre_fail(ACRE_UNSUPPORTED, "shared pages '%s': there is no /proc", o.name);
        goto fail;
    }
    /* Segments of other layouts have other names. */
    char name[ACRE_SHARED_NAME_MAX + 32];
    (void)snprintf(name, sizeof name, "%s.%u.%zu", o.name, (unsigned)LAYOUT_VERSION, sizeof(segment_header));
    status = acre_segment_open(&made->segment, name);
    if (status != ACRE_OK) goto fail;
    const bool is_alone = !is_laid_out(&made->segment) || !has_others(made->segment.memory, ACRE_SHARED_PROCESSES_MAX);
    status = is_alone ? make(made, &o) : find(made, &o);
    if (status == ACRE_OK) status = enter(made, o.name);
    if (status != ACRE_OK) {
        acre_segment_close(&made->segment, is_alone);
        goto fail;
    }
    acre_segment_unlock(&made->segment);
    *pages = made;
    return ACRE_OK;

fail:
    free(made);
    return status;
}

acre_status acre_shared_pages_close(acre_shared_pages *pages)
{
    acre_process now;
    if (pages == NULL) return acre_fail(ACRE_INVALID, "shared pages: a NULL");
    if (!acre_process_self(&now) || now.id != pages->self.id || now.start_time != pages->self.start_time)
        return acre_fail(ACRE_INVALID, "shared pages: process %llu has opened them", (unsigned long long)pages->self.id);
    acre_segment_lock(&pages->segment);
    /* Without the lock the number stays taken until the process ends. */
    if (take_lock(pages)) {
        segment_header *const header = pages->header;
        for (uint32_t i = 0; i < ACRE_SHARED_SETS_MAX; i++) take_back(pages, &header->sets[i]);
        header->policy_owner = NO_PROCESS;
        header->processes[pages->process] = (acre_process){0};
        give_lock(pages);
    }
    acre_segment_close(&pages->segment, !has_others(pages->header, pages->process));
    free(pages);
    return ACRE_OK;
}

/* ---- sets ---- */

/* Under the lock. Is a process among `bits`, beside this one, that runs? Those that have ended are taken out. */
static bool has_running(acre_shared_pages *pages, uint64_t *bits, bool counts_unknown)
{
    bool is_found = false;
    for (uint32_t i = 0; i < ACRE_SHARED_PROCESSES_MAX && !is_found; i++) {
        const uint64_t bit = (uint64_t)1 << i;
        if (i == pages->process || (*bits & bit) == 0) continue;
        const acre_process_state state = acre_process_look(&pages->header->processes[i]);
        if (state == ACRE_PROCESS_ENDED) (void)__atomic_fetch_and(bits, ~bit, __ATOMIC_RELAXED);
        is_found = state == ACRE_PROCESS_RUNNING || (counts_unknown && state == ACRE_PROCESS_UNKNOWN);
    }
    return is_found;
}

static void begin_set(segment_header *header, shared_set *set, const uint64_t identity[2])
{
    new_epoch(header, set);
    memset(set->marks, 0, sizeof set->marks);
    memset(set->facts, 0, sizeof set->facts);
    memcpy(set->identity, identity, sizeof set->identity);
}

acre_status acre_shared_pages_join(acre_shared_pages *pages, const uint64_t identity[2], uint32_t *set)
{
    if (pages == NULL || identity == NULL || set == NULL) return acre_fail(ACRE_INVALID, "shared pages: a NULL");
    if (!take_lock(pages)) return acre_fail(ACRE_BUSY, "shared pages: a process that does not go on has the lock");
    segment_header *const header = pages->header;
    uint32_t number = 0, unused = ACRE_SHARED_SETS_MAX;
    for (; number < ACRE_SHARED_SETS_MAX; number++) {
        shared_set *const s = &header->sets[number];
        const bool is_in_use = s->joined != 0 && (pages->join_counts[number] > 0 || has_running(pages, &s->joined, true));
        if (is_in_use && memcmp(s->identity, identity, sizeof s->identity) == 0) break;
        if (!is_in_use && unused == ACRE_SHARED_SETS_MAX) unused = number;
    }
    if (number == ACRE_SHARED_SETS_MAX && unused < ACRE_SHARED_SETS_MAX) {
        number = unused;
        begin_set(header, &header->sets[number], identity);
    }
    if (number < ACRE_SHARED_SETS_MAX) {
        header->sets[number].joined |= bit_of(pages);
        pages->join_counts[number]++;
        *set = number;
    }
    give_lock(pages);
    return number < ACRE_SHARED_SETS_MAX ? ACRE_OK : acre_fail(ACRE_NO_MEMORY, "shared pages: %u sets are in use", ACRE_SHARED_SETS_MAX);
}

void acre_shared_pages_leave(acre_shared_pages *pages, uint32_t set)
{
    /* Without the lock the set stays this process's until it ends. */
    if (pages == NULL || set >= ACRE_SHARED_SETS_MAX || !take_lock(pages)) return;
    if (pages->join_counts[set] > 0 && --pages->join_counts[set] == 0) take_back(pages, &pages->header->sets[set]);
    give_lock(pages);
}

void acre_shared_pages_drop(acre_shared_pages *pages, uint32_t set)
{
    assert(set < ACRE_SHARED_SETS_MAX);
    new_epoch(pages->header, &pages->header->sets[set]);
}

void *acre_shared_pages_lock(acre_shared_pages *pages, uint32_t set)
{
    assert(set < ACRE_SHARED_SETS_MAX);
    return take_lock(pages) ? pages->header->sets[set].facts : NULL;
}

void acre_shared_pages_unlock(acre_shared_pages *pages) { give_lock(pages); }

void acre_shared_pages_mark(acre_shared_pages *pages, uint32_t set, uint32_t mark, bool is_made)
{
    assert(set < ACRE_SHARED_SETS_MAX && mark < ACRE_SHARED_MARK_COUNT);
    uint64_t *const bits = &pages->header->sets[set].marks[mark];
    if (is_made)
        (void)__atomic_fetch_or(bits, bit_of(pages), __ATOMIC_ACQ_REL);
    else
        (void)__atomic_fetch_and(bits, ~bit_of(pages), __ATOMIC_ACQ_REL);
}

bool acre_shared_pages_is_marked(acre_shared_pages *pages, uint32_t set, uint32_t mark)
{
    assert(set < ACRE_SHARED_SETS_MAX && mark < ACRE_SHARED_MARK_COUNT);
    return (pages->header->sets[set].marks[mark] & bit_of(pages)) != 0;
}

bool acre_shared_pages_others(acre_shared_pages *pages, uint32_t set, uint32_t mark)
{
    assert(set < ACRE_SHARED_SETS_MAX && mark < ACRE_SHARED_MARK_COUNT);
    return has_running(pages, &pages->header->sets[set].marks[mark], false);
}

/* ---- reading ---- */

/* The slot that has the key, or NO_SLOT. Without the lock it may be overlooked, and be another's by now, and a walk may go round in circles
 * for a while: so it has a limit. */
static uint32_t find_slot(const acre_shared_pages *pages, uint64_t key, uint32_t steps_max)
{
    uint32_t slot = __atomic_load_n(head_of(pages, key), __ATOMIC_ACQUIRE);
    for (uint32_t step = 0; slot < pages->page_count && step < steps_max; step++) {
        if (load(&pages->keys[slot]) == key) return slot;
        slot = __atomic_load_n(&pages->nexts[slot], __ATOMIC_ACQUIRE);
    }
    return NO_SLOT;
}

static void note_hit(acre_shared_pages *pages, uint32_t slot)
{
    const uint8_t hits = __atomic_load_n(pages->hits + slot, __ATOMIC_RELAXED);
    if (hits < pages->hit_limit) __atomic_store_n(pages->hits + slot, (uint8_t)(hits + 1), __ATOMIC_RELAXED);
}

/* Whether what was copied is the page; `*tag` is its tag. */
static bool copy_out(acre_shared_pages *pages, uint32_t slot, uint64_t key, uint64_t epoch, size_t at, void *to, size_t bytes,
                     uint64_t *tag)
{
    const uint32_t sequence = __atomic_load_n(&pages->sequences[slot], __ATOMIC_ACQUIRE);
    *tag = load(&pages->tags[slot]);
    if ((sequence & 1) != 0 || load(&pages->keys[slot]) != key || *tag >> 1 != epoch) return false;
    memcpy(to, frame_of(pages, slot) + at, bytes);
#ifndef __SANITIZE_THREAD__ /* which does not know fences */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
#endif
    return __atomic_load_n(&pages->sequences[slot], __ATOMIC_RELAXED) == sequence;
}

/* ThreadSanitizer takes a reader without a lock for a mistake. */
#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define READS_UNDER_LOCK 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define READS_UNDER_LOCK 1
#endif
#ifndef READS_UNDER_LOCK
#define READS_UNDER_LOCK 0
#endif

bool acre_shared_pages_read(acre_shared_pages *pages, uint32_t set, uint32_t number, size_t at, void *to, size_t bytes, bool *was_ahead)
{
    assert(set < ACRE_SHARED_SETS_MAX && at <= pages->page_bytes && bytes <= pages->page_bytes - at);
    const uint64_t key = key_of(set, number);
    const uint64_t epoch = load(&pages->header->sets[set].epoch);
    uint64_t tag = 0;
    if (READS_UNDER_LOCK && !take_lock(pages)) return false;
    const uint32_t slot = find_slot(pages, key, WALK_MAX);
    const bool is_there = slot != NO_SLOT && copy_out(pages, slot, key, epoch, at, to, bytes, &tag);
    if (is_there) note_hit(pages, slot);
    const bool is_first =
        is_there && (tag & TAG_AHEAD) != 0 &&
        __atomic_compare_exchange_n(&pages->tags[slot], &tag, tag & ~TAG_AHEAD, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    if (READS_UNDER_LOCK) give_lock(pages);
    if (was_ahead != NULL) *was_ahead = is_first;
    count_up(is_there ? &pages->hit_count : &pages->miss_count);
    return is_there;
}

bool acre_shared_pages_has(acre_shared_pages *pages, uint32_t set, uint32_t number)
{
    assert(set < ACRE_SHARED_SETS_MAX);
    const uint32_t slot = find_slot(pages, key_of(set, number), WALK_MAX);
    return slot != NO_SLOT && load(&pages->tags[slot]) >> 1 == load(&pages->header->sets[set].epoch);
}

/* ---- changing ---- */

static void begin_change(acre_shared_pages *pages, uint32_t slot)
{
    __atomic_store_n(&pages->sequences[slot], pages->sequences[slot] + 1, __ATOMIC_RELAXED);
#ifndef __SANITIZE_THREAD__
    __atomic_thread_fence(__ATOMIC_RELEASE);
#endif
}

static void end_change(acre_shared_pages *pages, uint32_t slot)
{
    __atomic_store_n(&pages->sequences[slot], pages->sequences[slot] + 1, __ATOMIC_RELEASE);
}

static void set_tag(acre_shared_pages *pages, uint32_t slot, uint64_t tag) { __atomic_store_n(&pages->tags[slot], tag, __ATOMIC_RELAXED); }

static void unlink_slot(acre_shared_pages *pages, uint32_t slot)
{
    uint32_t *place = head_of(pages, pages->keys[slot]);
    while (*place != slot) {
        assert(*place != NO_SLOT);
        place = &pages->nexts[*place];
    }
    __atomic_store_n(place, pages->nexts[slot], __ATOMIC_RELEASE);
}

static void link_slot(acre_shared_pages *pages, uint32_t slot, uint64_t key)
{
    uint32_t *const head = head_of(pages, key);
    __atomic_store_n(&pages->keys[slot], key, __ATOMIC_RELEASE);
    __atomic_store_n(&pages->nexts[slot], *head, __ATOMIC_RELEASE);
    __atomic_store_n(head, slot, __ATOMIC_RELEASE);
}

/* A slot for a key that has none. Its content is nobody's, and its sequence odd. */
static uint32_t take_slot(acre_shared_pages *pages, uint64_t key)
{
    segment_header *const header = pages->header;
    acre_policy *const policy = pages->policy_memory;
    const acre_policy_origin origin = acre_policy_miss(policy, key);
    uint32_t slot = header->free_head;
    if (slot != NO_SLOT) {
        header->free_head = pages->nexts[slot];
        header->count++;
        begin_change(pages, slot);
    } else {
        slot = acre_policy_evict(policy, origin, NULL, NULL);
        assert(slot < pages->page_count);
        begin_change(pages, slot);
        unlink_slot(pages, slot);
        header->evict_count++;
    }
    link_slot(pages, slot, key);
    acre_policy_admit(policy, slot, origin);
    return slot;
}

acre_shared_ticket acre_shared_pages_begin(acre_shared_pages *pages, uint32_t set)
{
    assert(set < ACRE_SHARED_SETS_MAX);
    const shared_set *const s = &pages->header->sets[set];
    const uint64_t change_count = load(&s->change_count);
    return (acre_shared_ticket){.epoch = load(&s->epoch), .change_count = change_count};
}

bool acre_shared_pages_put(acre_shared_pages *pages, uint32_t set, uint32_t number, const void *page, const acre_shared_ticket *ticket,
                           bool is_ahead)
{
    assert(set < ACRE_SHARED_SETS_MAX);
    if (!take_lock(pages)) return false;
    const shared_set *const s = &pages->header->sets[set];
    const bool counts = load(&s->epoch) == ticket->epoch && load(&s->change_count) == ticket->change_count;
    const uint64_t key = key_of(set, number);
    uint32_t slot = counts ? find_slot(pages, key, pages->page_count) : NO_SLOT;
    const bool is_there = slot != NO_SLOT && pages->tags[slot] >> 1 == ticket->epoch; /* another has been faster */
    if (counts && !is_there) {
        if (slot == NO_SLOT) {
            slot = take_slot(pages, key);
        } else {
            begin_change(pages, slot);
            note_hit(pages, slot);
        }
        memcpy(frame_of(pages, slot), page, pages->page_bytes);
        set_tag(pages, slot, ticket->epoch << 1 | (is_ahead ? TAG_AHEAD : 0));
        end_change(pages, slot);
    }
    give_lock(pages);
    count_up(counts ? &pages->put_count : &pages->refuse_count);
    return counts;
}

void acre_shared_pages_change(acre_shared_pages *pages, uint32_t set, uint32_t number, size_t at, const void *from, size_t bytes)
{
    assert(set < ACRE_SHARED_SETS_MAX && at <= pages->page_bytes && bytes <= pages->page_bytes - at);
    shared_set *const s = &pages->header->sets[set];
    if (!take_lock(pages)) {
        new_epoch(pages->header, s);
        return;
    }
    (void)__atomic_add_fetch(&s->change_count, 1, __ATOMIC_ACQ_REL);
    const uint32_t slot = find_slot(pages, key_of(set, number), pages->page_count);
    if (slot != NO_SLOT) {
        begin_change(pages, slot);
        if (from == NULL)
            set_tag(pages, slot, 0);
        else
            memcpy(frame_of(pages, slot) + at, from, bytes);
        end_change(pages, slot);
    }
    give_lock(pages);
}

/* ---- figures ---- */

acre_status acre_shared_pages_read_figures(acre_shared_pages *pages, acre_shared_pages_figures *figures)
{
    if (pages == NULL || figures == NULL) return acre_fail(ACRE_INVALID, "shared pages: a NULL");
    if (!take_lock(pages)) return acre_fail(ACRE_BUSY, "shared pages: a process that does not go on has the lock");
    const segment_header *const header = pages->header;
    *figures = (acre_shared_pages_figures){.page_bytes = pages->page_bytes,
                                           .page_count_max = pages->page_count,
                                           .page_count = header->count,
                                           .hit_count = load(&pages->hit_count),
                                           .miss_count = load(&pages->miss_count),
                                           .put_count = load(&pages->put_count),
                                           .refuse_count = load(&pages->refuse_count),
                                           .late_count = load(&pages->late_count),
                                           .evict_count = header->evict_count,
                                           .void_count = header->void_count,
                                           .segment_bytes = pages->segment.bytes};
    for (uint32_t i = 0; i < ACRE_SHARED_PROCESSES_MAX; i++)
        figures->process_count += acre_process_look(&header->processes[i]) != ACRE_PROCESS_ENDED;
    for (uint32_t i = 0; i < ACRE_SHARED_SETS_MAX; i++) figures->set_count += header->sets[i].joined != 0;
    give_lock(pages);
    return ACRE_OK;
}

bool acre_shared_pages_is_valid(acre_shared_pages *pages)
{
    if (!take_lock(pages)) return false;
    const segment_header *const header = pages->header;
    uint32_t linked = 0, unused = 0;
    bool is_valid = acre_policy_is_valid(pages->policy_memory);
    for (uint32_t i = 0; i <= pages->head_mask && is_valid; i++) {
        for (uint32_t slot = pages->heads[i]; slot != NO_SLOT && is_valid; slot = pages->nexts[slot]) {
            is_valid = slot < pages->page_count && linked++ < header->count && head_of(pages, pages->keys[slot]) == &pages->heads[i] &&
                       (pages->sequences[slot] & 1) == 0 && acre_policy_holds(pages->policy_memory, slot) &&
                       pages->tags[slot] >> 1 <= header->last_number && find_slot(pages, pages->keys[slot], pages->page_count) == slot;
        }
    }
    for (uint32_t slot = header->free_head; slot != NO_SLOT && is_valid; slot = pages->nexts[slot])
        is_valid = slot < pages->page_count && unused++ < pages->page_count && pages->keys[slot] == 0;
    is_valid = is_valid && linked == header->count && linked + unused == pages->page_count;
    give_lock(pages);
    return is_valid;
}
