/* stack.h - blocks that go in the reverse order in which they came, over a range of fixed size.
 *
 *     static char bytes[65536];
 *     acre_space space;
 *     acre_stack stack;
 *     acre_space_open_static(&space, bytes, sizeof bytes);
 *     if (acre_stack_create(&(acre_stack_options){.name = "frames", .space = &space}, &stack) != ACRE_OK) puts(acre_last_error());
 *     ACRE_SCOPE(&stack) {
 *         double *row = acre_stack_alloc(&stack, 100 * sizeof *row);
 *         ...
 *     }                                            row is gone, also when the scope is left by break or return
 *     acre_stack_destroy(&stack);
 *
 * The order is checked: a free of any other block than the last one is refused. For that a stack keeps four bytes a block, apart from
 * the blocks, which it never reads or writes: so it works over every space, also where addresses are no pointers.
 *
 * Costs. acre_stack_alloc and acre_stack_free are inline: 13 and 17 instructions, no call. acre_stack_rewind is O(1) for any number
 * of blocks. Blocks are rounded up to 16 bytes. What comes in front of a block that is aligned to more comes back with the block below it.
 *
 * Thread safety: none, one thread at a time.
 *
 * Example: examples/regions.c.
 */
#ifndef ACRE_STACK_H
#define ACRE_STACK_H

#include <acre/allocator.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ACRE_STACK_BYTES_MAX ((uint64_t)0xfffffff0) /* of blocks */

typedef struct acre_stack_options {
    acre_space *space;        /* where blocks lie */
    acre_space *meta_space;   /* where their records lie; needs ACRE_CAP_HOST_ACCESS. NULL: in `space` too, which then needs it */
    uint64_t size_bytes;      /* for blocks, rounded up to the grain of the space; 0: all that a space of fixed size has left */
    uint32_t block_count_max; /* blocks at one time; 0: one for each 64 bytes, at least 16 */
    const char *name;         /* for messages, not copied; NULL: "stack" */
} acre_stack_options;

/* Lives in memory of the caller. The fields are for the inline functions and for implementations. */
typedef struct acre_stack {
    acre_addr top;     /* where the next block goes; a multiple of 16 */
    acre_addr end;     /* up to here room and records are enough for any blocks; it is `top` where addresses are no pointers */
    uint32_t *record;  /* where the next block's record goes: the low half of its address */
    acre_addr base;    /* of the range; the first block goes here */
    acre_addr limit;   /* where the range ends */
    uint32_t *records; /* NULL: not made, or destroyed */
    uint32_t *record_end;
    uint64_t end_step; /* what a free adds to the room between top and end: 16, or 0 where addresses are no pointers */
    bool is_host;      /* addresses are pointers */
    const char *name;
    acre_ranges ranges;
} acre_stack;

/* Makes an empty stack. Both spaces must stay open until it is destroyed.
 * ACRE_INVALID: an argument is NULL, the space is not open, the records' space has no host access, more than ACRE_STACK_BYTES_MAX bytes or
 * 2^28 blocks are asked for, or no size, of a space without a fixed one. ACRE_NO_MEMORY: a space has no room. On failure nothing is held.
 */
ACRE_API acre_status acre_stack_create(const acre_stack_options *options, acre_stack *stack);

/* Gives the range back, blocks in use included. NULL, and one that is not made, are ignored. */
ACRE_API void acre_stack_destroy(acre_stack *stack);

/* `size` bytes at a multiple of `alignment`, a power of two; size 0 counts as 1. Works for every space. 0 when it cannot be had:
 * ACRE_NO_MEMORY, the sentence has what was asked for and what is left; ACRE_INVALID for a bad alignment or a stack that is not made. O(1).
 */
ACRE_API acre_addr acre_stack_alloc_address(acre_stack *stack, uint64_t size, uint64_t alignment) ACRE_MUST_USE;

/* Gives the last block back. 0 is ignored. ACRE_BAD_POINTER, and nothing was changed: it is not the last block, or there is none. O(1). */
ACRE_API acre_status acre_stack_free_address(acre_stack *stack, acre_addr block);

/* The parts of acre_stack_alloc and acre_stack_free that are not inline. */
ACRE_API ACRE_SELDOM void *acre_stack_alloc_slowly(acre_stack *stack, size_t size);
ACRE_API ACRE_SELDOM acre_status acre_stack_refuse(const acre_stack *stack, acre_addr block);

/* `size` bytes aligned to 16; size 0 counts as 1. NULL as in acre_stack_alloc_address, and where addresses are no pointers
 * (ACRE_UNSUPPORTED). */
static inline ACRE_MUST_USE void *acre_stack_alloc(acre_stack *stack, size_t size)
{
    const acre_addr start = stack->top;
    const uint64_t last = (uint64_t)size - 1; /* of size 0 the largest number, which fits nowhere */
    if (last >= stack->end - start) return acre_stack_alloc_slowly(stack, size);
    *stack->record++ = (uint32_t)start;
    stack->top = start + (last | 15) + 1;
    return (void *)(uintptr_t)start;
}

/* Where the last block begins; there is one. Its record is enough, because no block lies 4 GiB below the top. */
static inline acre_addr acre_stack_last(const acre_stack *stack)
{
    return stack->top - (uint32_t)((uint32_t)stack->top - stack->record[-1]);
}

/* As acre_stack_free_address. NULL is ignored. */
static inline acre_status acre_stack_free(acre_stack *stack, void *block)
{
    const acre_addr address = (uintptr_t)block;
    uint32_t size;
    if (stack->record == stack->records) return acre_stack_refuse(stack, address);
    size = (uint32_t)stack->top - stack->record[-1];
    if (stack->top - size != address) return acre_stack_refuse(stack, address);
    stack->record--;
    stack->top = address;
    stack->end += stack->end_step - (uint64_t)size; /* one record more is good for 16 bytes above the top, however long the block was */
    return ACRE_OK;
}

/* How many blocks there are: the mark for acre_stack_rewind. O(1). */
static inline uint32_t acre_stack_position(const acre_stack *stack) { return (uint32_t)(stack->record - stack->records); }

/* Gives back all blocks but the first `count`. O(1). ACRE_INVALID, and nothing was changed: a NULL, or there are fewer. */
ACRE_API acre_status acre_stack_rewind(acre_stack *stack, uint32_t count);

/* The block that holds the byte at `address`. ACRE_BAD_POINTER: it is in no block. O(log blocks). */
ACRE_API acre_status acre_stack_where(const acre_stack *stack, acre_addr address, acre_block *block);

/* block_bytes: up to the top; committed_bytes and dirty_bytes: the range, and the rest of it; meta_bytes: the records. O(1).
 * ACRE_INVALID for a NULL. */
ACRE_API acre_status acre_stack_read_figures(const acre_stack *stack, acre_allocator_figures *figures);

/* The stack behind the interface of allocator.h: alloc, free, usable size, where, walk, figures. A free out of order is a fault (see
 * guard.h). `allocator` is the caller's memory and lives no longer than the stack. */
ACRE_API void acre_stack_allocator(acre_stack *stack, acre_allocator *allocator);

/* True when every invariant of the stack holds. O(blocks). For tests. */
ACRE_API bool acre_stack_is_valid(const acre_stack *stack);

/* ---- a scope: blocks that are made in it are gone behind it ---- */

typedef struct acre_stack_scope {
    acre_stack *stack;
    uint32_t count;
    bool is_left;
} acre_stack_scope;

static inline acre_stack_scope acre_stack_scope_begin(acre_stack *stack)
{
    acre_stack_scope scope;
    scope.stack = stack;
    scope.count = acre_stack_position(stack);
    scope.is_left = false;
    return scope;
}

/* A block of before that was freed in the scope stays free. */
static inline void acre_stack_scope_end(acre_stack_scope *scope)
{
    if (acre_stack_position(scope->stack) > scope->count) (void)acre_stack_rewind(scope->stack, scope->count);
}

/* ACRE_SCOPE(&stack) { ... } - what is allocated between the braces is given back behind them, and also when they are left by break,
 * continue (both leave the scope, not a loop around it), return or goto, and in C++ by an exception. Not by longjmp or exit.
 * Scopes nest; two of them cannot begin in one line of the source. The stack must not be destroyed in it. */
#define ACRE_SCOPE(stack)          ACRE_SCOPE_AT(stack, __LINE__)
#define ACRE_SCOPE_AT(stack, line) ACRE_SCOPE_IN(stack, line) /* so that __LINE__ becomes a number first */
#define ACRE_SCOPE_IN(stack, line) ACRE_SCOPE_NAMED(stack, acre_scope_in_##line)
#define ACRE_SCOPE_NAMED(stack, scope)                                                                                                     \
    for (__attribute__((cleanup(acre_stack_scope_end))) acre_stack_scope scope = acre_stack_scope_begin(stack); !(scope).is_left;          \
         (scope).is_left = true)

#ifdef __cplusplus
}
#endif
#endif
