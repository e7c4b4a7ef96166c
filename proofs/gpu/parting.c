/* Proof of gpu/parting.c: what is taken out of the list of freed memory, from any list. */
#include "../proof.h"
#include "gpu/parting.c"

enum { PART_COUNT = 4 };

static parting parts[PART_COUNT];
static acre_gpu gpu;
static bool passed[PART_COUNT];
static unsigned asked;

static bool answer(void *context, uint64_t value)
{
    (void)context;
    asked++;
    return passed[value];
}

/* PROOF parting_take
 *   property: what is taken has passed, and what stays is in its order, linked from the first to the last; no more is asked than allowed;
 *             asked for all, none that has passed stays
 *   bound:    lists of at most 4
 *   assumes:  no other thread exists
 *   options:  --unwind 6
 */
void prove_parting_take(void)
{
    const unsigned count = nondet_unsigned();
    const uint32_t ask_count = nondet_u32();
    const bool all = nondet_bool();
    assume(count <= PART_COUNT);
    for (unsigned i = 0; i < PART_COUNT; i++) {
        passed[i] = nondet_bool();
        parts[i] = (parting){.fence = {answer, NULL, i}, .next = i + 1 < count ? &parts[i + 1] : NULL};
    }
    gpu.first_parting = count == 0 ? NULL : &parts[0];
    gpu.last_parting = count == 0 ? NULL : &parts[count - 1];
    bool is_taken[PART_COUNT] = {false};
    unsigned taken_count = 0, left_count = 0;
    for (parting *part = take_passed(&gpu, ask_count, all); part != NULL; part = part->next) {
        const unsigned i = (unsigned)(part - parts);
        assert(passed[i] && !is_taken[i]);
        is_taken[i] = true;
        taken_count++;
    }
    const parting *last = NULL;
    for (const parting *part = gpu.first_parting; part != NULL; part = part->next) {
        assert(!is_taken[part - parts] && (last == NULL || last < part));
        assert(!(all && ask_count >= count && passed[part - parts]));
        last = part;
        left_count++;
    }
    assert(gpu.last_parting == last && taken_count + left_count == count && asked <= ask_count);
}
