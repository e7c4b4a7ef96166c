/* mixes.c - offset allocators under two mixes of sizes: instructions of a free and an alloc, as `compare` counts them, and how full a block
 * is when an allocation first fails.
 *
 *     mixes                                        the names of mixes and allocators
 *     mixes MIX ALLOCATOR STEPS SEED [--steps-only] [--sizes-at-once]
 *
 *     small   1 to 2056 bytes, each as likely; alignment 16, a block of 64 MiB, some 52,000 live
 *     gpu     60 % of 256 bytes to 64 KiB, 35 % up to 4 MiB, 5 % up to 64 MiB, in each range as likely by logarithm; alignment 256,
 *             a block of 2 GiB, some 1,500 live
 *
 * The block is filled to 80 %. A step draws a size, frees allocations at random until that size is within 80 % again, one on average, and
 * allocates it. Afterwards it allocates without a free until that fails first, but with --steps-only. Sizes are drawn before anything is
 * allocated, as many in each run, so that the difference of two runs with other STEPS is what the steps cost; with --sizes-at-once they are
 * drawn within the steps, and their logarithms count too.
 *
 * Prints: steps that failed, allocations that are live, and the share of the block that is used at the first failure.
 */
#include "carvers.h"
#include "sizes.h"

#include <acre/offset_allocator.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIVE_MAX = 1 << 17, SIZES = 1 << 17 };

typedef struct mix {
    const char *name;
    uint64_t block_bytes, alignment_bytes;
    uint64_t (*draw)(uint64_t *random);
} mix;

typedef struct live {
    uint64_t handle, size_bytes;
} live;

static live lives[LIVE_MAX];
static uint64_t sizes[SIZES];

static const mix mixes[] = {
    {"small", (uint64_t)64 << 20, 16, draw_small},
    {"gpu", (uint64_t)2 << 30, 256, draw_gpu},
};

/* The loop alone: all that it does beside calling an allocator is in everybody's instructions. */
static void *open_nothing(uint64_t size_bytes, uint64_t alignment_bytes) { return sizes; }
static bool alloc_nothing(void *self, uint64_t size_bytes, uint64_t alignment_bytes, uint64_t *handle) { return true; }
static void free_nothing(void *self, uint64_t handle) {}
static void close_nothing(void *self) {}
static const carver loop_alone = {"loop", open_nothing, alloc_nothing, free_nothing, close_nothing};

typedef struct acre_block {
    acre_offset_allocator offsets;
    acre_space pages;
} acre_block;

static void *open_acre(uint64_t size_bytes, uint64_t alignment_bytes)
{
    static acre_block block;
    if (acre_space_open_pages(&block.pages, NULL) != ACRE_OK) return NULL;
    const acre_offset_options options = {.space = &block.pages, .size_bytes = size_bytes, .granule_bytes = alignment_bytes};
    return acre_offset_allocator_open(&block.offsets, &options) == ACRE_OK ? &block : NULL;
}

static bool alloc_good(void *self, uint64_t size_bytes, uint64_t alignment_bytes, uint64_t *handle)
{
    uint64_t offset;
    return acre_offset_alloc(&((acre_block *)self)->offsets, size_bytes, alignment_bytes, ACRE_OFFSET_GOOD_FIT, handle, &offset) == ACRE_OK;
}

static bool alloc_best(void *self, uint64_t size_bytes, uint64_t alignment_bytes, uint64_t *handle)
{
    uint64_t offset;
    return acre_offset_alloc(&((acre_block *)self)->offsets, size_bytes, alignment_bytes, ACRE_OFFSET_BEST_FIT, handle, &offset) == ACRE_OK;
}

static void free_acre(void *self, uint64_t handle) { (void)acre_offset_free(&((acre_block *)self)->offsets, handle); }

static void close_acre(void *self)
{
    acre_block *const block = self;
    acre_offset_allocator_close(&block->offsets);
    acre_space_close(&block->pages);
}

static const carver acre_good = {"acre", open_acre, alloc_good, free_acre, close_acre};
static const carver acre_best = {"acre-best", open_acre, alloc_best, free_acre, close_acre};

static const carver *const carvers[] = {
    &loop_alone,     &acre_good,      &acre_best,
#ifdef WITH_VMA
    &vma_carvers[0], &vma_carvers[1], &vma_carvers[2],
#endif
};

static const carver *carver_named(const char *name)
{
    for (size_t i = 0; i < sizeof carvers / sizeof *carvers; i++)
        if (strcmp(carvers[i]->name, name) == 0) return carvers[i];
    return NULL;
}

static const mix *mix_named(const char *name)
{
    for (size_t i = 0; i < sizeof mixes / sizeof *mixes; i++)
        if (strcmp(mixes[i].name, name) == 0) return &mixes[i];
    return NULL;
}

typedef struct run {
    const carver *carver;
    const mix *mix;
    void *block;
    uint64_t random, size_random;
    uint64_t used_bytes, live_count;
    uint64_t size_count; /* that were taken out of `sizes` */
    bool is_at_once;
} run;

static uint64_t next_size(run *r) { return r->is_at_once ? r->mix->draw(&r->size_random) : sizes[r->size_count++ % SIZES]; }

static void free_any(run *r)
{
    live *const victim = &lives[next_random(&r->random) % r->live_count];
    r->carver->free(r->block, victim->handle);
    r->used_bytes -= victim->size_bytes;
    *victim = lives[--r->live_count];
}

static bool alloc_one(run *r, uint64_t size_bytes)
{
    live *const one = &lives[r->live_count];
    if (r->live_count == LIVE_MAX || !r->carver->alloc(r->block, size_bytes, r->mix->alignment_bytes, &one->handle)) return false;
    one->size_bytes = size_bytes;
    r->used_bytes += size_bytes;
    r->live_count++;
    return true;
}

int main(int argument_count, char **arguments)
{
    if (argument_count == 1) {
        for (size_t m = 0; m < sizeof mixes / sizeof *mixes; m++)
            for (size_t i = 0; i < sizeof carvers / sizeof *carvers; i++) printf("%s %s\n", mixes[m].name, carvers[i]->name);
        return 0;
    }
    if (argument_count < 5) return 2;
    run r = {.carver = carver_named(arguments[2]), .mix = mix_named(arguments[1])};
    if (r.carver == NULL || r.mix == NULL) {
        fprintf(stderr, "mixes: no mix '%s' or no allocator '%s'\n", arguments[1], arguments[2]);
        return 2;
    }
    const uint64_t steps = strtoull(arguments[3], NULL, 10);
    const uint64_t seed = strtoull(arguments[4], NULL, 10) + 1;
    r.random = seed * 0x9E3779B97F4A7C15u;
    r.size_random = seed * 0xD1B54A32D192ED03u;
    bool is_of_steps_only = false;
    for (int i = 5; i < argument_count; i++) {
        is_of_steps_only |= strcmp(arguments[i], "--steps-only") == 0;
        r.is_at_once |= strcmp(arguments[i], "--sizes-at-once") == 0;
    }
    for (uint64_t i = 0; i < SIZES && !r.is_at_once; i++) sizes[i] = r.mix->draw(&r.size_random);
    r.block = r.carver->open(r.mix->block_bytes, r.mix->alignment_bytes);
    if (r.block == NULL) return 1;

    const uint64_t target_bytes = r.mix->block_bytes / 10 * 8;
    uint64_t failed_count = 0;
    for (uint64_t size = next_size(&r); r.used_bytes + size <= target_bytes; size = next_size(&r))
        if (!alloc_one(&r, size)) return 1;
    for (uint64_t step = 0; step < steps; step++) {
        const uint64_t size = next_size(&r);
        while (r.live_count > 0 && r.used_bytes + size > target_bytes) free_any(&r);
        failed_count += !alloc_one(&r, size);
    }
    const uint64_t live_count = r.live_count;
    while (!is_of_steps_only && alloc_one(&r, next_size(&r))) continue;
    printf("%llu %llu %.4f\n", (unsigned long long)failed_count, (unsigned long long)live_count,
           (double)r.used_bytes / (double)r.mix->block_bytes);
    r.carver->close(r.block);
    return 0;
}
