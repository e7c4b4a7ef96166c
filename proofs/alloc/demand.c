/* Proofs of alloc/demand.h: what decides how much free memory is kept. */
#include "../proof.h"
#include "alloc/demand.h"

static acre_demand demand;

/* Amounts are only compared, so a few different ones stand for all. */
static uint64_t any_bytes(void) { return nondet_unsigned() & 7; }
static uint64_t any_window(void) { return nondet_unsigned() & 31; }

static uint64_t any_demand(void)
{
    uint64_t peak = 0;
    for (unsigned i = 0; i < ACRE_DEMAND_WINDOWS; i++) {
        demand.peaks[i] = any_bytes();
        if (demand.peaks[i] > peak) peak = demand.peaks[i];
    }
    demand.window = any_window();
    return peak;
}

/* PROOF demand_turn
 *   property: the answer is never below what is in use nor above what was noted; what was noted last, or less than
 *             eight windows ago, is in it
 *   bound:    8 different amounts, the first 32 windows, any of them after any other
 *   assumes:  nothing
 *   options:  --unwind 9
 */
void prove_demand_turn(void)
{
    const uint64_t noted_peak = any_demand();
    const acre_demand before = demand;
    const uint64_t window = any_window(), bytes = any_bytes(), back = any_bytes();
    assume(back < ACRE_DEMAND_WINDOWS && back <= before.window);
    const uint64_t peak = acre_demand_turn(&demand, window * ACRE_DEMAND_WINDOW_NS, bytes);
    assert(peak >= bytes && (peak == bytes || peak <= noted_peak));
    assert(demand.window == (window > before.window ? window : before.window));
    assert(peak >= before.peaks[before.window % ACRE_DEMAND_WINDOWS]);
    /* A window that is less than eight old still counts. */
    const uint64_t noted = before.window - back;
    if (window < noted + ACRE_DEMAND_WINDOWS) assert(peak >= before.peaks[noted % ACRE_DEMAND_WINDOWS]);
}

/* PROOF demand_forgets
 *   property: when eight windows have been looked at one by one and nothing more was in use than `bytes`, the answer is `bytes`
 *   bound:    8 different amounts, any of the first 32 windows
 *   assumes:  nothing
 *   options:  --unwind 10
 */
void prove_demand_forgets(void)
{
    (void)any_demand();
    const uint64_t start = demand.window, bytes = any_bytes();
    uint64_t peak = 0;
    for (unsigned i = 1; i <= ACRE_DEMAND_WINDOWS; i++) peak = acre_demand_turn(&demand, (start + i) * ACRE_DEMAND_WINDOW_NS, bytes);
    assert(peak == bytes);
}
