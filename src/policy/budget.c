/* budget.c - see acre/budget.h.
 *
 * row[g] is the least sum of costs of the members that were asked in this round with g grains between them, and a member's choices[g] is
 * its own part of that. A new member turns the row into the next one from the top down, in place, since it only looks at fewer grains. The
 * division is read off backwards. Grains that bring nothing are left over by it; they go to who has them already.
 */
#include <acre/budget.h>

#include "base/bits.h"
#include "base/status.h"

#define GRAINS   ACRE_BUDGET_GRAINS
#define NOBODY   UINT64_MAX
#define COST_MAX ((uint64_t)1 << 48)

enum { GAIN_MIN_DEFAULT = 20000, MILLION = 1000000 };

static uint64_t grain_bytes(const acre_budget *budget) { return budget->bytes / GRAINS; }

static uint32_t least_of(const acre_budget_member *member, uint64_t grain)
{
    const uint64_t grains = member->bytes_min / grain + (member->bytes_min % grain != 0);
    return grains > GRAINS ? GRAINS + 1 : (uint32_t)grains;
}

static uint32_t most_of(const acre_budget_member *member, uint64_t grain)
{
    const uint64_t grains = member->bytes_max / grain;
    return member->bytes_max == 0 || grains > GRAINS ? GRAINS : (uint32_t)grains;
}

/* Could all have their least? */
static acre_status check_members(const acre_budget *budget, uint64_t bytes)
{
    const uint64_t grain = bytes / GRAINS;
    uint64_t least = 0;
    for (const acre_budget_member *member = budget->first; member != NULL; member = member->next) {
        least += least_of(member, grain);
        if (least_of(member, grain) > most_of(member, grain))
            return acre_fail(ACRE_INVALID, "budget: member '%s': no grain of %llu bytes lies between %llu and %llu", member->name,
                             (unsigned long long)grain, (unsigned long long)member->bytes_min, (unsigned long long)member->bytes_max);
    }
    if (least > GRAINS)
        return acre_fail(ACRE_INVALID, "budget: the members need %llu grains of %llu bytes, and there are %u", (unsigned long long)least,
                         (unsigned long long)grain, GRAINS);
    return ACRE_OK;
}

/* --- moving --- */

/* Members that are to have less give first; others grow by what is there. */
static void move(acre_budget *budget)
{
    const uint64_t grain = grain_bytes(budget);
    uint64_t held = 0;
    for (acre_budget_member *member = budget->first; member != NULL; member = member->next) {
        const uint64_t wanted = member->wanted * grain;
        if (wanted < member->bytes) {
            const uint64_t kept = member->resize(member->context, wanted);
            member->bytes = kept < wanted ? wanted : kept < member->bytes ? kept : member->bytes;
        }
        held += member->bytes;
    }
    for (acre_budget_member *member = budget->first; member != NULL; member = member->next) {
        const uint64_t wanted = member->wanted * grain;
        if (wanted <= member->bytes || held >= budget->bytes) continue;
        const uint64_t more = wanted - member->bytes, room = budget->bytes - held;
        held += more < room ? more : room;
        member->bytes += more < room ? more : room;
        (void)member->resize(member->context, member->bytes);
    }
}

/* Grains that are not given out yet: first to who has them, then one by one. */
static void give_rest(acre_budget *budget, uint32_t rest)
{
    const uint64_t grain = grain_bytes(budget);
    for (acre_budget_member *member = budget->first; member != NULL; member = member->next) {
        const uint64_t has = member->bytes / grain, most = most_of(member, grain);
        const uint64_t up_to = has < most ? has : most;
        const uint32_t more = up_to > member->wanted ? (uint32_t)(up_to - member->wanted) : 0;
        member->wanted += more < rest ? more : rest;
        rest -= more < rest ? more : rest;
    }
    for (bool is_taken = true; rest > 0 && is_taken;) {
        is_taken = false;
        for (acre_budget_member *member = budget->first; member != NULL && rest > 0; member = member->next) {
            if (member->wanted >= most_of(member, grain)) continue;
            member->wanted++;
            rest--;
            is_taken = true;
        }
    }
}

/* The least for everyone, the rest evenly. */
static void divide_evenly(acre_budget *budget)
{
    const uint64_t grain = grain_bytes(budget);
    uint32_t rest = GRAINS;
    for (acre_budget_member *member = budget->first; member != NULL; member = member->next) {
        member->wanted = least_of(member, grain);
        rest -= member->wanted;
    }
    while (rest > 0) { /* to who has least */
        acre_budget_member *poorest = NULL;
        for (acre_budget_member *member = budget->first; member != NULL; member = member->next)
            if (member->wanted < most_of(member, grain) && (poorest == NULL || member->wanted < poorest->wanted)) poorest = member;
        if (poorest == NULL) break;
        poorest->wanted++;
        rest--;
    }
    move(budget);
}

/* --- rounds --- */

static void begin_round(acre_budget *budget)
{
    budget->asked = budget->first;
    for (uint32_t g = 0; g <= GRAINS; g++) budget->row[g] = 0; /* fewer grains than there are may be used */
}

static void ask(acre_budget *budget, acre_budget_member *member)
{
    const uint64_t grain = grain_bytes(budget);
    const uint32_t least = least_of(member, grain), most = most_of(member, grain);
    uint64_t sizes[GRAINS + 1], costs[GRAINS + 1] = {0};
    for (uint32_t g = 0; g <= GRAINS; g++) sizes[g] = g * grain;
    member->read(member->context, sizes, costs, GRAINS + 1);
    for (uint32_t g = 0; g <= GRAINS; g++) {
        assert(costs[g] <= COST_MAX);
        member->costs[g] = (member->costs[g] + (costs[g] < COST_MAX ? costs[g] : COST_MAX)) / 2;
    }
    for (uint32_t g = GRAINS + 1; g-- > 0;) {
        uint64_t best = NOBODY;
        uint32_t choice = least;
        for (uint32_t own = least; own <= most && own <= g; own++) {
            if (budget->row[g - own] == NOBODY) continue;
            const uint64_t costs_of_all = budget->row[g - own] + member->costs[own];
            if (costs_of_all < best) {
                best = costs_of_all;
                choice = own;
            }
        }
        budget->row[g] = best;
        member->choices[g] = (uint8_t)choice;
    }
}

static uint64_t costs_now(const acre_budget *budget)
{
    uint64_t sum = 0;
    for (const acre_budget_member *member = budget->first; member != NULL; member = member->next) {
        const uint64_t has = member->bytes / grain_bytes(budget);
        sum += member->costs[has < GRAINS ? has : GRAINS];
    }
    return sum;
}

static bool is_within_limits(const acre_budget *budget)
{
    const uint64_t grain = grain_bytes(budget);
    uint64_t held = 0;
    for (const acre_budget_member *member = budget->first; member != NULL; member = member->next) {
        held += member->bytes;
        if (member->bytes < least_of(member, grain) * grain || member->bytes > most_of(member, grain) * grain) return false;
    }
    return held <= budget->bytes;
}

static void end_round(acre_budget *budget)
{
    const uint64_t now = costs_now(budget), then = budget->row[GRAINS];
    const uint64_t gain_min = now / MILLION * budget->gain_min + now % MILLION * budget->gain_min / MILLION;
    budget->round_count++;
    assert(then != NOBODY);
    if (is_within_limits(budget) && (then >= now || now - then <= gain_min)) return;
    uint32_t rest = GRAINS;
    for (acre_budget_member *member = budget->last; member != NULL; member = member->previous) {
        member->wanted = member->choices[rest];
        rest -= member->wanted;
    }
    give_rest(budget, rest);
    move(budget);
    budget->change_count++;
}

bool acre_budget_step(acre_budget *budget)
{
    if (budget == NULL || budget->first == NULL) return false;
    if (budget->asked == NULL) begin_round(budget);
    ask(budget, budget->asked);
    budget->asked = budget->asked->next;
    if (budget->asked != NULL) return false;
    end_round(budget);
    return true;
}

/* --- members --- */

acre_status acre_budget_init(acre_budget *budget, uint64_t bytes)
{
    if (budget == NULL) return acre_fail(ACRE_INVALID, "budget: a NULL");
    if (bytes < GRAINS || bytes > ACRE_BUDGET_BYTES_MAX)
        return acre_fail(ACRE_INVALID, "budget: %llu bytes are not from %u to 2^60", (unsigned long long)bytes, GRAINS);
    *budget = (acre_budget){.bytes = bytes, .gain_min = GAIN_MIN_DEFAULT};
    return ACRE_OK;
}

static bool is_in(const acre_budget *budget, const acre_budget_member *wanted)
{
    const acre_budget_member *member = budget->first;
    while (member != NULL && member != wanted) member = member->next;
    return member != NULL;
}

static void unlink_member(acre_budget *budget, acre_budget_member *member)
{
    *(member->previous != NULL ? &member->previous->next : &budget->first) = member->next;
    *(member->next != NULL ? &member->next->previous : &budget->last) = member->previous;
    member->next = member->previous = NULL;
    budget->member_count--;
    budget->asked = NULL; /* the round begins anew */
}

acre_status acre_budget_add(acre_budget *budget, acre_budget_member *member)
{
    if (budget == NULL || member == NULL) return acre_fail(ACRE_INVALID, "budget: a NULL");
    if (member->read == NULL || member->resize == NULL || member->name == NULL)
        return acre_fail(ACRE_INVALID, "budget: a member without name, read or resize");
    if (is_in(budget, member)) return acre_fail(ACRE_INVALID, "budget: member '%s' is in already", member->name);
    member->bytes = 0;
    for (uint32_t g = 0; g <= GRAINS; g++) member->costs[g] = 0;
    member->next = NULL;
    member->previous = budget->last;
    *(budget->last != NULL ? &budget->last->next : &budget->first) = member;
    budget->last = member;
    budget->member_count++;
    budget->asked = NULL;
    const acre_status status = check_members(budget, budget->bytes);
    if (status == ACRE_OK)
        divide_evenly(budget);
    else
        unlink_member(budget, member);
    return status;
}

acre_status acre_budget_remove(acre_budget *budget, acre_budget_member *member)
{
    if (budget == NULL || member == NULL) return acre_fail(ACRE_INVALID, "budget: a NULL");
    if (!is_in(budget, member)) return acre_fail(ACRE_INVALID, "budget: a member that is not in");
    unlink_member(budget, member);
    return ACRE_OK;
}

acre_status acre_budget_set_bytes(acre_budget *budget, uint64_t bytes)
{
    if (budget == NULL) return acre_fail(ACRE_INVALID, "budget: a NULL");
    if (bytes < GRAINS || bytes > ACRE_BUDGET_BYTES_MAX)
        return acre_fail(ACRE_INVALID, "budget: %llu bytes are not from %u to 2^60", (unsigned long long)bytes, GRAINS);
    const acre_status status = check_members(budget, bytes);
    if (status != ACRE_OK) return status;
    const uint64_t old_grain = grain_bytes(budget), grain = bytes / GRAINS;
    uint32_t rest = GRAINS, over = 0;
    budget->bytes = bytes;
    budget->asked = NULL;
    for (acre_budget_member *member = budget->first; member != NULL; member = member->next) {
        const uint64_t had = member->bytes / old_grain;
        const uint32_t least = least_of(member, grain), most = most_of(member, grain);
        member->wanted = had < least ? least : had > most ? most : (uint32_t)had;
        over += member->wanted;
        for (uint32_t g = 0; g <= GRAINS; g++) member->costs[g] = 0; /* they are of other sizes */
    }
    for (acre_budget_member *member = budget->first; member != NULL && over > rest; member = member->next) {
        const uint32_t can = member->wanted - least_of(member, grain), less = can < over - rest ? can : over - rest;
        member->wanted -= less;
        over -= less;
    }
    rest -= over;
    give_rest(budget, rest);
    move(budget);
    return ACRE_OK;
}

acre_status acre_budget_read_curve(const acre_curve *curve, uint64_t requests, uint64_t cost, uint64_t entry_bytes, const uint64_t *sizes,
                                   uint64_t *costs, size_t count)
{
    uint64_t entries[GRAINS + 1];
    uint32_t misses[GRAINS + 1];
    if (sizes == NULL || costs == NULL || entry_bytes == 0 || count > GRAINS + 1)
        return acre_fail(ACRE_INVALID, "budget: a NULL, entries of 0 bytes, or more than %u sizes", GRAINS + 1);
    for (size_t i = 0; i < count; i++) entries[i] = sizes[i] / entry_bytes;
    const acre_status status = acre_curve_read(curve, entries, misses, count);
    if (status != ACRE_OK) return status;
    /* requests * cost * misses / MILLION, at most COST_MAX. */
    uint64_t all;
    if (__builtin_mul_overflow(requests, cost, &all) || all > COST_MAX) all = COST_MAX;
    for (size_t i = 0; i < count; i++) costs[i] = all / MILLION * misses[i] + all % MILLION * misses[i] / MILLION;
    return ACRE_OK;
}

bool acre_budget_is_valid(const acre_budget *budget)
{
    uint64_t held = 0;
    uint32_t count = 0;
    const acre_budget_member *previous = NULL;
    for (const acre_budget_member *member = budget->first; member != NULL; member = member->next) {
        if (member->previous != previous) return false;
        previous = member;
        held += member->bytes;
        count++;
    }
    return previous == budget->last && count == budget->member_count && held <= budget->bytes;
}
