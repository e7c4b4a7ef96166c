/* system.c - a memory system with a contract: at most 64 KiB live, and the meter tells who broke it. */
#include <acre/system.h>
#include <stdio.h>

int main(void)
{
    static acre_system system;
    const acre_system_options options = {
        .name = "cache",
        .is_metered = true,
        .contract = {.limits = ACRE_LIMIT_LIVE_BYTES | ACRE_LIMIT_FAILED_COUNT, .live_bytes_max = 64 << 10},
    };
    if (acre_system_create(&options, &system) != ACRE_OK) {
        puts(acre_last_error());
        return 1;
    }
    acre_addr blocks[20];
    for (int i = 0; i < 20; i++) blocks[i] = acre_system_alloc(&system, 4096, 16, NULL);
    if (acre_system_check(&system) == ACRE_BREACH) puts(acre_last_error());
    for (int i = 0; i < 20; i++) acre_system_free(&system, blocks[i]);

    static acre_meter_figures figures;
    acre_system_read_meter(&system, &figures);
    printf("%llu allocations, the slowest took %llu ns\n", (unsigned long long)figures.counts.alloc_count,
           (unsigned long long)figures.alloc_ns.max);
    const acre_status status = acre_system_check(&system);
    acre_system_destroy(&system);
    return status == ACRE_OK ? 0 : 1;
}
