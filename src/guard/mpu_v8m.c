/* mpu_v8m.c - ARMv8-M's memory protection unit (ARM DDI 0553, D1.2.202 ff): a base and a limit in steps of 32 bytes; where two regions
 * overlap, no access is allowed, so none may. */
#include "guard/mpu.h"
#include "os/mpu.h"

enum {
    GRAIN_BYTES = 32,
    RBAR_XN = 1,
    RBAR_AP_SHIFT = 1,
    RLAR_ENABLE = 1,
    RLAR_DEVICE = 1u << 1, /* index 1 of MAIR; memory has 0 */
    READ_WRITE = ACRE_RIGHT_READ | ACRE_RIGHT_WRITE,
};

bool acre_v8m_attributes(const acre_wish *wish, uint32_t *attributes)
{
    const unsigned privileged = wish->privileged == ACRE_RIGHTS_ANY ? wish->user : wish->privileged;
    const unsigned user_access = wish->user & READ_WRITE, access = privileged & READ_WRITE;
    /* Unprivileged code has what privileged code has, or nothing; and nobody has nothing. */
    if ((access != READ_WRITE && access != ACRE_RIGHT_READ) || (user_access != 0 && user_access != access)) return false;
    const bool is_code = ((wish->user | privileged) & ACRE_RIGHT_EXECUTE) != 0;
    if (is_code && (user_access != 0) != ((wish->user & ACRE_RIGHT_EXECUTE) != 0)) return false;
    if (is_code && (privileged & ACRE_RIGHT_EXECUTE) == 0) return false;
    *attributes = (access == ACRE_RIGHT_READ ? 2u : 0) << RBAR_AP_SHIFT | (user_access != 0 ? 1u : 0) << RBAR_AP_SHIFT |
                  (is_code ? 0 : (uint32_t)RBAR_XN) | (wish->is_device ? (uint32_t)RLAR_DEVICE << 16 : 0);
    return true;
}

/* What the attributes carry for the other register lies in their upper half. */
uint32_t acre_v8m_cover(const acre_mpu *unit, uint64_t base, uint64_t end, uint32_t attributes, acre_mpu_entry *entries, uint32_t entry_max)
{
    (void)unit;
    if (base % GRAIN_BYTES != 0 || end % GRAIN_BYTES != 0) return 0;
    if (entry_max > 0) {
        entries[0] = (acre_mpu_entry){.base = (uint32_t)base | (attributes & 0xffff),
                                      .attributes = (uint32_t)(end - GRAIN_BYTES) | attributes >> 16 | RLAR_ENABLE};
    }
    return 1;
}

/* ---- switching ---- */

enum { RNR = 2, RBAR = 3, RLAR = 4 }; /* words from the beginning of the unit's registers */

void acre_domain_switch_v8m(const acre_domain_plan *from, const acre_domain_plan *to, volatile uint32_t *registers)
{
    const acre_mpu_entry *const old = from->entries, *const new = to->entries;
    for (uint32_t i = 0; i < to->unit.entry_count; i++) {
        if (old[i].base == new[i].base && old[i].attributes == new[i].attributes) continue;
        registers[RNR] = to->unit.first_entry + i;
        registers[RLAR] = 0;
    }
    for (uint32_t i = 0; i < to->unit.entry_count; i++) {
        if (old[i].base == new[i].base && old[i].attributes == new[i].attributes) continue;
        registers[RNR] = to->unit.first_entry + i;
        registers[RBAR] = new[i].base;
        registers[RLAR] = new[i].attributes;
    }
    acre_os_mpu_barrier();
}
