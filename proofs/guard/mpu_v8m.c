/* Proofs of guard/mpu_v8m.c and guard/mpu_pmp.c: what the registers open, by the rules of the architecture manuals, is what was asked
 * for. */
#include "../proof.h"
#include "base/bits.h"
#include "guard/mpu_v8m.c"

#define GRAIN_BYTES PMP_GRAIN_BYTES /* both have a constant of that name */
#include "guard/mpu_pmp.c"

/* A wish of at most 4 GiB, any. */
static void any_wish(uint64_t *base, uint64_t *end)
{
    *base = nondet_u32();
    *end = *base + nondet_u32();
    assume(*end > *base && *end <= (uint64_t)1 << 32);
}

/* PROOF v8m_cover
 *   property: the region opens every byte of the wish and no other; a wish that does not end at multiples of 32 is refused
 *   bound:    unbounded
 *   assumes:  nothing
 *   options:  --unwind 2
 */
void prove_v8m_cover(void)
{
    uint64_t base, end;
    any_wish(&base, &end);
    acre_mpu_entry entry;
    const uint32_t count = acre_v8m_cover(NULL, base, end, nondet_u32() & 0x2001f, &entry, 1);
    assert((count == 1) == (base % 32 == 0 && end % 32 == 0));
    if (count == 0) return;
    const uint32_t address = nondet_u32();
    const bool is_open = (entry.attributes & 1) != 0 && address >= (entry.base & ~31u) && address <= (entry.attributes | 31u);
    assert(is_open == (address >= base && address < end));
}

/* PROOF v8m_switch
 *   property: after a switch the unit holds the new plan; a region is off while its base is written; what does not differ is not written
 *   bound:    plans of 2 regions with any contents; the last store of each kind is looked at
 *   assumes:  nothing
 *   options:  --unwind 4
 */
void prove_v8m_switch(void)
{
    static acre_domain_plan from, to;
    uint32_t registers[5] = {0, 0, 99, nondet_u32(), nondet_u32()};
    const uint32_t before[2] = {registers[3], registers[4]};
    from.unit.entry_count = to.unit.entry_count = 2;
    to.unit.first_entry = nondet_u32() & 7;
    bool is_changed[2];
    for (unsigned i = 0; i < 2; i++) {
        from.entries[i] = (acre_mpu_entry){nondet_u32(), nondet_u32()};
        to.entries[i] = (acre_mpu_entry){nondet_u32(), nondet_u32()};
        is_changed[i] = from.entries[i].base != to.entries[i].base || from.entries[i].attributes != to.entries[i].attributes;
    }
    acre_domain_switch_v8m(&from, &to, registers);
    const unsigned last = is_changed[1] ? 1 : 0;
    if (!is_changed[0] && !is_changed[1]) {
        assert(registers[2] == 99 && registers[3] == before[0] && registers[4] == before[1]);
        return;
    }
    assert(registers[2] == to.unit.first_entry + last);
    assert(registers[3] == to.entries[last].base && registers[4] == to.entries[last].attributes);
}

/* Whether one entry, with the address register of the one before it, matches: 3.7.1 of the privileged architecture. */
static bool matches(uint32_t previous, const acre_mpu_entry *entry, uint32_t address)
{
    const uint64_t up_to = (uint64_t)entry->base << 2;
    switch (entry->attributes >> 3 & 3) {
    case 0: return false;
    case 1: return address >= (uint64_t)previous << 2 && address < up_to;
    case 2: return address >= up_to && address < up_to + 4;
    default: {
        const uint32_t ones = entry->base ^ (entry->base + 1); /* the trailing ones, and the zero above them */
        return ((address >> 2 ^ entry->base) & ~ones) == 0;
    }
    }
}

/* PROOF pmp_cover
 *   property: the entries open every byte of the wish and no other, alone or with the end of the entry before as their beginning; a
 *             wish that does not end at multiples of 4 is refused
 *   bound:    unbounded
 *   assumes:  `previous_end` is what the entry before holds
 *   options:  --unwind 2
 */
void prove_pmp_cover(void)
{
    uint64_t base, end;
    any_wish(&base, &end);
    assume(end < (uint64_t)1 << 32 || base % 8 == 0);
    const uint32_t previous = nondet_u32() & 0x3fffffff;
    acre_mpu_entry entries[2];
    const uint32_t count = acre_pmp_cover(NULL, base, end, nondet_u32() & 7, (uint64_t)previous << 2, entries, 2);
    assert((count != 0) == (base % 4 == 0 && end % 4 == 0) && count <= 2);
    if (count == 0) return;
    const uint32_t address = nondet_u32();
    bool is_open = matches(previous, &entries[0], address);
    if (count == 2) is_open = is_open || matches(entries[0].base, &entries[1], address);
    assert(is_open == (address >= base && address < end));
}
