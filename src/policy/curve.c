/* curve.c - see acre/curve.h.
 *
 * The last use of each key in the sample is a slot; slots are numbered in the order of use. The distance of a request is the number of
 * slots in use behind its key's: a count of bits by words and a Fenwick tree of them. When the slots are used up, those in use move
 * together; there are twice as many as keys, so that is once in at least keys_max requests.
 *
 * Weights are counts of requests times WEIGHT, as if the threshold had always been what it is: when it changes, weights and distances are
 * scaled with it. A bucket of distance k stands for k to k + 1 keys of the sample, spread evenly.
 */
#include <acre/curve.h>

#include "base/atomic.h"
#include "base/status.h"

#include <string.h>

enum {
    WEIGHT = 16,
    REQUESTS_A_KEY = 16, /* a look has so many sampled requests for each of keys_max */
    LOOKS_KEPT = 4,      /* when the weight of so many is there, all is halved */
    WORD_SLOTS = 64,
    SLOTS_A_KEY = 2,
};

#define WHOLE       ((uint64_t)1 << 32)
#define SELDOM      ((uint64_t)1 << 44)          /* requests after which counts are settled anyway, so that no product overflows */
#define SPREAD      UINT64_C(0x9e3779b97f4a7c15) /* 2^64 by the golden ratio */
#define TABLE_MULTI UINT64_C(0xd6e8feb86659fd93)

/* value * part / whole, rounded down; value / 2^20 * part and whole * 2^20 have to fit in 64 bits, and the result as well. */
static uint64_t scaled(uint64_t value, uint64_t part, uint64_t whole)
{
    assert(whole > 0);
    const uint64_t high = value >> 20, low = value & 0xfffff;
    const uint64_t quotient = high * part / whole, rest = high * part % whole;
    return (quotient << 20) + ((rest << 20) + low * part) / whole;
}

/* value * part / WHOLE. */
static uint64_t share_of(uint64_t value, uint64_t part)
{
    const uint64_t high = (value >> 20) * part;
    return (high >> 12) + (((high & 0xfff) << 20) + ((value & 0xfffff) * part)) / WHOLE;
}

static size_t words_of(uint32_t slots) { return (slots + WORD_SLOTS - 1) / WORD_SLOTS; }

static bool is_in_range(const acre_curve_options *options)
{
    return options->keys_max >= ACRE_CURVE_KEYS_MIN && options->keys_max <= ACRE_CURVE_KEYS_MAX && options->share <= ACRE_CURVE_SHARE_MAX;
}

static uint32_t table_bits_of(uint32_t keys_max) { return acre_log2_ceil(2 * (uint64_t)keys_max + 2); }

/* A sample may have one key more than keys_max until it is thinned out. */
static uint32_t slots_of(uint32_t keys_max) { return SLOTS_A_KEY * (keys_max + 1); }

size_t acre_curve_bytes(const acre_curve_options *options)
{
    if (options == NULL || !is_in_range(options)) return 0;
    const size_t slots = slots_of(options->keys_max), words = words_of((uint32_t)slots);
    const size_t of_64 = slots + words;
    const size_t of_32 = words + 1 + slots + ((size_t)1 << table_bits_of(options->keys_max)) + 2 * ((size_t)options->keys_max + 1);
    return (size_t)acre_align_up(sizeof(acre_curve), 8) + of_64 * 8 + (size_t)acre_align_up(of_32 * 4, 8);
}

/* What acre_curve_wants reads without a lock; on a machine of shorter words nobody else is there. */
static void publish(uint64_t *figure, uint64_t value) { acre_store_figure(figure, value); }

/* --- the order of last use --- */

static void add_to_sums(acre_curve *curve, uint32_t slot, uint32_t change)
{
    const uint32_t count = (uint32_t)words_of(curve->slot_count);
    for (uint32_t i = slot / WORD_SLOTS + 1; i <= count; i += i & (0u - i)) curve->sums[i] += change;
}

static unsigned bits_of(uint64_t word)
{
    return acre_word_count((acre_word)word) + (sizeof(acre_word) < 8 ? acre_word_count((acre_word)(word >> 32)) : 0);
}

/* Slots in use behind this one. */
static uint32_t count_behind(const acre_curve *curve, uint32_t slot)
{
    const uint64_t up_to = ~(uint64_t)0 >> (WORD_SLOTS - 1 - slot % WORD_SLOTS);
    uint32_t before = bits_of(curve->words[slot / WORD_SLOTS] & up_to);
    for (uint32_t i = slot / WORD_SLOTS; i > 0; i -= i & (0u - i)) before += curve->sums[i];
    return curve->key_count - before;
}

static void use_slot(acre_curve *curve, uint32_t slot)
{
    curve->words[slot / WORD_SLOTS] |= (uint64_t)1 << slot % WORD_SLOTS;
    add_to_sums(curve, slot, 1);
}

static void free_slot(acre_curve *curve, uint32_t slot)
{
    curve->words[slot / WORD_SLOTS] &= ~((uint64_t)1 << slot % WORD_SLOTS);
    add_to_sums(curve, slot, (uint32_t)-1);
}

/* Sets the bits of slots 0 to `count` - 1, and the sums of that. */
static void fill_slots(acre_curve *curve, uint32_t count)
{
    const uint32_t words = (uint32_t)words_of(curve->slot_count);
    for (uint32_t i = 0; i < words; i++) {
        const uint32_t begin = i * WORD_SLOTS, here = count <= begin ? 0 : count - begin < WORD_SLOTS ? count - begin : WORD_SLOTS;
        curve->words[i] = here == 0 ? 0 : ~(uint64_t)0 >> (WORD_SLOTS - here);
        curve->sums[i + 1] = here;
    }
    for (uint32_t i = 1; i <= words; i++) {
        const uint32_t above = i + (i & (0u - i));
        if (above <= words) curve->sums[above] += curve->sums[i];
    }
    curve->next_slot = count;
}

/* --- the table --- */

static uint32_t home_of(const acre_curve *curve, uint64_t key) { return (uint32_t)(key * TABLE_MULTI >> (64 - curve->table_bits)); }

static uint32_t place_of(const acre_curve *curve, uint64_t key)
{
    const uint32_t mask = ((uint32_t)1 << curve->table_bits) - 1;
    uint32_t at = home_of(curve, key);
    while (curve->table[at] != 0 && curve->keys[curve->table[at] - 1] != key) at = (at + 1) & mask;
    return at;
}

static bool is_used(const acre_curve *curve, uint32_t slot) { return (curve->words[slot / WORD_SLOTS] >> slot % WORD_SLOTS & 1) != 0; }

/* Slots in use become the first ones, in their order; those of keys that are no longer in the sample are given up. */
static void move_together(acre_curve *curve, bool is_thinned)
{
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < curve->next_slot; slot++) {
        const uint64_t key = curve->keys[slot];
        if (!is_used(curve, slot) || (is_thinned && key * curve->factor >= curve->limit)) continue;
        curve->keys[count] = key;
        curve->places[count] = curve->places[slot];
        if (!is_thinned) curve->table[curve->places[count]] = count + 1;
        count++;
    }
    curve->key_count = count;
    fill_slots(curve, count);
    if (!is_thinned) return;
    memset(curve->table, 0, sizeof *curve->table << curve->table_bits);
    for (uint32_t slot = 0; slot < count; slot++) {
        curve->places[slot] = place_of(curve, curve->keys[slot]);
        curve->table[curve->places[slot]] = slot + 1;
    }
}

/* --- weights --- */

/* What passed since the threshold was set becomes part of what is expected. */
static void settle(acre_curve *curve)
{
    const uint64_t passed = curve->left_then - curve->left;
    curve->left_then = curve->left;
    if (curve->limit == 0) return; /* in a pause nobody looks */
    curve->look_passed += passed;
    curve->expected += share_of(passed * WEIGHT, curve->threshold);
}

/* Adds `weight`, spread from `begin` to `end`, places in 2^32ths of a bucket. */
static void spread(uint32_t *buckets, uint32_t last, uint64_t begin, uint64_t end, uint32_t weight)
{
    uint32_t left = weight;
    while (begin >> 32 < (end - 1) >> 32 && begin >> 32 < last) {
        const uint64_t border = ((begin >> 32) + 1) << 32;
        const uint32_t here = (uint32_t)scaled(left, border - begin, end - begin);
        buckets[begin >> 32] += here;
        left -= here;
        begin = border;
    }
    buckets[begin >> 32 < last ? begin >> 32 : last] += left;
}

/* Distances and weights of the old threshold become those of the new one. What one bucket's weight loses by rounding the next one gets. */
static void rescale(uint32_t *buckets, uint32_t last, uint64_t from, uint64_t to)
{
    const uint64_t width = scaled(WHOLE, to, from);
    uint64_t rest = 0;
    for (uint32_t n = 0; n <= last; n++) {
        const uint32_t k = to < from ? n : last - n; /* so that no bucket is read after it was added to */
        if (buckets[k] == 0) continue;
        const uint64_t weight = scaled(buckets[k], to, from);
        rest += (buckets[k] * to - weight * from) & (WHOLE - 1);
        buckets[k] = 0;
        const uint32_t more = rest >= from;
        if (more != 0) rest -= from;
        if (weight + more > 0) spread(buckets, last, k * width, (k + 1) * width, (uint32_t)weight + more);
    }
}

static void set_threshold(acre_curve *curve, uint64_t threshold)
{
    const uint64_t from = curve->threshold;
    if (from > 0 && threshold != from) { /* it is at least 1 */
        rescale(curve->hits, curve->keys_max, from, threshold);
        rescale(curve->censored, curve->keys_max, from, threshold);
        curve->expected = scaled(curve->expected, threshold, from);
        curve->sampled = scaled(curve->sampled, threshold, from);
    }
    curve->threshold = threshold;
}

static uint64_t limit_of(uint64_t threshold) { return threshold == WHOLE ? UINT64_MAX : threshold << 32; }

static void thin_out(acre_curve *curve)
{
    settle(curve);
    while (curve->key_count > curve->keys_max && curve->threshold > 1) {
        const uint64_t threshold = curve->threshold - (curve->threshold + 15) / 16;
        set_threshold(curve, threshold == 0 ? 1 : threshold);
        publish(&curve->limit, limit_of(curve->threshold));
        move_together(curve, true);
    }
}

static void halve(acre_curve *curve)
{
    uint32_t odd_hits = 0, odd_censored = 0; /* what rounding takes from one bucket the next one gets */
    for (uint32_t k = 0; k <= curve->keys_max; k++) {
        const uint32_t hits = curve->hits[k] + odd_hits, censored = curve->censored[k] + odd_censored;
        curve->hits[k] = hits / 2;
        curve->censored[k] = censored / 2;
        odd_hits = hits % 2;
        odd_censored = censored % 2;
    }
    curve->expected /= 2;
    curve->sampled /= 2;
}

/* --- looking and pausing --- */

static uint64_t look_requests(const acre_curve *curve) { return (uint64_t)REQUESTS_A_KEY * curve->keys_max; }

static uint64_t next_odd(acre_curve *curve)
{
    curve->random ^= curve->random << 13;
    curve->random ^= curve->random >> 7;
    curve->random ^= curve->random << 17;
    return curve->random * SPREAD | 1;
}

static void begin_look(acre_curve *curve)
{
    curve->key_count = 0;
    memset(curve->table, 0, sizeof *curve->table << curve->table_bits);
    fill_slots(curve, 0);
    curve->sampled_count = 0;
    curve->look_passed = 0;
    curve->left = curve->left_then = SELDOM;
    if (curve->look_count > 0) publish(&curve->factor, next_odd(curve));
    publish(&curve->limit, limit_of(curve->threshold));
    curve->look_count++;
}

static void end_look(acre_curve *curve)
{
    settle(curve);
    const uint64_t owed = curve->sampled_count * curve->share;
    const uint64_t pause = owed > curve->look_passed ? owed - curve->look_passed : 0;
    if (curve->expected + curve->sampled > 2 * LOOKS_KEPT * WEIGHT * look_requests(curve)) halve(curve);
    if (curve->key_count < curve->keys_max / 2 && curve->threshold < WHOLE)
        set_threshold(curve, 2 * curve->threshold < WHOLE ? 2 * curve->threshold : WHOLE);
    if (pause == 0) {
        begin_look(curve);
        return;
    }
    publish(&curve->limit, 0);
    curve->left = curve->left_then = pause;
}

static void look_at(acre_curve *curve, uint64_t key)
{
    if (curve->next_slot == curve->slot_count) move_together(curve, false);
    const uint32_t place = place_of(curve, key), slot = curve->next_slot++;
    if (curve->table[place] != 0) {
        const uint32_t old = curve->table[place] - 1;
        const uint32_t distance = count_behind(curve, old);
        assert(distance < curve->key_count && distance <= curve->keys_max);
        free_slot(curve, old);
        curve->hits[distance] += WEIGHT;
    } else {
        curve->censored[curve->key_count++] += WEIGHT;
    }
    curve->keys[slot] = key;
    curve->places[slot] = place;
    curve->table[place] = slot + 1;
    use_slot(curve, slot);
    curve->sampled += WEIGHT;
    curve->sampled_count++;
    if (curve->key_count > curve->keys_max) thin_out(curve);
    if (curve->sampled_count >= look_requests(curve)) end_look(curve);
}

void acre_curve_take(acre_curve *curve, uint64_t key)
{
    if (curve->left == 0) {
        if (curve->limit == 0) {
            begin_look(curve); /* the pause is over */
        } else {
            settle(curve);
            curve->left = curve->left_then = SELDOM;
        }
        if (key * curve->factor >= curve->limit) return;
    }
    look_at(curve, key);
}

void acre_curve_pass(acre_curve *curve, uint64_t count)
{
    if (curve == NULL) return;
    if (count < curve->left) {
        curve->left -= count;
    } else if (curve->limit == 0) {
        begin_look(curve);
    } else {
        curve->left = 0;
        settle(curve);
        curve->left = curve->left_then = SELDOM;
    }
}

acre_status acre_curve_init(acre_curve **curve, const acre_curve_options *options, void *memory, size_t bytes)
{
    if (curve == NULL || options == NULL || memory == NULL) return acre_fail(ACRE_INVALID, "curve: a NULL");
    const size_t needed = acre_curve_bytes(options);
    if (needed == 0)
        return acre_fail(ACRE_INVALID, "curve: keys_max %u is not from %u to %u, or share %u is above %u", (unsigned)options->keys_max,
                         (unsigned)ACRE_CURVE_KEYS_MIN, (unsigned)ACRE_CURVE_KEYS_MAX, (unsigned)options->share,
                         (unsigned)ACRE_CURVE_SHARE_MAX);
    if (bytes < needed || (uintptr_t)memory % 8 != 0)
        return acre_fail(ACRE_INVALID, "curve: %zu bytes at %p, and %zu aligned to 8 are needed", bytes, memory, needed);
    memset(memory, 0, needed);
    acre_curve *const self = memory;
    const uint32_t slots = slots_of(options->keys_max), words = (uint32_t)words_of(slots);
    self->keys_max = options->keys_max;
    self->share = options->share;
    self->slot_count = slots;
    self->table_bits = table_bits_of(options->keys_max);
    self->factor = SPREAD;
    self->random = UINT64_C(0x2545f4914f6cdd1d);
    self->threshold = WHOLE;
    self->keys = (uint64_t *)(void *)((unsigned char *)memory + acre_align_up(sizeof *self, 8));
    self->words = self->keys + slots;
    self->sums = (uint32_t *)(self->words + words);
    self->table = self->sums + words + 1;
    self->places = self->table + ((size_t)1 << self->table_bits);
    self->hits = self->places + slots;
    self->censored = self->hits + self->keys_max + 1;
    begin_look(self);
    *curve = self;
    return ACRE_OK;
}

/* --- reading --- */

/* The share of requests that go on to longer distances, of 2^32: after bucket `k` whole, or a part of it of 2^32. */
static uint64_t after_bucket(uint64_t survive, uint64_t weight, uint64_t at_risk, uint64_t part)
{
    const uint64_t gone = share_of(weight, part);
    if (gone == 0) return survive;
    return gone >= at_risk ? 0 : survive - scaled(survive, gone, at_risk);
}

acre_status acre_curve_read(const acre_curve *curve, const uint64_t *sizes, uint32_t *misses, size_t count)
{
    if (curve == NULL || (count > 0 && (sizes == NULL || misses == NULL))) return acre_fail(ACRE_INVALID, "curve: a NULL");
    for (size_t i = 1; i < count; i++)
        if (sizes[i] < sizes[i - 1])
            return acre_fail(ACRE_INVALID, "curve: size %llu stands behind %llu", (unsigned long long)sizes[i],
                             (unsigned long long)sizes[i - 1]);

    const uint64_t passed = curve->limit == 0 ? 0 : curve->left_then - curve->left;
    const uint64_t expected = curve->expected + share_of(passed * WEIGHT, curve->threshold);
    /* Hot keys that the sample happens to have not, or to have, are hits at every size (SHARDS-adj): they are added to, or taken from, the
     * shortest distances. */
    uint64_t missing = expected > curve->sampled ? expected - curve->sampled : 0;
    uint64_t surplus = expected > curve->sampled ? 0 : curve->sampled - expected;
    uint64_t at_risk = expected, survive = WHOLE;
    const bool is_first_look = curve->look_count == 1 && curve->limit != 0; /* what is new in it is missed at every size */
    size_t done = 0;
    for (uint32_t k = 0; k <= curve->keys_max && done < count; k++) {
        uint64_t weight = curve->hits[k] + missing;
        const uint64_t taken = surplus < weight ? surplus : weight;
        weight -= taken;
        surplus -= taken;
        missing = 0;
        for (; done < count; done++) {
            uint64_t at; /* in 2^32ths of a bucket */
            if (__builtin_mul_overflow(sizes[done], curve->threshold, &at)) break;
            if (at >> 32 > k) break;
            misses[done] = (uint32_t)scaled(after_bucket(survive, weight, at_risk, at & (WHOLE - 1)), ACRE_CURVE_MILLION, WHOLE);
        }
        survive = after_bucket(survive, weight, at_risk, WHOLE);
        const uint64_t gone = weight + (is_first_look ? 0 : curve->censored[k]);
        at_risk = at_risk > gone ? at_risk - gone : 0;
    }
    for (; done < count; done++) misses[done] = (uint32_t)share_of(survive, ACRE_CURVE_MILLION);
    return ACRE_OK;
}

uint32_t acre_curve_rate(const acre_curve *curve)
{
    const uint32_t rate = curve == NULL ? 0 : (uint32_t)share_of(curve->threshold, ACRE_CURVE_MILLION);
    return rate == 0 ? 1 : rate;
}

bool acre_curve_is_valid(const acre_curve *curve)
{
    uint32_t used = 0;
    uint64_t weight = 0;
    for (uint32_t slot = 0; slot < curve->slot_count; slot++) {
        if (!is_used(curve, slot)) continue;
        used++;
        if (slot >= curve->next_slot || curve->table[curve->places[slot]] != slot + 1) return false;
        if (place_of(curve, curve->keys[slot]) != curve->places[slot]) return false;
        if (count_behind(curve, slot) != curve->key_count - used) return false;
    }
    for (uint32_t k = 0; k <= curve->keys_max; k++) weight += (uint64_t)curve->hits[k] + curve->censored[k];
    /* Scaling rounds down, by bucket and by sum. */
    const uint64_t slack = 64 * (uint64_t)curve->keys_max * (1 + curve->look_count) + 64;
    return used == curve->key_count && used <= curve->keys_max && weight <= curve->sampled + slack && curve->sampled <= weight + slack &&
           curve->threshold >= 1 && curve->threshold <= WHOLE;
}
