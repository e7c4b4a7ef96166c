/* Proofs of alloc/stack.c and of what acre/stack.h has inline, from any valid stack. */
#include "../proof.h"
#include "base/bits.h"
#include <acre/stack.h>
/* A proof of the inline path assumes that a block fits there; so that CBMC does not follow the other one, it ends here. */
void *acre_stack_alloc_slowly(acre_stack *stack, size_t size)
{
    assume(false);
    return NULL;
}
#define acre_stack_alloc_slowly unused_alloc_slowly
#include "alloc/stack.c"

enum { RECORD_COUNT_MAX = 2 };

static uint32_t records[RECORD_COUNT_MAX];
static acre_stack stack;
static acre_stack before;
static uint32_t records_before[RECORD_COUNT_MAX];

acre_status acre_fail(acre_status status, const char *format, ...) { return status; }

/* Where a sum could go wrong: the low halves of addresses wrap in the middle of this range. */
static const acre_addr place = ((acre_addr)1 << 32) - 256;

/* An address in the 512 bytes from there, at a multiple of 16 as every valid one. */
static acre_addr any_address(void) { return place + (acre_addr)(nondet_unsigned() & 0x1f) * ACRE_BLOCK_GRAIN_BYTES; }

static void any_stack(void)
{
    const unsigned count = nondet_unsigned();
    const unsigned record_count = nondet_unsigned();
    assume(count <= record_count && record_count <= RECORD_COUNT_MAX);
    for (unsigned i = 0; i < RECORD_COUNT_MAX; i++) records_before[i] = records[i] = (uint32_t)any_address();
    stack = (acre_stack){.top = any_address(),
                         .end = any_address(),
                         .base = place,
                         .limit = any_address(),
                         .records = records,
                         .record = records + count,
                         .record_end = records + record_count,
                         .end_step = nondet_bool() ? ACRE_BLOCK_GRAIN_BYTES : 0};
    stack.is_host = stack.end_step != 0;
    assume(acre_stack_is_valid(&stack));
    before = stack;
}

static bool is_unchanged(void) { return stack.top == before.top && stack.end == before.end && stack.record == before.record; }

static void assert_old_records(unsigned count)
{
    for (unsigned i = 0; i < RECORD_COUNT_MAX; i++) assert(i >= count || records[i] == records_before[i]);
}

static void assert_new_block(acre_addr start, uint64_t size)
{
    assert(start % ACRE_BLOCK_GRAIN_BYTES == 0 && start >= before.top && start < stack.top);
    assert(stack.top - start >= size && stack.top <= stack.limit);
    assert(stack.record == before.record + 1 && acre_stack_last(&stack) == start);
    assert_old_records(acre_stack_position(&before));
}

/* PROOF stack_alloc_inline
 *   property: a block that fits inline is aligned to 16, has its size, lies above all others and in the range, has a record of its
 *             own, and the stack stays valid: room and records are enough for whatever fits inline next
 *   bound:    at most 2 records; ranges of at most 512 bytes that cross 4 GiB
 *   assumes:  it fits, so that the call that is not inline is not made
 *   options:  --unwind 4
 */
void prove_stack_alloc_inline(void)
{
    any_stack();
    const size_t size = nondet_size();
    const acre_addr start = (uintptr_t)acre_stack_alloc(&stack, size);
    assert(stack.is_host && size > 0);
    assert_new_block(start, size);
    assert(acre_stack_is_valid(&stack));
}

/* Any block, asked for at its address. */
static acre_addr alloc_any(uint64_t *size, uint64_t *alignment)
{
    any_stack();
    *size = nondet_u64();
    *alignment = nondet_u64();
    return acre_stack_alloc_address(&stack, *size, *alignment);
}

/* PROOF stack_alloc
 *   property: a block of any size and alignment lies above all others and in the range, aligned, with a record of its own; it is
 *             refused only when room or records are missing, and then nothing has changed
 *   bound:    at most 2 records; ranges of at most 512 bytes that cross 4 GiB
 *   assumes:  nothing
 *   options:  --unwind 4
 */
void prove_stack_alloc(void)
{
    uint64_t size;
    uint64_t alignment;
    const acre_addr start = alloc_any(&size, &alignment);
    if (start != 0) {
        assert(acre_is_power_of_two(alignment) && (start & (alignment - 1)) == 0);
        assert_new_block(start, size);
    } else {
        assert(is_unchanged());
        assert(alignment != 16 || stack.record == stack.record_end || size > stack.limit - stack.top || stack.top == stack.limit);
    }
}

/* PROOF stack_alloc_valid
 *   property: after a block of any size and alignment, or its refusal, the stack is valid
 *   bound:    at most 2 records; ranges of at most 512 bytes that cross 4 GiB
 *   assumes:  nothing
 *   options:  --unwind 4
 */
void prove_stack_alloc_valid(void)
{
    uint64_t size;
    uint64_t alignment;
    (void)alloc_any(&size, &alignment);
    assert(acre_stack_is_valid(&stack));
}

/* PROOF stack_free
 *   property: the last block is taken back and the top is where it began; any other address is refused and changes nothing; the stack stays
 *             valid
 *   bound:    at most 2 records; ranges of at most 512 bytes that cross 4 GiB
 *   assumes:  nothing
 *   options:  --unwind 4
 */
void prove_stack_free(void)
{
    any_stack();
    const acre_addr block = nondet_u64();
    const bool is_last = stack.record != stack.records && acre_stack_last(&stack) == block;
    const acre_status status = acre_stack_free_address(&stack, block);
    assert(is_last ? status == ACRE_OK && stack.top == block && stack.record == before.record - 1 : is_unchanged());
    assert(is_last || (status == ACRE_OK) == (block == 0));
    assert(acre_stack_is_valid(&stack));
}

/* PROOF stack_free_inline
 *   property: the inline free does what the other one does, but that less may fit inline behind it; the stack stays valid
 *   bound:    at most 2 records; ranges of at most 512 bytes that cross 4 GiB
 *   assumes:  nothing
 *   options:  --unwind 4
 */
void prove_stack_free_inline(void)
{
    any_stack();
    const acre_addr block = nondet_u64();
    const acre_status status = acre_stack_free(&stack, (void *)(uintptr_t)block);
    assert(acre_stack_is_valid(&stack));
    const acre_stack after = stack;
    stack = before;
    assert(acre_stack_free_address(&stack, block) == status);
    assert(stack.top == after.top && stack.record == after.record && stack.end >= after.end);
}

/* PROOF stack_rewind
 *   property: a rewind leaves exactly the first `count` blocks, and the top is where the next one began; more than there are is refused
 *   bound:    at most 2 records; ranges of at most 512 bytes that cross 4 GiB
 *   assumes:  nothing
 *   options:  --unwind 4
 */
void prove_stack_rewind(void)
{
    any_stack();
    const uint32_t count = nondet_u32();
    const uint32_t count_before = acre_stack_position(&stack);
    if (acre_stack_rewind(&stack, count) == ACRE_OK) {
        assert(acre_stack_position(&stack) == count && count <= count_before);
        assert(count == count_before ? stack.top == before.top : stack.top == start_of(&before, records + count));
    } else {
        assert(count > count_before && is_unchanged());
    }
    assert(acre_stack_is_valid(&stack));
}
