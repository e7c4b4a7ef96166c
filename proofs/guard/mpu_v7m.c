/* Proofs of guard/mpu_v7m.c: what the registers open, by the rules of the architecture manual, is what was asked for. */
#include "../proof.h"
#include "base/bits.h"
#define ACRE_OS_MPU_H
static void acre_os_load_both(const uint32_t *from, uint32_t *first, uint32_t *second) { *first = from[0], *second = from[1]; }
static void acre_os_store_region(volatile uint32_t *registers, uint32_t base, uint32_t attributes);
static void acre_os_mpu_barrier(void) {}
#include "guard/mpu_v7m.c"

/* Whether a region of the unit opens an address: ARM DDI 0403E, B3.5.3. Regions above 64 KiB can't occur here. */
static bool opens(uint32_t base, uint32_t attributes, uint32_t address)
{
    const uint32_t shift = (attributes >> 1 & 31) + 1;
    if ((attributes & 1) == 0 || shift > 16 || (address ^ base) >> shift != 0) return false;
    return shift < 8 || (attributes >> 8 >> ((address >> (shift - 3)) & 7) & 1) == 0;
}

/* PROOF v7m_reach
 *   property: a region that is chosen opens all from where the others end to where it says, and nothing outside of the wish
 *   bound:    wishes of at most 1 KiB at multiples of 16 bytes, in one block of 2 KiB; any address there
 *   assumes:  nothing
 *   options:  --unwind 34
 */
void prove_v7m_reach(void)
{
    const uint32_t place = 0x20000000;
    const uint32_t base = place + (nondet_u32() & 0x3f0), end = base + (nondet_u32() & 0x3f0), at = base + (nondet_u32() & 0x3f0);
    assume(base < end && at < end);
    uint32_t region_base = 0, shape = 0;
    const uint64_t next = reach(nondet_bool() ? 5 : 8, base, at, end, &region_base, &shape);
    assert(next >= at && next <= end);
    if (next == at) return;
    const uint32_t address = place + (nondet_u32() & 0x7ff);
    const bool is_open = opens(region_base & ~31u, shape, address);
    assert((region_base & 31) == 0);
    assert(!is_open || (address >= base && address < end));
    assert(is_open || address < at || address >= next);
}

/* ---- switching ---- */

static acre_domain_plan from, to;
static uint32_t unit_base, unit_attributes; /* of one region, any */
static uint32_t looked_at;
static unsigned store_count;

/* While anything of the new plan is on, nothing of the old that differs may be. */
static bool is_new_on, is_old_on;

static void acre_os_store_region(volatile uint32_t *registers, uint32_t base, uint32_t attributes)
{
    (void)registers;
    const uint32_t i = base & 15;
    store_count++;
    if (i == looked_at) {
        assert((base & ~31u) == (unit_base & ~31u) || (unit_attributes & 1) == 0); /* a region that is on does not move */
        unit_base = base;
        unit_attributes = attributes;
        is_old_on = false;
    } else if ((attributes & 1) != 0) {
        is_new_on = true;
    }
    assert(!(is_new_on && is_old_on));
}

/* PROOF v7m_switch
 *   property: after a switch each region is what the new plan says, one that does not differ was not written; no region is on while it
 *             moves, and none of the new plan is on before each of the old one that differs is off
 *   bound:    plans of 4 regions with any contents
 *   assumes:  entries carry the number of their region; the unit holds the old plan
 *   options:  --unwind 6
 */
void prove_v7m_switch(void)
{
    from.unit.entry_count = to.unit.entry_count = 4;
    from.entry_count = to.entry_count = 4;
    unsigned changed = 0;
    for (uint32_t i = 0; i < 4; i++) {
        from.entries[i] = (acre_mpu_entry){(nondet_u32() & ~31u) | 16 | i, nondet_u32()};
        to.entries[i] = (acre_mpu_entry){(nondet_u32() & ~31u) | 16 | i, nondet_u32()};
        changed += from.entries[i].base != to.entries[i].base || from.entries[i].attributes != to.entries[i].attributes;
    }
    looked_at = nondet_u32() & 3;
    const acre_mpu_entry *const old = &from.entries[looked_at], *const new = &to.entries[looked_at];
    const bool differs = old->base != new->base || old->attributes != new->attributes;
    unit_base = old->base;
    unit_attributes = old->attributes;
    is_old_on = differs && (old->attributes & 1) != 0;
    acre_domain_switch_v7m(&from, &to, NULL);
    assert((unit_base & ~31u) == (new->base & ~31u) && unit_attributes == new->attributes);
    assert(store_count == 2 * changed);
}
