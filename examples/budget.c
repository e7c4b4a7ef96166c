/* Two caches under one budget: the one whose misses fall most gets the memory, also when that changes. */
#include <acre/budget.h>
#include <stdint.h>
#include <stdio.h>

typedef struct cache {
    const char *name;
    uint64_t working_set_bytes; /* misses fall evenly until that fits */
    uint64_t requests;
} cache;

/* A real cache has a live curve, and calls acre_budget_read_curve. */
static void read_costs(void *context, const uint64_t *sizes, uint64_t *costs, size_t count)
{
    const cache *const self = context;
    for (size_t i = 0; i < count; i++)
        costs[i] =
            sizes[i] >= self->working_set_bytes ? 0 : self->requests * 100 * (self->working_set_bytes - sizes[i]) / self->working_set_bytes;
}

static uint64_t resize(void *context, uint64_t bytes)
{
    printf("%s: %llu KiB\n", ((const cache *)context)->name, (unsigned long long)(bytes >> 10));
    return bytes; /* a real cache evicts until it fits */
}

int main(void)
{
    cache pages = {"pages", 6 << 20, 100000}, results = {"results", 3 << 20, 20000};
    acre_budget_member members[] = {{.name = "pages", .read = read_costs, .resize = resize, .context = &pages, .bytes_min = 1 << 20},
                                    {.name = "results", .read = read_costs, .resize = resize, .context = &results, .bytes_min = 64 << 10}};
    acre_budget budget;
    if (acre_budget_init(&budget, 4 << 20) != ACRE_OK) return 1;
    for (size_t i = 0; i < 2; i++)
        if (acre_budget_add(&budget, &members[i]) != ACRE_OK) return 1;

    puts("mostly pages:");
    for (int i = 0; i < 20; i++) (void)acre_budget_step(&budget);
    puts("mostly results:");
    pages.requests = 1000;
    for (int i = 0; i < 20; i++) (void)acre_budget_step(&budget);
    return 0;
}
