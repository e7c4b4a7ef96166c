/* stack.c - see acre/stack.h. The inline path asks one question, whether a block fits below `end`; so `end` is where room or records
 * may run out, whichever is first: each block takes a record and at least 16 bytes. When a block does not fit there, the records that
 * longer blocks have left over move the end further. */
#include <acre/stack.h>

#include "alloc/backing.h"
#include "base/bits.h"
#include "base/status.h"
#include "guard/fault.h"

#define BLOCK_COUNT_MAX ((uint64_t)1 << 28)

static uint64_t records_left(const acre_stack *stack) { return (uint64_t)(stack->record_end - stack->record); }

static void set_top(acre_stack *stack, acre_addr top)
{
    const uint64_t room = stack->limit - top;
    const uint64_t recorded = records_left(stack) * ACRE_BLOCK_GRAIN_BYTES;
    stack->top = top;
    stack->end = !stack->is_host ? top : top + (room < recorded ? room : recorded);
}

/* Where the block of a record begins. */
static acre_addr start_of(const acre_stack *stack, const uint32_t *record)
{
    return stack->top - (uint32_t)((uint32_t)stack->top - *record);
}

static bool is_made(const acre_stack *stack, const char *operation)
{
    if (stack != NULL && stack->records != NULL) return true;
    (void)acre_fail(ACRE_INVALID, "stack: %s: the stack is NULL or not made", operation);
    return false;
}

bool acre_stack_is_valid(const acre_stack *stack)
{
    if (stack->records == NULL || stack->record < stack->records || stack->record > stack->record_end) return false;
    if (stack->base == 0 || stack->base > stack->limit || stack->limit - stack->base > ACRE_STACK_BYTES_MAX) return false;
    if (stack->base % ACRE_BLOCK_GRAIN_BYTES != 0 || stack->limit % ACRE_BLOCK_GRAIN_BYTES != 0) return false;
    if (stack->top % ACRE_BLOCK_GRAIN_BYTES != 0 || stack->top < stack->base || stack->top > stack->limit) return false;
    if (stack->end % ACRE_BLOCK_GRAIN_BYTES != 0) return false; /* else a block that fits below it would be rounded up beyond it */
    if (stack->end < stack->top || stack->end > stack->limit || (!stack->is_host && stack->end != stack->top)) return false;
    if (stack->end - stack->top > records_left(stack) * ACRE_BLOCK_GRAIN_BYTES) return false;
    if (stack->end_step != (stack->is_host ? ACRE_BLOCK_GRAIN_BYTES : 0)) return false;
    acre_addr above = stack->top;
    for (uint32_t count = acre_stack_position(stack); count > 0; count--) {
        const acre_addr start = start_of(stack, stack->records + count - 1);
        if (start % ACRE_BLOCK_GRAIN_BYTES != 0 || start < stack->base || start >= above) return false;
        above = start;
    }
    return true;
}

/* ---- the life of a stack ---- */

acre_status acre_stack_create(const acre_stack_options *options, acre_stack *stack)
{
    if (options == NULL || stack == NULL) return acre_fail(ACRE_INVALID, "stack: the options or the stack are NULL");
    *stack = (acre_stack){.name = options->name != NULL ? options->name : "stack"};
    const acre_ranges_wish wish = {.kind = "stack",
                                   .name = stack->name,
                                   .space = options->space,
                                   .meta_space = options->meta_space,
                                   .size_bytes = options->size_bytes,
                                   .size_bytes_max = ACRE_STACK_BYTES_MAX,
                                   .record_count = options->block_count_max,
                                   .record_count_max = BLOCK_COUNT_MAX,
                                   .record_bytes = sizeof *stack->records};
    uint64_t count = 0;
    const acre_status status = acre_ranges_take(&wish, &stack->ranges, &count);
    if (status != ACRE_OK) return status;
    stack->base = acre_backing_first(stack->ranges.base);
    stack->limit = stack->ranges.base + stack->ranges.size_bytes;
    stack->is_host = (options->space->info.capabilities & ACRE_CAP_HOST_ACCESS) != 0;
    stack->end_step = stack->is_host ? ACRE_BLOCK_GRAIN_BYTES : 0;
    stack->records = stack->record = acre_space_pointer(stack->ranges.meta_space, stack->ranges.record_base);
    stack->record_end = stack->records + count;
    set_top(stack, stack->base);
    assert(acre_stack_is_valid(stack));
    return ACRE_OK;
}

void acre_stack_destroy(acre_stack *stack)
{
    if (stack == NULL || stack->records == NULL) return;
    acre_ranges_give(&stack->ranges);
    stack->records = stack->record = NULL;
    stack->top = stack->end = 0;
}

/* ---- blocks ---- */

acre_addr acre_stack_alloc_address(acre_stack *stack, uint64_t size, uint64_t alignment)
{
    if (!is_made(stack, "alloc")) return 0;
    if (!acre_is_power_of_two(alignment)) {
        (void)acre_fail(ACRE_INVALID, "stack '%s': alignment %llu is no power of two", stack->name, (unsigned long long)alignment);
        return 0;
    }
    if (stack->record == stack->record_end) {
        (void)acre_fail(ACRE_NO_MEMORY, "stack '%s': %llu bytes asked for: all of its %llu blocks are in use", stack->name,
                        (unsigned long long)size, (unsigned long long)(stack->record_end - stack->records));
        return 0;
    }
    const uint64_t last = size > 0 ? size - 1 : 0;
    const uint64_t mask = (alignment > ACRE_BLOCK_GRAIN_BYTES ? alignment : ACRE_BLOCK_GRAIN_BYTES) - 1;
    const uint64_t padding = (0 - stack->top) & mask;
    const uint64_t room = stack->limit - stack->top;
    if (padding > room || last >= room - padding) {
        (void)acre_fail(ACRE_NO_MEMORY, "stack '%s': %llu bytes aligned to %llu asked for: %llu of %llu are left", stack->name,
                        (unsigned long long)size, (unsigned long long)alignment, (unsigned long long)room,
                        (unsigned long long)(stack->limit - stack->base));
        return 0;
    }
    const acre_addr start = stack->top + padding;
    *stack->record++ = (uint32_t)start;
    set_top(stack, start + (last | (ACRE_BLOCK_GRAIN_BYTES - 1)) + 1);
    return start;
}

void *acre_stack_alloc_slowly(acre_stack *stack, size_t size)
{
    if (!is_made(stack, "alloc")) return NULL;
    if (!stack->is_host) {
        (void)acre_fail(ACRE_UNSUPPORTED, "stack '%s': its addresses are no pointers: use acre_stack_alloc_address", stack->name);
        return NULL;
    }
    return (void *)(uintptr_t)acre_stack_alloc_address(stack, size, ACRE_BLOCK_GRAIN_BYTES);
}

acre_status acre_stack_refuse(const acre_stack *stack, acre_addr block)
{
    if (!is_made(stack, "free")) return ACRE_INVALID;
    if (block == 0) return ACRE_OK;
    if (stack->record == stack->records) {
        return acre_fail(ACRE_BAD_POINTER, "stack '%s': free of 0x%llx: there is no block", stack->name, (unsigned long long)block);
    }
    return acre_fail(ACRE_BAD_POINTER, "stack '%s': free of 0x%llx: the last block, which goes first, is 0x%llx", stack->name,
                     (unsigned long long)block, (unsigned long long)acre_stack_last(stack));
}

acre_status acre_stack_free_address(acre_stack *stack, acre_addr block)
{
    if (stack == NULL || stack->record == stack->records || acre_stack_last(stack) != block) return acre_stack_refuse(stack, block);
    stack->record--;
    set_top(stack, block);
    return ACRE_OK;
}

acre_status acre_stack_rewind(acre_stack *stack, uint32_t count)
{
    if (!is_made(stack, "rewind")) return ACRE_INVALID;
    const uint32_t block_count = acre_stack_position(stack);
    if (count > block_count) {
        return acre_fail(ACRE_INVALID, "stack '%s': rewind to %u blocks: there are %u", stack->name, (unsigned)count,
                         (unsigned)block_count);
    }
    if (count == block_count) return ACRE_OK;
    const acre_addr top = start_of(stack, stack->records + count);
    stack->record = stack->records + count;
    set_top(stack, top);
    return ACRE_OK;
}

/* ---- what there is ---- */

static acre_block block_at(const acre_stack *stack, const uint32_t *record)
{
    const acre_addr start = start_of(stack, record);
    const acre_addr above = record + 1 == stack->record ? stack->top : start_of(stack, record + 1);
    return (acre_block){.base = start, .size_bytes = above - start, .is_out = true};
}

acre_status acre_stack_where(const acre_stack *stack, acre_addr address, acre_block *block)
{
    if (!is_made(stack, "where")) return ACRE_INVALID;
    if (block == NULL) return acre_fail(ACRE_INVALID, "stack '%s': where into NULL", stack->name);
    uint32_t low = 0; /* the blocks below `low` begin at the address or before it, those from `high` on behind it */
    for (uint32_t high = acre_stack_position(stack); low < high;) {
        const uint32_t middle = low + (high - low) / 2;
        if (start_of(stack, stack->records + middle) <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || address >= stack->top) {
        return acre_fail(ACRE_BAD_POINTER, "stack '%s': 0x%llx lies in no block", stack->name, (unsigned long long)address);
    }
    *block = block_at(stack, stack->records + low - 1);
    return ACRE_OK;
}

acre_status acre_stack_read_figures(const acre_stack *stack, acre_allocator_figures *figures)
{
    if (!is_made(stack, "figures")) return ACRE_INVALID;
    if (figures == NULL) return acre_fail(ACRE_INVALID, "stack '%s': figures into NULL", stack->name);
    *figures = (acre_allocator_figures){.block_bytes = stack->top - stack->base,
                                        .committed_bytes = stack->ranges.size_bytes,
                                        .dirty_bytes = stack->limit - stack->top,
                                        .meta_bytes = stack->ranges.record_bytes};
    return ACRE_OK;
}

/* ---- as an allocator ---- */

static acre_addr stack_alloc(acre_allocator *allocator, uint64_t size, uint64_t alignment, const acre_hints *hints)
{
    (void)hints;
    return acre_stack_alloc_address(allocator->implementation, size, alignment);
}

static void stack_free(acre_allocator *allocator, acre_addr block)
{
    acre_stack *const stack = allocator->implementation;
    if (acre_stack_free_address(stack, block) == ACRE_OK) return;
    acre_block found = {.base = 0};
    const bool is_block = acre_stack_where(stack, block, &found) == ACRE_OK;
    acre_fault_report(&(acre_fault){.kind = !is_block             ? ACRE_FAULT_FOREIGN_FREE
                                            : found.base == block ? ACRE_FAULT_ORDER_FREE
                                                                  : ACRE_FAULT_INTERIOR_FREE,
                                    .heap_name = allocator->name,
                                    .address = block,
                                    .block = found.base,
                                    .size_bytes = found.size_bytes,
                                    .operation = "free"});
}

static acre_status stack_where(acre_allocator *allocator, acre_addr address, acre_block *block)
{
    return acre_stack_where(allocator->implementation, address, block);
}

static uint64_t stack_usable_size(acre_allocator *allocator, acre_addr address)
{
    acre_block block = {.base = 0};
    return acre_stack_where(allocator->implementation, address, &block) == ACRE_OK && block.base == address ? block.size_bytes : 0;
}

static void stack_walk(acre_allocator *allocator, acre_block_visitor *visit, void *context)
{
    const acre_stack *const stack = allocator->implementation;
    for (const uint32_t *record = stack->records; record != stack->record; record++) {
        const acre_block block = block_at(stack, record);
        if (!visit(context, &block)) return;
    }
}

static void stack_read_figures(acre_allocator *allocator, acre_allocator_figures *figures)
{
    (void)acre_stack_read_figures(allocator->implementation, figures);
}

void acre_stack_allocator(acre_stack *stack, acre_allocator *allocator)
{
    static const acre_allocator_ops ops = {
        .size_bytes = sizeof(acre_allocator_ops),
        .alloc = stack_alloc,
        .free = stack_free,
        .usable_size = stack_usable_size,
        .where = stack_where,
        .walk = stack_walk,
        .read_figures = stack_read_figures,
    };
    *allocator = (acre_allocator){.ops = &ops, .name = stack->name, .implementation = stack};
}
