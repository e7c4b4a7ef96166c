/* mpu.h - what a planner asks of each kind of memory protection unit. Addresses are below 4 GiB, `end` is behind the last byte. */
#ifndef ACRE_GUARD_MPU_H
#define ACRE_GUARD_MPU_H

#include <acre/domain.h>

/* What the unit's registers say of a wish's rights, apart from where. False: it can't say it. */
bool acre_v7m_attributes(const acre_wish *wish, uint32_t *attributes);
bool acre_v8m_attributes(const acre_wish *wish, uint32_t *attributes);
bool acre_pmp_attributes(const acre_wish *wish, uint32_t *attributes);

/* The fewest entries that cover exactly [base, end), written up to `entry_max` of them, from region number `first` on. 0: no number of
 * entries does. `previous_end`: where the entry before ends if this one may go on from there (pmp), else 0. */
uint32_t acre_v7m_cover(const acre_mpu *unit, uint64_t base, uint64_t end, uint32_t attributes, uint32_t first, acre_mpu_entry *entries,
                        uint32_t entry_max);
uint32_t acre_v8m_cover(const acre_mpu *unit, uint64_t base, uint64_t end, uint32_t attributes, acre_mpu_entry *entries,
                        uint32_t entry_max);
uint32_t acre_pmp_cover(const acre_mpu *unit, uint64_t base, uint64_t end, uint32_t attributes, uint64_t previous_end,
                        acre_mpu_entry *entries, uint32_t entry_max);

/* The least that one entry can cut out for `size` bytes, at which multiple it may begin, and the border that it may not cross
 * (a power of two; 0: none). */
typedef struct acre_cut {
    uint64_t room_bytes;
    uint64_t alignment;
    uint64_t border;
} acre_cut;
acre_cut acre_v7m_cut(const acre_mpu *unit, uint64_t size);

#endif
