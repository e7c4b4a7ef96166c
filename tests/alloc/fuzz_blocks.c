/* fuzz_blocks.c - libFuzzer: no sequence of calls makes a region, a stack or a ring give a block that is not its own, or break an
 * invariant. Over numbers that are no addresses, against the simplest model: the blocks in the order in which they came. */
#include <acre/region.h>
#include <acre/ring.h>
#include <acre/stack.h>

#include <stdlib.h>

enum { BLOCK_COUNT_MAX = 64, SPACE_BYTES = 1 << 16 };

typedef struct input {
    const uint8_t *bytes;
    size_t left;
} input;

typedef struct blocks {
    acre_addr base[BLOCK_COUNT_MAX];
    uint64_t size[BLOCK_COUNT_MAX];
    size_t first;
    size_t count;
} blocks;

static acre_space space;
static acre_space pages;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) abort();
}

static unsigned next(input *from)
{
    if (from->left == 0) return 0;
    from->left--;
    return *from->bytes++;
}

/* Mostly short, sometimes longer than there is room for, sometimes absurd. */
static uint64_t next_size(input *from)
{
    const unsigned kind = next(from);
    const uint64_t number = next(from);
    return kind < 192 ? number : kind < 254 ? number << 6 : kind == 254 ? number << 40 : UINT64_MAX - number;
}

static void add(blocks *all, acre_addr base, uint64_t size, uint64_t alignment)
{
    if (base == 0) return;
    must(base % alignment == 0 && base % 16 == 0 && base >= space.base && base + size <= space.base + space.size_bytes);
    for (size_t i = all->first; i < all->count; i++) must(base + size <= all->base[i] || all->base[i] + all->size[i] <= base);
    all->base[all->count] = base;
    all->size[all->count++] = size != 0 ? size : 1;
}

static void use_region(input *from)
{
    acre_region region;
    blocks all = {.count = 0};
    acre_region_mark marks[BLOCK_COUNT_MAX + 1];
    if (acre_region_create(&(acre_region_options){.space = &space, .chunk_bytes = next_size(from)}, &region) != ACRE_OK) return;
    marks[0] = acre_region_position(&region);
    while (from->left > 0) {
        const unsigned operation = next(from);
        if (operation < 192 && all.count < BLOCK_COUNT_MAX) {
            const uint64_t size = next_size(from);
            const uint64_t alignment = (uint64_t)1 << operation % 13;
            add(&all, acre_region_alloc_address(&region, size, alignment), size, alignment);
            marks[all.count] = acre_region_position(&region);
        } else if (operation < 250) {
            all.count = operation % (all.count + 1);
            must(acre_region_rewind(&region, marks[all.count]) == ACRE_OK);
        } else if (operation < 253) {
            (void)acre_region_purge(&region, next_size(from));
        } else {
            const acre_region_mark any = {.next = space.base + 16 * (uint64_t)next(from), .chunk = next(from) % 4};
            const acre_region_mark before = acre_region_position(&region);
            const bool is_back = acre_region_rewind(&region, any) == ACRE_OK;
            if (is_back) must(acre_region_rewind(&region, before) != ACRE_OK || any.next == before.next);
            all.count = 0; /* who knows how many are left */
            must(acre_region_reset(&region) == ACRE_OK);
        }
        must(acre_region_is_valid(&region));
    }
    acre_region_destroy(&region);
}

static void use_stack(input *from)
{
    acre_stack stack;
    blocks all = {.count = 0};
    const acre_stack_options options = {.space = &space, .meta_space = &pages, .block_count_max = BLOCK_COUNT_MAX - 1 - next(from) % 60};
    must(acre_stack_create(&options, &stack) == ACRE_OK);
    while (from->left > 0) {
        const unsigned operation = next(from);
        if (operation < 128) {
            const uint64_t size = next_size(from);
            const uint64_t alignment = (uint64_t)1 << operation % 13;
            add(&all, acre_stack_alloc_address(&stack, size, alignment), size, alignment);
        } else if (operation < 240 && all.count > 0) {
            const size_t at = operation < 230 ? all.count - 1 : operation % all.count;
            const acre_status status = operation % 2 == 0 ? acre_stack_free_address(&stack, all.base[at])
                                                          : acre_stack_free(&stack, (void *)(uintptr_t)all.base[at]);
            must((status == ACRE_OK) == (at == all.count - 1));
            if (status == ACRE_OK) all.count--;
        } else {
            const uint32_t count = operation % (BLOCK_COUNT_MAX + 1);
            must((acre_stack_rewind(&stack, count) == ACRE_OK) == (count <= all.count));
            if (count < all.count) all.count = count;
        }
        must(acre_stack_is_valid(&stack) && acre_stack_position(&stack) == all.count);
    }
    acre_stack_destroy(&stack);
}

static void use_ring(input *from)
{
    acre_ring ring;
    blocks all = {.count = 0}; /* those in front of `first` are gone */
    size_t published = 0;
    const acre_ring_options options = {.space = &space, .meta_space = &pages, .size_bytes = 4096, .block_count_max = 1 + next(from) % 40};
    must(acre_ring_create(&options, &ring) == ACRE_OK);
    while (from->left > 0 && all.count < BLOCK_COUNT_MAX) {
        const unsigned operation = next(from);
        acre_block oldest;
        if (operation < 128) {
            const uint64_t size = next_size(from);
            const uint64_t alignment = (uint64_t)1 << operation % 9;
            add(&all, acre_ring_alloc_address(&ring, size, alignment), size, alignment);
        } else if (operation < 160) {
            acre_ring_publish(&ring);
            published = all.count;
        } else {
            const size_t at = operation < 240 ? all.first : operation % (all.count + 1);
            must(acre_ring_peek(&ring, 0, &oldest) == (all.first < published));
            if (at >= all.count) continue;
            const acre_status status = acre_ring_free(&ring, all.base[at]);
            must((status == ACRE_OK) == (at == all.first && at < published) || all.base[at] == all.base[all.first]);
            if (status == ACRE_OK) all.first++;
        }
        must(acre_ring_is_valid(&ring));
    }
    acre_ring_destroy(&ring);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input from = {.bytes = data, .left = size};
    must(acre_space_open_handles(&space, (acre_addr)0xffff << 16, SPACE_BYTES) == ACRE_OK);
    must(acre_space_open_pages(&pages, NULL) == ACRE_OK);
    switch (next(&from) % 3) {
    case 0: use_region(&from); break;
    case 1: use_stack(&from); break;
    default: use_ring(&from); break;
    }
    must(space.reserved_bytes == 0); /* everything came back */
    acre_space_close(&pages);
    acre_space_close(&space);
    return 0;
}
