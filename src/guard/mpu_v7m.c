/* mpu_v7m.c - ARMv7-M's memory protection unit (ARM DDI 0403E, B3.5), and ARMv6-M's, which is the same from 256 bytes on: regions of a
 * power of two, aligned to themselves, with eighths that can be left out; the higher number wins. */
#include "base/bits.h"
#include "guard/mpu.h"
#include "os/mpu.h"

enum {
    RBAR_VALID = 1u << 4,
    RASR_ENABLE = 1,
    RASR_SIZE_SHIFT = 1,
    RASR_SRD_SHIFT = 8,
    RASR_XN = 1u << 28,
    RASR_AP_SHIFT = 24,
    RASR_MEMORY = 1u << 19 | 1u << 17 | 1u << 16, /* TEX 1, C, B: write back, allocate on read and write */
    RASR_DEVICE = 1u << 18 | 1u << 16,            /* S, B: shared device */
    SRD_SHIFT_MIN = 8,                            /* regions of 256 bytes and more have eighths */
    READ_WRITE = ACRE_RIGHT_READ | ACRE_RIGHT_WRITE,
};

/* The code of AP for rights to read and write, unprivileged by privileged; 0xff: none. */
static uint32_t access_of(unsigned user, unsigned privileged)
{
    if (privileged == 0) return user == 0 ? 0 : 0xff;
    if (privileged == READ_WRITE) return user == 0 ? 1 : user == ACRE_RIGHT_READ ? 2 : user == READ_WRITE ? 3 : 0xff;
    if (privileged == ACRE_RIGHT_READ) return user == 0 ? 5 : user == ACRE_RIGHT_READ ? 6 : 0xff;
    return 0xff; /* write without read */
}

bool acre_v7m_attributes(const acre_wish *wish, uint32_t *attributes)
{
    /* Privileged code that may have anything gets what unprivileged code has. */
    const unsigned privileged = wish->privileged == ACRE_RIGHTS_ANY ? wish->user : wish->privileged;
    const uint32_t access = access_of(wish->user & READ_WRITE, privileged & READ_WRITE);
    if (access == 0xff) return false;
    /* One bit forbids execution for both; who may read may execute. */
    const bool is_code = ((wish->user | privileged) & ACRE_RIGHT_EXECUTE) != 0;
    if (is_code && ((wish->user & READ_WRITE) != 0) != ((wish->user & ACRE_RIGHT_EXECUTE) != 0)) return false;
    if (is_code && ((privileged & READ_WRITE) != 0) != ((privileged & ACRE_RIGHT_EXECUTE) != 0)) return false;
    *attributes =
        access << RASR_AP_SHIFT | (is_code ? 0 : (uint32_t)RASR_XN) | (wish->is_device ? (uint32_t)RASR_DEVICE : (uint32_t)RASR_MEMORY);
    return true;
}

/* The region that covers from `at` on as far as one can, in [base, end), which others cover up to `at`. Returns how far; `at`: there is
 * none. */
static uint64_t reach(uint32_t shift_min, uint64_t base, uint64_t at, uint64_t end, uint32_t *region_base, uint32_t *shape)
{
    uint64_t farthest = at;
    for (uint32_t shift = shift_min; shift <= 32; shift++) {
        const uint64_t size = (uint64_t)1 << shift;
        const uint32_t part_shift = shift >= SRD_SHIFT_MIN ? shift - 3 : shift;
        const uint64_t start = acre_align_down(at, (uint64_t)1 << part_shift);
        const uint64_t block = acre_align_down(at, size);
        const uint64_t stop = block + size < end ? block + size : acre_align_down(end, (uint64_t)1 << part_shift);
        if (start < base || stop <= farthest) continue;
        farthest = stop;
        /* The parts outside of [start, stop) are left out. */
        const uint32_t below = (uint32_t)((start - block) >> part_shift), up_to = (uint32_t)((stop - block) >> part_shift);
        const uint32_t left_out = part_shift == shift ? 0 : ~(((1u << up_to) - 1) & ~((1u << below) - 1)) & 0xff;
        *region_base = (uint32_t)block;
        *shape = left_out << RASR_SRD_SHIFT | (shift - 1) << RASR_SIZE_SHIFT | RASR_ENABLE;
    }
    return farthest;
}

/* To reach as far as possible each time takes the fewest regions. */
uint32_t acre_v7m_cover(const acre_mpu *unit, uint64_t base, uint64_t end, uint32_t attributes, uint32_t first, acre_mpu_entry *entries,
                        uint32_t entry_max)
{
    uint32_t count = 0;
    for (uint64_t at = base; at < end; count++) {
        uint32_t region_base = 0, shape = 0;
        const uint64_t next = reach(acre_log2_floor(unit->grain_bytes), base, at, end, &region_base, &shape);
        if (next == at || count == ACRE_MPU_ENTRIES_MAX) return 0;
        if (count < entry_max)
            entries[count] = (acre_mpu_entry){.base = region_base | RBAR_VALID | (first + count), .attributes = attributes | shape};
        at = next;
    }
    return count;
}

/* Five to eight eighths of the smallest power of two that has room; where no part is smaller than the grain. */
acre_cut acre_v7m_cut(const acre_mpu *unit, uint64_t size)
{
    const uint64_t grain = unit->grain_bytes;
    if (size <= grain && grain < (1u << SRD_SHIFT_MIN)) return (acre_cut){grain, grain, 0};
    const unsigned shift = acre_log2_ceil(size) < SRD_SHIFT_MIN ? SRD_SHIFT_MIN : acre_log2_ceil(size);
    const uint64_t part = (uint64_t)1 << (shift - 3);
    return (acre_cut){acre_align_up(size, part), part, (uint64_t)1 << shift};
}

/* ---- switching ---- */

/* Regions that differ are switched off, and are bits of the result. An address that is written again, with its region's number in it,
 * changes nothing. Without a loop, in the fewest instructions that compilers for small processors were found to make of it. */
static inline __attribute__((always_inline)) uint32_t switch_four_off(const acre_mpu_entry *old, const acre_mpu_entry *new,
                                                                      volatile uint32_t *registers)
{
    uint32_t changed = 0, off = 0;
    __asm__("" : "+r"(off)); /* so that it stays in a register */
#define SWITCH_OFF(i)                                                                                                                      \
    do {                                                                                                                                   \
        uint32_t old_base, old_attributes, new_base, new_attributes;                                                                       \
        acre_os_load_both(&old[i].base, &old_base, &old_attributes);                                                                       \
        acre_os_load_both(&new[i].base, &new_base, &new_attributes);                                                                       \
        if (((old_base ^ new_base) | (old_attributes ^ new_attributes)) == 0) break;                                                       \
        acre_os_store_region(registers, old_base, off);                                                                                    \
        changed |= 1u << (i);                                                                                                              \
    } while (0)
    SWITCH_OFF(0);
    SWITCH_OFF(1);
    SWITCH_OFF(2);
    SWITCH_OFF(3);
    return changed;
}

static inline __attribute__((always_inline)) void switch_four_on(uint32_t changed, const acre_mpu_entry *new, volatile uint32_t *registers)
{
#define SWITCH_ON(i)                                                                                                                       \
    if ((changed & 1u << (i)) != 0) acre_os_store_region(registers, new[i].base, new[i].attributes)
    SWITCH_ON(0);
    SWITCH_ON(1);
    SWITCH_ON(2);
    SWITCH_ON(3);
}

/* The same for any number of regions. */
static __attribute__((noinline)) void switch_many(const acre_domain_plan *from, const acre_domain_plan *to, volatile uint32_t *registers)
{
    const acre_mpu_entry *const old = from->entries, *const new = to->entries;
    for (uint32_t i = 0; i < to->unit.entry_count; i++) {
        if (old[i].base != new[i].base || old[i].attributes != new[i].attributes) acre_os_store_region(registers, old[i].base, 0);
    }
    for (uint32_t i = 0; i < to->unit.entry_count; i++) {
        if (old[i].base != new[i].base || old[i].attributes != new[i].attributes)
            acre_os_store_region(registers, new[i].base, new[i].attributes);
    }
    acre_os_mpu_barrier();
}

void acre_domain_switch_v7m(const acre_domain_plan *from, const acre_domain_plan *to, volatile uint32_t *registers)
{
    if (to->unit.entry_count > 4) {
        switch_many(from, to, registers);
        return;
    }
    const uint32_t changed = switch_four_off(from->entries, to->entries, registers);
    switch_four_on(changed, to->entries, registers);
    acre_os_mpu_barrier();
}
