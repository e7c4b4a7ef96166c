/* contract.c - see acre/meter.h: every limit is one row of a table, so that a new limit is a new row. */
#include <acre/meter.h>

#include "base/format.h"
#include "base/status.h"

#include <stddef.h>

typedef struct limit {
    uint32_t bit;
    uint64_t found, most;
    const char *what; /* "<what> <found><unit>, allowed are <most><unit>" */
    const char *unit;
} limit;

acre_status acre_contract_check_figures(const acre_contract *contract, const char *name, const acre_meter_figures *figures)
{
    if ((contract->limits & ~(uint32_t)ACRE_LIMIT_ALL) != 0)
        return acre_fail(ACRE_INVALID, "contract of '%s': limits 0x%x has unknown bits", name, contract->limits);
    if ((contract->limits & ACRE_LIMIT_FRAGMENTATION) != 0 && contract->fragmentation_max > 1000)
        return acre_fail(ACRE_INVALID, "contract of '%s': fragmentation_max %u is above 1000 per mille", name,
                         contract->fragmentation_max);

    const limit limits[] = {
        {ACRE_LIMIT_ALLOC_NS, figures->alloc_ns.max, contract->alloc_ns_max, "the slowest allocation took", " ns"},
        {ACRE_LIMIT_FREE_NS, figures->free_ns.max, contract->free_ns_max, "the slowest free took", " ns"},
        {ACRE_LIMIT_FRAGMENTATION, figures->fragmentation, contract->fragmentation_max, "fragmentation is", " per mille"},
        {ACRE_LIMIT_LEAK_COUNT, figures->live_count, contract->leak_count_max, "blocks not freed:", ""},
        {ACRE_LIMIT_LIVE_BYTES, figures->live_bytes, contract->live_bytes_max, "live are", " bytes"},
        {ACRE_LIMIT_FAILED_COUNT, figures->counts.failed_count, contract->failed_count_max, "failed allocations:", ""},
    };
    acre_status status = ACRE_OK;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        const limit *const at = &limits[i];
        char sentence[200];
        if ((contract->limits & at->bit) == 0 || at->found <= at->most) continue;
        (void)acre_format(sentence, sizeof sentence, "meter '%s': %s %llu%s, allowed are %llu", name, at->what,
                          (unsigned long long)at->found, at->unit, (unsigned long long)at->most);
        if (contract->on_breach != NULL) contract->on_breach(contract->context, sentence);
        if (status == ACRE_OK) status = acre_fail(ACRE_BREACH, "%s", sentence);
    }
    return status;
}

acre_status acre_contract_check(const acre_contract *contract, acre_meter *meter)
{
    acre_meter_figures figures;
    acre_meter_read(meter, &figures);
    return acre_contract_check_figures(contract, meter->name, &figures);
}
