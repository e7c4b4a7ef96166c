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
