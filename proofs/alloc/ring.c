/* Proofs of alloc/ring.c and of what acre/ring.h has inline, from any valid ring. */
#include "../proof.h"
#include "base/bits.h"
#include <acre/ring.h>
/* A proof of the inline path assumes that a block fits there; so that CBMC does not follow the other one, it ends here. */
void *acre_ring_alloc_slowly(acre_ring *ring, size_t size)
{
    assume(false);
    return NULL;
}
#define acre_ring_alloc_slowly unused_alloc_slowly
#include "alloc/ring.c"

enum { RECORD_COUNT = 4, BLOCK_COUNT_MAX_HERE = 2 /* the oldest and the newest, which may lie in different laps */ };

static acre_ring_record records[RECORD_COUNT];
static acre_ring_record records_before[RECORD_COUNT];
static acre_ring ring;
static acre_ring before;

acre_status acre_fail(acre_status status, const char *format, ...) { return status; }

/* Where a sum could go wrong: near the end of all addresses. */
static const acre_addr place = (acre_addr)0 - 8192;

/* An address in the 256 bytes from there, at a multiple of 16 as every valid one. */
static acre_addr any_address(void) { return place + (acre_addr)(nondet_unsigned() & 0xf) * ACRE_BLOCK_GRAIN_BYTES; }

static void any_ring(void)
{
    for (unsigned i = 0; i < RECORD_COUNT; i++) {
        records_before[i] = records[i] = (acre_ring_record){.base = any_address(), .size_bytes = nondet_unsigned() & 0xff};
    }
    ring = (acre_ring){.records = records,
                       .mask = RECORD_COUNT - 1,
                       .base = place,
                       .limit = any_address(),
                       .is_host = nondet_bool(),
                       .next = any_address(),
                       .end = any_address(),
                       .allocated = nondet_size(),
                       .published = nondet_size(),
                       .freed = nondet_size()};
    assume(ring.allocated - ring.freed <= BLOCK_COUNT_MAX_HERE);
    assume(acre_ring_is_valid(&ring));
    before = ring;
}

static void assert_unchanged(void)
{
    assert(ring.next == before.next && ring.end == before.end && ring.allocated == before.allocated);
    for (unsigned i = 0; i < RECORD_COUNT; i++) {
        assert(records[i].base == records_before[i].base && records[i].size_bytes == records_before[i].size_bytes);
    }
}

/* The block lies in the range, in one piece, and in none that was there. */
static void assert_new_block(acre_addr start, uint64_t size)
{
    assert(start % ACRE_BLOCK_GRAIN_BYTES == 0 && start >= ring.base && start < ring.limit && ring.limit - start >= whole_size(size));
    assert(ring.allocated == before.allocated + 1 && ring.published == before.published && ring.freed == before.freed);
    assert(record_of(&ring, before.allocated)->base == start && record_of(&ring, before.allocated)->size_bytes == size);
    for (size_t number = before.freed; number != before.allocated; number++) {
        const acre_ring_record *const old = record_of(&ring, number);
        assert(old->base == records_before[number & ring.mask].base && old->size_bytes == records_before[number & ring.mask].size_bytes);
        assert(start + whole_size(size) <= old->base || old->base + whole_size(old->size_bytes) <= start);
    }
}

/* PROOF ring_alloc_inline
 *   property: a block that fits inline is aligned to 16, in one piece, in the range, apart from every block that is out, and has a
 *             record that no such block has
 *   bound:    2 blocks in 4 records, their numbers may wrap; ranges of at most 256 bytes near the end of all addresses
 *   assumes:  it fits, so that the call that is not inline is not made; the consumer's steps are ring_free's
 *   options:  --unwind 5
 */
void prove_ring_alloc_inline(void)
{
    any_ring();
    const size_t size = nondet_size();
    const acre_addr start = (uintptr_t)acre_ring_alloc(&ring, size);
    assert(ring.is_host && size > 0);
    assert_new_block(start, size);
}

/* PROOF ring_alloc_inline_valid
 *   property: after a block that fits inline the ring is valid: room and records are enough for whatever fits inline next
 *   bound:    2 blocks in 4 records, their numbers may wrap; ranges of at most 256 bytes near the end of all addresses
 *   assumes:  as ring_alloc_inline
 *   options:  --unwind 5
 */
void prove_ring_alloc_inline_valid(void)
{
    any_ring();
    const size_t size = nondet_size();
    assert(acre_ring_alloc(&ring, size) != NULL);
    assert(acre_ring_is_valid(&ring));
}

/* PROOF ring_alloc
 *   property: a block of any size and alignment is aligned, in one piece, in the range and apart from every block that is out; else nothing
 *             has changed; a block of the whole ring is refused only when another is out
 *   bound:    2 blocks in 4 records, their numbers may wrap; ranges of at most 256 bytes near the end of all addresses
 *   assumes:  the consumer's steps are ring_free's
 *   options:  --unwind 5
 */
void prove_ring_alloc(void)
{
    any_ring();
    const uint64_t size = nondet_u64();
    const uint64_t alignment = nondet_u64();
    const acre_addr start = acre_ring_alloc_address(&ring, size, alignment);
    if (start != 0) {
        assert(acre_is_power_of_two(alignment) && (start & (alignment - 1)) == 0);
        assert_new_block(start, size);
    } else {
        assert_unchanged();
        assert(alignment != 16 || size > ring.limit - ring.base || ring.base == ring.limit || ring.allocated != ring.freed);
    }
}

/* PROOF ring_alloc_valid
 *   property: after a block of any size and alignment, or its refusal, the ring is valid
 *   bound:    blocks below 512 bytes, alignments below 256;
 *             2 blocks in 4 records, their numbers may wrap; ranges of at most 256 bytes near the end of all addresses
 *   assumes:  as ring_alloc
 *   options:  --unwind 5
 */
void prove_ring_alloc_valid(void)
{
    any_ring();
    (void)acre_ring_alloc_address(&ring, nondet_unsigned() & 0x1ff, nondet_unsigned() & 0xff);
    assert(acre_ring_is_valid(&ring));
}

/* PROOF ring_free
 *   property: exactly the oldest block goes, if it is published; any other address is refused; whatever the producer had found free stays
 *             free, so that the ring stays valid
 *   bound:    2 blocks in 4 records, their numbers may wrap; ranges of at most 256 bytes near the end of all addresses
 *   assumes:  nothing
 *   options:  --unwind 5
 */
void prove_ring_free(void)
{
    any_ring();
    const acre_addr block = nondet_u64();
    const bool is_oldest = ring.published != ring.freed && record_of(&ring, ring.freed)->base == block;
    const acre_status status = acre_ring_free(&ring, block);
    assert((status == ACRE_OK) == (is_oldest || block == 0));
    assert(ring.freed == before.freed + (is_oldest ? 1 : 0) && ring.published == before.published);
    assert_unchanged();
    assert(acre_ring_is_valid(&ring));
}

/* PROOF ring_peek
 *   property: exactly the blocks that are published and not freed are shown, each as it was allocated
 *   bound:    2 blocks in 4 records, their numbers may wrap; ranges of at most 256 bytes near the end of all addresses
 *   assumes:  nothing
 *   options:  --unwind 5
 */
void prove_ring_peek(void)
{
    any_ring();
    if (nondet_bool()) acre_ring_publish(&ring);
    assert(ring.published == before.published || ring.published == ring.allocated);
    const size_t ahead = nondet_size();
    acre_block block;
    const bool is_there = acre_ring_peek(&ring, ahead, &block);
    assert(is_there == (ahead < ring.published - ring.freed));
    if (is_there) {
        assert(ahead < ring.allocated - ring.freed && block.is_out);
        assert(block.base == record_of(&before, before.freed + ahead)->base);
        assert(block.size_bytes == record_of(&before, before.freed + ahead)->size_bytes);
    }
    assert_unchanged();
    assert(acre_ring_is_valid(&ring));
}
