/* ghost_table.h - keys that were in the cache, forgotten in the order in which they came, in 4 bytes each: for a policy that bears it when
 * one key in some ten thousand is taken for another, or forgotten too early.
 *
 * A word has 21 bits of a key's fingerprint, its tag, and above them the number of the group in which it came: groups are of the keys that
 * come one after the other, 128 to a full table. A key may be in two buckets of eight words; the second follows from the first and the tag,
 * so that a word can move to its other bucket where both are full (Fan and others, Cuckoo Filter, 2014), one step far. What is oldest there
 * gives way if that does not help, which is one key in 5,000.
 *
 * Nothing is taken out when it gets old: a word counts just as long as its group's number is not below that of the oldest group, and each
 * group has the count of its keys that were not taken. So keys are forgotten by groups, and there are between `limit` and 127/128 of it.
 * When each key that comes is taken again, groups are many and nearly empty; the oldest goes when there are 384, that is three times
 * `limit` keys. Numbers have 11 bits: words that do not count are given a number just below the oldest one's, some with each group, before
 * it would come round. Costs: O(1); a key that is not there costs a look at two lines of the processor's cache. */
#ifndef ACRE_POLICY_GHOST_TABLE_H
#define ACRE_POLICY_GHOST_TABLE_H

#include "base/bits.h"
#include "policy/carve.h"

#include <assert.h>
#include <string.h>

enum {
    ACRE_GHOST_TAG_BITS = 21,
    ACRE_GHOST_BUCKET = 8,
    ACRE_GHOST_GROUPS = 128,    /* of a full table in which no key is taken */
    ACRE_GHOST_GROUPS_KEPT = 3, /* times as many */
    ACRE_GHOST_SWEEPS = 512,    /* groups in which all words are seen once */
};

#define ACRE_GHOST_TAG_MASK (((uint32_t)1 << ACRE_GHOST_TAG_BITS) - 1)

/* Keys of a group: 58 at most where slots have 16 bits. */
#if UINTPTR_MAX > 0xffffffffu
typedef uint32_t acre_ghost_count;
#else
typedef uint8_t acre_ghost_count;
#endif

typedef struct acre_ghost_table {
    uint32_t *words;
    acre_ghost_count *counts; /* a ring: keys of each group that were not taken */
    uint32_t bucket_count;
    uint32_t sweep;                /* the bucket that is seen next */
    uint32_t newest, oldest;       /* numbers of groups; there is none when the newest is below the oldest */
    uint32_t newest_at, oldest_at; /* where they are in counts */
    uint32_t group_count_max;
    uint32_t left;          /* keys that the newest group has room for */
    acre_policy_slot count; /* keys that were not taken, in all groups */
} acre_ghost_table;

/* For up to `limit_max` keys: sets where things lie, and nothing else. */
static inline void acre_ghost_table_lay_out(acre_ghost_table *table, acre_carver *carver, acre_policy_slot limit_max)
{
    const uint32_t groups = limit_max < ACRE_GHOST_GROUPS ? limit_max : ACRE_GHOST_GROUPS;
    table->bucket_count = (uint32_t)((uint64_t)limit_max * 11 / (8 * ACRE_GHOST_BUCKET) + 1);
    table->group_count_max = groups * ACRE_GHOST_GROUPS_KEPT;
    table->words = acre_carve(carver, (size_t)table->bucket_count * ACRE_GHOST_BUCKET, sizeof *table->words);
    table->counts = acre_carve(carver, table->group_count_max, sizeof *table->counts);
}

/* In memory that is all zero. Words of zeros do not count: the newest group is number 0. */
static inline void acre_ghost_table_init(acre_ghost_table *table) { table->oldest = table->oldest_at = 1; }

static inline uint32_t acre_ghost_number(uint32_t group) { return group << ACRE_GHOST_TAG_BITS; }

static inline bool acre_ghost_counts(const acre_ghost_table *table, uint32_t word)
{
    return (int32_t)(word - acre_ghost_number(table->oldest)) >= 0;
}

static inline uint32_t acre_ghost_bucket(const acre_ghost_table *table, uint32_t fingerprint)
{
    return (uint32_t)((uint64_t)fingerprint * table->bucket_count >> 32);
}

/* The other bucket of a tag that may be in `bucket`; that one's other bucket is this one. */
static inline uint32_t acre_ghost_other(const acre_ghost_table *table, uint32_t bucket, uint32_t tag)
{
    const uint32_t sum = (uint32_t)((uint64_t)(uint32_t)(tag * 0x9e3779b1u) * table->bucket_count >> 32);
    return sum >= bucket ? sum - bucket : sum + table->bucket_count - bucket;
}

static inline uint32_t *acre_ghost_words(const acre_ghost_table *table, uint32_t bucket)
{
    return table->words + (size_t)bucket * ACRE_GHOST_BUCKET;
}

static inline uint32_t acre_ghost_after(const acre_ghost_table *table, uint32_t at)
{
    return at + 1 == table->group_count_max ? 0 : at + 1;
}

static inline void acre_ghost_drop_group(acre_ghost_table *table)
{
    assert(table->count >= table->counts[table->oldest_at]);
    table->count = (acre_policy_slot)(table->count - table->counts[table->oldest_at]);
    if (table->oldest == table->newest) table->left = 0;
    table->oldest++;
    table->oldest_at = acre_ghost_after(table, table->oldest_at);
}

/* Forgets the oldest keys until there are no more than `limit`. */
static inline void acre_ghost_table_trim(acre_ghost_table *table, acre_policy_slot limit)
{
    while (table->count > limit) acre_ghost_drop_group(table);
}

static inline void acre_ghost_sweep(acre_ghost_table *table)
{
    for (uint32_t n = table->bucket_count / ACRE_GHOST_SWEEPS + 1; n > 0; n--) {
        uint32_t *const words = acre_ghost_words(table, table->sweep);
        for (unsigned i = 0; i < ACRE_GHOST_BUCKET; i++)
            words[i] = acre_ghost_counts(table, words[i]) ? words[i] : acre_ghost_number(table->oldest - 1);
        table->sweep = table->sweep + 1 == table->bucket_count ? 0 : table->sweep + 1;
    }
}

/* Seldom, so not inline: its registers would be saved with each key. */
__attribute__((noinline)) static void acre_ghost_begin_group(acre_ghost_table *table, acre_policy_slot limit)
{
    if (table->newest + 1 - table->oldest == table->group_count_max) acre_ghost_drop_group(table);
    table->newest++;
    table->newest_at = acre_ghost_after(table, table->newest_at);
    table->counts[table->newest_at] = 0;
    table->left = ((uint32_t)limit + ACRE_GHOST_GROUPS - 1) / ACRE_GHOST_GROUPS;
    acre_ghost_sweep(table);
}

/* Four words, which processors that can do so handle at once; there are no branches then. */
typedef uint32_t acre_ghost_four __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t acre_ghost_signed_four __attribute__((vector_size(16), aligned(4), may_alias));

/* All bits that any of the four has. */
static inline uint32_t acre_ghost_unite(const acre_ghost_four *four)
{
    uint64_t two[2];
    memcpy(two, four, sizeof two);
    two[0] |= two[1];
    return (uint32_t)(two[0] | two[0] >> 32);
}

/* A bit for each word of a bucket that does not count. */
static inline uint32_t acre_ghost_free_words(const acre_ghost_table *table, uint32_t bucket)
{
    const acre_ghost_four *const words = (const acre_ghost_four *)(const void *)acre_ghost_words(table, bucket);
    const uint32_t oldest = acre_ghost_number(table->oldest);
    const acre_ghost_signed_four zero = {0}, low = (acre_ghost_signed_four)(words[0] - oldest),
                                 high = (acre_ghost_signed_four)(words[1] - oldest);
    const acre_ghost_four low_bits = {1, 2, 4, 8}, high_bits = {16, 32, 64, 128};
    const acre_ghost_four low_free = (acre_ghost_four)(low < zero), high_free = (acre_ghost_four)(high < zero);
    const acre_ghost_four are_free = (low_free & low_bits) | (high_free & high_bits);
    return acre_ghost_unite(&are_free);
}

/* A word in either of two full buckets: one that can move to its other bucket, else the oldest. */
__attribute__((noinline)) static uint32_t *acre_ghost_make_room(const acre_ghost_table *table, const uint32_t *buckets)
{
    uint32_t *oldest = acre_ghost_words(table, buckets[0]);
    for (unsigned k = 0; k < 2; k++) {
        uint32_t *const words = acre_ghost_words(table, buckets[k]);
        for (unsigned i = 0; i < ACRE_GHOST_BUCKET; i++) {
            const uint32_t other = acre_ghost_other(table, buckets[k], words[i] & ACRE_GHOST_TAG_MASK);
            const uint32_t are_free = acre_ghost_free_words(table, other);
            if (are_free != 0) {
                acre_ghost_words(table, other)[acre_word_lowest(are_free)] = words[i];
                return words + i;
            }
            if ((int32_t)(words[i] - *oldest) < 0) oldest = words + i;
        }
    }
    return oldest;
}

/* Where a new key's word goes. */
static inline uint32_t *acre_ghost_place(const acre_ghost_table *table, uint32_t first, uint32_t tag)
{
    uint32_t are_free = acre_ghost_free_words(table, first);
    if (are_free != 0) return acre_ghost_words(table, first) + acre_word_lowest(are_free);
    const uint32_t buckets[2] = {first, acre_ghost_other(table, first, tag)};
    are_free = acre_ghost_free_words(table, buckets[1]);
    if (are_free != 0) return acre_ghost_words(table, buckets[1]) + acre_word_lowest(are_free);
    return acre_ghost_make_room(table, buckets);
}

/* Remembers a key, which is not in the table, and no more than `limit` of them, which is at least 1. */
static inline void acre_ghost_table_push(acre_ghost_table *table, uint32_t fingerprint, acre_policy_slot limit)
{
    const uint32_t tag = fingerprint & ACRE_GHOST_TAG_MASK;
    acre_ghost_table_trim(table, (acre_policy_slot)(limit - 1));
    if (table->left == 0) acre_ghost_begin_group(table, limit);
    *acre_ghost_place(table, acre_ghost_bucket(table, fingerprint), tag) = acre_ghost_number(table->newest) | tag;
    table->left--;
    table->counts[table->newest_at]++;
    table->count++;
}

/* Whether a word of either bucket has the tag. */
static inline bool acre_ghost_has_tag(const acre_ghost_table *table, uint32_t first, uint32_t second, uint32_t tag)
{
    const acre_ghost_four *const a = (const acre_ghost_four *)(const void *)acre_ghost_words(table, first);
    const acre_ghost_four *const b = (const acre_ghost_four *)(const void *)acre_ghost_words(table, second);
    const acre_ghost_four zero = {0};
    const acre_ghost_four a_low = (a[0] ^ tag) & ACRE_GHOST_TAG_MASK, a_high = (a[1] ^ tag) & ACRE_GHOST_TAG_MASK;
    const acre_ghost_four b_low = (b[0] ^ tag) & ACRE_GHOST_TAG_MASK, b_high = (b[1] ^ tag) & ACRE_GHOST_TAG_MASK;
    acre_ghost_four are_equal = (acre_ghost_four)(a_low == zero);
    are_equal |= (acre_ghost_four)(a_high == zero);
    are_equal |= (acre_ghost_four)(b_low == zero);
    are_equal |= (acre_ghost_four)(b_high == zero);
    return acre_ghost_unite(&are_equal) != 0;
}

/* Takes a tag out of a bucket, if it is there and counts. */
static inline bool acre_ghost_take_tag(acre_ghost_table *table, uint32_t bucket, uint32_t tag)
{
    uint32_t *const words = acre_ghost_words(table, bucket);
    for (unsigned i = 0; i < ACRE_GHOST_BUCKET; i++) {
        if (((words[i] ^ tag) & ACRE_GHOST_TAG_MASK) != 0 || !acre_ghost_counts(table, words[i])) continue;
        uint32_t at = table->oldest_at + ((words[i] - acre_ghost_number(table->oldest)) >> ACRE_GHOST_TAG_BITS);
        if (at >= table->group_count_max) at -= table->group_count_max;
        assert(table->counts[at] > 0);
        table->counts[at]--;
        table->count--;
        words[i] = acre_ghost_number(table->oldest - 1);
        return true;
    }
    return false;
}

/* Whether a key is remembered; it is not any more. */
static inline bool acre_ghost_table_take(acre_ghost_table *table, uint32_t fingerprint)
{
    const uint32_t tag = fingerprint & ACRE_GHOST_TAG_MASK, first = acre_ghost_bucket(table, fingerprint);
    const uint32_t second = acre_ghost_other(table, first, tag);
    if (!acre_ghost_has_tag(table, first, second, tag)) return false;
    return acre_ghost_take_tag(table, first, tag) || acre_ghost_take_tag(table, second, tag);
}

static inline bool acre_ghost_table_is_valid(const acre_ghost_table *table)
{
    const uint32_t group_count = table->newest + 1 - table->oldest;
    acre_policy_slot sum = 0, count = 0;
    if (group_count > table->group_count_max || (group_count == 0 && table->left > 0)) return false;
    for (uint32_t i = 0, at = table->oldest_at; i < group_count; i++, at = acre_ghost_after(table, at))
        sum = (acre_policy_slot)(sum + table->counts[at]);
    for (size_t i = 0; i < (size_t)table->bucket_count * ACRE_GHOST_BUCKET; i++) {
        if (!acre_ghost_counts(table, table->words[i])) continue;
        if ((table->words[i] - acre_ghost_number(table->oldest)) >> ACRE_GHOST_TAG_BITS >= group_count) return false;
        count++;
    }
    return sum == table->count && count <= table->count;
}

#endif
