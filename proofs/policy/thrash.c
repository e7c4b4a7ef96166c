/* Proofs of policy/thrash.c: from any state of a page, one fault. */
#include "../proof.h"
#include "policy/thrash.c"

static acre_thrash any_page(uint64_t now_ns)
{
    acre_thrash page = {nondet_u64(), nondet_unsigned() & 7, nondet_unsigned() & 255, nondet_unsigned() & 255, nondet_bool()};
    assume(page.event_count <= ACRE_THRASH_EVENTS && page.wait_count <= ACRE_THRASH_WAITS);
    assume(!page.is_pinned || page.wait_count == ACRE_THRASH_WAITS);
    assume(page.moved_ns < (uint64_t)1 << 60 && now_ns < (uint64_t)1 << 60);
    return page;
}

/* PROOF thrash_fault
 *   property: a page is pinned only after ten waits, is waited for only after three events in a row, and both only when another place had
 *             it less than a lapse ago; its counts stay within their bounds
 *   bound:    unbounded
 *   assumes:  times below 2^60 ns, a lapse below 2^40 ns
 */
void prove_thrash_fault(void)
{
    const uint64_t now_ns = nondet_u64(), lapse_ns = nondet_u64();
    const unsigned place = nondet_unsigned() & 3;
    assume(lapse_ns > 0 && lapse_ns < (uint64_t)1 << 40);
    acre_thrash page = any_page(now_ns);
    const acre_thrash before = page;
    const acre_thrash_verdict verdict = acre_thrash_fault(&page, place, now_ns, lapse_ns);
    assert(page.event_count <= ACRE_THRASH_EVENTS && page.wait_count <= ACRE_THRASH_WAITS);
    assert(!page.is_pinned || page.wait_count == ACRE_THRASH_WAITS);
    assert((verdict == ACRE_THRASH_PIN) == acre_thrash_is_pinned(&page, now_ns));
    if (verdict != ACRE_THRASH_MOVE && !acre_thrash_is_pinned(&before, now_ns)) {
        assert(before.place != 0 && before.place != place + 1 && now_ns < before.moved_ns + lapse_ns);
        assert(before.event_count + 1 >= ACRE_THRASH_EVENTS);
    }
    if (verdict == ACRE_THRASH_WAIT) assert(page.wait_count == before.wait_count + 1 && page.moved_ns == now_ns + lapse_ns);
}

/* PROOF thrash_forgives
 *   property: a fault by the place that had the page last, or a lapse after it came, moves it at once and begins anew; so does the first
 *             fault after a pin has ended
 *   bound:    unbounded
 *   assumes:  times below 2^60 ns, a lapse below 2^40 ns
 */
void prove_thrash_forgives(void)
{
    const uint64_t now_ns = nondet_u64(), lapse_ns = nondet_u64();
    const unsigned place = nondet_unsigned() & 3;
    assume(lapse_ns > 0 && lapse_ns < (uint64_t)1 << 40);
    acre_thrash page = any_page(now_ns);
    assume(!acre_thrash_is_pinned(&page, now_ns));
    assume(page.is_pinned || page.place == place + 1 || now_ns >= page.moved_ns + lapse_ns);
    assert(acre_thrash_fault(&page, place, now_ns, lapse_ns) == ACRE_THRASH_MOVE);
    assert(page.event_count == 0 && page.wait_count == 0 && !page.is_pinned && page.moved_ns == now_ns && page.place == place + 1);
}

/* PROOF thrash_remembers
 *   property: with waits remembered a fault takes none of a page's waits, and else does what it does without
 *   bound:    unbounded
 *   assumes:  times below 2^60 ns, a lapse below 2^40 ns
 */
void prove_thrash_remembers(void)
{
    const uint64_t now_ns = nondet_u64(), lapse_ns = nondet_u64();
    const unsigned place = nondet_unsigned() & 3;
    assume(lapse_ns > 0 && lapse_ns < (uint64_t)1 << 40);
    acre_thrash page = any_page(now_ns), plain = page;
    const acre_thrash before = page;
    const acre_thrash_verdict verdict = acre_thrash_fault_remembering(&page, place, now_ns, lapse_ns);
    assert(verdict == acre_thrash_fault(&plain, place, now_ns, lapse_ns));
    assert(page.wait_count >= before.wait_count && page.wait_count >= plain.wait_count && page.wait_count <= ACRE_THRASH_WAITS);
    assert(page.wait_count == before.wait_count || page.wait_count == plain.wait_count);
    assert(page.moved_ns == plain.moved_ns && page.place == plain.place && page.event_count == plain.event_count);
    assert(page.is_pinned == plain.is_pinned && (!page.is_pinned || page.wait_count == ACRE_THRASH_WAITS));
}

/* PROOF thrash_vote
 *   property: the lapse stays between its bounds and its votes below their number; it changes only with the last vote, by an eighth at
 *             most; it never grows by a fault within it, and never shrinks by one after it; whoever has the page, and a pinned page, have
 *             no vote
 *   bound:    unbounded
 *   assumes:  times below 2^60 ns
 */
void prove_thrash_vote(void)
{
    const uint64_t now_ns = nondet_u64();
    const unsigned place = nondet_unsigned() & 3;
    acre_thrash_lapse lapse = {nondet_u64(), (int32_t)nondet_unsigned()};
    const acre_thrash page = any_page(now_ns);
    assume(lapse.ns >= ACRE_THRASH_LAPSE_NS_MIN && lapse.ns <= ACRE_THRASH_LAPSE_NS_MAX);
    assume(lapse.votes > -ACRE_THRASH_VOTES && lapse.votes < ACRE_THRASH_VOTES);
    const acre_thrash_lapse before = lapse;
    acre_thrash_vote(&lapse, &page, place, now_ns);
    assert(lapse.ns >= ACRE_THRASH_LAPSE_NS_MIN && lapse.ns <= ACRE_THRASH_LAPSE_NS_MAX);
    assert(lapse.votes > -ACRE_THRASH_VOTES && lapse.votes < ACRE_THRASH_VOTES);
    const bool is_event = acre_thrash_is_event(&page, place, now_ns, before.ns);
    if (lapse.ns != before.ns) {
        assert(lapse.votes == 0 && (before.votes == ACRE_THRASH_VOTES - 1 || before.votes == 1 - ACRE_THRASH_VOTES));
        const uint64_t step_ns = lapse.ns > before.ns ? lapse.ns - before.ns : before.ns - lapse.ns;
        assert(step_ns <= before.ns / ACRE_THRASH_STEP);
        assert((lapse.ns < before.ns) == is_event);
    }
    if (page.is_pinned || page.place == 0 || page.place == place + 1) assert(lapse.ns == before.ns && lapse.votes == before.votes);
    if (lapse.votes > before.votes && before.votes != 1 - ACRE_THRASH_VOTES) assert(!is_event);
    if (lapse.votes < before.votes && before.votes != ACRE_THRASH_VOTES - 1) assert(is_event);
}

/* PROOF thrash_forgets
 *   property: a block forgets only when there was an event and the last one is an epoch ago, and four times in all; each event begins an
 *             epoch, and forgetting ends it
 *   bound:    unbounded
 *   assumes:  times and an epoch below 2^60 ns
 */
void prove_thrash_forgets(void)
{
    const uint64_t now_ns = nondet_u64(), epoch_ns = nondet_u64();
    const bool is_event = nondet_bool();
    acre_thrash_epoch epoch = {nondet_u64(), nondet_unsigned()};
    assume(epoch_ns > 0 && epoch_ns < (uint64_t)1 << 60 && now_ns < (uint64_t)1 << 60 && epoch.event_ns < (uint64_t)1 << 60);
    assume(epoch.reset_count <= ACRE_THRASH_RESETS);
    const acre_thrash_epoch before = epoch;
    const bool forgets = acre_thrash_forgets(&epoch, is_event, now_ns, epoch_ns);
    assert(epoch.reset_count <= ACRE_THRASH_RESETS && epoch.reset_count == before.reset_count + forgets);
    if (forgets) assert(before.event_ns != 0 && now_ns >= before.event_ns + epoch_ns);
    assert(epoch.event_ns == (is_event ? now_ns : forgets ? 0 : before.event_ns));
}
