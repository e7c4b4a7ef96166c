/* Proofs of alloc/size_class: every size and every offset. acre_class_of_aligned is left to its test, which tries every size with
 * every alignment: 15 divisors by symbolic classes take CBMC longer than a proof may. */
#include "../proof.h"
#include "alloc/size_class.c"

/* PROOF class_of_size
 *   property: a size gets the smallest class that holds it; small classes waste at most 15 bytes or 12.5 %, those above 2 KiB 25 %
 *   bound:    unbounded: every size up to ACRE_SMALL_BYTES_MAX
 *   assumes:  nothing
 */
void prove_class_of_size(void)
{
    const size_t size = nondet_size();
    assume(size <= ACRE_SMALL_BYTES_MAX);
    const unsigned class = acre_class_of_size(size);
    assert(class >= ACRE_CLASS_FIRST && class <= ACRE_CLASS_COUNT);
    const uint32_t block_bytes = acre_size_classes[class].block_bytes;
    assert(size <= block_bytes);
    assert(class == ACRE_CLASS_FIRST || size > acre_size_classes[class - 1].block_bytes);
    const size_t waste = block_bytes - size;
    assert(size == 0 || waste < 16 || (size > 2048 ? waste * 4 < size : waste * 8 < size));
}

/* PROOF class_table
 *   property: sizes grow, are multiples of 16 and fill their span but for 1/8 at most; a span has 8 blocks or more, 4 above 8 KiB;
 *             its blocks have a bit each in its units' words
 *   bound:    unbounded: every class
 *   assumes:  nothing
 */
void prove_class_table(void)
{
    const unsigned class = nondet_unsigned();
    assume(class >= ACRE_CLASS_FIRST && class <= ACRE_CLASS_COUNT);
    const acre_size_class *const c = &acre_size_classes[class];
    assert(c->block_bytes > acre_size_classes[class - 1].block_bytes && c->block_bytes % ACRE_BLOCK_BYTES_MIN == 0);
    const uint32_t span_bytes = c->unit_count * (uint32_t)ACRE_UNIT_BYTES;
    const uint32_t used_bytes = c->capacity * c->block_bytes;
    assert(used_bytes <= span_bytes && span_bytes - used_bytes < c->block_bytes);
    assert((span_bytes - used_bytes) * 8 <= span_bytes);
    assert(c->capacity >= (c->block_bytes > 8192 ? 4 : 8));
    assert(c->capacity <= span_bytes / ACRE_BLOCK_BYTES_MIN);
}

/* PROOF block_index
 *   property: the multiplication by a reciprocal is the division: block i holds exactly the offsets from i to i + 1 times its size
 *   bound:    unbounded: every class, every offset in a span
 *   assumes:  nothing
 *   options:  --unwind 80
 */
void prove_block_index(void)
{
    for (unsigned class = ACRE_CLASS_FIRST; class <= ACRE_CLASS_COUNT; class++) {
        const uint64_t block_bytes = acre_size_classes[class].block_bytes;
        const uint64_t offset = nondet_u32();
        assume(offset < (uint64_t)acre_size_classes[class].unit_count * ACRE_UNIT_BYTES);
        const uint64_t index = acre_block_index(class, offset);
        assert(index * block_bytes <= offset && offset < (index + 1) * block_bytes);
    }
}
