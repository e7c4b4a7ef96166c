/* Proofs of policy/ghost_table.h: from any table, one operation leaves each key that it does not forget where it is looked for. */
#include "../proof.h"
#include "policy/ghost_table.h"

enum { BUCKETS = 2, WORDS = BUCKETS * ACRE_GHOST_BUCKET, GROUPS = 2, COUNT_MAX = 15, TAG_MAX = 3 };

static uint32_t words[WORDS], before[WORDS];
static acre_ghost_count counts[GROUPS];
static acre_ghost_table table = {.words = words, .counts = counts, .bucket_count = BUCKETS, .group_count_max = GROUPS};

/* The group of a word that counts, as a place in counts. */
static uint32_t place_of(uint32_t word)
{
    return (table.oldest_at + ((word - acre_ghost_number(table.oldest)) >> ACRE_GHOST_TAG_BITS)) & (GROUPS - 1);
}

/* Groups lie one behind the other, and the count is the sum of theirs. */
static bool is_ring_sound(void)
{
    const uint32_t group_count = table.newest + 1 - table.oldest;
    if (group_count > GROUPS || (group_count == 0 && table.left > 0)) return false;
    if (table.newest_at != ((table.oldest_at + group_count - 1) & (GROUPS - 1))) return false;
    for (unsigned i = 0; i < WORDS; i++) {
        if (acre_ghost_counts(&table, words[i]) &&
            (words[i] - acre_ghost_number(table.oldest)) >> ACRE_GHOST_TAG_BITS >= group_count)
            return false;
    }
    return table.count == (group_count > 0 ? counts[table.oldest_at] : 0) + (group_count > 1 ? counts[table.newest_at] : 0);
}

/* No group has more words than its count. */
static bool are_counts_large_enough(void)
{
    acre_policy_slot in_group[GROUPS] = {0};
    for (unsigned i = 0; i < WORDS; i++) in_group[place_of(words[i])] += acre_ghost_counts(&table, words[i]);
    return in_group[0] <= counts[0] && in_group[1] <= counts[1];
}

static void any_table(void)
{
    table.oldest = 2047; /* the numbers come round there */
    table.newest = table.oldest - 1 + (nondet_u32() & 3);
    table.newest_at = nondet_u32() & 1;
    table.oldest_at = nondet_u32() & 1;
    table.left = nondet_u32() & COUNT_MAX;
    table.count = nondet_u32() & (2 * COUNT_MAX + 1);
    table.sweep = nondet_u32() & 1;
    for (unsigned i = 0; i < GROUPS; i++) counts[i] = nondet_u32() & COUNT_MAX;
    for (unsigned i = 0; i < WORDS; i++) words[i] = acre_ghost_number(table.oldest - 1 + (nondet_u32() & 3)) | (nondet_u32() & TAG_MAX);
    assume(is_ring_sound());
    for (unsigned i = 0; i < WORDS; i++) before[i] = words[i];
}

/* In either bucket. */
static uint32_t any_fingerprint(void) { return (nondet_u32() & 1) << 31 | (nondet_u32() & TAG_MAX); }

static bool is_in(uint32_t bucket, uint32_t word)
{
    for (unsigned i = 0; i < ACRE_GHOST_BUCKET; i++)
        if (words[bucket * ACRE_GHOST_BUCKET + i] == word) return true;
    return false;
}

/* PROOF ghost_table_push
 *   property: a new key is found; when its buckets are not full, each other one whose group counts is where it is looked for
 *   bound:    2 buckets, 2 groups of up to 15 keys, whose numbers come round, 4 tags
 *   assumes:  words are swept in time: one that does not count has the number just below the oldest group's
 *   options:  --unwind 18 --unwindset acre_ghost_table_trim.0:4
 */
void prove_ghost_table_push(void)
{
    any_table();
    const uint32_t fingerprint = any_fingerprint(), tag = fingerprint & ACRE_GHOST_TAG_MASK, limit = nondet_u32() & COUNT_MAX;
    const unsigned some = nondet_unsigned() & (WORDS - 1);
    assume(limit >= 1 && table.count <= limit);
    acre_ghost_table_push(&table, fingerprint, limit);
    assert(is_ring_sound());
    assert(table.count >= 1 && table.count <= limit && counts[table.newest_at] >= 1);
    const uint32_t first = acre_ghost_bucket(&table, fingerprint), second = acre_ghost_other(&table, first, tag);
    assert(is_in(first, acre_ghost_number(table.newest) | tag) || is_in(second, acre_ghost_number(table.newest) | tag));
    unsigned free_count = 0;
    for (unsigned i = 0; i < WORDS; i++)
        free_count += !acre_ghost_counts(&table, before[i]) && (i / ACRE_GHOST_BUCKET == first || i / ACRE_GHOST_BUCKET == second);
    if (free_count == 0 || !acre_ghost_counts(&table, before[some])) return;
    const uint32_t here = some / ACRE_GHOST_BUCKET;
    assert(is_in(here, before[some]) || is_in(acre_ghost_other(&table, here, before[some] & ACRE_GHOST_TAG_MASK), before[some]));
}

/* PROOF ghost_table_take
 *   property: a key is there just if a word that counts has its tag in one of its buckets; that one does not count then, all others stay
 *   bound:    2 buckets, 2 groups of up to 15 keys, whose numbers come round, 4 tags
 *   assumes:  words are swept in time: one that does not count has the number just below the oldest group's
 *   options:  --unwind 18 --unwindset acre_ghost_table_trim.0:4
 */
void prove_ghost_table_take(void)
{
    any_table();
    assume(are_counts_large_enough());
    const acre_ghost_count old_counts[GROUPS] = {counts[0], counts[1]};
    const uint32_t fingerprint = any_fingerprint(), tag = fingerprint & ACRE_GHOST_TAG_MASK, count = table.count;
    const uint32_t first = acre_ghost_bucket(&table, fingerprint), second = acre_ghost_other(&table, first, tag);
    bool was_in = false;
    for (unsigned i = 0; i < WORDS; i++)
        was_in |= (words[i] & ACRE_GHOST_TAG_MASK) == tag && acre_ghost_counts(&table, words[i]) &&
                  (i / ACRE_GHOST_BUCKET == first || i / ACRE_GHOST_BUCKET == second);
    assert(acre_ghost_table_take(&table, fingerprint) == was_in);
    assert(table.count == count - was_in);
    assert(is_ring_sound());
    unsigned changed = 0;
    for (unsigned i = 0; i < WORDS; i++) {
        if (words[i] == before[i]) continue;
        assert((before[i] & ACRE_GHOST_TAG_MASK) == tag && !acre_ghost_counts(&table, words[i]));
        assert(counts[place_of(before[i])] == old_counts[place_of(before[i])] - 1u);
        changed++;
    }
    assert(changed == was_in);
}

/* PROOF ghost_table_trim
 *   property: as many as are wanted stay, of the youngest groups, and no group goes without need
 *   bound:    2 buckets, 2 groups of up to 15 keys, whose numbers come round, 4 tags
 *   assumes:  words are swept in time: one that does not count has the number just below the oldest group's
 *   options:  --unwind 18 --unwindset acre_ghost_table_trim.0:4
 */
void prove_ghost_table_trim(void)
{
    any_table();
    const uint32_t limit = nondet_u32() & (2 * COUNT_MAX + 1), oldest = table.oldest, at = table.oldest_at, count = table.count;
    acre_ghost_table_trim(&table, limit);
    assert(table.count <= limit && is_ring_sound());
    const uint32_t gone = table.oldest - oldest;
    assert(gone <= GROUPS && (gone == 0 ? table.count == count : table.count + counts[(at + gone - 1) & (GROUPS - 1)] > limit));
}

/* PROOF ghost_other_bucket
 *   property: the other bucket of the other bucket is the bucket
 *   bound:    up to 15 buckets, 16 tags
 *   assumes:  nothing else
 */
void prove_ghost_other_bucket(void)
{
    const uint32_t bucket = nondet_u32() & 15, tag = nondet_u32() & 15;
    table.bucket_count = nondet_u32() & 15;
    assume(bucket < table.bucket_count);
    const uint32_t other = acre_ghost_other(&table, bucket, tag);
    assert(other < table.bucket_count && acre_ghost_other(&table, other, tag) == bucket);
}
