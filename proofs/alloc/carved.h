/* carved.h - any row of blocks as alloc/block.h describes it, for the proofs of the engines that carve one. */
#ifndef ACRE_PROOFS_CARVED_H
#define ACRE_PROOFS_CARVED_H

#include "../proof.h"
#include "alloc/block.h"

#ifndef UNITS
#define UNITS 20 /* blocks in two chunks of tight.c */
#endif
#ifndef BLOCKS
#define BLOCKS 5
#endif

#ifndef UNITS_BEFORE
#define UNITS_BEFORE 0 /* what stands before the first block */
#endif

static uint32_t words[2 * (UNITS_BEFORE + UNITS) + 4]; /* the last header included */
static unsigned char *row_base; /* the header at the first unit of the row */

typedef struct row {
    uint32_t unit[BLOCKS + 1]; /* where each block begins; behind the last one, where the row ends */
    bool is_free[BLOCKS];
    uint32_t live_units;
} row;

static uint32_t *header_at(uint32_t unit) { return acre_block_at(row_base, unit); }

/* Cuts UNITS units into BLOCKS blocks, at most, of any length; `grain` divides all lengths. */
static row any_row(uint32_t grain)
{
    row made = {.live_units = 0};
    uint32_t unit = 0;
    bool is_after_free = false;
    for (uint32_t i = 0; i < BLOCKS; i++) {
        const uint32_t units = i + 1 == BLOCKS ? UNITS - unit : nondet_u32();
        const bool is_free = nondet_bool();
        assume(units <= UNITS - unit && units % grain == 0);
        made.unit[i] = unit;
        made.is_free[i] = is_free;
        if (units == 0) { /* fewer blocks than BLOCKS: the rest are none */
            assume(unit == UNITS);
            continue;
        }
        assume(!(is_free && is_after_free) && (is_free || units >= ACRE_BLOCK_UNITS_MIN));
        uint32_t *const header = header_at(unit);
        *header = acre_block_word(units, is_free ? ACRE_BLOCK_FREE : ACRE_BLOCK_USED, header) ^ (is_after_free ? ACRE_BLOCK_TURN : 0);
        if (is_free)
            header[2 * units - 1] = units;
        else
            made.live_units += units;
        is_after_free = is_free;
        unit += units;
    }
    assume(unit == UNITS);
    made.unit[BLOCKS] = UNITS;
    uint32_t *const end = header_at(UNITS);
    *end = acre_block_word(0, ACRE_BLOCK_USED, end) ^ (is_after_free ? ACRE_BLOCK_TURN : 0);
    return made;
}

static uint32_t units_of_block(const row *of, uint32_t i) { return of->unit[i + 1] - of->unit[i]; }

#endif
