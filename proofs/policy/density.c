/* Proofs of policy/density.h: words of a set of pages. What the tree says is held by tests/policy/test_density.c, since a block of 512
 * pages is too much for a prover. */
#include "../proof.h"
#include "policy/density.h"

/* PROOF mask_piece
 *   property: each page of the block is in the piece of its word if and only if it is in the range
 *   bound:    unbounded
 *   assumes:  the range lies in the block
 */
void prove_mask_piece(void)
{
    const unsigned first = nondet_unsigned(), count = nondet_unsigned(), page = nondet_unsigned();
    assume(first < ACRE_BLOCK_PAGES && count <= ACRE_BLOCK_PAGES - first && page < ACRE_BLOCK_PAGES);
    const bool is_in = (acre_mask_piece(page / 64, first, count) >> page % 64) & 1;
    assert(is_in == (page >= first && page < first + count));
}

/* PROOF mask_add_remove
 *   property: adding or removing a page changes that page alone
 *   bound:    unbounded
 *   assumes:  nothing
 */
void prove_mask_add_remove(void)
{
    acre_page_mask mask;
    for (unsigned i = 0; i < ACRE_MASK_WORDS; i++) mask.words[i] = nondet_u64();
    const acre_page_mask before = mask;
    const unsigned page = nondet_unsigned(), other = nondet_unsigned();
    assume(page < ACRE_BLOCK_PAGES && other < ACRE_BLOCK_PAGES);
    const bool is_added = nondet_bool();
    if (is_added) {
        acre_mask_add(&mask, page);
    } else {
        acre_mask_remove(&mask, page);
    }
    assert(acre_mask_has(&mask, page) == is_added);
    assert(other == page || acre_mask_has(&mask, other) == acre_mask_has(&before, other));
}
