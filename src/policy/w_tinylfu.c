/* w_tinylfu.c - W-TinyLFU: a window of 1 % by LRU for newcomers, and a segmented LRU for the rest, four fifths of it protected. What leaves
 * the window takes the place of the last entry on probation if a sketch has seen its key more often, else it goes itself.
 *
 * The sketch counts uses of keys to 15 in four rows of 4-bit counters, four or more for each slot and row, of which the least counts
 * (Cormode, Muthukrishnan 2005); after ten times as many uses as the cache has slots all counts are halved. */
#include "policy/list.h"
#include "policy/policy.h"

enum { WINDOW, PROBATION, PROTECTED, LIST_COUNT }; /* where a slot is: list + 1 */
enum { ROW_COUNT = 4, COUNT_MAX = 15, USES_PER_SLOT = 10 };
#define COLUMNS_PER_SLOT 4u /* so ten uses a slot are told apart well enough: with 1, misses on loops are up to 15 points more */

typedef struct w_tinylfu {
    acre_policy base;
    acre_link *links;
    uint8_t *sketch; /* ROW_COUNT counters of 4 bits in 2 bytes for each column: row r is half r % 2 of byte r / 2 */
    uint32_t column_mask;
    acre_policy_slot counts[LIST_COUNT];
    uint64_t use_count; /* since the counts were halved */
} w_tinylfu;

static acre_policy_slot head(const w_tinylfu *self, unsigned list) { return (acre_policy_slot)(self->base.capacity_max + list); }
static acre_policy_slot window_limit(const w_tinylfu *self)
{
    return (acre_policy_slot)(self->base.capacity < 200 ? 1 : self->base.capacity / 100);
}
static acre_policy_slot protected_limit(const w_tinylfu *self)
{
    return (acre_policy_slot)((uint64_t)(self->base.capacity - window_limit(self)) * 4 / 5);
}

static void lay_out(acre_policy *policy, acre_carver *carver)
{
    w_tinylfu *self = (w_tinylfu *)(void *)policy;
    self->column_mask = 15;
    while (self->column_mask + 1 < policy->capacity_max * COLUMNS_PER_SLOT) self->column_mask = self->column_mask * 2 + 1;
    self->links = acre_carve(carver, (size_t)policy->capacity_max + LIST_COUNT, sizeof *self->links);
    self->sketch = acre_carve(carver, (size_t)self->column_mask + 1, ROW_COUNT / 2);
}

static void init(acre_policy *policy)
{
    w_tinylfu *self = (w_tinylfu *)(void *)policy;
    for (unsigned list = 0; list < LIST_COUNT; list++) acre_list_init(self->links, head(self, list));
}

static uint32_t column_of(const w_tinylfu *self, uint32_t fingerprint, unsigned row)
{
    return acre_mix32(fingerprint + row * 0x9e3779b9u) & self->column_mask;
}

static unsigned count_of(const w_tinylfu *self, uint32_t fingerprint)
{
    unsigned least = COUNT_MAX;
    for (unsigned row = 0; row < ROW_COUNT; row++) {
        uint8_t byte = self->sketch[2 * (size_t)column_of(self, fingerprint, row) + row / 2];
        unsigned count = row % 2 == 0 ? byte & 15u : byte >> 4;
        least = count < least ? count : least;
    }
    return least;
}

/* Counts a use: raises those of the four counters that are lowest. */
static void count_use(w_tinylfu *self, uint32_t fingerprint)
{
    unsigned least = count_of(self, fingerprint);
    for (unsigned row = 0; row < ROW_COUNT && least < COUNT_MAX; row++) {
        uint8_t *byte = self->sketch + 2 * (size_t)column_of(self, fingerprint, row) + row / 2;
        unsigned count = row % 2 == 0 ? *byte & 15u : *byte >> 4;
        if (count == least) *byte = (uint8_t)(*byte + (row % 2 == 0 ? 1 : 16));
    }
    if (++self->use_count >= (uint64_t)self->base.capacity * USES_PER_SLOT) {
        for (size_t i = 0; i < 2 * ((size_t)self->column_mask + 1); i++) self->sketch[i] = (uint8_t)(self->sketch[i] >> 1 & 0x77);
        self->use_count /= 2;
    }
}

static void put(w_tinylfu *self, unsigned list, acre_policy_slot slot)
{
    acre_list_push_first(self->links, head(self, list), slot);
    self->base.where[slot] = (uint8_t)(list + 1);
    self->counts[list]++;
}

static void forget(acre_policy *policy, acre_policy_slot slot)
{
    w_tinylfu *self = (w_tinylfu *)(void *)policy;
    acre_list_remove(self->links, slot);
    self->counts[policy->where[slot] - 1]--;
    policy->where[slot] = 0;
}

/* Moves last entries of a list to the beginning of another, until no more than `count_max` are left. */
static void overflow(w_tinylfu *self, unsigned from, unsigned to, acre_policy_slot count_max)
{
    while (self->counts[from] > count_max) {
        acre_policy_slot slot = acre_list_last(self->links, head(self, from));
        forget(&self->base, slot);
        put(self, to, slot);
    }
}

static void touch(acre_policy *policy, acre_policy_slot slot)
{
    w_tinylfu *self = (w_tinylfu *)(void *)policy;
    count_use(self, acre_policy_fingerprint(policy, slot));
    unsigned list = policy->where[slot] - 1u;
    if (list != PROBATION) {
        acre_list_move_first(self->links, head(self, list), slot);
    } else {
        forget(policy, slot);
        put(self, PROTECTED, slot);
        overflow(self, PROTECTED, PROBATION, protected_limit(self));
    }
}

static acre_policy_origin miss(acre_policy *policy, uint32_t fingerprint)
{
    count_use((w_tinylfu *)(void *)policy, fingerprint);
    return 0;
}

/* The last entry of the main part; ACRE_POLICY_NO_SLOT when there is none. */
static acre_policy_slot main_victim(const w_tinylfu *self)
{
    if (self->counts[PROBATION] > 0) return acre_list_last(self->links, head(self, PROBATION));
    return self->counts[PROTECTED] > 0 ? acre_list_last(self->links, head(self, PROTECTED)) : ACRE_POLICY_NO_SLOT;
}

static acre_policy_slot evict(acre_policy *policy, acre_policy_origin origin, acre_policy_look *look, void *context)
{
    w_tinylfu *self = (w_tinylfu *)(void *)policy;
    (void)origin;
    for (uint32_t kept = 0; !acre_policy_gives_up(policy, kept);) {
        acre_policy_slot victim = main_victim(self), candidate = acre_list_last(self->links, head(self, WINDOW));
        acre_policy_slot main_count = (acre_policy_slot)(policy->count - self->counts[WINDOW]);
        bool is_window_full = self->counts[WINDOW] > 0 && (self->counts[WINDOW] >= window_limit(self) || main_count == 0);
        /* When those of the main part are kept, or there are none, the window has its turn. */
        bool from_window = self->counts[WINDOW] > 0 && kept >= acre_policy_patience(policy, main_count);
        if (is_window_full && !from_window)
            from_window =
                count_of(self, acre_policy_fingerprint(policy, candidate)) <= count_of(self, acre_policy_fingerprint(policy, victim));
        acre_policy_slot slot = from_window ? candidate : victim;
        if (acre_policy_may_take(look, context, slot, &kept)) {
            forget(policy, slot);
            if (is_window_full && slot == victim) {
                forget(policy, candidate);
                put(self, PROBATION, candidate);
            }
            return slot;
        }
        forget(policy, slot);
        put(self, slot == candidate ? PROBATION : PROTECTED, slot);
        overflow(self, PROTECTED, PROBATION, protected_limit(self));
    }
    return ACRE_POLICY_NO_SLOT;
}

static void admit(acre_policy *policy, acre_policy_slot slot, acre_policy_origin origin)
{
    w_tinylfu *self = (w_tinylfu *)(void *)policy;
    (void)origin;
    put(self, WINDOW, slot);
    overflow(self, WINDOW, PROBATION, window_limit(self));
}

static void resize(acre_policy *policy)
{
    w_tinylfu *self = (w_tinylfu *)(void *)policy;
    overflow(self, WINDOW, PROBATION, window_limit(self));
    overflow(self, PROTECTED, PROBATION, protected_limit(self));
}

static bool is_valid(const acre_policy *policy)
{
    const w_tinylfu *self = (const w_tinylfu *)(const void *)policy;
    size_t count = 0;
    for (unsigned list = 0; list < LIST_COUNT; list++) {
        if (acre_list_count(self->links, head(self, list), policy->capacity_max) != self->counts[list]) return false;
        count += self->counts[list];
    }
    return count == policy->count && self->counts[WINDOW] <= window_limit(self) && self->counts[PROTECTED] <= protected_limit(self);
}

const acre_policy_operations acre_policy_w_tinylfu = {.struct_bytes = sizeof(w_tinylfu),
                                                      .needs_keys = true,
                                                      .lay_out = lay_out,
                                                      .init = init,
                                                      .touch = touch,
                                                      .miss = miss,
                                                      .evict = evict,
                                                      .admit = admit,
                                                      .forget = forget,
                                                      .resize = resize,
                                                      .is_valid = is_valid};
