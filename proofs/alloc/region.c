/* Proofs of alloc/region.c and of what acre/region.h has inline, from any valid region. */
#include "../proof.h"
#include "base/bits.h"
#include <acre/region.h>
/* A proof of the inline path assumes that a block fits there; so that CBMC does not follow the other one, it ends here. */
void *acre_region_alloc_slowly(acre_region *region, size_t size)
{
    assume(false);
    return NULL;
}
#define acre_region_alloc_slowly unused_alloc_slowly
#include "alloc/region.c"

enum { CHUNK_COUNT_MAX = 3 };

static acre_region region;
static acre_region before;
static acre_space space;

/* Places where a sum could go wrong, one a chunk: address 0 is no block, and at the end of all addresses they wrap. */
static const acre_addr places[CHUNK_COUNT_MAX] = {0, ((acre_addr)1 << 32) - 256, (acre_addr)0 - 8192};

static uint64_t any_length(void) { return (uint64_t)(nondet_unsigned() & 0xf) * ACRE_BLOCK_GRAIN_BYTES; }

acre_status acre_fail(acre_status status, const char *format, ...) { return status; }

/* What a space may do: refuse, though not for ever, or give any range. */
static bool may_refuse;

uint64_t acre_backing_round(const acre_space *from, uint64_t size) { return acre_align_up(size, ACRE_BLOCK_GRAIN_BYTES); }

acre_status acre_backing_take(acre_space *from, uint64_t size, acre_addr *base)
{
    if (may_refuse && nondet_bool()) {
        may_refuse = false;
        return ACRE_NO_MEMORY;
    }
    *base = places[nondet_unsigned() % CHUNK_COUNT_MAX];
    assume(*base <= UINT64_MAX - size);
    return ACRE_OK;
}

void acre_backing_give(acre_space *from, acre_addr base, uint64_t size)
{
    assert(from == &space && base == before.chunks[region.chunk_count].base && size == before.chunks[region.chunk_count].size_bytes);
}

static void any_region(void)
{
    region.current = nondet_u32();
    region.chunk_count = nondet_u32();
    region.is_host = nondet_bool();
    region.space = &space;
    region.parent = NULL;
    for (uint32_t i = 0; i < CHUNK_COUNT_MAX; i++) {
        region.chunks[i] = (acre_region_chunk){.base = places[i], .size_bytes = any_length(), .used_bytes = any_length()};
    }
    assume(region.chunk_count <= CHUNK_COUNT_MAX && region.current < region.chunk_count);
    region.next = region.chunks[region.current].base + any_length();
    region.end = nondet_bool() ? region.next : chunk_end(&region.chunks[region.current]);
    assume(acre_region_is_valid(&region));
    before = region;
}

static bool is_unchanged(void)
{
    return region.next == before.next && region.end == before.end && region.current == before.current;
}

/* The block lies in the current chunk, behind everything that was there. */
static void assert_new_block(acre_addr start, uint64_t size)
{
    const acre_region_chunk *const chunk = &region.chunks[region.current];
    const acre_addr from = region.current == before.current ? before.next : chunk_first(chunk);
    assert(region.current >= before.current);
    assert(start >= from && start <= region.next && region.next - start >= size && region.next <= chunk_end(chunk));
}

/* PROOF region_alloc_inline
 *   property: a block that fits inline is aligned to 16, has its size, lies behind all others and in the chunk; the region stays valid
 *   bound:    regions of at most 3 chunks of at most 256 bytes, at 0, across 4 GiB and near the end of all addresses
 *   assumes:  it fits, so that the call that is not inline is not made
 *   options:  --unwind 5
 */
void prove_region_alloc_inline(void)
{
    any_region();
    const size_t size = nondet_size();
    const acre_addr start = (uintptr_t)acre_region_alloc(&region, size);
    assert(region.is_host && size > 0);
    assert(start == before.next && start % ACRE_BLOCK_GRAIN_BYTES == 0);
    assert_new_block(start, size);
    assert(acre_region_is_valid(&region));
}

/* PROOF region_alloc
 *   property: a block of any size and alignment is aligned, lies behind all others and in one chunk; else nothing has changed; the region
 *             stays valid
 *   bound:    blocks below 512 bytes, alignments below 256; the first of two chunks of at most 256 bytes in use, at 0 and across 4 GiB
 *   assumes:  the space refuses at most one wish, and gives ranges that do not wrap
 *   options:  --unwind 6
 */
void prove_region_alloc(void)
{
    any_region();
    may_refuse = nondet_bool();
    assume(region.chunk_count == 2 && region.current == 0);
    region.chunk_count = before.chunk_count = 2; /* as numbers that CBMC sees */
    region.current = before.current = 0;
    const uint64_t size = nondet_unsigned() & 0x1ff;
    const uint64_t alignment = nondet_unsigned() & 0xff;
    const acre_addr start = acre_region_alloc_address(&region, size, alignment);
    if (start != 0) {
        assert(acre_is_power_of_two(alignment) && start % ACRE_BLOCK_GRAIN_BYTES == 0 && (start & (alignment - 1)) == 0);
        assert_new_block(start, size);
        const acre_region_chunk *const left = &region.chunks[before.current];
        assert(region.current == before.current || left->base + left->used_bytes == before.next);
    } else {
        assert(is_unchanged());
    }
    assert(acre_region_is_valid(&region));
}

/* PROOF region_rewind
 *   property: a rewind goes to exactly the mark, if that is a place that is in use, and changes nothing else and else nothing
 *   bound:    regions of at most 3 chunks of at most 256 bytes, at 0, across 4 GiB and near the end of all addresses
 *   assumes:  nothing
 *   options:  --unwind 5
 */
void prove_region_rewind(void)
{
    any_region();
    const acre_region_mark mark = {.next = nondet_u64(), .chunk = nondet_u32()};
    if (acre_region_rewind(&region, mark) == ACRE_OK) {
        assert(region.next == mark.next && region.current == mark.chunk);
        assert(mark.chunk < before.current || (mark.chunk == before.current && mark.next <= before.next));
    } else {
        assert(is_unchanged());
        assert(mark.chunk != before.current || mark.next != before.next); /* where it stands it may always go */
    }
    assert(region.chunk_count == before.chunk_count);
    assert(acre_region_is_valid(&region));
}

/* PROOF region_purge
 *   property: chunks that hold no block go, the last one first, at least `keep_bytes` of them stay, or none could go; none in use goes
 *   bound:    regions of at most 3 chunks of at most 256 bytes, at 0, across 4 GiB and near the end of all addresses
 *   assumes:  nothing
 *   options:  --unwind 5
 */
void prove_region_purge(void)
{
    any_region();
    const uint64_t keep_bytes = nondet_u64();
    const uint64_t gone = acre_region_purge(&region, keep_bytes);
    uint64_t held = 0;
    for (uint32_t i = region.current + 1; i < region.chunk_count; i++) held += region.chunks[i].size_bytes;
    assert(is_unchanged() && acre_region_is_valid(&region));
    assert(gone == 0 || held >= keep_bytes);
    assert(held <= keep_bytes || held - keep_bytes < region.chunks[region.chunk_count - 1].size_bytes);
}
