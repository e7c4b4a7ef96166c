/* block.c - see alloc/block.h. */
#include "alloc/block.h"

bool acre_block_row_is_valid(unsigned char *base, uint32_t unit_count, uint32_t live_units)
{
    bool is_after_free = false;
    uint32_t unit = 0;
    while (unit < unit_count) {
        const uint32_t *const header = acre_block_at(base, unit);
        const uint32_t kind = acre_block_kind(*header, header);
        const uint32_t units = acre_block_size(*header);
        if (units == 0 || units > unit_count - unit) return false;
        if (((*header & ACRE_BLOCK_AFTER_FREE) != 0) != is_after_free) return false;
        if (kind == ACRE_BLOCK_FREE) {
            if (is_after_free || header[(size_t)units * 2 - 1] != units) return false;
            is_after_free = true;
        } else {
            if (kind != ACRE_BLOCK_USED || units < ACRE_BLOCK_UNITS_MIN || live_units < units) return false;
            live_units -= units;
            is_after_free = false;
        }
        unit += units;
    }
    const uint32_t *const end = acre_block_at(base, unit_count);
    return live_units == 0 && *end == (acre_block_word(0, ACRE_BLOCK_USED, end) ^ (is_after_free ? ACRE_BLOCK_TURN : 0));
}
