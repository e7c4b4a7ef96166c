/* Proofs of heap/compaction.h: what a thread spends on letting sparse spans drain. */
#include "../proof.h"
#include "heap/compaction.h"

static acre_compaction any_compaction(void)
{
    acre_compaction c;
    c.phase = nondet_unsigned() & 3;
    c.since_ns = nondet_word() >> 1;
    c.span_bytes = nondet_word() >> 16;
    c.free_bytes = nondet_word() >> 16;
    return c;
}

/* PROOF compaction_step
 *   property: it runs only where much is free, and after spans were sparse for the time that it waits or rests; it goes on after a
 *             look only if spans became smaller; where they are dense it stops at once
 *   bound:    unbounded: any state, time and figures
 *   assumes:  a clock that does not go back
 */
void prove_compaction_step(void)
{
    acre_compaction c = any_compaction();
    const acre_compaction before = c;
    const uint64_t now_ns = nondet_word() >> 1, span_bytes = nondet_word() >> 16, free_bytes = nondet_word() >> 16;
    assume(now_ns >= before.since_ns && free_bytes <= span_bytes);
    const unsigned every = acre_compaction_every(&c, now_ns, span_bytes, free_bytes);
    const uint64_t length_ns = now_ns - before.since_ns;
    const bool is_dense = free_bytes <= ACRE_COMPACTION_BYTES_MIN || free_bytes <= span_bytes / 16;

    assert((every != 0) == (c.phase == ACRE_COMPACTION_RUNS));
    assert(every <= 8);
    assert(!is_dense || c.phase == ACRE_COMPACTION_DENSE);
    assert(is_dense || c.phase != ACRE_COMPACTION_DENSE);
    if (every != 0 && before.phase != ACRE_COMPACTION_RUNS) {
        assert(before.phase == ACRE_COMPACTION_WAITS && length_ns >= ACRE_COMPACTION_WAIT_NS);
        assert(c.since_ns == now_ns);
    }
    if (every != 0 && before.phase == ACRE_COMPACTION_RUNS && length_ns >= ACRE_COMPACTION_RUN_NS) {
        assert(span_bytes <= before.span_bytes - before.span_bytes / 32);
        assert(c.since_ns == now_ns && c.span_bytes == span_bytes); /* the next look compares with now */
    }
    if (before.phase == ACRE_COMPACTION_RESTS && c.phase == ACRE_COMPACTION_WAITS) {
        assert(length_ns >= ACRE_COMPACTION_REST_NS || free_bytes > before.free_bytes);
    }
    if (c.phase == before.phase && c.phase != ACRE_COMPACTION_RUNS) assert(c.since_ns == before.since_ns);
}

/* PROOF compaction_rests
 *   property: where nothing helps, it runs at most half a second and the time between two looks, and then rests sixteen times as long
 *   bound:    unbounded: any figures that stay as they are, any two looks after the start
 *   assumes:  a clock that does not go back
 */
void prove_compaction_rests(void)
{
    const uint64_t start_ns = nondet_word() >> 2, span_bytes = nondet_word() >> 16, free_bytes = nondet_word() >> 16;
    assume(span_bytes > 32 && free_bytes <= span_bytes);
    acre_compaction c = {.phase = ACRE_COMPACTION_RUNS, .since_ns = start_ns, .span_bytes = span_bytes, .free_bytes = free_bytes};
    const uint64_t end_ns = nondet_word() >> 2, later_ns = nondet_word() >> 2;
    assume(end_ns >= start_ns + ACRE_COMPACTION_RUN_NS && later_ns >= end_ns);
    assert(acre_compaction_every(&c, end_ns, span_bytes, free_bytes) == 0);
    const unsigned every = acre_compaction_every(&c, later_ns, span_bytes, free_bytes);
    assert(every == 0);
    if (later_ns < end_ns + ACRE_COMPACTION_REST_NS) {
        assert(c.phase == ACRE_COMPACTION_RESTS || c.phase == ACRE_COMPACTION_DENSE);
    }
}
