/* density.h - which pages of a block of 512 move together: the density rule of NVIDIA's driver for unified memory (uvm_perf_prefetch.c in
 * open-gpu-kernel-modules), and what Ganguly and others (ISCA 2019) made of it for eviction.
 *
 * Over the pages of a block stands a binary tree: its nodes are the aligned groups of 1, 2, 4, ... 512 pages. A page that is asked for
 * stands for the 64 KiB around it; with these counted as present, the widest group around the page of which more than `threshold` percent
 * are present is brought as a whole. So pages that are touched in order come in pieces of 64, 64, 128, 256, 512 and 1,024 KiB.
 *
 * There is no tree in memory: a count is a popcount over words. Costs: O(pages that are asked for x 10) at most, one look for each group
 * that is brought. No I/O, no clock, no state.
 */
#ifndef ACRE_POLICY_DENSITY_H
#define ACRE_POLICY_DENSITY_H

#include "base/bits.h"

#define ACRE_BLOCK_PAGES    512u /* of 4 KiB: 2 MiB */
#define ACRE_BIG_PAGE_PAGES 16u  /* 64 KiB */
#define ACRE_MASK_WORDS     8u

/* A set of the pages of a block. */
typedef struct acre_page_mask {
    uint64_t words[ACRE_MASK_WORDS];
} acre_page_mask;

static inline bool acre_mask_has(const acre_page_mask *mask, unsigned page) { return (mask->words[page / 64] >> page % 64) & 1; }
static inline void acre_mask_add(acre_page_mask *mask, unsigned page) { mask->words[page / 64] |= (uint64_t)1 << page % 64; }
static inline void acre_mask_remove(acre_page_mask *mask, unsigned page) { mask->words[page / 64] &= ~((uint64_t)1 << page % 64); }

/* Those of [first, first + count) that are in word number `word`. */
static inline uint64_t acre_mask_piece(unsigned word, unsigned first, unsigned count)
{
    const unsigned begin = word * 64;
    const unsigned low = first > begin ? first - begin : 0;
    const unsigned end = first + count < begin + 64 ? first + count : begin + 64;
    if (first >= begin + 64 || end <= begin + low) return 0;
    return ~(uint64_t)0 >> (64 - (end - begin - low)) << low;
}

static inline void acre_mask_unite(acre_page_mask *mask, const acre_page_mask *other)
{
    for (unsigned i = 0; i < ACRE_MASK_WORDS; i++) mask->words[i] |= other->words[i];
}

static inline void acre_mask_subtract(acre_page_mask *mask, const acre_page_mask *other)
{
    for (unsigned i = 0; i < ACRE_MASK_WORDS; i++) mask->words[i] &= ~other->words[i];
}

static inline void acre_mask_intersect(acre_page_mask *mask, const acre_page_mask *other)
{
    for (unsigned i = 0; i < ACRE_MASK_WORDS; i++) mask->words[i] &= other->words[i];
}

static inline bool acre_mask_is_empty(const acre_page_mask *mask)
{
    uint64_t all = 0;
    for (unsigned i = 0; i < ACRE_MASK_WORDS; i++) all |= mask->words[i];
    return all == 0;
}

void acre_mask_add_range(acre_page_mask *mask, unsigned first, unsigned count);
unsigned acre_mask_count(const acre_page_mask *mask);
unsigned acre_mask_count_range(const acre_page_mask *mask, unsigned first, unsigned count);

/* The next run of pages from `*first` on: *first and *count are its. False: there is none. */
bool acre_mask_next_run(const acre_page_mask *mask, unsigned *first, unsigned *count);

/* Adds to the pages that are in the set those of their aligned groups of `group_pages` (a power of two) that are below `page_count`. */
void acre_mask_grow(acre_page_mask *mask, unsigned group_pages, unsigned page_count);

/* What to bring when the pages of `faulted` are asked for: these, and those of each widest group that is dense enough; none that is
 * resident. `threshold_percent` is 1 to 100, which brings nothing beyond `faulted`; the block has `page_count` pages, 1 to 512. */
void acre_density_bring(const acre_page_mask *resident, const acre_page_mask *faulted, unsigned threshold_percent, unsigned page_count,
                        acre_page_mask *bring);

/* What goes when the pages of `taken` go: these, and all of each group around them that is left with less than `threshold_percent` of its
 * pages, from the narrowest (64 KiB) to the block. None that is not resident. */
void acre_density_give(const acre_page_mask *resident, const acre_page_mask *taken, unsigned threshold_percent, unsigned page_count,
                       acre_page_mask *give);

#endif
