/* mpu_pmp.c - RISC-V physical memory protection (Privileged Architecture 1.12, 3.7): the lowest entry that matches decides. An entry is
 * a power of two (NAPOT; four bytes: NA4), or what lies between the address of the entry before and its own (TOR). Machine mode is not
 * limited by entries that are not locked, and a locked one can't be switched; so only the rights of user mode can be planned. */
#include "base/bits.h"
#include "guard/mpu.h"

enum { PMP_OFF = 0, PMP_TOR = 1u << 3, PMP_NA4 = 2u << 3, PMP_NAPOT = 3u << 3, GRAIN_BYTES = 4 };

bool acre_pmp_attributes(const acre_wish *wish, uint32_t *attributes)
{
    const unsigned all = ACRE_RIGHT_READ | ACRE_RIGHT_WRITE | ACRE_RIGHT_EXECUTE;
    if (wish->privileged != ACRE_RIGHTS_ANY && wish->privileged != all) return false;
    if ((wish->user & ACRE_RIGHT_WRITE) != 0 && (wish->user & ACRE_RIGHT_READ) == 0) return false; /* reserved */
    *attributes = wish->user & all;                                                                /* the bits are the same */
    return true;
}

static acre_mpu_entry power_of_two(uint64_t base, uint64_t size, uint32_t rights)
{
    if (size == GRAIN_BYTES) return (acre_mpu_entry){.base = (uint32_t)(base >> 2), .attributes = rights | PMP_NA4};
    return (acre_mpu_entry){.base = (uint32_t)(base >> 2 | (size / 8 - 1)), .attributes = rights | PMP_NAPOT};
}

uint32_t acre_pmp_cover(const acre_mpu *unit, uint64_t base, uint64_t end, uint32_t attributes, uint64_t previous_end,
                        acre_mpu_entry *entries, uint32_t entry_max)
{
    (void)unit;
    if (base % GRAIN_BYTES != 0 || end % GRAIN_BYTES != 0) return 0;
    const uint64_t size = end - base;
    if (acre_is_power_of_two(size) && base % size == 0) {
        if (entry_max > 0) entries[0] = power_of_two(base, size, attributes);
        return 1;
    }
    const acre_mpu_entry up_to = {.base = (uint32_t)(end >> 2), .attributes = attributes | PMP_TOR};
    if (previous_end != 0 && previous_end == base) { /* the entry before says where it begins */
        if (entry_max > 0) entries[0] = up_to;
        return 1;
    }
    if (entry_max > 0) entries[0] = (acre_mpu_entry){.base = (uint32_t)(base >> 2), .attributes = PMP_OFF};
    if (entry_max > 1) entries[1] = up_to;
    return 2;
}
