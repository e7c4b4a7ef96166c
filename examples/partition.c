/* partition.c - two tasks of a firmware with a quota each: one is greedy, one forgets a block, and the report names it. */
#include <acre/partition.h>
#include <stdio.h>

enum { RADIO = 1, LOGGER = 2 };

static uint64_t bytes[4096];
static acre_realtime heap;
static acre_partition radio;
static acre_partition logger;

static void contract_is_broken(void *context, const acre_partition *partition, acre_partition_breach breach, uint64_t figure)
{
    (void)context;
    printf("%s: contract %d is broken, by %llu\n", partition->options.name, (int)breach, (unsigned long long)figure);
}

int main(void)
{
    acre_partition_options options = {.name = "radio", .owner = RADIO, .quota_bytes = 8192, .broken = contract_is_broken};
    if (acre_realtime_init(&heap, &(acre_realtime_options){.name = "all"}, bytes, sizeof bytes) != ACRE_OK) return 1;
    if (acre_partition_init(&radio, &options, &heap) != ACRE_OK) return 1;
    options.name = "logger";
    options.owner = LOGGER;
    options.contract.leak_count_max = SIZE_MAX;
    if (acre_partition_init(&logger, &options, &heap) != ACRE_OK) return 1;

    while (acre_partition_alloc(&logger, LOGGER, 100) != NULL) {} /* takes all that is its own */

    const uint32_t mark = acre_partition_mark(&radio);
    for (int i = 0; i < 1000; i++) {
        void *const frame = acre_partition_alloc(&radio, RADIO, 200);
        if (frame == NULL) return 1;
        if (i != 500 && acre_partition_free(&radio, RADIO, frame) != ACRE_OK) return 1;
    }
    printf("the logger frees a frame: %s\n", acre_status_text(acre_partition_free(&radio, LOGGER, radio.memory)));

    acre_leak leaks[8];
    acre_leak_report report = {.leaks = leaks, .capacity = 8};
    if (acre_partition_leaks(&radio, mark, &report) != ACRE_BREACH) return 1;
    for (size_t i = 0; i < report.count; i++) {
        printf("%s: %zu block, %zu bytes, of owner %u, from %p\n", leaks[i].partition, leaks[i].block_count, leaks[i].bytes,
               (unsigned)leaks[i].owner, leaks[i].site);
    }
    return report.count == 1 && leaks[0].block_count == 1 ? 0 : 1;
}
